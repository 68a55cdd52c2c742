package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

// TestCannotAsk: systems that only list are listed a second time; what is about one object, or a part, is refused.
func TestCannotAsk(t *testing.T) {
	drift := func(w *world) {
		w.both("1", `{"n":1}`)
		w.both("2", `{"n":1}`)
		w.west.objects["1"] = `{"n":2}`
		delete(w.east.objects, "2")
		w.open["east"] = onlyLists{w.east}
	}
	want := map[string]string{"1": "different unknown", "2": "missing-right deleted-right"}
	t.Run("second list", inWorld(func(t *testing.T, w *world) {
		drift(w)
		if got := w.run(t.Context(), Asked{}); got.err != nil || !maps.Equal(got.reasons(), want) || w.east.lists != 2 {
			t.Errorf("%v %+v", got.reasons(), got)
		}
	}))
	t.Run("and only one of them", inWorld(func(t *testing.T, w *world) { // the list of the other leaves out what it has
		drift(w)
		w.open["east"], w.open["west"] = w.east, onlyLists{w.west}
		w.both("3", `{}`)
		w.east.hidden = map[string]bool{"3": true}
		got := w.run(t.Context(), Asked{})
		if !errors.Is(got.err, ErrIncomplete) {
			t.Errorf("%v %+v", got.reasons(), got)
		}
	}))
	for name, a := range map[string]Asked{
		"key":   {CompareOptions: state.CompareOptions{Key: "1"}},
		"since": {CompareOptions: state.CompareOptions{Since: time.Unix(1, 0)}},
		"from":  {CompareOptions: state.CompareOptions{From: 1, Repair: true}},
	} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			drift(w)
			w.west.objects["1"] = `{"n":2,"changed":true}`
			w.mem.before = []state.Difference{{N: 1, Run: 1, Kind: state.DiffDifferent, Reason: state.ReasonUnknown, Hub: "hub-1", Left: "1", Right: "1"}}
			got := w.run(t.Context(), a)
			if !errors.Is(got.err, errCannotAsk) || !strings.Contains(got.err.Error(), "the right side, order of east: it cannot be asked for one object: compare everything instead") {
				t.Errorf("%v", got.err)
			}
		}))
	}
}

// TestParts: one object, and what has changed since.
func TestParts(t *testing.T) {
	drift := func(w *world) {
		w.both("1", `{"n":1}`)
		w.both("2", `{"n":1}`)
		w.both("3", `{"n":1,"changed":true}`)
		w.both("4", `{"n":1}`)
		w.west.objects["1"] = `{"n":2,"changed":true}` // listed on one side alone
		w.west.objects["2"] = `{"n":2}`
		w.east.objects["4"] = `{"n":1,"changed":1}`
		w.west.objects["4"] = `{"n":1,"changed":1}`
		w.west.objects["5"] = `{"changed":true}`
	}
	for name, c := range map[string]struct {
		a        Asked
		want     map[string]string
		compared int64
	}{
		"since":           {Asked{CompareOptions: state.CompareOptions{Since: time.Unix(1, 0)}}, map[string]string{"1": "different unknown", "5": "missing-right created-left"}, 4},
		"key":             {Asked{CompareOptions: state.CompareOptions{Key: "hub-2"}}, map[string]string{"2": "different unknown"}, 1},
		"key that is id":  {Asked{CompareOptions: state.CompareOptions{Key: "5"}}, map[string]string{"5": "missing-right created-left"}, 1},
		"key that agrees": {Asked{CompareOptions: state.CompareOptions{Key: "3"}}, map[string]string{}, 1},
	} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			drift(w)
			if got := w.run(t.Context(), c.a); got.err != nil || !maps.Equal(got.reasons(), c.want) || got.sum.Compared != c.compared {
				t.Errorf("%v %+v", got.reasons(), got)
			}
		}))
	}
	t.Run("nobody knows the key", inWorld(func(t *testing.T, w *world) {
		drift(w)
		if got := w.run(t.Context(), Asked{CompareOptions: state.CompareOptions{Key: "6"}}); got.err == nil || got.err.Error() != "neither west nor east holds order 6, and the hub has seen none" {
			t.Errorf("%v", got.err)
		}
	}))
}

// TestAskedAgain: a system that fails now and then is asked again; one that fails for good fails the run.
func TestAskedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		bad  func(n int) bool
		want string
	}{
		"now and then": {func(n int) bool { return n%3 != 0 }, ""},
		"for good":     {func(int) bool { return true }, "look for order 1: it is down"},
	} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			w.both("1", `{"n":1}`)
			w.west.objects["1"] = `{"n":2}`
			w.east.finding = func(n int, _ connector.Lookup) error {
				if c.bad(n) {
					return unavailable
				}
				return nil
			}
			got := w.run(t.Context(), Asked{})
			if c.want == "" && (got.err != nil || len(got.found) != 1) || c.want != "" && (got.err == nil || !strings.Contains(got.err.Error(), c.want)) {
				t.Errorf("%+v", got)
			}
		}))
	}
	t.Run("it is gone", inWorld(func(t *testing.T, w *world) {
		w.both("1", `{"n":1}`)
		w.west.objects["1"] = `{"n":2}`
		w.east.finding = func(int, connector.Lookup) error { return fault.New(fault.NotFound, "no") }
		if got := w.run(t.Context(), Asked{}); got.err != nil || !maps.Equal(got.reasons(), map[string]string{"1": "missing-right deleted-right"}) {
			t.Errorf("%+v", got)
		}
	}))
}

// TestCancelled: a run ends at once wherever it is, with the cause.
func TestCancelled(t *testing.T) {
	why := errors.New("a person has ended it")
	for name, at := range map[string]func(w *world, end func()){
		"reading": func(w *world, end func()) { w.west.listing = func(k, n int) error { end(); return nil } },
		"settling": func(w *world, end func()) {
			w.hub.late = func(int, *Mark) map[string]Lateness { end(); return map[string]Lateness{"to-east": {Why: "x"}} }
		},
		"finding": func(w *world, end func()) { w.east.finding = func(int, connector.Lookup) error { end(); return nil } },
		"second list": func(w *world, end func()) {
			w.open["east"] = onlyLists{w.east}
			w.east.listing = func(k, _ int) error {
				if k == 2 {
					end()
				}
				return nil
			}
		},
		"repairing": func(w *world, end func()) { w.hub.submitting = submitFails(end, unavailable) },
		"verifying": func(w *world, end func()) {
			w.hub.late = func(n int, _ *Mark) map[string]Lateness {
				if w.hub.submits > 0 {
					end()
				}
				return nil
			}
		},
		"both reading": func(w *world, end func()) {
			w.west.listing = func(k, n int) error { end(); return nil }
			w.east.listing = w.west.listing
		},
	} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			for i := range 10 {
				w.both(fmt.Sprint(i), `{"n":1}`)
				w.west.objects[fmt.Sprint(i)] = `{"n":2}`
			}
			w.rec.Repair = &config.Repair{From: config.FromLeft, ToRight: "to-east", AtMost: config.AtMost{N: 100}}
			ctx, cancel := context.WithCancelCause(t.Context())
			at(w, func() { cancel(why) })
			began := w.clock.Now()
			got := w.run(ctx, Asked{CompareOptions: state.CompareOptions{Repair: true}})
			if !errors.Is(got.err, why) || got.st != state.RunFailed {
				t.Errorf("%v %s", got.err, got.st)
			}
			if took := w.clock.Now().Sub(began); took > time.Minute {
				t.Errorf("it took %s", took)
			}
		}))
	}
}
