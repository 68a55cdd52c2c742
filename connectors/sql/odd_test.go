package sql

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// TestOddStamps: whatever stands in place of a stamp, it neither moves the cursor nor stops the poll, also where a page ends with it; and what is changed
// afterwards is read.
func TestOddStamps(t *testing.T) {
	for _, tc := range []struct{ place, typ, declared, odd, good, next string }{
		{"sqlite", "timestamp", "text", "'n/a'", "'2026-01-01T10:00:00Z'", "'2026-01-02T10:00:00Z'"},
		{"sqlite", "timestamp", "datetime", "'n/a'", "'2026-01-01T10:00:00Z'", "'2026-01-02T10:00:00Z'"},
		{"sqlite", "timestamp", "datetime", "''", "'2026-01-01T10:00:00Z'", "'2026-01-02T10:00:00Z'"},
		{"sqlite", "timestamp", "text", "'-0044-03-15T10:00:00Z'", "'2026-01-01T10:00:00Z'", "'2026-01-02T10:00:00Z'"},
		{"sqlite", "timestamp", "text", "'9999-12-31T00:00:00Z'", "'2026-01-01T10:00:00Z'", "'2026-01-02T10:00:00Z'"},
		{"sqlite", "timestamp", "datetime", "20260101", "'2026-01-01T10:00:00Z'", "'2026-01-02T10:00:00Z'"},
		{"sqlite", "integer", "integer", "'n/a'", "5", "6"},
		{"sqlite", "integer", "integer", "''", "5", "6"},
		{"sqlite", "integer", "integer", "5.5", "5", "6"},
		{"sqlite", "unix", "integer", "'n/a'", "1767261600", "1767348000"},
		{"sqlite", "unix", "integer", "4102444800", "1767261600", "1767348000"},
		{"sqlite", "unix-ms", "integer", "4102444800000", "1767261600000", "1767348000000"},
		{"sqlite", "local-timestamp", "text", "'9999-12-31 00:00:00'", "'2026-01-01 10:00:00'", "'2026-01-02 10:00:00'"},
		{"postgres", "timestamp", "timestamptz", "'infinity'", "'2026-01-01T10:00:00Z'", "'2026-01-02T10:00:00Z'"},
		{"postgres", "timestamp", "timestamptz", "'-infinity'", "'2026-01-01T10:00:00Z'", "'2026-01-02T10:00:00Z'"},
		{"postgres", "timestamp", "timestamp", "'0044-03-15 10:00:00 BC'", "'2026-01-01 10:00:00'", "'2026-01-02 10:00:00'"},
		{"postgres", "timestamp", "timestamptz", "'10000-01-01 00:00:00Z'", "'2026-01-01T10:00:00Z'", "'2026-01-02T10:00:00Z'"},
		{"postgres", "timestamp", "date", "'9999-12-31'", "'2026-01-01'", "'2026-01-02'"},
		{"postgres", "unix-ms", "bigint", "4102444800000", "1767261600000", "1767348000000"},
		{"mysql", "timestamp", "datetime(6)", "'0000-00-00'", "'2026-01-01 10:00:00'", "'2026-01-02 10:00:00'"},
		{"mysql", "timestamp", "datetime", "'0000-06-01'", "'2026-01-01 10:00:00'", "'2026-01-02 10:00:00'"},
		{"mysql", "timestamp", "timestamp(3) NOT NULL DEFAULT 0", "DEFAULT", "'2026-01-01 10:00:00'", "'2026-01-02 10:00:00'"},
		{"mysql", "timestamp", "date", "'9999-12-31'", "'2026-01-01'", "'2026-01-02'"},
		{"mysql", "local-timestamp", "datetime(3)", "'9999-12-31 00:00:00'", "'2026-01-01 10:00:00'", "'2026-01-02 10:00:00'"},
		{"mysql", "unix-ms", "bigint unsigned", "4102444800000", "1767261600000", "1767348000000"},
	} {
		t.Run(strings.Join([]string{tc.place, tc.typ, tc.declared, tc.odd}, " "), func(t *testing.T) {
			p := places[tc.place](t)
			p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v "+tc.declared+", n integer)")
			p.exec(t, fmt.Sprintf("INSERT INTO x VALUES (1, %s, 1), (2, %s, 1), (3, %s, 1), (4, %s, 1)", tc.good, tc.odd, tc.odd, tc.good))
			db := open(t, p, "objects: {x: {table: x, version: v, columns: {id: integer, v: "+tc.typ+", n: integer}}}")
			for _, limit := range []int{1, 2, 3} {
				ids := func(got []string) (out []string) {
					for _, g := range got {
						id, _, _ := strings.Cut(g, "@")
						out = append(out, id)
					}
					return out
				}
				got, _, cursor := polled(t, db, "", limit)
				if !slices.Equal(ids(got), []string{"1", "2", "3", "4"}) {
					t.Fatalf("limit %d: %v", limit, got)
				}
				if got, _, cursor = polled(t, db, cursor, limit); len(got) != 0 {
					t.Errorf("limit %d, again: %v", limit, got)
				}
				p.exec(t, "INSERT INTO x VALUES (5, "+tc.next+", 1)")
				p.exec(t, "UPDATE x SET n = 2 WHERE id = 2") // nothing but its content shows it
				if got, _, cursor = polled(t, db, cursor, limit); !slices.Equal(ids(got), []string{"2", "5"}) {
					t.Errorf("limit %d, then: %v", limit, got)
				}
				p.exec(t, "UPDATE x SET v = "+tc.next+", n = 3 WHERE id = 3")
				if got, _, _ = polled(t, db, cursor, limit); !slices.Equal(ids(got), []string{"3"}) {
					t.Errorf("limit %d, put right: %v", limit, got)
				}
				p.exec(t, "DELETE FROM x WHERE id = 5")
				p.exec(t, "UPDATE x SET n = 1, v = "+tc.odd+" WHERE id IN (2, 3)")
			}
		})
	}
}

// TestOddIDs: a row whose id is null, or not of its column's type, parks alone, and the rows behind it are read.
func TestOddIDs(t *testing.T) {
	p := newSQLite(t)
	p.exec(t, "CREATE TABLE x (id numeric, v text, n integer)")
	p.exec(t, "CREATE TABLE y (x numeric, line integer)")
	for i, id := range []string{"1", "NULL", "'two'", "NULL", "4", "'five'"} {
		p.exec(t, fmt.Sprintf("INSERT INTO x VALUES (%s, '2026-01-01T10:00:0%dZ', %d)", id, i/2, i))
		p.exec(t, fmt.Sprintf("INSERT INTO y VALUES (%s, 1)", id))
	}
	db := open(t, p, "objects: {x: {table: x, version: v, columns: {id: integer, v: timestamp, n: integer}, children: {lines: {table: y, parent: x, key: line, columns: {line: integer}}}}}")
	for limit := 1; limit <= 7; limit++ {
		got, _, cursor := polled(t, db, "", limit)
		for i, g := range got {
			got[i], _, _ = strings.Cut(g, "@")
			if strings.HasSuffix(g, "!") {
				got[i] += "!"
			}
		}
		want := []string{"!", "!", "1", "4", "five!", "two!"}
		if limit < 2 { // of rows without an id nothing tells where the next page begins
			want = want[1:]
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("limit %d: %v", limit, got)
		}
		if got, _, _ := polled(t, db, cursor, limit); len(got) != 0 {
			t.Errorf("limit %d, again: %v", limit, got)
		}
	}
	good, bad := 0, 0
	for r, err := range db.List(t.Context(), "x", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if good++; r.Err != nil {
			bad++
		}
	}
	if good != 6 || bad != 4 {
		t.Errorf("%d rows are listed, %d of them as unreadable", good, bad)
	}
}

// TestListedSince: a list of what changed since holds rows without a stamp too: nobody knows when they changed.
func TestListedSince(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v "+stampType(p)+")")
		p.exec(t, "INSERT INTO x VALUES (1, '2026-01-01T10:00:00Z'), (2, NULL), (3, '2026-03-01T10:00:00Z')")
		db := open(t, p, "objects: {x: {table: x, version: v, columns: {id: integer, v: timestamp}}}")
		var got []string
		for r, err := range db.List(t.Context(), "x", time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Local)
		}
		if !slices.Equal(got, []string{"2", "3"}) {
			t.Errorf("%v", got)
		}
	})
}

// TestManyUnstamped: a table without stamps costs every round one page, once it has been read.
func TestManyUnstamped(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v "+stampType(p)+", n integer)")
		numbers := "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d) INSERT INTO x SELECT i, NULL, 1 FROM c"
		if p.kind == "mysql" {
			numbers = "INSERT INTO x SELECT seq, NULL, 1 FROM seq_1_to_%d"
		}
		p.exec(t, fmt.Sprintf(numbers, connector.MaxBare+1000))
		db := open(t, p, "objects: {x: {table: x, version: v, columns: {id: integer, v: timestamp, n: integer}}}")
		got, remarks, cursor := polled(t, db, "", 0)
		if len(got) != connector.MaxBare+1000 || len(remarks) != 1 || remarks[0].Count != len(got) {
			t.Fatalf("%d rows, %+v", len(got), remarks)
		}
		p.exec(t, "UPDATE x SET n = 2 WHERE id = 5700")
		found := 0
		for range 12 {
			page, err := db.Poll(t.Context(), connector.PollRequest{Object: "x", Cursor: cursor})
			if err != nil || page.More {
				t.Fatal(page.More, err)
			}
			for _, r := range page.Records {
				if r.Local == "5700" {
					found++
				}
			}
			cursor = page.Cursor
		}
		if found != 1 {
			t.Errorf("the change was handed out %d times", found)
		}
		if len(cursor) > 200_000 {
			t.Errorf("the cursor has %d bytes", len(cursor))
		}
	})
}

// TestLateCommitInALongRound: a row that is committed behind the page just read, in a round that goes on for longer than the overlap.
func TestLateCommitInALongRound(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v "+stampType(p)+")")
		db := open(t, p, "objects: {x: {table: x, version: v, columns: {id: integer, v: timestamp}}}")
		now := time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
		db.clock = testClock{lifecycle.Real(), func() time.Time { return now }}
		id, got, cursor := 0, map[string]bool{}, ""
		insert := func(at time.Time) {
			id++
			p.exec(t, fmt.Sprintf("INSERT INTO x VALUES (%d, '%s')", id, at.Format(time.RFC3339)))
		}
		page := func() bool {
			page, err := db.Poll(t.Context(), connector.PollRequest{Object: "x", Cursor: cursor, Overlap: 10 * time.Second, Limit: 2})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Records {
				got[r.Local] = true
			}
			cursor = page.Cursor
			return page.More
		}
		insert(now.Add(-2 * time.Second))
		insert(now)
		page()
		insert(now.Add(-time.Second)) // behind what was read
		for range 10 {                // the source goes on, and so does the round
			now = now.Add(5 * time.Second)
			insert(now)
			insert(now)
			page()
		}
		for page() {
		}
		for page() {
		}
		if len(got) != id {
			t.Errorf("%d of %d rows were read", len(got), id)
		}
	})
}
