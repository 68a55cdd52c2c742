package flow

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/calls"
	"github.com/waybill-hub/waybill/internal/state"
)

// unsettled completes the fate of a message that is not going to be delivered, by a filter, a guard or a person, although an earlier
// attempt may have made a call for it: its intents end in the same commit, because objects of the target that nobody knows wait for them.
// Where a create may have been applied the target is asked first, so that the object is known.
func (r *Runner) unsettled(ctx context.Context, ev *event.Event, a *attempt, f fate) (fate, error) {
	if f.doubtful || len(f.closes) > 0 || f.outcome != state.Skipped && f.outcome != state.Parked && f.outcome != state.Discarded {
		return f, nil
	}
	open, err := r.openCalls(ctx, ev)
	if err != nil || len(open) == 0 {
		return f, err
	}
	var closes []state.Intent
	for i := range open {
		in := &open[i]
		if in.Create {
			ref, g, err := r.ask(ctx, a, in)
			switch {
			case err != nil:
				return fate{}, err
			case g.outcome == state.Parked && f.outcome == state.Discarded: // a person has looked, or does not care
			case g.outcome != "" && f.outcome == state.Parked:
				f.left = open
				return f, nil // it rests anyway, and its call stays in doubt
			case g.outcome != "":
				g.external, g.left = in.External, open
				return g, nil
			case ref != nil:
				f.ref = ref
			}
		}
		closes = append(closes, *in)
	}
	f.closes, f.left = closes, nil
	return f, nil
}

// openCalls are the intents of an event that nobody is at work on.
func (r *Runner) openCalls(ctx context.Context, ev *event.Event) ([]state.Intent, error) {
	var open []state.Intent
	for _, in := range r.openIntents.Of(ev.ID) {
		var t state.Target
		err := r.insist(ctx, "open calls", func() (err error) {
			t, err = r.Store.Target(ctx, in.Entity, in.Hub, in.System, ev.Origin)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, now := range t.Intents {
			if now.EventID == ev.ID && now.Flow == r.flow.Name {
				open = append(open, now)
			}
		}
	}
	if len(open) == 0 {
		r.openIntents.Forget(ev.ID)
	}
	return open, nil
}

// ask looks in the target whether the create of an intent was applied. A fate says that this cannot be told: now (held), or at all (parked).
func (r *Runner) ask(ctx context.Context, a *attempt, in *state.Intent) (*state.Ref, fate, error) {
	system := r.Systems[in.System]
	if system == nil {
		return nil, r.untold(in, "the system is not configured any more"), nil
	}
	finder, ok := system.Connector.(connector.Finder)
	if !ok {
		return nil, r.untold(in, "the system cannot be asked"), nil
	}
	if h := (hold{system.shared(), calls.ObjectOf(in)}); !slices.Contains(a.taken, h) {
		if ok, err := r.take(ctx, a, h, r.InPlace); err != nil || !ok {
			return nil, r.later(r.flow.Retry.Min, in, "others are at work on the object"), err
		}
	}
	if system.Breaker.Open() {
		return nil, r.later(r.flow.Retry.Max, in, "the system is down"), nil
	}
	object := in.Entity
	if in.System == r.flow.To.System && r.flow.To.Object != "" {
		object = r.flow.To.Object
	}
	cctx, cancel := context.WithTimeout(ctx, system.patience())
	defer cancel()
	got, err := finder.Find(cctx, connector.Lookup{Entity: in.Entity, Object: object, External: in.External, Older: true})
	got = living(got)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, fate{}, context.Cause(ctx)
	case errors.Is(err, connector.ErrNoLookup):
		return nil, r.untold(in, "the system cannot be asked"), nil
	case err != nil:
		if k := fault.KindOf(err); k == fault.Auth {
			system.Breaker.Refused(err)
			r.Observer.Alarm(r.flow.Name, "auth", err)
		} else if k == fault.Unavailable || k == fault.UnknownOutcome || k == fault.RateLimited {
			system.Breaker.Failure(r.failingKey(a.lane), err)
		}
		return nil, r.later(jitter(r.flow.Retry.Max), in, err.Error()), nil
	case len(got) > 1:
		system.Breaker.Success(r.failingKey(a.lane))
		return nil, r.untold(in, severalText(in.System, "its external id", got)), nil
	case len(got) > 0:
		system.Breaker.Success(r.failingKey(a.lane))
		system.ledger().Found(calls.ObjectOf(in))
		return &state.Ref{Entity: in.Entity, Hub: in.Hub, System: in.System, Local: got[0].Local, ETag: got[0].ETag, Updated: r.Clock.Now()}, fate{}, nil
	}
	system.Breaker.Success(r.failingKey(a.lane))
	now := r.Clock.Elapsed()
	if until := r.mayArrive(system, a.partition, in) + system.VisibleAfter; until > now {
		return nil, r.later(until-now, in, "it may still be under way"), nil
	}
	return nil, fate{}, nil
}

// untold is the fate of a message whose create may have been applied in a system that does not tell.
func (r *Runner) untold(in *state.Intent, why string) fate {
	f := parked(fault.UnknownOutcome.String(), in.System+"/", "the flow would leave this message out now, but an earlier attempt may have created its object in "+in.System+
		", and "+why+": look there, then discard")
	f.doubtful = true
	return f
}

// later is the fate of a message whose create cannot be told at the moment.
func (r *Runner) later(pause time.Duration, in *state.Intent, why string) fate {
	return fate{outcome: state.Held, kind: fault.UnknownOutcome.String(), notBefore: r.steady().Add(pause),
		reason: "an earlier attempt may have created the object in " + in.System + ", which is to be known before the message is left out: " + why}
}
