package app

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/status"
)

const pairRule = `rule: in-the-east
about: every order of the west is in the east as it is
entity: order
over: {system: west}
with:
  east: {system: east, by: {no: source.no}}
remember: [party]
expect: exists(east) and east.total == source.total and (not exists(previous) or previous.party == source.party)
key: source.no
say: >-
  "order " + source.no + " is over " + text(source.total) + ", and over " + text(east.total ?? 0) + " in the east"
settle: 100ms
at-most: 1
`

// ranRule has the rule run and gives how it ended, with what it found as "key kind reason".
func ranRule(t *testing.T, hub *Hub) (state.Comparison, string) {
	t.Helper()
	run, diffs := made(t, hub, state.Comparison{Kind: state.RunRule, Name: "in-the-east"})
	var lines []string
	for _, d := range diffs {
		lines = append(lines, fmt.Sprintf("%s %s %s", d.Key, d.Kind, d.Reason))
	}
	return run, strings.Join(lines, ", ")
}

// TestRuleOfTheHub: a rule over two databases, with what it remembers, what the hub knows to be on its way, and its alarm.
func TestRuleOfTheHub(t *testing.T) {
	t.Parallel()
	p, west, east := pairProject(t)
	p.write("flows/rules.yaml", pairRule)
	for i := 1; i <= 6; i++ {
		execSQL(t, west, "INSERT INTO orders VALUES (?, ?, ?, ?, ?)", i, fmt.Sprintf("SO-%02d", i), fmt.Sprintf("party %d", i), fmt.Sprintf("%d.50", 100+i), i)
	}
	hub := p.start(io.Discard)
	await(t, "everything in the east", func() bool { return countSQL(t, east, "SELECT COUNT(*) FROM sales") == 6 })
	rest(t, hub)
	stands := func() *status.Verdict {
		t.Helper()
		st, err := hub.Status(t.Context())
		if err != nil || len(st.Rules) != 1 {
			t.Fatal(st, err)
		}
		return &status.Verdict{State: st.Rules[0].State, Why: st.Rules[0].Why}
	}
	if v := stands(); v.State != status.NeverRun {
		t.Errorf("before the first run: %+v", v)
	}
	if run, found := ranRule(t, hub); run.State != state.RunAgreed || found != "" || run.Summary.Compared != 6 || run.Summary.Equal != 6 {
		t.Fatalf("before anything is wrong: %+v, %s", run, found)
	}

	// Both past the hub: polls go by what has not changed.
	execSQL(t, east, "UPDATE sales SET amount = '7' WHERE num = 'SO-02'")
	run, found := ranRule(t, hub)
	if run.State != state.RunDrift || found != "SO-02 violation violated" {
		t.Errorf("one is wrong: %s %s, %s", run.State, found, run.Detail)
	}
	if v := stands(); v.State != status.Agreed {
		t.Errorf("as many as are no alarm: %+v", v)
	}
	execSQL(t, west, "UPDATE orders SET who = 'somebody else' WHERE id = 3")
	for range 2 { // what has changed alone is told again
		if _, found := ranRule(t, hub); found != "SO-02 violation violated, SO-03 violation violated" {
			t.Errorf("two are wrong: %s", found)
		}
	}
	if v := stands(); v.State != status.Drift || !strings.Contains(v.Why, "2 left") {
		t.Errorf("more than that: %+v", v)
	}
	if err := hub.Forget(t.Context(), "in-the-east", "3", "ann", "that is agreed"); err != nil {
		t.Error(err)
	}
	execSQL(t, east, "UPDATE sales SET amount = '102.50' WHERE num = 'SO-02'")
	if run, found := ranRule(t, hub); run.State != state.RunAgreed || found != "" {
		t.Errorf("mended and forgotten: %s %s", run.State, found)
	}

	// What the hub has not carried over is no violation.
	if err := hub.Pause(t.Context(), "orders-to-east", "ann"); err != nil {
		t.Fatal(err)
	}
	execSQL(t, west, "INSERT INTO orders VALUES (7, 'SO-07', 'party 7', '107.50', 7)")
	await(t, "the new order on the topic", func() bool {
		refs, err := hub.store.Trace(t.Context(), "SO-07")
		return err == nil && len(refs.Inbox) > 0 && refs.Inbox[0].Published
	})
	run, found = ranRule(t, hub)
	if run.Summary.Drift() != 0 || run.State != state.RunAgreed || found != "SO-07 violation flow-stands" && found != "SO-07 violation in-flight" {
		t.Errorf("on its way: %s %+v, %s", run.State, run.Summary, found)
	}
}
