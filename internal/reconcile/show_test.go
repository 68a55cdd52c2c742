package reconcile

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// TestPersonalData: what is personal stands nowhere in what is kept: neither in the documents, nor the values, nor what would be sent, nor a reason.
func TestPersonalData(t *testing.T) {
	for name, c := range map[string]struct{ flow, pad string }{"through flows": {"east", ""}, "no flow reads the side": {"", ""}, "too large to be kept": {"east", strings.Repeat("x", mostShownBytes)}} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			p := &strictyaml.Problems{}
			w.plan.Flow("west").Accept = schema.Compile([]schema.File{{Name: "s", Path: "s.json", Data: []byte(`{"properties":{"mail":{"x-pii":true}}}`)}}, p).Get("s")
			w.rec.Right.Flow = c.flow
			repairing(w, config.FromLeft)
			w.both("1", `{"mail":"old@example.org","n":1}`)
			w.west.objects["1"] = fmt.Sprintf(`{"mail":"new@example.org","n":2,"note":"ask new@example.org","pad":"%s"}`, c.pad)
			w.mem.journal("hub-1", state.Journal{Flow: "to-east", Outcome: state.Discarded, Reason: "new@example.org is refused"})
			w.hub.lazy = true
			w.hub.submitting = func(int, string, []event.Event) error { return nil }
			got := w.run(t.Context(), repairAll)
			if got.err != nil || len(got.found) != 1 {
				t.Fatalf("%+v", got)
			}
			d := &got.found[0]
			text, err := json.Marshal(d)
			if err != nil || strings.Contains(string(text), "example.org") {
				t.Errorf("%s %v", text, err)
			}
			if i := slices.IndexFunc(d.Fields, func(f state.DifferentField) bool { return f.Path == "mail" }); i < 0 || string(d.Fields[i].Left) != `"***"` || len(d.LeftDoc) > 0 != (c.pad == "") || len(d.Write) == 0 {
				t.Errorf("%s", text)
			}
		}))
	}
}

// TestLargeValues: of what is large a part is kept.
func TestLargeValues(t *testing.T) {
	t.Run("a value", inWorld(func(t *testing.T, w *world) {
		w.both("1", `{"n":1}`)
		w.west.objects["1"] = fmt.Sprintf(`{"n":"%s"}`, strings.Repeat("é", mostValue))
		got := w.run(t.Context(), Asked{})
		var v string
		if err := json.Unmarshal(got.found[0].Fields[0].Left, &v); err != nil || len(v) > mostValue+40 || !strings.HasSuffix(v, fmt.Sprintf(" … (%d bytes)", 2*mostValue+2)) {
			t.Errorf("%d bytes, %v", len(v), err)
		}
	}))
	t.Run("many fields", inWorld(func(t *testing.T, w *world) {
		var l, r []string
		for i := range 300 {
			l, r = append(l, fmt.Sprintf(`"f%d":1`, i)), append(r, fmt.Sprintf(`"f%d":2`, i))
		}
		w.both("1", "{"+strings.Join(r, ",")+"}")
		w.west.objects["1"] = "{" + strings.Join(l, ",") + "}"
		got := w.run(t.Context(), Asked{})
		if len(got.found[0].Fields) != mostShown || len(got.sum.Fields) != 300 {
			t.Errorf("%d %d", len(got.found[0].Fields), len(got.sum.Fields))
		}
	}))
}

// TestMoney: the money that is affected, by currency.
func TestMoney(t *testing.T) {
	t.Run("all", inWorld(func(t *testing.T, w *world) {
		w.rec.Money = &config.Money{Amount: "sum", Currency: "cur"}
		doc := func(sum, cur string) string { return fmt.Sprintf(`{"sum":%s,"cur":"%s"}`, sum, cur) }
		w.both("1", doc("10.50", "EUR"))
		w.west.objects["1"] = doc("12", "EUR")
		w.both("2", doc(`"3.25"`, "USD"))
		delete(w.west.objects, "2")
		w.both("3", doc("5", "USD"))
		w.west.objects["3"] = doc("100", "JPY")
		w.both("4", doc("1", "EUR"))
		w.west.objects["4"] = doc(`"none"`, "EUR")
		w.both("5", doc("7", "EUR"))
		w.west.objects["5"] = doc("9", "EUR")
		w.mem.queue("hub-5", state.Queued{Flow: "to-east", State: state.Parked}) // explained, and no drift
		got := w.run(t.Context(), Asked{})
		want := map[string]string{"EUR": "2.50", "USD": "3.25", "JPY": "100"}
		if got.err != nil || !maps.Equal(got.sum.Money, want) {
			t.Errorf("%v, want %v: %v", got.sum.Money, want, got.err)
		}
	}))
}

// TestTotals: what is added up differs for good, or on the move; what cannot be added is said.
func TestTotals(t *testing.T) {
	start := func(w *world) {
		w.rec.Compare, w.rec.Totals = nil, []compare.Total{{Sum: "n", By: []compare.Group{{Path: "g"}}}}
		for i := range 30 {
			w.both(fmt.Sprint(i), fmt.Sprintf(`{"n":%d,"g":"%d"}`, i, i%3))
		}
	}
	for name, c := range map[string]struct {
		make   func(w *world)
		want   []state.TotalLine
		st     state.RunState
		detail string
		err    string
	}{
		"agree":          {func(*world) {}, nil, state.RunAgreed, "", ""},
		"differ":         {func(w *world) { w.east.objects["3"] = `{"n":4,"g":"0"}` }, []state.TotalLine{{Total: "sum of n by g", Group: []string{"0"}, Left: "135", Right: "136"}}, state.RunDrift, "", ""},
		"one side alone": {func(w *world) { w.east.objects["x"] = `{"n":4,"g":"9"}` }, []state.TotalLine{{Total: "sum of n by g", Group: []string{"9"}, Right: "4"}}, state.RunDrift, "", ""},
		"on the move": {func(w *world) {
			w.west.objects["3"] = `{"n":4,"g":"0"}`
			w.hub.late = func(int, *Mark) map[string]Lateness { w.east.set("3", `{"n":4,"g":"0"}`); return nil }
		}, nil, state.RunAgreed, "1 totals differed and were on the move: they were other ones at the second look", ""},
		"moving": {func(w *world) {
			w.west.objects["3"] = `{"n":4,"g":"0"}`
			w.hub.late = func(int, *Mark) map[string]Lateness { w.west.set("3", `{"n":5,"g":"0"}`); return nil }
		}, nil, state.RunAgreed, "1 totals differed and were on the move: they were other ones at the second look", ""},
		"a flow stands": {func(w *world) {
			w.west.objects["3"] = `{"n":4,"g":"0"}`
			w.hub.late = func(int, *Mark) map[string]Lateness {
				return map[string]Lateness{"to-east": {Why: "it is paused", Stands: true}}
			}
		}, nil, state.RunDrift, "the flow to-east has not decided what had come in: it is paused; 1 totals differ, which says nothing until the flows have decided what has come in", ""},
		"unreadable": {func(w *world) { w.east.objects["0"] = `{"n":"x","g":"0"}`; w.east.objects["y"] = "!torn" }, nil, state.RunDrift,
			"2 objects of the right side are in no total: 0: n: \"x\" is no amount", ""},
		"too many groups": {func(w *world) {
			w.memory = 1 << 20
			w.rec.Totals[0].By[0].Path = "id"
			w.open["west"] = many{w.west}
		}, nil, state.RunFailed, "", fmt.Sprintf("the left side: sum of n by id: too many groups: more than %d", compare.MaxGroups)},
	} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			start(w)
			c.make(w)
			got := w.run(t.Context(), Asked{})
			same := slices.EqualFunc(got.sum.Totals, c.want, func(a, b state.TotalLine) bool {
				return a.Total == b.Total && slices.Equal(a.Group, b.Group) && a.Left == b.Left && a.Right == b.Right
			})
			if c.err == "" && got.err != nil || c.err != "" && (got.err == nil || got.err.Error() != c.err) || !same || got.st != c.st || got.detail != c.detail {
				t.Errorf("%s %v %q %v", got.st, got.sum.Totals, got.detail, got.err)
			}
			if got.sum.NotCompared > 0 != (name == "unreadable" || name == "a flow stands") {
				t.Errorf("%+v", got.sum)
			}
		}))
	}
}

// TestTotalsOfPersonalData: why an object is in no total holds a value of it.
func TestTotalsOfPersonalData(t *testing.T) {
	inWorld(func(t *testing.T, w *world) {
		p := &strictyaml.Problems{}
		w.plan.Flow("west").Accept = schema.Compile([]schema.File{{Name: "s", Path: "s.json", Data: []byte(`{"properties":{"mail":{"x-pii":true}}}`)}}, p).Get("s")
		w.rec.Compare, w.rec.Totals = nil, []compare.Total{{Sum: "mail"}}
		w.both("1", `{"mail":"ann@x.example"}`)
		if got := w.run(t.Context(), Asked{}); got.err != nil || strings.Contains(got.detail, "@") || !strings.Contains(got.detail, "1 objects of the left side are in no total") {
			t.Errorf("%q %v", got.detail, got.err)
		}
	})(t)
}

// TestWithoutAnID: an object that has no id is not compared, and nobody is asked for it.
func TestWithoutAnID(t *testing.T) {
	inWorld(func(t *testing.T, w *world) {
		w.both("1", `{"n":1}`)
		w.west.objects["1"] = `{"n":2}`
		w.east.objects[""] = "!torn"
		w.east.finding = func(_ int, l connector.Lookup) error {
			if l.Local == "" {
				t.Error("asked for an object without an id")
			}
			return nil
		}
		if got := w.run(t.Context(), Asked{}); got.err != nil || got.sum.Different != 1 || got.sum.NotCompared != 1 || w.east.lists != 1 {
			t.Errorf("%d lists: %+v", w.east.lists, got)
		}
	})(t)
}

// TestKeys: a difference shows the business key, whichever half of the object is there; an id only where nobody knows another name.
func TestKeys(t *testing.T) {
	const doc = `{"id":"w1","no":"SO-1","n":1}`
	for name, c := range map[string]struct {
		make func(w *world)
		want string
	}{
		"the flow that reads the left side says it": {func(w *world) { w.west.objects["w1"], w.east.objects["e1"] = `{"id":"w1","no":"SO-1","n":2}`, doc }, "SO-1"},
		"only the left side is there":               {func(w *world) { w.west.objects["w1"] = doc }, "SO-1"},
		"the hub had it of the left side": {func(w *world) {
			w.east.objects["e1"] = doc
			w.mem.ref("hub-1", "west").Known = &state.Known{Key: "SO-1"}
		}, "SO-1"},
		"the hub had it, and the reference ended": {func(w *world) {
			w.east.objects["e1"] = doc
			w.mem.journal("hub-1", state.Journal{Flow: "west", Entity: "order", Hub: "hub-1", Key: "SO-1", EventID: "x", Outcome: state.Delivered})
		}, "SO-1"},
		"the hub knows an id, and not what else it is called": {func(w *world) {
			w.plan.Flow("west").Key = nil
			w.east.objects["e1"] = doc
			w.mem.ref("hub-1", "west").Known = &state.Known{Key: "w1"}
			w.mem.journal("hub-1", state.Journal{Flow: "west", Entity: "order", Hub: "hub-1", Key: "w1", EventID: "x", Outcome: state.Delivered})
		}, "w1"},
		"the hub has never seen it, and it is paired by a field": {func(w *world) { w.rec.Match.Fields = []string{"no"}; w.east.objects["e2"] = `{"no":"SO-2"}` }, "SO-2"},
		"by two": {func(w *world) {
			w.rec.Match.Fields = []string{"no", "n"}
			w.east.objects["e2"] = `{"no":"SO-2","n":1.50}`
		}, "SO-2 1.50"},
		"by two, and lacks one":   {func(w *world) { w.rec.Match.Fields = []string{"no", "n"}; w.east.objects["e2"] = `{"no":"SO-2"}` }, "e2"},
		"nobody has another name": {func(w *world) { w.east.objects["e2"] = `{"no":"SO-2"}` }, "e2"},
	} {
		t.Run(name, inWorld(func(t *testing.T, w *world) {
			w.plan.Flows = slices.DeleteFunc(w.plan.Flows, func(f *config.Flow) bool { return f.Name == "east" })
			w.rec.Right.Flow = "" // as of a system that is only written to
			w.plan.Flow("west").Key, w.plan.Flow("west").ID = w.expr("source.no", ""), w.expr("source.id", "")
			w.mem.know("hub-1", "west", "w1", "east", "e1")
			w.both("7", `{"id":"7","no":"SO-7"}`) // neither side is empty
			c.make(w)
			got := w.run(t.Context(), Asked{})
			if got.err != nil || len(got.found) != 1 || got.found[0].Key != c.want {
				t.Errorf("%+v", got)
			}
		}))
	}
}
