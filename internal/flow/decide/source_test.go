package decide

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// What the receiving side makes of an event, by what is known of the object in its source; then what it makes of the content.
func TestReceived(t *testing.T) {
	read := &config.Flow{Name: "erp-orders", Entity: "order"}
	read.From.System, read.To.Topic = "erp", "booked"
	var qty1 map[string]uint64
	{ // the hashes of the content of every event here
		m := message(read, upsert("1"))
		m.Received(&state.Target{}, now)
		if v, err := m.Map(t.Context()); v != nil || err != nil {
			t.Fatalf("%s (%v)", said(v), err)
		}
		qty1 = m.Ref.Known.Fields
	}
	other := map[string]uint64{"qty": 1}
	known := func(k state.Known) *state.Ref {
		k.Flow = "erp-orders"
		return &state.Ref{Local: "7", ETag: "t", Known: &k}
	}
	again := func(trigger event.Trigger, ev event.Event) event.Event {
		ev.Submitted = &event.Submission{Trigger: trigger}
		return ev
	}
	deleted := func(r *state.Ref) *state.Ref { r.Deleted = true; return r }
	for name, c := range map[string]struct {
		ev   event.Event
		ref  *state.Ref
		want string
	}{
		"never seen":                              {upsert("2"), nil, "goes on"},
		"known, and nothing of its content":       {upsert("2"), &state.Ref{Local: "7"}, "goes on"},
		"another object with its external id":     {upsert("2"), &state.Ref{Local: "8"}, "parked erp holds the object twice, as 8 and as 7: both carry one external id. Leave one of them there, then discard this message, or replay it conflict erp/twin"},
		"what another flow knows":                 {upsert("2"), &state.Ref{Local: "7", Known: &state.Known{Flow: "other", Received: "9", Fields: qty1}}, "goes on"},
		"older than what was received":            {upsert("2"), known(state.Known{Received: "3"}), "skipped stale"},
		"published twice":                         {upsert("2"), known(state.Known{Received: "2", EventID: "e2"}), "skipped duplicate"},
		"the same content under a new id":         {upsert("2"), known(state.Known{Received: "1", Fields: qty1}), "skipped duplicate"},
		"what the hub wrote":                      {upsert("2"), known(state.Known{Received: "1", Fields: qty1, Hops: 1, Written: []string{"qty"}}), "skipped echo"},
		"news":                                    {upsert("2"), known(state.Known{Received: "1", Fields: other}), "goes on"},
		"what the hub has overwritten":            {upsert("2"), known(state.Known{Received: "1", Fields: other, Wrote: "5", Written: []string{"qty"}}), "skipped stale"},
		"after a stamp that is ahead":             {upsert("2"), known(state.Known{Received: now.Add(48 * time.Hour).Format(time.RFC3339), Fields: other}), "goes on"},
		"deleted before by the source":            {removal("2"), deleted(known(state.Known{Received: "1"})), "skipped duplicate"},
		"deleted before by the hub":               {removal("2"), deleted(known(state.Known{Received: "1", Fields: qty1})), "skipped echo"},
		"a state from before its deletion":        {upsert("2"), deleted(known(state.Known{Received: "3", Fields: qty1})), "skipped stale"},
		"back after its deletion, as it was":      {upsert("2"), deleted(known(state.Known{Received: "1", Fields: qty1})), "goes on"},
		"a resend of what is known":               {again(event.Person, upsert("2")), known(state.Known{Received: "2", Fields: qty1}), "goes on"},
		"a repair by what the hub wrote":          {again(event.Repair, upsert("2")), known(state.Known{Received: "2", Fields: qty1, Hops: 1, Written: []string{"qty"}}), "goes on"},
		"a backfill of what is known":             {again(event.Backfill, upsert("2")), known(state.Known{Received: "2", Fields: qty1}), "skipped duplicate"},
		"a resend of an older state":              {again(event.Person, upsert("2")), known(state.Known{Received: "3", Fields: other}), "skipped stale"},
		"a resend of what was overwritten":        {again(event.Person, upsert("2")), known(state.Known{Received: "1", Fields: other, Wrote: "5", Written: []string{"qty"}}), "skipped stale"},
		"a resend that was published twice":       {again(event.Person, upsert("2")), known(state.Known{Received: "2", EventID: "e2"}), "skipped duplicate"},
		"a deletion again":                        {again(event.Repair, removal("2")), deleted(known(state.Known{Received: "1"})), "goes on"},
		"a resend of a state before its deletion": {again(event.Person, upsert("")), deleted(known(state.Known{Fields: qty1})), "skipped duplicate"},
		"of no version, the same after deletion":  {upsert(""), deleted(known(state.Known{Fields: qty1})), "skipped duplicate"},
	} {
		t.Run(name, func(t *testing.T) {
			m := message(read, c.ev)
			v := m.Received(&state.Target{Ref: c.ref}, now)
			if v == nil {
				var err error
				if v, err = m.Map(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := said(v); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if m.Ref == nil || m.Ref.Local != "7" || m.Ref.System != "erp" {
				t.Errorf("the reference is %+v", m.Ref)
			}
		})
	}
}

// TestOlderThanAWrite: of a state from before the hub's last write nothing is known of the fields that the write has replaced by something else.
func TestOlderThanAWrite(t *testing.T) {
	read := &config.Flow{Name: "erp-orders", Entity: "order"}
	read.From.System, read.To.Topic = "erp", "booked"
	for name, c := range map[string]struct {
		version string
		known   state.Known
		want    string
	}{
		"older":                       {"2", state.Known{Wrote: "5", Written: []string{"qty"}, Fields: map[string]uint64{"qty": 1, "note": 1}}, "[]"},
		"older, by what nobody wrote": {"2", state.Known{Wrote: "5", Written: []string{"note"}, Fields: map[string]uint64{"qty": 1, "note": 1}}, "[qty]"},
		"newer":                       {"6", state.Known{Wrote: "5", Written: []string{"qty"}, Fields: map[string]uint64{"qty": 1, "note": 1}}, "[qty]"},
		"of no order":                 {"", state.Known{Wrote: "5", Written: []string{"qty"}, Fields: map[string]uint64{"qty": 1, "note": 1}}, "[qty]"},
	} {
		m := message(read, upsert(c.version))
		c.known.Flow, c.known.Received = "erp-orders", "1"
		v := m.Received(&state.Target{Ref: &state.Ref{Local: "7", Known: &c.known}}, now)
		var err error
		if v == nil {
			v, err = m.Map(t.Context())
		}
		if got := fmt.Sprint(slices.Sorted(maps.Keys(m.Ref.Known.Fields))); v != nil || err != nil || got != c.want {
			t.Errorf("%s: %s (%v), known %s, want %s", name, said(v), err, got, c.want)
		}
	}
}

func message(f *config.Flow, ev event.Event) *Message {
	m := &Message{Flow: f, Event: &ev, Lookup: nobody{}, Scratch: new([]byte), Local: "7"}
	_, _ = m.Doc()
	return m
}

// An event that passes on what the hub wrote carries how often it has gone round, and ends in a circle.
func TestCircle(t *testing.T) {
	read := &config.Flow{Name: "erp-orders", Entity: "order"}
	read.From.System, read.To.Topic = "erp", "booked"
	m := message(read, upsert("2"))
	m.Received(&state.Target{}, now)
	if _, err := m.Map(t.Context()); err != nil {
		t.Fatal(err)
	}
	wrote := map[string]uint64{"qty": m.Ref.Known.Fields["qty"], "status": 5} // and the system has made a status of its own
	for hops, want := range map[int]string{1: "goes on", MaxHops: "parked the event has passed 32 flows: flows hand it round in a circle loop loop"} {
		m := message(read, upsert("2"))
		m.Received(&state.Target{Ref: &state.Ref{Local: "7", Known: &state.Known{Flow: "erp-orders", Received: "1", Fields: wrote, Hops: hops, Written: []string{"qty"}}}}, now)
		v, err := m.Map(t.Context())
		if got := said(v); got != want || err != nil {
			t.Errorf("after %d: %s (%v), want %s", hops, got, err, want)
		}
		if m.Event.Hops != hops {
			t.Errorf("after %d: the event says %d", hops, m.Event.Hops)
		}
	}
}
