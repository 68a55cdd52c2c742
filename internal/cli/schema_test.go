package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/flowtest"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// editorSchema compiles what `waybill schema KIND` writes.
func editorSchema(t *testing.T, kind string) *schema.Schema {
	t.Helper()
	code, out, err := command(t, "schema", kind)
	if code != 0 {
		t.Fatal(err)
	}
	var p strictyaml.Problems
	s := schema.Compile([]schema.File{{Name: kind, Path: kind + ".json", Data: []byte(out)}}, &p).Get(kind)
	if p.Len() > 0 {
		t.Fatal(p.Err())
	}
	return s
}

// documents gives the YAML documents of a text as an editor sees them.
func documents(t *testing.T, name, text string) []*jsondoc.Doc {
	t.Helper()
	var p strictyaml.Problems
	var out []*jsondoc.Doc
	for _, n := range strictyaml.Parse(name, []byte(text), &p) {
		b, _ := n.AppendJSON(nil, nil)
		d, err := jsondoc.Parse(b, jsondoc.Limits{})
		if err != nil {
			t.Fatal(name, err)
		}
		out = append(out, d)
	}
	if p.Len() > 0 {
		t.Fatal(p.Err())
	}
	return out
}

// TestSchemasTakeShippedFiles: an editor must not complain of what the hub takes.
func TestSchemasTakeShippedFiles(t *testing.T) {
	schemas := map[string]*schema.Schema{}
	for kind := range editorSchemas {
		schemas[kind] = editorSchema(t, kind)
	}
	seen := map[string]int{}
	for _, pattern := range []string{"configs/*.yaml", "flows/*.yaml", "mappings/*.yaml", "mappings/values/*.yaml",
		"internal/config/testdata/good/*/*.yaml", "internal/flowtest/testdata/project/*/*.yaml", "internal/flowtest/testdata/*/pass_test.yaml"} {
		files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(pattern)))
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			kind := "flow"
			switch {
			case flowtest.IsTest(file):
				kind = "test"
			case strings.Contains(file, "configs"):
				kind = "config"
			case strings.Contains(file, "mappings"):
				kind = "mapping"
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), "connector: thing") || filepath.Base(file) == "polls_test.yaml" {
				continue // kinds of systems that only tests have
			}
			for _, d := range documents(t, file, string(data)) {
				seen[kind]++
				if err := schemas[kind].Validate(d); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		}
	}
	for kind := range schemas {
		if seen[kind] == 0 {
			t.Errorf("no file of the kind %s", kind)
		}
	}
}

// TestSchemasSeeMistakes: what the hub refuses in form, an editor shows while typing.
func TestSchemasSeeMistakes(t *testing.T) {
	for _, c := range []struct{ kind, text string }{
		{"config", "system: {}"},
		{"config", "http: {listen: [a]}"},
		{"config", "systems: {crm: {url: http://x}}"},
		{"config", "systems: {crm: {connector: rest, url: http://x, urll: y}}"},
		{"config", "systems: {crm: {connector: nothing}}"},
		{"config", "broker: {partitions: many}"},
		{"config", "hooks: {max-body: large}"},
		{"flow", "flow: a\nentity: order\nfrom: {topic: x}"},
		{"flow", "flow: a\nentity: order\nfrom: {topic: x}\nto: {topic: y}\norder: loose"},
		{"flow", "flow: a\nentity: order\nfrom: {topic: x}\nto: {topic: y}\nretry: {for: long}"},
		{"flow", "reconciliation: a\nentity: order\nleft: {system: a}"},
		{"flow", "reconciliation: a\nentity: order\nleft: {system: a}\nright: {system: b}\ncompare: {x: nearly}"},
		{"flow", "reconciliation: a\nentity: order\nleft: {system: a}\nright: {system: b}\ncompare: {x: {fodl: [case]}}"},
		{"flow", "reconciliation: a\nentity: order\nleft: {system: a}\nright: {system: b}\ncompare: {x: {set: y, compare: {z: {tiem: day}}}}"},
		{"flow", "reconciliation: a\nentity: order\nleft: {system: a}\nright: {system: b}\ncompare: all"},
		{"flow", "reconciliation: a\nentity: order\nleft: {system: a}\nright: {system: b}\nmatch: {a: b}"},
		{"flow", "reconciliation: a\nentity: order\nleft: {system: a}\nright: {system: b}\ntotals: [{sum: x, by: [{mnth: y}]}]"},
		{"flow", "reconciliation: a\nentity: order\nleft: {system: a}\nright: {system: b}\nrepair: {from: left, by: {rigth: y}}"},
		{"mapping", "mapping: a\nfrom: b\nto: c\nset: {x: {each: y}}"},
		{"mapping", "mapping: a\nfrom: b\nto: c\nset: {x: {when: y}}"},
		{"mapping", "mapping: a\nfrom: b\nto: c\nsets: {x: y}"},
		{"mapping", "values: a\ncodes: {x: y}"},
		{"mapping", "values: a\nunknown: drop\ncodes: {x: {crm: y}}"},
		{"test", "cases: []"},
		{"test", "test: a\ncases:\n  - name: b\n    given: {}\n    skipped: filtered\n    want: {data: {}}"},
		{"test", "test: a\ncases:\n  - name: b\n    given: {}\n    skipped: stale"},
	} {
		s := editorSchema(t, c.kind)
		for _, d := range documents(t, c.kind, c.text) {
			if s.Validate(d) == nil {
				t.Errorf("%s takes\n%s", c.kind, c.text)
			}
		}
	}
}

func TestSchemaCommandUsage(t *testing.T) {
	for args, want := range map[string]string{"schema": "name one kind of file", "schema flows": `did you mean "flow"?`, "schema flow test": "name one kind of file"} {
		if code, _, err := command(t, strings.Fields(args)...); code != exitUsage || !strings.Contains(err, want) {
			t.Errorf("%s: %d %s", args, code, err)
		}
	}
}
