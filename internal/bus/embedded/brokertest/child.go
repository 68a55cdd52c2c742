// Package brokertest starts embedded brokers for tests: in the test's own process, and in one that can be killed.
package brokertest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/waybill-hub/waybill/internal/bus/embedded"
)

// childDir, set in the environment, makes this test binary an embedded broker: a process that can be killed.
const childDir, childListen = "WAYBILL_BUS_CHILD_DIR", "WAYBILL_BUS_CHILD_LISTEN"

// RunChild runs the broker until its standard input ends; false when this is the test itself.
func RunChild() bool {
	dir := os.Getenv(childDir)
	if dir == "" {
		return false
	}
	e, err := embedded.Start(context.Background(), embedded.Config{Dir: dir, Listen: os.Getenv(childListen), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("listening", e.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := e.Close(); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	return true
}

// Child is an embedded broker in a process of its own.
type Child struct {
	cmd   *exec.Cmd
	Addr  string
	stdin io.Closer
}

// StartChild starts a broker process; the error is what it printed.
func StartChild(t testing.TB, dir, listen string) (*Child, error) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childListen+"="+listen)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if !ok {
		_ = in.Close()
		_ = cmd.Wait()
		return nil, fmt.Errorf("%s", line)
	}
	c := &Child{cmd: cmd, Addr: addr, stdin: in}
	t.Cleanup(c.Kill)
	return c, nil
}

// MustChild starts a broker process, or fails the test.
func MustChild(t testing.TB, dir, listen string) *Child {
	t.Helper()
	c, err := StartChild(t, dir, listen)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Freeze stops the process, or lets it go on: a broker that neither answers nor refuses.
func (c *Child) Freeze(on bool) {
	sig := syscall.SIGCONT
	if on {
		sig = syscall.SIGSTOP
	}
	_ = c.cmd.Process.Signal(sig)
}

// PID is the process.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Kill ends the process as kill -9 does.
func (c *Child) Kill() {
	if c.cmd.ProcessState == nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	}
}
