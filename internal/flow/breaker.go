package flow

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

const (
	// A system counts as down when openAfter different keys have failed and it has taken nothing meanwhile, nor for as long as openFor: of
	// one that fails every other message three in a row fail all the time.
	openAfter = 3
	openFor   = time.Second
	// trials is how many messages at once may try a system that answers its probe again, until one of them gets through.
	trials = openAfter
	// probeFirst and probeMost bound the pauses between probes, and how long a breaker stays open that opens soon after it has closed.
	probeFirst = 200 * time.Millisecond
	probeMost  = 30 * time.Second
	// A system must have taken messages for soon, or enough of them, for its next failure to be a new one.
	soon   = time.Minute
	enough = 10
)

// Breaker is one system's: when the system is down, its flows wait here instead of trying message after message. While it is open
// nothing is parked, and the time does not count against a message's retry. A system that answers its probe is half open: a few messages
// try it, and one that gets through closes the breaker. A system that answers its probe and fails its messages is asked ever more seldom.
type Breaker struct {
	system string
	clock  lifecycle.Clock
	log    *slog.Logger
	probe  func(context.Context) error

	mu      sync.Mutex
	state   int
	changed chan struct{}       // closed, and made anew, when the state changes or a trial ends
	failed  map[string]struct{} // keys that failed since the last success
	trying  int                 // trials under way
	since   time.Time           // open since
	cause   error
	stays   time.Duration // how long it stays open at least
	at      time.Duration // by the clock's Elapsed: when it opened, or closed, last
	took    time.Duration // by the same: when the system took a message last
	through int           // messages that it has taken since the breaker closed
}

const (
	closed = iota
	opened
	halfOpen
)

// NewBreaker makes a closed breaker; probe is asked, with growing pauses, while it is open.
func NewBreaker(system string, clock lifecycle.Clock, log *slog.Logger, probe func(context.Context) error) *Breaker {
	return &Breaker{system: system, clock: clock, log: log.With("system", system), probe: probe, changed: make(chan struct{}),
		failed: map[string]struct{}{}, at: clock.Elapsed() - soon, took: clock.Elapsed() - openFor}
}

// Success says that the system took, or answered, a message.
func (b *Breaker) Success() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.failed)
	b.took = b.clock.Elapsed()
	b.through++
	if b.state != halfOpen {
		return
	}
	b.set(closed)
	b.through = 1
	b.log.Info("breaker closed: the system takes messages again", "down", b.clock.Now().Sub(b.since))
}

// Failure counts a key that could not be delivered because the system did not answer.
func (b *Breaker) Failure(key string, cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed[key] = struct{}{}
	if len(b.failed) >= openAfter && (b.state == halfOpen || b.clock.Elapsed()-b.took >= openFor) {
		b.trip(cause)
	}
}

// Trip opens the breaker at once.
func (b *Breaker) Trip(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trip(cause)
}

func (b *Breaker) trip(cause error) {
	switch {
	case b.state == opened:
		return
	case b.state == halfOpen || b.clock.Elapsed()-b.at < soon && b.through < enough:
		b.stays = min(max(2*b.stays, probeFirst), probeMost)
	default:
		b.stays = 0
	}
	if b.state == closed {
		b.since = b.clock.Now()
	}
	b.cause = cause
	b.set(opened)
	b.log.Warn("breaker open: the system's flows wait", "cause", cause, "at-least", b.stays)
}

// set is called with the lock held.
func (b *Breaker) set(state int) {
	b.state, b.at = state, b.clock.Elapsed()
	clear(b.failed)
	b.tell()
}

func (b *Breaker) tell() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Open reports whether the system counts as down, since when and why.
func (b *Breaker) Open() (since time.Time, cause error, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.since, b.cause, b.state == opened
}

// Wait returns at once unless the breaker is open, else when it is open no longer.
func (b *Breaker) Wait(ctx context.Context) error {
	return b.until(ctx, func() bool { return b.state != opened })
}

// Enter waits for leave to call the system: leave is to be called when the call is over. While the breaker is half open, few have it.
func (b *Breaker) Enter(ctx context.Context) (leave func(), err error) {
	b.mu.Lock()
	up := b.state == closed
	b.mu.Unlock()
	leave = func() {}
	if up {
		return leave, nil
	}
	err = b.until(ctx, func() bool {
		switch {
		case b.state == closed:
			return true
		case b.state == opened || b.trying >= trials:
			return false
		}
		b.trying++
		leave = b.leave
		return true
	})
	return leave, err
}

func (b *Breaker) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying--
	b.tell()
}

// until waits until may, which is asked with the lock held, holds.
func (b *Breaker) until(ctx context.Context, may func() bool) error {
	for {
		b.mu.Lock()
		ok, changed := may(), b.changed
		b.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Watch probes while the breaker is open, until ctx ends. One goroutine a system.
func (b *Breaker) Watch(ctx context.Context) {
	pause := probeFirst
	for lifecycle.Sleep(ctx, b.clock, pause) == nil {
		b.mu.Lock()
		down, rest := b.state == opened, b.at+b.stays-b.clock.Elapsed()
		b.mu.Unlock()
		if !down {
			pause = probeFirst
			continue
		}
		if rest > 0 {
			pause = rest
			continue
		}
		pctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := b.probe(pctx)
		cancel()
		if err != nil {
			pause = min(2*max(pause, probeFirst), probeMost)
			b.mu.Lock()
			b.cause = err
			b.mu.Unlock()
			continue
		}
		b.mu.Lock()
		if b.state == opened {
			b.set(halfOpen)
			b.log.Info("the system answers again: a few messages try it", "down", b.clock.Now().Sub(b.since))
		}
		b.mu.Unlock()
		pause = probeFirst
	}
}
