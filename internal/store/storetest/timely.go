package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Ages count from when the hub accepted a message first, whichever head it rests behind; of what waits for another object, from when it began to
// wait; and of what nobody knows the acceptance of, from when it was queued.
func testAges(t *testing.T, b *bench) {
	p, now := b.part(0), b.clock.Now()
	at := func(ago time.Duration) func(*state.Queued) {
		return func(q *state.Queued) { q.Event.Accepted = now.Add(-ago) }
	}
	unknown := func(q *state.Queued) { q.Event.Accepted = time.Time{} }
	wants := func(oldest, parked, waiting time.Duration) {
		t.Helper()
		got := b.totals(p.Flow)
		for _, c := range []struct {
			name string
			at   time.Time
			ago  time.Duration
		}{{"oldest", got.Oldest, oldest}, {"parked", got.OldestParked, parked}, {"waiting", got.OldestWaiting, waiting}} {
			if c.ago < 0 && !c.at.IsZero() || c.ago >= 0 && !c.at.Equal(now.Add(-c.ago)) {
				t.Errorf("%s: %v, want %v ago", c.name, c.at, c.ago)
			}
		}
	}
	const none = time.Duration(-1)
	wants(none, none, none)
	p.commit(rest(0, state.Parked, "a", at(3*time.Hour)), rest(1, state.Parked, "a", follower, at(4*time.Hour)))
	wants(none, 4*time.Hour, none)
	p.commit(rest(2, state.Waiting, "b", needs(state.Missing{Entity: "customer", System: "erp", Hub: "h"}), at(9*time.Hour)))
	wants(none, 4*time.Hour, 0)
	p.commit(rest(3, state.Held, "c", unknown))
	wants(0, 4*time.Hour, 0)
	p.commit(rest(4, state.Held, "d", at(time.Minute)), rest(5, state.Held, "d", follower, at(time.Hour)))
	wants(time.Hour, 4*time.Hour, 0)
	p.commit(drained(p.queue("a")[0], state.Delivered)) // what was behind it is the hub's to move, and as old as it is
	wants(4*time.Hour, none, 0)
	b.reopen()
	wants(4*time.Hour, none, 0)
	p = b.part(0)
	p.commit(drained(p.queue("a")[0], state.Delivered), drained(p.queue("d")[1], state.Delivered))
	wants(time.Minute, none, 0)
	b.accept(inbound(p.Flow, "1", "x"))
	if got, want := b.totals(p.Flow).Oldest, inbound("", "", "").Received; !got.Equal(want) {
		t.Errorf("with an inbox row of %v: %v", want, got)
	}
}

// What is delivered in time adds up over hubs and outlives them; it is told for an hour and a day, and forgotten after that.
func testTimely(t *testing.T, b *bench) {
	start, other := b.clock.Now(), b.other()
	add := func(s interface {
		AddTimely(ctx context.Context, now time.Time, counts []state.Timely) error
	}, flow string, delivered, late int64) {
		t.Helper()
		b.no(s.AddTimely(b.ctx(), b.clock.Now(), []state.Timely{{Flow: flow, Delivered: delivered, Late: late}, {Flow: "other", Delivered: 1}}))
	}
	wants := func(hour, day state.Timely) {
		t.Helper()
		got, err := b.Timely(b.ctx(), b.clock.Now())
		b.no(err)
		hour.Flow, day.Flow = "orders", "orders"
		if g := got["orders"]; g.Hour != hour || g.Day != day {
			t.Errorf("after %s: got %+v, want %+v and %+v", b.clock.Now().Sub(start), g, hour, day)
		}
	}
	b.no(b.AddTimely(b.ctx(), start, nil))
	add(b, "orders", 10, 1)
	add(other, "orders", 20, 2)
	wants(state.Timely{Delivered: 30, Late: 3}, state.Timely{Delivered: 30, Late: 3})
	b.clock.Add(30 * time.Minute)
	add(b, "orders", 5, 0)
	wants(state.Timely{Delivered: 35, Late: 3}, state.Timely{Delivered: 35, Late: 3})
	begin, step, steps, err := b.TimelySteps(b.ctx(), "orders", start, b.clock.Now())
	b.no(err)
	if begin.After(start) || start.Sub(begin) >= step || len(steps) != 2 || steps[0] != (state.TimelyStep{Timely: state.Timely{Flow: "orders", Delivered: 30, Late: 3}, Begin: begin}) ||
		steps[1].Delivered != 5 || steps[1].Begin != begin.Add(30*time.Minute) {
		t.Errorf("step by step from %s: %+v", begin, steps)
	}
	if _, _, all, err := b.TimelySteps(b.ctx(), "", b.clock.Now(), b.clock.Now()); err != nil || len(all) != 2 {
		t.Errorf("the last step of all flows: %+v %v", all, err)
	}
	b.reopen()
	b.clock.Add(31 * time.Minute)
	wants(state.Timely{Delivered: 35, Late: 3}, state.Timely{Delivered: 35, Late: 3}) // in steps of five minutes
	b.clock.Add(5 * time.Minute)
	wants(state.Timely{Delivered: 5}, state.Timely{Delivered: 35, Late: 3})
	b.clock.Add(23 * time.Hour)
	wants(state.Timely{}, state.Timely{Delivered: 5})
	b.clock.Add(-23 * time.Hour) // a clock that was set back: what is ahead of it is not yet
	wants(state.Timely{Delivered: 5}, state.Timely{Delivered: 35, Late: 3})
	b.clock.Add(48 * time.Hour)
	if _, err := b.Prune(b.ctx(), b.clock.Now()); err != nil {
		t.Fatal(err)
	}
	b.clock.Add(-48 * time.Hour)
	if got, err := b.Timely(b.ctx(), b.clock.Now()); err != nil || len(got) != 0 {
		t.Errorf("after pruning: %v, %v", got, err)
	}
}

// A database on a machine of its own has a clock of its own.
func testTheirClock(t *testing.T, b *bench) {
	before := time.Now().Add(-time.Second)
	at, ok, err := b.TheirClock(b.ctx())
	b.no(err)
	if ok != b.shared || ok && (at.Before(before) || at.After(time.Now().Add(time.Second))) {
		t.Errorf("%v, %v", at, ok)
	}
}
