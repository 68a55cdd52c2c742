package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/state"
)

var errNeverDue = errors.New("the source will not come due again: correct its schedule")

// SourceState is what the operator sees of a source.
type SourceState struct {
	Flow string
	// State is "waiting" (another hub does it), "ok", "failing" or "paused".
	State string
	// Error is the last failure; empty when the last read succeeded.
	Error string
	// Since is when the first read failed after the last one that succeeded; zero while none has.
	Since time.Time
	// Read is when the source was last read with success; zero when this hub has not.
	Read time.Time
	// Remarks are what the last complete read has to say of the system's data: one a kind.
	Remarks []connector.Remark
}

// States of a source.
const (
	SourceWaiting = "waiting"
	SourceOK      = "ok"
	SourceFailing = "failing"
	SourcePaused  = "paused"
)

const (
	firstRetry  = time.Second
	lastRetry   = 5 * time.Minute
	alarmTries  = 3
	longestWait = time.Second // after which a sleeper looks at the clock again
	setBack     = time.Minute // by less a clock is corrected, and nothing is due again for it
)

// reader reads one source on its timetable: what is common to polls and files.
type reader struct {
	src   Source
	kind  string // of its runs: "poll" or "files"
	when  Timetable
	store Store
	clock lifecycle.Clock
	log   *slog.Logger
	obs   Observer
	wake  func(flow string)
	// nudge asks for a read now, and ends a pause.
	nudge chan struct{}
	// read reads everything that is new and commits it with the cursor.
	read func(ctx context.Context, t *lease.Held) error

	failures *notice.Limiter // what the log is told of the hub's own store

	mu    sync.Mutex
	state SourceState
}

// State is the reader's present state.
func (r *reader) State() SourceState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

func (r *reader) set(state string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Flow, r.state.State, r.state.Error = r.src.Flow, state, ""
	switch {
	case err == nil:
		if r.state.Since = (time.Time{}); state == SourceOK {
			r.state.Read = r.clock.Now()
		}
	case r.state.Since.IsZero():
		r.state.Since = r.clock.Now()
		fallthrough
	default:
		r.state.Error = err.Error()
	}
}

// run reads whenever the source is due, until ctx ends. What was missed while no hub was running is made up for at once:
// the cursor's age tells.
func (r *reader) run(ctx context.Context, t *lease.Held) error {
	defer r.forget()
	defer r.set(SourceWaiting, nil)
	cur, err := r.store.Cursor(ctx, r.src.Flow)
	if err != nil {
		return fmt.Errorf("read the cursor: %w", err)
	}
	now := r.clock.Now()
	due := now
	if !cur.Updated.IsZero() && cur.Updated.Sub(now) <= setBack { // else the clock was set back: one read more does no harm
		if due = r.when.Next(cur.Updated); due.IsZero() {
			return errNeverDue
		}
		if due.After(now) && !due.Equal(r.when.Next(now)) {
			due = now.Add(due.Sub(now)) // a distance, no time of day: what is left of it is measured, whatever the clock is set to
		}
	}
	if wishes, err := r.store.SourceWishes(ctx, r.src.Flow); err != nil {
		return fmt.Errorf("read what is asked of the source: %w", err)
	} else if len(wishes) > 0 {
		due = now
	}
	r.set(SourceOK, nil)
	tries, failed, backs := lifecycle.Backoff{Min: firstRetry, Max: lastRetry}, 0, 0
	for {
		began, err := r.until(ctx, now, due, failed > 0, backs)
		if err != nil {
			return err
		}
		if err := t.Check(r.clock); err != nil {
			return err
		}
		backs = r.src.Health.Backs()
		err = lifecycle.Guard(func() error { return r.read(ctx, t) })
		now = r.clock.Now()
		switch {
		case err == nil:
			if failed >= alarmTries {
				r.obs.Alarm(r.src.Flow, AlarmSource, "")
			}
			tries.Reset()
			failed = 0
			r.src.Health.Success(r.src.Flow)
			r.obs.ReadAgain(r.src.Flow)
			r.set(SourceOK, nil)
			last := now
			if began.After(now) && began.Sub(now) <= setBack {
				last = began // the clock was corrected during the read: what was due is done
			}
			if due = r.when.Next(last); due.IsZero() {
				return errNeverDue
			}
			continue
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, state.ErrFenced):
			return err
		case fault.KindOf(err) == fault.Auth:
			r.src.unread(err)
			if err := r.pause(ctx, err); err != nil {
				return err
			}
			now = r.clock.Now()
			due = now
			continue
		}
		failed++
		r.src.unread(err)
		wait := tries.Next()
		if f, ok := fault.As(err); ok && f.RetryAfter > 0 {
			wait = min(f.RetryAfter, time.Hour)
		}
		r.set(SourceFailing, err)
		r.tell(err, failed)
		due = now.Add(wait)
	}
}

// tell tells of a read that failed, the source's failures apart from those of the hub's own store, which the status names by themselves.
func (r *reader) tell(err error, failed int) {
	if r.src.ofHub(err) {
		r.failures.Warn("what the source has cannot be taken: the hub's own store does not answer", err, "flow", r.src.Flow)
		return
	}
	r.obs.Unread(r.src.Flow, causeOf(err), err.Error())
	if failed == alarmTries {
		r.obs.Alarm(r.src.Flow, AlarmSource, fmt.Sprintf("%s cannot be read: %v", r.src.System, err))
	}
}

// until waits until due, or a nudge, and gives the moment at which it saw that; from is the moment at which due was reckoned. It looks at
// the clock again now and then: clocks are set, machines are suspended. A clock that is set back must not make a source that is due every minute rest for as long: what is due by the new time counts then, and a time of day that
// comes again is due again. One read more does no harm. The wait after a failure is no time of day, and stays as long as it is, unless the system has
// come back since it was asked: backs is how often it had then.
func (r *reader) until(ctx context.Context, from, due time.Time, failed bool, backs int) (time.Time, error) {
	from = from.Round(0)
	for {
		now := r.clock.Now()
		if !failed && from.Sub(now.Round(0)) > setBack {
			from = now.Round(0)
			if next := r.when.Next(now); !next.IsZero() && next.Before(due) {
				due = next
			}
		}
		left := due.Sub(now)
		if failed && r.src.Health.Backs() != backs {
			left = 0
		}
		if left <= 0 {
			return now, context.Cause(ctx)
		}
		timer := r.clock.NewTimer(min(left, longestWait))
		select {
		case <-timer.C():
		case <-r.nudge:
			timer.Stop()
			return r.clock.Now(), nil
		case <-ctx.Done():
			timer.Stop()
			return now, context.Cause(ctx)
		}
	}
}

// pause waits for a person: a system that refuses the hub's credentials would lock the account if it were asked again.
func (r *reader) pause(ctx context.Context, cause error) error {
	r.set(SourcePaused, cause)
	r.log.Error("the system refuses the hub's credentials; the source is paused", "flow", r.src.Flow, "system", r.src.System, "error", cause)
	r.obs.Alarm(r.src.Flow, AlarmAuth, fmt.Sprintf("%s refuses the hub's credentials: %v; correct them and resume", r.src.System, cause))
	select {
	case <-r.nudge:
		r.obs.Alarm(r.src.Flow, AlarmAuth, "")
		r.set(SourceOK, nil)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// resume reads now, and ends a pause.
func (r *reader) resume() {
	select {
	case r.nudge <- struct{}{}:
	default:
	}
}

// accept commits rows and cursor, under the lease.
func (r *reader) accept(ctx context.Context, t *lease.Held, rows []state.Inbound, cursor string) ([]state.Accepted, error) {
	return r.acceptRows(ctx, t, rows, &cursor)
}

// acceptRows is accept for rows of which the cursor may still be to come.
func (r *reader) acceptRows(ctx context.Context, t *lease.Held, rows []state.Inbound, cursor *string) ([]state.Accepted, error) {
	lease := t.Lease()
	var at *state.Cursor
	if cursor != nil {
		at = &state.Cursor{Flow: r.src.Flow, Value: *cursor, Updated: r.clock.Now()}
	}
	outcome, _, err := r.store.Accept(ctx, rows, at, &lease)
	if err != nil {
		return nil, fmt.Errorf("commit what was read: %w", err)
	}
	if len(outcome) != len(rows) {
		return nil, fmt.Errorf("the store answered for %d of %d rows", len(outcome), len(rows))
	}
	if len(rows) > 0 {
		r.wake(r.src.Flow)
	}
	return outcome, nil
}

// runLog is the record of one run. It is made when there is something to tell: a source that has nothing new leaves none. A short run is
// recorded at its end, in one go.
type runLog struct {
	r    *reader
	some bool
	run  state.Run
}

// tell: the run is to be recorded.
func (l *runLog) tell(detail string) {
	if !l.some {
		l.some = true
		l.run = state.Run{Kind: l.r.kind, Name: l.r.src.Flow, Started: l.r.clock.Now(), State: "running", Detail: detail}
	}
}

// lasts records a run that goes on, so that people see it.
func (l *runLog) lasts(ctx context.Context) error {
	if !l.some || l.run.ID != 0 {
		return nil
	}
	id, err := l.r.store.StartRun(ctx, l.run)
	if err != nil {
		return fmt.Errorf("record the run: %w", err)
	}
	l.run.ID = id
	return nil
}

// end records how it went; a failure with nothing else to tell is recorded too, the hub's own stop is not a failure.
func (l *runLog) end(ctx context.Context, count int, err error) {
	if err != nil && ctx.Err() == nil {
		l.tell("") // the failure itself is logged by the reader
	}
	if !l.some {
		return
	}
	l.run.Finished, l.run.State, l.run.Count = l.r.clock.Now(), "ok", int64(count)
	if err != nil {
		l.run.State, l.run.Detail = "failed", err.Error()
	}
	ctx = context.WithoutCancel(ctx)
	var lost error
	if l.run.ID == 0 {
		_, lost = l.r.store.StartRun(ctx, l.run)
	} else {
		lost = l.r.store.EndRun(ctx, l.run)
	}
	if lost != nil {
		l.r.failures.Warn("cannot record a run", lost, "flow", l.r.src.Flow)
	}
}
