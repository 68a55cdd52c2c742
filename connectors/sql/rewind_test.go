package sql

import (
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// polledIDs reads until nothing more is said to come.
func polledIDs(t *testing.T, db *database, cursor string) (ids []string, after string) {
	t.Helper()
	for range 100 {
		p, err := db.Poll(t.Context(), connector.PollRequest{Object: "x", Cursor: cursor, Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Records {
			ids = append(ids, r.Local)
		}
		if cursor = p.Cursor; !p.More {
			slices.Sort(ids)
			return ids, cursor
		}
	}
	t.Fatal("no end")
	return nil, ""
}

// TestRewind: after a rewind polls read again what changed at the place or later, in every form of a version, and nothing else is taken for a place.
func TestRewind(t *testing.T) {
	type to struct{ place, ids, refused string }
	for _, test := range []struct {
		name, column, typ, settings string
		values                      []string // of rows 1 to 4, an hour apart from 2026-11-01T00:00:00Z
		to                          []to
	}{
		{"timestamp", "timestamp", "timestamp", "", []string{"'2026-11-01T00:00:00.000Z'", "'2026-11-01T01:00:00.000Z'", "'2026-11-01T02:00:00.000Z'", "'2026-11-01T03:00:00.000Z'"}, []to{
			{"2026-11-01T01:00:00Z", "2 3 4", ""}, {"2026-11-01T10:00:00+08:00", "3 4", ""}, {"2026-11-01T00:30:00.5Z", "2 3 4", ""}, {"2020-01-01T00:00:00Z", "1 2 3 4", ""},
			{"2026-11-01T01:00:00", "", "write for example 2026-11-01T00:00:00Z"}, {"2026-11-01", "", "no time with a zone"},
			{"2026-12-01T00:00:00Z", "", "would leave out what lies between"}, {"yesterday", "", `"yesterday" is no time`},
		}},
		{"local-timestamp", "timestamp without time zone", "local-timestamp", "zone: Asia/Shanghai\n", []string{"'2026-11-01 08:00:00'", "'2026-11-01 09:00:00'", "'2026-11-01 10:00:00'", "'2026-11-01 11:00:00'"}, []to{
			{"2026-11-01T01:00:00Z", "2 3 4", ""}, {"2026-11-01T10:00:00+08:00", "3 4", ""}, {"2026-11-01 10:00:00", "", "no time with a zone"},
		}},
		{"unix", "bigint", "unix", "", []string{"1793491200", "1793494800", "1793498400", "1793502000"}, []to{
			{"2026-11-01T01:00:00Z", "2 3 4", ""}, {"1793498400", "3 4", ""}, {"1.5", "", "no whole number"},
		}},
		{"unix-ms", "bigint", "unix-ms", "", []string{"1793491200000", "1793494800000", "1793498400000", "1793502000000"}, []to{
			{"2026-11-01T02:00:00Z", "3 4", ""}, {"1793494800000", "2 3 4", ""},
		}},
		{"integer", "bigint", "integer", "", []string{"98", "99", "100", "101"}, []to{
			{"100", "3 4", ""}, {"99", "2 3 4", ""}, {"2026-11-01T01:00:00Z", "", "a time is none: give a number (101 was read last)"}, {"102", "", "would leave out"}, {"x", "", "no whole number"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			both(t, func(t *testing.T, p *place) {
				column := test.column
				switch {
				case p.kind == "mysql" && test.column != "bigint":
					column = "datetime(6)"
				case p.kind == "postgres" && test.typ == "timestamp":
					column = "timestamptz"
				}
				p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, v "+column+")")
				db := open(t, p, test.settings+"objects: {x: {table: x, version: v, columns: {id: integer, v: "+test.typ+"}}}")
				if _, err := db.RewindTo("x", "", "2026-11-01T01:00:00Z"); fault.KindOf(err) != fault.Invalid {
					t.Errorf("a rewind before the first read: %v", err)
				}
				for i, v := range test.values {
					p.exec(t, "INSERT INTO x VALUES ("+string(rune('1'+i))+", "+v+")")
				}
				all, cursor := polledIDs(t, db, "")
				if got := strings.Join(all, " "); got != "1 2 3 4" {
					t.Fatalf("read %s", got)
				}
				for _, to := range test.to {
					again, err := db.RewindTo("x", cursor, to.place)
					if to.refused != "" {
						if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), to.refused) {
							t.Errorf("to %s: %v, want %q", to.place, err, to.refused)
						}
						continue
					}
					if err != nil {
						t.Errorf("to %s: %v", to.place, err)
						continue
					}
					ids, after := polledIDs(t, db, again)
					if got := strings.Join(ids, " "); got != to.ids {
						t.Errorf("to %s: read %s, want %s", to.place, got, to.ids)
					}
					if ids, _ := polledIDs(t, db, after); len(ids) != 0 {
						t.Errorf("to %s: read once more %v", to.place, ids)
					}
				}
				if ids, _ := polledIDs(t, db, ""); len(ids) != 4 {
					t.Errorf("from the start: %v", ids)
				}
			})
		})
	}
}
