package reconcile

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/submit"
)

// rules are exact, apart from seen, which does not count.
func rules(t *testing.T, more ...compare.Rule) *compare.Rules {
	t.Helper()
	r, err := compare.New(append([]compare.Rule{{Path: "seen", How: compare.Ignore}}, more...))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func submitFails(then func(), err error) func(int, string, []event.Event) error {
	return func(int, string, []event.Event) error { then(); return err }
}

// became is what became of each difference.
func (a *answer) became() map[string]string {
	out := map[string]string{}
	for _, d := range a.found {
		id := d.Left
		if id == "" {
			id = d.Right
		}
		out[id] = strings.TrimSuffix(d.Repair+" "+d.RepairDetail, " ")
	}
	return out
}

var repairAll = Asked{CompareOptions: state.CompareOptions{Repair: true}}

func repairing(w *world, from config.RepairFrom) {
	w.plan.Flows = append(w.plan.Flows, &config.Flow{Name: "to-west", Entity: "order", From: config.From{Topic: "canonical.east"}, To: config.To{System: "west", OnDelete: config.DeleteObject}})
	w.rec.Repair = &config.Repair{From: from, ToRight: "to-east", ToLeft: "to-west", AtMost: config.AtMost{N: 1000}}
}

// seen makes what the hub saw last of an object in a system.
func (w *world) seen(id, system string, k state.Known, doc string) {
	k.Flow = system
	k.Fields = hashes(w.t, doc)
	w.mem.ref("hub-"+id, system).Known = &k
}

// TestDirections: which side is written, and what is left alone.
func TestDirections(t *testing.T) {
	drift := func(w *world) {
		for _, id := range []string{"edited-left", "edited-right", "edited-both"} {
			w.both(id, `{"n":1}`)
			for _, system := range []string{"west", "east"} {
				w.seen(id, system, state.Known{Received: "1", EventID: "e"}, `{"n":1}`)
			}
		}
		w.west.objects["edited-left"], w.east.objects["edited-right"] = `{"n":2}`, `{"n":3}`
		w.west.objects["edited-both"], w.east.objects["edited-both"] = `{"n":2}`, `{"n":3}`
		w.west.objects["created-left"], w.east.objects["created-right"] = `{"n":4}`, `{"n":5}`
		w.both("deleted-left", `{"n":6}`)
		delete(w.west.objects, "deleted-left")
		w.both("deleted-right", `{"n":7}`)
		delete(w.east.objects, "deleted-right")
		w.both("missed-delete", `{"n":8}`)
		delete(w.west.objects, "missed-delete")
		w.mem.ref("hub-missed-delete", "west").Deleted = true
	}
	const notAsked = "left it would be deleted, and deletions are repaired only when asked for (--deletes, or `deletes: true`)"
	both, person := "left nobody can say which side is right", ": a person decides"
	for from, c := range map[config.RepairFrom]struct {
		became  map[string]string // without deletions
		deletes []string          // what is repaired beside, where they are asked for
		west    []string          // written in the west
	}{
		config.FromLeft: {map[string]string{"edited-left": "repaired", "edited-right": "repaired", "edited-both": "repaired", "created-left": "repaired", "deleted-right": "repaired",
			"created-right": "left it is in east alone and the hub has never seen it in west" + person, "deleted-left": notAsked, "missed-delete": notAsked},
			[]string{"deleted-left", "missed-delete"}, nil},
		config.FromRight: {map[string]string{"edited-left": "repaired", "edited-right": "repaired", "edited-both": "repaired", "created-right": "repaired", "deleted-left": "repaired",
			"created-left": "left it is in west alone and the hub has never seen it in east" + person, "deleted-right": notAsked, "missed-delete": "repaired"},
			[]string{"deleted-right"}, nil},
		config.FromNewest: {map[string]string{"edited-left": "repaired", "edited-right": "repaired", "edited-both": both, "created-left": "repaired", "created-right": "repaired",
			"deleted-left": notAsked, "deleted-right": notAsked, "missed-delete": notAsked}, []string{"deleted-left", "deleted-right", "missed-delete"}, nil},
	} {
		t.Run(string(from), inWorld(func(t *testing.T, w *world) {
			drift(w)
			repairing(w, from)
			got := w.run(t.Context(), repairAll)
			if got.err != nil || !maps.Equal(got.became(), c.became) {
				t.Errorf("%v, want %v: %v", got.became(), c.became, got.err)
			}
			can := map[string]int64{}
			for _, is := range c.became {
				can[is]++
			}
			if got.sum.Repairable != can["repaired"] || got.sum.Deletable != can[notAsked] {
				t.Errorf("%d can be written and %d deleted, and the run counts %d and %d", can["repaired"], can[notAsked], got.sum.Repairable, got.sum.Deletable)
			}
			a := repairAll
			a.Deletes = true
			if got = w.run(t.Context(), a); got.err != nil {
				t.Error(got.err)
			}
			for _, id := range c.deletes {
				if got.became()[id] != "repaired" || w.west.get(id)+w.east.get(id) != "" {
					t.Errorf("%s: %s", id, got.became()[id])
				}
			}
		}))
	}
	t.Run("owner, both ways", inWorld(func(t *testing.T, w *world) {
		repairing(w, config.FromOwner)
		w.rec.Compare = rules(t, compare.Rule{Path: "price", Owner: compare.Left}, compare.Rule{Path: "stock", Owner: compare.Right}, compare.Rule{Path: "note"})
		w.both("1", `{"price":1,"stock":1}`)
		w.west.objects["1"] = `{"price":2,"stock":2}`
		w.both("2", `{"price":1,"note":"x"}`)
		w.west.objects["2"] = `{"price":2,"note":"y"}`
		w.hub.lazy = true
		got := w.run(t.Context(), repairAll)
		if got.err != nil || w.hub.submits != 2 || got.became()["1"] != "failed it still differs" || got.became()["2"] != both {
			t.Errorf("%v: %+v", got.became(), got)
		}
		var writes []map[string]any
		if err := json.Unmarshal(got.found[0].Write, &writes); err != nil || len(writes) != 2 {
			t.Errorf("%s: %v", got.found[0].Write, err)
		}
	}))
	t.Run("doubles and what cannot be read are left", inWorld(func(t *testing.T, w *world) {
		repairing(w, config.FromLeft)
		w.rec.Match.Fields = []string{"no"}
		w.both("1", `{"no":1}`)
		w.east.objects["2"] = `{"no":1}`
		w.west.objects["3"] = `!torn`
		got := w.run(t.Context(), repairAll)
		if got.err != nil || got.found[0].RepairDetail+got.found[1].RepairDetail != "a person decides which of the objects stays" || w.hub.submits != 0 || got.st != state.RunDrift || got.sum.Repairable+got.sum.Deletable != 0 {
			t.Errorf("%+v", got)
		}
	}))
}

// drifted has n objects that differ.
func drifted(w *world, n int) {
	repairing(w, config.FromLeft)
	for i := range n {
		id := fmt.Sprintf("%03d", i)
		w.both(id, `{"n":1}`)
		w.west.objects[id] = `{"n":2}`
	}
}

// TestAtMost: too many differences are left for a person, who may confirm that many.
func TestAtMost(t *testing.T) {
	for name, c := range map[string]struct {
		bound   string
		a       Asked
		repairs bool
	}{
		"number":           {"10", repairAll, true},
		"number, too many": {"9", repairAll, false},
		"share":            {"50%", repairAll, true},
		"share, too many":  {"49%", repairAll, false},
		"confirmed":        {"9", Asked{CompareOptions: state.CompareOptions{Repair: true, AtMost: 10}}, true},
		"confirmed fewer":  {"5", Asked{CompareOptions: state.CompareOptions{Repair: true, AtMost: 9}}, false},
		"allowed fewer":    {"20", Asked{CompareOptions: state.CompareOptions{Repair: true, AtMost: 5}}, false},
		"dry run":          {"1", Asked{CompareOptions: state.CompareOptions{Repair: true, DryRun: true}}, false},
	} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			drifted(w, 10)
			for i := range 10 {
				w.both(fmt.Sprint("same", i), `{}`)
			}
			w.mem.page = 3 // answers may be shorter than was asked for
			w.rec.Repair.AtMost, _ = config.ParseAtMost(c.bound)
			got := w.run(t.Context(), c.a)
			dry, bound := c.a.DryRun, c.bound
			if c.a.AtMost > 0 {
				bound = fmt.Sprint(c.a.AtMost)
			}
			switch {
			case got.err != nil || len(got.found) != 10:
				t.Fatalf("%+v", got)
			case c.repairs && (got.st != state.RunAgreed || got.sum.Repaired != 10 || len(w.hub.submitted) != 10):
				t.Errorf("%s %+v", got.st, got.sum)
			case !c.repairs && len(w.hub.submitted) > 0:
				t.Errorf("%d were submitted", len(w.hub.submitted))
			case !c.repairs && !dry && (got.st != state.RunHeld || !strings.Contains(got.detail, "10 differences would be repaired, and at-most is "+bound) || !strings.Contains(got.detail, "--at-most 10")):
				t.Errorf("%s %s", got.st, got.detail)
			case dry && (got.st != state.RunDrift || string(got.found[0].Write) != `{"action":"update","document":{"n":2},"local":"000","object":"order"}` || got.found[0].Repair != ""):
				t.Errorf("%s %s", got.st, got.found[0].Write)
			}
		}))
	}
}

// TestSubmissions: what the hub does not take at once is submitted again under the same ids; what it refuses fails alone.
func TestSubmissions(t *testing.T) {
	for _, failure := range []error{unavailable, fault.New(fault.UnknownOutcome, "who knows"), fmt.Errorf("torn")} {
		t.Run(failure.Error(), inWorld(func(t *testing.T, w *world) {
			drifted(w, 40)
			var ids [][]string
			w.hub.submitting = func(n int, _ string, events []event.Event) error {
				var these []string
				for i := range events {
					these = append(these, events[i].ID)
				}
				ids = append(ids, these)
				if n < 3 {
					return failure
				}
				return nil
			}
			got := w.run(t.Context(), Asked{ID: 5, Attempt: 2, CompareOptions: state.CompareOptions{Repair: true}})
			if got.err != nil || got.sum.Repaired != 40 || len(ids) != 4 || !slices.Equal(ids[0], ids[1]) || !slices.Equal(ids[0], ids[2]) || ids[0][0] != "run5.2-1.0" || got.found[0].RepairEvent != "r:run5.2-1.0" {
				t.Errorf("%v %+v", ids, got.sum)
			}
		}))
	}
	t.Run("refused", inWorld(func(t *testing.T, w *world) {
		drifted(w, 5)
		w.hub.submitting = func(_ int, _ string, events []event.Event) error {
			for i := range events {
				if events[i].Key == "003" {
					return &submit.Refused{Index: i, Why: "it is too large"}
				}
			}
			return nil
		}
		got := w.run(t.Context(), repairAll)
		if got.err != nil || got.sum.Repaired != 4 || got.became()["003"] != "failed to-east does not take it: it is too large" || got.st != state.RunDrift {
			t.Errorf("%v %+v", got.became(), got)
		}
	}))
	t.Run("no such flow", inWorld(func(t *testing.T, w *world) {
		drifted(w, 1)
		w.hub.submitting = submitFails(func() {}, state.ErrNotFound)
		if got := w.run(t.Context(), repairAll); got.err == nil || got.err.Error() != "submit repairs to to-east: not found" {
			t.Errorf("%v", got.err)
		}
	}))
	t.Run("attempts do not collide", func(t *testing.T) {
		seen := map[string]bool{}
		for attempt := range 3 {
			for n := range 30 {
				for way := range 2 {
					id := (&Run{id: 1, attempt: attempt}).eventID(n, way)
					if seen[id] {
						t.Errorf("%s is there twice", id)
					}
					seen[id] = true
				}
			}
		}
	})
}

// TestVerified: what still differs after a repair has failed, with why; what is not decided yet has not.
func TestVerified(t *testing.T) {
	t.Run("still differs", inWorld(func(t *testing.T, w *world) {
		drifted(w, 2)
		w.hub.lazy = true
		w.hub.submitting = func(int, string, []event.Event) error {
			w.mem.queue("hub-001", state.Queued{ID: 3, Flow: "to-east", State: state.Parked, Reason: "the field n is refused"})
			return nil
		}
		got := w.run(t.Context(), repairAll)
		want := map[string]string{"000": "failed it still differs", "001": "failed it still differs: to-east: the field n is refused"}
		if got.err != nil || !maps.Equal(got.became(), want) || got.sum.Repaired != 0 || got.st != state.RunDrift {
			t.Errorf("%v %+v", got.became(), got)
		}
	}))
	t.Run("paused", inWorld(func(t *testing.T, w *world) {
		drifted(w, 1)
		w.hub.lazy = true
		w.hub.late = func(int, *Mark) map[string]Lateness {
			if w.hub.submits == 0 {
				return nil
			}
			return map[string]Lateness{"to-east": {Why: "it is paused", Stands: true}}
		}
		if got := w.run(t.Context(), repairAll); got.err != nil || got.became()["000"] != "submitted it is not decided yet: to-east (it is paused)" || got.st != state.RunDrift {
			t.Errorf("%v %+v", got.became(), got)
		}
	}))
	held := func(w *world) {
		w.hub.lazy = true
		w.hub.submitting = func(int, string, []event.Event) error {
			w.mem.queue("hub-000", state.Queued{ID: 3, Flow: "to-east", State: state.Held, Reason: "a create may still be under way"})
			return nil
		}
	}
	t.Run("its message rests for a while", inWorld(func(t *testing.T, w *world) {
		drifted(w, 1)
		held(w)
		w.east.finding = func(int, connector.Lookup) error {
			if w.clock.Elapsed() > 50*time.Second {
				w.east.set("000", w.west.get("000"))
			}
			return nil
		}
		if got := w.run(t.Context(), repairAll); got.err != nil || got.became()["000"] != "repaired" || got.sum.Repaired != 1 || got.st != state.RunAgreed {
			t.Errorf("%v %+v", got.became(), got)
		}
	}))
	t.Run("its message is decided behind the look", inWorld(func(t *testing.T, w *world) {
		drifted(w, 1)
		held(w)
		w.mem.asked = func() {
			if w.mem.standing["hub-000"] != nil {
				w.east.set("000", w.west.get("000"))
				delete(w.mem.standing, "hub-000")
			}
		}
		if got := w.run(t.Context(), repairAll); got.err != nil || got.became()["000"] != "repaired" || got.sum.Repaired != 1 || got.st != state.RunAgreed {
			t.Errorf("%v %+v", got.became(), got)
		}
	}))
	t.Run("its message rests for long", inWorld(func(t *testing.T, w *world) {
		drifted(w, 2)
		held(w)
		got := w.run(t.Context(), repairAll)
		want := map[string]string{"000": "submitted it is not decided yet: to-east: a create may still be under way", "001": "failed it still differs"}
		if got.err != nil || !maps.Equal(got.became(), want) || got.st != state.RunDrift {
			t.Errorf("%v %+v", got.became(), got)
		}
	}))
	t.Run("many", inWorld(func(t *testing.T, w *world) {
		drifted(w, 333)
		if got := w.run(t.Context(), repairAll); got.err != nil || got.sum.Repaired != 333 || slices.ContainsFunc(got.found, func(d state.Difference) bool { return d.Repair != state.RepairRepaired }) {
			t.Errorf("%v %+v", got.err, got.sum)
		}
	}))
	t.Run("two that are one by then", inWorld(func(t *testing.T, w *world) {
		repairing(w, config.FromNewest)
		w.west.objects["1"], w.east.objects["9"] = `{"n":1}`, `{"n":1}`
		w.hub.submitting = func(n int, _ string, _ []event.Event) error {
			w.mem.know("hub-1", "west", "1", "east", "9") // the target knew it by a field
			return nil
		}
		w.hub.lazy = true
		got := w.run(t.Context(), repairAll)
		if got.err != nil || got.sum.Repaired != 2 || got.became()["1"] != "repaired" || got.became()["9"] != "repaired" {
			t.Errorf("%v %+v", got.became(), got)
		}
	}))
}

// TestStoredRun: the differences of a run of before are repaired, as they are now; what agrees by now is left out.
func TestStoredRun(t *testing.T) {
	for name, c := range map[string]struct {
		o    state.CompareOptions
		want []string
	}{
		"all":     {state.CompareOptions{}, []string{"000", "001", "002", "003"}},
		"numbers": {state.CompareOptions{Numbers: []int{2, 5}}, []string{"001"}},
		"reason":  {state.CompareOptions{Reasons: []string{state.ReasonRefused}}, []string{"002"}},
	} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			drifted(w, 6)
			w.mem.page = 2
			for i := range 6 {
				d := state.Difference{Run: 1, N: i + 1, Kind: state.DiffDifferent, Reason: state.ReasonUnknown, Hub: fmt.Sprintf("hub-%03d", i), Left: fmt.Sprintf("%03d", i), Right: fmt.Sprintf("%03d", i)}
				switch i {
				case 2:
					d.Reason = state.ReasonRefused
				case 4:
					w.east.objects["004"] = `{"n":2}` // it agrees by now
				case 5:
					d.Explained = true
				}
				w.mem.before = append(w.mem.before, d)
			}
			o := c.o
			o.From, o.Repair = 1, true
			got := w.run(t.Context(), Asked{CompareOptions: o, Base: 100})
			var repaired []string
			for _, d := range got.found {
				if d.Repair == state.RepairRepaired {
					repaired = append(repaired, d.Left)
				}
			}
			if got.err != nil || !slices.Equal(repaired, c.want) || w.west.lists+w.east.lists > 0 || name == "all" && got.sum.Explained[state.ExplainedArrived] != 1 {
				t.Errorf("%v %+v", repaired, got)
			}
		}))
	}
}

// TestNamelessIsNotCreated: while a side holds objects of which nobody knows which ones they are, what is missing there may be one of them.
func TestNamelessIsNotCreated(t *testing.T) {
	for name, torn := range map[string]bool{"one cannot be read": true, "all can": false} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			repairing(w, config.FromLeft)
			w.both("1", `{"n":1}`)
			w.west.objects["7"] = `{"n":1}`
			if torn {
				w.east.objects["x"] = "!torn"
			}
			got := w.run(t.Context(), repairAll)
			if got.err != nil || torn != (len(w.hub.submitted) == 0) {
				t.Errorf("%d submitted: %+v", len(w.hub.submitted), got)
			}
		}))
	}
}
