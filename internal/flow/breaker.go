package flow

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// openAfter different keys have failed with nothing succeeding in between, a system counts as down.
const openAfter = 3

// Breaker is one system's: when the system is down, its flows wait here instead of trying message after message. While it is open
// nothing is parked, and the time does not count against a message's retry.
type Breaker struct {
	system string
	clock  lifecycle.Clock
	log    *slog.Logger
	probe  func(context.Context) error

	mu     sync.Mutex
	failed map[string]struct{} // keys that failed since the last success
	opened chan struct{}       // nil when closed; closed when the breaker closes again
	since  time.Time
	cause  error
	up     time.Time // when it closed last, or was made
	base   time.Time // when it was made
}

// now is a time that no setting of the clock moves: see Runner.steady.
func (b *Breaker) now() time.Time { return b.base.Add(b.clock.Now().Sub(b.base)) }

// NewBreaker makes a closed breaker; probe is asked, with growing pauses, while it is open.
func NewBreaker(system string, clock lifecycle.Clock, log *slog.Logger, probe func(context.Context) error) *Breaker {
	return &Breaker{system: system, clock: clock, log: log.With("system", system), probe: probe, failed: map[string]struct{}{}, base: clock.Now(), up: clock.Now()}
}

// Success closes the count of failures.
func (b *Breaker) Success() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.failed)
}

// Failure counts a key that could not be delivered because the system did not answer.
func (b *Breaker) Failure(key string, cause error) {
	b.mu.Lock()
	b.failed[key] = struct{}{}
	trip := len(b.failed) >= openAfter && b.opened == nil
	b.mu.Unlock()
	if trip {
		b.Trip(cause)
	}
}

// Trip opens the breaker at once.
func (b *Breaker) Trip(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opened != nil {
		return
	}
	b.opened, b.since, b.cause = make(chan struct{}), b.now(), cause
	b.log.Warn("breaker open: the system's flows wait", "cause", cause)
}

// Open reports whether the system counts as down, since when and why.
func (b *Breaker) Open() (since time.Time, cause error, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.since, b.cause, b.opened != nil
}

// Up is since when the breaker has been closed, or was closed last: waiting for a system that is down does not count
// against a message's time to retry.
func (b *Breaker) Up() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.up
}

// Wait returns at once while the breaker is closed, else when it has closed.
func (b *Breaker) Wait(ctx context.Context) error {
	b.mu.Lock()
	ch := b.opened
	b.mu.Unlock()
	if ch == nil {
		return nil
	}
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Watch probes while the breaker is open, until ctx ends. One goroutine a system.
func (b *Breaker) Watch(ctx context.Context) {
	const idle = 200 * time.Millisecond
	pause := idle
	for lifecycle.Sleep(ctx, b.clock, pause) == nil {
		if _, _, open := b.Open(); !open {
			pause = idle
			continue
		}
		pctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := b.probe(pctx)
		cancel()
		if err != nil {
			pause = min(2*max(pause, idle), 30*time.Second)
			b.mu.Lock()
			b.cause = err
			b.mu.Unlock()
			continue
		}
		b.close()
		pause = idle
	}
}

func (b *Breaker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.opened == nil {
		return
	}
	b.up = b.now()
	down := b.up.Sub(b.since)
	clear(b.failed)
	close(b.opened)
	b.opened, b.cause = nil, nil
	b.log.Info("breaker closed: the system answers again", "down", down)
}
