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

const itemsRec = `reconciliation: items
entity: product
left: {system: west}
right: {system: east}
match: code
compare: {name: exact, price: {within: 0.01}}
settle: 100ms
`

// twoTables adds a table of n items to both databases; key is what stands behind the type of its key.
func twoTables(t *testing.T, key string, n int) (p *project, west, east *sql.DB) {
	t.Helper()
	p, west, east = pairProject(t)
	for _, system := range []string{"west", "east"} {
		objects := system + ".db\"\n    objects:\n"
		p.edit("configs/waybill.yaml", objects, objects+"      product: {table: items, id: code, columns: {code: text, name: text, price: decimal, seen: timestamp}}\n")
	}
	p.write("flows/items.reconcile.yaml", itemsRec)
	for _, db := range []*sql.DB{west, east} {
		execSQL(t, db, "CREATE TABLE items (code TEXT"+key+", name TEXT, price TEXT, seen TEXT)")
		execSQL(t, db, fmt.Sprintf(`INSERT INTO items WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i + 1 < %d)
			SELECT printf('%%05d', i), 'item ' || i, '1.50', '2026-01-01T00:00:00Z' FROM c`, n))
	}
	return p, west, east
}

// described are differences in words, by key.
func described(diffs []state.Difference) map[string]string {
	got := map[string]string{}
	for _, d := range diffs {
		var paths []string
		for _, f := range d.Fields {
			paths = append(paths, f.Path)
		}
		got[d.Key] = fmt.Sprintf("%s %s/%s %s", d.Kind, d.Left, d.Right, strings.Join(paths, ","))
	}
	return got
}

// TestTablesAreComparedAsColumns: two tables without a mapping between them are compared in their databases; what differs is looked at again, and named with its ids.
func TestTablesAreComparedAsColumns(t *testing.T) {
	t.Parallel()
	p, west, east := twoTables(t, " PRIMARY KEY", 3000)
	execSQL(t, west, "UPDATE items SET price = '1.505' WHERE code = '00007'") // within
	execSQL(t, west, "UPDATE items SET name = 'other' WHERE code = '00011'")
	execSQL(t, east, "UPDATE items SET price = '1.52' WHERE code = '00012'")
	execSQL(t, east, "DELETE FROM items WHERE code = '02000'")
	execSQL(t, west, "DELETE FROM items WHERE code = '02001'")
	run, diffs := ran(t, p.start(io.Discard), "items", state.CompareOptions{})
	want := map[string]string{"00011": "different 00011/00011 name", "00012": "different 00012/00012 price", "02000": "missing-right 02000/ ", "02001": "missing-left /02001 "}
	if got := described(diffs); !maps.Equal(got, want) || run.State != state.RunDrift || run.Summary.Compared != 3000 || run.Summary.Equal != 2996 || run.Summary.Path != reconcile.Pushed {
		t.Errorf("%s %s %+v\ngot  %v\nwant %v", run.State, run.Detail, run, got, want)
	}
}

// TestDoubledRowsOfTables: a key that is there twice in a table is named.
func TestDoubledRowsOfTables(t *testing.T) {
	t.Parallel()
	p, west, east := twoTables(t, "", 30)
	execSQL(t, west, "INSERT INTO items VALUES ('00007', 'item 7', '1.50', '2026-01-01T00:00:00Z')")
	execSQL(t, east, "INSERT INTO items VALUES ('00099', 'x', '1', NULL), ('00099', 'x', '1', NULL)")
	run, diffs := ran(t, p.start(io.Discard), "items", state.CompareOptions{})
	want := map[string]string{"00007": "doubled-left 00007/00007 ", "00099": "doubled-right /00099 "}
	if got := described(diffs); !maps.Equal(got, want) || run.State != state.RunDrift || run.Summary.Path != reconcile.Streamed {
		t.Errorf("%s %s %+v\ngot  %v\nwant %v", run.State, run.Detail, run, got, want)
	}
}

// TestOneRowOfTables: one row of two tables is found by the column by which they are paired, whatever ids it has in them.
func TestOneRowOfTables(t *testing.T) {
	t.Parallel()
	p, west, east := twoTables(t, " PRIMARY KEY", 30)
	for i, db := range []*sql.DB{west, east} {
		p.edit("configs/waybill.yaml", []string{"west", "east"}[i]+".db\"\n    objects:\n      product: {table: items, id: code,", []string{"west", "east"}[i]+".db\"\n    objects:\n      product: {table: items, id: seq,")
		execSQL(t, db, "ALTER TABLE items ADD COLUMN seq INTEGER")
		execSQL(t, db, fmt.Sprintf("UPDATE items SET seq = CAST(code AS INTEGER) + %d", 100*(i+1)))
	}
	p.edit("configs/waybill.yaml", "columns: {code: text, name", "columns: {seq: integer, code: text, name")
	p.edit("configs/waybill.yaml", "columns: {code: text, name", "columns: {seq: integer, code: text, name")
	execSQL(t, west, "UPDATE items SET name = 'other' WHERE code = '00011'")
	execSQL(t, east, "DELETE FROM items WHERE code = '00012'")
	hub := p.start(io.Discard)
	for key, want := range map[string]map[string]string{
		"00007": {},
		"00011": {"00011": "different 111/211 name"},
		"111":   {"00011": "different 111/211 name"}, // an id
		"00012": {"00012": "missing-right 112/ "},
	} {
		run, diffs := ran(t, hub, "items", state.CompareOptions{Key: key})
		got := described(diffs)
		if !maps.Equal(got, want) || run.Summary.Compared != 1 || run.State == state.RunFailed || (run.State == state.RunAgreed) != (len(want) == 0) {
			t.Errorf("%s: %s %s %+v %v", key, run.State, run.Detail, run.Summary, got)
		}
	}
	if run, _ := ran(t, hub, "items", state.CompareOptions{Key: "99999"}); run.State != state.RunFailed || run.Detail != "neither west nor east holds product 99999, and the hub has seen none" {
		t.Errorf("%s %s", run.State, run.Detail)
	}
}

// TestEmptyTables: two tables without a row agree, and the run, the status and the list say that nothing was compared; where the hub knows objects there, it fails.
func TestEmptyTables(t *testing.T) {
	t.Parallel()
	p, west, east := twoTables(t, " PRIMARY KEY", 1)
	execSQL(t, west, "DELETE FROM items")
	execSQL(t, east, "DELETE FROM items")
	hub := p.start(io.Discard)
	const nothing = "both sides are empty, and the hub knows no such object in either system: nothing was compared"
	run, _ := ran(t, hub, "items", state.CompareOptions{})
	if run.State != state.RunAgreed || run.Detail != nothing {
		t.Errorf("%s %s", run.State, run.Detail)
	}
	st, err := hub.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range st.Reconciliations {
		if r := &st.Reconciliations[i]; r.Name == "items" && (r.State != "agreed" || r.Why != nothing) || st.Failing() {
			t.Errorf("%+v", r)
		}
	}
	links := []state.Link{{Entity: "product", IDs: []state.LocalID{{System: "west", Local: "00001"}, {System: "east", Local: "00001"}}}}
	if done, err := hub.store.Link(t.Context(), links, false, "ann"); err != nil || done[0].Status != state.LinkMade {
		t.Fatal(done, err)
	}
	if run, _ := ran(t, hub, "items", state.CompareOptions{}); run.State != state.RunFailed || !strings.Contains(run.Detail, "and the hub knows 1 there") {
		t.Errorf("%s %s", run.State, run.Detail)
	}
}
