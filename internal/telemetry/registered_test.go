package telemetry

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the page anew")

const metricsPage = "../../docs/metrics.md"

// everything calls whatever makes a metric appear.
func everything() *Metrics {
	m := NewMetrics("1.0")
	m.Store(func() (int64, int64) { return 1, 2 })
	m.Outcome("f", "skipped", "filtered", time.Second)
	m.Retried("f")
	m.Call("s", "none", time.Second)
	m.Answered("f", 202, time.Second)
	m.Refused("f", "signature")
	m.Relayed("f", 1, 1)
	m.Submitted("f", "person", 1)
	m.Read("f", 1, 1)
	m.Alarm("f", "auth")
	m.Flow("f", "lag", 1)
	m.Oldest("f", "in_flight", 1)
	share := 1.0
	m.OnTime("f", &share, &share)
	for _, of := range []string{"flow", "system", "hub", "broker"} {
		name := of
		if of == "hub" || of == "broker" {
			name = ""
		}
		m.State(of, name, "running", []string{"running"})
	}
	now := time.Now()
	for _, kind := range comparedKinds {
		m.Comparisons(kind, []Compared{{Name: "r", State: "agrees", Counted: &now}}, []string{"agrees"})
	}
	m.Remarks("f", map[string]int{"ahead": 1})
	m.Reloaded("done")
	m.RequestRefused("csrf")
	return m
}

// TestMetricsPage: the page lists the hub's metrics as they are, with their kinds, labels and sentences.
func TestMetricsPage(t *testing.T) {
	families, err := everything().registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| metric | kind | labels | what it is |\n|---|---|---|---|\n")
	named := map[string]bool{}
	for _, f := range families {
		name := f.GetName()
		if !strings.HasPrefix(name, "waybill_") {
			continue
		}
		named[name] = true
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())
	}
	// What NewMetrics registers and nothing here makes appear would not be on the page.
	source, err := os.ReadFile("metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"(waybill_[a-z_]+[a-z])"`).FindAllStringSubmatch(string(source), -1) {
		if !named[m[1]] {
			t.Errorf("%s is not on the page", m[1])
		}
	}
	page, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- metrics -->\n", "<!-- end of metrics -->\n"
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, also := strings.Cut(rest, end)
	if !ok || !also {
		t.Fatal("the page has no place for the table")
	}
	want := before + begin + "\n" + table.String() + "\n" + end + after
	if *update {
		if err := os.WriteFile(metricsPage, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if want != string(page) {
		t.Errorf("the page differs from the metrics: go test ./internal/telemetry -update")
	}
}

// TestRulesNameMetrics: rules and dashboards ask for metrics and labels that there are; what Prometheus itself says of them is for promtool.
func TestRulesNameMetrics(t *testing.T) {
	families, err := everything().registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string][]string{}
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		for _, suffix := range []string{"", "_bucket", "_count", "_sum"} {
			known[f.GetName()+suffix] = append(slices.Clone(labels), "instance", "job", "le")
		}
	}
	asked := regexp.MustCompile(`(waybill_[a-z_]+)(?:\{([^}]*)\})?`)
	for _, name := range []string{"../../deploy/prometheus/waybill.rules.yaml", "../../deploy/grafana/waybill.json"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found := asked.FindAllStringSubmatch(string(b), -1)
		if len(found) < 10 {
			t.Errorf("%s asks for %d metrics", name, len(found))
		}
		for _, f := range found {
			labels, ok := known[f[1]]
			if !ok {
				t.Errorf("%s asks for %s, which is no metric", name, f[1])
			}
			for _, l := range regexp.MustCompile(`([a-z_]+)\s*[=!]~?`).FindAllStringSubmatch(f[2], -1) {
				if !slices.Contains(labels, l[1]) {
					t.Errorf("%s: %s has no label %s", name, f[1], l[1])
				}
			}
		}
	}
}
