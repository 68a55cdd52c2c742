package state

import (
	"time"
)

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
	// Intents are the calls whose outcome is not stored yet, newest first.
	Intents []Intent
	// External is the external id to write: ExternalID(entity, hub).
	External string
}

// QueueFilter selects messages of the stored queue; a zero field selects all. Rows come by ID.
type QueueFilter struct {
	// Flow is one flow; Flows are several, of which any will do (nil: all; empty: none).
	Flow  string
	Flows []string
	Lane  string
	Key   string
	State Outcome
	Code  string
	// Cause is the id that CauseOf gives; messages behind the one that was stopped have it too.
	Cause string
	// Since leaves out what was queued later; a zero time leaves out nothing.
	Since time.Time
	// Marked leaves out what nobody has marked.
	Marked bool
	// Heads leaves followers out; Followers leaves everything else out.
	Heads     bool
	Followers bool
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
	// Acts are what people did to its messages, oldest first; without documents.
	Acts []Act
	// Differences are what runs of reconciliations and rules have found of its objects, the newest run first.
	Differences []TracedDifference
	// Related are the objects that its objects name and those that name them; MoreRelated: there are more.
	Related     []Related
	MoreRelated bool
	// Keys are other keys that begin with what was asked for; where the trace is empty, they are all that was found.
	Keys []string
}

// TracedDifference is a difference with the name of what has found it, and when that run ended.
type TracedDifference struct {
	Name string
	At   time.Time
	Difference
}

// Known reports whether anything is remembered under the key.
func (t *Trace) Known() bool {
	return len(t.Objects)+len(t.Journal)+len(t.Queued)+len(t.Inbox)+len(t.Acts) > 0
}

// Standing is what the hub knows of one object, and of what is on its way to it.
type Standing struct {
	// Refs are its ids in systems, tombstones included.
	Refs []Ref
	// Queued are its messages in the stored queues, without documents, by id.
	Queued []Queued
	// Journal is newest first.
	Journal []Journal
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

// Listed is a message of the stored queue with those behind it.
type Listed struct {
	Queued
	// Behind is how many messages of the key queue behind it; Followers are the first of them.
	Behind    int64
	Followers []Queued
}

// CauseCount counts the messages of the stored queue that one cause has stopped.
type CauseCount struct {
	// Cause and Text are what CauseOf gives. Both are empty for messages that are just due.
	Cause, Text string
	Kind, Code  string
	State       Outcome
	// Count are the messages that were stopped; Behind those that queue behind them; Marked those of Count that a person has marked.
	Count, Behind, Marked int64
	// Oldest is when the first of them was queued.
	Oldest time.Time
	// Flows are where, by name.
	Flows []string
	// Example is one of them: the oldest row.
	Example Queued
}

// Wish is what a person asks of one queued message.
type Wish struct {
	ID   int64
	Mark Mark
	// Rev is the revision that the person has seen; nil: whatever it is.
	Rev  *int64
	Who  string
	Note string
}

// Edit is a person's new document for one queued message.
type Edit struct {
	ID   int64
	Data []byte
	// Rev is the revision that the person has seen; nil: whatever it is.
	Rev *int64
	// Replay asks for a replay in the same transaction.
	Replay bool
	Who    string
	Note   string
}

// Bulk is what a person asks of all messages that a filter selects, in steps of bounded size: a call takes up to Most rows, and
// the next one goes on where it ended. A step that is lost takes nothing with it: asking again marks what is not marked yet.
type Bulk struct {
	Mark Mark
	// Filter selects; its After and Limit are not used. A replay takes heads only: what queues behind them is released in
	// order. A discard takes heads only unless Behind is set or the filter asks for followers.
	Filter QueueFilter
	Behind bool
	// About says in words what is selected; with Who and Note it goes to the audit, once.
	About string
	Who   string
	Note  string
	// From is where to go on: zero for the first step.
	From BulkPlace
	Most int
}

// BulkPlace is how far a bulk has come: its number in the audit, the newest row that it may take, and the row to go on from.
type BulkPlace struct {
	Act, Top, At int64
}

// BulkStep is what one step has done.
type BulkStep struct {
	// Marked are the rows of this step, Total those of all steps so far.
	Marked, Total int64
	// Next is where to go on; Done: there is nothing left.
	Next BulkPlace
	Done bool
}

// Act is what a person has done to a message, and what came of a discard. It outlives the message.
type Act struct {
	Time time.Time
	Flow string
	// Message is the id that the message has, or had, in the stored queue.
	Message int64
	EventID string
	Key     string
	Hub     string
	Action  string // "edit", "replay", "discard", "unmark", or "discarded" when the message has gone
	Who     string
	Note    string
	// Bulk is the number of the bulk that it was part of; 0: none.
	Bulk int64
	// Before is the document that was replaced or given up; nil where the act before tells it, or none was. After is an edit's.
	Before []byte
	After  []byte
}

// Why puts a person and the reason given into a sentence, as the journal tells them of a discard.
func Why(who, note string) string {
	if note == "" {
		return who
	}
	return who + ": " + note
}
