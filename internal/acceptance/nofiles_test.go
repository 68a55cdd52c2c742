//go:build unix

package acceptance

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestWhatIsNoFile: a pipe, a device and the like among the files hang neither check, test nor run; each is named with what it is.
func TestWhatIsNoFile(t *testing.T) {
	t.Parallel()
	kinds := map[string]struct {
		make func(t *testing.T, at string)
		says string
	}{
		"a named pipe":          {func(t *testing.T, at string) { must(t, syscall.Mkfifo(at, 0o600)) }, "it is a named pipe"},
		"a link to a device":    {func(t *testing.T, at string) { must(t, os.Symlink("/dev/zero", at)) }, "it is a device"},
		"a link to a directory": {func(t *testing.T, at string) { must(t, os.Symlink(t.TempDir(), at)) }, "it is a directory"},
		"a link to nothing":     {func(t *testing.T, at string) { must(t, os.Symlink("gone.yaml", at)) }, "no such file"},
		"a link to itself":      {func(t *testing.T, at string) { must(t, os.Symlink(filepath.Base(at), at)) }, "too many levels of symbolic links"},
		"a socket": {func(t *testing.T, at string) {
			short, err := os.MkdirTemp("", "s")
			must(t, err)
			l, err := net.Listen("unix", filepath.Join(short, "s"))
			must(t, err)
			t.Cleanup(func() { _ = l.Close(); _ = os.RemoveAll(short) })
			must(t, os.Symlink(filepath.Join(short, "s"), at))
		}, "it is a socket"},
	}
	for kind, k := range kinds {
		for _, file := range []string{"flows/odd.yaml", "mappings/odd.yaml", "schemas/odd.json", "flows/odd_test.yaml", "configs/odd.yaml"} {
			t.Run(kind+"/"+file, func(t *testing.T) {
				p := newReadings(t, nil)
				at := filepath.Join(p.dir, file)
				must(t, os.MkdirAll(filepath.Dir(at), 0o755))
				k.make(t, at)
				args := []string{"check"}
				switch {
				case strings.HasSuffix(file, "_test.yaml"):
					args = []string{"test"}
				case strings.HasPrefix(file, "configs"):
					args = []string{"run", "-c", file}
				}
				out, stderr, code := waybill(t, p.dir, args...)
				if all := out + stderr; code == 0 || !strings.Contains(all, file) || !strings.Contains(all, k.says) {
					t.Errorf("%v: exit %d\n%s", args, code, all)
				}
			})
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
