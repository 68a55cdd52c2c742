package console

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/waybill-hub/waybill/internal/bench/process"
)

// kind is a kind of object, with the system that its flow writes to.
type kind struct {
	entity, prefix, system string
	share                  int // of a hundred objects
}

// kinds are those of the project; the first has the flow through which the bench sends while it looks.
var kinds = []kind{
	{"order", "SO", "erp", 44}, {"invoice", "IN", "books", 14}, {"shipment", "SH", "wms", 12}, {"payment", "PY", "books", 8}, {"customer", "CU", "crm", 8},
	{"quote", "QU", "crm", 6}, {"product", "PR", "erp", 4}, {"inventory", "ST", "wms", 4},
}

func (k *kind) in() string  { return k.entity + "s-in" }
func (k *kind) out() string { return k.entity + "s-to-" + k.system }

func (k *kind) topic() string { return "canonical." + k.entity }

// flowNames are all flows.
func flowNames() (names []string) {
	for i := range kinds {
		names = append(names, kinds[i].in(), kinds[i].out())
	}
	return names
}

// systemNames are all systems.
var systemNames = []string{"shop", "erp", "crm", "wms", "books"}

const flowsText = `flow: %[1]s
entity: %[2]s
from:
  system: shop
  webhook:
    path: shop/%[2]s
    verify: {scheme: standard-webhooks, secret: "${env:HOOK_SECRET}"}
accept: bench/thing.v1
key: source.number
id: source.number
version: source.rev
to: {topic: %[3]s}
---
flow: %[4]s
entity: %[2]s
from: {topic: %[3]s}
accept: bench/thing.v1
search: [number, name]
to: {system: %[5]s}
slo: {late-after: 5m, waiting-after: 2000h}
`

const thingSchema = `{"type":"object","required":["number","rev","name"],"properties":{"number":{"type":"string"},"rev":{"type":"integer"},"name":{"type":"string"},
"customer":{"type":"object","properties":{"id":{"type":"string"}}}}}`

const comparisonsText = `reconciliation: customers-crm-erp
about: every customer of the CRM is in the ERP
entity: customer
left: {system: crm}
right: {system: erp}
compare: {name: exact}
settle: 2s
---
reconciliation: orders-erp-wms
about: every order of the ERP is in the warehouse
entity: order
left: {system: erp}
right: {system: wms}
compare: {name: exact}
settle: 2s
---
rule: name-given
about: every order has a name
entity: order
over: {system: erp}
expect: source.name != ""
key: source.number
settle: 1s
`

// writeProject writes the files of the hub, and gives that of its configuration.
func writeProject(dir, store, http, hooks, target string) (config string, err error) {
	var systems, flows strings.Builder
	for _, name := range systemNames[1:] {
		fmt.Fprintf(&systems, "  %s:\n    connector: rest\n    url: http://%s\n    objects:\n", name, target)
		for i := range kinds {
			fmt.Fprintf(&systems, "      %s: {path: /orders, id: id, external-id: ext, list: {}, find: {external: {ext: \"{external}\"}}}\n", kinds[i].entity)
		}
	}
	for i := range kinds {
		k := &kinds[i]
		if i > 0 {
			flows.WriteString("---\n")
		}
		fmt.Fprintf(&flows, flowsText, k.in(), k.entity, k.topic(), k.out(), k.system)
	}
	for name, text := range map[string]string{
		"configs/waybill.yaml": fmt.Sprintf("broker: {embedded: {dir: data/broker}, partitions: 1}\nstore: %s\nhttp: {listen: %q}\nhooks: {listen: %q}\nsystems:\n  shop: {connector: webhook}\n%s",
			store, http, hooks, systems.String()),
		"flows/flows.yaml":            flows.String(),
		"flows/comparisons.yaml":      comparisonsText,
		"schemas/bench/thing.v1.json": thingSchema,
	} {
		if err := process.Write(dir, name, text); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "configs", "waybill.yaml"), nil
}
