package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/filemode"
)

// trouble is why the store takes nothing at present; the next good commit ends it. Its zero value is none.
type trouble struct{ at atomic.Pointer[fault.Trouble] }

// Trouble is nil while the store takes what is handed over.
func (s *Store) Trouble() *fault.Trouble { return s.ill.at.Load() }

// note holds what a commit came to: of err, which is nil for a good one, only what is about the database counts.
func (s *Store) note(err error) {
	old := s.ill.at.Load()
	switch {
	case err == nil && old == nil:
	case err == nil:
		s.ill.at.Store(nil)
		s.log.Info("the store takes what is handed over again", "away", s.cfg.Clock.Now().Sub(old.Since).Round(time.Millisecond).String())
	case s.offline(err):
		t := &fault.Trouble{Since: s.cfg.Clock.Now(), Why: s.explain(err)}
		if old != nil {
			t.Since = old.Since
		}
		s.ill.at.Store(t)
		if old == nil || old.Why != t.Why {
			s.log.Error("the store takes nothing: "+t.Why, "store", s.d.String())
		}
	}
}

// sqliteWords and postgresWords are what people say of the databases' codes.
var (
	sqliteWords = map[int]string{
		lib.SQLITE_FULL:     "its disk is full",
		lib.SQLITE_READONLY: "its file or disk is read-only",
		lib.SQLITE_IOERR:    "its disk does not read or write",
		lib.SQLITE_CANTOPEN: "its file cannot be opened",
		lib.SQLITE_BUSY:     "another program holds its file",
		lib.SQLITE_CORRUPT:  "its file is damaged",
		lib.SQLITE_NOTADB:   "its file is damaged",
		lib.SQLITE_NOMEM:    "there is no memory for it",
	}
	postgresWords = map[string]string{
		"25006": "it is read-only: a standby, or default_transaction_read_only is on",
		"28000": "it does not let the hub's user in",
		"28P01": "it does not take the hub's password",
		"3D000": "the database is not there",
		"42501": "the hub's user may not write",
		"53100": "its disk is full",
		"53200": "it has no memory",
		"53300": "it has no connection left",
		"57P01": "it is being stopped",
		"57P02": "it has crashed",
		"57P03": "it is starting or stopping",
		"58030": "its disk does not read or write",
	}
)

func (s *Store) explain(err error) string {
	words := ""
	if s.d == sqlite {
		words = sqliteSays(s.cfg.SQLite, err)
	} else {
		words = postgresWords[postgresCode(err)]
	}
	if words == "" {
		words = "it does not answer"
	}
	if f, ok := fault.As(err); ok && f.Err != nil {
		err = f.Err
	}
	return words + ": " + err.Error()
}

// sqliteSays is what people say of SQLite's error; empty where there are no words for it. Of a disk SQLite often knows only that something could not
// be read or written: then a file beside the database is tried.
func sqliteSays(path string, err error) string {
	code, _ := sqliteCode(err)
	if code == lib.SQLITE_IOERR {
		switch err := writable(path + ".probe.tmp"); {
		case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
			code = lib.SQLITE_FULL
		case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
			code = lib.SQLITE_READONLY
		}
	}
	return sqliteWords[code]
}

// writable tries a file with as much as SQLite takes at once.
func writable(name string) error {
	defer os.Remove(name)
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, filemode.File)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 64<<10))
	return errors.Join(err, f.Close())
}

// Probe writes one row: whether the store takes anything is known only by that.
func (s *Store) Probe(ctx context.Context) error {
	return s.do(ctx, "probe", func(t *tx) error {
		_, err := t.exec("INSERT INTO leases (name, holder, token, expires) VALUES ('probe', '', 1, 0) ON CONFLICT (name) DO UPDATE SET token = leases.token + 1")
		return err
	})
}
