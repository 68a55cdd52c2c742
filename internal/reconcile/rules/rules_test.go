package rules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

const invoiced = `rule: shipped-not-invoiced
about: every shipment has an invoice after three days
entity: shipment
over: {system: wms, where: source.status == "shipped"}
with:
  invoices: {system: erp, entity: invoice, by: {order: source.order}, group: true}
  order: {system: erp, entity: order, by: {no: source.order}}
expect: len(invoices) > 0 or age(source.at) < 3d
key: source.no
say: >-
  "shipment " + source.no + " of order " + source.order + " has no invoice"
money: {amount: order.total, currency: order.currency}
`

// shipments are three: one with an invoice, one without, one that is young.
func shipments(t testing.TB) *bench {
	b := newBench(t, load(t, invoiced))
	b.wms.set("shipment", "1", `{"no":"S-1","order":"O-1","status":"shipped","at":"2026-11-20T08:00:00Z"}`)
	b.wms.set("shipment", "2", `{"no":"S-2","order":"O-2","status":"shipped","at":"2026-11-20T08:00:00Z"}`)
	b.wms.set("shipment", "3", `{"no":"S-3","order":"O-3","status":"shipped","at":"2026-11-29T08:00:00Z"}`)
	b.wms.set("shipment", "4", `{"no":"S-4","order":"O-4","status":"picking","at":"2026-11-20T08:00:00Z"}`)
	b.erp.set("invoice", "i1", `{"order":"O-1"}`)
	b.erp.set("invoice", "i9", `{"order":"O-9"}`)
	for i := 1; i <= 4; i++ {
		b.erp.set("order", fmt.Sprint("o", i), fmt.Sprintf(`{"no":"O-%d","total":%d.10,"currency":"EUR"}`, i, i))
	}
	return b
}

func TestViolation(t *testing.T) {
	b := shipments(t)
	st, sum, detail, err := b.try(context.Background())
	if err != nil || st != state.RunDrift || detail != "" {
		t.Fatal(st, detail, err)
	}
	b.want("violation violated 2: shipment S-2 of order O-2 has no invoice 2.10 EUR")
	if sum.Compared != 3 || sum.Equal != 2 || sum.Different != 1 || sum.Money["EUR"] != "2.10" || sum.Reasons[state.ReasonViolated] != 1 || sum.Drift() != 1 {
		t.Errorf("summary %+v", sum)
	}
	d := b.found[0]
	if d.Run != 7 || d.N != 1 || d.Key != "S-2" || d.Hub != state.MintHub("shipment", "wms", "2") || strings.Join(d.More, ",") != "order o2" {
		t.Errorf("difference %+v", d)
	}
	var right map[string]json.RawMessage
	if err := json.Unmarshal(d.RightDoc, &right); err != nil || string(right["order"]) != `{"no":"O-2","total":2.10,"currency":"EUR"}` || string(right["invoices"]) != "[]" || !json.Valid(d.LeftDoc) {
		t.Errorf("documents %s and %s", d.LeftDoc, d.RightDoc)
	}
	if b.clock.n != 1 {
		t.Errorf("%d rests, want one", b.clock.n)
	}
	last := b.progress[len(b.progress)-1]
	if last.Path != "streamed" || b.progress[0].Phase != "reading" || last.Phase != "looking-again" || last.Left == 0 {
		t.Errorf("progress %+v", b.progress)
	}
}

// TestSecondLook: only what fails in the same way twice is a violation.
func TestSecondLook(t *testing.T) {
	t.Run("one cannot be read when it is asked for", func(t *testing.T) {
		b := shipments(t)
		b.wms.asks, b.erp.asks, b.wms.torn = true, true, map[string]bool{"2": true}
		if sum, _ := b.run(); sum.NotCompared != 1 || sum.Different != 0 {
			t.Errorf("%+v", sum)
		}
	})
	for _, tt := range []struct {
		name  string
		asks  bool
		rest  func(b *bench, n int)
		want  []string
		rests int
		why   string // explained
	}{
		{"still so", false, func(*bench, int) {}, []string{"violation violated 2: shipment S-2 of order O-2 has no invoice 2.10 EUR"}, 1, ""},
		{"asked one by one", true, func(*bench, int) {}, []string{"violation violated 2: shipment S-2 of order O-2 has no invoice 2.10 EUR"}, 1, ""},
		{"the invoice has come", false, func(b *bench, _ int) { b.erp.set("invoice", "i2", `{"order":"O-2"}`) }, nil, 1, state.ExplainedArrived},
		{"the invoice has come, asked", true, func(b *bench, _ int) { b.erp.set("invoice", "i2", `{"order":"O-2"}`) }, nil, 1, state.ExplainedArrived},
		{"the shipment is gone", false, func(b *bench, _ int) { b.wms.remove("shipment", "2") }, nil, 1, state.ExplainedArrived},
		{"the shipment is gone, asked", true, func(b *bench, _ int) { b.wms.remove("shipment", "2") }, nil, 1, state.ExplainedArrived},
		{"it fails in another way, and then in the same", false, func(b *bench, n int) {
			if n == 1 {
				b.erp.set("order", "o2", `{"no":"O-2","total":7,"currency":"EUR"}`)
			}
		}, []string{"violation violated 2: shipment S-2 of order O-2 has no invoice 7 EUR"}, 2, ""},
		{"it is changed all the time", false, func(b *bench, n int) {
			b.erp.set("order", "o2", fmt.Sprintf(`{"no":"O-2","total":%d,"currency":"EUR"}`, n))
		}, []string{"explained violation moving 2: shipment S-2 of order O-2 has no invoice 2 EUR"}, 2, state.ExplainedMoving},
		{"another one fails by then", false, func(b *bench, _ int) { b.erp.remove("invoice", "i1") }, []string{"violation violated 2: shipment S-2 of order O-2 has no invoice 2.10 EUR"}, 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := shipments(t)
			b.wms.asks, b.erp.asks = tt.asks, tt.asks
			b.clock.rest = func() { tt.rest(b, b.clock.n) }
			sum, _ := b.run()
			b.want(tt.want...)
			if b.clock.n != tt.rests || tt.why != "" && sum.Explained[tt.why] != 1 || tt.why == "" && len(sum.Explained) > 0 {
				t.Errorf("%d rests, explained %v", b.clock.n, sum.Explained)
			}
			if tt.asks && b.wms.lists["shipment"] != 1 {
				t.Errorf("the shipments were listed %d times, although they can be asked for", b.wms.lists["shipment"])
			}
		})
	}
}

// TestNoSettle: without a time of rest what fails counts at once.
func TestNoSettle(t *testing.T) {
	b := shipments(t)
	b.plan.Rules[0].Settle = 0
	b.run()
	b.want("violation violated 2: shipment S-2 of order O-2 has no invoice 2.10 EUR")
	if b.clock.n != 0 || b.wms.lists["shipment"] != 1 {
		t.Errorf("%d rests, %d lists", b.clock.n, b.wms.lists["shipment"])
	}
}

// TestListsThatFail: a list that breaks off, or is empty against all likelihood, fails the run and says nothing of violations.
func TestListsThatFail(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(b *bench)
		want string
	}{
		{"source breaks off", func(b *bench) { b.wms.breaks["shipment"] = 1 }, "source, the list of shipment of wms: "},
		{"others break off", func(b *bench) { b.erp.breaks["invoice"] = 1 }, "invoices, the list of invoice of erp: "},
		{"others break off at the second look", func(b *bench) { b.clock.rest = func() { b.erp.breaks["invoice"] = 0 } }, "invoices, the list of invoice of erp: "},
		{"others are empty", func(b *bench) { b.erp.objects["invoice"] = nil }, "invoices, the list of invoice of erp: it gave no object at all: an empty answer says nothing; look why, or write may-be-empty: true where that may be so"},
		{"source is empty", func(b *bench) { b.wms.objects["shipment"] = nil }, "source, the list of shipment of wms: it gave no object at all"},
		{"the cross-reference fails", func(b *bench) { b.store.fails = errors.New("disk full") }, "the cross-reference: disk full"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := shipments(t)
			tt.do(b)
			st, _, _, err := b.try(context.Background())
			if st != state.RunFailed || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s, error %v, want %s", st, err, tt.want)
			}
			b.want()
		})
	}
}

// TestEmptyLists: an empty list is believed where the file says so, or where the hub knows of no object there.
func TestEmptyLists(t *testing.T) {
	const flow = "---\nflow: erp-invoices\nentity: invoice\nfrom: {system: erp, poll: {every: 10s, overlap: 1m}}\nto: {topic: canonical.invoice}\n"
	for _, tt := range []struct {
		name, rule string
		known      int
		fails      bool
	}{
		{"said so", strings.Replace(invoiced, "group: true", "group: true, may-be-empty: true", 1), 5, false},
		{"nothing known", invoiced + flow, 0, false},
		{"some known", invoiced + flow, 5, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := shipments(t)
			b := newBench(t, load(t, tt.rule))
			b.wms, b.erp = from.wms, from.erp
			b.erp.objects["invoice"] = nil
			b.store.known["erp-invoices"] = tt.known
			_, sum, _, err := b.try(context.Background())
			if (err != nil) != tt.fails || !tt.fails && sum.Different != 2 {
				t.Errorf("error %v, summary %+v", err, sum)
			}
			if tt.fails && (!errors.Is(err, ErrEmpty) || !strings.Contains(err.Error(), "the hub knows 5 there")) {
				t.Error(err)
			}
		})
	}
}

// TestNotCompared: what cannot be read, joined or judged is told, and is no violation.
func TestNotCompared(t *testing.T) {
	b := shipments(t)
	b.wms.set("shipment", "5", "!half a record")
	b.wms.set("shipment", "6", `{"no":"S-6","order":{"id":1},"status":"shipped","at":"2026-11-20T08:00:00Z"}`)
	b.wms.set("shipment", "7", `{"no":"S-7","order":"O-7","status":"shipped","at":"soon"}`)
	b.wms.set("shipment", "8", `{"no":"S-8","order":"O-8","status":"shipped","at":"2026-11-20T08:00:00Z"}`)
	b.erp.set("order", "o8a", `{"no":"O-8"}`)
	b.erp.set("order", "o8b", `{"no":"O-8"}`)
	b.erp.set("invoice", "i5", "!broken")
	sum, detail := b.run()
	got := b.lines()
	for i, want := range []string{
		"not-compared not-compared i5: invoices: it cannot be read: broken",
		"violation violated 2: shipment S-2 of order O-2 has no invoice (1 of invoices cannot be read: one of them may be what is missing) 2.10 EUR",
		"not-compared not-compared 5: it cannot be read: half a record",
		"not-compared not-compared 6: by: ",
		"not-compared not-compared 7: expect: ",
		"not-compared not-compared 8: 2 of order belong to it, where there should be one: o8a, o8b (group: true takes several)",
	} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			t.Errorf("found\n%s\nwant %s", strings.Join(got, "\n"), want)
		}
	}
	if sum.NotCompared != 5 || sum.Different != 1 || sum.Compared != 7 || detail != "1 of invoices cannot be read" {
		t.Errorf("summary %+v, %q", sum, detail)
	}
}

// TestUnreadableHeals: an object that could not be read at first, and can be by now, is no matter.
func TestUnreadableHeals(t *testing.T) {
	b := shipments(t)
	b.erp.set("invoice", "i2", "!its order is not known yet")
	b.erp.asks = true
	b.clock.rest = func() { b.erp.set("invoice", "i2", `{"order":"O-2"}`) }
	sum, detail := b.run()
	b.want()
	if sum.NotCompared != 0 || detail != "" {
		t.Errorf("summary %+v, %q", sum, detail)
	}
}

// TestOneObject: a key looks at one object alone, a time at what has changed since.
func TestOneObject(t *testing.T) {
	b := shipments(t)
	b.opts.Key = "S-2"
	if sum, _ := b.run(); sum.Compared != 1 || sum.Different != 1 {
		t.Errorf("one object: %+v", sum)
	}
	b.opts.Key = state.MintHub("shipment", "wms", "2")
	if sum, _ := b.run(); sum.Compared != 1 || sum.Different != 1 {
		t.Errorf("one object by its hub id: %+v", sum)
	}
	b.opts.Key = "S-1"
	if sum, _ := b.run(); sum.Compared != 1 || sum.Different != 0 {
		t.Errorf("one object: %+v", sum)
	}
	b.opts = state.CompareOptions{Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	b.wms.objects["shipment"][1].Version = "2026-11-20T00:00:00Z"
	if sum, _ := b.run(); sum.Compared != 1 || sum.Different != 1 {
		t.Errorf("what has changed since: %+v", sum)
	}
}

// TestDoubledInTheList: a list that moves while it is read gives an object twice, which is one.
func TestDoubledInTheList(t *testing.T) {
	b := newBench(t, load(t, `rule: paid
entity: order
over: {system: erp}
with: {invoices: {system: erp, entity: invoice, by: {order: source.no}, group: true}}
expect: sum(invoices, .gross) == source.total
`))
	b.erp.set("order", "1", `{"no":"O-1","total":0.3}`)
	b.erp.set("order", "2", `{"no":"O-2","total":1}`)
	b.erp.set("invoice", "a", `{"order":"O-1","gross":0.1}`)
	b.erp.set("invoice", "b", `{"order":"O-1","gross":0.2}`)
	b.erp.set("invoice", "c", `{"order":"O-2","gross":2}`)
	for _, object := range []string{"order", "invoice"} {
		b.erp.objects[object] = append(b.erp.objects[object], b.erp.objects[object]...)
	}
	sum, _ := b.run()
	b.want("violation violated 2: the rule paid does not hold")
	if sum.Compared != 2 {
		t.Errorf("summary %+v", sum)
	}
}

// TestChain: what belongs to an object may lead on to what belongs to it.
func TestChain(t *testing.T) {
	b := newBench(t, load(t, `rule: limit
entity: shipment
over: {system: wms}
with:
  order: {system: erp, entity: order, by: {no: source.order}}
  customer: {system: erp, entity: customer, by: {id: order.customer, company: source.company}}
expect: customer.limit >= order.total
`))
	b.wms.set("shipment", "1", `{"order":"A","company":1}`)
	b.wms.set("shipment", "2", `{"order":"B","company":1.0}`)
	b.wms.set("shipment", "3", `{"order":"C","company":1}`)
	for i, no := range []string{"A", "B", "C"} {
		b.erp.set("order", no, fmt.Sprintf(`{"no":%q,"customer":%d,"total":100}`, no, 7+i%2))
	}
	b.erp.set("customer", "7", `{"id":"7","company":"1","limit":99.99}`)
	b.erp.set("customer", "8", `{"id":8.00,"company":1,"limit":100}`)
	b.erp.set("customer", "9", `{"id":7,"company":2,"limit":500}`)
	b.run()
	b.want("violation violated 1: the rule limit does not hold", "violation violated 3: the rule limit does not hold")
}

type knows func(objects []Object) (Explanation, error)

func (k knows) Explain(_ context.Context, objects []Object) (Explanation, error) { return k(objects) }

// TestKnowledge: what the hub knows to be on its way is no violation.
func TestKnowledge(t *testing.T) {
	b := shipments(t)
	var asked []Object
	b.know = knows(func(objects []Object) (Explanation, error) {
		asked = objects
		return Explanation{Reason: state.ExplainedParked, Event: "e1", Outcome: "parked", Parked: 12, Text: "erp-invoices: refused"}, nil
	})
	sum, _ := b.run()
	b.want("explained violation parked 2: shipment S-2 of order O-2 has no invoice (erp-invoices: refused) 2.10 EUR")
	if sum.Explained[state.ExplainedParked] != 1 || sum.Drift() != 0 || b.found[0].Parked != 12 || len(sum.Money) > 0 {
		t.Errorf("summary %+v, difference %+v", sum, b.found[0])
	}
	if len(asked) != 2 || asked[0] != (Object{"shipment", "wms", "2", state.MintHub("shipment", "wms", "2")}) || asked[1] != (Object{Entity: "order", System: "erp", Local: "o2"}) {
		t.Errorf("asked for %v", asked)
	}
	b.know = knows(func([]Object) (Explanation, error) { return Explanation{}, errors.New("no store") })
	if _, _, _, err := b.try(context.Background()); err == nil {
		t.Error("a failure of what is known was swallowed")
	}
}
