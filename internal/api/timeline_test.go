package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// One line holds what happened in all systems, in its order: what the journal tells is told once, and what has gone from the inbox is known by its fate.
func TestTimeline(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 3, 1, 12, minute, 0, 0, time.UTC) }
	tr := &state.Trace{Key: "SO-1",
		Inbox: []state.TracedInbound{{Inbound: state.Inbound{Flow: "in", ID: "e9", Received: at(50)}}},
		Journal: []state.Journal{ // newest first
			{Time: at(51), Flow: "out", System: "erp", EventID: "e9", Outcome: state.Discarded},
			{Time: at(30), Flow: "out", System: "erp", EventID: "e1", Outcome: state.Delivered, Took: 20 * time.Minute},
			{Time: at(11), Flow: "out", System: "erp", EventID: "e1", Outcome: state.Waiting, Reason: "no customer", Took: time.Minute},
		},
		Acts: []state.Act{{Time: at(29), Flow: "out", EventID: "e1", Action: "replay", Who: "ann", Note: "now"}, {Time: at(51), Flow: "out", EventID: "e9", Action: "discarded", Who: "ann"}},
		Differences: []state.TracedDifference{{Name: "orders", At: at(40), Difference: state.Difference{Run: 3, N: 1, Kind: state.DiffDifferent, Reason: state.ReasonEditedRight, Repair: state.RepairRepaired, RepairEvent: "r1"}},
			{Name: "terms", Difference: state.Difference{Run: 2, N: 1, Kind: state.DiffViolation, Since: at(35)}}}}
	var got []string
	for _, m := range timeline(tr) {
		place := ""
		for name, p := range map[string]*int{"journal": m.Journal, "act": m.Act, "difference": m.Difference} {
			if p != nil {
				place = fmt.Sprint(name, *p)
			}
		}
		got = append(got, strings.Join([]string{m.Time.Format("04"), m.What, m.Event, place, m.Text}, "|"))
	}
	want := []string{"10|received|e1||", "11|waiting|e1|journal2|no customer", "29|replay|e1|act0|by ann: now", "30|delivered|e1|journal1|", "35|violation||difference1|terms, run 2: violation",
		"40|reconciled||difference0|orders, run 3: different (edited-right)", "40|repaired|r1|difference0|orders", "50|received|e9||", "51|discarded|e9|journal0|"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What a person sees of an object says why it stands so; the documents of a difference stay with its run.
func TestViewsOfFound(t *testing.T) {
	o := state.SearchedObject{Queued: &state.Queued{ID: 7, Follower: true}}
	if v := foundObjectView(&o); v.Message != 7 || !strings.Contains(v.Reason, "behind an earlier message") {
		t.Errorf("%+v", v)
	}
	d := state.Difference{Run: 3, N: 1, LeftDoc: []byte("{}"), RightDoc: []byte("{}"), Write: []byte("{}")}
	if got := tracedDifferences([]state.TracedDifference{{Name: "orders", Difference: d}}); got[0].Run != 3 || got[0].LeftDoc != nil || got[0].RightDoc != nil || got[0].Write != nil {
		t.Errorf("%+v", got)
	}
}
