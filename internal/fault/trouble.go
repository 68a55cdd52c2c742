package fault

import "time"

// Trouble is why something is not done at present. It needs nobody who says that it is over: it ends when it is done again.
type Trouble struct {
	Since time.Time
	Why   string
}
