package store

import (
	"context"
	"database/sql"
	"fmt"
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

// TestDoubtedConnections: looks that come in time are not disturbed when others were late, however many ask at once and however often it happens: a
// connection that is doubted and answers is kept. (One that does not is met by TestConnectionsThatDieSilently.)
func TestDoubtedConnections(t *testing.T) {
	s, err := Open(t.Context(), Config{Postgres: pgtest.URL(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var looks sync.WaitGroup
	var mu sync.Mutex
	sessions := map[int]bool{}
	for range 8 * postgresReaders {
		looks.Go(func() {
			for range 4 {
				err := s.each(t.Context(), func(r *sql.Rows) error {
					var pid int
					err := r.Scan(&pid, new(string))
					mu.Lock()
					defer mu.Unlock()
					sessions[pid] = true
					return err
				}, "SELECT pg_backend_pid(), pg_sleep(0.01)::text")
				if err != nil {
					t.Errorf("a look in time: %v", err)
				}
			}
		})
	}
	for range 6 {
		looks.Go(func() {
			for range 10 {
				if err := s.wrap("look", context.DeadlineExceeded); fault.KindOf(err) != fault.Unavailable {
					t.Errorf("a late look: %v", err)
				}
			}
		})
	}
	looks.Wait()
	if len(sessions) > postgresReaders {
		t.Errorf("%d sessions were needed for %d readers: those that answer are not kept", len(sessions), postgresReaders)
	}
}
