// Package lease does work that one hub at a time may do: it takes the lease, renews it beside the work, and ends the work when the lease
// is, or may be, another's.
package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/state"
)

// askEvery is how often a lease that another hub holds is asked for: so soon is a hub that stops in order replaced.
const askEvery = time.Second

// Store lends leases: rights to do something alone.
type Store interface {
	AcquireLease(ctx context.Context, name, holder string, ttl time.Duration) (state.Lease, bool, error)
	RenewLease(ctx context.Context, lease state.Lease, ttl time.Duration) (state.Lease, error)
	ReleaseLease(ctx context.Context, lease state.Lease) error
}

// Held is a lease that is held; it is renewed beside the work.
type Held struct {
	lease atomic.Pointer[state.Lease]
	until atomic.Pointer[time.Time] // by this process's clock, and never later than the store's
}

// Hold is a lease that was had, and for how long by this process's clock.
func Hold(lease state.Lease, until time.Time) *Held {
	h := &Held{}
	h.set(lease, until)
	return h
}

func (h *Held) set(lease state.Lease, until time.Time) {
	h.lease.Store(&lease)
	h.until.Store(&until)
}

// Lease is the lease as it was renewed last. Its token never changes.
func (h *Held) Lease() state.Lease { return *h.lease.Load() }

// Check gives state.ErrFenced when the lease may have run out: a process that was frozen, or could not reach the store, does not
// know whether it was replaced, and must not do outside the store what only the holder may.
func (h *Held) Check(c lifecycle.Clock) error {
	if c.Now().Before(*h.until.Load()) {
		return nil
	}
	return errRanOut
}

var errRanOut error = ranOut{}

// ranOut is an ErrFenced of which nobody knows whether another hub has taken over.
type ranOut struct{}

func (ranOut) Error() string {
	return "the lease was not renewed in time, so that another hub may have taken over"
}
func (ranOut) Is(e error) bool { return e == state.ErrFenced }

// Runner does a piece of work wherever no other hub does it.
type Runner struct {
	Store Store
	Clock lifecycle.Clock
	Log   *slog.Logger
	// Name is the work's, Holder this process's among the hubs.
	Name, Holder string
	// TTL is how long the work of a hub that died rests before another takes it up.
	TTL time.Duration
}

// Run does the work whenever the lease can be had, until ctx ends. The work's context ends with the lease, and with
// state.ErrFenced as its cause; work that panics or returns is begun again after a while.
func (r *Runner) Run(ctx context.Context, work func(context.Context, *Held) error) {
	tries := lifecycle.Backoff{Min: time.Second, Max: r.TTL}
	failures := notice.NewLimiter(r.Clock, r.Log)
	for ctx.Err() == nil {
		asked := r.Clock.Now()
		had, err := r.Once(ctx, work)
		wait := min(r.TTL/3, askEvery)
		switch {
		case had:
			if r.Clock.Now().Sub(asked) > r.TTL {
				tries.Reset()
			}
			wait = tries.Next()
			if err != nil && ctx.Err() == nil {
				failures.Warn("work under a lease ended; beginning again", err, "lease", r.Name, "in", wait)
			}
		case err != nil:
			wait = tries.Next()
			if ctx.Err() == nil {
				failures.Warn("cannot ask for a lease; trying again", err, "lease", r.Name, "in", wait)
			}
		default:
			tries.Reset()
		}
		if lifecycle.Sleep(ctx, r.Clock, wait) != nil {
			return
		}
	}
}

// Once does the work if the lease can be had now, and gives the lease back; had is false when another hub has it, or nobody knows (err). The
// error of work that was done is the work's, a panic's among them, or wraps state.ErrFenced when the lease ended before the work.
func (r *Runner) Once(ctx context.Context, work func(context.Context, *Held) error) (had bool, err error) {
	asked := r.Clock.Now()
	lease, ok, err := r.Store.AcquireLease(ctx, r.Name, r.Holder, r.TTL)
	if err != nil || !ok {
		return false, err
	}
	return true, r.hold(ctx, lease, asked.Add(r.TTL), work)
}

// hold does the work once under the lease and gives the lease back.
func (r *Runner) hold(ctx context.Context, lease state.Lease, until time.Time, work func(context.Context, *Held) error) error {
	failpoint.Hit(failpoint.LeaseTaken)
	held := Hold(lease, until)
	renewing := lifecycle.NewBackground(ctx)
	renewing.Go(func(ctx context.Context) error { return r.renew(ctx, held) })
	working := renewing.Context()
	err := lifecycle.Guard(func() error { return work(working, held) })
	cause := context.Cause(working)
	_ = renewing.Stop(context.Background(), nil) // a renewal ends with its context; what it failed of ended the work, or came too late to
	if errors.Is(cause, state.ErrFenced) {
		if err != nil && !errors.Is(err, cause) {
			return fmt.Errorf("%w: %w", cause, err)
		}
		return cause
	}
	rctx, done := lifecycle.WithTimeout(context.WithoutCancel(ctx), r.Clock, r.TTL/3, context.DeadlineExceeded)
	defer done()
	if rerr := r.Store.ReleaseLease(rctx, held.Lease()); rerr != nil {
		r.Log.Warn("cannot give back a lease; it will run out", "lease", r.Name, "error", rerr)
	}
	return err
}

// renew prolongs the lease until ctx ends. It fails, which ends the work, when another hub has taken the lease, or it could not be prolonged
// before it ran out; a store that does not answer is waited for no longer than that.
func (r *Runner) renew(ctx context.Context, held *Held) error {
	for lifecycle.Sleep(ctx, r.Clock, r.TTL/3) == nil {
		asked := r.Clock.Now()
		left := held.until.Load().Sub(asked)
		if left <= 0 {
			return errRanOut
		}
		rctx, done := lifecycle.WithTimeout(ctx, r.Clock, left, errRanOut)
		l, err := r.Store.RenewLease(rctx, held.Lease(), r.TTL)
		done()
		switch {
		case err == nil:
			held.set(l, asked.Add(r.TTL))
		case errors.Is(err, state.ErrFenced):
			return err
		case held.Check(r.Clock) != nil:
			return fmt.Errorf("%w: %w", errRanOut, err)
		}
	}
	return nil
}
