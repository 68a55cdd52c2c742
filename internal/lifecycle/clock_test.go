package lifecycle

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestManualFiresInOrderAtItsOwnTime(t *testing.T) {
	m := NewManual(start)
	late, early := m.NewTimer(3*time.Second), m.NewTimer(time.Second)
	m.Advance(2 * time.Second)
	if at := <-early.C(); !at.Equal(start.Add(time.Second)) {
		t.Errorf("the early timer fired at %v", at)
	}
	select {
	case <-late.C():
		t.Error("the late timer fired early")
	default:
	}
	if at, ok := m.Next(); !ok || !at.Equal(start.Add(3*time.Second)) {
		t.Errorf("next: %v %v", at, ok)
	}
	if m.Advance(time.Second); !m.Now().Equal(start.Add(3 * time.Second)) {
		t.Errorf("now: %v", m.Now())
	}
	if at := <-late.C(); !at.Equal(start.Add(3 * time.Second)) {
		t.Errorf("the late timer fired at %v", at)
	}
}

func TestTimersStopAndReset(t *testing.T) {
	for name, clock := range map[string]Clock{"manual": NewManual(start), "real": Real()} {
		t.Run(name, func(t *testing.T) {
			timer := clock.NewTimer(time.Hour)
			if !timer.Stop() || timer.Stop() {
				t.Error("Stop does not tell whether the timer was running")
			}
			if timer.Reset(time.Hour) {
				t.Error("Reset says that a stopped timer was running")
			}
			if !timer.Reset(0) {
				t.Error("Reset says that a running timer was stopped")
			}
			<-timer.C()
			timer.Reset(0)
			timer.Stop() // a value that was not received is gone
			select {
			case <-timer.C():
				t.Error("a stopped timer delivered")
			default:
			}
		})
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	why := errors.New("enough")
	m := NewManual(start)
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() { done <- Sleep(ctx, m, time.Hour) }()
	if err := m.BlockUntil(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	if err := Sleep(ctx, m, 0); !errors.Is(err, why) {
		t.Errorf("an ended context does not end a sleep of no time: %v", err)
	}
	if m.Waiting() != 0 {
		t.Errorf("%d timers left", m.Waiting())
	}
}

func TestWaitIsWoken(t *testing.T) {
	m := NewManual(start)
	wake := make(chan struct{}, 1)
	wake <- struct{}{}
	if err := Wait(t.Context(), m, time.Hour, wake); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- Wait(t.Context(), m, time.Minute, wake) }()
	if err := m.BlockUntil(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	m.Advance(time.Minute)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestWithTimeout(t *testing.T) {
	why := errors.New("too slow")
	m := NewManual(start)
	ctx, cancel := WithTimeout(t.Context(), m, time.Second, why)
	defer cancel()
	if ctx.Err() != nil {
		t.Fatal("ended at once")
	}
	m.Advance(time.Second)
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), why) {
		t.Errorf("cause: %v", context.Cause(ctx))
	}
	early, cancel := WithTimeout(t.Context(), m, time.Second, why)
	cancel()
	<-early.Done()
	real, cancel := WithTimeout(t.Context(), Real(), time.Nanosecond, why)
	defer cancel()
	<-real.Done()
	if !errors.Is(context.Cause(real), why) || !errors.Is(real.Err(), context.DeadlineExceeded) {
		t.Errorf("real: %v, %v", real.Err(), context.Cause(real))
	}
}

// TestManualProperty: however the clock is moved forward, every timer that is not stopped fires once, when it is due.
func TestManualProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewManual(start)
		waits := rapid.SliceOfN(rapid.Int64Range(-5, 50), 1, 20).Draw(t, "waits")
		timers := make([]Timer, len(waits))
		for i, w := range waits {
			timers[i] = m.NewTimer(time.Duration(w))
		}
		fired := make([]bool, len(waits))
		for _, step := range rapid.SliceOfN(rapid.Int64Range(0, 20), 1, 8).Draw(t, "steps") {
			m.Advance(time.Duration(step))
			passed := int64(m.Now().Sub(start))
			for i, w := range waits {
				select {
				case at := <-timers[i].C():
					if fired[i] || passed < w || !at.Equal(start.Add(time.Duration(max(w, 0)))) {
						t.Fatalf("timer of %d fired wrongly at %v", w, at)
					}
					fired[i] = true
				default:
					if !fired[i] && passed >= w {
						t.Fatalf("timer of %d has not fired after %d", w, passed)
					}
				}
			}
		}
	})
}

func TestStepMovesNoTime(t *testing.T) {
	m := NewManual(start)
	timer := m.NewTimer(time.Minute)
	for _, d := range []time.Duration{time.Hour, -2 * time.Hour} {
		m.Step(d)
		select {
		case <-timer.C():
			t.Error("setting the time of day fired a timer")
		default:
		}
	}
	if !m.Now().Equal(start.Add(-time.Hour)) || m.Elapsed() != 0 {
		t.Errorf("now %v, elapsed %v", m.Now(), m.Elapsed())
	}
	m.Advance(time.Minute)
	<-timer.C()
	if m.Elapsed() != time.Minute {
		t.Errorf("elapsed %v", m.Elapsed())
	}
	first := Real().Elapsed()
	if Real().Elapsed() < first {
		t.Error("the machine's clock runs backwards")
	}
}
