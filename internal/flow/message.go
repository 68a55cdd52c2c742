package flow

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/tracing"
)

// traced has a message decided within a span, below which comes what follows of it: the record that it becomes, the calls, and what a person does about it.
func (r *Runner) traced(ctx context.Context, a *deliver.Attempt, decided func(context.Context, *deliver.Attempt) (*decide.Verdict, error)) (*decide.Verdict, error) {
	if r.Tracer == nil {
		return decided(ctx, a)
	}
	span := r.Tracer.Begin(a.Event.Trace, tracing.Working, "work "+r.flow.Name, tracing.Attr{Key: "waybill.flow", Value: r.flow.Name},
		tracing.Attr{Key: "waybill.entity", Value: a.Event.Entity}, tracing.Attr{Key: "waybill.event", Value: a.Event.ID})
	a.Event.Trace = span.Traceparent()
	v, err := decided(ctx, a)
	switch {
	case err != nil: // nothing is decided: another hub, or a later try, tells of it
	case v.Resubmit != nil:
		span.End("", tracing.Attr{Key: "waybill.outcome", Value: "resubmitted"})
	default:
		failed := ""
		if v.Outcome == state.Parked || v.Outcome == state.Held {
			failed = v.Kind
		}
		why := v.Code
		if v.Outcome == state.Skipped {
			why = v.Reason // one of the closed set
		}
		span.End(failed, tracing.Attr{Key: "waybill.outcome", Value: string(v.Outcome)}, tracing.Attr{Key: "waybill.reason", Value: why})
	}
	return v, err
}

// decide gives a live message its fate. An error means that nothing was decided: the hub is stopping or fenced.
func (r *Runner) decide(ctx context.Context, a *deliver.Attempt) (*decide.Verdict, error) {
	if a.Event.Refused != nil && !a.Event.ForOther(r.flow.Name) {
		return r.turnedAway(ctx, a)
	}
	return r.take(ctx, a)
}

// take takes the message through its flow.
func (r *Runner) take(ctx context.Context, a *deliver.Attempt) (*decide.Verdict, error) {
	defer a.Dispose()
	if a.Event.ForOther(r.flow.Name) { // it may have been queued behind others of its key
		return decide.Skip(state.Filtered, "it was submitted to flow %s, which reads this topic as well", a.Event.Submitted.For), nil
	}
	v, err := r.examine(ctx, a)
	switch {
	case err != nil:
		return nil, err
	case v == nil && r.target == nil:
		v = a.Forward(a.Lane, r.mostOf(r.flow.To.Topic))
	case v == nil:
		if v, err = r.line.Deliver(ctx, a); err != nil {
			return nil, err
		}
	}
	if r.target != nil {
		if v, err = r.line.Unsettled(ctx, a, v); err != nil {
			return nil, err
		}
		if v.Outcome != state.Held {
			r.line.Over(a.Lane)
		}
	}
	v.Trail.Mapped = a.Out
	return v, nil
}

// examine takes the message as far as its mapped document. A verdict says that it goes no further.
func (r *Runner) examine(ctx context.Context, a *deliver.Attempt) (*decide.Verdict, error) {
	v, err := a.Read(ctx)
	if v == nil && err == nil && r.flow.From.System != "" {
		v, err = r.identify(ctx, a)
	}
	if v == nil && err == nil {
		v, err = a.Map(ctx)
	}
	return v, err
}

// identify finds the object's hub id, minting one for an object that nobody has seen, and holds the event against what is known of it.
func (r *Runner) identify(ctx context.Context, a *deliver.Attempt) (*decide.Verdict, error) {
	ev, system := a.Event, r.flow.From.System
	if v, err := r.unknownHere(ctx, a); v != nil || err != nil {
		return v, err
	}
	hub, res, err := r.store.Resolve(ctx, ev.Entity, system, a.Local, a.External, ev.ID)
	if err != nil {
		return nil, err
	}
	ev.Hub = hub
	failpoint.Hit(failpoint.FlowResolved)
	if res == state.Pending {
		return decide.Wait(&state.Missing{Entity: ev.Entity, System: system, Intents: true}), nil
	}
	if ev.Origin == "" {
		ev.Origin = system
	}
	known, err := r.whatIsKnown(ctx, ev)
	if err == nil && a.Unstored != nil && !a.Unstored(a, &known) {
		if err = a.Settle(ctx); err == nil {
			known, err = r.whatIsKnown(ctx, ev)
		}
		if err == nil {
			a.Unstored(a, &known) // nothing is unstored now
		}
	}
	if err != nil {
		return nil, err
	}
	return a.Received(&known, r.Clock.Now()), nil
}

// whatIsKnown is what the store holds of the object in the system that the event came from. While the hub itself is writing the
// object there, the event may be that very write, seen before its outcome is stored: then it is waited for, a short while.
func (r *Runner) whatIsKnown(ctx context.Context, ev *event.Event) (state.Target, error) {
	const look, patience = 25 * time.Millisecond, 5 * time.Second
	began := r.Clock.Elapsed()
	for {
		t, err := r.store.Target(ctx, ev.Entity, ev.Hub, r.flow.From.System, ev.Origin)
		if err != nil || len(t.Intents) == 0 || r.Clock.Elapsed()-began > patience || r.steady().Sub(t.Intents[0].Opened) > patience {
			return t, err
		}
		if err := lifecycle.Sleep(ctx, r.Clock, look); err != nil {
			return t, err
		}
	}
}

// unknownHere holds an object back that carries an external id as the hub gives them, and that the store does not know: the hub made it there in the
// time that is lost, for an object that comes again from where it came then. Taken for a new one, it would be made a second time there.
func (r *Runner) unknownHere(ctx context.Context, a *deliver.Attempt) (*decide.Verdict, error) {
	if id, err := uuid.Parse(a.External); err != nil || id.Version() != 5 || !r.line.InDoubt(a) {
		return nil, nil
	}
	system := r.flow.From.System
	known, err := r.store.knows(ctx, a.Event.Entity, system, a.Local, a.External)
	if err != nil || known {
		return nil, err
	}
	why := fmt.Sprintf("the store was restored and does not know the external id %s that %s carries in %s: the hub has made it there in the time that is lost", a.External, a.Local, system)
	if r.Restored.Settling() {
		return &decide.Verdict{Outcome: state.Held, Kind: "restored", Reason: why + "; it waits for where it came from", NotBefore: r.steady().Add(deliver.Jitter(4 * time.Second))}, nil
	}
	r.Restored.Untold()
	return decide.Park(fault.UnknownOutcome.String(), system+deliver.CodeRestored,
		why+", and it has not come again from where it came then: say with waybill link which object it is and replay, or replay to have it taken for a new one, or discard"), nil
}

// turnedAway is the fate of a record that the intake could make no message of: it is parked, as its refusal says, once, however often the
// relay has published it; one that has no key and that the flow does not want is left out, as others of its kind are.
func (r *Runner) turnedAway(ctx context.Context, a *deliver.Attempt) (*decide.Verdict, error) {
	ev, no := a.Event, a.Event.Refused
	known, err := r.store.refused(ctx, r.flow.Name, ev.ID, no.Reading)
	if err != nil {
		return nil, err
	}
	if known {
		return decide.Skip(state.Duplicate, "this refusal was published twice"), nil
	}
	reason := no.Reason
	if no.Inbox != 0 {
		gone, err := r.fetch(ctx, ev)
		if err != nil {
			return nil, err
		}
		if gone {
			reason += "; its document is no longer in the inbox"
		}
	}
	if no.Code == event.RefusedKey {
		if v, err := a.Unwanted(ctx); v != nil || err != nil {
			return v, err
		}
	}
	return decide.Park(no.Kind, no.Code, reason), nil
}

// fetch takes from the inbox what the record could not hold.
func (r *Runner) fetch(ctx context.Context, ev *event.Event) (gone bool, err error) {
	row, err := r.store.inbound(ctx, ev.Refused.Inbox)
	if errors.Is(err, state.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	no := *ev.Refused
	no.Inbox, no.Headers = 0, row.Headers
	ev.Data, ev.Refused = row.Body, no.Bounded()
	return false, nil
}

// readAnew is the fate of a refused message that a person wants to be tried again. What could become a message now is handed back to the
// inbox: from there it takes the way of all others, to the partition and the lane of its key. Anything else stays parked where it is.
func (r *Runner) readAnew(ctx context.Context, a *deliver.Attempt) (*decide.Verdict, error) {
	defer a.Dispose()
	q, ev := a.Queued, a.Event
	if q.Code == event.RefusedRow && q.Edits == 0 {
		const hint = "; edit the document before it is replayed"
		return decide.Park(q.Kind, q.Code, strings.TrimSuffix(q.Reason, hint)+hint), nil
	}
	if v, err := a.Arrives(ctx, q.Code, r.mostOf(r.flow.Topic())); v != nil || err != nil {
		return v, err
	}
	again := *ev
	received := ev.Accepted // it is as old as it is, and has waited for a person
	if received.IsZero() {
		received = r.Clock.Now()
	}
	again.Refused = &event.Refusal{Code: q.Code, Reading: ev.Refused.Reading + 1}
	return &decide.Verdict{Resubmit: &state.Inbound{Flow: r.flow.Name, ID: ev.ID + "~" + strconv.FormatInt(q.ID, 10), Headers: ev.Refused.Headers, Body: ev.Data,
		Trace: ev.Trace, Received: received, Event: &again}}, nil
}

// mostOf is the largest record that the publisher takes for a topic.
func (r *Runner) mostOf(topic string) int {
	if r.MaxRecord == nil {
		return math.MaxInt
	}
	return r.MaxRecord(topic)
}
