package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
)

// stored gives the differences of a run of before, as candidates.
func (r *Run) stored(ctx context.Context) (*spill.Sorter, error) {
	out := spill.New(r.c.Spill)
	err := r.eachStored(ctx, state.DifferenceFilter{Run: r.opts.From, Numbers: r.opts.Numbers}, func(d *state.Difference) error {
		if !reparable(d) || len(r.opts.Reasons) > 0 && !slices.Contains(r.opts.Reasons, d.Reason) {
			return nil
		}
		r.sum.Compared++
		p := r.pairOf(d)
		return out.Add([]byte(p.key), p.append(nil))
	})
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// reparable: it is drift.
func reparable(d *state.Difference) bool { return !d.Explained && d.Kind != state.DiffNotCompared }

// storedAtOnce is how many differences are read at once; they may have documents.
const storedAtOnce = 100

// eachStored goes through stored differences. A page may be shorter than was asked for: the end is an empty one.
func (r *Run) eachStored(ctx context.Context, f state.DifferenceFilter, each func(d *state.Difference) error) error {
	for f.Limit = storedAtOnce; ; {
		page, err := r.sink.Stored(ctx, f)
		if err != nil {
			return fmt.Errorf("read the differences of run %d: %w", f.Run, err)
		}
		for i := range page {
			f.After = page[i].N
			if err := each(&page[i]); err != nil {
				return err
			}
		}
		if len(page) == 0 {
			return nil
		}
	}
}

// pairOf is the pair that a stored difference was of, under a key under which a listing would have it.
func (r *Run) pairOf(d *state.Difference) *pair {
	p := &pair{n: d.N, moreRight: d.Kind == state.DiffDoubledRight}
	if d.Left != "" {
		p.left = &entry{own: d.Left, hub: d.Hub}
	}
	if d.Right != "" {
		p.right = &entry{own: d.Right, hub: d.Hub}
	}
	switch {
	case d.Hub != "" && r.rec.Match.Xref:
		p.key = "h" + d.Hub
	case d.Left != "":
		p.key = "l" + d.Left
	default:
		p.key = "r" + d.Right
	}
	for _, own := range d.More {
		p.more = append(p.more, &entry{own: own, hub: d.Hub})
	}
	return p
}

// byKey gives what one object is, as the candidate: the key is what objects are paired by, what the hub knows an object by, or an id.
func (r *Run) byKey(ctx context.Context) (*spill.Sorter, error) {
	out := spill.New(r.c.Spill)
	fail := func(err error) (*spill.Sorter, error) { return nil, errors.Join(err, out.Close()) }
	ways := []func(context.Context, *spill.Sorter) (bool, error){r.byTrace, r.byID}
	if !r.rec.Match.Xref {
		ways = append([]func(context.Context, *spill.Sorter) (bool, error){r.byFieldKey}, ways...)
	}
	var cannot error
	for _, way := range ways {
		seen, err := way(ctx, out)
		switch {
		case seen && errors.Is(err, errCannotAsk):
			return fail(fmt.Errorf("%w: compare everything instead", err))
		case errors.Is(err, errCannotAsk):
			cannot = cmp.Or(cannot, err)
		case err != nil:
			return fail(err)
		case seen:
			return out, nil
		}
	}
	if cannot != nil {
		return fail(fmt.Errorf("%w, so that nobody can say whether there is %s %s: compare everything instead", cannot, r.rec.Entity, r.opts.Key))
	}
	return fail(fmt.Errorf("neither %s nor %s holds %s %s, and the hub has seen none", r.left.def.System, r.right.def.System, r.rec.Entity, r.opts.Key))
}

// byTrace gives the objects that the hub knows by the key, as candidates.
func (r *Run) byTrace(ctx context.Context, out *spill.Sorter) (seen bool, err error) {
	t, err := r.c.Store.Trace(ctx, r.opts.Key)
	if err != nil {
		return false, fmt.Errorf("read what is known of %s: %w", r.opts.Key, err)
	}
	for i := range t.Objects {
		o := &t.Objects[i]
		if o.Entity != r.rec.Entity {
			continue
		}
		p := &pair{key: "h" + o.Hub}
		for j := range o.Refs {
			ref := &o.Refs[j]
			var s *side
			var to **entry
			switch ref.System {
			case r.rec.Left.System:
				s, to = r.left, &p.left
			case r.rec.Right.System:
				s, to = r.right, &p.right
			default:
				continue
			}
			if *to, err = s.find(ctx, "", ref.Local); err != nil {
				return true, err
			}
		}
		if p.left == nil && p.right == nil {
			continue
		}
		seen = true
		if err := r.candidate(ctx, out, p); err != nil {
			return true, err
		}
	}
	return seen, nil
}

// candidate compares one pair, and keeps it where it differs. Where objects are paired by fields, its other half may be there under any id.
func (r *Run) candidate(ctx context.Context, out *spill.Sorter, p *pair) error {
	if !r.rec.Match.Xref && p.rowKey() == nil {
		if err := r.other(ctx, &pair{}, p); err != nil {
			return err
		}
	}
	d := newDiffer(r.rec)
	defer d.close()
	r.sum.Compared++
	if d.same(p) {
		r.sum.Equal++
		return nil
	}
	return out.Add([]byte(p.key), p.append(nil))
}
