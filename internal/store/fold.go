package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
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

// folding is where keys stand, with the column that holds them.
type folding struct{ table, col, where string }

// foldings have an index of the folded keys. The journal's is one of its own on SQLite.
var (
	foldings     = []folding{{"queue", "ekey", ""}, {"inbox", "ekey", " AND ekey <> ''"}, {"refs", "local", ""}}
	journalsKeys = folding{"journal", "ekey", ""}
)

// refold folds the keys with letters beyond ASCII that an older version has written. The migration has left a chore for it.
func (s *Store) refold(ctx context.Context, c *sql.Conn) error {
	var left int
	if err := c.QueryRowContext(ctx, "SELECT COUNT(*) FROM chores WHERE name = 'fold'").Scan(&left); err != nil || left == 0 {
		return err
	}
	all := foldings
	if s.d == sqlite {
		if err := s.refoldJournal(ctx, c); err != nil {
			return err
		}
	} else {
		all = append(slices.Clone(all), journalsKeys)
	}
	for _, f := range all {
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

// refoldRows is how many rows of the journal are folded in one transaction.
const refoldRows = 10_000

// refoldJournal goes from row to row: on SQLite the journal's keys are indexed after they are folded.
func (s *Store) refoldJournal(ctx context.Context, c *sql.Conn) error {
	type row struct {
		id  int64
		key string
	}
	at := int64(0)
	for {
		var rows []row
		err := eachOf(ctx, c, s.d, func(r *sql.Rows) error {
			var x row
			err := r.Scan(&x.id, &x.key)
			rows = append(rows, x)
			return err
		}, "SELECT id, ekey FROM journal WHERE id > ? AND length(CAST(ekey AS BLOB)) <> length(ekey) ORDER BY id LIMIT CAST(? AS INTEGER)", at, refoldRows)
		if err != nil || len(rows) == 0 {
			return err
		}
		err = inTransaction(ctx, c, s.begin(), func() error {
			for _, x := range rows {
				if _, err := c.ExecContext(ctx, "UPDATE journal SET fold = ? WHERE id = ?", foldOf(x.key), x.id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		at = rows[len(rows)-1].id
	}
}

// inTransaction runs f in a transaction of a connection.
func inTransaction(ctx context.Context, c *sql.Conn, begin string, f func() error) error {
	if _, err := c.ExecContext(ctx, begin); err != nil {
		return err
	}
	err := f()
	if err == nil {
		_, err = c.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		// The failure is what counts; the database has often rolled back by itself.
		_, _ = c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	}
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
		fates, err := s.fatesIn(ctx, db)
		if err != nil {
			return err
		}
		if err := fates.begin(prefix, limit, found); err != nil {
			return err
		}
		for _, f := range foldings {
			if err := beginOf(ctx, db, s.d, f, prefix, limit, found); err != nil {
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
func beginOf(ctx context.Context, db queryer, d dialect, f folding, prefix string, limit int, found map[string]string) error {
	x := d.fold(f.col)
	next := "SELECT " + f.col + ", " + x + " FROM " + f.table + " WHERE " + x + " >= ? AND " + x + " < ?" + f.where + " ORDER BY " + x + " LIMIT 1"
	spellings := fmt.Sprintf("SELECT DISTINCT %s FROM (SELECT %s FROM %s WHERE %s = ?%s LIMIT %d) AS s", f.col, f.col, f.table, x, f.where, mostSpelled)
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
