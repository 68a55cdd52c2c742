package sql

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/fault"
)

// plainRows is how many rows the suite's tables have: several pages.
const plainRows = 9_000

func TestPlain(t *testing.T) {
	for name, key := range map[string]struct {
		sqlite, postgres, mysql string // the table's beginning and end
		columns, key            string
		values                  string // of row n
	}{
		"integer":   {"id INTEGER PRIMARY KEY", "id bigint PRIMARY KEY", "id bigint PRIMARY KEY", "id: integer", "id", "n * 37 - 40000"},
		"smallint":  {"id INT UNIQUE", "id integer UNIQUE", "id mediumint UNIQUE", "id: integer", "id", "n * 3"},
		"text":      {"id text UNIQUE", `id text COLLATE "C" UNIQUE`, "id varchar(50) COLLATE utf8mb4_nopad_bin UNIQUE", "id: text", "id", "substr('zaÉé' || n, 1 + n % 4) || ':' || n"},
		"composite": {"a text NOT NULL, id INTEGER NOT NULL", `a varchar(20) COLLATE "C" NOT NULL, id smallint NOT NULL`, "a varchar(20) COLLATE utf8mb4_nopad_bin NOT NULL, id smallint NOT NULL", "a: text, id: integer", "a id", "'k' || (n % 90), n / 90"},
		"decimal":   {"id numeric UNIQUE", "id numeric UNIQUE", "id decimal(20,6) UNIQUE", "id: decimal", "id", "n / 8.0 - 100"},
		"unix":      {"id INTEGER UNIQUE", "id bigint UNIQUE", "id bigint UNIQUE", "id: unix", "id", "n * 86400"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, p *place) {
				head, end := key.sqlite, map[bool]string{true: ", UNIQUE (a, id)"}[name == "composite"]
				switch p.kind {
				case "postgres":
					head = key.postgres
				case "mysql":
					head = key.mysql
				}
				p.exec(t, "CREATE TABLE x ("+head+", name text, amount numeric(12,4), on_hand boolean, changed "+map[string]string{"sqlite": "text", "postgres": "timestamptz", "mysql": "timestamp NULL"}[p.kind]+
					", day "+map[string]string{"sqlite": "text", "postgres": "date", "mysql": "date"}[p.kind]+", extra "+map[string]string{"sqlite": "text", "postgres": "jsonb", "mysql": "json"}[p.kind]+end+")")
				row := " SELECT " + key.values + ", 'name ' || n, n / 4.0, n % 2 = 0, '2026-01-02T03:04:05Z', '2026-01-02', NULL FROM g"
				if p.kind == "mysql" {
					row = strings.Replace(row, "n / 90", "n DIV 90", 1)
					p.exec(t, "INSERT INTO x"+strings.Replace(row, "FROM g", "FROM (SELECT CAST(seq AS SIGNED) AS n FROM seq_0_to_"+fmt.Sprint(plainRows-1)+") g", 1))
				} else {
					p.exec(t, "WITH RECURSIVE g(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM g WHERE n < "+fmt.Sprint(plainRows-1)+") INSERT INTO x"+row)
				}
				unkeyed := 0
				if strings.Contains(head, "UNIQUE") && !strings.Contains(head, "NOT NULL") {
					unkeyed = 3
					for range unkeyed {
						p.exec(t, "INSERT INTO x (name) VALUES ('no key')")
					}
				}
				switch p.kind {
				case "postgres":
					p.exec(t, "ANALYZE x")
				case "mysql":
					p.exec(t, "ANALYZE TABLE x")
				}
				connectortest.Plain(t, func(t *testing.T) *connectortest.PlainSubject {
					db := open(t, p, "objects: {x: {table: x, id: ["+strings.Join(strings.Fields(key.key), ", ")+"], columns: {"+key.columns+", name: text, amount: decimal, on_hand: boolean, changed: timestamp, day: date, extra: json}}}")
					return &connectortest.PlainSubject{Reader: db, Object: "x", Key: strings.Fields(key.key), Columns: []string{"name", "amount", "on_hand", "changed", "day"},
						Other: "extra", Rows: plainRows, Unkeyed: unkeyed}
				})
			})
		})
	}
}

// What cannot be compared as plain columns is said from the settings alone.
func TestPlainSettings(t *testing.T) {
	s := settingsOf(t, `connector: sql
driver: sqlite
path: x.db
objects:
  x: {table: x, columns: {id: integer, name: text, extra: json}, children: {lines: {table: l, parent: x, key: n, columns: {n: integer}}}}
  in: {table: y, columns: {id: integer}, interface: {}}
`)
	got := Kind{}.Plain(s, "x")
	if got.Group != "sql/sqlite" || fmt.Sprint(got.Columns) != "[id name]" || len(got.Others) != 2 || got.Others["lines"] == "" || got.Others["extra"] == "" {
		t.Errorf("%+v", got)
	}
	for _, name := range []string{"in", "other"} {
		if got := (Kind{}).Plain(s, name); got.Group != "" || got.Why == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// An index that does not give the order of bytes, or is not there, is asked for.
func TestPlainServed(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		collation := map[string]string{"sqlite": "NOCASE", "postgres": `"und-x-icu"`, "mysql": "utf8mb4_unicode_ci"}[p.kind]
		text := map[string]string{"sqlite": "text", "postgres": "text", "mysql": "varchar(50)"}[p.kind]
		p.exec(t, "CREATE TABLE x (id "+text+" COLLATE "+collation+" UNIQUE, n integer, o integer NOT NULL)")
		p.exec(t, "CREATE INDEX by_n ON x (n)")
		p.exec(t, "CREATE UNIQUE INDEX by_o ON x (o DESC)")
		db := open(t, p, "objects: {x: {table: x, columns: {id: text, n: integer, o: integer}}}")
		served := func(column string, form connector.PlainForm) connector.PlainKeys {
			t.Helper()
			s, err := db.PlainOpen(t.Context(), "x", connector.PlainQuery{Key: []connector.PlainColumn{{Name: column, Form: form}}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			return s.Served()
		}
		if k := served("id", connector.PlainText); k.Ordered || !k.Unique || !strings.Contains(k.Hint, map[string]string{"sqlite": "COLLATE BINARY", "postgres": `COLLATE "C"`, "mysql": "COLLATE utf8mb4_nopad_bin"}[p.kind]) {
			t.Errorf("%+v", k)
		}
		if k := served("n", connector.PlainInt); !k.Ordered || k.Unique || k.Hint == "" {
			t.Errorf("%+v", k)
		}
		if k := served("o", connector.PlainInt); !k.Unique || k.Ordered != (p.kind == "postgres") {
			t.Errorf("%+v", k)
		}
		if p.kind == "mysql" { // its indexes have the rule of their column
			p.exec(t, "ALTER TABLE x MODIFY id varchar(50) COLLATE utf8mb4_nopad_bin")
			if k := served("id", connector.PlainText); !k.Ordered || !k.Unique || k.Hint != "" {
				t.Errorf("with the rule: %+v", k)
			}
			return
		}
		p.exec(t, strings.Replace(served("id", connector.PlainText).Hint, "INDEX … ON", "INDEX by_id ON", 1))
		if k := served("id", connector.PlainText); !k.Ordered || !k.Unique || k.Hint != "" {
			t.Errorf("with the index: %+v", k)
		}
	})
}

// A connection that is lost is a failure, and no end of the rows; the failure says nothing that it should not.
func TestPlainConnectionLost(t *testing.T) {
	p := newPostgres(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name text)")
	p.exec(t, "INSERT INTO x SELECT g, repeat('a', 100) FROM generate_series(1, 20000) g")
	db := open(t, p, "objects: {x: {table: x, columns: {id: integer, name: text}}}")
	s, err := db.PlainOpen(t.Context(), "x", connector.PlainQuery{Key: []connector.PlainColumn{{Name: "id", Form: connector.PlainInt}}, Columns: []connector.PlainColumn{{Name: "name", Form: connector.PlainText}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rows := s.Rows(connector.KeyRange{})
	for n := 0; ; n++ {
		ok, err := rows.Next(t.Context())
		if err != nil {
			if f, is := fault.As(err); !is || f.Kind != fault.Unavailable || n < 10 {
				t.Errorf("after %d rows: %v", n, err)
			}
			return
		}
		if !ok {
			t.Fatalf("it says that there are %d rows", n)
		}
		if n == 10 {
			p.exec(t, "SELECT pg_terminate_backend($1)", s.(*postgresSession).conn.PID())
		}
	}
}

// Of what SQLite sorts itself because no index does, pages come from the sorted copy.
func TestPlainSortedCopy(t *testing.T) {
	p := newSQLite(t)
	p.exec(t, "CREATE TABLE x (id text COLLATE NOCASE, n integer)")
	p.exec(t, "WITH RECURSIVE g(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM g WHERE n < 8999) INSERT INTO x SELECT substr('zAbÉ', 1 + n % 4) || n, n FROM g")
	db := open(t, p, "objects: {x: {table: x, columns: {id: text, n: integer}}}")
	s, err := db.PlainOpen(t.Context(), "x", connector.PlainQuery{Key: []connector.PlainColumn{{Name: "id", Form: connector.PlainText}}, Columns: []connector.PlainColumn{{Name: "n", Form: connector.PlainInt}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		rows, last, n := s.Rows(connector.KeyRange{}), "", 0
		for ; ; n++ {
			ok, err := rows.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			v, err := rows.Row()
			if err != nil || string(v[0]) <= last {
				t.Fatalf("%q comes after %q: %v", v[0], last, err)
			}
			last = string(v[0])
		}
		if n != 9000 {
			t.Errorf("%d rows", n)
		}
	}
}

// A mark of deleted rows that the database has in another type than the settings say is no condition: documents know what to make of it.
func TestPlainDeleted(t *testing.T) {
	p := newPostgres(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, gone text)")
	for _, typ := range []string{"boolean", "integer", "unix"} {
		db := open(t, p, "objects: {x: {table: x, deleted: gone, columns: {id: integer, gone: "+typ+"}}}")
		if _, err := db.PlainOpen(t.Context(), "x", connector.PlainQuery{Key: []connector.PlainColumn{{Name: "id", Form: connector.PlainInt}}}); !errors.Is(err, connector.ErrNotPlain) {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

// A partitioned table is served by the index that all partitions have; a view by none, and is read in the key's order all the same.
func TestPlainPartitionsAndViews(t *testing.T) {
	p := newPostgres(t)
	p.exec(t, "CREATE TABLE parts (id bigint PRIMARY KEY, name text) PARTITION BY RANGE (id)")
	p.exec(t, "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (5000)")
	p.exec(t, "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (5000) TO (100000)")
	p.exec(t, "INSERT INTO parts SELECT g, 'name ' || g FROM generate_series(0, 9999) g")
	p.exec(t, "ANALYZE parts")
	p.exec(t, "CREATE VIEW seen AS SELECT id, name FROM parts WHERE id % 2 = 0")
	columns := ", columns: {id: integer, name: text}}"
	connectortest.Plain(t, func(t *testing.T) *connectortest.PlainSubject {
		return &connectortest.PlainSubject{Reader: open(t, p, "objects: {x: {table: parts"+columns+"}"), Object: "x", Key: []string{"id"}, Columns: []string{"name"}, Other: "nobody", Rows: 10_000}
	})
	db := open(t, p, "objects: {x: {table: seen"+columns+"}")
	table, err := db.PlainTable(t.Context(), "x")
	if err != nil || table.Rows > 0 {
		t.Errorf("%v: about %d rows are expected of a view", err, table.Rows)
	}
	s, err := db.PlainOpen(t.Context(), "x", connector.PlainQuery{Key: []connector.PlainColumn{{Name: "id", Form: connector.PlainInt}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if k := s.Served(); k.Ordered || k.Unique {
		t.Errorf("%+v", k)
	}
	rows, last := s.Rows(connector.KeyRange{}), int64(-2)
	for n := 0; ; n++ {
		ok, err := rows.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			if n != 5000 {
				t.Errorf("%d rows", n)
			}
			return
		}
		v, _ := rows.Row()
		if id := intOf(v[0]); id != last+2 {
			t.Fatalf("%d comes after %d", id, last)
		}
		last += 2
	}
}
