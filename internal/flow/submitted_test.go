package flow

import (
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

// submitted makes an event one that the hub itself has made.
func submitted(ev event.Event, id string, by event.Trigger, to string) event.Event {
	ev.ID, ev.Submitted = "submitted/"+string(by)+"/"+id, &event.Submission{Trigger: by, Who: "ann", For: to}
	return ev
}

// What is sent again is written although the target is known to hold all of it, once, and never over something newer; a backfill is not.
func TestSubmittedIsWrittenAgain(t *testing.T) {
	w := newWorld(t)
	out := w.flow("orders-to-erp")
	w.must(out, order("A", 1, "1"))
	spoil := func() { w.erp.objects["T1"]["qty"] = 99.0 } // as somebody has done there, unseen
	qty := func(want float64) {
		t.Helper()
		if got := w.erp.objects["T1"]["qty"]; got != want {
			t.Errorf("the target holds %v, want %v", got, want)
		}
	}
	spoil()
	w.must(out, submitted(order("A", 1, "1"), "b", event.Backfill, ""))
	qty(99)
	w.must(out, submitted(order("A", 1, "1"), "r", event.Repair, ""))
	qty(1)
	spoil()
	w.must(out, submitted(order("A", 1, "1"), "r", event.Repair, "")) // published twice
	qty(99)
	w.must(out, order("A", 2, "2"))
	qty(2)
	w.must(out, submitted(order("A", 1, "1"), "late", event.Person, "")) // read before the newer one came
	qty(2)
	w.expect("orders-to-erp", "delivered=3 duplicate=2 stale=1")
}

// A record that is for another flow of the topic is none of this one's, a refusal among them.
func TestSubmittedToAnotherFlow(t *testing.T) {
	w := newWorld(t)
	erp, copies := w.flow("orders-to-erp"), w.flow("copy")
	ev := submitted(order("A", 1, "1"), "r", event.Repair, "orders-to-erp")
	no := submitted(order("A", 1, "1"), "n", event.Repair, "orders-to-erp")
	no.Refused = &event.Refusal{Kind: "invalid", Code: event.RefusedRecord, Reason: "too large"}
	w.must(erp, ev)
	w.must(copies, ev, no)
	w.expect("orders-to-erp", "delivered=1")
	w.expect("copy", "filtered=2")
	booked := w.flow("erp-orders") // only a flow that reads a system knows refusals
	other := turnedAway("A", event.RefusedKey, `{"qty":1}`)
	other.Submitted = no.Submitted
	w.relayed(booked, other)
	w.expect("erp-orders", "filtered=1")
	// What goes on to the next topic is for whoever reads that.
	w.must(copies, submitted(order("B", 1, "1"), "p", event.Person, "copy"))
	w.expect("copy", "delivered=1 filtered=2")
	last := event.Read(&w.log.records[len(w.log.records)-1])
	if s := last.Submitted; s == nil || s.For != "" || s.Trigger != event.Person || s.Who != "ann" || last.ID != "submitted/person/p" {
		t.Errorf("on the next topic: %+v %+v", last, s)
	}
}

// Behind a queue of its key, too, what was submitted to another flow is none of this one's: it is not queued, and what an earlier hub has queued is left out.
func TestSubmittedToAnotherFlowBehindAQueue(t *testing.T) {
	w := newWorld(t)
	r := w.flow("orders-to-erp")
	w.erp.script = []step{{false, fault.New(fault.Invalid, "no"), nil}}
	w.must(r, order("A", 1, "1"), submitted(order("A", 2, "2"), "r", event.Repair, "copy"))
	w.expect("orders-to-erp", "filtered=1 parked=1")
	other := submitted(order("A", 3, "3"), "s", event.Repair, "copy")
	err := w.store.Commit(t.Context(), &state.Commit{Flow: "orders-to-erp", Topic: "orders", Epoch: w.epoch(r), Results: []state.Result{{Offset: 2, Outcome: state.Parked,
		Queue: &state.Queued{Lane: other.Lane(), Follower: true, Blocking: true, Event: other}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Mark(t.Context(), state.Wish{ID: w.queue("orders-to-erp")[0].ID, Mark: state.MarkReplay, Who: "ann", Note: ""}); err != nil {
		t.Fatal(err)
	}
	r.Kick()
	w.until("drained", func() bool { return len(w.queue("orders-to-erp")) == 0 })
	w.expect("orders-to-erp", "delivered=1 filtered=2")
}
