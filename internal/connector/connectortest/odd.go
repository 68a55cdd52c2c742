package connectortest

import (
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// far is a stamp that somebody has mistyped, or that means for ever.
var far = time.Date(2062, 11, 28, 10, 0, 0, 0, time.UTC)

// remarked reports whether the last round remarked a record.
func (w *watcher) remarked(kind connector.RemarkKind, local string) bool {
	for _, r := range w.remarks {
		if r.Kind == kind && r.Local == local && r.Count == 1 {
			return true
		}
	}
	return false
}

// testOdd: what single records of a system are like is no reason to leave another one unread.
func testOdd(t *testing.T, fresh func(t *testing.T) *Subject) {
	if fresh(t).Log {
		t.Run("a record that cannot be read", func(t *testing.T) { testSpoilt(t, fresh(t)) })
		return
	}
	if s := fresh(t); s.Spoil == nil || s.Bare == nil {
		t.Fatal("a subject that is polled must be able to spoil records, and to have some without a stamp")
	}
	t.Run("a stamp ahead", func(t *testing.T) { testAhead(t, fresh(t)) })
	t.Run("a cursor that followed a stamp ahead", func(t *testing.T) {
		w := fresh(t).watcher(t, 0)
		want := map[string]int{w.Put(t, 1, 1, start.Add(-time.Hour)): 1, w.Put(t, 2, 1, far): 1}
		old, err := connector.ReadWindow("", 0, func(version string, _ time.Duration) string { return version })
		if err != nil {
			t.Fatal(err)
		}
		old.Begin(start.Add(-time.Minute))
		old.Reach(far.Format(time.RFC3339))
		old.End(start.Add(-time.Minute))
		w.cursor = old.String()
		w.round()
		w.wants("what was passed over", want)
	})
	t.Run("a record that cannot be read", func(t *testing.T) { testSpoilt(t, fresh(t)) })
	t.Run("a record without a stamp", func(t *testing.T) {
		w := fresh(t).watcher(t, 0)
		w.bare = true
		bare := w.Subject.Bare(t, 1, 1)
		want := map[string]int{bare: 1, w.Put(t, 2, 1, start): 1}
		w.round()
		w.wants("first", want)
		if !w.remarked(connector.Unstamped, bare) {
			t.Errorf("nothing is said of %s: %+v", bare, w.remarks)
		}
		for range 3 {
			w.now = w.now.Add(time.Minute)
			w.restart()
			w.round()
		}
		if w.count != 2 {
			t.Errorf("%d records were handed out again, though nothing changed", w.count-2)
		}
		want[w.Put(t, 1, 2, w.now)] = 2
		w.round()
		w.wants("it has a stamp now", want)
	})
}

func testAhead(t *testing.T, s *Subject) {
	w := s.watcher(t, 0)
	want := map[string]int{w.Put(t, 1, 1, start.Add(-time.Hour)): 1}
	ahead := w.Put(t, 2, 1, far)
	want[ahead] = 1
	w.round()
	w.wants("first", want)
	for n := range 4 {
		w.now = w.now.Add(time.Minute)
		want[w.Put(t, 10+n, 1, w.now)] = 1
		w.restart()
		w.round()
		w.wants("what is stamped now", want)
		if !w.remarked(connector.Ahead, ahead) {
			t.Errorf("nothing is said of %s: %+v", ahead, w.remarks)
		}
	}
	if w.count != 6 {
		t.Errorf("%d records for 6 objects", w.count)
	}
	want[w.Put(t, 2, 2, far)] = 2
	w.round()
	w.wants("it has changed", want)
	w.now = w.now.Add(time.Minute)
	want[w.Put(t, 2, 3, w.now)] = 3
	w.round()
	w.wants("it was put right", want)
	w.round()
	if w.count != 8 {
		t.Errorf("%d records for 8 states", w.count)
	}
	if len(w.remarks) != 0 {
		t.Errorf("nothing is remarkable any more: %+v", w.remarks)
	}
}

func testSpoilt(t *testing.T, s *Subject) {
	w := s.watcher(t, 0)
	want := map[string]int{}
	for n := range 4 {
		want[w.Put(t, n, 1, start.Add(-time.Duration(n)*time.Second))] = 1
	}
	spoilt := w.Spoil(t, 9, start.Add(-1500*time.Millisecond))
	w.round()
	w.wants("those beside it", want)
	err := w.refused[spoilt]
	if err == nil {
		t.Fatalf("%s was not handed out with its error: %v", spoilt, w.refused)
	}
	w.classified(t, "the record", err, fault.Invalid)
	w.now = w.now.Add(time.Hour)
	w.restart()
	w.round()
	if w.count != 5 {
		t.Errorf("%d records for 5 objects", w.count)
	}
	if l, ok := w.sys.(connector.Lister); ok || !s.Log {
		listed, bad := 0, 0
		for r, err := range l.List(t.Context(), w.Object, time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			if listed++; r.Err != nil && r.Local == spoilt {
				bad++
			}
		}
		if listed != 5 || bad != 1 {
			t.Errorf("%d objects are listed, %d of them as unreadable; want 5 and 1", listed, bad)
		}
	}
	want[w.Put(t, 9, 2, w.now)] = 2
	w.round()
	w.wants("it was mended", want)
}
