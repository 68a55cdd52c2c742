package rules

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/state"
)

// TestByFlow: the flow that reads a list says how its objects are mapped, and by which id the hub knows them.
func TestByFlow(t *testing.T) {
	b := newBench(t, load(t, `flow: erp-orders
entity: order
from: {system: erp, poll: {every: 10s, overlap: 1m}}
accept: any
when: source.draft != true
id: source.uid
map: order
to: {topic: canonical.order}
---
rule: known
entity: order
over: {system: erp}
expect: source.id == "hub-1"
say: source.id
settle: 0s
`, "mapping: order\nfrom: any\nto: any\nset:\n  id: event.hub\n  need: choose(source.no == null, xref(\"order\", \"erp\", \"none\"), \"x\")\n"))
	b.store.hubs["erp u1"] = "hub-1"
	b.erp.set("order", "1", `{"uid":"u1","no":1}`)
	b.erp.set("order", "2", `{"uid":"u2","no":2}`)
	b.erp.set("order", "3", `{"uid":"u3","draft":true}`)
	b.erp.set("order", "4", `{"uid":"u4"}`)
	b.run()
	got := b.lines()
	if len(got) != 2 || got[0] != "violation violated 2: "+state.MintHub("order", "erp", "u2") || !strings.HasPrefix(got[1], "not-compared not-compared 4: ") || !strings.Contains(got[1], "is not known to the hub yet") {
		t.Errorf("found %q", got)
	}
}

// TestTooMany: what belongs to one object is bounded.
func TestTooMany(t *testing.T) {
	b := shipments(t)
	for i := range mostOfGroup + 1 {
		b.erp.objects["invoice"] = append(b.erp.objects["invoice"], b.erp.objects["invoice"][0])
		b.erp.objects["invoice"][len(b.erp.objects["invoice"])-1].Local = fmt.Sprint("x", i)
	}
	b.run()
	b.want("not-compared not-compared 1: 10002 of invoices belong to it, which are too many to be looked at together: at most 10000, of 4 MiB",
		"violation violated 2: shipment S-2 of order O-2 has no invoice 2.10 EUR")
}

// TestCancelled: a run that is ended says nothing.
func TestCancelled(t *testing.T) {
	b := shipments(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	b.clock.rest = func() { cancel(errors.New("ann wants it")) }
	if _, _, _, err := b.try(ctx); err == nil || !strings.Contains(err.Error(), "ann wants it") {
		t.Error(err)
	}
	b.want()
}

// TestManyAgain: more than are asked for one by one are found by reading the list again.
func TestManyAgain(t *testing.T) {
	b := newBench(t, load(t, "rule: r\nentity: order\nover: {system: erp}\nexpect: source.n >= 0\n"))
	b.erp.asks = true
	for i := range mostFinds + 1 {
		b.erp.set("order", fmt.Sprint(i), `{"n":-1}`)
	}
	b.clock.rest = func() { b.erp.set("order", "7", `{"n":1}`); b.erp.set("order", "8", `{"n":-2}`) }
	if sum, _ := b.run(); sum.Different != mostFinds || sum.Explained[state.ExplainedArrived] != 1 || b.erp.lists["order"] != 2 {
		t.Errorf("summary %+v, %d lists", sum, b.erp.lists["order"])
	}
}

// TestManyUnread: of what cannot be read the first are told, and all are counted.
func TestManyUnread(t *testing.T) {
	b := shipments(t)
	for i := range mostUnread + 20 {
		b.erp.set("invoice", fmt.Sprint("bad", i), "!broken")
	}
	sum, detail := b.run()
	if sum.NotCompared != mostUnread+20 || len(b.found) != mostUnread+1 || detail != "1020 of invoices cannot be read" {
		t.Errorf("%d not compared, %d told, %q", sum.NotCompared, len(b.found), detail)
	}
}

// TestCutShort: a list that ends because the run does is none.
func TestCutShort(t *testing.T) {
	b := shipments(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	b.erp.each = func(int) { cancel(errors.New("the hub stops")) }
	if st, _, _, err := b.try(ctx); st != state.RunFailed || err == nil || !strings.Contains(err.Error(), "the hub stops") {
		t.Error(st, err)
	}
	b.want()
}

// TestOneList: what stands in one record was never half written. It counts when it fails twice, whatever has changed of it, nobody is asked whether
// it is on its way, and an object that the list gives twice is one.
func TestOneList(t *testing.T) {
	b := newBench(t, load(t, "rule: stock\nentity: inventory\nover: {system: erp}\nexpect: source.n >= 0\nsay: text(source.n)\n"))
	b.know = knows(func([]Object) (Explanation, error) { return Explanation{Reason: state.ExplainedParked}, nil })
	b.erp.set("inventory", "1", `{"n":-1}`)
	b.erp.set("inventory", "2", `{"n":1}`)
	b.erp.objects["inventory"] = append(b.erp.objects["inventory"], b.erp.objects["inventory"]...)
	b.clock.rest = func() {
		for i := range b.erp.objects["inventory"] {
			b.erp.objects["inventory"][i].Doc = []byte(`{"n":-2}`)
		}
	}
	b.run()
	b.want("violation violated 1: -2")
	if b.clock.n != 1 {
		t.Errorf("%d rests", b.clock.n)
	}
}

// TestReferencesThatFail: a cross-reference that cannot be asked fails the run. It says nothing of the object.
func TestReferencesThatFail(t *testing.T) {
	for name, rule := range map[string]string{
		"expect": "over: {system: erp}\nexpect: xref_id(\"order\", \"wms\", source.no) == \"x\"\n",
		"by":     "over: {system: erp}\nwith:\n  w:\n    system: wms\n    by:\n      id: xref_id(\"order\", \"wms\", source.no)\nexpect: exists(w)\n",
		"map":    "over: {system: erp, map: other}\nexpect: exists(source.no)\n",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, load(t, "rule: r\nentity: order\n"+rule, "mapping: other\nfrom: any\nto: any\nset:\n  no: xref_id(\"order\", \"wms\", text(source.no))\n"))
			b.erp.set("order", "1", `{"no":"O-1"}`)
			b.wms.set("order", "1", `{"id":"1"}`)
			b.store.failsLocal = errors.New("disk full")
			if st, _, _, err := b.try(context.Background()); st != state.RunFailed || err == nil || !strings.Contains(err.Error(), "the cross-reference: disk full") {
				t.Errorf("%s, error %v", st, err)
			}
			b.want()
		})
	}
}

// TestWhereThatFails: an object of which `where` cannot say whether it counts is told, with its document and by its key.
func TestWhereThatFails(t *testing.T) {
	b := newBench(t, load(t, "rule: r\nentity: order\nover: {system: erp, where: source.n > 0}\nexpect: true == exists(source.n)\nkey: source.no\n"))
	b.erp.set("order", "1", `{"no":"O-1","n":"many"}`)
	b.run()
	if len(b.found) != 1 || b.found[0].Kind != state.DiffNotCompared || b.found[0].Key != "O-1" || string(b.found[0].LeftDoc) != `{"no":"O-1","n":"many"}` || !strings.HasPrefix(b.found[0].Text, "where: ") {
		t.Errorf("found %+v", b.found)
	}
}

// TestSayOfWhatIsAbsent: a sentence shows what is absent as (none), and one that gives nothing at all is the rule's own.
func TestSayOfWhatIsAbsent(t *testing.T) {
	b := newBench(t, load(t, `rule: stock
about: no stock is below zero
entity: inventory
over: {system: erp}
with: {product: {system: erp, entity: product, by: {no: source.no}, may-be-empty: true}}
expect: source.n >= 0
say: >-
  choose(source.n == -1, "there are " + text(source.n) + " of " + source.no + " (" + product.name + ") in " + source.place.code + ", " + text(source.due) + concat("; ", source.lot, "/", source.n), source.note)
settle: 0s
`))
	b.erp.set("inventory", "1", `{"n":-1,"place":{}}`)
	b.erp.set("inventory", "2", `{"n":-1,"no":"A-1","place":{"code":"MAIN"},"due":null,"lot":"L7"}`)
	b.erp.set("inventory", "3", `{"n":-2}`)
	b.run()
	b.want("violation violated 1: there are -1 of (none) ((none)) in (none), (none); (none)/-1", "violation violated 2: there are -1 of A-1 ((none)) in MAIN, (none); L7/-1",
		"violation violated 3: no stock is below zero (say gives nothing)")
}
