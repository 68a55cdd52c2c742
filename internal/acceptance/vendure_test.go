//go:build unix

package acceptance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/store/pgtest"
	"github.com/waybill-hub/waybill/internal/systemtest"
)

// TestVendureOrder: an order that a visitor places in a real shop comes by the shop's own signed webhook, goes through a mapping, and lies in a folder.
func TestVendureOrder(t *testing.T) {
	v := systemtest.StartVendure(t, pgtest.URL)
	variant := v.Product(t, "SKU-00123", "Hammer", 1250)
	files := map[string]string{"schemas/reading.v1.json": ""}
	files["configs/waybill.yaml"] = strings.NewReplacer("entities: [reading]\n", "", "  scanner:\n", "  shop:\n", "      reading: {format: jsonl}", "      order: {format: jsonl}").Replace(readingsFiles["configs/waybill.yaml"])
	files["mappings/readings.yaml"] = `mapping: shop-order
from: shop-order.v1
to: order.v1
set:
  number: source.code
  currency: source.currency
  customer: source.customer
  total: round(source.totalWithTax / 100, 2)
  lines:
    each: source.lines
    set:
      sku: item.sku
      quantity: item.quantity
`
	files["schemas/shop-order.v1.json"] = `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["code", "currency", "customer", "totalWithTax", "lines"], "properties": {
  "code": {"type": "string"}, "currency": {"type": "string"}, "customer": {"type": "string"}, "totalWithTax": {"type": "integer"}, "delivery": {"type": "string"}, "placedAt": {"type": "string"},
  "lines": {"type": "array", "items": {"type": "object", "required": ["sku", "quantity"], "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer"}}}}}}
`
	files["schemas/order.v1.json"] = `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": ["number", "total", "lines"], "properties": {
  "number": {"type": "string"}, "currency": {"type": "string"}, "customer": {"type": "string"}, "total": {"type": "number"},
  "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer"}}}}}}
`
	files["flows/readings.yaml"] = `flow: shop-orders
entity: order
from:
  system: shop
  webhook:
    path: shop/orders
    verify: {scheme: hmac, secret: "${env:SHOP_SECRET}", header: X-Signature}
    delivery-id: source.delivery
accept: shop-order.v1
key: source.code
map: shop-order
to: {topic: canonical.order}
---
flow: orders-to-ledger
entity: order
from: {topic: canonical.order}
to: {system: ledger}
`
	p := newReadings(t, files)
	h := p.run(t, map[string]string{"SHOP_SECRET": "a-secret-of-tests-alone"})
	v.Hook(t, "http://"+p.hooks+"/hooks/shop/orders", "a-secret-of-tests-alone")
	code := v.Order(t, "visitor@example.com", variant, 2)
	h.await("the order in the ledger", time.Minute, func() bool {
		found, _ := filepath.Glob(p.path("ledger/*.jsonl"))
		return len(found) > 0 && h.status().Totals.InFlight == 0
	})
	found, _ := filepath.Glob(p.path("ledger/*.jsonl"))
	if len(found) != 1 {
		t.Fatalf("the ledger holds %v", found)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	_ = json.Unmarshal([]byte(`{"number":"`+code+`","currency":"USD","customer":"visitor@example.com","total":34.75,"lines":[{"sku":"SKU-00123","quantity":2}]}`), &want)
	if g, w := jsonText(t, got), jsonText(t, want); g != w {
		t.Errorf("the ledger holds %s, want %s", g, w)
	}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
