package connector

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// seconds is a back function for versions that count seconds.
func seconds(version string, by time.Duration) string {
	n, err := strconv.Atoi(version)
	if err != nil {
		return version
	}
	return strconv.Itoa(n - int(by/time.Second))
}

func at(second int) time.Time { return time.Unix(int64(second), 0).UTC() }

func window(t interface{ Fatal(...any) }, cursor string, overlap time.Duration) *Window {
	w, err := ReadWindow(cursor, overlap, seconds)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWindowSettles(t *testing.T) {
	rec := &Record{Local: "1", Version: "100", Doc: []byte("{}")}
	w := window(t, "", 10*time.Second)
	if from, inclusive := w.Begin(at(100)); from != "" || inclusive {
		t.Errorf("first: %q %v", from, inclusive)
	}
	if !w.Fresh(rec) || w.Fresh(rec) {
		t.Error("a record is fresh once")
	}
	w.End(at(101))
	for _, step := range []struct {
		now       int
		from      string
		inclusive bool
	}{{102, "90", true}, {112, "90", true}, {113, "90", true}, {114, "100", false}, {500, "100", false}} {
		w = window(t, w.String(), 10*time.Second)
		from, inclusive := w.Begin(at(step.now))
		if from != step.from || inclusive != step.inclusive {
			t.Errorf("at %d: from %q, inclusive %v", step.now, from, inclusive)
		}
		if w.Fresh(rec) {
			t.Errorf("at %d: handed out again", step.now)
		}
		w.End(at(step.now))
	}
	if len(w.String()) > 150 {
		t.Errorf("settled and still long: %s", w)
	}
	w.Begin(at(501))
	if !w.Fresh(&Record{Local: "1", Version: "101", Doc: []byte("{}")}) {
		t.Error("a change is not fresh")
	}
	w.End(at(501))
	if from, inclusive := w.Begin(at(502)); from != "100" || inclusive {
		t.Errorf("after a change: %q %v", from, inclusive)
	}
}

func TestWindowTellsStatesApart(t *testing.T) {
	w := window(t, "", 0)
	w.Begin(at(0))
	for _, r := range []Record{
		{Local: "1", Version: "5", Doc: []byte(`{"a":1}`)}, {Local: "1", Version: "5", Doc: []byte(`{"a":2}`)}, {Local: "1", Version: "6", Doc: []byte(`{"a":1}`)},
		{Local: "1", Version: "5", Doc: []byte(`{"a":1}`), Deleted: true}, {Local: "2", Version: "5", Doc: []byte(`{"a":1}`)},
	} {
		if !w.Fresh(&r) {
			t.Errorf("%+v is not fresh", r)
		}
	}
}

func TestWindowIsBounded(t *testing.T) {
	w := window(t, "", time.Hour)
	w.Begin(at(0))
	for n := range MaxSeen + 5000 {
		w.Fresh(&Record{Local: strconv.Itoa(n), Version: strconv.Itoa(1000 + n/1000)})
	}
	w.End(at(0))
	cursor := w.String()
	if len(cursor) > 500_000 {
		t.Errorf("the cursor has %d bytes", len(cursor))
	}
	w = window(t, cursor, time.Hour)
	w.Begin(at(1))
	again := 0
	for n := range MaxSeen + 5000 {
		if w.Fresh(&Record{Local: strconv.Itoa(n), Version: strconv.Itoa(1000 + n/1000)}) {
			again++
		}
	}
	if again != 5000 {
		t.Errorf("%d records are handed out again, want the 5000 oldest", again)
	}
}

func TestAbandonedRound(t *testing.T) {
	w := window(t, "", 0)
	w.Begin(at(0))
	w.Fresh(&Record{Local: "1", Version: "5"})
	w.End(at(0))
	w.Begin(at(1))
	w.Fresh(&Record{Local: "2", Version: "9"})
	w.Abandon()
	w = window(t, w.String(), 0)
	if from, _ := w.Begin(at(2)); from != "5" {
		t.Errorf("the next round begins at %q, and the one before saw only some of what came after 5", from)
	}
	if w.Fresh(&Record{Local: "2", Version: "9"}) {
		t.Error("what was handed out is handed out again")
	}
}

// What was settled stays so when a younger stamp moves the window again: what lies within its overlap has been handed out and forgotten.
func TestSettledStaysSettled(t *testing.T) {
	w := window(t, "", 5*time.Second)
	w.Begin(at(2003))
	if !w.Fresh(&Record{Local: "1", Version: "2001"}) {
		t.Error("a new record is not handed out")
	}
	w.End(at(2003))
	w.Begin(at(2010))
	w.Fresh(&Record{Local: "1", Version: "2001"})
	w.End(at(2010))
	w = window(t, w.String(), 5*time.Second)
	w.Begin(at(2011))
	if !w.Fresh(&Record{Local: "2", Version: "2006"}) {
		t.Error("a new record is not handed out")
	}
	w.End(at(2011))
	w = window(t, w.String(), 5*time.Second)
	if from, inclusive := w.Begin(at(2012)); from != "2001" || inclusive {
		t.Errorf("the round begins at %s, inclusive %t", from, inclusive)
	}
	if w.Fresh(&Record{Local: "1", Version: "2001"}) {
		t.Error("what was settled is handed out again")
	}
}

func TestBadCursors(t *testing.T) {
	for _, bad := range []string{"x", "{}", `{"v":2}`, "[]", `{"v":1,"seen":7}`} {
		if _, err := ReadWindow(bad, 0, seconds); err == nil || strings.Contains(err.Error(), "invalid character") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// A source whose rows become visible some time after their stamp, read in pages, with a restart after every page: every
// row is handed out, and in the end nothing is handed out any more.
func TestWindowModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		overlap := rapid.IntRange(0, 5).Draw(t, "overlap")
		type row struct{ visible, stamp, id int }
		var rows []row
		for id := range rapid.IntRange(1, 15).Draw(t, "rows") {
			stamp := rapid.IntRange(2000, 2020).Draw(t, "stamp")
			rows = append(rows, row{stamp + rapid.IntRange(0, overlap).Draw(t, "lag"), stamp, id})
		}
		cursor, got := "", map[string]int{}
		poll := func(now int) int {
			n := 0
			w := window(t, cursor, time.Duration(overlap)*time.Second)
			from, inclusive := w.Begin(at(now))
			for _, r := range rows {
				v := strconv.Itoa(r.stamp)
				if r.visible > now || from != "" && (v < from || v == from && !inclusive) {
					continue
				}
				rec := &Record{Local: strconv.Itoa(r.id), Version: v}
				if w.Fresh(rec) {
					got[rec.Local]++
					n++
				}
				w = window(t, w.String(), time.Duration(overlap)*time.Second)
			}
			w.End(at(now))
			cursor = w.String()
			return n
		}
		now := 2000
		for now < 2030 {
			poll(now)
			now += rapid.IntRange(1, 6).Draw(t, "pause")
		}
		poll(2040)
		if len(got) != len(rows) {
			t.Fatalf("%d of %d rows: %v", len(got), len(rows), rows)
		}
		for range 3 {
			now += 20
			if n := poll(100 + now); n != 0 {
				t.Fatalf("%d rows again", n)
			}
		}
		for id, n := range got {
			if n != 1 {
				t.Fatalf("row %s was handed out %d times", id, n)
			}
		}
	})
}
