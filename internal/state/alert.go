package state

import "time"

// Alert is something that is wrong, as far as one receiver of alerts is concerned.
type Alert struct {
	// Receiver is its name in the configuration, and Key names what is wrong for as long as it lasts. Both together are the alert's name.
	Receiver string
	Key      string
	What     string
	Subject  string
	// Text says it as it was told last, or seen first.
	Text  string
	Since time.Time // when it was seen first
	Told  time.Time // when the receiver was told last; zero: not yet
	Gone  time.Time // since when it is not seen any more; zero: it is seen
}
