package road

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

// program is what carries the webhooks to the target.
type program interface {
	name() string
	start(ctx context.Context, d *drive, target string) (*started, error)
}

// started is a program that is ready to take webhooks.
type started struct {
	hook     string
	accepted int // the status of a webhook that was taken
	guards   bool
	usage    func() usage
	stop     func() error
}

const againstName = "against"

// programs are this build first, then those beside it.
func (o *Options) programs(ctx context.Context) ([]program, error) {
	me, err := os.Executable()
	if err != nil {
		return nil, err
	}
	list := []program{&hub{called: "this", binary: me, own: true}}
	if o.Beside != "" {
		list = append(list, &hub{called: "beside_" + o.Beside, binary: me, own: true, beside: o.Beside})
	}
	if o.Against != "" {
		list = append(list, &hub{called: againstName, binary: o.Against})
	}
	if o.Benthos != "" {
		list = append(list, &benthos{binary: o.Benthos})
	}
	return list, ctx.Err()
}

// child is a process that ends when its standard input does, or at an interrupt.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan error
}

// self is a command that runs this program with other arguments.
func self(ctx context.Context, args ...string) (*exec.Cmd, error) {
	cmd, err := bench.Self(args...)
	if err != nil {
		return nil, err
	}
	bound := exec.CommandContext(ctx, cmd.Path, args...)
	bound.Env = cmd.Env
	return bound, nil
}

// startSelf starts this program as a child and gives the first line that it says.
func startSelf(log io.Writer, args ...string) (*child, string, error) {
	cmd, err := bench.Self(args...)
	if err != nil {
		return nil, "", err
	}
	cmd.Stderr = log
	c := &child{cmd: cmd, ended: make(chan error, 1)}
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

// startCommand starts another program.
func startCommand(cmd *exec.Cmd, log io.Writer) (*child, error) {
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, ended: make(chan error, 1)}
	go func() { c.ended <- cmd.Wait() }()
	return c, nil
}

// ending bounds the orderly stop of a child.
const ending = time.Minute

// stop asks the child to end, and kills it when it does not.
func (c *child) stop() error {
	if c.stdin != nil {
		_ = c.stdin.Close()
	} else if err := c.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(err, c.cmd.Process.Kill(), <-c.ended)
	}
	t := time.NewTimer(ending)
	defer t.Stop()
	select {
	case err := <-c.ended:
		return err
	case <-t.C:
		return errors.Join(fmt.Errorf("%s did not end within %v", c.cmd.Path, ending), c.cmd.Process.Kill(), <-c.ended)
	}
}

// listening waits until somebody answers at a URL, whatever the answer unless want is given.
func (c *child) listening(ctx context.Context, url string, want int) error {
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
			return fmt.Errorf("%s ended before it was ready: %w", filepath.Base(c.cmd.Path), err)
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer at %s: %w", filepath.Base(c.cmd.Path), url, ctx.Err())
		}
	}
}

// freeAddr is an address on which nobody listens now. It is of the system's range, where another program may get it before the child listens:
// the run then ends with the child's error. Tests, which run by the thousand, take ports below that range (internal/porttest); a bench is
// run by hand, where ports below it may be a person's own.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
