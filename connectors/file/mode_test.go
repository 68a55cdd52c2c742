package file

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/waybill-hub/waybill/internal/filemode"
)

// TestDropsAreForOthers runs in a process of its own, as the hub does: what it writes into a drop has the mode that the operator's umask gives,
// although everything else that it makes is its own.
func TestDropsAreForOthers(t *testing.T) {
	if dir := os.Getenv("DROP"); dir != "" {
		syscall.Umask(0o027)
		filemode.Private()
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if err := (folder{root}).makeFolders("done/today"); err != nil {
			t.Fatal(err)
		}
		if err := (folder{root}).Write("done/today/order.csv", []byte("no\n")); err != nil {
			t.Fatal(err)
		}
		return
	}
	dir := t.TempDir()
	c := exec.Command(os.Args[0], "-test.run", "^TestDropsAreForOthers$")
	c.Env = append(os.Environ(), "DROP="+dir)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, want := range map[string]fs.FileMode{"done": 0o750, "done/today": 0o750, "done/today/order.csv": 0o640} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v %v", name, st.Mode(), err)
		}
	}
}
