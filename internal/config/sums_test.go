package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
)

// TestDifference: what an edit of one file, or of one secret, touches, and nothing else.
func TestDifference(t *testing.T) {
	all := []string{"accounts", "crm-orders", "customers-by-time", "customers-to-erp", "drops", "orders-to-erp"}
	crm := []string{"accounts", "crm-orders", "customers-by-time"} // read it
	for name, c := range map[string]struct {
		file, old, new          string
		secret                  string
		flows, systems          []string
		added, removed, restart []string
		recs, rules             []string // that differ
	}{
		"nothing":                {},
		"a comment":              {file: "flows/crm-orders.yaml", old: "flow: orders-to-erp", new: "# ours\n\nflow: orders-to-erp"},
		"a flow":                 {file: "flows/crm-orders.yaml", old: "late-after: 5m", new: "late-after: 6m", flows: []string{"orders-to-erp"}},
		"a mapping":              {file: "mappings/orders.yaml", old: "number: source.id", new: "number: upper(source.id)", flows: []string{"orders-to-erp"}},
		"a value map":            {file: "mappings/values/order-status.yaml", old: "Closed Won", new: "Won", flows: []string{"crm-orders"}, rules: []string{"rating"}},
		"a schema":               {file: "schemas/erp/sale.v1.json", old: "{", new: `{"title": "Sale", `, flows: []string{"orders-to-erp"}},
		"a schema two flows use": {file: "schemas/canonical/order.v1.json", old: "{", new: `{"title": "Order", `, flows: []string{"crm-orders", "orders-to-erp"}},
		"a schema no flow uses":  {file: "schemas/canonical/order.v2.json", old: "{", new: `{"title": "Order", `},
		"a system":               {file: "configs/waybill.yaml", old: "visible-after: 5s", new: "visible-after: 6s", flows: crm, systems: []string{"crm"}, recs: []string{"customers", "customers-plain", "products-every-rule"}, rules: []string{"rating"}},
		"a system no flow uses":  {file: "configs/waybill.yaml", old: "connector: deaf", new: "connector: thing", systems: []string{"push"}},
		"a secret of a hook":     {secret: "HOOK", flows: []string{"crm-orders"}},
		"the rate of hooks":      {file: "configs/waybill.yaml", old: "rate: 100/s", new: "rate: 99/s", flows: []string{"crm-orders"}},
		"a token":                {secret: "OPS_TOKEN"},
		"a new flow": {file: "flows/polls.yaml", old: "flow: drops", new: "flow: more\nentity: customer\nfrom: {topic: canonical.customer}\nto: {topic: canonical.more}\n---\nflow: drops",
			added: []string{"more"}},
		"a flow that goes": {file: "flows/polls.yaml", old: "---\nflow: customers-by-time\nentity: customer\nfrom: {system: crm, poll: {every: 10s}}\nto: {topic: canonical.customer}\n", new: "",
			removed: []string{"customers-by-time"}, recs: []string{"customers-plain"}},
		// orders-to-erp reads back what it writes through it.
		"a flow that brings back what another writes": {file: "flows/polls.yaml", old: "flow: drops", new: "flow: back\nentity: order\nfrom: {system: erp, poll: {every: 1m}}\nkey: source.number\nto: {topic: canonical.back}\n---\nflow: drops",
			added: []string{"back"}, flows: []string{"orders-to-erp"}},
		"a reconciliation":           {file: "flows/customers.reconcile.yaml", old: "settle: 5m", new: "settle: 6m", recs: []string{"customers"}},
		"a reconciliation of before": {file: "flows/customers.reconcile.yaml", old: "reconciliation: customers-plain", new: "reconciliation: customers-simple", recs: []string{"customers-simple", "customers-plain"}},
		"a mapping of both":          {file: "mappings/customers.yaml", old: "mapping: account-to-customer", new: "mapping: account-to-customer\nabout: ours", recs: []string{"customers", "customers-plain"}, rules: []string{"rating"}},
		"a rule":                     {file: "flows/rule.yaml", old: "settle: 5m", new: "settle: 6m", rules: []string{"rating"}},
		"the broker":                 {file: "configs/waybill.yaml", old: "partitions: 12", new: "partitions: 13", restart: []string{"broker"}},
		"its password":               {secret: "KAFKA_PASSWORD", restart: []string{"broker"}},
		"the store":                  {secret: "pg", restart: []string{"store"}},
		"the console":                {file: "configs/waybill.yaml", old: "listen: 0.0.0.0:8080", new: "listen: 0.0.0.0:8090", restart: []string{"http.listen"}},
		"the hooks":                  {file: "configs/waybill.yaml", old: "listen: 0.0.0.0:8081", new: "listen: 0.0.0.0:8091", restart: []string{"hooks.listen"}},
		"the take-over":              {file: "configs/waybill.yaml", old: "entities:", new: "takeover-after: 20s\nentities:", restart: []string{"takeover-after"}},
		"the leave":                  {file: "configs/waybill.yaml", old: "max-body:", new: "leave: 7s, max-body:", restart: []string{"hooks.leave"}},
		"the connections":            {file: "configs/waybill.yaml", old: "max-body:", new: "connections: 7, max-body:", restart: []string{"hooks.connections"}},
		"the least rate":             {file: "configs/waybill.yaml", old: "max-body:", new: "min-rate: 8KiB, max-body:", restart: []string{"hooks.min-rate"}},
		"the copies":                 {file: "configs/waybill.yaml", old: "entities:", new: "backup: {resent-for: 3h}\nentities:", restart: []string{"backup"}},
		"the documents":              {file: "configs/waybill.yaml", old: "entities:", new: "journal: {documents: {days: 3}}\nentities:", restart: []string{"journal.documents"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS("testdata/good")); err != nil {
				t.Fatal(err)
			}
			load := func(o Options) *Plan {
				t.Helper()
				plan, p := Load(RootPaths(dir), o)
				if err := p.Err(); err != nil {
					t.Fatal(err)
				}
				return plan
			}
			if err := os.WriteFile(filepath.Join(dir, "flows", "rule.yaml"), []byte(ruleOfSums), 0o644); err != nil {
				t.Fatal(err)
			}
			before := load(testOptions())
			if c.file != "" {
				path := filepath.Join(dir, c.file)
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(string(text), c.old) {
					t.Fatalf("%s does not hold %q", c.file, c.old)
				}
				if err := os.WriteFile(path, []byte(strings.Replace(string(text), c.old, c.new, 1)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			o := testOptions()
			if c.secret != "" {
				o.Resolver.(testResolver)[c.secret] += "2"
			}
			after := load(o)
			flows, systems := before.FlowsTo(after), before.SystemsTo(after)
			recs, rules := before.ReconciliationsTo(after), before.RulesTo(after)
			for what, pair := range map[string][2][]string{
				"changed flows": {flows.Changed, c.flows}, "added flows": {flows.Added, c.added}, "removed flows": {flows.Removed, c.removed},
				"changed systems": {systems.Changed, c.systems}, "reconciliations": {slices.Concat(recs.Changed, recs.Added, recs.Removed), c.recs}, "rules": {slices.Concat(rules.Changed, rules.Added, rules.Removed), c.rules}, "restart for": {before.RestartFor(after), c.restart},
			} {
				if !slices.Equal(pair[0], pair[1]) {
					t.Errorf("%s: %v, want %v", what, pair[0], pair[1])
				}
			}
			if n := len(flows.Same) + len(flows.Changed) + len(flows.Removed); n != len(all) {
				t.Errorf("%d flows of %d are accounted for", n, len(all))
			}
			if flows.Any() != (len(c.flows)+len(c.added)+len(c.removed) > 0) {
				t.Errorf("Any is %v", flows.Any())
			}
		})
	}
}

// ruleOfSums is a rule beside the files of testdata/good, which reads through a mapping and a value map of theirs.
const ruleOfSums = "rule: rating\nentity: customer\nover: {system: crm, object: Account, map: account-to-customer}\nexpect: source.name != value(\"order-status\", \"crm\", \"Closed Won\")\nsettle: 5m\n"

// TestReferencesAreReadOnce: what a plan decodes later, when a system is opened, is what its sum was made of.
func TestReferencesAreReadOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/good")); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "configs", "waybill.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "configs", "secret")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(secret, "first")
	write(config, strings.Replace(string(text), "connector: deaf", "connector: thing\n    url: ${file:secret}", 1))
	write(filepath.Join(dir, "configs", "pg"), "postgres://h/d")
	o := testOptions()
	o.Resolver = fileResolver{testResolver{"KAFKA_PASSWORD": "kp", "OPS_TOKEN": "0123456789abcdef", "HOOK": "h", "OLD_HOOK": "oh"}, filepath.Join(dir, "configs")}
	plan, p := Load(RootPaths(dir), o)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	write(secret, "second")
	var got string
	plan.Systems["push"].Settings.Node.Get("url").Decode(&got, nil)
	if got != "first" {
		t.Errorf("the plan gives %q", got)
	}
	again, _ := Load(RootPaths(dir), o)
	if d := plan.SystemsTo(again); !slices.Equal(d.Changed, []string{"push"}) {
		t.Errorf("changed: %v", d.Changed)
	}
}

type fileResolver struct {
	testResolver
	dir string
}

func (r fileResolver) File(path string) ([]byte, error) {
	return os.ReadFile(filepath.Join(r.dir, path))
}

// reader is a kind whose settings name a file.
type reader struct {
	thing
	file string
}

func (r reader) Reads(connector.Settings) []string { return []string{r.file} }

// TestFilesThatSettingsName: what is in them counts, as what is written in the settings does.
func TestFilesThatSettingsName(t *testing.T) {
	file := filepath.Join(t.TempDir(), "table.yaml")
	sum := func(text string) string {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		o := testOptions()
		o.Kinds["reader"] = reader{thing{connector.Spec{Kind: "reader", Can: o.Kinds["thing"].Spec().Can}}, file}
		plan, p := Load(pollPaths("reader", "every: 10s"), o)
		if err := p.Err(); err != nil {
			t.Fatal(err)
		}
		return plan.Systems["s"].Sum + plan.Flow("f").Sum
	}
	one, two, again := sum("a"), sum("b"), sum("a")
	if one == two || one != again {
		t.Errorf("sums %s, %s, %s", one, two, again)
	}
}
