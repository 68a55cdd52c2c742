package lifecycle

import (
	"context"
	"sync"
)

// Background is work beside its owner's, in as many goroutines as it takes, that is ended and waited for as one.
type Background struct {
	ctx  context.Context
	halt context.CancelCauseFunc
	wg   sync.WaitGroup
}

// NewBackground begins with no work. What is begun ends with parent as well.
func NewBackground(parent context.Context) *Background {
	ctx, halt := context.WithCancelCause(parent)
	return &Background{ctx: ctx, halt: halt}
}

// Go begins a piece of work, which ends when its context does. Not after Stop.
func (b *Background) Go(work func(ctx context.Context)) { b.wg.Go(func() { work(b.ctx) }) }

// Err is nil until the work is told to end.
func (b *Background) Err() error { return b.ctx.Err() }

// Stop ends the work, with why as the cause, and waits for it. Where ctx ends before, the cause of that is given, and the work ends when it
// will.
func (b *Background) Stop(ctx context.Context, why error) error {
	b.halt(why)
	done := make(chan struct{})
	go func() { b.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
