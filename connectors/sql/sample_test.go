package sql

import (
	"slices"
	"strings"
	"testing"
)

// TestSample shows one row, and what the database says of its columns.
func TestSample(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, code varchar(20), qty text, note text)")
		p.exec(t, "CREATE TABLE l (x integer, pos integer, sku varchar(8))")
		const good = "objects: {x: {table: x, columns: {id: integer, code: text, note: text}, children: {lines: {table: l, parent: x, key: pos, columns: {pos: integer, sku: text}}}}}"
		db := open(t, p, good)
		s, err := db.Sample(t.Context(), "x")
		if err != nil || s.Record != nil || len(s.Lacking) > 0 {
			t.Fatalf("of an empty table: %+v %v", s, err)
		}
		lengths := map[string]int64{}
		for _, c := range s.Columns {
			lengths[c.Name] = c.Length
			if c.Odd != "" {
				t.Errorf("%s: %s", c.Name, c.Odd)
			}
		}
		if lengths["code"] != 20 || lengths["lines.sku"] != 8 || lengths["note"] != 0 {
			t.Errorf("lengths %v", lengths)
		}
		p.exec(t, "INSERT INTO x VALUES (1, 'A', '2', NULL)")
		p.exec(t, "INSERT INTO l VALUES (1, 1, 'S')")
		if s, err = db.Sample(t.Context(), "x"); err != nil || s.Record == nil || s.Record.Local != "1" {
			t.Fatalf("%+v %v", s, err)
		}
		docIs(t, s.Record.Doc, `{"id":1,"code":"A","note":null,"lines":[{"pos":1,"sku":"S"}]}`)

		db = open(t, p, "objects: {x: {table: x, columns: {id: integer, cod: text, qty: decimal, note: integer}}}")
		if s, err = db.Sample(t.Context(), "x"); err != nil || !slices.Equal(s.Lacking, []string{"cod"}) || s.Record != nil {
			t.Errorf("%+v %v", s, err)
		}
		for _, c := range s.Columns {
			odd := c.Name == "note" || c.Name == "qty" && p.kind != "sqlite" // where a text is the one exact form of a decimal
			if odd != (c.Odd != "") {
				t.Errorf("%s: %q", c.Name, c.Odd)
			}
		}
	})
}

// TestSampleCannotWrite: where reading itself would write, as a view with a function may, the database refuses.
func TestSampleCannotWrite(t *testing.T) {
	p := newPostgres(t)
	p.exec(t, "CREATE TABLE seen (n integer)")
	p.exec(t, "CREATE FUNCTION look() RETURNS integer LANGUAGE sql VOLATILE AS 'INSERT INTO seen VALUES (1) RETURNING n'")
	p.exec(t, "CREATE TABLE x (id integer)")
	p.exec(t, "INSERT INTO x VALUES (1)")
	p.exec(t, "CREATE VIEW v AS SELECT id, look() AS n FROM x")
	_, err := open(t, p, "objects: {v: {table: v, columns: {id: integer, n: integer}}}").Sample(t.Context(), "v")
	if err == nil || !strings.Contains(err.Error(), "read-only transaction") {
		t.Errorf("%v", err)
	}
	if n := p.text(t, "SELECT count(*) FROM seen"); n != "0" {
		t.Errorf("%s rows were written", n)
	}
}
