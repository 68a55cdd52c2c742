// Package calls is the ledger of the calls that the hub makes to objects of target systems: which of them may still be, or become, true there, who
// opened them, and until when their requests may arrive. Deliveries and drains ask it, and keep no account of their own.
//
// While a call is worked on its Delivery knows it. What a delivery leaves behind is known to the Ledger of the system, for all flows of the hub. What a
// dead hub leaves behind is known to the store, as an intent, and counts as Unknown.
package calls

import "fmt"

// State is what is known of one call.
type State int

// The states of a call.
const (
	None     State = iota // no intent of it stands
	Opened                // its intent is stored, and nothing was sent under it
	Sent                  // its request is being made
	Refused               // certainly not applied, although its intent stands
	Unknown               // it may have been applied, and its request may still arrive
	Reopened              // Unknown, and the intent is stored anew for another request
	Resent                // Unknown, and another request is being made
	Known                 // it was Unknown, and the target was looked at: it is over
	Applied               // the target has taken it
	Settled               // its intent is closed in the commit of its message's fate
)

var stateNames = [...]string{"none", "opened", "sent", "refused", "unknown", "reopened", "resent", "known", "applied", "settled"}

func (s State) String() string { return stateNames[s] }

// Doubtful: the call may have been applied, and nobody knows.
func (s State) Doubtful() bool { return s == Unknown || s == Reopened || s == Resent }

// fresh: the intent is stored, and nothing was sent since.
func (s State) fresh() bool { return s == Opened || s == Reopened }

// Event is what happens to a call.
type Event int

// The events of a call.
const (
	Open     Event = iota // the intent is stored
	Send                  // a request is made
	Withhold              // the request was not made after all: the hub stops, or has lost the partition
	Answer                // the target has taken the call
	Refuse                // the target, or the way to it, says that this request was not applied
	Lose                  // no answer, or one that leaves the outcome open
	Look                  // the object was found, or is absent although no request can be under way any more
	Rejoin                // a later attempt finds the intent standing, and the ledger knows that its call was not applied
	Crash                 // whoever worked on the call is gone: the hub ended, or was replaced
	Close                 // the fate is stored, and the intent closed with it
	Cover                 // a later write, or a person, has decided about the object; a request that may still arrive is a late request from then on
)

var eventNames = [...]string{"open", "send", "withhold", "answer", "refuse", "lose", "look", "rejoin", "crash", "close", "cover"}

func (e Event) String() string { return eventNames[e] }

// Transition is one row of the table. Durable names what is certain to stand when the transition is made: a failpoint of the engine, without
// its "flow.", which the ordinary program does not hold, or a sentence.
type Transition struct {
	From    State
	On      Event
	To      State
	Durable string
}

const (
	intentStored  = "intent-committed"
	beforeRequest = "target-call"
	targetHolds   = "target-applied"
	fateStored    = "batch-committed"
	intentStands  = "the intent stands"
	noStep        = "nothing"
)

// Table has every transition; what is not in it cannot happen.
var Table = []Transition{
	{None, Open, Opened, intentStored},
	{None, Rejoin, Refused, intentStands},
	{None, Look, None, noStep},
	{None, Crash, None, noStep},

	{Opened, Open, Opened, intentStored},
	{Opened, Send, Sent, beforeRequest},
	{Opened, Look, Opened, intentStands},
	{Opened, Crash, Unknown, intentStands},
	{Opened, Close, Settled, fateStored},

	{Sent, Withhold, Opened, intentStands},
	{Sent, Answer, Applied, targetHolds},
	{Sent, Refuse, Refused, intentStands},
	{Sent, Lose, Unknown, intentStands},
	{Sent, Crash, Unknown, intentStands},

	{Refused, Open, Opened, intentStored},
	{Refused, Look, Refused, intentStands},
	{Refused, Crash, Unknown, intentStands},
	{Refused, Close, Settled, fateStored},
	{Refused, Cover, Settled, fateStored},

	{Unknown, Open, Reopened, intentStored},
	{Unknown, Look, Known, intentStands},
	{Unknown, Crash, Unknown, intentStands},
	{Unknown, Cover, Settled, fateStored},

	{Reopened, Open, Reopened, intentStored},
	{Reopened, Send, Resent, beforeRequest},
	{Reopened, Look, Opened, intentStands},
	{Reopened, Crash, Unknown, intentStands},

	{Resent, Withhold, Reopened, intentStands},
	{Resent, Answer, Applied, targetHolds},
	{Resent, Refuse, Unknown, intentStands},
	{Resent, Lose, Unknown, intentStands},
	{Resent, Crash, Unknown, intentStands},

	{Known, Open, Opened, intentStored},
	{Known, Look, Known, intentStands},
	{Known, Crash, Unknown, intentStands},
	{Known, Close, Settled, fateStored},

	{Applied, Crash, Unknown, intentStands},
	{Applied, Close, Settled, fateStored},

	{Settled, Crash, Settled, fateStored},
}

// Next is the state after an event; an error where the table has no such transition.
func Next(s State, e Event) (State, error) {
	for i := range Table {
		if t := &Table[i]; t.From == s && t.On == e {
			return t.To, nil
		}
	}
	return s, fmt.Errorf("calls: a call that is %s cannot %s: this is a fault of Waybill", s, e)
}
