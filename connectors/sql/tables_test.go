package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestProblems(t *testing.T) { connectortest.Problems(t, Kind{}, "testdata/problems") }

func write(t *testing.T, db *database, action connector.Action, local, doc string) (connector.Result, error) {
	t.Helper()
	return db.Write(t.Context(), connector.Write{Object: "x", Action: action, Local: local, External: "e-" + doc[:min(len(doc), 12)], Doc: []byte(doc), IdempotencyKey: "k-" + doc})
}

func mustWrite(t *testing.T, db *database, action connector.Action, local, doc string) connector.Result {
	t.Helper()
	r, err := write(t, db, action, local, doc)
	if err != nil {
		t.Fatalf("%s %s: %v", action, doc, err)
	}
	return r
}

func docIs(t *testing.T, got []byte, want string) {
	t.Helper()
	g, err := jsondoc.Parse(got, jsondoc.Limits{})
	if err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	w, _ := jsondoc.Parse([]byte(want), jsondoc.Limits{})
	if !g.Root().Equal(w.Root()) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// Money that a column cannot hold is refused, not rounded; what a trigger computes anew is the database's business.
func TestAmountsAreExact(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, amount numeric(20,2), line_total numeric(20,2))")
		db := open(t, p, "objects: {x: {table: x, columns: {id: integer, amount: decimal, line_total: decimal}}}")
		for i, amount := range []string{"0.30", "-12.50", "0", "99999999.99"} {
			r := mustWrite(t, db, connector.Create, "", fmt.Sprintf(`{"id":%d,"amount":%s}`, i, amount))
			docIs(t, r.Doc, fmt.Sprintf(`{"id":%d,"amount":%s,"line_total":null}`, i, amount))
		}
		bad := "123456789012345678.12" // numeric affinity makes it a float
		if p.kind != "sqlite" {
			bad = "1.005" // the scale rounds it
		}
		_, err := write(t, db, connector.Create, "", `{"id":90,"amount":`+bad+`}`)
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "exactly") {
			t.Errorf("%v", err)
		}
		if n := p.text(t, "SELECT count(*) FROM x WHERE id = 90"); n != "0" {
			t.Error("it was written all the same")
		}
		p.exec(t, map[string]string{
			"sqlite":   "CREATE TRIGGER sum AFTER INSERT ON x BEGIN UPDATE x SET line_total = NEW.amount * 3 WHERE id = NEW.id; END",
			"postgres": "CREATE FUNCTION total() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.line_total = NEW.amount * 3; RETURN NEW; END'",
			"mysql":    "CREATE TRIGGER sum BEFORE INSERT ON x FOR EACH ROW SET NEW.line_total = NEW.amount * 3",
		}[p.kind])
		if p.kind == "postgres" {
			p.exec(t, "CREATE TRIGGER sum BEFORE INSERT ON x FOR EACH ROW EXECUTE FUNCTION total()")
		}
		r := mustWrite(t, db, connector.Create, "", `{"id":91,"amount":2,"line_total":1}`)
		docIs(t, r.Doc, `{"id":91,"amount":2,"line_total":6}`)
	})
}

func TestTextDecimalsKeepEveryDigit(t *testing.T) {
	p := newSQLite(t)
	p.exec(t, "CREATE TABLE x (id text PRIMARY KEY, amount text)")
	db := open(t, p, "objects: {x: {table: x, columns: {id: text, amount: decimal}}}")
	r := mustWrite(t, db, connector.Create, "", `{"id":"007","amount":123456789012345678901234567890.1200}`)
	if !strings.Contains(string(r.Doc), `"amount":123456789012345678901234567890.1200`) || r.Local != "007" {
		t.Errorf("%s %s", r.Local, r.Doc)
	}
}

func TestMergeKeepsForeignColumns(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.tables(t)
		db := open(t, p, strings.Replace(orders, "  order:", "  x:", 1))
		r := mustWrite(t, db, connector.Create, "", `{"code":"A","lines":[{"line_no":1,"sku":"a","quantity":1},{"line_no":2,"sku":"b","quantity":2}],"notes":[{"seq":1,"body":"n"}]}`)
		p.exec(t, "UPDATE order_lines SET picked = 5")
		mustWrite(t, db, connector.Update, r.Local, `{"lines":[{"line_no":3,"sku":"c","quantity":3},{"line_no":2,"sku":"b","quantity":9}]}`)
		got := p.text(t, map[string]string{
			"sqlite":   "SELECT group_concat(line_no || ':' || quantity || ':' || picked) FROM (SELECT * FROM order_lines ORDER BY line_no)",
			"postgres": "SELECT string_agg(line_no || ':' || trim_scale(quantity) || ':' || picked, ',' ORDER BY line_no) FROM order_lines",
			"mysql":    "SELECT group_concat(line_no || ':' || CAST(quantity AS SIGNED) || ':' || picked ORDER BY line_no) FROM order_lines",
		}[p.kind])
		if got != "2:9:5,3:3:0" {
			t.Errorf("%s", got)
		}
		if n := p.text(t, "SELECT count(*) FROM notes"); n != "1" {
			t.Error("a list that the document does not hold was touched")
		}
		mustWrite(t, db, connector.Update, r.Local, `{"lines":[],"notes":null}`)
		if n := p.text(t, "SELECT (SELECT count(*) FROM notes) + (SELECT count(*) FROM order_lines)"); n != "0" {
			t.Errorf("%s rows are left of empty lists", n)
		}
		for _, bad := range []string{`{"lines":[{"sku":"a"}]}`, `{"lines":[{"line_no":1,"sku":"a"},{"line_no":1,"sku":"b"}]}`, `{"lines":[7]}`, `{"lines":[{"line_no":1,"sku":"a","colour":"red"}]}`} {
			if _, err := write(t, db, connector.Update, r.Local, bad); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s: %v", bad, err)
			}
		}
	})
}

// A failure in the children leaves nothing of the header.
func TestOneTransaction(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.tables(t)
		db := open(t, p, strings.Replace(orders, "  order:", "  x:", 1))
		if _, err := write(t, db, connector.Create, "", `{"code":"A","lines":[{"line_no":1,"sku":null}]}`); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%v", err)
		}
		if n := p.text(t, "SELECT count(*) FROM orders"); n != "0" {
			t.Errorf("%s headers without lines", n)
		}
	})
}

func TestInterfaceTable(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		id := "INTEGER PRIMARY KEY AUTOINCREMENT"
		if p.kind == "postgres" {
			id = "bigserial PRIMARY KEY"
		}
		key := "text"
		if p.kind == "mysql" {
			id, key = "bigint AUTO_INCREMENT PRIMARY KEY", "varchar(100)"
		}
		p.exec(t, "CREATE TABLE order_in (id "+id+", ext text, sku text, status text, op text, ref text, change_key "+key+" UNIQUE)")
		db := open(t, p, `objects:
  x:
    table: order_in
    generated: true
    external-id: ext
    columns: {id: integer, ext: text, sku: text}
    interface: {status: status, value: NEW, operation: op, reference: ref, idempotency-key: change_key}
`)
		first := mustWrite(t, db, connector.Create, "", `{"sku":"007"}`)
		again := mustWrite(t, db, connector.Create, "", `{"sku":"007"}`)
		if first.Local != again.Local {
			t.Errorf("the same change was taken twice: %s and %s", first.Local, again.Local)
		}
		if r := mustWrite(t, db, connector.Update, "ERP-1", `{"sku":"008"}`); r.Local != "ERP-1" {
			t.Errorf("%+v", r)
		}
		mustWrite(t, db, connector.Update, "ERP-1", `{"sku":"008"}`)
		mustWrite(t, db, connector.Delete, "ERP-1", ``)
		got := p.text(t, map[string]string{
			"sqlite":   "SELECT group_concat(coalesce(sku,'-') || ' ' || status || ' ' || op || ' ' || coalesce(ref,'-')) FROM (SELECT * FROM order_in ORDER BY id)",
			"postgres": "SELECT string_agg(coalesce(sku,'-') || ' ' || status || ' ' || op || ' ' || coalesce(ref,'-'), ',' ORDER BY id) FROM order_in",
			"mysql":    "SELECT group_concat(coalesce(sku,'-') || ' ' || status || ' ' || op || ' ' || coalesce(ref,'-') ORDER BY id) FROM order_in",
		}[p.kind])
		if got != "007 NEW create -,008 NEW update ERP-1,- NEW delete ERP-1" {
			t.Errorf("%s", got)
		}
	})
}

// All the ways in which a version is kept: every change is seen, and quiet is quiet.
func TestVersions(t *testing.T) {
	cases := []struct {
		name, typ, lite, pg string
		values              [4]string // of rows 1 to 3, and of row 2 when it is changed
		public              string    // row 1's version as others see it
	}{
		{"number", "integer", "integer", "bigint", [4]string{"9", "10", "10", "11"}, "9"},
		{"unix", "unix", "integer", "bigint", [4]string{"1767225600", "1767225600", "1767225601", "1767225601"}, "2026-01-01T00:00:00Z"},
		{"unix-ms", "unix-ms", "integer", "bigint", [4]string{"1767225600001", "1767225600001", "1767225600002", "1767225600002"}, "2026-01-01T00:00:00.001Z"},
		{"timestamp", "timestamp", "text", "timestamptz",
			[4]string{"'2026-01-01T00:00:00.5Z'", "'2026-01-01T00:00:00.5Z'", "'2026-01-01T00:00:00.7Z'", "'2026-01-01T00:00:00.7Z'"}, "2026-01-01T00:00:00.5Z"},
		{"local", "local-timestamp", "datetime", "timestamp",
			[4]string{"'2026-01-01 08:00:00'", "'2026-01-01 08:00:00'", "'2026-01-01 08:00:01'", "'2026-01-01 08:00:01'"}, "2026-01-01T00:00:00Z"},
		{"offset", "timestamp", "text", "timestamptz",
			[4]string{"'2026-01-01 00:00:00+00:00'", "'2026-01-01 00:00:00+00:00'", "'2026-01-01 00:00:01+00:00'", "'2026-01-01 00:00:01+00:00'"}, "2026-01-01T00:00:00Z"},
	}
	for _, tc := range cases {
		for kind, make := range places {
			t.Run(tc.name+" "+kind, func(t *testing.T) {
				p := make(t)
				typ := tc.lite
				switch kind {
				case "postgres":
					typ = tc.pg
				case "mysql":
					typ = strings.NewReplacer("timestamptz", "datetime(3)", "timestamp", "datetime").Replace(tc.pg)
				}
				p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v "+typ+", made "+typ+")")
				p.exec(t, fmt.Sprintf("INSERT INTO x VALUES (1, NULL, %s), (2, %s, NULL), (3, %s, %s)", tc.values[0], tc.values[1], tc.values[2], tc.values[0]))
				db := open(t, p, "zone: Asia/Shanghai\nobjects: {x: {table: x, version: v, version-else: made, columns: {id: integer, v: "+tc.typ+", made: "+tc.typ+"}}}")
				now := time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC)
				db.clock = testClock{lifecycle.Real(), func() time.Time { return now }}
				cursor := ""
				poll := func(want string) {
					t.Helper()
					var got []string
					for {
						page, err := db.Poll(t.Context(), connector.PollRequest{Object: "x", Cursor: cursor, Limit: 2})
						if err != nil {
							t.Fatal(err)
						}
						for _, r := range page.Records {
							got = append(got, r.Local)
							if r.Local == "1" && r.Version != tc.public {
								t.Errorf("version %q, want %q", r.Version, tc.public)
							}
						}
						if cursor = page.Cursor; !page.More {
							break
						}
					}
					if strings.Join(got, " ") != want {
						t.Errorf("got %v, want %s", got, want)
					}
				}
				poll("1 2 3")
				poll("")
				p.exec(t, "UPDATE x SET v = "+tc.values[3]+" WHERE id = 2")
				poll("2")
				now = now.Add(time.Minute)
				poll("")
				poll("")
				if len(cursor) > 200 {
					t.Errorf("the cursor does not settle: %s", cursor)
				}
			})
		}
	}
}

// Numbers of a sequence become visible out of order.
func TestLookback(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v integer)")
		db := open(t, p, "objects: {x: {table: x, version: v, lookback: 100, columns: {id: integer, v: integer}}}")
		p.exec(t, "INSERT INTO x VALUES (1, 500)")
		first, err := db.Poll(t.Context(), connector.PollRequest{Object: "x"})
		if err != nil || len(first.Records) != 1 {
			t.Fatalf("%v %v", first, err)
		}
		p.exec(t, "INSERT INTO x VALUES (2, 450)")
		second, err := db.Poll(t.Context(), connector.PollRequest{Object: "x", Cursor: first.Cursor})
		if err != nil || len(second.Records) != 1 || second.Records[0].Local != "2" {
			t.Errorf("%v %v", second, err)
		}
	})
}

// Somebody else holds the lock: nothing was applied.
func TestLocked(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.tables(t)
		db := open(t, p, "timeout: 300ms\n"+strings.Replace(orders, "  order:", "  x:", 1))
		r := mustWrite(t, db, connector.Create, "", `{"code":"A"}`)
		tx, err := p.db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		if _, err := tx.Exec("UPDATE orders SET name = 'mine'"); err != nil {
			t.Fatal(err)
		}
		_, err = write(t, db, connector.Update, r.Local, `{"name":"hub"}`)
		if fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%v", err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, db, connector.Update, r.Local, `{"name":"hub"}`)
	})
}

// Another program is writing: the hub waits for its turn and then writes, instead of failing on what it has read before.
func TestWaitsForAnotherWriter(t *testing.T) {
	p := newSQLite(t)
	p.tables(t)
	db := open(t, p, strings.Replace(orders, "  order:", "  x:", 1))
	tx, err := p.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("INSERT INTO orders (code) VALUES ('theirs')"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	time.AfterFunc(100*time.Millisecond, func() { done <- tx.Commit() }) // within what the hub waits for a lock
	mustWrite(t, db, connector.Create, "", `{"code":"ours"}`)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestFindBy(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, a text, n integer, day date)")
		p.exec(t, "INSERT INTO x VALUES (1, 'a', 1, '2026-01-01'), (2, 'a', 2, '2026-01-01'), (10, 'b', 2, NULL)")
		db := open(t, p, "objects: {x: {table: x, columns: {id: integer, a: text, n: integer, day: date}}}")
		for _, tc := range []struct {
			by   map[string]string
			want int
		}{
			{map[string]string{"a": "a"}, 2}, {map[string]string{"a": "a", "n": "2"}, 1}, {map[string]string{"n": "two"}, 0},
			{map[string]string{"day": "2026-01-01"}, 2}, {map[string]string{"day": "1.1.2026"}, 0}, {map[string]string{"a": "' OR 1=1 --"}, 0},
		} {
			got, err := db.Find(t.Context(), connector.Lookup{Object: "x", Natural: tc.by})
			if err != nil || len(got) != tc.want {
				t.Errorf("%v: %d, want %d: %v", tc.by, len(got), tc.want, err)
			}
		}
		for _, l := range []connector.Lookup{{External: "e"}, {Natural: map[string]string{"colour": "red"}}} {
			l.Object = "x"
			if _, err := db.Find(t.Context(), l); !errors.Is(err, connector.ErrNoLookup) {
				t.Errorf("%+v: %v", l, err)
			}
		}
		if _, err := db.Find(t.Context(), connector.Lookup{Object: "x"}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%v", err)
		}
	})
}

func TestCancelledWaitForTheWriter(t *testing.T) {
	p := newSQLite(t)
	p.tables(t)
	db := open(t, p, orders)
	defer db.changes.Hold()() // another change is under way
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := db.Write(ctx, connector.Write{Object: "order", Action: connector.Create, Doc: []byte(`{"code":"A"}`)})
	if !errors.Is(err, context.Canceled) || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestStamps(t *testing.T) {
	zone := time.FixedZone("", 8*3600)
	for raw, want := range map[string]string{
		"2026-01-01T00:00:00Z":             "2026-01-01T00:00:00Z 2025-12-31T23:59:59Z",
		"2026-01-01T00:00:00.120Z":         "2026-01-01T00:00:00.12Z 2025-12-31T23:59:59.120Z",
		"2026-01-01 00:00:00":              "2025-12-31T16:00:00Z 2025-12-31 23:59:59",
		"2026-01-01 00:00:00.123456+00":    "2026-01-01T00:00:00.123456Z 2025-12-31 23:59:59.123456+00",
		"2026-01-01 00:00:00+05:30":        "2025-12-31T18:30:00Z 2025-12-31 23:59:59+05:30",
		"2026-01-01T00:00:00.5+00:00":      "2026-01-01T00:00:00.5Z 2025-12-31T23:59:59.5+00:00",
		"2026-01-02":                       "2026-01-01T16:00:00Z 2026-01-01",
		"yesterday":                        "none",
		"2026-01-01 00:00:00 +0000 UTC m=": "none",
	} {
		got := "none"
		if at, layout, ok := parseStamp(raw, zone); ok {
			got = at.UTC().Format(time.RFC3339Nano) + " " + at.Add(-time.Second).Format(layout)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

// What identifies no row is not changed, and not deleted.
func TestIDOfSeveralRows(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer, n integer)")
		p.exec(t, "INSERT INTO x VALUES (1, 1), (1, 2), (2, 3)")
		db := open(t, p, "objects: {x: {table: x, columns: {id: integer, n: integer}}}")
		for _, action := range []connector.Action{connector.Update, connector.Delete} {
			if _, err := write(t, db, action, "1", `{"n":7}`); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "2 rows have the id") {
				t.Errorf("%s: %v", action, err)
			}
		}
		if got := p.text(t, "SELECT count(*) FROM x WHERE n < 7"); got != "3" {
			t.Errorf("%s of 3 rows are as they were", got)
		}
		if _, err := write(t, db, connector.Delete, "2", ""); err != nil {
			t.Error(err)
		}
	})
}

// TestInterfaceOutcome: a change is done when the system has taken its row in, and refused when it has refused it.
func TestInterfaceOutcome(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		id, key := "INTEGER PRIMARY KEY AUTOINCREMENT", "text"
		switch p.kind {
		case "postgres":
			id = "bigserial PRIMARY KEY"
		case "mysql":
			id, key = "bigint AUTO_INCREMENT PRIMARY KEY", "varchar(100)"
		}
		p.exec(t, "CREATE TABLE order_in (id "+id+", ext text, sku text, status text, op text, ref text, msg text, order_no text, change_key "+key+" UNIQUE)")
		p.exec(t, "CREATE TABLE order_in_lines (head integer, n integer, sku text)")
		db := open(t, p, `objects:
  x:
    table: order_in
    generated: true
    external-id: ext
    columns: {id: integer, ext: text, sku: text, status: text, msg: text, order_no: text}
    children: {lines: {table: order_in_lines, parent: head, key: n, columns: {n: integer, sku: text}}}
    interface: {status: status, value: NEW, operation: op, reference: ref, idempotency-key: change_key, done: [OK], failed: [ERR], error: msg, result: order_no, wait: 1s}
`)
		if db.Timeout() != 31*time.Second {
			t.Errorf("a call may take %s", db.Timeout())
		}
		clock := &ticking{Clock: db.clock}
		db.clock = clock
		// work is what the system does when the change has waited for it that many times.
		work := func(after int, statement string) {
			clock.mu.Lock()
			defer clock.mu.Unlock()
			clock.left, clock.do = after, func() {
				if statement != "" {
					p.exec(t, statement)
				}
			}
		}
		write := func(a connector.Action, key, external, local, doc string) (connector.Result, error) {
			return db.Write(t.Context(), connector.Write{Object: "x", Action: a, External: external, Local: local, IdempotencyKey: key, Doc: []byte(doc)})
		}
		find := func(external string) ([]connector.Record, error) {
			return db.Find(t.Context(), connector.Lookup{Object: "x", External: external})
		}

		work(2, "UPDATE order_in SET status = 'OK', order_no = 'SO-1' WHERE status = 'NEW'")
		if r, err := write(connector.Create, "k1", "e1", "", `{"sku":"007","lines":[{"n":1,"sku":"a"}]}`); err != nil || r.Local != "SO-1" || r.Status != "OK" {
			t.Fatalf("%+v %v", r, err)
		}
		if found, err := find("e1"); err != nil || len(found) != 1 || found[0].Local != "SO-1" {
			t.Errorf("%+v %v", found, err)
		}
		if found, err := db.Find(t.Context(), connector.Lookup{Object: "x", Local: "SO-1"}); err != nil || len(found) != 1 {
			t.Errorf("by its id: %+v %v", found, err)
		}

		// What was taken in and comes again, such as after a crash, is not taken in twice.
		work(1, "")
		if r, err := write(connector.Create, "k1", "e1", "", `{"sku":"007","lines":[{"n":1,"sku":"z"}]}`); err != nil || r.Local != "SO-1" {
			t.Errorf("again: %+v %v", r, err)
		}
		if row := p.text(t, "SELECT max(status) FROM order_in") + p.text(t, "SELECT max(sku) FROM order_in_lines"); row != "OKa" {
			t.Errorf("the row was set back: %s", row)
		}

		// Refused: with the system's words. Sent again, changed, the same row is taken in anew.
		work(1, "UPDATE order_in SET status = 'ERR', msg = 'no such article' WHERE status = 'NEW'")
		_, err := write(connector.Create, "k2", "e2", "", `{"sku":"008","lines":[{"n":1,"sku":"b"}]}`)
		if f, _ := fault.As(err); f == nil || f.Kind != fault.Invalid || f.Code != "ERR" || !strings.Contains(err.Error(), "no such article") {
			t.Errorf("%v", err)
		}
		if found, err := find("e2"); err != nil || len(found) != 0 {
			t.Errorf("a refused row is no object: %+v %v", found, err)
		}
		work(1, "UPDATE order_in SET status = 'OK', order_no = 'SO-2' WHERE status = 'NEW'")
		if r, err := write(connector.Create, "k2", "e2", "", `{"sku":"009","lines":[{"n":1,"sku":"c"},{"n":2,"sku":"d"}]}`); err != nil || r.Local != "SO-2" {
			t.Errorf("%+v %v", r, err)
		}
		if n := p.text(t, "SELECT count(*) FROM order_in WHERE sku = '009' AND msg IS NULL") + p.text(t, "SELECT count(*) FROM order_in_lines WHERE sku IN ('c', 'd')") + p.text(t, "SELECT count(*) FROM order_in"); n != "122" {
			t.Errorf("rows: %s", n)
		}

		// Not taken in: nobody knows, also whoever looks, and the same change waits for the same row.
		work(1000, "")
		_, err = write(connector.Create, "k3", "e3", "", `{"sku":"010"}`)
		if fault.KindOf(err) != fault.UnknownOutcome || !strings.Contains(err.Error(), "NEW") {
			t.Errorf("%v", err)
		}
		if _, err := find("e3"); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("a look at a row that waits: %v", err)
		}
		p.exec(t, "UPDATE order_in SET status = 'ERR', msg = 'too late' WHERE status = 'NEW'")
		if _, err := write(connector.Create, "k3", "e3", "", `{"sku":"010"}`); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "too late") {
			t.Errorf("the refusal has not come: %v", err)
		}
		work(1, "UPDATE order_in SET status = 'OK', order_no = 'SO-3' WHERE status = 'NEW'")
		if r, err := write(connector.Create, "k3", "e3", "", `{"sku":"010"}`); err != nil || r.Local != "SO-3" {
			t.Errorf("%+v %v", r, err)
		}
		if n := p.text(t, "SELECT count(*) FROM order_in"); n != "3" {
			t.Errorf("%s rows", n)
		}
		// What was refused stands in nobody's way: another change makes the object.
		work(1, "UPDATE order_in SET status = 'ERR' WHERE status = 'NEW'")
		if _, err := write(connector.Create, "k6", "e6", "", `{"sku":"012"}`); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "no reason") {
			t.Errorf("%v", err)
		}
		work(1, "UPDATE order_in SET status = 'OK', order_no = 'SO-6' WHERE status = 'NEW'")
		if r, err := write(connector.Create, "k7", "e6", "", `{"sku":"012"}`); err != nil || r.Local != "SO-6" {
			t.Errorf("%+v %v", r, err)
		}
		if _, err := write(connector.Create, "k8", "e6", "", `{"sku":"012"}`); !duplicate(err) {
			t.Errorf("a second object: %v", err)
		}

		// Taken in, without the id of what was made: nobody knows what it is.
		p.exec(t, p.numbered("INSERT INTO order_in (ext, status) VALUES (?, 'OK')"), "e9")
		if found, err := find("e9"); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "order_no, the id of what it has made, is empty") {
			t.Errorf("%+v %v", found, err)
		}
		work(1, "UPDATE order_in SET status = 'OK' WHERE status = 'NEW'")
		if r, err := write(connector.Create, "k9", "e10", "", `{"sku":"013"}`); fault.KindOf(err) != fault.UnknownOutcome || !strings.Contains(err.Error(), "order_no, the id of what it has made, is empty") {
			t.Errorf("%+v %v", r, err)
		}

		// Its row is gone while it waits: nobody knows what became of it, and no other row is added before a person has said so.
		work(1, "DELETE FROM order_in WHERE status = 'NEW'")
		if _, err := write(connector.Create, "k10", "e11", "", `{"sku":"014"}`); fault.KindOf(err) != fault.UnknownOutcome || !strings.Contains(err.Error(), "is gone, and nothing says what became of it") {
			t.Errorf("%v", err)
		}
		if _, err := write(connector.Create, "k10", "e11", "", `{"sku":"014"}`); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "that this change made is gone") {
			t.Errorf("%v", err)
		}
		db.scrub.Add("unused-pa55word")
		work(1, "UPDATE order_in SET status = 'ERR', msg = 'login unused-pa55word "+strings.Repeat("x", 265)+"unused-pa55word"+strings.Repeat("y", 50)+"' WHERE status = 'NEW'")
		if _, err := write(connector.Create, "k10", "e11", "", `{"sku":"014"}`); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "refused") ||
			strings.Contains(err.Error(), "unused") || !strings.HasSuffix(err.Error(), "yyy...") {
			t.Errorf("%v", err)
		}

		// Updates and deletes name the object.
		work(1, "UPDATE order_in SET status = 'OK' WHERE status = 'NEW'")
		if r, err := write(connector.Update, "k4", "", "SO-1", `{"sku":"011"}`); err != nil || r.Local != "SO-1" {
			t.Errorf("%+v %v", r, err)
		}
		work(1, "UPDATE order_in SET status = 'ERR', msg = 'is delivered' WHERE status = 'NEW'")
		if _, err := write(connector.Delete, "k5", "", "SO-1", ""); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "is delivered") {
			t.Errorf("%v", err)
		}
	})
}

// TestInterfaceWords: a status that is null says nothing, not even where an empty one does.
func TestInterfaceWords(t *testing.T) {
	it := interfaceTable{Done: []string{""}, Failed: []string{"ERR"}}
	for status, want := range map[sql.NullString]rowState{{}: rowWaits, {Valid: true}: rowTaken, {Valid: true, String: "ERR"}: rowRefused, {Valid: true, String: "err"}: rowWaits} {
		if got := it.judge(status, sql.NullString{}, sql.NullString{}); got.state != want {
			t.Errorf("%+v: %d, want %d", status, got.state, want)
		}
	}
}

// TestInterfaceForgets: what the hub remembers of changes without an outcome is bounded, and the last one is remembered.
func TestInterfaceForgets(t *testing.T) {
	db := &database{}
	for n := range mostAwaited + 1 {
		db.remember(fmt.Sprint(n))
	}
	if n := len(db.awaited.keys); n > mostAwaited || !db.remembers(fmt.Sprint(mostAwaited)) {
		t.Errorf("%d are remembered", n)
	}
}

// TestInterfaceTakenMeanwhile: a refused row that the system takes in all the same, while the change comes again, is the system's, and not set back.
func TestInterfaceTakenMeanwhile(t *testing.T) {
	p := newPostgres(t)
	p.exec(t, "CREATE TABLE order_in (id bigserial PRIMARY KEY, ext text, sku text, status text, order_no text, change_key text UNIQUE)")
	p.exec(t, "CREATE TABLE order_in_lines (head bigint, n integer, sku text)")
	p.exec(t, "INSERT INTO order_in (ext, sku, status, change_key) VALUES ('e1', '007', 'ERR', 'k1')")
	p.exec(t, "INSERT INTO order_in_lines VALUES (1, 1, 'a')")
	db := open(t, p, `objects:
  x:
    table: order_in
    generated: true
    external-id: ext
    columns: {id: integer, ext: text, sku: text, status: text, order_no: text}
    children: {lines: {table: order_in_lines, parent: head, key: n, columns: {n: integer, sku: text}}}
    interface: {status: status, value: NEW, idempotency-key: change_key, done: [OK], failed: [ERR], result: order_no, wait: 1s}
`)
	system, err := p.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer system.Rollback() //nolint:errcheck // it is over by then
	if _, err := system.Exec("UPDATE order_in SET status = 'OK', order_no = 'SO-1'"); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		r   connector.Result
		err error
	}
	got := make(chan answer, 1)
	go func() {
		r, err := db.Write(context.Background(), connector.Write{Object: "x", Action: connector.Create, External: "e1", IdempotencyKey: "k1", Doc: []byte(`{"sku":"008","lines":[{"n":2,"sku":"b"}]}`)})
		got <- answer{r, err}
	}()
	for p.text(t, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE \"order_in\"%'") == "0" {
		select {
		case a := <-got:
			t.Fatalf("the change has not waited for the row: %+v", a)
		default:
		}
	}
	if err := system.Commit(); err != nil {
		t.Fatal(err)
	}
	if a := <-got; a.err != nil || a.r.Local != "SO-1" {
		t.Errorf("%+v", a)
	}
	if row := p.text(t, "SELECT o.sku || ' ' || status || ' ' || n || ' ' || l.sku FROM order_in o, order_in_lines l"); row != "007 OK 1 a" {
		t.Errorf("the row is %s", row)
	}
}

// ticking is a clock that goes on when somebody waits, and does something after a number of waits.
type ticking struct {
	lifecycle.Clock
	mu   sync.Mutex
	now  time.Duration
	left int
	do   func()
}

func (c *ticking) Elapsed() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *ticking) NewTimer(d time.Duration) lifecycle.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += d
	if c.left--; c.left == 0 {
		c.do()
	}
	return c.Clock.NewTimer(0)
}

// TestOutbox: a table into which a system writes what has changed is read as what it is: every row once, in order, also one whose number was taken before
// that of a row that was read already. A payload is the document's, as it stands.
func TestOutbox(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE outbox (seq integer PRIMARY KEY, kind text, ref text, payload text)")
		db := open(t, p, "objects: {x: {table: outbox, id: seq, version: seq, lookback: 10, columns: {seq: integer, kind: text, ref: text, payload: json}}}")
		put := func(seq int, kind, ref string) {
			p.exec(t, p.numbered("INSERT INTO outbox VALUES (?, ?, ?, ?)"), seq, kind, ref, fmt.Sprintf(`{"no":"%s","at":%d}`, ref, seq))
		}
		cursor := ""
		read := func(want ...string) {
			t.Helper()
			var got []string
			for more := true; more; {
				page, err := db.Poll(t.Context(), connector.PollRequest{Object: "x", Cursor: cursor, Limit: 2})
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page.Records {
					got = append(got, string(r.Doc))
				}
				cursor, more = page.Cursor, page.More
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		}
		put(1, "upsert", "A")
		put(3, "upsert", "B")
		put(4, "upsert", "A")
		read(`{"kind":"upsert","payload":{"no":"A","at":1},"ref":"A","seq":1}`, `{"kind":"upsert","payload":{"no":"B","at":3},"ref":"B","seq":3}`, `{"kind":"upsert","payload":{"no":"A","at":4},"ref":"A","seq":4}`)
		read()
		put(2, "delete", "C") // it was committed late
		put(5, "delete", "A")
		read(`{"kind":"delete","payload":{"no":"C","at":2},"ref":"C","seq":2}`, `{"kind":"delete","payload":{"no":"A","at":5},"ref":"A","seq":5}`)
		p.exec(t, "DELETE FROM outbox") // its owner cleans up
		put(6, "upsert", "D")
		read(`{"kind":"upsert","payload":{"no":"D","at":6},"ref":"D","seq":6}`)
	})
}

// TestReadOnly: nothing is written, whoever tries, and reading goes on.
func TestReadOnly(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, name text)")
		p.exec(t, "INSERT INTO x VALUES (1, 'a')")
		yaml := p.head + "read-only: true\nobjects: {x: {table: x, columns: {id: integer, name: text}}}"
		sys, err := Kind{}.Open(t.Context(), settingsOf(t, yaml))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sys.Close() })
		db := sys.(*database)
		if found, err := db.Find(t.Context(), connector.Lookup{Object: "x", Local: "1"}); err != nil || len(found) != 1 {
			t.Errorf("%v %v", found, err)
		}
		for _, a := range []connector.Action{connector.Create, connector.Update, connector.Delete} {
			if _, err := db.Write(t.Context(), connector.Write{Object: "x", Action: a, Local: "1", Doc: []byte(`{"id":2,"name":"b"}`)}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "read-only") {
				t.Errorf("%s: %v", a, err)
			}
		}
		// The database holds to it too, in every one of its sessions.
		if _, err := db.sql.ExecContext(t.Context(), "UPDATE x SET name = 'c'"); err == nil {
			t.Error("the session can write")
		}
		if name := p.text(t, "SELECT name FROM x"); name != "a" {
			t.Errorf("%s", name)
		}
		if !(Kind{}).ReadOnly(settingsOf(t, yaml)) {
			t.Error("the kind does not say so")
		}
	})
}

func duplicate(err error) bool {
	f, ok := fault.As(err)
	return ok && f.Duplicate
}

// TestDocumentedSystems: the systems that docs/sql-systems.md shows are sound.
func TestDocumentedSystems(t *testing.T) {
	page, err := os.ReadFile("../../docs/sql-systems.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ERP", "LEGACY", "SHOP"} {
		t.Setenv(name+"_DATABASE", "placeholder")
	}
	blocks := strings.Split(string(page), "```yaml\n")[1:]
	if len(blocks) < 5 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		var p strictyaml.Problems
		docs := strictyaml.Parse("docs/sql-systems.md", []byte(block), &p)
		for _, f := range docs[0].Fields() {
			Kind{}.Spec().Lint(docs[0].Get(f.Key), &p)
			Kind{}.Check(connector.Settings{Name: f.Key, Node: docs[0].Get(f.Key)}, &p)
		}
		if err := p.Err(); err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
	}
}
