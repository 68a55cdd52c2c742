package sql

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
)

// keyedOrders are the shop's orders as an old system keeps them: a number counts within its company.
const keyedOrders = `
objects:
  order:
    table: orders
    id: [company, order_no]
    external-id: external_id
    version: updated_at
    touch: true
    columns: {company: text, order_no: integer, external_id: text, code: text, name: text, price: decimal, express: boolean, day: date, placed_at: timestamp, rev: integer, updated_at: timestamp, deleted_at: timestamp, payload: json}
    children:
      lines: {table: order_lines, parent: [co, ord], key: line_no, on-update: merge, columns: {line_no: integer, sku: text, quantity: decimal}}
      notes: {table: notes, parent: [co, ord], order: seq, columns: {seq: integer, body: text}}
`

func (p *place) keyedTables(t testing.TB) {
	t.Helper()
	p.tables(t)
	p.exec(t, "DROP TABLE order_lines")
	p.exec(t, "DROP TABLE notes")
	p.exec(t, "DROP TABLE orders")
	as := map[string][]string{
		"sqlite":   {"%KEY", "text", "%DEC", "text", "%BOOL", "integer", "%TIME", "text", "%NOW", "(strftime('%Y-%m-%dT%H:%M:%fZ','now'))"},
		"postgres": {"%KEY", "text", "%DEC", "numeric(24,4)", "%BOOL", "boolean", "%TIME", "timestamptz", "%NOW", "clock_timestamp()"},
		"mysql":    {"%KEY", "varchar(100)", "%DEC", "decimal(24,4)", "%BOOL", "boolean", "%TIME", "datetime(6)", "%NOW", "CURRENT_TIMESTAMP(6)"},
	}[p.kind]
	text := strings.NewReplacer(as...).Replace(`
CREATE TABLE orders (company %KEY NOT NULL, order_no integer NOT NULL, external_id %KEY UNIQUE, code %KEY UNIQUE NOT NULL, name text, price %DEC, express %BOOL, day date, placed_at %TIME, rev integer,
  payload text, deleted_at %TIME, updated_at %TIME DEFAULT %NOW, PRIMARY KEY (company, order_no));
CREATE INDEX orders_poll ON orders (updated_at, company, order_no);
CREATE TABLE order_lines (co %KEY NOT NULL, ord integer NOT NULL, line_no integer NOT NULL, sku text NOT NULL, quantity %DEC, picked integer DEFAULT 0,
  PRIMARY KEY (co, ord, line_no), FOREIGN KEY (co, ord) REFERENCES orders (company, order_no));
CREATE TABLE notes (co %KEY NOT NULL, ord integer NOT NULL, seq integer, body text, FOREIGN KEY (co, ord) REFERENCES orders (company, order_no))`)
	for _, stmt := range strings.Split(text, ";") {
		p.exec(t, stmt)
	}
}

// company is the one of order n: three companies have numbers of their own.
func company(n int) string { return []string{"10", "O'Neil, a=b", "20"}[n%3] }

func keyed(n int) string {
	return connector.KeyText([]string{"company", "order_no"}, []string{company(n), fmt.Sprint(n / 3)})
}

// TestConformanceOfKeys runs the connector's whole suite on tables whose id is two columns.
func TestConformanceOfKeys(t *testing.T) {
	variants := map[string]string{
		"plain":                  keyedOrders,
		"soft delete and upsert": strings.Replace(keyedOrders, "    touch: true\n", "    touch: true\n    deleted: deleted_at\n    upsert: true\n", 1),
	}
	for kind, make := range places {
		for name, objects := range variants {
			t.Run(kind+" "+name, func(t *testing.T) {
				connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
					p := make(t)
					p.keyedTables(t)
					return keyedSubject(t, p, objects)
				})
			})
		}
	}
	t.Run("mysql without RETURNING", func(t *testing.T) {
		connectortest.Run(t, func(t *testing.T) *connectortest.Subject {
			p := newMySQL(t)
			p.keyedTables(t)
			s := keyedSubject(t, p, variants["soft delete and upsert"])
			s.Kind = withoutReturning{}
			return s
		})
	})
}

func keyedSubject(t testing.TB, p *place, objects string) *connectortest.Subject {
	p.objects = objects
	s := subject(t, p, objects)
	s.New = func(n int) string {
		return fmt.Sprintf(`{"company":%q,"order_no":%d,%s`, company(n), n/3, strings.TrimPrefix(wantDoc(n), "{"))
	}
	put := func(t testing.TB, n, revision int, stamp any, payload any) string {
		t.Helper()
		if at, ok := stamp.(time.Time); ok && p.kind == "sqlite" {
			stamp = at.UTC().Format("2006-01-02T15:04:05.000Z")
		}
		conflict := "ON CONFLICT (code) DO UPDATE SET rev = excluded.rev, updated_at = excluded.updated_at, payload = NULL"
		if p.kind == "mysql" {
			conflict = "ON DUPLICATE KEY UPDATE rev = VALUES(rev), updated_at = VALUES(updated_at), payload = NULL"
		}
		p.exec(t, p.numbered("INSERT INTO orders (company, order_no, code, rev, updated_at, payload) VALUES (?, ?, ?, ?, ?, ?) "+conflict), company(n), n/3, fmt.Sprintf("C-%d", n), revision, stamp, payload)
		return keyed(n)
	}
	s.Put = func(t testing.TB, n, revision int, stamp time.Time) string { return put(t, n, revision, stamp, nil) }
	s.Bare = func(t testing.TB, n, revision int) string { return put(t, n, revision, nil, nil) }
	s.Spoil = func(t testing.TB, n int, stamp time.Time) string { return put(t, n, 1, stamp, `{"cut":`) }
	s.Faults = keyedFaults(p)
	return s
}

func keyedFaults(p *place) []connectortest.Fault {
	write := func(action connector.Action, local, doc string) func(context.Context, connector.System, *connectortest.Subject) error {
		return func(ctx context.Context, sys connector.System, _ *connectortest.Subject) error {
			_, err := sys.(connector.Sink).Write(ctx, connector.Write{Object: "order", Action: action, Local: local, External: "e-1", Doc: []byte(doc)})
			return err
		}
	}
	insert := func(t testing.TB, _ *connector.Settings) {
		p.exec(t, "INSERT INTO orders (company, order_no, code) VALUES ('10', 4711, 'A')")
	}
	return []connectortest.Fault{
		{Name: "key taken", Want: fault.Conflict, Duplicate: true, Call: write(connector.Create, "", `{"company":"10","order_no":4711,"code":"B"}`), Arrange: insert},
		{Name: "a part is missing", Want: fault.Invalid, Call: write(connector.Create, "", `{"company":"10","code":"B"}`)},
		{Name: "a part is null", Want: fault.Invalid, Call: write(connector.Create, "", `{"company":null,"order_no":4711,"code":"B"}`)},
		{Name: "a part of another type", Want: fault.Invalid, Call: write(connector.Create, "", `{"company":"10","order_no":"x","code":"B"}`)},
		{Name: "no id", Want: fault.NotFound, Call: write(connector.Update, "", `{"name":"x"}`), Arrange: insert},
		{Name: "one part alone", Want: fault.NotFound, Call: write(connector.Update, "4711", `{"name":"x"}`), Arrange: insert},
		{Name: "the parts in another order", Want: fault.NotFound, Call: write(connector.Update, "order_no='4711',company='10'", `{"name":"x"}`), Arrange: insert},
		{Name: "an id whose part is no number", Want: fault.NotFound, Call: write(connector.Delete, "company='10',order_no='abc'", ""), Arrange: insert},
		{Name: "an id that begins well", Want: fault.NotFound, Call: write(connector.Delete, "company='10',order_no='4711' OR 1=1", ""), Arrange: insert},
		{Name: "an id with a NUL", Want: fault.NotFound, Call: write(connector.Delete, "company='10\x00',order_no='4711'", ""), Arrange: insert},
	}
}

// keyRow is a row of the tables with keys of many kinds.
type keyRow struct {
	company any // nil: null
	number  any
	version any
}

func (r keyRow) local() string {
	return connector.KeyText([]string{"company", "no"}, []string{fmt.Sprint(r.company), fmt.Sprint(r.number)})
}

const keyedX = "objects: {x: {table: x, id: [company, no], version: v, columns: {company: text, no: %s, v: integer, m: integer}}}"

// TestPagesOfKeys: whatever the parts hold, in pages of every size each row is there once, and is found, changed and deleted by its own id alone.
func TestPagesOfKeys(t *testing.T) {
	texts := []string{"10", "O'Brien", "a,b", "a=b", "a',no='1", "", " ", "é", "中", `\`, "%", "9", "ABC"}
	for name, tc := range map[string]struct {
		typ     string            // in the settings
		as      map[string]string // the column's, by database
		numbers []any
	}{
		"numbers": {"integer", map[string]string{"": "bigint"}, []any{int64(-7), int64(2), int64(10), int64(4711)}},
		"texts":   {"text", map[string]string{"": "varchar(40)"}, []any{"2", "10", "x'y", "a,b=c"}},
		"dates":   {"date", map[string]string{"": "date"}, []any{"2026-01-31", "2026-02-01", "1999-12-31", "2030-01-01"}},
		"decimals": {"decimal", map[string]string{"sqlite": "numeric(12,2)", "": "numeric(12,2)"},
			[]any{"-1.25", "2.75", "10.25", "4711.75"}},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, p *place) {
				typ := tc.as[p.kind]
				if typ == "" {
					typ = tc.as[""]
				}
				text := "varchar(40)"
				if p.kind == "mysql" {
					text += " COLLATE utf8mb4_nopad_bin"
				}
				p.exec(t, "CREATE TABLE x (company "+text+", no "+typ+", v bigint, m int DEFAULT 1, PRIMARY KEY (company, no))")
				var all []string
				for i, c := range texts {
					for j, n := range tc.numbers {
						r := keyRow{c, n, (i + j) % 3}
						p.exec(t, p.numbered("INSERT INTO x (company, no, v) VALUES (?, ?, ?)"), r.company, r.number, r.version)
						all = append(all, r.local())
					}
				}
				db := open(t, p, fmt.Sprintf(keyedX, tc.typ))
				eachOnce(t, db, all)
				for i, id := range all {
					if i%5 > 0 { // every fifth is enough
						continue
					}
					found, err := db.Find(t.Context(), connector.Lookup{Object: "x", Local: id})
					if err != nil || len(found) != 1 || found[0].Local != id {
						t.Errorf("%s: %v %v", id, found, err)
					}
					res, err := write(t, db, connector.Update, id, `{"m":2}`)
					if err != nil || res.Local != id {
						t.Errorf("%s: %v %v", id, res, err)
					}
					if n := p.text(t, "SELECT count(*) FROM x WHERE m = 2"); n != "1" {
						t.Errorf("%s: %s rows were changed", id, n)
					}
					if _, err := write(t, db, connector.Delete, id, ""); err != nil {
						t.Errorf("%s: %v", id, err)
					}
					if n := p.text(t, "SELECT count(*) FROM x WHERE m = 2"); n != "0" {
						t.Errorf("%s is still there", id)
					}
				}
			})
		})
	}
}

// eachOnce polls, in pages of several sizes, lists, and lists the ids: every row is there once.
func eachOnce(t *testing.T, db *database, all []string) {
	t.Helper()
	all = slices.Sorted(slices.Values(all))
	for _, limit := range []int{1, 2, 3, 7, 500} {
		var got []string
		cursor := ""
		for n := 0; ; n++ {
			page, err := db.Poll(t.Context(), connector.PollRequest{Object: "x", Cursor: cursor, Limit: limit})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Records {
				if r.Err != nil {
					t.Error(r.Err)
				}
				got = append(got, r.Local)
			}
			if cursor = page.Cursor; !page.More {
				break
			}
			if n > 4*len(all) {
				t.Fatal("no end")
			}
		}
		if slices.Sort(got); !slices.Equal(got, all) {
			t.Errorf("polled in pages of %d: %q, want %q", limit, got, all)
		}
	}
	var listed, ids []string
	for r, err := range db.List(t.Context(), "x", time.Time{}) {
		if err != nil || r.Err != nil {
			t.Fatal(err, r.Err)
		}
		listed = append(listed, r.Local)
	}
	for id, err := range db.ListIDs(t.Context(), "x") {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	for what, got := range map[string][]string{"listed": listed, "the ids": ids} {
		if slices.Sort(got); !slices.Equal(got, all) {
			t.Errorf("%s: %q, want %q", what, got, all)
		}
	}
}

// TestKeysOfOneText: parts that the column's rule takes for one are several, with and without an index that sees to it that they differ under the rule too.
func TestKeysOfOneText(t *testing.T) {
	for name, tc := range map[string]struct {
		index string
		same  bool // rows that the index takes for one
	}{
		"no index":           {"", true},
		"an index":           {", KEY (company, no), KEY (v, company, no)", true},
		"unique by more":     {", UNIQUE (company, no, n)", true},
		"unique by the key":  {", UNIQUE (no, company)", false},
		"unique by one part": {", UNIQUE (no)", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newMySQL(t)
			p.exec(t, "CREATE TABLE x (company varchar(20) COLLATE utf8mb4_general_ci, no int, v bigint, n int, m int DEFAULT 1"+tc.index+")")
			var all []string
			for i, c := range []string{"ABC", "ABC ", "abc", "abc  ", "ÁBC", "abcd", "b", "B", "ß", "ss", "SS "} {
				for j := range 3 {
					r := keyRow{c, j, 1}
					if !tc.same {
						r.number = 100 - 3*i - j
					}
					p.exec(t, "INSERT INTO x (company, no, v, n) VALUES (?, ?, ?, ?)", r.company, r.number, r.version, 3*i+j)
					all = append(all, r.local())
				}
			}
			db := open(t, p, fmt.Sprintf(keyedX, "integer"))
			eachOnce(t, db, all)
			if folded := db.set.Objects["x"].learnt().bytewise; len(folded) > 0 != tc.same {
				t.Errorf("by their bytes: %q", folded)
			}
			for i, id := range all {
				alone(t, p, db, id, len(all)-i-1)
			}
		})
	}
}

// TestBrokenKeys: a row without a part of its key is told of, and hides no other; more than a page of them as well.
func TestBrokenKeys(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (company varchar(20), no integer, v bigint, m integer)")
		var all []string
		for i := range 6 {
			r := keyRow{fmt.Sprint(i % 2), i, i}
			all = append(all, r.local())
			for _, r := range []keyRow{r, {nil, i, i}, {fmt.Sprint(i % 2), nil, i}, {nil, nil, nil}} {
				p.exec(t, p.numbered("INSERT INTO x (company, no, v) VALUES (?, ?, ?)"), r.company, r.number, r.version)
			}
		}
		for i := range 3 { // and without a version
			r := keyRow{fmt.Sprint(i % 2), 100 + i, nil}
			all = append(all, r.local())
			p.exec(t, p.numbered("INSERT INTO x (company, no, v) VALUES (?, ?, ?)"), r.company, r.number, r.version)
		}
		slices.Sort(all)
		db := open(t, p, fmt.Sprintf(keyedX, "integer"))
		for _, limit := range []int{1, 2, 5, 100} {
			var whole []string
			cursor, broken := "", 0
			for round := range 60 {
				page, err := db.Poll(t.Context(), connector.PollRequest{Object: "x", Cursor: cursor, Limit: limit})
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page.Records {
					switch {
					case r.Local != "":
						whole = append(whole, r.Local)
					case r.Err == nil || !strings.Contains(r.Err.Error(), "is null"):
						t.Errorf("%v", r.Err)
					default:
						broken++
					}
				}
				if cursor = page.Cursor; !page.More && round > 40 {
					break
				}
			}
			slices.Sort(whole)
			if whole = slices.Compact(whole); !slices.Equal(whole, all) || broken == 0 {
				t.Errorf("pages of %d: %q and %d that are broken, want %q", limit, whole, broken, all)
			}
		}
		var whole []string
		broken := 0
		for r, err := range db.List(t.Context(), "x", time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Err != nil {
				broken++
				continue
			}
			whole = append(whole, r.Local)
		}
		if slices.Sort(whole); !slices.Equal(whole, all) || broken != 18 {
			t.Errorf("listed: %q and %d that are broken, want %q and 18", whole, broken, all)
		}
		var ids []string
		for id, err := range db.ListIDs(t.Context(), "x") {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		if slices.Sort(ids); !slices.Equal(ids, all) {
			t.Errorf("the ids: %q", ids)
		}
	})
}

// TestMissingParts: a create without a column of the key is refused, also where the table would take it.
func TestMissingParts(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (company varchar(20), no integer, v bigint, m integer)")
		db := open(t, p, fmt.Sprintf(keyedX, "integer"))
		for doc, missing := range map[string]string{`{"company":"10","v":1}`: "no", `{"no":1}`: "company", `{"company":null,"no":1}`: "company", `{}`: "company"} {
			if _, err := write(t, db, connector.Create, "", doc); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), missing+" is missing") {
				t.Errorf("%s: %v", doc, err)
			}
		}
		if n := p.text(t, "SELECT count(*) FROM x"); n != "0" {
			t.Errorf("%s rows are there", n)
		}
	})
}

// TestManyKeys: a list of several pages whose rows lie in one company, among them some without a whole key.
func TestManyKeys(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (company varchar(20), no integer, v bigint, m integer)")
		p.exec(t, "CREATE INDEX x_key ON x (company, no)")
		for from := 0; from < 3*pageSize; from += 500 {
			values := make([]string, 500)
			for i := range values {
				values[i] = fmt.Sprintf("('%d', %d, 1)", (from+i)%2, (from+i)/2)
			}
			p.exec(t, "INSERT INTO x (company, no, v) VALUES "+strings.Join(values, ", "))
		}
		p.exec(t, "INSERT INTO x (company, no, v) VALUES ('0', NULL, 1), ('1', NULL, 1), ('2', NULL, 1), (NULL, 7, 1)")
		db := open(t, p, fmt.Sprintf(keyedX, "integer"))
		seen, broken := map[string]int{}, 0
		for r, err := range db.List(t.Context(), "x", time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Err != nil {
				broken++
				continue
			}
			if seen[r.Local]++; seen[r.Local] > 1 {
				t.Fatalf("%s is listed twice", r.Local)
			}
		}
		if len(seen) != 3*pageSize || broken != 4 {
			t.Errorf("%d rows and %d that are broken", len(seen), broken)
		}
		if p.kind != "mysql" {
			return
		}
		p.exec(t, "ANALYZE TABLE x")
		st := db.selecting(db.set.Objects["x"])
		o := db.set.Objects["x"]
		id, err := db.idValues(o, "company='0',no='700'", db.bindOwn)
		if err != nil {
			t.Fatal(err)
		}
		o.known.Load().bytewise = nil // as if a unique index were there
		st.WriteString(" WHERE " + o.keyWhole() + " AND " + db.dialect.behindID(st, o, id) + " ORDER BY " + db.dialect.orderID(o, false))
		st.limit(10)
		if plan := explained(t, db, st); !strings.Contains(plan, "key=x_key") || !strings.Contains(plan, "type=range") || strings.Contains(plan, "filesort") {
			t.Errorf("%s: %s", st.String(), plan)
		}
	})
}

// TestKeysThatAreNotFoundAgain: a row whose key shows what it is not found by is told of, never taken for another.
func TestKeysThatAreNotFoundAgain(t *testing.T) {
	but(t, "mysql", func(t *testing.T, p *place) {
		typ := "timestamp"
		if p.kind == "sqlite" {
			typ = "text"
		}
		p.exec(t, "CREATE TABLE x (company varchar(20), no "+typ+", v bigint, m integer)")
		p.exec(t, "INSERT INTO x (company, no, v) VALUES ('10', '2026-03-01 10:30:00', 1), ('10', '2026-03-02 10:30:00', 1)")
		db := open(t, p, fmt.Sprintf(keyedX, "date"))
		cursor := ""
		for n, want := range []string{"2026-03-01 10:30:00", "2026-03-02 10:30:00"} {
			page, err := db.Poll(t.Context(), connector.PollRequest{Object: "x", Cursor: cursor, Limit: 1})
			if err != nil || len(page.Records) != 1 {
				t.Fatalf("%d: %v %v", n, page, err)
			}
			r := page.Records[0]
			if r.Err == nil || !strings.Contains(r.Err.Error(), "cannot be looked for again: the column no") || !strings.Contains(r.Local, want) {
				t.Errorf("%s: %v", r.Local, r.Err)
			}
			if found, err := db.Find(t.Context(), connector.Lookup{Object: "x", Local: r.Local}); err != nil || len(found) > 0 {
				t.Errorf("%v %v", found, err)
			}
			cursor = page.Cursor
		}
	})
}

// TestDaysOfKeys: a day that the database keeps as the beginning of one is found by the day.
func TestDaysOfKeys(t *testing.T) {
	but(t, "sqlite", func(t *testing.T, p *place) {
		typ := map[string]string{"postgres": "timestamp", "mysql": "datetime"}[p.kind]
		p.exec(t, "CREATE TABLE x (company varchar(20), no "+typ+", v bigint, m integer)")
		db := open(t, p, fmt.Sprintf(keyedX, "date"))
		r := mustWrite(t, db, connector.Create, "", `{"company":"10","no":"2026-03-01","v":1}`)
		if want := "company='10',no='2026-03-01'"; r.Local != want {
			t.Errorf("%s, want %s", r.Local, want)
		}
		mustWrite(t, db, connector.Update, r.Local, `{"m":3}`)
		eachOnce(t, db, []string{r.Local})
	})
}

// TestAbsentKeys: an id that is none, or that no column can hold, is no row, and never a failure of the database's.
func TestAbsentKeys(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (company varchar(20), no integer, v bigint, m integer, PRIMARY KEY (company, no))")
		p.exec(t, "INSERT INTO x (company, no, v) VALUES ('10', 1, 1)")
		db := open(t, p, fmt.Sprintf(keyedX, "integer"))
		for _, id := range []string{"1", "10", "company='10'", "no='1',company='10'", "company='10',no='1',", "company='10',no='x'", "company='10',no='1.5'", "company='10',no=''",
			"company='10',no='99999999999'", "company='10',no='123456789012345678901234567890'", "company='10\x00',no='1'", "company='\xff',no='1'", "company='10''',no='1'", "Company='10',no='1'"} {
			if found, err := db.Find(t.Context(), connector.Lookup{Object: "x", Local: id}); err != nil || len(found) != 0 {
				t.Errorf("find %q: %v %v", id, found, err)
			}
			if _, err := write(t, db, connector.Update, id, `{"m":2}`); fault.KindOf(err) != fault.NotFound {
				t.Errorf("update %q: %v", id, err)
			}
			if _, err := write(t, db, connector.Delete, id, ""); fault.KindOf(err) != fault.NotFound {
				t.Errorf("delete %q: %v", id, err)
			}
		}
		found, err := db.Find(t.Context(), connector.Lookup{Object: "x", Natural: map[string]string{"company": "10", "no": "1"}})
		if err != nil || len(found) != 1 || found[0].Local != "company='10',no='1'" {
			t.Errorf("by its columns: %v %v", found, err)
		}
	})
}

// TestTooLargeNumbers: a number that no row can hold is in none, as an id, in a natural key and in a list.
func TestTooLargeNumbers(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, no integer, big numeric(30))")
		p.exec(t, "INSERT INTO x VALUES (1, 1, 123456789012345678901234567890)")
		db := open(t, p, "objects: {x: {table: x, columns: {id: integer, no: integer, big: integer}}}")
		if p.kind == "sqlite" { // which has no numbers of that size
			p.exec(t, "UPDATE x SET big = 1234567890123456789")
		}
		for _, n := range []string{"99999999999", "123456789012345678901234567891"} {
			for what, l := range map[string]connector.Lookup{"id": {Local: n}, "no": {Natural: map[string]string{"no": n}}} {
				l.Object = "x"
				if found, err := db.Find(t.Context(), l); err != nil || len(found) > 0 {
					t.Errorf("%s %s: %v %v", what, n, found, err)
				}
			}
			if _, err := write(t, db, connector.Delete, n, ""); fault.KindOf(err) != fault.NotFound {
				t.Errorf("delete %s: %v", n, err)
			}
		}
		large := p.text(t, "SELECT "+p.asText("big")+" FROM x")
		if found, err := db.Find(t.Context(), connector.Lookup{Object: "x", Natural: map[string]string{"big": large}}); err != nil || len(found) != 1 {
			t.Errorf("%s: %v %v", large, found, err)
		}
	})
}

// TestUpsertKeepsTheKey: a create that takes a row over by the external id leaves its key as it is, and so its lists.
func TestUpsertKeepsTheKey(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.keyedTables(t)
		db := open(t, p, strings.NewReplacer("  order:", "  x:", "    touch: true\n", "    touch: true\n    upsert: true\n").Replace(keyedOrders))
		create := func(doc string) (connector.Result, error) {
			return db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Create, External: "e-1", Doc: []byte(doc), IdempotencyKey: doc})
		}
		first, err := create(`{"company":"10","order_no":1,"code":"A","lines":[{"line_no":1,"sku":"a","quantity":1}]}`)
		if err != nil {
			t.Fatal(err)
		}
		again, err := create(`{"company":"20","order_no":2,"code":"B","lines":[{"line_no":1,"sku":"b","quantity":2}]}`)
		if err != nil || again.Local != first.Local || again.Local != "company='10',order_no='1'" {
			t.Errorf("%v %v, want %s", again, err, first.Local)
		}
		if _, err := write(t, db, connector.Update, first.Local, `{"company":"20","order_no":2,"name":"n"}`); err != nil {
			t.Error(err)
		}
		got := p.text(t, "SELECT code FROM orders") + " " + p.text(t, "SELECT sku FROM order_lines WHERE co = '10' AND ord = 1")
		if got != "B b" {
			t.Errorf("%s", got)
		}
	})
}

// TestListsOfKeys: the rows of lists are those of the whole key, and a number that a list shows with other digits is the same.
func TestListsOfKeys(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (company varchar(20), no numeric(12,2), v bigint, m integer, PRIMARY KEY (company, no))")
		p.exec(t, "CREATE TABLE y (c varchar(20), n numeric(14,4), pos integer, sku varchar(20))")
		db := open(t, p, strings.TrimSuffix(fmt.Sprintf(keyedX, "decimal"), "}}")+", children: {lines: {table: y, parent: [c, n], key: pos, columns: {pos: integer, sku: text}}}}}")
		for i, key := range []string{`"10","no":1`, `"10","no":10.50`, `"1","no":10.50`, `"O'Neil, a=b","no":10.50`} {
			doc := fmt.Sprintf(`{"company":%s,"v":%d,"lines":[{"pos":1,"sku":"a%d"},{"pos":2,"sku":"b%d"}]}`, key, i, i, i)
			r := mustWrite(t, db, connector.Create, "", doc)
			if !strings.Contains(string(r.Doc), fmt.Sprintf(`"lines":[{"pos":1,"sku":"a%d"},{"pos":2,"sku":"b%d"}]`, i, i)) {
				t.Errorf("%s: %s", doc, r.Doc)
			}
			mustWrite(t, db, connector.Update, r.Local, fmt.Sprintf(`{"lines":[{"pos":3,"sku":"c%d"}]}`, i))
		}
		n := 0
		for r, err := range db.List(t.Context(), "x", time.Time{}) {
			if err != nil || r.Err != nil {
				t.Fatal(err, r.Err)
			}
			if strings.Count(string(r.Doc), `"pos":3`) != 1 || strings.Count(string(r.Doc), `"pos"`) != 1 {
				t.Errorf("%s", r.Doc)
			}
			n++
		}
		if n != 4 {
			t.Errorf("%d rows", n)
		}
		found, err := db.Find(t.Context(), connector.Lookup{Object: "x", Natural: map[string]string{"company": "1"}})
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		if _, err := write(t, db, connector.Delete, found[0].Local, ""); err != nil {
			t.Fatal(err)
		}
		if left := p.text(t, "SELECT count(*) FROM y"); left != "3" {
			t.Errorf("%s rows of lists are left, want 3", left)
		}
	})
}

// TestKeyAsTheDatabaseShowsIt: the id of a new row is the one by which it is listed, also where the server does not give it back.
func TestKeyAsTheDatabaseShowsIt(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (company varchar(20), no numeric(12,2), v bigint, m integer, PRIMARY KEY (company, no))")
		db := open(t, p, fmt.Sprintf(keyedX, "decimal"))
		if d, is := db.dialect.(*mysql); is {
			d.noReturning = true
		}
		r := mustWrite(t, db, connector.Create, "", `{"company":"10","no":1.5}`)
		eachOnce(t, db, []string{r.Local})
		if again := mustWrite(t, db, connector.Update, "company='10',no='1.500'", `{"m":2}`); again.Local != r.Local {
			t.Errorf("%s, and after an update %s", r.Local, again.Local)
		}
	})
}

// TestListsOfOneText: rows of a list that name another key, which the server takes for the same, are told.
func TestListsOfOneText(t *testing.T) {
	p := newMySQL(t)
	p.exec(t, "CREATE TABLE x (company varchar(20), no integer, v bigint, m integer, PRIMARY KEY (company, no))")
	p.exec(t, "CREATE TABLE y (c varchar(20), n integer, pos integer, sku varchar(20))")
	p.exec(t, "INSERT INTO x (company, no, v) VALUES ('ABC', 1, 1), ('ABC', 2, 1)")
	p.exec(t, "INSERT INTO y VALUES ('ABC', 1, 1, 'a'), ('abc ', 2, 1, 'b')")
	db := open(t, p, strings.TrimSuffix(fmt.Sprintf(keyedX, "integer"), "}}")+", children: {lines: {table: y, parent: [c, n], key: pos, columns: {pos: integer, sku: text}}}}}")
	for r, err := range db.List(t.Context(), "x", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Local == "company='ABC',no='1'" {
			if r.Err != nil {
				t.Error(r.Err)
			}
		} else if r.Err == nil || !strings.Contains(r.Err.Error(), "takes for the same") {
			t.Errorf("%s: %v", r.Local, r.Err)
		}
	}
}

// TestKeysTogether: changes of rows with keys of several columns go in one transaction, each with its own answer.
func TestKeysTogether(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (company varchar(20), no integer, v bigint, m integer, PRIMARY KEY (company, no))")
		p.exec(t, "INSERT INTO x (company, no, v) VALUES ('10', 1, 1), ('20', 1, 1)")
		db := open(t, p, fmt.Sprintf(keyedX, "integer"))
		type answer struct {
			local string
			err   error
		}
		ids := []string{"company='10',no='1'", "company='20',no='1'", "company='30',no='1'"}
		answers := make(chan answer)
		for _, id := range ids {
			go func() {
				_, err := db.Write(context.WithoutCancel(t.Context()), connector.Write{Object: "x", Action: connector.Update, Local: id, Doc: []byte(`{"m":5}`), IdempotencyKey: id})
				answers <- answer{id, err}
			}()
		}
		for range ids {
			a := <-answers
			if want := fault.KindOf(a.err) == fault.NotFound; want != (a.local == ids[2]) {
				t.Errorf("%s: %v", a.local, a.err)
			}
		}
		if n := p.text(t, "SELECT count(*) FROM x WHERE m = 5"); n != "2" {
			t.Errorf("%s rows are changed", n)
		}
	})
}

// TestSampleOfKeys: the columns of a list that hold the key are asked for, and a row is shown by its id.
func TestSampleOfKeys(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (company varchar(20), no integer, v bigint, m integer, PRIMARY KEY (company, no))")
		p.exec(t, "CREATE TABLE y (c varchar(20), pos integer, sku varchar(20))")
		p.exec(t, "INSERT INTO x (company, no, v) VALUES ('10', 1, 1)")
		settings := strings.TrimSuffix(fmt.Sprintf(keyedX, "integer"), "}}") + ", children: {lines: {table: y, parent: [c, n], key: pos, columns: {pos: integer, sku: text}}}}}"
		s, err := open(t, p, settings).Sample(t.Context(), "x")
		if err != nil || !slices.Equal(s.Lacking, []string{"lines.n"}) {
			t.Errorf("%v lacks %q", err, s.Lacking)
		}
		p.exec(t, "ALTER TABLE y ADD n integer")
		s, err = open(t, p, settings).Sample(t.Context(), "x")
		if err != nil || s.Record == nil || s.Record.Local != "company='10',no='1'" {
			t.Errorf("%v %v", s.Record, err)
		}
	})
}

// TestOneInAList: a list of one column is that column.
func TestOneInAList(t *testing.T) {
	p := newSQLite(t)
	p.exec(t, "CREATE TABLE x (no integer PRIMARY KEY, v bigint)")
	p.exec(t, "INSERT INTO x VALUES (7, 1)")
	db := open(t, p, "objects: {x: {table: x, id: [no], columns: {no: integer, v: integer}}}")
	if found, err := db.Find(t.Context(), connector.Lookup{Object: "x", Local: "7"}); err != nil || len(found) != 1 || found[0].Local != "7" {
		t.Errorf("%v %v", found, err)
	}
}

// TestKeyBehind: the condition says of any two keys what their order says.
func TestKeyBehind(t *testing.T) {
	p := newSQLite(t)
	p.exec(t, "CREATE TABLE k (a integer, b integer, c integer)")
	for n := range 27 {
		p.exec(t, "INSERT INTO k VALUES (?, ?, ?)", n/9, n/3%3, n%3)
	}
	for n := range 27 {
		st := (&database{dialect: sqlite{}}).statement("SELECT count(*) FROM k WHERE ")
		st.WriteString(keyBehind(columnNames{"a", "b", "c"}, []any{n / 9, n / 3 % 3, n % 3}, quote, func(_ string, v any) string { return st.arg(v) }))
		var behind int
		if err := p.db.QueryRow(st.String(), st.args...).Scan(&behind); err != nil || behind != 26-n {
			t.Errorf("%d: %d %v: %s", n, behind, err, st.String())
		}
	}
}
