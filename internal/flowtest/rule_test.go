package flowtest

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/waybill-hub/waybill/internal/config"
)

func rulePlan(t *testing.T) *config.Plan {
	t.Helper()
	plan, p := config.Load(config.EmbeddedPaths(fstest.MapFS{"waybill.yaml": {Data: []byte("systems: {wms: {connector: c}, erp: {connector: c}}\n")}}, fstest.MapFS{"r.yaml": {Data: []byte(`rule: invoiced
about: every shipment has an invoice
entity: shipment
over: {system: wms, where: source.status == "shipped"}
with: {invoices: {system: erp, entity: invoice, by: {order: source.order}, group: true, where: source.void != true}, order: {system: erp, entity: order, by: {no: source.order}}}
remember: [order]
expect: len(invoices) > 0 or age(source.at) < 3d or exists(previous) and xref("order", "erp", source.order) == previous.order
key: source.no
say: >-
  source.no + " has no invoice"
money: {amount: order.total, currency: order.currency}
`)}}, fstest.MapFS{}, fstest.MapFS{}), config.Options{})
	if plan == nil {
		t.Fatal(p.Err())
	}
	return plan
}

func runRules(t *testing.T, text string, o Options) string {
	t.Helper()
	rep, err := Run(context.Background(), rulePlan(t), []File{{Name: "r_test.yaml", Data: []byte(text)}}, o)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, p := range rep.Problems.List() {
		b.WriteString(p.String() + "\n")
	}
	for i := range rep.Results {
		b.WriteString(FormatResult(&rep.Results[i]))
	}
	return b.String() + FormatEnd(rep)
}

// TestRuleSuite: each of what a rule can say, as it is wanted.
func TestRuleSuite(t *testing.T) {
	const good = `rule: invoiced
about: shipments
cases:
  - name: with an invoice
    given: {source: {no: S-1, order: O-1, status: shipped, at: "2025-12-01T00:00:00Z"}, invoices: [{order: O-2}, {order: O-1}]}
    holds: true
  - name: the invoice is void, and another order's is none
    given: {source: {no: S-1, order: O-1, status: shipped, at: "2025-12-01T00:00:00Z"}, invoices: [{order: O-2}, {order: O-1, void: true}], order: {no: O-1, total: 12.5, currency: EUR}}
    violation: S-1 has no invoice
    key: S-1
    money: 12.50 EUR
  - name: young
    now: "2025-12-03T23:59:59Z"
    given: {source: {no: S-1, order: O-1, status: shipped, at: "2025-12-01T00:00:00Z"}}
    holds: true
  - name: not shipped
    given: {source: {no: S-1, order: O-1, status: picking}}
    outside: true
  - name: two orders
    given: {source: {no: S-1, order: O-1, status: shipped, at: "2025-12-01T00:00:00Z"}, order: [{no: O-1}, {no: O-1}]}
    not-compared: "2 of order belong to it"
  - name: remembered
    xref: [{entity: order, system: erp, id: O-1, hub: h-1}]
    given: {source: {no: S-1, order: O-1, status: shipped, at: "2025-12-01T00:00:00Z"}, previous: {order: h-1}}
    holds: true
`
	if out := runRules(t, good, Options{}); !strings.Contains(out, "6 cases passed in 1 file") {
		t.Error(out)
	}
	if out := runRules(t, good, Options{Run: regexp.MustCompile("^invoiced/young$")}); !strings.Contains(out, "1 case passed") {
		t.Error(out)
	}
}

// TestRuleSuiteFails: what a rule says and the case does not want is a failure, with what was said.
func TestRuleSuiteFails(t *testing.T) {
	const shipped = `{source: {no: S-1, order: O-1, status: shipped, at: "2025-12-01T00:00:00Z"}, order: {no: O-1, total: 12.5, currency: EUR}}`
	for _, tt := range []struct{ name, body, want string }{
		{"holds", "given: " + shipped + "\n    holds: true", `r_test.yaml:5:5: want the rule to hold, got a violation: S-1 has no invoice`},
		{"outside", "given: " + shipped + "\n    outside: true", `want the rule to leave it out, got a violation`},
		{"another violation", "given: " + shipped + "\n    violation: is late", `want a violation that contains "is late", got a violation: S-1 has no invoice`},
		{"not compared", "given: " + shipped + "\n    not-compared: x", `want not compared, for a reason that contains "x"`},
		{"money", "given: " + shipped + "\n    violation: S-1\n    money: 12 EUR", `money: want "12 EUR", got "12.5 EUR"`},
		{"key", "given: " + shipped + "\n    violation: S-1\n    key: O-1", `key: want "O-1", got "S-1"`},
		{"no violation", "given: {source: {status: picking}}\n    violation: S-1", `want a violation that contains "S-1", got it is not about the object`},
		{"an expression fails", "given: {source: {status: shipped, order: O-1, at: soon}}\n    holds: true", `want the rule to hold, got not compared: expect:`},
		{"nothing wanted", "given: " + shipped, `the case does not say what the rule says of the object`},
		{"two things wanted", "given: " + shipped + "\n    holds: true\n    violation: x", `a rule cannot say both: holds and violation`},
		{"holds false", "given: " + shipped + "\n    holds: false", `holds is true or not there`},
		{"any violation", "given: " + shipped + "\n    violation: \"\"", `any text contains the empty one`},
		{"money of none", "given: " + shipped + "\n    holds: true\n    money: 1 EUR", `money is of a violation`},
		{"no source", "given: {order: {no: O-1}}\n    holds: true", `given has no source`},
		{"unknown name", "given: {source: {}, invoice: []}\n    holds: true", `unknown key "invoice" (did you mean "invoices"?)`},
		{"no document", "given: {source: x}\n    holds: true", `source: expected a document, found text`},
		{"no list", "given: {source: {}, invoices: x}\n    holds: true", `invoices: expected a document, or a list of them, found text`},
		{"trap", "given: {source: {no: 007}}\n    holds: true", `007 is neither a number nor clearly text`},
		{"time", "now: soon\n    given: " + shipped + "\n    violation: S-1", `"soon" is no time`},
		{"unknown key", "given: " + shipped + "\n    want: {}", `unknown key "want"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if out := runRules(t, "rule: invoiced\ncases:\n  - name: a\n    "+tt.body+"\n", Options{}); !strings.Contains(out, tt.want) {
				t.Errorf("%s\nwant %s", out, tt.want)
			}
		})
	}
	if out := runRules(t, "rule: invoced\ncases: []\n", Options{}); !strings.Contains(out, `unknown rule "invoced" (did you mean "invoiced"?)`) || !strings.Contains(out, "there are no cases") {
		t.Error(out)
	}
}
