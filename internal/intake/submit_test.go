package intake

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox/inboxtest"
	"github.com/waybill-hub/waybill/internal/state"
)

var repair = event.Submission{Trigger: event.Repair, Who: "crm-erp", Why: "name differs"}

func inner(flow string) Source {
	return Source{Flow: flow, Entity: "order", Topic: "canonical.order", Known: true}
}

func object(id string) event.Event {
	return event.Event{ID: id, Key: "SO-" + id, Hub: "h-" + id, Source: "crm", Origin: "crm", Version: "7", Data: []byte(`{"id":"` + id + `"}`)}
}

func (b *bench) hub(sources ...Source) *Intake {
	b.T.Helper()
	b.starts++
	in, err := Start(Config{Store: b.Store, Publisher: b.Topic, Clock: b.Clock, Log: inboxtest.Log(), Observer: b.seen, Holder: "hub", LeaseTTL: 1000 * time.Hour, Sources: sources})
	if err != nil {
		b.T.Fatal(err)
	}
	b.intake = in
	return in
}

// What is submitted to flows of any kind comes to their topics, once, whatever is submitted again; also after the hub has died right after it was stored.
func TestSubmit(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		all := func() []Source { return []Source{source("hooked", "a/hooked"), inner("to-erp"), inner("to-wms")} }
		in := b.hub(all()...)
		submit := func(flow string, ev event.Event) state.Accepted {
			t.Helper()
			got, err := in.Submit(t.Context(), flow, []event.Event{ev}, repair)
			if err != nil {
				t.Fatal(err)
			}
			return got.Events[0].Status
		}
		plain := object("1")
		plain.Hub = ""
		if a, c := submit("hooked", plain), submit("to-erp", object("1")); a != state.AcceptedNew || c != state.AcceptedNew {
			t.Fatal(a, c)
		}
		b.crash() // nothing of it may have been carried
		in = b.hub(all()...)
		if a, c := submit("hooked", plain), submit("to-erp", object("1")); a != state.AcceptedDuplicate || c != state.AcceptedDuplicate {
			t.Fatal(a, c)
		}
		submit("to-wms", object("1"))
		done := func() bool {
			open, err := b.Store.WithUnpublished(t.Context(), []string{"hooked", "to-erp", "to-wms"})
			return err == nil && len(open) == 0
		}
		b.Turn("all", done)
		places := map[string]bool{}
		for i := range b.Topic.Records {
			r := &b.Topic.Records[i]
			e := event.Read(r)
			places[r.Topic+" "+string(r.Key)+" "+e.ID+" for "+e.Submitted.For] = true
		}
		want := map[string]bool{"in.hooked 1 submitted/repair/1 for ": true, "canonical.order h-1 submitted/repair/1 for to-erp": true, "canonical.order h-1 submitted/repair/1 for to-wms": true}
		for place := range want {
			if !places[place] {
				t.Errorf("%s is missing among %v", place, places)
			}
		}
		if len(places) != len(want) {
			t.Errorf("%v", places)
		}
	})
}

// A reload lets nothing in while the relays change, loses nothing, and has the new flows taken to.
func TestSubmitWhileSourcesChange(t *testing.T) {
	onStores(t, func(t *testing.T, b *bench) {
		in := b.hub(source("hooked", "a/hooked"), inner("to-erp"), inner("gone"))
		submit := func(flow, id string) error {
			ev := object(id)
			if flow == "hooked" {
				ev.Hub = ""
			}
			_, err := in.Submit(t.Context(), flow, []event.Event{ev}, repair)
			return err
		}
		if err := errors.Join(submit("to-erp", "1"), submit("gone", "1"), submit("hooked", "1")); err != nil {
			t.Fatal(err)
		}
		change, err := in.Prepare([]Source{source("hooked", "a/hooked"), inner("to-erp"), inner("new")}, func(flow string) bool { return flow != "new" })
		if err != nil {
			t.Fatal(err)
		}
		if err := submit("gone", "2"); err != nil {
			t.Errorf("before anything changed: %v", err)
		}
		if err := change.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for flow, want := range map[string]string{"gone": "is being changed", "to-erp": "is being changed", "new": "there is no flow new", "hooked": ""} {
			if err := submit(flow, "3"); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || want == "is being changed" && fault.KindOf(err) != fault.Unavailable {
				t.Errorf("%s while it changes: %v", flow, err)
			}
		}
		change.Open()
		if err := errors.Join(submit("to-erp", "4"), submit("new", "4"), submit("hooked", "4")); err != nil {
			t.Error(err)
		}
		if err := submit("gone", "4"); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("a flow that is gone: %v", err)
		}
		b.Turn("all that has a flow", func() bool {
			open, err := b.Store.WithUnpublished(t.Context(), []string{"hooked", "to-erp", "new"})
			return err == nil && len(open) == 0
		})
		// What was accepted for the flow that is gone is on its topic, or rests until the flow comes back.
		change, err = in.Prepare([]Source{source("hooked", "a/hooked"), inner("to-erp"), inner("new"), inner("gone")}, func(flow string) bool { return flow != "gone" })
		if err == nil {
			err = change.Close(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		change.Open()
		b.Turn("the rest", func() bool {
			open, err := b.Store.WithUnpublished(t.Context(), []string{"gone"})
			return err == nil && len(open) == 0
		})
		var got []string
		for _, e := range b.Topic.Events() {
			got = append(got, e.Submitted.For+" "+e.ID)
		}
		slices.Sort(got)
		if got = slices.Compact(got); len(got) != 8 {
			t.Errorf("carried %v", got)
		}
	})
}
