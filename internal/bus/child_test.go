package bus

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
)

// childDir, set in the environment, makes this test binary an embedded broker: a process that can be killed.
const childDir, childListen = "WAYBILL_BUS_CHILD_DIR", "WAYBILL_BUS_CHILD_LISTEN"

// runChild runs the broker until its standard input ends; false when this is the test itself.
func runChild() bool {
	dir := os.Getenv(childDir)
	if dir == "" {
		return false
	}
	e, err := StartEmbedded(context.Background(), EmbeddedConfig{Dir: dir, Listen: os.Getenv(childListen), Log: slog.New(slog.DiscardHandler)})
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

// child is an embedded broker in a process of its own.
type child struct {
	cmd   *exec.Cmd
	addr  string
	stdin io.Closer
}

// startChild starts a broker process; the error is what it printed.
func startChild(t testing.TB, dir, listen string) (*child, error) {
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
	c := &child{cmd: cmd, addr: addr, stdin: in}
	t.Cleanup(c.kill)
	return c, nil
}

func mustChild(t testing.TB, dir, listen string) *child {
	t.Helper()
	c, err := startChild(t, dir, listen)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// freeze stops the process, or lets it go on: a broker that neither answers nor refuses.
func (c *child) freeze(on bool) {
	sig := syscall.SIGCONT
	if on {
		sig = syscall.SIGSTOP
	}
	_ = c.cmd.Process.Signal(sig)
}

// kill ends the process as kill -9 does.
func (c *child) kill() {
	if c.cmd.ProcessState == nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	}
}
