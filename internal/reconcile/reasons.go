package reconcile

import (
	"github.com/waybill-hub/waybill/internal/state"
)

// facts are what is known of a difference. reasonOf makes of them why it is one.
type facts struct {
	left, right half
	// rounding: all that differs is one unit of the last digit.
	rounding bool
	doubled  bool
	// moving: it changed between every two looks.
	moving bool
	// queued is the message of the object that rests in a stored queue: its state and number.
	queued   state.Outcome
	queuedID int64
	// during: the last event of the object was decided while it was looked at.
	during bool
	// stands: a flow on the way has not decided what had come in.
	stands bool
	// outcome is the fate of the last event of the object, with its reason and the flow's name.
	outcome state.Outcome
	reason  string
}

// half is what is known of one side.
type half struct {
	there    bool
	filtered bool
	// known: the hub knows the object in this system. gone: it knows that it is deleted there. seen: it has received an event of it from there.
	known, gone, seen bool
	// same: what differs is what the hub saw last; edited: it is something else. Neither: the hub does not know.
	same, edited bool
	// own: what the hub saw last came from the system itself; wrote: before that, the hub has written the object there.
	own, wrote bool
	// feeds: flows carry changes from this side to the other; carries: deletions too.
	feeds, carries bool
}

// reasonOf says why a difference is one, and whether that explains it. The order is that of certainty: what the hub is about to do comes first.
func reasonOf(f *facts) (reason string, explained bool) {
	switch {
	case f.queued == state.Parked:
		return state.ExplainedParked, true
	case f.queued == state.Waiting:
		return state.ExplainedWaiting, true
	case f.queued == state.Held:
		return state.ExplainedInFlight, true
	case f.doubled:
		return state.ReasonDoubled, false
	case f.moving:
		return state.ExplainedMoving, true
	case f.during:
		return state.ExplainedInFlight, true
	case f.stands:
		return state.ExplainedStands, true
	case f.left.filtered || f.right.filtered:
		return state.ExplainedFiltered, true
	case f.left.there && f.right.there:
		return f.different()
	case f.left.there:
		return missing(&f.left, &f.right, f, state.ReasonCreatedLeft, state.ReasonDeletedRight)
	}
	return missing(&f.right, &f.left, f, state.ReasonCreatedRight, state.ReasonDeletedLeft)
}

// different is for an object that is there on both sides.
func (f *facts) different() (string, bool) {
	switch {
	case f.left.gone || f.right.gone:
		return state.ReasonCameBack, false
	case f.rounding:
		return state.ReasonRounding, false
	case f.left.edited && f.right.edited:
		return state.ReasonEditedBoth, false
	case f.left.edited:
		return state.ReasonEditedLeft, false
	case f.right.edited:
		return state.ReasonEditedRight, false
	case f.outcome == state.Discarded || f.outcome == state.Parked:
		return state.ReasonRefused, false
	case f.left.same && !f.right.same || f.left.same && f.right.own && f.right.wrote && !(f.left.own && f.left.wrote):
		// What was written there nobody has read back, or its people have changed it since, and no flow carries that.
		return state.ReasonEditedRight, false
	case f.right.same && !f.left.same || f.right.same && f.left.own && f.left.wrote && !(f.right.own && f.right.wrote):
		return state.ReasonEditedLeft, false
	case f.left.own && f.left.wrote && f.right.own && f.right.wrote:
		return state.ReasonEditedBoth, false
	}
	return state.ReasonUnknown, false
}

// missing is for an object that is there on one side alone.
func missing(there, other *half, f *facts, created, deleted string) (string, bool) {
	switch {
	case there.gone && other.gone:
		return state.ReasonCameBack, false // it had gone everywhere
	case there.gone:
		return state.ReasonMissedDelete, false // the hub heard that it is gone, and it is there
	case other.gone && !other.carries:
		return state.ExplainedDeleted, true
	case other.gone:
		return state.ReasonMissedDelete, false
	case other.known:
		return deleted, false
	case f.outcome == state.Discarded:
		return state.ReasonRefused, false
	case f.outcome == state.Skipped && f.reason == state.Filtered:
		return state.ExplainedFiltered, true
	case there.seen && there.feeds:
		return state.ReasonNeverArrived, false
	}
	return created, false
}
