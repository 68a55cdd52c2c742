package store_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

func openSQLite(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{SQLite: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func wantOpenError(t *testing.T, cfg store.Config, says ...string) {
	t.Helper()
	s, err := store.Open(t.Context(), cfg)
	if err == nil {
		t.Fatal("it was opened", s.Close())
	}
	for _, w := range says {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
}

func TestOpenRefusesNonsense(t *testing.T) {
	wantOpenError(t, store.Config{}, "neither")
	wantOpenError(t, store.Config{SQLite: "a", Postgres: "b"}, "choose one")
	wantOpenError(t, store.Config{Postgres: "postgres://user:hunter2@127.0.0.1:99999/x"}, "PostgreSQL URL")
	_, err := store.Open(t.Context(), store.Config{Postgres: "postgres://user:hunter2@127.0.0.1:1/x?connect_timeout=2"})
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "connect to PostgreSQL") {
		t.Errorf("no server: %v", err)
	}
}

func TestSecondHubIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waybill.db")
	openSQLite(t, path)
	wantOpenError(t, store.Config{SQLite: path}, path, "in use by another hub", "process ", path+".lock")
}

func TestLockEndsWithTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "waybill.db")
	for range 2 {
		s, err := store.Open(t.Context(), store.Config{SQLite: path})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOddPaths(t *testing.T) {
	for _, name := range []string{"a b", "50%", "what?", "no#1", "数据"} {
		path := filepath.Join(t.TempDir(), name, name+".db")
		s := openSQLite(t, path)
		if err := s.SetPaused(t.Context(), "f", true, "ann"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// filled is a closed store with enough in it that its tables span many pages.
func filled(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "waybill.db")
	s, err := store.Open(t.Context(), store.Config{SQLite: path})
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]state.Inbound, 500)
	for i := range rows {
		rows[i] = state.Inbound{Flow: "f", Body: make([]byte, 500)}
	}
	if _, _, err := s.Accept(t.Context(), rows, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDamagedFile(t *testing.T) {
	for name, harm := range map[string]func([]byte) []byte{
		"torn":          func(b []byte) []byte { return b[:len(b)/2] },
		"torn mid-page": func(b []byte) []byte { return b[:len(b)/3+100] },
		"not a store":   func([]byte) []byte { return []byte(strings.Repeat("this is no database\n", 1000)) },
		"overwritten": func(b []byte) []byte {
			copy(b[4096*3:], strings.Repeat("x", 4096*10))
			return b
		},
		"header": func(b []byte) []byte {
			copy(b, "SQLite forma?")
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filled(t)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			harmed := harm(b)
			if err := os.WriteFile(path, harmed, 0o600); err != nil {
				t.Fatal(err)
			}
			wantOpenError(t, store.Config{SQLite: path}, path, "damaged", "backup")
			after, err := os.ReadFile(path)
			if err != nil || string(after) != string(harmed) {
				t.Errorf("the damaged file was changed (%v)", err)
			}
		})
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filled(t)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("INSERT INTO schema_version (version, name, applied) VALUES (99, 'from the future', 0)")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	wantOpenError(t, store.Config{SQLite: path}, "newer waybill", "schema 99")
}

func TestStatsTellHowCallsAreMerged(t *testing.T) {
	s := openSQLite(t, filepath.Join(t.TempDir(), "waybill.db"))
	for range 3 {
		if err := s.SetPaused(t.Context(), "f", true, "ann"); err != nil {
			t.Fatal(err)
		}
	}
	if st := s.Stats(); st.Members != 3 || st.Transactions < 1 || st.Transactions > 3 || st.Retried != 0 {
		t.Errorf("stats: %+v", st)
	}
	if s.Kind() != "SQLite" || s.Ping(t.Context()) != nil {
		t.Error("the store does not answer")
	}
}
