package state

import "time"

// Listing is how far a side of a reconciliation has been read, where what it holds is kept from run to run.
type Listing struct {
	// About is what was asked of which system; what was read under another one is worth nothing.
	About string
	// Cursor is from where the next changes are read.
	Cursor string
	// Turn is the number of the whole reading that is under way, or was the last.
	Turn int64
	// Began is when the whole reading under way has begun; zero: none is under way. Whole is when the last one that came to its end had.
	Began, Whole time.Time
	// Until is how long it is kept where no run reads on.
	Until time.Time
}

// ListedObject is an object as a side was read last.
type ListedObject struct {
	// ID is the object's id in the system.
	ID      string
	Version string
	// Turn is the whole reading in which it was read, or after which.
	Turn int64
	Doc  []byte
	// Bad says why the record cannot be read; empty: it can.
	Bad string
}
