package sftp

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pkg/sftp"

	"github.com/waybill-hub/waybill/internal/drop"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// reached is a folder through a proxy, and its server as the connector has it.
type reached struct {
	*folder
	r   *remote
	dir string
}

func reach(t *testing.T, more string) *reached {
	t.Helper()
	r := startDouble(t).through(t)
	p := r.place(t)
	p.System += more
	v := newServer(opened(p.Settings(t, "{stock: {}}")))
	f, err := v.Folder(t.Context(), ".")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(f.Close(), v.Close()); err != nil {
			t.Error(err)
		}
	})
	return &reached{f.(*folder), r, p.Dir}
}

func (f *reached) put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
		t.Error(err)
	}
}

func (f *reached) holds(t *testing.T, name, want string) {
	t.Helper()
	if got, err := os.ReadFile(filepath.Join(f.dir, name)); err != nil || string(got) != want {
		t.Errorf("%s holds %q, want %q: %v", name, got, want, err)
	}
}

// lose breaks the connection with the next answer, behind so many bytes of others.
func (f *reached) lose(others int64) {
	f.r.proxy.cutDown.Store(f.r.proxy.down.Load() + others + 1)
}

// TestLostAnswers: what becomes of a call whose answer is lost.
func TestLostAnswers(t *testing.T) {
	t.Run("named", func(t *testing.T) {
		f := reach(t, "")
		f.put(t, "t", "a")
		f.lose(0)
		if err := f.Name("t", "x"); err != nil || f.r.proxy.conns.Load() != 2 {
			t.Errorf("%v, over %d connections", err, f.r.proxy.conns.Load())
		}
		f.holds(t, "x", "a")
	})
	t.Run("named, and nobody can be asked", func(t *testing.T) {
		f := reach(t, "")
		f.put(t, "t", "a")
		f.r.proxy.then(func() bool { return false })
		f.lose(0)
		if err := f.Name("t", "x"); !errors.Is(err, drop.ErrUnknown) {
			t.Errorf("%v", err)
		}
		f.holds(t, "x", "a")
	})
	t.Run("moved", func(t *testing.T) {
		f := reach(t, "")
		f.put(t, "t", "a")
		before := f.r.proxy.down.Load()
		info, err := f.Stat("t")
		if err != nil {
			t.Fatal(err)
		}
		f.lose(f.r.proxy.down.Load() - before) // it is looked at first
		if err := f.Move(info, "t", "x"); err != nil || f.r.proxy.conns.Load() != 2 {
			t.Errorf("%v, over %d connections", err, f.r.proxy.conns.Load())
		}
		f.holds(t, "x", "a")
	})
	t.Run("taken away, while another lies where it was to go", func(t *testing.T) {
		f := reach(t, "")
		f.put(t, "t", "a")
		info, err := f.Stat("t")
		if err != nil {
			t.Fatal(err)
		}
		f.r.proxy.then(func() bool {
			f.put(t, "x", "another")
			return os.Remove(filepath.Join(f.dir, "t")) == nil
		})
		f.lose(0)
		if err := f.Move(info, "t", "x"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v", err)
		}
		f.holds(t, "x", "another")
	})
	t.Run("written over by another", func(t *testing.T) {
		f := reach(t, "")
		f.r.proxy.then(func() bool {
			f.put(t, "t", strings.Repeat("b", 3<<20))
			return true
		})
		f.r.proxy.cutUp.Store(f.r.proxy.up.Load() + 512<<10)
		if err := f.Write("t", bytes.Repeat([]byte{'a'}, 2<<20)); err == nil || !strings.Contains(err.Error(), "3145728 bytes lie there of 2097152") {
			t.Errorf("%v", err)
		}
	})
}

// TestReplaced: a file that has come under the name of the one that was read stays.
func TestReplaced(t *testing.T) {
	f := reach(t, "")
	f.put(t, "t", "a")
	info, err := f.Stat("t")
	if err != nil {
		t.Fatal(err)
	}
	f.put(t, "t", "another")
	if err := f.Move(info, "t", "x"); !errors.Is(err, drop.ErrReplaced) {
		t.Errorf("%v", err)
	}
	f.holds(t, "t", "another")
}

// TestReplacedWhileItComes: a file that is replaced while it comes, and the connection breaks, is not put together of two.
func TestReplacedWhileItComes(t *testing.T) {
	f := reach(t, "")
	f.put(t, "t", strings.Repeat("a", 2<<20))
	f.r.proxy.then(func() bool {
		f.put(t, "t", strings.Repeat("b", 2<<20))
		later := time.Now().Add(time.Hour) // times have whole seconds there
		return os.Chtimes(filepath.Join(f.dir, "t"), later, later) == nil
	})
	f.lose(1 << 20)
	if _, err := f.Open("t"); err == nil || !strings.Contains(err.Error(), "the file has changed since it was listed") {
		t.Errorf("%v", err)
	}
}

// TestConnectionsThatWait: those that have died are not used, those that nobody uses end, and none is kept by a system that is closed.
func TestConnectionsThatWait(t *testing.T) {
	t.Run("all have died", func(t *testing.T) {
		f := reach(t, "connections: 9\n")
		var open []drop.Folder
		for range 6 {
			o, err := f.v.Folder(t.Context(), ".")
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, o)
		}
		for _, o := range open {
			if err := o.Close(); err != nil {
				t.Error(err)
			}
		}
		f.r.proxy.breakAll()
		f.v.mu.Lock()
		idle := append([]*session(nil), f.v.idle...)
		f.v.mu.Unlock()
		for _, s := range idle {
			<-s.dead
		}
		o, err := f.v.Folder(t.Context(), ".")
		if err != nil || len(idle) != 6 {
			t.Fatalf("%d waited: %v", len(idle), err)
		}
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("too long", func(t *testing.T) {
		r := startDouble(t)
		clock := lifecycle.NewManual(time.Unix(1e9, 0))
		v := newServer(opened(r.place(t).Settings(t, "{stock: {}}")))
		v.clock = clock
		f, err := v.Folder(t.Context(), ".")
		if err != nil {
			t.Fatal(err)
		}
		s := f.(*folder).s
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		for ended := false; !ended; { // whoever looks after it needs the answers to its questions
			clock.Advance(10 * time.Second)
			select {
			case <-s.dead:
				ended = true
			default:
			}
		}
		v.mu.Lock()
		idle := len(v.idle)
		v.mu.Unlock()
		if idle != 0 || clock.Elapsed() <= longestIdle*time.Second {
			t.Errorf("%d wait after %s", idle, clock.Elapsed())
		}
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		f := reach(t, "")
		s := f.s
		if err := errors.Join(f.v.Close(), f.Close()); err != nil {
			t.Error(err)
		}
		select {
		case <-s.dead:
		default:
			t.Error("the connection is open")
		}
	})
}

// renamer is a server that makes no plain rename, and says of each name what it is told to.
type renamer struct {
	sftp.Handlers
	there   error
	renamed bool
}

func (s *renamer) Filecmd(*sftp.Request) error { return sftp.ErrSSHFxFailure }

func (s *renamer) PosixRename(*sftp.Request) error {
	s.renamed = true
	return nil
}

func (s *renamer) Filelist(*sftp.Request) (sftp.ListerAt, error) {
	return nil, sftp.ErrSSHFxOpUnsupported
}

func (s *renamer) Lstat(*sftp.Request) (sftp.ListerAt, error) { return one{}, s.there }

// one lists this package's folder.
type one struct{}

func (one) ListAt(to []fs.FileInfo, at int64) (int, error) {
	info, err := os.Stat(".")
	if at > 0 || err != nil {
		return 0, io.EOF
	}
	to[0] = info
	return 1, io.EOF
}

// TestRenameReplacesNothing: POSIX's rename, which replaces, is asked for only where it is certain that the name is free.
func TestRenameReplacesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		there   error
		renamed bool
		want    error
	}{
		"free":            {fs.ErrNotExist, true, nil},
		"taken":           {nil, false, fs.ErrExist},
		"nobody can tell": {sftp.ErrSSHFxPermissionDenied, false, fs.ErrPermission},
	} {
		t.Run(name, func(t *testing.T) {
			here, far := net.Pipe()
			h := &renamer{there: c.there}
			server := sftp.NewRequestServer(far, sftp.Handlers{FileCmd: h, FileList: h})
			served := make(chan error, 1)
			go func() { served <- server.Serve() }()
			client, err := sftp.NewClientPipe(here, here)
			if err != nil {
				t.Fatal(err)
			}
			if err := (&folder{base: "/"}).rename(client, "a", "b"); !errors.Is(err, c.want) || h.renamed != c.renamed {
				t.Errorf("%v, renamed %t", err, h.renamed)
			}
			_ = client.Close()
			_ = far.Close()
			<-served
		})
	}
}
