package app

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

// TestBackfillOfAHub: what polls have missed is loaded, what is known is written no more, a flow that stands still is waited for and told, a reload in the
// middle changes nothing, and a person ends what goes on.
func TestBackfillOfAHub(t *testing.T) {
	t.Parallel()
	g := newTarget(t)
	p := newProject(t, g.URL)
	db := till(t, p, "", "version: source.at")
	for i := range 30 {
		execSQL(t, db, fmt.Sprintf("INSERT INTO sale VALUES (%d, 'S%d', 1, '2026-03-01T12:00:%02d.000Z')", i+1, i, i))
	}
	hub := p.start(io.Discard)
	await(t, "what is there", func() bool { return len(g.newest(t)) == 30 })
	execSQL(t, db, "INSERT INTO sale VALUES (40, 'LATE', 1, '2026-03-01T11:00:00.000Z'), (41, NULL, 1, '2026-03-01T11:00:00.000Z')") // committed late: no poll sees them
	rest(t, hub)
	run := func(q api.BackfillRequest) *state.Backfill {
		t.Helper()
		b, err := hub.Backfill(t.Context(), "sales", q, "ann")
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	over := func(id int64) *state.Backfill {
		t.Helper()
		var b *state.Backfill
		await(t, "the end of a backfill", func() bool {
			var err error
			if b, err = hub.BackfillByID(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			return b.State.Over()
		})
		return b
	}
	writes := g.writes
	b := over(run(api.BackfillRequest{Note: "to be sure"}).ID)
	if b.State != state.BackfillDone || b.Progress.Submitted != 32 || b.Progress.Expect != 32 || b.Detail != "" {
		t.Errorf("%+v", b)
	}
	st := rest(t, hub)
	if g.newest(t)["LATE"].Seq != 1 || g.writes != writes+1 || st.Totals.Unaccounted != 0 || st.Totals.Parked != 1 { // the one without a number
		t.Errorf("%d writes, totals %+v", g.writes-writes, st.Totals)
	}
	for _, f := range st.Flows {
		if shown := f.Backfill; (f.Name == "sales") != (shown != nil) || shown != nil && (shown.ID != b.ID || shown.State != "done" || shown.Submitted != 32) {
			t.Errorf("the status of %s tells of %+v", f.Name, shown)
		}
	}
	tr, err := hub.Trace(t.Context(), "LATE")
	if err != nil || len(tr.Acts) != 1 || tr.Acts[0].Action != "backfill" || tr.Acts[0].Who != "ann" || tr.Acts[0].Note != "to be sure" {
		t.Errorf("acts %+v, %v", tr.Acts, err)
	}
	// Of what has changed since alone.
	execSQL(t, db, "INSERT INTO sale VALUES (42, 'NEW', 1, '2026-03-03T11:00:00.000Z')")
	hub.intake.ReadNow("sales")
	await(t, "the new one", func() bool { return g.newest(t)["NEW"].Seq == 1 })
	if b = over(run(api.BackfillRequest{Since: time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)}).ID); b.State != state.BackfillDone || b.Progress.Submitted != 1 {
		t.Errorf("since: %+v", b)
	}

	// A flow on the way is paused: the backfill waits, and says so; it goes on after a reload as well.
	if err := hub.Pause(t.Context(), "orders-to-erp", "bob"); err != nil {
		t.Fatal(err)
	}
	b = run(api.BackfillRequest{})
	waits := func() bool {
		now, err := hub.BackfillByID(t.Context(), b.ID)
		return err == nil && strings.Contains(now.Progress.Text, "flows stand still: orders-to-erp (paused)")
	}
	await(t, "what it waits for", waits)
	if _, err := hub.Backfill(t.Context(), "sales", api.BackfillRequest{}, "bob"); !errors.Is(err, state.ErrBusy) || !strings.Contains(err.Error(), fmt.Sprintf("backfill %d of flow sales is under way already", b.ID)) {
		t.Errorf("a second one: %v", err)
	}
	release := hub.backfilling.hold()
	if now, err := hub.BackfillByID(t.Context(), b.ID); err != nil || now.State != state.BackfillRunning {
		t.Errorf("while the files change: %+v %v", now, err)
	}
	release()
	await(t, "what it waits for after that", waits)
	if err := hub.Resume(t.Context(), "orders-to-erp", "bob"); err != nil {
		t.Fatal(err)
	}
	if b = over(b.ID); b.State != state.BackfillDone || b.Attempt != 2 || b.Progress.Submitted != 33 {
		t.Errorf("%+v", b)
	}

	// A person ends one.
	if err := hub.Pause(t.Context(), "sales", "bob"); err != nil {
		t.Fatal(err)
	}
	b = run(api.BackfillRequest{})
	if _, err := hub.CancelBackfill(t.Context(), b.ID, "cyd", "at night"); err != nil {
		t.Fatal(err)
	}
	if b = over(b.ID); b.State != state.BackfillCancelled || b.Detail != "cancelled by cyd: at night" {
		t.Errorf("%+v", b)
	}
	if err := hub.Resume(t.Context(), "sales", "bob"); err != nil {
		t.Fatal(err)
	}

	// Everything again, also what is known to be there.
	writes = g.writes
	sent, err := hub.Resend(t.Context(), api.ResendRequest{Entity: "order", All: true}, "ann")
	if err != nil || sent.State != "wanted" || sent.Flow != "sales" || sent.Backfill == 0 {
		t.Fatalf("%+v %v", sent, err)
	}
	if b = over(sent.Backfill); b.State != state.BackfillDone || !b.Again {
		t.Errorf("%+v", b)
	}
	if rest(t, hub); g.writes != writes+32 {
		t.Errorf("%d writes", g.writes-writes)
	}
	for flow, says := range map[string]string{"orders": "flow orders cannot be backfilled: shop cannot list what it holds (it has no object type order to list): let shop send it again",
		"orders-to-erp": "it reads the topic canonical.order: do it with a flow that fills it: orders, sales"} {
		var invalid *api.Invalid
		if _, err := hub.Backfill(t.Context(), flow, api.BackfillRequest{}, "ann"); !errors.As(err, &invalid) || !strings.Contains(invalid.Detail, says) {
			t.Errorf("%s: %v", flow, err)
		}
	}
	var invalid *api.Invalid
	if _, err := hub.Backfill(t.Context(), "sales", api.BackfillRequest{Since: time.Now().Add(time.Hour)}, "ann"); !errors.As(err, &invalid) || !strings.Contains(invalid.Detail, "has not been yet") {
		t.Errorf("since tomorrow: %v", err)
	}
	if _, err := hub.Backfill(t.Context(), "sale", api.BackfillRequest{}, "ann"); !errors.Is(err, state.ErrNotFound) || !strings.Contains(err.Error(), `did you mean "sales"?`) {
		t.Errorf("no flow: %v", err)
	}
}
