package flow

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/state"
)

// idTable answers LocalID and HubID: "entity/system/local" → hub.
type idTable map[string]string

func (m idTable) HubID(_ context.Context, entity, system, local string) (string, bool, error) {
	hub, ok := m[entity+"/"+system+"/"+local]
	return hub, ok, nil
}

func (m idTable) LocalID(_ context.Context, entity, system, hub string) (string, bool, error) {
	for _, local := range []string{"T1", "T2"} {
		if m[entity+"/"+system+"/"+local] == hub {
			return local, true, nil
		}
	}
	return "", false, nil
}

// away is a lookup that does not answer.
type away struct{}

var errAway = errors.New("away")

func (away) HubID(context.Context, string, string, string) (string, bool, error) {
	return "", false, errAway
}

func (away) LocalID(context.Context, string, string, string) (string, bool, error) {
	return "", false, errAway
}

func TestDryRun(t *testing.T) {
	w := newWorld(t)
	known := idTable{"order/erp/T1": "hub-A", "order/erp2/T2": "hub-A", "customer/erp/T2": "hub-C"}
	for _, c := range []struct {
		name, flow string
		ev         event.Event
		ids        idTable
		want       string // outcome, reason and call
	}{
		{"create", "orders-to-erp", order("B", 1, "1"), known, "delivered  create hub-B "},
		{"update", "orders-to-erp", order("A", 1, "1"), known, "delivered  update hub-A T1"},
		{"filtered", "orders-to-erp", with(order("A", 1, "1"), func(e *event.Event) { e.Data = []byte(`{"no":"A","qty":1,"status":"draft"}`) }), known, "skipped filtered  hub-A "},
		{"echo", "orders-to-erp", with(order("A", 1, "1"), func(e *event.Event) { e.Origin = "erp" }), known, "skipped echo  hub-A "},
		{"requires", "orders-to-erp", with(order("A", 1, "1"), func(e *event.Event) { e.Data = []byte(`{"no":"A","qty":1,"customer":"hub-D"}`) }), known, "waiting the customer hub-D has no id in erp yet  hub-A "},
		{"requires what is there", "orders-to-erp", with(order("A", 1, "1"), func(e *event.Event) { e.Data = []byte(`{"no":"A","qty":1,"customer":"hub-C"}`) }), known, "delivered  update hub-A T1"},
		{"delete", "orders-to-erp", with(order("A", 1, "1"), func(e *event.Event) { e.Operation, e.Data = event.Delete, nil }), known, "delivered  delete hub-A T1"},
		{"deactivate", "orders-latest", with(order("A", 1, "1"), func(e *event.Event) { e.Operation, e.Data = event.Delete, nil }), known, "delivered  update hub-A T2"},
		{"nothing there", "orders-latest", with(order("B", 1, "1"), func(e *event.Event) { e.Operation, e.Data = event.Delete, nil }), known, "skipped delete-ignored  hub-B "},
		{"found", "erp-orders", event.Event{ID: "1", Origin: "erp", Operation: event.Upsert, Data: []byte(`{"no":"T1","qty":1}`)}, known, "delivered   hub-A "},
		{"minted", "erp-orders", event.Event{ID: "1", Origin: "erp", Operation: event.Upsert, Data: []byte(`{"no":"T9","qty":1}`)}, known, "delivered   " + state.MintHub("order", "erp", "T9") + " "},
		{"no key", "erp-orders", event.Event{ID: "1", Operation: event.Upsert, Data: []byte(`{"no":"","qty":1}`)}, known, "parked the key is empty   "},
		{"no key, and not wanted", "erp-orders", event.Event{ID: "1", Operation: event.Upsert, Data: []byte(`{"no":"","qty":-1}`)}, known, "skipped filtered   "},
		{"no JSON", "erp-orders", event.Event{ID: "1", Operation: event.Upsert, Data: []byte(`{`)}, known, "parked 1:2: expected a member name in double quotes, found the end of the document   "},
		{"nothing says which", "orders-to-erp", event.Event{ID: "1", Operation: event.Upsert, Data: []byte(`{"no":"B","qty":1}`)}, known,
			"parked the record has neither a key nor a hub id: nothing says which object it is   "},
		{"loop", "orders-to-erp", with(order("A", 1, "1"), func(e *event.Event) { e.Hops = decide.MaxHops }), known, "parked the event has passed 32 flows: flows hand it round in a circle  hub-A "},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := decide.DryRun(t.Context(), w.plan, w.plan.Flow(c.flow), c.ev, nil, c.ids, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			var call connector.Write
			if got.Write != nil {
				call = *got.Write
			}
			if text := string(got.Outcome) + " " + got.Reason + " " + string(call.Action) + " " + got.Event.Hub + " " + call.Local; text != c.want {
				t.Errorf("got  %q\nwant %q", text, c.want)
			}
		})
	}
	if rows := w.queue("orders-to-erp"); len(rows) > 0 || len(w.erp.calls) > 0 || len(w.log.records) > 0 {
		t.Errorf("a dry run leaves traces: %v %v %v", rows, w.erp.calls, w.log.records)
	}
}

func TestDryRunEndsWhenItsLookupFails(t *testing.T) {
	w := newWorld(t)
	if _, err := decide.DryRun(t.Context(), w.plan, w.plan.Flow("orders-to-erp"), order("A", 1, "1"), nil, away{}, time.Now()); !errors.Is(err, errAway) {
		t.Errorf("got %v", err)
	}
}
