package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// patience is how long, at least, flows may take to decide what had come in before a look: what is behind for longer stands, and what differs then is
	// no drift.
	patience = time.Minute
	// lookEvery is how often it is looked whether flows have got on.
	lookEvery = 250 * time.Millisecond
	// addChunk is how many differences are stored at once.
	addChunk = 200
)

// Lateness is why a flow has not decided what had come in.
type Lateness struct {
	Why string
	// Stands: nothing moves until a person acts.
	Stands bool
}

// judge looks at what differs until it differs the same way twice, and stores what it is.
func (r *Run) judge(ctx context.Context, cands *spill.Sorter) error {
	d := newDiffer(r.rec)
	defer d.close()
	out := &found{r: r}
	own := false // the sorter is judge's
	for round := 1; cands.Len() > 0; round++ {
		late, err := r.settle(ctx, cands.Len(), round)
		if err != nil {
			return err
		}
		r.phase("looking-again", "%d differences", cands.Len())
		next := spill.New(r.c.Spill)
		err = r.again(ctx, cands, func(was, now *pair) error {
			agree := now.outOfScope() || d.same(now)
			switch {
			case agree:
				r.explain(state.ExplainedArrived)
				return nil
			case r.opts.From > 0 || d.alike(was, now):
				return r.decide(ctx, d, now, late, false, out)
			case round == rounds:
				return r.decide(ctx, d, now, late, true, out)
			}
			return next.Add([]byte(now.key), now.append(nil))
		})
		if own {
			err = errors.Join(err, cands.Close())
		}
		if err != nil {
			return errors.Join(err, next.Close())
		}
		cands, own = next, true
	}
	if own {
		if err := cands.Close(); err != nil {
			return err
		}
	}
	return out.flush(ctx)
}

// alike reports whether a pair differs now as it did before.
func (d *differ) alike(was, now *pair) bool {
	if (was.left == nil) != (now.left == nil) || (was.right == nil) != (now.right == nil) || len(was.more) != len(now.more) {
		return false
	}
	if was.left == nil || was.right == nil || len(was.more) > 0 {
		same := func(a, b *entry) bool { return a == nil || a.own == b.own && bytes.Equal(a.doc, b.doc) }
		return same(was.left, now.left) && same(was.right, now.right)
	}
	before := clone(d.diff(was))
	return slices.EqualFunc(before, d.diff(now), func(a, b compare.Field) bool {
		return a.Path == b.Path && bytes.Equal(a.Left, b.Left) && bytes.Equal(a.Right, b.Right)
	})
}

// clone makes fields outlive the documents that they lie in.
func clone(fields []compare.Field) []compare.Field {
	out := slices.Clone(fields)
	for i := range out {
		out[i].Left, out[i].Right = bytes.Clone(out[i].Left), bytes.Clone(out[i].Right)
	}
	return out
}

// settle leaves what differs alone for a while, and waits until the flows have decided what had come in before. It gives those that have not.
func (r *Run) settle(ctx context.Context, n int64, round int) (map[string]Lateness, error) {
	if r.opts.From > 0 {
		return nil, nil
	}
	r.phase("settling", "%d differences are left alone for %s", n, r.settles)
	if err := lifecycle.Sleep(ctx, r.c.Clock, r.settles); err != nil {
		return nil, context.Cause(ctx)
	}
	late, err := r.through(ctx, fmt.Sprintf("%d differences, look %d", n, round+1))
	if err != nil {
		return nil, err
	}
	for _, f := range slices.Sorted(maps.Keys(late)) {
		r.note("the flow %s has not decided what had come in: %s", f, late[f].Why)
	}
	return late, nil
}

// mostHops is how many flows behind one another are waited for: what a flow hands on to a topic is another one's to decide.
const mostHops = 3

// through waits until what has come in has gone through the flows of the entity, as long as one gets on. It gives those that it has not gone through.
func (r *Run) through(ctx context.Context, what string) (late map[string]Lateness, err error) {
	began := r.c.Clock.Elapsed()
	for range mostHops {
		mark, err := r.c.Hub.Mark(ctx)
		if err != nil {
			return nil, fmt.Errorf("note what has come in: %w", err)
		}
		if late, err = r.past(ctx, mark, began, what); err != nil || len(late) > 0 {
			return late, err
		}
	}
	return late, nil
}

// past waits until the flows have decided what had come in at a mark.
func (r *Run) past(ctx context.Context, mark *Mark, began time.Duration, what string) (late map[string]Lateness, err error) {
	told := ""
	for {
		late, err = r.c.Hub.Late(ctx, r.flows, mark)
		if err != nil {
			return nil, fmt.Errorf("look whether flows have got on: %w", err)
		}
		moving := false
		for _, l := range late {
			moving = moving || !l.Stands
		}
		if !moving || r.c.Clock.Elapsed()-began > max(patience, 2*r.settles) {
			return late, nil
		}
		var names []string
		for _, f := range slices.Sorted(maps.Keys(late)) {
			names = append(names, f+" ("+late[f].Why+")")
		}
		if text := strings.Join(names, ", "); text != told {
			told = text
			r.phase("settling", "%s: waiting for %s", what, text)
		}
		if err := lifecycle.Sleep(ctx, r.c.Clock, lookEvery); err != nil {
			return nil, context.Cause(ctx)
		}
	}
}

func (r *Run) explain(reason string) {
	if r.sum.Explained == nil {
		r.sum.Explained = map[string]int64{}
	}
	r.sum.Explained[reason]++
}

// found gathers differences and stores them in steps.
type found struct {
	r    *Run
	wait []state.Difference
}

func (f *found) add(ctx context.Context, d state.Difference) error {
	f.r.n++
	d.Run, d.N = f.r.id, f.r.n
	if f.wait = append(f.wait, d); len(f.wait) < addChunk {
		return nil
	}
	return f.flush(ctx)
}

func (f *found) flush(ctx context.Context) error {
	if len(f.wait) == 0 {
		return nil
	}
	err := f.r.sink.Add(ctx, f.wait)
	f.wait = f.wait[:0]
	return err
}
