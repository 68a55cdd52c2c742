package reconcile

import (
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

// byKey gives what one object is, as the candidate.
func (r *Run) byKey(ctx context.Context) (*spill.Sorter, error) {
	t, err := r.c.Store.Trace(ctx, r.opts.Key)
	if err != nil {
		return nil, fmt.Errorf("read what is known of %s: %w", r.opts.Key, err)
	}
	out := spill.New(r.c.Spill)
	fail := func(err error) (*spill.Sorter, error) { return nil, errors.Join(err, out.Close()) }
	seen := false
	var cannot error
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
			if *to, err = s.find(ctx, "", ref.Local); errors.Is(err, errCannotAsk) {
				err = fmt.Errorf("%w: compare everything instead", err)
			}
			if err != nil {
				return fail(err)
			}
		}
		if p.left == nil && p.right == nil {
			continue
		}
		seen = true
		if err := r.candidate(out, p); err != nil {
			return fail(err)
		}
	}
	if seen {
		return out, nil
	}
	for _, s := range []*side{r.left, r.right} { // the hub does not know it: it may be an id
		e, err := s.find(ctx, r.opts.Key, "")
		switch {
		case errors.Is(err, errCannotAsk):
			cannot = err
			continue
		case err != nil:
			return fail(err)
		case e == nil:
			continue
		}
		p := &pair{key: s.name[:1] + e.own, left: e}
		if s == r.right {
			p.left, p.right = nil, e
		}
		seen = true
		if err := r.candidate(out, p); err != nil {
			return fail(err)
		}
	}
	if !seen && cannot != nil {
		return fail(fmt.Errorf("%w, so that nobody can say whether it holds a %s %s: compare everything instead", cannot, r.rec.Entity, r.opts.Key))
	}
	if !seen {
		return fail(fmt.Errorf("neither %s nor %s holds a %s %s, and the hub has seen none", r.left.def.System, r.right.def.System, r.rec.Entity, r.opts.Key))
	}
	return out, nil
}

// candidate compares one pair, and keeps it where it differs.
func (r *Run) candidate(out *spill.Sorter, p *pair) error {
	d := newDiffer(r.rec)
	defer d.close()
	r.sum.Compared++
	if d.same(p) {
		r.sum.Equal++
		return nil
	}
	return out.Add([]byte(p.key), p.append(nil))
}
