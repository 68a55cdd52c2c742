package deliver

import (
	"context"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// failed acts on a failed call by its kind. An error: the call is made again later.
func (d *delivery) failed(ctx context.Context, err error) (*decide.Verdict, error) {
	if ctx.Err() != nil {
		return nil, err
	}
	if fault.KindOf(err) != fault.UnknownOutcome && (fault.KindOf(err) != fault.NotFound || d.write.Action != connector.Delete) {
		d.calls.Refused()
	}
	if d.blame(d.Target, d.Lane, err) {
		if fault.KindOf(err) != fault.UnknownOutcome {
			return nil, err
		}
		d.conflicts = 0 // the next one is with this very write, if it was applied after all
		return d.unknown(ctx, err)
	}
	switch fault.KindOf(err) {
	case fault.Conflict:
		return d.conflict(ctx, err)
	case fault.NotFound:
		if d.write.Action == connector.Delete {
			d.calls.Answered()
			return d.done(ctx, connector.Result{Local: d.write.Local}, false), nil
		}
		if d.lostThere() {
			return nil, nil
		}
		return d.giveUp(decide.Fail(err)), nil
	default: // the document is at fault
		return d.giveUp(decide.Fail(err)), nil
	}
}

// lostThere makes an update of what the target does not have any more a create, where somebody has asked for the object to be there again. It is
// looked up first: it may be there under another id.
func (d *delivery) lostThere() bool {
	if !d.Event.Again() || d.write.Action != connector.Update || d.isDelete() || d.to.WriteOnce || d.Flow.To.Operation == "update" {
		return false
	}
	d.lost = d.write.Local
	d.write.Action, d.write.Local, d.write.ETag, d.write.Doc = connector.Create, "", "", d.Out
	d.write.IdempotencyKey += "/anew" // a target that remembers what it was asked has said no to the other
	d.unmet = d.to.Finds
	return true
}

// conflict: another object stands in the way, or the object is another one than the write was made for.
func (d *delivery) conflict(ctx context.Context, err error) (*decide.Verdict, error) {
	if e, ok := fault.As(err); ok && e.Duplicate {
		if d.write.Action != connector.Create {
			// The object is known: what stands in the way is another one, and will be met again.
			return d.giveUp(decide.Fail(err)), nil
		}
		return d.duplicate(ctx, err)
	}
	d.conflicts++
	if !d.to.Finds || d.conflicts > MaxConflicts {
		return d.giveUp(decide.Fail(err)), nil
	}
	d.stale = true
	return nil, err
}

// unread acts on a failed look: nothing was written, so nothing is in more doubt than before.
func (d *delivery) unread(ctx context.Context, err error) (*decide.Verdict, error) {
	if ctx.Err() != nil {
		return nil, err
	}
	err = d.conceal(err)
	if fault.KindOf(err) == fault.Conflict {
		return nil, fault.Wrap(fault.UnknownOutcome, "look up", err) // only a write is made again on top of what it meets
	}
	if d.blame(d.Target, d.Lane, err) {
		return nil, err
	}
	return d.giveUp(decide.Fail(err)), nil
}

// unknown is a call that may have been applied. Writing absolute values to a known object again is harmless; a create is looked
// up first, after the time that the target needs to show it.
func (d *delivery) unknown(ctx context.Context, err error) (*decide.Verdict, error) {
	e, ok := fault.As(err)
	until := time.Duration(0)
	if !ok || e.Code == "" { // never answered: it may be under way for as long as a request may
		until = d.Clock.Elapsed() + d.Target.Bound()
	}
	d.said = err.Error()
	in := d.intent()
	sent := ""
	if d.write.Action == connector.Create {
		sent = d.to.Hash
	}
	d.calls.Lost(&in, until, d.write.Action == connector.Create || d.write.ETag == "", sent)
	if d.write.Action != connector.Create {
		return nil, err
	}
	if !d.to.Finds {
		return d.unasked(err), nil
	}
	if serr := lifecycle.Sleep(ctx, d.Clock, d.Target.VisibleAfter); serr != nil {
		return nil, serr
	}
	d.spend(d.Target.VisibleAfter)
	return nil, err
}

// unasked is the fate of a create that may have been applied in a system that cannot be asked. Its intent stays open.
func (d *delivery) unasked(err error) *decide.Verdict {
	v := decide.Fail(err)
	v.Kind = fault.UnknownOutcome.String()
	v.Doubtful = true
	v.Reason += "; the system cannot be asked whether it was applied: look there, then replay or discard"
	return d.recalling(v)
}

// giveUp: the target has not taken the message with this call. What earlier calls have left in doubt keeps its intent: a replay must look
// before it sends again.
func (d *delivery) giveUp(v *decide.Verdict) *decide.Verdict {
	if d.write.Action == connector.Create && d.calls.InDoubt() {
		v.Kind = fault.UnknownOutcome.String()
		v.Doubtful = true
		return d.recalling(v)
	}
	return v
}

// restUntil is the fate of a message that must wait for the end of somebody's request.
func (d *delivery) restUntil(until time.Duration, why string) *decide.Verdict {
	pause := until - d.Clock.Elapsed()
	return d.recalling(&decide.Verdict{Outcome: state.Held, Kind: fault.UnknownOutcome.String(), Reason: why, NotBefore: d.Steady().Add(pause), Tried: d.tried + pause})
}

// lastAnswer comes before what the target said of the call that is in doubt.
const lastAnswer = "; of the call in doubt it is known: "

// recalling adds to a verdict what came of the call that is in doubt: the sentence about the wait, or about a look that failed, must not be all that
// is left of the system's own words. A stored message has them in the reason for which it rests.
func (d *delivery) recalling(v *decide.Verdict) *decide.Verdict {
	said := d.said
	if q := d.Queued; said == "" && q != nil {
		found := false
		if _, said, found = strings.Cut(q.Reason, lastAnswer); !found && q.Kind == fault.UnknownOutcome.String() {
			said = q.Reason
		}
	}
	if said != "" && !strings.Contains(v.Reason, said) && !strings.Contains(said, v.Reason) {
		v.Reason += lastAnswer + said
	}
	return v
}
