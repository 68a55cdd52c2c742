package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Kinds of what is compared, as metrics name them.
var comparedKinds = []string{"reconciliation", "rule"}

// comparedGauges show what the newest run of a reconciliation or a rule says, by the name of what they show.
type comparedGauges map[string]*prometheus.GaugeVec

func newComparedGauges(kind string) comparedGauges {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "waybill_" + kind + "_" + name, Help: help}, []string{kind})
	}
	return comparedGauges{
		"compared":     gauge("compared", "Objects that the newest run of the "+kind+" has compared."),
		"not_compared": gauge("not_compared", "Objects of which that run could not say whether they agree."),
		"drift":        gauge("drift", "What that run has found and nobody has repaired since."),
		"last_success": gauge("last_success_timestamp_seconds", "When the newest run of the "+kind+" ended that says how things stand."),
	}
}

// Compared is how a reconciliation or a rule stands. Counted is when the run ended that says it; nil: none does, and nothing is shown but the state.
type Compared struct {
	Name, State                  string
	Compared, NotCompared, Drift int64
	Counted                      *time.Time
}

// Comparisons shows how all reconciliations, or all rules, stand; those that are no more go.
func (m *Metrics) Comparisons(kind string, all []Compared, states []string) {
	m.comparing.Lock()
	defer m.comparing.Unlock()
	gone := m.comparedNames[kind]
	names := make(map[string]bool, len(all))
	for i := range all {
		c := &all[i]
		names[c.Name] = true
		delete(gone, c.Name)
		m.State(kind, c.Name, c.State, states)
		if c.Counted == nil {
			continue
		}
		for what, v := range map[string]float64{"compared": float64(c.Compared), "not_compared": float64(c.NotCompared), "drift": float64(c.Drift),
			"last_success": float64(c.Counted.UnixMilli()) / 1000} {
			m.compared[kind][what].WithLabelValues(c.Name).Set(v)
		}
	}
	for name := range gone {
		m.states[kind].DeletePartialMatch(prometheus.Labels{kind: name})
		for _, g := range m.compared[kind] {
			g.DeleteLabelValues(name)
		}
	}
	m.comparedNames[kind] = names
}
