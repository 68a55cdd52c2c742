package edi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/systemtest"
)

const oracleScripts = "../test/systems/edi"

// oracleDir is where other people's parsers are installed.
func oracleDir(t testing.TB) string {
	t.Helper()
	return systemtest.Tools(t, "edi", "npm and python3")
}

// judged is what a parser makes of a file.
type judged struct {
	Errors   [][]any `json:"errors"`
	Segments [][]any `json:"segments"`
}

// judge runs a parser, node or python, over files.
func judge(t testing.TB, dir, parser string, std Standard, files []string) []judged {
	t.Helper()
	cmd := exec.Command("node", append([]string{oracleScripts + "/parse.js", string(std)}, files...)...)
	if parser == "python" {
		cmd = exec.Command(dir+"/python/bin/python", append([]string{oracleScripts + "/parse.py", string(std)}, files...)...)
	}
	cmd.Env = append(os.Environ(), "EDI_ORACLES="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", parser, err, stderr.Bytes())
	}
	var all []judged
	for line := range bytes.Lines(out) {
		var one judged
		if parser == "python" {
			err = json.Unmarshal(line, &one)
		} else {
			err = json.Unmarshal(line, &one.Segments)
		}
		if err != nil {
			t.Fatalf("%s: %s: %v", parser, line, err)
		}
		all = append(all, one)
	}
	if len(all) != len(files) {
		t.Fatalf("%s judged %d of %d files", parser, len(all), len(files))
	}
	return all
}

// flat writes segments so that they can be compared: what is empty at the end of a segment or data element is left out.
func flat(segments [][]any) string {
	var out strings.Builder
	for _, s := range segments {
		var elements []string
		for _, e := range s {
			switch e := e.(type) {
			case string:
				elements = append(elements, e)
			case []any:
				var parts []string
				for _, p := range e {
					parts = append(parts, fmt.Sprint(p))
				}
				elements = append(elements, strings.TrimRight(strings.Join(parts, "\x1f"), "\x1f"))
			}
		}
		out.WriteString(strings.TrimRight(strings.Join(elements, "|"), "|") + "\n")
	}
	return out.String()
}

// own are the segments as this package reads them.
func own(t testing.TB, file string, std Standard) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all, err := drain(bytes.NewReader(data), std)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var segments [][]any
	for _, m := range all {
		for i := 1; i < len(m.Segments)-1; i++ {
			s := &m.Segments[i]
			one := []any{s.Tag}
			for e := 1; e <= m.Len(s); e++ {
				values, err := m.Values(s, e)
				if err != nil || len(values) != 1 {
					t.Fatalf("%s: %v", file, err)
				}
				if std == X12 { // other parsers leave a composite as it is
					one = append(one, strings.Join(values[0], string(rune(m.syntax.Component))))
					continue
				}
				var parts []any
				for _, v := range values[0] {
					parts = append(parts, v)
				}
				one = append(one, parts)
			}
			segments = append(segments, one)
		}
	}
	return flat(segments)
}

// composed writes each sample's document anew, and acknowledgements of good and bad messages, as the hub would.
func composed(t testing.TB, std Standard) []string {
	t.Helper()
	agreement := "partner: a\nstandard: x12\nown: {qualifier: ZZ, id: SUPPLIERCO}\ntheir: {qualifier: ZZ, id: ACMERETAIL}\ntest: true\nacknowledge: \"997\"\n"
	if std == EDIFACT {
		agreement = "partner: a\nstandard: edifact\nown: {qualifier: \"14\", id: \"4012345000009\"}\ntheir: {qualifier: \"14\", id: \"5412345000013\"}\nacknowledge: contrl\n"
	}
	var p strictyaml.Problems
	var tables []*Table
	for _, name := range Shipped() {
		if table := ShippedTable(name, &p); table.Standard == std {
			tables = append(tables, table)
		}
	}
	book := NewBook(std, tables, ReadAgreements("a.yaml", []byte(agreement), &p), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	a := book.Partner("a")
	dir := t.TempDir()
	var out []string
	number := int64(100)
	put := func(name, version string, bodies []Body) {
		t.Helper()
		number++
		data, err := a.Write(number, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), version, bodies)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		out = append(out, file)
	}
	files, err := filepath.Glob("testdata/" + string(std) + "/*.json")
	if err != nil || len(files) < 9 {
		t.Fatalf("%d samples: %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsondoc.Parse(data, jsondoc.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		agreed := *a
		agreed.version = doc.Root().GetPath("edi.version").Str()
		body, version, err := book.Compose(&agreed, doc.Root().GetPath("edi.type").Str(), doc.Root())
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		put(strings.TrimSuffix(filepath.Base(file), ".json"), version, []Body{body})
	}
	good := map[Standard]string{X12: "testdata/x12/850.edi", EDIFACT: "testdata/edifact/ORDERS-D96A.edi"}[std]
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for i, change := range []*strings.Replacer{strings.NewReplacer(), strings.NewReplacer("*24*EA", "*2x*EA", "SE*20", "SE*21", "QTY+21:24", "QTY+21:2x", "UNT+25", "UNT+26")} {
		received, err := book.Receive(strings.NewReader(change.Replace(string(data))))
		if err != nil || len(received) != 1 {
			t.Fatal(err)
		}
		put(fmt.Sprintf("answer-%d.edi", i), received[0].AnswerVersion(), received[0].Acknowledgement())
	}
	return out
}

// compareWith holds what is read here against another parser.
func compareWith(t *testing.T, dir, parser string, std Standard, files []string) {
	t.Run(parser, func(t *testing.T) {
		for i, j := range judge(t, dir, parser, std, files) {
			if len(j.Errors) > 0 {
				t.Errorf("%s: %v", files[i], j.Errors)
			}
			if got, want := own(t, files[i], std), flat(j.Segments); got != want {
				t.Errorf("%s: read here\n%s\nby %s\n%s", files[i], got, parser, want)
			}
		}
	})
}

// TestX12Oracles: node-x12 and pyx12 read the samples, and what is written here, as this package does, and have nothing to say against them.
func TestX12Oracles(t *testing.T) {
	dir := oracleDir(t)
	var files []string
	for _, file := range samples(t) {
		if standardOf(file) == X12 {
			files = append(files, file)
		}
	}
	files = append(files, composed(t, X12)...)
	compareWith(t, dir, "node", X12, files)
	// pyx12 refuses versions of the envelope other than 00401 and 00501, which these are.
	compareWith(t, dir, "python", X12, files)
	t.Run("a wrong count", func(t *testing.T) {
		wrong := judge(t, dir, "python", X12, []string{"testdata/x12/850-wrong-se-count.edi"})[0]
		if len(wrong.Errors) != 1 || !strings.Contains(fmt.Sprint(wrong.Errors[0]...), "SE count") {
			t.Errorf("the oracle finds %v", wrong.Errors)
		}
	})
}

// TestEDIFACTOracles: the same with edifact of npm and pydifact.
func TestEDIFACTOracles(t *testing.T) {
	dir := oracleDir(t)
	var files []string
	for _, file := range samples(t) {
		if standardOf(file) == EDIFACT {
			files = append(files, file)
		}
	}
	files = append(files, composed(t, EDIFACT)...)
	compareWith(t, dir, "node", EDIFACT, files)
	compareWith(t, dir, "python", EDIFACT, files)
	if !slices.ContainsFunc(files, func(f string) bool { return strings.Contains(own(t, f, EDIFACT), "Müller & Söhne") }) {
		t.Error("no sample holds what must be decoded and released")
	}
}
