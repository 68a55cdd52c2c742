package config

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func loadSearch(config, flows, mappings string, schemas map[string]string) (*Plan, *strictyaml.Problems) {
	source := func(name string, files map[string]string) []Source {
		m := fstest.MapFS{}
		for file, text := range files {
			m[file] = &fstest.MapFile{Data: []byte(text)}
		}
		return []Source{{Name: name, FS: m}}
	}
	return Load(Paths{Config: "waybill.yaml", ConfigFS: source("", map[string]string{"waybill.yaml": "systems:\n  a: {connector: shop}\n" + config})[0].FS, Flows: source("flows", map[string]string{"f.yaml": flows}),
		Mappings: source("mappings", map[string]string{"m.yaml": mappings}), Schemas: source("schemas", schemas)}, Options{Kinds: map[string]connector.Kind{"shop": shopKind{}}})
}

// problemsText is all that a check says.
func problemsText(p *strictyaml.Problems) (text string) {
	for _, one := range slices.Concat(p.List(), p.Notes()) {
		text += one.Message + "\n"
	}
	return text
}

// The fields by which objects are found are those of the document on the flow's topic, as its schema declares them.
func TestSearch(t *testing.T) {
	const schema = `{"type":"object","additionalProperties":false,"properties":{"number":{"type":"string"},"customer":{"type":"object","properties":{"name":{"type":"string"}}},
		"lines":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"}}}}}}`
	const mapping = "mapping: m\nfrom: raw\nto: canonical\nset:\n  number: source.no\n"
	long := "[" + strings.TrimSuffix(strings.Repeat("number, ", 1), ", ")
	for i := range maxSearch {
		long += ", f" + string(rune('a'+i))
	}
	long += "]"
	for _, c := range []struct {
		name, flow string
		fields     []string
		problem    string
	}{
		{"of a topic", "from: {topic: t}\naccept: canonical\nsearch: [number, customer.name, lines.sku]\nto: {system: a}", []string{"number", "customer.name", "lines.sku"}, ""},
		{"onto a topic: after the mapping", "from: {system: a, poll: {every: 1m}}\naccept: raw\nkey: source.no\nmap: m\njournal: all\nsearch: [number]\nto: {topic: t}", []string{"number"}, ""},
		{"from system to system: before it", "from: {system: a, poll: {every: 1m}}\naccept: raw\nkey: source.no\nmap: m\nsearch: [no]\nto: {system: a}", []string{"no"}, ""},
		{"without a schema", "from: {topic: t}\nsearch: [anything.at.all]\nto: {system: a}", []string{"anything.at.all"}, ""},
		{"onto a topic, in the journal", "from: {system: a, poll: {every: 1m}}\naccept: raw\nkey: source.no\nmap: m\njournal: all\nsearch: [number]\nto: {topic: t}", []string{"number"}, ""},
		{"onto a topic, not in the journal", "from: {topic: u}\nsearch: [number]\nto: {topic: t}", nil, "is not in the journal unless it fails"},
		{"unknown", "from: {topic: t}\naccept: canonical\nsearch: [nummber]\nto: {system: a}", nil, `search: canonical has no field "nummber" (nummber)`},
		{"unknown below", "from: {topic: t}\naccept: canonical\nsearch: [customer.nme]\nto: {system: a}", nil, `search: canonical has no field "customer.nme" (nme)`},
		{"of the other document", "from: {system: a, poll: {every: 1m}}\naccept: raw\nkey: source.no\nmap: m\nsearch: [no]\nto: {topic: t}", nil, `search: canonical has no field "no"`},
		{"twice", "from: {topic: t}\nsearch: [a, a]\nto: {system: a}", nil, "search: a stands there twice"},
		{"no path", "from: {topic: t}\nsearch: [a..b]\nto: {system: a}", nil, `search: "a..b" is no dotted path`},
		{"no list", "from: {topic: t}\nsearch: {a: b}\nto: {system: a}", nil, "expected a list"},
		{"too many", "from: {topic: t}\nsearch: " + long + "\nto: {system: a}", nil, "search: more than 20 fields"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan, p := loadSearch("", "flow: f\nentity: order\n"+c.flow+"\n", mapping, map[string]string{"canonical.json": schema, "raw.json": `{"type":"object","properties":{"no":{"type":"string"}},"required":["no"]}`})
			text := problemsText(p)
			if c.problem != "" {
				if !strings.Contains(text, c.problem) {
					t.Errorf("%s does not say %s", text, c.problem)
				}
				return
			}
			if plan == nil || strings.Contains(text, "search") || !slices.Equal(plan.Flows[0].Search, c.fields) {
				t.Errorf("%+v\n%s", plan, text)
			}
		})
	}
}

// Where no documents are kept, a check says what is not found.
func TestSearchWithoutDocuments(t *testing.T) {
	_, p := loadSearch("journal: {documents: {days: 0}}\n", "flow: f\nentity: order\nfrom: {topic: t}\nsearch: [number]\nto: {system: a}\n", "", nil)
	if text := problemsText(p); !strings.Contains(text, "found by keys and ids alone") {
		t.Errorf("%q", text)
	}
}
