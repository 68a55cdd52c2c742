// Package lifecycle holds what every long-running part of the hub needs: a clock that tests can turn by hand, and a
// stack of named teardowns that are run in the reverse order of their making.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Clock tells the time and wakes sleepers. Everything that waits takes one, so that no test has to.
type Clock interface {
	// Now is the time of day. It may be set while the hub runs: only stamps are made of it, never durations.
	Now() time.Time
	// Elapsed is the time that has passed since some moment, whatever is done to the time of day.
	Elapsed() time.Duration
	// NewTimer makes a timer that fires once, d from now; at once where d is not positive.
	NewTimer(d time.Duration) Timer
}

// Timer fires once on C. Stop and Reset are those of time.Timer: after either of them no older value is received.
type Timer interface {
	C() <-chan time.Time
	// Stop reports whether it kept the timer from firing.
	Stop() bool
	// Reset makes the timer fire d from now and reports whether it was still running.
	Reset(d time.Duration) bool
}

// Real is the machine's clock.
func Real() Clock { return realClock{} }

type realClock struct{}

func (realClock) Now() time.Time { return wall() }

// begun holds a reading of the machine's monotonic clock.
var begun = time.Now()

func (realClock) Elapsed() time.Duration { return time.Since(begun) }

func (realClock) NewTimer(d time.Duration) Timer { return realTimer{time.NewTimer(d)} }

type realTimer struct{ t *time.Timer }

func (t realTimer) C() <-chan time.Time        { return t.t.C }
func (t realTimer) Stop() bool                 { return t.t.Stop() }
func (t realTimer) Reset(d time.Duration) bool { return t.t.Reset(d) }

// Sleep waits for d on the clock. It returns early with the cause of ctx's end.
func Sleep(ctx context.Context, c Clock, d time.Duration) error {
	return Wait(ctx, c, d, nil)
}

// Wait waits for d on the clock or until wake delivers (or is closed), whichever comes first; a nil wake never does. It
// returns early with the cause of ctx's end.
func Wait(ctx context.Context, c Clock, d time.Duration, wake <-chan struct{}) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d <= 0 {
		return nil
	}
	t := c.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
	case <-wake:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// WithTimeout ends the returned context after d on the clock, with the given cause.
func WithTimeout(ctx context.Context, c Clock, d time.Duration, cause error) (context.Context, context.CancelFunc) {
	if _, real := c.(realClock); real {
		return context.WithTimeoutCause(ctx, d, cause)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	t := c.NewTimer(d)
	go func() {
		defer t.Stop()
		select {
		case <-t.C():
			cancel(cause)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// Caused is err, a failure of what was done under ctx, behind the cause for which ctx has ended, where it has and err does not say so.
func Caused(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}
