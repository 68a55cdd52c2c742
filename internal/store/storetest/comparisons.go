package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// want asks for a run as a person does.
func (b *bench) want(c state.Comparison) state.Comparison {
	b.t.Helper()
	if c.Kind == "" {
		c.Kind = state.RunReconciliation
	}
	if c.Name == "" {
		c.Name = "customers"
	}
	got, fresh, err := b.WantComparison(b.ctx(), c)
	b.no(err)
	if !fresh {
		b.t.Fatalf("run %d is under way", got.ID)
	}
	return got
}

// worker takes the lease of a name.
func (b *bench) worker(kind, name, holder string) state.Lease {
	b.t.Helper()
	l, ok, err := b.AcquireLease(b.ctx(), state.RunLease(kind, name), holder, time.Hour)
	if err != nil || !ok {
		b.t.Fatal(ok, err)
	}
	return l
}

// ran carries a run out that finds what is given.
func (b *bench) ran(l state.Lease, c state.Comparison, as state.RunState, sum state.CompareSummary, found ...state.Difference) state.Comparison {
	b.t.Helper()
	run := b.want(c)
	_, err := b.BeginComparison(b.ctx(), l, run.ID)
	b.no(err)
	b.no(b.AddDifferences(b.ctx(), l, run.ID, found))
	b.no(b.EndComparison(b.ctx(), l, state.Comparison{ID: run.ID, State: as, Summary: sum}))
	return b.run(run.ID)
}

func (b *bench) run(id int64) state.Comparison {
	b.t.Helper()
	c, err := b.ComparisonByID(b.ctx(), id)
	b.no(err)
	return c
}

func (b *bench) differences(f state.DifferenceFilter) []state.Difference {
	b.t.Helper()
	out, err := b.Differences(b.ctx(), f)
	b.no(err)
	return out
}

// testComparison: a run from the wish to its end, over a restart, with the act in the audit.
func testComparison(t *testing.T, b *bench) {
	at := b.clock.Now()
	asked := state.Comparison{Kind: state.RunReconciliation, Name: "customers", Trigger: state.TriggerPerson, Who: "ann", Why: "a test", Keep: time.Hour,
		Options: state.CompareOptions{Since: at.Add(-time.Hour), Repair: true, Deletes: true, AtMost: 7, Numbers: []int{1, 2}, Reasons: []string{"refused"}}}
	run := b.want(asked)
	wanted := asked
	wanted.ID, wanted.State, wanted.Wanted = run.ID, state.RunWanted, at
	if !reflect.DeepEqual(run, wanted) || !reflect.DeepEqual(b.run(run.ID), wanted) {
		t.Fatalf("wanted %+v, stored %+v, want %+v", run, b.run(run.ID), wanted)
	}
	b.want(state.Comparison{Kind: state.RunRule, Trigger: state.TriggerSchedule, Who: "schedule"}) // of another kind, and no person's act
	again, fresh, err := b.WantComparison(b.ctx(), state.Comparison{Kind: state.RunReconciliation, Name: "customers", Who: "bob"})
	if err != nil || fresh || again.ID != run.ID || again.Who != "ann" {
		t.Errorf("wanted again: %+v, %v, %v", again, fresh, err)
	}
	audits, err := b.Audits(b.ctx(), 10)
	b.no(err)
	detail := fmt.Sprintf("run %d, of what has changed since 2026-03-01T11:00:00Z, with repair, for the reasons refused, of the numbers 1 2, deletions too, at most 7: a test", run.ID)
	if len(audits) != 1 || audits[0].Who != "ann" || audits[0].Action != "reconcile" || audits[0].Object != "reconciliation/customers" || audits[0].Detail != detail {
		t.Errorf("audit %+v", audits)
	}
	b.reopen()
	l := b.worker(state.RunReconciliation, "customers", "one")
	b.clock.Add(time.Second)
	begun, err := b.BeginComparison(b.ctx(), l, run.ID)
	b.no(err)
	if begun.State != state.RunRunning || begun.Attempt != 1 || !begun.Started.Equal(b.clock.Now()) || !begun.Wanted.Equal(at) {
		t.Errorf("begun %+v", begun)
	}
	p := state.CompareProgress{Phase: "comparing", Path: "streamed", Left: 4, Right: 5, Expect: 10, Candidates: 1, Text: "so far"}
	b.clock.Add(time.Second)
	if by, err := b.BeatComparison(b.ctx(), l, run.ID, p); err != nil || by != "" {
		t.Fatal(by, err)
	}
	if c := b.run(run.ID); c.Progress != p || !c.Updated.Equal(b.clock.Now()) {
		t.Errorf("after a beat: %+v", c)
	}
	b.no(b.AddDifferences(b.ctx(), l, run.ID, []state.Difference{{N: 1, Kind: state.DiffDifferent, Left: "1", Right: "2"}}))
	l = b.worker(state.RunReconciliation, "customers", "one") // the hub has died, and another begins anew
	if begun, err = b.BeginComparison(b.ctx(), l, run.ID); err != nil || begun.Attempt != 2 || begun.Progress != (state.CompareProgress{}) {
		t.Errorf("begun anew: %+v, %v", begun, err)
	}
	if left := b.differences(state.DifferenceFilter{Run: run.ID}); len(left) != 0 {
		t.Errorf("of the attempt before: %+v", left)
	}
	b.clock.Add(time.Minute)
	sum := state.CompareSummary{Compared: 10, Equal: 8, MissingRight: 1, Different: 1, Repaired: 1, Explained: map[string]int64{"in-flight": 2}, Money: map[string]string{"EUR": "0.10"}, Oldest: at,
		Totals: []state.TotalLine{{Total: "open", Group: []string{"EUR"}, Left: "1.10", Right: "1"}}}
	ended := state.Comparison{ID: run.ID, State: state.RunDrift, Detail: "one is left", Summary: sum}
	b.no(b.EndComparison(b.ctx(), l, ended))
	got := b.run(run.ID)
	if got.State != state.RunDrift || got.Detail != "one is left" || !reflect.DeepEqual(got.Summary, sum) || !got.Finished.Equal(b.clock.Now()) || !reflect.DeepEqual(got.Options, asked.Options) {
		t.Errorf("ended: %+v", got)
	}
	if sum.Drift() != 3 || sum.Left() != 2 {
		t.Errorf("drift %d, left %d", sum.Drift(), sum.Left())
	}
	b.no(b.EndComparison(b.ctx(), l, ended)) // whoever does not know whether it was stored says it again
	ended.State = state.RunFailed
	if err := b.EndComparison(b.ctx(), l, ended); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("ended in another way: %v", err)
	}
	if err := b.EndComparison(b.ctx(), l, state.Comparison{ID: run.ID, State: state.RunRunning}); err == nil {
		t.Error("a run ended as running")
	}
	second := b.want(asked)
	for f, want := range map[*state.ComparisonFilter][]int64{
		{Kind: state.RunReconciliation}:   {second.ID, run.ID},
		{Name: "customers", Limit: 1}:     {second.ID},
		{Before: second.ID, Open: true}:   {run.ID + 1},
		{Name: "other"}:                   nil,
		{Kind: state.RunRule, Open: true}: {run.ID + 1},
	} {
		list, err := b.Comparisons(b.ctx(), *f)
		b.no(err)
		var ids []int64
		for i := range list {
			ids = append(ids, list[i].ID)
		}
		if !reflect.DeepEqual(ids, want) {
			t.Errorf("%+v: %v, want %v", *f, ids, want)
		}
	}
	if _, err := b.ComparisonByID(b.ctx(), 99999); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("a run that never was: %v", err)
	}
}

// testComparisonWantedTwice: of many who want the same run at once, at several hubs, one gets it, and the others are told of it.
func testComparisonWantedTwice(t *testing.T, b *bench) {
	hubs := []*store.Store{b.Store, b.other()}
	var mu sync.Mutex
	ids, news := map[int64]bool{}, 0
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			c, fresh, err := hubs[i%2].WantComparison(b.ctx(), state.Comparison{Kind: state.RunReconciliation, Name: "stock", Trigger: state.TriggerPerson, Who: fmt.Sprint(i)})
			mu.Lock()
			defer mu.Unlock()
			if ids[c.ID] = true; err != nil {
				t.Error(err)
			} else if fresh {
				news++
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || news != 1 {
		t.Errorf("runs %v, %d of them new", ids, news)
	}
	if audits, err := b.Audits(b.ctx(), 100); err != nil || len(audits) != 1 {
		t.Errorf("acts %+v, %v", audits, err)
	}
}

// testComparisonFenced: who has lost the lease, or has that of another name, changes nothing.
func testComparisonFenced(t *testing.T, b *bench) {
	run := b.want(state.Comparison{})
	old := b.worker(state.RunReconciliation, "customers", "one")
	_, err := b.BeginComparison(b.ctx(), old, run.ID)
	b.no(err)
	found := []state.Difference{{N: 1, Kind: state.DiffDifferent, Left: "1"}}
	b.no(b.AddDifferences(b.ctx(), old, run.ID, found))
	b.no(b.ReleaseLease(b.ctx(), old))
	l := b.worker(state.RunReconciliation, "customers", "two")
	rule := b.worker(state.RunRule, "customers", "two")
	for name, lease := range map[string]state.Lease{"an old one": old, "another name's": rule} {
		calls := map[string]func() error{
			"begin":  func() error { _, err := b.BeginComparison(b.ctx(), lease, run.ID); return err },
			"beat":   func() error { _, err := b.BeatComparison(b.ctx(), lease, run.ID, state.CompareProgress{}); return err },
			"add":    func() error { return b.AddDifferences(b.ctx(), lease, run.ID, found) },
			"change": func() error { return b.ChangeDifferences(b.ctx(), lease, run.ID, found) },
			"end": func() error {
				return b.EndComparison(b.ctx(), lease, state.Comparison{ID: run.ID, State: state.RunAgreed})
			},
		}
		for call, f := range calls {
			if err := f(); !errors.Is(err, state.ErrFenced) {
				t.Errorf("%s under %s: %v", call, name, err)
			}
		}
	}
	if c := b.run(run.ID); c.State != state.RunRunning || c.Attempt != 1 || len(b.differences(state.DifferenceFilter{Run: run.ID})) != 1 {
		t.Errorf("%+v", c)
	}
	for call, f := range map[string]func() error{
		"begin":  func() error { _, err := b.BeginComparison(b.ctx(), l, 99999); return err },
		"beat":   func() error { _, err := b.BeatComparison(b.ctx(), l, 99999, state.CompareProgress{}); return err },
		"end":    func() error { return b.EndComparison(b.ctx(), l, state.Comparison{ID: 99999, State: state.RunAgreed}) },
		"change": func() error { return b.ChangeDifferences(b.ctx(), l, run.ID, []state.Difference{{N: 1}, {N: 2}}) },
		"cancel": func() error { return b.CancelComparison(b.ctx(), 99999, "ann", "") },
	} {
		if err := f(); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("%s of what is not there: %v", call, err)
		}
	}
	b.no(b.EndComparison(b.ctx(), l, state.Comparison{ID: run.ID, State: state.RunDrift}))
	if err := b.AddDifferences(b.ctx(), l, run.ID, found); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("found after the end: %v", err)
	}
	if _, err := b.BeginComparison(b.ctx(), l, run.ID); !errors.Is(err, state.ErrNotFound) || len(b.differences(state.DifferenceFilter{Run: run.ID})) != 1 {
		t.Errorf("begun after the end: %v", err)
	}
}

// testComparisonCancelled: what nobody has begun ends at once, what runs when its hub looks.
func testComparisonCancelled(t *testing.T, b *bench) {
	first := b.want(state.Comparison{})
	b.no(b.CancelComparison(b.ctx(), first.ID, "ann", "not now"))
	if c := b.run(first.ID); c.State != state.RunCancelled || c.Cancel != "ann: not now" || c.Detail != "cancelled by ann: not now" || !c.Finished.Equal(b.clock.Now()) {
		t.Errorf("a wanted one: %+v", c)
	}
	if err := b.CancelComparison(b.ctx(), first.ID, "bob", ""); !errors.Is(err, state.ErrBusy) || !strings.Contains(err.Error(), "over already (cancelled)") {
		t.Errorf("cancelled after its end: %v", err)
	}
	second := b.want(state.Comparison{})
	l := b.worker(state.RunReconciliation, "customers", "one")
	_, err := b.BeginComparison(b.ctx(), l, second.ID)
	b.no(err)
	b.no(b.CancelComparison(b.ctx(), second.ID, "ann", ""))
	b.no(b.CancelComparison(b.ctx(), second.ID, "bob", "")) // it is asked for already
	if c := b.run(second.ID); c.State != state.RunRunning || c.Cancel != "ann" {
		t.Errorf("a running one: %+v", c)
	}
	if by, err := b.BeatComparison(b.ctx(), l, second.ID, state.CompareProgress{}); err != nil || by != "ann" {
		t.Errorf("the hub is told %q, %v", by, err)
	}
	b.no(b.EndComparison(b.ctx(), l, state.Comparison{ID: second.ID, State: state.RunCancelled}))
	if c := b.run(second.ID); c.State != state.RunCancelled || c.Cancel != "ann" {
		t.Errorf("ended: %+v", c)
	}
	audits, err := b.Audits(b.ctx(), 10)
	b.no(err)
	var got []string
	for _, a := range audits {
		if a.Action == "cancel" {
			got = append(got, a.Who+" "+a.Object+" "+a.Detail)
		}
	}
	if want := []string{fmt.Sprintf("ann reconciliation/customers run %d", second.ID), fmt.Sprintf("ann reconciliation/customers run %d: not now", first.ID)}; !reflect.DeepEqual(got, want) {
		t.Errorf("audit %q, want %q", got, want)
	}
	if last, err := b.LastComparisons(b.ctx()); err != nil || len(last) != 0 {
		t.Errorf("a cancelled run says how the systems stand: %+v, %v", last, err)
	}
}

// testLastComparisons: how a name stands is what its newest whole run says, with what was repaired and what has failed since.
func testLastComparisons(t *testing.T, b *bench) {
	l := b.worker(state.RunReconciliation, "customers", "one")
	look := func(ended, told int64, repairs ...int64) state.LastComparison {
		t.Helper()
		all, err := b.LastComparisons(b.ctx())
		b.no(err)
		last := all[state.RunName{Kind: state.RunReconciliation, Name: "customers"}]
		var have int64
		if last.Told != nil {
			have = last.Told.ID
		}
		var ids []int64
		for i := range last.Repairs {
			ids = append(ids, last.Repairs[i].ID)
		}
		if last.Ended.ID != ended || have != told || fmt.Sprint(ids) != fmt.Sprint(repairs) {
			t.Errorf("ended %d, told %d, repairs %v; want %d, %d, %v", last.Ended.ID, have, ids, ended, told, repairs)
		}
		return last
	}
	look(0, 0)
	failed := b.ran(l, state.Comparison{}, state.RunFailed, state.CompareSummary{})
	look(failed.ID, 0)
	drift := b.ran(l, state.Comparison{}, state.RunDrift, state.CompareSummary{Compared: 9, Different: 3, Repaired: 1})
	look(drift.ID, drift.ID)
	b.ran(l, state.Comparison{Options: state.CompareOptions{Key: "C-1"}}, state.RunAgreed, state.CompareSummary{Compared: 1})
	b.ran(l, state.Comparison{Options: state.CompareOptions{Since: b.clock.Now()}}, state.RunFailed, state.CompareSummary{})
	b.ran(l, state.Comparison{}, state.RunCancelled, state.CompareSummary{})
	look(drift.ID, drift.ID)
	repair := b.ran(l, state.Comparison{Options: state.CompareOptions{From: drift.ID, Repair: true}}, state.RunDrift, state.CompareSummary{Different: 2, Repaired: 1})
	if last := look(drift.ID, drift.ID, repair.ID); last.Repaired() != 2 {
		t.Errorf("repaired %d", last.Repaired())
	}
	rest := b.ran(l, state.Comparison{Options: state.CompareOptions{From: repair.ID, Repair: true}}, state.RunAgreed, state.CompareSummary{Different: 4, Repaired: 4})
	if last := look(drift.ID, drift.ID, repair.ID, rest.ID); last.Repaired() != 3 {
		t.Errorf("repaired %d of 3", last.Repaired())
	}
	failed = b.ran(l, state.Comparison{}, state.RunFailed, state.CompareSummary{})
	look(failed.ID, drift.ID, repair.ID, rest.ID)
	failed = b.ran(l, state.Comparison{}, state.RunFailed, state.CompareSummary{})
	look(failed.ID, drift.ID, repair.ID, rest.ID)
	b.reopen()
	agreed := b.ran(b.worker(state.RunReconciliation, "customers", "one"), state.Comparison{}, state.RunAgreed, state.CompareSummary{})
	look(agreed.ID, agreed.ID)
	other := b.ran(b.worker(state.RunRule, "customers", "one"), state.Comparison{Kind: state.RunRule}, state.RunDrift, state.CompareSummary{Different: 1})
	look(agreed.ID, agreed.ID)
	late := b.ran(b.worker(state.RunReconciliation, "customers", "one"), state.Comparison{Options: state.CompareOptions{From: drift.ID}}, state.RunAgreed, state.CompareSummary{Repaired: 1})
	if look(agreed.ID, agreed.ID); late.State != state.RunAgreed || other.ID == 0 {
		t.Error("a repair of an older run counts for the newest")
	}
}

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

// testPruneComparisons: a run goes when it has been kept as long as it is to be, with all that it found; the one that says how the name stands stays.
func testPruneComparisons(t *testing.T, b *bench) {
	l := b.worker(state.RunReconciliation, "customers", "one")
	found := make([]state.Difference, 2100)
	for i := range found {
		found[i] = state.Difference{N: i + 1, Kind: state.DiffMissingLeft, Right: fmt.Sprint(i)}
	}
	short := state.Comparison{Keep: time.Hour}
	old := b.ran(l, short, state.RunDrift, state.CompareSummary{MissingLeft: 2100}, found...)
	long := b.ran(l, state.Comparison{Keep: 48 * time.Hour}, state.RunDrift, state.CompareSummary{})
	plain := b.ran(l, state.Comparison{}, state.RunDrift, state.CompareSummary{})
	newest := b.ran(l, short, state.RunDrift, state.CompareSummary{MissingLeft: 1}, found[:1]...)
	key := b.ran(l, state.Comparison{Keep: time.Hour, Options: state.CompareOptions{Key: "7"}}, state.RunDrift, state.CompareSummary{}, found[:1]...)
	open := b.want(short)
	left := func() []int64 {
		t.Helper()
		all, err := b.Comparisons(b.ctx(), state.ComparisonFilter{})
		b.no(err)
		var ids []int64
		for i := len(all) - 1; i >= 0; i-- {
			ids = append(ids, all[i].ID)
		}
		return ids
	}
	prune := func(removed int64, want ...int64) {
		t.Helper()
		n, err := b.Prune(b.ctx(), b.clock.Now())
		b.no(err)
		if got := left(); n != removed || !reflect.DeepEqual(got, want) {
			t.Errorf("removed %d rows and left %v, want %d and %v", n, got, removed, want)
		}
	}
	b.clock.Add(59 * time.Minute)
	prune(0, old.ID, long.ID, plain.ID, newest.ID, key.ID, open.ID)
	b.clock.Add(2 * time.Minute)
	prune(2101+2, long.ID, plain.ID, newest.ID, open.ID)
	if d := b.differences(state.DifferenceFilter{Run: old.ID}); len(d) != 0 {
		t.Errorf("%d differences of a run that is gone", len(d))
	}
	b.clock.Add(48 * time.Hour)
	prune(1, plain.ID, newest.ID, open.ID)
	b.clock.Add(90 * 24 * time.Hour)
	prune(1+6, newest.ID, open.ID) // with the acts of six wishes
	if d := b.differences(state.DifferenceFilter{Run: newest.ID}); len(d) != 1 {
		t.Errorf("the newest has %d differences", len(d))
	}
}
