package schema

import (
	"bytes"
	"os"
	"testing"

	"github.com/xeipuuv/gojsonschema"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// benchmarked gives the benchmark's schema and document.
func benchmarked(tb testing.TB) (*Schema, *jsondoc.Doc) {
	tb.Helper()
	b, err := os.ReadFile("../../schemas/bench/order.v1.json")
	if err != nil {
		tb.Fatal(err)
	}
	var p strictyaml.Problems
	set := Compile([]File{{Name: "bench/order.v1", Data: b}}, &p)
	if err := p.Err(); err != nil {
		tb.Fatal(err)
	}
	doc, err := os.ReadFile("../jsondoc/testdata/order.json")
	if err != nil {
		tb.Fatal(err)
	}
	d, err := jsondoc.Parse(bytes.TrimSpace(doc), jsondoc.Limits{})
	if err != nil {
		tb.Fatal(err)
	}
	return set.Get("bench/order.v1"), d
}

func BenchmarkValidate(b *testing.B) {
	s, d := benchmarked(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Validate(d); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLibrary is the library alone, on a value converted before.
func BenchmarkLibrary(b *testing.B) {
	s, d := benchmarked(b)
	v := gojsonschema.NewRawLoader(d.Root().Any())
	b.ReportAllocs()
	for b.Loop() {
		if r, err := s.judge.(*fast).authority.(*library).schema.Validate(v); err != nil || !r.Valid() {
			b.Fatal(r, err)
		}
	}
}
