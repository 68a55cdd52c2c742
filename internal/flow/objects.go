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

// call is one call to an object: until when, by the clock's Elapsed, its request may be under way. A void one was certainly not applied.
type call struct {
	event string
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

// lost notes that the call of an event was not answered: its request may be under way until a time, or is not, where that is over.
func (t *objects) lost(o object, event string, until time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, c := range t.calls[o] {
		if c.event == event {
			t.calls[o][i] = call{event: event, until: max(c.until, until)}
			return
		}
	}
	t.calls[o] = append(t.calls[o], call{event: event, until: until})
}

// void notes that the calls of an event were certainly not applied, although its intent stands.
func (t *objects) void(o object, event string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.calls[o] {
		if c.event == event {
			return
		}
	}
	t.calls[o] = append(t.calls[o], call{event: event, void: true})
}

// called forgets that the calls of an event were void: another one is about to be made.
func (t *objects) called(o object, event string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if all := t.calls[o]; len(all) > 0 {
		t.calls[o] = slices.DeleteFunc(all, func(c call) bool { return c.void && c.event == event })
	}
}

func (t *objects) isVoid(in *state.Intent) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.calls[objectOf(in)] {
		if c.event == in.EventID {
			return c.void
		}
	}
	return false
}

// until is the time until when the request of an open intent may be under way: bound after from, where nothing is known of it. It is known from
// then on.
func (t *objects) until(in *state.Intent, from, bound time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := objectOf(in)
	for _, c := range t.calls[o] {
		if c.event == in.EventID {
			return c.until
		}
	}
	t.calls[o] = append(t.calls[o], call{event: in.EventID, until: from + bound})
	return from + bound
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
