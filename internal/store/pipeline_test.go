package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// TestKeptStatements: what is sent with the commit is stored with it or not at all, whichever of it fails, and the next transaction is not troubled.
func TestKeptStatements(t *testing.T) {
	s, err := Open(t.Context(), Config{Postgres: pgtest.URL(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	const good, bad = "INSERT INTO chores (name) VALUES (?)", "INSERT INTO chores (name) VALUES (NULLIF(?, ?))"
	count := func() (n int) {
		t.Helper()
		if err := s.read.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM chores WHERE name LIKE $1", "%-%").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i, test := range []struct {
		name  string
		texts []string
		asks  bool // a statement whose answer is needed stands behind them
		want  bool
	}{
		{"all good", []string{good, good}, false, true},
		{"the first fails", []string{bad, good}, false, false},
		{"the last fails", []string{good, bad}, false, false},
		{"good, and a question", []string{good}, true, true},
		{"one fails before a question", []string{good, bad}, true, false},
		{"all good, afterwards", []string{good, good}, false, true},
	} {
		before, added := count(), 0
		err := s.do(t.Context(), "test", func(x *tx) error {
			added = 0
			for j, text := range test.texts {
				args := []any{fmt.Sprintf("%d-%d", i, j)}
				if text == bad {
					args = append(args, args[0])
				}
				x.later(text, args)
				added++
			}
			if !test.asks {
				return nil
			}
			n, err := x.exec("UPDATE chores SET name = name WHERE name = ?", fmt.Sprintf("%d-0", i))
			if err == nil && n != 1 {
				t.Errorf("%s: the statement behind does not see what was kept", test.name)
			}
			return err
		})
		if (err == nil) != test.want {
			t.Errorf("%s: %v", test.name, err)
		}
		if !test.want {
			added = 0
		}
		if got := count() - before; got != added {
			t.Errorf("%s: %d rows were stored, want %d", test.name, got, added)
		}
	}
}

// TestStatementsAreKept: a reading's text is prepared once, many texts do not fill the memory, and those beyond the bound are answered all the same.
func TestStatementsAreKept(t *testing.T) {
	s, err := Open(t.Context(), Config{SQLite: t.TempDir() + "/w.db"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	const text = "SELECT 41 + 1"
	first, err := s.kept.of(t.Context(), s.read, text)
	if err != nil || first == nil {
		t.Fatal(first, err)
	}
	for i := range 2 * mostKept {
		var got int
		q := fmt.Sprintf("SELECT %d", i)
		if st, err := s.kept.of(t.Context(), s.read, q); err != nil {
			t.Fatal(err)
		} else if st == nil && i < mostKept/2 {
			t.Fatal("few texts are not kept")
		}
		err := s.each(t.Context(), func(r *sql.Rows) error { return r.Scan(&got) }, q)
		if err != nil || got != i {
			t.Fatal(got, err)
		}
	}
	if n := len(s.kept.list); n != mostKept {
		t.Errorf("%d texts are kept", n)
	}
	if again, err := s.kept.of(t.Context(), s.read, text); again != first || err != nil {
		t.Errorf("prepared again: %v", err)
	}
}

// TestDoubtedConnections: when a look at PostgreSQL was not answered in time, no connection that was open then is used again, whoever asks at once;
// those that are opened after it are.
func TestDoubtedConnections(t *testing.T) {
	s, err := Open(t.Context(), Config{Postgres: pgtest.URL(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	look := func() map[int]bool { // the sessions of as many looks at once as there may be
		var mu sync.Mutex
		met := map[int]bool{}
		var looks sync.WaitGroup
		for range postgresReaders {
			looks.Go(func() {
				err := s.snapshot(t.Context(), func(q queryer) error {
					return eachOf(t.Context(), q, postgres, func(r *sql.Rows) error {
						var pid int
						if err := r.Scan(&pid); err != nil {
							return err
						}
						mu.Lock()
						defer mu.Unlock()
						met[pid] = true
						return nil
					}, "SELECT pg_backend_pid()")
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		looks.Wait()
		return met
	}
	for range 20 {
		before, kept := look(), look()
		if len(kept) == 0 || !slices.ContainsFunc(slices.Collect(maps.Keys(kept)), func(pid int) bool { return before[pid] }) {
			t.Fatal("connections are not kept at all: nothing can be told from this test")
		}
		var late sync.WaitGroup
		for range 3 {
			late.Go(func() {
				if err := s.wrap("look", context.DeadlineExceeded); fault.KindOf(err) != fault.Unavailable {
					t.Errorf("got %v", err)
				}
			})
		}
		late.Wait()
		for pid := range look() {
			if kept[pid] {
				t.Errorf("session %d is used again", pid)
			}
		}
	}
}
