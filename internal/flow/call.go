package flow

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// maxConflicts is how often a write is made again on top of a state that has changed underneath.
const maxConflicts = 4

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
	d.began = d.steady()
	wait := d.flow.Retry.Min
	conflicts := 0
	for {
		// A stored message waits where it is: its owner has other queues to look after, and people give messages up meanwhile.
		if d.attempt.queued != nil && d.resting() {
			return fate{}, errResting
		}
		if err := d.Runner.target.Breaker.Wait(ctx); err != nil {
			return fate{}, err
		}
		if err := d.gate.wait(ctx); err != nil {
			return fate{}, err
		}
		f, done, err := d.once(ctx, &conflicts)
		if errors.Is(err, state.ErrFenced) {
			return fate{}, err
		}
		if done || ctx.Err() != nil {
			if ctx.Err() != nil && !done {
				return fate{}, context.Cause(ctx)
			}
			return f, nil
		}
		// A conflict is answered on top of the state just read, soon and also for a stored message: held, it would meet the same
		// stale token again. maxConflicts bounds it.
		if fault.KindOf(err) == fault.Conflict {
			if err := lifecycle.Sleep(ctx, d.Clock, jitter(d.flow.Retry.Min)); err != nil {
				return fate{}, err
			}
			d.retried++
			continue
		}
		if f, done := d.exhausted(err); done {
			return f, nil
		}
		if d.attempt.queued != nil { // the breaker has opened meanwhile
			return fate{}, errResting
		}
		if err := lifecycle.Sleep(ctx, d.Clock, pause(wait, err)); err != nil {
			return fate{}, err
		}
		wait = min(2*wait, d.flow.Retry.Max)
		d.retried++
	}
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
	if d.doubt && d.write.Action == connector.Create {
		res, found, err := d.look(ctx)
		switch {
		case errors.Is(err, connector.ErrNoLookup):
			return d.unasked(err), true, nil
		case err != nil:
			return d.sort(ctx, err, conflicts)
		case found:
			return d.adopt(ctx, res, conflicts)
		}
		// Absent now is not absent for good while the request may still be under way: the key rests until its deadline is over.
		if until := d.underway().Add(d.Runner.target.VisibleAfter); until.After(d.steady()) {
			return fate{outcome: state.Held, kind: fault.UnknownOutcome.String(), notBefore: until,
				reason: "a create may still be under way in " + d.Runner.target.Name + ": looking again when its deadline is over"}, true, nil
		}
		d.doubt = false
	}
	if err := d.still(ctx); err != nil {
		return fate{}, false, err
	}
	d.ended, d.answered = time.Time{}, false
	// A call is not cut off at once when the flow is asked to stop: cut off, nobody knows whether it was applied. Nobody else has the
	// partition until Stop has returned.
	call, let := lifecycle.Linger(ctx, d.Clock, callGrace, ErrStopping)
	defer let()
	cctx, cancel := context.WithTimeout(connector.WithFence(call, d.still), d.Runner.target.patience())
	began := d.Clock.Now()
	res, err := d.send(cctx)
	cancel()
	d.ended = d.steady()
	d.Observer.Call(d.Runner.target.Name, d.Clock.Now().Sub(began), err)
	switch {
	case err == nil:
		d.Runner.target.Breaker.Success()
		return d.done(call, res), true, nil
	case errors.Is(err, state.ErrFenced):
		return fate{}, false, err
	}
	return d.sort(ctx, err, conflicts)
}

// still makes sure that the partition is this hub's before the target hears of the message. Where that was not confirmed lately, the
// store is asked: it refuses a hub that was replaced with state.ErrFenced.
func (d *delivery) still(ctx context.Context) error {
	if d.Runner.ctx.Err() != nil {
		return context.Cause(d.Runner.ctx) // a stopping flow waits for what is sent and sends nothing more
	}
	p, asked := d.attempt.partition, d.Clock.Now()
	if asked.Sub(p.confirmed()) < sureFor {
		return nil
	}
	c := &state.Commit{Flow: d.flow.Name, Topic: p.topic, Partition: p.number, Epoch: p.epoch}
	if err := d.insist(ctx, "ownership", func() error { return d.Store.Commit(ctx, c) }); err != nil {
		return err
	}
	p.confirm(asked)
	return nil
}

// send makes the call itself.
func (d *delivery) send(ctx context.Context) (connector.Result, error) {
	if err := failpoint.Fail(failpoint.TargetCall); err != nil {
		return connector.Result{}, fault.Wrap(fault.Unavailable, "call", err)
	}
	res, err := d.Runner.target.Connector.(connector.Sink).Write(ctx, d.write)
	if err != nil {
		return res, err
	}
	if err := failpoint.Fail(failpoint.TargetApplied); err != nil {
		return connector.Result{}, fault.Wrap(fault.UnknownOutcome, "call", err)
	}
	return res, nil
}

// underway is until when a request whose outcome is not known may still be worked on: that of this process unless it was
// answered, else that of the process which left the intent. When a request went out is not known: it may have waited for the
// system's limits after its intent was stored. So the time counts from its end, and that of another process from when the
// partition was taken over from it.
func (d *delivery) underway() time.Time {
	switch {
	case d.answered:
		return time.Time{}
	case !d.ended.IsZero():
		return d.ended.Add(d.Runner.target.bound())
	case d.target.Intent != nil:
		opened := d.target.Intent.Opened
		if taken := d.attempt.partition.taken; opened.Before(taken) || opened.After(d.steady()) { // the clock was set back: it is older all the same
			opened = taken
		}
		return opened.Add(d.Runner.target.bound())
	}
	return time.Time{}
}

// sort acts on a failed call by its kind. Without done the call is made again later.
func (d *delivery) sort(ctx context.Context, err error, conflicts *int) (fate, bool, error) {
	if ctx.Err() != nil {
		return fate{}, false, err
	}
	e, _ := fault.As(err)
	switch kind := fault.KindOf(err); kind {
	case fault.Unavailable, fault.RateLimited:
		if kind == fault.Unavailable {
			d.Runner.target.Breaker.Failure(d.attempt.lane, err)
		}
		return fate{}, false, err
	case fault.Auth:
		// Wrong credentials concern every message alike: the system's flows wait, nothing is parked.
		d.Runner.target.Breaker.Trip(err)
		d.Observer.Alarm(d.flow.Name, "auth", err)
		return fate{}, false, err
	case fault.UnknownOutcome:
		*conflicts = 0 // the next one is with this very write, if it was applied after all
		return d.unknown(ctx, err)
	case fault.Conflict:
		if e != nil && e.Duplicate {
			return d.duplicate(ctx, err, conflicts)
		}
		*conflicts++
		if *conflicts > maxConflicts {
			return d.given(failed(err)), true, nil
		}
		return d.reread(ctx, err)
	case fault.NotFound:
		if d.write.Action == connector.Delete {
			return d.done(ctx, connector.Result{Local: d.write.Local}), true, nil
		}
		return d.given(failed(err)), true, nil
	default:
		d.Runner.target.Breaker.Success() // it answered: the document is at fault
		return d.given(failed(err)), true, nil
	}
}

// given up: the target has certainly not taken the message, so its intent is over. A create in doubt keeps its intent: a replay
// must look before it sends again.
func (d *delivery) given(f fate) fate {
	if d.doubt && d.write.Action == connector.Create {
		f.kind = fault.UnknownOutcome.String()
		return f
	}
	in := d.intent()
	f.close = &in
	return f
}

// unknown is a call that may have been applied. Writing absolute values to a known object again is harmless; a create is looked
// up first, after the time that the target needs to show it.
func (d *delivery) unknown(ctx context.Context, err error) (fate, bool, error) {
	d.Runner.target.Breaker.Failure(d.attempt.lane, err)
	if d.write.Action != connector.Create {
		return fate{}, false, err
	}
	if _, ok := d.Runner.target.Connector.(connector.Finder); !ok {
		return d.unasked(err), true, nil
	}
	e, ok := fault.As(err)
	d.doubt, d.uncertain, d.answered = true, true, ok && e.Code != ""
	if serr := lifecycle.Sleep(ctx, d.Clock, d.Runner.target.VisibleAfter); serr != nil {
		return fate{}, false, serr
	}
	return fate{}, false, err
}

// unasked is the fate of a create that may have been applied in a system that cannot be asked. Its intent stays open.
func (d *delivery) unasked(err error) fate {
	f := failed(err)
	f.kind = fault.UnknownOutcome.String()
	f.reason += "; the system cannot be asked whether it was applied: look there, then replay or discard"
	return f
}

// duplicate: the target says that it holds the object.
func (d *delivery) duplicate(ctx context.Context, cause error, conflicts *int) (fate, bool, error) {
	res, found, err := d.look(ctx)
	if err != nil && !errors.Is(err, connector.ErrNoLookup) {
		return d.sort(ctx, err, conflicts)
	}
	if !found {
		f := failed(cause)
		f.reason += "; but it does not find it by its external id: another object stands in the way"
		return d.given(f), true, nil
	}
	return d.adopt(ctx, res, conflicts)
}

// reread gets the object's present concurrency token; the write then goes on top of the present state, field by field.
func (d *delivery) reread(ctx context.Context, cause error) (fate, bool, error) {
	finder, ok := d.Runner.target.Connector.(connector.Finder)
	if !ok {
		return d.given(failed(cause)), true, nil
	}
	got, err := finder.Find(ctx, connector.Lookup{Entity: d.write.Entity, Object: d.write.Object, Local: d.write.Local})
	if err != nil {
		return fate{}, false, err
	}
	got = slices.DeleteFunc(got, func(r connector.Record) bool { return r.Deleted })
	if len(got) == 0 {
		return d.given(failed(fault.New(fault.NotFound, "the object %s is gone in %s", d.write.Local, d.Runner.target.Name))), true, nil
	}
	d.write.ETag = got[0].ETag
	return fate{}, false, cause
}

// look asks the target for the object by its external id, then by its natural key; connector.ErrNoLookup where it cannot be asked
// by either.
func (d *delivery) look(ctx context.Context) (connector.Record, bool, error) {
	finder, ok := d.Runner.target.Connector.(connector.Finder)
	if !ok {
		return connector.Record{}, false, connector.ErrNoLookup
	}
	lookups := []connector.Lookup{{Entity: d.write.Entity, Object: d.write.Object, External: d.write.External}}
	if natural := d.natural(); len(natural) > 0 {
		lookups = append(lookups, connector.Lookup{Entity: d.write.Entity, Object: d.write.Object, Natural: natural})
	}
	err := connector.ErrNoLookup
	for _, l := range lookups {
		got, ferr := finder.Find(ctx, l)
		switch {
		case errors.Is(ferr, connector.ErrNoLookup):
			continue
		case ferr != nil:
			return connector.Record{}, false, ferr
		}
		err = nil
		got = slices.DeleteFunc(got, func(r connector.Record) bool { return r.Deleted })
		if len(got) > 1 {
			d.log.Error("the target holds several objects of one id: one of them is a double", "key", d.ev.Key, "system", d.Runner.target.Name,
				"external", d.write.External, "objects", len(got))
		}
		if len(got) > 0 {
			return got[0], true, nil
		}
	}
	return connector.Record{}, false, err
}

// natural gives the values of the flow's find-by fields.
func (d *delivery) natural() map[string]string {
	if len(d.flow.To.FindBy) == 0 || len(d.stage.out) == 0 {
		return nil
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if doc.Reset(d.stage.out, jsondoc.Limits{}) != nil {
		return nil
	}
	m := map[string]string{}
	for _, name := range d.flow.To.FindBy {
		switch v := doc.Root().GetPath(name); v.Kind() {
		case jsondoc.Missing, jsondoc.Null:
			return nil // half a key finds strangers
		case jsondoc.String:
			m[name] = v.Str()
		default:
			m[name] = string(v.Raw())
		}
	}
	return m
}

// adopt takes an object that is there already as the one to create. What an earlier process may have made of an earlier document is
// written once more: absolute values do no harm.
func (d *delivery) adopt(ctx context.Context, rec connector.Record, conflicts *int) (fate, bool, error) {
	d.doubt = false
	d.log.Info("adopted an object that was there already", "key", d.ev.Key, "system", d.Runner.target.Name, "local", rec.Local)
	if d.uncertain || d.holds(rec.Doc) { // made by this very call, so it holds this very document; or it does anyhow
		return d.done(ctx, connector.Result{Local: rec.Local, Doc: rec.Doc, ETag: rec.ETag}), true, nil
	}
	d.write.Action, d.write.Local, d.write.ETag, d.write.Doc = connector.Update, rec.Local, rec.ETag, d.owned()
	return d.once(ctx, conflicts)
}

// holds reports whether a document of the target has every field that is to be written, with its value. Nothing is to be written
// again then: some systems, such as files, take no updates at all.
func (d *delivery) holds(have []byte) bool {
	got, want := jsondoc.Get(), jsondoc.Get()
	defer jsondoc.Put(got)
	defer jsondoc.Put(want)
	if got.Reset(have, jsondoc.Limits{}) != nil || want.Reset(d.stage.out, jsondoc.Limits{}) != nil || want.Root().Kind() != jsondoc.Object {
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
// stall the lane, and parked when the flow's retry time is over. Time with the breaker open does not count.
func (d *delivery) exhausted(err error) (fate, bool) {
	now := d.steady()
	if _, _, open := d.Runner.target.Breaker.Open(); open {
		return fate{}, false
	}
	first := d.began
	if q := d.attempt.queued; q != nil && q.State == state.Held && !q.Follower && q.Attempts > 0 {
		first = q.Since
	}
	if now.Sub(later(first, d.Runner.target.Breaker.Up())) >= d.flow.Retry.For {
		f := failed(err)
		if fault.KindOf(err) != fault.UnknownOutcome {
			f = d.given(f)
		}
		return f, true
	}
	if d.attempt.queued == nil && now.Sub(later(d.began, d.Runner.target.Breaker.Up()))+retryAfter(err) < d.InPlace {
		return fate{}, false
	}
	f := fate{outcome: state.Held, kind: fault.KindOf(err).String(), reason: err.Error()}
	f.notBefore = now.Add(pause(d.flow.Retry.Max, err))
	return f, true
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// owned is the document of an update: the fields that the flow owns.
func (d *delivery) owned() []byte {
	if len(d.flow.To.Owns) == 0 {
		return d.stage.out
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if doc.Reset(d.stage.out, jsondoc.Limits{}) != nil {
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
