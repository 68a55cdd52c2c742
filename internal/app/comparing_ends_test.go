package app

import (
	"context"
	"database/sql"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/bus/embedded"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

const (
	patient = "settle: 1h"    // what differs is left alone for longer than any test
	brisk   = "settle: 100ms" // as the files have it at first
)

// drifting is a project with one order that was edited past the hub, which a run leaves alone for an hour.
func drifting(t *testing.T) (p *project, east *sql.DB) {
	t.Helper()
	p, west, east := pairProject(t)
	p.edit("flows/orders.reconcile.yaml", brisk, patient)
	execSQL(t, west, "INSERT INTO orders VALUES (1, 'SO-01', 'ann', '1', 1), (2, 'SO-02', 'bob', '2', 2)")
	return p, east
}

// drifted waits for the orders and edits one.
func drifted(t *testing.T, hub *Hub, east *sql.DB) {
	t.Helper()
	await(t, "everything in the east", func() bool { return countSQL(t, east, "SELECT COUNT(*) FROM sales") == 2 })
	rest(t, hub)
	execSQL(t, east, "UPDATE sales SET party = 'somebody' WHERE num = 'SO-01'")
}

// settles wants a run and waits until it leaves alone what differs.
func settles(t *testing.T, hub *Hub) *state.Comparison {
	t.Helper()
	run, err := hub.Want(t.Context(), state.RunReconciliation, "orders", api.RunRequest{}, "ann")
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the run to settle", func() bool {
		if run, err = hub.RunByID(t.Context(), run.ID); err != nil {
			t.Fatal(err)
		}
		if run.State.Over() {
			t.Fatalf("it is over: %+v", run)
		}
		return run.Progress.Phase == "settling" && strings.HasPrefix(run.Progress.Text, "1 differences are left alone for 1h")
	})
	return run
}

// ends waits for the end of a run.
func ends(t *testing.T, hub *Hub, id int64) *state.Comparison {
	t.Helper()
	var run *state.Comparison
	await(t, "the end of the run", func() (over bool) {
		var err error
		if run, err = hub.RunByID(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		return run.State.Over()
	})
	return run
}

// onceMore expects that a run was begun a second time and found the drift, once.
func onceMore(t *testing.T, hub *Hub, id int64) {
	t.Helper()
	run := ends(t, hub, id)
	diffs, err := hub.store.Differences(t.Context(), state.DifferenceFilter{Run: id})
	if err != nil || run.State != state.RunDrift || run.Attempt != 2 || len(diffs) != 1 || diffs[0].Key != "SO-01" || run.Summary.Compared != 2 {
		t.Errorf("%v %+v %+v", err, run, diffs)
	}
}

// TestRunIsCancelled: a person ends a run at once, and it says who.
func TestRunIsCancelled(t *testing.T) {
	t.Parallel()
	p, east := drifting(t)
	hub := p.start(io.Discard)
	drifted(t, hub, east)
	run := settles(t, hub)
	if _, err := hub.CancelRun(t.Context(), run.ID, "bob", "it takes too long"); err != nil {
		t.Fatal(err)
	}
	if run = ends(t, hub, run.ID); run.State != state.RunCancelled || run.Detail != "cancelled by bob: it takes too long" || run.Attempt != 1 {
		t.Errorf("%+v", run)
	}
}

// TestReloadDuringARun: a run whose files change begins anew with the new ones.
func TestReloadDuringARun(t *testing.T) {
	t.Parallel()
	p, east := drifting(t)
	hub := p.start(io.Discard)
	drifted(t, hub, east)
	run := settles(t, hub)
	p.edit("flows/orders.reconcile.yaml", patient, brisk)
	if r, err := hub.Reload(t.Context(), "bob"); err != nil || !slices.Equal(r.Reconciliations.Changed, []string{"orders"}) || len(r.Flows.Changed) > 0 {
		t.Fatalf("%+v %v", r, err)
	}
	onceMore(t, hub, run.ID)
}

// TestHubStopsDuringARun: what a hub has left, the next one begins anew.
func TestHubStopsDuringARun(t *testing.T) {
	t.Parallel()
	p, east := drifting(t)
	hub := p.start(io.Discard)
	drifted(t, hub, east)
	run := settles(t, hub)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := hub.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	p.edit("flows/orders.reconcile.yaml", patient, brisk)
	onceMore(t, p.start(io.Discard), run.ID)
}

// TestTwoHubs: one of two hubs works on a run, and the other one takes it up where that one stops.
func TestTwoHubs(t *testing.T) {
	b, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Partitions: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	t.Setenv("WAYBILL_TEST_STORE", pgtest.URL(t))
	p, east := drifting(t)
	p.edit("configs/waybill.yaml", `embedded: {dir: "`+p.dir+`/data/broker"}`, `kafka: {brokers: ["`+b.Addr()+`"], replication: 1}`)
	p.edit("configs/waybill.yaml", `sqlite: {path: "`+p.dir+`/data/waybill.db"}`, `postgres: {url: "${env:WAYBILL_TEST_STORE}"}`)
	logs := []*logged{{}, {}}
	hubs := []*Hub{p.start(logs[0]), p.start(logs[1])}
	drifted(t, hubs[0], east)
	run := settles(t, hubs[1])
	begins := func() []int {
		return []int{logs[0].count("a run begins"), logs[1].count("a run begins")}
	}
	at := begins()
	if at[0]+at[1] != 1 {
		t.Fatalf("it was begun %v times", at)
	}
	works := hubs[at[1]]
	other := hubs[1-at[1]]
	plan := *other.plan() // the other one has files by which it is quick
	rec := *plan.Reconciliations[0]
	rec.Settle = 100 * time.Millisecond
	plan.Reconciliations = []*config.Reconciliation{&rec}
	now := *other.now.Load()
	now.plan = &plan
	other.now.Store(&now)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := works.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	onceMore(t, other, run.ID)
	if at := begins(); at[0] != 1 || at[1] != 1 {
		t.Errorf("it was begun %v times", at)
	}
}
