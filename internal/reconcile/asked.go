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
	after := 0
	for {
		page, err := r.sink.Stored(ctx, state.DifferenceFilter{Run: r.opts.From, After: after, Limit: 1000})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read the differences of run %d: %w", r.opts.From, err), out.Close())
		}
		for i := range page {
			d := &page[i]
			after = d.N
			if d.Explained || len(r.opts.Reasons) > 0 && !slices.Contains(r.opts.Reasons, d.Reason) || len(r.opts.Numbers) > 0 && !slices.Contains(r.opts.Numbers, d.N) {
				continue
			}
			p := pairOf(d)
			r.sum.Compared++
			if err := out.Add([]byte(p.key), p.append(nil)); err != nil {
				return nil, errors.Join(err, out.Close())
			}
		}
		if len(page) < 1000 {
			return out, nil
		}
	}
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
