package lifecycle

import (
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

// Guard turns a panic of work into an error: the mistake of a connector or an expression must not end the hub.
func Guard(work func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return work()
}
