package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/waybill-hub/waybill/internal/bus"
)

// AsProgram is set in the environment of what Self starts. A test binary that sees it has to behave like the program.
const AsProgram = "WAYBILL_AS_PROGRAM"

// Self is a command that runs this program with other arguments.
func Self(args ...string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), AsProgram+"=1")
	return cmd, nil
}

const (
	// look is how often a topic is asked how much it holds.
	look = 20 * time.Millisecond
	// stalled is how long a topic may stand still before a run is given up.
	stalled = time.Minute
	// ending bounds the orderly stop of a child.
	ending = time.Minute
)

// watched is a child process that fills a topic.
type watched struct {
	cmd   *exec.Cmd
	topic string
	n     int
	tell  func(done int)
}

// run starts the child, waits until the topic holds n records and then asks it to stop. Wall is from the start of the
// process to the last record; CPU and Peak are those of its whole life.
func (w *watched) run(ctx context.Context, c *bus.Cluster) (Result, error) {
	r := Result{Messages: w.n}
	start := time.Now()
	if err := w.cmd.Start(); err != nil {
		return r, err
	}
	ended := make(chan error, 1)
	go func() { ended <- w.cmd.Wait() }()
	err := w.fill(ctx, c, ended)
	r.Wall = time.Since(start)
	r.Peak = peak(w.cmd.Process.Pid)
	if w.cmd.ProcessState == nil {
		err = errors.Join(err, w.stop(ended))
	}
	if s := w.cmd.ProcessState; s != nil {
		r.CPU = s.UserTime() + s.SystemTime()
	}
	return r, err
}

// fill waits until the topic is full.
func (w *watched) fill(ctx context.Context, c *bus.Cluster, ended chan error) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	last, moved := 0, time.Now()
	for {
		have, err := count(ctx, c, w.topic)
		if err != nil {
			return err
		}
		if have != last {
			last, moved = have, time.Now()
			w.tell(have)
		}
		switch {
		case have >= w.n:
			return nil
		case time.Since(moved) > stalled:
			return fmt.Errorf("%s has stood at %d of %d records for %v", w.topic, have, w.n, stalled)
		}
		select {
		case <-tick.C:
		case err := <-ended:
			ended <- err
			if have, cerr := count(ctx, c, w.topic); cerr == nil && have >= w.n && err == nil {
				return nil
			}
			return errors.Join(fmt.Errorf("the process ended before %s was full", w.topic), err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// stop asks the child to end, and kills it when it does not.
func (w *watched) stop(ended chan error) error {
	// One that has ended meanwhile needs no signal.
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(err, w.cmd.Process.Kill(), <-ended)
	}
	t := time.NewTimer(ending)
	defer t.Stop()
	select {
	case err := <-ended:
		return err
	case <-t.C:
		return errors.Join(fmt.Errorf("the process did not end within %v", ending), w.cmd.Process.Kill(), <-ended)
	}
}

// count is how many records a topic holds.
func count(ctx context.Context, c *bus.Cluster, topic string) (int, error) {
	info, err := c.Describe(ctx, topic)
	if err != nil {
		return 0, err
	}
	var n int64
	for _, p := range info[topic].Partitions {
		n += p.Last - p.First
	}
	return int(n), nil
}

// peak is the largest resident memory that a running process has had, as Linux tells it. What the parent hears at the
// end (ru_maxrss) is no good: it starts from the parent's own memory at the fork.
func peak(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(b, []byte("VmHWM:"))
	var kb int64
	if _, err := fmt.Sscan(string(rest), &kb); err != nil && !errors.Is(err, io.EOF) {
		return 0
	}
	return kb << 10
}
