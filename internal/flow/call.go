package flow

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// maxConflicts is how often a write is made again on top of a state that has changed underneath: people may be at work on the same
// object. Beyond it the target's token does not mean what it should.
const maxConflicts = 10

// callTimeout bounds one call to a target whose connector says no bound of its own.
const callTimeout = 30 * time.Second

// bound is how long one request to the system may be under way.
func (s *System) bound() time.Duration {
	if t, ok := s.Connector.(connector.Timed); ok && t.Timeout() > 0 {
		return t.Timeout()
	}
	return callTimeout
}

// patience bounds a whole write: it may wait for the system's rate limit, and read before it writes.
func (s *System) patience() time.Duration { return callTimeout + 2*s.bound() }

// call writes until the failure table says otherwise.
func (d *delivery) call(ctx context.Context) (fate, error) {
	d.tried = d.triedBefore()
	wait := d.flow.Retry.Min
	conflicts := 0
	for {
		// A stored message waits where it is: its owner has other queues to look after, and people give messages up meanwhile.
		if d.attempt.queued != nil && d.resting() {
			return d.leave()
		}
		leave, err := d.target.Breaker.Enter(ctx)
		if err != nil {
			return fate{}, err
		}
		if d.gate.closed() {
			// The flow stands still from now on, and nobody is to wait for what this message holds.
			leave()
			return fate{outcome: state.Held, kind: "paused", reason: "the flow was paused while the message was tried", tried: d.tried}, nil
		}
		f, done, err := d.once(ctx, &conflicts)
		leave()
		switch {
		case done:
			return f, nil
		case ctx.Err() != nil:
			return fate{}, context.Cause(ctx)
		case errors.Is(err, state.ErrFenced), errors.Is(err, ErrStopping):
			return fate{}, err
		}
		// A conflict is answered on top of the present state, soon and also for a stored message: held, it would meet the same
		// stale token again. maxConflicts bounds it. The state is read after the pause: what is old by the pause is stale again where
		// an object changes often.
		if fault.KindOf(err) == fault.Conflict {
			if err := lifecycle.Sleep(ctx, d.Clock, jitter(d.flow.Retry.Min)); err != nil {
				return fate{}, err
			}
			d.retried++
			continue
		}
		d.Observer.Retrying(d.flow.Name, causeOf(err), err.Error())
		if f, done := d.exhausted(err); done {
			return f, nil
		}
		if d.attempt.queued != nil { // the breaker has opened meanwhile
			return d.leave()
		}
		rest := pause(wait, err)
		if err := lifecycle.Sleep(ctx, d.Clock, rest); err != nil {
			return fate{}, err
		}
		if !d.target.Breaker.Open() {
			d.spend(rest)
		}
		wait = min(2*wait, d.flow.Retry.Max)
		d.retried++
	}
}

// causeOf names the cause of a failure, the same for all of one kind.
func causeOf(err error) string {
	cause := fault.KindOf(err).String()
	if e, ok := fault.As(err); ok {
		cause = strings.Trim(e.System+" "+cause+" "+e.Code, " ")
	}
	return cause
}

// leave leaves a stored message as it is. Where other hubs wait for its object, they are told so.
func (d *delivery) leave() (fate, error) {
	if d.calls.Claimed() {
		return fate{outcome: state.Held, kind: "resting", reason: "the flow is paused, or its system down", tried: d.tried}, nil
	}
	in := d.intent()
	d.calls.Leave(&in)
	return fate{}, errResting
}

// spend counts time in which the target was asked, or left alone between two questions. What the hub's own store takes does not count, nor against
// the retry the time in which the target answers nobody.
func (d *delivery) spend(t time.Duration) {
	d.spent += t
	if d.target.Breaker.Counts() {
		d.tried += t
	}
}

// failingKey names the message's key among those that the target fails.
func (d *delivery) failingKey() string { return d.Runner.failingKey(d.attempt.lane) }

func (r *Runner) failingKey(lane string) string { return r.flow.Name + "/" + lane }

// answered: the target has taken the message, or said what is wrong with it.
func (d *delivery) answered() { d.target.Breaker.Success(d.failingKey()) }

// unanswered: the target has not taken the message, which may be nobody's fault but its own.
func (d *delivery) unanswered(err error) { d.target.Breaker.Failure(d.failingKey(), err) }

// unauthorised: wrong credentials concern every message alike: the system's flows wait, nothing is parked.
func (d *delivery) unauthorised(err error) {
	d.target.Breaker.Refused(err)
	d.Observer.Alarm(d.flow.Name, "auth", err)
}

// asking counts the time until what it returns is called.
func (d *delivery) asking() (answered func()) {
	began := d.Clock.Elapsed()
	return func() { d.spend(d.Clock.Elapsed() - began) }
}

// retryAfter is how long the target has asked to be left alone.
func retryAfter(err error) time.Duration {
	if e, ok := fault.As(err); ok {
		return e.RetryAfter
	}
	return 0
}

// pause is how long to wait after a failure: wait, spread, but never less than the target has asked for.
func pause(wait time.Duration, err error) time.Duration {
	p := jitter(wait)
	if asked := retryAfter(err); asked > 0 {
		p = max(p, asked+jitter(wait)/2)
	}
	return p
}

// jitter spreads d over [d/2, d], so that lanes do not come back together.
func jitter(d time.Duration) time.Duration {
	if d <= 1 {
		return d
	}
	return d/2 + rand.N(d/2)
}

// callGrace is how long a call that is under way may still take once the flow is asked to stop.
const callGrace = 5 * time.Second

// once makes one call, after a look where an earlier one is in doubt. Without done, err says why to try again.
func (d *delivery) once(ctx context.Context, conflicts *int) (f fate, done bool, err error) {
	if d.calls.InDoubt() && d.write.Local == "" {
		if f, done, err := d.clear(ctx, conflicts); done || err != nil {
			return f, done, err
		}
	}
	if d.unmet && d.write.Action == connector.Create {
		if f, done, err := d.meet(ctx, conflicts); done || err != nil {
			return f, done, err
		}
	}
	if until := d.inTheWay(); until > 0 {
		return d.rest(until, "a write that was not answered may still arrive in "+d.target.Name+", and must not come behind this one"), true, nil
	}
	if d.stale {
		if f, done, err := d.reread(ctx); done || err != nil {
			return f, done, err
		}
	}
	if !d.calls.Fresh(d.Clock.Elapsed(), ownershipTTL) {
		var by *state.Claimed
		if err := d.open(ctx); errors.As(err, &by) {
			return d.busy("the flow " + by.By.Flow + " on another hub"), true, nil
		} else if err != nil {
			return fate{}, false, err
		}
	}
	in := d.intent()
	if err := d.calls.Sending(&in); err != nil {
		return fate{}, false, err
	}
	// A call is not cut off at once when the flow is asked to stop: cut off, nobody knows whether it was applied. Nobody else has the
	// partition until Stop has returned.
	call, let := lifecycle.Linger(ctx, d.Clock, callGrace, ErrStopping)
	defer let()
	cctx, cancel := context.WithTimeout(connector.WithFence(call, d.checkOwnership), d.target.patience())
	began := d.Clock.Elapsed()
	res, err := d.send(cctx)
	cancel()
	d.keepAnswer(res, err)
	err = d.conceal(err)
	d.spend(d.Clock.Elapsed() - began)
	d.Observer.Call(d.target.Name, d.Clock.Elapsed()-began, err)
	if err == nil && d.write.Action == connector.Create && res.Local == "" {
		err = &fault.Error{Kind: fault.UnknownOutcome, System: d.target.Name, Op: "create", Code: "no-id", Err: errors.New("the answer names no id of the new object")}
	}
	switch {
	case err == nil:
		d.answered()
		d.calls.Answered()
		return d.done(call, res, false), true, nil
	case errors.Is(err, state.ErrFenced), errors.Is(err, ErrStopping):
		d.calls.Withheld() // the system is not to blame
		return fate{}, false, err
	}
	return d.sort(ctx, err, conflicts)
}

// checkOwnership makes sure that the partition is this hub's before the target hears of the message. Where that was not confirmed lately, the
// store is asked: it refuses a hub that was replaced with state.ErrFenced.
func (d *delivery) checkOwnership(ctx context.Context) error {
	if d.Runner.ctx.Err() != nil {
		return context.Cause(d.Runner.ctx) // a stopping flow waits for what is sent and sends nothing more
	}
	p, asked := d.attempt.partition, d.Clock.Elapsed()
	if asked-p.confirmed() < ownershipTTL {
		return nil
	}
	c := &state.Commit{Flow: d.flow.Name, Topic: p.topic, Partition: p.number, Epoch: p.epoch}
	if err := d.insist(ctx, "ownership", func() error { return d.Store.Commit(ctx, c) }); err != nil {
		return err
	}
	p.confirm(asked)
	return nil
}

// clear looks whether the object is there, after calls whose outcome is not known. done says that this decides the message.
func (d *delivery) clear(ctx context.Context, conflicts *int) (fate, bool, error) {
	got, exactly, err := d.look(ctx, true)
	switch {
	case errors.Is(err, connector.ErrNoLookup) && d.calls.OnlyRestored():
		return d.untoldRestored(), true, nil
	case errors.Is(err, connector.ErrNoLookup):
		return d.unasked(err), true, nil
	case err != nil:
		return d.unread(ctx, err)
	}
	if d.calls.IsRestored() {
		d.Restored.Looked(len(got) > 0)
	}
	switch {
	case len(got) > 1:
		return d.several(got, exactly), true, nil
	case len(got) > 0 && d.write.Action == connector.Create:
		return d.adopt(ctx, &got[0], exactly, conflicts)
	case len(got) > 0:
		d.found(&got[0])
		d.write.Local, d.write.ETag = got[0].Local, got[0].ETag
		return fate{}, false, nil
	}
	// Absent now is not absent for good while the request may still be under way: the key rests until its deadline is over.
	if until := d.underway() + d.target.VisibleAfter; until > d.Clock.Elapsed() {
		return d.rest(until, "a create may still be under way in "+d.target.Name+": looking again when its deadline is over"), true, nil
	}
	d.certain()
	if d.write.Action != connector.Create {
		return d.nothing(), true, nil
	}
	return fate{}, false, nil
}

// certain: nothing that was called before can still be, or become, true.
func (d *delivery) certain() {
	d.calls.Looked()
	d.unmet = false
}

// found: the object is there, so the calls that were in doubt are over, and what becomes of this one must not lose it again.
func (d *delivery) found(rec *connector.Record) {
	d.certain()
	d.target.ledger().Found(d.object())
	d.adopted = &state.Ref{Entity: d.ev.Entity, Hub: d.ev.Hub, System: d.target.Name, Local: rec.Local, ETag: rec.ETag, Instead: d.instead, Updated: d.Clock.Now()}
	d.log.Info("found an object that was there already", "key", d.ev.Key, "system", d.target.Name, "local", rec.Local)
}

// underway is the time until when a request whose outcome is not known may still be worked on.
func (d *delivery) underway() time.Duration {
	return max(d.undoneUntil(), d.calls.Underway(d.arrives))
}

// inTheWay is the time until when another write of the object, which was never answered, may still be applied, and would undo this one; 0
// where there is none. A target that checks the concurrency token refuses it then, and this event's own earlier calls say what this
// one says.
func (d *delivery) inTheWay() time.Duration {
	if d.write.Action == connector.Create || d.write.ETag != "" {
		return 0
	}
	now := d.Clock.Elapsed()
	at := d.calls.OthersUntil(d.object(), d.arrives)
	if at <= now {
		return 0
	}
	return at
}

// arrives is the time until when the request of an inherited call may arrive.
func (d *delivery) arrives(in *state.Intent) time.Duration {
	return d.mayArrive(d.target, d.attempt.partition, in)
}

// mayArrive is the time until when the request of an intent may arrive. What another process has sent, it has sent before this one took its
// partition over, or in the moment in which it was still sure of it; where that is somebody else's, before it was first seen here. Neither that
// process's clock nor the time of day is asked.
func (r *Runner) mayArrive(s *System, p *partition, in *state.Intent) time.Duration {
	from := r.Clock.Elapsed()
	if p != nil && in.Flow == r.flow.Name && in.Topic == p.topic && in.Partition == p.number && in.Epoch < p.epoch {
		from = p.taken + ownershipTTL
	}
	return s.ledger().Until(in, from, s.bound())
}

// rest is the fate of a message that must wait for the end of somebody's request.
func (d *delivery) rest(until time.Duration, why string) fate {
	pause := until - d.Clock.Elapsed()
	return d.recalling(fate{outcome: state.Held, kind: fault.UnknownOutcome.String(), reason: why, notBefore: d.steady().Add(pause), tried: d.tried + pause})
}

// lastAnswer comes before what the target said of the call that is in doubt.
const lastAnswer = "; of the call in doubt it is known: "

// recalling adds to a fate what came of the call that is in doubt: the sentence about the wait, or about a look that failed, must not be all that
// is left of the system's own words. A stored message has them in the reason for which it rests.
func (d *delivery) recalling(f fate) fate {
	said := d.said
	if q := d.attempt.queued; said == "" && q != nil {
		found := false
		if _, said, found = strings.Cut(q.Reason, lastAnswer); !found && q.Kind == fault.UnknownOutcome.String() {
			said = q.Reason
		}
	}
	if said != "" && !strings.Contains(f.reason, said) && !strings.Contains(said, f.reason) {
		f.reason += lastAnswer + said
	}
	return f
}

// send makes the call itself.
func (d *delivery) send(ctx context.Context) (connector.Result, error) {
	if err := failpoint.Fail(failpoint.TargetCall); err != nil {
		return connector.Result{}, fault.Wrap(fault.Unavailable, "call", err)
	}
	res, err := d.target.Connector.(connector.Sink).Write(ctx, d.write)
	if err != nil {
		return res, err
	}
	if err := failpoint.Fail(failpoint.TargetApplied); err != nil {
		return connector.Result{}, fault.Wrap(fault.UnknownOutcome, "call", err)
	}
	return res, nil
}

// sort acts on a failed call by its kind. Without done the call is made again later.
func (d *delivery) sort(ctx context.Context, err error, conflicts *int) (fate, bool, error) {
	if ctx.Err() != nil {
		return fate{}, false, err
	}
	if fault.KindOf(err) != fault.UnknownOutcome && (fault.KindOf(err) != fault.NotFound || d.write.Action != connector.Delete) {
		d.calls.Refused()
	}
	e, _ := fault.As(err)
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.RateLimited:
		d.unanswered(err)
		return fate{}, false, err
	case fault.Auth:
		d.unauthorised(err)
		return fate{}, false, err
	case fault.UnknownOutcome:
		*conflicts = 0 // the next one is with this very write, if it was applied after all
		return d.unknown(ctx, err)
	case fault.Conflict:
		d.answered()
		if e != nil && e.Duplicate {
			if d.write.Action != connector.Create {
				// The object is known: what stands in the way is another one, and will be met again.
				return d.giveUp(failed(err)), true, nil
			}
			return d.duplicate(ctx, err, conflicts)
		}
		*conflicts++
		if _, ok := d.target.Connector.(connector.Finder); !ok || *conflicts > maxConflicts {
			return d.giveUp(failed(err)), true, nil
		}
		d.stale = true
		return fate{}, false, err
	case fault.NotFound:
		d.answered()
		if d.write.Action == connector.Delete {
			d.calls.Answered()
			return d.done(ctx, connector.Result{Local: d.write.Local}, false), true, nil
		}
		return d.giveUp(failed(err)), true, nil
	default:
		d.answered() // the document is at fault
		return d.giveUp(failed(err)), true, nil
	}
}

// unread acts on a failed look: nothing was written, so nothing is in more doubt than before.
func (d *delivery) unread(ctx context.Context, err error) (fate, bool, error) {
	if ctx.Err() != nil {
		return fate{}, false, err
	}
	err = d.conceal(err)
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.UnknownOutcome, fault.RateLimited:
		d.unanswered(err)
	case fault.Auth:
		d.unauthorised(err)
	case fault.Conflict:
	default:
		d.answered()
		return d.giveUp(failed(err)), true, nil
	}
	if fault.KindOf(err) == fault.Conflict {
		err = fault.Wrap(fault.UnknownOutcome, "look up", err) // only a write is made again on top of what it meets
	}
	return fate{}, false, err
}

// giveUp: the target has not taken the message with this call. What earlier calls have left in doubt keeps its intent: a replay must look
// before it sends again.
func (d *delivery) giveUp(f fate) fate {
	if d.write.Action == connector.Create && d.calls.InDoubt() {
		f.kind = fault.UnknownOutcome.String()
		f.doubtful = true
		return d.recalling(f)
	}
	return f
}

// unknown is a call that may have been applied. Writing absolute values to a known object again is harmless; a create is looked
// up first, after the time that the target needs to show it.
func (d *delivery) unknown(ctx context.Context, err error) (fate, bool, error) {
	d.unanswered(err)
	e, ok := fault.As(err)
	until := time.Duration(0)
	if !ok || e.Code == "" { // never answered: it may be under way for as long as a request may
		until = d.Clock.Elapsed() + d.target.bound()
	}
	d.said = err.Error()
	in := d.intent()
	d.calls.Lost(&in, until, d.write.Action == connector.Create || d.write.ETag == "")
	if d.write.Action != connector.Create {
		return fate{}, false, err
	}
	if _, ok := d.target.Connector.(connector.Finder); !ok {
		return d.unasked(err), true, nil
	}
	if serr := lifecycle.Sleep(ctx, d.Clock, d.target.VisibleAfter); serr != nil {
		return fate{}, false, serr
	}
	d.spend(d.target.VisibleAfter)
	return fate{}, false, err
}

// unasked is the fate of a create that may have been applied in a system that cannot be asked. Its intent stays open.
func (d *delivery) unasked(err error) fate {
	f := failed(err)
	f.kind = fault.UnknownOutcome.String()
	f.doubtful = true
	f.reason += "; the system cannot be asked whether it was applied: look there, then replay or discard"
	return d.recalling(f)
}

// reread gets the object's present concurrency token; the write then goes on top of the present state, field by field.
func (d *delivery) reread(ctx context.Context) (fate, bool, error) {
	finder := d.target.Connector.(connector.Finder)
	cctx, cancel := context.WithTimeout(ctx, d.target.patience())
	defer cancel()
	asked := d.asking()
	got, err := finder.Find(cctx, connector.Lookup{Entity: d.write.Entity, Object: d.write.Object, Local: d.write.Local})
	asked()
	if err != nil {
		return d.unread(ctx, err)
	}
	got = slices.DeleteFunc(got, func(r connector.Record) bool { return r.Deleted })
	if len(got) == 0 {
		return d.giveUp(failed(fault.New(fault.NotFound, "the object %s is gone in %s", d.write.Local, d.target.Name))), true, nil
	}
	d.write.ETag, d.stale = got[0].ETag, false
	return fate{}, false, nil
}

// holds reports whether a document of the target has every field that is to be written, with its value. Nothing is to be written
// again then: some systems, such as files, take no updates at all.
func (d *delivery) holds(have []byte) bool {
	got, want := jsondoc.Get(), jsondoc.Get()
	defer jsondoc.Put(got)
	defer jsondoc.Put(want)
	if got.Reset(have, documentLimits) != nil || want.Reset(d.stage.out, documentLimits) != nil || want.Root().Kind() != jsondoc.Object {
		return false
	}
	for name, v := range want.Root().Members() {
		if w := got.Root().Get(name); w.Kind() == jsondoc.Missing || jsondoc.Hash(w) != jsondoc.Hash(v) {
			return false
		}
	}
	return true
}

// exhausted says what becomes of a message whose target does not answer for long: held in the store, so that its key does not
// stall the lane, and parked when the flow's retry time is over and nobody but the message is to blame. Time in which the target answers nobody
// does not count.
func (d *delivery) exhausted(err error) (fate, bool) {
	target := d.target.Breaker
	if target.Open() {
		return fate{}, false
	}
	if d.tried >= d.flow.Retry.For && target.Blames(d.failingKey()) {
		target.Over(d.failingKey())
		f := d.giveUp(failed(err))
		if f.doubtful = f.doubtful || d.calls.LostHere(); d.calls.LostHere() {
			f = d.recalling(f)
		}
		return f, true
	}
	if d.attempt.queued == nil && d.spent+retryAfter(err) < d.InPlace {
		return fate{}, false
	}
	rest, tried := pause(d.flow.Retry.Max, err), d.tried
	if target.Counts() {
		tried += rest
	}
	f := fate{outcome: state.Held, kind: fault.KindOf(err).String(), reason: err.Error(), notBefore: d.steady().Add(rest), tried: tried}
	if d.calls.InDoubt() {
		f = d.recalling(f)
	}
	return f, true
}

// owned is the document of an update: the fields that the flow owns.
func (d *delivery) owned() []byte {
	if len(d.flow.To.Owns) == 0 {
		return d.stage.out
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if doc.Reset(d.stage.out, documentLimits) != nil {
		return d.stage.out
	}
	b := []byte{'{'}
	for _, name := range d.flow.To.Owns {
		v := doc.Root().Get(name)
		if v.Kind() == jsondoc.Missing {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(jsondoc.AppendString(b, name), ':')
		b = append(b, v.Raw()...)
	}
	return append(b, '}')
}
