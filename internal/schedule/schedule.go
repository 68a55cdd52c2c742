package schedule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/state"
)

var (
	// ErrRunning: the job is running already, here or on another hub.
	ErrRunning = errors.New("is running already")
	// ErrUnknownJob: no such job.
	ErrUnknownJob = errors.New("no such job")
	// ErrStopping: the scheduler is being stopped; a run that ends with it counts as interrupted.
	ErrStopping = errors.New("the scheduler is stopping")
)

// State is how a run ended.
type State string

const (
	// OK: the job returned no error.
	OK State = "ok"
	// Failed: it returned an error or panicked.
	Failed State = "failed"
	// Interrupted: the hub stopped, or lost the lease, before it was finished. The run is made up for by catch-up.
	Interrupted State = "interrupted"
)

// Store remembers the jobs' past and lends the right to run one.
type Store interface {
	// LastRun is when the job's newest run began, of those on any hub that were not interrupted; the zero time when it never ran.
	LastRun(ctx context.Context, job string) (time.Time, error)
	// BeginRun records that a run begins.
	BeginRun(ctx context.Context, job string, at time.Time) (int64, error)
	// EndRun records how the run ended; detail is the error's text.
	EndRun(ctx context.Context, run int64, s State, detail string) error
	// A job's lease is "job/" and its name.
	lease.Store
}

// Job is something to be done at set times.
type Job struct {
	// Name is unique among the jobs, and the same on all hubs.
	Name string
	When *Timetable
	// CatchUp makes up for runs that were missed while no hub was running: one run for all of them.
	CatchUp bool
	// Jitter is by how much a run may begin later than its time, so that not all begin at once.
	Jitter time.Duration
	// Since, where it is set, is the scheduler's for this job.
	Since time.Time
	// Run does the work. When ctx ends it should return soon, with ctx's cause.
	Run func(ctx context.Context) error
}

// Config is what a Scheduler needs.
type Config struct {
	Store Store
	Clock lifecycle.Clock
	Log   *slog.Logger // nil: silent
	// Holder names this process among the hubs.
	Holder string
	// Since: what came due after it counts, also where the scheduler was made later; zero: now.
	Since time.Time
	// LeaseTTL is how long a crashed hub keeps others from running its job; default 30 s.
	LeaseTTL time.Duration
}

// Scheduler runs jobs. A job never runs twice at the same time: what comes due during a run is skipped.
type Scheduler struct {
	c    Config
	jobs map[string]*job

	loops *lifecycle.Background // ended by Stop: nothing new begins
	work  context.Context       // ended when Stop loses patience: runs are interrupted
	abort context.CancelCauseFunc
}

type job struct {
	Job
	running chan struct{} // holds one token while a run is under way
}

// New makes a scheduler of these jobs and starts it. Names that are empty or given twice, and jobs that lack a timetable
// or work, are errors.
func New(c Config, jobs ...Job) (*Scheduler, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.LeaseTTL <= 0 {
		c.LeaseTTL = 30 * time.Second
	}
	s := &Scheduler{c: c, jobs: make(map[string]*job, len(jobs))}
	for _, j := range jobs {
		if j.Name == "" || j.When == nil || j.Run == nil {
			return nil, fmt.Errorf("job %q: a job has a name, a timetable and work", j.Name)
		}
		if s.jobs[j.Name] != nil {
			return nil, fmt.Errorf("job %q: there are two jobs of this name", j.Name)
		}
		s.jobs[j.Name] = &job{Job: j, running: make(chan struct{}, 1)}
	}
	s.loops = lifecycle.NewBackground(context.Background())
	s.work, s.abort = context.WithCancelCause(context.Background())
	for _, j := range s.jobs {
		s.loops.Go(func(ctx context.Context) error {
			return lifecycle.Supervise(ctx, c.Clock, func(ctx context.Context) error { s.loop(ctx, j); return nil }, func(err error, wait time.Duration) {
				c.Log.Error("a job's timetable failed; it is looked at again", "job", j.Name, "in", wait, "error", err)
			})
		})
	}
	return s, nil
}

// Stop begins nothing new and waits for running jobs; when ctx ends they are interrupted, and waited for.
func (s *Scheduler) Stop(ctx context.Context) error {
	err := s.loops.Stop(ctx, ErrStopping)
	s.abort(ErrStopping)
	if ctx.Err() != nil {
		err = s.loops.Stop(context.WithoutCancel(ctx), ErrStopping)
	}
	return err
}

// RunNow runs the job at once, outside its timetable, and waits for its end.
func (s *Scheduler) RunNow(ctx context.Context, name string) error {
	j := s.jobs[name]
	if j == nil {
		return fmt.Errorf("job %q: %w", name, ErrUnknownJob)
	}
	ended := make(chan error, 1)
	if !s.loops.Go(func(context.Context) error {
		ended <- lifecycle.Guard(func() error { return s.runNow(ctx, j) })
		return nil
	}) {
		return fmt.Errorf("job %q: %w", name, ErrStopping)
	}
	return <-ended
}

func (s *Scheduler) runNow(ctx context.Context, j *job) error {
	work, cancel := context.WithCancelCause(s.work)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
	ran, err := s.run(work, j, time.Time{})
	if err == nil && !ran {
		err = fmt.Errorf("job %q: %w", j.Name, ErrRunning)
	}
	return err
}

// longest is the longest that a loop sleeps before it looks at the clock again: a machine that was suspended, or whose clock
// was set, is noticed.
const longest = time.Minute

func (s *Scheduler) loop(ctx context.Context, j *job) {
	log := s.c.Log.With("job", j.Name)
	after := s.c.Clock.Now()
	if since := cmp.Or(j.Since, s.c.Since); !since.IsZero() && since.Before(after) {
		after = since
	}
	if j.CatchUp {
		last, err := s.last(ctx, log, j)
		if err != nil {
			return
		}
		if !last.IsZero() {
			after = last
		}
	}
	for {
		due := j.When.Next(after)
		if due.IsZero() {
			log.Warn("the job will not come due again", "schedule", j.When.String())
			return
		}
		begins := due
		if j.Jitter > 0 {
			begins = due.Add(rand.N(j.Jitter))
		}
		for now := s.c.Clock.Now(); now.Before(begins); now = s.c.Clock.Now() {
			if lifecycle.Sleep(ctx, s.c.Clock, min(begins.Sub(now), longest)) != nil {
				return
			}
		}
		if ctx.Err() != nil {
			return
		}
		ran, err := s.run(s.work, j, due)
		switch {
		case err != nil:
			log.Warn("a scheduled run failed", "due", due, "error", err)
		case !ran:
			log.Info("a scheduled run was left out: it is running, or another hub has run it", "due", due)
		}
		// What came due meanwhile is skipped; a clock that went back does not repeat anything.
		after = s.c.Clock.Now()
		if after.Before(due) {
			after = due
		}
	}
}

// last asks the store until it answers: without the answer a missed run would be forgotten.
func (s *Scheduler) last(ctx context.Context, log *slog.Logger, j *job) (last time.Time, err error) {
	failures := notice.NewLimiter(s.c.Clock, log)
	err = lifecycle.Retry(ctx, s.c.Clock, lifecycle.Backoff{Min: time.Second, Max: longest}, func() (err error) {
		last, err = s.c.Store.LastRun(ctx, j.Name)
		return err
	}, func(err error, wait time.Duration) error {
		failures.Warn("cannot read when the job last ran; trying again", err, "in", wait)
		return nil
	})
	return last, err
}

// run makes one run under the job's lease; false when the job is running, or when another hub has begun a run since due.
// A zero due asks for no such look.
func (s *Scheduler) run(ctx context.Context, j *job, due time.Time) (ran bool, err error) {
	select {
	case j.running <- struct{}{}:
		defer func() { <-j.running }()
	default:
		return false, nil
	}
	r := lease.Runner{Store: s.c.Store, Clock: s.c.Clock, Log: s.c.Log, Name: "job/" + j.Name, Holder: s.c.Holder, TTL: s.c.LeaseTTL}
	_, err = r.Once(ctx, func(ctx context.Context, _ *lease.Held) error {
		if !due.IsZero() {
			last, err := s.c.Store.LastRun(ctx, j.Name)
			if err != nil {
				return fmt.Errorf("read the last run: %w", err)
			}
			if !last.Before(due) {
				return nil
			}
		}
		ran = true
		return s.record(ctx, j)
	})
	if err != nil {
		err = fmt.Errorf("job %q: %w", j.Name, err)
	}
	return ran, err
}

// record makes a run and stores its beginning and its end.
func (s *Scheduler) record(ctx context.Context, j *job) error {
	id, err := s.c.Store.BeginRun(ctx, j.Name, s.c.Clock.Now())
	if err != nil {
		return fmt.Errorf("record the run: %w", err)
	}
	err = s.attempt(ctx, j)
	end, detail := outcome(err)
	if eerr := s.c.Store.EndRun(context.WithoutCancel(ctx), id, end, detail); eerr != nil {
		err = errors.Join(err, fmt.Errorf("record the run's end: %w", eerr))
	}
	return err
}

// outcome is how a run that gave err has ended.
func outcome(err error) (State, string) {
	switch {
	case err == nil:
		return OK, ""
	case errors.Is(err, ErrStopping), errors.Is(err, state.ErrFenced):
		return Interrupted, err.Error()
	}
	return Failed, err.Error()
}

// attempt calls the job's work. A panic is the run's error and nothing more.
func (s *Scheduler) attempt(ctx context.Context, j *job) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.c.Log.Error("a job panicked", "job", j.Name, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", r)
		}
		if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err) // say why it was interrupted, whatever the job made of it
		}
	}()
	return j.Run(ctx)
}
