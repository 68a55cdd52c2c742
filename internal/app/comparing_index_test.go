package app

import (
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/reconcile"
	"github.com/waybill-hub/waybill/internal/state"
)

// TestComparingWithAnIndex: a run reads what has changed since the one before, sees by ids what came and went without a trace, and what nothing tells of when
// everything is read anew.
func TestComparingWithAnIndex(t *testing.T) {
	t.Parallel()
	p, west, east := pairProject(t)
	p.edit("flows/orders.reconcile.yaml", "left: {system: west}\nright: {system: east}\n", "left: {system: west, index: {}}\nright: {system: east, index: {overlap: 0s}}\n")
	for i := 1; i <= 700; i++ { // more than a page of each
		execSQL(t, west, "INSERT INTO orders VALUES (?, ?, ?, ?, ?)", i, fmt.Sprintf("SO-%03d", i), fmt.Sprintf("party %d", i), fmt.Sprintf("%d.50", 100+i), i)
		execSQL(t, west, "INSERT INTO order_lines VALUES (?, 1, 'A', '2')", i)
	}
	hub := p.start(io.Discard)
	await(t, "everything in the east", func() bool { return countSQL(t, east, "SELECT COUNT(*) FROM sales") == 700 })
	rest(t, hub)
	look := func(what string, st state.RunState, want map[string]string, says ...string) {
		t.Helper()
		run, diffs := ran(t, hub, "orders", state.CompareOptions{})
		got := map[string]string{}
		for _, d := range diffs {
			got[d.Key] = d.Reason
		}
		if run.State != st || !maps.Equal(got, want) || run.Summary.Path != reconcile.Indexed {
			t.Errorf("%s: %s by the path %s: %v, want %v (%s)", what, run.State, run.Summary.Path, got, want, run.Detail)
		}
		for _, text := range says {
			if !strings.Contains(run.Detail, text) {
				t.Errorf("%s: it does not say %q: %s", what, text, run.Detail)
			}
		}
	}
	look("the first run", state.RunAgreed, map[string]string{}, "the left side was read whole: 700 objects", "the right side was read whole: 700 objects")
	look("nothing has changed", state.RunAgreed, map[string]string{}, "of the right side 0 were read")

	execSQL(t, east, "UPDATE sales SET party = 'read by the hub', rv = 5000 WHERE num = 'SO-001'")
	execSQL(t, east, "DELETE FROM sales WHERE num = 'SO-002'")
	execSQL(t, east, "UPDATE sales SET party = 'without a stamp' WHERE num = 'SO-003'")
	execSQL(t, west, "INSERT INTO orders VALUES (800, 'SO-800', 'x', '1', -5)") // no poll reads it
	want := map[string]string{"SO-001": state.ReasonEditedRight, "SO-002": state.ReasonDeletedRight, "SO-800": state.ReasonCreatedLeft}
	look("by changes and ids", state.RunDrift, want, "of the right side 1 were read", "1 more were found by their ids")

	p.edit("flows/orders.reconcile.yaml", "index: {overlap: 0s}", "index: {overlap: 0s, whole: 1ns}")
	if _, err := hub.Reload(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	want["SO-003"] = state.ReasonEditedRight
	look("everything anew", state.RunDrift, want, "the right side was read whole: 699 objects")

	run, _ := ran(t, hub, "orders", state.CompareOptions{Repair: true})
	if run.Summary.Repaired != 4 {
		t.Errorf("repaired %+v (%s)", run.Summary, run.Detail)
	}
	look("afterwards", state.RunAgreed, map[string]string{})
}
