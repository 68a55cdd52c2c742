package state

import "time"

// QueuedLane is a lane with a blocking queue, as the partition's owner loads it: later messages of the key must join it.
type QueuedLane struct {
	Lane string
	// State is the state of the queue's head.
	State Outcome
}

// Target is what the guards need to know of one object in one system before it is written there.
type Target struct {
	// Ref is the object's cross-reference in the system, a tombstone included; nil when there is none.
	Ref *Ref
	// Applied is the newest version from the asked origin that was applied; nil when there is none.
	Applied *Applied
	// Intent is the newest call whose outcome is not stored yet; nil when there is none.
	Intent *Intent
	// External is the external id to write: ExternalID(entity, hub).
	External string
}

// Settled is what became of a message that the relay had parked before it had a place, and that a person has marked.
// Exactly one of Published, Discard and Again says it.
type Settled struct {
	// ID is the queue row's.
	ID int64
	// Published are its places now: it counts as a record of the topic from here on.
	Published []PublishedAt
	// Discard: it is gone, by the person who marked it.
	Discard bool
	// Again is why it is parked again: Kind, Reason, Code and Attempts are taken from it.
	Again *Queued
}

// QueueFilter selects messages of the stored queue; a zero field selects all. Rows come by ID.
type QueueFilter struct {
	Flow  string
	Lane  string
	Key   string
	State Outcome
	Code  string
	// Heads leaves followers out.
	Heads bool
	// After is the ID to go on behind; Limit the most rows to give (100 when zero, at most 10,000).
	After int64
	Limit int
}

// JournalFilter selects journal rows, newest first; a zero field selects all.
type JournalFilter struct {
	Key     string
	Hub     string
	Flow    string
	Outcome Outcome
	Since   time.Time
	// Before is the ID to go on below; Limit the most rows to give (100 when zero, at most 10,000).
	Before int64
	Limit  int
}

// Trace is everything the hub remembers about one key: a business key, a hub id, an external id, an id in a system, an
// event id or a delivery id.
type Trace struct {
	Key     string
	Objects []Object
	// Journal is newest first.
	Journal []Journal
	Queued  []Queued
	Inbox   []TracedInbound
}

// TracedInbound is an inbox row and where it went.
type TracedInbound struct {
	Inbound
	// Published: the relay has carried it on, to Positions or, where there are none, to the stored queue.
	Published bool
	Positions []PublishedAt
}

// Paused is a flow that a person, or the hub, has stopped.
type Paused struct {
	Flow  string
	Who   string
	Since time.Time
}

// RunFilter selects runs, newest first; a zero field selects all.
type RunFilter struct {
	Kind  string
	Name  string
	State string
	// Limit is the most rows to give (100 when zero, at most 10,000).
	Limit int
}

// CodeCount counts the heads of the stored queue that share a cause.
type CodeCount struct {
	Flow  string
	State Outcome
	Kind  string
	Code  string
	Count int64
}
