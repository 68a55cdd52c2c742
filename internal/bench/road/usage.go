package road

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// usage is what processes have cost until now.
type usage struct {
	cpu    time.Duration
	peak   int64
	others map[string]time.Duration
	store  Work
	pid    int // of a hub
}

// countSyncs counts the fsync and fdatasync calls of a process until the returned function is called, with strace, which slows it.
func countSyncs(pid int, file string) (stop func() (int, error), err error) {
	cmd := exec.Command("strace", "-f", "-qq", "-c", "-e", "trace=fsync,fdatasync", "-o", file, "-p", strconv.Itoa(pid))
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("fsyncs are counted by strace: %w", err)
	}
	return func() (n int, err error) {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return 0, err
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
			return 0, err
		}
		b, err := os.ReadFile(file)
		for row := range strings.Lines(string(b)) {
			// % time, seconds, usecs/call, calls, perhaps errors, syscall
			if f := strings.Fields(row); len(f) > 4 && strings.HasSuffix(f[len(f)-1], "sync") {
				calls, _ := strconv.Atoi(f[3])
				n += calls
			}
		}
		return n, err
	}, nil
}
