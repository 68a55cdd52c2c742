package flow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/flow/calls"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
)

// deletedHash stands for "deleted" where the version guard remembers the hash of what it applied.
const deletedHash = "deleted"

// delivery is one message on its way to a target system.
type delivery struct {
	*Runner
	ev      *event.Event
	stage   *stage
	attempt *attempt
	known   state.Target // what the store knew of the object when the delivery began, or claimed it
	calls   *calls.Delivery
	hash    string // of the document to write
	write   connector.Write
	retried int
	// spent is how long this has been tried in place, tried what counts against the flow's retry time: both leave out the time in which
	// the system counted as down, and neither asks the time of day.
	spent, tried time.Duration

	// shared: another hub may be at work on the object, which is claimed for as long as this delivery takes.
	shared bool
	// stale: the token is not the object's any more, and is read again before the next call.
	stale bool

	// said is what came of the last call whose outcome is not known.
	said string
	// unmet: nobody has looked yet whether the object was there before the hub came. met: it was, as the journal tells.
	// instead is the hub id under which it was known there.
	unmet   bool
	met     string
	instead string
	adopted *state.Ref // the object that was found to be there

	trail  trail
	secret *privacy.Values // what conceal looks for; made when it is needed
}

func (r *Runner) newDelivery(ev *event.Event, s *stage, a *attempt) *delivery {
	return &delivery{Runner: r, ev: ev, stage: s, attempt: a, calls: r.target.ledger().Deliver(ev.ID)}
}

// deliver takes a mapped document to the flow's target: guards, intent, call, and the fate that the store will hear of.
func (r *Runner) deliver(ctx context.Context, ev *event.Event, s *stage, a *attempt) (fate, error) {
	d := r.newDelivery(ev, s, a)
	f, done, err := d.identify(ctx)
	if err == nil && !done {
		f, done, err = d.alone(ctx)
	}
	if err == nil && !done {
		f, done, err = d.prepare(ctx)
	}
	if err == nil && !done && a.queued != nil && r.resting() {
		err = errResting
	}
	if err == nil && d.shared && (!done || f.applied != nil) {
		// Another hub may be at work on the object: it is claimed, and what was read of it before is read again.
		if f, done, err = d.claim(ctx); err == nil && !done {
			f, done, err = d.prepare(ctx)
		}
	}
	if err == nil && !done {
		f, err = d.call(ctx)
	}
	if err != nil {
		return fate{}, err
	}
	d.finish(&f)
	f.external, f.retried = d.known.External, d.retried
	d.tell(&f)
	if f.outcome == state.Delivered || f.outcome == state.Skipped {
		f.source = s.ref // sooner, the event would be taken for one that is done with when it is tried again
	}
	return f, nil
}

// tell adds to the fate what was done.
func (d *delivery) tell(f *fate) {
	t := &f.trail
	field, told := t.field, t.told
	*t = d.trail
	if t.told = told; t.told == "" {
		t.told = d.met
	}
	if field != "" {
		t.field = field
	}
	if f.outcome == state.Delivered || f.outcome == state.Skipped {
		t.field = ""
	}
	if d.met != "" {
		t.action = state.DidAdopt
	}
	if t.action == "" && f.outcome != state.Skipped && d.write.Action != "" {
		t.action = didOf(d.write.Action, d.write.Action == connector.Update && d.ev.Operation == event.Delete)
	}
	t.lost = d.calls.LostHere()
}

// alone takes the object among the flows of this hub.
func (d *delivery) alone(ctx context.Context) (fate, bool, error) {
	limit := d.InPlace
	if d.attempt.queued != nil {
		limit = min(limit, time.Second)
	}
	ok, err := d.take(ctx, d.attempt, hold{d.target.shared(), d.object()}, limit)
	if err != nil || ok {
		return fate{}, false, err
	}
	return d.busy("another message of this hub"), true, nil
}

func (d *delivery) object() calls.Object { return calls.Object{Entity: d.ev.Entity, Hub: d.ev.Hub} }

// busy is the fate of a message whose object others are at work on for long. It has not been tried.
func (d *delivery) busy(who string) fate {
	f := fate{outcome: state.Held, kind: "busy", reason: "the object is just being written by " + who, tried: d.triedBefore(),
		notBefore: d.steady().Add(jitter(min(d.flow.Retry.Max, 5*time.Second)))}
	return f
}

// triedBefore is how long the message was tried before it came to rest in the stored queue. A replay by a person begins anew.
func (d *delivery) triedBefore() time.Duration {
	if q := d.attempt.queued; q != nil && q.State == state.Held && !q.Follower && q.Mark != state.MarkReplay {
		return q.Tried
	}
	return 0
}

// claim keeps other hubs from the object until the fate is stored.
func (d *delivery) claim(ctx context.Context) (fate, bool, error) {
	wait, began := 25*time.Millisecond, d.Clock.Elapsed()
	for {
		err := d.open(ctx)
		var by *state.Claimed
		if !errors.As(err, &by) {
			return fate{}, false, err
		}
		if d.attempt.queued != nil || d.Clock.Elapsed()-began >= d.InPlace {
			return d.busy("the flow " + by.By.Flow + " on another hub"), true, nil
		}
		if err := lifecycle.Sleep(ctx, d.Clock, jitter(wait)); err != nil {
			return fate{}, false, err
		}
		wait = min(2*wait, time.Second)
	}
}

// open stores that a call is about to be made, under the partition's fencing token: a hub that has lost the partition calls nobody.
func (d *delivery) open(ctx context.Context) error {
	in, asked := d.intent(), d.Clock.Elapsed()
	in.Claim, in.Again = d.shared, d.calls.Claimed()
	if d.shared {
		in.Over = d.target.ledger().ForgottenClaim(d.object(), d.Clock.Elapsed())
	}
	err := d.insist(ctx, "intent", func() error { return d.Store.OpenIntent(ctx, in) })
	var by *state.Claimed
	if errors.As(err, &by) {
		d.target.ledger().ClaimMet(d.object(), by.By, d.Clock.Elapsed())
	}
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.IntentCommitted)
	if err := d.calls.Opened(asked, d.shared); err != nil {
		return err
	}
	d.attempt.partition.confirm(asked)
	return nil
}

// finish says what becomes of the object and of the intent of the event. What a call may have left in doubt stays open, and only its claim
// ends; what is certain is closed in the commit that stores the fate.
func (d *delivery) finish(f *fate) {
	if f.ref == nil {
		f.ref = d.adopted // the object is there, whatever became of this write
	}
	if len(f.closes) > 0 {
		return
	}
	switch d.calls.Ending() {
	case calls.KeepOwn:
		f.left, f.claimed = []state.Intent{d.intent()}, d.calls.Claimed()
	case calls.CloseAll:
		f.closes = d.every()
	case calls.CloseOwn:
		f.closes = []state.Intent{d.intent()}
	case calls.Nothing:
	}
}

// identify finds the object's hub id for events of foreign programs.
func (d *delivery) identify(ctx context.Context) (fate, bool, error) {
	if d.ev.Hub == "" && d.ev.Key == "" {
		return parked("malformed", "key", "the record has neither a key nor a hub id: nothing says which object it is"), true, nil
	}
	if d.ev.Origin == "" {
		d.ev.Origin = d.ev.Source
	}
	d.shared = d.Store.Shared() && (d.contested || d.attempt.lane != d.ev.Lane() || d.rekeyed && d.ev.Hub == "")
	if d.ev.Hub != "" {
		return fate{}, false, nil
	}
	err := d.insist(ctx, "resolve", func() (err error) {
		// A topic that a foreign program fills is a place with ids of its own, like a system; nothing is ever created there, so
		// the resolution is never pending.
		d.ev.Hub, _, err = d.Store.Resolve(ctx, d.ev.Entity, "topic/"+d.flow.From.Topic, d.ev.Key, "", d.ev.ID)
		return err
	})
	return fate{}, false, err
}

// prepare takes the delivery as far as the call to make; done says that none is needed.
func (d *delivery) prepare(ctx context.Context) (f fate, done bool, err error) {
	err = d.insist(ctx, "target", func() (err error) {
		d.known, err = d.Store.Target(ctx, d.ev.Entity, d.ev.Hub, d.target.Name, d.ev.Origin)
		return err
	})
	if err != nil {
		return fate{}, false, err
	}
	d.calls.Meet(d.known.Intents)
	if f, done, err := d.guard(ctx); done || err != nil {
		return f, done, err
	}
	f, done = d.plan()
	return f, done, nil
}

// guard keeps from the target what must not or need not be written there.
func (d *delivery) guard(ctx context.Context) (fate, bool, error) {
	if d.ev.Origin == d.target.Name {
		return skipped(state.Echo, "it came from %s", d.target.Name), true, nil
	}
	d.hash = deletedHash
	if d.ev.Operation != event.Delete {
		sum := sha256.Sum256(d.stage.out)
		d.hash = hex.EncodeToString(sum[:16])
	}
	if a := d.known.Applied; a != nil {
		switch c := event.CompareVersions(d.ev.Version, a.Version); {
		case d.ev.Ahead() && d.knownTo(a):
			return skipped(state.Duplicate, "it was applied before"), true, nil
		case c < 0 && !event.Ahead(a.Version, d.Clock.Now()): // what an older version of the hub has believed holds up nothing
			return skipped(state.Stale, "its version is %s, and %s was applied before", d.ev.Version, a.Version), true, nil
		case c == 0 && (a.Hash == d.hash || d.knownTo(a)):
			return skipped(state.Duplicate, "the same was applied before, with the same version"), true, nil
		}
	}
	for i := range d.flow.Requires {
		f, done, err := d.require(ctx, d.flow.Requires[i].Entity, i)
		if done || err != nil {
			return f, done, err
		}
	}
	if d.unchanged() {
		f := skipped(state.Echo, "%s is known to hold all that it says", d.target.Name)
		if a := d.known.Applied; a != nil && a.Hash == d.hash {
			f = skipped(state.Duplicate, "the same content was applied before, under another version")
		}
		f.applied = d.applied()
		return f, true, nil
	}
	return fate{}, false, nil
}

// require looks for the object that must be in the target first.
func (d *delivery) require(ctx context.Context, entity string, i int) (fate, bool, error) {
	if d.stage.doc == nil {
		return fate{}, false, nil
	}
	hub, err := d.flow.Requires[i].ID.String(ctx, &d.stage.input)
	if err != nil {
		return d.refuse(ctx, "requires", err)
	}
	if hub == "" {
		return fate{}, false, nil // the document names none: the schema says whether it must
	}
	_, ok, err := lookup{d.Runner}.LocalID(ctx, entity, d.target.Name, hub)
	if err != nil || ok {
		return fate{}, false, err
	}
	return waiting(&state.Missing{Entity: entity, System: d.target.Name, Hub: hub}), true, nil
}

// unchanged reports whether the target is known to hold, in every field that this flow updates, what the event says.
func (d *delivery) unchanged() bool {
	ref := d.known.Ref
	if d.reads == nil || !d.reads.comparable || ref == nil || ref.Deleted || ref.Known == nil || ref.Known.Flow != d.reads.flow.Name ||
		d.ev.Operation == event.Delete || d.calls.Inherited() {
		return false
	}
	now := fields(d.reads.flow.Map, d.stage.doc)
	for _, f := range d.reads.updated {
		if now[f] != ref.Known.Fields[f] {
			return false
		}
	}
	return true
}

// plan chooses the call. Some messages need none.
func (d *delivery) plan() (fate, bool) {
	to := &d.flow.To
	ref := d.known.Ref
	object := to.Object
	if object == "" {
		object = d.flow.Entity
	}
	d.write = connector.Write{Entity: d.ev.Entity, Object: object, External: d.known.External, IdempotencyKey: d.ev.ID + "/" + d.flow.Name,
		Version: d.ev.Version}
	if q := d.attempt.queued; q != nil && q.Edits > 0 {
		// A target that remembers what it was asked must not take another document for the one that it has refused, or taken.
		d.write.IdempotencyKey += "/" + strconv.FormatInt(q.Edits, 10)
	}
	there := ref != nil && !ref.Deleted && ref.Local != ""
	d.calls.Restored(!there && d.forgotten())
	if there {
		d.write.Local, d.write.ETag = ref.Local, ref.ETag
	}
	if d.ev.Operation == event.Delete {
		return d.planDelete(there)
	}
	switch {
	case there:
		d.write.Action, d.write.Doc = connector.Update, d.owned()
	case to.Operation == "update":
		return waiting(&state.Missing{Entity: d.ev.Entity, System: d.target.Name, Hub: d.ev.Hub}), true
	case ref != nil && ref.Deleted && !d.deletedByOrigin():
		return parked("not-found", d.target.Name+"/gone", "the object was deleted in "+d.target.Name+
			"; an update from "+d.ev.Origin+" would create it again: discard the message, or remove the deletion there and replay"), true
	case ref != nil && ref.Local != "" && d.writeOnce():
		// Its first file may still be there, and must not be taken for what this event creates: it says nothing of the deletion.
		d.write.Local, d.write.Action, d.write.Doc = ref.Local, connector.Update, d.stage.out
	default:
		d.write.Action, d.write.Doc = connector.Create, d.stage.out
		d.unmet = d.meets()
	}
	return fate{}, false
}

// deletedByOrigin: the event's own origin deleted the object before; its newer version may create it again.
func (d *delivery) deletedByOrigin() bool {
	return d.known.Applied != nil && d.known.Applied.Hash == deletedHash
}

func (d *delivery) planDelete(there bool) (fate, bool) {
	to := &d.flow.To
	switch {
	case to.OnDelete == "ignore":
		return skipped(state.DeleteIgnored, "the flow says `on-delete: ignore`"), true
	case !there && !d.calls.InDoubt():
		return d.nothing(), true
	case to.OnDelete == "delete":
		d.write.Action = connector.Delete
		if d.writeOnce() {
			d.write.Doc = d.stage.out // the deletion is written down, and what was written before may not be at hand any more
		}
	case to.OnDelete == "deactivate":
		d.write.Action, d.write.Doc = connector.Update, to.Deactivated
	default:
		return parked("delete", "on-delete", "the object was deleted in "+d.ev.Origin+" and the flow has no on-delete policy: "+
			"replay after setting on-delete, or discard"), true
	}
	return fate{}, false
}

// nothing is there to delete. The version guard remembers it, so that an older update does not create the object later.
func (d *delivery) nothing() fate {
	f := skipped(state.DeleteIgnored, "there is nothing to delete in %s", d.target.Name)
	f.applied = d.applied()
	return f
}

// mostApplied is how many events of one version the version guard remembers.
const mostApplied = 16

// applied is what the version guard is to remember. Stamps are often of one second: of the events of one version, each is known by its id, so
// that the first of them is a duplicate when it comes again behind the last.
//
// An event whose version is ahead leaves the version as it was, and is known by its id for as long as sixteen others: it may come again behind one
// that is newer.
func (d *delivery) applied() *state.Applied {
	now := &state.Applied{Entity: d.ev.Entity, Hub: d.ev.Hub, System: d.target.Name, Origin: d.ev.Origin,
		Version: d.ev.Version, Hash: d.hash, EventID: d.appliedID()}
	a := d.known.Applied
	if d.ev.Ahead() {
		now.EventID += markAhead
		if now.Version = ""; a != nil && !event.Ahead(a.Version, d.Clock.Now()) {
			now.Version = a.Version
		}
	}
	if a == nil || a.EventID == "" {
		return now
	}
	before := strings.Split(a.EventID, "\n")
	if event.CompareVersions(now.Version, a.Version) != 0 {
		before = slices.DeleteFunc(before, func(id string) bool { return !strings.HasSuffix(id, markAhead) })
	}
	before = before[max(0, len(before)-mostApplied+1):]
	now.EventID = strings.Join(append(before, now.EventID), "\n")
	return now
}

// markAhead stands behind the id of an applied event whose version tells no order.
const markAhead = " ahead"

// appliedID is by what the version guard knows an event: flows that write different fields of an object apply the same one, and under
// another mapping it says something else.
func (d *delivery) appliedID() string { return d.hash + " " + d.ev.ID + "/" + d.flow.Name }

// knownTo reports whether this flow has applied the event as it is now; where objects cannot be changed, whether it has at all.
func (d *delivery) knownTo(a *state.Applied) bool {
	known := func(id string) string {
		id = strings.TrimSuffix(id, markAhead)
		if d.writeOnce() {
			_, id, _ = strings.Cut(id, " ")
		}
		return id
	}
	now := known(d.appliedID())
	return slices.ContainsFunc(strings.Split(a.EventID, "\n"), func(was string) bool { return known(was) == now })
}

// writeOnce: what was written to the target stays; a change is written beside it.
func (d *delivery) writeOnce() bool {
	_, ok := d.target.Connector.(connector.WriteOnce)
	return ok
}

func (d *delivery) intent() state.Intent {
	in := state.Intent{Flow: d.flow.Name, Entity: d.ev.Entity, Hub: d.ev.Hub, System: d.target.Name, EventID: d.ev.ID,
		Create: d.write.Action == connector.Create, External: d.known.External, Opened: d.steady()}
	if p := d.attempt.partition; p != nil {
		in.Topic, in.Partition, in.Epoch = p.topic, p.number, p.epoch
	}
	return in
}

// every stands for all intents of the object: what they left open is known now.
func (d *delivery) every() []state.Intent {
	in := d.intent()
	in.EventID = ""
	return []state.Intent{in}
}

// done is the fate of a delivery that the target has taken. asked: what it holds was looked up, and is no answer to the write.
func (d *delivery) done(ctx context.Context, res connector.Result, asked bool) fate {
	f := delivered()
	f.called = true
	f.applied = d.applied()
	f.closes = d.every()
	local := res.Local
	if local == "" {
		local = d.write.Local
	}
	f.ref = &state.Ref{Entity: d.ev.Entity, Hub: d.ev.Hub, System: d.target.Name, Local: local, ETag: res.ETag,
		Deleted: d.write.Action == connector.Delete, Instead: d.instead, Updated: d.Clock.Now()}
	if d.ev.Operation != event.Delete {
		f.ref.Known = d.knownAfter(ctx, f.ref, res, asked)
	}
	return f
}
