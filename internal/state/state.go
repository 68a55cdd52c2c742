// Package state holds the shapes of what the hub remembers: the words that the store, the engine, the intake and the
// API share. It has no behaviour of its own beyond deriving ids, so that each of them can declare the interface that it needs.
package state

import (
	"errors"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
)

var (
	// ErrFenced: another hub owns this lease or partition now; whatever was to be stored is not stored.
	ErrFenced = errors.New("fenced: another hub has taken over")
	// ErrNotFound: no such row.
	ErrNotFound = errors.New("not found")
	// ErrBroker: the broker or a topic is not the one whose positions are stored (wiped, or another cluster), or its log no
	// longer holds the stored position.
	ErrBroker = errors.New("the broker does not hold what the store remembers of it")
	// ErrChanged: somebody else has edited or marked the message since it was read.
	ErrChanged = errors.New("the message has changed since it was read")
	// ErrCursor: the cursor of a page is none.
	ErrCursor = errors.New("the cursor cannot be read")
	// ErrBusy: what is asked of the message cannot be done in the state that its queue is in.
	ErrBusy = errors.New("not now")
)

// ErrClaimed: another message of the object is being delivered; see Claimed.
var ErrClaimed = errors.New("another message of the object is being delivered")

// Claimed is an ErrClaimed that says by which call.
type Claimed struct{ By Intent }

func (c *Claimed) Error() string {
	return ErrClaimed.Error() + " by the flow " + c.By.Flow
}

// Is makes it an ErrClaimed.
func (c *Claimed) Is(err error) bool { return err == ErrClaimed }

// Outcome is what can happen to a message, and nothing else.
type Outcome string

const (
	Delivered Outcome = "delivered"
	Skipped   Outcome = "skipped"
	Parked    Outcome = "parked"
	Waiting   Outcome = "waiting"
	Discarded Outcome = "discarded"
	// Held counts as in flight: the target was unavailable and the key's messages rest in the store.
	Held Outcome = "held"
)

// Reasons of a skip.
const (
	// Filtered: the flow's `when` does not want it.
	Filtered = "filtered"
	// Echo: it says what the hub itself has written there, or what came from the target.
	Echo = "echo"
	// Stale: something newer was received, or applied, before.
	Stale = "stale"
	// Duplicate: it came before, under the same id or under another one.
	Duplicate = "duplicate"
	// DeleteIgnored: a deletion for which nothing is to be done in the target: the flow's `on-delete: ignore` says so, or there is nothing.
	DeleteIgnored = "delete-ignored"
)

// Lease is the right to do something alone until Expires; Token rises with every holder and fences the last one.
type Lease struct {
	Name    string
	Holder  string
	Token   int64
	Expires time.Time
}

// Partition is the stored position of one flow in one partition, and who may move it.
type Partition struct {
	Flow      string
	Topic     string
	Partition int
	// Cluster and TopicID are the ids of the broker's cluster and topic when the position was first stored.
	Cluster string
	TopicID string
	// First is the offset that the flow's count begins at.
	First int64
	// Life is the life of the topic's log that the position is in, Base what offsets are raised by as versions (see TopicLog).
	Life int64
	Base int64
	// Gone: the log has no such partition any more, or nobody reads it any more: there is no position.
	Gone bool
	// Epoch is the fencing token of the present owner.
	Epoch    int64
	Position event.Position
}

// Mark is what a person, or a committed cross-reference, asks of a queued message; the partition's owner carries it out.
type Mark string

const (
	MarkNone    Mark = ""
	MarkReplay  Mark = "replay"
	MarkDiscard Mark = "discard"
	MarkReady   Mark = "ready" // what it waited for is there, or the time has come
)

// Queued is one message of a key's stored queue. The head of the queue gives State and Reason to all behind it.
type Queued struct {
	ID   int64
	Flow string
	// Topic and Partition say whose owner works the queue.
	Topic     string
	Partition int
	// Lane is the lane key (event.Lane): the queue's name within the flow.
	Lane  string
	State Outcome // Parked, Waiting or Held
	// Blocking: later messages of the key queue behind this one. A parked message of a flow with `order: latest` does not
	// block, and nothing follows it. What the intake has refused never blocks: nobody knows whose followers it would hold.
	Blocking bool
	// Follower: behind another message of its key. The store decides it; a message appended with Follower set whose head
	// has left meanwhile is stored as Held and due at once.
	Follower bool
	// Kind is the fault kind, "mapping", "schema" or "xref"; Reason the sentence for the operator.
	Kind   string
	Reason string
	// Code groups causes for bulk repair: the value map and code, the schema keyword and path, the target's code.
	Code string
	// Cause names what has stopped it, or the head it queues behind, without what differs from message to message: see CauseOf. The store sets it.
	Cause   string
	Missing *Missing
	Event   event.Event
	// Original is Event.Data as it arrived, where a person has edited it.
	Original []byte
	EditedBy string
	EditNote string
	// Edits counts edits; Rev counts edits and marks by people.
	Edits    int64
	Rev      int64
	Attempts int
	// Tried is how long its delivery was tried, while the target did not count as down.
	Tried time.Duration
	// Since is when it was queued, and of a held message since when it is the hub's turn to move it; NotBefore when a held message is due again.
	Since     time.Time
	NotBefore time.Time
	Mark      Mark
	MarkedBy  string
	MarkNote  string
}

// Journal is the record of one event's fate.
type Journal struct {
	ID       int64
	Time     time.Time
	Flow     string
	EventID  string
	Entity   string
	Key      string
	Hub      string
	Outcome  Outcome
	Reason   string
	System   string
	Local    string
	External string
	Version  string
	Attempts int
	// Took is the time from acceptance by the hub to this fate.
	Took time.Duration
	// Action is what was done in the target, or tried: one of the Did… words; empty where it did not come so far.
	Action string
	// Field is the field that was refused, by a schema, by the mapping or by the target; empty where nobody named one.
	Field string
	// Told says in a sentence what there is to know beyond outcome and reason.
	Told string
	// Documents are what the fate is about. Stored with the row, and read only where they are asked for.
	Documents *Documents
}

// What is done in a target.
const (
	DidCreate     = "create"
	DidUpdate     = "update"
	DidDelete     = "delete"
	DidDeactivate = "deactivate"
	// DidAdopt: the object was there already, and is the event's from now on; what differed there was updated.
	DidAdopt   = "adopt"
	DidPublish = "publish"
)

// Documents are the documents of one fate, with personal data masked. A nil one was not there, or was not kept.
type Documents struct {
	// Source is the document before mapping, Mapped after it, Sent what was written where that is not Mapped as it is.
	Source, Mapped, Sent []byte
	// Status and Answer are what the target said: its code ("201", "422 InvalidEmail", "23505") and as much of the answer as is kept.
	Status string
	Answer []byte
	// Hidden are hashes by which masked values of the flow's search fields are found. They are shown to nobody.
	Hidden []Term
	// Failed: they are kept as long as the row is, whatever else there is.
	Failed bool
}

// Result is everything that one message's fate changes; the store applies a whole Commit or nothing of it.
type Result struct {
	// Offset is the record's offset; Drained is the queue row's ID where the message came from the stored queue instead.
	Offset  int64
	Drained int64
	Outcome Outcome
	Reason  string
	// Queue is the row to append (Outcome Parked, Waiting or Held of a record) or to update (of a drained row). An appended row
	// joins the end of its lane's queue.
	Queue   *Queued
	Ref     *Ref     // upserted; a nil Known leaves the stored one
	Source  *Ref     // likewise: the reference in the system that the event came from, where the flow writes to another at once
	Applied *Applied // upserted
	// Close are intents that end, by (Entity, Hub, System, EventID); without an EventID, all of the object. Leave are intents that stay
	// open, and only their claims end.
	Close   []Intent
	Leave   []Intent
	Journal *Journal
	// Sent is the record that the fate has put on a topic, with its place there, where other flows read that topic: the store keeps it
	// until they have.
	Sent *event.Record
	// Retried counts calls that were made again.
	Retried int
	// Resubmit hands a drained message that the intake had refused back to the inbox, to be read anew. It has no Outcome then, and its
	// offset no longer counts as finished: it counts as unpublished, and later at the place that it gets.
	Resubmit *Inbound
}

// Commit is what one lane batch, or one message of it, changes. It is refused with ErrFenced unless Epoch is the
// partition's present one; the finished offsets, the totals and everything in Results move together.
type Commit struct {
	Flow      string
	Topic     string
	Partition int
	Epoch     int64
	Results   []Result
	// Gaps are offsets that hold no record (transaction markers, compacted records): the position passes them, and they
	// count nowhere.
	Gaps []event.Range
	// Life is the life of the log that the Sent of Results were put into, as it was known before the first of them was sent: where the
	// topic has another one now, they are put there again.
	Life int64
}

// FlowTotals is the conservation equation of one flow, from what is stored.
type FlowTotals struct {
	Flow string
	// Finished counts the offsets that the stored positions say are finished, without those of messages that were handed back to the inbox: it
	// is not derived from the outcomes.
	Finished int64
	// Unpublished counts inbox rows without a place on their topic.
	Unpublished int64
	Delivered   int64
	Skipped     map[string]int64 // by reason
	Discarded   int64
	Retried     int64
	// Parked, Waiting and Held count rows of the stored queue, by their head's state.
	Parked  int64
	Waiting int64
	Held    int64
	// Oldest is when the oldest message was accepted first that the hub has still to move by itself and could: unpublished or held; zero when
	// there is none. OldestParked is that of what waits for a person, and OldestWaiting is when the oldest began to wait for another object.
	Oldest        time.Time
	OldestParked  time.Time
	OldestWaiting time.Time
	// LastDelivered is the time of the newest delivery.
	LastDelivered time.Time
}

// Timely counts what a flow has delivered, and what of it was older by then than slo.late-after.
type Timely struct {
	Flow            string
	Delivered, Late int64
}

// Add counts n more.
func (t *Timely) Add(n Timely) { t.Delivered, t.Late = t.Delivered+n.Delivered, t.Late+n.Late }

// Timeliness is what a flow has delivered in the last hour and in the last day, in steps of five minutes.
type Timeliness struct{ Hour, Day Timely }

// TimelyStep is what a flow has delivered in one step of five minutes that begins at Begin.
type TimelyStep struct {
	Timely
	Begin time.Time
}

// Unaccounted is what the equation leaves over: 0, or something is wrong.
func (t *FlowTotals) Unaccounted() int64 {
	n := t.Finished - t.Delivered - t.Discarded - t.Parked - t.Waiting - t.Held
	for _, s := range t.Skipped {
		n -= s
	}
	return n
}

// Audit is one act of a person. Before and After say in few words how it was and how it is then; where the act has changed a message's document, Act is the act that has both.
type Audit struct {
	ID            int64
	Time          time.Time
	Who           string
	Action        string
	Object        string
	Detail        string
	Before, After string
	Act           int64
}

// AuditFilter selects acts, newest first; a zero field selects all.
type AuditFilter struct {
	Who, Action, Object string
	// Before is the ID to go on below; Limit the most rows to give (100 when zero, at most 10,000).
	Before int64
	Limit  int
}

// Run is one run of a schedule, poll or reconciliation.
type Run struct {
	ID       int64
	Kind     string // "poll", "files", "schedule"
	Name     string
	Started  time.Time
	Finished time.Time
	State    string // "running", "ok", "failed"
	Detail   string
	Count    int64
}
