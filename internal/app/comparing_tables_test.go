package app

import (
	"database/sql"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/reconcile"
	"github.com/waybill-hub/waybill/internal/state"
)

// TestTablesAreComparedAsColumns: two tables without a mapping between them are compared in their databases; what differs is looked at again, and named with its ids.
func TestTablesAreComparedAsColumns(t *testing.T) {
	p, west, east := pairProject(t)
	p.edit("configs/waybill.yaml", "  east:\n", `  east:
`)
	for _, system := range []string{"west", "east"} {
		p.edit("configs/waybill.yaml", system+`.db"
    objects:
`, system+`.db"
    objects:
      product: {table: items, id: code, columns: {code: text, name: text, price: decimal, seen: timestamp}}
`)
	}
	p.write("flows/items.reconcile.yaml", `reconciliation: items
entity: product
left: {system: west}
right: {system: east}
match: code
compare: {name: exact, price: {within: 0.01}}
settle: 100ms
`)
	for _, db := range []*sql.DB{west, east} {
		execSQL(t, db, "CREATE TABLE items (code TEXT PRIMARY KEY, name TEXT, price TEXT, seen TEXT)")
		for i := range 3000 {
			execSQL(t, db, "INSERT INTO items VALUES (?, ?, ?, ?)", fmt.Sprintf("%05d", i), fmt.Sprintf("item %d", i), "1.50", "2026-01-01T00:00:00Z")
		}
	}
	execSQL(t, west, "UPDATE items SET price = '1.505' WHERE code = '00007'") // within
	execSQL(t, west, "UPDATE items SET name = 'other' WHERE code = '00011'")
	execSQL(t, east, "UPDATE items SET price = '1.52' WHERE code = '00012'")
	execSQL(t, east, "DELETE FROM items WHERE code = '02000'")
	execSQL(t, west, "DELETE FROM items WHERE code = '02001'")
	hub := p.start(io.Discard)
	run, _, err := hub.store.WantComparison(t.Context(), state.Comparison{Kind: state.RunReconciliation, Name: "items", Trigger: state.TriggerPerson, Who: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	hub.wakeComparing()
	await(t, "the run", func() bool {
		run, err = hub.store.ComparisonByID(t.Context(), run.ID)
		return err == nil && run.State.Over()
	})
	diffs, err := hub.store.Differences(t.Context(), state.DifferenceFilter{Run: run.ID, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, d := range diffs {
		var paths []string
		for _, f := range d.Fields {
			paths = append(paths, f.Path)
		}
		got[d.Key] = fmt.Sprintf("%s %s/%s %s", d.Kind, d.Left, d.Right, strings.Join(paths, ","))
	}
	want := map[string]string{"00011": "different 00011/00011 name", "00012": "different 00012/00012 price", "02000": "missing-right 02000/ ", "02001": "missing-left /02001 "}
	if !maps.Equal(got, want) || run.State != state.RunDrift || run.Summary.Compared != 3000 || run.Summary.Equal != 2996 || run.Summary.Path != reconcile.Pushed {
		t.Errorf("%s %s %+v\ngot  %v\nwant %v", run.State, run.Detail, run, got, want)
	}
}
