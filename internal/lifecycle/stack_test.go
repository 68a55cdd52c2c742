package lifecycle

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestStopIsLastInFirstOut(t *testing.T) {
	s := NewStack(Real(), nil)
	var order []string
	for _, name := range []string{"store", "broker", "http"} {
		if err := s.Push(name, time.Minute, func(context.Context) error { order = append(order, name); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"http", "broker", "store"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if err := s.Stop(t.Context()); err != nil || len(order) != 3 {
		t.Errorf("a second Stop did something: %v %v", err, order)
	}
}

func TestStopGoesOnAfterFailureAndPanic(t *testing.T) {
	s := NewStack(Real(), nil)
	broken := errors.New("disk gone")
	stopped := false
	_ = s.Push("first", 0, func(context.Context) error { stopped = true; return nil })
	_ = s.Push("failing", 0, func(context.Context) error { return broken })
	_ = s.Push("panicking", 0, func(context.Context) error { panic("oh") })
	err := s.Stop(t.Context())
	if !stopped {
		t.Error("the first was not stopped")
	}
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "stop panicking: panic: oh") || !strings.Contains(err.Error(), "stop failing: disk gone") {
		t.Errorf("error: %v", err)
	}
	if again := s.Stop(t.Context()); again == nil || again.Error() != err.Error() {
		t.Errorf("a second Stop says %v", again)
	}
}

func TestStopGivesUpAtTheDeadline(t *testing.T) {
	m := NewManual(start)
	s := NewStack(m, nil)
	release := make(chan struct{})
	var heard error
	var wg sync.WaitGroup
	wg.Add(1)
	stopped := false
	_ = s.Push("behind", time.Second, func(context.Context) error { stopped = true; return nil })
	_ = s.Push("stubborn", 5*time.Second, func(ctx context.Context) error {
		defer wg.Done()
		<-ctx.Done()
		heard = context.Cause(ctx)
		<-release
		return nil
	})
	done := make(chan error)
	go func() { done <- s.Stop(t.Context()) }()
	if err := m.BlockUntil(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	m.Advance(5 * time.Second) // its own deadline; then the stack gives it a moment or goes on at once
	err := <-done
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "stop stubborn") {
		t.Errorf("error: %v", err)
	}
	if !stopped {
		t.Error("the one behind was not stopped")
	}
	close(release)
	wg.Wait()
	if !errors.Is(heard, context.DeadlineExceeded) {
		t.Errorf("the teardown was told %v", heard)
	}
}

func TestStopWithoutTimeStillStopsWhatCan(t *testing.T) {
	s := NewStack(Real(), nil)
	closed := false
	_ = s.Push("quick", time.Minute, func(context.Context) error { closed = true; return nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(ctx); err != nil || !closed {
		t.Errorf("closed %v, error %v", closed, err)
	}

	m := NewManual(start)
	s = NewStack(m, nil)
	release := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	_ = s.Push("deaf", 0, func(context.Context) error { defer wg.Done(); <-release; return nil })
	done := make(chan error)
	go func() { done <- s.Stop(ctx) }()
	if err := m.BlockUntil(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	m.Advance(grace)
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
	close(release)
	wg.Wait()
}

func TestPushAfterStopLeaksNothing(t *testing.T) {
	s := NewStack(Real(), nil)
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	closed := false
	if err := s.Push("late", time.Minute, func(context.Context) error { closed = true; return nil }); !errors.Is(err, ErrStopped) || !closed {
		t.Errorf("closed %v, error %v", closed, err)
	}
}

func TestConcurrentStops(t *testing.T) {
	s := NewStack(Real(), nil)
	n := 0
	release := make(chan struct{})
	_ = s.Push("once", 0, func(context.Context) error { n++; <-release; return errors.New("no") })
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := s.Stop(t.Context()); err == nil {
				t.Error("no error")
			}
		})
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	close(release)
	wg.Wait()
	if n != 1 {
		t.Errorf("stopped %d times", n)
	}
	_ = s.Stop(impatient)
}
