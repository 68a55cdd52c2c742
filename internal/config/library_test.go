package config

import (
	"strings"
	"testing"
	"testing/fstest"
)

// TestLibrary: a project names a mapping that it does not hold, and its schemas and value maps come with it; what it holds itself goes before.
func TestLibrary(t *testing.T) {
	o := testOptions()
	o.Library = Library{
		Documents: Source{"shipped", fstest.MapFS{
			"a.yaml": {Data: []byte("mapping: shipped\nfrom: lib/a.v1\nto: lib/b.v1\nset:\n  code?: value(\"lib\", \"x\", source.code)\n---\nvalues: lib\ncodes: {one: {x: \"1\"}}\n")},
			"b.yaml": {Data: []byte("mapping: unnamed\nfrom: lib/none.v1\nto: lib/none.v1\nset: {a: source.a}\n")},
		}},
		Schema: func(name string) []byte {
			return map[string][]byte{
				"lib/a.v1":    []byte(`{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"code":{"$ref":"code.v1.json#/definitions/code"}}}`),
				"lib/b.v1":    []byte(`{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"code":{"type":"string"}}}`),
				"lib/code.v1": []byte(`{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"code":{"type":"string"}}}`),
			}[name]
		},
	}
	load := func(flow, mappings string) (*Plan, string) {
		plan, p := Load(EmbeddedPaths(fstest.MapFS{"waybill.yaml": {Data: []byte("{}\n")}}, fstest.MapFS{"f.yaml": {Data: []byte(flow)}},
			fstest.MapFS{"m.yaml": {Data: []byte(mappings)}}, fstest.MapFS{}), o)
		return plan, FormatText(p)
	}
	const flow = "flow: f\nentity: order\nfrom: {topic: a}\naccept: lib/a.v1\nmap: shipped\nto: {topic: b}\n"
	plan, problems := load(flow, "")
	if plan == nil {
		t.Fatal(problems)
	}
	if len(plan.Mappings) != 1 || plan.Values["lib"] == nil || plan.Schemas.Get("lib/code.v1") == nil || plan.Flows[0].Map.Pos().File != "shipped/a.yaml" {
		t.Errorf("%v %v", plan.Mappings, plan.Values)
	}
	other := plan.Flows[0].Sum
	if plan, problems = load(flow, "values: lib\ncodes: {two: {x: \"2\"}}\n"); plan == nil || plan.Flows[0].Sum == other {
		t.Errorf("the project's own value map does not count: %s", problems)
	}
	if plan, problems = load(flow, "mapping: shipped\nfrom: lib/a.v1\nto: lib/b.v1\nset: {code: \"own\"}\n"); plan == nil || plan.Flows[0].Map.Pos().File != "mappings/m.yaml" || plan.Values["lib"] != nil {
		t.Errorf("the project's own mapping does not count: %s", problems)
	}
	if plan, problems = load(strings.Replace(flow, "map: shipped", "map: unname", 1), ""); plan != nil || !strings.Contains(problems, `unknown mapping "unname" (did you mean "unnamed"?)`) {
		t.Errorf("a name that is none: %s", problems)
	}
}
