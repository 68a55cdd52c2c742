package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/waybill-hub/waybill/internal/filemode"
	"github.com/waybill-hub/waybill/internal/state"
)

// Beside a SQLite file lies one whose name is the life of the store (see lifeMark). Who writes an older copy over the file leaves it there, because
// the copy has one of another name: so the folder knows better than the store.

func (s *Store) lifeFile(m lifeMark) string {
	return fmt.Sprintf("%s.life-%d-%d", s.cfg.SQLite, m.Opened, m.Beat)
}

// lives finds the life that the folder knows, and every file that tells of one.
func (s *Store) lives() (newest lifeMark, files []string, err error) {
	entries, err := os.ReadDir(filepath.Dir(s.cfg.SQLite))
	if err != nil {
		return newest, nil, err
	}
	prefix := filepath.Base(s.cfg.SQLite) + ".life-"
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), prefix)
		if !ok {
			continue
		}
		var m lifeMark
		if n, _ := fmt.Sscanf(rest, "%d-%d", &m.Opened, &m.Beat); n != 2 {
			continue
		}
		path := filepath.Join(filepath.Dir(s.cfg.SQLite), e.Name())
		files = append(files, path)
		if text, err := os.ReadFile(path); err == nil {
			var inside lifeMark
			if json.Unmarshal(text, &inside) == nil { // a file that was cut off tells by its name
				m.At = inside.At
			}
		}
		if newest.less(m) {
			newest = m
		}
	}
	return newest, files, nil
}

// lookAtFolder learns what the folder knows, before the database is opened. A write-ahead log that a later state has left there is no part of an older
// file: applied, it would make a mixture of the two. It is put aside.
func (s *Store) lookAtFolder(ctx context.Context) error {
	seen, _, err := s.lives()
	if err != nil {
		return fmt.Errorf("store %s: look at its directory: %w", s.cfg.SQLite, err)
	}
	s.seen = seen
	wal := s.cfg.SQLite + "-wal"
	if st, err := os.Stat(wal); err != nil || st.Size() == 0 || seen.Opened == 0 {
		return nil
	}
	opened, err := s.openedAlone(ctx)
	if err != nil || opened >= seen.Opened {
		return err
	}
	aside := fmt.Sprintf("%s.of-life-%d", wal, seen.Opened)
	if err := os.Rename(wal, aside); err != nil {
		return fmt.Errorf("store %s: its write-ahead log belongs to a later state of it, and cannot be put aside: %w", s.cfg.SQLite, err)
	}
	s.log.Warn("the write-ahead log beside the store belonged to a later state of it, and is put aside", "store", s.cfg.SQLite, "log", aside)
	if err := os.Remove(s.cfg.SQLite + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// openedAlone is how often the store was opened as its file says without the write-ahead log: every start brings that number into the file. A file that
// a crash has left in the middle of a checkpoint is whole only with its log: read alone it may look damaged. That is no older copy, whose pages are
// of one moment, so the log is its own.
func (s *Store) openedAlone(ctx context.Context) (opened int64, err error) {
	if _, err := os.Stat(s.cfg.SQLite); err != nil {
		return 0, nil
	}
	db, err := sql.Open("sqlite", fileURI(s.cfg.SQLite)+"?immutable=1&mode=ro")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var text string
	switch err := db.QueryRowContext(ctx, "SELECT value FROM origin WHERE name = ?", originLife).Scan(&text); {
	case errors.Is(err, sql.ErrNoRows), err != nil && strings.Contains(err.Error(), "no such table"):
		return 0, nil
	case isDamage(err):
		return s.seen.Opened, nil
	case err != nil:
		return 0, err
	}
	var m lifeMark
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return 0, fmt.Errorf("origin: %w: %w", errTorn, err)
	}
	return m.Opened, nil
}

// settleFolder brings the life of the store into its file, and then its name into the folder. While somebody else reads the file its log may not be
// brought into it as a whole: then the folder does not learn this life, or the next start would take the log for a later state's.
func (s *Store) settleFolder(ctx context.Context, c *sql.Conn) error {
	if s.d != sqlite {
		return nil
	}
	var busy, log, done int64
	if err := c.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done); err != nil {
		return err
	}
	if s.inFile = busy == 0; !s.inFile {
		return nil
	}
	return s.writeLife(s.life)
}

// writeLife names the life that the store has, and removes the names of those before it. The store has it already: a crash in between leaves a folder
// that knows less than the store, which is no sign of anything.
func (s *Store) writeLife(m lifeMark) error {
	_, files, err := s.lives()
	if err != nil {
		return err
	}
	path := s.lifeFile(m)
	if err := os.WriteFile(path, []byte(m.text()+"\n"), filemode.File); err != nil {
		return err
	}
	for _, f := range files {
		if f != path {
			if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// Beat notes that the store lives, and the time: should an older state of it come back, that can be told by what has beaten since. It is called every
// few seconds, from one goroutine.
func (s *Store) Beat(ctx context.Context) error {
	m := s.life
	m.Beat, m.At = m.Beat+1, s.cfg.Clock.Now().UTC()
	err := s.do(ctx, "beat", func(t *tx) error {
		_, err := t.exec("UPDATE origin SET value = ? WHERE name = ?", m.text(), originLife)
		return err
	})
	if err != nil {
		return err
	}
	s.life = m
	if !s.inFile {
		return nil
	}
	return s.writeLife(m)
}

// leave notes that no hub works on the file any more.
func (s *Store) leave() error {
	if s.d != sqlite || s.life.Opened == 0 {
		return nil
	}
	_, err := s.write.Exec("DELETE FROM origin WHERE name = ?", originOpen)
	return err
}

// LockFile keeps hubs from a SQLite store, whose directory is made, until what it gives is called; it is refused while one is at work on it.
func LockFile(path string) (unlock func() error, err error) {
	if err := filemode.Make(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return lockFile(path + ".lock")
}

// forgetMarks readies a copy of the store to be known as one: it gets the mark of a copy, and nobody is at work on it.
func forgetMarks(ctx context.Context, c querier, mark copyMark) error {
	text, err := json.Marshal(mark)
	if err != nil {
		return err
	}
	if err := writeOrigin(ctx, c, sqlite, originCopy, string(text)); err != nil {
		return err
	}
	return writeOrigin(ctx, c, sqlite, originOpen, "")
}

// BeginRestoration records, before a hub starts, that the store is an older state of itself, because a person says so.
func (s *Store) BeginRestoration(ctx context.Context, r *state.Restoration) error {
	told := *r
	_, err := s.ChangeRestoration(ctx, func(before *state.Restoration) (*state.Restoration, *state.Audit) {
		*r = *before.Said(told.Since, told.AsOf, told.Why, told.Who, told.Note)
		return r, &state.Audit{Who: r.Who, Action: "restored", Object: "store", Detail: r.Note}
	})
	return err
}
