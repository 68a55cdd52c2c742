package reconcile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

// TestListsThatFail: a list that fails, panics, is empty or leaves out says nothing of what is missing.
func TestListsThatFail(t *testing.T) {
	fill := func(w *world) {
		for i := range 20 {
			w.both(fmt.Sprintf("%03d", i), fmt.Sprintf(`{"n":%d}`, i))
		}
	}
	for name, c := range map[string]struct {
		make func(w *world)
		want string // of the error; empty: the systems agree
	}{
		"fails half-way": {func(w *world) {
			w.east.listing = func(_, n int) error {
				if n == 10 {
					return unavailable
				}
				return nil
			}
		}, "the right side, order of east: it is down"},
		"panics":                {func(w *world) { w.west.listing = func(_, n int) error { panic("torn") } }, "the left side, order of west: panic: torn"},
		"is empty":              {func(w *world) { w.east.empty = true }, "the right side: east lists no order, and the hub knows 20 there: an empty answer says nothing; look why, and where they are gone, `waybill sweep east`"},
		"is empty without flow": {func(w *world) { w.east.empty = true; w.rec.Right.Flow = "" }, "the right side: east lists no order, and the hub knows 20 there: an empty answer says nothing; look why"},
		"leaves some out":       {func(w *world) { w.east.hidden = map[string]bool{"003": true, "019": true} }, ""},
		"gives some twice": {func(w *world) {
			w.east.twice = map[string]bool{"003": true}
			w.west.twice = map[string]bool{"019": true}
		}, ""},
		"the store fails": {func(w *world) { w.mem.failing = errors.New("torn") }, "read what is known: torn"},
		"is of a file's":  {func(w *world) { w.rec.Right.Files = true }, "it holds no files"},
	} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			fill(w)
			c.make(w)
			got := w.run(t.Context(), Asked{})
			switch {
			case c.want == "" && (got.err != nil || got.st != state.RunAgreed || len(got.found) > 0 || got.sum.Compared != 20):
				t.Errorf("%+v", got)
			case c.want != "" && (got.err == nil || !strings.Contains(got.err.Error(), c.want) || got.st != state.RunFailed || len(got.found) > 0):
				t.Errorf("%v, want %s; %+v", got.err, c.want, got)
			}
		}))
	}
}

// TestIncompleteList: of more than are asked for one by one, a sample is. One that is there makes the list worthless; what has gone meanwhile, or has come,
// does not.
func TestIncompleteList(t *testing.T) {
	const all = mostFinds + 300
	fill := func(w *world) {
		w.memory = 1 << 20
		w.east.hidden = map[string]bool{}
		for i := range all {
			id := fmt.Sprintf("%05d", i)
			w.both(id, `{}`)
			w.east.hidden[id] = true
		}
		w.both("zz", `{}`)
	}
	t.Run("left out", inWorld(func(t *testing.T, w *world) {
		fill(w)
		got := w.run(t.Context(), Asked{})
		if !errors.Is(got.err, ErrIncomplete) || !strings.Contains(got.err.Error(), "the right side: the list is not complete: east lists no order 0") || len(got.found) > 0 {
			t.Errorf("%v %d", got.err, len(got.found))
		}
	}))
	t.Run("really missing", inWorld(func(t *testing.T, w *world) {
		fill(w)
		for id := range w.east.hidden {
			delete(w.east.objects, id)
		}
		got := w.run(t.Context(), Asked{})
		if got.err != nil || got.sum.MissingRight != all || got.sum.Reasons[state.ReasonDeletedRight] != all {
			t.Errorf("%v %+v", got.err, got.sum)
		}
	}))
	t.Run("arrives during the second list", inWorld(func(t *testing.T, w *world) {
		fill(w)
		w.east.hidden = nil
		for i := range all {
			delete(w.east.objects, fmt.Sprintf("%05d", i))
		}
		w.east.listing = func(k, n int) error {
			if k == 2 && n == 1 { // after the list was made
				for i := range all {
					w.east.set(fmt.Sprintf("%05d", i), `{}`)
				}
			}
			return nil
		}
		got := w.run(t.Context(), Asked{})
		// Those that are asked for one by one, and those that the third look finds.
		if got.err != nil || got.sum.Explained[state.ExplainedArrived] < mostFinds || got.sum.MissingRight > all-mostFinds {
			t.Errorf("%v %+v", got.err, got.sum)
		}
	}))
}

// TestTakesItsTime: what is on its way is no drift.
func TestTakesItsTime(t *testing.T) {
	t.Run("arrives while it settles", inWorld(func(t *testing.T, w *world) {
		w.both("1", `{"n":1}`)
		w.west.objects["1"] = `{"n":2}`
		w.west.objects["2"] = `{"n":2}`
		w.hub.late = func(n int, _ *Mark) map[string]Lateness {
			if n == 1 {
				w.east.set("1", `{"n":2}`)
				w.east.set("2", `{"n":2}`)
				w.mem.know("hub-2", "west", "2", "east", "2")
			}
			return nil
		}
		got := w.run(t.Context(), Asked{})
		if got.err != nil || got.st != state.RunAgreed || len(got.found) > 0 || got.sum.Explained[state.ExplainedArrived] != 2 {
			t.Errorf("%+v", got)
		}
	}))
	t.Run("a flow gets on slowly", inWorld(func(t *testing.T, w *world) {
		w.both("1", `{"n":1}`)
		w.west.objects["1"] = `{"n":2}`
		left := int64(30)
		w.hub.late = func(n int, _ *Mark) map[string]Lateness {
			if n%100 == 0 { // one event each 25 s: for longer than anybody has patience with one that stands
				left--
			}
			if left == 0 {
				w.east.set("1", `{"n":2}`)
				return nil
			}
			return map[string]Lateness{"to-east": {Why: "it is behind", Behind: left}}
		}
		got := w.run(t.Context(), Asked{})
		if got.err != nil || got.st != state.RunAgreed || got.sum.Explained[state.ExplainedArrived] != 1 {
			t.Errorf("%+v", got)
		}
		if !slices.ContainsFunc(w.mem.progress, func(p state.CompareProgress) bool {
			return p.Phase == "settling" && p.Text == "1 differences, look 2: waiting for to-east (it is behind)"
		}) {
			t.Errorf("%+v", w.mem.progress)
		}
	}))
	t.Run("a flow does not get on", inWorld(func(t *testing.T, w *world) {
		w.both("1", `{"n":1}`)
		w.west.objects["1"] = `{"n":2}`
		began := w.clock.Now()
		w.hub.late = func(int, *Mark) map[string]Lateness {
			return map[string]Lateness{"to-east": {Why: "it is behind", Behind: 30}}
		}
		got := w.run(t.Context(), Asked{})
		if took := w.clock.Now().Sub(began); took < patience || took > 2*patience {
			t.Errorf("it took %s", took)
		}
		if got.err != nil || got.st != state.RunDrift || got.sum.NotCompared != 1 || len(got.found) != 1 || got.found[0].Reason != state.ExplainedStands || got.found[0].Text != "not decided: to-east (it is behind)" ||
			!strings.Contains(got.detail, "the flow to-east has not decided what had come in: it is behind") {
			t.Errorf("%+v", got)
		}
	}))
	t.Run("a flow is paused", inWorld(func(t *testing.T, w *world) {
		w.both("1", `{"n":1}`)
		w.west.objects["1"] = `{"n":2}`
		began := w.clock.Now()
		w.hub.late = func(int, *Mark) map[string]Lateness {
			return map[string]Lateness{"to-east": {Why: "it is paused", Behind: 1, Stands: true}}
		}
		got := w.run(t.Context(), Asked{})
		if took := w.clock.Now().Sub(began); took != w.rec.Settle {
			t.Errorf("it took %s", took)
		}
		if got.err != nil || len(got.found) != 1 || got.found[0].Reason != state.ExplainedStands || got.sum.Drift() != 0 {
			t.Errorf("%+v", got)
		}
	}))
	t.Run("two hops, and sources that are read after the look", inWorld(func(t *testing.T, w *world) {
		w.both("1", `{"n":1}`)
		w.west.objects["1"] = `{"n":2}`
		began := w.clock.Now()
		var looked time.Time
		w.hub.late = func(_ int, m *Mark) map[string]Lateness { looked = m.Looked; return nil }
		if got := w.run(t.Context(), Asked{}); got.err != nil || w.hub.marks != 2 || !looked.Equal(began) {
			t.Errorf("%d marks, looked at %s: %+v", w.hub.marks, looked, got)
		}
	}))
	t.Run("changes at every look", inWorld(func(t *testing.T, w *world) {
		w.both("1", `{"n":1}`)
		w.both("2", `{"n":1}`)
		w.west.objects["1"], w.west.objects["2"] = `{"n":2}`, `{"n":2}`
		n := 2
		w.hub.late = func(int, *Mark) map[string]Lateness {
			n++
			w.west.set("1", fmt.Sprintf(`{"n":%d}`, n))
			return nil
		}
		got := w.run(t.Context(), Asked{})
		want := map[string]string{"1": "different moving", "2": "different unknown"}
		if got.err != nil || !maps.Equal(got.reasons(), want) || got.sum.Explained[state.ExplainedMoving] != 1 || got.sum.Drift() != 1 {
			t.Errorf("%v %+v", got.reasons(), got)
		}
	}))
	t.Run("a field that does not count changes", inWorld(func(t *testing.T, w *world) {
		w.rec.Compare = rules(t)
		w.west.objects["1"] = `{"n":1}`
		n := 2
		w.hub.late = func(int, *Mark) map[string]Lateness {
			n++
			w.west.set("1", fmt.Sprintf(`{"n":1,"seen":%d}`, n))
			return nil
		}
		if got := w.run(t.Context(), Asked{}); got.err != nil || !maps.Equal(got.reasons(), map[string]string{"1": "missing-right created-left"}) {
			t.Errorf("%v %+v", got.reasons(), got)
		}
	}))
	t.Run("a double that nobody wants by then", inWorld(func(t *testing.T, w *world) {
		w.rec.Match.Fields, w.rec.Right.Where = []string{"no"}, w.expr("not (source.old ?? false)", "bool")
		w.both("1", `{"no":1}`)
		w.east.objects["2"] = `{"no":1}`
		w.hub.late = func(int, *Mark) map[string]Lateness { w.east.set("2", `{"no":1,"old":true}`); return nil }
		if got := w.run(t.Context(), Asked{}); got.err != nil || got.st != state.RunAgreed || len(got.found) > 0 || got.sum.Explained[state.ExplainedArrived] != 1 {
			t.Errorf("%+v", got)
		}
	}))
	t.Run("halves that meet", inWorld(func(t *testing.T, w *world) {
		w.west.objects["1"], w.east.objects["9"] = `{"n":1}`, `{"n":2}`
		w.hub.late = func(n int, _ *Mark) map[string]Lateness {
			if n == 1 {
				w.mem.know("hub-1", "west", "1", "east", "9")
			}
			return nil
		}
		got := w.run(t.Context(), Asked{})
		if got.err != nil || !maps.Equal(got.reasons(), map[string]string{"1": "different unknown"}) || got.sum.Compared != 1 {
			t.Errorf("%v %+v", got.reasons(), got.sum)
		}
	}))
}

// TestWhatTheHubKnows: the reasons that lie in the stored queues, the journal and the references.
func TestWhatTheHubKnows(t *testing.T) {
	queued := func(id int64, st state.Outcome, flow string) state.Queued {
		return state.Queued{ID: id, Flow: flow, State: st, Reason: "because"}
	}
	for name, c := range map[string]struct {
		make func(w *world)
		want string
	}{
		"parked":          {func(w *world) { w.both("1", `{"n":1}`); w.mem.queue("hub-1", queued(4, state.Parked, "to-east")) }, "different parked"},
		"waiting":         {func(w *world) { w.both("1", `{"n":1}`); w.mem.queue("hub-1", queued(4, state.Waiting, "to-east")) }, "different waiting"},
		"held":            {func(w *world) { w.both("1", `{"n":1}`); w.mem.queue("hub-1", queued(4, state.Held, "to-east")) }, "different in-flight"},
		"parked by key":   {func(w *world) { w.both("1", `{"n":1}`); w.mem.queue("1", queued(4, state.Parked, "west")) }, "different parked"},
		"parked, unknown": {func(w *world) { w.mem.queue("1", queued(4, state.Parked, "west")) }, "missing-right parked"},
		"parked elsewhere": {func(w *world) {
			w.both("1", `{"n":1}`)
			w.plan.Flows = append(w.plan.Flows, &config.Flow{Name: "to-shop", Entity: "order", From: config.From{Topic: "canonical.order"}, To: config.To{System: "shop"}})
			w.mem.queue("hub-1", queued(4, state.Parked, "to-shop"))
		}, "different unknown"},
		"decided behind the look": {func(w *world) {
			w.both("1", `{"n":1}`)
			w.mem.asked = func() {
				w.mem.journal("hub-1", state.Journal{Flow: "to-east", Outcome: state.Delivered, EventID: "e", Time: w.clock.Now().Add(time.Millisecond)})
			}
		}, "different in-flight"},
		"decided before": {func(w *world) {
			w.both("1", `{"n":1}`)
			w.mem.journal("hub-1", state.Journal{Flow: "to-east", Outcome: state.Delivered, EventID: "e", Time: w.clock.Now()})
		}, "different unknown"},
		"discarded": {func(w *world) {
			w.both("1", `{"n":1}`)
			w.mem.journal("hub-1", state.Journal{Flow: "to-east", Outcome: state.Discarded, EventID: "e"})
		}, "different refused"},
		"discarded, read again": {func(w *world) {
			w.both("1", `{"n":1}`)
			w.mem.journal("hub-1", state.Journal{Flow: "east", Outcome: state.Skipped, Reason: state.Echo, EventID: "f"})
			w.mem.journal("hub-1", state.Journal{Flow: "to-east", Outcome: state.Discarded, EventID: "e"})
		}, "different refused"},
		"filtered on the way": {func(w *world) {
			w.mem.journal("1", state.Journal{Flow: "west", Outcome: state.Skipped, Reason: state.Filtered})
		}, "missing-right filtered"},
		"when":  {func(w *world) { w.both("1", `{"n":1}`); w.plan.Flow("west").When = w.expr("source.n != 2", "bool") }, "different filtered"},
		"where": {func(w *world) { w.both("1", `{"n":1}`); w.rec.Right.Where = w.expr("source.n != 1", "bool") }, "different filtered"},
		"deleted on purpose": {func(w *world) {
			w.mem.know("hub-1", "west", "1", "east", "1")
			w.mem.ref("hub-1", "east").Deleted = true
			w.plan.Flow("to-east").To.OnDelete = config.IgnoreDelete
		}, "missing-right deleted-on-purpose"},
		"came back": {func(w *world) { w.both("1", `{"n":1}`); w.mem.ref("hub-1", "east").Deleted = true }, "different came-back"},
		"missed delete": {func(w *world) {
			w.mem.know("hub-1", "west", "1", "east", "1")
			w.mem.ref("hub-1", "east").Deleted = true
			w.plan.Flows = append(w.plan.Flows, &config.Flow{Name: "to-west", Entity: "order", From: config.From{Topic: "canonical.east"}, To: config.To{System: "west", OnDelete: config.DeleteObject}})
		}, "missing-right missed-delete"},
		"deleted past the hub": {func(w *world) { w.mem.know("hub-1", "west", "1", "east", "1") }, "missing-right deleted-right"},
		"created past the hub": {func(*world) {}, "missing-right created-left"},
		"never arrived": {func(w *world) {
			w.mem.know("hub-1", "west", "1")
			w.mem.ref("hub-1", "west").Known = &state.Known{Flow: "west", Received: "1", EventID: "e"}
		}, "missing-right never-arrived"},
		"unreadable": {func(w *world) { w.both("1", `{"n":1}`); w.east.objects["1"] = "!torn" }, "not-compared not-compared"},
		"unreadable, waiting": {func(w *world) {
			w.both("1", `{"n":1}`)
			w.east.objects["1"] = "!torn"
			w.mem.queue("hub-1", queued(4, state.Waiting, "to-east"))
		}, "different waiting"},
	} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			c.make(w)
			w.west.objects["1"] = `{"n":2}`
			w.both("0", `{"n":9}`)
			got := w.run(t.Context(), Asked{})
			if got.err != nil || !maps.Equal(got.reasons(), map[string]string{"1": c.want}) {
				t.Fatalf("%v, want %s: %+v", got.reasons(), c.want, got)
			}
			d := got.found[0]
			if strings.HasSuffix(c.want, "parked") && d.Parked != 4 {
				t.Errorf("it does not say which message: %+v", d)
			}
			if strings.HasSuffix(c.want, "refused") && d.Event != "e" {
				t.Errorf("it does not say which event: %+v", d)
			}
			if (got.sum.Drift() == 0) != d.Explained && d.Kind != state.DiffNotCompared || d.Kind == state.DiffNotCompared && (got.st != state.RunDrift || got.sum.NotCompared != 1) {
				t.Errorf("%+v", got.sum)
			}
		}))
	}
}

// TestFilteredHalves: what a flow does not want is known by its own id all the same, and by its fields.
func TestFilteredHalves(t *testing.T) {
	for _, fields := range []bool{false, true} {
		t.Run(fmt.Sprint("fields ", fields), inWorld(func(t *testing.T, w *world) {
			west := w.plan.Flow("west")
			west.When, west.ID, west.Key = w.expr(`source.state == "open"`, "bool"), w.expr("source.no", ""), w.expr("source.no", "")
			w.plan.Flow("east").ID, w.plan.Flow("east").Key = w.expr("source.no", ""), w.expr("source.no", "")
			w.west.objects["77"], w.east.objects["88"] = `{"no":"A","state":"closed"}`, `{"no":"A","state":"open"}`
			w.west.objects["A"] = `{"no":"B","state":"open"}` // another object has the id here that the first has in the hub
			w.east.objects["99"] = `{"no":"B","state":"open"}`
			w.mem.know("hub-A", "west", "A", "east", "A")
			w.mem.know("hub-B", "west", "B", "east", "B")
			if fields {
				w.rec.Match = config.Match{Fields: []string{"no"}}
				w.open["west"], w.open["east"] = onlyLists{w.west}, onlyLists{w.east}
			} else {
				w.open["west"], w.open["east"] = onlyLists{w.west}, onlyLists{w.east}
			}
			if got := w.run(t.Context(), Asked{}); got.err != nil || !maps.Equal(got.reasons(), map[string]string{"77": "different filtered"}) || got.sum.Equal != 1 {
				t.Errorf("%v %+v", got.reasons(), got)
			}
		}))
	}
}

// TestUnreadableWhenAsked: a record that a list bears and a question does not is not compared, and hides no other difference.
func TestUnreadableWhenAsked(t *testing.T) {
	inWorld(func(t *testing.T, w *world) {
		w.both("1", `{"n":1}`)
		w.both("2", `{"n":1}`)
		w.west.objects["1"], w.west.objects["2"] = `{"n":2}`, `{"n":2}`
		w.east.finding = func(_ int, l connector.Lookup) error {
			if l.Local == "2" {
				return fault.New(fault.Invalid, "row 2: column n holds no number")
			}
			return nil
		}
		got := w.run(t.Context(), Asked{})
		if got.err != nil || got.st != state.RunDrift || got.sum.Different != 1 || got.sum.NotCompared != 1 || len(got.found) != 2 {
			t.Errorf("%+v", got)
		}
	})(t)
}

// TestEmptyWithoutAFlow: where no flow says whether a system may be empty, an empty list beside a full one says nothing.
func TestEmptyWithoutAFlow(t *testing.T) {
	inWorld(func(t *testing.T, w *world) {
		w.both("1", `{"n":1}`)
		w.plan.Flows, w.rec.Left.Flow, w.rec.Right.Flow = nil, "", ""
		clear(w.mem.hubs)
		w.east.empty = true
		if got := w.run(t.Context(), Asked{}); !errors.Is(got.err, ErrEmpty) || got.st != state.RunFailed || len(got.found) > 0 {
			t.Errorf("%+v", got)
		}
	})(t)
}

// TestMisnamed: a field that no object has is none that agrees in silence.
func TestMisnamed(t *testing.T) {
	const within = "no object of either side has lines.n, which compare names, and so it was not compared; what lies within a list is compared with {set: …, compare: …}"
	rules := func(paths ...string) *compare.Rules {
		var list []compare.Rule
		for _, p := range paths {
			list = append(list, compare.Rule{Path: p})
		}
		out, err := compare.New(append(list, compare.Rule{Path: "gone", How: compare.Ignore}, compare.Rule{Path: compare.Others}))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	totals := []compare.Total{{Sum: "lines.n", By: []compare.Group{{Path: "g"}, {Path: "m", Unit: compare.Month}}}}
	for name, c := range map[string]struct {
		make func(w *world)
		key  string
		want string
	}{
		"within a list":               {func(w *world) { w.rec.Compare = rules("lines.n", "g") }, "", within},
		"on one side, and null there": {func(w *world) { w.rec.Compare = rules("n", "m") }, "", ""},
		"of all others":               {func(w *world) { w.rec.Compare = rules() }, "", ""},
		"totals": {func(w *world) { w.rec.Compare, w.rec.Totals = nil, totals }, "",
			"no object of either side has lines.n, which totals name"},
		"totals beside rules": {func(w *world) { w.rec.Compare, w.rec.Totals = rules("g"), []compare.Total{{Sum: "x"}} }, "", "no object of either side has x, which totals name"},
		"one object":          {func(w *world) { w.rec.Compare = rules("lines.n") }, "1", ""},
		"no objects": {func(w *world) {
			w.rec.Compare = rules("lines.n")
			clear(w.west.objects)
			clear(w.east.objects)
			clear(w.mem.hubs)
		}, "", "both sides are empty, and the hub knows no such object in either system: nothing was compared"},
		"a second look at another object": {func(w *world) {
			w.rec.Compare = rules("n", "q")
			w.open["west"], w.open["east"] = onlyLists{w.west}, onlyLists{w.east}
			w.both("3", `{"q":1}`)
			w.west.objects["3"] = `{"q":2}`
			w.hub.late = func(int, *Mark) map[string]Lateness { w.west.set("3", `{"q":1}`); return nil }
		}, "", ""},
	} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			w.both("1", `{"g":"a","lines":[{"n":1}],"n":1}`)
			w.both("2", `{"g":"a","lines":[{"n":1}],"m":null}`)
			c.make(w)
			got := w.run(t.Context(), Asked{CompareOptions: state.CompareOptions{Key: c.key}})
			if got.err != nil || got.st != state.RunAgreed || got.detail != c.want {
				t.Errorf("%q %+v", got.detail, got)
			}
		}))
	}
	t.Run("what has changed", inWorld(func(t *testing.T, w *world) {
		w.both("1", `{"changed":1}`)
		w.rec.Compare = rules("lines.n")
		if got := w.run(t.Context(), Asked{CompareOptions: state.CompareOptions{Since: w.clock.Now()}}); got.err != nil || got.sum.Compared != 1 || got.detail != "" {
			t.Errorf("%q %+v", got.detail, got)
		}
	}))
}

// TestNothingToCompare: a run that had nothing to compare agrees, and says so.
func TestNothingToCompare(t *testing.T) {
	for name, c := range map[string]struct {
		make func(w *world)
		want string
	}{
		"both are empty": {func(*world) {}, "both sides are empty, and the hub knows no such object in either system: nothing was compared"},
		"nobody wants them": {func(w *world) {
			w.both("1", "{}")
			w.plan.Flow("west").When = w.expr("false", "bool")
			w.plan.Flow("east").When = w.plan.Flow("west").When
		}, "none of the 2 objects that were read counts (when, where): nothing was compared"},
		"only totals": {func(w *world) { w.rec.Compare = nil }, "both sides are empty, and the hub knows no such object in either system: nothing was compared"},
		"something":   {func(w *world) { w.both("1", "{}") }, ""},
	} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			c.make(w)
			if got := w.run(t.Context(), Asked{}); got.err != nil || got.st != state.RunAgreed || got.detail != c.want {
				t.Errorf("%q %+v", got.detail, got)
			}
		}))
	}
	t.Run("nothing has changed", inWorld(func(t *testing.T, w *world) {
		if got := w.run(t.Context(), Asked{CompareOptions: state.CompareOptions{Since: w.clock.Now()}}); got.err != nil || got.detail != "" {
			t.Errorf("%+v", got)
		}
	}))
}
