package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// claim keeps other hubs from the object until the fate is stored, where another hub may be at work on it. What was read of the object before is
// read again then.
func claim(ctx context.Context, d *delivery) (*decide.Verdict, error) {
	if !d.shared {
		return nil, nil
	}
	wait, began := 25*time.Millisecond, d.Clock.Elapsed()
	for {
		err := d.open(ctx)
		var by *state.Claimed
		if err == nil {
			return d.prepare(ctx)
		}
		if !errors.As(err, &by) {
			return nil, err
		}
		if d.Queued != nil || d.Clock.Elapsed()-began >= d.InPlace {
			return d.claimedBy(by), nil
		}
		if err := lifecycle.Sleep(ctx, d.Clock, Jitter(wait)); err != nil {
			return nil, err
		}
		wait = min(2*wait, time.Second)
	}
}

func (d *delivery) claimedBy(by *state.Claimed) *decide.Verdict {
	return d.busy("the flow " + by.By.Flow + " on another hub")
}

// open stores that a call is about to be made, under the partition's fencing token: a hub that has lost the partition calls nobody.
func (d *delivery) open(ctx context.Context) error {
	in, asked := d.intent(), d.Clock.Elapsed()
	if d.began.IsZero() {
		d.began = in.Opened
	}
	in.Claim, in.Again = d.shared, d.calls.Claimed()
	if d.shared {
		in.Over = d.Target.Ledger().ForgottenClaim(d.object(), d.Clock.Elapsed())
	}
	err := d.Store.OpenIntent(ctx, in)
	var by *state.Claimed
	if errors.As(err, &by) {
		d.Target.Ledger().ClaimMet(d.object(), by.By, d.Clock.Elapsed())
	}
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.IntentCommitted)
	if err := d.calls.Opened(asked, d.shared); err != nil {
		return err
	}
	d.Part.Confirm(asked)
	return nil
}

// since is when the first call for the object that may be in doubt can have been made; zero: none was made.
func (d *delivery) since() time.Time {
	if at := d.calls.Earliest(); !at.IsZero() && (d.began.IsZero() || at.Before(d.began)) {
		return at
	}
	return d.began
}

func (d *delivery) intent() state.Intent {
	in := state.Intent{Flow: d.Flow.Name, Entity: d.Event.Entity, Hub: d.Event.Hub, System: d.Target.Name, EventID: d.Event.ID,
		Create: d.write.Action == connector.Create, External: d.to.Known.External, Opened: d.Steady()}
	if p := d.Part; p != nil {
		in.Topic, in.Partition, in.Epoch = p.Topic, p.Number, p.Epoch
	}
	return in
}

// every stands for all intents of the object: what they left open is known now.
func (d *delivery) every() []state.Intent {
	in := d.intent()
	in.EventID = ""
	return []state.Intent{in}
}
