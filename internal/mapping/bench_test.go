package mapping

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
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
