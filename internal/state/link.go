package state

// Link says that ids in several systems are those of one object.
type Link struct {
	Entity string
	// IDs are two or more, of different systems. Where nobody has seen the object, the first names it.
	IDs []LocalID
}

// LocalID is an object's id in a system.
type LocalID struct{ System, Local string }

// LinkStatus says what became of a link.
type LinkStatus string

const (
	// LinkMade: the cross-reference knows it from now on.
	LinkMade LinkStatus = "linked"
	// LinkKnown: it was so already.
	LinkKnown LinkStatus = "known"
	// LinkRefused: it contradicts what the cross-reference knows, or a message of the object is under way. Nothing of it was stored.
	LinkRefused LinkStatus = "refused"
)

// Linked is the answer to one link: the object's hub id, and of a refusal why.
type Linked struct {
	Status LinkStatus
	Hub    string
	Reason string
}
