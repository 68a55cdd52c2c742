package store

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// A transaction that reads before it writes has the database from its beginning: were it to ask for it only at its first
// write, another program's write in between would fail it at once, however long it is willing to wait.
func TestWriterHasTheDatabaseFromTheBeginning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waybill.db")
	s, err := Open(t.Context(), Config{SQLite: path})
	if err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(0)") // a program that does not know of the hub's lock
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(other.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	}()
	write := func() error {
		_, err := other.ExecContext(t.Context(), "INSERT INTO counters (name, value) VALUES ('other', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1")
		return err
	}
	err = s.do(t.Context(), "read, then write", func(x *tx) error {
		if err := x.each(func(*sql.Rows) error { return nil }, "SELECT id FROM audit"); err != nil {
			return err
		}
		if err := write(); err == nil {
			t.Error("another program has written in the middle of a transaction")
		}
		return x.audit("ann", "act", "", "")
	})
	if err != nil {
		t.Error(err)
	}
	if err := write(); err != nil {
		t.Errorf("after the transaction: %v", err)
	}
}

// Whatever the server's or the URL's defaults are: a promise needs the disk, and the statements count on this isolation.
func TestPostgresWriterIsDurable(t *testing.T) {
	s, err := Open(t.Context(), Config{Postgres: pgtest.URL(t) + "&synchronous_commit=off&default_transaction_isolation=serializable"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for name, want := range map[string]string{"synchronous_commit": "on", "transaction_isolation": "read committed"} {
		got, err := ask(t.Context(), s, name, func(x *tx) (got string, err error) {
			err = x.each(func(r *sql.Rows) error { return r.Scan(&got) }, "SHOW "+name)
			return got, err
		})
		if err != nil || got != want {
			t.Errorf("%s is %q, want %q (%v)", name, got, want, err)
		}
	}
}
