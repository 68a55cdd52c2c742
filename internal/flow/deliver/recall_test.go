package deliver

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

// rememberer is a target where what was written stays, and which looks for itself whether a change was written before.
type rememberer struct {
	*erp
	since  []time.Time // of its writes
	looked []time.Time // of its looks
}

func (r *rememberer) WriteOnce() {}
func (r *rememberer) Recalls()   {}
func (r *rememberer) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	r.since = append(r.since, w.Since)
	return r.erp.Write(ctx, w)
}

func (r *rememberer) Find(ctx context.Context, l connector.Lookup) ([]connector.Record, error) {
	r.looked = append(r.looked, l.Since)
	return r.erp.Find(ctx, l)
}

// A target that looks whether a change was written before is told since when that may be, once nothing is under way any more.
func TestRecalled(t *testing.T) {
	early := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	own := state.Intent{Flow: "orders-to-erp", Topic: "orders", Epoch: 2, Entity: "order", Hub: "h", System: "erp", EventID: "e1", External: "ext", Opened: early, Begun: early}
	later := own
	later.Opened, later.Begun = early.Add(time.Minute), early.Add(time.Minute)
	created := own
	created.Create = true
	for name, c := range map[string]struct {
		set    func(b *bench)
		want   string
		writes []time.Time
		looks  []time.Time
		opened time.Time
	}{
		"never tried": {func(b *bench) { b.store.known.Ref = &state.Ref{Local: "7"} }, "delivered", []time.Time{{}}, nil, early.Add(time.Hour)},
		"an update that may be under way": {func(b *bench) {
			b.store.known.Ref, b.store.known.Intents = &state.Ref{Local: "7"}, []state.Intent{own}
		}, "held unknown-outcome", nil, nil, time.Time{}},
		"an update whose deadline is over": {func(b *bench) {
			b.store.known.Ref, b.store.known.Intents = &state.Ref{Local: "7"}, []state.Intent{later, own}
			b.clock.Advance(time.Hour)
		}, "delivered", []time.Time{early}, nil, early.Add(2 * time.Hour)},
		"another's update": {func(b *bench) {
			other := own
			other.EventID = "e9"
			b.store.known.Ref, b.store.known.Intents = &state.Ref{Local: "7"}, []state.Intent{other}
			b.clock.Advance(time.Hour)
		}, "delivered", []time.Time{{}}, nil, early.Add(2 * time.Hour)},
		"a create whose deadline is over": {func(b *bench) {
			b.store.known.Intents = []state.Intent{created}
			b.clock.Advance(time.Hour)
		}, "delivered", []time.Time{{}}, []time.Time{early}, early.Add(2 * time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			target := &rememberer{erp: b.erp}
			b.Target.Connector = target
			b.delivery = b.Line.deliver(b.Attempt)
			c.set(b)
			v, err := b.Line.Deliver(t.Context(), b.Attempt)
			if got := orErr(v, err); got != c.want {
				t.Fatalf("it ends %q, want %q", got, c.want)
			}
			same(t, "writes", target.since, c.writes)
			same(t, "looks", target.looked, c.looks)
			var opened time.Time
			if n := len(b.store.intents); n > 0 {
				opened = b.store.intents[n-1].Opened
			}
			if !opened.Equal(c.opened) {
				t.Errorf("the intent says %s, want %s", opened, c.opened)
			}
		})
	}
}

func same(t *testing.T, what string, got, want []time.Time) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i := range got {
		if !got[i].Equal(want[i]) {
			t.Errorf("%s: since %s, want %s", what, got[i], want[i])
		}
	}
}

// What this delivery itself has lost is told, too.
func TestRecalledWithin(t *testing.T) {
	b := newBench(t)
	target := &rememberer{erp: b.erp}
	b.Target.Connector = target
	b.store.known.Ref = &state.Ref{Local: "7"}
	b.delivery = b.Line.deliver(b.Attempt)
	b.ready(t)
	announced(b)
	began := b.clock.Now()
	b.erp.err = fault.New(fault.UnknownOutcome, "cut off")
	if got := orErr(send(t.Context(), b.delivery)); !strings.Contains(got, "cut off") {
		t.Fatal(got)
	}
	b.erp.err = nil
	b.clock.Advance(time.Second)
	announced(b)
	if got := orErr(send(t.Context(), b.delivery)); got != "delivered" {
		t.Fatal(got)
	}
	same(t, "writes", target.since, []time.Time{{}, began})
}
