package state

import "time"

// BackfillLease names the lease under which a flow's backfill is worked.
func BackfillLease(flow string) string { return "backfill/" + flow }

// BackfillState is how far a backfill has come, or how it has ended.
type BackfillState string

const (
	// BackfillWanted: nobody has begun it yet.
	BackfillWanted BackfillState = "wanted"
	// BackfillRunning: a hub works on it. What one has left without a word, another goes on with.
	BackfillRunning BackfillState = "running"
	// BackfillDone: everything was read and has come through.
	BackfillDone BackfillState = "done"
	// BackfillFailed: it could not be brought to its end.
	BackfillFailed BackfillState = "failed"
	// BackfillCancelled: a person has ended it. What was submitted by then stays.
	BackfillCancelled BackfillState = "cancelled"
)

// Over reports whether a backfill has ended.
func (s BackfillState) Over() bool { return s != BackfillWanted && s != BackfillRunning }

// Backfill is one load of everything that a flow's source holds, through the flow.
type Backfill struct {
	ID   int64
	Flow string
	// Again sends also what is known to be in the target: the target went back to an older state.
	Again bool
	// Who asked for it, and Why.
	Who, Why string
	// Since leaves out what has not changed since; zero: everything is read.
	Since time.Time
	State BackfillState
	// Attempt counts how often a hub has taken it up.
	Attempt int
	// Wanted is when it was asked for, Started when it was begun first, Updated when it was last heard of, Finished when it ended.
	Wanted, Started, Updated, Finished time.Time
	// Cancel is who wants it to end, with the reason given; empty: nobody.
	Cancel   string
	Detail   string
	Place    BackfillPlace
	Progress BackfillProgress
}

// BackfillPlace is from where a backfill goes on, whichever hub does it.
type BackfillPlace struct {
	// About is what is read: under other settings of its system the cursor says nothing, and everything is read anew.
	About string
	// Cursor is where the page begins that is read, of which the objects may have been submitted in part.
	Cursor string
	// AsOf is a number of the inbox before the page was read. What was accepted since stays in the inbox for as long as the backfill may ask for it.
	AsOf int64
	// Moved: the list has moved while it was read, so that it is read once more; Rounds is how often it was read.
	Moved  bool
	Rounds int
}

// BackfillProgress is how far a backfill has come.
type BackfillProgress struct {
	// Submitted are objects that have come through the flow.
	Submitted int64 `json:"submitted"`
	// Unread are objects that cannot be read or submitted as they are; FirstUnread is one of them.
	Unread      int64  `json:"unread,omitempty"`
	FirstUnread string `json:"first_unread,omitempty"`
	// Before are Submitted and Unread as they were when the page at the place was begun: it is counted anew where it is read once more.
	Before [2]int64 `json:"before"`
	// Expect is how many objects there are in all; 0: nobody knows.
	Expect int64 `json:"expect,omitempty"`
	// PerHour is how many objects an hour come through as of late, and Left how long the rest takes at this rate; 0: not known.
	PerHour int64         `json:"per_hour,omitempty"`
	Left    time.Duration `json:"left,omitempty"`
	// AtOnce is how many objects are under way together.
	AtOnce int `json:"at_once,omitempty"`
	// Text says what is waited for; empty: it goes on.
	Text string `json:"text,omitempty"`
}

// BackfillFilter selects backfills, the newest first.
type BackfillFilter struct {
	Flow string
	// Open are those that are not over.
	Open   bool
	Before int64
	Limit  int
}
