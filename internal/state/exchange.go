package state

import "time"

// Sent is an interchange that was, or is to be, sent to a partner.
type Sent struct {
	// Pair names sender and receiver; numbers of one pair have no gaps. Token names what is sent: the same again has the same number.
	Pair, Token string
	// Message is what it holds, such as 855.
	Message string
	Number  int64
	At      time.Time
	// Due is when an answer must have come; zero: none is awaited.
	Due time.Time
	// Answered is when one came, and Answer what it says: accepted, partly or rejected; empty: none has come.
	Answered time.Time
	Answer   string
}

// Received is an interchange that came from a partner.
type Received struct {
	// Pair names sender and receiver, Control is its reference among theirs. Token names where it came: the same again is no other one. File names the
	// file's place: until what came there is settled, it may be written to, and is the same delivery nevertheless.
	Pair, Control, Token, File string
}

// Answers to what was sent.
const (
	AnswerAccepted = "accepted"
	AnswerPartly   = "partly"
	AnswerRejected = "rejected"
)
