package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
)

// ErrStopped says that something was to be registered after the stack was stopped.
var ErrStopped = errors.New("lifecycle: already stopped")

// grace is what a teardown gets when the time for all of them is up.
const grace = 250 * time.Millisecond

// StopFunc ends one thing. It should return when ctx ends; when it does not, the stack goes on without it.
type StopFunc func(ctx context.Context) error

// Stack holds the teardowns of what has been started. Register each right after its resource exists: a start that fails
// half way and an orderly stop then use the same stack.
type Stack struct {
	clock Clock
	log   *slog.Logger

	mu    sync.Mutex
	items []item
	done  chan struct{} // nil until Stop is called; closed when it has finished
	err   error
}

type item struct {
	name     string
	deadline time.Duration
	stop     StopFunc
}

// NewStack makes an empty stack. A nil log is silent.
func NewStack(clock Clock, log *slog.Logger) *Stack {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Stack{clock: clock, log: log}
}

// Push registers a teardown under a name, with the longest time that it may take; zero or less: no limit of its own. After
// Stop has begun the teardown is run at once, with its deadline, and ErrStopped is returned: nothing is leaked.
func (s *Stack) Push(name string, deadline time.Duration, stop StopFunc) error {
	it := item{name, deadline, stop}
	s.mu.Lock()
	if s.done == nil {
		s.items = append(s.items, it)
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	return errors.Join(fmt.Errorf("%s: %w", name, ErrStopped), s.run(context.Background(), it))
}

// Stop runs the teardowns, last in first out, one after the other. One that fails, panics or overruns its deadline does
// not keep the others from being run; all of that is in the error. The end of ctx shortens every deadline to a moment. Further calls
// wait for the first and return the same.
func (s *Stack) Stop(ctx context.Context) error {
	s.mu.Lock()
	if done := s.done; done != nil {
		s.mu.Unlock()
		select {
		case <-done:
			return s.err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	s.done = make(chan struct{})
	items := s.items
	s.items = nil
	s.mu.Unlock()

	var errs []error
	for i := len(items) - 1; i >= 0; i-- {
		failpoint.Hit(failpoint.StopStep)
		if err := s.run(ctx, items[i]); err != nil {
			errs = append(errs, err)
		}
	}
	s.err = errors.Join(errs...)
	close(s.done)
	return s.err
}

// run calls one teardown. It gives up waiting, but cannot end the goroutine, when the deadline passes: the name in the
// error and in the log says whose it is.
func (s *Stack) run(ctx context.Context, it item) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := s.clock.Now()
	result := make(chan error, 1)
	go func() { result <- Guard(func() error { return it.stop(ctx) }) }()
	var expired <-chan time.Time
	if it.deadline > 0 {
		t := s.clock.NewTimer(it.deadline)
		defer t.Stop()
		expired = t.C()
	}
	var err error
	select {
	case err = <-result:
	case <-expired:
		err = fmt.Errorf("not stopped after %v: %w", it.deadline, context.DeadlineExceeded)
		cancel(err)
	case <-ctx.Done():
		// Even when time is up, what stops at once is stopped: files are closed, leases given back.
		last := s.clock.NewTimer(grace)
		defer last.Stop()
		select {
		case err = <-result:
		case <-last.C():
			err = fmt.Errorf("not stopped in time: %w", context.Cause(ctx))
		}
	}
	if err != nil {
		err = fmt.Errorf("stop %s: %w", it.name, err)
		s.log.Warn("a part did not stop cleanly", "part", it.name, "took", s.clock.Now().Sub(began), "error", err)
		return err
	}
	s.log.Debug("stopped", "part", it.name, "took", s.clock.Now().Sub(began))
	return nil
}
