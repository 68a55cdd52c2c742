// Package process starts and watches the programs of a bench.
package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/bench"
)

// Child is a process that ends when its standard input does, or at an interrupt.
type Child struct {
	Cmd   *exec.Cmd
	stdin io.Closer
	ended chan error
}

// Self is a command that runs this program with other arguments.
func Self(ctx context.Context, args ...string) (*exec.Cmd, error) {
	cmd, err := bench.Self(args...)
	if err != nil {
		return nil, err
	}
	bound := exec.CommandContext(ctx, cmd.Path, args...)
	bound.Env = cmd.Env
	return bound, nil
}

// StartSelf starts this program as a child and gives the first line that it says.
func StartSelf(log io.Writer, args ...string) (*Child, string, error) {
	cmd, err := bench.Self(args...)
	if err != nil {
		return nil, "", err
	}
	cmd.Stderr = log
	c := &Child{Cmd: cmd, ended: make(chan error, 1)}
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	go func() { c.ended <- cmd.Wait() }()
	return c, strings.TrimSpace(line), nil
}

// StartCommand starts another program.
func StartCommand(cmd *exec.Cmd, log io.Writer) (*Child, error) {
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &Child{Cmd: cmd, ended: make(chan error, 1)}
	go func() { c.ended <- cmd.Wait() }()
	return c, nil
}

// ending bounds the orderly stop of a child.
const ending = time.Minute

// Stop asks the child to end, and kills it when it does not.
func (c *Child) Stop() error {
	if c.stdin != nil {
		_ = c.stdin.Close()
	} else if err := c.Cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(err, c.Cmd.Process.Kill(), <-c.ended)
	}
	t := time.NewTimer(ending)
	defer t.Stop()
	select {
	case err := <-c.ended:
		return err
	case <-t.C:
		return errors.Join(fmt.Errorf("%s did not end within %v", c.Cmd.Path, ending), c.Cmd.Process.Kill(), <-c.ended)
	}
}

// Listening waits until somebody answers at a URL, whatever the answer unless want is given.
func (c *Child) Listening(ctx context.Context, url string, want int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil); err != nil {
			return err
		} else if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if want == 0 || resp.StatusCode == want {
				return nil
			}
		}
		select {
		case <-tick.C:
		case err := <-c.ended:
			c.ended <- err
			return fmt.Errorf("%s ended before it was ready: %w", filepath.Base(c.Cmd.Path), err)
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer at %s: %w", filepath.Base(c.Cmd.Path), url, ctx.Err())
		}
	}
}

// FreeAddr is an address on which nobody listens now. It is of the system's range, where another program may get it before the child listens:
// the run then ends with the child's error. Tests, which run by the thousand, take ports below that range (internal/porttest); a bench is
// run by hand, where ports below it may be a person's own.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Write makes a file of a project, with the folders that it is in.
func Write(dir, name, text string) error {
	name = filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(text), 0o644)
}
