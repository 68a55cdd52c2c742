package lifecycle_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

func TestBackground(t *testing.T) {
	why, late := errors.New("stopping"), errors.New("too late")
	b := lifecycle.NewBackground(t.Context())
	var ended atomic.Int32
	hold := make(chan struct{})
	for range 3 {
		b.Go(func(ctx context.Context) {
			<-ctx.Done()
			if err := context.Cause(ctx); !errors.Is(err, why) {
				t.Errorf("the work ends for %v", err)
			}
			<-hold
			ended.Add(1)
		})
	}
	if b.Err() != nil {
		t.Errorf("before the stop: %v", b.Err())
	}
	over, end := context.WithCancelCause(t.Context())
	end(late)
	if err := b.Stop(over, why); !errors.Is(err, late) || b.Err() == nil {
		t.Errorf("a stop that waits no longer gives %v", err)
	}
	close(hold)
	if err := b.Stop(t.Context(), why); err != nil || ended.Load() != 3 {
		t.Errorf("%v, and %d of 3 have ended", err, ended.Load())
	}
}

// What is begun ends with the parent, for the parent's reason.
func TestBackgroundOfAParent(t *testing.T) {
	why := errors.New("the hub is stopping")
	parent, end := context.WithCancelCause(t.Context())
	b := lifecycle.NewBackground(parent)
	got := make(chan error, 1)
	b.Go(func(ctx context.Context) { <-ctx.Done(); got <- context.Cause(ctx) })
	end(why)
	if err := <-got; !errors.Is(err, why) {
		t.Errorf("it ends for %v", err)
	}
	if err := b.Stop(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
