package config

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func parseDocument(t testing.TB, text string) jsondoc.Value {
	t.Helper()
	d, err := jsondoc.Parse([]byte(text), jsondoc.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d.Root()
}

// TestRulesPage: what docs/reconciliation.md says of two values is so, and its blocks of YAML are read.
func TestRulesPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "reconciliation.md"))
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (?:`([^`]+)`|absent) \\| (?:`([^`]+)`|absent) \\| (same|differ) \\|$")
	rows := row.FindAllStringSubmatch(string(page), -1)
	if len(rows) < 30 {
		t.Fatalf("only %d examples found: the page has another form than this test reads", len(rows))
	}
	const head = "left: {system: bare}\nright: {system: bare, object: other}\n"
	document := func(v string) jsondoc.Value {
		if v == "" {
			return parseDocument(t, "{}")
		}
		return parseDocument(t, `{"v": `+v+`}`)
	}
	for _, r := range rows {
		plan, p := loadInvoices(t, head+"compare: {v: "+r[1]+"}\n")
		if plan == nil {
			t.Errorf("%s: %v", r[1], p.Err())
			continue
		}
		verdict := "same"
		if len(plan.Reconciliations[0].Compare.Diff(nil, document(r[2]), document(r[3]))) > 0 {
			verdict = "differ"
		}
		if verdict != r[4] {
			t.Errorf("%s: %s and %s: %s, and the page says %s", r[1], r[2], r[3], verdict, r[4])
		}
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(compare:.*?)```").FindAllStringSubmatch(string(page), -1)
	for _, b := range blocks {
		if _, p := loadInvoices(t, head+b[1]); p.Err() != nil {
			t.Errorf("%s: %v", b[1], p.Err())
		}
	}
	if len(blocks) < 2 {
		t.Errorf("%d blocks", len(blocks))
	}
}

// FuzzRule: no text under a field of compare panics, and one that is taken compares every document with itself.
func FuzzRule(f *testing.F) {
	for _, rule := range []string{"exact", "{within: {USD: 0.01, default: 0.5%}, currency: c}", "{fold: [case, width], null: empty}", "{time: day, zone: Asia/Shanghai}", "{set: [a, b.c], compare: {n: {within: 1}}, owner: left}", "{set: true, compare: fold}"} {
		f.Add(rule, `[{"a": 1, "n": 2}, "x", null]`)
	}
	f.Fuzz(func(t *testing.T, rule, value string) {
		doc, err := jsondoc.Parse([]byte(`{"v": `+value+`}`), jsondoc.Limits{Bytes: 4096})
		nodes := strictyaml.Parse("f.yaml", []byte("v: "+rule), &strictyaml.Problems{})
		if err != nil || len(nodes) != 1 {
			return
		}
		l := &loader{p: &strictyaml.Problems{}, unread: map[string]bool{}}
		rules := l.fieldRules(nodes[0], described{})
		if (rules == nil) != (l.p.Len() > 0) {
			t.Fatalf("%q: rules %v with the problems %v", rule, rules != nil, l.p.List())
		}
		if rules == nil {
			return
		}
		again := parseDocument(t, string(jsondoc.AppendCanonical(nil, doc.Root())))
		if got := rules.Diff(nil, doc.Root(), again); len(got) > 0 {
			t.Errorf("%q: %s differs from itself: %+v", rule, value, got)
		}
	})
}
