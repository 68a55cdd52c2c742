// Package event holds the one thing that moves through the hub: the change of one business object.
package event

import (
	"strconv"
	"strings"
	"time"
)

// Operation says what happened to the object.
type Operation string

const (
	// Upsert: the object exists and Data is its state.
	Upsert Operation = "upsert"
	// Delete: the object is gone; Data may be empty or the last state.
	Delete Operation = "delete"
)

// Valid reports whether o is an operation the hub knows.
func (o Operation) Valid() bool { return o == Upsert || o == Delete }

// Event is one change of one object. Data is a JSON document and stays bytes at every seam.
type Event struct {
	// ID is unique and stable: a redelivery of the same change carries the same ID.
	ID string
	// Source is the system or program the event was read from.
	Source string
	// Entity is the kind of object: customer, order, ….
	Entity string
	// Operation is Upsert or Delete.
	Operation Operation
	// Key is the business key: the number that people search for.
	Key string
	// Local is the object's id in Source, where the event has no document that it could be read from: a deletion that the system tells no more of.
	Local string
	// Hub is the object's hub id; empty until the object has been seen (see Lane).
	Hub string
	// Version orders changes of one object from one origin; see CompareVersions. Empty when unknown.
	Version string
	// Origin is the system in which the change was made first; it survives every hop.
	Origin string
	// Hops counts the flows the event has passed.
	Hops int
	// Time is when the change happened, with zone.
	Time time.Time
	// Accepted is when the hub promised to carry the event first: it survives every hop over a topic. For a record of a foreign program it is the
	// record's time; zero where that is unknown too.
	Accepted time.Time
	// Trace is a W3C traceparent, or empty.
	Trace string
	// Data is the JSON document.
	Data []byte
	// Refused, where not nil, says why the intake could not make a message of it.
	Refused *Refusal
	// Submitted, where not nil, says that the hub itself has made the event, and why.
	Submitted *Submission
}

// Lane is the key that order is kept by: the hub id where known, so that changes of one object
// from different systems share a lane, else the business key.
func (e *Event) Lane() string {
	if e.Hub != "" {
		return e.Hub
	}
	return e.Key
}

// CompareVersions orders two versions of one object: -1, 0 or 1. Whole numbers compare as numbers
// of any length, RFC 3339 times as instants, places by their offsets, everything else by its bytes. An empty version is older than any
// other. Places in different partitions do not compare: a counts as newer, which is the version of the event that has just come.
func CompareVersions(a, b string) int {
	if a == b {
		return 0
	}
	if pa, oa, ok := cutPlace(a); ok {
		if pb, ob, ok := cutPlace(b); ok {
			if pa != pb {
				return 1
			}
			a, b = oa, ob
		}
	}
	if isDigits(a) && isDigits(b) {
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		if len(a) != len(b) {
			return sign(len(a) - len(b))
		}
		return strings.Compare(a, b)
	}
	if ta, err := time.Parse(time.RFC3339Nano, a); err == nil {
		if tb, err := time.Parse(time.RFC3339Nano, b); err == nil {
			return ta.Compare(tb)
		}
	}
	return strings.Compare(a, b)
}

// mostAhead is how far ahead of its acceptance a stamp may be and still be one: no clock and no zone is a day off.
const mostAhead = 24 * time.Hour

// Ahead reports whether a version is a time that nothing can have been changed at that was known at another time already: a stamp of the year 2062. It
// tells no order: what comes after its event is newer, whatever its stamp.
func Ahead(version string, at time.Time) bool {
	t, err := time.Parse(time.RFC3339Nano, version)
	return err == nil && !at.IsZero() && t.After(at.Add(mostAhead))
}

// Ahead reports whether the event's version tells no order.
func (e *Event) Ahead() bool { return Ahead(e.Version, e.Accepted) }

// PlaceVersion is the version of a record that carries none: its place on its topic. A key that has moved to another partition, because
// the topic got more of them, begins anew there.
func PlaceVersion(partition int, offset int64) string {
	return "~" + strconv.Itoa(partition) + "." + strconv.FormatInt(offset, 10)
}

func cutPlace(v string) (partition, offset string, ok bool) {
	if v == "" || v[0] != '~' {
		return "", "", false
	}
	partition, offset, ok = strings.Cut(v[1:], ".")
	return partition, offset, ok && isDigits(partition) && isDigits(offset)
}

func isDigits(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
