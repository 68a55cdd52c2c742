package storetest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// testDifferences: what a run has found comes back as it was, by number and by what is asked for, and can be changed.
func testDifferences(t *testing.T, b *bench) {
	at := b.clock.Now()
	run := b.want(state.Comparison{})
	l := b.worker(state.RunReconciliation, "customers", "one")
	_, err := b.BeginComparison(b.ctx(), l, run.ID)
	b.no(err)
	full := state.Difference{Run: run.ID, N: 1, Kind: state.DiffDifferent, Reason: state.ReasonEditedRight, Hub: "h", Key: "C-1", Left: "1", Right: "R<1>", More: []string{"x"},
		Fields:  []state.DifferentField{{Path: "lines[sku=0012].amount", Left: json.RawMessage(`1.10`), Right: json.RawMessage(`12345678901234567890.12`), Rule: "exact"}, {Path: "note", Left: json.RawMessage(`"<&>"`)}},
		LeftDoc: json.RawMessage(`{"a":1.10}`), RightDoc: json.RawMessage(`{"a":"ü"}`), Event: "e", EventTime: at, Outcome: "delivered", Parked: 4, Amount: "0.10", Currency: "EUR", Since: at.Add(-time.Hour),
		Text: "a text", Proposal: "write", Write: json.RawMessage(`{}`)}
	list := []state.Difference{full,
		{N: 2, Kind: state.DiffMissingLeft, Reason: state.ReasonCreatedRight, Right: "2"},
		{N: 3, Kind: state.DiffDifferent, Reason: state.ExplainedInFlight, Explained: true, Left: "3"},
		{N: 4, Kind: state.DiffNotCompared, Reason: "unreadable", Left: "4"},
		{N: 5, Kind: state.DiffMissingRight, Reason: state.ReasonRefused, Left: "5"},
	}
	b.no(b.AddDifferences(b.ctx(), l, run.ID, list))
	b.no(b.AddDifferences(b.ctx(), l, run.ID, list[1:3])) // again, by who does not know whether it was stored
	if got := b.differences(state.DifferenceFilter{Run: run.ID}); len(got) != 5 || !reflect.DeepEqual(got[0], full) || !got[1].Since.Equal(at) {
		t.Fatalf("stored %+v, want %+v", got, list)
	}
	for f, want := range map[*state.DifferenceFilter]string{
		{}: "1 2 3 4 5", {Kind: state.DiffDifferent}: "1 3", {Reason: state.ReasonRefused}: "5", {Drift: true}: "1 2 5", {Drift: true, After: 1, Limit: 1}: "2", {Kind: state.DiffDifferent, Drift: true}: "1", {After: 5}: "",
	} {
		f.Run = run.ID
		var got []string
		for _, d := range b.differences(*f) {
			got = append(got, fmt.Sprint(d.N))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%+v: %v, want %s", *f, got, want)
		}
	}
	full.Repair, full.RepairEvent, full.Reason, full.Explained = state.RepairSubmitted, "r-1", state.ExplainedArrived, true
	b.no(b.EndComparison(b.ctx(), l, state.Comparison{ID: run.ID, State: state.RunDrift}))
	if c := b.run(run.ID); !c.Summary.Oldest.Equal(at.Add(-time.Hour)) {
		t.Errorf("the oldest is of %v", c.Summary.Oldest)
	}
	b.clock.Add(time.Hour)
	changed := full
	changed.Since = time.Time{}
	b.no(b.ChangeDifferences(b.ctx(), l, run.ID, []state.Difference{changed}))
	if got := b.differences(state.DifferenceFilter{Run: run.ID, Limit: 1}); !reflect.DeepEqual(got[0], full) {
		t.Errorf("changed to %+v, want %+v", got[0], full)
	}
	if got := b.differences(state.DifferenceFilter{Run: run.ID, Drift: true}); len(got) != 2 || got[0].N != 2 {
		t.Errorf("drift, with one explained since: %+v", got)
	}
}

// testDifferencesSince: a difference stands since the first run of an unbroken row of whole runs that has found it.
func testDifferencesSince(t *testing.T, b *bench) {
	l := b.worker(state.RunReconciliation, "customers", "one")
	price := func(v string) []state.DifferentField {
		return []state.DifferentField{{Path: "price", Left: json.RawMessage(v)}, {Path: "name"}}
	}
	run := func(as state.RunState, o state.CompareOptions, found ...state.Difference) map[int]time.Duration {
		t.Helper()
		b.clock.Add(time.Hour)
		c := b.ran(l, state.Comparison{Options: o}, as, state.CompareSummary{}, found...)
		ago := map[int]time.Duration{}
		for _, d := range b.differences(state.DifferenceFilter{Run: c.ID}) {
			ago[d.N] = b.clock.Now().Sub(d.Since)
		}
		return ago
	}
	check := func(got map[int]time.Duration, want ...time.Duration) {
		t.Helper()
		for i, w := range want {
			if got[i+1] != w*time.Hour {
				t.Errorf("difference %d stands for %v, want %d hours", i+1, got[i+1], w)
			}
		}
	}
	a := state.Difference{N: 1, Kind: state.DiffDifferent, Left: "1", Right: "r1", Fields: price("1")}
	m := state.Difference{N: 2, Kind: state.DiffMissingRight, Left: "2", Hub: "h2"}
	v := state.Difference{N: 3, Kind: state.DiffViolation, Key: "SO-1"}
	w := state.Difference{N: 4, Kind: state.DiffViolation, Hub: "h9"}
	check(run(state.RunDrift, state.CompareOptions{}, a, m, v, w), 0, 0, 0, 0)
	a.Fields = price("2") // the values do not matter
	check(run(state.RunDrift, state.CompareOptions{}, a, m, v, w), 1, 1, 1, 1)
	run(state.RunFailed, state.CompareOptions{})                // says nothing
	run(state.RunDrift, state.CompareOptions{Key: "1"}, a)      // looks at one alone
	a.N, m.N, m.Kind, v.Key = 2, 1, state.DiffDifferent, "SO-2" // other numbers; of another kind; another object
	check(run(state.RunDrift, state.CompareOptions{}, m, a, v, w), 0, 4, 0, 4)
	a.Fields = a.Fields[:1] // another set of fields
	check(run(state.RunDrift, state.CompareOptions{}, m, a, v), 1, 0, 1)
	check(run(state.RunDrift, state.CompareOptions{}, w), 0, 0, 0, 0) // it was gone in between
	if last, err := b.LastComparisons(b.ctx()); err != nil || len(last) != 1 {
		t.Error(last, err)
	}
}

// testDifferencesLarge: thousands of differences with documents are stored in steps, and a reading is no larger than it may be.
func testDifferencesLarge(t *testing.T, b *bench) {
	run := b.want(state.Comparison{})
	l := b.worker(state.RunReconciliation, "customers", "one")
	_, err := b.BeginComparison(b.ctx(), l, run.ID)
	b.no(err)
	big := json.RawMessage(`"` + strings.Repeat("x", 200_000) + `"`)
	list := make([]state.Difference, 2600)
	for i := range list {
		list[i] = state.Difference{N: i + 1, Kind: state.DiffDifferent, Left: fmt.Sprint(i)}
		if i%20 == 0 {
			list[i].LeftDoc = big
		}
	}
	before := b.Stats().Members
	b.no(b.AddDifferences(b.ctx(), l, run.ID, list))
	if n := b.Stats().Members - before; n != 6 {
		t.Errorf("stored in %d steps, want 6", n)
	}
	pages, after := 0, 0
	for {
		page := b.differences(state.DifferenceFilter{Run: run.ID, After: after, Limit: 10_000})
		if len(page) == 0 {
			break
		}
		if pages++; page[0].N != after+1 || page[0].Left != fmt.Sprint(after) {
			t.Fatalf("behind %d comes %d", after, page[0].N)
		}
		after = page[len(page)-1].N
	}
	if after != len(list) || pages < 3 { // 26 MB in pieces of 8
		t.Errorf("%d differences in %d readings", after, pages)
	}
	begun, err := b.BeginComparison(b.ctx(), b.worker(state.RunReconciliation, "customers", "one"), run.ID)
	if err != nil || begun.Attempt != 2 || len(b.differences(state.DifferenceFilter{Run: run.ID})) != 0 {
		t.Errorf("begun anew: %+v, %v", begun, err)
	}
}
