package config

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// shopKind is a kind whose objects have an external id in the field ref, in the form that the settings say.
type shopKind struct{}

func (shopKind) Spec() connector.Spec {
	return connector.Spec{Kind: "shop", Fields: connector.Fields[struct {
		Form string `yaml:"form" doc:"the form"`
	}](), Can: connector.Abilities{Write: true, Find: true, Poll: true, List: true}}
}
func (shopKind) Check(connector.Settings, *strictyaml.Problems)                     {}
func (shopKind) Open(context.Context, connector.Settings) (connector.System, error) { return nil, nil }
func (shopKind) Describe(s connector.Settings, _ string) connector.ObjectType {
	return connector.ObjectType{External: "ref", Form: connector.ExternalForm(s.Node.Get("form").Text()), Searched: true, Stamps: []string{"rev"}}
}

// dumbKind cannot be asked for anything.
type dumbKind struct{ shopKind }

func (dumbKind) Spec() connector.Spec {
	return connector.Spec{Kind: "dumb", Can: connector.Abilities{Write: true}}
}

func loadMet(t *testing.T, form, flows string) (*Plan, *strictyaml.Problems) {
	t.Helper()
	source := func(name, file, text string) []Source {
		return []Source{{Name: name, FS: fstest.MapFS{file: &fstest.MapFile{Data: []byte(text)}}}}
	}
	mapping := "mapping: a-to-b\nfrom: wide\nto: narrow\nset: {no: source.no}\n---\nmapping: to-hub\nfrom: wide\nto: hub\nset: {no: source.no}\n---\nmapping: from-hub\nfrom: hub\nto: wide\nset: {no: source.no}\n"
	schemas := fstest.MapFS{}
	for name, most := range map[string]string{"narrow": `,"maxLength":35`, "wide": "", "hub": ""} {
		schemas[name+".json"] = &fstest.MapFile{Data: fmt.Appendf(nil, `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"no":{"type":"string"},"email":{"type":"string"},"ref":{"type":"string"%s}}}`, most)}
	}
	paths := Paths{Config: "waybill.yaml", ConfigFS: fstest.MapFS{"waybill.yaml": &fstest.MapFile{Data: []byte("systems:\n  a: {connector: shop}\n  b: {connector: shop, form: " + form + "}\n  d: {connector: dumb}\n")}},
		Flows: source("flows", "f.yaml", flows), Mappings: source("mappings", "m.yaml", mapping), Schemas: []Source{{Name: "schemas", FS: schemas}}}
	return Load(paths, Options{Kinds: map[string]connector.Kind{"shop": shopKind{}, "dumb": dumbKind{}}})
}

func TestFindSettings(t *testing.T) {
	plan, p := loadMet(t, "uuid", `
flow: short
entity: customer
from: {topic: t}
map: from-hub
to: {system: b, find-by: [no, email]}
---
flow: long
entity: customer
from: {topic: t}
map: from-hub
to: {system: b, find: after-conflict, find-by: [no, {field: email, compare: fold}]}
`)
	if p.Len() > 0 {
		t.Fatal(p.Err())
	}
	if to := plan.Flow("short").To; to.AfterConflict || !reflect.DeepEqual(to.FindBy, []FindBy{{Field: "no"}, {Field: "email"}}) || to.External != "ref" {
		t.Errorf("%+v", to)
	}
	if to := plan.Flow("long").To; !to.AfterConflict || !reflect.DeepEqual(to.FindBy, []FindBy{{Field: "no"}, {Field: "email", Compare: connector.Fold}}) {
		t.Errorf("%+v", to)
	}
}

func TestFindProblems(t *testing.T) {
	head := "flow: f\nentity: customer\nfrom: {topic: t}\n"
	for _, c := range []struct{ name, form, flow, want string }{
		{"an unknown rule", "uuid", head + "to: {system: b, find-by: [{field: no, compare: folded}]}", `4:48: compare: "folded" is no way to compare (write exact, fold, uuid, number)`},
		{"no field", "uuid", head + "to: {system: b, find-by: [{compare: fold}]}", `"field" is missing`},
		{"an unknown key", "uuid", head + "to: {system: b, find-by: [{field: no, compar: fold}]}", `compar`},
		{"an unknown field", "uuid", head + "map: from-hub\nto: {system: b, find-by: [{field: emial, compare: fold}]}", `wide does not declare the field "emial" (did you mean "email"?)`},
		{"a field twice", "uuid", head + "to: {system: b, find-by: [no, {field: no, compare: fold}]}", `"no" stands there twice`},
		{"an unknown moment", "uuid", head + "to: {system: b, find: later}", `find: "later" is none of its values`},
		{"a system that cannot be asked", "uuid", head + "to: {system: d, find: before-create}", `"d" cannot look objects up`},
		{"too long", "uuid", head + "map: a-to-b\nto: {system: b}", "5:5: the external id has 36 characters, and ref of narrow takes 35 (set external-form: compact for the object customer of the system b)"},
		{"too long where it is read", "uuid", "flow: f\nentity: customer\nfrom: {system: b, poll: {every: 1m}}\naccept: narrow\nto: {topic: t}", "the external id has 36 characters, and ref of narrow takes 35"},
		{"short enough", "compact", head + "map: a-to-b\nto: {system: b}", ""},
		{"no limit", "uuid", head + "map: from-hub\nto: {system: b}", ""},
	} {
		_, p := loadMet(t, c.form, c.flow)
		text := ""
		if err := p.Err(); err != nil {
			text = err.Error()
		}
		if (c.want == "") != (text == "") || !strings.Contains(text, c.want) {
			t.Errorf("%s: %s, want %s", c.name, text, c.want)
		}
	}
}

func TestEchoNotes(t *testing.T) {
	in := func(system, name, topic, mapping string) string {
		return "flow: " + name + "\nentity: customer\nfrom: {system: " + system + ", poll: {every: 1m}}\n" + mapping + "to: {topic: " + topic + "}\n---\n"
	}
	out := func(system, name, topic, mapping string) string {
		return "flow: " + name + "\nentity: customer\nfrom: {topic: " + topic + "}\n" + mapping + "to: {system: " + system + "}\n---\n"
	}
	direct := "flow: ab\nentity: customer\nfrom: {system: a, poll: {every: 1m}}\nto: {system: b}\n---\nflow: ba\nentity: customer\nfrom: {system: b, poll: {every: 1m}}\nto: {system: a}\n"
	for _, c := range []struct {
		name, flows string
		notes       int
	}{
		{"direct", direct, 2},
		{"one direction", direct[:strings.Index(direct, "---")], 0},
		{"of different entities", strings.Replace(direct, "flow: ba\nentity: customer", "flow: ba\nentity: order", 1), 0},
		{"by a topic", in("a", "a-in", "c", "") + in("b", "b-in", "c", "") + out("a", "a-out", "c", "") + out("b", "b-out", "c", ""), 2},
		{"by two topics", in("a", "a-in", "ab", "") + in("b", "b-in", "ba", "") + out("a", "a-out", "ba", "") + out("b", "b-out", "ab", ""), 2},
		{"by a schema of the hub's own", in("a", "a-in", "c", "map: to-hub\n") + in("b", "b-in", "c", "map: to-hub\n") + out("a", "a-out", "c", "map: from-hub\n") + out("b", "b-out", "c", "map: from-hub\n"), 0},
	} {
		_, p := loadMet(t, "uuid", c.flows)
		var notes []strictyaml.Problem
		for _, n := range p.Notes() {
			if strings.Contains(n.Message, "their mappings share no schema") {
				notes = append(notes, n)
			}
		}
		if p.Len() > 0 || len(notes) != c.notes {
			t.Errorf("%s: %d notes, want %d: %v %v", c.name, len(notes), c.notes, notes, p.Err())
		}
	}
}
