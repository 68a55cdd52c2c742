package deliver

import (
	"context"

	"github.com/waybill-hub/waybill/internal/flow/decide"
)

// guard takes the delivery as far as the call to make. A stored message rests where nothing is tried.
func guard(ctx context.Context, d *delivery) (*decide.Verdict, error) {
	v, err := d.prepare(ctx)
	switch {
	case err != nil:
		return nil, err
	case v == nil && d.Queued != nil && d.Resting():
		return nil, ErrResting
	case v != nil && v.Applied != nil && d.shared:
		return nil, nil // what the version guard is to remember may be another thing once the object is claimed
	}
	return v, nil
}

// prepare plans the call by what the store knows of the object in the target. A verdict says that none is needed.
func (d *delivery) prepare(ctx context.Context) (*decide.Verdict, error) {
	ev := d.Event
	known, err := d.Store.Target(ctx, ev.Entity, ev.Hub, d.Target.Name, ev.Origin)
	if err != nil {
		return nil, err
	}
	d.calls.Meet(known.Intents)
	d.to.Known, d.to.Now, d.to.Inherited = known, d.Clock.Now(), d.calls.Inherited()
	if v, err := d.to.Guard(ctx); v != nil || err != nil {
		return v, err
	}
	d.calls.Restored(!d.to.There() && d.forgotten())
	d.to.InDoubt = d.calls.InDoubt()
	write, v := d.to.Plan()
	d.write, d.unmet = write, d.to.Unmet(write.Action)
	return v, nil
}
