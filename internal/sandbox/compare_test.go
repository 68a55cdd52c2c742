package sandbox

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestSystemsCanAgree(t *testing.T) {
	hooks := newReceiver(t, nil)
	w := quiet(t, Options{Pace: .02, Items: 30, ERPCustomers: 10, Accounts: 10, HookURL: hooks.URL})
	c := &courier{t: t, w: w, crm: w.crmClient(t), wms: w.wmsClient(t), sent: map[string]string{}}
	for range 4 {
		w.business(25)
		c.pass()
	}
	w.business(25)
	c.look()
	if Compare(c.s, CompareOptions{}).OK() {
		t.Error("busy systems agree: the comparison cannot be right")
	}
	w.until(t, "rest", func() bool {
		c.pass()
		return c.writes == 0 && len(w.Pending()) == 0
	})
	w.Freeze()
	s, err := w.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	r := Compare(s, CompareOptions{})
	t.Logf("\n%s", r)
	if !r.OK() {
		t.Fatal("the systems do not agree")
	}
	for _, check := range r.Checks {
		if check.Source == 0 {
			t.Errorf("%s had nothing to check", check.Name)
		}
	}
	spoil(t, s)
}

// spoil changes one thing at a time in a picture that agrees, and wants it to be found.
func spoil(t *testing.T, s Snapshot) {
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	set := func(path string, v any) func(*Object) {
		return func(o *Object) { o.Doc[path] = v }
	}
	for _, tc := range []struct {
		name, system, entity string
		do                   func(*Object)
		what, field          string
	}{
		{"name", ERP, Customer, set("name", "Other"), "different", "name"},
		{"credit", CRM, Customer, set("Credit_Limit__c", json.Number("0.01")), "different", "Credit_Limit__c"},
		{"amount", ERP, Order, set("net_amount", "1.00"), "different", "net_amount"},
		{"no line", ERP, Order, set("lines", []any{}), "different", "lines"},
		{"other customer", ERP, Order, set("customer_id", json.Number("0")), "different", "customer_id"},
		{"status", CRM, Order, set("Status", "Cancelled"), "different", "Status"},
		{"carrier", CRM, Shipment, set("Carrier__c", nil), "different", "Carrier__c"},
		{"level", CRM, Inventory, set("QuantityOnHand", json.Number("123456")), "different", "QuantityOnHand"},
		{"balance", CRM, Invoice, set("Balance", json.Number("-1")), "different", "Balance"},
		{"payment of another invoice", CRM, Payment, set("InvoiceId", "a0I000000000000000"), "different", "InvoiceId"},
		{"lost", WMS, Order, nil, "missing", ""},
		{"twice", ERP, Quote, nil, "duplicate", ""},
		{"from nowhere", ERP, Order, func(o *Object) { o.Key = "ORD-x" }, "unexpected", ""},
	} {
		var bad Snapshot
		dec := json.NewDecoder(strings.NewReader(string(raw)))
		dec.UseNumber()
		if err := dec.Decode(&bad); err != nil {
			t.Fatal(err)
		}
		list := bad[tc.system][tc.entity]
		at := len(list) - 1
		if tc.entity == Order && tc.system == CRM {
			at = slices.IndexFunc(list, func(o Object) bool { return o.Doc["Status"] == "Paid" })
		}
		victim := list[at]
		switch tc.name {
		case "lost":
			bad[tc.system][tc.entity] = slices.Delete(list, at, at+1)
		case "twice":
			bad[tc.system][tc.entity] = append(list, victim)
		default:
			tc.do(&bad[tc.system][tc.entity][at])
		}
		r := Compare(bad, CompareOptions{})
		if !slices.ContainsFunc(r.Problems, func(p Problem) bool { return p.What == tc.what && p.Field == tc.field }) {
			t.Errorf("%s: not found; found %v", tc.name, r.Problems)
		}
		ignored := Compare(bad, CompareOptions{Ignore: map[string][]string{tc.entity: {victim.Key, "ORD-x"}}})
		for _, p := range ignored.Problems {
			if p.What != "duplicate" && !(tc.entity == Order && strings.HasPrefix(p.Check, "shipment")) && !(tc.entity == Order && strings.HasPrefix(p.Check, "invoice")) {
				t.Errorf("%s: found although it was to be ignored: %s", tc.name, p)
			}
		}
		if len(ignored.Unexplained) == 0 {
			t.Errorf("%s: ignored without a reason, and not reported", tc.name)
		}
	}
}
