package plain

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// valueCase is a pair of rows: columns a and b on either side, as the databases declare and write them.
type valueCase struct {
	name        string
	declared    string // in the settings; of the right side after a slash where it is another one
	left, right string // the columns' types
	a, b        string // the left row's values
	x, y        string // the right row's values
	same        bool
}

func (v valueCase) run(t *testing.T, w *world) {
	w.exec(t, "DROP TABLE IF EXISTS l")
	w.exec(t, "DROP TABLE IF EXISTS r")
	types := func(s string) string { return strings.ReplaceAll("id bigint PRIMARY KEY, a "+s+", b "+s, "%", "") }
	w.exec(t, "CREATE TABLE l ("+types(v.left)+")")
	right := v.right
	if right == "" {
		right = v.left
	}
	w.exec(t, "CREATE TABLE r ("+types(right)+")")
	w.exec(t, fmt.Sprintf("INSERT INTO l VALUES (1, %s, %s)", v.a, v.b))
	w.exec(t, fmt.Sprintf("INSERT INTO r VALUES (1, %s, %s)", v.x, v.y))
	l, r, found := strings.Cut(v.declared, "/")
	if !found {
		r = l
	}
	columns := func(typ string) string { return "columns: {id: integer, a: " + typ + ", b: " + typ + "}" }
	w.open(t, columns(l), columns(r))
	for _, stream := range []bool{true, false} {
		lines, res, path := w.compare(t, spec("id", "a", "b"), Options{Stream: stream})
		if same := len(lines) == 0; same != v.same || same != (res.Equal == 1) {
			t.Errorf("%s: same is %v: %v", path, same, lines)
		}
		if v.same && !stream && res.Read > 0 {
			t.Error("the digests of the same values are not the same")
		}
	}
}

func TestValues(t *testing.T) {
	cases := map[string][]valueCase{
		"sqlite": {
			{"an integer in a text column", "integer", "TEXT", "INTEGER", "'7'", "NULL", "7", "NULL", true},
			{"a real", "decimal", "REAL", "TEXT", "0.5", "1e3", "'0.50'", "'1000.0'", true},
			{"the digits of a real", "decimal", "REAL", "TEXT", "0.1 + 0.2", "0", "'0.3'", "'0'", false},
			{"digits beyond a float", "decimal", "TEXT", "", "'123456789012345678901'", "NULL", "'123456789012345678902'", "NULL", false},
			{"times in several forms", "timestamp", "TEXT", "", "'2026-01-02 03:04:05'", "'2026-01-02T03:04:05+01:00'", "'2026-01-02T03:04:05Z'", "'2026-01-02T02:04:05.000Z'", true},
			{"nanoseconds", "timestamp", "TEXT", "", "'2026-01-02T03:04:05.000000001Z'", "NULL", "'2026-01-02T03:04:05Z'", "NULL", false},
			{"unix and text", "unix/timestamp", "INTEGER", "TEXT", "0", "NULL", "'1970-01-01T00:00:00Z'", "NULL", true},
			{"truth", "boolean", "INTEGER", "TEXT", "1", "0", "'yes'", "'f'", true},
			{"a day with its time", "date", "TEXT", "", "'2026-01-02'", "'28/11/2026'", "'2026-01-02 10:00:00'", "'28/11/2026'", true},
			{"columns of type timestamp", "timestamp", "TIMESTAMP", "", "'2026-01-02 03:04:05'", "NULL", "'2026-01-02T03:04:05Z'", "NULL", true},
		},
		"postgres": {
			{"zeros behind the point", "decimal", "numeric", "", "1.0", "100", "1.00", "1e2", true},
			{"numbers that are none", "decimal", "numeric", "", "'NaN'", "'Infinity'", "'NaN'", "'Infinity'", true},
			{"NaN and infinity", "decimal", "numeric", "", "'NaN'", "'Infinity'", "'Infinity'", "'NaN'", false},
			{"an integer and a decimal", "integer/decimal", "integer", "numeric(10,2)", "7", "-7", "7", "-7.00", true},
			{"small and large integers", "integer", "smallint", "bigint", "7", "NULL", "7", "NULL", true},
			{"integers that fold to one", "integer", "bigint", "", "1", "0", "4294967296", "0", false},
			{"floats and decimals", "decimal", "double precision", "numeric", "0.1", "1e300", "0.1", "1e300", true},
			{"the digits of a float", "decimal", "double precision", "", "0.1::float8 + 0.2::float8", "0", "0.3", "0", false},
			{"instants", "timestamp", "timestamptz", "", "'2026-01-02T03:04:05+01'", "'infinity'", "'2026-01-02T02:04:05Z'", "'infinity'", true},
			{"times without a zone", "timestamp", "timestamptz", "timestamp", "'2026-01-02T03:04:05Z'", "NULL", "'2026-01-02T03:04:05'", "NULL", true},
			{"readings of a clock", "local-timestamp", "timestamp", "", "'2026-01-02T03:04:05'", "NULL", "'2026-01-02T03:04:06'", "NULL", false},
			{"days", "date", "date", "", "'2026-01-02'", "'-infinity'", "'2026-01-02'", "'-infinity'", true},
			{"padded texts", "text", "char(9)", "text", "'a'", "''", "'a'", "''", true},
			{"UUIDs and their texts", "text", "uuid", "text", "'0190B0C4-0000-7000-8000-00000000000A'", "NULL", "'0190b0c4-0000-7000-8000-00000000000a'", "NULL", true},
			{"UUIDs", "text", "uuid", "", "'0190b0c4-0000-7000-8000-00000000000a'", "NULL", "'0190b0c4-0000-7000-8000-00000000000b'", "NULL", false},
			{"texts of other types", "text", "inet", "text", "'10.0.0.1'", "NULL", "'10.0.0.1/32'", "NULL", true},
			{"a collation that ignores case", "text", `text COLLATE "nocase%"`, "", "'A'", "NULL", "'a'", "NULL", false},
		},
	}
	cases["mysql"] = []valueCase{
		{"zeros behind the point", "decimal", "decimal(20,4)", "decimal(10,2)", "1.0", "-100", "1.00", "-100.00", true},
		{"an integer and a decimal", "integer/decimal", "int", "decimal(10,2)", "7", "-7", "7", "-7.00", true},
		{"a hundred", "decimal", "decimal(10,0)", "decimal(10,2)", "100", "0", "100.00", "0", true},
		{"small and large integers", "integer", "smallint", "bigint", "7", "NULL", "7", "NULL", true},
		{"zeros before the number", "integer", "int(8) zerofill", "int", "7", "NULL", "7", "NULL", true},
		{"large numbers without a sign", "integer/decimal", "bigint unsigned", "decimal(30,0)", "18446744073709551615", "0", "18446744073709551615", "0", true},
		{"large numbers that differ", "integer", "bigint unsigned", "", "18446744073709551615", "0", "18446744073709551614", "0", false},
		{"digits of the second", "timestamp", "datetime", "datetime(6)", "'2026-01-02 03:04:05'", "NULL", "'2026-01-02 03:04:05.000'", "NULL", true},
		{"a microsecond", "timestamp", "datetime(6)", "", "'2026-01-02 03:04:05.000001'", "NULL", "'2026-01-02 03:04:05'", "NULL", false},
		{"a timestamp and a datetime", "timestamp", "timestamp NULL", "datetime(3)", "'2026-01-02 03:04:05'", "NULL", "'2026-01-02 03:04:05'", "NULL", true},
		{"readings of a clock", "local-timestamp", "datetime", "", "'2026-01-02 03:04:05'", "NULL", "'2026-01-02 03:04:06'", "NULL", false},
		{"days", "date", "date", "", "'2026-01-02'", "'0000-01-01'", "'2026-01-02'", "'0000-01-01'", true},
		{"padded texts", "text", "char(9)", "text", "'a'", "''", "'a  '", "''", false},
		{"texts in two character sets", "text", "varchar(9) CHARACTER SET latin1", "text", "'größe'", "''", "'größe'", "''", true},
		{"texts and enums", "text", "enum('New','Done')", "text", "'Done'", "NULL", "'Done'", "NULL", true},
		{"UUIDs and their texts", "text", "uuid", "text", "'0190B0C4-0000-7000-8000-00000000000A'", "NULL", "'0190b0c4-0000-7000-8000-00000000000a'", "NULL", true},
		{"UUIDs", "text", "uuid", "", "'0190b0c4-0000-7000-8000-00000000000a'", "NULL", "'0190b0c4-0000-7000-8000-00000000000b'", "NULL", false},
		{"a collation that ignores case", "text", "varchar(9) COLLATE utf8mb4_general_ci", "", "'A'", "'é'", "'a'", "'e'", false},
		{"bits and numbers", "boolean", "bit(1)", "tinyint(1)", "b'1'", "b'0'", "1", "0", true},
		{"a length of one", "text", "text", "", "'1:a'", "NULL", "'a'", "NULL", false},
	}
	both(t, func(t *testing.T, w *world) {
		if w.kind == "postgres" {
			w.exec(t, `CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
		}
		text := func(name, a, b, x, y string, same bool) valueCase {
			return valueCase{name, "text", "text", "", a, b, x, y, same}
		}
		for _, v := range append(cases[w.kind],
			text("a bar", "'a|b'", "'c'", "'a'", "'b|c'", false),
			text("what looks like a length", "'a;t1:b'", "''", "'a'", "'b;t0:'", false),
			text("null and nothing", "NULL", "''", "''", "NULL", false),
			text("null and its name", "NULL", "'x'", "'NULL'", "'x'", false),
			text("null and null", "NULL", "NULL", "NULL", "NULL", true),
			text("a blank at the end", "'a '", "''", "'a'", "''", false),
			text("composed letters", "'\u00e9'", "''", "'e\u0301'", "''", false),
			text("long texts", "'"+strings.Repeat("ab", 5000)+"'", "''", "'"+strings.Repeat("ab", 4999)+"ba'", "''", false),
			valueCase{"truth", "boolean", "boolean", "", "true", "NULL", "false", "NULL", false},
		) {
			t.Run(v.name, func(t *testing.T) { v.run(t, w) })
		}
	})
}

// The key is part of a row's hash, and columns are not added up one by one: values that have changed places are no longer the same.
func TestChangedPlaces(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for _, table := range []string{"l", "r"} {
			w.exec(t, "CREATE TABLE "+table+" (id bigint PRIMARY KEY, a text, b text)")
		}
		w.exec(t, "INSERT INTO l VALUES (1, 'x', 'u'), (2, 'y', 'v'), (3, 'p', 'q')")
		w.exec(t, "INSERT INTO r VALUES (1, 'x', 'v'), (2, 'y', 'u'), (3, 'q', 'p')")
		w.open(t, "columns: {id: integer, a: text, b: text}")
		w.bothWays(t, spec("id", "a", "b"), Options{}, `different 1 b:"u"/"v"`, `different 2 b:"v"/"u"`, `different 3 a:"p"/"q" b:"q"/"p"`)
	})
}

func TestWithin(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for _, table := range []string{"l", "r"} {
			w.exec(t, "CREATE TABLE "+table+" (id bigint PRIMARY KEY, amount numeric, qty integer)")
		}
		w.exec(t, "INSERT INTO l VALUES (1, 1.00, 1), (2, 1.00, 1), (3, NULL, 1), (4, 1.00, 1)")
		w.exec(t, "INSERT INTO r VALUES (1, 1.01, 1), (2, 1.02, 1), (3, 0, 1), (4, 1.01, 2)")
		w.open(t, "columns: {id: integer, amount: decimal, qty: integer}")
		cent, err := jsondoc.ParseDecimal("0.01")
		if err != nil {
			t.Fatal(err)
		}
		s := spec("id", "amount", "qty")
		s.Columns[0].Within = &compare.Bound{Amount: cent}
		w.bothWays(t, s, Options{}, "different 2 amount:1/1.02", "different 3 amount:null/0", "different 4 qty:1/2")
	})
}

// Rows without a key are counted, keys that come twice are named, and neither is called missing.
func TestNoKeyAndTwice(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for _, table := range []string{"l", "r"} {
			w.exec(t, "CREATE TABLE "+table+" (no text, v integer)")
		}
		w.exec(t, "INSERT INTO l VALUES (NULL, 1), (NULL, 2), ('a', 1), ('b', 1), ('b', 1), ('c', 1), ('d', 1), ('d', 2), ('d', 3)")
		w.exec(t, "INSERT INTO r VALUES (NULL, 1), ('a', 1), ('b', 1), ('b', 1), ('c', 2), ('e', 1), ('e', 1)")
		w.open(t, "id: no, columns: {no: text, v: integer}")
		lines, res, path := w.compare(t, spec("no", "v"), Options{}, func(p Pair) {
			if p.Kind == DoubledLeft && len(p.Left) == 0 || p.Kind == DoubledRight && len(p.Right) == 0 || p.Key[0] == "b" && (string(p.Left[0]) != "1" || string(p.Right[0]) != "1") || p.Key[0] == "d" && (string(p.Left[0]) != "1" || p.Right != nil) {
				t.Errorf("%s %s has the values %s and %s", p.Kind, p.Key, p.Left, p.Right)
			}
		})
		want := []string{"doubled-left b x2", "doubled-right b x2", "different c v:1/2", "doubled-left d x3", "doubled-right e x2"}
		if !slices.Equal(lines, want) || path != Streamed {
			t.Errorf("%s: %q", path, lines)
		}
		if res.Left.Unkeyed != 2 || res.Right.Unkeyed != 1 || res.Equal != 1 || res.Compared != 5 {
			t.Errorf("%+v", res)
		}
	})
}

// A row that is marked as deleted is not there.
func TestMarkedAsDeleted(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for _, table := range []string{"l", "r"} {
			w.exec(t, "CREATE TABLE "+table+" (id bigint PRIMARY KEY, v integer, gone boolean)")
		}
		w.exec(t, "INSERT INTO l VALUES (1, 1, false), (2, 2, true), (3, 3, NULL)")
		w.exec(t, "INSERT INTO r VALUES (1, 1, NULL), (3, 3, true)")
		w.open(t, "deleted: gone, columns: {id: integer, v: integer, gone: boolean}")
		w.bothWays(t, spec("id", "v"), Options{}, "missing-right 3")
	})
}

// What SQLite lets stand in a column and the settings do not is a row that is not compared, and not one that is missing.
func TestNotCompared(t *testing.T) {
	w := newWorld(t, "sqlite")
	for _, table := range []string{"l", "r"} {
		w.exec(t, "CREATE TABLE "+table+" (id bigint PRIMARY KEY, v integer)")
		w.exec(t, "INSERT INTO "+table+" VALUES (1, 'one'), (2, 2), (3, 'three')")
	}
	w.exec(t, "UPDATE r SET v = 1 WHERE id = 1")
	w.exec(t, "INSERT INTO l VALUES ('x', 5)")
	w.open(t, "columns: {id: integer, v: integer}")
	w.bothWays(t, spec("id", "v"), Options{}, "not-compared 1", "not-compared ", "not-compared 3")
}

// What MariaDB lets stand in a column and documents do not: zeros for a date, days that do not exist, and truth values that are none.
func TestNotComparedOfMariaDB(t *testing.T) {
	w := newWorld(t, "mysql")
	for _, table := range []string{"l", "r"} {
		w.exec(t, "CREATE TABLE "+table+" (id bigint PRIMARY KEY, d date, at datetime(3), b tinyint(1))")
		w.exec(t, "INSERT INTO "+table+" VALUES (1, '0000-00-00', NULL, 1), (2, '2026-02-28', '2026-02-28 10:00:00', 0), (3, '2026-02-00', NULL, NULL), (4, NULL, '0000-00-00 00:00:00', 1), (5, NULL, NULL, 2)")
	}
	w.open(t, "columns: {id: integer, d: date, at: timestamp, b: boolean}")
	w.bothWays(t, spec("id", "d", "at", "b"), Options{}, "not-compared 1", "not-compared 3", "not-compared 4", "not-compared 5")
}

// Whatever two tables hold, both paths find what a comparison by hand finds.
func TestAnyTables(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for _, table := range []string{"l", "r"} {
			w.exec(t, "CREATE TABLE "+table+" (id bigint PRIMARY KEY, a text, b numeric)")
		}
		w.open(t, "columns: {id: integer, a: text, b: decimal}")
		checks := 0
		rapid.Check(t, func(rt *rapid.T) {
			if checks++; checks > 25 { // each opens eight connections
				return
			}
			row := rapid.Custom(func(rt *rapid.T) [2]string {
				return [2]string{rapid.SampledFrom([]string{"NULL", "''", "'a'", "'a|b'", "'b'", "';t1:a'", "'é'"}).Draw(rt, "a"), rapid.SampledFrom([]string{"NULL", "0", "1", "1.5", "-1"}).Draw(rt, "b")}
			})
			table := rapid.MapOf(rapid.Int64Range(-20, 60), row)
			l, r := table.Draw(rt, "left"), table.Draw(rt, "right")
			if rapid.Bool().Draw(rt, "mostly equal") {
				for k, v := range l {
					if k%5 != 0 {
						r[k] = v
					}
				}
			}
			w.fill(t, "l", l)
			w.fill(t, "r", r)
			if len(l) == 0 || len(r) == 0 {
				rt.Skip()
			}
			w.bothWays(t, spec("id", "a", "b"), Options{}, byHand(l, r)...)
		})
	})
}

func (w *world) fill(t testing.TB, table string, rows map[int64][2]string) {
	w.exec(t, "DELETE FROM "+table)
	var values []string
	for k, v := range rows {
		values = append(values, fmt.Sprintf("(%d, %s, %s)", k, v[0], v[1]))
	}
	if len(values) > 0 {
		w.exec(t, "INSERT INTO "+table+" VALUES "+strings.Join(values, ", "))
	}
}

func byHand(l, r map[int64][2]string) (lines []string) {
	shown := func(v string) string {
		switch {
		case v == "NULL":
			return "null"
		case v[0] == '\'':
			return `"` + strings.Trim(v, "'") + `"`
		}
		return v
	}
	for k := int64(-20); k <= 60; k++ {
		a, left := l[k]
		b, right := r[k]
		switch {
		case left && !right:
			lines = append(lines, fmt.Sprintf("missing-right %d", k))
		case right && !left:
			lines = append(lines, fmt.Sprintf("missing-left %d", k))
		case a != b:
			out := fmt.Sprintf("different %d", k)
			for i, name := range []string{"a", "b"} {
				if a[i] != b[i] {
					out += fmt.Sprintf(" %s:%s/%s", name, shown(a[i]), shown(b[i]))
				}
			}
			lines = append(lines, out)
		}
	}
	return lines
}
