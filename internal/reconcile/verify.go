package reconcile

import (
	"context"
	"errors"
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
	v := &verifying{r: r, d: newDiffer(r.rec), late: late, decided: map[int]bool{}, out: &outcomes{r: r, of: map[int]outcome{}}}
	defer v.d.close()
	if err := v.all(ctx, sent); err != nil {
		return err
	}
	if len(late) > 0 {
		r.note("repairs are submitted and not decided yet: %s", lateText(late))
	}
	return v.out.flush(ctx)
}

// verifying looks at repairs.
type verifying struct {
	r    *Run
	d    *differ
	late map[string]Lateness
	// decided are the repairs, by number, of which it is known that nothing waits any more.
	decided map[int]bool
	out     *outcomes
}

// all looks at what was submitted until it is decided: a message may rest in a stored queue before that, because its target did not answer. It is waited for as
// long as others get decided meanwhile, and a while longer.
func (v *verifying) all(ctx context.Context, sent *spill.Sorter) error {
	clock, stirred, own := v.r.c.Clock, v.r.c.Clock.Elapsed(), false
	for {
		rest, patient := spill.New(v.r.c.Spill), clock.Elapsed()-stirred < max(patience, 2*v.r.settles)
		err := v.r.again(ctx, sent, func(was, now *pair, _ bool) error {
			is, waits, err := v.became(ctx, now)
			once := err == nil && is.repair == state.RepairFailed && !v.decided[was.n]
			switch {
			case err != nil:
				return err
			case once: // it may have been decided between the look and the question
				v.decided[was.n] = true
				return rest.Add([]byte(was.key), was.append(nil))
			case waits && patient:
				return rest.Add([]byte(was.key), was.append(nil))
			case is.repair == state.RepairRepaired:
				v.r.sum.Repaired++
			}
			return v.out.add(ctx, was.n, is)
		})
		if rest.Len() < sent.Len() {
			stirred = clock.Elapsed()
		}
		if err = v.r.given(own, sent, err); err != nil || rest.Len() == 0 {
			return errors.Join(err, rest.Close())
		}
		sent, own = rest, true
		v.r.phase("verifying", "%d repairs wait for their target", rest.Len())
		if err := lifecycle.Sleep(ctx, clock, restEvery); err != nil {
			return errors.Join(context.Cause(ctx), rest.Close())
		}
	}
}

// restEvery is how often it is looked whether what rests in a stored queue is decided.
const restEvery = time.Second

// became says what became of a repair, by what is there now. waits: its message is still to be decided.
func (v *verifying) became(ctx context.Context, now *pair) (is outcome, waits bool, err error) {
	if v.d.agrees(now) {
		return outcome{state.RepairRepaired, ""}, false, nil
	}
	if len(v.late) > 0 {
		return outcome{state.RepairSubmitted, "it is not decided yet: " + lateText(v.late)}, false, nil
	}
	k, err := v.r.knowledge(ctx, now)
	if err != nil {
		return outcome{}, false, err
	}
	if k.queued == state.Held {
		return outcome{state.RepairSubmitted, v.r.hide(now, "it is not decided yet: "+k.text)}, true, nil
	}
	why := "it still differs"
	if k.text != "" {
		why += ": " + k.text
	}
	return outcome{state.RepairFailed, v.r.hide(now, why)}, false, nil
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
