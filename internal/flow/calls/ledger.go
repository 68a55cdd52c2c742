package calls

import (
	"slices"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// ClaimPatience is how long a claim of another hub may stand unchanged before it counts as forgotten. Its holder refreshes it with every
// call, and asks whether it still has it; a hub that dies loses its claims with its partitions, long before this.
const ClaimPatience = 10 * time.Minute

// Object is an object of a system.
type Object struct{ Entity, Hub string }

// ObjectOf is the object of an intent.
func ObjectOf(in *state.Intent) Object { return Object{in.Entity, in.Hub} }

// Ledger knows the calls to the objects of one system that deliveries of this hub have left behind, or found standing. All times are by the
// clock's Elapsed. Its methods may be called at once.
type Ledger struct {
	mu sync.Mutex
	// calls are Unknown or Refused, and their intents stand.
	calls map[Object][]call
	// lateRequests are of calls that are Settled: a request that was never answered may arrive until then.
	lateRequests map[Object]time.Duration
	// claims are those of other hubs that were met, and since when each stands unchanged.
	claims map[Object]claim
}

// claim is one of another hub, as it was first seen at a time.
type claim struct {
	in    state.Intent
	since time.Duration
}

// call is one call to an object, made under an epoch of its message's partition: another hub may have made one since, under another.
type call struct {
	event string
	epoch int64
	state State
	until time.Duration // until when its request may be under way
	// sent is the hash of the document that every request of the event held that may have been applied; empty: it is not known, or they held several.
	sent string
}

// NewLedger makes one that knows of no call.
func NewLedger() *Ledger {
	return &Ledger{calls: map[Object][]call{}, lateRequests: map[Object]time.Duration{}, claims: map[Object]claim{}}
}

// lost notes that the call of an intent was not answered: its request may be under way until a time, or is not, where that is over. sent is the hash of
// what it held.
func (l *Ledger) lost(in *state.Intent, until time.Duration, sent string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.find(in); c != nil {
		if c.state == Unknown && c.sent != sent {
			sent = ""
		}
		c.state, c.until, c.sent = Unknown, max(c.until, until), sent
		return
	}
	l.note(in, call{state: Unknown, until: until, sent: sent})
}

// sent is the hash of what every request of an intent's event held that may have been applied; empty: it is not known.
func (l *Ledger) sent(in *state.Intent) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.find(in); c != nil && c.state == Unknown {
		return c.sent
	}
	return ""
}

// refused notes that the call of an intent was certainly not applied, although the intent stands. One that is Unknown stays so.
func (l *Ledger) refused(in *state.Intent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.find(in) == nil {
		l.note(in, call{state: Refused})
	}
}

// sending forgets that the call of an intent was refused: another one is about to be made.
func (l *Ledger) sending(in *state.Intent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := ObjectOf(in); len(l.calls[o]) > 0 {
		l.calls[o] = slices.DeleteFunc(l.calls[o], func(c call) bool { return c.state == Refused && c.event == in.EventID })
	}
}

// met is the state of the call of an intent that stands: Unknown, unless this hub knows better.
func (l *Ledger) met(in *state.Intent) State {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.find(in); c != nil {
		return c.state
	}
	return Unknown
}

// Until is the time until when the request of an intent that stands may be under way: bound after from, where nothing is known of it. It is
// known from then on.
func (l *Ledger) Until(in *state.Intent, from, bound time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.find(in); c != nil {
		return c.until
	}
	l.note(in, call{state: Unknown, until: from + bound})
	return from + bound
}

// find and note are called with the lock held.
func (l *Ledger) find(in *state.Intent) *call {
	all := l.calls[ObjectOf(in)]
	for i := range all {
		if all[i].event == in.EventID && all[i].epoch == in.Epoch {
			return &all[i]
		}
	}
	return nil
}

// note replaces what was known of the event's calls under another epoch; a request of that one which may be under way is of this one then.
func (l *Ledger) note(in *state.Intent, c call) {
	o := ObjectOf(in)
	c.event, c.epoch = in.EventID, in.Epoch
	l.calls[o] = append(slices.DeleteFunc(l.calls[o], func(old call) bool {
		if old.event == c.event {
			c.until = max(c.until, old.until)
			if old.state == Unknown && old.sent != c.sent {
				c.sent = ""
			}
		}
		return old.event == c.event
	}), c)
}

// Found forgets the calls of an object that has turned out to be there.
func (l *Ledger) Found(o Object) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.calls, o)
}

// LateUntil is the time until when a request whose call is settled may still arrive.
func (l *Ledger) LateUntil(o Object) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lateRequests[o]
}

// Settle ends calls whose intents the store has closed: that of one event or, where the event is empty, all of the object.
func (l *Ledger) Settle(in *state.Intent, now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := ObjectOf(in)
	rest := l.calls[o][:0]
	for _, c := range l.calls[o] {
		if in.EventID != "" && c.event != in.EventID {
			rest = append(rest, c)
		} else if c.until > now {
			l.lateRequests[o] = max(l.lateRequests[o], c.until)
		}
	}
	if len(rest) == 0 {
		delete(l.calls, o)
	} else {
		l.calls[o] = rest
	}
	for o, at := range l.lateRequests {
		if at <= now {
			delete(l.lateRequests, o)
		}
	}
	for o, c := range l.claims {
		if now-c.since > 2*ClaimPatience {
			delete(l.claims, o)
		}
	}
}

// ClaimMet notes a claim that keeps this hub from an object.
func (l *Ledger) ClaimMet(o Object, in state.Intent, now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := l.claims[o]; ok && c.in.EventID == in.EventID && c.in.Opened.Equal(in.Opened) {
		return
	}
	l.claims[o] = claim{in, now}
}

// ForgottenClaim is the claim on an object that has stood unchanged for too long; nil where there is none.
func (l *Ledger) ForgottenClaim(o Object, now time.Duration) *state.Intent {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.claims[o]
	if !ok || now-c.since < ClaimPatience {
		return nil
	}
	return &c.in
}
