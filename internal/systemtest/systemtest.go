//go:build unix

// Package systemtest starts real systems for tests, by the scripts of internal/test/systems. It is imported by tests only.
package systemtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/needtest"
)

// EnvSystems is set where tests are to start real systems.
const EnvSystems = "WAYBILL_TEST_SYSTEMS"

// Wanted skips a test that starts real systems where they are not asked for.
func Wanted(t testing.TB) {
	t.Helper()
	if os.Getenv(EnvSystems) == "" {
		needtest.Skip(t, EnvSystems+" is not set: `make test-systems` runs it, and needs npm")
	}
}

// System is one that was started.
type System struct {
	// Said is what the script has printed.
	Said string
	// Data is the folder with its files.
	Data string
}

// Start starts a system on a free port and ends it with the test. It skips the test where the machine lacks what the system needs.
func Start(t testing.TB, name string, env ...string) *System {
	t.Helper()
	Wanted(t)
	script := filepath.Join(root(t), "internal", "test", "systems", name+".sh")
	var said error
	for range 3 {
		port := fmt.Sprint(31000 + rand.IntN(8000))
		command := func(arg string) *exec.Cmd {
			cmd := exec.Command(script, arg)
			cmd.Env = append(append(os.Environ(), env...), "WAYBILL_"+strings.ToUpper(name)+"_PORT="+port)
			return cmd
		}
		out, err := command("start").Output()
		if err == nil {
			t.Cleanup(func() {
				if out, err := command("stop").CombinedOutput(); err != nil {
					t.Errorf("%s stop: %v: %s", script, err, out)
				}
			})
			return &System{Said: strings.TrimSpace(string(out)), Data: filepath.Join(cache(t), "waybill", name, "data-"+port)}
		}
		said = err
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			if exit.ExitCode() == 77 {
				needtest.Missing(t, "%s: %s", name, exit.Stderr)
			}
			said = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		_ = command("stop").Run() // the port may have been another's
	}
	t.Fatalf("%s: %v", script, said)
	return nil
}

// root is the project's folder.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			err = errors.New("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal(err)
	return ""
}

// cache is where the scripts keep packages and data.
func cache(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return dir
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(home, ".cache")
}
