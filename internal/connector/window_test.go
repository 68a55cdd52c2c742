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

// local is a window whose stamps are seconds; those from 300 to 399 come twice: until 400, and again until 500.
func local(t *testing.T, cursor string) *Window {
	w := window(t, cursor, 10*time.Second)
	w.Local(func(version string) (string, time.Time, bool) {
		n, _ := strconv.Atoi(version)
		return "300", at(500), n >= 300
	})
	return w
}

// A stretch that comes twice is read again until a round has begun when it was over for certain; then the window settles.
func TestWindowReadsTwice(t *testing.T) {
	rec := &Record{Local: "1", Version: "390", Doc: []byte("{}")}
	w := local(t, "")
	w.Begin(at(390))
	if !w.Fresh(rec) {
		t.Error("a new record is not handed out")
	}
	w.End(at(391))
	for _, step := range []struct {
		now       int
		from      string
		inclusive bool
	}{{395, "290", true}, {405, "290", true}, {499, "290", true}, {560, "290", true}, {569, "290", true}, {570, "290", true}, {571, "390", false}} {
		w = local(t, w.String())
		if from, inclusive := w.Begin(at(step.now)); from != step.from || inclusive != step.inclusive {
			t.Errorf("at %d: from %q, inclusive %v", step.now, from, inclusive)
		}
		if step.inclusive {
			if w.Fresh(rec) {
				t.Errorf("at %d: handed out again", step.now)
			}
		}
		w.End(at(step.now))
	}
}

// Cursors of before windows knew of stretches that come twice, settled in the first pass.
func TestWindowReadsTwiceFromOldCursors(t *testing.T) {
	for _, cursor := range []string{
		`{"v":1,"since":"390","reached":"1970-01-01T00:06:31Z","settled":true}`,
		`{"v":1,"since":"390","reached":"1970-01-01T00:06:31Z","settled":true,"floor":"390"}`,
		`{"v":1,"since":"395","reached":"1970-01-01T00:06:36Z","floor":"390"}`,
	} {
		w := local(t, cursor)
		if from, inclusive := w.Begin(at(410)); from != "290" || !inclusive {
			t.Errorf("%s: from %q, inclusive %v", cursor, from, inclusive)
		}
		if !w.Fresh(&Record{Local: "1", Version: "305"}) {
			t.Errorf("%s: a change of the second pass is left out", cursor)
		}
	}
	w := local(t, `{"v":1,"since":"390","reached":"1970-01-01T01:00:00Z","settled":true}`)
	if from, inclusive := w.Begin(at(3700)); from != "390" || inclusive {
		t.Errorf("long after: from %q, inclusive %v", from, inclusive)
	}
	// What was settled before the stretch stays so.
	w = local(t, `{"v":1,"since":"310","reached":"1970-01-01T00:05:11Z","floor":"295"}`)
	if from, inclusive := w.Begin(at(410)); from != "295" || inclusive {
		t.Errorf("floor before: from %q, inclusive %v", from, inclusive)
	}
}

func TestLater(t *testing.T) {
	seen := &Record{Local: "1", Version: "305", Doc: []byte("{}")}
	w := local(t, "")
	w.Begin(at(330))
	w.Fresh(seen)
	w.End(at(330))
	cursor := w.String()
	for _, tc := range []struct {
		name   string
		rec    *Record
		now    int
		later  bool
		unsure bool
	}{
		{"read in the first pass, and the same", seen, 450, false, false},
		{"another state, the second instant has come", &Record{Local: "1", Version: "305", Doc: []byte("[]")}, 405, true, false},
		{"the second instant is far off", &Record{Local: "2", Version: "305"}, 344, false, false},
		{"the second instant is near, and no round was there after the first", &Record{Local: "2", Version: "305"}, 345, false, true},
	} {
		w := local(t, cursor)
		w.Begin(at(tc.now))
		if got := w.Later(tc.rec, at(305), at(405), at(tc.now)); got != tc.later || w.Unsure() != tc.unsure {
			t.Errorf("%s: %t, unsure %t", tc.name, got, w.Unsure())
		}
		for range 2 {
			if tc.unsure && !w.Fresh(tc.rec) {
				t.Errorf("%s: it is not handed out, or not again", tc.name)
			}
		}
	}
	// The source's clock is ahead: a round that began more than the slack after the first instant did not see the state.
	w = local(t, cursor)
	w.Begin(at(390))
	w.End(at(390))
	w = local(t, w.String())
	w.Begin(at(400))
	if !w.Later(&Record{Local: "2", Version: "305"}, at(305), at(405), at(400)) {
		t.Error("the source's clock is ahead: of the first instant")
	}
	w.limit = 0 // the window may have forgotten it
	if w.Later(&Record{Local: "2", Version: "305"}, at(305), at(405), at(400)) {
		t.Error("an old state that was forgotten: of the second instant before this has come")
	}
}
