package api

import "github.com/waybill-hub/waybill/internal/status"

// Summary is the hub in one sentence: is anything late, stuck, lost, doubled, drifting, silent? State is "failing" where `waybill status` exits with 1,
// "attention" where something waits for a person or is to be known, else "running".
type Summary struct {
	State    string    `json:"state" enum:"running,attention,failing"`
	Text     string    `json:"text"`
	Findings []Finding `json:"findings"`
}

// Finding is one kind of thing that is not as it should be, the worst first: how many, and their names where they have some.
type Finding struct {
	Kind  string   `json:"kind" enum:"lost,doubled,hub,broker,stuck,failing,late,drifting,overdue,silent,system,paused,need,parked"`
	Count int64    `json:"count"`
	Names []string `json:"names,omitempty"`
}

// Summarize fills in the summary from all else.
func (s *Status) Summarize() {
	w := &status.Whole{Unaccounted: s.Totals.Unaccounted, Duplicates: s.Totals.Duplicates, Parked: s.Totals.Parked, Hub: s.Hub.State, Broker: s.Broker.State}
	for i := range s.Flows {
		w.Flows = append(w.Flows, status.Named{Name: s.Flows[i].Name, State: s.Flows[i].State})
	}
	for i := range s.Systems {
		w.Systems = append(w.Systems, status.Named{Name: s.Systems[i].Name, State: s.Systems[i].State})
	}
	compared := func(name string, st *Standing) {
		state := st.State
		if st.bad() { // also while it runs again
			state = worst(st)
		}
		w.Comparisons = append(w.Comparisons, status.Named{Name: name, State: state})
	}
	for i := range s.Reconciliations {
		compared(s.Reconciliations[i].Name, &s.Reconciliations[i].Standing)
	}
	for i := range s.Rules {
		compared(s.Rules[i].Name, &s.Rules[i].Standing)
	}
	sum := status.Summarize(w)
	s.Summary = Summary{State: sum.State, Text: sum.Text, Findings: []Finding{}}
	for _, f := range sum.Findings {
		s.Summary.Findings = append(s.Summary.Findings, Finding(f))
	}
}

func worst(s *Standing) string {
	if status.Bad(s.State) {
		return s.State
	}
	return s.Stands
}
