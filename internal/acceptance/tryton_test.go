package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/systemtest"
)

const (
	trytonPassword = "quiet-Harbour-7159"
)

// trytonFiles are a project of a shop, whose customers, products and orders go into Tryton, and whose orders get Tryton's number and state.
var trytonFiles = map[string]string{
	"configs/waybill.yaml": `http: {listen: HTTP}
hooks: {listen: HOOKS}
broker: {embedded: {dir: "DIR/data/broker"}}
store: {sqlite: {path: "DIR/data/waybill.db"}}
systems:
  shop:
    connector: rest
    url: ${env:SHOP_URL}
    objects:
      customer: {path: customers, version: rev}
      product: {path: items, version: rev}
      order: {path: orders, version: rev}
  erp:
    connector: tryton
    url: ${env:TRYTON_URL}
    database: erp
    user: hub
    password: ${env:TRYTON_PASSWORD}
    visible-after: 200ms
    objects:
      customer:
        model: party.party
        external: code
        fields: [name]
        items: {addresses: {fields: [street, city, country], refer: {country: code}, key: [street], on-update: replace, stamps: true}}
      product:
        model: product.template
        fields: [code, name, type, list_price, default_uom, salable, sale_uom, account_category]
        refer: {default_uom: symbol, sale_uom: symbol, account_category: name}
        items: {products: {fields: [suffix_code]}}
      order:
        model: sale.sale
        external: reference
        fields: [id, number, party, sale_date, description, state, untaxed_amount]
        on-change: [party]
        items: {lines: {fields: [product, quantity], refer: {product: code}, on-change: [product, quantity]}}
        steps:
          path: [{state: draft}, {state: quotation, by: quote}, {state: confirmed, by: confirm}, {state: processing, by: process}, {state: done}]
          reach: processing
`,
	"flows/shop.yaml": `flow: customers-to-erp
entity: customer
from: {system: shop, poll: {every: 1s, overlap: 10s}}
key: source.email
id: source.id
version: text(source.rev)
map: customer-to-erp
to: {system: erp}
retry: {for: 10m, backoff: 100ms..1s}
---
flow: products-to-erp
entity: product
from: {system: shop, poll: {every: 1s, overlap: 10s}}
key: source.sku
id: source.id
version: text(source.rev)
map: product-to-erp
to: {system: erp, find-by: [code]}
retry: {for: 10m, backoff: 100ms..1s}
---
flow: orders-to-erp
entity: order
from: {system: shop, poll: {every: 1s, overlap: 10s}}
key: source.no
id: source.id
version: text(source.rev)
map: order-to-erp
to: {system: erp, owns: [description]}
retry: {for: 10m, backoff: 100ms..1s}
---
flow: orders-to-shop
about: Tryton's number and state of the shop's orders
entity: order
from: {system: erp, poll: {every: 1s, overlap: 30s}}
when: source.state == "processing"
key: source.description
id: text(source.id)
external-id: source.reference
map: order-to-shop
to: {system: shop, operation: update}
retry: {for: 10m, backoff: 100ms..1s}
`,
	"mappings/shop.yaml": `mapping: customer-to-erp
from: shop/thing.v1
to: erp/thing.v1
set:
  name: source.name
  addresses:
    - set: {street: source.street, city: source.city, country: source.country}
---
mapping: product-to-erp
from: shop/thing.v1
to: erp/thing.v1
set:
  code: source.sku
  name: source.name
  type: "goods"
  list_price: source.price
  default_uom: "u"
  sale_uom: "u"
  salable: true
  account_category: "Goods"
  products:
    - set: {suffix_code: ""}
---
mapping: order-to-erp
from: shop/thing.v1
to: erp/thing.v1
set:
  party: xref_id("customer", "erp", xref("customer", "shop", source.customer))
  sale_date: source.day
  description: source.no
  lines:
    each: source.lines
    set:
      product: choose(xref_id("product", "erp", xref("product", "shop", item.item)) != "", item.sku, "")   # waits until Tryton has it
      quantity: item.quantity
---
mapping: order-to-shop
from: erp/thing.v1
to: shop/thing.v1
set:
  erp_number: source.number
  erp_state: source.state
  erp_net: source.untaxed_amount
`,
	"schemas/erp/thing.v1.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {
  "id": {"type": "integer"}, "reference": {"type": ["string", "null"]}, "number": {"type": ["string", "null"]}, "state": {"type": "string"}, "untaxed_amount": {"type": "number"}, "name": {"type": "string"},
  "addresses": {"type": "array", "items": {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}, "country": {"type": "string"}}}},
  "code": {"type": "string"}, "type": {"type": "string"}, "list_price": {"type": "number"}, "default_uom": {"type": "string"}, "sale_uom": {"type": "string"}, "salable": {"type": "boolean"},
  "account_category": {"type": "string"}, "products": {"type": "array", "items": {"type": "object", "properties": {"suffix_code": {"type": "string"}}}},
  "party": {"type": "string"}, "sale_date": {"type": "string"}, "description": {"type": "string"},
  "lines": {"type": "array", "items": {"type": "object", "properties": {"product": {"type": "string"}, "quantity": {"type": "number"}}}}}}`,
	"schemas/shop/thing.v1.json": `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {
  "id": {"type": "string"}, "rev": {"type": "integer"}, "email": {"type": "string"}, "name": {"type": "string"}, "street": {"type": "string"}, "city": {"type": "string"}, "country": {"type": "string"}, "sku": {"type": "string"}, "price": {"type": "number"},
  "no": {"type": "string"}, "customer": {"type": "string"}, "day": {"type": "string"}, "erp_number": {"type": ["string", "null"]}, "erp_state": {"type": "string"}, "erp_net": {"type": "number"},
  "lines": {"type": "array", "items": {"type": "object", "properties": {"item": {"type": "string"}, "sku": {"type": "string"}, "quantity": {"type": "number"}}}}}}`,
	"mappings/readings.yaml": "", "schemas/reading.v1.json": "", "flows/readings.yaml": "",
}

// tryton starts a real one, and gives its address and a way to ask its database.
func tryton(t *testing.T) (url string, sql func(query string) string) {
	t.Helper()
	server := systemtest.Script{Name: "tryton", Needs: "Python and PostgreSQL", Env: []string{"WAYBILL_TRYTON_PASSWORD=" + trytonPassword}}
	return server.For(t), func(query string) string {
		cmd := server.Command("sql")
		cmd.Stdin = strings.NewReader(query)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", query, err, out)
		}
		return strings.TrimSpace(string(out))
	}
}

// shopOf is a service with several lists, each at its path.
func shopOf(t *testing.T, lists map[string]*people) string {
	t.Helper()
	mux := http.NewServeMux()
	for name, list := range lists {
		at := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path = "/customers" + strings.TrimPrefix(r.URL.Path, "/"+name)
			list.ServeHTTP(w, r)
		})
		mux.Handle("/"+name, at)
		mux.Handle("/"+name+"/", at)
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// lineOf is a line of the shop's orders.
func lineOf(product, quantity int) map[string]any {
	return map[string]any{"item": fmt.Sprint(100 + product), "sku": fmt.Sprintf("TG-%02d", product), "quantity": quantity}
}

// TestTrytonFlows: customers, products and orders with lines go into a real Tryton, over a line that loses a tenth of all answers and closes for another tenth; the hub is
// killed in the middle. Each is there once, with what Tryton has computed, and its number comes back.
func TestTrytonFlows(t *testing.T) {
	url, sql := tryton(t)
	line := newLossyLine(t, url, 30)
	line.free = func(body []byte) bool { return bytes.Contains(body, []byte("common.db.")) }
	const customers, products, orders = 12, 6, 40
	lists := map[string]*people{"customers": {}, "items": {}, "orders": {}}
	for n := range customers {
		lists["customers"].add(map[string]any{"email": fmt.Sprintf("c%d@example.com", n), "name": fmt.Sprint("Customer ", n), "street": fmt.Sprint(n, " Main"), "city": "Köln", "country": "DE"})
	}
	for n := range products {
		lists["items"].add(map[string]any{"sku": fmt.Sprintf("TG-%02d", n), "name": fmt.Sprint("Thing ", n), "price": json.Number(fmt.Sprintf("%d.25", n+1))})
	}
	for n := range orders {
		lists["orders"].add(map[string]any{"no": fmt.Sprintf("SO-%04d", n), "customer": fmt.Sprint(100 + n%customers), "day": "2026-11-30",
			"lines": []any{lineOf(n%products, 2), lineOf((n+1)%products, 1)}})
	}
	p := newReadings(t, trytonFiles)
	h := p.run(t, map[string]string{"SHOP_URL": shopOf(t, lists), "TRYTON_URL": line.url, "TRYTON_PASSWORD": trytonPassword})
	back := func() (n int) {
		l := lists["orders"]
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, row := range l.rows {
			if row["erp_number"] != nil && row["erp_state"] == "processing" {
				n++
			}
		}
		return n
	}
	h.await("some orders in Tryton", 10*time.Minute, func() bool { return sql("SELECT count(*) FROM sale_sale") > "1" && back() > 0 })
	h.kill()
	h.start()
	h.await("every order's number in the shop", 15*time.Minute, func() bool { return back() == orders || h.status().Totals.Parked > 0 })
	h.await("rest", 5*time.Minute, func() bool {
		st := h.status()
		return st.Totals.InFlight == 0 && (st.Totals.Waiting == 0 || st.Totals.Parked > 0)
	})
	line.shown()
	for query, want := range map[string]int{
		"SELECT count(*) FROM party_party WHERE name LIKE 'Customer %'":             customers,
		"SELECT count(DISTINCT name) FROM party_party WHERE name LIKE 'Customer %'": customers,
		"SELECT count(*) FROM party_address WHERE street LIKE '% Main'":             customers,
		"SELECT count(*) FROM product_template WHERE code LIKE 'TG-%'":              products,
		"SELECT count(*) FROM product_product WHERE code LIKE 'TG-%'":               products,
		"SELECT count(*) FROM sale_sale WHERE state = 'processing'":                 orders,
		"SELECT count(*) FROM sale_sale":                                            orders,
		"SELECT count(DISTINCT reference) FROM sale_sale":                           orders,
		"SELECT count(DISTINCT description) FROM sale_sale":                         orders,
		"SELECT count(*) FROM sale_line":                                            2 * orders,
		"SELECT count(*) FROM sale_line_account_tax":                                2 * orders,
	} {
		if got := sql(query); got != fmt.Sprint(want) {
			t.Errorf("%s: %s, want %d", query, got, want)
		}
	}
	l := lists["orders"]
	l.mu.Lock()
	for n, row := range l.rows {
		i, j := n%products, (n+1)%products
		want := fmt.Sprintf("%.2f", 2*(float64(i)+1.25)+float64(j)+1.25)
		if got := fmt.Sprintf("%.2f", row["erp_net"]); got != want {
			t.Errorf("order %v has the net amount %s in Tryton, want %s", row["no"], got, want)
		}
	}
	l.mu.Unlock()
	st := h.status()
	checkTotals(t, st)
	if st.Totals.Parked != 0 {
		out, _, _ := waybill(t, p.dir, "parked", "list", "--url", "http://"+p.http)
		t.Errorf("%d messages are parked:\n%s", st.Totals.Parked, out)
	}
}
