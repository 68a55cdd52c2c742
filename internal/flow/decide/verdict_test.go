package decide

import (
	"context"
	"errors"
	"testing"
)

var errStopping = errors.New("stopping")

// An expression that fails because the hub stops gives no fate.
func TestStopIsNoFailureOfTheMessage(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStopping)
	if v, err := refusedBy(ctx, "key", context.Canceled); v != nil || !errors.Is(err, errStopping) {
		t.Errorf("an expression that was cut off is %+v (%v)", v, err)
	}
	if v, err := refusedBy(t.Context(), "key", errors.New("no such field")); err != nil || v == nil || v.Reason != "no such field" {
		t.Errorf("one that failed is %+v (%v)", v, err)
	}
}
