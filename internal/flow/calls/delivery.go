package calls

import (
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Delivery is what one delivery knows of the calls to its object: its own, and those that it found standing. It is used by one goroutine.
type Delivery struct {
	ledger *Ledger
	event  string // the id of the message's event
	own    State
	// stands: an intent of the event is in the store, whichever attempt has put it there. claimed: it keeps other hubs from the object.
	stands, claimed bool
	openedAt        time.Duration // when the store was asked for the intent
	until           time.Duration // until when a request of this delivery may be under way
	// inherited are the calls that earlier attempts of this or other messages have left Unknown.
	inherited []state.Intent
	// restored: the store has gone back, and a call that it does not know any more may have made the object.
	restored bool
	// wasInDoubt: a call was inherited, or lost with the store, before this delivery made one of its own.
	wasInDoubt bool
	// looked: nothing that was called before can still be, or become, true.
	looked bool
}

// Deliver begins the account of a delivery of an event.
func (l *Ledger) Deliver(event string) *Delivery { return &Delivery{ledger: l, event: event} }

// outcome makes a transition that says what has become of a request. One that the table does not have leaves it Unknown: that assumes least.
func (d *Delivery) outcome(e Event) {
	to, err := Next(d.own, e)
	if err != nil {
		to = Unknown
	}
	d.own = to
}

// Meet tells of the intents of the object that stand in the store. It is asked before the delivery sends anything, and again when it has claimed the object.
func (d *Delivery) Meet(intents []state.Intent) {
	opened := d.stands && !d.InheritedOwn() // by this delivery
	d.inherited = slices.DeleteFunc(intents, func(in state.Intent) bool {
		mine, refused := in.EventID == d.event, d.ledger.met(&in) == Refused
		if mine {
			d.stands = true
			if refused && d.own == None {
				d.outcome(Rejoin)
			}
		}
		return opened && mine || refused
	})
}

// Restored tells, once all intents are met and before anything is sent, whether a call that the store does not know any more may have made the object.
func (d *Delivery) Restored(is bool) {
	d.restored = is
	d.wasInDoubt = is || len(d.inherited) > 0
}

// Opened: the store, asked at a time, holds the intent, and with claim it keeps other hubs from the object.
func (d *Delivery) Opened(asked time.Duration, claim bool) error {
	to, err := Next(d.own, Open)
	if err != nil {
		return err
	}
	d.own, d.stands, d.claimed, d.openedAt = to, true, claim, asked
	return nil
}

// Fresh: the intent was stored less than within ago, and nothing was sent under it.
func (d *Delivery) Fresh(now, within time.Duration) bool {
	return d.own.fresh() && now-d.openedAt < within
}

// Sending is told before a request is made; an error says that it must not be.
func (d *Delivery) Sending(in *state.Intent) error {
	to, err := Next(d.own, Send)
	if err != nil {
		return err
	}
	d.own = to
	d.ledger.sending(in)
	return nil
}

// Withheld: the request was not made after all.
func (d *Delivery) Withheld() { d.outcome(Withhold) }

// Answered: the target has taken the call.
func (d *Delivery) Answered() { d.outcome(Answer) }

// Refused: this request was not applied. One before it that was lost is still in doubt.
func (d *Delivery) Refused() { d.outcome(Refuse) }

// Lost: nobody knows whether the request was applied; it may be under way until a time. Where another write of the object could be undone by it, shared
// tells all deliveries of it.
func (d *Delivery) Lost(in *state.Intent, until time.Duration, shared bool, sent string) {
	d.outcome(Lose)
	d.until = max(d.until, until)
	if shared {
		d.ledger.lost(in, until, sent)
	}
}

// Looked: the target was looked at, and nothing that was called before can still be, or become, true.
func (d *Delivery) Looked() {
	d.outcome(Look)
	d.inherited, d.restored, d.looked = nil, false, true
}

// Leave is told when the message is left as it was, with its intent: the ledger keeps what is certain of its call.
func (d *Delivery) Leave(in *state.Intent) {
	if d.stands && !d.LostHere() && !d.InheritedOwn() {
		d.ledger.refused(in)
	}
}

// LostHere: a request of this delivery is in doubt.
func (d *Delivery) LostHere() bool { return d.own.Doubtful() }

// InDoubt: a call to the object may have been applied, and nobody knows.
func (d *Delivery) InDoubt() bool { return d.LostHere() || d.Inherited() || d.restored }

// Inherited: calls that others have left in doubt stand.
func (d *Delivery) Inherited() bool { return len(d.inherited) > 0 }

// InheritedOwn: an earlier attempt of this very event has left its call in doubt.
func (d *Delivery) InheritedOwn() bool {
	return slices.ContainsFunc(d.inherited, func(in state.Intent) bool { return in.EventID == d.event })
}

// Earliest is when the first of the inherited calls can have been made, by the store's clock; zero: there is none.
func (d *Delivery) Earliest() (at time.Time) {
	for i := range d.inherited {
		if begun := d.inherited[i].Begun; at.IsZero() || begun.Before(at) {
			at = begun
		}
	}
	return at
}

// OwnCreate: what is in doubt is this delivery's own call, and never was another.
func (d *Delivery) OwnCreate() bool { return d.LostHere() && !d.wasInDoubt }

// Repeats: what is in doubt are earlier attempts of this very event, and each has sent the document of that hash.
func (d *Delivery) Repeats(sent string) bool {
	if sent == "" || d.restored || d.LostHere() || len(d.inherited) == 0 {
		return false
	}
	for i := range d.inherited {
		if in := &d.inherited[i]; in.EventID != d.event || d.ledger.sent(in) != sent {
			return false
		}
	}
	return true
}

// IsRestored: what the store has lost may have made the object. OnlyRestored: and nothing else is in doubt.
func (d *Delivery) IsRestored() bool { return d.restored }

// OnlyRestored is said at IsRestored.
func (d *Delivery) OnlyRestored() bool { return d.restored && !d.Inherited() && !d.LostHere() }

// Claimed: other hubs are kept from the object by the intent.
func (d *Delivery) Claimed() bool { return d.claimed }

// Underway is the time until when any request in doubt may be under way; mayArrive tells it of an inherited one.
func (d *Delivery) Underway(mayArrive func(*state.Intent) time.Duration) time.Duration {
	at := d.until
	for i := range d.inherited {
		at = max(at, mayArrive(&d.inherited[i]))
	}
	return at
}

// OthersUntil is the time until when a request of another message may arrive and undo what this one writes, those that are settled with them.
func (d *Delivery) OthersUntil(o Object, mayArrive func(*state.Intent) time.Duration) time.Duration {
	at := d.ledger.LateUntil(o)
	for i := range d.inherited {
		if in := &d.inherited[i]; in.EventID != d.event {
			at = max(at, mayArrive(in))
		}
	}
	return at
}

// Ending is what the commit of the fate does with the intents.
type Ending int

// The endings of a delivery.
const (
	Nothing  Ending = iota // none of this event stands
	KeepOwn                // its call is in doubt: the intent stays open, and only its claim ends
	CloseOwn               // its call is certain
	CloseAll               // whatever calls of the object were in doubt are certain now
)

// Ending is how the delivery ends, whatever its message's fate is.
func (d *Delivery) Ending() Ending {
	_, err := Next(d.own, Close)
	switch {
	case d.InheritedOwn(), err != nil && d.own != None:
		return KeepOwn
	case d.looked || d.own == Applied:
		return CloseAll
	case d.stands:
		return CloseOwn
	}
	return Nothing
}
