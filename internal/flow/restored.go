package flow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/state"
)

// Restored tells of a store that has gone back to an older state: what was done between that state and now is not in it. Its methods must not block.
type Restored interface {
	// InDoubt reports whether a message may stand for something that was done already: row is its stored row, 0 where it has none.
	InDoubt(flow string, row int64) bool
	// Settling: what is lost may still come again, from the sources or from the logs.
	Settling() bool
	// Looked is told of an object that was looked up because of it, and whether it was there; Untold of one of which that cannot be told.
	Looked(found bool)
	Untold()
}

// codeRestored ends the code of messages that are parked because nobody can tell whether they were done before the store went back.
const codeRestored = "/restored"

// row is the stored row of an attempt, 0 where it has none.
func (a *attempt) row() int64 {
	if a.queued == nil {
		return 0
	}
	return a.queued.ID
}

// vouched: a person has looked whether it was done, and replays it.
func (a *attempt) vouched() bool {
	q := a.queued
	return q != nil && q.Mark == state.MarkReplay && strings.HasSuffix(q.Code, codeRestored)
}

// inDoubt: the store has gone back, and the message may stand for something that was done already.
func (r *Runner) inDoubt(a *attempt) bool {
	return r.Restored != nil && r.Restored.InDoubt(r.flow.Name, a.row()) && !a.vouched()
}

// forgotten: the object may be there although the cross-reference does not know it, because the store has gone back. What is written once tells by
// itself when it is written again.
func (d *delivery) forgotten() bool { return d.inDoubt(d.attempt) && !d.writeOnce() }

// undoneUntil is the time until when a call may still arrive that was made before the store went back, by a hub that was killed for it.
func (d *delivery) undoneUntil() time.Duration {
	if !d.calls.IsRestored() || d.attempt.partition == nil {
		return 0
	}
	return d.attempt.partition.taken + d.target.bound()
}

// untoldRestored is the fate of a message of which nobody can tell whether it was done before the store went back. Nothing was sent for it now.
func (d *delivery) untoldRestored() fate {
	d.Restored.Untold()
	what := "created the object"
	if d.ev.Operation == event.Delete {
		what = "created the object that is to be deleted"
	}
	f := parked(fault.UnknownOutcome.String(), d.target.Name+codeRestored, fmt.Sprintf("the store was restored, and the hub may have %s in %s in the time that is lost; "+
		"%s cannot be asked: look there, then replay to have it written, or say with waybill link which object it is and replay, or discard; nothing was sent", what, d.target.Name, d.target.Name))
	return f
}

// unknownHere holds an object back that carries an external id as the hub gives them, and that the store does not know: the hub made it there in the
// time that is lost, for an object that comes again from where it came then. Taken for a new one, it would be made a second time there.
func (r *Runner) unknownHere(ctx context.Context, ev *event.Event, a *attempt, local, external string) (fate, bool, error) {
	if id, err := uuid.Parse(external); err != nil || id.Version() != 5 || !r.inDoubt(a) {
		return fate{}, false, nil
	}
	known := false
	err := r.insist(ctx, "known object", func() (err error) {
		known, err = r.Store.Knows(ctx, ev.Entity, r.flow.From.System, local, external)
		return err
	})
	if err != nil || known {
		return fate{}, false, err
	}
	why := fmt.Sprintf("the store was restored and does not know the external id %s that %s carries in %s: the hub has made it there in the time that is lost", external, local, r.flow.From.System)
	if r.Restored.Settling() {
		return fate{outcome: state.Held, kind: "restored", reason: why + "; it waits for where it came from", notBefore: r.steady().Add(jitter(4 * time.Second))}, true, nil
	}
	r.Restored.Untold()
	return parked(fault.UnknownOutcome.String(), r.flow.From.System+codeRestored,
		why+", and it has not come again from where it came then: say with waybill link which object it is and replay, or replay to have it taken for a new one, or discard"), true, nil
}

// Asks reports whether the flow's target can be asked for an object before it is created, and if not, why. It looks for one that cannot be there.
func (r *Runner) Asks(ctx context.Context) (ok bool, why string, err error) {
	if r.target == nil {
		return true, "", nil
	}
	if _, once := r.target.Connector.(connector.WriteOnce); once {
		return true, "", nil
	}
	finder, ok := r.target.Connector.(connector.Finder)
	if !ok {
		return false, r.target.Name + " cannot be asked for objects", nil
	}
	if r.target.Breaker.Open() {
		return false, "", fault.New(fault.Unavailable, "%s is down", r.target.Name)
	}
	object := r.flow.To.Object
	if object == "" {
		object = r.flow.Entity
	}
	ctx, cancel := context.WithTimeout(ctx, r.target.patience())
	defer cancel()
	_, err = finder.Find(ctx, connector.Lookup{Entity: r.flow.Entity, Object: object, External: state.ExternalID(r.flow.Entity, uuid.NewString())})
	switch {
	case err == nil && r.flow.To.AfterConflict:
		return false, "the flow creates before it looks (to.find: after-conflict)", nil
	case err == nil:
		return true, "", nil
	case errors.Is(err, connector.ErrNoLookup) && len(r.flow.To.FindBy) > 0:
		return !r.flow.To.AfterConflict, "the flow creates before it looks (to.find: after-conflict)", nil
	case errors.Is(err, connector.ErrNoLookup):
		return false, r.target.Name + " cannot be asked for an object of the flow " + r.flow.Name, nil
	}
	return false, "", err
}
