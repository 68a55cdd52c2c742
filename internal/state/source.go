package state

import "time"

// WishKind says what a person asks of a source that is read.
type WishKind string

const (
	// WishRewind: read again from Detail on, a time, a version, or "start".
	WishRewind WishKind = "rewind"
	// WishSweep: look now for what was deleted without a trace; Detail is how many objects may be deleted, in place of the flow's own bound, or empty.
	WishSweep WishKind = "sweep"
	// WishRetake: take the file Of, which has failed, again.
	WishRetake WishKind = "retake"
)

// KnownObject is an object of a system as it was known last through a flow.
type KnownObject struct {
	Local string
	Hub   string
	// Received and EventID are those of Known.
	Received string
	EventID  string
	// Deleted marks a tombstone.
	Deleted bool
	Updated time.Time
}

// SourceWish is what a person asks of the source of a flow. The hub that reads the source carries it out between two reads.
type SourceWish struct {
	// ID is given by the store; a later wish of the same kind, and Of the same, takes the place of an earlier one, under a greater ID.
	ID   int64
	Flow string
	Kind WishKind
	// Of is what it is about, where a source may be asked several of a kind: a file's name.
	Of     string
	Detail string
	Who    string
	Since  time.Time
}
