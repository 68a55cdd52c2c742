package connector

// ChangeOrder says what a poll of an object goes by, and with it what can hide a change from it.
type ChangeOrder string

const (
	// ByStamp: changes carry a time that the system takes before it commits them. One that commits later than a poll has read past its stamp is
	// seen only if polls look back: PollRequest.Overlap. It is what a kind that says nothing is taken for.
	ByStamp ChangeOrder = "stamp"
	// ByNumber: changes carry numbers, such as a sequence's, that are handed out before the commit. PollRequest.Overlap means nothing there; the
	// object's own settings may say how many numbers polls look back.
	ByNumber ChangeOrder = "number"
	// ByContent: every poll reads everything and compares it, so that nothing hides a change.
	ByContent ChangeOrder = "content"
	// ByCommit: the system proves that changes become visible in the order in which polls read them.
	ByCommit ChangeOrder = "commit"
)

// Ordering is what a kind knows of the order of an object's changes from the settings alone.
type Ordering struct {
	By ChangeOrder
	// Back, of ByNumber, is how many numbers polls look back, and Setting the name of the object's setting that says so.
	Back    int
	Setting string
}

// Orderer is implemented by kinds that can tell how an object's changes are ordered. An object that they do not know is of the zero Ordering.
type Orderer interface {
	Kind
	Ordering(s Settings, object string) Ordering
}
