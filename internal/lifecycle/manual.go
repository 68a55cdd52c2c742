package lifecycle

import (
	"context"
	"sync"
	"time"
)

// Manual is a clock that stands still until it is told to move. Its methods may be called from any goroutine.
type Manual struct {
	mu      sync.Mutex
	now     time.Time
	elapsed time.Duration
	timers  map[*manualTimer]struct{}
	changed chan struct{} // closed, and made anew, whenever timers changes
}

// NewManual makes a clock that shows now.
func NewManual(now time.Time) *Manual {
	return &Manual{now: now, timers: map[*manualTimer]struct{}{}, changed: make(chan struct{})}
}

// Now is what the clock was set to.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Elapsed is how far the clock has been moved forward.
func (m *Manual) Elapsed() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.elapsed
}

// Step sets the time of day forward or back by d, as an operator or a time server does: no time passes, and no timer fires.
func (m *Manual) Step(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
	for t := range m.timers {
		t.at = t.at.Add(d)
	}
}

// NewTimer makes a timer that fires when the clock has been moved by d.
func (m *Manual) NewTimer(d time.Duration) Timer {
	t := &manualTimer{clock: m, c: make(chan time.Time, 1)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.start(t, d)
	return t
}

// Advance moves the clock forward by d; timers that come due fire in order of their times, each at its own time.
func (m *Manual) Advance(d time.Duration) { m.Set(m.Now().Add(d)) }

// Set moves the clock to now, firing what comes due. Moving it back fires nothing.
func (m *Manual) Set(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		t := m.next()
		if t == nil || t.at.After(now) {
			break
		}
		m.move(t.at)
		m.stop(t)
		t.c <- m.now
	}
	m.move(now)
	m.now = now
}

// move goes forward to a time; called with the lock held.
func (m *Manual) move(to time.Time) {
	if to.After(m.now) {
		m.elapsed += to.Sub(m.now)
		m.now = to
	}
}

// Next is when the earliest running timer fires; false when none is running.
func (m *Manual) Next() (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.next()
	if t == nil {
		return time.Time{}, false
	}
	return t.at, true
}

// Waiting counts the timers that are running.
func (m *Manual) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.timers)
}

// BlockUntil returns once at least n timers are running: a test calls it before Advance, so that the code under test has
// come to rest. It returns early with the cause of ctx's end.
func (m *Manual) BlockUntil(ctx context.Context, n int) error {
	for {
		m.mu.Lock()
		have, changed := len(m.timers), m.changed
		m.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// start, stop and next are called with the lock held.
func (m *Manual) start(t *manualTimer, d time.Duration) {
	t.at = m.now.Add(d)
	if d <= 0 {
		t.c <- m.now
		return
	}
	m.timers[t] = struct{}{}
	m.notify()
}

func (m *Manual) stop(t *manualTimer) bool {
	if _, running := m.timers[t]; !running {
		return false
	}
	delete(m.timers, t)
	m.notify()
	return true
}

func (m *Manual) notify() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *Manual) next() *manualTimer {
	var first *manualTimer
	for t := range m.timers {
		if first == nil || t.at.Before(first.at) {
			first = t
		}
	}
	return first
}

type manualTimer struct {
	clock *Manual
	at    time.Time
	c     chan time.Time
}

func (t *manualTimer) C() <-chan time.Time { return t.c }

func (t *manualTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	t.drain()
	return t.clock.stop(t)
}

func (t *manualTimer) Reset(d time.Duration) bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	t.drain()
	was := t.clock.stop(t)
	t.clock.start(t, d)
	return was
}

func (t *manualTimer) drain() {
	select {
	case <-t.c:
	default:
	}
}
