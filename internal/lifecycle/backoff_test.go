package lifecycle_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

func TestBackoff(t *testing.T) {
	b := lifecycle.Backoff{Min: time.Second, Max: 10 * time.Second}
	for i, top := range []time.Duration{1, 2, 4, 8, 10, 10} {
		if d := b.Next(); d < top*time.Second/2 || d > top*time.Second {
			t.Errorf("wait %d is %v, want %v to %v", i, d, top*time.Second/2, top*time.Second)
		}
	}
	b.Reset()
	if d := b.Next(); d > time.Second {
		t.Errorf("after a reset: %v", d)
	}
}

func TestRetry(t *testing.T) {
	failure, final, stop := errors.New("not yet"), errors.New("never"), errors.New("stopping")
	for name, c := range map[string]struct {
		fails int // tries that fail
		ends  func(n int, cancel context.CancelCauseFunc) error
		tries int
		want  error
	}{
		"at once":              {0, nil, 1, nil},
		"at the fourth try":    {3, nil, 4, nil},
		"what is final":        {9, func(n int, _ context.CancelCauseFunc) error { return map[bool]error{true: final}[n == 2] }, 2, final},
		"the end of a context": {9, func(n int, cancel context.CancelCauseFunc) error { cancel(stop); return nil }, 1, stop},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				tries, began, waited := 0, time.Now(), time.Duration(0)
				err := lifecycle.Retry(ctx, lifecycle.Real(), lifecycle.Backoff{Min: time.Second, Max: 4 * time.Second}, func() error {
					if tries++; tries > c.fails {
						return nil
					}
					return failure
				}, func(err error, wait time.Duration) error {
					if !errors.Is(err, failure) {
						t.Errorf("told of %v", err)
					}
					if c.ends != nil {
						if err := c.ends(tries, cancel); err != nil || ctx.Err() != nil {
							return err
						}
					}
					waited += wait
					return nil
				})
				if !errors.Is(err, c.want) || tries != c.tries || time.Since(began) != waited {
					t.Errorf("%d tries in %s, told of %s, and %v", tries, time.Since(began), waited, err)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // where nobody wants to be told, it is tried all the same
		tries := 0
		err := lifecycle.Retry(t.Context(), lifecycle.Real(), lifecycle.Backoff{Min: time.Second, Max: time.Second}, func() error {
			if tries++; tries < 3 {
				return failure
			}
			return nil
		}, nil)
		if err != nil || tries != 3 {
			t.Errorf("%d tries, and %v", tries, err)
		}
	})
	// What fails because its context has ended is not told.
	ctx, cancel := context.WithCancelCause(t.Context())
	err := lifecycle.Retry(ctx, lifecycle.Real(), lifecycle.Backoff{Min: time.Second, Max: time.Second}, func() error { cancel(stop); return failure },
		func(err error, _ time.Duration) error { t.Errorf("told of %v", err); return err })
	if !errors.Is(err, stop) {
		t.Errorf("a try that ends with its context: %v", err)
	}
}

func TestGuard(t *testing.T) {
	own := errors.New("own")
	if err := lifecycle.Guard(func() error { return own }); !errors.Is(err, own) {
		t.Errorf("the work's own error is %v", err)
	}
	if err := lifecycle.Guard(func() error { return nil }); err != nil {
		t.Error(err)
	}
	err := lifecycle.Guard(func() error { panic("oh") })
	if err == nil || !strings.Contains(err.Error(), "panic: oh") || !strings.Contains(err.Error(), "backoff_test.go") {
		t.Errorf("a panic gives %v, without its place", err)
	}
}
