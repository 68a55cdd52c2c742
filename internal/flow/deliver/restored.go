package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/decide"
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

// CodeRestored ends the code of messages that are parked because nobody can tell whether they were done before the store went back.
const CodeRestored = "/restored"

// InDoubt: the store has gone back, and the message may stand for something that was done already.
func (l *Line) InDoubt(a *Attempt) bool {
	return l.Restored != nil && l.Restored.InDoubt(l.Flow.Name, a.row()) && !a.vouched()
}

// forgotten: the object may be there although the cross-reference does not know it, because the store has gone back. What is written once tells by
// itself when it is written again.
func (d *delivery) forgotten() bool { return !d.to.WriteOnce && d.Line.InDoubt(d.Attempt) }

// undoneUntil is the time until when a call may still arrive that was made before the store went back, by a hub that was killed for it.
func (d *delivery) undoneUntil() time.Duration {
	if !d.calls.IsRestored() || d.Part == nil {
		return 0
	}
	return d.Part.Taken + d.Target.Bound()
}

// untoldRestored is the fate of a message of which nobody can tell whether it was done before the store went back. Nothing was sent for it now.
func (d *delivery) untoldRestored() *decide.Verdict {
	d.Restored.Untold()
	what := "created the object"
	if d.isDelete() {
		what = "created the object that is to be deleted"
	}
	return decide.Park(fault.UnknownOutcome.String(), d.Target.Name+CodeRestored, fmt.Sprintf("the store was restored, and the hub may have %s in %s in the time that is lost; "+
		"%s cannot be asked: look there, then replay to have it written, or say with waybill link which object it is and replay, or discard; nothing was sent", what, d.Target.Name, d.Target.Name))
}

// Asks reports whether the flow's target can be asked for an object before it is created, and if not, why. It looks for one that cannot be there.
func (l *Line) Asks(ctx context.Context) (ok bool, why string, err error) {
	if l.Target == nil || l.Target.writeOnce() {
		return true, "", nil
	}
	finder, ok := l.Target.finder()
	if !ok {
		return false, l.Target.Name + " cannot be asked for objects", nil
	}
	if l.Target.Breaker.Open() {
		return false, "", fault.New(fault.Unavailable, "%s is down", l.Target.Name)
	}
	object := l.Flow.To.Object
	if object == "" {
		object = l.Flow.Entity
	}
	ctx, cancel := context.WithTimeout(ctx, l.Target.patience())
	defer cancel()
	_, err = finder.Find(ctx, connector.Lookup{Entity: l.Flow.Entity, Object: object, External: state.ExternalID(l.Flow.Entity, uuid.NewString())})
	switch {
	case err == nil && l.Flow.To.AfterConflict:
		return false, "the flow creates before it looks (to.find: after-conflict)", nil
	case err == nil:
		return true, "", nil
	case errors.Is(err, connector.ErrNoLookup) && len(l.Flow.To.FindBy) > 0:
		return !l.Flow.To.AfterConflict, "the flow creates before it looks (to.find: after-conflict)", nil
	case errors.Is(err, connector.ErrNoLookup):
		return false, l.Target.Name + " cannot be asked for an object of the flow " + l.Flow.Name, nil
	}
	return false, "", err
}
