package deliver

import (
	"context"
	"testing"

	"github.com/waybill-hub/waybill/internal/fault"
)

// What fails because the hub stops is no failure of the message, whatever class it has been given: it gets no fate.
func TestStopIsNoFailureOfTheMessage(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ErrStopping)
	for _, kind := range []fault.Kind{fault.Invalid, fault.NotFound, fault.Conflict, fault.UnknownOutcome, fault.Unavailable, fault.Auth} {
		d := &delivery{}
		if v, err := d.failed(ctx, fault.Wrap(kind, "write", context.Canceled)); v != nil || err == nil {
			t.Errorf("%s: a call that was cut off is %s", kind, v.Outcome)
		}
		if v, err := d.unread(ctx, fault.Wrap(kind, "look up", context.Canceled)); v != nil || err == nil {
			t.Errorf("%s: a look that was cut off is %s", kind, v.Outcome)
		}
	}
}
