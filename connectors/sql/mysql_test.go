package sql

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// TestTouchedColumnsOfMariaDB: the column's digits say what the next version is.
func TestTouchedColumnsOfMariaDB(t *testing.T) {
	at := time.Date(2026, 10, 25, 1, 30, 0, 250e6, time.UTC) // 02:30:00.250 in Berlin, for the second time
	p := newMySQL(t)
	for i, tc := range []struct{ typ, column, stored, next string }{
		{"timestamp", "datetime", "2026-10-25 01:30:00", "2026-10-25 01:30:01"},
		{"timestamp", "datetime", "2026-10-25 01:29:58", "2026-10-25 01:30:00"},
		{"timestamp", "datetime(3)", "2026-10-25 01:30:00.250", "2026-10-25 01:30:00.251"},
		{"timestamp", "datetime(3)", "2026-10-25 01:30:00.000", "2026-10-25 01:30:00.250"},
		{"timestamp", "datetime(6)", "2026-10-25 01:30:00.250000", "2026-10-25 01:30:00.250001"},
		{"timestamp", "datetime(6)", "2062-07-01 00:00:00.000000", "2062-07-01 00:00:00.000001"},
		{"timestamp", "timestamp(1) NULL", "2026-10-25 01:30:00.3", "2026-10-25 01:30:00.4"},
		{"timestamp", "timestamp(6) NULL ON UPDATE CURRENT_TIMESTAMP(6)", "2026-10-25 01:30:00.300000", "2026-10-25 01:30:00.300001"},
		{"timestamp", "date", "2026-10-25", "2026-10-26"},
		{"timestamp", "date", "2026-10-24", "2026-10-25"},
		{"timestamp", "datetime", "0000-00-00 00:00:00", "2026-10-25 01:30:00"},
		{"local-timestamp", "datetime", "2026-10-25 02:30:00", "2026-10-25 02:30:01"},
		{"local-timestamp", "datetime(6)", "2026-10-25 02:59:59.999999", "2026-10-25 03:00:00.000000"},
		{"unix", "bigint", "1792891800", "1792891801"},
		{"unix", "int unsigned", "1", "1792891800"},
		{"unix-ms", "bigint unsigned", "1792891800250", "1792891800251"},
		{"integer", "bigint unsigned", "18446744073709551613", "18446744073709551614"},
	} {
		touches(t, p, fmt.Sprintf("x%d", i), tc.column, tc.typ, tc.stored, tc.next, at)
	}
}

// TestIDsOfOneKey: whatever the rule of the column takes for one, no page skips a row or has it twice, and a row is found, changed and deleted by its own
// id alone.
func TestIDsOfOneKey(t *testing.T) {
	all := []string{"ABC", "ABC ", "abc", "abc  ", "ÁBC", "abcd", "ab", "b", "B", "ß", "ss", "SS ", "z"}
	for name, index := range map[string]string{"no index": "", "an index": ", KEY (id), KEY (v, id)", "unique by more": ", UNIQUE (id, n)"} {
		t.Run(name, func(t *testing.T) {
			p := newMySQL(t)
			p.exec(t, "CREATE TABLE x (id varchar(20) COLLATE utf8mb4_general_ci, v bigint, n int, m int DEFAULT 1"+index+")")
			for i, id := range all {
				p.exec(t, "INSERT INTO x (id, v, n) VALUES (?, ?, ?)", id, i/4, i)
			}
			slices.Sort(all)
			db := open(t, p, "objects: {x: {table: x, version: v, columns: {id: text, v: integer, m: integer}}}")
			everyPage(t, db, all)
			for i, id := range all {
				found, err := db.Find(t.Context(), connector.Lookup{Object: "x", Natural: map[string]string{"id": id}})
				if err != nil || len(found) != 1 || found[0].Local != id {
					t.Errorf("%q: %v %v", id, found, err)
				}
				alone(t, p, db, id, len(all)-i-1)
			}
			for _, absent := range []string{"abC", "中文", "0", "😀"} {
				if found, err := db.Find(t.Context(), connector.Lookup{Object: "x", Local: absent}); err != nil || len(found) != 0 {
					t.Errorf("%q: %v %v", absent, found, err)
				}
				if _, err := write(t, db, connector.Delete, absent, ""); fault.KindOf(err) != fault.NotFound {
					t.Errorf("%q: %v", absent, err)
				}
			}
		})
	}
}

// everyPage polls in pages of each size: every row is there once.
func everyPage(t *testing.T, db *database, all []string) {
	t.Helper()
	for limit := 1; limit <= 5; limit++ {
		got, _, cursor := polled(t, db, "", limit)
		for i, g := range got {
			got[i], _, _ = strings.Cut(g, "@")
		}
		if slices.Sort(got); !slices.Equal(got, all) {
			t.Errorf("limit %d: %q, want %q", limit, got, all)
		}
		if got, _, _ := polled(t, db, cursor, limit); len(got) != 0 {
			t.Errorf("limit %d, again: %q", limit, got)
		}
	}
}

// TestPagesByIndex: where a unique index sees to it that ids differ under their column's rule, pages go by the indexes, in their order.
func TestPagesByIndex(t *testing.T) {
	for name, column := range map[string]string{
		"capitals and accents":  "varchar(20) COLLATE utf8mb4_unicode_ci NOT NULL PRIMARY KEY",
		"bytes without padding": "varchar(20) COLLATE utf8mb4_nopad_bin NOT NULL",
		"latin1":                "varchar(20) CHARACTER SET latin1 COLLATE latin1_german1_ci NOT NULL PRIMARY KEY",
	} {
		t.Run(name, func(t *testing.T) {
			p := newMySQL(t)
			p.exec(t, "CREATE TABLE x (id "+column+", v datetime(3), KEY by_v (v, id), KEY by_id (id))")
			all := []string{"ABC", "abd", "B", "c", "Äx", "é", "F", "ßx", "z", "Ö"}
			for i, id := range all {
				p.exec(t, "INSERT INTO x VALUES (?, ?)", id, fmt.Sprintf("2026-01-01 10:00:00.00%d", i/4))
			}
			p.exec(t, "INSERT INTO x SELECT 'k' || seq, '2025-01-01' FROM seq_1_to_2000")
			p.exec(t, "ANALYZE TABLE x")
			db := open(t, p, "objects: {x: {table: x, version: v, columns: {id: text, v: timestamp}}}")
			count := map[string]int{}
			for r, err := range db.List(t.Context(), "x", time.Time{}) {
				if err != nil {
					t.Fatal(err)
				}
				count[r.Local]++
			}
			for _, id := range all {
				if len(count) != 2000+len(all) || count[id] != 1 {
					t.Errorf("%q is listed %d times, of %d", id, count[id], len(count))
				}
			}
			o := db.set.Objects["x"]
			pl := &poll{db: db, o: o, size: 100, from: "2025-01-01 00:00:00.000", inclusive: true, at: &pollPlace{Version: "2025-01-01 00:00:00.000", ID: "k1500"}}
			st, err := pl.changes()
			if err != nil {
				t.Fatal(err)
			}
			if plan := explained(t, db, st); !strings.Contains(plan, "key=by_v") || strings.Contains(plan, "filesort") || strings.Contains(plan, "type=ALL") {
				t.Errorf("%s: %s", st.String(), plan)
			}
			st = db.selecting(o)
			st.WriteString(" WHERE " + db.dialect.is(st, of("id"), "text", "k1500"))
			if plan := explained(t, db, st); strings.Contains(plan, "type=ALL") || strings.Contains(plan, "type=index") {
				t.Errorf("%s: %s", st.String(), plan)
			}
		})
	}
}

// explained says how the server would run a statement.
func explained(t *testing.T, db *database, st *statement) string {
	t.Helper()
	rows, err := db.sql.QueryContext(t.Context(), "EXPLAIN "+st.String(), st.args...)
	if err != nil {
		t.Fatalf("%v: %s", err, st.String())
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil || !rows.Next() {
		t.Fatal(err, rows.Err())
	}
	values := make([]sql.NullString, len(names))
	into := make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		t.Fatal(err)
	}
	out := ""
	for i, n := range names {
		out += n + "=" + values[i].String + " "
	}
	return out
}

// TestLongListOfOneKey: a list of many pages in which every three ids are one under the column's rule.
func TestLongListOfOneKey(t *testing.T) {
	p := newMySQL(t)
	p.exec(t, "CREATE TABLE x (id varchar(20) COLLATE utf8mb4_unicode_ci, KEY (id))")
	const each = idsPage/2 + 100 // so that ids alone take several pages too
	for _, form := range []string{"'key' || seq", "'KEY' || seq", "'Këy' || seq || ' '"} {
		p.exec(t, "INSERT INTO x SELECT "+form+" FROM seq_1_to_"+fmt.Sprint(each))
	}
	p.exec(t, "INSERT INTO x VALUES (NULL), (NULL)")
	db := open(t, p, "objects: {x: {table: x, columns: {id: text}}}")
	got, odd := map[string]int{}, 0
	for r, err := range db.List(t.Context(), "x", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Err != nil {
			odd++
			continue
		}
		got[r.Local]++
	}
	for id, n := range got {
		if n != 1 {
			t.Errorf("%q is listed %d times", id, n)
		}
	}
	if len(got) != 3*each || odd != 2 {
		t.Errorf("%d ids and %d rows without one", len(got), odd)
	}
	for id, err := range db.ListIDs(t.Context(), "x") {
		if err != nil {
			t.Fatal(err)
		}
		if got[id]--; got[id] < 0 {
			t.Fatalf("the id %q is listed again", id)
		}
	}
	for id, n := range got {
		if n != 0 {
			t.Fatalf("the id %q is not listed alone", id)
		}
	}
}

// TestChildrenOfOneKey: lines that name the order otherwise than it is called are its lines to the database, and to nobody else: that is said.
func TestChildrenOfOneKey(t *testing.T) {
	p := newMySQL(t)
	p.exec(t, "CREATE TABLE x (id varchar(20) COLLATE utf8mb4_general_ci PRIMARY KEY, n int)")
	p.exec(t, "CREATE TABLE l (x varchar(20) COLLATE utf8mb4_general_ci REFERENCES x (id), k varchar(9) COLLATE utf8mb4_general_ci, q int, PRIMARY KEY (x, k))")
	p.exec(t, "INSERT INTO x VALUES ('ABC', 1), ('D', 1)")
	p.exec(t, "INSERT INTO l VALUES ('ABC', 'a', 1), ('D', 'a', 1)")
	db := open(t, p, "objects: {x: {table: x, columns: {id: text, n: integer}, children: {lines: {table: l, parent: x, key: k, on-update: merge, columns: {k: text, q: integer}}}}}")
	read := func() (good, bad string) {
		for r, err := range db.List(t.Context(), "x", time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Err != nil {
				bad += r.Local + ": " + r.Err.Error()
			} else {
				good += string(r.Doc)
			}
		}
		return good, bad
	}
	if good, bad := read(); good != `{"id":"ABC","n":1,"lines":[{"k":"a","q":1}]}{"id":"D","n":1,"lines":[{"k":"a","q":1}]}` || bad != "" {
		t.Errorf("%s %s", good, bad)
	}
	p.exec(t, "INSERT INTO l VALUES ('abc ', 'b', 1)")
	if good, bad := read(); good != `{"id":"D","n":1,"lines":[{"k":"a","q":1}]}` || !strings.HasPrefix(bad, "ABC: ") || !strings.Contains(bad, `rows have the x "abc "`) {
		t.Errorf("%s\n%s", good, bad)
	}
	if _, err := write(t, db, connector.Update, "ABC", `{"n":2}`); fault.KindOf(err) != fault.Invalid {
		t.Errorf("%v", err)
	}
	// A key in other letters is another key, which the index does not take beside the first: so the first goes.
	if r := mustWrite(t, db, connector.Update, "D", `{"lines":[{"k":"A","q":2}]}`); !strings.Contains(string(r.Doc), `"lines":[{"k":"A","q":2}]`) {
		t.Errorf("%s", r.Doc)
	}
}

// TestKindsOfMariaDB: what columns of each kind show, and what is refused for them, by its column and without the value. What is written is read as it
// was sent.
func TestKindsOfMariaDB(t *testing.T) {
	for i, tc := range []struct{ column, typ, held, want string }{
		{"bit(1)", "boolean", "b'1'", `true`},
		{"bit(1)", "integer", "b'1'", `1`},
		{"bit(64)", "integer", "18446744073709551615", `18446744073709551615`},
		{"bit(20)", "text", "b'10000000000000000001'", `"524289" cannot be written`},
		{"tinyint(1)", "boolean", "1", `true`},
		{"tinyint(1)", "integer", "-7", `-7`},
		{"tinyint(1)", "boolean", "2", `!"2" is no truth value`},
		{"bigint unsigned", "integer", "18446744073709551615", `18446744073709551615`},
		{"int(5) zerofill", "integer", "7", `7`},
		{"float", "decimal", "0.1", `0.1`},
		{"float", "decimal", "123456.789", `123456.79`},
		{"float", "decimal", "16777216", `16777216`},
		{"double", "decimal", "0.1 + 0.2e0", `0.30000000000000004`},
		{"decimal(65,30)", "decimal", "12345678901234567890123456789012345.123456789012345678901234567890", `12345678901234567890123456789012345.123456789012345678901234567890`},
		{"year", "integer", "2026", `2026`},
		{"time(6)", "text", "'-838:59:59.000001'", `"-838:59:59.000001"`},
		{"datetime", "timestamp", "'2026-02-28 10:00:00'", `"2026-02-28T10:00:00Z"`},
		{"datetime(3)", "local-timestamp", "'2026-02-28 10:00:00.123'", `"2026-02-28T02:00:00.123Z"`},
		{"timestamp(6) NULL", "timestamp", "'2026-02-28 10:00:00.000001'", `"2026-02-28T10:00:00.000001Z"`},
		{"timestamp NOT NULL DEFAULT 0", "timestamp", "DEFAULT", `!systems write zeros for none`},
		{"datetime", "date", "'2026-02-28 10:00:00'", `"2026-02-28" cannot be written back as it was`},
		{"enum('New','Done')", "text", "'Done'", `"Done"`},
		{"set('a','b')", "text", "'a,b'", `"a,b"`},
		{"json", "json", "'{\"a\": 1.50}'", `{"a": 1.50}`},
		{"longtext", "json", "'{\"a\":'", `!holds no JSON`},
		{"char(5)", "text", "'ab'", `"ab"`},
		{"varchar(5)", "text", "'ab  '", `"ab  "`},
		{"varchar(5) CHARACTER SET latin1", "text", "'größe'", `"größe"`},
		{"varchar(5) CHARACTER SET utf8mb3", "text", "'中文'", `"中文"`},
		{"text", "text", "'😀\\\\'", `"😀\\"`},
		{"blob", "text", "x'ff00'", `!no UTF-8`},
		{"uuid", "text", "'1297F71C-1905-53E0-BBB7-E253A25632A9'", `"1297f71c-1905-53e0-bbb7-e253a25632a9"`},
	} {
		t.Run(tc.column+" "+tc.typ, func(t *testing.T) {
			p := shared(t)
			table := fmt.Sprintf("k%d", i)
			p.exec(t, "CREATE TABLE "+table+" (id int PRIMARY KEY, v "+tc.column+")")
			p.exec(t, "INSERT INTO "+table+" VALUES (1, "+tc.held+"), (2, DEFAULT)")
			db := open(t, p, "zone: Asia/Shanghai\nobjects: {x: {table: "+table+", columns: {id: integer, v: "+tc.typ+"}}}")
			got, err := readOne(t, db, "x", "1")
			if why, refused := strings.CutPrefix(tc.want, "!"); refused {
				if err == nil || !strings.Contains(err.Error(), "column v") || !strings.Contains(err.Error(), why) {
					t.Errorf("%v, want %s", err, why)
				}
				return
			}
			want, _, one := strings.Cut(tc.want, " cannot be written")
			if err != nil || string(got.Get("v").Raw()) != want {
				t.Fatalf("%s %v, want %s", got.Get("v").Raw(), err, want)
			}
			if one {
				return
			}
			if _, err := write(t, db, connector.Update, "2", `{"v":`+want+`}`); err != nil {
				t.Fatal(err)
			}
			if n := p.text(t, "SELECT count(*) FROM "+table+" a, "+table+" b WHERE a.id = 1 AND b.id = 2 AND a.v = b.v"); n != "1" {
				t.Error("it was written as another value")
			}
		})
	}
}

func TestWhatColumnsOfMariaDBCannotHold(t *testing.T) {
	for i, tc := range []struct{ column, typ, sent, why string }{
		{"decimal(10,2)", "decimal", `1.005`, "cannot hold 1.005 exactly"},
		{"decimal(10,2)", "decimal", `123456789.1`, "MYSQL_1264"},
		{"datetime", "timestamp", `"2026-01-01T10:00:00.999Z"`, "exactly"},
		{"datetime(3)", "timestamp", `"2026-01-01T10:00:00.1234Z"`, "exactly"},
		{"datetime(6)", "timestamp", `"2026-01-01T10:00:00.1234567Z"`, "exactly"},
		{"timestamp(0) NULL", "timestamp", `"2026-01-01T10:00:00.5Z"`, "exactly"},
		{"datetime(1)", "local-timestamp", `"2026-01-01T10:00:00.55Z"`, "exactly"},
		{"timestamp NULL", "local-timestamp", `"2026-01-01T10:00:00Z"`, "is a TIMESTAMP"},
		{"decimal(10,2)", "text", `"1.005"`, "exactly"},
		{"int", "text", `"5.5"`, "exactly"},
		{"datetime", "text", `"2026-01-01 10:00:00.5"`, "exactly"},
		{"timestamp NULL", "timestamp", `"2039-01-01T10:00:00Z"`, "MYSQL_1292"},
		{"date", "date", `"0000-02-29"`, "MYSQL_1292"},
		{"float", "decimal", `123456.789`, "exactly"},
		{"float", "integer", `16777217`, "exactly"},
		{"double", "decimal", `0.12345678901234567890`, "exactly"},
		{"double", "integer", `9007199254740993`, "exactly"},
		{"tinyint", "integer", `300`, "MYSQL_1264"},
		{"bigint unsigned", "integer", `-1`, "MYSQL_1264"},
		{"bigint unsigned", "integer", `18446744073709551616`, "MYSQL_1264"},
		{"year", "integer", `1800`, "MYSQL_1264"},
		{"bit(1)", "integer", `2`, "MYSQL_1406"},
		{"bit(8)", "decimal", `5`, "a BIT takes the bytes"},
		{"bit(8)", "text", `"5"`, "a BIT takes the bytes"},
		{"char(5)", "text", `"ab "`, "exactly"},
		{"varchar(3)", "text", `"abc  "`, "exactly"},
		{"varchar(3)", "text", `"secret"`, "MYSQL_1406"},
		{"binary(4)", "text", `"ab"`, "exactly"},
		{"varchar(9) CHARACTER SET latin1", "text", `"中文"`, "MYSQL_1366"},
		{"varchar(9) CHARACTER SET utf8mb3", "text", `"a😀"`, "MYSQL_1366"},
		{"enum('New')", "text", `"Secret"`, "MYSQL_1265"},
		{"int", "text", `"secret"`, "MYSQL_1366"},
		{"uuid", "text", `"secret"`, "MYSQL_1292"},
		{"int AS (id + 1)", "integer", `7`, "MYSQL_1906"},
		{"int NOT NULL", "integer", `null`, "MYSQL_1048"},
		{"int CHECK (v > 5)", "integer", `5`, "MYSQL_4025"},
	} {
		t.Run(tc.column+" "+tc.sent, func(t *testing.T) {
			p := shared(t)
			table := fmt.Sprintf("c%d", i)
			p.exec(t, "CREATE TABLE "+table+" (id int PRIMARY KEY, v "+tc.column+")")
			db := open(t, p, "zone: Asia/Shanghai\nobjects: {x: {table: "+table+", columns: {id: integer, v: "+tc.typ+"}}}")
			_, err := write(t, db, connector.Create, "", `{"id":1,"v":`+tc.sent+`}`)
			f, ok := fault.As(err)
			if !ok || f.Kind != fault.Invalid || !strings.Contains(err.Error(), tc.why) {
				t.Fatalf("%v, want %s", err, tc.why)
			}
			if strings.HasPrefix(tc.why, "MYSQL") && f.Field != "v" && tc.why != "MYSQL_4025" {
				t.Errorf("the field is %q: %v", f.Field, err)
			}
			if text := strings.Trim(tc.sent, `"`); strings.EqualFold(text, "secret") && strings.Contains(err.Error(), text) {
				t.Errorf("it tells the value: %v", err)
			}
			if n := p.text(t, "SELECT count(*) FROM "+table); n != "0" {
				t.Error("it was written all the same")
			}
		})
	}
}

// shared is one database for many small tests.
func shared(t *testing.T) *place {
	t.Helper()
	return newMySQL(t)
}

// alone changes and deletes a row of x, and no other: left are there behind it.
func alone(t *testing.T, p *place, db *database, id string, left int) {
	t.Helper()
	if _, err := write(t, db, connector.Update, id, `{"m":2}`); err != nil {
		t.Errorf("%q: %v", id, err)
	}
	if n := p.text(t, "SELECT count(*) FROM x WHERE m = 2"); n != "1" {
		t.Errorf("%q: %s rows were changed", id, n)
	}
	if _, err := write(t, db, connector.Delete, id, ""); err != nil {
		t.Errorf("%q: %v", id, err)
	}
	if n := p.text(t, "SELECT count(*) FROM x"); n != fmt.Sprint(left) {
		t.Errorf("%q is deleted: %s rows are left", id, n)
	}
}
