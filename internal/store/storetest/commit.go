package storetest

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

func testOpenPartition(t *testing.T, b *bench) {
	open := func(cluster, topicID string, first, last int64) (state.Partition, error) {
		return b.OpenPartition(b.ctx(), "f", "t", 3, event.Log{Cluster: cluster, TopicID: topicID, First: first, Last: last})
	}
	p, err := open("c", "", 10, 20)
	b.no(err)
	want := state.Partition{Flow: "f", Topic: "t", Partition: 3, Cluster: "c", First: 10, Epoch: 1, Position: event.Position{Next: 10}}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v\nwant %+v", p, want)
	}
	b.no(b.Commit(b.ctx(), &state.Commit{Flow: "f", Topic: "t", Partition: 3, Epoch: 1, Results: []state.Result{delivered(10), delivered(11), delivered(14), delivered(16), delivered(15)}}))
	p, err = open("c", "id", 10, 20)
	b.no(err)
	want.TopicID, want.Epoch, want.Position = "id", 2, event.Position{Next: 12, Done: []event.Range{{From: 14, To: 17}}}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v\nwant %+v", p, want)
	}
	for _, c := range []struct {
		cluster, topic string
		first, last    int64
		says           string
	}{
		{"other", "id", 10, 20, "broker cluster c, this one is other"},
		{"c", "made-again", 10, 20, "deleted and made again"},
		{"c", "id", 0, 0, "ends at offset 0, but 16 was finished"},
		{"c", "id", 10, 16, "has lost records"},
		{"c", "id", 13, 20, "1 records were removed unread"},
	} {
		_, err := open(c.cluster, c.topic, c.first, c.last)
		if !errors.Is(err, state.ErrBroker) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "flow f, t/3") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	p, err = open("", "id", 12, 17) // exactly what is still needed
	b.no(err)
	if p.Epoch != 3 || p.Cluster != "c" {
		t.Errorf("a refused open changed the partition: %+v", p)
	}
}

func testCommitCounts(t *testing.T, b *bench) {
	p := b.part(0)
	c := p.of(delivered(0), state.Result{Offset: 1, Outcome: state.Skipped, Reason: state.Echo, Retried: 2},
		state.Result{Offset: 2, Outcome: state.Skipped, Reason: state.Stale}, state.Result{Offset: 3, Outcome: state.Skipped, Reason: state.Echo},
		rest(4, state.Parked, "a"), rest(6, state.Held, "b"), delivered(9))
	c.Gaps = []event.Range{{From: 5, To: 6}, {From: 7, To: 9}}
	for range 3 { // the others are redeliveries
		b.no(b.Commit(b.ctx(), c))
	}
	b.reopen()
	b.no(b.Commit(b.ctx(), c))
	got := b.totals(p.Flow)
	oldest, parked := got.Oldest, got.OldestParked
	got.Oldest, got.OldestParked = state.FlowTotals{}.Oldest, state.FlowTotals{}.OldestParked
	want := state.FlowTotals{Flow: p.Flow, Finished: 7, Delivered: 2, Skipped: map[string]int64{state.Echo: 2, state.Stale: 1}, Retried: 2,
		Parked: 1, Held: 1, LastDelivered: b.clock.Now()}
	accepted := anEvent("", "").Accepted
	if !reflect.DeepEqual(got, want) || !oldest.Equal(accepted) || !parked.Equal(accepted) {
		t.Errorf("got %+v, oldest %v, parked %v\nwant %+v, %v", got, oldest, parked, want, accepted)
	}
	ps, err := b.Partitions(b.ctx(), p.Flow)
	b.no(err)
	if len(ps) != 1 || !reflect.DeepEqual(ps[0].Position, event.Position{Next: 10}) {
		t.Errorf("partitions: %+v", ps)
	}
	q := p.queue("a")[0]
	w := anEvent("a-4", "a")
	if !q.Event.Time.Equal(w.Time) || !q.Event.Accepted.Equal(w.Accepted) {
		t.Errorf("times: %v, %v", q.Event.Time, q.Event.Accepted)
	}
	if _, zone := q.Event.Time.Zone(); zone != 8*3600 {
		t.Errorf("the zone was lost: %v", q.Event.Time)
	}
	q.Event.Time, q.Event.Accepted = w.Time, w.Accepted
	if !reflect.DeepEqual(q.Event, w) || q.Kind != "kind" || q.Reason != "because" || !q.Since.Equal(b.clock.Now()) {
		t.Errorf("queued: %+v", q)
	}
}

func testCommitFenced(t *testing.T, b *bench) {
	old := b.part(0)
	p := b.part(0)
	ref := &state.Ref{Entity: "order", Hub: "h", System: "erp", Local: "1"}
	err := b.Commit(b.ctx(), old.of(state.Result{Offset: 0, Outcome: state.Delivered, Ref: ref, Journal: &state.Journal{Key: "k"}}, rest(1, state.Parked, "a")))
	if !errors.Is(err, state.ErrFenced) {
		t.Fatalf("commit of the last owner: %v", err)
	}
	for _, c := range []*state.Commit{{Flow: p.Flow, Topic: p.Topic, Partition: 9, Epoch: 1}, {Flow: "nobody", Topic: p.Topic, Epoch: 1}} {
		if err := b.Commit(b.ctx(), c); !errors.Is(err, state.ErrFenced) {
			t.Errorf("commit to a partition that was never opened: %v", err)
		}
	}
	if got := b.totals(p.Flow); got.Finished != 0 || got.Parked != 0 {
		t.Errorf("totals: %+v", got)
	}
	if _, ok, err := b.LocalID(b.ctx(), "order", "erp", "h"); ok || err != nil {
		t.Errorf("a fenced commit left a reference: %v", err)
	}
	p.commit(delivered(0))
}

// Many lanes commit at once, some under an old epoch: those alone fail, and nothing is counted twice or lost.
func testCommitMerged(t *testing.T, b *bench) {
	hubs := []*store.Store{b.Store, b.other()}
	old := b.part(0)
	parts := []*part{b.part(0), b.part(1)}
	const lanes, commits = 8, 25
	var wg sync.WaitGroup
	for lane := range lanes {
		p, hub := parts[lane%2], hubs[lane%2]
		wg.Go(func() {
			for n := range commits {
				offset := int64(n*lanes + lane)
				c := p.of(delivered(offset), state.Result{Offset: offset + 1<<20, Outcome: state.Skipped, Reason: state.Filtered})
				if err := hub.Commit(b.ctx(), c); err != nil {
					t.Error(err)
				}
				if err := hub.Commit(b.ctx(), c); err != nil { // a redelivery
					t.Error(err)
				}
				if err := hub.Commit(b.ctx(), old.of(delivered(offset+1<<30))); !errors.Is(err, state.ErrFenced) {
					t.Errorf("old epoch: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if got := b.totals(parts[0].Flow); got.Finished != 2*lanes*commits || got.Delivered != lanes*commits {
		t.Errorf("totals: %+v", got)
	}
}

func testCommitRefused(t *testing.T, b *bench) {
	p := b.part(0)
	for name, r := range map[string]state.Result{
		"no outcome":       {Offset: 0},
		"unknown outcome":  {Offset: 0, Outcome: "lost"},
		"nothing to queue": {Offset: 0, Outcome: state.Parked},
	} {
		if err := b.Commit(b.ctx(), p.of(r)); err == nil {
			t.Errorf("%s: was stored", name)
		}
	}
	p.commit(state.Result{Drained: 4711, Outcome: state.Delivered, Journal: &state.Journal{Key: "gone"}})
	if got := b.totals(p.Flow); got.Finished != 0 || got.Delivered != 0 {
		t.Errorf("totals: %+v", got)
	}
	if js, err := b.Journal(b.ctx(), state.JournalFilter{Key: "gone"}); err != nil || len(js) != 0 {
		t.Errorf("a row that is gone was journalled: %v, %v", js, err)
	}
}

// What strangers put into keys and reasons must not make a commit fail for ever.
func testCommitOddTexts(t *testing.T, b *bench) {
	p := b.part(0)
	odd := "a\x00b\xff'\"%;--\u2028"
	r := rest(0, state.Parked, odd, func(q *state.Queued) {
		q.Reason, q.Code, q.Event.Data = odd, odd, []byte(odd)
		q.Event.Time = q.Event.Time.AddDate(200_000, 0, 0)
		q.Event.ID, q.Event.Version = odd, strings.Repeat("9", 10_000)
	})
	r.Journal = &state.Journal{Key: odd, Reason: odd, EventID: odd, Time: r.Queue.Event.Time}
	p.commit(r)
	rows := p.queue(odd)
	if len(rows) != 1 || string(rows[0].Event.Data) != odd || !strings.HasPrefix(rows[0].Lane, "a") {
		t.Fatalf("queued: %+v", rows)
	}
	p.commit(rest(1, state.Held, odd))
	b.wantShape(p, odd, "parked parked+")
	if tr, err := b.Trace(b.ctx(), odd); err != nil || len(tr.Journal) != 1 {
		t.Errorf("trace: %+v, %v", tr, err)
	}
}
