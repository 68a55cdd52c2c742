package store

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/disktest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// TestTrouble: what makes a commit fail for the database's own reason is told until the next good one; what one caller does wrong is not.
func TestTrouble(t *testing.T) {
	raise := func(code string) string {
		return fmt.Sprintf("DO $$ BEGIN RAISE EXCEPTION 'seeded' USING ERRCODE = '%s'; END $$", code)
	}
	for _, tt := range []struct {
		name, seed string // the seed is a statement of the writer's own connection
		postgres   bool
		why        string // empty: no trouble
	}{
		{"SQLite: full", "PRAGMA max_page_count=1", false, "its disk is full: "},
		{"SQLite: read-only", "PRAGMA query_only=1", false, "its file or disk is read-only: "},
		{"SQLite: one caller's mistake", "INSERT INTO nowhere VALUES (1)", false, ""},
		{"PostgreSQL: read-only", "SET default_transaction_read_only = on", true, "it is read-only: "},
		{"PostgreSQL: disk full", raise("53100"), true, "its disk is full: "},
		{"PostgreSQL: no right", raise("42501"), true, "the hub's user may not write: "},
		{"PostgreSQL: its disk fails", raise("58030"), true, "its disk does not read or write: "},
		{"PostgreSQL: stopped", raise("57P01"), true, "it is being stopped: "},
		{"PostgreSQL: one caller's mistake", raise("22003"), true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{SQLite: filepath.Join(t.TempDir(), "waybill.db")}
			if tt.postgres {
				cfg = Config{Postgres: pgtest.URL(t)}
			}
			s, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			if err := s.Probe(t.Context()); err != nil || s.Trouble() != nil {
				t.Fatalf("at first: %v, %+v", err, s.Trouble())
			}
			// The seed may fail itself; where it is a setting, what comes next does.
			seeded := s.do(t.Context(), "seed", func(x *tx) error { _, err := x.exec(tt.seed); return err })
			if seeded == nil {
				seeded = s.do(t.Context(), "write", func(x *tx) error {
					for range 200 { // more than the pages that are free
						if err := x.audit("ann", "act", "", strings.Repeat("x", 4000)); err != nil {
							return err
						}
					}
					return nil
				})
			}
			told := s.Trouble()
			if tt.why == "" {
				if told != nil {
					t.Errorf("told as the store's: %+v", told)
				}
			} else if told == nil || !strings.HasPrefix(told.Why, tt.why) || fault.KindOf(seeded) != fault.Unavailable {
				t.Errorf("%v is told as %+v", seeded, told)
			}
			if err := s.Probe(t.Context()); err != nil || s.Trouble() != nil {
				t.Errorf("after the next good commit: %v, %+v", err, s.Trouble())
			}
		})
	}
}

// TestTroubleOfADisk: a disk that is full, and one that cannot be written, are told for as long as they are, and the store goes on by itself.
func TestTroubleOfADisk(t *testing.T) {
	for _, tt := range []struct {
		name string
		dir  func(t *testing.T) string
		seed func(t testing.TB, dir string) (undo func())
		why  string
	}{
		{"full", func(t *testing.T) string { return disktest.Small(t, 4) }, disktest.Fill, "its disk is full"},
		{"read-only", func(t *testing.T) string { return t.TempDir() }, disktest.Freeze, "its file or disk is read-only"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if raceDetector && tt.name == "read-only" {
				needtest.Skip(t, "with the race detector: a write to the memory map of a file that cannot be written is a signal, which the driver makes an error of, and cannot where the detector has the access in hand; it runs without the detector")
			}
			dir := tt.dir(t)
			s, err := Open(t.Context(), Config{SQLite: filepath.Join(dir, "waybill.db")})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			write := func() error {
				return s.do(t.Context(), "write", func(x *tx) error { return x.audit("ann", "act", "", strings.Repeat("x", 100_000)) })
			}
			if err := write(); err != nil {
				t.Fatal(err)
			}
			undo := tt.seed(t, dir)
			for range 3 {
				if err, told := write(), s.Trouble(); err == nil || told == nil || !strings.Contains(told.Why, tt.why) {
					t.Errorf("%v is told as %+v", err, told)
				}
			}
			since := s.Trouble()
			undo()
			if err := s.Probe(t.Context()); err != nil || s.Trouble() != nil {
				t.Errorf("after %+v there is room again: %v, %+v", since, err, s.Trouble())
			}
			if err := write(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestOpenOnAFullDisk: a hub that cannot start because of its disk says which of its troubles it is.
func TestOpenOnAFullDisk(t *testing.T) {
	dir := disktest.Small(t, 4)
	file := filepath.Join(dir, "waybill.db")
	open := func() error {
		s, err := Open(t.Context(), Config{SQLite: file})
		if err != nil {
			return err
		}
		return s.Close()
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	empty := disktest.Fill(t, dir)
	if err := open(); err == nil || !strings.Contains(err.Error(), file+": open: its disk is full: ") {
		t.Errorf("a full disk is told as %v", err)
	}
	empty()
	if err := open(); err != nil {
		t.Errorf("there is room again: %v", err)
	}
}
