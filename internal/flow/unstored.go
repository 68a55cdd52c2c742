package flow

import (
	"maps"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/state"
)

// unstored is what a batch has decided of an object and not stored yet: the reference that the object will have in the system that it came from. An
// event of the same object behind it is held against it, so that the two go out, and are stored, together.
type unstored struct {
	// base is what the store held when it was decided. Where it holds something else by now, somebody else has written the object's state
	// meanwhile, and the batch is stored before anything more is decided of the object.
	base *state.Ref
	ref  *state.Ref
}

// object names an object of the system that the flow reads.
type object struct{ entity, hub string }

// known puts what the batch has decided of the event's object in the place of what the store says of it, and reports whether that can be done: where it
// cannot, the batch is to be stored and the store asked again.
func (w *pending) known(a *deliver.Attempt, t *state.Target) bool {
	w.base = t.Ref
	if _, dirty := w.dirty[a.Lane]; !dirty {
		return true
	}
	u, ok := w.objects[object{a.Event.Entity, a.Event.Hub}]
	if !ok || len(t.Intents) > 0 || !sameRef(u.base, t.Ref) {
		return false
	}
	w.base = u.base
	ref := *u.ref
	t.Ref = &ref
	return true
}

// overlaid reports whether the effects of a result are no more than what known can put in place of the store's answer: the new state of an object that
// lives, under the id that it had. What else a result changes, the events behind it must find in the store.
func (w *pending) overlaid(res *result) bool {
	ref := res.Ref
	return w.runner.target == nil && ref != nil && w.base != nil && res.Source == nil && res.Applied == nil && len(res.Close) == 0 && res.ev.Refused == nil &&
		(res.Outcome == state.Delivered || res.Outcome == state.Skipped) &&
		!ref.Deleted && !w.base.Deleted && ref.Local == w.base.Local && ref.Instead == "" && ref.Lost == "" && ref.Known != nil && ref.Known.Fields != nil
}

// keep notes the effects of a result for the events behind it.
func (w *pending) keep(res *result) {
	if res.Ref == nil && res.Source == nil && res.Applied == nil && len(res.Close) == 0 && res.ev.Refused == nil {
		return
	}
	light := w.overlaid(res)
	if light {
		w.objects[object{res.Ref.Entity, res.Ref.Hub}] = unstored{w.base, res.Ref}
	}
	before, dirty := w.dirty[res.lane]
	w.dirty[res.lane] = light && (before || !dirty)
}

// mustStore reports whether what the batch has decided of a lane is to be stored before the lane's next event is decided.
func (w *pending) mustStore(lane string, ev *event.Event) bool {
	light, dirty := w.dirty[lane]
	return dirty && (!light || ev.Refused != nil)
}

// behindRefused queues what was left out behind a record that the broker has refused after all: it was held against a state that is parked now. What was to
// be sent behind it has not been, and is queued when its own failure is told.
func (w *pending) behindRefused(i int) {
	lane := w.results[i].lane
	head, queued := w.part.head(lane)
	if !queued {
		return
	}
	for j := i + 1; j < len(w.results); j++ {
		if r := &w.results[j]; r.lane == lane && r.Drained == 0 && r.send == nil && r.Outcome == state.Skipped {
			*r = w.follower(r, head)
		}
	}
}

// follower is a result that waits behind the head of its lane.
func (w *pending) follower(r *result, head state.Outcome) result {
	return result{Result: state.Result{Offset: r.Offset, Outcome: head, Queue: w.runner.follower(w.part, r.lane, head, r.ev)}, lane: r.lane, ev: r.ev, taken: r.taken}
}

// sameRef reports whether the store holds of an object what it held before.
func sameRef(a, b *state.Ref) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Local != b.Local || a.Deleted != b.Deleted || a.ETag != b.ETag || !a.Updated.Equal(b.Updated) {
		return false
	}
	k, l := a.Known, b.Known
	if k == nil || l == nil {
		return k == l
	}
	return k.Flow == l.Flow && k.Received == l.Received && k.EventID == l.EventID && k.Wrote == l.Wrote && k.Hops == l.Hops && maps.Equal(k.Fields, l.Fields)
}
