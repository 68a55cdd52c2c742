package store

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
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
