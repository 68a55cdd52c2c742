package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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
		if err := s.Pause(t.Context(), "f", "ann"); err != nil {
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
		if err := s.Pause(t.Context(), "f", "ann"); err != nil {
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

// TestStoreIsPrivate: nobody else on the machine reads the store, whatever the umask is, also where they could before.
func TestStoreIsPrivate(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(dir, "waybill.db")
	look := func(when string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) < 4 {
			t.Fatalf("%s: %v %v", when, entries, err)
		}
		for _, e := range entries {
			if st, err := e.Info(); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("%s: %s has %v (%v)", when, e.Name(), st.Mode(), err)
			}
		}
	}
	s, err := store.Open(t.Context(), store.Config{SQLite: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	look("a new one")
	if left, err := filepath.Glob(path + ".life-*"); err != nil || len(left) != 1 {
		t.Errorf("the files that tell of the store's life: %v %v", left, err)
	}
	// A copy lies in no folder of the store's, but is as private.
	copied := filepath.Join(t.TempDir(), "copy.db")
	during := func(int, int) error {
		st, err := os.Stat(copied)
		if err == nil && st.Mode().Perm() != 0o600 {
			t.Errorf("a copy that is being written has %v", st.Mode())
		}
		return err
	}
	if _, err := s.CopyTo(t.Context(), copied, store.CopyOptions{ID: "x", Step: during}); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(copied); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("a copy: %v %v", st.Mode(), err)
	}
	far := filepath.Join(t.TempDir(), "a", "b", "waybill.db")
	unlock, err := store.LockFile(far)
	if err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]fs.FileMode{filepath.Dir(filepath.Dir(far)): 0o700, filepath.Dir(far): 0o700, far + ".lock": 0o600} {
		if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != want {
			t.Errorf("where a copy is put back, %s: %v %v", dir, st.Mode(), err)
		}
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("its folder: %v %v", st.Mode(), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".lock"} {
		if err := os.Chmod(name, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if s, err = store.Open(t.Context(), store.Config{SQLite: path, Log: slog.New(slog.NewTextHandler(&log, nil))}); err != nil {
		t.Fatal(err)
	}
	look("one that was open")
	if !strings.Contains(log.String(), "others could read a file of the store") || !strings.Contains(log.String(), "take their rights to its folder away") {
		t.Errorf("nothing was said:\n%s", log.String())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
