package store

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/needtest"
	"github.com/waybill-hub/waybill/internal/state"
)

// life is one opening of a store in a folder.
func opened(t *testing.T, path string, work func(*Store)) *state.Restoration {
	t.Helper()
	s, err := Open(t.Context(), Config{SQLite: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	r, err := s.Restoration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if work != nil {
		work(s)
	}
	return r
}

// pause writes something that can be asked for.
func pauses(t *testing.T, s *Store, flow string) {
	t.Helper()
	if err := s.Pause(t.Context(), flow, "a test"); err != nil {
		t.Fatal(err)
	}
}

func pausedIn(t *testing.T, s *Store) (out []string) {
	t.Helper()
	all, err := s.PausedFlows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		out = append(out, p.Flow)
	}
	return out
}

// copyFolder copies what lies in a folder, into files that are there where inPlace says so.
func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		in, err := os.Open(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.OpenFile(filepath.Join(to, e.Name()), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, in); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(in.Close(), out.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever way an older state comes back, the store says so by itself; what is no older state is not taken for one.
func TestAnOlderStateIsNoticed(t *testing.T) {
	beat := func(s *Store) {
		if err := s.Beat(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name string
		run  func(t *testing.T, dir string) *state.Restoration
		want []string
	}{
		{"a new store", func(t *testing.T, dir string) *state.Restoration { return opened(t, dir+"/waybill.db", nil) }, nil},
		{"opened again and again", func(t *testing.T, dir string) *state.Restoration {
			opened(t, dir+"/waybill.db", beat)
			opened(t, dir+"/waybill.db", beat)
			return opened(t, dir+"/waybill.db", nil)
		}, nil},
		{"the folder's name changed, the files are what they were", func(t *testing.T, dir string) *state.Restoration {
			opened(t, dir+"/data/waybill.db", nil)
			if err := os.Rename(dir+"/data", dir+"/other"); err != nil {
				t.Fatal(err)
			}
			return opened(t, dir+"/other/waybill.db", nil)
		}, nil},
		{"the folder was replaced by a copy", func(t *testing.T, dir string) *state.Restoration {
			opened(t, dir+"/data/waybill.db", nil)
			copyFolder(t, dir+"/data", dir+"/copy")
			opened(t, dir+"/data/waybill.db", nil)
			if err := os.RemoveAll(dir + "/data"); err != nil {
				t.Fatal(err)
			}
			copyFolder(t, dir+"/copy", dir+"/data")
			return opened(t, dir+"/data/waybill.db", nil)
		}, []string{state.SignFile}},
		{"a copy was written over the files", func(t *testing.T, dir string) *state.Restoration {
			opened(t, dir+"/data/waybill.db", nil)
			copyFolder(t, dir+"/data", dir+"/copy")
			opened(t, dir+"/data/waybill.db", nil)
			copyFolder(t, dir+"/copy", dir+"/data")
			return opened(t, dir+"/data/waybill.db", nil)
		}, []string{state.SignFolder}},
		{"a copy of the same run was written over the files", func(t *testing.T, dir string) *state.Restoration {
			opened(t, dir+"/data/waybill.db", func(s *Store) {
				beat(s)
				if _, err := s.CopyTo(t.Context(), dir+"/same.db", CopyOptions{}); err != nil {
					t.Fatal(err)
				}
				beat(s)
			})
			// What `waybill backup` marks is taken off it: a copy by hand has no mark.
			c, err := sqlConn(t, dir+"/same.db")
			if err != nil {
				t.Fatal(err)
			}
			if err := writeOrigin(t.Context(), c, sqlite, originCopy, ""); err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			b, err := os.ReadFile(dir + "/same.db")
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(dir+"/data/waybill.db", os.O_WRONLY|os.O_TRUNC, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write(b); err != nil {
				t.Fatal(err)
			}
			_ = f.Close()
			return opened(t, dir+"/data/waybill.db", nil)
		}, []string{state.SignFolder}},
		{"a copy of `waybill backup`", func(t *testing.T, dir string) *state.Restoration {
			opened(t, dir+"/data/waybill.db", func(s *Store) {
				if _, err := s.CopyTo(t.Context(), dir+"/copy.db", CopyOptions{ID: "c-1"}); err != nil {
					t.Fatal(err)
				}
			})
			return opened(t, dir+"/copy.db", nil)
		}, []string{state.SignCopy, state.SignFile}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if len(test.want) > 0 && slices.Contains(test.want, state.SignFile) {
				if err := os.WriteFile(dir+"/probe", nil, 0o600); err != nil {
					t.Fatal(err)
				}
				if born(dir+"/probe") == "" {
					needtest.Skip(t, "the file system does not tell when a file was made: whether a copy is known by that is not checked")
				}
			}
			r := test.run(t, dir)
			var got []string
			if r != nil {
				got = r.Signs
			}
			if !slices.Equal(got, test.want) {
				t.Fatalf("signs %v, want %v (%+v)", got, test.want, r)
			}
			if r != nil && (r.Phase != state.RestoredReading || r.AsOf.IsZero() || r.Why == "") {
				t.Errorf("recorded as %+v", r)
			}
		})
	}
}

// What was noticed is not noticed again at the next start, and stands until it is settled.
func TestARestorationIsNoticedOnce(t *testing.T) {
	dir := t.TempDir()
	opened(t, dir+"/a.db", func(s *Store) {
		if _, err := s.CopyTo(t.Context(), dir+"/b.db", CopyOptions{ID: "c-1"}); err != nil {
			t.Fatal(err)
		}
	})
	first := opened(t, dir+"/b.db", func(s *Store) {
		_, err := s.ChangeRestoration(t.Context(), func(r *state.Restoration) (*state.Restoration, *state.Audit) {
			r.Phase, r.Queue = state.RestoredSettled, 7
			return r, &state.Audit{Who: "anna", Action: "restored", Object: "store"}
		})
		if err != nil {
			t.Fatal(err)
		}
		if all, err := s.Audits(t.Context(), state.AuditFilter{Limit: 10}); err != nil || len(all) != 1 || all[0].Who != "anna" {
			t.Fatal(all, err)
		}
	})
	if first.CopyID != "c-1" {
		t.Errorf("%+v", first)
	}
	if again := opened(t, dir+"/b.db", nil); again.Phase != state.RestoredSettled || again.Queue != 7 {
		t.Errorf("the next start finds %+v", again)
	}
}

// A write-ahead log that a later state has left behind is no part of the older file that was written over it.
func TestALaterLogIsNotApplied(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/data/waybill.db"
	opened(t, path, func(s *Store) { pauses(t, s, "one") })
	copyFolder(t, dir+"/data", dir+"/copy")
	s, err := Open(t.Context(), Config{SQLite: path})
	if err != nil {
		t.Fatal(err)
	}
	pauses(t, s, "two")
	copyFolder(t, dir+"/data", dir+"/killed") // as a kill leaves it: with the log
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(dir + "/killed/waybill.db-wal"); err != nil || st.Size() == 0 {
		t.Fatal("there is no log", err)
	}
	copyFolder(t, dir+"/copy", dir+"/killed")
	r := opened(t, dir+"/killed/waybill.db", func(s *Store) {
		if got := pausedIn(t, s); !slices.Equal(got, []string{"one"}) {
			t.Errorf("the store holds %v", got)
		}
	})
	if r == nil || !slices.Contains(r.Signs, state.SignFolder) {
		t.Errorf("noticed %+v", r)
	}
	if aside, _ := filepath.Glob(dir + "/killed/waybill.db-wal.of-life-*"); len(aside) != 1 {
		t.Errorf("put aside: %v", aside)
	}
	// Without an older file, the log of a killed hub is applied as ever.
	opened(t, dir+"/once/waybill.db", func(s *Store) { pauses(t, s, "three"); copyFolder(t, dir+"/once", dir+"/crashed") })
	opened(t, dir+"/crashed/waybill.db", func(s *Store) {
		if got := pausedIn(t, s); !slices.Equal(got, []string{"three"}) {
			t.Errorf("after a crash the store holds %v", got)
		}
	})
}

// A kill in the middle of a checkpoint leaves a file that is whole only with its log: the log is its own, whatever the file looks like without it.
func TestKilledInACheckpoint(t *testing.T) {
	dir := t.TempDir()
	opened(t, dir+"/a/waybill.db", func(s *Store) { pauses(t, s, "one"); copyFolder(t, dir+"/a", dir+"/killed") })
	log, err := os.ReadFile(dir + "/killed/waybill.db-wal")
	if err != nil || len(log) == 0 {
		t.Fatal("there is no log", err)
	}
	// The pages of the table that tells the life have not been written as a whole; the log of the next life holds them.
	db, err := sql.Open("sqlite", fileURI(dir+"/killed/waybill.db")+"?immutable=1&mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	var root, size int64
	err = errors.Join(db.QueryRow("SELECT rootpage FROM sqlite_master WHERE name = 'origin'").Scan(&root), db.QueryRow("PRAGMA page_size").Scan(&size), db.Close())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{SQLite: dir + "/killed/waybill.db"})
	if err != nil {
		t.Fatal(err)
	}
	pauses(t, s, "two")
	if err := s.Beat(t.Context()); err != nil { // the page is in the log
		t.Fatal(err)
	}
	copyFolder(t, dir+"/killed", dir+"/torn")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(dir+"/torn/waybill.db", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte{99}, (root-1)*size) // no kind of page
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	opened(t, dir+"/torn/waybill.db", func(s *Store) {
		if got := pausedIn(t, s); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("the store holds %v", got)
		}
	})
	if aside, _ := filepath.Glob(dir + "/torn/waybill.db-wal.of-life-*"); len(aside) != 0 {
		t.Errorf("put aside: %v", aside)
	}
}

// While somebody reads the file the log may stay beside it: the folder must not name a life that the file alone does not know.
func TestReadBySomebodyElse(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/a/waybill.db"
	opened(t, path, func(s *Store) { pauses(t, s, "one") })
	other, err := sql.Open("sqlite", fileURI(path))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetMaxOpenConns(1)
	if _, err := other.Exec("BEGIN"); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := other.QueryRow("SELECT count(*) FROM origin").Scan(&n); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{SQLite: path})
	if err != nil {
		t.Fatal(err)
	}
	pauses(t, s, "two")
	copyFolder(t, dir+"/a", dir+"/killed")
	if _, err := other.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := s.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	if newest, files, err := s.lives(); err != nil || newest.Opened >= s.life.Opened {
		t.Errorf("the folder knows a life that the file alone does not: %q %v", files, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	opened(t, dir+"/killed/waybill.db", func(s *Store) {
		if got := pausedIn(t, s); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("after the kill the store holds %v", got)
		}
	})
}

// A copy holds one moment, whatever is written while it is made, and begins only once.
func TestCopyIsOfOneMoment(t *testing.T) {
	dir := t.TempDir()
	opened(t, dir+"/a.db", func(s *Store) {
		for i := range 40 {
			in := state.Inbound{Flow: "f", ID: strings.Repeat("x", i+1), Body: make([]byte, 100_000), Received: time.Now()}
			if _, _, err := s.Accept(t.Context(), []state.Inbound{in}, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		pauses(t, s, "before")
		steps, last := 0, 0
		_, err := s.CopyTo(t.Context(), dir+"/b.db", CopyOptions{ID: "c", Step: func(done, all int) error {
			if steps++; done < last || done > all {
				t.Errorf("step %d: %d pages after %d, of %d", steps, done, last, all)
			}
			last = done
			pauses(t, s, strings.Repeat("during", steps))
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if steps < 3 || steps > 30 {
			t.Errorf("%d steps", steps)
		}
	})
	if err := CheckCopy(t.Context(), dir+"/b.db"); err != nil {
		t.Error(err)
	}
	opened(t, dir+"/b.db", func(s *Store) {
		if got := pausedIn(t, s); !slices.Equal(got, []string{"before"}) {
			t.Errorf("the copy holds %v", got)
		}
	})
}

// A copy that is given up leaves nothing behind.
func TestCopyGivenUp(t *testing.T) {
	dir := t.TempDir()
	opened(t, dir+"/a.db", func(s *Store) {
		gone := errors.New("given up")
		if _, err := s.CopyTo(t.Context(), dir+"/b.db", CopyOptions{Step: func(int, int) error { return gone }}); !errors.Is(err, gone) {
			t.Errorf("error %v", err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		if _, err := s.CopyTo(ctx, dir+"/b.db", CopyOptions{}); err == nil {
			t.Error("no error after the end of the context")
		}
		if left, _ := filepath.Glob(dir + "/b.db*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if err := os.WriteFile(dir+"/there.db", []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.CopyTo(t.Context(), dir+"/there.db", CopyOptions{}); err == nil {
			t.Error("a file that was there is written over")
		}
		if b, _ := os.ReadFile(dir + "/there.db"); string(b) != "mine" {
			t.Errorf("the file that was there holds %q", b)
		}
	})
}
