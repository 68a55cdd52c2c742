package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
)

// verify looks whether what was repaired agrees now.
func (r *Run) verify(ctx context.Context, sent *spill.Sorter) error {
	r.phase("verifying", "%d repairs", sent.Len())
	r.looked = time.Time{} // the hub itself has written them: nothing has to be polled first
	late, err := r.through(ctx, fmt.Sprintf("%d repairs", sent.Len()))
	if err != nil {
		return err
	}
	if err := lifecycle.Sleep(ctx, r.c.Clock, r.visible); err != nil {
		return context.Cause(ctx)
	}
	d := newDiffer(r.rec)
	defer d.close()
	out := &outcomes{r: r, of: map[int]outcome{}}
	err = r.again(ctx, sent, func(was, now *pair, _ bool) error {
		if d.agrees(now) {
			r.sum.Repaired++
			return out.add(ctx, was.n, outcome{state.RepairRepaired, ""})
		}
		if len(late) > 0 {
			return out.add(ctx, was.n, outcome{state.RepairSubmitted, "it is not decided yet: " + lateText(late)})
		}
		why := "it still differs"
		k, err := r.knowledge(ctx, now)
		if err != nil {
			return err
		}
		if k.text != "" {
			why += ": " + k.text
		}
		return out.add(ctx, was.n, outcome{state.RepairFailed, r.hide(now, why)})
	})
	if err != nil {
		return err
	}
	if len(late) > 0 {
		r.note("repairs are submitted and not decided yet: %s", lateText(late))
	}
	return out.flush(ctx)
}

// outcome is what became of a repair, and why.
type outcome struct{ repair, detail string }

// outcomes are noted in the stored differences, some at a time.
type outcomes struct {
	r  *Run
	of map[int]outcome // by number
}

func (o *outcomes) add(ctx context.Context, n int, is outcome) error {
	if o.of[n] = is; len(o.of) < storedAtOnce {
		return nil
	}
	return o.flush(ctx)
}

func (o *outcomes) flush(ctx context.Context) error {
	if len(o.of) == 0 {
		return nil
	}
	var changed []state.Difference
	f := state.DifferenceFilter{Run: o.r.id, Numbers: slices.Sorted(maps.Keys(o.of))}
	if err := o.r.eachStored(ctx, f, func(d *state.Difference) error {
		d.Repair, d.RepairDetail = o.of[d.N].repair, o.of[d.N].detail
		changed = append(changed, *d)
		return nil
	}); err != nil {
		return err
	}
	clear(o.of)
	return o.r.change(ctx, changed)
}
