package app

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	t.Parallel()
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
	audits, err := hub.Audits(t.Context(), state.AuditFilter{Limit: 1})
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

// TestSweepOfAHub: a row that was deleted without a trace is deleted in the target, in the order of its key, and what polls have missed comes; by every way
// in which a flow names its objects. Beyond at-most nothing is deleted until a person confirms it.
func TestSweepOfAHub(t *testing.T) {
	t.Parallel()
	for name, expressions := range map[string]string{
		"by key":              "version: source.at",
		"by id":               "id: source.id\nversion: source.at",
		"by id, unversioned":  "id: source.id",
		"by key, unversioned": "",
	} {
		t.Run(name, func(t *testing.T) {
			g := newTarget(t)
			p := newProject(t, g.URL)
			db := till(t, p, `, deletes: {sweep: "0 3 * * *", at-most: "2"}`, expressions)
			p.edit("flows/erp.yaml", "to: {system: erp}", "to: {system: erp, on-delete: delete}")
			for i := range 10 {
				execSQL(t, db, "INSERT INTO sale VALUES (?, ?, 1, ?)", i+1, string(rune('A'+i)), fmt.Sprintf("2026-03-01T10:00:%02d.000Z", i))
			}
			hub := p.start(io.Discard)
			await(t, "what is there", func() bool { return len(g.newest(t)) == 10 })
			rest(t, hub)
			sweep := func(q api.SweepRequest) *api.Flow {
				t.Helper()
				before := flowOf(t, hub, "sales").Sweep
				if _, err := hub.Sweep(t.Context(), "sales", q, "ann"); err != nil {
					t.Fatal(err)
				}
				await(t, "the sweep", func() bool {
					s := flowOf(t, hub, "sales").Sweep
					return s.Finished != nil && (before.Started == nil || s.Started.After(*before.Started))
				})
				rest(t, hub)
				return flowOf(t, hub, "sales")
			}
			if f := flowOf(t, hub, "sales"); f.Sweep == nil || f.Sweep.State != api.SweepNever {
				t.Errorf("before the first sweep: %+v", f.Sweep)
			}
			if f := sweep(api.SweepRequest{}); f.Sweep.State != "ok" || f.Sweep.Text != "10 listed, 0 deleted" || len(g.newest(t)) != 10 {
				t.Fatalf("nothing has changed: %+v", f.Sweep)
			}
			// One is gone; one was committed late, and one changed late: no poll sees them.
			execSQL(t, db, "DELETE FROM sale WHERE id = 1")
			execSQL(t, db, "INSERT INTO sale VALUES (11, 'K', 1, '2026-03-01T09:00:00.000Z')")
			execSQL(t, db, "UPDATE sale SET seq = 2, at = '2026-03-01T10:00:05.500Z' WHERE id = 2")
			f := sweep(api.SweepRequest{})
			got := g.newest(t)
			if _, there := got["A"]; there || got["K"].Seq != 1 || got["B"].Seq != 2 || len(got) != 10 || f.Sweep.State != "ok" || f.Sweep.Deleted != 1 ||
				f.Sweep.Text != "10 listed, 1 deleted, 2 taken that polls had not brought" {
				t.Fatalf("%+v\n%v", f.Sweep, got)
			}
			if trace, err := hub.Trace(t.Context(), "A"); err != nil || len(trace.Objects) != 1 || !trace.Objects[0].Refs[0].Deleted || trace.Objects[0].Refs[1].Deleted == false {
				t.Errorf("the deleted one: %+v %v", trace.Objects, err)
			} else {
				deleted := trace.Journal[0]
				if deleted.Key != "A" || deleted.Outcome != state.Delivered {
					t.Errorf("its delete came under another key: %+v", deleted)
				}
			}
			// Three are gone, and at most two may be.
			execSQL(t, db, "DELETE FROM sale WHERE id IN (4, 5, 6)")
			f = sweep(api.SweepRequest{})
			if f.Sweep.State != api.SweepHeld || f.State != api.StateAttention || len(g.newest(t)) != 10 ||
				!strings.Contains(f.Why, "3 of 10 known objects are missing in till, and at-most is 2: nothing was deleted") || !strings.Contains(f.Why, "waybill sweep sales --at-most 3") {
				t.Fatalf("%+v %s", f.Sweep, f.Why)
			}
			f = sweep(api.SweepRequest{AtMost: "3", Note: "they were tests"})
			if f.Sweep.State != "ok" || f.Sweep.Deleted != 3 || f.State != api.StateRunning || len(g.newest(t)) != 7 {
				t.Fatalf("%+v %s: %v", f.Sweep, f.State, g.newest(t))
			}
			audits, err := hub.Audits(t.Context(), state.AuditFilter{Limit: 1})
			if err != nil || audits[0].Action != "sweep" || audits[0].Who != "ann" || audits[0].Detail != "at most 3: they were tests" {
				t.Errorf("audit %+v %v", audits, err)
			}
			if st := rest(t, hub); st.Totals.Unaccounted != 0 || st.Totals.Parked != 0 || st.Totals.Duplicates != 0 {
				t.Errorf("%+v", st.Totals)
			}
		})
	}
}

// TestSweepIsRefused: by name, with what to do.
func TestSweepIsRefused(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	p := newProject(t, g.URL)
	till(t, p, "", "version: source.at")
	hub := p.start(io.Discard)
	for _, refused := range []struct{ flow, atMost, says string }{
		{"sales", "", "flow sales is not swept: write from.poll.deletes"},
		{"orders", "", "flow orders cannot be swept, because only flows that poll can"},
	} {
		_, err := hub.Sweep(t.Context(), refused.flow, api.SweepRequest{AtMost: refused.atMost}, "ann")
		var invalid *api.Invalid
		if !errors.As(err, &invalid) || !strings.Contains(invalid.Detail, refused.says) {
			t.Errorf("%s: %v, want %q", refused.flow, err, refused.says)
		}
	}
	if _, err := hub.Sweep(t.Context(), "nobody", api.SweepRequest{}, "ann"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("an unknown flow: %v", err)
	}
}

func flowOf(t *testing.T, hub *Hub, name string) *api.Flow {
	t.Helper()
	st, err := hub.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range st.Flows {
		if st.Flows[i].Name == name {
			return &st.Flows[i]
		}
	}
	t.Fatalf("there is no flow %s", name)
	return nil
}

// pages is a service whose list has pages, and whose poll by changed-since sees what its stamps say.
type pages struct {
	*httptest.Server
	mu     sync.Mutex
	orders map[string]map[string]any // by id
	broken bool                      // the second page of a full list is not answered
}

func newPages(t *testing.T) *pages {
	g := &pages{orders: map[string]map[string]any{}}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

func (g *pages) put(id int, no string, seq int, at string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.orders[fmt.Sprintf("%03d", id)] = map[string]any{"id": fmt.Sprintf("%03d", id), "no": no, "seq": seq, "at": at}
}

func (g *pages) drop(id int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.orders, fmt.Sprintf("%03d", id))
}

func (g *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if id, one := strings.CutPrefix(r.URL.Path, "/sales/"); one {
		if o := g.orders[id]; o != nil {
			_ = json.NewEncoder(w).Encode(o) // a test's answer
			return
		}
		http.NotFound(w, r)
		return
	}
	page, since := 1, r.URL.Query().Get("since")
	_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page) // without one it is the first
	if g.broken && since == "" && page == 2 {
		http.Error(w, "no", http.StatusBadGateway)
		return
	}
	items, n := []any{}, 0
	for _, id := range slices.Sorted(maps.Keys(g.orders)) {
		if o := g.orders[id]; since == "" || o["at"].(string) >= since {
			if n++; n > (page-1)*3 && n <= page*3 {
				items = append(items, o)
			}
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"items": items}) // a test's answer
}

// TestSweepOverPages: a service whose list has several pages is swept as a whole or not at all.
func TestSweepOverPages(t *testing.T) {
	t.Parallel()
	g, source := newTarget(t), newPages(t)
	p := newProject(t, g.URL)
	till(t, p, `, deletes: {sweep: "0 3 * * *", at-most: 20%}`, "version: source.at\nid: source.id")
	p.edit("configs/waybill.yaml", "  erp:\n", `  web:
    connector: rest
    url: `+source.URL+`
    objects:
      sale:
        path: /sales
        version: at
        list: {items: items, paging: {style: page, size: 3}, changed-since: {parameter: since}}
  erp:
`)
	p.edit("flows/sales.yaml", "system: till", "system: web")
	p.edit("flows/erp.yaml", "to: {system: erp}", "to: {system: erp, on-delete: delete}")
	p.edit("schemas/order.v1.json", `"id": {"type": "integer"}`, `"id": {"type": "string"}`)
	for i := range 11 {
		source.put(i, fmt.Sprintf("S%d", i), 1, fmt.Sprintf("2026-03-01T10:00:%02dZ", i))
	}
	hub := p.start(io.Discard)
	await(t, "what is there", func() bool { return len(g.newest(t)) == 11 })
	rest(t, hub)
	source.drop(7)
	source.put(99, "late", 1, "2026-03-01T09:00:00Z")
	source.mu.Lock()
	source.broken = true
	source.mu.Unlock()
	if _, err := hub.Sweep(t.Context(), "sales", api.SweepRequest{}, "ann"); err != nil {
		t.Fatal(err)
	}
	await(t, "the sweep to fail", func() bool { return flowOf(t, hub, "sales").Sweep.State == "failed" })
	if got := g.newest(t); got["S7"].Seq != 1 || len(got) != 11 {
		t.Errorf("half a list has decided something: %v", got)
	}
	source.mu.Lock()
	source.broken = false
	source.mu.Unlock()
	hub.intake.Asked("sales")
	if _, err := hub.Sweep(t.Context(), "sales", api.SweepRequest{}, "ann"); err != nil {
		t.Fatal(err)
	}
	await(t, "the sweep", func() bool { got := g.newest(t); return got["late"].Seq == 1 && got["S7"].Seq == 0 })
	if st := rest(t, hub); st.Totals.Unaccounted != 0 || st.Totals.Parked != 0 || len(g.newest(t)) != 11 {
		t.Errorf("%+v: %v", st.Totals, g.newest(t))
	}
}

// TestWishesAreHeard: what another hub was asked is done by the one that reads the source, without waiting for its time, and told once.
func TestWishesAreHeard(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	p := newProject(t, g.URL)
	db := till(t, p, "", "version: source.at") // polls come once an hour
	execSQL(t, db, "INSERT INTO sale VALUES (1, 'A', 1, '2026-03-01T10:00:00.000Z'), (2, 'B', 1, '2026-03-01T12:00:00.000Z')")
	hub := p.start(io.Discard)
	await(t, "what is there", func() bool { return len(g.newest(t)) == 2 })
	execSQL(t, db, "INSERT INTO sale VALUES (3, 'C', 1, '2026-03-01T11:00:00.000Z')")
	if err := hub.store.AskSource(t.Context(), state.SourceWish{Flow: "sales", Kind: state.WishRewind, Detail: "start", Who: "ann"}, "to start"); err != nil {
		t.Fatal(err)
	}
	wishes, err := hub.store.SourceWishes(t.Context(), "")
	if err != nil || len(wishes) != 1 {
		t.Fatalf("%+v %v", wishes, err)
	}
	if heard := hub.followWishes(t.Context(), 0); heard != wishes[0].ID {
		t.Errorf("heard up to %d, want %d", heard, wishes[0].ID)
	}
	await(t, "what was missed", func() bool { return g.newest(t)["C"].Seq == 1 })
	if again := hub.followWishes(t.Context(), wishes[0].ID); again != wishes[0].ID {
		t.Errorf("heard once more: %d", again)
	}
}
