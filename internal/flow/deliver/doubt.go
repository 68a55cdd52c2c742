package deliver

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/calls"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/state"
)

// Unsettled completes the fate of a message that is not going to be delivered, by a filter, a guard or a person, although an earlier
// attempt may have made a call for it: its intents end in the same commit, because objects of the target that nobody knows wait for them.
// Where a create may have been applied the target is asked first, so that the object is known.
func (l *Line) Unsettled(ctx context.Context, a *Attempt, v *decide.Verdict) (*decide.Verdict, error) {
	if v.Doubtful || len(v.Closes) > 0 || v.Outcome != state.Skipped && v.Outcome != state.Parked && v.Outcome != state.Discarded {
		return v, nil
	}
	open, err := l.openCalls(ctx, a)
	if err != nil || len(open) == 0 {
		return v, err
	}
	var closes []state.Intent
	for i := range open {
		in := &open[i]
		if in.Create {
			ref, rests, err := l.ask(ctx, a, in)
			switch {
			case err != nil:
				return nil, err
			case rests != nil && rests.Outcome == state.Parked && v.Outcome == state.Discarded: // a person has looked, or does not care
			case rests != nil && v.Outcome == state.Parked:
				v.Left = open
				return v, nil // it rests anyway, and its call stays in doubt
			case rests != nil:
				rests.External, rests.Left = in.External, open
				return rests, nil
			case ref != nil:
				v.Ref = ref
			}
		}
		closes = append(closes, *in)
	}
	v.Closes, v.Left = closes, nil
	return v, nil
}

// openCalls are the intents of an event that nobody is at work on.
func (l *Line) openCalls(ctx context.Context, a *Attempt) ([]state.Intent, error) {
	ev := a.Event
	var open []state.Intent
	for _, in := range l.Intents.Of(ev.ID) {
		t, err := l.Store.Target(ctx, in.Entity, in.Hub, in.System, ev.Origin)
		if err != nil {
			return nil, err
		}
		for _, now := range t.Intents {
			if now.EventID == ev.ID && now.Flow == l.Flow.Name {
				open = append(open, now)
			}
		}
	}
	if len(open) == 0 {
		l.Intents.Forget(ev.ID)
	}
	return open, nil
}

// ask looks in the target whether the create of an intent was applied. A fate says that this cannot be told: now (held), or at all (parked).
func (l *Line) ask(ctx context.Context, a *Attempt, in *state.Intent) (*state.Ref, *decide.Verdict, error) {
	system := l.Systems[in.System]
	if system == nil {
		return nil, l.untold(in, "the system is not configured any more"), nil
	}
	finder, ok := system.finder()
	if !ok {
		return nil, l.untold(in, "the system cannot be asked"), nil
	}
	if h := (Hold{system.Objects(), calls.ObjectOf(in)}); !slices.Contains(a.Taken, h) {
		if ok, err := a.Take(ctx, l.Clock, h, l.InPlace); err != nil || !ok {
			return nil, l.later(l.Flow.Retry.Min, in, "others are at work on the object"), err
		}
	}
	if system.Breaker.Open() {
		return nil, l.later(l.Flow.Retry.Max, in, "the system is down"), nil
	}
	object := in.Entity
	if in.System == l.Flow.To.System && l.Flow.To.Object != "" {
		object = l.Flow.To.Object
	}
	cctx, cancel := context.WithTimeout(ctx, system.patience())
	defer cancel()
	got, err := finder.Find(cctx, connector.Lookup{Entity: in.Entity, Object: object, External: in.External, Older: true, Since: in.Begun})
	got = living(got)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, nil, context.Cause(ctx)
	case errors.Is(err, connector.ErrNoLookup):
		return nil, l.untold(in, "the system cannot be asked"), nil
	case err != nil:
		err = l.conceal(err, l.Secrets(a.Event, a.Out))
		l.blame(system, a.Lane, err)
		return nil, l.later(Jitter(l.Flow.Retry.Max), in, err.Error()), nil
	case len(got) > 1:
		system.Breaker.Success(l.failingKey(a.Lane))
		return nil, l.untold(in, severalText(in.System, "its external id", got)), nil
	case len(got) > 0:
		system.Breaker.Success(l.failingKey(a.Lane))
		system.Ledger().Found(calls.ObjectOf(in))
		return &state.Ref{Entity: in.Entity, Hub: in.Hub, System: in.System, Local: got[0].Local, ETag: got[0].ETag, Updated: l.Clock.Now()}, nil, nil
	}
	system.Breaker.Success(l.failingKey(a.Lane))
	now := l.Clock.Elapsed()
	if until := l.mayArrive(system, a.Part, in) + system.VisibleAfter; until > now {
		return nil, l.later(until-now, in, "it may still be under way"), nil
	}
	return nil, nil, nil
}

// untold is the fate of a message whose create may have been applied in a system that does not tell.
func (l *Line) untold(in *state.Intent, why string) *decide.Verdict {
	v := decide.Park(fault.UnknownOutcome.String(), in.System+"/", "the flow would leave this message out now, but an earlier attempt may have created its object in "+in.System+
		", and "+why+": look there, then discard")
	v.Doubtful = true
	return v
}

// later is the fate of a message whose create cannot be told at the moment.
func (l *Line) later(pause time.Duration, in *state.Intent, why string) *decide.Verdict {
	return &decide.Verdict{Outcome: state.Held, Kind: fault.UnknownOutcome.String(), NotBefore: l.Steady().Add(pause),
		Reason: "an earlier attempt may have created the object in " + in.System + ", which is to be known before the message is left out: " + why}
}
