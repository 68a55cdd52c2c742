package config

import (
	"testing"
	"testing/fstest"
)

// A zone whose rules are a forecast is noted wherever a plan names it; others are not, and the plan is sound all the same.
func TestZonesInDoubt(t *testing.T) {
	const conf = "entities: [reading]\nsystems:\n  ledger: {connector: thing, objects: {reading: {}}}\n"
	const mapping = "mapping: plain\nfrom: s\nto: s\nset:\n  a: time(source.a, \"\", \"Asia/Hebron\")\n  b: time(source.a, \"\", \"Europe/Berlin\")\n"
	const flow = "flow: readings\nentity: reading\nfrom:\n  system: ledger\n  poll: {schedule: 0 2 * * *, timezone: America/Havana, overlap: 1m}\nkey: source.a\nmap: plain\nto: {topic: canonical.reading}\n" +
		"---\nflow: others\nentity: reading\nfrom:\n  system: ledger\n  poll: {schedule: 0 2 * * *, timezone: America/Edmonton, overlap: 1m}\nkey: source.a\nto: {topic: other}\n"
	plan, p := Load(EmbeddedPaths(fstest.MapFS{"waybill.yaml": {Data: []byte(conf)}}, fstest.MapFS{"f.yaml": {Data: []byte(flow)}},
		fstest.MapFS{"m.yaml": {Data: []byte(mapping)}}, fstest.MapFS{"s.json": {Data: []byte(`{"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}`)}}), testOptions())
	if p.Len() > 0 || plan == nil {
		t.Fatal(FormatText(p))
	}
	var got string
	for _, n := range p.Notes() {
		got += n.Pos.String() + " " + n.Message + "\n"
	}
	const want = "flows/f.yaml:5:41 timezone: Cuba has announced its time until 2027-11-07 only\n" +
		"mappings/m.yaml:5:25 time: the clock changes of Asia/Hebron are announced from year to year: those to come are a forecast\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
