package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	driver "modernc.org/sqlite"

	"github.com/waybill-hub/waybill/internal/filemode"
)

// ErrNoCopy: the store is a server's, and copied by the server's own tools.
var ErrNoCopy = errors.New("the store is in PostgreSQL: copy it with pg_dump, or by the server's own backup")

// CopyOptions say how a copy is made.
type CopyOptions struct {
	// ID names the copy; whoever opens it is told by that it is one.
	ID string
	// Step is called between two pieces, with the pages copied and all pages; it may wait, so that the hub has the disk for itself meanwhile. An error ends
	// the copy.
	Step func(done, all int) error
}

// copyPages are copied at once: 1 MiB in pages of 4 KiB.
const copyPages = 256

// sqliteBackup is what the driver offers on its connections.
type sqliteBackup interface {
	NewBackup(uri string) (*driver.Backup, error)
}

// CopyTo writes the store, as it is at one moment after the call, into a new SQLite file, while others go on reading and writing. It gives that moment.
// What was written of the file is removed when it fails.
func (s *Store) CopyTo(ctx context.Context, path string, o CopyOptions) (at time.Time, err error) {
	if s.d != sqlite {
		return at, ErrNoCopy
	}
	// SQLite would make it for everybody whom the umask allows.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, filemode.File)
	if errors.Is(err, os.ErrExist) {
		return at, fmt.Errorf("copy the store: %s is there already", path)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("copy the store to %s: %w", path, errors.Join(err, removeDatabase(path)))
		}
	}()
	if err != nil {
		return at, err
	}
	if err = f.Close(); err != nil {
		return at, err
	}
	if at, err = s.copyPages(ctx, path, o); err != nil {
		return at, err
	}
	return at, sealCopy(ctx, path, copyMark{ID: o.ID, AsOf: at})
}

// copyPages copies under one reading transaction: nothing that is written meanwhile begins the copy anew.
func (s *Store) copyPages(ctx context.Context, path string, o CopyOptions) (at time.Time, err error) {
	db, err := sql.Open("sqlite", sqliteDSN(s.cfg.SQLite, "query_only(1)"))
	if err != nil {
		return at, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	c, err := db.Conn(ctx)
	if err != nil {
		return at, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if _, err := c.ExecContext(ctx, "BEGIN"); err != nil {
		return at, err
	}
	var version int64
	if err := c.QueryRowContext(ctx, "SELECT MAX(version) FROM schema_version").Scan(&version); err != nil {
		return at, err // the first read takes the snapshot
	}
	at = s.cfg.Clock.Now().UTC()
	err = c.Raw(func(conn any) (err error) {
		maker, ok := conn.(sqliteBackup)
		if !ok {
			return errors.New("the SQLite driver copies nothing")
		}
		b, err := maker.NewBackup(fileURI(path))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.Finish()) }()
		for more := true; more; {
			if more, err = b.Step(copyPages); err != nil {
				return err
			}
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if o.Step != nil {
				if err := o.Step(b.PageCount()-b.Remaining(), b.PageCount()); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return at, err
	}
	_, err = c.ExecContext(ctx, "ROLLBACK")
	return at, err
}

// sealCopy marks the copy as one, and leaves it as a single file that is on disk.
func sealCopy(ctx context.Context, path string, mark copyMark) (err error) {
	db, err := sql.Open("sqlite", fileURI(path)+"?_pragma="+url.QueryEscape("journal_mode(DELETE)")+"&_pragma="+url.QueryEscape("synchronous(FULL)"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return forgetMarks(ctx, c, mark)
}

// removeDatabase removes a SQLite file with all that belongs to it.
func removeDatabase(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// CheckCopy reads a SQLite file through, to the last page, for damage, without changing it.
func CheckCopy(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", fileURI(path)+"?immutable=1&mode=ro")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if verdict != "ok" {
		return fmt.Errorf("%s: %w", path, &damage{verdict})
	}
	return nil
}

// fileURI is a path as SQLite's URI.
func fileURI(path string) string {
	return "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
}
