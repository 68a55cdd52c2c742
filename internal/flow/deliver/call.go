package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// MaxConflicts is how often a write is made again on top of a state that has changed underneath: people may be at work on the same
// object. Beyond it the target's token does not mean what it should.
const MaxConflicts = 10

// call tries until the failure table (docs/architecture.md) says otherwise.
func call(ctx context.Context, d *delivery) (*decide.Verdict, error) {
	d.tried = d.triedBefore()
	wait := d.Flow.Retry.Min
	for {
		// A stored message waits where it is: its owner has other queues to look after, and people give messages up meanwhile.
		if d.Queued != nil && d.Resting() {
			return d.leave()
		}
		leave, err := d.Target.Breaker.Enter(ctx)
		if err != nil {
			return nil, err
		}
		if d.Paused() {
			// The flow stands still from now on, and nobody is to wait for what this message holds.
			leave()
			return &decide.Verdict{Outcome: state.Held, Kind: "paused", Reason: "the flow was paused while the message was tried", Tried: d.tried}, nil
		}
		v, err := func() (*decide.Verdict, error) { defer leave(); return d.try(ctx) }()
		switch {
		case v != nil:
			return v, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, state.ErrFenced), errors.Is(err, ErrStopping):
			return nil, err
		}
		// A conflict is answered on top of the present state, soon and also for a stored message: held, it would meet the same
		// stale token again. MaxConflicts bounds it. The state is read after the pause: what is old by the pause is stale again where
		// an object changes often.
		if fault.KindOf(err) == fault.Conflict {
			if err := lifecycle.Sleep(ctx, d.Clock, Jitter(d.Flow.Retry.Min)); err != nil {
				return nil, err
			}
			d.retried++
			continue
		}
		d.Observer.Retrying(d.Flow.Name, CauseOf(err), err.Error())
		if v := d.exhausted(err); v != nil {
			return v, nil
		}
		if d.Queued != nil { // the breaker has opened meanwhile
			return d.leave()
		}
		rest := pause(wait, err)
		if err := lifecycle.Sleep(ctx, d.Clock, rest); err != nil {
			return nil, err
		}
		if !d.Target.Breaker.Open() {
			d.spend(rest)
		}
		wait = min(2*wait, d.Flow.Retry.Max)
		d.retried++
	}
}

// leave leaves a stored message as it is. Where other hubs wait for its object, they are told so.
func (d *delivery) leave() (*decide.Verdict, error) {
	if d.calls.Claimed() {
		return &decide.Verdict{Outcome: state.Held, Kind: "resting", Reason: "the flow is paused, or its system down", Tried: d.tried}, nil
	}
	in := d.intent()
	d.calls.Leave(&in)
	return nil, ErrResting
}

// spend counts time in which the target was asked, or left alone between two questions. What the hub's own store takes does not count, nor against
// the retry the time in which the target answers nobody.
func (d *delivery) spend(t time.Duration) {
	d.spent += t
	if d.Target.Breaker.Counts() {
		d.tried += t
	}
}

// asking counts the time until what it returns is called.
func (d *delivery) asking() (answered func()) {
	began := d.Clock.Elapsed()
	return func() { d.spend(d.Clock.Elapsed() - began) }
}

// key names the message's key among those that the target fails.
func (d *delivery) key() string { return d.failingKey(d.Lane) }

// exhausted says what becomes of a message whose target does not answer for long: held in the store, so that its key does not
// stall the lane, and parked when the flow's retry time is over and nobody but the message is to blame. Time in which the target answers nobody
// does not count.
func (d *delivery) exhausted(err error) *decide.Verdict {
	target := d.Target.Breaker
	if target.Open() {
		return nil
	}
	if d.tried >= d.Flow.Retry.For && target.Blames(d.key()) {
		v := d.giveUp(decide.Fail(err))
		if v.Doubtful = v.Doubtful || d.calls.LostHere(); d.calls.LostHere() {
			v = d.recalling(v)
		}
		return v
	}
	if d.Queued == nil && d.spent+retryAfter(err) < d.InPlace {
		return nil
	}
	rest, tried := pause(d.Flow.Retry.Max, err), d.tried
	if target.Counts() {
		tried += rest
	}
	v := &decide.Verdict{Outcome: state.Held, Kind: fault.KindOf(err).String(), Reason: err.Error(), NotBefore: d.Steady().Add(rest), Tried: tried}
	if d.calls.InDoubt() {
		v = d.recalling(v)
	}
	return v
}
