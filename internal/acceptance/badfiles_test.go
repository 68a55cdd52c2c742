package acceptance

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
)

// alsoWrong is one more file with mistakes of its own: whatever else is wrong, they must be shown too.
const alsoWrong = `flow: also-wrong
entity: reading
from: {topic: canonical.reading}
to: {system: leger}
oder: latest
`

var alsoShown = []string{
	`flows/also.yaml:4:14: unknown system "leger" (did you mean "ledger"?)`,
	`flows/also.yaml:5:1: unknown key "oder" (did you mean "order"?)`,
}

func edited(t *testing.T, name, old, now string) map[string]string {
	t.Helper()
	if !strings.Contains(readingsFiles[name], old) {
		t.Fatalf("%s does not say %q", name, old)
	}
	return map[string]string{name: strings.Replace(readingsFiles[name], old, now, 1)}
}

// Every mistake in a file is shown with its place and what to do, and none hides another.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	const secret = "sk-live-4f9a8b7c6d5e"
	if out, stderr, code := waybill(t, newReadings(t, nil).dir, "check"); code != 0 {
		t.Fatalf("the files have problems before anything is wrong with them: %d\n%s%s", code, out, stderr)
	}
	const flows, mappings, conf, schema = "flows/readings.yaml", "mappings/readings.yaml", "configs/waybill.yaml", "schemas/reading.v1.json"
	for _, c := range []struct {
		name           string
		file, old, now string
		want           []string
	}{
		{"malformed YAML", mappings, "set:\n", "set:\n\tx: 1\n",
			[]string{`mappings/readings.yaml:5:1: `}},
		{"an open quote", flows, `"${env:SCANNER_SECRET}"`, `"${env:SCANNER_SECRET}`,
			[]string{`flows/readings.yaml:7:49: the quote is not closed`}},
		{"unknown key", flows, "accept:", "acept:",
			[]string{`flows/readings.yaml:8:1: unknown key "acept" (did you mean "accept"?)`}},
		{"wrong type", flows, "late-after: 10m", "late-after: [10m]",
			[]string{`flows/readings.yaml:`}},
		{"no unit", flows, "late-after: 10m", "late-after: 10",
			[]string{`the unit is missing: write for example 10s or 10m`}},
		{"missing schema", mappings, "from: reading.v1", "from: readings.v1",
			[]string{`mappings/readings.yaml:2:7: `, `did you mean "reading.v1"?`}},
		{"recursive schema", schema, `"note": {"type": "string"}`, `"note": {"allOf": [{"$ref": "#/properties/note"}]}`,
			[]string{`schemas/reading.v1.json:9:`, `$ref "#/properties/note" makes the schema mean itself`}},
		{"a schema that is no JSON", schema, `"required": [`, `"required": [,`,
			[]string{`schemas/reading.v1.json:4:`}},
		{"unknown keyword", schema, `"minimum": 0`, `"minmum": 0`,
			[]string{`schemas/reading.v1.json:8:`, `did you mean "minimum"?`}},
		{"unknown system", flows, "system: scanner", "system: scaner",
			[]string{`flows/readings.yaml:4:11: unknown system "scaner" (did you mean "scanner"?)`}},
		{"unknown connector", conf, "connector: webhook", "connector: webhok",
			[]string{`configs/waybill.yaml:8:16: unknown connector "webhok" (did you mean "webhook"?)`}},
		{"unknown field", mappings, "source.amount", "source.amont",
			[]string{`mappings/readings.yaml:6:24: source has no field "amont" (did you mean "amount"?)`}},
		{"unknown function", mappings, "trim(", "trimm(",
			[]string{`mappings/readings.yaml:7:10: there is no function "trimm" (did you mean "trim"?)`}},
		{"a secret in a file", flows, "${env:SCANNER_SECRET}", secret,
			[]string{`flows/readings.yaml:7:49: secret: a secret must not stand in the file (write ${env:NAME} or ${file:PATH})`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := edited(t, c.file, c.old, c.now)
			files["flows/also.yaml"] = alsoWrong
			p := newReadings(t, files)
			out, stderr, code := waybill(t, p.dir, "check")
			if code != 1 || stderr != "" {
				t.Errorf("exit %d, standard error %q", code, stderr)
			}
			for _, w := range c.want {
				if !strings.Contains(out, w) {
					t.Errorf("not shown: %s", w)
				}
			}
			for _, w := range alsoShown {
				if !strings.Contains(out, w) {
					t.Errorf("hidden: %s", w)
				}
			}
			if t.Failed() {
				t.Logf("shown:\n%s", out)
			}
			checkFormats(t, p, out)
			if strings.Contains(out, secret) {
				t.Errorf("the secret is shown:\n%s", out)
			}
		})
	}
}

// checkFormats: all formats show the same problems at the same places.
func checkFormats(t *testing.T, p *project, text string) {
	t.Helper()
	out, _, code := waybill(t, p.dir, "check", "--format", "json")
	var list []struct {
		File    string `json:"file"`
		Line    int    `json:"line"`
		Column  int    `json:"column"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 1 {
		t.Fatalf("--format json: exit %d, %v\n%s", code, err, out)
	}
	github, _, code := waybill(t, p.dir, "check", "--format", "github")
	if code != 1 {
		t.Errorf("--format github: exit %d", code)
	}
	problems, _, _ := strings.Cut(text, " problems in ") // what is said behind them is about this machine
	lines := strings.Count(problems, "\n")
	if len(list) != lines || strings.Count(github, "::error ") != len(list) {
		t.Errorf("the formats show %d, %d and %d problems:\n%s", lines, len(list), strings.Count(github, "::error "), text)
	}
	for _, x := range list {
		if x.Line == 0 || x.Column == 0 {
			t.Errorf("no place: %+v", x)
		}
		if at := fmt.Sprintf("%s:%d:%d: ", x.File, x.Line, x.Column); !strings.Contains(text, at) {
			t.Errorf("the text does not have the place %s", at)
		}
		if at := fmt.Sprintf("::error file=%s,line=%d,col=%d::", x.File, x.Line, x.Column); !strings.Contains(github, at) {
			t.Errorf("--format github does not have the place %s", at)
		}
	}
}

// In a configuration that is no YAML, nothing is known of systems: then flows are not told that theirs are unknown.
func TestBadConfiguration(t *testing.T) {
	t.Parallel()
	const secret = "sk-live-4f9a8b7c6d5e"
	files := edited(t, "configs/waybill.yaml", "connector: webhook", "connector: webhook\n    key: \""+secret)
	files["flows/also.yaml"] = alsoWrong
	p := newReadings(t, files)
	out, _, code := waybill(t, p.dir, "check")
	if code != 1 || !strings.Contains(out, "configs/waybill.yaml:") || !strings.Contains(out, alsoShown[1]) || strings.Contains(out, "unknown system") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if strings.Contains(out, secret) {
		t.Errorf("the secret is shown:\n%s", out)
	}
	checkFormats(t, p, out)
}

// A hub does not start with files that have problems, and says all of them.
func TestBadFilesDoNotRun(t *testing.T) {
	t.Parallel()
	files := map[string]string{"flows/also.yaml": alsoWrong}
	maps.Copy(files, edited(t, "mappings/readings.yaml", "source.amount", "source.amont"))
	p := newReadings(t, files)
	_, stderr, code := waybill(t, p.dir, "run")
	if code != 1 || !strings.Contains(stderr, `"amont"`) || !strings.Contains(stderr, alsoShown[0]) || !strings.Contains(stderr, alsoShown[1]) {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	if strings.Contains(stderr, hookSecret) {
		t.Error("the secret is shown")
	}
}
