package soak

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
)

// driftEntities are the kinds of objects between which drift is made: orders are polled, invoices are pushed. The base project has orders of its own, so
// that these go by other names.
var driftEntities = []string{"quote", "invoice"}

// driftFlows: west is the source, east the target; what east holds is read back, so that the hub knows what was changed there past it. Of invoices what both
// systems hold is kept from run to run: since nothing of the drift leaves a stamp, every run reads it anew, and one that is killed is gone on with.
func driftFlows() string {
	var b strings.Builder
	for _, e := range driftEntities {
		from, index := "poll: {every: 1s, overlap: 0s}", ""
		if e == "invoice" {
			index = ", index: {whole: 1ns, overlap: 0s}"
			from = "webhook: {path: soak/drift-invoices, verify: {scheme: hmac, secret: %SECRET%, header: X-Signature}, delivery-id: header(\"X-Delivery\")}"
		}
		fmt.Fprintf(&b, `---
flow: %%P%%drift-%[1]ss
entity: %[1]s
from:
  system: west
  %[2]s
accept: soak/west.v1
key: source.no
id: source.id
version: source.changed
operation: choose(has(source.gone), "delete", "upsert")
map: west
to: {topic: %%P%%drift.%[1]s}
---
flow: %%P%%drift-%[1]ss-to-east
entity: %[1]s
from: {topic: %%P%%drift.%[1]s}
map: to-east
to: {system: east, on-delete: delete, find: after-conflict}
retry: {for: 30m, backoff: 50ms..2s}
---
flow: %%P%%drift-%[1]ss-of-east
entity: %[1]s
from: {system: east, poll: {every: 1s, overlap: 0s}}
accept: soak/east.v1
key: source.num
id: source.id
external-id: source.external_id
version: source.changed
map: east
to: {topic: %%P%%drift.east.%[1]s}
---
reconciliation: %[1]ss
entity: %[1]s
left: {system: west%[3]s}
right: {system: east, flow: %%P%%drift-%[1]ss-of-east%[3]s}
match: [xref, no]
compare: {"*": exact, lines: {set: sku}}
settle: 2s
repair: {from: left, by: %%P%%drift-%[1]ss-to-east, at-most: 5%%}
`, e, from, index)
	}
	return b.String()
}

const driftMapping = `mapping: west
from: soak/west.v1
to: soak/pair.v1
set:
  no: source.no
  seq: source.seq
  party: source.who
  total: source.total
  lines:
    each: source.lines
    set: {sku: item.sku, quantity: item.qty}
---
mapping: east
from: soak/east.v1
to: soak/pair.v1
set:
  no: source.num
  seq: source.rev
  party: source.party
  total: source.amount
  lines:
    each: source.rows
    set: {sku: item.item, quantity: item.quantity}
---
mapping: to-east
from: soak/pair.v1
to: soak/east.v1
set:
  num: source.no
  rev: source.seq
  party: source.party
  amount: source.total
  rows:
    each: source.lines
    set: {line: index + 1, item: item.sku, quantity: item.quantity}
`

func driftSchema(properties, list, line string) string {
	return fmt.Sprintf(`{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {%s, %q: {"type": "array", "items": {"type": "object", "properties": {%s}}}}}`, properties, list, line)
}

// driftSystems are west and east as the configuration names them.
func driftSystems(url string) string {
	var b strings.Builder
	for _, system := range []string{"west", "east"} {
		fmt.Fprintf(&b, "  %s:\n    connector: rest\n    url: %s/%[1]s\n    timeout: 2s\n    visible-after: 100ms\n    limit: {concurrency: 16}\n    objects:\n", system, url)
		for _, e := range driftEntities {
			fmt.Fprintf(&b, `      %[1]s:
        path: /%[1]s
        version: changed
        list:
          items: items
          paging: {style: key, parameter: after, after: "{version},{id}", size-parameter: limit, size: 500, more: more}
          changed-since: {parameter: since, format: raw}
          order: changed
`, e)
			if system == "east" {
				b.WriteString("        external-id: external_id\n        find: {external: {external_id: \"{external}\"}}\n")
			}
		}
	}
	return b.String()
}

// newDrifting makes a world with drifting pairs of shelves and one hub, not yet started.
func newDrifting(b *budget) *drifting {
	mux := http.NewServeMux()
	c := &drifting{b: b}
	for _, e := range driftEntities {
		p := newDriftPair(c, e)
		c.pairs = append(c.pairs, p)
		mux.Handle("/west/"+e, http.StripPrefix("/west/"+e, p.left))
		mux.Handle("/west/"+e+"/", http.StripPrefix("/west/"+e, p.left))
		mux.Handle("/east/"+e, http.StripPrefix("/east/"+e, p.right))
		mux.Handle("/east/"+e+"/", http.StripPrefix("/east/"+e, p.right))
	}
	srv := httptest.NewServer(mux)
	b.Cleanup(func() {
		srv.CloseClientConnections() // some calls hang
		srv.Close()
	})
	w := newWorld(b.T, b.setup, func(p *project) { p.Extra += driftFlows() })
	w.p.write(b.T, "schemas/soak/west.v1.json", driftSchema(`"id": {"type": "string"}, "no": {"type": "string"}, "seq": {"type": "integer"}, "who": {"type": ["string", "null"]}, "total": {"type": "number"}, "changed": {"type": "integer"}, "gone": {"type": "boolean"}`,
		"lines", `"sku": {"type": "string"}, "qty": {"type": "integer"}`))
	w.p.write(b.T, "schemas/soak/east.v1.json", driftSchema(`"id": {"type": "string"}, "external_id": {"type": ["string", "null"]}, "num": {"type": "string"}, "rev": {"type": "integer"}, "party": {"type": ["string", "null"]}, "amount": {"type": "number"}, "changed": {"type": "integer"}`,
		"rows", `"line": {"type": "integer"}, "item": {"type": "string"}, "quantity": {"type": "integer"}`))
	w.p.write(b.T, "schemas/soak/pair.v1.json", driftSchema(`"no": {"type": "string"}, "seq": {"type": "integer"}, "party": {"type": ["string", "null"]}, "total": {"type": "number"}`,
		"lines", `"sku": {"type": "string"}, "quantity": {"type": "integer"}`))
	w.p.write(b.T, "mappings/drift.yaml", driftMapping)
	h := w.hub()
	text, err := os.ReadFile(h.file)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(h.file, append(text, driftSystems(srv.URL)...), 0o644); err != nil {
		b.Fatal(err)
	}
	c.world, c.h = w, h
	return c
}
