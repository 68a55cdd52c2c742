package deliver

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/tracing"
)

// CallGrace is how long a call that is under way may still take once the flow is asked to stop.
const CallGrace = 5 * time.Second

// tries are the stages of one try. An error says why to try again.
var tries = []stage{clearDoubt, meet, awaitOthers, awaitOwn, reread, announce, send}

// try makes one call, after a look where an earlier one is in doubt.
func (d *delivery) try(ctx context.Context) (*decide.Verdict, error) {
	for range 3 { // what is refused as a double and adopted is tried once more, as an update; what is gone and asked for again, as a create
		for _, s := range tries {
			if v, err := s(ctx, d); v != nil || err != nil {
				return v, err
			}
		}
	}
	return nil, errors.New("a try has come to its end without an answer: this is a fault of Waybill")
}

// awaitOthers lets the message rest while another write of the object, which was never answered, may still be applied, and would undo this one. A
// target that checks the concurrency token refuses it then, and this event's own earlier calls say what this one says.
func awaitOthers(_ context.Context, d *delivery) (*decide.Verdict, error) {
	if d.write.Action == connector.Create || d.write.ETag != "" {
		return nil, nil
	}
	until := d.calls.OthersUntil(d.object(), d.arrives)
	if until <= d.Clock.Elapsed() {
		return nil, nil
	}
	return d.restUntil(until, "a write that was not answered may still arrive in "+d.Target.Name+", and must not come behind this one"), nil
}

// awaitOwn lets the message rest while a call that an earlier attempt has made for it may still be applied, where the target looks for itself whether it was:
// it can tell that only then. A create was looked for already.
func awaitOwn(_ context.Context, d *delivery) (*decide.Verdict, error) {
	if !d.Target.recalls() || d.write.Local == "" || !d.calls.InheritedOwn() {
		return nil, nil
	}
	until := d.underway() + d.Target.VisibleAfter
	if until <= d.Clock.Elapsed() {
		return nil, nil
	}
	return d.restUntil(until, "an earlier call for this change may still be under way in "+d.Target.Name+": it is made again when its deadline is over, unless it is there then"), nil
}

// recalled tells a target that can look whether the change may have been written before, and since when.
func (d *delivery) recalled() connector.Write {
	w := d.write
	if d.Target.recalls() && (d.calls.InheritedOwn() || d.calls.LostHere()) {
		w.Since = d.since()
	}
	return w
}

// reread gets the object's present concurrency token, where the one at hand is not its any more; the write then goes on top of the present state,
// field by field.
func reread(ctx context.Context, d *delivery) (*decide.Verdict, error) {
	if !d.stale {
		return nil, nil
	}
	finder, _ := d.Target.finder()
	cctx, cancel := context.WithTimeout(ctx, d.Target.patience())
	defer cancel()
	asked := d.asking()
	got, err := finder.Find(cctx, connector.Lookup{Entity: d.write.Entity, Object: d.write.Object, Local: d.write.Local})
	asked()
	if err != nil {
		return d.unread(ctx, err)
	}
	got = slices.DeleteFunc(got, func(r connector.Record) bool { return r.Deleted })
	if len(got) == 0 {
		return d.giveUp(decide.Fail(fault.New(fault.NotFound, "the object %s is gone in %s", d.write.Local, d.Target.Name))), nil
	}
	d.write.ETag, d.stale = got[0].ETag, false
	return nil, nil
}

// announce stores the intent, unless it was stored a moment ago and nothing was sent under it.
func announce(ctx context.Context, d *delivery) (*decide.Verdict, error) {
	if d.calls.Fresh(d.Clock.Elapsed(), OwnershipTTL) {
		return nil, nil
	}
	err := d.open(ctx)
	var by *state.Claimed
	if errors.As(err, &by) {
		return d.claimedBy(by), nil
	}
	return nil, err
}

// send makes the call, and acts on the answer.
func send(ctx context.Context, d *delivery) (*decide.Verdict, error) {
	in := d.intent()
	if err := d.calls.Sending(&in); err != nil {
		return nil, err
	}
	// A call is not cut off at once when the flow is asked to stop: cut off, nobody knows whether it was applied. Nobody else has the
	// partition until Stop has returned.
	graced, let := lifecycle.Linger(ctx, d.Clock, CallGrace, ErrStopping)
	defer let()
	cctx, cancel := context.WithTimeout(connector.WithFence(graced, d.checkOwnership), d.Target.patience())
	began := d.Clock.Elapsed()
	res, err := d.traced(cctx)
	cancel()
	d.keepAnswer(res, err)
	err = d.conceal(err)
	d.spend(d.Clock.Elapsed() - began)
	d.Observer.Call(d.Target.Name, d.Clock.Elapsed()-began, err)
	if err == nil && d.write.Action == connector.Create && res.Local == "" {
		err = &fault.Error{Kind: fault.UnknownOutcome, System: d.Target.Name, Op: "create", Code: "no-id", Err: errors.New("the answer names no id of the new object")}
	}
	switch {
	case err == nil:
		d.calls.Answered()
		return d.done(graced, res, false), nil
	case errors.Is(err, state.ErrFenced), errors.Is(err, ErrStopping):
		d.calls.Withheld() // the system is not to blame
		return nil, err
	}
	return d.failed(ctx, err)
}

// traced makes the call within a span, whose place in the trace goes to the target where it speaks HTTP.
func (d *delivery) traced(ctx context.Context) (connector.Result, error) {
	if d.Tracer == nil {
		return d.request(ctx)
	}
	span := d.Tracer.Begin(d.Event.Trace, tracing.Calling, string(d.write.Action)+" "+d.Target.Name, tracing.Attr{Key: "waybill.system", Value: d.Target.Name},
		tracing.Attr{Key: "waybill.entity", Value: d.write.Entity}, tracing.Attr{Key: "waybill.object", Value: d.write.Object})
	res, err := d.request(tracing.With(ctx, span.Traceparent()))
	failed := ""
	if err != nil {
		failed = fault.KindOf(err).String()
	}
	span.End(failed, tracing.Attr{Key: "waybill.status", Value: res.Status})
	return res, err
}

// request makes the call itself.
func (d *delivery) request(ctx context.Context) (connector.Result, error) {
	if err := failpoint.Fail(failpoint.TargetCall); err != nil {
		return connector.Result{}, fault.Wrap(fault.Unavailable, "call", err)
	}
	res, err := d.Target.Connector.(connector.Sink).Write(ctx, d.recalled())
	if err != nil {
		return res, err
	}
	if err := failpoint.Fail(failpoint.TargetApplied); err != nil {
		return connector.Result{}, fault.Wrap(fault.UnknownOutcome, "call", err)
	}
	return res, nil
}

// checkOwnership makes sure that the partition is this hub's before the target hears of the message. Where that was not confirmed lately, the
// store is asked: it refuses a hub that was replaced with state.ErrFenced.
func (d *delivery) checkOwnership(ctx context.Context) error {
	if d.Stopping.Err() != nil {
		return context.Cause(d.Stopping) // a stopping flow waits for what is sent and sends nothing more
	}
	p, asked := d.Part, d.Clock.Elapsed()
	if asked-p.confirmed() < OwnershipTTL {
		return nil
	}
	if err := d.Store.Commit(ctx, &state.Commit{Flow: d.Flow.Name, Topic: p.Topic, Partition: p.Number, Epoch: p.Epoch}); err != nil {
		return err
	}
	p.Confirm(asked)
	return nil
}

// arrives is the time until when the request of an inherited call may arrive.
func (d *delivery) arrives(in *state.Intent) time.Duration {
	return d.mayArrive(d.Target, d.Part, in)
}
