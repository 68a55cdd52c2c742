package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/waybill-hub/waybill/internal/filemode"
)

// checkedSize is up to which size a file is read through at start to find damage; beyond, that would cost the start seconds, and
// damage shows when its pages are read.
const checkedSize = 64 << 20

func (s *Store) openSQLite(ctx context.Context) error {
	s.d = sqlite
	path := s.cfg.SQLite
	if err := filemode.Make(filepath.Dir(path)); err != nil {
		return fmt.Errorf("store %s: make its directory: %w", path, err)
	}
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return err
	}
	s.unlock = unlock
	if err := s.lookAtFolder(ctx); err != nil {
		return err
	}
	if err := s.keepPrivate(path); err != nil {
		return sqliteOpenError(path, err)
	}
	if s.write, err = sql.Open("sqlite", sqliteDSN(path, "")); err != nil {
		return sqliteOpenError(path, err)
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", sqliteDSN(path, "query_only(1)")); err != nil {
		return sqliteOpenError(path, err)
	}
	s.read.SetMaxOpenConns(4)
	s.read.SetMaxIdleConns(4)
	return nil
}

// keepPrivate makes the file for this user alone before SQLite would make it for everybody, and takes the rights of others away from one that
// is there. The files beside it (-wal, -shm) get the mode that it has.
func (s *Store) keepPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, filemode.File)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	for _, name := range []string{path, path + "-wal", path + "-shm", path + "-journal", s.cfg.SQLite + ".lock"} {
		switch n, err := filemode.Tighten(name); {
		case err != nil && !errors.Is(err, os.ErrNotExist):
			s.log.Warn("others can read the store", "file", name, "error", err)
		case n > 0:
			s.log.Info("others could read a file of the store; now they cannot", "file", name)
		}
	}
	if dir := filepath.Dir(path); filemode.Writable(dir) {
		s.log.Warn("others can put files in place of the store's: take their rights to its folder away", "folder", dir)
	}
	return nil
}

// sqliteDSN carries the pragmas, so that every connection that the pool ever makes has them. Readers begin deferred, so
// that looking never waits for the writer.
func sqliteDSN(path, extra string) string {
	q := url.Values{}
	pragmas := []string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-65536)",
		"temp_store(MEMORY)", "journal_size_limit(67108864)", "wal_autocheckpoint(4000)"}
	lock := "immediate"
	if extra != "" {
		pragmas, lock = []string{"busy_timeout(10000)", "cache_size(-16384)", "temp_store(MEMORY)", extra}, "deferred"
	}
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	q.Set("_txlock", lock)
	return fileURI(path) + "?" + q.Encode()
}

// inspect looks for damage before anything is promised.
func (s *Store) inspect(ctx context.Context, c *sql.Conn) error {
	if s.d != sqlite {
		return nil
	}
	st, err := os.Stat(s.cfg.SQLite)
	if err != nil || st.Size() > checkedSize && !s.copied(ctx, c) {
		return err
	}
	var verdict string
	if err := c.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return &damage{verdict}
	}
	return nil
}

// copied reports whether the file was copied while a hub was at work on it, or after that was killed: pages of it may be of different moments.
func (s *Store) copied(ctx context.Context, c *sql.Conn) bool {
	was, err := readOrigin(ctx, c)
	if err != nil || was[originOpen] == "" {
		return false // no table yet, or nobody was at work
	}
	birth, err := s.birth(ctx, c)
	return err == nil && birth.differs(was[originBirth])
}

// damage is what SQLite's own check found.
type damage struct{ verdict string }

func (d *damage) Error() string { return d.verdict }

// sqliteOpenError says what to do about a file that cannot be opened.
func sqliteOpenError(path string, err error) error {
	if isDamage(err) {
		return fmt.Errorf("store %s is damaged (%w): put a backup in its place, or move %s, %s-wal and %s-shm away to start with an empty store; "+
			"nothing has been changed", path, err, path, path, path)
	}
	if words := sqliteSays(path, err); words != "" {
		return fmt.Errorf("store %s: open: %s: %w", path, words, err)
	}
	return fmt.Errorf("store %s: open: %w", path, err)
}

func isDamage(err error) bool {
	var d *damage
	if errors.As(err, &d) {
		return true
	}
	code, ok := sqliteCode(err)
	return ok && (code == lib.SQLITE_CORRUPT || code == lib.SQLITE_NOTADB)
}

// sqliteCode is the primary result code of a SQLite failure.
func sqliteCode(err error) (int, bool) {
	var e *driver.Error
	if !errors.As(err, &e) {
		return 0, false
	}
	return e.Code() & 0xff, true
}
