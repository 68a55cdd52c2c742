package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"
)

// birthmark is what only a database that was put there anew has otherwise, part by part. A part that cannot be told here is missing.
type birthmark map[string]string

// birth is the present birthmark: of a SQLite file when it was made, which no copy takes along; of PostgreSQL the numbers of the tables, which a dump
// does not take along, and the timeline, which forks where a server goes back or another one takes over.
func (s *Store) birth(ctx context.Context, c *sql.Conn) (birthmark, error) {
	if s.d == sqlite {
		if at := born(s.cfg.SQLite); at != "" {
			return birthmark{"file": at}, nil
		}
		return nil, nil
	}
	out := birthmark{}
	for part, q := range map[string]string{"tables": "SELECT CAST(CAST('inbox' AS regclass) AS oid)", "timeline": "SELECT SUBSTR(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"} {
		var text string
		if err := c.QueryRowContext(ctx, q).Scan(&text); err != nil {
			if ctx.Err() != nil || notThere(err) {
				return nil, err
			}
			s.log.Debug("the server does not tell a part of its history", "part", part, "error", err)
			continue
		}
		out[part] = text
	}
	return out, nil
}

func parseBirth(text string) birthmark {
	var b birthmark
	if json.Unmarshal([]byte(text), &b) != nil {
		return nil // none is known yet
	}
	return b
}

// differs reports whether a part is another one than it was.
func (b birthmark) differs(was string) bool {
	for part, before := range parseBirth(was) {
		if now, ok := b[part]; ok && now != before {
			return true
		}
	}
	return false
}

// over is the text to store in place of what was known: parts that cannot be told now stay.
func (b birthmark) over(was string) string {
	all := parseBirth(was)
	if all == nil {
		all = birthmark{}
	}
	maps.Copy(all, b)
	text, err := json.Marshal(all)
	if err != nil {
		panic(err) // a map of texts always marshals
	}
	return string(text)
}
