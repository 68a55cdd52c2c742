package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// Sweep is how what polls cannot see is found: everything that the system holds is listed, and compared by id with what is known.
type Sweep struct {
	Lister connector.Lister
	When   Timetable
	// AtMost bounds the deletes of one sweep; where more is missing nothing is deleted.
	AtMost config.AtMost
}

// RunSweep is the kind of a sweep's runs, and the further states that one has.
const (
	RunSweep    = "sweep"
	RunOK       = "ok"
	RunFailed   = "failed"
	RunHeld     = "held" // more was missing than may be deleted: a person is asked
	interrupted = "interrupted"
)

const (
	sweepNap   = 30 * time.Second // after which a sleeper looks at the clock again
	sweepRetry = time.Minute
)

// sweeper looks for deletes without a trace, and for changes that polls have missed. It works beside the poller, under the same lease.
type sweeper struct {
	*poller
	sweep Sweep
	nudge chan struct{}
	// alarmed: the last sweep was held, and people were told.
	alarmed bool
}

// work polls and, where the source is swept, sweeps, until either ends.
func (p *poller) work(ctx context.Context, t *lease.Held) error {
	p.last = recent{} // meanwhile another hub may have read
	if p.sweeper == nil {
		return p.run(ctx, t)
	}
	both := lifecycle.NewBackground(ctx)
	both.Go(func(ctx context.Context) error { return p.sweeper.run(ctx, t) })
	both.Go(func(ctx context.Context) error { return p.run(ctx, t) })
	if err := both.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// run sweeps whenever it is time, until ctx ends. Times that were missed while no hub was running are made up for by one sweep.
func (s *sweeper) run(ctx context.Context, t *lease.Held) error {
	last, err := s.past(ctx)
	if err != nil {
		return err
	}
	tries := lifecycle.Backoff{Min: sweepRetry, Max: time.Hour}
	due, tried := s.next(last), int64(0) // the wish that failed, and waits like anything that failed
	for {
		wish, err := s.until(ctx, due, tried)
		if err != nil {
			return err
		}
		err = lifecycle.Guard(func() error { return s.once(ctx, t, wish) })
		now := s.clock.Now()
		switch {
		case err == nil:
			tries.Reset()
			s.src.Health.Success(s.src.Flow)
			due, tried = s.next(now), 0
			continue
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, state.ErrFenced):
			return err
		case fault.KindOf(err) == fault.Auth: // asked again and again, the system would lock the account
			s.log.Error("the system refuses the hub's credentials; the sweep waits for its next time", "flow", s.src.Flow, "system", s.src.System, "error", err)
			due = s.next(now)
		default:
			wait := tries.Next()
			s.log.Warn("a sweep failed and has deleted nothing; trying again", "flow", s.src.Flow, "system", s.src.System, "in", wait, "error", err)
			due = now.Add(wait)
		}
		s.src.unread(err)
		if wish != nil {
			tried = wish.ID
		}
	}
}

// next is when the sweep after the one at last is due; a source that was never swept waits for its time.
func (s *sweeper) next(last time.Time) time.Time {
	if last.IsZero() {
		last = s.clock.Now()
	}
	return s.sweep.When.Next(last)
}

// past gives when the last sweep that came to an end began. One that still counts as running was a dead process's.
func (s *sweeper) past(ctx context.Context) (last time.Time, err error) {
	runs, err := s.store.Runs(ctx, state.RunFilter{Kind: RunSweep, Name: s.src.Flow})
	if err != nil {
		return last, fmt.Errorf("read the sweeps of before: %w", err)
	}
	for _, r := range runs {
		switch {
		case r.State == "running":
			r.State, r.Detail, r.Finished = interrupted, "the hub ended during the sweep", s.clock.Now()
			if err := s.store.EndRun(ctx, r); err != nil {
				return last, fmt.Errorf("end a sweep of before: %w", err)
			}
		case last.IsZero() && (r.State == RunOK || r.State == RunHeld):
			last = r.Started
			s.alarmed = r.State == RunHeld
		}
	}
	return last, nil
}

// until waits until due, or for a wish other than the one that was tried, and gives the wish where there is one.
func (s *sweeper) until(ctx context.Context, due time.Time, tried int64) (*state.SourceWish, error) {
	for {
		wishes, err := s.store.SourceWishes(ctx, s.src.Flow)
		if err != nil {
			return nil, fmt.Errorf("read what is asked of the source: %w", err)
		}
		var wish *state.SourceWish
		for i := range wishes {
			if wishes[i].Kind == state.WishSweep {
				wish = &wishes[i]
			}
		}
		nap := sweepNap
		if !due.IsZero() {
			nap = min(nap, due.Sub(s.clock.Now()))
		}
		if nap <= 0 || wish != nil && wish.ID != tried {
			return wish, nil
		}
		if err := lifecycle.Wait(ctx, s.clock, nap, s.nudge); err != nil {
			return nil, err
		}
	}
}

// once sweeps, and records how it went.
func (s *sweeper) once(ctx context.Context, t *lease.Held, wish *state.SourceWish) error {
	bound := s.sweep.AtMost
	if wish != nil && wish.Detail != "" {
		var err error
		if bound, err = config.ParseAtMost(wish.Detail); err != nil {
			return s.store.EndWish(ctx, *wish, t.Lease(), "sweep-refused", err.Error())
		}
	}
	run := state.Run{Kind: RunSweep, Name: s.src.Flow, Started: s.clock.Now(), State: "running"}
	id, err := s.store.StartRun(ctx, run)
	if err != nil {
		return fmt.Errorf("record the sweep: %w", err)
	}
	found, err := s.look(ctx, t, bound)
	run.ID, run.Finished, run.Count = id, s.clock.Now(), int64(found.deleted)
	run.State, run.Detail = RunOK, found.text()
	switch {
	case err != nil && ctx.Err() != nil:
		run.State, run.Detail = interrupted, "the hub ended, or gave the source to another one, during the sweep"
	case err != nil:
		run.State, run.Detail = RunFailed, err.Error()
	case found.held != "":
		run.State, run.Detail = RunHeld, found.held
	}
	if lost := s.store.EndRun(context.WithoutCancel(ctx), run); lost != nil {
		s.log.Warn("cannot record the end of a sweep", "flow", s.src.Flow, "error", lost)
	}
	if err != nil {
		return err
	}
	s.tell(found)
	if wish != nil {
		return s.store.EndWish(ctx, *wish, t.Lease(), "", "")
	}
	return nil
}

// tell says what came of a sweep where somebody should know.
func (s *sweeper) tell(found *swept) {
	switch {
	case found.held != "":
		s.log.Error("a sweep has deleted nothing", "flow", s.src.Flow, "system", s.src.System, "why", found.held)
		s.obs.Alarm(s.src.Flow, AlarmSweep, found.held)
	case found.deleted+found.taken > 0:
		s.log.Info("a sweep has found what polls did not see", "flow", s.src.Flow, "system", s.src.System, "found", found.text())
	}
	if s.alarmed && found.held == "" {
		s.obs.Alarm(s.src.Flow, AlarmSweep, "")
	}
	s.alarmed = found.held != ""
}
