package mapping

import (
	"context"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// FuzzExpression: no text makes the compiler or the run panic or hang, and both forms agree.
func FuzzExpression(f *testing.F) {
	for _, e := range expressions {
		f.Add(e.expr)
	}
	deps := testDeps(f)
	source := deps.Schemas.Get("source.v1")
	in := &Input{Doc: parseDoc(f, tableDoc), Event: testEvent, Lookup: testRefs}
	f.Fuzz(func(t *testing.T, text string) {
		direct, err := compileAny(text, source, deps, false)
		if err != nil {
			return
		}
		machine, err := compileAny(text, source, deps, true)
		if err != nil {
			t.Fatalf("%q compiles, but not for the machine: %v", text, err)
		}
		agree(t, text, direct, machine, in)
	})
}

// FuzzApply: no document makes a mapping panic, and what comes out is JSON.
func FuzzApply(f *testing.F) {
	f.Add([]byte(tableDoc))
	f.Add([]byte(`{"no":"O","lines":[{"sku":"a","qty":1e400,"price":1e400}],"customer":{"id":"A1"},"date":"2026-10-01","status":"Open"}`))
	m := caseMapping(f, "order.txt")
	nested := caseMapping(f, "nested.txt")
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := jsondoc.Parse(data, jsondoc.Limits{})
		if err != nil {
			return
		}
		for _, m := range []*Mapping{m, nested} {
			out, err := m.Apply(context.Background(), &Input{Doc: d, Event: testEvent, Lookup: testRefs}, nil)
			if err != nil {
				continue
			}
			if _, err := jsondoc.Parse(out, jsondoc.Limits{}); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
		}
	})
}

// FuzzCompile: no file makes the compiler of mappings and value maps panic.
func FuzzCompile(f *testing.F) {
	_, body := sections(&testing.T{}, "testdata/apply/order.txt")
	f.Add(body["mapping"])
	f.Add(testValues)
	deps := testDeps(f)
	f.Fuzz(func(t *testing.T, text string) {
		var p strictyaml.Problems
		for _, n := range strictyaml.Parse("m.yaml", []byte(text), &p) {
			before := p.Len()
			if m := Compile(n, deps, &p); (m == nil) != (p.Len() > before) {
				t.Errorf("mapping nil: %t, with %d problems", m == nil, p.Len()-before)
			}
			ParseValueMaps(n, &p)
		}
	})
}
