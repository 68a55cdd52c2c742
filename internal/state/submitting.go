package state

// Submitting is who has the hub make events, and what the audit and the acts say of it.
type Submitting struct {
	// Who is a person, or a reconciliation or backfill by its name; Note the reason given.
	Who  string
	Note string
	// Action is "resend", "repair" or "backfill"; Object what the audit says it was done to, and About what was submitted. Without an Object, the audit
	// says nothing: a run tells of it.
	Action string
	Object string
	About  string
}
