package connector

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// stamped is a window whose versions are seconds since 1970.
func stamped(t interface{ Fatal(...any) }, cursor string, overlap time.Duration) *Window {
	w := window(t, cursor, overlap)
	w.Times(func(version string) (time.Time, StampKind) {
		n, err := strconv.Atoi(version)
		if err != nil {
			return time.Time{}, NoStamp
		}
		return at(n), TimeStamp
	})
	return w
}

// A round that lasts reads what was changed while it lasted. What became visible behind its back in the meantime must be found by the next one.
func TestRoundNeverPassesItsBeginning(t *testing.T) {
	w := stamped(t, "", 10*time.Second)
	w.Begin(at(1000))
	w.Fresh(&Record{Local: "1", Version: "900"})
	w.SetPage("behind 900")
	cursor := w.String()
	// A minute later: a change of 995 has been committed at 1002, behind the page that was read; the round has come to what is of now.
	w = stamped(t, cursor, 10*time.Second)
	w.Begin(at(1060))
	w.Fresh(&Record{Local: "2", Version: "1059"})
	w.End(at(1060))
	w = stamped(t, w.String(), 10*time.Second)
	if from, _ := w.Begin(at(1061)); atoi(from) > 995 {
		t.Errorf("the next round begins at %s: a change of 995 that was committed at 1002 is never read", from)
	}
	if w.Fresh(&Record{Local: "2", Version: "1059"}) {
		t.Error("what was read is handed out again")
	}
	w.Fresh(&Record{Local: "3", Version: "995"})
	w.End(at(1061))
	w = stamped(t, w.String(), 10*time.Second)
	if from, _ := w.Begin(at(1070)); from != "1049" {
		t.Errorf("then %s", from)
	}
}

func TestStampsAheadOfTheClock(t *testing.T) {
	for _, tc := range []struct {
		name, version string
		system        int  // the system's clock; the hub's is at 1000
		moves, told   bool // the window, and people
	}{
		{"before now", "999", 1000, true, false},
		{"now", "1000", 1000, true, false},
		{"a little ahead", "1030", 1000, false, false},
		{"ahead", "1061", 1000, false, true},
		{"of 2062", "2900000000", 1000, false, true},
		{"the system's clock is behind", "999", 900, false, true},
		{"the system's clock is ahead", "1100", 1200, false, false},
		{"no time at all", "infinity", 1000, false, false},
	} {
		w := stamped(t, "", 0)
		w.Begin(at(1000))
		w.SystemTime(at(tc.system))
		if !w.Fresh(&Record{Local: "1", Version: tc.version}) {
			t.Errorf("%s: it is not handed out", tc.name)
		}
		w.End(at(1000))
		if moved := w.w.Since == tc.version; moved != tc.moves {
			t.Errorf("%s: moved %t", tc.name, moved)
		}
		want := ""
		if tc.told {
			want = fmt.Sprint([]Remark{{Kind: Ahead, Local: "1", Version: tc.version, Count: 1}})
		}
		if got := w.Remarks(); tc.told != (len(got) > 0) || tc.told && fmt.Sprint(got) != want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

// What is stamped ahead is read in every round, and handed out when it is another one; however many there are, what polls go by is remembered.
func TestManyStampsAhead(t *testing.T) {
	cursor := ""
	for round, want := range []int{MaxSeen + 1, 6, 6} {
		w := stamped(t, cursor, time.Minute)
		w.Begin(at(1000 + 100*round))
		got := 0
		for n := range MaxSeen + 1 {
			if w.Fresh(&Record{Local: "f" + strconv.Itoa(n), Version: "2900000000"}) {
				got++
			}
		}
		for n := range 5 {
			if w.Fresh(&Record{Local: strconv.Itoa(n), Version: "999"}) != (round == 0) {
				t.Errorf("round %d: what polls go by is not remembered", round)
			}
		}
		w.End(at(1000 + 100*round))
		if cursor = w.String(); got > want {
			t.Errorf("round %d: %d are handed out, want no more than %d", round, got, want)
		}
		if r := w.Remarks(); len(r) != 1 || r[0].Count != MaxSeen+1 || r[0].Local != "f0" {
			t.Errorf("round %d: %+v", round, r)
		}
	}
}

func TestHeal(t *testing.T) {
	for _, tc := range []struct {
		name, cursor, from string
		inclusive          bool
	}{
		{"sound", `{"v":1,"since":"900","reached":"1970-01-01T00:15:00Z"}`, "890", true},
		{"of 2062", `{"v":1,"since":"2900000000","reached":"1970-01-01T00:15:00Z"}`, "", false},
		{"half a day ahead", `{"v":1,"since":"44200","reached":"1970-01-01T00:15:00Z"}`, "", false},
		{"settled there", `{"v":1,"since":"2900000000","reached":"1970-01-01T00:15:00Z","settled":true}`, "", false},
		{"what was settled before is", `{"v":1,"since":"2900000000","reached":"1970-01-01T00:15:00Z","floor":"800"}`, "800", false},
		{"no time", `{"v":1,"since":"infinity","reached":"1970-01-01T00:15:00Z","floor":"800"}`, "800", false},
		{"in the middle of a round", `{"v":1,"since":"900","started":"1970-01-01T00:15:00Z","high":"2900000000","page":{"v":"2900000000"}}`, "890", true},
	} {
		w := stamped(t, tc.cursor, 10*time.Second)
		from, inclusive := w.Begin(at(1000))
		if from != tc.from || inclusive != tc.inclusive {
			t.Errorf("%s: from %q, inclusive %t", tc.name, from, inclusive)
		}
		var page any
		if tc.name != "sound" && w.Page(&page) {
			t.Errorf("%s: the round goes on at %v", tc.name, page)
		}
	}
}

// Remarks stand as long as nothing says otherwise.
func TestRemarksStand(t *testing.T) {
	w := stamped(t, "", 0)
	round := func(read func()) string {
		w = stamped(t, w.String(), 0)
		w.Begin(at(1000))
		read()
		if !w.w.Started.IsZero() {
			w.End(at(1000))
		}
		return fmt.Sprint(w.Remarks())
	}
	stamp, bare, ahead := &Record{Local: "1", Version: "900"}, &Record{Local: "2"}, &Record{Local: "3", Version: "5000"}
	first := round(func() {
		w.Fresh(stamp)
		w.Unstamped(bare, "n/a")
		w.Fresh(bare)
		w.Fresh(ahead)
	})
	if first != "[{ahead 3 5000 1} {unstamped 2 n/a 1}]" {
		t.Error(first)
	}
	if got := round(func() { w.Unchanged(at(1000)) }); got != first {
		t.Errorf("nothing has changed: %s", got)
	}
	if got := round(func() { w.Fresh(stamp) }); got != "[{unstamped 2 n/a 1}]" {
		t.Errorf("a round of changes alone: %s", got)
	}
}

// Records without a stamp are read in passes: whole ones, or a page a round where there are more than are remembered.
func TestBarePasses(t *testing.T) {
	for _, tc := range []struct{ records, page, rounds int }{{1000, 100, 1}, {MaxBare + 500, 500, (MaxBare + 500) / 500}} {
		states := map[int]int{}
		cursor, now := "", 0
		round := func() (got []string, pages int) {
			now++
			w := stamped(t, cursor, 0)
			w.Begin(at(now))
			for {
				var place int
				_, one := w.BarePlace(&place)
				pages++
				for n := place; n < min(place+tc.page, tc.records); n++ {
					r := Record{Local: strconv.Itoa(n), Doc: []byte(strconv.Itoa(states[n]))}
					if w.FreshBare(&r) {
						got = append(got, r.Local)
					}
				}
				if place+tc.page >= tc.records {
					w.EndBare()
					break
				}
				w.SetBarePlace(place + tc.page)
				if one {
					break
				}
			}
			w.End(at(now))
			cursor = w.String()
			if r := w.Remarks(); len(r) != 1 || r[0].Kind != Unstamped || r[0].Count != tc.records || r[0].Local != "0" {
				t.Errorf("%d: %+v", tc.records, r)
			}
			return got, pages
		}
		if got, _ := round(); len(got) != tc.records {
			t.Fatalf("%d: first %d", tc.records, len(got))
		}
		for _, state := range []int{1, 0, 2} { // and back to what it was once
			states[7] = state
			found := 0
			for range tc.rounds {
				got, pages := round()
				if tc.rounds > 1 && pages != 1 {
					t.Errorf("%d: %d pages in a round", tc.records, pages)
				}
				for _, id := range got {
					if id == "7" {
						found++
					}
				}
				if tc.rounds == 1 && len(got) != 1 {
					t.Errorf("%d: %v", tc.records, got)
				}
			}
			if found != 1 {
				t.Errorf("%d: the change to %d was handed out %d times", tc.records, state, found)
			}
		}
	}
}

// A source that commits after its stamps, out of order, within the overlap; with equal stamps, with stamps of the far future, read in pages that take their
// time while it goes on: once it is quiet, every state has been handed out, and nothing is any more.
func TestBusySource(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		overlap := rapid.IntRange(1, 6).Draw(t, "overlap")
		type row struct{ id, stamp, visible, rev int }
		rows := map[int]row{}
		now, rev := 2000, 0
		got := map[string]bool{}
		change := func() {
			rev++
			r := row{id: rapid.IntRange(1, 20).Draw(t, "id"), stamp: now - rapid.IntRange(0, 1).Draw(t, "earlier"), rev: rev}
			r.visible = r.stamp + rapid.IntRange(0, overlap).Draw(t, "late")
			if rapid.IntRange(0, 9).Draw(t, "future") == 0 {
				r.stamp = 90_000_000 + now
			}
			if r.visible < now {
				r.visible = now
			}
			if old, ok := rows[r.id]; !ok || old.visible <= now {
				rows[r.id] = r
			}
		}
		cursor := ""
		open := func() *Window { return stamped(t, cursor, time.Duration(overlap)*time.Second) }
		// page reads the two rows behind a place, in the order of stamps, as SQL polls do.
		page := func() (more bool, n int) {
			w := open()
			from, inclusive := w.Begin(at(now))
			var place struct{ Stamp, ID int }
			paged := w.Page(&place)
			for range 1 {
				var next *row
				for _, r := range rows {
					v := strconv.Itoa(r.stamp)
					if r.visible > now || from != "" && (r.stamp < atoi(from) || v == from && !inclusive) {
						continue
					}
					if paged && (r.stamp < place.Stamp || r.stamp == place.Stamp && r.id <= place.ID) {
						continue
					}
					if next == nil || r.stamp < next.stamp || r.stamp == next.stamp && r.id < next.id {
						next = &r
					}
				}
				if next == nil {
					w.End(at(now))
					cursor = w.String()
					return false, n
				}
				paged, place.Stamp, place.ID = true, next.stamp, next.id
				rec := Record{Local: strconv.Itoa(next.id), Version: strconv.Itoa(next.stamp), Doc: []byte(strconv.Itoa(next.rev))}
				if w.Fresh(&rec) {
					got[fmt.Sprint(next.id, " ", next.rev)] = true
					n++
				}
			}
			w.SetPage(place)
			cursor = w.String()
			return true, n
		}
		for range rapid.IntRange(5, 120).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "change") {
				change()
			}
			if rapid.Bool().Draw(t, "read") {
				page()
			}
			now += rapid.IntRange(0, 3).Draw(t, "pause")
		}
		now += overlap + 10
		for range 200 {
			if more, _ := page(); !more {
				break
			}
		}
		now += overlap + 10
		for range 2 {
			for range 200 {
				if more, _ := page(); !more {
					break
				}
			}
		}
		for _, r := range rows {
			if !got[fmt.Sprint(r.id, " ", r.rev)] {
				t.Fatalf("row %+v was never handed out; the cursor is %s", r, cursor)
			}
		}
		for range 20 {
			now += 7
			if _, n := page(); n > 0 {
				t.Fatalf("%d are handed out again", n)
			}
		}
	})
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
