package lifecycle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// Backoff gives the waits between tries: they double from Min to Max, and every one is spread over its upper half, so that many do not
// come back at once.
type Backoff struct {
	Min, Max time.Duration
	n        int
}

// Next is the wait before the next try.
func (b *Backoff) Next() time.Duration {
	d := b.Max
	if b.n < 30 && b.Min<<b.n < b.Max {
		d = b.Min << b.n
	}
	b.n++
	return d/2 + rand.N(d/2+1)
}

// Reset begins with Min again.
func (b *Backoff) Reset() { b.n = 0 }

// Retry tries until try succeeds, ctx ends, whose cause it gives then, or failed says that it is enough. failed is told of every failure and of
// the wait before the next try; the error that it gives, where it gives one, is Retry's. A nil failed never has enough.
func Retry(ctx context.Context, c Clock, b Backoff, try func() error, failed func(err error, wait time.Duration) error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		wait := b.Next()
		if failed != nil {
			if err := failed(err, wait); err != nil {
				return err
			}
		}
		if err := Sleep(ctx, c, wait); err != nil {
			return err
		}
	}
}

// Guard turns a panic of work into an error: the mistake of a connector or an expression must not end the hub.
func Guard(work func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return work()
}
