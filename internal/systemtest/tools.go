package systemtest

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/needtest"
)

// tools are those that were asked for, by name.
var tools sync.Map

type tool struct {
	said, missing string
	err           error
}

// Tools installs other people's programs once, by the script internal/test/systems/NAME.sh, which ends with 77 where the machine lacks something, and gives what it says of where they are. It
// skips the test where no systems are asked for, and where the machine lacks what these need.
func Tools(t testing.TB, name, needs string) string {
	t.Helper()
	needtest.Systems(t, needs)
	file := filepath.Join(root(t), "internal", "test", "systems", name+".sh")
	install, _ := tools.LoadOrStore(name, sync.OnceValue(func() tool {
		out, err := exec.Command(file, "install").Output()
		var exit *exec.ExitError
		switch {
		case errors.As(err, &exit) && exit.ExitCode() == 77:
			return tool{missing: strings.TrimSpace(string(exit.Stderr))}
		case exit != nil:
			return tool{err: fmt.Errorf("%s: %w: %s", file, err, exit.Stderr)}
		}
		return tool{said: strings.TrimSpace(string(out)), err: err}
	}))
	got := install.(func() tool)()
	if got.missing != "" {
		needtest.Missing(t, "%s: %s", name, got.missing)
	}
	if got.err != nil {
		t.Fatal(got.err)
	}
	return got.said
}
