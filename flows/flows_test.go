// Package flows_test checks the content that comes with the hub.
package flows_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/connectors"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/library"
	"github.com/waybill-hub/waybill/internal/schedule"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// anywhere answers for every variable: the content must be sound wherever it is loaded.
type anywhere struct{}

func (anywhere) Env(name string) (string, bool) {
	switch {
	case strings.HasSuffix(name, "_URL"), strings.HasSuffix(name, "_CONTROL"):
		return "http://127.0.0.1:9", true
	case strings.HasSuffix(name, "_SECRET"):
		return "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", true
	}
	return "placeholder", true
}

func (anywhere) File(string) ([]byte, error) { return []byte("placeholder"), nil }

func load(t *testing.T) *config.Plan {
	t.Helper()
	kinds, err := connector.NewRegistry(connectors.All()...)
	if err != nil {
		t.Fatal(err)
	}
	plan, problems := config.Load(config.RootPaths(".."), config.Options{Kinds: kinds.Map(), Resolver: anywhere{}, Library: library.Shipped(), Cron: func(line, zone string) error {
		_, err := schedule.Parse(line, zone)
		return err
	}})
	if problems.Len() > 0 {
		t.Fatal(config.FormatText(problems))
	}
	return plan
}

func TestShippedContentHasNoProblems(t *testing.T) {
	plan := load(t)
	if len(plan.Flows) == 0 {
		t.Fatal("no flows are shipped")
	}
	// What lies about and is used by nothing misleads whoever reads it.
	used := map[string]bool{"bench-order": true}
	for _, f := range plan.Flows {
		if f.Map != nil {
			used[f.Map.Name()] = true
		}
	}
	for _, r := range plan.Reconciliations {
		for _, side := range []config.Side{r.Left, r.Right} {
			if side.Map != nil {
				used[side.Map.Name()] = true
			}
		}
	}
	for name, m := range plan.Mappings {
		if !used[name] && !strings.HasPrefix(m.Pos().File, "../mappings/edi/") { // those are for the projects of others
			t.Errorf("the mapping %q is used by no flow", name)
		}
	}
}

// counted is what the test files hold for one flow.
type counted struct{ all, refused int }

// TestEveryFlowIsTested asks for at least three cases for every flow, of which one shows what the flow does not let through.
func TestEveryFlowIsTested(t *testing.T) {
	plan := load(t)
	cases := map[string]*counted{}
	files, err := filepath.Glob("*_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var p strictyaml.Problems
		for _, doc := range strictyaml.Parse(file, data, &p) {
			name := doc.Get("test").Text()
			if rule := doc.Get("rule").Text(); rule != "" {
				name = "rule " + rule
			} else if plan.Flow(name) == nil {
				t.Errorf("%s: %q is no flow", doc.Pos(), name)
				continue
			}
			c := cases[name]
			if c == nil {
				c = &counted{}
				cases[name] = c
			}
			for _, one := range doc.Get("cases").Items() {
				c.all++
				if one.Has("skipped") || one.Has("parked") || one.Has("waiting") || one.Has("violation") {
					c.refused++
				}
			}
		}
		if err := p.Err(); err != nil {
			t.Error(err)
		}
	}
	for _, f := range plan.Flows {
		switch c := cases[f.Name]; {
		case c == nil:
			t.Errorf("the flow %q has no tests: write flows/*_test.yaml", f.Name)
		case c.all < 3:
			t.Errorf("the flow %q has %d test cases: at least an ordinary one, an edge and a refusal are needed", f.Name, c.all)
		case c.refused == 0:
			t.Errorf("the flow %q has no test case that is parked, skipped or waiting", f.Name)
		}
	}
	if len(plan.Rules) < 5 {
		t.Errorf("%d business rules are shipped", len(plan.Rules))
	}
	for _, r := range plan.Rules {
		if c := cases["rule "+r.Name]; c == nil || c.all < 2 || c.refused == 0 {
			t.Errorf("the rule %q has no two test cases, of which one is a violation: write flows/rules_test.yaml", r.Name)
		}
	}
}
