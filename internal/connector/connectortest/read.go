package connectortest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
)

// watcher polls a system like the hub does: every page's cursor is stored as text, and after every page the hub may have
// been started anew.
type watcher struct {
	*Subject
	t       *testing.T
	now     time.Time
	cursor  string
	overlap time.Duration
	limit   int
	sys     connector.Poller
	seen    map[string]int // newest revision by local id
	count   int            // records handed out
	refused map[string]error
	remarks []connector.Remark // of the last round
	bare    bool               // records may have no version
}

func (s *Subject) watcher(t *testing.T, overlap time.Duration) *watcher {
	return &watcher{Subject: s, t: t, now: start, overlap: overlap, limit: 3, seen: map[string]int{}, refused: map[string]error{}}
}

// start is when the tests begin; stamps are about that time.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// page reads one page with a system that was just opened.
func (w *watcher) page() (more bool) {
	w.t.Helper()
	if w.sys == nil {
		w.sys = w.openWith(w.t, w.Settings, func() time.Time { return w.now }).(connector.Poller)
	}
	p, err := w.sys.Poll(w.t.Context(), connector.PollRequest{Object: w.Object, Cursor: w.cursor, Overlap: w.overlap, Limit: w.limit})
	if err != nil {
		w.t.Fatalf("poll: %v", err)
	}
	if p.Cursor == "" {
		w.t.Fatal("poll: no cursor")
	}
	w.cursor, w.remarks = p.Cursor, append(w.remarks, p.Remarks...)
	for _, r := range p.Records {
		w.count++
		if r.Err != nil {
			w.refused[r.Local] = r.Err
			continue
		}
		w.seen[r.Local] = max(w.seen[r.Local], w.Revision(parse(w.t, r.Doc)))
		if r.Version == "" && !w.bare {
			w.t.Errorf("record %s has no version", r.Local)
		}
	}
	return p.More
}

// restart forgets everything but the cursor.
func (w *watcher) restart() { w.sys = nil }

// round reads pages until there are no more.
func (w *watcher) round() {
	w.t.Helper()
	w.remarks = nil
	for n := 0; w.page(); n++ {
		if n > 2000 {
			w.t.Fatal("the poll does not come to an end")
		}
	}
}

func (w *watcher) wants(what string, want map[string]int) {
	w.t.Helper()
	for id, revision := range want {
		if got, ok := w.seen[id]; !ok || got < revision {
			w.t.Errorf("%s: of object %s revision %d was seen (%v), want %d", what, id, got, ok, revision)
		}
	}
}

func testPoll(t *testing.T, fresh func(t *testing.T) *Subject) {
	t.Run("equal stamps at page borders", func(t *testing.T) {
		w := fresh(t).watcher(t, 0)
		want := map[string]int{}
		for n := range 20 {
			want[w.Put(t, n, 1, start)] = 1
		}
		for n := range 5 {
			want[w.Put(t, 20+n, 1, start.Add(time.Second))] = 1
		}
		for w.page() {
			w.restart()
		}
		w.wants("after a restart at every page", want)
		if w.count != 25 {
			t.Errorf("%d records for 25 objects", w.count)
		}
	})
	t.Run("an equal stamp later", func(t *testing.T) {
		w := fresh(t).watcher(t, 0)
		want := map[string]int{}
		for n := range 7 {
			want[w.Put(t, 10+n, 1, start)] = 1
		}
		w.round()
		want[w.Put(t, 1, 1, start)] = 1 // in the same second, with a smaller number
		w.restart()
		w.round()
		w.wants("second round", want)
		if w.count != 8 {
			t.Errorf("%d records for 8 objects", w.count)
		}
	})
	t.Run("a change", func(t *testing.T) {
		w := fresh(t).watcher(t, 0)
		id := w.Put(t, 1, 1, start)
		w.Put(t, 2, 1, start)
		w.round()
		w.Put(t, 1, 2, start) // within the stamp's resolution
		w.round()
		w.wants("same stamp", map[string]int{id: 2})
		w.Put(t, 1, 3, start.Add(time.Hour))
		w.round()
		w.wants("newer stamp", map[string]int{id: 3})
	})
	t.Run("a stamp before its commit", func(t *testing.T) {
		w := fresh(t).watcher(t, time.Minute)
		w.Put(t, 1, 1, start)
		w.round()
		late := w.Put(t, 2, 1, start.Add(-50*time.Second))
		w.round()
		w.wants("within the overlap", map[string]int{late: 1})
	})
	t.Run("quiet", func(t *testing.T) {
		w := fresh(t).watcher(t, time.Minute)
		for n := range 8 {
			w.Put(t, n, 1, start.Add(-time.Duration(n)*time.Second))
		}
		w.round()
		first := w.count
		for range 5 {
			w.now = w.now.Add(40 * time.Second)
			w.restart()
			w.round()
		}
		if w.count != first {
			t.Errorf("%d records were handed out again, though nothing changed", w.count-first)
		}
		if len(w.cursor) > 400 {
			t.Errorf("after a quiet time the cursor still has %d bytes", len(w.cursor))
		}
		late := w.Put(t, 100, 1, w.now)
		w.round()
		w.wants("after a quiet time", map[string]int{late: 1})
	})
	testOdd(t, fresh)
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("anything in between, seed %d", seed), func(t *testing.T) { testTurmoil(t, fresh(t), seed) })
	}
}

// testTurmoil changes objects between pages, with few stamps, some of them late and some of the far future; every object's last state must be seen.
func testTurmoil(t *testing.T, s *Subject, seed uint64) {
	dice := rand.New(rand.NewPCG(seed, 1))
	w := s.watcher(t, 5*time.Second)
	w.limit = 2 + dice.IntN(4)
	want := map[string]int{}
	for step := range 150 {
		if dice.IntN(3) > 0 {
			late := time.Duration(dice.IntN(3)) * time.Second
			stamp := w.now.Add(-late).Truncate(time.Second)
			if dice.IntN(20) == 0 {
				stamp = far
			}
			id := w.Put(t, dice.IntN(25), step+1, stamp)
			want[id] = step + 1
		}
		if dice.IntN(4) == 0 {
			w.now = w.now.Add(time.Second)
		}
		if dice.IntN(2) == 0 {
			w.page()
		}
		if dice.IntN(10) == 0 {
			w.restart()
		}
	}
	w.round()
	w.now = w.now.Add(time.Minute)
	w.round()
	w.wants("in the end", want)
}

func testList(t *testing.T, s *Subject) {
	want := map[string]int{}
	for n := range 37 {
		want[s.Put(t, n, n+1, start.Add(-time.Duration(n)*time.Hour))] = n + 1
	}
	sys := s.open(t).(connector.Lister)
	list := func(since time.Time) map[string]int {
		got := map[string]int{}
		for r, err := range sys.List(t.Context(), s.Object, since) {
			if err != nil {
				t.Fatalf("list: %v", err)
			}
			if _, twice := got[r.Local]; twice {
				t.Errorf("%s is listed twice", r.Local)
			}
			got[r.Local] = s.Revision(parse(t, r.Doc))
		}
		return got
	}
	all := list(time.Time{})
	for id, revision := range want {
		if all[id] != revision {
			t.Errorf("%s: revision %d, want %d", id, all[id], revision)
		}
	}
	if len(all) != len(want) {
		t.Errorf("%d objects are listed, want %d", len(all), len(want))
	}
	since := list(start.Add(-5 * time.Hour))
	for n, id := range byRevision(want)[:6] {
		if since[id] == 0 {
			t.Errorf("changed %d hours ago and not listed since 5 hours ago", n)
		}
	}
	for range sys.List(t.Context(), s.Object, time.Time{}) {
		break // a reader may stop
	}
	if ids, ok := sys.(connector.IDLister); ok && ids.ListsIDs(s.Object) {
		testListIDs(t, s, ids, want)
	}
}

// testListIDs: the ids are those of the list, each once; a list that is cut short fails.
func testListIDs(t *testing.T, s *Subject, sys connector.IDLister, want map[string]int) {
	got := map[string]int{}
	for id, err := range sys.ListIDs(t.Context(), s.Object) {
		if err != nil {
			t.Fatalf("list the ids: %v", err)
		}
		got[id]++
	}
	for id := range want {
		if got[id] != 1 {
			t.Errorf("the id %s is listed %d times", id, got[id])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d ids are listed, want %d", len(got), len(want))
	}
	for range sys.ListIDs(t.Context(), s.Object) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range sys.ListIDs(ctx, s.Object) {
		last = err
	}
	if last == nil {
		t.Error("a list of ids that was cut short has not failed")
	}
}

func byRevision(m map[string]int) []string {
	out := make([]string, len(m))
	for id, revision := range m {
		out[revision-1] = id
	}
	return out
}
