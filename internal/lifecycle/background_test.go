package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

func TestBackground(t *testing.T) {
	why, late := errors.New("stopping"), errors.New("too late")
	b := lifecycle.NewBackground(t.Context())
	var ended atomic.Int32
	hold := make(chan struct{})
	for range 3 {
		b.Go(func(ctx context.Context) error {
			<-ctx.Done()
			<-hold
			ended.Add(1)
			return fmt.Errorf("a piece: %w", context.Cause(ctx))
		})
	}
	if b.Err() != nil {
		t.Errorf("before the stop: %v", b.Err())
	}
	over, end := context.WithCancelCause(t.Context())
	end(late)
	if err := b.Stop(over, why); !errors.Is(err, late) || !errors.Is(context.Cause(b.Context()), why) {
		t.Errorf("a stop that waits no longer gives %v", err)
	}
	close(hold)
	if err := b.Stop(t.Context(), errors.New("again")); err != nil || ended.Load() != 3 {
		t.Errorf("%v, and %d of 3 have ended", err, ended.Load())
	}
	if b.Go(func(context.Context) error { t.Error("begun after the end"); return nil }) {
		t.Error("a piece that is not begun counts as begun")
	}
}

// What is begun ends with the parent, for the parent's reason.
func TestBackgroundOfAParent(t *testing.T) {
	why := errors.New("the hub is stopping")
	parent, end := context.WithCancelCause(t.Context())
	b := lifecycle.NewBackground(parent)
	got := make(chan error, 1)
	b.Go(func(ctx context.Context) error { <-ctx.Done(); got <- context.Cause(ctx); return ctx.Err() })
	end(why)
	if err := <-got; !errors.Is(err, why) {
		t.Errorf("it ends for %v", err)
	}
	if err := b.Wait(); err != nil {
		t.Error(err)
	}
}

// The first failure ends the other pieces, and is what is told; a panic is one.
func TestBackgroundFails(t *testing.T) {
	broken, stopping := errors.New("broken"), errors.New("stopping")
	for name, c := range map[string]struct {
		work func(ctx context.Context) error
		want string
	}{
		"by an error": {func(context.Context) error { return broken }, "broken"},
		"by a panic":  {func(context.Context) error { panic("oh") }, "panic: oh"},
		"while it was told to end": {func(ctx context.Context) error {
			<-ctx.Done()
			return errors.New("the rest cannot be written")
		}, "the rest cannot be written"},
		"not, where it ends as it was told": {func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }, ""},
		"not, where it is done":             {func(context.Context) error { return nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := lifecycle.NewBackground(t.Context())
			other := make(chan error, 1)
			b.Go(func(ctx context.Context) error { <-ctx.Done(); other <- context.Cause(ctx); return context.Cause(ctx) })
			b.Go(c.work)
			if strings.HasPrefix(name, "by") { // it ends the others by itself
				if err := <-other; !strings.Contains(err.Error(), c.want) {
					t.Errorf("the other piece ends for %v", err)
				}
			}
			err := b.Stop(t.Context(), stopping)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("told %v, want %q", err, c.want)
			}
		})
	}
}

// However Go and Stop meet: what was begun is waited for, and nothing else runs.
func TestBackgroundGoBesideStop(t *testing.T) {
	for range 200 {
		b := lifecycle.NewBackground(t.Context())
		var begun, ended atomic.Int32
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if b.Go(func(ctx context.Context) error { <-ctx.Done(); ended.Add(1); return nil }) {
					begun.Add(1)
				}
			})
		}
		if err := b.Stop(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		after := ended.Load()
		all.Wait()
		if begun.Load() != after || ended.Load() != after {
			t.Fatalf("%d were begun, and %d had ended at the end of Stop", begun.Load(), after)
		}
	}
}

// Supervised work that panics or fails goes on after a while, ever more seldom; after a long good time it counts from anew.
func TestSupervise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("stopping")
		ctx, cancel := context.WithCancelCause(t.Context())
		var waits []time.Duration
		n := 0
		err := lifecycle.Supervise(ctx, lifecycle.Real(), func(ctx context.Context) error {
			switch n++; n {
			case 1, 2:
				panic("oh")
			case 3:
				return errors.New("broken")
			case 4:
				time.Sleep(time.Hour)
				panic("after an hour")
			}
			cancel(stop)
			return context.Cause(ctx)
		}, func(err error, wait time.Duration) {
			if !strings.Contains(err.Error(), [...]string{"panic: oh", "panic: oh", "broken", "panic: after an hour"}[len(waits)]) {
				t.Errorf("told of %v", err)
			}
			waits = append(waits, wait)
		})
		if !errors.Is(err, stop) || n != 5 || len(waits) != 4 {
			t.Fatalf("%v after %d times, of which %d were told", err, n, len(waits))
		}
		if waits[1] < time.Second || waits[2] < 2*time.Second || waits[3] > time.Second {
			t.Errorf("it rested %v", waits)
		}
	})
	ended := false
	if err := lifecycle.Supervise(t.Context(), lifecycle.Real(), func(context.Context) error { ended = true; return nil }, nil); err != nil || !ended {
		t.Errorf("work that is done: %v", err)
	}
}
