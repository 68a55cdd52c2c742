package deliver

import (
	"context"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/calls"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
)

// delivery is one message on its way to a target system.
type delivery struct {
	*Line
	*Attempt
	to    decide.Target // what is known of the object and of the target, as of when the delivery began, or claimed the object
	calls *calls.Delivery
	write connector.Write

	// spent is how long this has been tried in place, tried what counts against the flow's retry time: both leave out the time in which
	// the system counted as down, and neither asks the time of day.
	spent, tried time.Duration
	retried      int // calls that were made again
	conflicts    int // in a row

	// shared: another hub may be at work on the object, which is claimed for as long as this delivery takes.
	shared bool
	// stale: the token is not the object's any more, and is read again before the next call.
	stale bool
	// unmet: nobody has looked yet whether the object was there before the hub came. met: it was, as the journal tells.
	// instead is the hub id under which it was known there; adopted the object.
	unmet   bool
	met     string
	instead string
	adopted *state.Ref
	// lost is the id that the object had there, and is gone, where it is created anew.
	lost string
	// said is what came of the last call whose outcome is not known.
	said string
	// began is when the first intent of this delivery was stored.
	began time.Time

	trail   decide.Trail
	masks   *privacy.Values // what conceal looks for; made when it is needed
	verdict decide.Verdict  // of a message that the target has taken: most are, and each would be an allocation
}

// stage is one step of a delivery: nil where the message goes on to the next.
type stage func(context.Context, *delivery) (*decide.Verdict, error)

// stages are those of a delivery, in order; each is in the file of its name. call tries its own until the target has answered.
var stages = []stage{identify, alone, guard, claim, call}

// Deliver takes a mapped message to the flow's target, and says what the store is to hear of it.
func (l *Line) Deliver(ctx context.Context, a *Attempt) (*decide.Verdict, error) {
	d := l.deliver(a)
	for _, s := range stages {
		v, err := s(ctx, d)
		if err != nil {
			return nil, err
		}
		if v != nil {
			return d.settle(v), nil
		}
	}
	return nil, fault.New(fault.Invalid, "a delivery has come to its end without a fate: this is a fault of Waybill")
}

func (l *Line) deliver(a *Attempt) *delivery {
	d := &delivery{Line: l, Attempt: a, calls: l.Target.Ledger().Deliver(a.Event.ID)}
	_, finds := l.Target.finder()
	d.to = decide.Target{Message: &a.Message, System: l.Target.Name, Finds: finds, WriteOnce: l.Target.writeOnce(), Reads: l.Reads}
	if a.Queued != nil {
		d.to.Edits = a.Queued.Edits
	}
	return d
}

func (d *delivery) object() calls.Object {
	return calls.Object{Entity: d.Event.Entity, Hub: d.Event.Hub}
}

// isDelete: the write tells the target that the object was deleted, in whatever way.
func (d *delivery) isDelete() bool { return d.Event.Operation == event.Delete }
