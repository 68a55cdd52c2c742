package deliver

import (
	"context"
	"time"

	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/state"
)

// alone takes the object among the flows of this hub.
func alone(ctx context.Context, d *delivery) (*decide.Verdict, error) {
	limit := d.InPlace
	if d.Queued != nil {
		limit = min(limit, time.Second)
	}
	ok, err := d.Take(ctx, d.Clock, Hold{d.Target.Objects(), d.object()}, limit)
	if err != nil || ok {
		return nil, err
	}
	return d.busy("another message of this hub"), nil
}

// busy is the fate of a message whose object others are at work on for long. It has not been tried.
func (d *delivery) busy(who string) *decide.Verdict {
	return &decide.Verdict{Outcome: state.Held, Kind: "busy", Reason: "the object is just being written by " + who, Tried: d.triedBefore(),
		NotBefore: d.Steady().Add(Jitter(min(d.Flow.Retry.Max, 5*time.Second)))}
}
