package app

import (
	"database/sql"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/state"
)

const (
	pairConfig = `broker: {embedded: {dir: "%DIR%/data/broker"}, partitions: 2}
store: {sqlite: {path: "%DIR%/data/waybill.db"}}
http: {listen: 127.0.0.1:0}
hooks: {listen: 127.0.0.1:0}
systems:
  west:
    connector: sql
    driver: sqlite
    path: "%DIR%/west.db"
    objects:
      order:
        table: orders
        id: id
        version: changed
        columns: {id: integer, no: text, who: text, total: decimal, changed: integer}
        children: {lines: {table: order_lines, parent: order_id, key: line, columns: {line: integer, sku: text, qty: decimal}}}
  east:
    connector: sql
    driver: sqlite
    path: "%DIR%/east.db"
    objects:
      order:
        table: sales
        id: id
        generated: true
        external-id: ext
        version: rv
        columns: {id: integer, ext: text, rv: integer, num: text, party: text, amount: decimal}
        children: {rows: {table: sales_lines, parent: sale_id, key: line, columns: {line: integer, item: text, quantity: decimal}}}
`
	pairFlows = `flow: west-orders
entity: order
from: {system: west, poll: {every: 1s}}
key: source.no
id: text(source.id)
version: source.changed
map: west
to: {topic: canonical.order}
---
flow: orders-to-east
entity: order
from: {topic: canonical.order}
map: to-east
to: {system: east, on-delete: delete}
retry: {for: 10m, backoff: 20ms..200ms}
---
flow: east-orders
entity: order
from: {system: east, poll: {every: 1s}}
key: source.num
id: text(source.id)
external-id: source.ext
version: source.rv
map: east
to: {topic: canonical.east}
`
	pairMaps = `mapping: west
from: west.v1
to: canon.v1
set:
  no: source.no
  party?: source.who
  total: source.total
  lines:
    each: source.lines
    set: {sku: item.sku, quantity: item.qty}
---
mapping: east
from: east.v1
to: canon.v1
set:
  no: source.num
  party?: source.party
  total: source.amount
  lines:
    each: source.rows
    set: {sku: item.item, quantity: item.quantity}
---
mapping: to-east
from: canon.v1
to: east.v1
set:
  num: source.no
  party?: source.party
  amount: source.total
  rows:
    each: source.lines
    set: {line: index + 1, item: item.sku, quantity: item.quantity}
`
	pairRec = `reconciliation: orders
entity: order
left: {system: west}
right: {system: east}
match: [xref, no]
compare:
  no: exact
  party: exact
  total: exact
  lines: {set: sku}
settle: 100ms
repair: {from: left, by: orders-to-east, at-most: 100}
`
)

func pairSchema(doc string, props string) string {
	return fmt.Sprintf(`{"$schema": "http://json-schema.org/draft-07/schema#", "title": %q, "type": "object", "properties": {%s}}`, doc, props)
}

// pairProject is two databases with orders between them, west the source and east the target.
func pairProject(t *testing.T) (p *project, west, east *sql.DB) {
	t.Helper()
	p = &project{t: t, dir: t.TempDir()}
	p.write("configs/waybill.yaml", strings.ReplaceAll(pairConfig, "%DIR%", p.dir))
	p.write("flows/orders.yaml", pairFlows)
	p.write("flows/orders.reconcile.yaml", pairRec)
	p.write("mappings/orders.yaml", pairMaps)
	line := func(name, sku, qty string) string {
		return fmt.Sprintf(`"%s": {"type": "array", "items": {"type": "object", "properties": {"line": {"type": "integer"}, "%s": {"type": "string"}, "%s": {"type": "number"}}}}`, name, sku, qty)
	}
	p.write("schemas/west.v1.json", pairSchema("west", `"id": {"type": "integer"}, "no": {"type": "string"}, "who": {"type": ["string", "null"]}, "total": {"type": "number"}, "changed": {"type": "integer"}, `+line("lines", "sku", "qty")))
	p.write("schemas/east.v1.json", pairSchema("east", `"id": {"type": "integer"}, "ext": {"type": ["string", "null"]}, "rv": {"type": "integer"}, "num": {"type": "string"}, "party": {"type": ["string", "null"]}, "amount": {"type": "number"}, `+line("rows", "item", "quantity")))
	p.write("schemas/canon.v1.json", pairSchema("canon", `"no": {"type": "string"}, "party": {"type": ["string", "null"]}, "total": {"type": "number"}, `+line("lines", "sku", "quantity")))
	open := func(name string, ddl ...string) *sql.DB {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(p.dir, name)+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		for _, q := range ddl {
			execSQL(t, db, q)
		}
		return db
	}
	west = open("west.db", "CREATE TABLE orders (id INTEGER PRIMARY KEY, no TEXT, who TEXT, total TEXT, changed INTEGER)",
		"CREATE TABLE order_lines (order_id INTEGER, line INTEGER, sku TEXT, qty TEXT, PRIMARY KEY (order_id, line))")
	east = open("east.db", "CREATE TABLE sales (id INTEGER PRIMARY KEY, ext TEXT UNIQUE, rv INTEGER DEFAULT 1, num TEXT, party TEXT, amount TEXT)",
		"CREATE TABLE sales_lines (sale_id INTEGER, line INTEGER, item TEXT, quantity TEXT, PRIMARY KEY (sale_id, line))",
		"CREATE TRIGGER stamp AFTER INSERT ON sales WHEN NEW.rv = 1 BEGIN UPDATE sales SET rv = NEW.id WHERE id = NEW.id; END")
	return p, west, east
}

// ran has a reconciliation run and gives how it ended, with what it found.
func ran(t *testing.T, hub *Hub, name string, o state.CompareOptions) (state.Comparison, []state.Difference) {
	t.Helper()
	return made(t, hub, state.Comparison{Kind: state.RunReconciliation, Name: name, Options: o})
}

// made has a run made that a person wants.
func made(t *testing.T, hub *Hub, c state.Comparison) (state.Comparison, []state.Difference) {
	t.Helper()
	c.Trigger, c.Who = state.TriggerPerson, "ann"
	run, fresh, err := hub.store.WantComparison(t.Context(), c)
	if err != nil || !fresh {
		t.Fatal(run, fresh, err)
	}
	hub.comparing.wake()
	await(t, "the run", func() bool {
		if run, err = hub.store.ComparisonByID(t.Context(), run.ID); err != nil {
			t.Fatal(err)
		}
		return run.State.Over()
	})
	diffs, err := hub.store.Differences(t.Context(), state.DifferenceFilter{Run: run.ID, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return run, diffs
}

// TestDriftIsFoundAndRepaired: twelve kinds of drift, made past the hub, are found, each with its reason; nothing else is. What can be repaired is.
func TestDriftIsFoundAndRepaired(t *testing.T) {
	t.Parallel()
	p, west, east := pairProject(t)
	for i := 1; i <= 40; i++ {
		execSQL(t, west, "INSERT INTO orders VALUES (?, ?, ?, ?, ?)", i, fmt.Sprintf("SO-%02d", i), fmt.Sprintf("party %d", i), fmt.Sprintf("%d.50", 100+i), i)
		execSQL(t, west, "INSERT INTO order_lines VALUES (?, 1, 'A', '2'), (?, 2, 'B', '3')", i, i)
	}
	hub := p.start(io.Discard)
	await(t, "everything in the east", func() bool { return countSQL(t, east, "SELECT COUNT(*) FROM sales") == 40 })
	execSQL(t, west, "INSERT INTO orders VALUES (41, 'SO-41', 'the last one, which polls read again and again', '1', 41)")
	await(t, "the last one in the east", func() bool { return countSQL(t, east, "SELECT COUNT(*) FROM sales") == 41 })
	rest(t, hub)
	if run, diffs := ran(t, hub, "orders", state.CompareOptions{}); run.State != state.RunAgreed || run.Summary.Compared != 41 || run.Summary.Equal != 41 || len(diffs) != 0 {
		t.Fatalf("before there is drift: %+v %+v", run, diffs)
	}
	at := func(no string) (id int) { return countSQL(t, east, "SELECT id FROM sales WHERE num = '"+no+"'") }
	want := map[string][2]string{} // by order: kind and reason
	drift := func(no, kind, reason string, db *sql.DB, q string, args ...any) {
		t.Helper()
		execSQL(t, db, q, args...)
		if kind != "" {
			want[no] = [2]string{kind, reason}
		}
	}
	drift("SO-01", state.DiffDifferent, state.ReasonEditedLeft, west, "UPDATE orders SET who = 'someone' WHERE id = 1")
	drift("SO-02", state.DiffDifferent, state.ReasonEditedRight, east, "UPDATE sales SET party = 'someone' WHERE num = 'SO-02'")
	drift("SO-03", "", "", west, "UPDATE orders SET who = 'left' WHERE id = 3")
	drift("SO-03", state.DiffDifferent, state.ReasonEditedBoth, east, "UPDATE sales SET party = 'right' WHERE num = 'SO-03'")
	drift("SO-04", state.DiffDifferent, state.ReasonEditedRight, east, "UPDATE sales SET party = NULL WHERE num = 'SO-04'")
	drift("SO-05", "", "", west, "DELETE FROM order_lines WHERE order_id = 5")
	drift("SO-05", state.DiffMissingLeft, state.ReasonDeletedLeft, west, "DELETE FROM orders WHERE id = 5")
	drift("SO-06", state.DiffMissingRight, state.ReasonDeletedRight, east, "DELETE FROM sales WHERE num = 'SO-06'")
	drift("SO-99", state.DiffMissingLeft, state.ReasonCreatedRight, east, "INSERT INTO sales (id, rv, num, party, amount) VALUES (900, -1, 'SO-99', 'x', '1')")
	drift("SO-98", state.DiffMissingRight, state.ReasonCreatedLeft, west, "INSERT INTO orders VALUES (800, 'SO-98', 'x', '1', -5)")
	drift("SO-08", state.DiffDoubledRight, state.ReasonDoubled, east, "INSERT INTO sales (id, rv, num, party, amount) VALUES (901, -1, 'SO-08', 'party 8', '108.50')")
	drift("SO-09", state.DiffDifferent, state.ReasonEditedRight, east, "INSERT INTO sales_lines VALUES (?, 3, 'C', '1')", at("SO-09"))
	drift("SO-10", state.DiffDifferent, state.ReasonEditedRight, east, "DELETE FROM sales_lines WHERE line = 2 AND sale_id = ?", at("SO-10"))
	drift("SO-11", state.DiffDifferent, state.ReasonEditedRight, east, "UPDATE sales_lines SET quantity = '4' WHERE line = 2 AND sale_id = ?", at("SO-11"))
	drift("SO-12", state.DiffDifferent, state.ReasonRounding, east, "UPDATE sales SET amount = '112.51' WHERE num = 'SO-12'")

	drift("SO-13", state.DiffDifferent, state.ReasonEditedRight, east, "UPDATE sales SET party = 'read by the hub', rv = 500 WHERE num = 'SO-13'")

	found := func(diffs []state.Difference) map[string][2]string {
		got := map[string][2]string{}
		for _, d := range diffs {
			if got[d.Key] != [2]string{} {
				t.Errorf("%s is named twice", d.Key)
			}
			got[d.Key] = [2]string{d.Kind, d.Reason}
		}
		return got
	}
	run, diffs := ran(t, hub, "orders", state.CompareOptions{})
	if got := found(diffs); !maps.Equal(got, want) {
		for _, no := range slices.Sorted(maps.Keys(got)) {
			if got[no] != want[no] {
				t.Errorf("%s: %v, want %v", no, got[no], want[no])
			}
		}
		for no := range want {
			if got[no] == [2]string{} {
				t.Errorf("%s: not found, want %v", no, want[no])
			}
		}
	}
	if s := &run.Summary; run.State != state.RunDrift || s.Drift() != int64(len(want)) || s.Compared != 43 || s.NotCompared != 0 || len(s.Explained) != 0 {
		t.Errorf("%s %+v", run.State, s)
	}
	run, diffs = ran(t, hub, "orders", state.CompareOptions{Repair: true, Deletes: true})
	left := map[string]string{}
	for _, d := range diffs {
		if d.Repair != state.RepairRepaired {
			left[d.Key] = d.Repair + ": " + d.RepairDetail
		}
	}
	if run.State != state.RunDrift || run.Summary.Repaired != int64(len(want)-2) || len(left) != 2 || !strings.Contains(left["SO-99"], "never seen") || !strings.Contains(left["SO-08"], "person") {
		t.Errorf("repaired: %s %+v, left %v", run.State, run.Summary, left)
	}
	execSQL(t, east, "DELETE FROM sales WHERE id IN (900, 901)")
	if run, diffs := ran(t, hub, "orders", state.CompareOptions{}); run.State != state.RunAgreed || len(diffs) != 0 {
		t.Errorf("afterwards: %+v %+v", run, diffs)
	}
	if st := rest(t, hub); st.Totals.Unaccounted != 0 || st.Totals.Parked != 0 {
		t.Errorf("totals %+v", st.Totals)
	}
}

func countSQL(t *testing.T, db *sql.DB, q string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), q).Scan(&n); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return n
}
