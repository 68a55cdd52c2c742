package flow

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/flow/calls"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// foreignFlows read what another program writes: the key is in the document, and the records of one key come anywhere.
const foreignFlows = `
flow: foreign
entity: order
from: {topic: foreign}
accept: test/order.v1
key: source.no
version: source.rev
map: order-to-erp
to: {system: erp, on-delete: delete, find: after-conflict}
retry: {for: 5m, backoff: 100ms..2s}
---
flow: second
entity: order
from: {topic: foreign}
accept: test/order.v1
key: source.no
version: source.rev
map: order-to-erp
to: {system: erp, on-delete: delete, find: after-conflict}
retry: {for: 5m, backoff: 100ms..2s}
---
flow: direct
entity: order
from: {system: erp2, poll: {every: 1m}}
accept: test/erp-order.v1
key: source.no
version: source.rev
map: order-to-erp
to: {system: erp, find: after-conflict}
retry: {for: 5m, backoff: 100ms..2s}
---
flow: keyed-copy
entity: order
from: {topic: foreign}
accept: test/order.v1
key: source.no
version: source.rev
to: {topic: copies}
`

// foreign is a record of another program: its own key says nothing.
func foreign(w *world, r *Runner, partition int, key, no string, rev int) *event.Batch {
	w.t.Helper()
	at := fmt.Sprint(r.flow.Name, partition)
	rec := event.Record{Topic: r.flow.Topic(), Partition: partition, Offset: w.next[at], Key: []byte(key), Value: fmt.Appendf(nil, `{"no":%q,"qty":%d,"rev":%d}`, no, rev, rev)}
	w.next[at]++
	r.mu.Lock()
	defer r.mu.Unlock()
	return &event.Batch{Topic: rec.Topic, Partition: partition, Epoch: r.parts[partKey{rec.Topic, partition}].Epoch, Lane: event.LaneOf(key, 16), Records: []event.Record{rec}}
}

// own makes a runner that owns some partitions of its topic.
func (w *world) own(name string, partitions ...int) *Runner {
	w.t.Helper()
	r, err := New(w.plan.Flow(name), w.deps)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := r.Stop(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
	for _, p := range partitions {
		w.take(r, p)
	}
	return r
}

func (w *world) take(r *Runner, partition int) {
	w.t.Helper()
	if _, _, _, err := r.Assigned(w.t.Context(), r.flow.Group(), r.flow.Topic(), partition, event.Log{Cluster: "cluster", TopicID: "topic", Last: 1 << 40}); err != nil {
		w.t.Fatal(err)
	}
}

// eventually polls on the machine's clock.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never: %s", what)
		}
	}
}

// onePerKey checks what a target that makes an object of every create has been told.
func onePerKey(t *testing.T, erp *target, keys, newest int) {
	t.Helper()
	erp.mu.Lock()
	defer erp.mu.Unlock()
	if erp.together > 0 {
		t.Errorf("%d calls met another one of their object", erp.together)
	}
	if len(erp.objects) != keys {
		t.Errorf("the target holds %d objects of %d keys", len(erp.objects), keys)
	}
	last := map[string]float64{}
	for _, d := range erp.log {
		if d.qty < last[d.no] {
			t.Errorf("%s went back from version %v to %v", d.no, last[d.no], d.qty)
		}
		last[d.no] = d.qty
	}
	for no, rev := range last {
		if rev != float64(newest) {
			t.Errorf("%s has come to version %v, not to %d", no, rev, newest)
		}
	}
}

// Records of one computed key come in any lane of any partition: their object is written by one at a time, made once, and never goes
// back to an older version; on one hub, on two that share PostgreSQL, and by two flows.
func TestComputedKey(t *testing.T) {
	const keys, versions = 4, 12
	for name, setup := range map[string]func(t *testing.T) (w *world, owners [2]*Runner){
		"two partitions of one hub": func(t *testing.T) (*world, [2]*Runner) {
			w := newWorldOf(t, foreignFlows, store.Config{SQLite: filepath.Join(t.TempDir(), "w.db")})
			r := w.own("foreign", 0, 1)
			return w, [2]*Runner{r, r}
		},
		"a partition of each of two hubs": func(t *testing.T) (*world, [2]*Runner) {
			url := pgtest.URL(t)
			w := newWorldOf(t, foreignFlows, store.Config{Postgres: url})
			other := newWorldOf(t, foreignFlows, store.Config{Postgres: url})
			other.deps.Systems["erp"].Connector = w.erp
			return w, [2]*Runner{w.own("foreign", 0), other.own("foreign", 1)}
		},
		"two flows of one hub": func(t *testing.T) (*world, [2]*Runner) {
			w := newWorldOf(t, foreignFlows, store.Config{SQLite: filepath.Join(t.TempDir(), "w.db")})
			return w, [2]*Runner{w.own("foreign", 0), w.own("second", 1)}
		},
		"two flows on two hubs": func(t *testing.T) (*world, [2]*Runner) {
			url := pgtest.URL(t)
			w := newWorldOf(t, foreignFlows, store.Config{Postgres: url})
			other := newWorldOf(t, foreignFlows, store.Config{Postgres: url})
			other.deps.Systems["erp"].Connector = w.erp
			return w, [2]*Runner{w.own("foreign", 0), other.own("second", 1)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, owners := setup(t)
			w.erp.loose, w.erp.wait = true, 3*time.Millisecond
			var hands sync.WaitGroup
			for p, r := range owners {
				for lane := range 4 {
					var batches []*event.Batch
					for v := range versions {
						for k := range keys {
							if (v+k+lane+p)%2 == 0 || v == versions-1 {
								batches = append(batches, foreign(w, r, p, fmt.Sprint("lane", lane), fmt.Sprint("K", k), v+1))
							}
						}
					}
					hands.Go(func() {
						for _, b := range batches {
							if err := w.handQuiet(r, b); err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
			}
			hands.Wait()
			eventually(t, "nothing rests", func() bool {
				a, b := w.totals(owners[0].flow.Name), w.totals(owners[1].flow.Name)
				return a.Held+b.Held == 0
			})
			onePerKey(t, w.erp, keys, versions)
			if in, err := w.store.OpenIntents(t.Context(), "", 10); err != nil || len(in) > 0 {
				t.Errorf("%d intents are open (%v): %+v", len(in), err, in)
			}
			if _, _, n, err := w.store.StatusSnapshot(t.Context()); n != 0 || err != nil {
				t.Errorf("%d duplicates, %v", n, err)
			}
		})
	}
}

// What is parked stops the later records of its computed key, in whatever lane they come, and they follow it in order.
func TestComputedKeyQueues(t *testing.T) {
	w := newWorldOf(t, foreignFlows, store.Config{})
	w.erp.script = []step{{false, wrong, nil}}
	r := w.own("foreign", 0)
	for i, key := range []string{"a", "b", "", "a"} {
		b := foreign(w, r, 0, key, "K", i+1)
		if key == "" {
			b.Lane = event.LaneOf(b.Records[0].Key, 16)
		}
		if err := w.hand(r, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.hand(r, foreign(w, r, 0, "b", "other", 1)); err != nil {
		t.Fatal(err)
	}
	w.expect("foreign", "delivered=1 parked=4")
	q := w.queue("foreign")
	for i := range q {
		if q[i].Lane != "K" || q[i].Follower != (i > 0) {
			t.Errorf("row %d waits in lane %q, follower %v", i, q[i].Lane, q[i].Follower)
		}
	}
	if err := w.store.Mark(t.Context(), state.Wish{ID: q[0].ID, Mark: state.MarkReplay, Who: "ann", Note: ""}); err != nil {
		t.Fatal(err)
	}
	r.Kick()
	w.until("drained", func() bool { return w.summary("foreign") == "delivered=5" })
	if got, want := fmt.Sprint(w.erp.log), "[{other 1} {K 1} {K 2} {K 3} {K 4}]"; got != want {
		t.Errorf("written: %s", got)
	}
	if got := strings.Join(w.erp.calls, ","); got != "create K,create other,create K,update K,update K,update K" {
		t.Errorf("calls: %s", got)
	}
}

// A message whose object another one is at work on for long rests in the store, and has not been tried.
func TestObjectTakenForLong(t *testing.T) {
	w := newWorldOf(t, foreignFlows, store.Config{})
	r := w.own("foreign", 0)
	table, o := w.deps.Systems["erp"].Objects(), calls.Object{Entity: "order", Hub: state.MintHub("order", "topic/foreign", "K")}
	if ok, err := table.Take(t.Context(), w.clock, o, 0); !ok || err != nil {
		t.Fatalf("somebody has the object: %v", err)
	}
	if err := w.hand(r, foreign(w, r, 0, "a", "K", 1)); err != nil {
		t.Fatal(err)
	}
	if q := w.queue("foreign"); len(q) != 1 || q[0].State != state.Held || q[0].Tried != 0 || len(w.erp.calls) > 0 {
		t.Fatalf("queued: %+v; calls %v", q, w.erp.calls)
	}
	table.Free(o)
	w.until("delivered", func() bool { return w.summary("foreign") == "delivered=1" })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, err := table.Take(ctx, w.clock, o, 0); !ok || err != nil {
		t.Errorf("still taken: %v", err)
	}
}

// A flow that is paused in the middle of its attempts keeps nobody from the object.
func TestPauseLetsObjectsGo(t *testing.T) {
	w := newWorldOf(t, foreignFlows, store.Config{})
	r, second := w.own("foreign", 0), w.own("second", 0)
	w.erp.script = []step{{false, refusedConn, func(*target) { r.Pause() }}}
	w.atRest = 3 // two flows, and who waits: while one is at work no time passes, in which it would give up
	if err := w.hand(r, foreign(w, r, 0, "a", "K", 1)); err != nil {
		t.Fatal(err)
	}
	w.atRest = 0
	w.expect("foreign", "held=1")
	if err := w.hand(second, foreign(w, second, 0, "a", "K", 2)); err != nil {
		t.Fatal(err)
	}
	w.expect("second", "delivered=1")
	r.Resume()
	w.until("decided", func() bool { return w.summary("foreign") == "stale=1" })
}

// A message of a flow from system to system that rests is not taken for one that is done with.
func TestDirectFlowRests(t *testing.T) {
	w := newWorldOf(t, foreignFlows, store.Config{})
	for range 40 {
		w.erp.script = append(w.erp.script, step{false, refusedConn, nil})
	}
	r := w.own("direct", 0)
	ev := event.Event{ID: "e1", Source: "erp2", Key: "K", Version: "1", Operation: event.Upsert}
	b := &event.Batch{Topic: r.flow.Topic(), Epoch: w.epoch(r), Lane: event.LaneOf("K", 16), Records: []event.Record{{Topic: r.flow.Topic(), Key: []byte("K"), Value: []byte(`{"no":"K","qty":1,"rev":1}`), Headers: ev.Headers()}}}
	if err := w.hand(r, b); err != nil {
		t.Fatal(err)
	}
	w.expect("direct", "held=1")
	w.until("delivered", func() bool { return w.summary("direct") == "delivered=1" })
}
