package flow

import (
	"context"
	"errors"
	"testing"

	"github.com/waybill-hub/waybill/internal/fault"
)

// What fails because the hub stops is no failure of the message, whatever class it has been given: it gets no fate.
func TestStopIsNoFailureOfTheMessage(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ErrStopping)
	for _, kind := range []fault.Kind{fault.Invalid, fault.NotFound, fault.Conflict, fault.UnknownOutcome, fault.Unavailable, fault.Auth} {
		d := &delivery{}
		if f, done, err := d.sort(ctx, fault.Wrap(kind, "write", context.Canceled), new(int)); done || err == nil {
			t.Errorf("%s: a call that was cut off is %s", kind, f.outcome)
		}
	}
	r := &Runner{}
	if f, _, err := r.refuse(ctx, "key", context.Canceled); !errors.Is(err, ErrStopping) {
		t.Errorf("an expression that was cut off is %s (%v)", f.outcome, err)
	}
}
