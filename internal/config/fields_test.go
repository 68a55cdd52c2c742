package config

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// tableKind is a kind whose object "order" has known fields.
type tableKind struct{ connector.Kind }

func (tableKind) Spec() connector.Spec {
	return connector.Spec{Kind: "table", Can: connector.Abilities{Write: true, Find: true, Poll: true, List: true}}
}
func (tableKind) Check(connector.Settings, *strictyaml.Problems) {}
func (tableKind) Describe(_ connector.Settings, object string) connector.ObjectType {
	text, whole, list := []string{"string"}, []string{"integer"}, []string{"array"}
	return map[string]connector.ObjectType{"order": {Fields: []connector.ObjectField{
		{Name: "no", Gives: text, Takes: text}, {Name: "qty", Gives: whole, Takes: whole},
		{Name: "lines", Gives: list, Takes: list, Fields: []connector.ObjectField{{Name: "sku", Gives: text, Takes: text}}},
	}}}[object]
}

// TestFieldsFit compares the fields of an object with schemas and mappings, both ways; what can never work is a problem, the rest a note.
func TestFieldsFit(t *testing.T) {
	const s = `{"type":"object","required":["no"],"properties":{"no":{"type":"string"},"qty":{"type":"integer"},"name":{"type":"string"},"ship":{"type":"object","properties":{"city":{"type":"string"}}},"lines":{"type":"array","items":{"type":"object","required":["sku"],"properties":{"sku":{"type":"string"},"qty":{"type":"integer"}}}}}}`
	const good = `{"type":"object","required":["no"],"additionalProperties":false,"properties":{"no":{"type":"string"},"qty":{"type":["integer","null"]},"lines":{"type":"array"}}}`
	mapTo := func(set string) string { return "mapping: m\nfrom: s\nto: s\nset:\n  no: source.no\n  " + set + "\n" }
	const toERP = "flow: f\nentity: order\nfrom: {topic: t}\nmap: m\nto: {system: erp}\n"
	poll := func(rest string) string {
		return "flow: f\nentity: order\nfrom: {system: erp, poll: {every: 1m, overlap: 1m}}\n" + rest + "to: {topic: t}\n"
	}
	for _, c := range []struct {
		name, flow, mapping string
		other               map[string]string // schemas
		want                []string          // problems begin with !, notes do not
	}{
		{name: "fits", flow: toERP, mapping: mapTo("qty: 1\n  lines: [{set: {sku: source.no}}]")},
		{name: "no such column", flow: toERP, mapping: mapTo("name: source.no"), want: []string{"!flows/f.yaml:4:6: the object order of erp has no field \"name\", which s has: such a document is refused"}},
		{name: "a column that may be asked for", flow: toERP, mapping: mapTo("name?: source.name"), want: []string{"flows/f.yaml:4:6: the object order of erp has no field \"name\""}},
		{name: "an object into a flat column", flow: toERP, mapping: "mapping: m\nfrom: s\nto: flat\nset: {no: source.ship}\n",
			other: map[string]string{"flat.json": `{"type":"object","properties":{"no":{"type":"object"}}}`}, want: []string{"!flows/f.yaml:4:6: no is an object in flat, and the object order of erp takes a text there (take its fields one by one"}},
		{name: "a list into a flat column", flow: toERP, mapping: "mapping: m\nfrom: s\nto: flat\nset: {no: source.lines}\n",
			other: map[string]string{"flat.json": `{"type":"object","properties":{"no":{"type":"array"}}}`}, want: []string{"!flows/f.yaml:4:6: no is a list in flat"}},
		{name: "a text into a number", flow: toERP, mapping: "mapping: m\nfrom: s\nto: flat\nset: {qty: source.no}\n",
			other: map[string]string{"flat.json": `{"type":"object","properties":{"qty":{"type":"string"}}}`}, want: []string{"!flows/f.yaml:4:6: qty is a text in flat, and the object order of erp takes a whole number there (convert it"}},
		{name: "no map", flow: "flow: f\nentity: order\nfrom: {topic: t}\naccept: s\nto: {system: erp}\n", want: []string{
			"flows/f.yaml:5:5: the object order of erp has no field \"name\", which s (there is no map) has",
			"flows/f.yaml:5:5: the object order of erp has no field \"ship\", which s (there is no map) has",
			"flows/f.yaml:5:5: the object order of erp has no field \"lines.qty\", which s (there is no map) has"}},
		{name: "only what it owns is written", flow: "flow: f\nentity: order\nfrom: {topic: t}\nmap: m\nto: {system: erp, operation: update, owns: [no]}\n", mapping: mapTo("name: source.no")},
		{name: "read: fits", flow: poll("accept: good\n"), other: map[string]string{"good.json": good}},
		{name: "read: a field that is required", flow: poll("accept: x\n"), other: map[string]string{"x.json": `{"type":"object","required":["number"],"properties":{"number":{"type":"string"}}}`},
			want: []string{"!flows/f.yaml:4:9: x requires \"number\", and the object order of erp has no such field"}},
		{name: "read: a field that is not allowed", flow: poll("accept: x\n"), other: map[string]string{"x.json": `{"type":"object","additionalProperties":false,"properties":{"no":{"type":"string"},"lines":{}}}`},
			want: []string{"!flows/f.yaml:4:9: the object order of erp has the field \"qty\", and x does not allow it"}},
		{name: "read: of another type", flow: poll("accept: x\n"), other: map[string]string{"x.json": `{"type":"object","required":["qty"],"properties":{"qty":{"type":"string"},"no":{"type":"integer"}}}`},
			want: []string{"!flows/f.yaml:4:9: the field \"qty\" of the object order of erp is a whole number, and x wants a text", "flows/f.yaml:4:9: the field \"no\" of the object order of erp is a text, and x wants a whole number"}},
		{name: "read: what the mapping reads is not there", flow: poll("map: m\n"), mapping: mapTo("name?: source.name"), want: []string{"flows/f.yaml:4:6: the mapping \"m\" reads \"name\", which the object order of erp does not have: it is always absent"}},
		{name: "read: a missing map", flow: poll("") + "---\nflow: g\nentity: order\nfrom: {topic: t}\naccept: x\nto: {topic: u}\n", other: map[string]string{"x.json": `{"type":"object","required":["number"],"properties":{"number":{"type":"string"}}}`},
			want: []string{"!flows/f.yaml:4:5: x requires \"number\", and the object order of erp has no such field (add map: a mapping to x, which the flow g accepts)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			schemas := fstest.MapFS{"s.json": {Data: []byte(s)}}
			for name, text := range c.other {
				schemas[name] = &fstest.MapFile{Data: []byte(text)}
			}
			maps := fstest.MapFS{}
			if c.mapping != "" {
				maps["m.yaml"] = &fstest.MapFile{Data: []byte(c.mapping)}
			}
			_, p := Load(EmbeddedPaths(fstest.MapFS{"waybill.yaml": {Data: []byte("systems: {erp: {connector: table}}\n")}}, fstest.MapFS{"f.yaml": {Data: []byte(c.flow)}}, maps, schemas),
				Options{Kinds: map[string]connector.Kind{"table": tableKind{}}})
			wantProblems(t, p, c.want)
		})
	}
}

func wantProblems(t *testing.T, p *strictyaml.Problems, want []string) {
	t.Helper()
	var got []string
	for _, x := range p.List() {
		got = append(got, "!"+x.String())
	}
	for _, x := range p.Notes() {
		got = append(got, x.String())
	}
	ok := len(got) == len(want)
	for i := 0; ok && i < len(got); i++ {
		ok = strings.HasPrefix(got[i], want[i])
	}
	if !ok {
		t.Errorf("got\n%s\nwant beginnings\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestAdvice notes what works and will not be meant.
func TestAdvice(t *testing.T) {
	const s = `{"type":"object","properties":{"no":{"type":"string"},"customer":{"type":"object","properties":{"name":{"type":"string"}}}}}`
	const conf = "entities: [thing]\nbroker: {foreign-topics: [outside]}\nsystems: {erp: {connector: table}, wms: {connector: table}}\n"
	pipe := func(name, from, to string) string {
		return "flow: " + name + "\nentity: order\nfrom: {topic: " + from + "}\nto: {topic: " + to + "}\n"
	}
	writes := func(name, rest string) string {
		return "flow: " + name + "\nentity: order\nfrom: {topic: outside}\nto: {" + rest + "}\n"
	}
	const set = "mapping: m\nfrom: s\nto: s\nset: {no: %s}\n"
	for _, c := range []struct {
		name, flow, mapping string
		want                []string
	}{
		{name: "topics of others", flow: pipe("a", "outside", "b") + "---\n" + strings.Replace(writes("b", "system: erp"), "outside", "b", 1)},
		{name: "nobody reads", flow: pipe("a", "outside", "b"), want: []string{"flows/f.yaml:4:13: no flow reads the topic b: what is written there goes nowhere (if a program outside the hub reads it, add it to broker.foreign-topics in the configuration)"}},
		{name: "nobody writes, and a slip", flow: pipe("a", "outside", "orders.bookd") + "---\n" + pipe("b", "orders.booked", "outside"), want: []string{
			"flows/f.yaml:4:13: no flow reads the topic orders.bookd: what is written there goes nowhere (did you mean orders.booked?",
			"flows/f.yaml:8:15: no flow writes the topic orders.booked: nothing will come (did you mean orders.bookd?"}},
		{name: "two flows, one object", flow: writes("a", "system: erp") + "---\n" + writes("b", "system: erp"), want: []string{"flows/f.yaml:9:5: the flow \"a\" writes the same fields of the object order of erp too"}},
		{name: "two flows, one object as two", flow: writes("a", "system: erp") + "---\n" + writes("b", "system: erp, object: note"), want: []string{
			"flows/f.yaml:9:5: the flow \"a\" writes the entity order of erp too, as order: the hub keeps one id of an object in a system"}},
		{name: "a flow back to where it reads", flow: "flow: a\nentity: order\nfrom: {system: erp, poll: {every: 1m, overlap: 1s}}\nkey: source.no\nto: {system: erp, object: note}\n", want: []string{
			"flows/f.yaml:5:5: the flow reads erp and writes to erp: what comes from a system is never written there, so that everything is skipped as an echo (give one of the two places a system of its own",
			"waybill.yaml:2:26: foreign-topics"}},
		{name: "one of them only updates", flow: writes("a", "system: erp") + "---\n" + writes("b", "system: erp, object: note, operation: update")},
		{name: "each takes its own", flow: writes("a", "system: erp") + "when: source.no == \"1\"\n---\n" + writes("b", "system: erp, object: note") + "when: source.no == \"2\"\n"},
		{name: "two flows, two systems", flow: writes("a", "system: erp") + "---\n" + writes("b", "system: wms")},
		{name: "two flows, each with its fields", flow: writes("a", "system: erp, owns: [no]") + "---\n" + writes("b", "system: erp, owns: [qty]")},
		{name: "two flows that share one field", flow: writes("a", "system: erp, owns: [no, qty]") + "---\n" + writes("b", "system: erp, owns: [qty]"), want: []string{"flows/f.yaml:9:5: the flow \"a\" writes qty of the object order of erp too"}},
		{name: "a quoted path", mapping: strings.Replace(set, "%s", `"customer.name"`, 1), want: []string{"mappings/m.yaml:4:11: \"customer.name\" is quoted, so that it stands for these letters, and it is the path of a field (write source.customer.name without quotes"}},
		{name: "a quoted source path", mapping: strings.Replace(set, "%s", `"source.no"`, 1), want: []string{"mappings/m.yaml:4:11: \"source.no\" is quoted"}},
		{name: "a quoted attribute", mapping: strings.Replace(set, "%s", `"event.key"`, 1), want: []string{"mappings/m.yaml:4:11: \"event.key\" is quoted"}},
		{name: "a text with a dot", mapping: strings.Replace(set, "%s", `"customer.nam"`, 1)},
		{name: "a word", mapping: strings.Replace(set, "%s", `"customer"`, 1)},
		{name: "a quoted key", flow: "flow: a\nentity: thing\nfrom: {topic: outside}\naccept: s\nkey: \"no\"\nversion: source.no\nto: {system: wms}\n", want: []string{"flows/f.yaml:5:6: key is the text \"no\" for every document"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			flow := c.flow
			if flow == "" {
				flow = "flow: z\nentity: order\nfrom: {topic: outside}\nmap: m\nto: {system: wms}\n"
			}
			maps := fstest.MapFS{}
			if c.mapping != "" {
				maps["m.yaml"] = &fstest.MapFile{Data: []byte(c.mapping)}
			}
			_, p := Load(EmbeddedPaths(fstest.MapFS{"waybill.yaml": {Data: []byte(conf)}}, fstest.MapFS{"f.yaml": {Data: []byte(flow)}}, maps, fstest.MapFS{"s.json": {Data: []byte(s)}}),
				Options{Kinds: map[string]connector.Kind{"table": tableKind{}}, Advise: true})
			wantProblems(t, p, c.want)
		})
	}
}
