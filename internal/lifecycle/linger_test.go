package lifecycle

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestLinger(t *testing.T) {
	stopping, fenced := errors.New("stopping"), errors.New("fenced")
	for name, cause := range map[string]error{"another cause ends it at once": fenced, "the cause it lingers for": stopping} {
		t.Run(name, func(t *testing.T) {
			clock := NewManual(time.Unix(1000, 0))
			parent, end := context.WithCancelCause(context.Background())
			ctx, cancel := Linger(parent, clock, time.Minute, stopping)
			defer cancel()
			end(cause)
			if errors.Is(cause, stopping) {
				_ = clock.BlockUntil(t.Context(), 1)
				if ctx.Err() != nil {
					t.Fatal("ended at once")
				}
				clock.Advance(59 * time.Second)
				if ctx.Err() != nil {
					t.Fatal("ended early")
				}
				clock.Advance(time.Second)
			}
			<-ctx.Done()
			if got := context.Cause(ctx); !errors.Is(got, cause) {
				t.Errorf("cause %v", got)
			}
		})
	}
	t.Run("whatever the cause", func(t *testing.T) {
		clock := NewManual(time.Unix(1000, 0))
		parent, end := context.WithCancelCause(context.Background())
		ctx, cancel := Linger(parent, clock, time.Minute, nil)
		defer cancel()
		end(fenced)
		_ = clock.BlockUntil(t.Context(), 1)
		if ctx.Err() != nil {
			t.Fatal("ended at once")
		}
		clock.Advance(time.Minute)
		<-ctx.Done()
	})
	t.Run("the end of the work leaves nothing behind", func(t *testing.T) {
		clock := NewManual(time.Unix(1000, 0))
		parent, end := context.WithCancelCause(context.Background())
		_, cancel := Linger(parent, clock, time.Minute, stopping)
		end(stopping)
		_ = clock.BlockUntil(t.Context(), 1)
		cancel() // TestMain sees a goroutine that stays
	})
}
