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

// polled reads a round and gives what was handed out, as id@version, with a ! where it cannot be read; and what was remarked.
func polled(t *testing.T, db *database, cursor string, limit int) (got []string, remarks []connector.Remark, after string) {
	t.Helper()
	for n := 0; ; n++ {
		page, err := db.Poll(t.Context(), connector.PollRequest{Object: "x", Cursor: cursor, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			what := r.Local + "@" + r.Version
			if r.Err != nil {
				what += "!"
			}
			got = append(got, what)
		}
		remarks = append(remarks, page.Remarks...)
		if cursor = page.Cursor; !page.More {
			slices.Sort(got)
			return got, remarks, cursor
		}
		if n > 100 {
			t.Fatal("no end")
		}
	}
}

func stampType(p *place) string {
	return map[string]string{"sqlite": "text", "postgres": "timestamptz", "mysql": "datetime(6)"}[p.kind]
}

// TestStampsAhead: a row of 2062 or 2099 is read, and what is changed after it too; it is named, and read once.
func TestStampsAhead(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v "+stampType(p)+", n integer)")
		p.exec(t, "INSERT INTO x VALUES (1, '2026-01-01T10:00:00Z', 1), (2, '2062-01-01T10:00:00Z', 1), (3, '2099-12-31T00:00:00Z', 1)")
		db := open(t, p, "objects: {x: {table: x, version: v, columns: {id: integer, v: timestamp, n: integer}}}")
		for _, limit := range []int{1, 2, 10} {
			got, remarks, cursor := polled(t, db, "", limit)
			if want := []string{"1@2026-01-01T10:00:00Z", "2@2062-01-01T10:00:00Z", "3@2099-12-31T00:00:00Z"}; !slices.Equal(got, want) {
				t.Errorf("limit %d: %v", limit, got)
			}
			count := 0
			for _, r := range remarks {
				if r.Kind != connector.Ahead || !strings.HasPrefix(r.Version, "20") {
					t.Errorf("%+v", r)
				}
				count += r.Count
			}
			if count != 2 {
				t.Errorf("limit %d: %d rows are said to be ahead: %+v", limit, count, remarks)
			}
			if got, _, _ := polled(t, db, cursor, limit); len(got) != 0 {
				t.Errorf("again: %v", got)
			}
			p.exec(t, "INSERT INTO x VALUES (4, '2026-01-02T10:00:00Z', 1)")
			p.exec(t, "UPDATE x SET n = 2, v = '2026-01-02T11:00:00Z' WHERE id = 1")
			p.exec(t, "UPDATE x SET n = 2 WHERE id = 2")
			got, _, cursor = polled(t, db, cursor, limit)
			if want := []string{"1@2026-01-02T11:00:00Z", "2@2062-01-01T10:00:00Z", "4@2026-01-02T10:00:00Z"}; !slices.Equal(got, want) {
				t.Errorf("limit %d, then: %v", limit, got)
			}
			p.exec(t, "UPDATE x SET n = 3, v = '2026-01-03T10:00:00Z' WHERE id = 3") // somebody has put it right
			if got, _, _ := polled(t, db, cursor, limit); !slices.Equal(got, []string{"3@2026-01-03T10:00:00Z"}) {
				t.Errorf("limit %d, put right: %v", limit, got)
			}
			p.exec(t, "DELETE FROM x WHERE id = 4")
			p.exec(t, "UPDATE x SET n = 1, v = '2026-01-01T10:00:00Z' WHERE id = 1")
			p.exec(t, "UPDATE x SET n = 1, v = '2099-12-31T00:00:00Z' WHERE id = 3")
			p.exec(t, "UPDATE x SET n = 1 WHERE id = 2")
		}
	})
}

// TestCursorOfTheFuture: an older version of the hub has stored a cursor that a row of 2062 had moved; the next round finds what was missed.
func TestCursorOfTheFuture(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v "+stampType(p)+")")
		p.exec(t, "INSERT INTO x VALUES (1, '2026-01-01T10:00:00Z'), (2, '2062-01-01T10:00:00Z')")
		db := open(t, p, "objects: {x: {table: x, version: v, columns: {id: integer, v: timestamp}}}")
		for _, cursor := range []string{
			`{"v":1,"since":"2062-01-01T10:00:00Z","reached":"2026-01-05T00:00:00Z"}`,
			`{"v":1,"since":"2062-01-01T10:00:00Z","reached":"2026-01-05T00:00:00Z","settled":true,"floor":"2062-01-01T10:00:00Z"}`,
		} {
			if got, _, _ := polled(t, db, cursor, 10); !slices.Equal(got, []string{"1@2026-01-01T10:00:00Z", "2@2062-01-01T10:00:00Z"}) {
				t.Errorf("%s: %v", cursor, got)
			}
		}
	})
}

// TestClocksThatDiffer: a stamp a little ahead of the clock is nothing remarkable, and moves the cursor once its time has come.
func TestClocksThatDiffer(t *testing.T) {
	p := newSQLite(t)
	p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v text)")
	p.exec(t, "INSERT INTO x VALUES (1, '2026-01-01T10:00:30Z')")
	db := open(t, p, "objects: {x: {table: x, version: v, columns: {id: integer, v: timestamp}}}")
	now := time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
	db.clock = testClock{lifecycle.Real(), func() time.Time { return now }}
	got, remarks, cursor := polled(t, db, "", 10)
	if len(got) != 1 || len(remarks) != 0 {
		t.Errorf("%v, %+v", got, remarks)
	}
	p.exec(t, "INSERT INTO x VALUES (2, '2026-01-01T10:00:10Z')") // later, by an honest clock
	got, _, cursor = polled(t, db, cursor, 10)
	if !slices.Equal(got, []string{"2@2026-01-01T10:00:10Z"}) {
		t.Errorf("%v", got)
	}
	now = now.Add(time.Minute)
	if got, _, cursor = polled(t, db, cursor, 10); len(got) != 0 || !strings.Contains(cursor, `"since":"2026-01-01T10:00:30Z"`) {
		t.Errorf("%v, %s", got, cursor)
	}
}

// TestUnstamped: rows without a stamp are read, once while they are the same; they are counted and named.
func TestUnstamped(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v "+stampType(p)+", n integer)")
		for i := range 7 {
			p.exec(t, fmt.Sprintf("INSERT INTO x VALUES (%d, NULL, 1)", i+10))
		}
		p.exec(t, "INSERT INTO x VALUES (1, '2026-01-01T10:00:00Z', 1)")
		db := open(t, p, "objects: {x: {table: x, version: v, columns: {id: integer, v: timestamp, n: integer}}}")
		for _, limit := range []int{1, 3, 7, 8, 100} {
			got, remarks, cursor := polled(t, db, "", limit)
			count := 0
			for _, r := range remarks {
				count += r.Count
			}
			if len(got) != 8 || count != 7 || remarks[0].Kind != connector.Unstamped || remarks[0].Local != "10" {
				t.Errorf("limit %d: %v, %+v", limit, got, remarks)
			}
			for range 3 { // also when the stamped ones have settled
				if got, _, cursor = polled(t, db, cursor, limit); len(got) != 0 {
					t.Errorf("limit %d, again: %v", limit, got)
				}
			}
			p.exec(t, fmt.Sprintf("UPDATE x SET n = %d WHERE id = 12", limit+1))
			if got, _, _ = polled(t, db, cursor, limit); !slices.Equal(got, []string{"12@"}) {
				t.Errorf("limit %d, changed: %v", limit, got)
			}
		}
	})
}

// TestUnreadableRows: a row that its columns cannot show parks alone: it has an error, its document shows what there is, and the others go on.
func TestUnreadableRows(t *testing.T) {
	p := newSQLite(t)
	p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v integer, amount text, day text)")
	p.exec(t, "INSERT INTO x VALUES (1, 1, '1.50', NULL), (2, 2, 'n/a', NULL), (3, 3, '', NULL), (4, 4, '2', NULL)")
	p.exec(t, "CREATE TABLE y (x integer, line integer, n text)")
	p.exec(t, "INSERT INTO y VALUES (4, 1, '1'), (4, 2, 'two'), (1, 1, '7')")
	db := open(t, p, "objects: {x: {table: x, version: v, columns: {id: integer, v: integer, amount: decimal}, children: {lines: {table: y, parent: x, key: line, columns: {line: integer, n: integer}}}}}")
	got, _, cursor := polled(t, db, "", 2)
	if !slices.Equal(got, []string{"1@1", "2@2!", "3@3!", "4@4!"}) {
		t.Errorf("%v", got)
	}
	if got, _, _ := polled(t, db, cursor, 2); len(got) != 0 {
		t.Errorf("again: %v", got)
	}
	p.exec(t, "UPDATE x SET v = 5, amount = '3' WHERE id = 2")
	if got, _, _ := polled(t, db, cursor, 2); !slices.Equal(got, []string{"2@5"}) {
		t.Errorf("put right: %v", got)
	}
	page, err := db.Poll(t.Context(), connector.PollRequest{Object: "x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range page.Records {
		if r.Local == "3" && (string(r.Doc) != `{"amount":"","id":3,"v":3,"lines":[]}` || !strings.Contains(r.Err.Error(), "row 3: column amount")) {
			t.Errorf("%s %v", r.Doc, r.Err)
		}
		if r.Local == "4" && (string(r.Doc) != `{"amount":2,"id":4,"v":4,"lines":[{"line":1,"n":1},{"line":2,"n":"two"}]}` || !strings.Contains(r.Err.Error(), "row 4: y: column n")) {
			t.Errorf("%s %v", r.Doc, r.Err)
		}
	}
	listed := map[string]bool{}
	for r, err := range db.List(t.Context(), "x", time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		listed[r.Local] = r.Err != nil
	}
	if len(listed) != 4 || listed["1"] || !listed["3"] || !listed["4"] {
		t.Errorf("listed: %v", listed)
	}
	if _, err := db.Find(t.Context(), connector.Lookup{Object: "x", Local: "3"}); err == nil {
		t.Error("a row that cannot be read is found")
	}
}

// TestUnreadableInPostgres: NaN, infinity and dates that documents cannot hold are refused by their rows alone.
func TestUnreadableInPostgres(t *testing.T) {
	p := newPostgres(t)
	p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v timestamptz, amount numeric)")
	p.exec(t, "INSERT INTO x VALUES (1, '2026-01-01T10:00:00Z', 1), (2, '2026-01-01T10:00:01Z', 'NaN'), (3, 'infinity', 3), (4, '-infinity', 4), (5, '0044-03-15 10:00:00Z BC', 5), (6, '2026-01-01T10:00:02Z', 6)")
	db := open(t, p, "objects: {x: {table: x, version: v, columns: {id: integer, v: timestamp, amount: decimal}}}")
	got, _, cursor := polled(t, db, "", 2)
	if len(got) != 6 || got[0] != "1@2026-01-01T10:00:00Z" || got[5] != "6@2026-01-01T10:00:02Z" || !strings.HasSuffix(got[1], "!") || !strings.HasSuffix(got[2], "!") {
		t.Errorf("%v", got)
	}
	p.exec(t, "INSERT INTO x VALUES (7, '2026-01-01T10:00:03Z', 7)")
	if got, _, _ := polled(t, db, cursor, 2); !slices.Equal(got, []string{"7@2026-01-01T10:00:03Z"}) {
		t.Errorf("then: %v", got)
	}
}
