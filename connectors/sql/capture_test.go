package sql

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// newLogical is a database whose log can be read, with a publication of all its tables.
func newLogical(t testing.TB) *place {
	t.Helper()
	url := pgtest.Logical(t)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	name := fmt.Sprintf("SQL_TEST_URL_%d", urls.Add(1))
	os.Setenv(name, url)
	t.Cleanup(func() { os.Unsetenv(name) })
	p := &place{db: db, kind: "postgres", head: "connector: sql\ndriver: postgres\nurl: ${env:" + name + "}\n"}
	p.exec(t, "CREATE PUBLICATION waybill FOR ALL TABLES")
	p.head += "capture: {slot: " + strings.ToLower(strings.TrimPrefix(name, "SQL_")) + ", publication: waybill}\n"
	return p
}

func (p *place) slot() string {
	_, rest, _ := strings.Cut(p.head, "slot: ")
	name, _, _ := strings.Cut(rest, ",")
	return name
}

// hub is what reads an object as the hub does: it stores a page, and then its cursor.
type hub struct {
	t      testing.TB
	p      *place
	object string
	set    string // the objects' settings
	db     *database
	cursor string // as it is stored
	limit  int
	taken  []connector.Record
	names  map[string]bool
	// kept is a cursor that another reader is at: the server keeps the log from there.
	kept string
}

func newHub(t testing.TB, p *place, object, set string) *hub {
	h := &hub{t: t, p: p, object: object, set: set, names: map[string]bool{}}
	h.start()
	return h
}

// start begins anew with what is stored.
func (h *hub) start() {
	h.t.Helper()
	if h.db != nil {
		if err := h.db.Close(); err != nil {
			h.t.Fatal(err)
		}
	}
	h.db = open(h.t, h.p, h.set)
	h.tell()
}

func (h *hub) tell() {
	cursors := map[string]string{h.object: h.cursor}
	if h.kept != "" {
		cursors["another"] = h.kept
	}
	h.db.Stored("", cursors)
}

// page reads one page, and does not store it.
func (h *hub) page() (connector.Page, error) {
	return h.db.Poll(context.Background(), connector.PollRequest{Object: h.object, Cursor: h.cursor, Limit: h.limit, Reader: h.object})
}

// store stores a page.
func (h *hub) store(page connector.Page) {
	h.t.Helper()
	for _, rec := range page.Records {
		switch {
		case rec.Change == "":
			h.t.Fatalf("a change without a name, asked for with %s: %+v", h.cursor, rec)
		case h.names[rec.Change]:
			h.t.Fatalf("%s comes twice, asked for with %s: %+v\n     before: %+v", rec.Change, h.cursor, rec, h.taken)
		}
		h.names[rec.Change] = true
	}
	h.taken = append(h.taken, page.Records...)
	h.cursor = page.Cursor
	h.tell()
}

// read reads until there is no more, and gives what came.
func (h *hub) read() []connector.Record {
	h.t.Helper()
	from := len(h.taken)
	for n := 0; ; n++ {
		page, err := h.page()
		if err != nil {
			h.t.Fatal(err)
		}
		h.store(page)
		if !page.More {
			return h.taken[from:]
		}
		if n > 10_000 {
			h.t.Fatal("no end")
		}
	}
}

func said(records []connector.Record) []string {
	out := []string{}
	for _, r := range records {
		what := r.Local + " " + string(r.Doc)
		if r.Deleted {
			what = "-" + what
		}
		if r.Err != nil {
			what += " ! " + r.Err.Error()
		}
		out = append(out, what)
	}
	return out
}

func expect(t *testing.T, got []connector.Record, want ...string) {
	t.Helper()
	if s := said(got); !slices.Equal(s, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(s, "\n     "), strings.Join(want, "\n     "))
	}
}

// apply makes the rows that the records tell of: what is not sent stays.
func apply(t testing.TB, rows map[string]map[string]any, records []connector.Record) {
	t.Helper()
	for _, r := range records {
		if r.Err != nil {
			t.Fatalf("%+v", r)
		}
		if r.Deleted {
			delete(rows, r.Local)
			continue
		}
		if rows[r.Local] == nil {
			rows[r.Local] = map[string]any{}
		}
		var doc map[string]any
		if err := json.Unmarshal(r.Doc, &doc); err != nil {
			t.Fatal(err)
		}
		maps.Copy(rows[r.Local], doc)
	}
}

// listed are the rows as a list of the table gives them.
func (h *hub) listed() map[string]map[string]any {
	h.t.Helper()
	rows := map[string]map[string]any{}
	for rec, err := range h.db.List(context.Background(), h.object, time.Time{}) {
		if err != nil {
			h.t.Fatal(err)
		}
		apply(h.t, rows, []connector.Record{rec})
	}
	return rows
}

func (h *hub) same() {
	h.t.Helper()
	got := map[string]map[string]any{}
	apply(h.t, got, h.taken)
	if want := h.listed(); fmt.Sprint(got) != fmt.Sprint(want) {
		h.t.Fatalf("the records say\n%v\nand the table is\n%v", got, want)
	}
}

// older reports whether version b is older than a.
func older(a, b string) bool { return event.CompareVersions(b, a) < 0 }

const itemSet = "objects: {x: {table: x, columns: {id: integer, name: text, note: text}, capture: {}}}"

// TestCaptureChanges: all rows, and then every change, in the order of the commits, each once.
func TestCaptureChanges(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text DEFAULT 'none')")
	p.exec(t, "INSERT INTO x VALUES (1, 'one', NULL), (2, 'two', 'b')")
	h := newHub(t, p, "x", itemSet)
	expect(t, h.read(), `1 {"id":1,"name":"one","note":null}`, `2 {"id":2,"name":"two","note":"b"}`)
	expect(t, h.read())
	p.exec(t, "INSERT INTO x VALUES (3, 'three', NULL)")
	p.exec(t, "UPDATE x SET note = NULL WHERE id = 2")
	p.exec(t, "BEGIN; UPDATE x SET name = 'lost'; ROLLBACK")
	p.exec(t, "BEGIN; DELETE FROM x WHERE id = 1; INSERT INTO x VALUES (1, 'again', 'n'); UPDATE x SET id = 4 WHERE id = 3; COMMIT")
	// The transaction that commits first comes first, whichever began first.
	early, err := p.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := early.Exec("INSERT INTO x VALUES (10, 'early', '')"); err != nil {
		t.Fatal(err)
	}
	p.exec(t, "INSERT INTO x VALUES (11, 'late', '')")
	if err := early.Commit(); err != nil {
		t.Fatal(err)
	}
	got := h.read()
	expect(t, got,
		`3 {"id":3,"name":"three","note":null}`,
		`2 {"id":2,"name":"two","note":null}`,
		`-1 {"id":1}`, `1 {"id":1,"name":"again","note":"n"}`, `-3 {"id":3}`, `4 {"id":4,"name":"three","note":null}`,
		`11 {"id":11,"name":"late","note":""}`, `10 {"id":10,"name":"early","note":""}`)
	for i := 1; i < len(got); i++ {
		if a, b := got[i-1].Version, got[i].Version; older(a, b) {
			t.Errorf("version %s comes after %s", b, a)
		}
	}
	h.start() // and a hub that begins anew goes on
	p.exec(t, "DELETE FROM x WHERE id = 10")
	expect(t, h.read(), `-10 {"id":10}`)
	h.same()
	// What is read alone is newer than what the log has brought, and older than what it will bring.
	found, err := h.db.Find(t.Context(), connector.Lookup{Object: "x", Local: "1"})
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	p.exec(t, "UPDATE x SET name = 'newer' WHERE id = 1")
	next := h.read()
	if older(got[len(got)-1].Version, found[0].Version) || older(found[0].Version, next[0].Version) {
		t.Errorf("%s, %s, %s", got[len(got)-1].Version, found[0].Version, next[0].Version)
	}
}

// TestCaptureLongValues: a long value that did not change is not sent, and never null; with REPLICA IDENTITY FULL it is there.
func TestCaptureLongValues(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text)")
	p.exec(t, "ALTER TABLE x ALTER note SET STORAGE EXTERNAL")
	h := newHub(t, p, "x", itemSet)
	expect(t, h.read())
	long := strings.Repeat("x", 10_000)
	p.exec(t, "INSERT INTO x VALUES (1, 'a', $1)", long)
	p.exec(t, "UPDATE x SET name = 'b'")
	p.exec(t, "UPDATE x SET note = NULL")
	p.exec(t, "UPDATE x SET note = $1", long)
	p.exec(t, "UPDATE x SET id = 2")
	p.exec(t, "DELETE FROM x")
	got := h.read()
	if len(got) != 7 || got[5].Err == nil {
		t.Fatalf("%.300q", said(got))
	}
	whole := `1 {"id":1,"name":"a","note":"` + long + `"}`
	expect(t, got[:5], whole, `1 {"id":1,"name":"b"}`, `1 {"id":1,"name":"b","note":null}`, strings.Replace(whole, `"a"`, `"b"`, 1), `-1 {"id":1}`)
	if e := got[5].Err.Error(); !strings.Contains(e, "its id has changed from 1, and column note was not sent") || !strings.Contains(e, `ALTER TABLE "x" REPLICA IDENTITY FULL`) {
		t.Error(e)
	}
	expect(t, got[6:], `-2 {"id":2}`)

	p.exec(t, "ALTER TABLE x REPLICA IDENTITY FULL")
	p.exec(t, "INSERT INTO x VALUES (1, 'a', $1)", long)
	p.exec(t, "UPDATE x SET name = 'b'")
	p.exec(t, "UPDATE x SET id = 2")
	p.exec(t, "DELETE FROM x")
	b := strings.Replace(whole, `"a"`, `"b"`, 1)
	two := strings.Replace(strings.Replace(b, "1 ", "2 ", 1), `"id":1`, `"id":2`, 1)
	expect(t, h.read(), whole, b, "-"+b, two, "-"+two)
}

// TestCaptureValues: whatever a column holds comes out of the log as a list of the table shows it.
func TestCaptureValues(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "CREATE TYPE mood AS ENUM ('sad', 'it''s ok'); CREATE DOMAIN truth AS boolean; CREATE DOMAIN pad AS char(4)")
	columns := []struct{ name, typ, setting, values string }{
		{"n", "numeric(24,6)", "decimal", "0.000001,123456789012345678.123456,-1"},
		{"m", "numeric", "decimal", "1e40,0.10"},
		{"i", "bigint", "integer", "9223372036854775807,-1"},
		{"b", "boolean", "boolean", "true,false"},
		{"bt", "boolean", "text", "true,false"},
		{"dt", "truth", "text", "true,false"},
		{"c", "char(6)", "text", "ab,abcdef"},
		{"dc", "pad", "text", "ab"},
		{"vc", "varchar(10)", "text", "ab  "},
		{"by", "bytea", "text", `\x00ff10`},
		{"ts", "timestamptz", "timestamp", "2026-11-30 10:00:00.123456+08,1999-01-01 00:00+00"},
		{"lt", "timestamp", "timestamp", "2026-03-29 02:30"},
		{"tt", "timestamptz", "text", "infinity,-infinity,2026-01-01 00:00+05:30"},
		{"d", "date", "date", "2026-02-28,0001-01-01"},
		{"u", "uuid", "text", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"},
		{"j", "json", "json", `{"a" : [1, 2.50]}`},
		{"jb", "jsonb", "json", `{"b":null, "a":1e2}`},
		{"ar", "text[]", "text", `{a,"b c",NULL}`},
		{"an", "numeric(6,2)[]", "text", "{1.5}"},
		{"e", "mood", "text", "it's ok"},
		{"iv", "interval", "text", "1 mon,14 months 3 days 04:05:06.7"},
		{"ip", "inet", "text", "10.0.0.1,10.0.0.1/8,::1"},
		{"ci", "cidr", "text", "10.0.0.0/8"},
		{"mo", "money", "text", "12.34"},
		{"f", "double precision", "decimal", "0.1,1e300"},
		{"r", "real", "text", "0.1,NaN"},
		{"tm", "time", "text", "10:00:00.5"},
		{"x", "xml", "text", "<a>b</a>"},
		{"na", "name", "text", "abc"},
	}
	table, setting := "CREATE TABLE x (id bigint PRIMARY KEY", "objects: {x: {table: x, capture: {}, columns: {id: integer"
	for _, c := range columns {
		table += ", " + c.name + " " + c.typ
		setting += ", " + c.name + ": " + c.setting
	}
	p.exec(t, table+")")
	h := newHub(t, p, "x", setting+"}}}")
	h.read()
	id := 0
	for _, c := range columns {
		values := []string{c.values}
		if !strings.ContainsAny(c.values, "{[") {
			values = strings.Split(c.values, ",")
		}
		for _, v := range values {
			id++
			p.exec(t, fmt.Sprintf("INSERT INTO x (id, %s) VALUES (%d, $1::text::%s)", c.name, id, c.typ), v)
		}
	}
	got := map[string]string{}
	for _, rec := range h.read() {
		if rec.Err != nil {
			t.Error(rec.Err)
		}
		got[rec.Local] = string(rec.Doc)
	}
	for rec, err := range h.db.List(t.Context(), "x", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if got[rec.Local] != string(rec.Doc) {
			t.Errorf("the log says %s\nand the list  %s", got[rec.Local], rec.Doc)
		}
	}
	if len(got) != id {
		t.Errorf("%d of %d rows", len(got), id)
	}
}

// TestCaptureNoDay: infinity is no day, and parks alone.
func TestCaptureNoDay(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, due date, at timestamptz)")
	h := newHub(t, p, "x", "objects: {x: {table: x, columns: {id: integer, due: date, at: timestamp}, capture: {}}}")
	h.read()
	p.exec(t, "INSERT INTO x VALUES (1, 'infinity', NULL), (2, NULL, '-infinity'), (3, '2026-01-01', '2026-01-01 00:00+00')")
	got := h.read()
	for i, r := range got[:2] {
		if r.Err == nil || r.Local != fmt.Sprint(i+1) || !strings.Contains(r.Err.Error(), "infinity") || !strings.Contains(r.Err.Error(), "take the column as text") {
			t.Errorf("%+v", r)
		}
	}
	expect(t, got[2:], `3 {"at":"2026-01-01T00:00:00Z","due":"2026-01-01","id":3}`)
}

// TestCaptureTold: an emptied table, and columns that come, go and change, are told.
func TestCaptureTold(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text)")
	h := newHub(t, p, "x", itemSet)
	h.read()
	p.exec(t, "INSERT INTO x VALUES (1, 'a', 'b'); TRUNCATE x; INSERT INTO x VALUES (2, 'c', 'd')")
	got := h.read()
	if len(got) != 3 || got[1].Err == nil || got[1].Local != "" || !strings.Contains(got[1].Err.Error(), "TRUNCATE") {
		t.Fatalf("%q", said(got))
	}
	p.exec(t, "ALTER TABLE x ADD more integer, ALTER name TYPE varchar(30)")
	p.exec(t, "INSERT INTO x VALUES (3, 'e', 'f', 7)")
	page, err := h.page()
	if err != nil {
		t.Fatal(err)
	}
	expect(t, page.Records, `3 {"id":3,"name":"e","note":"f"}`)
	if len(page.Remarks) != 1 || page.Remarks[0].Kind != connector.Schema || page.Remarks[0].Local != "x" ||
		!strings.HasPrefix(page.Remarks[0].Version, "column more came (int4); column name was text and is varchar(34), seen at ") {
		t.Fatalf("%+v", page.Remarks)
	}
	h.store(page)
	h.start() // what was told is told by the next hub as well, for a while
	if page, err = h.page(); err != nil || len(page.Remarks) != 1 {
		t.Fatalf("%+v, %v", page.Remarks, err)
	}
	// A column that went is not sent any more, which is not null.
	p.exec(t, "ALTER TABLE x DROP note")
	p.exec(t, "INSERT INTO x VALUES (4, 'g', 8)")
	if page, err = h.page(); err != nil {
		t.Fatal(err)
	}
	expect(t, page.Records, `4 {"id":4,"name":"g"}`)
	if !strings.HasPrefix(page.Remarks[0].Version, "column note went, seen at ") {
		t.Errorf("%+v", page.Remarks)
	}
}

// TestCaptureSnapshotEndsHalfWay: it is begun again, and what went and came meanwhile is neither lost nor older than what is there.
func TestCaptureSnapshotEndsHalfWay(t *testing.T) {
	for _, how := range []string{"the hub ends", "the connection ends"} {
		t.Run(how, func(t *testing.T) {
			p := newLogical(t)
			p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text)")
			p.exec(t, "INSERT INTO x SELECT n, '1' FROM generate_series(1, 9) n")
			h := newHub(t, p, "x", itemSet)
			h.limit = 2
			for range 2 {
				page, err := h.page()
				if err != nil || len(page.Records) != 2 {
					t.Fatal(page, err)
				}
				h.store(page)
			}
			page, err := h.page() // read, and not stored: it comes again, the same
			if err != nil {
				t.Fatal(err)
			}
			again, err := h.page()
			if err != nil || fmt.Sprint(said(page.Records)) != fmt.Sprint(said(again.Records)) || page.Cursor != again.Cursor {
				t.Fatal(page, again, err)
			}
			p.exec(t, "DELETE FROM x WHERE id IN (1, 9)")
			p.exec(t, "UPDATE x SET name = '2' WHERE id IN (2, 8)")
			p.exec(t, "UPDATE x SET name = '3' WHERE id IN (2, 8)")
			p.exec(t, "INSERT INTO x VALUES (20, '3')")
			if how == "the hub ends" {
				h.start()
			} else {
				p.exec(t, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()")
				h.store(page) // it was read before
				if _, err := h.page(); fault.KindOf(err) != fault.Unavailable {
					t.Fatalf("the connection was ended, and what was said is: %v", err)
				}
			}
			if page, err = h.page(); err != nil || !page.More || len(page.Records) == 0 { // another snapshot is taken, and the log up to there is read first
				t.Fatal(page, err)
			}
			h.store(page)
			p.exec(t, "UPDATE x SET name = '4'") // behind the second snapshot, and in memory before that is read
			h.streamed()
			h.read()
			p.exec(t, "UPDATE x SET note = 'last'")
			h.read()
			h.same()
			inOrder(t, "name", h.taken)
		})
	}
}

// streamed returns once all that is committed is in memory.
func (h *hub) streamed() {
	h.t.Helper()
	until, err := pglogrepl.ParseLSN(h.p.text(h.t, "SELECT pg_current_wal_flush_lsn()::text"))
	if err != nil {
		h.t.Fatal(err)
	}
	c := h.db.capture
	for {
		c.mu.Lock()
		s := c.stream
		at, changed, failed := s.at, s.changed, s.err
		c.mu.Unlock()
		if failed != nil {
			h.t.Fatal(failed)
		}
		if at >= until {
			return
		}
		select {
		case s.ask <- struct{}{}:
		default:
		}
		<-changed
	}
}

// inOrder: of no row something older comes after something newer, by a number in its column.
func inOrder(t testing.TB, column string, records []connector.Record) {
	t.Helper()
	last := map[string]int64{}
	for _, rec := range records {
		doc, err := jsondoc.Parse(rec.Doc, jsondoc.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		v := doc.Root().Get(column)
		if !v.Exists() {
			continue
		}
		n, err := strconv.ParseInt(strings.Trim(string(v.Raw()), `"`), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if n < last[rec.Local] {
			t.Fatalf("row %s: %d comes after %d", rec.Local, n, last[rec.Local])
		}
		last[rec.Local] = n
	}
}

// TestCaptureNoSnapshot begins with what changes from then on.
func TestCaptureNoSnapshot(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text); INSERT INTO x VALUES (1)")
	h := newHub(t, p, "x", strings.Replace(itemSet, "capture: {}", "capture: {snapshot: none}", 1))
	expect(t, h.read())
	p.exec(t, "INSERT INTO x VALUES (2)")
	expect(t, h.read(), `2 {"id":2,"name":null,"note":null}`)
}

// TestCaptureLongTransaction: a transaction far longer than the buffer is taken page by page, and a hub that ends in its midst goes on there.
func TestCaptureLongTransaction(t *testing.T) {
	p := newLogical(t)
	p.head = strings.Replace(p.head, "publication: waybill", "publication: waybill, buffer: 64KiB", 1)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text)")
	h := newHub(t, p, "x", itemSet)
	h.limit = 100
	h.read()
	const rows = 5000
	p.exec(t, "INSERT INTO x SELECT n, 'row ' || n, repeat('x', 100) FROM generate_series(1, $1::int) n", rows)
	most := 0
	for n := 1; len(h.taken) < rows; n++ {
		page, err := h.page()
		if err != nil {
			t.Fatal(err)
		}
		h.db.capture.mu.Lock()
		if s := h.db.capture.stream; s != nil {
			most = max(most, s.size)
		}
		h.db.capture.mu.Unlock()
		if n%7 == 0 { // it was not stored
			h.start()
			continue
		}
		h.store(page)
	}
	if len(h.read()) != 0 || len(h.taken) != rows {
		t.Errorf("%d records", len(h.taken))
	}
	for i, rec := range h.taken {
		if rec.Local != fmt.Sprint(i+1) {
			t.Fatalf("record %d is of row %s", i, rec.Local)
		}
	}
	if most > 66<<10 {
		t.Errorf("%d bytes were held", most)
	}
}

// TestCaptureConnectionEnds: it is made again, and nothing is missing or double.
func TestCaptureConnectionEnds(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text)")
	h := newHub(t, p, "x", itemSet)
	h.read()
	h.limit = 3
	p.exec(t, "INSERT INTO x SELECT n FROM generate_series(1, 10) n")
	page, err := h.page()
	if err != nil {
		t.Fatal(err)
	}
	h.store(page)
	p.exec(t, "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE slot_name = $1", p.slot())
	for failed := 0; ; {
		page, err := h.page()
		if err != nil {
			if failed++; failed > 3 || fault.KindOf(err) != fault.Unavailable {
				t.Fatal(err)
			}
			continue
		}
		h.store(page)
		if !page.More {
			break
		}
	}
	h.same()
	if len(h.taken) != 10 {
		t.Errorf("%q", said(h.taken))
	}
}

// TestCaptureLetsGo: the server is told of what is stored, of all readers, and of nothing else; a reader that is not there holds up nobody for long.
func TestCaptureLetsGo(t *testing.T) {
	p := newLogical(t)
	p.head = strings.Replace(p.head, "publication: waybill", "publication: waybill, buffer: 64KiB", 1)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text); CREATE TABLE y (id bigint PRIMARY KEY)")
	db := open(t, p, strings.TrimSuffix(itemSet, "}")+", y: {table: y, columns: {id: integer}, capture: {}}}")
	cursors := map[string]string{"x": "", "y": ""}
	read := func(name string) (n int) {
		t.Helper()
		for {
			page, err := db.Poll(t.Context(), connector.PollRequest{Object: name, Cursor: cursors[name], Reader: name})
			if err != nil {
				t.Fatal(err)
			}
			cursors[name] = page.Cursor
			n += len(page.Records)
			db.Stored("", cursors)
			if !page.More {
				return n
			}
		}
	}
	db.Stored("", cursors)
	read("x")
	read("y")
	at := func(name string) pglogrepl.LSN {
		c, err := parseLogCursor(cursors[name])
		if err != nil {
			t.Fatal(err)
		}
		return c.LSN.lsn()
	}
	p.exec(t, "INSERT INTO y SELECT n FROM generate_series(1, 3) n")
	p.exec(t, "INSERT INTO x SELECT n FROM generate_series(1, 3) n")
	if n := read("x"); n != 3 {
		t.Error(n)
	}
	db.capture.mu.Lock()
	low := db.capture.letGo()
	db.capture.mu.Unlock()
	if low != at("y") || low >= at("x") {
		t.Errorf("let go of up to %s; y is at %s and x at %s", low, at("y"), at("x"))
	}
	// y is away while far more than the buffer comes for x; then it reads what it has missed.
	db.capture.mu.Lock()
	db.capture.away = time.Nanosecond
	db.capture.mu.Unlock()
	p.exec(t, "INSERT INTO y SELECT n FROM generate_series(4, 1000) n")
	p.exec(t, "INSERT INTO x SELECT n, repeat('x', 200) FROM generate_series(4, 1000) n")
	p.exec(t, "INSERT INTO y SELECT n FROM generate_series(1001, 1003) n")
	if n := read("x"); n != 997 {
		t.Error(n)
	}
	if n := read("y"); n != 1003 {
		t.Error(n)
	}
	if read("x") != 0 || read("y") != 0 {
		t.Error("something came again")
	}
	// A status is sent now and then: until the slot is there, or the test's time is over.
	for want := min(at("x"), at("y")).String(); p.text(t, "SELECT (confirmed_flush_lsn >= $$"+want+"$$::pg_lsn)::text FROM pg_replication_slots WHERE slot_name = '"+p.slot()+"'") != "true"; {
		db.capture.mu.Lock()
		s := db.capture.stream
		db.capture.mu.Unlock()
		select {
		case s.ask <- struct{}{}:
		default:
		}
	}
	if fmt.Sprint(p.text(t, "SELECT (confirmed_flush_lsn > $$"+min(at("x"), at("y")).String()+"$$::pg_lsn)::text FROM pg_replication_slots WHERE slot_name = '"+p.slot()+"'")) != "false" {
		t.Error("more was let go of than is stored")
	}
}

// TestCaptureLost: a slot that is gone, or has let go of what comes next, is told and not made again.
func TestCaptureLost(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text)")
	h := newHub(t, p, "x", itemSet)
	h.read()
	fails := func(want string) {
		t.Helper()
		_, err := h.page()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "waybill rewind FLOW --to start") {
			t.Errorf("%v", err)
		}
	}
	h.db.Leave("")
	p.exec(t, "INSERT INTO x VALUES (1)")
	// The server takes a moment to see that a reader has left its slot.
	drop := func() {
		t.Helper()
		p.exec(t, "SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL", p.slot())
		p.exec(t, "SELECT pg_drop_replication_slot($1)", p.slot())
	}
	drop()
	fails("the slot " + p.slot() + " is gone")
	if p.text(t, "SELECT count(*)::text FROM pg_replication_slots WHERE slot_name = '"+p.slot()+"'") != "0" {
		t.Error("it was made again")
	}
	p.exec(t, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", p.slot())
	fails("holds the log from")
	before := h.cursor
	h.cursor = "" // as waybill rewind --to start does
	h.names = map[string]bool{}
	expect(t, h.read(), `1 {"id":1,"name":null,"note":null}`)
	h.cursor = strings.Replace(h.cursor, `"lsn":"`, `"lsn":"FFFF`, 1)
	fails("put back to an older state")
	h.cursor = strings.Replace(before, `"server":"`, `"server":"9`, 1)
	fails("another database cluster")
	h.cursor = strings.Replace(before, `"slot":"`, `"slot":"other_`, 1)
	fails("the settings say")
	h.cursor = `{"v":1,"since":"2026"}`
	fails("no place in a log")
}

// TestCaptureLacks: what the server lacks is said, with what to do; and nothing is made there before it is right.
func TestCaptureLacks(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "DROP PUBLICATION waybill")
	p.exec(t, "CREATE TABLE x (id bigint, name text, note text GENERATED ALWAYS AS (upper(name)) STORED)")
	h := newHub(t, p, "x", itemSet)
	lacks := func(want ...string) {
		t.Helper()
		_, err := h.page()
		_, sampled := h.db.Sample(t.Context(), "x")
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%v: lacks %q", err, w)
			}
			if sampled == nil || !strings.Contains(sampled.Error(), w) {
				t.Errorf("check --connect: %v: lacks %q", sampled, w)
			}
		}
	}
	lacks("CREATE PUBLICATION", "does not hold id", "note: the database computes it")
	p.exec(t, "CREATE PUBLICATION waybill; ALTER TABLE x DROP note, ADD note text, ADD PRIMARY KEY (id)")
	lacks(`ALTER PUBLICATION "waybill" ADD TABLE "x"`)
	p.exec(t, "ALTER PUBLICATION waybill ADD TABLE x; ALTER PUBLICATION waybill SET (publish = 'insert, delete'); ALTER TABLE x REPLICA IDENTITY NOTHING")
	lacks("leaves out update, truncate", "replica identity is nothing")
	if p.text(t, "SELECT (current_setting('server_version_num')::int >= 150000)::text") == "true" {
		p.exec(t, "ALTER PUBLICATION waybill SET TABLE x (id, name)")
		lacks("leaves out columns of the table (note)")
		p.exec(t, "ALTER PUBLICATION waybill SET TABLE x WHERE (id > 5)")
		lacks("leaves out rows of the table by a condition")
		p.exec(t, "ALTER PUBLICATION waybill SET TABLE x")
	}
	p.exec(t, "ALTER TABLE x RENAME TO z")
	lacks("there is no table x")
	if n := p.text(t, "SELECT count(*)::text FROM pg_replication_slots WHERE database = current_database()"); n != "0" {
		t.Errorf("%s slots were made", n)
	}
	p.exec(t, "ALTER TABLE z RENAME TO x; ALTER TABLE x REPLICA IDENTITY DEFAULT; ALTER PUBLICATION waybill SET (publish = 'insert, update, delete, truncate')")
	if _, err := h.db.Sample(t.Context(), "x"); err != nil {
		t.Error(err)
	}
	h.read()
	other := open(t, p, itemSet) // another hub, with another store
	_, err := other.capture.start(t.Context(), 0)
	if err = other.capture.classify("poll", other.set.Objects["x"], err); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "another connection reads the slot") {
		t.Error(err)
	}
	h.db.Leave("")
	s, err := other.capture.start(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	s.stop()
}

// TestCaptureApart: columns whose long values an update may leave out of the log are told, where the table has such values and the log does not.
func TestCaptureApart(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text)")
	h := newHub(t, p, "x", itemSet)
	told := func() (out []string) {
		t.Helper()
		s, err := h.db.Sample(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range s.Columns {
			if c.Odd != "" {
				out = append(out, c.Name+": "+c.Hint)
			}
		}
		return out
	}
	p.exec(t, "INSERT INTO x VALUES (1, 'short', 'short')")
	if got := told(); len(got) != 0 {
		t.Errorf("nothing is kept apart: %v", got)
	}
	p.exec(t, "INSERT INTO x SELECT 2, 'short', string_agg(md5(n::text), '') FROM generate_series(1, 500) n")
	const hint = `ALTER TABLE "x" REPLICA IDENTITY FULL puts it into the log`
	if got := told(); !slices.Equal(got, []string{"name: " + hint, "note: " + hint}) {
		t.Errorf("told %v", got)
	}
	p.exec(t, "ALTER TABLE x REPLICA IDENTITY FULL")
	if got := told(); len(got) != 0 {
		t.Errorf("the log has them: %v", got)
	}
}

// TestCaptureKept: log that is kept beyond the bound is told, with how much it is.
func TestCaptureKept(t *testing.T) {
	p := newLogical(t)
	p.head = strings.Replace(p.head, "publication: waybill", "publication: waybill, kept: 100KiB", 1)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text)")
	h := newHub(t, p, "x", itemSet)
	h.read()
	p.exec(t, "SELECT pg_logical_emit_message(false, 'x', repeat('x', 300000))")
	page, err := h.page()
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Remarks) != 1 || page.Remarks[0].Kind != connector.Kept || page.Remarks[0].Local != p.slot() || !strings.Contains(page.Remarks[0].Version, "capture.kept is 100KiB") {
		t.Errorf("%+v", page.Remarks)
	}
}

// TestCaptureRights: a user that may read the log and the tables, and nothing else, is enough; one that may not is told so.
func TestCaptureRights(t *testing.T) {
	p := newLogical(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text, note text); INSERT INTO x VALUES (1)")
	role := "reader_" + p.slot()
	p.exec(t, "CREATE ROLE "+role+" LOGIN")
	t.Cleanup(func() { p.exec(t, "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	_, name, _ := strings.Cut(p.head, "${env:")
	name, _, _ = strings.Cut(name, "}")
	t.Setenv(name, strings.Replace(os.Getenv(name), "postgres@", role+"@", 1))
	h := newHub(t, p, "x", itemSet)
	_, err := h.page()
	for _, want := range []string{"may not read the log: ALTER ROLE", "may not read the table: GRANT SELECT ON"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
	p.exec(t, "ALTER ROLE "+role+" REPLICATION; GRANT SELECT ON x TO "+role)
	expect(t, h.read(), `1 {"id":1,"name":null,"note":null}`)
	p.exec(t, "UPDATE x SET name = 'a'")
	expect(t, h.read(), `1 {"id":1,"name":"a","note":null}`)
}

// TestCaptureSettings: what check says of them.
func TestCaptureSettings(t *testing.T) {
	const object = "objects: {x: {table: x, columns: {id: integer}, capture: {}}}"
	head := func(rest string) string {
		return "connector: sql\ndriver: postgres\nurl: ${env:CAPTURE_TEST_URL}\n" + rest + "\n"
	}
	t.Setenv("CAPTURE_TEST_URL", "postgres://u@h/d")
	for name, c := range map[string]struct{ yaml, want string }{
		"right":            {head("capture: {slot: a_1, publication: P}") + object, ""},
		"no capture":       {head("") + object, "capture: the system does not say how its log is read"},
		"another database": {"connector: sql\ndriver: sqlite\npath: x.db\ncapture: {slot: a, publication: p}\n" + object, "capture: it reads the log of PostgreSQL alone"},
		"slot":             {head("capture: {slot: My-Slot, publication: p}") + object, `slot: "My-Slot" is no name of a replication slot`},
		"publication":      {head(`capture: {slot: a, publication: "p'); drop"}`) + object, "is no name of a publication"},
		"buffer":           {head("capture: {slot: a, publication: p, buffer: 1KiB}") + object, "buffer: at least 64KiB"},
		"snapshot":         {head("capture: {slot: a, publication: p}") + strings.Replace(object, "capture: {}", "capture: {snapshot: some}", 1), `"some" is none of its values`},
		"children": {head("capture: {slot: a, publication: p}") + strings.Replace(object, "capture: {}", "capture: {}, children: {l: {table: l, parent: x, key: n, columns: {n: integer}}}", 1),
			"children: a log shows the rows of each table for itself"},
		"interface": {head("capture: {slot: a, publication: p}") + strings.Replace(object, "capture: {}", "capture: {}, interface: {status: s, value: new}", 1), "capture: an interface table is only written"},
	} {
		t.Run(name, func(t *testing.T) {
			var p strictyaml.Problems
			Kind{}.Check(settingsOf(t, c.yaml), &p)
			err := p.Err()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v: want %q", err, c.want)
			}
		})
	}
	if o := (Kind{}).Ordering(settingsOf(t, head("capture: {slot: a, publication: p}")+object), "x"); o.By != connector.ByCommit {
		t.Errorf("%+v", o)
	}
}

// TestCaptureRewind: there is no place to go back to but the start.
func TestCaptureRewind(t *testing.T) {
	p := newLogical(t)
	db := open(t, p, itemSet)
	if _, err := db.RewindTo("x", "", "2026-11-01T00:00:00Z"); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), `"start" reads all rows`) {
		t.Error(err)
	}
}
