package sql

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

func plainMySQL(t *testing.T, p *place, table, columns string, q connector.PlainQuery) *mysqlSession {
	t.Helper()
	s, err := open(t, p, "objects: {x: {table: "+table+", id: "+q.Key[0].Name+", columns: {"+columns+"}}}").PlainOpen(t.Context(), "x", q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.(*mysqlSession)
}

// TestDigestsOfMariaDB: what the server works out of rows is what their values say, each with its form's letter, texts with their lengths, and null apart
// from every text.
func TestDigestsOfMariaDB(t *testing.T) {
	p := newMySQL(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, a text, b varchar(200) CHARACTER SET latin1 COLLATE latin1_german1_ci, n decimal(20,4), d date, at datetime(3), f tinyint(1))")
	column := func(name string, f connector.PlainForm) connector.PlainColumn {
		return connector.PlainColumn{Name: name, Form: f}
	}
	s := plainMySQL(t, p, "x", "id: integer, a: text, b: text, n: decimal, d: date, at: timestamp, f: boolean", connector.PlainQuery{Salt: -7, Key: []connector.PlainColumn{column("id", connector.PlainInt)},
		Columns: []connector.PlainColumn{column("a", connector.PlainText), column("b", connector.PlainText), column("n", connector.PlainNumber), column("d", connector.PlainDate),
			column("at", connector.PlainInstant), column("f", connector.PlainBool)}})
	text := func(v *string) string {
		if v == nil {
			return ";t"
		}
		content := *v
		if len(content) > 64 {
			sum := md5.Sum([]byte(content))
			content = hex.EncodeToString(sum[:])
		}
		return fmt.Sprintf(";t%d:%s", len(*v), content)
	}
	rapid.Check(t, func(rt *rapid.T) {
		p.exec(t, "DELETE FROM x")
		want, n := new(big.Int), rapid.IntRange(0, 5).Draw(rt, "rows")
		for i := range n {
			a := rapid.Ptr(rapid.OneOf(rapid.String(), rapid.StringN(60, 70, -1), rapid.SampledFrom([]string{"", "a ", "A", ";t0:", "\x00"})), true).Draw(rt, "a")
			b := rapid.Ptr(rapid.StringMatching(`[a-zäß;:0-9 ]{0,80}`), true).Draw(rt, "b")
			cents := rapid.Int64Range(-1e15, 1e15).Draw(rt, "n")
			number := fmt.Sprintf("%s%d.%04d", map[bool]string{true: "-"}[cents < 0], max(cents, -cents)/1e4, max(cents, -cents)%1e4)
			day, second := rapid.IntRange(1, 28).Draw(rt, "day"), rapid.IntRange(0, 59_999).Draw(rt, "ms")
			truth := rapid.IntRange(0, 1).Draw(rt, "f")
			at := fmt.Sprintf("2026-02-%02d 10:00:%02d.%03d", day, second/1000, second%1000)
			p.exec(t, "INSERT INTO x VALUES (?, ?, ?, ?, ?, ?, ?)", i-2, a, b, number, at[:10], at, truth)
			number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
			if number == "-0" {
				number = "0"
			}
			sum := md5.Sum([]byte(fmt.Sprintf("-7;i%d%s%s;d%s;y%s;z%s000;b%d", i-2, text(a), text(b), number, at[:10], at, truth)))
			want.Add(want, new(big.Int).SetBytes(sum[:8]))
		}
		got, err := s.Digest(t.Context(), []connector.KeyRange{{}}, 10)
		if err != nil {
			rt.Fatal(err)
		}
		if got[0].Count != int64(n) || got[0].Odd != 0 || got[0].Hash != want.String() {
			rt.Fatalf("%+v, want %d rows and %s", got[0], n, want)
		}
	})
}

// TestRangesByIndexOfMariaDB: a range of a key of several columns is read by its index, in order, from its beginning on.
func TestRangesByIndexOfMariaDB(t *testing.T) {
	p := newMySQL(t)
	p.exec(t, "CREATE TABLE x (a varchar(20) COLLATE utf8mb4_nopad_bin NOT NULL, b int NOT NULL, v int, PRIMARY KEY (a, b))")
	p.exec(t, "INSERT INTO x SELECT 'k' || (seq DIV 10), seq % 10, 1 FROM seq_1_to_5000")
	p.exec(t, "ANALYZE TABLE x")
	q := connector.PlainQuery{Key: []connector.PlainColumn{{Name: "a", Form: connector.PlainText}, {Name: "b", Form: connector.PlainInt}}, Columns: []connector.PlainColumn{{Name: "v", Form: connector.PlainInt}}}
	s := plainMySQL(t, p, "x", "a: text, b: integer, v: integer", q)
	after := [][]byte{[]byte("k400"), connector.AppendInt(nil, 3)}
	upto := [][]byte{[]byte("k402"), connector.AppendInt(nil, 3)}
	for name, r := range map[string]connector.KeyRange{"both ends": {After: after, Upto: upto}, "no end": {After: after}, "no beginning": {Upto: upto}} {
		plan := explained(t, s.db, s.one(r, 100))
		if !strings.Contains(plan, "type=range") || !strings.Contains(plan, "key=PRIMARY") || strings.Contains(plan, "filesort") {
			t.Errorf("%s: %s", name, plan)
		}
	}
	var got []string
	rows := s.Rows(connector.KeyRange{After: after, Upto: upto})
	for {
		ok, err := rows.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		v, err := rows.Row()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(v[0])+connector.PlainInt.Text(v[1]))
	}
	if len(got) != 20 || got[0] != "k4004" || got[19] != "k4023" || !slices.IsSorted(got) {
		t.Errorf("%v", got)
	}
}

// TestSortedByMariaDB: of a key whose index has another order the server sorts the bytes, and gives every row, also those that are one under the rule.
func TestSortedByMariaDB(t *testing.T) {
	p := newMySQL(t)
	p.exec(t, "CREATE TABLE x (id varchar(40) COLLATE utf8mb4_unicode_ci, n int, KEY (id))")
	for _, form := range []string{"'key' || seq", "'KEY' || seq || ' '", "'kéy' || seq"} {
		p.exec(t, "INSERT INTO x SELECT "+form+", seq FROM seq_1_to_3000")
	}
	p.exec(t, "INSERT INTO x VALUES (NULL, 1)")
	s := plainMySQL(t, p, "x", "id: text, n: integer", connector.PlainQuery{Key: []connector.PlainColumn{{Name: "id", Form: connector.PlainText}}, Columns: []connector.PlainColumn{{Name: "n", Form: connector.PlainInt}}})
	if k := s.Served(); k.Ordered || k.Unique || !strings.Contains(k.Hint, "utf8mb4_nopad_bin") {
		t.Errorf("%+v", k)
	}
	if n, err := s.Unkeyed(t.Context()); n != 1 || err != nil {
		t.Errorf("%d rows without a key: %v", n, err)
	}
	if _, err := s.Digest(t.Context(), []connector.KeyRange{{}}, 10); err == nil || !strings.Contains(err.Error(), "no unique index") {
		t.Errorf("%v", err)
	}
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

// TestPlainLostOfMariaDB: a connection that is lost is a failure and no end of the rows; what is left unread is ended on the server.
func TestPlainLostOfMariaDB(t *testing.T) {
	p := newMySQL(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, name varchar(2000))")
	p.exec(t, "INSERT INTO x SELECT seq, repeat('a', 2000) FROM seq_1_to_20000")
	db := open(t, p, "objects: {x: {table: x, columns: {id: integer, name: text}}}")
	q := connector.PlainQuery{Key: []connector.PlainColumn{{Name: "id", Form: connector.PlainInt}}, Columns: []connector.PlainColumn{{Name: "name", Form: connector.PlainText}}}
	begin := func() (*mysqlSession, connector.PlainRows) {
		t.Helper()
		s, err := db.PlainOpen(t.Context(), "x", q)
		if err != nil {
			t.Fatal(err)
		}
		rows := s.Rows(connector.KeyRange{})
		for range 10 {
			if ok, err := rows.Next(t.Context()); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		return s.(*mysqlSession), rows
	}
	s, rows := begin()
	p.exec(t, "KILL "+s.conn.id)
	for n := 10; ; n++ {
		ok, err := rows.Next(t.Context())
		if err != nil {
			if fault.KindOf(err) != fault.Unavailable {
				t.Errorf("after %d rows: %v", n, err)
			}
			break
		}
		if !ok {
			t.Fatalf("it says that there are %d rows", n)
		}
	}
	_ = s.Close() // it is lost
	s, _ = begin()
	id := s.conn.id
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	p.within(t, "SELECT count(*) = 0 FROM information_schema.processlist WHERE id = ?", id)
}

func TestPlainRefusedOfMariaDB(t *testing.T) {
	p := newMySQL(t)
	p.exec(t, "CREATE TABLE x (id bigint PRIMARY KEY, gone varchar(9), day date UNIQUE, f float)")
	for _, typ := range []string{"boolean", "integer", "unix"} {
		db := open(t, p, "objects: {x: {table: x, deleted: gone, columns: {id: integer, gone: "+typ+"}}}")
		if _, err := db.PlainOpen(t.Context(), "x", connector.PlainQuery{Key: []connector.PlainColumn{{Name: "id", Form: connector.PlainInt}}}); !errors.Is(err, connector.ErrNotPlain) {
			t.Errorf("%s: %v", typ, err)
		}
	}
	db := open(t, p, "objects: {x: {table: x, columns: {id: integer, day: date, f: decimal}}}")
	if _, err := db.PlainOpen(t.Context(), "x", connector.PlainQuery{Key: []connector.PlainColumn{{Name: "day", Form: connector.PlainDate}}}); !errors.Is(err, connector.ErrNotPlain) {
		t.Errorf("a day as a key: %v", err)
	}
	table, err := db.PlainTable(t.Context(), "x")
	if err != nil || table.Others["f"] == "" || table.Group != "sql/mysql" {
		t.Errorf("%+v %v", table, err)
	}
	if _, err := open(t, p, "objects: {x: {table: nowhere, columns: {id: integer}}}").PlainTable(t.Context(), "x"); err == nil {
		t.Error("a table that is not there")
	}
}
