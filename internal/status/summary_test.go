package status

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSummarize(t *testing.T) {
	for name, tt := range map[string]struct {
		w           Whole
		state, text string
	}{
		"all is well": {Whole{Hub: Running, Broker: Up, Flows: []Named{{"a", Running}}, Systems: []Named{{"erp", Up}}, Comparisons: []Named{{"c", Agreed}, {"n", NeverRun}}},
			Running, "Nothing is late, stuck, lost, doubled, drifting or silent."},
		"parked alone": {Whole{Parked: 1, Flows: []Named{{"a", Attention}}}, Attention, "1 message waits for a person; nothing is late, stuck, lost, doubled, drifting or silent."},
		"a held sweep": {Whole{Flows: []Named{{"a", Attention}}}, Attention, "1 thing needs attention (a); nothing is late, stuck, lost, doubled, drifting or silent."},
		"two late, one paused, a system": {Whole{Flows: []Named{{"a", Late}, {"b", Late}, {"c", Paused}}, Systems: []Named{{"erp", Failing}}, Parked: 7}, Failing,
			"2 flows are late (a, b), 1 system does not answer as it should (erp), 1 flow is paused (c), 7 messages wait for a person; nothing is stuck, lost, doubled, drifting or silent."},
		"many": {Whole{Flows: []Named{{"a", Failing}, {"b", Failing}, {"c", Failing}, {"d", Failing}, {"e", Failing}}}, Failing,
			"5 flows are failing (a, b, c, 2 more); nothing is late, lost, doubled, drifting or silent."},
		"the worst first": {Whole{Unaccounted: -2, Duplicates: 1, Hub: Failing, Broker: Down, Flows: []Named{{"s", Silent}, {"x", Alarm}, {"l", Late}}, Comparisons: []Named{{"r", Held}, {"q", Overdue}}}, Failing,
			"2 messages are unaccounted for, 1 target object is doubled, the hub itself is failing, the broker does not answer, 1 flow stands still until a person looks (x), 1 flow is late (l), " +
				"1 comparison has drift left (r), 1 comparison has no result (q), 1 flow is silent (s)."},
	} {
		got := Summarize(&tt.w)
		if got.State != tt.state || got.Text != tt.text {
			t.Errorf("%s: %s: %s", name, got.State, got.Text)
		}
	}
}

// A whole fails exactly where something bad is in it, whatever else is, and every state is either told of or fine.
func TestSummaryAgreesWithBad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		named := func(label string, states []string) []Named {
			return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Named { return Named{"n", rapid.SampledFrom(states).Draw(t, label)} }), 0, 4).Draw(t, label+"s")
		}
		w := Whole{Unaccounted: rapid.Int64Range(-1, 1).Draw(t, "unaccounted"), Duplicates: rapid.Int64Range(0, 1).Draw(t, "duplicates"), Parked: rapid.Int64Range(0, 2).Draw(t, "parked"),
			Hub: rapid.SampledFrom(HubStates).Draw(t, "hub"), Broker: rapid.SampledFrom(BrokerStates).Draw(t, "broker"),
			Flows: named("flow", FlowStates), Systems: named("system", SystemStates), Comparisons: named("comparison", ComparisonStates)}
		bad := w.Unaccounted != 0 || w.Duplicates != 0 || Bad(w.Hub) || Bad(w.Broker)
		fine := !bad && w.Parked == 0 && w.Hub == Running
		for _, n := range slices.Concat(w.Flows, w.Comparisons) {
			bad = bad || Bad(n.State)
			fine = fine && slices.Contains([]string{Running, Agreed, NeverRun}, n.State)
		}
		for _, s := range w.Systems {
			fine = fine && s.State == Up
		}
		got := Summarize(&w)
		if (got.State == Failing) != bad || (got.State == Running) != fine || (len(got.Findings) == 0) != fine {
			t.Fatalf("%+v is %+v", w, got)
		}
	})
}

func TestEveryFindingHasWords(t *testing.T) {
	for _, kind := range FindingKinds {
		if English.One[kind] == "" {
			t.Errorf("no words for %s", kind)
		}
		f := Finding{Kind: kind, Count: 2, Names: []string{"a", "b"}}
		if got := English.Finding(&f); strings.Contains(got, "%!") {
			t.Errorf("%s: %s", kind, got)
		}
	}
}
