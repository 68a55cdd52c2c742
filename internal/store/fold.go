package store

import (
	"cmp"
	"context"
	"database/sql"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// folded is a key as a search sees it: without the difference between capitals and small letters, in any script, and whichever of its forms a
// letter with an accent is written in. The databases fold differently from each other, and SQLite only what is ASCII, so it is done here.
func folded(key string) string {
	for i := range len(key) {
		switch c := key[i]; {
		case c >= utf8.RuneSelf:
			return norm.NFC.String(cases.Fold().String(norm.NFC.String(cleanText(key))))
		case 'A' <= c && c <= 'Z', c == 0:
			return foldedASCII(key)
		}
	}
	return key
}

func foldedASCII(key string) string {
	b := []byte(cleanText(key))
	for i, c := range b {
		if c >= utf8.RuneSelf {
			return norm.NFC.String(cases.Fold().String(norm.NFC.String(string(b))))
		}
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// foldOf is what the fold column of a key holds: nothing where folding changes nothing.
func foldOf(key string) string {
	if f := folded(key); f != key {
		return f
	}
	return ""
}

// fold is the expression that the indexes of folded keys are made of; col is the column of the key.
func (d dialect) fold(col string) string {
	x := "COALESCE(NULLIF(fold, ''), " + col + ")"
	if d == postgres {
		return "(" + x + ` COLLATE "C")` // by bytes: what begins alike lies together
	}
	return x
}

// end is behind every text that begins with prefix, in the order of bytes.
func end(prefix string) string { return prefix + "\U0010FFFF" }

// folds are where keys stand, with the columns that hold them.
var folds = []struct{ table, col, where string }{
	{"journal", "ekey", ""}, {"queue", "ekey", ""}, {"inbox", "ekey", " AND ekey <> ''"}, {"refs", "local", ""},
}

// refold folds the keys with letters beyond ASCII that an older version has written. The migration has left a chore for it.
func (s *Store) refold(ctx context.Context, c *sql.Conn) error {
	var left int
	if err := c.QueryRowContext(ctx, "SELECT COUNT(*) FROM chores WHERE name = 'fold'").Scan(&left); err != nil || left == 0 {
		return err
	}
	for _, f := range folds {
		long := "length(CAST(" + f.col + " AS BLOB)) <> length(" + f.col + ")"
		if s.d == postgres {
			long = "octet_length(" + f.col + ") <> length(" + f.col + ")"
		}
		var keys []string
		err := eachOf(ctx, c, s.d, func(r *sql.Rows) error {
			var key string
			err := r.Scan(&key)
			keys = append(keys, key)
			return err
		}, "SELECT DISTINCT "+f.col+" FROM "+f.table+" WHERE "+long)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if _, err := c.ExecContext(ctx, s.d.bind("UPDATE "+f.table+" SET fold = ? WHERE "+s.d.fold(f.col)+" = ? AND "+f.col+" = ?"), foldOf(key), asciiLower(key), key); err != nil {
				return err
			}
		}
	}
	_, err := c.ExecContext(ctx, "DELETE FROM chores WHERE name = 'fold'")
	return err
}

// asciiLower is what the migration has made of a key.
func asciiLower(key string) string {
	b := []byte(key)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// Begin gives up to limit keys that begin with prefix, whatever the case of its letters: business keys, and ids that systems gave to objects. They
// come in the order of their letters. Nothing in prefix has a meaning of its own.
func (s *Store) Begin(ctx context.Context, prefix string, limit int) ([]string, error) {
	prefix = folded(prefix)
	if prefix == "" || limit <= 0 {
		return nil, nil
	}
	var out []string
	err := s.snapshot(ctx, func(db queryer) error {
		found := map[string]string{}
		for _, f := range folds {
			if err := beginOf(ctx, db, s.d, f.table, f.col, f.where, prefix, limit, found); err != nil {
				return err
			}
		}
		keys := sortedKeys(found, compareTexts)
		for _, k := range keys[:min(len(keys), limit)] {
			out = append(out, found[k])
		}
		return nil
	})
	return out, s.wrap("keys that begin alike", err)
}

// beginOf goes from one key of a table to the next by the index: a key with a hundred thousand rows costs what one with a single row does. found
// holds the keys by what they are in the order of letters, so that spellings that differ in case alone stay apart.
func beginOf(ctx context.Context, db queryer, d dialect, table, col, where, prefix string, limit int, found map[string]string) error {
	x := d.fold(col)
	next := "SELECT " + col + ", " + x + " FROM " + table + " WHERE " + x + " >= ? AND " + x + " < ?" + where + " ORDER BY " + x + " LIMIT 1"
	spellings := "SELECT DISTINCT " + col + " FROM (SELECT " + col + " FROM " + table + " WHERE " + x + " = ?" + where + " LIMIT 1000) AS s"
	at, until := prefix, end(prefix)
	for range limit {
		var fold string
		any := false
		err := eachOf(ctx, db, d, func(r *sql.Rows) error {
			var key string
			any = true
			return r.Scan(&key, &fold)
		}, next, at, until)
		if err != nil || !any {
			return err
		}
		err = eachOf(ctx, db, d, func(r *sql.Rows) error {
			var key string
			err := r.Scan(&key)
			found[fold+"\x00"+key] = key
			return err
		}, spellings, fold)
		if err != nil {
			return err
		}
		at = fold + "\x01" // nothing lies between: no key holds a NUL
	}
	return nil
}

func compareTexts(a, b string) int { return cmp.Compare(a, b) }
