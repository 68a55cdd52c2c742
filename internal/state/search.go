package state

import "time"

// SearchLease names the lease under which the search index is written.
const SearchLease = "search"

// Indexed is what the search index is told of one fate.
type Indexed struct {
	// Fate is the journal row's id, Time its time.
	Fate int64
	Time time.Time
	// Entity, Hub and Key name the object; Hub is empty where the fate has none.
	Entity, Hub, Key string
	// Flow, Event, System and Outcome are the fate's.
	Flow, Event, System string
	Outcome             Outcome
	// Terms are what the object is found by, beside its ids in systems, which the store adds. References are what its document names: they take the place
	// of earlier ones of the same fields.
	Terms      []Term
	References []Reference
}

// Term is a folded text that an object is found by, or by its beginning, and what it is the value of: a field of the document, "key" or "id".
type Term struct{ Field, Text string }

// Reference says that a field of an object's document names another object: by an id, which may be its hub id, by its number, or both. An empty Entity
// leaves open what kind of object it is; only a hub id is followed then.
type Reference struct{ Field, Entity, ID, Number string }

// SearchQuery asks for objects.
type SearchQuery struct {
	// Text is what a person has written: the whole, or the beginning.
	Text string
	// Hidden are forms of Text under which personal values are kept; only the whole value is found.
	Hidden []string
	// Entity leaves out all other kinds of objects.
	Entity string
	// After is the cursor of the page before; Limit the most to give (20 when zero, at most 100).
	After string
	Limit int
}

// SearchPage is a part of an answer: exact matches first, then the newest.
type SearchPage struct {
	Objects []SearchedObject
	// Next is the cursor of the rest; empty: there is no more.
	Next string
	Looked
}

// Looked says how far a search has looked.
type Looked struct {
	// Fate is the journal row up to which everything is indexed, Until its time; zero where nothing is yet.
	Fate  int64
	Until time.Time
	// Behind is about how many newer fates are not indexed yet: of those that were looked at all the same the keys and ids alone.
	Behind int64
	// Unread is since when the oldest delivery lies in the inbox that nobody has read yet, so that its key is not known; zero: there is none.
	Unread time.Time
	// Underway is since when the oldest message is on its way that has no fate yet: of these the keys and ids alone are known. Zero: there is none.
	Underway time.Time
	// Back is how far back this page has looked, where so many objects fit that they are gone through from the newest on; zero: through all of them.
	Back time.Time
}

// Complete reports whether nothing that fits can be missing, but behind the cursor.
func (l *Looked) Complete() bool { return l.Behind == 0 && l.Unread.IsZero() && l.Underway.IsZero() }

// SearchedObject is an object that fits.
type SearchedObject struct {
	Entity, Hub, Key string
	// Refs are its ids in systems, tombstones included.
	Refs []Ref
	// Flow, Event, System, and Time are those of its newest fate; Fate is 0 where it has none. Outcome is that of the
	// newest one that was no skip, if any.
	Fate                int64
	Flow, Event, System string
	Outcome             Outcome
	Time                time.Time
	// Fields are what it was found by.
	Fields []string
	// Queued is its message that comes first in the stored queues, without its documents; nil: there is none.
	Queued *Queued
	// Drift is a difference of a reconciliation's newest whole run that is not repaired; nil: there is none.
	Drift *Difference
	// Received is when it came, where it has no fate yet.
	Received time.Time
}

// What an object's state is beside the outcomes.
const (
	StateDrifting = "drifting"
	StateReceived = "received"
)

// State is how the object stands: parked, waiting or held as long as a message of it is; drifting where a reconciliation says so; else its newest outcome,
// or received where it has none. Empty: nothing has come of it yet.
func (o *SearchedObject) State() string {
	switch {
	case o.Queued != nil:
		return string(o.Queued.State)
	case o.Drift != nil:
		return StateDrifting
	case o.Fate != 0:
		return string(o.Outcome)
	case !o.Received.IsZero():
		return StateReceived
	}
	return ""
}

// Related is an object that another one's document names (or whose document names the other one, where Backward), with the field that does.
type Related struct {
	SearchedObject
	Field    string
	Backward bool
	// Through is the object between, as in "invoice INV-7", where it is related to one that is related; empty: it is itself.
	Through string
}
