package plain

import (
	"fmt"
	"testing"
)

func TestFinds(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for _, table := range []string{"l", "r"} {
			w.exec(t, "CREATE TABLE "+table+" (id bigint PRIMARY KEY, code text, amount numeric(12,4), qty integer)")
			w.exec(t, "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < 20000) INSERT INTO "+table+" SELECT n * 7, 'C-' || n, n / 8.0, n % 10 FROM g")
		}
		w.exec(t, "UPDATE l SET code = 'x' WHERE id = 700")
		w.exec(t, "UPDATE r SET amount = amount + 1, qty = NULL WHERE id = 70000")
		w.exec(t, "DELETE FROM l WHERE id IN (7, 7007)")
		w.exec(t, "DELETE FROM r WHERE id IN (14, 140000)")
		w.exec(t, "INSERT INTO r (id, code) VALUES (-5, 'first'), (999999, 'last')")
		w.open(t, "columns: {id: integer, code: text, amount: decimal, qty: integer}")
		res := w.bothWays(t, spec("id", "code", "amount", "qty"), Options{},
			"missing-left -5", "missing-left 7", "missing-right 14", `different 700 code:"x"/"C-100"`, "missing-left 7007", "different 70000 amount:1250/1251 qty:0/null",
			"missing-right 140000", "missing-left 999999")
		if res.Compared != 20002 || res.Equal != 19994 || res.Left.Rows != 19998 || res.Right.Rows != 20000 {
			t.Errorf("%+v", res)
		}
		if res.Read > 20*bucketRows*2 {
			t.Errorf("%d rows travelled", res.Read)
		}
	})
}

// Keys of every kind, around the ends of pages and buckets.
func TestKeys(t *testing.T) {
	for name, key := range map[string]struct{ columns, types, of string }{
		"numbers with gaps": {"id: integer", "id bigint", "n * (n * CAST(1000003 AS bigint))"},
		"texts":             {"id: text", "id text", "'k' || (n * 7919 % 100003) || CASE n % 3 WHEN 0 THEN 'é' WHEN 1 THEN 'Z' ELSE 'a b' END"},
		"decimals":          {"id: decimal", "id numeric", "n / 4.0 - 500"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, w *world) {
				for _, table := range []string{"l", "r"} {
					w.exec(t, "CREATE TABLE "+table+" ("+key.types+" PRIMARY KEY, v integer)")
					if w.kind == "postgres" && name == "texts" {
						w.exec(t, `CREATE UNIQUE INDEX ON `+table+` (id COLLATE "C")`)
					}
					w.exec(t, "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < 9000) INSERT INTO "+table+" SELECT "+key.of+", n FROM g")
				}
				w.exec(t, "UPDATE l SET v = -1 WHERE v % 3000 = 1")
				w.exec(t, "DELETE FROM r WHERE v % 4500 = 0")
				w.open(t, "columns: {"+key.columns+", v: integer}")
				lines, _, _ := w.compare(t, spec("id", "v"), Options{Stream: true})
				if len(lines) != 5 {
					t.Fatalf("%d differences: %s", len(lines), fmt.Sprint(lines))
				}
				w.bothWays(t, spec("id", "v"), Options{}, lines...)
			})
		})
	}
}

// A padded column orders its keys without their blanks: the ends of ranges that come from it must not have them.
func TestPaddedKeys(t *testing.T) {
	w := newWorld(t, "postgres")
	w.exec(t, `CREATE TABLE l (id char(12) COLLATE "C" PRIMARY KEY, v integer)`)
	w.exec(t, `CREATE TABLE r (id text COLLATE "C" PRIMARY KEY, v integer)`)
	for _, table := range []string{"l", "r"} {
		w.exec(t, "INSERT INTO "+table+" SELECT 'k' || n / 2 || CASE n % 2 WHEN 1 THEN chr(1) ELSE '' END, n FROM generate_series(0, 5999) n")
		w.exec(t, "INSERT INTO "+table+" VALUES ('a', -1)") // so that ends are keys with blanks
		w.exec(t, "ANALYZE "+table)
	}
	w.open(t, "columns: {id: text, v: integer}")
	if res := w.bothWays(t, spec("id", "v"), Options{}); res.Read != 0 {
		t.Errorf("%d rows travelled", res.Read)
	}
	w.exec(t, "DELETE FROM r WHERE id = 'k77' || chr(1)")
	w.bothWays(t, spec("id", "v"), Options{}, "missing-right k77\x01")
}
