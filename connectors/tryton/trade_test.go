package tryton

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

func externalID(n int) string { return fmt.Sprintf("7f3e0000-0000-5000-8000-%012d", n) }

// testTrade moves what the suite of all connectors does not: lists of records, workflows, questions, and what Tryton does in a way of its own. It runs on the double and
// on a real Tryton.
func testTrade(t *testing.T, fresh func(t *testing.T) *side) {
	const partner = `{"name":"Ann's","addresses":[{"street":"1 Main","city":"Köln","country":"DE"},{"street":"2 Side","city":"Bonn","country":null}]}`
	order := func(code string) string {
		return fmt.Sprintf(`{"party":%q,"sale_date":"2026-11-30","description":"by test","lines":[{"product":"SKU-001","quantity":3}]}`, code)
	}
	t.Run("records of an object's own", func(t *testing.T) {
		s := fresh(t)
		h := open(t, settingsOf(t, config(s.url, "", "")))
		id := h.create("customer", externalID(1), partner)
		h.wants("customer", id, partner)
		h.update("customer", id, `{"addresses":[{"street":"2 Side","city":"Berlin"},{"street":"3 New","country":"US"}]}`)
		h.wants("customer", id, `{"name":"Ann's","addresses":[{"street":"2 Side","city":"Berlin","country":null},{"street":"3 New","country":"US"}]}`)
		_, err := h.write(connector.Write{Object: "customer", Action: connector.Update, Local: id, Doc: []byte(`{"addresses":[{"street":"4","country":"XX"}]}`)})
		if f, _ := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Field != "addresses.0.country" {
			t.Errorf("a country that is not there: %v", err)
		}
		h.update("customer", id, `{"active":false}`)
		if got := h.find(connector.Lookup{Object: "customer", External: externalID(1)}); len(got) != 1 || got[0].Local != id {
			t.Errorf("an inactive one is not found: %+v", got)
		}
	})
	t.Run("a change of an address alone", func(t *testing.T) {
		s := fresh(t)
		h := open(t, settingsOf(t, config(s.url, "", "")))
		id := h.create("customer", externalID(1), partner)
		other := h.create("customer", externalID(2), `{"name":"Bob"}`)
		p := &poller{hub: h, object: "customer"}
		if got := p.changes(); !slices.Contains(got, id) || !slices.Contains(got, other) {
			t.Fatalf("the first poll sees %v", got)
		}
		if got := p.changes(); len(got) != 0 {
			t.Errorf("nothing has changed: %v", got)
		}
		it, err := h.sys.get(t.Context(), h.bound("customer"), id, "test")
		if err != nil {
			t.Fatal(err)
		}
		address := string(it.Get("addresses.").Index(0).Get("id").Raw())
		if _, err := h.sys.call(t.Context(), request{method: "model.party.address.write", params: []string{"[" + address + "]", `{"city":"Elsewhere"}`}, context: `{"company":1}`}); err != nil {
			t.Fatal(err)
		}
		if got := p.changes(); !slices.Equal(got, []string{id}) {
			t.Errorf("the address of %s has changed, and the poll sees %v", id, got)
		}
		h.update("customer", other, `{"active":false}`)
		if got := p.changes(); !slices.Equal(got, []string{other}) {
			t.Errorf("%s was made inactive, and the poll sees %v", other, got)
		}
	})
	t.Run("an order goes its way", func(t *testing.T) {
		s := fresh(t)
		l := newLine(t, s.url)
		h := open(t, settingsOf(t, config(l.url, "", "")))
		h.create("customer", externalID(1), partner)
		id := h.create("order", externalID(7), order(externalID(1)))
		// price, unit and tax are what Tryton's own forms fill in
		h.wants("order", id, `{"party":"`+externalID(1)+`","state":"processing","reference":"`+externalID(7)+`","sale_date":"2026-11-30",
			"lines":[{"product":"SKU-001","quantity":3.0,"unit":"u","unit_price":19.9000,"taxes":["VAT 19"]}]}`)
		if f := h.find(connector.Lookup{Object: "order", Local: id}); len(f) != 1 || f[0].Doc == nil {
			t.Fatal("gone")
		}
		calls := func() (n int) {
			for _, method := range []string{"quote", "confirm", "process", "write"} {
				n += l.count("sale.sale." + method)
			}
			return n
		}
		before := calls()
		h.update("order", id, `{"state":"confirmed"}`) // it is beyond
		if n := calls() - before; n != 0 {
			t.Errorf("an order that is farther than asked took %d calls", n)
		}
		waiting := h.create("order", externalID(8), `{"party":"`+externalID(1)+`","state":"quotation","lines":[{"product":"SKU-001","quantity":1}]}`)
		h.wants("order", waiting, `{"state":"quotation"}`)
		h.update("order", waiting, `{"description":"more","state":"processing"}`)
		h.wants("order", waiting, `{"state":"processing","description":"more"}`)
		draft := h.create("order", externalID(9), `{"party":"`+externalID(1)+`","state":"draft","lines":[{"product":"SKU-001","quantity":1}]}`)
		h.update("order", draft, `{"state":"draft","lines":[{"product":"SKU-001","quantity":5}]}`)
		h.wants("order", draft, `{"state":"draft","lines":[{"product":"SKU-001","quantity":5.0}]}`)
		h.update("order", draft, `{"state":"cancelled"}`)
		h.wants("order", draft, `{"state":"cancelled"}`)
		h.update("order", draft, `{"description":"too late"}`) // nobody asks for it to come back
		h.wants("order", draft, `{"state":"cancelled","description":"too late"}`)
		_, err := h.write(connector.Write{Object: "order", Action: connector.Update, Local: draft, Doc: []byte(`{"state":"processing"}`)})
		if f, _ := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Field != "state" {
			t.Errorf("from cancelled to processing: %v", err)
		}
	})
	t.Run("answers that are lost between steps", func(t *testing.T) {
		for _, method := range fresh(t).steps {
			for _, how := range []string{"lost", "closed"} {
				t.Run(method+" "+how, func(t *testing.T) {
					s := fresh(t)
					l := newLine(t, s.url)
					h := open(t, settingsOf(t, config(l.url, "", "")))
					h.create("customer", externalID(1), partner)
					if how == "lost" {
						l.lose["sale.sale."+method] = 1
					} else {
						l.close["sale.sale."+method] = 1
					}
					w := connector.Write{Object: "order", Action: connector.Create, External: externalID(7), Doc: []byte(order(externalID(1)))}
					_, err := h.write(w)
					if f, _ := fault.As(err); f == nil || f.Kind != fault.UnknownOutcome || f.Code == "" {
						t.Fatalf("an object that is made and not moved on: %v", err)
					}
					found := h.find(connector.Lookup{Object: "order", External: externalID(7)})
					if len(found) != 1 {
						t.Fatalf("%d orders", len(found))
					}
					w.Action, w.Local, w.Finish = connector.Update, found[0].Local, true
					for range 2 { // it may come again
						if _, err := h.write(w); err != nil {
							t.Fatal(err)
						}
					}
					h.wants("order", w.Local, `{"state":"processing","lines":[{"product":"SKU-001","quantity":3.0}]}`)
					if n := l.count("sale.sale.create"); n != 1 {
						t.Errorf("%d creates", n)
					}
				})
			}
		}
	})
	t.Run("what is left is made, and nothing else", func(t *testing.T) {
		s := fresh(t)
		h := open(t, settingsOf(t, config(s.url, "", "")))
		h.create("customer", externalID(1), partner)
		id := h.create("order", externalID(7), `{"party":"`+externalID(1)+`","state":"draft","description":"as sent","lines":[{"product":"SKU-001","quantity":1}]}`)
		h.update("order", id, `{"state":"draft","description":"as people want it"}`)
		if _, err := h.write(connector.Write{Object: "order", Action: connector.Update, Local: id, Finish: true, Doc: []byte(`{"state":"quotation","description":"as sent"}`)}); err != nil {
			t.Fatal(err)
		}
		h.wants("order", id, `{"state":"quotation","description":"as people want it"}`)
	})
	t.Run("a question is confirmed", func(t *testing.T) {
		s := fresh(t)
		s.asks(t)
		h := open(t, settingsOf(t, config(s.url, "", "")))
		h.create("customer", externalID(1), partner)
		large := `{"party":"` + externalID(1) + `","sale_date":"2026-11-30","lines":[{"product":"SKU-001","quantity":5000}]}`
		id := h.create("order", externalID(7), large)
		h.wants("order", id, `{"state":"processing"}`)
		refusing := open(t, settingsOf(t, config(s.url, "warnings: refuse", "")))
		w := connector.Write{Object: "order", Action: connector.Create, External: externalID(8), Doc: []byte(large)}
		_, err := refusing.write(w)
		if fault.KindOf(err) != fault.UnknownOutcome {
			t.Errorf("the order is made: %v", err)
		}
		found := refusing.find(connector.Lookup{Object: "order", External: externalID(8)})
		if len(found) != 1 {
			t.Fatalf("%d orders", len(found))
		}
		w.Action, w.Local, w.Finish = connector.Update, found[0].Local, true
		if _, err := refusing.write(w); fault.KindOf(err) != fault.Invalid {
			t.Errorf("a question that nobody answers: %v", err)
		}
	})
	t.Run("many in one call, and one of them bad", func(t *testing.T) {
		s := fresh(t)
		l := newLine(t, s.url)
		h := open(t, settingsOf(t, config(l.url, "", "refer: {}")))
		h.bound("product")
		unit := h.find(connector.Lookup{Object: "product", Local: h.create("product", externalID(99), `{"name":"first","type":"goods","list_price":1,"default_uom":1}`)})
		if len(unit) != 1 {
			t.Fatal("no unit")
		}
		before := l.count("product.template.create")
		release := h.sys.queue.Hold()
		const n = 16
		errs := make([]error, n)
		ids := make([]string, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				uom := 1
				if i == 5 {
					uom = 999999
				}
				r, err := h.write(connector.Write{Object: "product", Action: connector.Create, External: externalID(i), Doc: fmt.Appendf(nil, `{"name":"P %d","type":"goods","list_price":%d.50,"default_uom":%d}`, i, i, uom)})
				ids[i], errs[i] = r.Local, err
			})
		}
		for h.sys.queue.Waiting() < n {
			runtime.Gosched()
		}
		release()
		wg.Wait()
		for i, err := range errs {
			found := h.find(connector.Lookup{Object: "product", External: externalID(i)})
			if i == 5 {
				if fault.KindOf(err) != fault.Invalid || len(found) != 0 {
					t.Errorf("the bad one: %v, and %d are there", err, len(found))
				}
				continue
			}
			if err != nil || len(found) != 1 || found[0].Local != ids[i] {
				t.Errorf("product %d: %v; %q was answered, found %+v", i, err, ids[i], found)
			}
		}
		if calls := l.count("product.template.create") - before; calls > 9 { // all, then halves until one stands alone: 1 + 2·log2(16)
			t.Errorf("%d calls of create", calls)
		}
	})
	t.Run("a session that is gone", func(t *testing.T) {
		s := fresh(t)
		h := open(t, settingsOf(t, config(s.url, "", "")))
		h.create("customer", externalID(1), partner)
		s.forget(t)
		h.create("customer", externalID(2), partner)
		s.forget(t)
		if err := h.sys.Probe(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("a wrong password", func(t *testing.T) {
		s := fresh(t)
		t.Setenv("TRYTON_PASSWORD", "another-Harbour-7160")
		h := open(t, settingsOf(t, config(s.url, "", "")))
		if err := h.sys.Probe(t.Context()); fault.KindOf(err) != fault.Auth {
			t.Errorf("the probe says %v", err)
		}
	})
	t.Run("one of whom a name is told twice", func(t *testing.T) {
		s := fresh(t)
		h := open(t, settingsOf(t, config(s.url, "", "")))
		h.create("customer", externalID(1), partner)
		_, err := h.write(connector.Write{Object: "customer", Action: connector.Create, External: externalID(1), Doc: []byte(partner)})
		if f, _ := fault.As(err); f == nil || f.Kind != fault.Conflict || !f.Duplicate {
			t.Errorf("created twice: %v", err)
		}
	})
	t.Run("ids without a trace", func(t *testing.T) {
		s := fresh(t)
		h := open(t, settingsOf(t, config(s.url, "", "")))
		a, b := h.create("customer", externalID(1), partner), h.create("customer", externalID(2), partner)
		if _, err := h.write(connector.Write{Object: "customer", Action: connector.Delete, Local: a}); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for id, err := range h.sys.ListIDs(t.Context(), "customer") {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		if slices.Contains(ids, a) || !slices.Contains(ids, b) {
			t.Errorf("%s is deleted and %s is there: %v", a, b, ids)
		}
	})
}

func (h *hub) bound(object string) *bound {
	h.Helper()
	b, err := h.sys.bound(h.Context(), object, "test")
	if err != nil {
		h.Fatal(err)
	}
	return b
}
