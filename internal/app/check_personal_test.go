package app

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/waybill-hub/waybill/connectors"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// TestMaskedWholeIsNoted: a check says where runs will show no value at all, because personal data is marked and nobody knows where it goes.
func TestMaskedWholeIsNoted(t *testing.T) {
	t.Parallel()
	kinds, err := connector.NewRegistry(connectors.All()...)
	if err != nil {
		t.Fatal(err)
	}
	const files = `flow: in
entity: customer
from: {system: crm, poll: {every: 1m, overlap: 1m}}
key: source.no
map: to-hub
to: {topic: customers}
---
reconciliation: plain
entity: customer
left: {system: crm}
right: {system: erp, map: to-hub}
match: no
---
reconciliation: through
entity: customer
left: {system: crm}
right: {system: crm, object: other, flow: in}
match: no
---
rule: paid
entity: customer
over: {system: crm}
with:
  orders: {system: erp, entity: customer, by: {no: source.no}, group: true}
expect: len(orders) > 0
`
	table := func(object string) string {
		return object + ": {table: " + object + ", id: no, version: v, columns: {no: text, v: integer, mail: text}}"
	}
	load := func(mark string) *config.Plan {
		t.Helper()
		schema := func(mark string) *fstest.MapFile {
			return &fstest.MapFile{Data: []byte(`{"type":"object","properties":{"no":{"type":"string"},"mail":{"type":"string"` + mark + `}}}`)}
		}
		sql := func(name string) string {
			return "  " + name + ": {connector: sql, driver: sqlite, path: ./" + name + ".db, objects: {" + table("customer") + ", " + table("other") + "}}\n"
		}
		plan, p := config.Load(config.EmbeddedPaths(fstest.MapFS{"waybill.yaml": {Data: []byte("systems:\n" + sql("crm") + sql("erp"))}}, fstest.MapFS{"f.yaml": {Data: []byte(files)}},
			fstest.MapFS{"m.yaml": {Data: []byte("mapping: to-hub\nfrom: crm\nto: hub\nset: {no: source.no, mail: source.mail}\n")}}, fstest.MapFS{"crm.json": schema(mark), "hub.json": schema("")}),
			config.Options{Kinds: kinds.Map()})
		if plan == nil {
			t.Fatal(p.Err())
		}
		return plan
	}
	notes := func(mark string) (out []string) {
		p := &strictyaml.Problems{}
		(&checker{plan: load(mark), p: p}).personal()
		for _, n := range p.Notes() {
			out = append(out, n.String())
		}
		return out
	}
	if got := notes(""); len(got) > 0 {
		t.Errorf("without a mark: %q", got)
	}
	got := strings.Join(notes(`,"x-pii":true`), "\n")
	if strings.Count(got, "\n") != 1 || !strings.Contains(got, "flows/f.yaml:8:1: schemas mark personal data (x-pii), and no flow reads erp through the mapping to-hub, which makes the documents of the right side: nobody knows") ||
		!strings.Contains(got, "flows/f.yaml:20:1: schemas mark personal data (x-pii), and no flow reads orders as the rule does: nobody knows") {
		t.Error(got)
	}
}
