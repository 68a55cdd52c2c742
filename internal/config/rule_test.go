package config

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

const ruleConf = `systems:
  crm: {connector: thing}
  erp: {connector: thing, objects: {invoice: {}, order: {}, customer: {}}}
  push: {connector: deaf}
`

const ruleFlows = `flow: erp-orders
entity: order
from: {system: erp, poll: {every: 10s, overlap: 1m}}
map: order
to: {topic: canonical.order}
---
flow: plain-invoices
entity: invoice
from: {system: erp, poll: {every: 10s, overlap: 1m}}
accept: raw
to: {topic: canonical.invoice}
`

const ruleMappings = `mapping: order
from: raw
to: doc
set: {number: source.no, total: num(source.no), customer.id: source.no}
---
mapping: other
from: raw
to: raw
set: {no: source.no}
`

var ruleSchemas = fstest.MapFS{
	"raw.json": {Data: []byte(`{"type": "object", "additionalProperties": false, "properties": {"no": {"type": "string"}, "order": {"type": "string"}, "gross": {"type": "number"}, "due": {"type": "string"}}}`)},
	"doc.json": {Data: []byte(`{"type": "object", "additionalProperties": false, "properties": {"number": {"type": "string"}, "total": {"type": "number"}, "currency": {"type": "string"},
		"customer": {"type": "object", "additionalProperties": false, "properties": {"id": {"type": "string"}}}}}`)},
}

func loadRule(rule string) (*Plan, []string) {
	o := testOptions()
	o.Advise = true
	plan, p := Load(EmbeddedPaths(fstest.MapFS{"waybill.yaml": {Data: []byte(ruleConf)}}, fstest.MapFS{"f.yaml": {Data: []byte(ruleFlows)}, "r.yaml": {Data: []byte(rule)}},
		fstest.MapFS{"m.yaml": {Data: []byte(ruleMappings)}}, ruleSchemas), o)
	var lines []string
	for _, line := range strings.Split(FormatText(p), "\n") {
		if strings.HasPrefix(line, "flows/r.yaml") {
			lines = append(lines, line)
		}
	}
	return plan, lines
}

const goodRule = `rule: invoiced
about: every order is invoiced in full after three days
entity: order
schedule: {cron: "0 6 * * *", timezone: Asia/Shanghai}
over: {system: erp, where: source.total > 0}
with:
  invoices: {system: erp, entity: invoice, by: {order: source.number}, group: true, may-be-empty: true}
  again: {system: erp, by: {customer.id: source.customer.id, number: source.number}}
remember: [customer]
expect: sum(invoices, .gross) == source.total or age(first(invoices).due, "UTC") < 3d or previous.customer.id == again.customer.id
key: source.number
say: >-
  "order " + source.number + " has " + text(len(invoices)) + " invoices"
money: {amount: source.total, currency: source.currency}
at-most: 10%
settle: 30s
keep: 7d
`

func TestRule(t *testing.T) {
	plan, lines := loadRule(goodRule)
	if plan == nil || len(lines) > 0 {
		t.Fatalf("problems %q", lines)
	}
	r := plan.Rule("invoiced")
	if r == nil || plan.Rule("other") != nil {
		t.Fatal("the rule is not found by its name")
	}
	if r.Entity != "order" || r.Schedule.Cron != "0 6 * * *" || r.AtMost != (AtMost{10, true}) || r.Settle != 30*time.Second || r.Keep != 7*24*time.Hour || r.Remember[0] != "customer" {
		t.Errorf("rule %+v", r)
	}
	if o := r.Over; o.Name != "source" || o.System != "erp" || o.Object != "order" || o.Flow != "erp-orders" || o.Map.Name() != "order" || o.Where == nil || o.MayBeEmpty {
		t.Errorf("over %+v", o)
	}
	if len(r.With) != 2 {
		t.Fatalf("with %+v", r.With)
	}
	if w := r.With[0]; w.Name != "invoices" || w.Entity != "invoice" || w.Object != "invoice" || w.Map != nil || w.Flow != "plain-invoices" || !w.Group || !w.MayBeEmpty || w.By[0].Field != "order" {
		t.Errorf("invoices %+v", w)
	}
	if w := r.With[1]; w.Name != "again" || w.Entity != "order" || w.Group || len(w.By) != 2 || w.By[0].Field != "customer.id" || w.By[0].Value.Text() != "source.customer.id" {
		t.Errorf("again %+v", w)
	}
	if r.Say == nil || r.Key == nil || r.Amount == nil || r.Currency == nil || r.Expect == nil {
		t.Error("an expression is missing")
	}
}

func TestRuleDefaults(t *testing.T) {
	plan, lines := loadRule("rule: r\nentity: order\nover: {system: erp, map: other}\nexpect: exists(source.no)\n")
	if plan == nil || len(lines) > 0 {
		t.Fatalf("problems %q", lines)
	}
	r := plan.Rule("r")
	if r.AtMost != (AtMost{}) || r.Settle != 2*time.Minute || r.Keep != 30*24*time.Hour || r.Schedule != nil || r.Key != nil || r.Say != nil || r.Amount != nil || r.Over.Map.Name() != "other" {
		t.Errorf("rule %+v", r)
	}
}

// TestRuleProblems: what is wrong is told with its place, and what to do.
func TestRuleProblems(t *testing.T) {
	const head = "rule: r\nentity: order\nover: {system: erp}\n"
	for _, tt := range []struct{ name, rule, want string }{
		{"keys", "rule: r\nentity: order\nover: {system: erp}\nexpcet: true\n", `r.yaml:4:1: unknown key "expcet" (did you mean "expect"?)`},
		{"a name that is a command", strings.Replace(head, "rule: r", "rule: forget", 1) + "expect: exists(source.number)\n", "r.yaml:1:7: `waybill rule forget` is a command"},
		{"nothing expected", head, `r.yaml:1:1: "expect" is missing`},
		{"entity", "rule: r\nentity: ordr\nover: {system: erp}\nexpect: exists(source.number)\n", `r.yaml:2:9: unknown entity "ordr"`},
		{"system", "rule: r\nentity: order\nover: {system: erpp}\nexpect: exists(source.number)\n", `r.yaml:3:16: unknown system "erpp" (did you mean "erp"?)`},
		{"no list", "rule: r\nentity: order\nover: {system: push}\nexpect: exists(source.number)\n", `r.yaml:3:7: the system "push" cannot list everything it holds`},
		{"object", "rule: r\nentity: order\nover: {system: erp, object: ordre}\nexpect: exists(source.number)\n", `r.yaml:3:29: the system "erp" has no object "ordre"`},
		{"field", head + "expect: source.totl > 0\n", `r.yaml:4:16: source has no field "totl" (did you mean "total"?)`},
		{"no truth", head + "expect: source.total\n", `this must give a boolean`},
		{"quoted", head + "expect: \"source.total > 0\"\n", `this must give a boolean`},
		{"units", head + "expect: age(source.number) < 3\n", `this is a length of time, and 3 names no unit (write for example 3d for days)`},
		{"where", "rule: r\nentity: order\nover: {system: erp, where: source.totl > 0}\nexpect: exists(source.number)\n", `r.yaml:3:35: source has no field "totl"`},
		{"a name with a hyphen", head + "with: {open-invoices: {system: erp, entity: invoice, by: {order: source.number}}}\nexpect: exists(source.number)\n", `r.yaml:4:8: with: "open-invoices" cannot be a name in expressions (use small letters, digits and underscores`},
		{"a name that is taken", head + "with: {previous: {system: erp, entity: invoice, by: {order: source.number}}}\nexpect: exists(previous)\n", `with: "previous" means something else`},
		{"a name of a function", head + "with: {sum: {system: erp, entity: invoice, by: {order: source.number}}}\nexpect: exists(source.number)\n", `with: "sum" means something else`},
		{"by's field", head + "with: {invoices: {system: erp, entity: invoice, by: {ordr: source.number}, group: true}}\nexpect: len(invoices) > 0\n", `r.yaml:4:54: by: raw does not declare the field "ordr" (did you mean "order"?)`},
		{"by's value", head + "with: {invoices: {system: erp, entity: invoice, by: {order: source.nr}, group: true}}\nexpect: len(invoices) > 0\n", `source has no field "nr"`},
		{"by an object", head + "with: {again: {system: erp, by: {customer: source.number}}}\nexpect: exists(again)\n", `by: "customer" of doc is no plain value (name a field that holds a text or a number, for example customer.id)`},
		{"by nothing", head + "with: {again: {system: erp, by: {}}}\nexpect: exists(again)\n", `by: nothing says which of them belong to an object`},
		{"by what stands below", head + "with: {a: {system: erp, by: {number: b.number}}, b: {system: erp, by: {number: source.number}}}\nexpect: exists(a) and exists(b)\n", `unknown name "b"`},
		{"by a group", head + "with: {a: {system: erp, by: {number: source.number}, group: true}, b: {system: erp, by: {number: a.number}}}\nexpect: len(a) > 0 and exists(b)\n", `unknown name "a"`},
		{"remember", head + "remember: [clas]\nexpect: exists(previous)\n", `remember: doc does not declare the field "clas"`},
		{"previous", head + "expect: exists(previous)\n", `unknown name "previous"`},
		{"not remembered", head + "remember: [total]\nexpect: previous.number == source.number\n", `previous has no field "number"`},
		{"money", head + "expect: exists(source.number)\nmoney: {amount: source.number, currency: source.currency}\n", `this must give a number, and gives text`},
		{"money without a currency", head + "expect: exists(source.number)\nmoney: {amount: source.total}\n", `"currency" is missing`},
		{"at-most", head + "expect: exists(source.number)\nat-most: few\n", `at-most: "few" is neither`},
		{"keep", head + "expect: exists(source.number)\nkeep: 0s\n", `keep: the time is zero`},
		{"cron", head + "expect: exists(source.number)\nschedule: {cron: daily}\n", `a cron line has 5 fields`},
		{"twice", head + "expect: exists(source.number)\n---\n" + head + "expect: exists(source.number)\n", `the rule "r" exists already`},
		{"unused", head + "with: {again: {system: erp, by: {number: source.number}}}\nexpect: exists(source.number)\n", `r.yaml:4:8: note: with: no expression looks at again (remove it`},
		{"remembered for nothing", head + "remember: [total]\nexpect: exists(source.number)\n", `remember: no expression looks at previous`},
		{"no settle", head + "with: {again: {system: erp, by: {number: source.number}}}\nexpect: exists(again)\nsettle: 0s\n", `settle: what is on its way`},
		{"always so", head + "expect: 1 == 1\n", `expect: it says the same of every object`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, lines := loadRule(tt.rule)
			if !strings.Contains(strings.Join(lines, "\n"), tt.want) {
				t.Errorf("got\n%s\nwant %s", strings.Join(lines, "\n"), tt.want)
			}
		})
	}
}
