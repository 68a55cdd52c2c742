package flow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/flow/breaker"
)

// trip opens a breaker, and letIn closes it: as a refusal of the credentials does, and the first message that is taken after it.
func trip(b *breaker.Breaker, cause error) { b.Refused(cause) }

func letIn(b *breaker.Breaker) { b.Success("") }

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
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
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
}

func (s *sick) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	s.mu.Lock()
	cured := s.cured
	s.mu.Unlock()
	if !cured {
		return connector.Result{}, refusedConn
	}
	return s.target.Write(ctx, w)
}

// Where everything fails, the system is at fault, whatever its probe says: nothing is parked. What fails alone is.
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
	later(2 * time.Hour)
	if got := w.totals("orders-to-erp"); got.Parked > 0 {
		t.Errorf("while the system took nothing: %+v", got)
	}
	// On a slow machine ten minutes may pass between two tries, and what is not tried for so long is forgotten until the next.
	w.until("failing for long", func() bool {
		h := r.target.Breaker.Health()
		if h.Down {
			t.Fatalf("the system is %+v", h)
		}
		return h.Failing && h.Lasts && errors.Is(h.Cause, refusedConn)
	})
	s.mu.Lock()
	s.cured = true
	s.mu.Unlock()
	for began := time.Now(); w.totals("orders-to-erp").Delivered < 8; later(10 * time.Minute) {
		if time.Since(began) > patience {
			t.Fatal("never: all delivered")
		}
	}
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
	trip(b, errors.New("down"))
	r := w.flow("orders-to-erp")
	done := w.hands(r, lanesApart(10)...)
	w.watch("erp")
	in := func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.in
	}
	w.until("half open", func() bool { return !b.Open() })
	const trials = 3
	eventually(t, "a few try", func() bool { return in() == trials })
	h.free <- struct{}{}
	eventually(t, "it is closed", func() bool { return !b.Health().Failing })
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
	began := w.clock.Now()
	done := w.hands(r, "A")
	// It is down between two calls: one under way would park what has used its time up.
	w.calmly(2, "held", func() bool { return w.summary("orders-to-erp") == "held=1" })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.clock.BlockUntil(ctx, 2); err != nil {
		t.Fatal(err)
	}
	w.expect("orders-to-erp", "held=1")
	w.erp.mu.Lock()
	w.erp.probe = refusedConn
	w.erp.mu.Unlock()
	trip(b, refusedConn)
	down := w.clock.Now()
	used := down.Sub(began) // at most; how often the clock was turned on depends on the machine
	w.calmly(2, "a while later", func() bool { return w.clock.Now().Sub(down) > 15*time.Minute })
	w.expect("orders-to-erp", "held=1")
	w.erp.mu.Lock()
	w.erp.probe = nil
	w.erp.mu.Unlock()
	up := w.clock.Now()
	w.calmly(2, "parked", func() bool { return w.summary("orders-to-erp") == "parked=1" })
	if took := w.clock.Now().Sub(up); took+used < 5*time.Minute || took > 10*time.Minute {
		t.Errorf("parked %v after the outage, of which %v were used before", took, used)
	}
}
