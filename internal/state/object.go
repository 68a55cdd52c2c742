package state

import (
	"cmp"
	"maps"
	"time"
)

// Object is one business object as the hub knows it.
type Object struct {
	Entity string
	Hub    string
	// External is the id written to targets: UUIDv5(entity, hub id).
	External string
	Created  time.Time
	Refs     []Ref
}

// Ref is the object's id in one system.
type Ref struct {
	Entity string
	Hub    string
	System string
	// Local is the object's id in the system.
	Local string
	// Deleted marks a tombstone: the object was deleted there.
	Deleted bool
	// Instead is the hub id of another object that had Local until now: the system's object is this one, and the other's reference ends. It is
	// not stored.
	Instead string
	// Lost is an id that the object had there before, of which the system has told that it is gone. It is not stored; what was seen under it ends.
	Lost string
	// Known is the last known state there; nil when unknown.
	Known *Known
	// Before is what was known there when Known was decided upon, nil where nothing was; Judged: it is given. Neither is stored. What was stored in between is
	// not lost for it.
	Before *Known
	Judged bool
	// ETag is the target's own concurrency token of the last write or read; may be empty.
	ETag    string
	Updated time.Time
}

// Met is an object of a system as an event names it: its id there, the external id that it carries, and the event.
type Met struct{ Local, External, EventID string }

// Known is the last known state of an object in a system, as one hash per top-level field of the canonical document
// (the hub's schema, through the inbound mapping). Received is the version of the newest event received from there;
// writes by the hub do not move it. EventID is the event that set the state last.
type Known struct {
	// Flow is the inbound flow that the state is seen through: states seen through different ones do not compare.
	Flow     string
	Fields   map[string]uint64
	Received string
	EventID  string
	// Key is the business key of the newest event received from there; empty: none is known.
	Key string
	// Wrote is the version that the system gave to the hub's last write, where it can be told, and Written the fields of that write:
	// an older event's values of these fields have been overwritten.
	Wrote   string
	Written []string
	// Hops is the number of flows that the hub's last write had passed: an event that says nothing but that write goes on counting there. 0 once
	// another event was received.
	Hops int
}

// Onto is a state that was read, put onto what is known by now: a write of the hub was stored since it was decided upon. What the system holds of the fields
// of that write is not what the state says, and is not known where the two differ.
func (k *Known) Onto(now *Known) *Known {
	out := *k
	out.Fields = maps.Clone(k.Fields)
	for _, name := range now.Written {
		if h, ok := now.Fields[name]; !ok || out.Fields[name] != h {
			delete(out.Fields, name)
		}
	}
	out.Wrote, out.Written, out.Hops = now.Wrote, now.Written, now.Hops
	return &out
}

// Behind is what a write of the hub has left, put behind a state that was stored since the write was decided upon. Nobody knows which of the two came
// first in the system: what they differ in is not known.
func (k *Known) Behind(read *Known) *Known {
	out := *read
	out.Fields = maps.Clone(read.Fields)
	for name, h := range k.Fields {
		if out.Fields[name] != h {
			delete(out.Fields, name)
		}
	}
	for _, name := range k.Written {
		if _, ok := k.Fields[name]; !ok {
			delete(out.Fields, name)
		}
	}
	out.Wrote, out.Written, out.Hops = cmp.Or(k.Wrote, read.Wrote), k.Written, k.Hops
	return &out
}

// Applied is the version guard's memory: the newest version from one origin that was applied to one target object.
type Applied struct {
	Entity  string
	Hub     string
	System  string
	Origin  string
	Version string
	Hash    string
	// EventID are the newest events of this version, one a line, as the engine names them.
	EventID string
}

// Intent is a call to a target that was about to be made: it stands until its outcome is stored.
type Intent struct {
	Flow     string
	Entity   string
	Hub      string
	System   string
	EventID  string
	Create   bool
	External string
	// Opened is when the last of its calls was announced, and Begun when the first was, which the store sees to.
	Opened time.Time
	Begun  time.Time
	// Topic, Partition and Epoch are those under which the message is decided: a hub that has lost the partition opens no intent. An
	// Epoch of 0 is not checked.
	Topic     string
	Partition int
	Epoch     int64
	// Claim keeps other hubs from the object until the intent is closed or left. Again: it was claimed before, and the claim must stand. Over is
	// a claim that is not to be respected.
	Claim bool
	Again bool
	Over  *Intent
}

// NoExternal is given to Resolve in place of an external id by a source that shows its external-id field and shows it
// empty: the hub did not create that object, so there is no create intent to wait for.
const NoExternal = "-"

// Resolution says how an id of a system was turned into a hub id.
type Resolution string

const (
	Found   Resolution = "found"
	Matched Resolution = "matched" // by its external-id field
	Minted  Resolution = "minted"
	// Pending: an unknown object, and create intents are open on (system, entity): it may be one of them.
	Pending Resolution = "pending"
)

// Missing names the cross-reference that a waiting message needs. With Hub set, the object is known and lacks an id in
// System; with Local set, nobody has seen System's object Local yet. Both empty with Intents: create intents are open.
type Missing struct {
	Entity  string
	System  string
	Hub     string
	Local   string
	Intents bool
}
