package app

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// jobsWorld is what of a hub has to do with schedules, on a clock that is turned by hand.
type jobsWorld struct {
	t     *testing.T
	clock *lifecycle.Manual
	log   *logged
	store *store.Store
	hub   *Hub
}

func newJobsWorld(t *testing.T, now string) *jobsWorld {
	t.Helper()
	w := &jobsWorld{t: t, clock: lifecycle.NewManual(at(t, now)), log: &logged{}}
	var err error
	if w.store, err = store.Open(t.Context(), store.Config{SQLite: filepath.Join(t.TempDir(), "waybill.db"), Clock: w.clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	return w
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

// start starts a hub's schedules anew, as a hub that was stopped does.
func (w *jobsWorld) start(all ...*config.Schedule) {
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.hub = &Hub{clock: w.clock, log: log, store: w.store, stack: lifecycle.NewStack(w.clock, log)}
	w.hub.comparing.nudge = make(chan struct{}, 1)
	w.files(all...)
	if err := w.hub.startJobs(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	stack := w.hub.stack
	w.t.Cleanup(func() { _ = stack.Stop(w.t.Context()) })
}

func (w *jobsWorld) stop() {
	w.t.Helper()
	if err := w.hub.stack.Stop(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// files are those with these schedules, of reconciliations a, b, ...
func (w *jobsWorld) files(all ...*config.Schedule) {
	plan := &config.Plan{Hub: config.Hub{Store: config.Store{SQLite: &config.SQLite{}}}}
	for i, s := range all {
		plan.Reconciliations = append(plan.Reconciliations, &config.Reconciliation{Name: "abc"[i : i+1], Schedule: s})
	}
	w.hub.now.Store(&current{plan: plan})
}

// turn moves the clock to a time, step by step, as it would go by itself.
func (w *jobsWorld) turn(to time.Time) {
	w.t.Helper()
	for {
		synctest.Wait()
		next, ok := w.clock.Next()
		if !ok || next.After(to) {
			break
		}
		w.clock.Set(next)
	}
	if w.clock.Now().Before(to) {
		w.clock.Set(to)
		synctest.Wait()
	}
}

// wanted are the times at which runs of a name were wanted, oldest first; they are over then.
func (w *jobsWorld) wanted(name string) (out []string) {
	w.t.Helper()
	runs, err := w.store.Comparisons(w.t.Context(), state.ComparisonFilter{Kind: state.RunReconciliation, Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range runs {
		if r.Trigger != state.TriggerSchedule || r.Who != "schedule" {
			w.t.Errorf("%+v", r)
		}
		out = append(out, r.Wanted.UTC().Format("01-02 15:04"))
	}
	slices.Reverse(out)
	return out
}

// over ends the runs that are wanted.
func (w *jobsWorld) over(name string) {
	w.t.Helper()
	open, err := w.store.Comparisons(w.t.Context(), state.ComparisonFilter{Kind: state.RunReconciliation, Name: name, Open: true})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range open {
		l, ok, err := w.store.AcquireLease(w.t.Context(), state.RunLease(r.Kind, r.Name), "test", time.Hour)
		if err != nil || !ok {
			w.t.Fatal(ok, err)
		}
		r.State = state.RunAgreed
		if err := w.store.EndComparison(w.t.Context(), l, r); err != nil {
			w.t.Fatal(err)
		}
		if err := w.store.ReleaseLease(w.t.Context(), l); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *jobsWorld) expect(name string, want ...string) {
	w.t.Helper()
	if got := w.wanted(name); !slices.Equal(got, want) {
		w.t.Errorf("%s: wanted at %v, not at %v", name, got, want)
	}
}

// TestScheduledRuns: a run is wanted at its time; not again while the one before it is under way, which is said.
func TestScheduledRuns(t *testing.T) { synctest.Test(t, testScheduledRuns) }

func testScheduledRuns(t *testing.T) {
	w := newJobsWorld(t, "2026-05-04T01:30:00Z")
	w.start(&config.Schedule{Cron: "0 2 * * *"})
	w.turn(at(t, "2026-05-04T01:59:59Z"))
	w.expect("a")
	w.turn(at(t, "2026-05-04T02:00:00Z"))
	w.expect("a", "05-04 02:00")
	w.turn(at(t, "2026-05-05T03:00:00Z"))
	w.expect("a", "05-04 02:00")
	if w.log.count("a scheduled run is left out: the one before it is still under way", "name=a") != 1 {
		t.Error("it is not said")
	}
	w.over("a")
	w.turn(at(t, "2026-05-06T03:00:00Z"))
	w.expect("a", "05-04 02:00", "05-06 02:00")
}

// TestMissedRuns: runs that no hub was there for are made up for once, or not at all.
func TestMissedRuns(t *testing.T) { synctest.Test(t, testMissedRuns) }

func testMissedRuns(t *testing.T) {
	w := newJobsWorld(t, "2026-05-04T01:30:00Z")
	both := []*config.Schedule{{Cron: "0 2 * * *", CatchUp: true}, {Cron: "0 2 * * *"}}
	w.start(both...)
	w.turn(at(t, "2026-05-04T02:30:00Z"))
	w.over("a")
	w.over("b")
	w.stop()
	w.clock.Set(at(t, "2026-05-08T12:00:00Z"))
	w.start(both...)
	w.turn(at(t, "2026-05-08T12:00:01Z"))
	w.over("a")
	w.turn(at(t, "2026-05-09T02:30:00Z"))
	w.expect("a", "05-04 02:00", "05-08 12:00", "05-09 02:00")
	w.expect("b", "05-04 02:00", "05-09 02:00")
}

// TestDaylightSaving: an hour that is left out, or comes twice, leaves no day out and brings no second run.
func TestDaylightSaving(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, to string
		want     []string
	}{
		"spring": {"2026-03-27T12:00:00Z", "2026-03-31T12:00:00Z", []string{"03-28 01:30", "03-29 01:00", "03-30 00:30", "03-31 00:30"}},
		"autumn": {"2026-10-23T12:00:00Z", "2026-10-27T12:00:00Z", []string{"10-24 00:30", "10-25 00:30", "10-26 01:30", "10-27 01:30"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newJobsWorld(t, c.from)
				w.start(&config.Schedule{Cron: "30 2 * * *", Timezone: "Europe/Berlin"})
				for now := at(t, c.from); !now.After(at(t, c.to)); now = now.Add(6 * time.Hour) {
					w.turn(now)
					w.over("a")
				}
				w.expect("a", c.want...)
			})
		})
	}
}

// TestJitter: a run begins within its jitter, not always at the same time; a reload neither waits for it nor forgets it.
func TestJitter(t *testing.T) { synctest.Test(t, testJitter) }

func testJitter(t *testing.T) {
	w := newJobsWorld(t, "2026-05-04T01:30:00Z")
	put := &config.Schedule{Cron: "0 2 * * *", Jitter: 10 * time.Minute}
	w.start(put)
	seen := map[string]bool{}
	for day := range 5 {
		w.turn(at(t, "2026-05-04T02:00:00Z").AddDate(0, 0, day))
		w.turn(at(t, "2026-05-04T02:10:00Z").AddDate(0, 0, day))
		all := w.wanted("a")
		if len(all) != day+1 {
			t.Fatalf("by 02:10 of day %d: %v", day, all)
		}
		seen[strings.Fields(all[day])[1]] = true
		w.over("a")
	}
	if len(seen) < 2 {
		t.Errorf("always at %v", seen)
	}
	for i, next := range [][]*config.Schedule{{put, {Cron: "0 5 * * *"}}, {put}} { // another one comes, and goes
		day := at(t, "2026-05-20T02:00:00Z").AddDate(0, 0, i)
		w.turn(day.Add(-time.Hour))
		w.over("a")
		had := len(w.wanted("a"))
		w.turn(day)
		w.files(next...)
		if err := w.hub.changeJobs(t.Context()); err != nil { // it does not wait: nobody turns the clock
			t.Fatal(err)
		}
		w.turn(day.Add(10 * time.Minute))
		if got := len(w.wanted("a")); got != had+1 {
			t.Errorf("reload %d: %d runs, not one, after a reload within the jitter", i, got-had)
		}
		w.over("a")
	}
}

// TestSchedulesOfNewFiles: a schedule comes, changes and goes with the files. What it has missed before it was there is not made up for.
func TestSchedulesOfNewFiles(t *testing.T) { synctest.Test(t, testSchedulesOfNewFiles) }

func testSchedulesOfNewFiles(t *testing.T) {
	w := newJobsWorld(t, "2026-05-04T01:30:00Z")
	w.start(&config.Schedule{Cron: "0 2 * * *"})
	w.turn(at(t, "2026-05-04T02:30:00Z"))
	w.over("a")
	reload := func(all ...*config.Schedule) {
		t.Helper()
		w.files(all...)
		if err := w.hub.changeJobs(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	scheduler := w.hub.jobs
	reload(&config.Schedule{Cron: "0 2 * * *"})
	if w.hub.jobs != scheduler {
		t.Error("the same schedules were begun anew")
	}
	reload(&config.Schedule{Cron: "0 1 * * *"}, &config.Schedule{Cron: "0 2,3 * * *", Jitter: time.Hour, CatchUp: true})
	w.turn(at(t, "2026-05-04T04:30:00Z"))
	w.over("b")
	if got := w.wanted("b"); len(got) != 1 || got[0] < "05-04 03:00" {
		t.Errorf("b at %v", got)
	}
	w.turn(at(t, "2026-05-05T01:30:00Z"))
	w.over("a")
	reload(nil, &config.Schedule{Cron: "0 4 * * *"})
	w.turn(at(t, "2026-05-06T05:00:00Z"))
	w.expect("a", "05-04 02:00", "05-05 01:00")
	if len(w.wanted("b")) != 2 {
		t.Errorf("b at %v", w.wanted("b"))
	}
	w.files()
	if err := w.hub.changeJobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.clock.Waiting(); n != 0 {
		t.Error(fmt.Sprint(n, " still wait for a time"))
	}
}
