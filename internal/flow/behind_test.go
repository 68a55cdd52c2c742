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

// TestRefusedBeforeTheNext: where a batch is stored before its next record is decided, and the broker refuses what is stored then, that record queues behind it.
func TestRefusedBeforeTheNext(t *testing.T) {
	w := newWorld(t)
	r := w.flow("erp-orders")
	w.must(r, polled("A", 1, 1))
	w.log.fail = []error{fault.Wrap(fault.Invalid, "publish", errors.New("no"))}
	w.must(r, gone("A", 2), polled("A", 2, 3))
	got := w.queued()
	if want := []string{"A@2- false", "A@3#2 true"}; !slices.Equal(got, want) {
		t.Errorf("queued: %v, want %v; published %s", got, want, w.published())
	}
}

// TestRefusedWhenSettled: the same where the batch is stored because the store says something else than it did.
func TestRefusedWhenSettled(t *testing.T) {
	w := newWorld(t)
	c := w.count()
	other := w.flow("orders-to-erp")
	r := w.flow("erp-orders")
	w.must(r, polled("A", 1, 1))
	c.looks = 0
	hub := state.MintHub("order", "erp", "A")
	c.looked = func(n int) {
		if n != 2 {
			return
		}
		ref := &state.Ref{Entity: "order", Hub: hub, System: "erp", Local: "A", Known: &state.Known{Flow: "erp-orders", Received: "1", Wrote: "2", Fields: map[string]uint64{}, Hops: 1}, Updated: w.clock.Now()}
		if err := w.store.Commit(t.Context(), &state.Commit{Flow: "orders-to-erp", Topic: "orders", Epoch: w.epoch(other), Results: []state.Result{{Offset: 0, Outcome: state.Delivered, Ref: ref}}}); err != nil {
			t.Error(err)
		}
	}
	w.log.fail = []error{fault.Wrap(fault.Invalid, "publish", errors.New("no"))}
	w.must(r, polled("A", 2, 2), polled("A", 3, 3))
	got := w.queued()
	if want := []string{"A@2#2 false", "A@3#3 true"}; !slices.Equal(got, want) {
		t.Errorf("queued: %v, want %v; published %s", got, want, w.published())
	}
}

// refusing is a broker that refuses a record now and then, and writes nothing behind it in the same go.
type refusing struct {
	*topicLog
	rnd *rand.Rand
}

func (l refusing) Send(ctx context.Context, records []event.Record) []event.Sent {
	if l.rnd.IntN(4) > 0 {
		return l.topicLog.Send(ctx, records)
	}
	at := l.rnd.IntN(len(records))
	sent := l.topicLog.Send(ctx, records[:at])
	sent = append(sent, event.Sent{Err: fault.Wrap(fault.Invalid, "publish", errors.New("no"))})
	for range records[at+1:] {
		sent = append(sent, event.Sent{Err: fault.Wrap(fault.Unavailable, "publish", errors.New("behind"))})
	}
	return sent
}

// TestNothingOvertakesARefusedRecord: whatever the broker refuses, nothing of its key is sent that came behind it.
func TestNothingOvertakesARefusedRecord(t *testing.T) {
	turnsTheClock(t)
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		events := anyEvents(rnd)
		for i := range events {
			events[i].ID = events[i].Key + fmt.Sprint(" ", i)[1:]
		}
		w := newWorld(t)
		w.deps.Publisher = refusing{w.log, rnd}
		r := w.flow("erp-orders")
		for batch := range slices.Chunk(slices.Clone(events), 20) {
			w.must(r, slices.Clone(batch)...)
		}
		index := map[string]int{}
		for i, ev := range events {
			index[ev.ID] = i
		}
		first := map[string]int{}
		for _, q := range w.queued() {
			id, _, _ := strings.Cut(q, " ")
			k := id[:1]
			if at, ok := first[k]; !ok || index[id] < at {
				first[k] = index[id]
			}
		}
		for i := range w.log.records {
			ev := event.Read(&w.log.records[i])
			if at, ok := first[ev.Key]; ok && index[ev.ID] > at {
				t.Errorf("seed %d: %s is sent though %s waits before it", seed, ev.ID, events[at].ID)
				break
			}
		}
	}
}
