package backup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/filemode"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// made writes a whole copy of a small hub.
func made(t *testing.T, f Folder, name string) string {
	t.Helper()
	src := t.TempDir()
	write(t, src+"/log", "records, and more than is copied")
	w, err := f.Begin(name)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w.Path(StoreFile), "the store")
	if err := w.Copy(t.Context(), BrokerDir+"/partitions/in.x-0/0.dat", src+"/log", 7); err != nil {
		t.Fatal(err)
	}
	if err := w.Copy(t.Context(), BrokerDir+"/topics.json", src+"/log", -1); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(t.Context(), &Manifest{ID: "id-" + name, Version: "v", AsOf: time.Unix(1000, 0).UTC(), Ended: time.Now().UTC()}); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(f.Dir, name)
}

func TestName(t *testing.T) {
	dir := t.TempDir()
	f := Folder{dir}
	for text, want := range map[string]string{
		"monday": "monday", "2026-11-29_10.00": "2026-11-29_10.00", "./monday": "monday", dir + "/monday": "monday", dir + "//monday/": "monday",
		"": "", ".": "", "..": "", "../x": "", "a/b": "", "/etc/x": "", dir: "", dir + "/../x": "", ".hidden": "", "a\x00b": "", "-rf": "", "ü": "", "a b": "",
		"x.partial": "", strings.Repeat("x", 101): "", `..\x`: "",
	} {
		got, err := f.Name(text)
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, ErrName) {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

// Whatever a copy is called, it lies in the folder.
func TestNameStaysInside(t *testing.T) {
	f := Folder{"/srv/copies"}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[./\\a-z\x00-]{0,12}`).Draw(t, "name")
		if name, err := f.Name(text); err == nil && filepath.Dir(filepath.Join(f.Dir, name)) != f.Dir {
			t.Errorf("%q lies at %s", text, filepath.Join(f.Dir, name))
		}
	})
}

func TestACopyIsWholeOrNotThere(t *testing.T) {
	f := Folder{t.TempDir() + "/new/copies"}
	dir := made(t, f, "monday")
	m, err := Verify(t.Context(), dir)
	if err != nil || len(m.Files) != 3 || m.ID != "id-monday" || m.Size() != int64(len("the store")+7+len("records, and more than is copied")) {
		t.Fatalf("%+v, %v", m, err)
	}
	if b, _ := os.ReadFile(dir + "/broker/partitions/in.x-0/0.dat"); string(b) != "records" {
		t.Errorf("copied %q", b)
	}
	if st, err := os.Stat(dir + "/" + StoreFile); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v %v", st.Mode(), err)
	}
	if _, err := f.Begin("monday"); !errors.Is(err, ErrTaken) {
		t.Errorf("a second of the name: %v", err)
	}
	// One that was given up, and one that a dead hub has left, are not there.
	w, err := f.Begin("tuesday")
	if err != nil {
		t.Fatal(err)
	}
	write(t, w.Path("x"), "half")
	if _, err := os.Stat(f.Dir + "/tuesday"); err == nil {
		t.Error("a copy that is not whole has its name")
	}
	if w, err = f.Begin("wednesday"); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(f.Dir + "/.*" + partial); len(left) != 1 {
		t.Errorf("what a dead hub left is there: %v", left)
	}
	if err := w.Abandon(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(f.Dir + "/.*" + partial); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	write(t, f.Dir+"/mine/file", "not a copy")
	made(t, f, "thursday")
	if names, _, err := f.List(); err != nil || !slices.Equal(names, []string{"thursday", "monday"}) {
		t.Errorf("listed %v, %v", names, err)
	}
}

// A full disk ends the copy with what to do about it.
func TestAFullDisk(t *testing.T) {
	f := Folder{t.TempDir()}
	w, err := f.Begin("monday")
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.Dir+"/../source", strings.Repeat("x", 3*piece))
	pieces := 0
	w.Paced = func(int) error {
		if pieces++; pieces == 2 {
			return syscall.ENOSPC
		}
		return nil
	}
	if err := w.Copy(t.Context(), "broker/log", f.Dir+"/../source", -1); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "remove old copies") {
		t.Errorf("error %v", err)
	}
	if err := w.Abandon(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(f.Dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if w, err = f.Begin("monday"); err != nil {
		t.Fatalf("the next one: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Copy(ctx, "broker/log", f.Dir+"/../source", -1); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
}

func TestVerify(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(dir string) error
		want   string
	}{
		"missing":     {func(dir string) error { return os.Remove(dir + "/broker/topics.json") }, "broker/topics.json is missing"},
		"shorter":     {func(dir string) error { return os.Truncate(dir+"/"+StoreFile, 3) }, "waybill.db has 3 bytes, and had 9"},
		"other bytes": {func(dir string) error { return os.WriteFile(dir+"/"+StoreFile, []byte("the stare"), 0o600) }, "waybill.db holds other bytes"},
		"more":        {func(dir string) error { return os.WriteFile(dir+"/waybill.db-wal", nil, 0o600) }, "waybill.db-wal is not of the copy"},
		"no manifest": {func(dir string) error { return os.Remove(dir + "/" + ManifestFile) }, "no copy that `waybill backup` has finished"},
		"no JSON":     {func(dir string) error { return os.WriteFile(dir+"/"+ManifestFile, []byte("{"), 0o600) }, "is damaged"},
		"another form": {func(dir string) error {
			return os.WriteFile(dir+"/"+ManifestFile, []byte(`{"format":2,"version":"v9"}`), 0o600)
		}, "v9"},
		"a path outside": {func(dir string) error {
			return os.WriteFile(dir+"/"+ManifestFile, []byte(`{"format":1,"files":[{"name":"../../etc/passwd"}]}`), 0o600)
		}, "no path in the copy"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := made(t, Folder{t.TempDir()}, "monday")
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Verify(t.Context(), dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestRestore(t *testing.T) {
	dir := made(t, Folder{t.TempDir()}, "monday")
	m, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	read := func(path string) string { b, _ := os.ReadFile(path); return string(b) }
	home := t.TempDir()
	to := Place{Store: home + "/data/waybill.db", Broker: home + "/data/broker"}
	write(t, to.Broker+"/lock", "1")
	if err := Restore(t.Context(), dir, m, to, ""); err != nil {
		t.Fatal(err)
	}
	if read(to.Store) != "the store" || read(to.Broker+"/partitions/in.x-0/0.dat") != "records" {
		t.Error("it is not there")
	}
	write(t, to.Store, "newer")
	write(t, to.Store+"-wal", "newer")
	write(t, to.Store+".life-3-4", "newer")
	if err := Restore(t.Context(), dir, m, to, ""); !errors.Is(err, ErrData) || read(to.Store) != "newer" {
		t.Errorf("over data: %v", err)
	}
	if err := Restore(t.Context(), dir, m, to, "then"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{to.Store: "the store", to.Store + ".before-then": "newer", to.Store + "-wal": "", to.Store + "-wal.before-then": "newer",
		to.Store + ".life-3-4": "", to.Broker + "/topics.json": "records, and more than is copied", to.Broker + ".before-then/topics.json": "records, and more than is copied"} {
		if got := read(path); got != want {
			t.Errorf("%s holds %q, want %q", path, got, want)
		}
	}
	// What changes while it is copied is not put in its place.
	write(t, dir+"/"+StoreFile, "the stare")
	if err := Restore(t.Context(), dir, m, to, "again"); err == nil || read(to.Store) != "the store" {
		t.Errorf("a copy that has changed: %v, %q", err, read(to.Store))
	}
	if left, _ := filepath.Glob(home + "/data/*.restoring"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestPrivate: nobody else on the machine reads a copy, or what is put back from it, whatever the umask is and whatever mode the files had.
func TestPrivate(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	top := t.TempDir()
	folder := Folder{filepath.Join(top, "deep", "copies")}
	m, err := Read(made(t, folder, "monday")) // write gives the store in it 0644, as SQLite does
	if err != nil {
		t.Fatal(err)
	}
	to := Place{Store: filepath.Join(top, "hub", "store", "waybill.db"), Broker: filepath.Join(top, "hub", "broker")}
	for _, aside := range []string{"", "then"} { // the second moves the first aside
		if err := Restore(t.Context(), filepath.Join(folder.Dir, "monday"), m, to, aside); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for _, dir := range []string{filepath.Join(top, "deep"), filepath.Join(top, "hub")} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			st, err := d.Info()
			if err != nil {
				return err
			}
			seen++
			want := filemode.File
			if d.IsDir() {
				want = filemode.Dir
			}
			if st.Mode().Perm() != want {
				t.Errorf("%s has %v, want %v", path, st.Mode().Perm(), want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 20 {
		t.Errorf("only %d files and folders were looked at", seen)
	}
}

// A link in the folder leads a copy nowhere else.
func TestLinksAreNotFollowed(t *testing.T) {
	f, outside := Folder{t.TempDir()}, t.TempDir()
	if err := os.Symlink(outside, f.Dir+"/.monday"+partial); err != nil {
		t.Fatal(err)
	}
	w, err := f.Begin("monday")
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.Dir+"/source", "x")
	if err := w.Copy(t.Context(), "broker/x", f.Dir+"/source", -1); err != nil {
		t.Fatal(err)
	}
	if there, _ := os.ReadDir(outside); len(there) > 0 {
		t.Errorf("outside lies %v", there)
	}
}
