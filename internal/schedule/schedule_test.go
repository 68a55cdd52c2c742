package schedule

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// memory is a Store shared by hubs in one test.
type memory struct {
	clock lifecycle.Clock

	mu    sync.Mutex
	runs  []run
	held  map[string]int64 // lease → token
	token int64
	fail  error         // of the next LastRun
	ended chan State    // told of every end
	lost  chan struct{} // closed: renewals fail
}

type run struct {
	job    string
	at     time.Time
	state  State
	detail string
}

func newMemory(c lifecycle.Clock) *memory {
	return &memory{clock: c, held: map[string]int64{}, ended: make(chan State, 100), lost: make(chan struct{})}
}

func (m *memory) LastRun(_ context.Context, job string) (last time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	err, m.fail = m.fail, nil
	for _, r := range m.runs {
		if r.job == job && r.state != Interrupted && r.at.After(last) {
			last = r.at
		}
	}
	return last, err
}

func (m *memory) BeginRun(_ context.Context, job string, at time.Time) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.runs = append(m.runs, run{job: job, at: at, state: "running"})
	return int64(len(m.runs) - 1), nil
}

func (m *memory) EndRun(_ context.Context, id int64, s State, detail string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.runs[id].state, m.runs[id].detail = s, detail
	m.ended <- s
	return nil
}

func (m *memory) AcquireLease(_ context.Context, name, holder string, _ time.Duration) (state.Lease, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held[name] != 0 {
		return state.Lease{}, false, nil
	}
	m.token++
	m.held[name] = m.token
	return state.Lease{Name: name, Holder: holder, Token: m.token}, true, nil
}

func (m *memory) RenewLease(_ context.Context, l state.Lease, _ time.Duration) (state.Lease, error) {
	select {
	case <-m.lost:
		return l, fmt.Errorf("renew: %w", state.ErrFenced)
	default:
		return l, nil
	}
}

func (m *memory) ReleaseLease(_ context.Context, l state.Lease) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.held, l.Name)
	return nil
}

func (m *memory) all() []run {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]run(nil), m.runs...)
}

var night = time.Date(2026, 5, 1, 1, 0, 0, 0, time.UTC)

func start(t *testing.T, m *memory, jobs ...Job) *Scheduler {
	t.Helper()
	s, err := New(Config{Store: m, Clock: m.clock}, jobs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Stop(ctx)
	})
	return s
}

// turn moves the clock to the time, in the sleepers' own steps, each when everything is at rest.
func turn(c *lifecycle.Manual, to time.Time) {
	for {
		synctest.Wait()
		next, ok := c.Next()
		if !ok || next.After(to) {
			c.Set(to)
			return
		}
		c.Set(next)
		if next.Equal(to) {
			return
		}
	}
}

// inBubble runs a test in a bubble, which tells when everything is at rest. The clock is turned by hand.
func inBubble(test func(*testing.T)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, test) }
}

func TestRunsWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := lifecycle.NewManual(night)
		m := newMemory(clock)
		start(t, m, Job{Name: "nightly", When: mustParse(t, "0 2 * * *", "UTC"), Run: func(context.Context) error { return nil }})
		turn(clock, night.Add(time.Hour))
		if s := <-m.ended; s != OK {
			t.Fatalf("state %s", s)
		}
		turn(clock, night.Add(25*time.Hour))
		<-m.ended
		for i, r := range m.all() {
			if want := night.Add(time.Hour + time.Duration(i)*24*time.Hour); !r.at.Equal(want) {
				t.Errorf("run %d at %v, want %v", i, r.at, want)
			}
		}
	})
}

func TestCatchUpIsOnce(t *testing.T) {
	for _, c := range []struct {
		name    string
		last    time.Time
		state   State
		catchUp bool
		want    int
	}{
		{"missed for a week: once", night.AddDate(0, 0, -7), OK, true, 1},
		{"missed, but not asked for", night.AddDate(0, 0, -7), OK, false, 0},
		{"not missed", night.Add(-22 * time.Hour), OK, true, 0},
		{"never ran: nothing to make up for", time.Time{}, OK, true, 0},
		{"a failed run is a run", night.Add(-22 * time.Hour), Failed, true, 0},
		{"an interrupted run is none", night.Add(-22 * time.Hour), Interrupted, true, 0}, // and the one before is not known
	} {
		t.Run(c.name, inBubble(func(t *testing.T) {
			clock := lifecycle.NewManual(night)
			m := newMemory(clock)
			if !c.last.IsZero() {
				m.runs = append(m.runs, run{"j", c.last, c.state, ""})
			}
			before := len(m.runs)
			start(t, m, Job{Name: "j", When: mustParse(t, "0 2 * * *", "UTC"), CatchUp: c.catchUp, Run: func(context.Context) error { return nil }})
			synctest.Wait() // asleep until the regular time
			for range c.want {
				<-m.ended
			}
			synctest.Wait()
			if got := len(m.all()) - before; got != c.want {
				t.Errorf("%d runs, want %d", got, c.want)
			}
		}))
	}
}

func TestInterruptedRunIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := lifecycle.NewManual(night)
		m := newMemory(clock)
		m.runs = []run{{"j", night.AddDate(0, 0, -1).Add(time.Hour), OK, ""}, {"j", night.Add(time.Hour), Interrupted, ""}}
		clock.Set(night.Add(90 * time.Minute))
		start(t, m, Job{Name: "j", When: mustParse(t, "0 2 * * *", "UTC"), CatchUp: true, Run: func(context.Context) error { return nil }})
		if s := <-m.ended; s != OK {
			t.Errorf("state %s", s)
		}
	})
}

func TestStoreFailureDoesNotForgetAMissedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := lifecycle.NewManual(night)
		m := newMemory(clock)
		m.runs = []run{{"j", night.AddDate(0, 0, -3), OK, ""}}
		m.fail = errors.New("connection refused")
		start(t, m, Job{Name: "j", When: mustParse(t, "0 2 * * *", "UTC"), CatchUp: true, Run: func(context.Context) error { return nil }})
		synctest.Wait()
		clock.Advance(time.Second)
		if s := <-m.ended; s != OK {
			t.Errorf("state %s", s)
		}
	})
}

// TestPanicIsOneFailure: the job runs again the next time. With Recover outside of the guard against overlap it would not.
func TestPanicIsOneFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := lifecycle.NewManual(night)
		m := newMemory(clock)
		n := 0
		s := start(t, m, Job{Name: "j", When: Every(time.Minute), Run: func(context.Context) error {
			if n++; n == 1 {
				panic("nil map")
			}
			return nil
		}})
		turn(clock, night.Add(time.Minute))
		if s := <-m.ended; s != Failed {
			t.Errorf("state %s", s)
		}
		turn(clock, night.Add(2*time.Minute))
		if s := <-m.ended; s != OK {
			t.Errorf("after a panic: state %s", s)
		}
		synctest.Wait() // the lease is given back
		if err := s.RunNow(t.Context(), "j"); err != nil {
			t.Errorf("after a panic: %v", err)
		}
	})
}

func TestNoOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := lifecycle.NewManual(night)
		m := newMemory(clock)
		began, finish := make(chan struct{}), make(chan struct{})
		s := start(t, m, Job{Name: "slow", When: Every(time.Minute), Run: func(context.Context) error {
			began <- struct{}{}
			<-finish
			return nil
		}})
		turn(clock, night.Add(time.Minute))
		<-began
		if err := s.RunNow(t.Context(), "slow"); !errors.Is(err, ErrRunning) {
			t.Errorf("a second run: %v", err)
		}
		turn(clock, night.Add(5*time.Minute)) // the sleeper is the renewal; four dues pass
		finish <- struct{}{}
		<-m.ended
		turn(clock, night.Add(6*time.Minute))
		<-began
		finish <- struct{}{}
		<-m.ended
		if n := len(m.all()); n != 2 {
			t.Errorf("%d runs, want 2: what came due meanwhile is skipped", n)
		}
	})
}

func TestTwoHubsRunItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := lifecycle.NewManual(night)
		m := newMemory(clock)
		var mu sync.Mutex
		n := 0
		job := Job{Name: "j", When: mustParse(t, "0 2 * * *", "UTC"), Run: func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			n++
			return nil
		}}
		start(t, m, job)
		start(t, m, job)
		turn(clock, night.Add(time.Hour))
		<-m.ended
		synctest.Wait() // both are asleep again
		mu.Lock()
		defer mu.Unlock()
		if n != 1 {
			t.Errorf("ran %d times", n)
		}
	})
}

func TestLostLeaseInterrupts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := lifecycle.NewManual(night)
		m := newMemory(clock)
		began := make(chan struct{})
		start(t, m, Job{Name: "j", When: Every(time.Minute), Run: func(ctx context.Context) error {
			close(began)
			<-ctx.Done()
			return errors.New("cannot go on") // a job that does not say why
		}})
		turn(clock, night.Add(time.Minute))
		<-began
		close(m.lost)
		synctest.Wait()
		clock.Advance(10 * time.Second)
		if s := <-m.ended; s != Interrupted {
			t.Errorf("state %s", s)
		}
	})
}

func TestStopWaitsThenInterrupts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := lifecycle.NewManual(night)
		m := newMemory(clock)
		began := make(chan struct{})
		s, err := New(Config{Store: m, Clock: clock}, Job{Name: "j", When: Every(time.Minute), Run: func(ctx context.Context) error {
			close(began)
			<-ctx.Done()
			return context.Cause(ctx)
		}})
		if err != nil {
			t.Fatal(err)
		}
		turn(clock, night.Add(time.Minute))
		<-began
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- s.Stop(ctx) }()
		select {
		case <-stopped:
			t.Fatal("Stop did not wait for the run")
		case <-s.loops.Context().Done():
		}
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if st := <-m.ended; st != Interrupted {
			t.Errorf("state %s", st)
		}
		if err := s.RunNow(t.Context(), "j"); !errors.Is(err, ErrStopping) {
			t.Errorf("after Stop: %v", err)
		}
	})
}

func TestRunNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := lifecycle.NewManual(night)
		m := newMemory(clock)
		broken := errors.New("broken")
		s := start(t, m, Job{Name: "j", When: Every(time.Hour), Run: func(context.Context) error { return broken }})
		if err := s.RunNow(t.Context(), "j"); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		if r := m.all()[0]; r.state != Failed || r.detail != "broken" {
			t.Errorf("recorded %+v", r)
		}
		if err := s.RunNow(t.Context(), "other"); !errors.Is(err, ErrUnknownJob) {
			t.Errorf("got %v", err)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	ok := Job{Name: "a", When: Every(time.Hour), Run: func(context.Context) error { return nil }}
	for _, jobs := range [][]Job{{ok, ok}, {{Name: "a", When: ok.When}}, {{Name: "a", Run: ok.Run}}, {{When: ok.When, Run: ok.Run}}} {
		if _, err := New(Config{Store: newMemory(nil), Clock: lifecycle.NewManual(night)}, jobs...); err == nil {
			t.Errorf("%v was accepted", jobs)
		}
	}
}

// TestClockSetBack: a clock that is put back does not repeat a run.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := lifecycle.NewManual(night)
		m := newMemory(clock)
		start(t, m, Job{Name: "j", When: mustParse(t, "0 2 * * *", "UTC"), Run: func(context.Context) error {
			clock.Set(night)
			return nil
		}})
		turn(clock, night.Add(time.Hour))
		<-m.ended
		turn(clock, night.Add(23*time.Hour))
		if n := len(m.all()); n != 1 {
			t.Errorf("ran %d times", n)
		}
	})
}
