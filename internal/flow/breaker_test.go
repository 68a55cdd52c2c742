package flow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// close is what a message that gets through does.
func (b *Breaker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.set(closed)
}

// watch lets the breaker of a system probe while the test runs.
func (w *world) watch(system string) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { w.deps.Systems[system].Breaker.Watch(ctx); close(done) }()
	w.t.Cleanup(func() { cancel(); <-done })
}

// calmly turns the clock as until does, but only while at least n sleep: then nothing is at work, and no time passes for the hub beside it.
func (w *world) calmly(n int, what string, holds func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 60*time.Second)
	defer cancel()
	for !holds() {
		if err := w.clock.BlockUntil(ctx, n); err != nil {
			w.t.Fatalf("never: %s", what)
		}
		if at, ok := w.clock.Next(); ok {
			w.clock.Set(at)
		}
	}
}

// hands gives one record of each number to the flow, each in its own time.
func (w *world) hands(r *Runner, numbers ...string) (done chan error) {
	w.t.Helper()
	done = make(chan error, len(numbers))
	for i, no := range numbers {
		e := order(no, 1, "1")
		b := &event.Batch{Topic: "orders", Epoch: w.epoch(r), Lane: event.LaneOf(e.Lane(), 16), Records: []event.Record{{Topic: "orders", Offset: int64(i), Key: []byte(e.Lane()), Value: e.Data, Headers: e.Headers()}}}
		go func() { done <- w.handQuiet(r, b) }()
	}
	return done
}

// lanesApart gives n numbers of orders whose keys are dealt to different lanes.
func lanesApart(n int) []string {
	var out []string
	used := map[int]bool{}
	for i := 0; len(out) < n; i++ {
		e := order(fmt.Sprint("N", i), 1, "1")
		if lane := event.LaneOf(e.Lane(), 16); !used[lane] {
			used[lane] = true
			out = append(out, fmt.Sprint("N", i))
		}
	}
	return out
}

// sick is a target that answers its probe while every write fails, until it is cured.
type sick struct {
	*target
	mu    sync.Mutex
	cured bool
	tries int
}

func (s *sick) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	s.mu.Lock()
	s.tries++
	cured := s.cured
	s.mu.Unlock()
	if !cured {
		return connector.Result{}, refusedConn
	}
	return s.target.Write(ctx, w)
}

func (s *sick) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries
}

// A system that answers its probe and takes nothing is asked ever more seldom, and the time counts against nobody.
func TestProbeSucceedsWhileWritesFail(t *testing.T) {
	w := newWorld(t)
	s := &sick{target: w.erp}
	w.deps.Systems["erp"].Connector = s
	w.watch("erp")
	r := w.flow("orders-to-erp")
	done := w.hands(r, lanesApart(8)...)
	// Eight wait for their next try, beside the drain and the breaker's watch, before the clock moves.
	if err := w.clock.BlockUntil(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	// The clock is turned in steps, with a moment for the hub to work in between.
	later := func(d time.Duration) {
		for end := w.clock.Now().Add(d); w.clock.Now().Before(end); {
			w.clock.Advance(5 * time.Second)
			<-time.After(2 * time.Millisecond) // eight writers at once: none gives a signal that it rests
		}
	}
	later(10 * time.Minute)
	first := s.count()
	later(2 * time.Hour)
	if got := w.totals("orders-to-erp"); got.Parked > 0 {
		t.Errorf("while the system took nothing: %+v", got)
	}
	if n := s.count() - first; n < trials || n > 2*60*60/30*2*trials {
		t.Errorf("%d calls in two hours", n)
	}
	s.mu.Lock()
	s.cured = true
	s.mu.Unlock()
	w.until("all delivered", func() bool { return w.totals("orders-to-erp").Delivered == 8 })
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// held is a target whose writes stand until they are let go.
type heldUp struct {
	*target
	mu       sync.Mutex
	in, most int
	free     chan struct{}
}

func (h *heldUp) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	h.mu.Lock()
	h.in++
	h.most = max(h.most, h.in)
	h.mu.Unlock()
	select {
	case <-h.free:
	case <-ctx.Done():
		return connector.Result{}, ctx.Err()
	}
	h.mu.Lock()
	h.in--
	h.mu.Unlock()
	return h.target.Write(ctx, w)
}

// A few messages try a system that answers its probe again; the first that gets through lets the others go.
func TestHalfOpen(t *testing.T) {
	w := newWorld(t)
	h := &heldUp{target: w.erp, free: make(chan struct{})}
	sys := w.deps.Systems["erp"]
	sys.Connector = h
	b := sys.Breaker
	b.Trip(errors.New("down"))
	r := w.flow("orders-to-erp")
	done := w.hands(r, lanesApart(10)...)
	w.watch("erp")
	state := func() (state, trying, in int) {
		b.mu.Lock()
		defer b.mu.Unlock()
		h.mu.Lock()
		defer h.mu.Unlock()
		return b.state, b.trying, h.in
	}
	w.until("half open", func() bool { s, _, _ := state(); return s == halfOpen })
	eventually(t, "a few try", func() bool { _, trying, in := state(); return trying == trials && in == trials })
	h.free <- struct{}{}
	eventually(t, "it is closed", func() bool { s, _, _ := state(); return s == closed })
	close(h.free)
	for range 10 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	w.expect("orders-to-erp", "delivered=10")
	if h.most < trials {
		t.Errorf("%d at once", h.most)
	}
	if _, trying, _ := state(); trying != 0 {
		t.Errorf("%d trials are never over", trying)
	}
}

// The pause grows while the breaker opens soon after it was closed, and begins anew when it was closed for long.
func TestBreakerBacksOff(t *testing.T) {
	clock := lifecycle.NewManual(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC))
	b := NewBreaker("erp", clock, slog.New(slog.DiscardHandler), func(context.Context) error { return nil })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { b.Watch(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	halfOpenAfter := func() time.Duration {
		t.Helper()
		began := clock.Elapsed()
		for {
			if err := clock.BlockUntil(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			b.mu.Lock()
			state := b.state
			b.mu.Unlock()
			if state == halfOpen {
				return clock.Elapsed() - began
			}
			at, _ := clock.Next()
			clock.Set(at)
		}
	}
	var pauses []time.Duration
	for range 12 {
		for _, key := range []string{"a", "b", "c"} {
			b.Failure(key, refusedConn)
		}
		if _, _, open := b.Open(); !open {
			t.Fatal("three keys have failed and it is not open")
		}
		pauses = append(pauses, halfOpenAfter())
	}
	if pauses[0] > time.Second || pauses[11] < probeMost || pauses[11] > 2*probeMost {
		t.Errorf("it was open for %v", pauses)
	}
	for i := 1; i < len(pauses); i++ {
		if pauses[i] < pauses[i-1] {
			t.Errorf("it was open for %v", pauses)
			break
		}
	}
	leave, err := b.Enter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	b.Success()
	leave()
	b.Trip(unauthd)
	if again := halfOpenAfter(); again < probeMost {
		t.Errorf("one success and it forgets that it flaps: open for %v", again)
	}
	b.Success()
	clock.Advance(soon)
	b.Trip(refusedConn)
	if again := halfOpenAfter(); again > time.Second {
		t.Errorf("after a quiet time it was open for %v", again)
	}
}

// A system that takes some messages and fails others in a row is slow, not down. It counts as down when it takes nothing for a while.
func TestBreakerOfASystemThatTakesSome(t *testing.T) {
	clock := lifecycle.NewManual(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC))
	b := NewBreaker("erp", clock, slog.New(slog.DiscardHandler), func(context.Context) error { return nil })
	fail := func(n int) {
		for i := range n {
			b.Failure(fmt.Sprint(i), refusedConn)
		}
	}
	open := func() bool { _, _, open := b.Open(); return open }
	for range 100 {
		b.Success()
		clock.Advance(openFor / 2)
		fail(5)
		if open() {
			t.Fatal("it is open although the system took a message a moment ago")
		}
	}
	for range 2 {
		b.Success()
		clock.Advance(openFor)
		if fail(openAfter - 1); open() {
			t.Error("it is open for too few keys since the last success")
		}
	}
	if fail(openAfter); !open() {
		t.Error("the system has taken nothing for a while, and it is not open")
	}
}

// A system that works for a moment and is down again is asked ever more seldom; one that has taken a good number of messages is not.
func TestBreakerForgets(t *testing.T) {
	for _, n := range []int{1, enough - 1, enough, 10 * enough} {
		clock := lifecycle.NewManual(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC))
		b := NewBreaker("erp", clock, slog.New(slog.DiscardHandler), func(context.Context) error { return nil })
		for range 5 {
			b.Trip(refusedConn)
			b.mu.Lock()
			b.set(halfOpen) // as Watch does
			b.mu.Unlock()
		}
		for range n {
			b.Success()
		}
		b.Trip(refusedConn)
		if got, want := b.stays == 0, n >= enough; got != want {
			t.Errorf("after %d messages: open for at least %s", n, b.stays)
		}
	}
}

// A key that fails alone is parked when its retry time is over; the time in which the whole system was down does not count.
func TestRetryTimeLeavesOutages(t *testing.T) {
	turnsTheClock(t)
	w := newWorld(t)
	for range 10_000 {
		w.erp.script = append(w.erp.script, step{false, refusedConn, nil})
	}
	w.watch("erp")
	r := w.flow("orders-to-erp")
	b := w.deps.Systems["erp"].Breaker
	w.must(r, order("A", 1, "1"))
	w.expect("orders-to-erp", "held=1")
	w.erp.mu.Lock()
	w.erp.probe = refusedConn
	w.erp.mu.Unlock()
	b.Trip(refusedConn)
	down := w.clock.Now()
	w.calmly(2, "a while later", func() bool { return w.clock.Now().Sub(down) > 15*time.Minute })
	w.expect("orders-to-erp", "held=1")
	w.erp.mu.Lock()
	w.erp.probe = nil
	w.erp.mu.Unlock()
	up := w.clock.Now()
	w.calmly(2, "parked", func() bool { return w.summary("orders-to-erp") == "parked=1" })
	if took := w.clock.Now().Sub(up); took < 3*time.Minute || took > 10*time.Minute {
		t.Errorf("parked %v after the outage", took)
	}
}
