// Package drivers measures SQLite drivers beside each other on what the store writes most: a module of its own, so that the hub depends on
// none of them but its own.
package drivers

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	ncruces "github.com/ncruces/go-sqlite3"
	ncrucessql "github.com/ncruces/go-sqlite3/driver"
	_ "modernc.org/sqlite"
	zombiezen "zombiezen.com/go/sqlite"
)

const (
	batch   = 16   // rows of a statement
	commits = 4    // statements of each kind in a transaction
	objects = 5000 // that the rows are about, in no order
)

// schema is how the store's references and its journal looked when this was measured.
var schema = []string{
	`CREATE TABLE refs (entity TEXT NOT NULL, hub TEXT NOT NULL, system TEXT NOT NULL, local TEXT NOT NULL, deleted BIGINT NOT NULL, known BLOB,
		received TEXT NOT NULL, etag TEXT NOT NULL, updated BIGINT NOT NULL, PRIMARY KEY (entity, hub, system)) WITHOUT ROWID`,
	`CREATE INDEX refs_local ON refs (local, system, entity)`,
	`CREATE INDEX refs_system ON refs (entity, system, hub)`,
	`CREATE TABLE journal (id INTEGER PRIMARY KEY, time BIGINT NOT NULL, flow TEXT NOT NULL, event_id TEXT NOT NULL, ekey TEXT NOT NULL, hub TEXT NOT NULL,
		outcome TEXT NOT NULL, reason TEXT NOT NULL, version TEXT NOT NULL, took BIGINT NOT NULL)`,
	`CREATE INDEX journal_key ON journal (ekey, id)`,
	`CREATE INDEX journal_hub ON journal (hub, id)`,
	`CREATE INDEX journal_event ON journal (event_id)`,
	`CREATE INDEX journal_flow ON journal (flow, outcome, id)`,
}

func values(width int) string {
	row := "(?" + strings.Repeat(",?", width-1) + ")"
	return " VALUES " + row + strings.Repeat(","+row, batch-1)
}

var (
	insert = "INSERT INTO journal (id, time, flow, event_id, ekey, hub, outcome, reason, version, took)" + values(10)
	upsert = "INSERT INTO refs (entity, hub, system, local, deleted, known, received, etag, updated)" + values(9) +
		" ON CONFLICT (entity, hub, system) DO UPDATE SET local = excluded.local, deleted = excluded.deleted, known = excluded.known, received = excluded.received, etag = excluded.etag, updated = excluded.updated"
)

// conn is one connection. run makes a statement, prepared once.
type conn interface {
	run(query string, args ...any) error
}

var pragmas = []string{"PRAGMA journal_mode=WAL", "PRAGMA synchronous=OFF", "PRAGMA cache_size=-65536"}

type standard struct {
	c        *sql.Conn
	prepared map[string]*sql.Stmt
	b        *testing.B
}

func (s *standard) run(query string, args ...any) error {
	st := s.prepared[query]
	if st == nil {
		var err error
		if st, err = s.c.PrepareContext(s.b.Context(), query); err != nil {
			return err
		}
		s.prepared[query] = st
	}
	_, err := st.ExecContext(s.b.Context(), args...)
	return err
}

func open(b *testing.B, db *sql.DB, err error) conn {
	if err != nil {
		b.Fatal(err)
	}
	c, err := db.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close(); _ = db.Close() })
	return &standard{c, map[string]*sql.Stmt{}, b}
}

type zombie struct{ c *zombiezen.Conn }

func (z *zombie) run(query string, args ...any) error {
	st, err := z.c.Prepare(query)
	if err != nil {
		return err
	}
	for i, a := range args {
		switch v := a.(type) {
		case string:
			st.BindText(i+1, v)
		case int64:
			st.BindInt64(i+1, v)
		case []byte:
			st.BindBytes(i+1, v)
		}
	}
	for {
		more, err := st.Step()
		if err != nil {
			return err
		}
		if !more {
			return st.Reset()
		}
	}
}

type direct struct {
	c        *ncruces.Conn
	prepared map[string]*ncruces.Stmt
}

func (d *direct) run(query string, args ...any) error {
	st := d.prepared[query]
	if st == nil {
		var err error
		if st, _, err = d.c.Prepare(query); err != nil {
			return err
		}
		d.prepared[query] = st
	}
	for i, a := range args {
		var err error
		switch v := a.(type) {
		case string:
			err = st.BindText(i+1, v)
		case int64:
			err = st.BindInt64(i+1, v)
		case []byte:
			err = st.BindBlob(i+1, v)
		}
		if err != nil {
			return err
		}
	}
	return st.Exec()
}

// BenchmarkDrivers: a row of the journal and a reference each, 64 of both in a transaction; CPU time of the process, so that a busy machine tells
// nearly the same.
func BenchmarkDrivers(b *testing.B) {
	for _, d := range []struct {
		name string
		open func(b *testing.B, path string) conn
	}{
		{"modernc/sql", func(b *testing.B, path string) conn { db, err := sql.Open("sqlite", path); return open(b, db, err) }},
		{"ncruces/sql", func(b *testing.B, path string) conn {
			db, err := ncrucessql.Open("file:" + path)
			return open(b, db, err)
		}},
		{"ncruces", func(b *testing.B, path string) conn {
			c, err := ncruces.Open("file:" + path)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = c.Close() })
			return &direct{c, map[string]*ncruces.Stmt{}}
		}},
		{"zombiezen", func(b *testing.B, path string) conn {
			c, err := zombiezen.OpenConn(path, zombiezen.OpenReadWrite|zombiezen.OpenCreate)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = c.Close() })
			return &zombie{c}
		}},
	} {
		b.Run(d.name, func(b *testing.B) {
			c := d.open(b, filepath.Join(b.TempDir(), "bench.db"))
			run := func(query string, args ...any) {
				if err := c.run(query, args...); err != nil {
					b.Fatal(err)
				}
			}
			for _, q := range append(append([]string{}, pragmas...), schema...) {
				run(q)
			}
			random := rand.New(rand.NewPCG(1, 2))
			known, id := make([]byte, 120), int64(0)
			transaction := func() {
				run("BEGIN IMMEDIATE")
				for range commits {
					var journal, refs []any
					for range batch {
						id++
						n := random.IntN(objects)
						hub, event := fmt.Sprintf("01J%023d", n), fmt.Sprintf("ev-%026d", random.Int64())
						journal = append(journal, id, 1764400000000000+id, "orders-to-erp", event, fmt.Sprint("SO-", n), hub, "delivered", "", "7", int64(1200345))
						refs = append(refs, "order", hub, "erp", fmt.Sprint("L", n), int64(0), known, "7", event, 1764400000000000+id)
					}
					run(insert, journal...)
					run(upsert, refs...)
				}
				run("COMMIT")
			}
			for range 300 {
				transaction()
			}
			var before, after syscall.Rusage
			if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for done := 0; done < b.N; done += batch * commits {
				transaction()
			}
			if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano())/float64(b.N), "cpu-ns/op")
		})
	}
}
