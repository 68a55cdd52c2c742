package rest

import (
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// testClock tells a test's time.
type testClock struct {
	lifecycle.Clock
	now func() time.Time
}

func (c testClock) Now() time.Time { return c.now() }
