package state

import "time"

// Request is what was asked of the API under a key that the client gave, by which the same again is known.
type Request struct {
	Who, Key string
	// Sum is a digest of what was asked.
	Sum   string
	Began time.Time
	// Status and Answer are what was answered; 0: nobody has said yet how it ended.
	Status int
	Answer string
}
