package road

import "fmt"

// configOf is the configuration of a hub with one target.
func configOf(broker, store, http, hooks, target string, concurrency int) string {
	return fmt.Sprintf(configText, broker, store, http, hooks) + targetOf("erp", target, concurrency)
}

func targetOf(system, addr string, concurrency int) string {
	return fmt.Sprintf(targetText, system, addr, concurrency)
}

// The project of a hub on the road: one flow from the webhook to the canonical topic, one from there to the target.
const (
	configText = `broker: %s
store: %s
http: {listen: "%s"}
hooks: {listen: "%s", max-body: 1MiB, connections: 2000}
systems:
  shop: {connector: webhook}
`
	// A target, by its name.
	targetText = `  %s:
    connector: rest
    url: http://%s
    limit: {concurrency: %d}
    objects:
      order:
        path: /orders
        id: id
        external-id: ext
        find: {external: {ext: "{external}"}}
`
	besideFlow = `---
flow: also-%s
entity: order
from: {topic: %s}
map: order-to-erp
to: {system: other, on-delete: ignore}
retry: {for: 10m, backoff: 200ms..10s}
`
	flowsText = `flow: in-%s
entity: order
from:
  system: shop
  webhook:
    path: shop/orders
    verify: {scheme: standard-webhooks, secret: "${env:HOOK_SECRET}"}
accept: in/order.v1
key: source.number
id: source.number
version: source.rev
map: in-to-order
to: {topic: %s}
---
flow: out-%s
entity: order
from: {topic: %s}
map: order-to-erp
to: {system: erp, on-delete: ignore}
retry: {for: 10m, backoff: 200ms..10s}
`
	mappingsText = `mapping: in-to-order
from: in/order.v1
to: out/order.v1
set:
  number: source.number
  rev: source.rev
  customer: upper(source.customer)
  total: source.total
  lines:
    each: source.lines
    set:
      sku: item.sku
      quantity: item.quantity
      price: item.price
---
mapping: order-to-erp
from: out/order.v1
to: out/erp.v1
set:
  orderNo: source.number
  rev: source.rev
  cust: source.customer
  amount: source.total
  items:
    each: source.lines
    set:
      code: item.sku
      qty: item.quantity
      price: item.price
`
	line     = `{"type":"object","required":["sku","quantity","price"],"properties":{"sku":{"type":"string"},"quantity":{"type":"integer"},"price":{"type":"number"}},"additionalProperties":false}`
	inSchema = `{"type":"object","required":["number","rev","customer","total","lines"],"properties":{"number":{"type":"string"},"rev":{"type":"integer"},
"customer":{"type":"string"},"total":{"type":"number"},"lines":{"type":"array","items":` + line + `}},"additionalProperties":false}`
	canonicalSchema = inSchema
	erpSchema       = `{"type":"object","required":["orderNo","rev","cust","amount","items"],"properties":{"orderNo":{"type":"string"},"rev":{"type":"integer"},
"cust":{"type":"string"},"amount":{"type":"number"},"items":{"type":"array","items":{"type":"object","properties":{"code":{"type":"string"},
"qty":{"type":"integer"},"price":{"type":"number"}},"additionalProperties":false}}},"additionalProperties":false}`
)
