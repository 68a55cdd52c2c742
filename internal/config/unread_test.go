package config

import (
	"testing"
	"testing/fstest"
)

// What stands in a file that cannot be read is not called unknown where it is used; what else is wrong is shown all the same.
func TestNamesInFilesThatCannotBeRead(t *testing.T) {
	const conf = "entities: [reading]\nsystems:\n  ledger: {connector: thing, objects: {reading: {}}}\n"
	const flow = "flow: readings\nentity: reading\nfrom: {topic: canonical.reading}\nmap: plain\nto: {system: ledger}\nonly: 1\n"
	const mapping = "mapping: other\nfrom: s\nto: s\nset: {a: source.a}\n---\nmapping: plain\nfrom: s\n\tto: s\n"
	const good = "mapping: plain\nfrom: s\nto: s\nset: {a: 'xref(\"reading\", \"ledger\", source.a)'}\n"
	for _, c := range []struct {
		name, conf, mapping string
		want                []string
	}{
		{"configuration", "systems: {\n", good, []string{
			"flows/f.yaml:6:1: unknown key \"only\"",
			"waybill.yaml:2:1: ",
		}},
		{"mapping", conf, mapping, []string{
			"flows/f.yaml:6:1: unknown key \"only\"",
			"mappings/m.yaml:8:1: ",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, p := Load(EmbeddedPaths(fstest.MapFS{"waybill.yaml": {Data: []byte(c.conf)}}, fstest.MapFS{"f.yaml": {Data: []byte(flow)}},
				fstest.MapFS{"m.yaml": {Data: []byte(c.mapping)}}, fstest.MapFS{"s.json": {Data: []byte(`{"type": "object", "properties": {"a": {"type": "string"}}}`)}}), testOptions())
			list := p.List()
			ok := len(list) == len(c.want)
			for i := 0; ok && i < len(list); i++ {
				ok = len(list[i].String()) >= len(c.want[i]) && list[i].String()[:len(c.want[i])] == c.want[i]
			}
			if !ok {
				t.Errorf("got\n%s\nwant lines that begin with\n%q", FormatText(p), c.want)
			}
		})
	}
}
