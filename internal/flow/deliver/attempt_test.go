package deliver

import (
	"testing"
	"time"
)

// What the store has granted lately is not asked for again.
func TestConfirmedOwnership(t *testing.T) {
	o := &Ownership{}
	const now = time.Minute
	o.Confirm(now)
	o.Confirm(now - time.Second) // an answer that comes late
	if o.confirmed() != now {
		t.Errorf("confirmed at %v, want %v", o.confirmed(), now)
	}
}
