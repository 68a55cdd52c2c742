package tryton

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// TestOtherRecordsOfALine: a line's list of other records becomes the one that is asked for, and one in another order is no change.
func TestOtherRecordsOfALine(t *testing.T) {
	d := newDouble(t)
	d.insert("account.tax", row{"name": "VAT 7"})
	d.insert("account.tax", row{"name": "Duty"})
	h := open(t, settingsOf(t, config(d.url, "", "")))
	h.create("customer", externalID(1), `{"name":"x"}`)
	line := func(taxes string) string {
		return `{"state":"draft","lines":[{"product":"SKU-001","taxes":` + taxes + `}]}`
	}
	id := h.create("order", externalID(7), `{"party":"`+externalID(1)+`","state":"draft","lines":[{"product":"SKU-001","quantity":1,"taxes":["VAT 19"]}]}`)
	h.update("order", id, line(`["VAT 7","Duty"]`))
	h.wants("order", id, line(`["VAT 7","Duty"]`))
	d.refuse = func(_ http.ResponseWriter, method string) bool {
		if strings.HasSuffix(method, "sale.sale.write") {
			t.Error("the same taxes in another order are written")
		}
		return false
	}
	h.update("order", id, line(`["Duty","VAT 7"]`))
}

// TestLineTwice: a document that holds two lines of one key is refused, and neither is written: which of them is meant, nobody can tell.
func TestLineTwice(t *testing.T) {
	d := newDouble(t)
	h := open(t, settingsOf(t, config(d.url, "", "")))
	h.create("customer", externalID(1), `{"name":"x"}`)
	id := h.create("order", externalID(7), `{"party":"`+externalID(1)+`","state":"draft","lines":[{"product":"SKU-001","quantity":1}]}`)
	_, err := h.write(connector.Write{Object: "order", Action: connector.Update, Local: id, Doc: []byte(`{"state":"draft","lines":[{"product":"SKU-001","quantity":2},{"product":"SKU-001","quantity":3}]}`)})
	if f, _ := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Field != "lines.1" || !strings.Contains(f.Error(), "stands in the document twice") {
		t.Errorf("%v", err)
	}
	h.wants("order", id, `{"lines":[{"product":"SKU-001","quantity":1}]}`)
}

// TestAnswersBelieved: what an answer does not say is not taken for said.
func TestAnswersBelieved(t *testing.T) {
	for name, c := range map[string]struct {
		method, answer string
		action         connector.Action
		want           fault.Kind
	}{
		"no list of what is there": {"party.party.search_read", `{"id":1,"result":null}`, connector.Create, fault.Unavailable},
		"no id of what is made":    {"party.party.create", `{"id":1,"result":[]}`, connector.Create, fault.UnknownOutcome},
		"an error of nothing":      {"party.party.delete", `{"id":1,"error":null}`, connector.Delete, fault.UnknownOutcome},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDouble(t)
			h := open(t, settingsOf(t, config(d.url, "", "")))
			id := h.create("customer", externalID(1), `{"name":"x"}`)
			d.refuse = func(w http.ResponseWriter, method string) bool {
				is := strings.HasSuffix(method, c.method)
				if is {
					fmt.Fprint(w, c.answer)
				}
				return is
			}
			w := connector.Write{Object: "customer", Action: c.action, External: externalID(2), Doc: []byte(`{"name":"y"}`)}
			if c.action == connector.Delete {
				w = connector.Write{Object: "customer", Action: c.action, Local: id}
			}
			if _, err := h.write(w); fault.KindOf(err) != c.want || strings.Contains(err.Error(), "panic") {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestStateWithoutAWay: a document that asks for a state to which no way leads is refused before anything is made of it, or changed.
func TestStateWithoutAWay(t *testing.T) {
	d := newDouble(t)
	h := open(t, settingsOf(t, config(d.url, "", "")))
	h.create("customer", externalID(1), `{"name":"x"}`)
	_, err := h.write(connector.Write{Object: "order", Action: connector.Create, External: externalID(7), Doc: []byte(`{"party":"` + externalID(1) + `","state":"shipped"}`)})
	if f, _ := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Field != "state" {
		t.Errorf("%v", err)
	}
	if got := h.find(connector.Lookup{Object: "order", External: externalID(7)}); len(got) != 0 {
		t.Errorf("it is made: %+v", got)
	}
	id := h.create("order", externalID(7), `{"party":"`+externalID(1)+`","state":"draft","lines":[{"product":"SKU-001","quantity":1}]}`)
	_, err = h.write(connector.Write{Object: "order", Action: connector.Update, Local: id, Doc: []byte(`{"state":"shipped","lines":[{"product":"SKU-001","quantity":2}]}`)})
	if f, _ := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Field != "state" {
		t.Errorf("%v", err)
	}
	h.wants("order", id, `{"state":"draft","lines":[{"product":"SKU-001","quantity":1}]}`)
}

// TestFieldsComeLater: a field that the server did not have is looked for again.
func TestFieldsComeLater(t *testing.T) {
	d := newDouble(t)
	price := d.models["product.template"]["list_price"]
	delete(d.models["product.template"], "list_price")
	h := open(t, settingsOf(t, config(d.url, "", "")))
	if _, err := h.sys.bound(t.Context(), "product", "test"); fault.KindOf(err) != fault.Unavailable {
		t.Fatal(err)
	}
	d.mu.Lock()
	d.models["product.template"]["list_price"] = price
	d.mu.Unlock()
	h.bound("product")
}

// TestPageInTheWay: where a page fails and the server then has no time, the page is asked for again, and nothing is blamed for it.
func TestPageInTheWay(t *testing.T) {
	d := newDouble(t)
	d.put(1, 1, time.Now())
	h := open(t, settingsOf(t, config(d.url, "", "")))
	b := h.bound("product")
	d.refuse = func(w http.ResponseWriter, method string) bool {
		switch {
		case strings.HasSuffix(method, "product.template.search_read"):
			reply(w, map[string]any{"id": 1, "error": []any{"division by zero", ""}})
		case strings.HasSuffix(method, "product.template.search"):
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			return false
		}
		return true
	}
	if _, err := h.sys.page(t.Context(), b, "", place{}, 10, "test"); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}
