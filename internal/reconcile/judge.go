package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// rounds is how often what differs is looked at again, at most: what differs in another way each time is being changed all the time.
	rounds = 5
	// addChunk and addBytes are how many differences are stored at once.
	addChunk = 200
	addBytes = 4 << 20
)

// Lateness is why a flow has not decided what had come in.
type Lateness struct {
	Why string
	// Behind is how much it has not decided; 0: that is not known.
	Behind int64
	// Stands: nothing moves until a person acts.
	Stands bool
}

// judge looks at what differs until it differs the same way twice, and stores what it is.
func (r *Run) judge(ctx context.Context, cands *spill.Sorter) error {
	d := newDiffer(r.rec)
	defer d.close()
	out := &found{r: r, d: d}
	own := false // the sorter is judge's
	for round := 1; cands.Len() > 0; round++ {
		late, err := r.settle(ctx, cands.Len(), round)
		if err != nil {
			return r.given(own, cands, err)
		}
		out.late = late
		r.phase("looking-again", "%d differences", cands.Len())
		next := spill.New(r.c.Spill)
		err = r.again(ctx, cands, func(was, now *pair, met bool) error {
			switch {
			case met: // two that were alone are one
				r.sum.Compared--
				return nil
			case d.agrees(now):
				r.explain(state.ExplainedArrived)
				return nil
			case r.opts.From > 0 || d.alike(was, now):
				return out.take(ctx, now, false)
			case round == rounds:
				return out.take(ctx, now, true)
			}
			return next.Add([]byte(now.key), now.append(nil))
		})
		if err == nil {
			err = out.judge(ctx)
		}
		if err = r.given(own, cands, err); err != nil {
			return errors.Join(err, next.Close())
		}
		cands, own = next, true
	}
	return r.given(own, cands, out.flush(ctx))
}

// given closes a sorter that is the caller's own, and gives what went wrong.
func (r *Run) given(own bool, s *spill.Sorter, err error) error {
	if own {
		err = errors.Join(err, s.Close())
	}
	return err
}

func (r *Run) explain(reason string) {
	if r.sum.Explained == nil {
		r.sum.Explained = map[string]int64{}
	}
	r.sum.Explained[reason]++
}

// found gathers what differs, asks what the hub knows of it, and stores what it is in steps.
type found struct {
	r    *Run
	d    *differ
	late map[string]Lateness

	open []undecided
	size int
	wait []state.Difference
	held int // bytes of wait
}

// undecided is a pair of which is to be said why it differs.
type undecided struct {
	p      *pair
	moving bool
}

func (f *found) take(ctx context.Context, p *pair, moving bool) error {
	f.open, f.size = append(f.open, undecided{p, moving}), f.size+p.size()
	if len(f.open) < batchPairs && f.size < batchBytes {
		return nil
	}
	return f.judge(ctx)
}

// judge says why what was gathered differs. What the hub knows of it is asked for side by side.
func (f *found) judge(ctx context.Context) error {
	known := make([]*known, len(f.open))
	if err := atOnce(ctx, len(f.open), func(ctx context.Context, i int) (err error) {
		known[i], err = f.r.knowledge(ctx, f.open[i].p)
		return err
	}); err != nil {
		return err
	}
	for i := range f.open {
		d := f.r.decide(ctx, f.d, f.open[i].p, known[i], f.late, f.open[i].moving)
		if err := f.add(ctx, d); err != nil {
			return err
		}
	}
	f.open, f.size = f.open[:0], 0
	return nil
}

func (f *found) add(ctx context.Context, d state.Difference) error {
	f.r.n++
	d.Run, d.N = f.r.id, f.r.n
	f.wait, f.held = append(f.wait, d), f.held+sizeOf(&d)
	if len(f.wait) < addChunk && f.held < addBytes {
		return nil
	}
	return f.flush(ctx)
}

// sizeOf is about how many bytes a difference holds.
func sizeOf(d *state.Difference) int {
	n := len(d.LeftDoc) + len(d.RightDoc) + len(d.Write)
	for i := range d.Fields {
		n += len(d.Fields[i].Left) + len(d.Fields[i].Right)
	}
	return n
}

func (f *found) flush(ctx context.Context) error {
	if len(f.wait) == 0 {
		return nil
	}
	err := f.r.sink.Add(ctx, f.wait)
	f.wait, f.held = f.wait[:0], 0
	if err != nil {
		return fmt.Errorf("store the differences: %w", err)
	}
	return nil
}
