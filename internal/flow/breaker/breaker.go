// Package breaker knows how a system is doing, in one direction: whether it fails, is down, or is being tried again, and whose fault that is.
package breaker

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

const (
	// downAfter is how long a system must have taken nothing, while something was asked of it, to count as down where its probe fails.
	downAfter = 10 * time.Second
	// trials is how many messages at once may try a system that answers its probe again, until one of them gets through.
	trials = 3
	// watchEvery is how often a system is looked at that nothing is said against; a failure is looked into at once.
	watchEvery = time.Second
	// probeFirst and probeMost bound the pauses between the probes of a failing system. They are short, because what waits goes on when a probe is
	// answered. refusedMost bounds how long a system is left alone that refuses the credentials: it may lock the account of who asks often.
	probeFirst  = 200 * time.Millisecond
	probeMost   = 5 * time.Second
	refusedMost = 30 * time.Second
	// probePatience bounds one probe.
	probePatience = 10 * time.Second
	// A system must have taken messages for soon, or enough of them, for its next refusal of the credentials to be a new one.
	soon   = time.Minute
	enough = 10
	// forgetAfter is how long nothing must have failed for a system that answers its probe to be well although it has taken nothing since.
	forgetAfter = 10 * time.Minute
	// mostKeys bounds the failing keys that are told apart.
	mostKeys = 10_000
)

// Breaker is what the hub knows of one system in one direction, writing or reading. From its first failure to its next success a system is failing,
// and its probe is asked. One that has taken nothing for downAfter and whose probe fails is down: its flows wait here instead of trying message
// after message, nothing is parked, and the time does not count against a message's retry. A system that answers its probe again is half open: a
// few messages try it, and one that gets through closes the breaker.
//
// Credentials that are refused concern every message alike, whatever the probe says: the breaker opens at once, and tries again ever more seldom.
type Breaker struct {
	system string
	clock  lifecycle.Clock
	log    *slog.Logger
	probe  func(context.Context) error
	wake   chan struct{} // for Watch: the first failure; capacity 1

	mu      sync.Mutex
	state   int
	changed chan struct{} // closed, and made anew, when the state changes or a trial ends
	trying  int           // trials under way
	calls   map[uint64]time.Duration
	call    uint64
	watched bool

	failing bool
	since   time.Time     // the first failure since the last success, for people
	began   time.Duration // the same by the clock's Elapsed
	failed  time.Duration // by the same: the newest failure
	cause   error
	asked   bool  // a probe has come back since then
	silent  error // why the last probe failed; nil: it was answered
	untried bool  // half open, and no call has been made since the probe was answered
	backs   int   // how often a probe was answered after one that was not, or the breaker closed

	took     time.Duration  // by Elapsed: when the system took something last
	taken    int            // how often it has
	keys     map[string]int // the failing keys, with taken as it was at their first failure
	looked   int            // taken as it was when keys were looked through for what may be forgotten
	probedAt time.Duration  // by Elapsed: when the last probe came back
	pause    time.Duration  // until the next one
	refuses  bool           // open because the credentials are refused
	stays    time.Duration  // how long it stays open at least
	at       time.Duration  // by Elapsed: when it opened, or closed, last
	through  int            // messages that it has taken since the breaker closed
}

const (
	closed = iota
	opened
	halfOpen
)

// New makes a closed breaker. Where Watch runs, probe is asked while the system is failing: nil says that it answers, also a failure that
// is fault.RateLimited.
func New(system string, clock lifecycle.Clock, log *slog.Logger, probe func(context.Context) error) *Breaker {
	return &Breaker{system: system, clock: clock, log: log.With("system", system), probe: probe, wake: make(chan struct{}, 1),
		changed: make(chan struct{}), calls: map[uint64]time.Duration{}, keys: map[string]int{}, at: clock.Elapsed() - soon, took: clock.Elapsed() - downAfter, probedAt: clock.Elapsed() - watchEvery}
}

// Success says that the system took, or answered, a message of key.
func (b *Breaker) Success(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.keys, key)
	b.took = b.clock.Elapsed()
	b.taken++
	b.through++
	if b.state != closed {
		b.log.Info("the system takes messages again", "failed", (b.took - b.began).Round(time.Millisecond))
		b.backs++
		b.set(closed)
		b.through = 1
	}
	b.recover()
}

// Failure says that the system did not take a message of key, and that this may be nobody's fault but its own.
func (b *Breaker) Failure(key string, cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails(cause)
	if _, known := b.keys[key]; known || len(b.keys) >= mostKeys && !b.forget() {
		return
	}
	b.keys[key] = b.taken
}

// forget leaves out the keys that the system has passed by while it took others, and reports whether there are any: they count from anew.
func (b *Breaker) forget() (some bool) {
	if b.taken == b.looked { // nothing was taken since the last look
		return false
	}
	b.looked = b.taken
	for key, at := range b.keys {
		if at < b.taken {
			delete(b.keys, key)
			some = true
		}
	}
	return some
}

// fails is called with the lock held.
func (b *Breaker) fails(cause error) {
	b.failed, b.untried = b.clock.Elapsed(), false
	if b.state != opened {
		b.cause = cause
	}
	if b.failing && b.state != halfOpen {
		return
	}
	if !b.failing {
		b.failing, b.since, b.began = true, b.clock.Now(), b.clock.Elapsed()
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Refused opens the breaker at once: the system refuses the hub's credentials. It reports whether that is news.
func (b *Breaker) Refused(cause error) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails(cause)
	switch {
	case b.state == opened && b.refuses:
		return false
	case b.refuses || b.clock.Elapsed()-b.at < soon && b.through < enough:
		b.stays = min(max(2*b.stays, probeFirst), refusedMost)
	default:
		b.stays = 0
	}
	if first = !b.refuses; first {
		b.log.Error("the system refuses the hub's credentials: its flows wait and nothing is parked", "cause", cause)
	}
	b.refuses, b.cause = true, cause
	b.set(opened)
	return first
}

// set is called with the lock held.
func (b *Breaker) set(state int) {
	b.state, b.at = state, b.clock.Elapsed()
	b.tell()
}

func (b *Breaker) tell() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Open reports whether nothing is to be asked of the system: it is down, or refuses the credentials.
func (b *Breaker) Open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state == opened
}

// Counts reports whether time that passes counts against a message's retry: the system answers when it is probed, or has taken something a moment ago.
// Until it was probed, nobody knows.
func (b *Breaker) Counts() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts()
}

func (b *Breaker) counts() bool {
	if b.state == opened || b.silent != nil {
		return false
	}
	return b.asked || !b.failing || !b.watched || b.clock.Elapsed()-b.took < 2*watchEvery
}

// Blames reports whether it is a key's own fault that the system takes nothing of it: the system answers its probe, and has taken something else
// since the key began to fail, or nothing else fails. Where everything fails, the system is at fault, whatever its probe says.
func (b *Breaker) Blames(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, known := b.keys[key]
	return b.counts() && known && (len(b.keys) == 1 || at < b.taken)
}

// Over: the key's message has its fate: it waits for a person, was given up, left out, or found to be there. Where nothing else fails and the system
// answers, it is well: it was the message.
func (b *Breaker) Over(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, failed := b.keys[key]; !failed {
		return
	}
	delete(b.keys, key)
	if len(b.keys) == 0 && b.state == closed && b.counts() {
		b.recover()
	}
}

// recover is called with the lock held.
func (b *Breaker) recover() {
	b.failing, b.refuses, b.cause, b.silent, b.asked, b.untried, b.pause = false, false, nil, nil, false, false, 0
}

// Backs counts how often the system came back: what rests because it did not answer is to be tried when this has changed.
func (b *Breaker) Backs() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.backs
}

// Health is what is known of a system in one direction.
type Health struct {
	// Failing: the last call failed. Since is when the first one did after the last success; Cause is the newest failure, or why the probe failed.
	Failing bool
	Since   time.Time
	Cause   error
	// Lasts: it has taken nothing for ten seconds of that.
	Lasts bool
	// Down: it has taken nothing for ten seconds, and its probe fails. Refused: it refuses the credentials. In both cases its flows wait.
	Down, Refused bool
}

// Health tells how the system is doing.
func (b *Breaker) Health() Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.failing {
		return Health{}
	}
	down, cause := b.state == opened && !b.refuses, b.cause
	if b.untried {
		cause = fmt.Errorf("it answers its probe again, and no call was made since; before that: %w", cause)
	}
	return Health{Failing: true, Since: b.since, Cause: cause, Lasts: b.clock.Elapsed()-b.began >= downAfter, Down: down, Refused: b.refuses}
}

// Enter waits for leave to call the system: leave is to be called when the call is over. While the breaker is half open, few have it.
func (b *Breaker) Enter(ctx context.Context) (leave func(), err error) {
	for {
		b.mu.Lock()
		trial := b.state == halfOpen
		if b.state == closed || trial && b.trying < trials {
			if trial {
				b.trying++
			}
			b.call++
			n := b.call
			b.calls[n] = b.clock.Elapsed()
			b.mu.Unlock()
			return func() { b.leave(n, trial) }, nil
		}
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (b *Breaker) leave(n uint64, trial bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.calls, n)
	if trial {
		b.trying--
		b.tell()
	}
}
