//go:build unix

// Package childtest starts servers as children of a test, and ends them. It is imported by tests only.
package childtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Child is a server under way.
type Child struct {
	name   string
	end    syscall.Signal
	cmd    *exec.Cmd
	exited chan error
	output bytes.Buffer
}

// Start starts a server, whose name is for people; end is the signal upon which it ends in order. It ends with the test's process as well, where the system can
// see to that.
func Start(name string, end syscall.Signal, cmd *exec.Cmd) (*Child, error) {
	c := &Child{name: name, end: end, cmd: cmd, exited: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = &c.output, &c.output
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	dieWithParent(cmd.SysProcAttr, end)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { c.exited <- cmd.Wait() }()
	return c, nil
}

// Await returns once ping succeeds. The error says what the server has printed where it has ended before.
func (c *Child) Await(most time.Duration, ping func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case exit := <-c.exited:
			c.exited <- exit
			return fmt.Errorf("%s stopped at start: %w: %s", c.name, exit, c.output.String())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", c.name, err)
		case <-tick.C:
		}
	}
}

// Stop ends the server; nil is none.
func (c *Child) Stop() error {
	if c == nil {
		return nil
	}
	if err := c.cmd.Process.Signal(c.end); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.exited:
	case <-time.After(20 * time.Second):
		if err := c.cmd.Process.Kill(); err != nil {
			return err
		}
		<-c.exited
	}
	return nil
}
