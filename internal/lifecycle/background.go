package lifecycle

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Background is work beside its owner's, in as many pieces as it takes, that is ended and waited for as one. A piece that fails, or panics, ends
// the others: what must go on all the same is supervised (see Supervise).
type Background struct {
	ctx  context.Context
	halt context.CancelCauseFunc
	wg   sync.WaitGroup

	mu     sync.Mutex
	failed error // the first failure
}

// NewBackground begins with no work. What is begun ends with parent as well.
func NewBackground(parent context.Context) *Background {
	ctx, halt := context.WithCancelCause(parent)
	return &Background{ctx: ctx, halt: halt}
}

// Context is the context of the work, for a piece that the owner does itself.
func (b *Background) Context() context.Context { return b.ctx }

// Go begins a piece of work, which ends when its context does. A panic is its failure. It reports whether the piece was begun: after the end
// none is.
func (b *Background) Go(work func(ctx context.Context) error) bool {
	b.mu.Lock() // the end comes before, or waits for the piece
	defer b.mu.Unlock()
	if b.ctx.Err() != nil {
		return false
	}
	b.wg.Go(func() { b.ended(Guard(func() error { return work(b.ctx) })) })
	return true
}

// ended notes how a piece has ended.
func (b *Background) ended(err error) {
	if err == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	over := b.ctx.Err()
	told := over != nil && (errors.Is(err, over) || errors.Is(err, context.Cause(b.ctx))) // to end
	if b.failed == nil && !told {
		b.failed = err
		b.halt(err)
	}
}

// Err is nil until the work is told to end, or fails.
func (b *Background) Err() error { return b.ctx.Err() }

// Stop ends the work, with why as the cause, and waits for it; it gives the first failure. Where ctx ends before, the cause of that is given, and
// the work ends when it will.
func (b *Background) Stop(ctx context.Context, why error) error {
	b.mu.Lock()
	b.halt(why)
	b.mu.Unlock()
	done := make(chan error, 1)
	go func() { done <- b.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Wait waits until every piece has ended by itself or with its parent, and gives the first failure. Nobody but the pieces themselves may begin one while it waits; after it, none is begun.
func (b *Background) Wait() error {
	b.wg.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.halt(nil)
	return b.failed
}

// How long supervised work rests before it is begun again.
const (
	firstRest = time.Second
	lastRest  = time.Minute
)

// Supervise does work until ctx ends or it returns nil. Work that fails or panics is begun again after a while, of which failed is told. The error
// is the work's own at the end of ctx.
func Supervise(ctx context.Context, c Clock, work func(ctx context.Context) error, failed func(err error, wait time.Duration)) error {
	tries := Backoff{Min: firstRest, Max: lastRest}
	for {
		began := c.Elapsed()
		err := Guard(func() error { return work(ctx) })
		if err == nil || ctx.Err() != nil {
			return err
		}
		if c.Elapsed()-began > lastRest {
			tries.Reset()
		}
		wait := tries.Next()
		failed(err, wait)
		if err := Sleep(ctx, c, wait); err != nil {
			return err
		}
	}
}
