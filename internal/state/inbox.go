package state

import (
	"time"

	"github.com/waybill-hub/waybill/internal/event"
)

// Accepted says what intake did with one delivery.
type Accepted string

const (
	AcceptedNew       Accepted = "accepted"
	AcceptedDuplicate Accepted = "duplicate"
	// AcceptedConflict: the same delivery id came before with another body. Nothing was stored.
	AcceptedConflict Accepted = "conflict"
)

// Inbound is one row of the inbox: something from outside that the hub has promised to carry.
type Inbound struct {
	// Seq is given by the store, unique per store, rising per flow but NOT in commit order.
	Seq  int64
	Flow string
	// DeliveryID de-duplicates deliveries of one flow for the replay window; empty: no de-duplication.
	DeliveryID string
	// ID is the stable id that the events are named after: the delivery id, or one minted by the intake.
	ID string
	// Headers are what `header()` may ask for later; no credentials.
	Headers map[string]string
	Body    []byte
	// Digest is what two bodies of one delivery are compared by; nil: the SHA-256 of the body.
	Digest []byte
	// Trace is a W3C traceparent, or empty.
	Trace    string
	Received time.Time
	// Again, where it is not nil, names the events of a list (by their numbers, WholeList for the list itself) that are to be published again:
	// the others have their fate.
	Again []int
	// Next is how many elements of the row's list are on its topic already, in the life Life of the topic's log; the others follow.
	Next int
	Life int64
	// Event, where it is not nil, is the one event that the row stands for: a list had it, or it was refused before and is to be read anew. It
	// keeps its id, its version and its times; Body is its document.
	Event *event.Event
	// Bundle, where it is not nil, are the events that the row stands for, in their order, numbered from 0: changes of a log that were read together. Body is
	// empty then, and so are Headers.
	Bundle []Bundled
}

// Bundled is one event of a bundle, as an inbox row of its own would hold it.
type Bundled struct {
	ID      string
	Headers map[string]string
	Body    []byte
}

// WholeList is the number of a list that could not be split, among the events of its inbox row.
const WholeList = -1

// Cursor is how far a poller or file watcher has read.
type Cursor struct {
	Flow    string
	Value   string
	Updated time.Time
}

// Published tells where an inbox row went: one position per event that it was split into.
type Published struct {
	Seq int64
	// Key is the business key of its event (of the first, where it was split); empty when unknown. It serves Trace.
	Key string
	// Bundle: the row is a bundle, which has no Key. Keys are, in place of it, those of its events, in their order; nil: they are kept already.
	Bundle    bool
	Keys      []string
	Positions []PublishedAt
	// Next, where it is not 0, says that only the elements of the row's list before it are published: the row stays unpublished, and is gone
	// on with there.
	Next int
	// Sliced: elements of the row were published before, in the life Life of the topic's log. Their places are kept with these.
	Sliced bool
	Life   int64
	// Sent is the row's record, where its topic is not the flow's own: the store keeps it, as put there by the flow SentBy, until all who
	// read the topic have read it. Positions is its one place.
	Sent   *event.Record
	SentBy string
}

// PublishedAt is one event's place on its topic.
type PublishedAt struct {
	Topic     string
	Partition int
	Offset    int64
	// Life is the life of the topic's log that whoever published it knew of (see TopicLog).
	Life int64
	// Index is the number of the event in the list that its inbox row was split into; WholeList for the list itself.
	Index int
}
