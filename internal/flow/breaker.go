package flow

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
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

// NewBreaker makes a closed breaker. Where Watch runs, probe is asked while the system is failing: nil says that it answers, also a failure that
// is fault.RateLimited.
func NewBreaker(system string, clock lifecycle.Clock, log *slog.Logger, probe func(context.Context) error) *Breaker {
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
	b.failed = b.clock.Elapsed()
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

// Refused opens the breaker at once: the system refuses the hub's credentials.
func (b *Breaker) Refused(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails(cause)
	switch {
	case b.state == opened && b.refuses:
		return
	case b.refuses || b.clock.Elapsed()-b.at < soon && b.through < enough:
		b.stays = min(max(2*b.stays, probeFirst), refusedMost)
	default:
		b.stays = 0
	}
	if !b.refuses {
		b.log.Error("the system refuses the hub's credentials: its flows wait and nothing is parked", "cause", cause)
	}
	b.refuses, b.cause = true, cause
	b.set(opened)
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

// Over: the key's message waits for a person, or was given up. Where nothing else fails and the system answers, it is well: it was the message.
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
	b.failing, b.refuses, b.cause, b.silent, b.asked, b.pause = false, false, nil, nil, false, 0
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
	down := b.state == opened && !b.refuses
	return Health{Failing: true, Since: b.since, Cause: b.cause, Lasts: b.clock.Elapsed()-b.began >= downAfter, Down: down, Refused: b.refuses}
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

// Watch probes while the system is failing, until ctx ends. One goroutine a breaker.
func (b *Breaker) Watch(ctx context.Context) {
	b.watch()
	for pause := watchEvery; lifecycle.Wait(ctx, b.clock, pause, b.wake) == nil; {
		pause = b.look(ctx)
	}
}

func (b *Breaker) watch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watched = true
}

// look probes the system where it is due, and says for how long to wait then.
func (b *Breaker) look(ctx context.Context) (pause time.Duration) {
	due, rest := b.due()
	if !due {
		return rest
	}
	pctx, cancel := context.WithTimeout(ctx, probePatience)
	err := b.probe(pctx)
	cancel()
	if ctx.Err() != nil {
		return watchEvery
	}
	return b.probed(err)
}

// due reports whether the system is to be probed: it is failing, or leaves a call without an answer for long. Else rest is when to look again.
func (b *Breaker) due() (due bool, rest time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Elapsed()
	switch {
	case b.state == opened:
		rest = b.at + b.stays - now
	case b.failing: // one that fails now and then is not probed for every failure
		rest = b.probedAt + watchEvery - now
	case !b.stuck(now):
		rest = watchEvery
	}
	return rest <= 0, rest
}

// stuck: a call has been under way for downAfter, and nothing was taken meanwhile. It is called with the lock held.
func (b *Breaker) stuck(now time.Duration) bool {
	if now-b.took < downAfter {
		return false
	}
	for _, at := range b.calls {
		if now-at >= downAfter {
			return true
		}
	}
	return false
}

// probed takes what a probe has brought, and says for how long to wait until the next.
func (b *Breaker) probed(err error) (pause time.Duration) {
	if fault.KindOf(err) == fault.RateLimited {
		err = nil // it answers, and wants to be left alone
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Elapsed()
	b.probedAt = now
	switch {
	case b.failing:
	case err == nil:
		return probeMost // it is slow
	case !b.stuck(now):
		return watchEvery // it has taken something meanwhile
	}
	was := b.silent
	b.silent, b.asked = err, true
	if err != nil {
		if !b.failing {
			b.failing, b.since, b.began = true, b.clock.Now().Add(-downAfter), now-downAfter
			err = fmt.Errorf("no call was answered for %s, and its probe fails: %w", downAfter, err)
		}
		b.down(now, err)
	} else {
		if was != nil {
			b.backs++
		}
		switch {
		case b.state == opened:
			b.set(halfOpen)
			b.failed = now
			b.log.Info("the system answers again: a few messages try it", "failed", (now - b.began).Round(time.Millisecond))
		case !b.refuses && now-b.failed >= forgetAfter:
			// What failed has gone, to another hub for example, and nothing has come since.
			clear(b.keys)
			b.recover()
			b.set(closed)
			return watchEvery
		}
	}
	if (was == nil) != (err == nil) {
		b.pause = 0
	}
	b.pause = min(max(2*b.pause, probeFirst), probeMost)
	if verdict := b.began + downAfter - now; verdict > 0 {
		return min(b.pause, verdict)
	}
	return b.pause
}

// down opens the breaker where that is due, after a probe that failed. It is called with the lock held.
func (b *Breaker) down(now time.Duration, why error) {
	switch {
	case b.state == opened:
		b.cause = why
	case b.state == halfOpen || now-b.began >= downAfter:
		was := b.state
		b.cause = why
		b.stays, b.refuses = 0, false
		b.set(opened)
		if was == closed {
			b.log.Warn("the system is down: its flows wait and nothing is parked", "since", b.since, "cause", why)
		}
	}
}
