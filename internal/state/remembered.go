package state

import (
	"encoding/json"
	"time"
)

// Remembered is what a business rule remembers of an object, by its id in its system, until it is forgotten.
type Remembered struct {
	Object string
	Doc    json.RawMessage
	Until  time.Time
}
