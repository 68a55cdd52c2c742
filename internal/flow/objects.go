package flow

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// objects is what the flows of one hub share about the objects of a system that they are at work on. Lanes keep the order of one key of one
// flow; what meets only at the object meets here: keys that a flow computes, and several flows that write to one system.
type objects struct {
	mu    sync.Mutex
	taken map[object]*taking
	// calls are calls that were not answered, and whose intents stand.
	calls map[object][]call
	// stray are requests of calls whose outcome is settled: one that was never answered may still arrive.
	stray map[object]time.Duration
	// claims are those of other hubs that were met, and since when each stands unchanged.
	claims map[object]claim
}

// claim is one of another hub, as it was seen first at a time by the clock's Elapsed.
type claim struct {
	in    state.Intent
	since time.Duration
}

// claimPatience is how long a claim of another hub may stand unchanged before it counts as forgotten. Its holder refreshes it with every
// call, and asks whether it still has it; a hub that dies loses its claims with its partitions, long before this.
const claimPatience = 10 * time.Minute

// object is an object of a system or, with an empty entity, the stored queue of a key.
type object struct{ entity, hub string }

// hold is an object that an attempt has taken.
type hold struct {
	in *objects
	of object
}

// call is one call to an object, made under an epoch of its message's partition: another hub may have made one since, under another.
// until is the time, by the clock's Elapsed, until when its request may be under way. A void one was certainly not applied.
type call struct {
	event string
	epoch int64
	until time.Duration
	void  bool
}

func objectOf(in *state.Intent) object { return object{in.Entity, in.Hub} }

// taking is an object that somebody is at work on; free is closed when it is let go, where somebody waits for that.
type taking struct{ free chan struct{} }

func newObjects() *objects {
	return &objects{taken: map[object]*taking{}, calls: map[object][]call{}, stray: map[object]time.Duration{}, claims: map[object]claim{}}
}

// try takes o if nobody has it.
func (t *objects) try(o object) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.taken[o]; ok {
		return false
	}
	t.taken[o] = &taking{}
	return true
}

// take waits for o until ctx ends or limit is over; 0: no limit. It reports whether it has it.
func (t *objects) take(ctx context.Context, clock lifecycle.Clock, o object, limit time.Duration) (bool, error) {
	var over <-chan time.Time
	for {
		t.mu.Lock()
		have := t.taken[o]
		if have == nil {
			t.taken[o] = &taking{}
			t.mu.Unlock()
			return true, nil
		}
		if have.free == nil {
			have.free = make(chan struct{})
		}
		free := have.free
		t.mu.Unlock()
		if over == nil && limit > 0 {
			timer := clock.NewTimer(limit)
			defer timer.Stop()
			over = timer.C()
		}
		select {
		case <-free:
		case <-over:
			return false, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// free lets an object go.
func (t *objects) free(o object) {
	t.mu.Lock()
	defer t.mu.Unlock()
	have := t.taken[o]
	delete(t.taken, o)
	if have != nil && have.free != nil {
		close(have.free)
	}
}

func free(holds []hold) {
	for _, h := range holds {
		h.in.free(h.of)
	}
}

// lost notes that the call of an intent was not answered: its request may be under way until a time, or is not, where that is over.
func (t *objects) lost(in *state.Intent, until time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.find(in); c != nil {
		c.void, c.until = false, max(c.until, until)
		return
	}
	t.note(in, call{until: until})
}

// void notes that the call of an intent was certainly not applied, although the intent stands.
func (t *objects) void(in *state.Intent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.find(in) == nil {
		t.note(in, call{void: true})
	}
}

// calling forgets that the call of an intent was void: another one is about to be made.
func (t *objects) calling(in *state.Intent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := objectOf(in); len(t.calls[o]) > 0 {
		t.calls[o] = slices.DeleteFunc(t.calls[o], func(c call) bool { return c.void && c.event == in.EventID })
	}
}

func (t *objects) isVoid(in *state.Intent) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.find(in)
	return c != nil && c.void
}

// until is the time until when the request of an open intent may be under way: bound after from, where nothing is known of it. It is known from
// then on.
func (t *objects) until(in *state.Intent, from, bound time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.find(in); c != nil {
		return c.until
	}
	t.note(in, call{until: from + bound})
	return from + bound
}

// find and note are called with the lock held.
func (t *objects) find(in *state.Intent) *call {
	all := t.calls[objectOf(in)]
	for i := range all {
		if all[i].event == in.EventID && all[i].epoch == in.Epoch {
			return &all[i]
		}
	}
	return nil
}

// note replaces what was known of the event's calls under another epoch; a request of that one which may be under way goes astray.
func (t *objects) note(in *state.Intent, c call) {
	o := objectOf(in)
	c.event, c.epoch = in.EventID, in.Epoch
	t.calls[o] = append(slices.DeleteFunc(t.calls[o], func(old call) bool {
		if old.event == c.event {
			c.until = max(c.until, old.until)
		}
		return old.event == c.event
	}), c)
}

// arrived forgets the calls of an object that has turned out to be there.
func (t *objects) arrived(o object) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.calls, o)
}

// strayUntil is the time until when a request whose call is settled may still arrive.
func (t *objects) strayUntil(o object) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stray[o]
}

// settled forgets calls whose intents are closed: that of one event or, where the event is empty, all of the object.
func (t *objects) settled(in *state.Intent, now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := objectOf(in)
	rest := t.calls[o][:0]
	for _, c := range t.calls[o] {
		if in.EventID != "" && c.event != in.EventID {
			rest = append(rest, c)
		} else if c.until > now {
			t.stray[o] = max(t.stray[o], c.until)
		}
	}
	if len(rest) == 0 {
		delete(t.calls, o)
	} else {
		t.calls[o] = rest
	}
	for o, at := range t.stray {
		if at <= now {
			delete(t.stray, o)
		}
	}
	for o, c := range t.claims {
		if now-c.since > 2*claimPatience {
			delete(t.claims, o)
		}
	}
}

// seen notes a claim that keeps this hub from an object.
func (t *objects) seen(o object, in state.Intent, now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c, ok := t.claims[o]; ok && c.in.EventID == in.EventID && c.in.Opened.Equal(in.Opened) {
		return
	}
	t.claims[o] = claim{in, now}
}

// forgotten is the claim on an object that has stood unchanged for too long; nil where there is none.
func (t *objects) forgotten(o object, now time.Duration) *state.Intent {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ok := t.claims[o]
	if !ok || now-c.since < claimPatience {
		return nil
	}
	return &c.in
}
