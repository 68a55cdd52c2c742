package connectortest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// writer is a system that a test writes to and looks into.
type writer struct {
	*Subject
	t   *testing.T
	sys interface {
		connector.Sink
		connector.Finder
	}
	once bool // what was written stays
}

func (s *Subject) writer(t *testing.T) *writer {
	t.Helper()
	opened := s.open(t)
	sys, ok := opened.(interface {
		connector.Sink
		connector.Finder
	})
	if !ok {
		t.Fatal("a system that is written to must be able to look up: the outcome of a lost write is not known otherwise")
	}
	return &writer{s, t, sys, writtenOnce(opened)}
}

func (w *writer) create(n int) connector.Result {
	w.t.Helper()
	r, err := w.sys.Write(w.t.Context(), w.write(connector.Create, n, w.New(n)))
	if err != nil {
		w.t.Fatalf("create: %v", err)
	}
	if r.Local == "" {
		w.t.Fatal("create: no id")
	}
	return r
}

func (w *writer) find(what string, l connector.Lookup, want int) []connector.Record {
	w.t.Helper()
	l.Object = w.Object
	got, err := w.sys.Find(w.t.Context(), l)
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
	var alive []connector.Record
	for _, r := range got {
		if !r.Deleted {
			alive = append(alive, r)
		}
	}
	if len(alive) != want {
		w.t.Fatalf("%s: %d objects, want %d", what, len(alive), want)
	}
	return alive
}

func testWrite(t *testing.T, fresh func(t *testing.T) *Subject) {
	t.Run("create and find", func(t *testing.T) {
		w := fresh(t).writer(t)
		first, second := w.create(1), w.create(2)
		if first.Local == second.Local {
			t.Fatalf("two objects have the id %s", first.Local)
		}
		sent := parse(t, []byte(w.New(1)))
		if first.Doc != nil {
			holds(t, "answer", parse(t, first.Doc), sent)
		}
		if w.once && !w.External {
			return
		}
		byID := w.find("by local id", connector.Lookup{Local: first.Local}, 1)
		holds(t, "found", parse(t, byID[0].Doc), sent)
		if byID[0].Local != first.Local {
			t.Errorf("found %q by %q", byID[0].Local, first.Local)
		}
		w.find("by a local id that is not there", connector.Lookup{Local: "999999"}, 0)
		if w.External {
			if got := w.find("by external id", connector.Lookup{External: external(1)}, 1); got[0].Local != first.Local {
				t.Errorf("by external id: %s, want %s", got[0].Local, first.Local)
			}
			w.find("by an external id that is not there", connector.Lookup{External: external(99)}, 0)
			w.spelt(first.Local)
		}
		if w.Natural != nil {
			if got := w.find("by natural key", connector.Lookup{Natural: w.Natural(2)}, 1); got[0].Local != second.Local {
				t.Errorf("by natural key: %s, want %s", got[0].Local, second.Local)
			}
			w.find("by a natural key that is not there", connector.Lookup{Natural: w.Natural(99)}, 0)
			w.folded(second.Local)
		}
	})
	if fresh(t).External {
		t.Run("create again", func(t *testing.T) { testCreateAgain(t, fresh(t)) })
	}
	t.Run("fence", func(t *testing.T) { testFence(t, fresh(t)) })
	t.Run("many at once", func(t *testing.T) { testConcurrent(t, fresh(t)) })
	for i, r := range fresh(t).Refusals {
		t.Run("refused: "+r.Name, func(t *testing.T) {
			s := fresh(t)
			testRefused(t, s, s.Refusals[i])
		})
	}
	if fresh(t).writer(t).once {
		t.Run("written beside", func(t *testing.T) { testWrittenBeside(t, fresh(t)) })
		return
	}
	t.Run("update", func(t *testing.T) { testUpdate(t, fresh(t)) })
	t.Run("delete", func(t *testing.T) { testDelete(t, fresh(t)) })
	if fresh(t).ETags {
		t.Run("etag", func(t *testing.T) { testETag(t, fresh(t)) })
		t.Run("etag, and the clock stands still", func(t *testing.T) { testStill(t, fresh(t)) })
	}
}

// spelt: an external id is the same however it is written.
func (w *writer) spelt(local string) {
	w.t.Helper()
	u := external(1)
	for what, asked := range map[string]string{
		"in capitals": strings.ToUpper(u), "in braces": "{" + u + "}", "without hyphens": strings.ReplaceAll(u, "-", ""),
	} {
		if got := w.find("by external id "+what, connector.Lookup{External: asked}, 1); got[0].Local != local {
			w.t.Errorf("by external id %s: %s, want %s", what, got[0].Local, local)
		}
	}
	if got := w.find("by external id, in older forms too", connector.Lookup{External: u, Older: true}, 1); got[0].Local != local {
		w.t.Errorf("by external id, in older forms too: %s, want %s", got[0].Local, local)
	}
	w.find("by an external id that is not there, in older forms too", connector.Lookup{External: external(99), Older: true}, 0)
}

// folded: a natural key's rule decides what fits, also where the system's own search is wider or narrower.
func (w *writer) folded(local string) {
	w.t.Helper()
	rules, other := map[string]connector.Compare{}, map[string]string{}
	same := true
	for field, v := range w.Natural(2) {
		rules[field], other[field] = connector.Fold, strings.ToLower(v)
		same = same && other[field] == v
	}
	if same {
		w.t.Fatal("the natural keys have no capital letter: nothing can be folded")
	}
	if got := w.find("by natural key, folded", connector.Lookup{Natural: w.Natural(2), Compare: rules}, 1); got[0].Local != local {
		w.t.Errorf("by natural key, folded: %s, want %s", got[0].Local, local)
	}
	w.find("by natural key in small letters, exactly", connector.Lookup{Natural: other}, 0)
	if w.Folds {
		w.find("by natural key in small letters, folded", connector.Lookup{Natural: other, Compare: rules}, 1)
	}
}

// testCreateAgain: the same external id never makes a second object where the target can tell.
func testCreateAgain(t *testing.T, s *Subject) {
	w := s.writer(t)
	first := w.create(1)
	again := w.write(connector.Create, 1, w.New(1))
	again.IdempotencyKey = "another"
	r, err := w.sys.Write(t.Context(), again)
	switch {
	case err == nil && r.Local != first.Local:
		t.Errorf("a second object was made: %s beside %s", r.Local, first.Local)
	case err != nil:
		if f := w.classified(t, "create again", err, fault.Conflict); !f.Duplicate {
			t.Errorf("create again: not marked as a duplicate: %v", err)
		}
	}
	w.find("after creating twice", connector.Lookup{External: external(1)}, 1)
}

// testWrittenBeside: each change of an object is written beside what was there, under the object's id; one that comes again, for its outcome was
// lost, is not written a second time where changes can be told apart.
func testWrittenBeside(t *testing.T, s *Subject) {
	w := s.writer(t)
	local := w.create(1).Local
	count := func(what string, want int) {
		t.Helper()
		if got := s.Written(t); got != want {
			t.Errorf("%s: the other side has %d documents, want %d", what, got, want)
		}
	}
	count("after the create", 1)
	change := func(key string) {
		t.Helper()
		wr := w.write(connector.Update, 1, w.New(1))
		wr.Local, wr.IdempotencyKey, wr.Version = local, key, "2026-03-01T12:00:00Z"
		r, err := w.sys.Write(t.Context(), wr)
		if err != nil || r.Local != local {
			t.Errorf("update of %s: %+v, %v", local, r, err)
		}
	}
	change("a")
	count("after an update", 2)
	change("b") // of the same version, and says the same
	count("after another", 3)
	if s.External {
		change("a")
		change("b")
		count("after both again", 3)
	}
	gone := w.write(connector.Delete, 1, "")
	gone.Local = local
	_, err := w.sys.Write(t.Context(), gone)
	written := 3
	if s.Tombstones {
		written++
		if err != nil {
			t.Errorf("a deletion: %v", err)
		}
	} else {
		w.classified(t, "a deletion that nothing would tell of", err, fault.Invalid)
	}
	count("after a deletion", written)
	replaced := errors.New("another hub has taken over")
	ctx := connector.WithFence(t.Context(), func(context.Context) error { return replaced })
	late := w.write(connector.Update, 1, w.New(1))
	late.Local, late.IdempotencyKey = local, "late"
	if _, err := w.sys.Write(ctx, late); !errors.Is(err, replaced) {
		t.Errorf("by a hub that was replaced: %v", err)
	}
	count("after what a hub that was replaced would write", written)
	if s.External {
		w.find("by its id", connector.Lookup{Local: local}, 1)
		w.find("by its external id", connector.Lookup{External: external(1)}, 1)
	}
}

// testFence: what is not the hub's to change any more is left as it is.
func testFence(t *testing.T, s *Subject) {
	w := s.writer(t)
	replaced := errors.New("another hub has taken over")
	ctx := connector.WithFence(t.Context(), func(context.Context) error { return replaced })
	refused := func(wr connector.Write) {
		t.Helper()
		_, err := w.sys.Write(ctx, wr)
		w.classified(t, string(wr.Action), err, fault.Unavailable)
		if !errors.Is(err, replaced) {
			t.Errorf("%s: %v, which does not say that another hub has taken over", wr.Action, err)
		}
	}
	refused(w.write(connector.Create, 1, w.New(1)))
	if w.External {
		w.find("after a create that was refused", connector.Lookup{External: external(1)}, 0)
	}
	asked := 0
	consent := connector.WithFence(t.Context(), func(context.Context) error { asked++; return nil })
	r, err := w.sys.Write(consent, w.write(connector.Create, 1, w.New(1)))
	if err != nil || asked == 0 {
		t.Fatalf("create after that: asked %d times, %v", asked, err)
	}
	if w.once {
		return
	}
	change := w.write(connector.Update, 1, w.Change(7))
	change.Local = r.Local
	refused(change)
	gone := w.write(connector.Delete, 1, "")
	gone.Local = r.Local
	refused(gone)
	left := w.find("after a delete that was refused", connector.Lookup{Local: r.Local}, 1)
	holds(t, "after an update that was refused", parse(t, left[0].Doc), parse(t, []byte(w.New(1))))
}

func testUpdate(t *testing.T, s *Subject) {
	w := s.writer(t)
	local := w.create(1).Local
	other := w.create(2).Local
	change := w.write(connector.Update, 1, w.Change(7))
	change.Local = local
	r, err := w.sys.Write(t.Context(), change)
	if err != nil {
		t.Fatalf("update: %v", err)
	}
	if r.Local != local {
		t.Errorf("update of %s answers %s", local, r.Local)
	}
	after := parse(t, w.find("after the update", connector.Lookup{Local: local}, 1)[0].Doc)
	want := parse(t, []byte(w.Change(7)))
	holds(t, "changed", after, want)
	if r.Doc != nil {
		holds(t, "answer", parse(t, r.Doc), want)
	}
	// Everything else is as it was.
	for name, v := range parse(t, []byte(w.New(1))).Members() {
		if !want.Get(name).Exists() && !after.Get(name).Equal(v) && v.Len() == 0 {
			t.Errorf("%s: %s became %s, and nobody asked for it", name, v.Raw(), after.Get(name).Raw())
		}
	}
	holds(t, "the other object", parse(t, w.find("another", connector.Lookup{Local: other}, 1)[0].Doc), parse(t, []byte(w.New(2))))
	if w.External {
		w.find("by external id after the update", connector.Lookup{External: external(1)}, 1)
	}
	missing := w.write(connector.Update, 9, w.Change(1))
	missing.Local = "999999"
	_, err = w.sys.Write(t.Context(), missing)
	w.classified(t, "update of what is not there", err, fault.NotFound)
}

func testDelete(t *testing.T, s *Subject) {
	w := s.writer(t)
	local := w.create(1).Local
	other := w.create(2).Local
	del := w.write(connector.Delete, 1, "")
	del.Local = local
	if _, err := w.sys.Write(t.Context(), del); err != nil {
		t.Fatalf("delete: %v", err)
	}
	w.find("after the delete", connector.Lookup{Local: local}, 0)
	w.find("another, after the delete", connector.Lookup{Local: other}, 1)
	_, err := w.sys.Write(t.Context(), del)
	w.classified(t, "delete again", err, fault.NotFound)
	change := w.write(connector.Update, 1, w.Change(1))
	change.Local = local
	_, err = w.sys.Write(t.Context(), change)
	w.classified(t, "update after the delete", err, fault.NotFound)
}

// testETag: of writers that read the same state, one wins.
func testETag(t *testing.T, s *Subject) {
	w := s.writer(t)
	local := w.create(1).Local
	read := w.find("before", connector.Lookup{Local: local}, 1)[0]
	if read.ETag == "" {
		t.Fatal("no token was read")
	}
	const writers = 8
	var won, lost int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			change := w.write(connector.Update, i, w.Change(i+1))
			change.Local, change.ETag = local, read.ETag
			_, err := w.sys.Write(t.Context(), change)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case fault.KindOf(err) == fault.Conflict:
				lost++
			default:
				t.Errorf("update with a token: %v", err)
			}
		})
	}
	wg.Wait()
	if won != 1 || lost != writers-1 {
		t.Errorf("%d writers won and %d met a conflict, want 1 and %d", won, lost, writers-1)
	}
	now := w.find("after", connector.Lookup{Local: local}, 1)[0]
	change := w.write(connector.Update, 1, w.Change(99))
	change.Local, change.ETag = local, now.ETag
	if _, err := w.sys.Write(t.Context(), change); err != nil {
		t.Errorf("update with the token read anew: %v", err)
	}
}

func testConcurrent(t *testing.T, s *Subject) {
	w := s.writer(t)
	const n = 24
	ids := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r, err := w.sys.Write(t.Context(), w.write(connector.Create, i, w.New(i)))
			if err != nil {
				t.Errorf("create %d: %v", i, err)
			}
			ids[i] = r.Local
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for i, id := range ids {
		if seen[id] {
			t.Errorf("the id %q was given twice", id)
		}
		seen[id] = true
		if w.External {
			if got := w.find(fmt.Sprintf("object %d", i), connector.Lookup{External: external(i)}, 1); got[0].Local != id {
				t.Errorf("object %d is %q, and its writer was told %q", i, got[0].Local, id)
			}
		}
	}
}
