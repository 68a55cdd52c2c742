package app

import (
	"database/sql"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the till's database

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

const tillFlow = `flow: sales
entity: order
from:
  system: till
  poll: {object: sale, every: 1h, overlap: 0s%s}
key: source.no
%s
map: orders
accept: order.v1
to: {topic: canonical.order}
`

// till adds a database that is polled to the project.
func till(t *testing.T, p *project, more, expressions string) *sql.DB {
	t.Helper()
	path := filepath.Join(p.dir, "till.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	execSQL(t, db, "CREATE TABLE sale (id INTEGER PRIMARY KEY, no TEXT, seq INTEGER, at TEXT)")
	p.edit("configs/waybill.yaml", "  erp:\n", "  till:\n    connector: sql\n    driver: sqlite\n    path: "+path+"\n    objects: {sale: {table: sale, version: at, columns: {id: integer, no: text, seq: integer, at: timestamp}}}\n  erp:\n")
	p.write("flows/sales.yaml", strings.Replace(strings.Replace(tillFlow, "%s", more, 1), "%s", expressions, 1))
	p.edit("schemas/order.v1.json", `"by":`, `"id": {"type": "integer"}, "at": {"type": ["string", "null"]}, "by":`)
	return db
}

func execSQL(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

// TestRewindOfAHub: what was missed comes after a rewind, and once; flows that do not poll are refused by name with what to do.
func TestRewindOfAHub(t *testing.T) {
	g := newTarget(t)
	p := newProject(t, g.URL)
	db := till(t, p, "", "version: source.at")
	execSQL(t, db, "INSERT INTO sale VALUES (1, 'A', 1, '2026-03-01T10:00:00.000Z'), (2, 'B', 1, '2026-03-01T12:00:00.000Z')")
	hub := p.start(io.Discard)
	await(t, "what is there", func() bool { return len(g.newest(t)) == 2 })
	execSQL(t, db, "INSERT INTO sale VALUES (3, 'C', 1, '2026-03-01T11:00:00.000Z')") // committed late
	hub.intake.ReadNow("sales")
	st := rest(t, hub)
	if got := g.newest(t); len(got) != 2 {
		t.Fatalf("the late one was not missed: %v", got)
	}
	before := g.writes
	done, err := hub.Rewind(t.Context(), "sales", api.RewindRequest{To: "2026-03-01T10:30:00Z", Note: "a late commit"}, "ann")
	if err != nil || done.State != "asked" || !strings.Contains(done.Text, "from 2026-03-01T10:30:00Z, less the overlap") {
		t.Fatalf("%+v %v", done, err)
	}
	await(t, "what was missed", func() bool { return g.newest(t)["C"].Seq == 1 })
	again := rest(t, hub)
	if g.writes != before+1 || again.Totals.Accepted-st.Totals.Accepted != 2 || again.Totals.Unaccounted != 0 { // one event of two flows
		t.Errorf("%d writes, accepted %d and before %d", g.writes-before, again.Totals.Accepted, st.Totals.Accepted)
	}
	audits, err := hub.Audits(t.Context(), 1)
	if err != nil || len(audits) != 1 || audits[0].Action != "rewind" || audits[0].Who != "ann" || audits[0].Object != "flow/sales" || audits[0].Detail != "to 2026-03-01T10:30:00Z: a late commit" {
		t.Errorf("audit %+v %v", audits, err)
	}
	for _, refused := range []struct{ flow, to, says string }{
		{"orders", "start", "flow orders cannot be rewound, because only flows that poll can: shop calls it (webhook): let shop send again what is missing"},
		{"orders-to-erp", "start", "flow orders-to-erp cannot be rewound, because only flows that poll can: it reads the topic canonical.order, where nothing that was written is missed; do it with a flow that polls for it: sales"},
		{"sales", "2026-03-01T10:30:00", "flow sales cannot be rewound to 2026-03-01T10:30:00: till: rewind sale: 2026-03-01T10:30:00 is no time with a zone"},
		{"sales", "2036-03-01T10:30:00Z", "would leave out what lies between"},
	} {
		_, err := hub.Rewind(t.Context(), refused.flow, api.RewindRequest{To: refused.to}, "ann")
		var invalid *api.Invalid
		if !errors.As(err, &invalid) || !strings.Contains(invalid.Detail, refused.says) {
			t.Errorf("%s to %s: %v, want %q", refused.flow, refused.to, err, refused.says)
		}
	}
	if _, err := hub.Rewind(t.Context(), "nobody", api.RewindRequest{To: "start"}, "ann"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("an unknown flow: %v", err)
	}
}
