package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

func inbound(flow, id, body string) state.Inbound {
	return state.Inbound{Flow: flow, DeliveryID: id, ID: id, Headers: map[string]string{"webhook-id": id}, Body: []byte(body),
		Trace: "trace", Received: time.Date(2026, 3, 1, 11, 0, 0, 5, time.UTC)}
}

func (b *bench) accept(rows ...state.Inbound) ([]state.Accepted, []int64) {
	b.t.Helper()
	fates, seqs, err := b.Accept(b.ctx(), rows, nil, nil)
	b.no(err)
	return fates, seqs
}

func wantFates(t *testing.T, got []state.Accepted, want ...state.Accepted) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("accepted: %v, want %v", got, want)
	}
}

func testAccept(t *testing.T, b *bench) {
	fates, seqs := b.accept(inbound("a", "1", "x"), inbound("a", "1", "x"), inbound("a", "1", "y"), inbound("b", "1", "y"))
	wantFates(t, fates, state.AcceptedNew, state.AcceptedDuplicate, state.AcceptedConflict, state.AcceptedNew)
	if seqs[0] != seqs[1] || seqs[2] != 0 || seqs[3] <= seqs[0] {
		t.Errorf("seqs: %v", seqs)
	}
	b.reopen()
	fates, again := b.accept(inbound("a", "1", "x"), inbound("a", "1", "z"), inbound("a", "2", ""))
	wantFates(t, fates, state.AcceptedDuplicate, state.AcceptedConflict, state.AcceptedNew)
	if again[0] != seqs[0] || again[2] <= seqs[3] {
		t.Errorf("seqs: %v after %v", again, seqs)
	}
	nameless := state.Inbound{Flow: "a", ID: "page-1", Body: []byte("p")}
	fates, _ = b.accept(nameless)
	wantFates(t, fates, state.AcceptedNew)
	fates, _ = b.accept(nameless) // a repetition after a lost answer
	wantFates(t, fates, state.AcceptedDuplicate)
	fates, _ = b.accept(state.Inbound{Flow: "a"}, state.Inbound{Flow: "a"})
	wantFates(t, fates, state.AcceptedNew, state.AcceptedNew)
	if n := b.totals("a").Unpublished; n != 5 {
		t.Errorf("%d unpublished, want 5", n)
	}
	if _, _, err := b.Accept(b.ctx(), []state.Inbound{{}}, nil, nil); err == nil {
		t.Error("a row without a flow was taken")
	}
}

func testAcceptWithCursor(t *testing.T, b *bench) {
	l, ok, err := b.AcquireLease(b.ctx(), "poll/a", "one", time.Minute)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	cur := &state.Cursor{Flow: "a", Value: "page 1", Updated: b.clock.Now()}
	_, _, err = b.Accept(b.ctx(), []state.Inbound{inbound("a", "1", "x")}, cur, &l)
	b.no(err)
	got, err := b.Cursor(b.ctx(), "a")
	b.no(err)
	if got != *cur {
		t.Errorf("cursor: %+v, want %+v", got, *cur)
	}
	if none, err := b.Cursor(b.ctx(), "b"); err != nil || none.Value != "" {
		t.Errorf("cursor of a flow that never read: %+v, %v", none, err)
	}
	b.no(b.ReleaseLease(b.ctx(), l))
	if _, ok, err = b.AcquireLease(b.ctx(), "poll/a", "two", time.Minute); err != nil || !ok {
		t.Fatal(ok, err)
	}
	_, _, err = b.Accept(b.ctx(), []state.Inbound{inbound("a", "2", "x")}, &state.Cursor{Flow: "a", Value: "page 2"}, &l)
	if !errors.Is(err, state.ErrFenced) {
		t.Errorf("accept under a lost lease: %v", err)
	}
	if got, _ := b.Cursor(b.ctx(), "a"); got.Value != "page 1" {
		t.Errorf("a fenced poller moved the cursor to %q", got.Value)
	}
	if n := b.totals("a").Unpublished; n != 1 {
		t.Errorf("%d unpublished, want 1", n)
	}
}

// Callers, on two hubs where the database is shared, deliver the same things at once: each is stored exactly once.
func testAcceptConcurrently(t *testing.T, b *bench) {
	hubs := []*store.Store{b.Store, b.other()}
	const callers, deliveries = 8, 30
	var mu sync.Mutex
	news := map[string]int{}
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range deliveries {
				id := fmt.Sprint((i*7 + c) % deliveries)
				fates, _, err := hubs[c%2].Accept(b.ctx(), []state.Inbound{inbound("a", id, id), inbound("a", "x"+id, id)}, nil, nil)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for n, f := range fates {
					if f == state.AcceptedNew {
						news[fmt.Sprint(n, id)]++
					} else if f != state.AcceptedDuplicate {
						t.Errorf("delivery %s: %s", id, f)
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for id, n := range news {
		if n != 1 {
			t.Errorf("delivery %s was new %d times", id, n)
		}
	}
	for i := range 40 { // two hubs, one delivery, nobody else to be merged with
		onceOfTwo(t, hubs, func(hub *store.Store) ([]state.Accepted, error) {
			got, _, err := hub.Accept(b.ctx(), []state.Inbound{inbound("pair", fmt.Sprint(i), "x")}, nil, nil)
			return got, err
		})
	}
	if n := b.totals("a").Unpublished; n != 2*deliveries || len(news) != 2*deliveries {
		t.Errorf("%d unpublished, %d new, want %d", n, len(news), 2*deliveries)
	}
}

func testUnpublished(t *testing.T, b *bench) {
	want := inbound("a", "1", "0123456789")
	_, seqs := b.accept(want, inbound("a", "2", "0123456789"), inbound("a", "3", "0123456789"), inbound("b", "1", "x"))
	for _, c := range []struct{ limit, bytes, want int }{{10, 0, 3}, {2, 0, 2}, {10, 25, 2}, {10, 20, 2}, {10, 1, 1}} {
		rows, err := b.Unpublished(b.ctx(), "a", c.limit, c.bytes)
		b.no(err)
		if len(rows) != c.want {
			t.Errorf("limit %d, %d bytes: %d rows, want %d", c.limit, c.bytes, len(rows), c.want)
		}
		want.Seq = seqs[0]
		if !reflect.DeepEqual(rows[0], want) {
			t.Errorf("got %+v\nwant %+v", rows[0], want)
		}
	}
}

func (b *bench) lease(name, holder string) state.Lease {
	b.t.Helper()
	l, ok, err := b.AcquireLease(b.ctx(), name, holder, time.Minute)
	if err != nil || !ok {
		b.t.Fatalf("lease %s: %v, %v", name, ok, err)
	}
	return l
}

func testMarkPublished(t *testing.T, b *bench) {
	l := b.lease("relay/a", "one")
	_, seqs := b.accept(inbound("a", "1", "x"), inbound("a", "2", "x"), inbound("a", "3", "x"))
	done := []state.Published{
		{Seq: seqs[0], Key: "SO-1", Positions: []state.PublishedAt{{Topic: "in.a", Partition: 0, Offset: 5}, {Topic: "in.a", Partition: 1, Offset: 9}}},
		{Seq: seqs[1]},
	}
	ev := anEvent("2.1", "SO-2")
	ev.Data = []byte("large")
	rest := state.Inbound{Flow: "a", ID: "2.1~2", Headers: map[string]string{"x": "y"}, Body: ev.Data, Trace: "t", Received: b.clock.Now().UTC(), Event: &ev}
	for range 2 { // the second is a repetition after a lost answer
		b.no(b.MarkPublished(b.ctx(), l, done, []state.Inbound{rest}))
		if got := b.totals("a"); got.Unpublished != 2 {
			t.Fatalf("totals: %+v", got)
		}
	}
	rows, err := b.Unpublished(b.ctx(), "a", 10, 0)
	b.no(err)
	rest.Seq = rows[1].Seq
	rest.Event.Data = nil // it is the body
	if len(rows) != 2 || !reflect.DeepEqual(rows[1], rest) {
		t.Errorf("the event of a list: %+v, want %+v", rows, rest)
	}
	if got, err := b.Inbound(b.ctx(), rest.Seq); err != nil || !reflect.DeepEqual(got, rest) {
		t.Errorf("by its number: %+v, %v", got, err)
	}
	if _, err := b.Inbound(b.ctx(), 99_999); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("a row that is not there: %v", err)
	}
	stale := l
	l = b.lease("relay/a", "one")
	if err := b.MarkPublished(b.ctx(), stale, []state.Published{{Seq: seqs[2]}}, nil); !errors.Is(err, state.ErrFenced) {
		t.Errorf("mark under an old token: %v", err)
	}
	b.no(b.MarkPublished(b.ctx(), l, []state.Published{{Seq: seqs[2]}, {Seq: rest.Seq}}, nil))
	if rows, err := b.Unpublished(b.ctx(), "a", 10, 0); err != nil || len(rows) != 0 {
		t.Errorf("unpublished: %v, %v", rows, err)
	}
}

// refused parks an event at an offset as the engine does with what the intake has refused.
func refused(flow, id string, offset int64) state.Result {
	ev := anEvent(id, "")
	ev.Refused = &event.Refusal{Kind: "mapping", Code: event.RefusedKey, Reason: "no key", Headers: map[string]string{"x-shop": "1"}}
	return state.Result{Offset: offset, Outcome: state.Parked, Queue: &state.Queued{Lane: id, Kind: "mapping", Code: event.RefusedKey, Reason: "no key", Event: ev},
		Journal: &state.Journal{Flow: flow, EventID: id, Outcome: state.Parked, Attempts: 1}}
}

// resubmitted hands a drained message back.
func resubmitted(q *state.Queued) state.Result {
	ev := q.Event
	ev.Refused = &event.Refusal{Reading: 1}
	return state.Result{Drained: q.ID, Resubmit: &state.Inbound{Flow: q.Flow, ID: fmt.Sprint(ev.ID, "~", q.ID), Headers: q.Event.Refused.Headers, Body: ev.Data, Event: &ev}}
}

// What was refused is a parked message like any other. Handed back to the inbox it is in no queue, and counts as unpublished instead of finished;
// with its way through the relay it counts once.
func testResubmit(t *testing.T, b *bench) {
	p, err := b.OpenPartition(b.ctx(), "a", "in.a", 1, event.Log{Cluster: "c", TopicID: "t", Last: 10})
	b.no(err)
	commit := func(epoch int64, results ...state.Result) error {
		return b.Commit(b.ctx(), &state.Commit{Flow: "a", Topic: "in.a", Partition: 1, Epoch: epoch, Results: results})
	}
	counts := func(finished, parked, unpublished int64) {
		t.Helper()
		got := b.totals("a")
		if got.Finished != finished || got.Parked != parked || got.Unpublished != unpublished || got.Unaccounted() != 0 {
			t.Fatalf("totals %+v, want finished %d, parked %d, unpublished %d", got, finished, parked, unpublished)
		}
	}
	b.no(commit(p.Epoch, refused("a", "d1", 0), refused("a", "d2", 1), state.Result{Offset: 2, Outcome: state.Delivered}))
	counts(3, 2, 0)
	rows, err := b.Queue(b.ctx(), "a", "d1", 10)
	b.no(err)
	if len(rows) != 1 || rows[0].Blocking || rows[0].Follower || rows[0].Partition != 1 || !reflect.DeepEqual(rows[0].Event.Refused, refused("a", "d1", 0).Queue.Event.Refused) {
		t.Fatalf("parked: %+v", rows)
	}
	b.no(b.Edit(b.ctx(), state.Edit{ID: rows[0].ID, Data: []byte("edited"), Who: "ann", Note: ""}))
	q, err := b.ParkedByID(b.ctx(), rows[0].ID)
	b.no(err)
	if err := commit(p.Epoch-1, resubmitted(&q)); !errors.Is(err, state.ErrFenced) {
		t.Errorf("under an old epoch: %v", err)
	}
	counts(3, 2, 0)
	for range 2 { // the second is a repetition after a lost answer
		b.no(commit(p.Epoch, resubmitted(&q)))
		counts(2, 1, 1)
	}
	in, err := b.Unpublished(b.ctx(), "a", 10, 0)
	b.no(err)
	if len(in) != 1 || string(in[0].Body) != "edited" || in[0].Headers["x-shop"] != "1" || in[0].Event == nil || in[0].Event.ID != "d1" || in[0].Event.Version != q.Event.Version ||
		in[0].Event.Refused.Reading != 1 {
		t.Fatalf("inbox: %+v", in)
	}
	l := b.lease("relay/a", "one")
	b.no(b.MarkPublished(b.ctx(), l, []state.Published{{Seq: in[0].Seq, Positions: []state.PublishedAt{{Topic: "in.a", Partition: 1, Offset: 3}}}}, nil))
	counts(2, 1, 0)
	b.no(commit(p.Epoch, state.Result{Offset: 3, Outcome: state.Delivered}))
	counts(3, 1, 0)
	live := refused("a", "d3", 4)
	live.Resubmit, live.Queue, live.Outcome = resubmitted(&q).Resubmit, nil, ""
	if err := commit(p.Epoch, live); err == nil {
		t.Error("a record was handed back that is in no queue")
	}
	if err := commit(p.Epoch, state.Result{Drained: 1, Outcome: state.Delivered, Resubmit: resubmitted(&q).Resubmit}); err == nil {
		t.Error("a message was handed back that has a fate")
	}
}

// A reading that was parked is known for good; the next reading of the same event is another.
func testRefused(t *testing.T, b *bench) {
	p, err := b.OpenPartition(b.ctx(), "a", "in.a", 0, event.Log{Cluster: "c", TopicID: "t", Last: 10})
	b.no(err)
	known := func(flow, id string, reading int) bool {
		t.Helper()
		ok, err := b.Refused(b.ctx(), flow, id, reading)
		b.no(err)
		return ok
	}
	if known("a", "d1", 0) {
		t.Error("known before it came")
	}
	b.no(b.Commit(b.ctx(), &state.Commit{Flow: "a", Topic: "in.a", Epoch: p.Epoch, Results: []state.Result{refused("a", "d1", 0)}}))
	rows, err := b.Parked(b.ctx(), state.QueueFilter{Flow: "a"})
	b.no(err)
	b.no(b.Commit(b.ctx(), &state.Commit{Flow: "a", Topic: "in.a", Epoch: p.Epoch, Results: []state.Result{{Drained: rows[0].ID, Outcome: state.Discarded}}}))
	if !known("a", "d1", 0) || known("a", "d1", 1) || known("b", "d1", 0) || known("a", "d2", 0) {
		t.Error("what is known is not what was parked")
	}
}

func testPrune(t *testing.T, b *bench) {
	l := b.lease("relay/a", "one")
	_, seqs := b.accept(inbound("a", "1", "x"), inbound("a", "2", "x"), inbound("a", "3", "x"), inbound("a", "4", "x"), inbound("a", "5", "x"))
	at := func(offsets ...int64) (out []state.PublishedAt) {
		for _, o := range offsets {
			out = append(out, state.PublishedAt{Topic: "in.a", Partition: 2, Offset: o})
		}
		return out
	}
	b.no(b.MarkPublished(b.ctx(), l, []state.Published{{Seq: seqs[0], Positions: at(0)}, {Seq: seqs[1], Positions: at(1, 2)}, {Seq: seqs[2], Positions: at(3)},
		{Seq: seqs[3]}}, nil))
	p, err := b.OpenPartition(b.ctx(), "a", "in.a", 2, event.Log{Cluster: "c", TopicID: "t", First: 0, Last: 4})
	b.no(err)
	commit := func(offsets ...int64) {
		t.Helper()
		c := &state.Commit{Flow: "a", Topic: "in.a", Partition: 2, Epoch: p.Epoch}
		for _, o := range offsets {
			c.Results = append(c.Results, state.Result{Offset: o, Outcome: state.Delivered, Journal: &state.Journal{Time: b.clock.Now(), Key: "k"}})
		}
		b.no(b.Commit(b.ctx(), c))
	}
	left := func(want ...string) {
		t.Helper()
		var got []string
		for i := range seqs {
			tr, err := b.Trace(b.ctx(), fmt.Sprint(i+1))
			b.no(err)
			for _, row := range tr.Inbox {
				got = append(got, row.ID)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("inbox holds %v, want %v", got, want)
		}
	}
	commit(0, 3, 1)
	n, err := b.Prune(b.ctx(), b.clock.Now())
	b.no(err)
	if n != 3 { // 1 and 3 by their positions, 4 has none
		t.Errorf("pruned %d rows, want 3", n)
	}
	left("2", "5")
	commit(2)
	_, err = b.Prune(b.ctx(), b.clock.Now().Add(6*24*time.Hour))
	b.no(err)
	left("5")
	fates, _ := b.accept(inbound("a", "1", "x"))
	wantFates(t, fates, state.AcceptedDuplicate) // the row is gone, its id is remembered
	_, err = b.Prune(b.ctx(), b.clock.Now().Add(8*24*time.Hour))
	b.no(err)
	fates, _ = b.accept(inbound("a", "1", "x"))
	wantFates(t, fates, state.AcceptedNew)
	if js, err := b.Journal(b.ctx(), state.JournalFilter{Key: "k"}); err != nil || len(js) != 4 {
		t.Errorf("journal: %d rows, %v", len(js), err)
	}
	_, err = b.Prune(b.ctx(), b.clock.Now().Add(91*24*time.Hour))
	b.no(err)
	if js, err := b.Journal(b.ctx(), state.JournalFilter{Key: "k"}); err != nil || len(js) != 0 {
		t.Errorf("journal behind its retention: %d rows, %v", len(js), err)
	}
	b.totals("a")
}

// onceOfTwo gives the same thing to two hubs at once: one takes it, and to the other it is a duplicate.
func onceOfTwo(t *testing.T, hubs []*store.Store, give func(*store.Store) ([]state.Accepted, error)) {
	t.Helper()
	var both sync.WaitGroup
	fates := make([]state.Accepted, 2)
	for h, hub := range hubs {
		both.Go(func() {
			got, err := give(hub)
			if err != nil {
				t.Error(err)
				return
			}
			fates[h] = got[0]
		})
	}
	both.Wait()
	if fates[0] == fates[1] {
		t.Errorf("the same was %s twice", fates[0])
	}
}
