package flow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
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
	target  state.Target
	hash    string // of the document to write
	write   connector.Write
	began   time.Time
	retried int
	// doubt: an earlier attempt of this or an older message may have been applied.
	doubt bool
	// uncertain: a create of this very document, sent by this process, may have been applied; answered: the target has answered it, so
	// it is not under way any more.
	uncertain, answered bool
	ended               time.Time // of this process's last call
}

// deliver takes a mapped document to the flow's target: guards, intent, call, and the fate that the store will hear of.
func (r *Runner) deliver(ctx context.Context, ev *event.Event, s *stage, a *attempt) (fate, error) {
	d := &delivery{Runner: r, ev: ev, stage: s, attempt: a}
	f, done, err := d.prepare(ctx)
	if err == nil && !done {
		err = r.insist(ctx, "intent", func() error { return r.Store.OpenIntent(ctx, d.intent()) })
		if err != nil {
			return fate{}, err
		}
		failpoint.Hit(failpoint.IntentCommitted)
		f, err = d.call(ctx)
	}
	f.external, f.source, f.retried = d.target.External, s.ref, d.retried
	return f, err
}

// prepare takes the delivery as far as the call to make; done says that none is needed.
func (d *delivery) prepare(ctx context.Context) (f fate, done bool, err error) {
	if d.ev.Hub == "" && d.ev.Key == "" {
		return parked("malformed", "key", "the record has neither a key nor a hub id: nothing says which object it is"), true, nil
	}
	if err := d.identify(ctx); err != nil {
		return fate{}, false, err
	}
	if f, done, err := d.guard(ctx); done || err != nil {
		return f, done, err
	}
	f, done = d.plan()
	return f, done, nil
}

// identify finds the object's hub id for events of foreign programs, and what is stored of the object in the target.
func (d *delivery) identify(ctx context.Context) error {
	if d.ev.Origin == "" {
		d.ev.Origin = d.ev.Source
	}
	if d.ev.Hub == "" {
		err := d.insist(ctx, "resolve", func() (err error) {
			// A topic that a foreign program fills is a place with ids of its own, like a system; nothing is ever created there, so
			// the resolution is never pending.
			d.ev.Hub, _, err = d.Store.Resolve(ctx, d.ev.Entity, "topic/"+d.flow.From.Topic, d.ev.Key, "", d.ev.ID)
			return err
		})
		if err != nil {
			return err
		}
	}
	return d.insist(ctx, "target", func() (err error) {
		d.target, err = d.Store.Target(ctx, d.ev.Entity, d.ev.Hub, d.Runner.target.Name, d.ev.Origin)
		return err
	})
}

// guard keeps from the target what must not or need not be written there.
func (d *delivery) guard(ctx context.Context) (fate, bool, error) {
	if d.ev.Origin == d.Runner.target.Name {
		return skipped(state.Echo), true, nil
	}
	d.hash = deletedHash
	if d.ev.Operation != event.Delete {
		sum := sha256.Sum256(d.stage.out)
		d.hash = hex.EncodeToString(sum[:16])
	}
	if a := d.target.Applied; a != nil {
		switch c := event.CompareVersions(d.ev.Version, a.Version); {
		case c < 0:
			return skipped(state.Stale), true, nil
		case c == 0 && a.Hash == d.hash:
			return skipped(state.Duplicate), true, nil
		}
	}
	for i := range d.flow.Requires {
		f, done, err := d.require(ctx, d.flow.Requires[i].Entity, i)
		if done || err != nil {
			return f, done, err
		}
	}
	if d.unchanged() {
		f := skipped(state.Echo)
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
	_, ok, err := lookup{d.Runner}.LocalID(ctx, entity, d.Runner.target.Name, hub)
	if err != nil || ok {
		return fate{}, false, err
	}
	return waiting(&state.Missing{Entity: entity, System: d.Runner.target.Name, Hub: hub}), true, nil
}

// unchanged reports whether the target is known to hold, in every field that this flow updates, what the event says.
func (d *delivery) unchanged() bool {
	ref := d.target.Ref
	if d.reads == nil || !d.reads.comparable || ref == nil || ref.Deleted || ref.Known == nil || ref.Known.Flow != d.reads.flow.Name ||
		d.ev.Operation == event.Delete || d.target.Intent != nil {
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
	ref := d.target.Ref
	object := to.Object
	if object == "" {
		object = d.flow.Entity
	}
	d.write = connector.Write{Entity: d.ev.Entity, Object: object, External: d.target.External, IdempotencyKey: d.ev.ID + "/" + d.flow.Name}
	if q := d.attempt.queued; q != nil && q.Edits > 0 {
		// A target that remembers what it was asked must not take another document for the one that it has refused, or taken.
		d.write.IdempotencyKey += "/" + strconv.FormatInt(q.Edits, 10)
	}
	d.doubt = d.target.Intent != nil
	there := ref != nil && !ref.Deleted && ref.Local != ""
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
		return waiting(&state.Missing{Entity: d.ev.Entity, System: d.Runner.target.Name, Hub: d.ev.Hub}), true
	case ref != nil && ref.Deleted && !d.deletedByOrigin():
		return parked("not-found", d.Runner.target.Name+"/gone", "the object was deleted in "+d.Runner.target.Name+
			"; an update from "+d.ev.Origin+" would create it again: discard the message, or remove the deletion there and replay"), true
	default:
		d.write.Action, d.write.Doc = connector.Create, d.stage.out
	}
	return fate{}, false
}

// deletedByOrigin: the event's own origin deleted the object before; its newer version may create it again.
func (d *delivery) deletedByOrigin() bool {
	return d.target.Applied != nil && d.target.Applied.Hash == deletedHash
}

func (d *delivery) planDelete(there bool) (fate, bool) {
	to := &d.flow.To
	switch {
	case to.OnDelete == "ignore":
		return skipped(state.Filtered), true
	case !there && !d.doubt:
		// Nothing to delete. The version guard remembers it, so that an older update does not create the object later.
		f := skipped(state.Filtered)
		f.applied = d.applied()
		return f, true
	case to.OnDelete == "delete":
		d.write.Action = connector.Delete
	case to.OnDelete == "deactivate":
		d.write.Action, d.write.Doc = connector.Update, to.Deactivated
	default:
		return parked("delete", "on-delete", "the object was deleted in "+d.ev.Origin+" and the flow has no on-delete policy: "+
			"replay after setting on-delete, or discard"), true
	}
	return fate{}, false
}

// applied is what the version guard is to remember.
func (d *delivery) applied() *state.Applied {
	return &state.Applied{Entity: d.ev.Entity, Hub: d.ev.Hub, System: d.Runner.target.Name, Origin: d.ev.Origin,
		Version: d.ev.Version, Hash: d.hash, EventID: d.ev.ID}
}

func (d *delivery) intent() state.Intent {
	return state.Intent{Flow: d.flow.Name, Entity: d.ev.Entity, Hub: d.ev.Hub, System: d.Runner.target.Name, EventID: d.ev.ID,
		Create: d.write.Action == connector.Create, External: d.target.External, Opened: d.steady()}
}

// done is the fate of a delivery that the target has taken.
func (d *delivery) done(ctx context.Context, res connector.Result) fate {
	f := delivered()
	f.called = true
	f.applied = d.applied()
	in := d.intent()
	f.close = &in
	local := res.Local
	if local == "" {
		local = d.write.Local
	}
	f.ref = &state.Ref{Entity: d.ev.Entity, Hub: d.ev.Hub, System: d.Runner.target.Name, Local: local, ETag: res.ETag,
		Deleted: d.write.Action == connector.Delete, Updated: d.Clock.Now()}
	if d.ev.Operation != event.Delete {
		f.ref.Known = d.knownAfter(ctx, f.ref, res)
	}
	return f
}
