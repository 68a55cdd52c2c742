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
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/needtest"
)

// Script starts a system once, however many tests ask for it, and until Stop.
type Script struct {
	// Name is that of the script, without its ending. The script starts the system on the port WAYBILL_NAME_PORT, and may take the next one, too; says where it is;
	// and ends with 77 where the machine lacks something.
	Name string
	// Needs is what the machine must have, for people.
	Needs string
	Env   []string // beside the test's own

	once          sync.Once
	file, port    string
	said, missing string
	err           error
}

// Start gives what the script has said. It skips the test where no systems are asked for, and where the machine lacks what this one needs.
func (s *Script) Start(t testing.TB) string {
	t.Helper()
	needtest.Systems(t, s.Needs)
	s.once.Do(func() { s.start(filepath.Join(root(t), "internal", "test", "systems", s.Name+".sh")) })
	if s.missing != "" {
		needtest.Missing(t, "%s: %s", s.Name, s.missing)
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.said
}

func (s *Script) start(file string) {
	s.file = file
	for range 3 {
		s.port = fmt.Sprint(31000 + 2*rand.IntN(4000))
		out, err := s.Command("start").Output()
		if err == nil {
			s.said, s.err = strings.TrimSpace(string(out)), nil
			return
		}
		s.err = fmt.Errorf("%s: %w", file, err)
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			if exit.ExitCode() == 77 {
				s.missing = string(exit.Stderr)
				return
			}
			s.err = fmt.Errorf("%s: %w: %s", file, err, exit.Stderr)
		}
		_ = s.Command("stop").Run() // the port may have been another's
	}
}

// Command is a call of the script, once the system was started.
func (s *Script) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(s.file, args...)
	cmd.Env = append(append(os.Environ(), s.Env...), "WAYBILL_"+strings.ToUpper(s.Name)+"_PORT="+s.port)
	return cmd
}

// Started reports whether the system runs.
func (s *Script) Started() bool { return s.said != "" }

// Stop ends the system where it was started; a TestMain calls it behind all tests.
func (s *Script) Stop() error {
	if !s.Started() {
		return nil
	}
	if out, err := s.Command("stop").CombinedOutput(); err != nil {
		return fmt.Errorf("%s stop: %w: %s", s.file, err, out)
	}
	return nil
}

// Data is the folder with the system's files.
func (s *Script) Data(t testing.TB) string {
	return filepath.Join(cache(t), "waybill", s.Name, "data-"+s.port)
}

// For starts the system for one test, which ends it.
func (s *Script) For(t testing.TB) string {
	t.Helper()
	said := s.Start(t)
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return said
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
