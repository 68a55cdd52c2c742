package sql

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// Whatever the type of the column, how fine it is, and what it holds: a touch makes it greater, and not earlier than the clock, and the token from
// before is of no more use.
func TestTouchedVersionsAreGreater(t *testing.T) {
	at := time.Date(2026, 10, 25, 1, 30, 0, 250e6, time.UTC) // 02:30:00.250 in Berlin, for the second time
	cases := []struct{ typ, lite, pg, stored, next string }{
		{"timestamp", "text", "", "2026-10-25T01:30:00.250Z", "2026-10-25T01:30:00.251Z"},
		{"timestamp", "text", "", "2026-10-25T01:29:59.999Z", "2026-10-25T01:30:00.250Z"},
		{"timestamp", "text", "", "2026-10-25T01:30:00Z", "2026-10-25T01:30:01Z"},
		{"timestamp", "text", "", "2026-10-25 01:30:00", "2026-10-25 01:30:01"},
		{"timestamp", "text", "", "2026-10-25 01:29:59", "2026-10-25 01:30:00"},
		{"timestamp", "text", "", "2026-10-25T01:30:00.5Z", "2026-10-25T01:30:00.6Z"},
		{"timestamp", "text", "", "2026-10-25T01:30:00.250000Z", "2026-10-25T01:30:00.250001Z"},
		{"timestamp", "text", "", "2026-10-25T03:30:00.250+02:00", "2026-10-25T03:30:00.251+02:00"},
		{"timestamp", "text", "", "2062-07-01T00:00:00Z", "2062-07-01T00:00:01Z"},
		{"timestamp", "text", "", "2026-10-25", "2026-10-26"},
		{"timestamp", "text", "", "2026-10-24", "2026-10-25"},
		{"timestamp", "text", "", "2026-10-25T01:30", "2026-10-25T01:31"},
		{"timestamp", "text", "", "long ago", "2026-10-25T01:30:00.250Z"},
		{"local-timestamp", "text", "", "2026-10-25 02:30:00.250", "2026-10-25 02:30:00.251"},
		{"local-timestamp", "text", "", "2026-10-25 02:59:59", "2026-10-25 03:00:00"}, // of the first time: what follows is greater all the same
		{"local-timestamp", "text", "", "2026-10-25 02:10:00", "2026-10-25 02:30:00"},
		{"unix", "integer", "bigint", "1792891800", "1792891801"},
		{"unix", "integer", "bigint", "1", "1792891800"},
		{"unix", "integer", "bigint", "2918851200", "2918851201"},
		{"unix-ms", "integer", "bigint", "1792891800250", "1792891800251"},
		{"integer", "integer", "bigint", "7", "8"},
		{"timestamp", "", "timestamptz", "2026-10-25 01:30:00.25+00", "2026-10-25 01:30:00.26+00"},
		{"timestamp", "", "timestamptz", "2026-10-25 01:30:00.250001+00", "2026-10-25 01:30:00.250002+00"},
		{"timestamp", "", "timestamptz", "2026-10-25 01:30:00+00", "2026-10-25 01:30:01+00"},
		{"timestamp", "", "timestamptz(0)", "2026-10-25 01:30:00+00", "2026-10-25 01:30:01+00"},
		{"timestamp", "", "timestamptz(0)", "2026-10-25 01:29:58+00", "2026-10-25 01:30:00+00"},
		{"timestamp", "", "timestamptz(3)", "2026-10-25 01:30:00.25+00", "2026-10-25 01:30:00.26+00"},
		{"timestamp", "", "timestamptz(3)", "2026-10-25 01:30:00.251+00", "2026-10-25 01:30:00.252+00"},
		{"timestamp", "", "timestamp", "2062-07-01 00:00:00", "2062-07-01 00:00:01"},
		{"timestamp", "", "timestamptz", "infinity", "2026-10-25 01:30:00.25+00"},
		{"timestamp", "", "date", "2026-10-25", "2026-10-26"},
		{"local-timestamp", "", "timestamp(0)", "2026-10-25 02:30:00", "2026-10-25 02:30:01"},
		{"local-timestamp", "", "timestamp", "2026-10-25 02:59:59.999999", "2026-10-25 03:00:00"},
	}
	for _, kind := range []string{"sqlite", "postgres"} {
		p := places[kind](t)
		for i, tc := range cases {
			column := map[string]string{"sqlite": tc.lite, "postgres": tc.pg}[kind]
			if column == "" {
				continue
			}
			touches(t, p, fmt.Sprintf("x%d", i), column, tc.typ, tc.stored, tc.next, at)
		}
	}
}

// touches has a row touched twice: what was stored becomes next, and that something else.
func touches(t *testing.T, p *place, table, column, typ, stored, next string, at time.Time) {
	t.Run(fmt.Sprintf("%s %s %s", p.kind, column, stored), func(t *testing.T) {
		p.exec(t, fmt.Sprintf("CREATE TABLE %s (id integer PRIMARY KEY, name text, v %s)", table, column))
		p.exec(t, fmt.Sprintf("INSERT INTO %s VALUES (1, 'a', '%s')", table, stored))
		db := open(t, p, "zone: Europe/Berlin\nobjects: {x: {table: "+table+", version: v, touch: true, columns: {id: integer, name: text, v: "+typ+"}}}")
		stop(db, at)
		w := connector.Write{Object: "x", Action: connector.Update, Local: "1", ETag: stored, Doc: []byte(`{"name":"b"}`)}
		r, err := db.Write(t.Context(), w)
		if stored == "infinity" || stored == "long ago" {
			// What is no time is not compared; the next version is one.
		} else if err != nil || r.ETag != next {
			t.Fatalf("%q %v, want %q", r.ETag, err, next)
		}
		if got := p.text(t, "SELECT "+p.asText("v")+" FROM "+table); got != next && p.kind != "postgres" {
			t.Errorf("the column holds %q, want %q", got, next)
		}
		w.Doc = []byte(`{"name":"c"}`)
		if _, err := db.Write(t.Context(), w); fault.KindOf(err) != fault.Conflict {
			t.Errorf("the token from before is taken again: %v", err)
		}
	})
}

// Where the form of a text ends, nothing is greater: said, not turned back to the present.
func TestNoVersionAfterTheLast(t *testing.T) {
	p := newSQLite(t)
	p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, name text, v text)")
	p.exec(t, "INSERT INTO x VALUES (1, 'a', '9999-12-31T23:59:59.999Z')")
	db := open(t, p, "objects: {x: {table: x, version: v, touch: true, columns: {id: integer, name: text, v: timestamp}}}")
	if _, err := write(t, db, connector.Update, "1", `{"name":"b"}`); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "9999-12-31T23:59:59.999Z") {
		t.Errorf("%v", err)
	}
}

// New rows take the form of those that are there; version-else is what a row without a version is guarded by.
func TestFormOfNewRows(t *testing.T) {
	at := time.Date(2026, 10, 25, 1, 30, 0, 250e6, time.UTC)
	p := newSQLite(t)
	p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, name text, made text, v text)")
	db := open(t, p, "objects: {x: {table: x, version: v, version-else: made, touch: true, columns: {id: integer, name: text, made: timestamp, v: timestamp}}}")
	stop(db, at)
	mustWrite(t, db, connector.Create, "", `{"id":1}`)
	p.exec(t, "DELETE FROM x")
	p.exec(t, "INSERT INTO x VALUES (2, 'a', '2026-10-25 01:30:00', NULL)")
	if r := mustWrite(t, db, connector.Create, "", `{"id":3}`); r.ETag != "2026-10-25T01:30:00.250Z" {
		t.Errorf("nothing to go by: %s", r.ETag)
	}
	if r, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Update, Local: "2", ETag: "2026-10-25 01:30:00", Doc: []byte(`{"name":"b"}`)}); err != nil || r.ETag != "2026-10-25 01:30:01" {
		t.Errorf("%s %v", r.ETag, err)
	}
	p.exec(t, "DELETE FROM x WHERE id = 3")
	if r := mustWrite(t, db, connector.Create, "", `{"id":4}`); r.ETag != "2026-10-25 01:30:00" {
		t.Errorf("the form of the rows: %s", r.ETag)
	}
}

// A text that follows another is greater as a time and as a text, in its form, and no earlier than the clock but for what the form cannot show.
func TestAfter(t *testing.T) {
	layouts := []string{"2006-01-02T15:04:05Z", "2006-01-02T15:04:05.0Z", "2006-01-02T15:04:05.000Z", "2006-01-02T15:04:05.000000000Z", "2006-01-02 15:04:05",
		"2006-01-02 15:04:05.000000", "2006-01-02T15:04:05-07:00", "2006-01-02T15:04", "2006-01-02"}
	rapid.Check(t, func(t *rapid.T) {
		layout := rapid.SampledFrom(layouts).Draw(t, "layout")
		zone := time.FixedZone("", 900*rapid.IntRange(-48, 56).Draw(t, "zone"))
		if !strings.Contains(layout, "-07:00") {
			zone = time.UTC
		}
		old := time.Unix(rapid.Int64Range(-2e9, 4e9).Draw(t, "old"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns")).In(zone)
		now := old.Add(time.Duration(rapid.Int64Range(-3e12, 3e12).Draw(t, "ahead")))
		before, clock := old.Format(layout), now.UTC().Format("2006-01-02T15:04:05.000Z")
		next, ok := after(before, clock)
		if !ok || len(next) != len(before) || next <= before {
			t.Fatalf("%s at %s: %s", before, clock, next)
		}
		a, _, _ := parseStamp(before, time.UTC)
		b, form, isTime := parseStamp(next, time.UTC)
		c, _, _ := parseStamp(clock, time.UTC)
		if !isTime || !b.After(a) || b.Before(c.Add(-unitOf(form))) {
			t.Fatalf("%s at %s: %s", before, clock, next)
		}
	})
}

// Lines that the database keeps out without an error are told, and nothing is changed. No trigger of MariaDB can do that.
func TestSwallowedLines(t *testing.T) {
	but(t, "mysql", func(t *testing.T, p *place) {
		p.tables(t)
		db := open(t, p, strings.Replace(orders, "  order:", "  x:", 1))
		r := mustWrite(t, db, connector.Create, "", `{"code":"A","lines":[{"line_no":1,"sku":"a","quantity":1}]}`)
		switch p.kind {
		case "sqlite":
			p.exec(t, "CREATE TRIGGER keep BEFORE INSERT ON order_lines WHEN NEW.sku = 'b' BEGIN SELECT RAISE(IGNORE); END")
		default:
			p.exec(t, "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.sku = ''b'' THEN RETURN NULL; END IF; RETURN NEW; END'")
			p.exec(t, "CREATE TRIGGER keep BEFORE INSERT ON order_lines FOR EACH ROW EXECUTE FUNCTION keep()")
		}
		_, err := write(t, db, connector.Update, r.Local, `{"name":"n","lines":[{"line_no":1,"sku":"a","quantity":1},{"line_no":2,"sku":"b","quantity":1}]}`)
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "lines: the database kept 1 of 2 rows") {
			t.Errorf("%v", err)
		}
		if name := p.text(t, "SELECT name FROM orders"); name != "" {
			t.Errorf("the header was changed all the same: %s", name)
		}
	})
}

// null, "" and absent are three things.
func TestNullEmptyAbsent(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, a text DEFAULT 'd', b text DEFAULT 'd', c text DEFAULT 'd')")
		db := open(t, p, "objects: {x: {table: x, columns: {id: integer, a: text, b: text, c: text}}}")
		docIs(t, mustWrite(t, db, connector.Create, "", `{"id":1,"a":null,"b":""}`).Doc, `{"id":1,"a":null,"b":"","c":"d"}`)
		docIs(t, mustWrite(t, db, connector.Update, "1", `{"a":"","b":null}`).Doc, `{"id":1,"a":"","b":null,"c":"d"}`)
	})
}
