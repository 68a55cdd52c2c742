package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/waybill-hub/waybill/internal/systemtest"
)

// dashboard is what the test looks at of one.
type dashboard struct {
	Title  string
	Panels []struct {
		Title, Description string
		Targets            []struct{ Expr string }
	}
}

// rule is one of Prometheus' rules.
type rule struct {
	Alert  string            `yaml:"alert,omitempty"`
	Record string            `yaml:"record,omitempty"`
	Expr   string            `yaml:"expr"`
	For    string            `yaml:"for,omitempty"`
	Labels map[string]string `yaml:"labels,omitempty"`
	Notes  map[string]string `yaml:"annotations,omitempty"`
}

type ruleGroup struct {
	Name  string `yaml:"name"`
	Rules []rule `yaml:"rules"`
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(text(t, "grafana/waybill.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDashboard: every panel says what it shows.
func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	if d.Title == "" || len(d.Panels) < 10 {
		t.Fatalf("%q has %d panels", d.Title, len(d.Panels))
	}
	for _, p := range d.Panels {
		if p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %q: %q, %d questions", p.Title, p.Description, len(p.Targets))
		}
	}
}

// TestRulesAreTried: each rule is raised and cleared in waybill.test.yaml.
func TestRulesAreTried(t *testing.T) {
	type groups struct {
		Groups []ruleGroup `yaml:"groups"`
	}
	tried := text(t, "prometheus/waybill.test.yaml")
	n := 0
	for _, file := range documents[groups](t, "prometheus/waybill.rules.yaml") {
		for _, g := range file.Groups {
			for _, r := range g.Rules {
				n++
				if c := strings.Count(tried, "alertname: "+r.Alert+"\n") + strings.Count(tried, "alertname: "+r.Alert+","); c != 3 {
					t.Errorf("%s stands %d times in the test of the rules: before, in and behind its trouble", r.Alert, c)
				}
				if r.Labels["severity"] == "" || r.Notes["summary"] == "" || r.Notes["description"] == "" {
					t.Errorf("%s says too little", r.Alert)
				}
			}
		}
	}
	if n < 10 {
		t.Errorf("%d rules", n)
	}
}

// TestPromtool has Prometheus' own tool look at the rules, run their tests, and read what the dashboard asks.
func TestPromtool(t *testing.T) {
	promtool := (&systemtest.Script{Name: "promtool", Needs: "Go's module proxy"}).Start(t)
	asked := ruleGroup{Name: "dashboard"}
	for _, p := range readDashboard(t).Panels {
		for _, q := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", "5m", "$flow", ".*").Replace(q.Expr)
			asked.Rules = append(asked.Rules, rule{Record: "asked:by:dashboard", Expr: expr, Labels: map[string]string{"panel": p.Title}})
		}
	}
	b, err := yaml.Marshal(map[string][]ruleGroup{"groups": {asked}})
	if err != nil {
		t.Fatal(err)
	}
	questions := filepath.Join(t.TempDir(), "dashboard.yaml")
	if err := os.WriteFile(questions, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", "--lint=all", "--lint-fatal", "prometheus/waybill.rules.yaml"}, {"test", "rules", "prometheus/waybill.test.yaml"}, {"check", "rules", questions}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
