package storetest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

func (b *bench) filler(flow, holder string) state.Lease {
	b.t.Helper()
	l, ok, err := b.AcquireLease(b.ctx(), state.BackfillLease(flow), holder, time.Minute)
	if err != nil || !ok {
		b.t.Fatalf("the lease of %s: %v %v", flow, ok, err)
	}
	return l
}

func (b *bench) wantBackfill(w state.Backfill) state.Backfill {
	b.t.Helper()
	got, fresh, err := b.WantBackfill(b.ctx(), w)
	if err != nil || !fresh {
		b.t.Fatalf("%+v %v %v", got, fresh, err)
	}
	return got
}

func testBackfill(t *testing.T, b *bench) {
	since := b.clock.Now().Add(-time.Hour)
	one := b.wantBackfill(state.Backfill{Flow: "products", Who: "ann", Why: "the first load", Since: since})
	if one.ID != 1 || one.State != state.BackfillWanted || !one.Since.Equal(since) || one.Wanted.IsZero() {
		t.Errorf("%+v", one)
	}
	// One of a flow at a time; the other flow's has the next number.
	again, fresh, err := b.WantBackfill(b.ctx(), state.Backfill{Flow: "products", Who: "bob"})
	if err != nil || fresh || again.ID != 1 || again.Who != "ann" {
		t.Errorf("%+v %v %v", again, fresh, err)
	}
	two := b.wantBackfill(state.Backfill{Flow: "orders", Who: "bob", Again: true})
	if two.ID != 2 || !two.Again {
		t.Errorf("%+v", two)
	}

	l := b.filler("products", "hub-1")
	got, err := b.BeginBackfill(b.ctx(), l, 1)
	if err != nil || got.State != state.BackfillRunning || got.Attempt != 1 || got.Started.IsZero() {
		t.Fatalf("%+v %v", got, err)
	}
	began := got.Started
	place := state.BackfillPlace{About: "crm/product", Cursor: `{"n":1}`, AsOf: 17, Moved: true, Rounds: 2}
	progress := state.BackfillProgress{Submitted: 400, Before: [2]int64{300, 1}, Unread: 1, FirstUnread: "17", Expect: 5000, PerHour: 45_000, Left: time.Minute, AtOnce: 8, Text: "waits"}
	for _, p := range []*state.BackfillPlace{&place, nil} {
		if who, err := b.SaveBackfill(b.ctx(), l, 1, p, progress); err != nil || who != "" {
			t.Fatalf("cancelled by %q, %v", who, err)
		}
	}
	b.reopen()
	// Another hub takes it up where it was left.
	b.no(b.ReleaseLease(b.ctx(), l))
	l2 := b.filler("products", "hub-2")
	if got, err = b.BeginBackfill(b.ctx(), l2, 1); err != nil || got.Attempt != 2 || got.Place != place || got.Progress != progress || !got.Started.Equal(began) {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := b.SaveBackfill(b.ctx(), l, 1, nil, progress); !errors.Is(err, state.ErrFenced) {
		t.Errorf("the hub before: %v", err)
	}
	if err := b.EndBackfill(b.ctx(), l, state.Backfill{ID: 1, State: state.BackfillFailed}); !errors.Is(err, state.ErrFenced) {
		t.Errorf("the hub before: %v", err)
	}
	if _, err := b.BeginBackfill(b.ctx(), l2, 2); !errors.Is(err, state.ErrFenced) {
		t.Errorf("under another flow's lease: %v", err)
	}

	// A person ends it: who works it is told.
	b.no(b.CancelBackfill(b.ctx(), 1, "cyd", "too slow"))
	b.no(b.CancelBackfill(b.ctx(), 1, "dan", ""))
	if who, err := b.SaveBackfill(b.ctx(), l2, 1, nil, progress); err != nil || who != "cyd: too slow" {
		t.Errorf("cancelled by %q, %v", who, err)
	}
	end := state.Backfill{ID: 1, State: state.BackfillCancelled, Detail: "cancelled by cyd: too slow", Progress: progress}
	b.no(b.EndBackfill(b.ctx(), l2, end))
	b.no(b.EndBackfill(b.ctx(), l2, end))
	if got, err = b.BackfillByID(b.ctx(), 1); err != nil || got.State != state.BackfillCancelled || got.Place != (state.BackfillPlace{}) || got.Finished.IsZero() || got.Detail != end.Detail || got.Progress != progress {
		t.Errorf("%+v %v", got, err)
	}
	for what, err := range map[string]error{
		"to cancel what is over": b.CancelBackfill(b.ctx(), 1, "ann", ""),
		"to cancel what is not":  b.CancelBackfill(b.ctx(), 9, "ann", ""),
		"to end it otherwise":    b.EndBackfill(b.ctx(), l2, state.Backfill{ID: 1, State: state.BackfillDone}),
	} {
		if !errors.Is(err, state.ErrBusy) && !errors.Is(err, state.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := b.BeginBackfill(b.ctx(), l2, 1); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("what is over begins: %v", err)
	}

	// One that nobody has begun ends at once.
	b.no(b.CancelBackfill(b.ctx(), 2, "bob", ""))
	if got, err = b.BackfillByID(b.ctx(), 2); err != nil || got.State != state.BackfillCancelled || got.Detail != "cancelled by bob" {
		t.Errorf("%+v %v", got, err)
	}
	three := b.wantBackfill(state.Backfill{Flow: "products", Who: "ann"})
	if three.ID != 3 {
		t.Errorf("its number is %d", three.ID)
	}
	ids := func(f state.BackfillFilter) (out []int64) {
		t.Helper()
		all, err := b.Backfills(b.ctx(), f)
		b.no(err)
		for _, one := range all {
			out = append(out, one.ID)
		}
		return out
	}
	for _, c := range []struct {
		f    state.BackfillFilter
		want []int64
	}{{state.BackfillFilter{}, []int64{3, 2, 1}}, {state.BackfillFilter{Open: true}, []int64{3}}, {state.BackfillFilter{Flow: "orders"}, []int64{2}},
		{state.BackfillFilter{Before: 3, Limit: 1}, []int64{2}}} {
		if got := ids(c.f); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.f, got, c.want)
		}
	}
	last, err := b.LastBackfills(b.ctx())
	if err != nil || len(last) != 2 || last["products"].ID != 3 || last["orders"].ID != 2 {
		t.Errorf("%v %v", last, err)
	}
	audits, err := b.Audits(b.ctx(), state.AuditFilter{Limit: 20})
	b.no(err)
	var said []string
	for _, a := range slices.Backward(audits) {
		said = append(said, a.Who+" "+a.Action+" "+a.Object+": "+a.Detail)
	}
	want := []string{"ann backfill flow/products: backfill 1, of what has changed since " + since.UTC().Format(time.RFC3339) + ": the first load", "bob resend-all flow/orders: backfill 2",
		"cyd cancel flow/products: backfill 1: too slow", "ann backfill-ended flow/products: backfill 1: cancelled, 400 objects: cancelled by cyd: too slow", "bob cancel flow/orders: backfill 2",
		"bob resend-all-ended flow/orders: backfill 2: cancelled, 0 objects: cancelled by bob", "ann backfill flow/products: backfill 3"}
	if !slices.Equal(said, want) {
		t.Errorf("the audit says\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}

	// What ended long ago goes, but for what says how a flow stands.
	b.clock.Add(3 * 365 * 24 * time.Hour)
	_, err = b.Prune(b.ctx(), b.clock.Now())
	b.no(err)
	if got := ids(state.BackfillFilter{}); !slices.Equal(got, []int64{3, 2}) {
		t.Errorf("after the pruning: %v", got)
	}
}

// testAcceptedSince: what came while a page was read is there for as long as the backfill may ask for it.
func testAcceptedSince(t *testing.T, b *bench) {
	accept := func(flow, id string) {
		t.Helper()
		_, _, err := b.Accept(b.ctx(), []state.Inbound{{Flow: flow, ID: id, DeliveryID: id, Body: []byte("{}"), Received: b.clock.Now()}}, nil, nil)
		b.no(err)
	}
	since := func(after int64, limit int) (out []string) {
		t.Helper()
		rows, err := b.AcceptedSince(b.ctx(), "products", after, "submitted/backfill/", limit)
		b.no(err)
		for _, r := range rows {
			out = append(out, r.ID)
		}
		return out
	}
	accept("products", "1")
	asOf, err := b.NextInbox(b.ctx())
	b.no(err)
	accept("products", "2")
	accept("orders", "3")
	accept("products", "submitted/backfill/4")
	accept("products", "5")
	if got := since(asOf, 10); !slices.Equal(got, []string{"2", "5"}) {
		t.Errorf("accepted since: %v", got)
	}
	if got := since(asOf, 1); !slices.Equal(got, []string{"2"}) {
		t.Errorf("one of them: %v", got)
	}

	one := b.wantBackfill(state.Backfill{Flow: "products", Who: "ann"})
	l := b.filler("products", "hub-1")
	_, err = b.BeginBackfill(b.ctx(), l, one.ID)
	b.no(err)
	_, err = b.SaveBackfill(b.ctx(), l, one.ID, &state.BackfillPlace{AsOf: asOf}, state.BackfillProgress{})
	b.no(err)
	relay := b.lease("relay/products", "hub-1")
	rows, err := b.Unpublished(b.ctx(), "products", 10, 0)
	b.no(err)
	for _, r := range rows { // on no topic at all, so that nothing but the backfill keeps them
		b.no(b.MarkPublished(b.ctx(), relay, []state.Published{{Seq: r.Seq}}, nil))
	}
	_, err = b.Prune(b.ctx(), b.clock.Now())
	b.no(err)
	if got := since(0, 10); !slices.Equal(got, []string{"2", "5"}) {
		t.Errorf("after the pruning: %v", got)
	}
	b.no(b.EndBackfill(b.ctx(), l, state.Backfill{ID: one.ID, State: state.BackfillDone}))
	_, err = b.Prune(b.ctx(), b.clock.Now())
	b.no(err)
	if got := since(0, 10); len(got) != 0 {
		t.Errorf("when it is over: %v", got)
	}
}
