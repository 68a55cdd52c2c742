package acceptance

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const hookSecret = "whsec_c2VjcmV0LW9mLXRoZS1zY2FubmVycy1vbmx5"

// readingsFiles are a small project: meter readings come by webhook and by CSV file, and go to a folder, a file for each.
var readingsFiles = map[string]string{
	"configs/waybill.yaml": `http: {listen: HTTP}
hooks: {listen: HOOKS}
broker: {embedded: {dir: "DIR/data/broker"}}
store: {sqlite: {path: "DIR/data/waybill.db"}}
entities: [reading]
systems:
  scanner:
    connector: webhook
  till:
    connector: file
    path: ../drop
    objects:
      reading:
        pattern: "*.csv"
        csv: {columns: {number: text, amount: decimal}}
        ready: {when: renamed}
  ledger:
    connector: file
    path: ../ledger
    objects:
      reading: {format: jsonl}
`,
	"schemas/reading.v1.json": `{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "required": ["number", "amount"],
  "additionalProperties": false,
  "properties": {
    "number": {"type": "string", "pattern": "^[A-Z]-[0-9]+$"},
    "amount": {"type": "number", "minimum": 0},
    "note": {"type": "string"}
  }
}
`,
	"mappings/readings.yaml": `mapping: plain-reading
from: reading.v1
to: reading.v1
set:
  number: source.number
  amount: round(source.amount, 2)
  note?: trim(source.note)
`,
	"flows/readings.yaml": `flow: scanner-readings
entity: reading
from:
  system: scanner
  webhook:
    path: scanner/readings
    verify: {scheme: standard-webhooks, secret: "${env:SCANNER_SECRET}"}
accept: reading.v1
key: source.number
map: plain-reading
to: {topic: canonical.reading}
---
flow: till-readings
entity: reading
from: {system: till, files: {every: 1s}}
accept: reading.v1
key: source.number
map: plain-reading
to: {topic: canonical.reading}
---
flow: readings-to-ledger
entity: reading
from: {topic: canonical.reading}
to: {system: ledger}
slo: {late-after: 10m}
`,
}

// newReadings makes the project; changed files take the place of its own, and an empty text leaves a file out.
func newReadings(t *testing.T, changed map[string]string) *project {
	t.Helper()
	p := &project{dir: t.TempDir(), http: freePort(t), hooks: freePort(t)}
	files := maps.Clone(readingsFiles)
	maps.Copy(files, changed)
	fill := strings.NewReplacer("HTTP", p.http, "HOOKS", p.hooks, "DIR", p.dir)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if files[name] == "" {
			continue
		}
		text := files[name]
		if strings.HasPrefix(name, "configs/") {
			text = fill.Replace(text)
		}
		p.write(t, name, text)
	}
	for _, dir := range []string{"drop", "ledger"} {
		if err := os.MkdirAll(p.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// ledger gives the numbers that were delivered, each as often as it was, sorted.
func (p *project) ledger(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(p.path("ledger/*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var doc struct {
				Number string `json:"number"`
			}
			if err := json.Unmarshal([]byte(line), &doc); err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			out = append(out, doc.Number)
		}
	}
	slices.Sort(out)
	return out
}

// drop lets a file appear complete.
func (p *project) drop(t *testing.T, name, text string) {
	t.Helper()
	p.write(t, "drop/"+name+".tmp", text)
	if err := os.Rename(p.path("drop/"+name+".tmp"), p.path("drop/"+name)); err != nil {
		t.Fatal(err)
	}
}

func reading(number string, amount any) string {
	return fmt.Sprintf(`{"number":%q,"amount":%v}`, number, amount)
}
