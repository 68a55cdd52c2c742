package app

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

const compareFiles = `reconciliation: orders
about: orders are the same on both sides
entity: order
left: {system: crm}
right: {system: erp}
repair: {from: left, by: orders-to-erp}
---
reconciliation: only-looked-at
entity: order
left: {system: crm}
right: {system: erp}
---
reconciliation: only-totals
entity: order
left: {system: crm}
right: {system: erp}
compare: none
totals: [{count: true}]
`

// compareWorld is a hub with reconciliations that another hub works: the test itself, under the lease.
type compareWorld struct {
	t     *testing.T
	p     *project
	hub   *Hub
	lease state.Lease
}

func newCompareWorld(t *testing.T) *compareWorld {
	url := newTarget(t).URL
	p := newProject(t, url)
	p.edit("configs/waybill.yaml", "systems:\n", "systems:\n  crm: {connector: rest, url: "+url+", objects: {order: {path: /orders, list: {items: items}}}}\n")
	p.write("flows/orders.reconcile.yaml", compareFiles)
	w := &compareWorld{t: t, p: p, hub: p.start(io.Discard)}
	l, ok, err := w.hub.store.AcquireLease(t.Context(), state.RunLease(state.RunReconciliation, "orders"), "another hub", time.Hour)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	w.lease = l
	return w
}

func (w *compareWorld) want(q api.RunRequest) *state.Comparison {
	w.t.Helper()
	run, err := w.hub.Want(w.t.Context(), state.RunReconciliation, "orders", q, "ann")
	if err != nil {
		w.t.Fatal(err)
	}
	return run
}

// work carries a run out.
func (w *compareWorld) work(id int64, as state.RunState, sum state.CompareSummary, found ...state.Difference) {
	w.t.Helper()
	s := w.hub.store
	_, err := s.BeginComparison(w.t.Context(), w.lease, id)
	err = errors.Join(err, s.AddDifferences(w.t.Context(), w.lease, id, found), s.EndComparison(w.t.Context(), w.lease, state.Comparison{ID: id, State: as, Summary: sum}))
	if err != nil {
		w.t.Fatal(err)
	}
}

// stands is how the reconciliation stands, as the status says it.
func (w *compareWorld) stands() (*api.Status, *api.Reconciliation) {
	w.t.Helper()
	st, err := w.hub.Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range st.Reconciliations {
		if st.Reconciliations[i].Name == "orders" {
			return st, &st.Reconciliations[i]
		}
	}
	return st, nil
}

// metrics are the lines of the metrics that begin so.
func (w *compareWorld) metrics(prefix string) string {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.hub.freshMetrics().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	var out []string
	for line := range strings.Lines(rec.Body.String()) {
		if strings.HasPrefix(line, prefix) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return strings.Join(out, "\n")
}

func (w *compareWorld) invalid(err error, want string) {
	w.t.Helper()
	var invalid *api.Invalid
	if !errors.As(err, &invalid) || !strings.Contains(invalid.Detail, want) {
		w.t.Errorf("%v, want %q", err, want)
	}
}

// TestWantedRuns: a run is asked for by name and by what its file allows, once at a time, and its result is the status's and the metrics'.
func TestWantedRuns(t *testing.T) {
	t.Parallel()
	w := newCompareWorld(t)
	ctx := t.Context()
	if _, err := w.hub.Want(ctx, state.RunReconciliation, "odrers", api.RunRequest{}, "ann"); !errors.Is(err, state.ErrNotFound) || !strings.Contains(err.Error(), `did you mean "orders"?`) {
		t.Errorf("a name that is none: %v", err)
	}
	if _, err := w.hub.Runs(ctx, state.ComparisonFilter{Kind: state.RunReconciliation, Name: "odrers"}); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("its runs: %v", err)
	}
	_, err := w.hub.Want(ctx, state.RunReconciliation, "only-looked-at", api.RunRequest{Repair: true}, "ann")
	w.invalid(err, "reconciliation only-looked-at does not say how to repair")
	for name, want := range map[string]string{"orders": "", "only-looked-at": "as repair: {from: left, by: FLOW}", "only-totals": "totals alone", "odrers": "the files name no reconciliation odrers any more"} {
		if got := w.hub.NoRepair(state.RunReconciliation, name); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	_, err = w.hub.Want(ctx, state.RunReconciliation, "orders", api.RunRequest{Since: time.Now().Add(time.Hour)}, "ann")
	w.invalid(err, "has not been yet")
	if st, r := w.stands(); r.State != api.StateNeverRun || st.Failing() || r.Left != "crm" || r.Right != "erp" || r.LastRun != nil {
		t.Errorf("before: %+v", r)
	}
	run := w.want(api.RunRequest{Note: "a test"})
	if run.Trigger != state.TriggerPerson || run.Who != "ann" || run.Why != "a test" || run.Keep == 0 {
		t.Errorf("wanted %+v", run)
	}
	var underWay *api.UnderWay
	if _, err := w.hub.Want(ctx, state.RunReconciliation, "orders", api.RunRequest{}, "bob"); !errors.As(err, &underWay) || underWay.Run.ID != run.ID {
		t.Errorf("a second one: %v", err)
	}
	if st, r := w.stands(); r.State != api.StateRunning || r.Stands != api.StateNeverRun || r.Running == nil || r.Running.ID != run.ID || st.Failing() {
		t.Errorf("under way: %+v", r)
	}
	sum := state.CompareSummary{Compared: 10, MissingLeft: 1, MissingRight: 2, Different: 3, Doubled: 1, Repaired: 2}
	w.work(run.ID, state.RunDrift, sum, state.Difference{N: 1, Kind: state.DiffDifferent, Reason: state.ReasonRefused, Left: "1"})
	st, r := w.stands()
	if r.State != api.StateDrift || !st.Failing() || r.Compared != 10 || r.MissingLeft != 1 || r.MissingRight != 2 || r.Different != 3 || r.Doubled != 1 || r.Repaired != 2 || r.Drift != 5 ||
		r.LastRun == nil || r.Run != run.ID || r.Oldest == nil || !strings.Contains(r.Why, "5 left, the oldest since 20") {
		t.Errorf("with drift: %+v", r)
	}
	if got := w.metrics(`waybill_reconciliation_drift`); got != `waybill_reconciliation_drift{reconciliation="orders"} 5` {
		t.Error(got)
	}
	if got := w.metrics(`waybill_reconciliation_state{reconciliation="orders",state="drift"}`); !strings.HasSuffix(got, " 1") {
		t.Error(got)
	}
	again := w.want(api.RunRequest{})
	if st, r := w.stands(); r.State != api.StateRunning || r.Stands != api.StateDrift || !st.Failing() {
		t.Errorf("drift, and it runs again: %+v", r)
	}
	w.work(again.ID, state.RunFailed, state.CompareSummary{})
	if _, r := w.stands(); r.State != api.StateFailed || r.Compared != 10 || r.Run != run.ID || !r.LastRun.After(*r.Counted) {
		t.Errorf("failed since: %+v", r)
	}
	list, err := w.hub.Reconciliations(ctx)
	if err != nil || len(list) != 3 || len(list[2].Trend) != 2 || list[2].Trend[0].Drift != 7 || list[2].Trend[1].State != "failed" {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestRepairIsWanted: what is repaired is drift of a run that is over; and what a repair has brought counts for the run that found it.
func TestRepairIsWanted(t *testing.T) {
	t.Parallel()
	w := newCompareWorld(t)
	ctx := t.Context()
	run := w.want(api.RunRequest{})
	if _, err := w.hub.RepairRun(ctx, run.ID, api.RepairRequest{All: true}, "ann"); !errors.Is(err, state.ErrBusy) {
		t.Errorf("before it is over: %v", err)
	}
	w.work(run.ID, state.RunHeld, state.CompareSummary{Compared: 10, Different: 2, Reasons: map[string]int64{state.ReasonRefused: 1, state.ReasonEditedRight: 1}},
		state.Difference{N: 1, Kind: state.DiffDifferent, Reason: state.ReasonRefused, Left: "1"}, state.Difference{N: 2, Kind: state.DiffDifferent, Reason: state.ReasonEditedRight, Left: "2"},
		state.Difference{N: 3, Kind: state.DiffDifferent, Reason: state.ExplainedInFlight, Explained: true, Left: "3"})
	if _, r := w.stands(); r.State != api.StateHeld || !strings.Contains(r.Why, "waybill reconcile repair ") {
		t.Errorf("held: %+v", r)
	}
	for want, q := range map[string]api.RepairRequest{
		"has no difference 4":                 {Numbers: []api.Whole{4, 1}},
		"3 of run":                            {Numbers: []api.Whole{1, 3}},
		`did you mean "refused"?`:             {Reasons: []string{"refussed"}},
		`no drift for the reason "in-flight"`: {Reasons: []string{state.ExplainedInFlight}},
	} {
		_, err := w.hub.RepairRun(ctx, run.ID, q, "ann")
		w.invalid(err, want)
	}
	if _, err := w.hub.RepairRun(ctx, 99999, api.RepairRequest{All: true}, "ann"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("of no run: %v", err)
	}
	repair, err := w.hub.RepairRun(ctx, run.ID, api.RepairRequest{Numbers: []api.Whole{2, 1, 2}, Deletes: true, Note: "looked at"}, "ann")
	if err != nil || repair.Options.From != run.ID || !repair.Options.Repair || !repair.Options.Deletes || repair.Why != "looked at" {
		t.Fatalf("%+v, %v", repair, err)
	}
	w.work(repair.ID, state.RunAgreed, state.CompareSummary{Compared: 2, Different: 2, Repaired: 2})
	if st, r := w.stands(); r.State != api.StateAgreed || r.Repaired != 2 || r.Drift != 0 || r.Compared != 10 || r.Run != run.ID || st.Failing() {
		t.Errorf("repaired: %+v", r)
	}
	agreed := w.want(api.RunRequest{})
	w.work(agreed.ID, state.RunAgreed, state.CompareSummary{Compared: 10, Equal: 10})
	_, err = w.hub.RepairRun(ctx, agreed.ID, api.RepairRequest{All: true}, "ann")
	w.invalid(err, "has found no drift")
}

// TestCancelledRuns: a run ends when a person says so, also one that nobody works because the files have its name no more.
func TestCancelledRuns(t *testing.T) {
	t.Parallel()
	w := newCompareWorld(t)
	ctx := t.Context()
	run := w.want(api.RunRequest{})
	if c, err := w.hub.CancelRun(ctx, run.ID, "ann", "not now"); err != nil || c.State != state.RunCancelled || c.Detail != "cancelled by ann: not now" {
		t.Errorf("a wanted one: %+v %v", c, err)
	}
	if _, err := w.hub.CancelRun(ctx, run.ID, "ann", ""); !errors.Is(err, state.ErrBusy) {
		t.Errorf("once more: %v", err)
	}
	run = w.want(api.RunRequest{})
	if _, err := w.hub.store.BeginComparison(ctx, w.lease, run.ID); err != nil {
		t.Fatal(err)
	}
	if c, err := w.hub.CancelRun(ctx, run.ID, "ann", ""); err != nil || c.State != state.RunRunning || c.Cancel != "ann" {
		t.Errorf("a running one: %+v %v", c, err)
	}
	if err := w.hub.store.EndComparison(ctx, w.lease, state.Comparison{ID: run.ID, State: state.RunCancelled}); err != nil {
		t.Fatal(err)
	}
	run = w.want(api.RunRequest{})
	if _, err := w.hub.store.BeginComparison(ctx, w.lease, run.ID); err != nil {
		t.Fatal(err)
	}
	w.p.remove("flows/orders.reconcile.yaml")
	if r, err := w.hub.Reload(ctx, "ann"); err != nil || !slices.Equal(r.Reconciliations.Removed, []string{"only-looked-at", "only-totals", "orders"}) || r.Reconciliations.Unchanged != 0 {
		t.Fatalf("%+v %v", r, err)
	}
	if st, r := w.stands(); r != nil || len(st.Reconciliations) != 0 || w.metrics("waybill_reconciliation_") != "" {
		t.Errorf("gone, and shown: %+v, %s", r, w.metrics("waybill_reconciliation_"))
	}
	if list, err := w.hub.Runs(ctx, state.ComparisonFilter{Kind: state.RunReconciliation, Name: "orders"}); err != nil || len(list) != 3 {
		t.Errorf("its runs: %+v %v", list, err)
	}
	if c, err := w.hub.CancelRun(ctx, run.ID, "ann", ""); err != nil || c.State != state.RunRunning {
		t.Errorf("while another hub works it: %+v %v", c, err)
	}
	if err := w.hub.store.ReleaseLease(ctx, w.lease); err != nil {
		t.Fatal(err)
	}
	if c, err := w.hub.CancelRun(ctx, run.ID, "bob", ""); err != nil || c.State != state.RunCancelled || c.Detail != "cancelled by ann" {
		t.Errorf("which nobody works: %+v %v", c, err)
	}
}

// TestOverdue: a run is overdue when it was due, some minutes have passed, and there is no result of it; what was due before the files said so does
// not count.
func TestOverdue(t *testing.T) {
	t.Parallel()
	day := func(hour, minute int) time.Time { return time.Date(2026, 3, 2, hour, minute, 0, 0, time.UTC) }
	for _, tt := range []struct {
		name               string
		loaded, began, now time.Time
		jitter             time.Duration
		state              string
		due                time.Time
	}{
		{name: "not due yet", loaded: day(0, 0), now: day(1, 59), state: api.StateNeverRun},
		{name: "due just now", loaded: day(0, 0), now: day(2, 4), state: api.StateNeverRun},
		{name: "overdue", loaded: day(0, 0), now: day(2, 6), state: api.StateOverdue, due: day(2, 0)},
		{name: "within its jitter", loaded: day(0, 0), now: day(2, 6), jitter: time.Hour, state: api.StateNeverRun},
		{name: "loaded since", loaded: day(3, 0), now: day(12, 0), state: api.StateNeverRun},
		{name: "it has run", loaded: day(0, 0), began: day(2, 0).Add(time.Second), now: day(12, 0), state: api.StateAgreed},
		{name: "it ran before", loaded: day(0, 0), began: day(1, 0), now: day(12, 0), state: api.StateOverdue, due: day(2, 0)},
	} {
		clock := lifecycle.NewManual(tt.now)
		h := &Hub{clock: clock}
		h.now.Store(&current{loaded: tt.loaded})
		c := &compared{kind: state.RunReconciliation, name: "orders", schedule: &config.Schedule{Cron: "0 2 * * *", Jitter: tt.jitter}}
		seen := &runsSeen{last: map[state.RunName]state.LastComparison{}}
		if !tt.began.IsZero() {
			run := state.Comparison{ID: 1, State: state.RunAgreed, Started: tt.began, Finished: tt.began.Add(time.Minute)}
			seen.last[state.RunName{Kind: c.kind, Name: c.name}] = state.LastComparison{Ended: run, Told: &run}
		}
		var v api.Standing
		h.stand(&v, c, seen)
		if v.State != tt.state || !tt.due.IsZero() && !strings.Contains(v.Why, tt.due.Format(time.RFC3339)) || v.NextRun == nil || !v.NextRun.After(tt.now) || v.Schedule != "0 2 * * *" {
			t.Errorf("%s: %+v", tt.name, v)
		}
	}
}
