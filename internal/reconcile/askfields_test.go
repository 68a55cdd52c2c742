package reconcile

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/state"
)

// searched is a system that can be asked for objects by their fields as well.
type searched struct{ *fake }

func (s searched) Find(ctx context.Context, l connector.Lookup) ([]connector.Record, error) {
	if len(l.Natural) == 0 {
		return s.fake.Find(ctx, l)
	}
	var out []connector.Record
	for r, err := range s.List(ctx, "", state.CompareOptions{}.Since) {
		if err != nil {
			return nil, err
		}
		doc, err := jsondoc.Parse(r.Doc, jsondoc.Limits{})
		if err != nil {
			return nil, err
		}
		fits := true
		for f, want := range l.Natural {
			v := doc.Root().GetPath(f)
			have := string(v.Raw())
			if v.Kind() == jsondoc.String {
				have = v.Str()
			}
			fits = fits && l.Compare[f].Same(have, want)
		}
		if fits {
			out = append(out, r)
		}
	}
	return out, nil
}

// byNumber is a world whose systems have ids of their own; objects are paired by their numbers, and the hub knows none of them.
func byNumber(w *world) {
	w.open["west"], w.open["east"] = searched{w.west}, searched{w.east}
	w.rec.Match = config.Match{Fields: []string{"no"}}
	w.west.objects = map[string]string{"w1": `{"no":"A-1","n":1}`, "w2": `{"no":"A-2","n":1}`, "w3": `{"no":"A-3","n":1}`, "w4": `{"no":"A-4","n":1}`, "w6": `{"no":1.5,"n":1}`}
	w.east.objects = map[string]string{"e1": `{"no":"A-1","n":1}`, "e2": `{"no":"A-2","n":2}`, "e4": `{"no":"A-4","n":1}`, "e5": `{"no":"A-4","n":1}`, "e6": `{"no":6,"n":1}`}
}

// TestKeyOfFields: where objects are paired by fields, one is found by their values in both systems, whatever ids they have there, and whether the hub knows it or not.
func TestKeyOfFields(t *testing.T) {
	for key, want := range map[string]map[string]string{
		"A-1": {},
		"A-2": {"w2": "different unknown"},
		"A-3": {"w3": "missing-right created-left"},
		"A-4": {"w4": "doubled-right doubled"},
		"6":   {"e6": "missing-left created-right"},
		"w2":  {"w2": "different unknown"}, // an id
		"e1":  {},
		"w3":  {"w3": "missing-right created-left"},
	} {
		t.Run(key, inWorld(func(t *testing.T, w *world) {
			byNumber(w)
			got := w.run(t.Context(), Asked{CompareOptions: state.CompareOptions{Key: key}})
			if got.err != nil || !maps.Equal(got.reasons(), want) || got.sum.Compared != 1 || got.sum.Equal+got.sum.Drift() != 1 || len(got.sum.Explained) > 0 || w.west.lists+w.east.lists > 40 {
				t.Errorf("%v %+v", got.reasons(), got)
			}
		}))
	}
	for name, c := range map[string]struct {
		key  string
		make func(w *world)
		want string
	}{
		"nobody holds it": {"A-9", func(*world) {}, "neither west nor east holds order A-9, and the hub has seen none"},
		"it has no text there": {"w6", func(*world) {},
			"the right side, order of east: it cannot be asked for one object by no, by which objects are paired (the object on the other side has no text and no whole number there): compare everything instead"},
		"a side is mapped": {"A-3", func(w *world) { w.rec.Right.Map = &mapping.Mapping{} },
			"the right side, order of east: it cannot be asked for one object by no, by which objects are paired (its documents are mapped, and the mapping says only where a field goes, not where it comes from): compare everything instead"},
		"no look-up": {"A-9", func(w *world) { w.open["east"] = w.east },
			"the right side, order of east: it cannot be asked for one object by no, by which objects are paired (its settings give no such look-up), so that nobody can say whether there is order A-9: compare everything instead"},
		"a rule of its own": {"A-3", func(w *world) {
			w.rec.Compare, _ = compare.New([]compare.Rule{{Path: "no", How: compare.Folded, Folds: []compare.Folding{compare.FoldWidth}}})
		}, "(the rule of no is none by which systems search)"},
		"within another": {"A-3", func(w *world) { w.rec.Match.Fields = []string{"ship.no"} }, "(ship.no is a field within another one)"},
		"one of two":     {"A-1", func(w *world) { w.rec.Match.Fields = []string{"no", "n"} }, `by "A-1" alone: objects are paired by no, n; give all of these values`},
	} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			byNumber(w)
			c.make(w)
			if got := w.run(t.Context(), Asked{CompareOptions: state.CompareOptions{Key: c.key}}); got.err == nil || !strings.Contains(got.err.Error(), c.want) || got.st != state.RunFailed {
				t.Errorf("%v", got.err)
			}
		}))
	}
	for _, key := range []string{"A-2 1", `["A-2", "1"]`} {
		t.Run(key, inWorld(func(t *testing.T, w *world) {
			byNumber(w)
			w.rec.Match.Fields = []string{"no", "n"}
			if got := w.run(t.Context(), Asked{CompareOptions: state.CompareOptions{Key: key}}); got.err != nil || !maps.Equal(got.reasons(), map[string]string{"w2": "missing-right created-left"}) {
				t.Errorf("%v %+v", got.reasons(), got)
			}
		}))
	}
	t.Run("by a rule", inWorld(func(t *testing.T, w *world) {
		byNumber(w)
		w.rec.Compare, _ = compare.New([]compare.Rule{{Path: "no", How: compare.Fold}, {Path: "n"}})
		w.east.objects["e2"] = `{"no":"a-2","n":1}`
		if got := w.run(t.Context(), Asked{CompareOptions: state.CompareOptions{Key: "a-2"}}); got.err != nil || got.sum.Equal != 1 || len(got.found) > 0 {
			t.Errorf("%v %+v", got.reasons(), got)
		}
	}))
}

// TestStoredWithoutXref: differences of a run whose objects are paired by fields are looked at again by these.
func TestStoredWithoutXref(t *testing.T) {
	inWorld(func(t *testing.T, w *world) {
		byNumber(w)
		w.mem.before = []state.Difference{{N: 1, Run: 1, Kind: state.DiffMissingRight, Left: "w3"}, {N: 2, Run: 1, Kind: state.DiffMissingRight, Left: "w1"}}
		got := w.run(t.Context(), Asked{CompareOptions: state.CompareOptions{From: 1, Repair: true, DryRun: true}})
		if got.err != nil || !maps.Equal(got.reasons(), map[string]string{"w3": "missing-right created-left"}) || got.sum.Explained[state.ExplainedArrived] != 1 {
			t.Errorf("%v %+v", got.reasons(), got)
		}
	})(t)
	inWorld(func(t *testing.T, w *world) { // a list of everything goes on to tell, and no question is put for each object
		byNumber(w)
		delete(w.west.objects, "w6")
		w.open["east"] = w.east
		got := w.run(t.Context(), Asked{})
		want := map[string]string{"w2": "different unknown", "w3": "missing-right created-left", "w4": "doubled-right doubled", "e6": "missing-left created-right"}
		if got.err != nil || errors.Is(got.err, errCannotAsk) || !maps.Equal(got.reasons(), want) {
			t.Errorf("%v %+v", got.reasons(), got)
		}
	})(t)
}
