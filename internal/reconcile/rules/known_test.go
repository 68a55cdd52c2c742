package rules

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

const knownFlows = `flow: wms-shipments
entity: shipment
from: {system: wms, poll: {every: 10s, overlap: 1m}}
to: {topic: canonical.shipment}
---
flow: shipments-to-erp
entity: shipment
from: {topic: canonical.shipment}
to: {system: erp}
---
flow: products-to-erp
entity: product
from: {topic: canonical.product}
to: {system: erp}
---
flow: invoices-out
entity: invoice
from: {system: erp, poll: {every: 10s, overlap: 1m}}
to: {topic: canonical.invoice}
---
`

// fakeHub remembers what it is told.
type fakeHub struct {
	traces map[string]state.Trace
	late   map[string]Lateness
	asked  []string // for lateness
	traced int
	fails  error
}

func (h *fakeHub) Trace(_ context.Context, key string) (state.Trace, error) {
	h.traced++
	return h.traces[key], h.fails
}

func (h *fakeHub) Late(_ context.Context, flows []string) (map[string]Lateness, error) {
	h.asked = append(h.asked, strings.Join(flows, ","))
	return h.late, h.fails
}

// TestKnownToTheHub: a message of the objects, on a road between the rule's systems, explains a violation; others do not.
func TestKnownToTheHub(t *testing.T) {
	plan := load(t, knownFlows+invoiced)
	queued := func(flow, entity, hub string, st state.Outcome) state.Trace {
		return state.Trace{Queued: []state.Queued{{ID: 9, Flow: flow, State: st, Reason: "because", Event: event.Event{ID: "e9", Entity: entity, Hub: hub}}}}
	}
	objects := []Object{{Entity: "shipment", System: "wms", Local: "2", Hub: "h2"}, {Entity: "order", System: "erp", Local: "o2"}}
	inbox := func(flow string, published bool) state.Trace {
		return state.Trace{Inbox: []state.TracedInbound{{Inbound: state.Inbound{Flow: flow}, Published: published}}}
	}
	for _, tt := range []struct {
		name   string
		hub    fakeHub
		reason string
		text   string
	}{
		{"nothing", fakeHub{}, "", ""},
		{"parked", fakeHub{traces: map[string]state.Trace{"h2": queued("shipments-to-erp", "shipment", "h2", state.Parked)}}, state.ExplainedParked, "shipments-to-erp: because"},
		{"waiting", fakeHub{traces: map[string]state.Trace{"h2": queued("shipments-to-erp", "shipment", "h2", state.Waiting)}}, state.ExplainedWaiting, "because"},
		{"held, on the road before", fakeHub{traces: map[string]state.Trace{"h2": queued("wms-shipments", "shipment", "h2", state.Held)}}, state.ExplainedInFlight, "because"},
		{"another road", fakeHub{traces: map[string]state.Trace{"h2": queued("invoices-out", "shipment", "h2", state.Parked)}}, "", ""},
		{"another entity", fakeHub{traces: map[string]state.Trace{"h2": queued("shipments-to-erp", "product", "h2", state.Parked)}}, "", ""},
		{"another object", fakeHub{traces: map[string]state.Trace{"h2": queued("shipments-to-erp", "shipment", "h3", state.Parked)}}, "", ""},
		{"accepted", fakeHub{traces: map[string]state.Trace{"h2": inbox("wms-shipments", false)}}, state.ExplainedInFlight, "accepted for the flow wms-shipments"},
		{"carried on", fakeHub{traces: map[string]state.Trace{"h2": inbox("wms-shipments", true)}}, "", ""},
		{"accepted elsewhere", fakeHub{traces: map[string]state.Trace{"h2": inbox("invoices-out", false)}}, "", ""},
		{"what belongs to it", fakeHub{traces: map[string]state.Trace{"o2": {
			Objects: []state.Object{{Entity: "order", Hub: "ho", Refs: []state.Ref{{System: "erp", Local: "o2"}}}},
			Queued:  []state.Queued{{Flow: "shipments-to-erp", State: state.Parked, Event: event.Event{Entity: "order", Hub: "ho"}}}}}}, state.ExplainedParked, "shipments-to-erp: "},
		{"a flow that is late", fakeHub{late: map[string]Lateness{"wms-shipments": {Why: "3 events"}}}, state.ExplainedInFlight, "the flow wms-shipments has not decided what had come in: 3 events"},
		{"a flow that stands", fakeHub{late: map[string]Lateness{"shipments-to-erp": {Why: "paused", Stands: true}}}, state.ExplainedStands, "paused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := NewKnowledge(&tt.hub, plan, plan.Rules[0]).Explain(context.Background(), objects)
			if err != nil || e.Reason != tt.reason || !strings.Contains(e.Text, tt.text) {
				t.Errorf("%+v, error %v", e, err)
			}
			if e.Reason == state.ExplainedParked && e.Parked != 9 && tt.name == "parked" {
				t.Errorf("%+v", e)
			}
		})
	}
	h := &fakeHub{}
	k := NewKnowledge(h, plan, plan.Rules[0])
	many := slices.Repeat(objects, 20)
	for range 2 {
		if _, err := k.Explain(context.Background(), many); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(h.asked, ";") != "shipments-to-erp,wms-shipments" || h.traced != 2*mostTraced {
		t.Errorf("asked for %v, %d traces", h.asked, h.traced)
	}
	h.fails = errors.New("no store")
	if _, err := k.Explain(context.Background(), objects); err == nil {
		t.Error("a failure was swallowed")
	}
}

// TestPrivate: personal data is masked in what is kept of a violation, and the rule sees it all the same.
func TestPrivate(t *testing.T) {
	b := newBench(t, load(t, `flow: erp-customers
entity: customer
from: {system: erp, poll: {every: 10s, overlap: 1m}}
accept: person
to: {topic: canonical.customer}
---
rule: r
entity: customer
over: {system: erp}
with: {friends: {system: erp, by: {of: source.no}, group: true, may-be-empty: true}}
remember: [name]
expect: len(source.name) < 3
say: source.name + " and " + (first(friends).name ?? "nobody") + " have long names, " + source.no + ", not " + (previous.name ?? "none")
settle: 0s
`))
	b.private = true
	b.erp.set("customer", "1", `{"no":"C-1","name":"Charlotte Example"}`)
	b.erp.set("customer", "2", `{"no":"C-2","name":"Wilhelmina","of":"C-1"}`)
	b.store.remembered["r"] = map[string]string{"1": `{"name":"Charlotte Former"}`}
	b.run()
	if len(b.found) != 2 {
		t.Fatal(b.lines())
	}
	d := b.found[0]
	for name, text := range map[string]string{"sentence": d.Text, "document": string(d.LeftDoc), "others": string(d.RightDoc)} {
		if strings.Contains(text, "Charlotte") || strings.Contains(text, "Wilhelmina") {
			t.Errorf("the %s tells a name: %s", name, text)
		}
	}
	if !strings.Contains(d.Text, "have long names, C-1, not ") || !strings.Contains(string(d.LeftDoc), `"no":"C-1"`) || !strings.Contains(string(d.RightDoc), `"no":"C-2"`) || !strings.Contains(string(d.RightDoc), "previous") {
		t.Errorf("%s, %s, %s", d.Text, d.LeftDoc, d.RightDoc)
	}
	if got := slices.Collect(maps.Values(b.store.remembered["r"])); len(got) != 1 {
		t.Errorf("remembered %q", got)
	}
}
