package sql

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/zones"
)

const localTable = "objects: {x: {table: x, version: v, columns: {id: integer, content: integer, raw: text, v: local-timestamp}}}"

// localSource is a table whose versions are local times, as a test of connectortest drives it.
func localSource(t *testing.T, zone string) connectortest.LocalSource {
	p := newSQLite(t)
	p.exec(t, "PRAGMA synchronous=OFF")
	p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, content integer, raw text, v text)")
	db := open(t, p, "zone: "+zone+"\n"+localTable)
	return connectortest.LocalSource{
		Poller: db, Object: "x",
		Clock: func(now func() time.Time) { db.clock = testClock{lifecycle.Real(), now} },
		Clear: func() { p.exec(t, "DELETE FROM x") },
		Put: func(id, content int, reading time.Time) {
			r := reading.Format(time.DateTime)
			p.exec(t, "INSERT OR REPLACE INTO x VALUES (?, ?, ?, ?)", id, content, r, r)
		},
		Show: func(r connector.Record) (int, string) {
			doc, err := jsondoc.Parse(r.Doc, jsondoc.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			n, _ := strconv.Atoi(string(doc.Root().Get("content").Raw()))
			if v := doc.Root().Get("v").Str(); v != r.Version {
				t.Errorf("the document shows the version %s, the record is of %s", v, r.Version)
			}
			return n, doc.Root().Get("raw").Str()
		},
	}
}

func TestLocalTimes(t *testing.T) { connectortest.LocalTimes(t, localSource) }

// Cursors that were stored before, in the column's own form, are read on; the first of them had settled in the first pass.
func TestHourThatComesTwice(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		typ := map[string]string{"sqlite": "text", "postgres": "timestamp", "mysql": "datetime(6)"}[p.kind]
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, content integer, raw text, v "+typ+")")
		p.exec(t, "INSERT INTO x VALUES (1, 1, '', '2026-10-25 02:55:00'), (2, 1, '', '2026-10-25 02:05:00'), (3, 1, '', '2026-10-25 01:59:00')")
		db := open(t, p, "zone: Europe/Berlin\n"+localTable)
		now := time.Date(2026, 10, 25, 1, 5, 1, 0, time.UTC)
		db.clock = testClock{lifecycle.Real(), func() time.Time { return now }}
		for _, cursor := range []string{
			`{"v":1,"since":"2026-10-25 02:55:00","reached":"2026-10-25T00:55:01Z","settled":true}`,
			`{"v":1,"since":"2026-10-25 02:55:00","reached":"2026-10-25T00:55:01Z"}`,
		} {
			got := ""
			for {
				page, err := db.Poll(t.Context(), connector.PollRequest{Object: "x", Cursor: cursor, Limit: 1})
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page.Records {
					got += r.Local + "@" + r.Version + " "
				}
				if cursor = page.Cursor; !page.More {
					break
				}
			}
			if got != "2@2026-10-25T01:05:00Z 1@2026-10-25T00:55:00Z " {
				t.Errorf("got %s", got)
			}
		}
		for r, err := range db.List(t.Context(), "x", time.Date(2026, 10, 25, 0, 55, 0, 0, time.UTC)) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Local == "2" && r.Version == "2026-10-25T01:05:00Z" {
				return
			}
		}
		t.Error("a list of what changed since the first pass leaves out the second")
	})
}

// A version that the hub sets is in the zone of the others: a poll would take it for hours older, or newer, than it is.
func TestTouchInLocalTime(t *testing.T) {
	both(t, func(t *testing.T, p *place) {
		typ := map[string]string{"sqlite": "text", "postgres": "timestamp", "mysql": "datetime(6)"}[p.kind]
		p.exec(t, "CREATE TABLE x (id integer PRIMARY KEY, content integer, raw text, v "+typ+")")
		p.exec(t, "INSERT INTO x VALUES (1, 1, '', NULL)")
		db := open(t, p, "zone: Asia/Kolkata\n"+strings.Replace(localTable, "version: v,", "version: v, touch: true,", 1))
		before := time.Now().Add(-time.Second)
		if _, err := db.Write(t.Context(), connector.Write{Object: "x", Action: connector.Update, Local: "1", Doc: []byte(`{"content":2}`)}); err != nil {
			t.Fatal(err)
		}
		found, err := db.Find(t.Context(), connector.Lookup{Object: "x", Local: "1"})
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		at, err := time.Parse(time.RFC3339Nano, found[0].Version)
		if err != nil || at.Before(before) || at.After(time.Now().Add(time.Second)) {
			t.Errorf("touched at %v, %v; the database holds %s", at, err, p.text(t, "SELECT "+p.asText("v")+" FROM x"))
		}
	})
}

// The bound that polls look back to, by reading.
func TestLocalBack(t *testing.T) {
	zone, err := zones.Load("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	o := &object{Version: "v", Columns: map[string]string{"v": "local-timestamp"}}
	for _, tc := range []struct {
		version string
		by      time.Duration
		want    string
	}{
		{"2026-10-25 03:05:00.25", 10 * time.Minute, "2026-10-25 02:55:00.25"},
		{"2026-10-25 03:05:00", 70 * time.Minute, "2026-10-25 02:00:00"}, // the first pass: its readings come again
		{"2026-10-25T02:55:00", 10 * time.Minute, "2026-10-25T02:00:00"},
		{"2026-10-25 02:00:00", 10 * time.Minute, "2026-10-25 01:50:00"},
		{"2026-03-29 03:05:00", 10 * time.Minute, "2026-03-29 01:55:00"},
		{"2026-03-29 02:30:00", 10 * time.Minute, "2026-03-29 01:50:00"}, // there is no such time
		{"2026-10-25 02:55:00+02", 10 * time.Minute, "2026-10-25 02:45:00+02"},
		{"2026-10-25 24:00:00", 10 * time.Minute, "2026-10-23"},
		{"2026-10-25t10:00:00z", 10 * time.Minute, "2026-10-23"},
		{"yesterday", time.Minute, "yesterday"},
	} {
		if got := o.back(zone)(tc.version, tc.by); got != tc.want {
			t.Errorf("%s less %s: %s, want %s", tc.version, tc.by, got, tc.want)
		}
	}
}
