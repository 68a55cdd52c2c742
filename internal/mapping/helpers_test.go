package mapping

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with testdata/name, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update to accept):\n--- got\n%s\n--- want\n%s", path, got, want)
	}
}

// refs is a cross-reference for tests: "entity/system/local" to hub id.
type refs map[string]string

var errStore = errors.New("store is away")

func (r refs) HubID(_ context.Context, entity, system, local string) (string, bool, error) {
	if local == "broken" {
		return "", false, errStore
	}
	hub, ok := r[entity+"/"+system+"/"+local]
	return hub, ok, nil
}

func (r refs) LocalID(_ context.Context, entity, system, hub string) (string, bool, error) {
	for k, v := range r {
		if v == hub && strings.HasPrefix(k, entity+"/"+system+"/") {
			return strings.TrimPrefix(k, entity+"/"+system+"/"), true, nil
		}
	}
	return "", false, nil
}

var testRefs = refs{"customer/crm/A1": "hub-1", "customer/erp/77": "hub-1"}

var testEvent = &event.Event{
	ID: "e1", Source: "crm", Entity: "order", Operation: event.Upsert, Key: "O-1", Hub: "h-1", Origin: "crm",
	Time: time.Date(2026, 11, 21, 10, 30, 0, 500_000_000, time.FixedZone("", 8*3600)),
}

// schemasFrom compiles all schemas in a directory, named with the prefix.
func schemasFrom(t testing.TB, dir, prefix string) *schema.Set {
	t.Helper()
	var files []schema.File
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no schemas in %s: %v", dir, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, schema.File{Name: prefix + strings.TrimSuffix(filepath.Base(path), ".json"), Path: path, Data: data})
	}
	var p strictyaml.Problems
	set := schema.Compile(files, &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return set
}

const testValues = `values: order-status
unknown: {value: park, code: {use: "00"}}
codes:
  draft: {crm: "Open", erp: "10"}
  confirmed: {crm: "Closed Won", erp: ["20", "21"]}
---
values: units
unknown: keep
codes:
  pcs: {erp: "PCE"}
  kg: {erp: "KGM"}
---
values: kinds
codes:
  order: {crm: "O"}
  return: {crm: "R"}
`

// valueMaps parses value maps; problems fail the test.
func valueMaps(t testing.TB, text string) map[string]*ValueMap {
	t.Helper()
	var p strictyaml.Problems
	out := map[string]*ValueMap{}
	for _, n := range strictyaml.Parse("values.yaml", []byte(text), &p) {
		if m := ParseValueMaps(n, &p); m != nil {
			out[m.Name()] = m
		}
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func testDeps(t testing.TB) Deps {
	return Deps{
		Schemas:  schemasFrom(t, "testdata/schemas", ""),
		Values:   valueMaps(t, testValues),
		Systems:  map[string]bool{"crm": true, "erp": true, "wms": true},
		Entities: map[string]bool{"customer": true, "order": true},
	}
}

// parseDoc parses a document that is right; t may be nil.
func parseDoc(t testing.TB, text string) *jsondoc.Doc {
	d, err := jsondoc.Parse([]byte(text), jsondoc.Limits{})
	if err != nil {
		if t == nil {
			panic(err)
		}
		t.Fatal(err)
	}
	return d
}

// exprNode gives a YAML node that holds the text as a plain or block scalar.
func exprNode(t testing.TB, text string, p *strictyaml.Problems) strictyaml.Node {
	t.Helper()
	yaml := "e: |-\n"
	for _, line := range strings.Split(text, "\n") {
		yaml += "  " + line + "\n"
	}
	nodes := strictyaml.Parse("e.yaml", []byte(yaml), p)
	if len(nodes) != 1 {
		t.Fatalf("%q: %v", text, p.Err())
	}
	return nodes[0].Get("e")
}

// compiled is one expression, ready to give JSON: in its direct form, and forced onto the machine.
type compiled struct {
	c *compiler
	x code
}

func compileText(t testing.TB, text string, source *schema.Schema, deps Deps, machine bool) (*compiled, error) {
	t.Helper()
	var p strictyaml.Problems
	return compileAt(exprNode(t, text, &p), &p, source, deps, machine)
}

// compileAny is compileText for texts that YAML may not be able to hold.
func compileAny(text string, source *schema.Schema, deps Deps, machine bool) (*compiled, error) {
	var p strictyaml.Problems
	nodes := strictyaml.Parse("e.yaml", []byte("e: |-\n  "+strings.ReplaceAll(text, "\n", "\n  ")+"\n"), &p)
	if err := p.Err(); err != nil || len(nodes) != 1 || nodes[0].Get("e").Kind() != strictyaml.Scalar {
		return nil, errors.Join(errors.New("not YAML"), err)
	}
	return compileAt(nodes[0].Get("e"), &p, source, deps, machine)
}

func compileAt(n strictyaml.Node, p *strictyaml.Problems, source *schema.Schema, deps Deps, machine bool) (*compiled, error) {
	c := newCompiler(deps, p)
	c.layout.reg()
	c.scope = &scope{source: documentType(source)}
	c.forced = machine
	x, _ := c.compileNode(n)
	return &compiled{c, x}, p.Err()
}

func (x *compiled) json(in *Input) (string, error) {
	f := x.c.layout.frame()
	f.start(context.Background(), in, Limits{}.resolved(), nil)
	v := &f.regs[0]
	if err := x.x.op.eval(f, v); err != nil {
		return "", err
	}
	if v.k == vAbsent {
		return "absent", nil
	}
	b, err := v.appendJSON(nil, DefaultResult)
	return string(b), err
}
