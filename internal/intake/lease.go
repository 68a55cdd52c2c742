package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// askEvery is how often a lease that another hub holds is asked for: so soon is a hub that stops in order replaced.
const askEvery = time.Second

// tenure is a held lease; it is renewed beside the work.
type tenure struct {
	lease atomic.Pointer[state.Lease]
	until atomic.Pointer[time.Time] // by this process's clock, and never later than the store's
}

// now is the lease as it was renewed last. Its token never changes.
func (t *tenure) now() state.Lease { return *t.lease.Load() }

// held gives state.ErrFenced when the lease may have run out: a process that was frozen, or could not reach the store, does not
// know whether it was replaced, and must not do outside the store what only the holder may.
func (t *tenure) held(c lifecycle.Clock) error {
	if c.Now().Before(*t.until.Load()) {
		return nil
	}
	return errRanOut
}

var errRanOut = fmt.Errorf("%w: the lease was not renewed in time", state.ErrFenced)

// post is a piece of work that one hub at a time does.
type post struct {
	leases Leases
	clock  lifecycle.Clock
	log    *slog.Logger
	name   string
	holder string
	ttl    time.Duration
}

// keep does the work whenever the lease can be had, until ctx ends. The work's context ends with the lease, and with
// state.ErrFenced as its cause; work that panics or returns is begun again after a while.
func (p *post) keep(ctx context.Context, work func(context.Context, *tenure) error) {
	tries := backoff{min: time.Second, max: p.ttl}
	for ctx.Err() == nil {
		asked := p.clock.Now()
		lease, ok, err := p.leases.AcquireLease(ctx, p.name, p.holder, p.ttl)
		wait := min(p.ttl/3, askEvery)
		switch {
		case err != nil:
			wait = tries.next()
			if ctx.Err() == nil {
				p.log.Warn("cannot ask for a lease; trying again", "lease", p.name, "in", wait, "error", err)
			}
		case ok:
			err := p.hold(ctx, lease, asked.Add(p.ttl), work)
			if p.clock.Now().Sub(asked) > p.ttl {
				tries.reset()
			}
			wait = tries.next()
			if err != nil && ctx.Err() == nil {
				p.log.Warn("work under a lease ended; beginning again", "lease", p.name, "in", wait, "error", err)
			}
		default:
			tries.reset()
		}
		if lifecycle.Sleep(ctx, p.clock, wait) != nil {
			return
		}
	}
}

// hold does the work once under the lease and gives the lease back.
func (p *post) hold(ctx context.Context, lease state.Lease, until time.Time, work func(context.Context, *tenure) error) error {
	failpoint.Hit(failpoint.LeaseTaken)
	t := &tenure{}
	t.lease.Store(&lease)
	t.until.Store(&until)
	ctx, cancel := context.WithCancelCause(ctx)
	renewing := make(chan struct{})
	go func() {
		defer close(renewing)
		p.renew(ctx, cancel, t)
	}()
	err := guard(func() error { return work(ctx, t) })
	cause := context.Cause(ctx)
	cancel(nil)
	<-renewing
	if errors.Is(cause, state.ErrFenced) {
		return cause // whatever the work made of it
	}
	rctx, done := lifecycle.WithTimeout(context.WithoutCancel(ctx), p.clock, p.ttl/3, context.DeadlineExceeded)
	defer done()
	if rerr := p.leases.ReleaseLease(rctx, t.now()); rerr != nil {
		p.log.Warn("cannot give back a lease; it will run out", "lease", p.name, "error", rerr)
	}
	return err
}

// renew prolongs the lease until ctx ends. A lease that another hub has taken, or that could not be prolonged before it ran
// out, ends the work; a store that does not answer is waited for no longer than that.
func (p *post) renew(ctx context.Context, cancel context.CancelCauseFunc, t *tenure) {
	for lifecycle.Sleep(ctx, p.clock, p.ttl/3) == nil {
		asked := p.clock.Now()
		left := t.until.Load().Sub(asked)
		if left <= 0 {
			cancel(errRanOut)
			return
		}
		rctx, done := lifecycle.WithTimeout(ctx, p.clock, left, errRanOut)
		l, err := p.leases.RenewLease(rctx, t.now(), p.ttl)
		done()
		switch {
		case err == nil:
			until := asked.Add(p.ttl)
			t.lease.Store(&l)
			t.until.Store(&until)
		case errors.Is(err, state.ErrFenced):
			cancel(err)
			return
		case t.held(p.clock) != nil:
			cancel(fmt.Errorf("%w: %w", errRanOut, err))
			return
		}
	}
}

// guard turns a panic into an error: a connector's mistake must not end the hub.
func guard(work func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return work()
}

// backoff doubles from min to max; every wait is spread over its upper half, so that many do not come back at once.
type backoff struct {
	min, max time.Duration
	n        int
}

func (b *backoff) next() time.Duration {
	d := b.max
	if b.n < 30 && b.min<<b.n < b.max {
		d = b.min << b.n
	}
	b.n++
	return d/2 + rand.N(d/2+1)
}

func (b *backoff) reset() { b.n = 0 }
