package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
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
	audits, err := b.Audits(b.ctx(), state.AuditFilter{Limit: 10})
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
	if audits, err := b.Audits(b.ctx(), state.AuditFilter{Limit: 100}); err != nil || len(audits) != 1 {
		t.Errorf("acts %+v, %v", audits, err)
	}
}

// testComparisonNumbers: the numbers of runs count on from 1 without a hole: over restarts, beside wishes that are refused, and where several are wanted at the same time.
func testComparisonNumbers(t *testing.T, b *bench) {
	var got []int64
	want := func(name string) { got = append(got, b.want(state.Comparison{Name: name}).ID) }
	want("a")
	want("b")
	if again, fresh, err := b.WantComparison(b.ctx(), state.Comparison{Kind: state.RunReconciliation, Name: "a"}); err != nil || fresh || again.ID != 1 {
		t.Errorf("wanted again: %d, %v, %v", again.ID, fresh, err)
	}
	b.reopen()
	want("c")
	for id := range int64(3) {
		b.no(b.CancelComparison(b.ctx(), id+1, "ann", ""))
	}
	b.clock.Add(1000 * 24 * time.Hour)
	if n, err := b.Prune(b.ctx(), b.clock.Now()); err != nil || n < 3 {
		t.Errorf("%d rows are removed, %v", n, err)
	}
	if left, err := b.Comparisons(b.ctx(), state.ComparisonFilter{}); err != nil || len(left) > 0 { // what is gone gives its number to nobody
		t.Errorf("%v %v", left, err)
	}
	b.reopen()
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range 5 {
		all.Go(func() {
			run, fresh, err := b.WantComparison(b.ctx(), state.Comparison{Kind: state.RunRule, Name: fmt.Sprint(i)})
			mu.Lock()
			defer mu.Unlock()
			if got = append(got, run.ID); err != nil || !fresh {
				t.Error(fresh, err)
			}
		})
	}
	all.Wait()
	if slices.Sort(got); !slices.Equal(got, []int64{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("numbers %v", got)
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
	audits, err := b.Audits(b.ctx(), state.AuditFilter{Limit: 10})
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
