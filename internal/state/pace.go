package state

import "time"

// States of a replay at a rate.
const (
	PaceRunning = "running"
	PaceDone    = "done"
	PaceStopped = "stopped" // by a person; what was not marked by then is left as it is
)

// Pace is a replay that the hub carries out at a rate. Its Bulk's From is where it is; Most is not used.
type Pace struct {
	Bulk Bulk
	// Rate is as it was written: 50/s.
	Rate string
	// Matched is how many messages it selected when it began, Marked how many it has marked.
	Matched, Marked int64
	State           string
	Began           time.Time
	// Ended is when it ended, EndedBy who has stopped it.
	Ended   time.Time
	EndedBy string
}
