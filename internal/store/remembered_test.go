package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// What is remembered is what the database holds, whatever was written and read before, and however little is kept.
func TestRememberedIsWhatIsStored(t *testing.T) {
	n := 0
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		n++
		s, p := rememberedStore(t, filepath.Join(dir, fmt.Sprint(n), "w.db"))
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		s.remembered = newRemembered(rapid.SampledFrom([]int{1, 4, 1000}).Draw(rt, "kept"))
		some := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(rt, what) }
		hub := func() string { return some("hub", "h1", "h2", "h\x003") }
		system := func() string { return some("system", "erp", "crm") }
		var offset int64
		commit := func(r state.Result) {
			r.Offset, r.Outcome = offset, state.Delivered
			offset++
			if err := s.Commit(t.Context(), &state.Commit{Flow: "f", Topic: "t", Epoch: p.Epoch, Results: []state.Result{r}}); err != nil {
				rt.Fatal(err)
			}
		}
		ref := func() *state.Ref {
			r := &state.Ref{Entity: "order", Hub: hub(), System: system(), Local: some("local", "", "1", "2", "3"), ETag: some("etag", "", "a", "b"), Deleted: rapid.Bool().Draw(rt, "deleted")}
			if rapid.Bool().Draw(rt, "known") {
				r.Known = &state.Known{Flow: some("by", "f", "g"), Fields: map[string]uint64{"status": rapid.Uint64().Draw(rt, "hash")}, Received: some("received", "", "1"), EventID: "e"}
			}
			if rapid.Bool().Draw(rt, "dated") {
				r.Updated = time.Unix(rapid.Int64Range(1, 5).Draw(rt, "updated"), 0)
			}
			return r
		}
		intent := func() state.Intent {
			return state.Intent{Flow: "f", Entity: "order", Hub: hub(), System: system(), EventID: some("event", "i1", "i2"), Create: rapid.Bool().Draw(rt, "create"),
				Opened: time.Unix(rapid.Int64Range(1, 1_000_000).Draw(rt, "opened"), 0), Topic: "t", Epoch: p.Epoch}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"a reference": func(rt *rapid.T) { commit(state.Result{Ref: ref(), Source: ref()}) },
			"instead of another": func(rt *rapid.T) {
				r := ref()
				r.Local, r.Instead = some("local", "1", "2"), hub()
				commit(state.Result{Ref: r})
			},
			"a version": func(rt *rapid.T) {
				commit(state.Result{Applied: &state.Applied{Entity: "order", Hub: hub(), System: system(), Origin: some("origin", "crm", "shop"), Version: some("version", "1", "2\x00"), Hash: "h", EventID: "e"}})
			},
			"all of one": func(rt *rapid.T) {
				r, in := ref(), intent()
				in.Hub, in.System = r.Hub, r.System
				commit(state.Result{Ref: r, Applied: &state.Applied{Entity: "order", Hub: r.Hub, System: r.System, Origin: "crm", Version: "3"}, Close: []state.Intent{in}})
			},
			"an intent": func(rt *rapid.T) {
				if err := s.OpenIntent(t.Context(), intent()); err != nil {
					rt.Fatal(err)
				}
			},
			"an old hub's intent": func(rt *rapid.T) {
				in := intent()
				in.Epoch += 7
				if err := s.OpenIntent(t.Context(), in); !errors.Is(err, state.ErrFenced) {
					rt.Fatal(err)
				}
			},
			"an intent ends": func(rt *rapid.T) { commit(state.Result{Close: []state.Intent{intent()}}) },
			"all intents end": func(rt *rapid.T) {
				in := intent()
				in.EventID = ""
				commit(state.Result{Close: []state.Intent{in}})
			},
			"an id": func(rt *rapid.T) {
				if _, _, err := s.Resolve(t.Context(), "order", system(), some("local", "1", "2", "3", "4"), some("external", "", state.NoExternal, state.ExternalID("order", "h1")), "e"); err != nil {
					rt.Fatal(err)
				}
			},
			"a link": func(rt *rapid.T) {
				_, err := s.Link(t.Context(), []state.Link{{Entity: "order", IDs: []state.LocalID{{System: "crm", Local: some("crm's", "1", "2", "5")}, {System: "erp", Local: some("erp's", "1", "3", "6")}}}}, false, "ann")
				if err != nil {
					rt.Fatal(err)
				}
			},
			"": func(rt *rapid.T) { compareRemembered(rt, t.Context(), s) },
		})
	})
}

// rememberedStore is an empty store with one partition.
func rememberedStore(t *testing.T, path string) (*Store, state.Partition) {
	t.Helper()
	s, err := Open(t.Context(), Config{SQLite: path})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.OpenPartition(t.Context(), "f", "t", 0, event.Log{Cluster: "c", TopicID: "t", First: 0, Last: 1 << 60})
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

// compareRemembered asks the store, and the database past what is remembered. Some keys are asked for twice: the second answer is remembered.
func compareRemembered(rt interface{ Fatalf(string, ...any) }, ctx context.Context, s *Store) {
	for _, hub := range []string{"h1", "h2", "h\x003"} {
		for _, system := range []string{"erp", "crm"} {
			for _, origin := range []string{"crm", "shop", "crm"} {
				k := object{"order", cleanText(hub), system}
				o, err := s.readTarget(ctx, k, origin)
				if err != nil {
					rt.Fatalf("%v", err)
				}
				want, err := o.target(k, o.applied[origin])
				if err != nil {
					rt.Fatalf("%v", err)
				}
				got, err := s.Target(ctx, "order", hub, system, origin)
				if err != nil || !sameTarget(got, want) {
					rt.Fatalf("%v of %s: %+v, stored is %+v (%v)", k, origin, got, want, err)
				}
			}
		}
	}
	for _, system := range []string{"erp", "crm"} {
		for _, local := range []string{"1", "2", "3", "4", "5", "6", "1"} {
			var want string
			var updated int64
			_ = s.lookups.one(ctx, s.lookups.hubID, []any{local, system, "order"}, &want, &updated) // none is no rows
			if got, ok, err := s.HubID(ctx, "order", system, local); err != nil || got != want || ok != (want != "") {
				rt.Fatalf("%s of %s is %q (%v, %v), stored is %q", local, system, got, ok, err, want)
			}
		}
	}
	err := s.each(ctx, func(r *sql.Rows) error {
		var place sighting
		var deleted int64
		if err := r.Scan(&place.entity, &place.system, &place.external, &place.local, &deleted); err != nil {
			return err
		}
		if was, ok := s.remembered.seen.get(place); ok && was != (deleted != 0) {
			rt.Fatalf("%+v is remembered as deleted: %v", place, was)
		}
		return nil
	}, "SELECT entity, system, external, local, deleted FROM target_objects")
	if err != nil {
		rt.Fatalf("%v", err)
	}
}

// sameTarget leaves out in which order intents of one moment are.
func sameTarget(a, b state.Target) bool {
	times := func(t state.Target) (all []time.Time) {
		for i := range t.Intents {
			all = append(all, t.Intents[i].Opened)
		}
		return all
	}
	byEvent := func(t *state.Target) map[string]state.Intent {
		all := map[string]state.Intent{}
		for _, in := range t.Intents {
			all[in.EventID] = in
		}
		t.Intents = nil
		return all
	}
	return reflect.DeepEqual(times(a), times(b)) && reflect.DeepEqual(byEvent(&a), byEvent(&b)) && reflect.DeepEqual(a, b)
}

// A transaction that is rolled back, or of which nobody knows whether it was, leaves nothing behind in what is remembered.
func TestRememberedAfterAFailure(t *testing.T) {
	s, p := rememberedStore(t, filepath.Join(t.TempDir(), "w.db"))
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	err := s.Commit(t.Context(), &state.Commit{Flow: "f", Topic: "t", Epoch: p.Epoch, Results: []state.Result{{Outcome: state.Delivered,
		Ref: &state.Ref{Entity: "order", Hub: "h1", System: "erp", Local: "1", ETag: "a"}}}})
	if err != nil {
		t.Fatal(err)
	}
	compareRemembered(t, t.Context(), s)
	no := errors.New("no")
	err = s.do(t.Context(), "fail", func(x *tx) error {
		for _, local := range []string{"2", "3"} {
			if err := x.refer(&state.Ref{Entity: "order", Hub: "h1", System: "erp", Local: local, ETag: "b"}); err != nil {
				return err
			}
		}
		return no
	})
	if !errors.Is(err, no) {
		t.Fatal(err)
	}
	compareRemembered(t, t.Context(), s)
	k := object{"order", "h1", "erp"}
	if got, _, _ := s.remembered.target(k, "crm"); got == nil {
		t.Error("nothing is remembered")
	}
	_, _, look := s.remembered.target(k, "other")
	s.remembered.committed(&written{}, true)
	s.remembered.learn(k, look, &knownObject{applied: map[string]*state.Applied{"other": nil}})
	if got, _, _ := s.remembered.target(k, "crm"); got != nil {
		t.Error("after a commit of which nobody knows, something is remembered")
	}
	if _, _, ok := s.remembered.hub(localID{"order", "erp", "1"}); ok {
		t.Error("after a commit of which nobody knows, an id is remembered")
	}
}

// What is read while it is written is not remembered as it was before: with many writers and readers of few objects, the last word is the database's.
func TestRememberedUnderLoad(t *testing.T) {
	s, p := rememberedStore(t, filepath.Join(t.TempDir(), "w.db"))
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	s.remembered = newRemembered(4)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 60 {
				hub := []string{"h1", "h2", "h\x003"}[(w+i)%3]
				err := s.Commit(t.Context(), &state.Commit{Flow: "f", Topic: "t", Epoch: p.Epoch, Results: []state.Result{{Offset: int64(w*1000 + i), Outcome: state.Delivered,
					Ref:     &state.Ref{Entity: "order", Hub: hub, System: "erp", Local: fmt.Sprint(1 + i%3), ETag: fmt.Sprint(w, i)},
					Applied: &state.Applied{Entity: "order", Hub: hub, System: "erp", Origin: "crm", Version: fmt.Sprint(w, i)}}}})
				if err != nil {
					t.Error(err)
					return
				}
				got, err := s.Target(t.Context(), "order", hub, "erp", "crm")
				if err != nil || got.Ref == nil || got.Applied == nil || got.Ref.ETag != got.Applied.Version {
					t.Errorf("%+v %+v %v", got.Ref, got.Applied, err)
				}
				if _, _, err := s.HubID(t.Context(), "order", "erp", fmt.Sprint(1+i%3)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	compareRemembered(t, t.Context(), s)
}

// A look that began before a change may have missed it, and is not remembered; one that is about something else is.
func TestLooksThatAreOvertaken(t *testing.T) {
	m, k, other := newRemembered(10), object{"order", "h1", "erp"}, object{"order", "h2", "erp"}
	nothing := func() *knownObject { return &knownObject{applied: map[string]*state.Applied{"crm": nil}} }
	changes := map[string]func(*remembered){
		"reference": func(m *remembered) { m.setRef(&refRow{local: "1", updated: 1}, k) },
		"version": func(m *remembered) {
			m.setApplied(&state.Applied{Entity: "order", Hub: "h1", System: "erp", Origin: "shop"})
		},
		"intent": func(m *remembered) {
			m.openIntent(&state.Intent{Entity: "order", Hub: "h1", System: "erp", EventID: "e"})
		},
		"intent's end":  func(m *remembered) { m.closeIntent(intentKey{"order", "h1", "erp", ""}) },
		"another's end": func(m *remembered) { m.forget(k, "1") },
	}
	for name, change := range changes {
		_, _, first := m.target(k, "crm")
		_, _, second := m.target(k, "crm")
		_, _, beside := m.target(other, "crm")
		if first == nil || second == nil || beside == nil {
			t.Fatalf("%s: something is remembered", name)
		}
		m.committed(&written{changes: []func(*remembered){change}}, false)
		m.learn(k, first, nothing())
		m.learn(k, second, nothing())
		m.learn(other, beside, nothing())
		if got, _, look := m.target(k, "crm"); got != nil {
			t.Errorf("%s: what was read before it is remembered after it", name)
		} else {
			m.learn(k, look, nil)
		}
		if got, _, _ := m.target(other, "crm"); got == nil {
			t.Errorf("%s: what it is not about is not remembered", name)
		}
		if len(m.reading) != 0 {
			t.Errorf("%s: looks that have ended are kept: %v", name, m.reading)
		}
		m.objects.clear()
	}
	id := localID{"order", "erp", "1"}
	_, turn, _ := m.hub(id)
	m.committed(&written{changes: []func(*remembered){changes["reference"]}}, false)
	m.learnHub(id, "h2", 0, turn)
	if hub, _, ok := m.hub(id); ok {
		t.Errorf("what was read before a change is remembered after it: %s", hub)
	}
	_, turn, _ = m.hub(id)
	m.learnHub(id, "h1", 1, turn)
	if hub, _, ok := m.hub(id); !ok || hub != "h1" {
		t.Error("what was read is not remembered")
	}
}

// Where two objects have one id, which of them is found follows their times, also backwards; and an id whose way back was forgotten is not believed.
func TestRememberedIDs(t *testing.T) {
	s, p := rememberedStore(t, filepath.Join(t.TempDir(), "w.db"))
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for i, r := range []struct {
		hub     string
		updated int64
		want    string
	}{{"h1", 3, "h1"}, {"h2", 5, "h2"}, {"h2", 6, "h2"}, {"h2", 1, "h1"}, {"h2", 7, "h2"}} {
		err := s.Commit(t.Context(), &state.Commit{Flow: "f", Topic: "t", Epoch: p.Epoch, Results: []state.Result{{Offset: int64(i), Outcome: state.Delivered,
			Ref: &state.Ref{Entity: "order", Hub: r.hub, System: "erp", Local: "1", Updated: time.Unix(r.updated, 0)}}}})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // read, and remembered
			if got, _, err := s.HubID(t.Context(), "order", "erp", "1"); err != nil || got != r.want {
				t.Errorf("after %+v it is %q (%v)", r, got, err)
			}
		}
	}

	m, id := newRemembered(10), localID{"order", "erp", "1"}
	_, turn, _ := m.hub(id)
	m.learnHub(id, "h1", 1, turn)
	m.idOf.clear() // as happens to what was not used for long
	m.setRef(&refRow{local: "9", updated: 2}, object{"order", "h1", "erp"})
	if hub, _, ok := m.hub(id); ok {
		t.Errorf("it is still found as %s, which has another id now", hub)
	}
}
