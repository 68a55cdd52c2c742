package mapping

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// benchMapping compiles the shipped mapping of the benchmark.
func benchMapping(tb testing.TB) *Mapping {
	tb.Helper()
	text, err := os.ReadFile("../../mappings/bench-order.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	values, err := os.ReadFile("../../mappings/values/bench-order-status.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	var p strictyaml.Problems
	nodes := strictyaml.Parse("bench-order.yaml", text, &p)
	m := Compile(nodes[0], Deps{Schemas: schemasFrom(tb, "../../schemas/bench", "bench/"), Values: valueMaps(tb, string(values))}, &p)
	if err := p.Err(); err != nil {
		tb.Fatal(err)
	}
	return m
}

func benchDoc(tb testing.TB) []byte {
	tb.Helper()
	b, err := os.ReadFile("testdata/bench-order.json")
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.TrimSpace(b)
}

func TestBenchMapping(t *testing.T) {
	m := benchMapping(t)
	d := parseDoc(t, string(benchDoc(t)))
	out, err := m.Apply(context.Background(), &Input{Doc: d}, nil)
	if err != nil {
		t.Fatal(err)
	}
	result, err := jsondoc.Parse(out, jsondoc.Limits{})
	if err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if err := m.To().Validate(result); err != nil {
		t.Error(err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, out, "", "  "); err != nil {
		t.Fatal(err)
	}
	golden(t, "bench-order.golden.json", pretty.String()+"\n")
}

// TestBenchMappingAllocates keeps the hot path free of allocations but for the few that are known.
func TestBenchMappingAllocates(t *testing.T) {
	m := benchMapping(t)
	d := parseDoc(t, string(benchDoc(t)))
	in := &Input{Doc: d}
	dst := make([]byte, 0, 4096)
	n := testing.AllocsPerRun(200, func() {
		if _, err := m.Apply(context.Background(), in, dst); err != nil {
			t.Fatal(err)
		}
	})
	if n > 4 {
		t.Errorf("%.0f allocations for a document", n)
	}
}

func BenchmarkMapping(b *testing.B) {
	m := benchMapping(b)
	doc := benchDoc(b)
	d := jsondoc.Get()
	defer jsondoc.Put(d)
	if err := d.Reset(doc, jsondoc.Limits{}); err != nil {
		b.Fatal(err)
	}
	in := &Input{Doc: d}
	dst := make([]byte, 0, 4096)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Apply(context.Background(), in, dst); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseAndMapping(b *testing.B) {
	m := benchMapping(b)
	doc := benchDoc(b)
	d := jsondoc.Get()
	defer jsondoc.Put(d)
	in := &Input{Doc: d}
	dst := make([]byte, 0, 4096)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Reset(doc, jsondoc.Limits{}); err != nil {
			b.Fatal(err)
		}
		if _, err := m.Apply(context.Background(), in, dst); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkExpressions is a mapping of what has no direct form, or one that is rarely taken: loops, sorting on the expression library's machine,
// functions of the library, lists and objects as Go values.
func BenchmarkExpressions(b *testing.B) {
	const text = `mapping: m
from: bench/order.v1
to: open
set:
  total: sum(source.lines, round(.qty * .unitPrice, 2))
  dear: count(source.lines, .unitPrice > 10 and .qty != 0)
  skus: join(map(source.lines, upper(.sku)), ",")
  found: any(source.lines, .sku == source.header.orderId)
  name: source.customer.firstName + " " + source.customer.lastName
  label: format("{} {} ({})", source.customer.firstName, source.customer.lastName, source.customer.id)
  day: substr(source.header.orderDate, 0, 8)
  sorted: sortBy(source.lines, .unitPrice)
  customer: source.customer
  distinct: len(unique(map(source.lines, .sku)))
  known: source.header.currency in ["EUR", "USD", "GBP"]
  address: choose(source.billing.country == source.shipping.country, source.billing, source.shipping)
  words:
    each: split(source.billing.street, " ")
    set:
      word: item
      at: index
`
	var p strictyaml.Problems
	file, err := os.ReadFile("../../schemas/bench/order.v1.json")
	if err != nil {
		b.Fatal(err)
	}
	set := schema.Compile([]schema.File{
		{Name: "bench/order.v1", Path: "order.v1.json", Data: file},
		{Name: "open", Path: "open.json", Data: []byte(`{"type": "object", "additionalProperties": true}`)},
	}, &p)
	m := Compile(strictyaml.Parse("m.yaml", []byte(text), &p)[0], Deps{Schemas: set}, &p)
	if err := p.Err(); err != nil {
		b.Fatal(err)
	}
	d := jsondoc.Get()
	defer jsondoc.Put(d)
	if err := d.Reset(benchDoc(b), jsondoc.Limits{}); err != nil {
		b.Fatal(err)
	}
	in := &Input{Doc: d}
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Apply(context.Background(), in, dst); err != nil {
			b.Fatal(err)
		}
	}
}
