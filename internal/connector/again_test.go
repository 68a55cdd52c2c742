package connector

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// soon is a clock on which nobody waits.
type soon struct{ lifecycle.Clock }

func (s soon) NewTimer(time.Duration) lifecycle.Timer { return s.Clock.NewTimer(0) }

// TestAgain: what may be over soon is asked again, so often and no more; what stays wrong is not.
func TestAgain(t *testing.T) {
	for name, c := range map[string]struct {
		fails func(n int) error
		asked int
		err   bool
	}{
		"works":               {func(int) error { return nil }, 1, false},
		"fails once":          {func(n int) error { return [...]error{fault.New(fault.Unavailable, "x"), nil}[min(n, 1)] }, 2, false},
		"fails for good":      {func(int) error { return fault.New(fault.RateLimited, "x") }, mostTries, true},
		"is refused":          {func(int) error { return fault.New(fault.Invalid, "x") }, 1, true},
		"is no fault":         {func(int) error { return errors.New("x") }, 1, true},
		"cannot be looked up": {func(int) error { return ErrNoLookup }, 1, true},
	} {
		n := 0
		err := Again(t.Context(), soon{lifecycle.Real()}, func() error { n++; return c.fails(n - 1) })
		if n != c.asked || err != nil != c.err {
			t.Errorf("%s: asked %d times, %v", name, n, err)
		}
	}
	ctx, end := context.WithCancel(t.Context())
	failed := fault.New(fault.Unavailable, "x")
	if err := Again(ctx, lifecycle.Real(), func() error { end(); return failed }); !errors.Is(err, failed) {
		t.Errorf("ended: %v", err)
	}
}
