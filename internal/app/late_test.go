package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/bus/embedded"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// ahead is the machine's clock, and what a test has turned it on by.
type ahead struct {
	lifecycle.Clock
	by atomic.Int64
}

func (a *ahead) Now() time.Time       { return a.Clock.Now().Add(time.Duration(a.by.Load())) }
func (a *ahead) turn(d time.Duration) { a.by.Add(int64(d)) }

// lateWorld is a hub whose clock is turned by hand, and a target that can be made to answer nothing.
type lateWorld struct {
	t     *testing.T
	p     *project
	g     *target
	clock *ahead
	hub   *Hub
}

func newLateWorld(t *testing.T) *lateWorld { return newLateWorldWith(t, "") }

// newLateWorldWith has more in its configuration.
func newLateWorldWith(t *testing.T, more string) *lateWorld {
	g := newTarget(t)
	w := &lateWorld{t: t, p: newProject(t, g.URL), g: g, clock: &ahead{Clock: lifecycle.Real()}}
	w.p.clock = w.clock
	w.p.edit("configs/waybill.yaml", "hooks: {listen: 127.0.0.1:0}\n", "hooks: {listen: 127.0.0.1:0}\n"+more)
	w.hub = w.p.start(io.Discard)
	return w
}

func (w *lateWorld) push(from, to int) {
	w.t.Helper()
	for n := from; n < to; n++ {
		if status, err := push(w.t.Context(), w.hub, "shop/orders", fmt.Sprint("d-", n), document{No: fmt.Sprint("A", n), Seq: 1}); err != nil || status != 202 {
			w.t.Fatalf("a webhook: %d %v", status, err)
		}
	}
}

func (w *lateWorld) status() *api.Status {
	w.t.Helper()
	st, err := w.hub.Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

func (w *lateWorld) flow(name string) api.Flow { return ofFlow(w.t, w.status(), name) }

// want waits for a state and checks the age.
func (w *lateWorld) want(name, state, why string, from, to time.Duration) {
	w.t.Helper()
	var f api.Flow
	await(w.t, name+" to be "+state, func() bool { f = w.flow(name); return f.State == state })
	if age := time.Duration(f.InFlightSeconds * float64(time.Second)); !strings.Contains(f.Why, why) || age < from || age > to || f.OldestSeconds < f.InFlightSeconds {
		w.t.Errorf("%s: %q after %s, %v; want %q after %s to %s", name, f.Why, age, f.OldestSeconds, why, from, to)
	}
	if state == api.StateLate && !w.status().Failing() {
		w.t.Errorf("%s is late, and nobody is told", name)
	}
}

// TestLateIsLate: a slow target with messages behind it makes the flow late by the age of what waits on its topic, whoever has read it; what was
// delivered then is counted as late, on this hub and after a restart.
func TestLateIsLate(t *testing.T) {
	t.Parallel()
	w := newLateWorld(t)
	release := make(chan struct{})
	w.g.block = func(document) { <-release }
	w.push(0, 53)
	await(t, "the orders to be before the target", func() bool { return w.flow("orders-to-erp").Lag == 53 && w.flow("orders").Delivered == 53 })
	w.want("orders-to-erp", api.StateRunning, "", 0, 5*time.Minute)
	w.clock.turn(16 * time.Minute)
	w.want("orders-to-erp", api.StateLate, "the oldest message is 16m", 16*time.Minute, 18*time.Minute)
	if f := w.flow("orders"); f.State != api.StateRunning || f.OldestSeconds != 0 || f.OnTime.Day.Delivered != 53 || *f.OnTime.Day.Share != 1 {
		t.Errorf("the flow before it: %+v", f)
	}
	close(release)
	w.g.mu.Lock()
	w.g.block = nil
	w.g.mu.Unlock()
	rest(t, w.hub)
	w.want("orders-to-erp", api.StateRunning, "", 0, 0)
	w.push(53, 100)
	rest(t, w.hub)
	check := func(when string, hour, day int64) {
		t.Helper()
		var got api.OnTime
		await(t, when+": every delivery to be counted, which is a moment after its fate is stored", func() bool {
			got = w.flow("orders-to-erp").OnTime
			return got.Day.Delivered == day
		})
		if got.LateAfterSeconds != 900 || got.Hour.Delivered != hour || got.Day.Delivered != day || got.Day.Late != 53 || got.Hour.Late != min(hour, 53) {
			t.Errorf("%s: %+v", when, got)
		}
		if share := float64(day-53) / float64(day); *got.Day.Share != share {
			t.Errorf("%s: a share of %v, want %v", when, *got.Day.Share, share)
		}
	}
	check("before the restart", 100, 100)
	if err := w.hub.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.hub = w.p.start(io.Discard)
	check("after the restart", 100, 100)
	w.clock.turn(2 * time.Hour)
	check("two hours later", 0, 100)
}

// TestPausedAgesToo: what comes in while a flow is paused grows old, and the status says who has paused it.
func TestPausedAgesToo(t *testing.T) {
	t.Parallel()
	w := newLateWorld(t)
	if err := w.hub.Pause(t.Context(), "orders-to-erp", "ann"); err != nil {
		t.Fatal(err)
	}
	w.push(0, 3)
	await(t, "the orders to be on the topic", func() bool { return w.flow("orders-to-erp").Lag == 3 })
	w.want("orders-to-erp", api.StatePaused, "paused by ann since ", 0, 5*time.Minute)
	w.clock.turn(16 * time.Minute)
	w.want("orders-to-erp", api.StateLate, "; the oldest message is 16m", 16*time.Minute, 18*time.Minute)
	if f := w.flow("orders-to-erp"); !strings.HasPrefix(f.Why, "paused by ann since ") || f.Paused == nil || f.Paused.By != "ann" || f.Paused.Since.IsZero() {
		t.Errorf("%q, %+v", f.Why, f.Paused)
	}
	if err := w.hub.Resume(t.Context(), "orders-to-erp", "ann"); err != nil {
		t.Fatal(err)
	}
	rest(t, w.hub)
	w.want("orders-to-erp", api.StateRunning, "", 0, 0)
}

// TestAgeGoesOverTopics: a message is as old on its second topic as it was on its first, whenever its records were written.
func TestAgeGoesOverTopics(t *testing.T) {
	t.Parallel()
	w := newLateWorld(t)
	for _, name := range []string{"orders", "orders-to-erp"} {
		if err := w.hub.Pause(t.Context(), name, "ann"); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.turn(-16 * time.Minute) // the bus writes by the machine's clock: the records are new
	w.push(0, 1)
	await(t, "the order to be on its first topic", func() bool { return w.flow("orders").Lag == 1 })
	w.want("orders", api.StatePaused, "", 0, 5*time.Minute)
	w.clock.turn(16 * time.Minute)
	w.want("orders", api.StateLate, "", 16*time.Minute, 18*time.Minute)
	w.want("orders-to-erp", api.StatePaused, "", 0, 0)
	if err := w.hub.Resume(t.Context(), "orders", "ann"); err != nil {
		t.Fatal(err)
	}
	w.want("orders-to-erp", api.StateLate, "", 16*time.Minute, 18*time.Minute)
}

// TestUnpublishedAges: what lies in the inbox grows old, also while the broker does not answer.
func TestUnpublishedAges(t *testing.T) {
	t.Parallel()
	b, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	g := newTarget(t)
	w := &lateWorld{t: t, p: newProject(t, g.URL), g: g, clock: &ahead{Clock: lifecycle.Real()}}
	w.p.clock = w.clock
	w.p.edit("configs/waybill.yaml", `embedded: {dir: "`+w.p.dir+`/data/broker"}`, `kafka: {brokers: ["`+b.Addr()+`"], replication: 1}`)
	w.hub = w.p.start(io.Discard)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	w.push(0, 2)
	w.clock.turn(16 * time.Minute)
	f := w.flow("orders")
	if f.State != api.StateFailing && f.State != api.StateLate || f.InFlightSeconds < 16*60 || f.InFlight != 2 {
		t.Errorf("%+v", f)
	}
}

// TestAgesOfWhatWaits: the age is that of the oldest record without a fate; what is finished above the position does not count, and a broker that
// does not answer leaves what was seen.
func TestAgesOfWhatWaits(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := lifecycle.NewManual(noon)
	records := []bus.Peeked{{Offset: 5, Accepted: noon.Add(-time.Minute)}, {Offset: 6, Accepted: noon.Add(-time.Hour)}, {Offset: 7}, {Offset: 9, Accepted: noon.Add(-time.Second)}}
	asked := 0
	broker := func(at int64, answer []bus.Peeked, err error) peeker {
		return func(_ context.Context, topic string, _ int, from int64) ([]bus.Peeked, error) {
			if asked++; topic != "t" || from != at {
				t.Errorf("asked for %s from %d", topic, from)
			}
			return answer, err
		}
	}
	var a topicAges
	step := func(what string, w waits, ask peeker, calls int, want time.Time) {
		t.Helper()
		asked = 0
		if got := a.look(t.Context(), clock, []waits{w}, ask)["f"]; !got.Equal(want) || asked != calls {
			t.Errorf("%s: %v after %d calls, want %v after %d", what, got, asked, want, calls)
		}
	}
	at := func(from int64, done ...event.Range) waits { return waits{"f", peekKey{"t", 0, from}, done} }
	step("at first", at(5), broker(5, records, nil), 1, noon.Add(-time.Hour))
	step("at once again", at(5), broker(5, nil, nil), 0, noon.Add(-time.Hour))
	step("the oldest is finished", at(5, event.Range{From: 6, To: 8}), broker(5, nil, nil), 0, noon.Add(-time.Minute))
	step("the position has moved", at(7), broker(7, nil, nil), 0, noon.Add(-time.Second))
	clock.Advance(peekFresh)
	step("it moves on later", at(8), broker(8, nil, errors.New("silent")), 1, noon.Add(-time.Second))
	step("past all that was seen", at(10), broker(10, []bus.Peeked{{Offset: 10, Accepted: noon}}, nil), 1, noon)
	clock.Advance(peekSteady)
	step("no answer", at(10), broker(10, nil, errors.New("silent")), 1, noon)
	step("nothing waits", waits{"g", peekKey{"u", 0, 1}, nil}, func(context.Context, string, int, int64) ([]bus.Peeked, error) { asked++; return nil, nil }, 1, time.Time{})
	if len(a.seen) != 1 {
		t.Errorf("%d answers are kept", len(a.seen))
	}
}

// TestClockOff: a hub whose clock differs from its systems' says so while they answer, and no more when it is set right; no age is negative meanwhile.
func TestClockOff(t *testing.T) {
	t.Parallel()
	w := newLateWorld(t)
	sent := 0
	until := func(state, why string) {
		t.Helper()
		var self api.Self
		await(t, "the hub to be "+state, func() bool {
			w.push(sent, sent+1)
			sent++
			rest(t, w.hub)
			self = w.status().Hub
			return self.State == state
		})
		if !strings.HasPrefix(self.Why, why) || why == "" && self.Why != "" || w.status().Failing() {
			t.Errorf("%+v", self)
		}
	}
	until("running", "")
	w.clock.turn(3 * time.Minute)
	until("attention", "the hub's clock and others do not agree: erp 2m5") // the Date of an answer is to the second
	w.clock.turn(-6 * time.Minute)
	if err := w.hub.Pause(t.Context(), "orders-to-erp", "ann"); err != nil {
		t.Fatal(err)
	}
	w.push(sent, sent+1)
	sent++
	await(t, "an order to be on the topic", func() bool { return w.flow("orders-to-erp").Lag == 1 })
	w.clock.turn(-time.Hour) // what waits comes from the future
	if f := w.flow("orders-to-erp"); f.State != api.StatePaused || f.OldestSeconds != 0 || f.InFlightSeconds != 0 {
		t.Errorf("%+v", f)
	}
	if err := w.hub.Resume(t.Context(), "orders-to-erp", "ann"); err != nil {
		t.Fatal(err)
	}
	w.clock.turn(time.Hour)
	until("attention", "the hub's clock and others do not agree: erp 2m5")
	w.clock.turn(3 * time.Minute)
	until("running", "")
}

// TestClocksSeen: one odd answer says nothing, and what was seen is forgotten.
func TestClocksSeen(t *testing.T) {
	t.Parallel()
	var c clocks
	const hour = time.Hour
	for i, step := range []struct {
		from, at time.Duration
		want     int // clocks that are known
		off      bool
		changed  bool // to be logged
	}{
		{0, 0, 1, false, false}, {hour, 1, 0, false, false}, {0, 2, 1, false, false}, {hour, 3, 0, false, false}, {hour, 4, 1, true, true}, {hour, 5, 1, true, false}, {0, 5, 1, false, true},
		{0, 5, 1, false, false},
	} {
		if off, changed := c.note("erp", step.from, step.from+time.Second, step.at); off != step.off || changed != step.changed {
			t.Errorf("step %d: off %v, changed %v", i, off, changed)
		}
		got := c.facts(step.at)
		if len(got.Seen) != step.want || step.want > 0 && got.Seen[0].Off() != step.off {
			t.Errorf("step %d: %+v", i, got)
		}
	}
	if got := c.facts(5 + clockKept); len(got.Seen) != 1 {
		t.Errorf("kept for a while: %+v", got)
	}
	if got := c.facts(6 + clockKept); len(got.Seen) != 0 || len(c.seen) != 0 {
		t.Errorf("forgotten: %+v", got)
	}
}

// TestStampsAhead: records that were accepted by a clock ahead of this hub's are told of by their topic.
func TestStampsAhead(t *testing.T) {
	t.Parallel()
	w := newLateWorld(t)
	if err := w.hub.Pause(t.Context(), "orders-to-erp", "ann"); err != nil {
		t.Fatal(err)
	}
	w.clock.turn(time.Hour)
	w.push(0, 2)
	await(t, "the orders to be on the topic", func() bool { return w.flow("orders-to-erp").Lag == 2 })
	w.clock.turn(-time.Hour)
	if err := w.hub.Resume(t.Context(), "orders-to-erp", "ann"); err != nil {
		t.Fatal(err)
	}
	rest(t, w.hub)
	if self := w.status().Hub; self.State != "attention" || !strings.Contains(self.Why, "the stamps of canonical.order 59m") {
		t.Errorf("%+v", self)
	}
	if f := w.flow("orders-to-erp"); f.OnTime.Hour.Delivered != 2 || f.OnTime.Hour.Late != 0 {
		t.Errorf("%+v", f.OnTime)
	}
}
