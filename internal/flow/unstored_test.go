package flow

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

// counting counts the commits and the single ids that a flow asks of its store, and is told of looks at what is known.
type counting struct {
	Store
	commits, minted int
	met             []int // how many objects were met at once
	looked          func(n int)
	looks           int
	shared          bool
}

func (c *counting) Shared() bool { return c.shared || c.Store.Shared() }

func (c *counting) Commit(ctx context.Context, w *state.Commit) error {
	c.commits++
	return c.Store.Commit(ctx, w)
}

func (c *counting) Resolve(ctx context.Context, entity, system, local, external, eventID string) (string, state.Resolution, error) {
	hub, how, err := c.Store.Resolve(ctx, entity, system, local, external, eventID)
	if how == state.Minted {
		c.minted++
	}
	return hub, how, err
}

func (c *counting) ResolveAll(ctx context.Context, entity, system string, all []state.Met) error {
	c.met = append(c.met, len(all))
	return c.Store.ResolveAll(ctx, entity, system, all)
}

func (c *counting) Target(ctx context.Context, entity, hub, system, origin string) (state.Target, error) {
	if c.looks++; c.looked != nil {
		c.looked(c.looks)
	}
	return c.Store.Target(ctx, entity, hub, system, origin)
}

// count puts a counting store under the flows that are made from here on.
func (w *world) count() *counting {
	c := &counting{Store: w.store}
	w.deps.Store = c
	return c
}

// polled is an object of the ERP as a poll has read it.
func polled(no string, qty, rev int) event.Event {
	return event.Event{ID: fmt.Sprintf("%s@%d#%d", no, rev, qty), Source: "erp", Entity: "order", Operation: event.Upsert, Key: no,
		Data: fmt.Appendf(nil, `{"no":%q,"qty":%d,"rev":%d}`, no, qty, rev)}
}

func gone(no string, rev int) event.Event {
	return event.Event{ID: fmt.Sprintf("%s@%d-", no, rev), Source: "erp", Entity: "order", Operation: event.Delete, Key: no, Local: no, Version: fmt.Sprint(rev)}
}

// TestOneObjectInABatch: events of one object that come together go out together, each held against the one before, and are stored in one commit; what a
// deletion has left is looked up in the store.
func TestOneObjectInABatch(t *testing.T) {
	w := newWorld(t)
	c := w.count()
	r := w.flow("erp-orders")
	w.must(r, polled("A", 1, 1), polled("A", 2, 2), polled("A", 2, 3), polled("A", 7, 1), polled("A", 3, 4))
	if c.commits != 1 {
		t.Errorf("%d commits, want one", c.commits)
	}
	w.expect("erp-orders", "delivered=3 duplicate=1 stale=1")
	w.must(r, polled("A", 4, 5), gone("A", 6), polled("A", 5, 7), polled("A", 6, 8))
	if c.commits != 4 {
		t.Errorf("%d commits, want one of the deletion and what came before, one of what came back, and one of the rest", c.commits)
	}
	w.expect("erp-orders", "delivered=7 duplicate=1 stale=1")
	if got := w.published(); got != "A=1 A=2 A=3 A=4 A- A=5 A=6" {
		t.Errorf("on the topic: %s", got)
	}
}

// published is what is on the topic, in its order.
func (w *world) published() string {
	var out []string
	for i := range w.log.records {
		ev := event.Read(&w.log.records[i])
		if ev.Operation == event.Delete {
			out = append(out, ev.Key+"-")
			continue
		}
		_, qty, _ := strings.Cut(string(ev.Data), `"qty":`)
		out = append(out, ev.Key+"="+strings.TrimRight(qty, "}"))
	}
	return strings.Join(out, " ")
}

// TestBehindARefusedRecord: what comes behind a record that the broker refuses queues behind it, also where it said no more than that record.
func TestBehindARefusedRecord(t *testing.T) {
	w := newWorld(t)
	r := w.flow("erp-orders")
	w.log.fail = []error{fault.Wrap(fault.Invalid, "publish", errors.New("no")), fault.Wrap(fault.Unavailable, "publish", errors.New("behind it"))}
	w.must(r, polled("A", 1, 1), polled("A", 1, 2), polled("A", 2, 3))
	got := w.queued()
	if want := []string{"A@1#1 false", "A@2#1 true", "A@3#2 true"}; !slices.Equal(got, want) {
		t.Errorf("queued: %v, want %v", got, want)
	}
	w.expect("erp-orders", "parked=3")
}

// queued are the messages that rest, and whether they do behind another one.
func (w *world) queued() (out []string) {
	w.t.Helper()
	for _, followers := range []bool{false, true} {
		rows, err := w.store.Parked(w.t.Context(), state.QueueFilter{Flow: "erp-orders", Followers: followers})
		if err != nil {
			w.t.Fatal(err)
		}
		for i := range rows {
			out = append(out, fmt.Sprint(rows[i].Event.ID, " ", rows[i].Follower))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestWrittenMeanwhile: where the store says something else of an object than when the batch decided of it, the batch is stored before more is decided.
func TestWrittenMeanwhile(t *testing.T) {
	w := newWorld(t)
	c := w.count()
	other := w.flow("orders-to-erp")
	r := w.flow("erp-orders")
	w.must(r, polled("A", 1, 1))
	c.commits, c.looks = 0, 0
	hub := state.MintHub("order", "erp", "A")
	c.looked = func(n int) {
		if n != 2 {
			return
		}
		ref := &state.Ref{Entity: "order", Hub: hub, System: "erp", Local: "A", Known: &state.Known{Flow: "erp-orders", Received: "1", Wrote: "2", Fields: map[string]uint64{}, Hops: 1}, Updated: w.clock.Now()}
		err := w.store.Commit(t.Context(), &state.Commit{Flow: "orders-to-erp", Topic: "orders", Epoch: w.epoch(other), Results: []state.Result{{Offset: 0, Outcome: state.Delivered, Ref: ref}}})
		if err != nil {
			t.Error(err)
		}
	}
	w.must(r, polled("A", 2, 2), polled("A", 3, 3), polled("A", 4, 4))
	if c.commits != 2 {
		t.Errorf("%d commits, want one before the event that saw the other flow's write, and one for the rest", c.commits)
	}
	if got := w.published(); got != "A=1 A=2 A=3 A=4" {
		t.Errorf("on the topic: %s", got)
	}
}

// TestNewObjectsOfABatch: the objects of a batch that nobody has seen get their hub ids in one go; those that the flow does not want get none.
func TestNewObjectsOfABatch(t *testing.T) {
	w := newWorld(t)
	c := w.count()
	r := w.flow("erp-orders")
	w.must(r, polled("A", 1, 1))
	w.must(r, polled("A", 2, 2), polled("B", 1, 1), polled("C", -1, 1), polled("D", 1, 1), polled("B", 2, 2))
	if !slices.Equal(c.met, []int{2}) || c.minted != 1 {
		t.Errorf("%v were met at once, %d alone", c.met, c.minted)
	}
	if _, known, err := w.store.HubID(t.Context(), "order", "erp", "C"); known || err != nil {
		t.Errorf("one that is filtered out has a hub id: %v", err)
	}
	w.expect("erp-orders", "delivered=5 filtered=1")
	c.shared = true // to ask is a round trip there
	w.must(r, polled("A", 3, 3), polled("E", 1, 1), polled("F", 1, 1))
	if len(c.met) != 1 || c.minted != 3 {
		t.Errorf("%v were met at once, %d alone, though the first is known", c.met, c.minted)
	}
	w.must(r, polled("G", 1, 1), polled("H", 1, 1))
	if !slices.Equal(c.met, []int{2, 2}) || c.minted != 3 {
		t.Errorf("%v were met at once, %d alone", c.met, c.minted)
	}
}

// TestBatchAsOneByOne: whatever comes in a batch has the fate that it would have alone, and so has the object.
func TestBatchAsOneByOne(t *testing.T) {
	turnsTheClock(t)
	for seed := range uint64(25) {
		events := anyEvents(rand.New(rand.NewPCG(seed, 1)))
		together, alone := newWorld(t), newWorld(t)
		c := together.count()
		one, many := alone.flow("erp-orders"), together.flow("erp-orders")
		for batch := range slices.Chunk(slices.Clone(events), 20) {
			together.must(many, slices.Clone(batch)...)
			for _, ev := range batch {
				alone.must(one, ev)
			}
		}
		if got, want := together.told(), alone.told(); got != want {
			t.Fatalf("seed %d: together\n%s\nalone\n%s", seed, got, want)
		}
		if c.commits >= len(events)/2 {
			t.Errorf("seed %d: %d commits for %d events", seed, c.commits, len(events))
		}
	}
}

// anyEvents are changes of a few objects: with versions that go back now and then, states that repeat, deletions, and what the flow does not want or cannot read.
func anyEvents(rnd *rand.Rand) []event.Event {
	var out []event.Event
	for rev := 1; rev <= 60; rev++ {
		no := string(rune('A' + rnd.IntN(4)))
		at := max(1, rev-rnd.IntN(3)*rnd.IntN(5))
		switch rnd.IntN(14) {
		case 0:
			out = append(out, gone(no, at))
		case 1:
			out = append(out, polled(no, -1, at))
		case 2:
			if rev > 45 { // what comes behind it of its key queues
				out = append(out, with(polled(no, 1, at), func(e *event.Event) { e.Data = []byte(`{"no":1}`) }))
			}
		default:
			out = append(out, polled(no, rnd.IntN(3), at))
		}
	}
	return out
}

// told is what came of everything: by object on the topic, of the queue, in the totals, and what the store knows.
func (w *world) told() string {
	w.t.Helper()
	byKey := map[string][]string{}
	for i := range w.log.records {
		rec := &w.log.records[i]
		ev := event.Read(rec)
		byKey[ev.Key] = append(byKey[ev.Key], fmt.Sprintf("%s %s %s hops %d hub %s", ev.ID, ev.Operation, ev.Data, ev.Hops, rec.Key))
	}
	var out []string
	for _, no := range []string{"A", "B", "C", "D"} {
		at, err := w.store.Target(w.t.Context(), "order", state.MintHub("order", "erp", no), "erp", "erp")
		if err != nil {
			w.t.Fatal(err)
		}
		known := "nothing"
		if at.Ref != nil && at.Ref.Known != nil {
			known = fmt.Sprintf("%s deleted %v %s %s %v", at.Ref.Local, at.Ref.Deleted, at.Ref.Known.Received, at.Ref.Known.EventID, at.Ref.Known.Fields)
		}
		out = append(out, no+": "+strings.Join(byKey[no], "; ")+" knows "+known)
	}
	out = append(out, w.queued()...)
	return strings.Join(append(out, w.summary("erp-orders")), "\n")
}
