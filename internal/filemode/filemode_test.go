package filemode

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func mode(t *testing.T, name string) fs.FileMode {
	t.Helper()
	st, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	return st.Mode().Perm()
}

// TestPrivate runs in a process of its own under several umasks: what the program makes is its own, and what it shares has the mode that the
// operator's umask would have given.
func TestPrivate(t *testing.T) {
	if dir := os.Getenv("FILEMODE_DIR"); dir != "" {
		var umask int
		for _, d := range os.Getenv("FILEMODE_UMASK") {
			umask = umask<<3 | int(d-'0')
		}
		syscall.Umask(umask)
		Private()
		Private() // another time changes nothing
		own, err := os.OpenFile(filepath.Join(dir, "own"), os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		shared, err := os.OpenFile(filepath.Join(dir, "shared"), os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if err := Shared(shared, 0o644); err != nil {
			t.Fatal(err)
		}
		_, _ = own.Close(), shared.Close()
		if err := os.Mkdir(filepath.Join(dir, "folder"), 0o777); err != nil {
			t.Fatal(err)
		}
		return
	}
	for umask, want := range map[string]fs.FileMode{"000": 0o644, "022": 0o644, "027": 0o640, "077": 0o600} {
		dir := t.TempDir()
		c := exec.Command(os.Args[0], "-test.run", "^TestPrivate$")
		c.Env = append(os.Environ(), "FILEMODE_DIR="+dir, "FILEMODE_UMASK="+umask)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if got := mode(t, filepath.Join(dir, "own")); got != 0o600 {
			t.Errorf("umask %s: the hub's own file is %o", umask, got)
		}
		if got := mode(t, filepath.Join(dir, "folder")); got != 0o700 {
			t.Errorf("umask %s: the hub's own folder is %o", umask, got)
		}
		if got := mode(t, filepath.Join(dir, "shared")); got != want {
			t.Errorf("umask %s: a shared file is %o, want %o", umask, got, want)
		}
	}
}

func TestTighten(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	for _, name := range []string{outside, filepath.Join(dir, "a"), filepath.Join(dir, "own")} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, m := range map[string]fs.FileMode{outside: 0o644, filepath.Join(dir, "a"): 0o664, dir: 0o755} {
		if err := os.Chmod(name, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	n, err := Tighten(dir)
	if n != 2 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if mode(t, dir) != 0o700 || mode(t, filepath.Join(dir, "a")) != 0o600 || mode(t, outside) != 0o644 {
		t.Errorf("%o %o %o", mode(t, dir), mode(t, filepath.Join(dir, "a")), mode(t, outside))
	}
	if n, err := Tighten(dir); n != 0 || err != nil {
		t.Errorf("again: %d %v", n, err)
	}
	if n, err := Tighten(filepath.Join(dir, "none")); n != 0 || err != nil {
		t.Errorf("what is not there: %d %v", n, err)
	}
}

func TestWritable(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		mode fs.FileMode
		want bool
	}{{0o755, false}, {0o775, true}, {0o757, true}, {0o700, false}, {0o777 | fs.ModeSticky, false}} {
		if err := os.Chmod(dir, tt.mode); err != nil {
			t.Fatal(err)
		}
		if got := Writable(dir); got != tt.want {
			t.Errorf("%s: %v", strings.TrimPrefix(tt.mode.String(), "d"), got)
		}
	}
}
