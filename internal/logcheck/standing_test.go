package logcheck

import (
	"maps"
	"testing"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

var shop = []Flow{
	{Name: "orders", Group: "waybill.orders", Reads: "in.orders", FromInbox: true, Writes: "canonical.order"},
	{Name: "to-erp", Group: "waybill.to-erp", Reads: "canonical.order"},
	{Name: "to-wms", Group: "waybill.to-wms", Reads: "canonical.order"},
}

func TestReadings(t *testing.T) {
	got := readings(shop)
	if len(got) != 2 || got[0].Topic != "canonical.order" || got[1].Topic != "in.orders" {
		t.Fatalf("%+v", got)
	}
	if c := got[0]; c.Inbox != "" || len(c.Writers) != 1 || c.Writers[0] != "orders" || len(c.Readers) != 2 {
		t.Errorf("canonical: %+v", c)
	}
	if in := got[1]; in.Inbox != "orders" || len(in.Writers) != 0 || len(in.Readers) != 1 {
		t.Errorf("inbox: %+v", in)
	}
}

func TestConsequences(t *testing.T) {
	cut := state.Break{Topic: "canonical.order", Cause: state.BreakEnd, Text: "cut", Whole: true, Flows: []state.BrokenFlow{{Flow: "to-erp", Text: "short"}},
		Plan: &state.RecoverTopic{Ends: []int64{7}, Moves: []state.Move{{Flow: "to-erp", New: event.Position{Next: 2, Done: []event.Range{{From: 3, To: 5}}}}}}}
	removed := state.Break{Topic: "canonical.order", Cause: state.BreakStart, Flows: []state.BrokenFlow{{Flow: "to-erp", Text: "removed"}}, Plan: &state.RecoverTopic{}}
	would := func(again, lost int64) *state.Recovered {
		return &state.Recovered{Topics: []state.RecoveredTopic{{Topic: "canonical.order", Flows: []state.RecoveredFlow{{Flow: "to-erp", Parts: []state.RecoveredPart{{Again: again, Lost: lost}}}}}}}
	}
	reads := func(text, records string) string {
		return "canonical.order: " + text + "; " + records + "; start the hub on the right broker, or see what `waybill recover to-erp --dry-run` would do"
	}
	const allThere = "no record is known that would be lost"
	for _, c := range []struct {
		name    string
		breaks  []state.Break
		would   *state.Recovered
		pending map[string]int64
		why     map[string]string
		lag     map[string]int64
		waits   map[string]bool
	}{
		{name: "nothing", would: &state.Recovered{}},
		{name: "a log that is another: its writer waits too, and what is in it counts", breaks: []state.Break{cut}, would: would(4, 2),
			why: map[string]string{"to-erp": reads("short", "4 records without a fate can be had again, 2 are gone that only their producers can send again"),
				"orders": "it waits before it writes to canonical.order: cut; see what `waybill recover --dry-run` would do"},
			lag: map[string]int64{"to-erp": 4 + 2 + 3}},
		{name: "none is lost", breaks: []state.Break{removed}, would: would(4, 0),
			why: map[string]string{"to-erp": reads("removed", "4 records without a fate can be had again, none is lost")}, lag: map[string]int64{"to-erp": 4}},
		{name: "a log that is the one: its writer goes on", breaks: []state.Break{removed}, would: &state.Recovered{},
			why: map[string]string{"to-erp": reads("removed", allThere)}, lag: map[string]int64{"to-erp": 0}},
		{name: "what comes first is not on its topic yet", would: &state.Recovered{}, pending: map[string]int64{"canonical.order": 5},
			why: map[string]string{"orders": "it waits until 5 records are on canonical.order again that come before"}, waits: map[string]bool{"orders": true}},
		{name: "a break says more than what is pending", breaks: []state.Break{cut}, would: would(0, 0), pending: map[string]int64{"canonical.order": 5},
			why: map[string]string{"to-erp": reads("short", allThere), "orders": "it waits before it writes to canonical.order: cut; see what `waybill recover --dry-run` would do"},
			lag: map[string]int64{"to-erp": 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := consequences(shop, c.breaks, c.would, c.pending)
			if !maps.Equal(got.why, c.why) || !maps.Equal(got.lag, c.lag) || !maps.Equal(got.waits, c.waits) {
				t.Errorf("got  %+v\nwant %+v %+v %+v", got, c.why, c.lag, c.waits)
			}
		})
	}
}

// What may pass by itself is believed when it was seen three times in a row, anything else at once.
func TestCertain(t *testing.T) {
	missing, cut, again := state.Break{Topic: "a", Cause: state.BreakMissing}, state.Break{Topic: "a", Cause: state.BreakEnd}, state.Break{Topic: "b", Cause: state.BreakTopic}
	d := doubts(nil)
	for i, look := range []struct {
		seen     []state.Break
		believed int
		sure     bool
	}{
		{[]state.Break{again, missing}, 1, false},
		{[]state.Break{missing}, 0, false},
		{[]state.Break{missing}, 1, true},
		{[]state.Break{missing}, 1, true},
		{[]state.Break{cut}, 0, false}, // another cause is another doubt
		{nil, 0, true},
		{[]state.Break{cut}, 0, false}, // in a row
	} {
		var believed []state.Break
		var sure bool
		if believed, d, sure = d.certain(look.seen); len(believed) != look.believed || sure != look.sure {
			t.Errorf("look %d: %+v, sure %v", i, believed, sure)
		}
	}
}

// Ends are noted of logs alone that are what they were.
func TestGrown(t *testing.T) {
	e := &Evidence{Logs: map[string]state.TopicLog{"a": {Topic: "a", Life: 2, Ends: []int64{4}}}, Seen: map[string]state.SeenLog{"a": {Cluster: "c", TopicID: "t", Parts: []event.Range{{From: 1, To: 6}}}}}
	for _, c := range []struct {
		name  string
		found map[string]*state.Break
		d     doubts
		noted int
	}{
		{"it has grown", nil, nil, 1},
		{"a reader alone is broken", map[string]*state.Break{"a": {}}, nil, 1},
		{"another log", map[string]*state.Break{"a": {Whole: true}}, nil, 0},
		{"it may be cut off", nil, doubts{{"a", state.BreakEnd}: 1}, 0},
	} {
		got := grown(e, c.found, c.d)
		if len(got) != c.noted || c.noted > 0 && (got[0].Life != 2 || got[0].Ends[0] != 6 || got[0].Cluster != "c") {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	e.Logs["a"] = state.TopicLog{Topic: "a", Ends: []int64{6}}
	if got := grown(e, nil, nil); len(got) > 0 {
		t.Errorf("noted again: %+v", got)
	}
}
