package app

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/schedule"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// jobs have runs of reconciliations and rules wanted at their times.
type jobs struct {
	scheduler *schedule.Scheduler
	of        map[string]config.Schedule // by name of the job
	since     map[string]time.Time       // what came due after it counts
}

// runSchedule is the kind of a schedule's runs in the store.
const runSchedule = "schedule"

func (h *Hub) startJobs(ctx context.Context) error {
	if err := h.changeJobs(ctx); err != nil {
		return err
	}
	return h.stack.Push("schedules", 10*time.Second, func(ctx context.Context) error {
		if h.jobs == nil {
			return nil
		}
		return h.jobs.scheduler.Stop(ctx)
	})
}

// changeJobs makes the schedules those of the plan. Where they are what they were, nothing happens.
func (h *Hub) changeJobs(ctx context.Context) error {
	now, next := h.clock.Now(), &jobs{of: map[string]config.Schedule{}, since: map[string]time.Time{}}
	var all []schedule.Job
	for _, r := range slices.Concat(comparedOf(h.plan(), state.RunReconciliation), comparedOf(h.plan(), state.RunRule)) {
		if r.schedule == nil {
			continue
		}
		when, err := schedule.Parse(r.schedule.Cron, r.schedule.Timezone)
		if err != nil {
			return err
		}
		name := state.RunLease(r.kind, r.name)
		next.of[name], next.since[name] = *r.schedule, now
		if h.jobs != nil && h.jobs.of[name] == *r.schedule { // a run that is put off by its jitter is not forgotten
			next.since[name] = latest(h.jobs.since[name], now.Add(-r.schedule.Jitter))
		}
		all = append(all, schedule.Job{Name: name, When: when, CatchUp: r.schedule.CatchUp, Jitter: r.schedule.Jitter, Since: next.since[name], Run: func(ctx context.Context) error {
			return h.wantScheduled(ctx, r.kind, r.name)
		}})
	}
	var err error
	if h.jobs != nil {
		if maps.Equal(h.jobs.of, next.of) {
			return nil
		}
		err = h.jobs.scheduler.Stop(ctx) // it has ended all the same
	}
	s, serr := schedule.New(schedule.Config{Store: jobStore{h.store}, Clock: h.clock, Log: h.log, Holder: h.holder(), LeaseTTL: h.leaseTTL()}, all...)
	if serr != nil {
		return errors.Join(err, serr)
	}
	next.scheduler = s
	h.jobs = next
	return err
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// wantTries is how often a run whose time has come is asked for: a store may be away for a moment.
const wantTries = 5

// wantScheduled asks for a run whose time has come. One that is under way is not asked for again.
func (h *Hub) wantScheduled(ctx context.Context, kind, name string) error {
	c := state.Comparison{Kind: kind, Name: name, Trigger: state.TriggerSchedule, Who: "schedule"}
	of, err := h.compared(kind, name)
	if err != nil {
		return nil // the files have changed
	}
	c.Keep, c.Options.Repair = of.keep, of.repair != nil && of.repair.Automatic
	var run state.Comparison
	fresh, tries := false, 0
	err = lifecycle.Retry(ctx, h.clock, lifecycle.Backoff{Min: time.Second, Max: 16 * time.Second}, func() (err error) {
		run, fresh, err = h.store.WantComparison(ctx, c)
		return err
	}, func(err error, _ time.Duration) error {
		if tries++; tries >= wantTries {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !fresh {
		h.log.Warn("a scheduled run is left out: the one before it is still under way", "kind", kind, "name", name, "run", run.ID, "since", cmp.Or(run.Started, run.Wanted))
		return nil
	}
	h.comparing.wake()
	return nil
}

// jobStore keeps the schedules' past in the store.
type jobStore struct{ *store.Store }

func (s jobStore) LastRun(ctx context.Context, job string) (time.Time, error) {
	runs, err := s.Runs(ctx, state.RunFilter{Kind: runSchedule, Name: job, Limit: 20})
	if err != nil {
		return time.Time{}, err
	}
	for _, r := range runs {
		if r.State != string(schedule.Interrupted) && r.State != "running" {
			return r.Started, nil
		}
	}
	return time.Time{}, nil
}

func (s jobStore) BeginRun(ctx context.Context, job string, at time.Time) (int64, error) {
	return s.StartRun(ctx, state.Run{Kind: runSchedule, Name: job, Started: at})
}

func (s jobStore) EndRun(ctx context.Context, run int64, st schedule.State, detail string) error {
	err := s.Store.EndRun(ctx, state.Run{ID: run, State: string(st), Detail: detail})
	if errors.Is(err, state.ErrNotFound) { // it was pruned
		return nil
	}
	return err
}
