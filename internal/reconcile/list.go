package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/spill"
)

// sampled is how many of the objects that a list has left out are asked for before the second listing.
const sampled = 100

// ErrIncomplete: a list leaves out what its system holds.
var ErrIncomplete = errors.New("the list is not complete")

// byListing lists both sides again. What differs by now and did not before is on its way, and left out.
func (r *Run) byListing(ctx context.Context, cands *spill.Sorter) (_ *spill.Sorter, err error) {
	there, err := r.sample(ctx, cands)
	if err != nil {
		return nil, err
	}
	r.phase("looking-again", "%d differences in a second listing", cands.Len())
	differ := spill.New(r.c.Spill)
	defer func() { err = errors.Join(err, differ.Close()) }()
	r.left.anew, r.right.anew = true, true // what is kept would only say the same once more
	if err := r.look(ctx, differ, false); err != nil {
		return nil, err
	}
	in, err := readCandidates(cands)
	if err != nil {
		return nil, err
	}
	names := spill.New(r.c.Spill)
	defer func() { err = errors.Join(err, names.Close()) }()
	if err := errors.Join(byNames(differ, names), differ.Close()); err != nil { // memory is for one of them
		return nil, err
	}
	again, err := names.Sort()
	if err != nil {
		return nil, err
	}
	looked := spill.New(r.c.Spill)
	defer func() { err = errors.Join(err, looked.Close()) }()
	if err := errors.Join(lookedAt(in, again, looked), names.Close()); err != nil {
		return nil, err
	}
	return r.complete(ctx, looked, there)
}

// lacks gives the side on which a pair has no half, and the half that it has; nil where it has both or none.
func (r *Run) lacks(p *pair) (*side, *entry) {
	switch {
	case p.left == nil && p.right != nil:
		return r.left, p.right
	case p.right == nil && p.left != nil:
		return r.right, p.left
	}
	return nil, nil
}

// sample asks for some of the objects that a list has left out. It gives the keys of those that are there all the same: a list that begins now has them.
func (r *Run) sample(ctx context.Context, cands *spill.Sorter) (map[string]bool, error) {
	if !r.left.canAsk() && !r.right.canAsk() {
		return nil, nil
	}
	in, err := readCandidates(cands)
	if err != nil {
		return nil, err
	}
	every, n := max(1, cands.Len()/sampled), int64(0)
	there := map[string]bool{}
	next := func() (*pair, error) {
		for {
			p, err := in.next()
			if err != nil || p == nil {
				return nil, err
			}
			if s, _ := r.lacks(p); s == nil || !s.canAsk() {
				continue
			}
			if n++; n%every == 0 {
				return p, nil
			}
		}
	}
	return there, batches(next, func(batch []*pair) error {
		found := make([]bool, len(batch))
		err := atOnce(ctx, len(batch), func(ctx context.Context, i int) (err error) {
			found[i], err = r.holds(ctx, batch[i])
			return err
		})
		for i := range batch {
			if found[i] {
				there[batch[i].key] = true
			}
		}
		return err
	})
}

// holds reports whether the side on which a pair has no half has it when it is asked.
func (r *Run) holds(ctx context.Context, p *pair) (bool, error) {
	s, e := r.lacks(p)
	got, _, err := r.counterpart(ctx, s, e)
	if errors.Is(err, errCannotAsk) {
		return false, nil
	}
	return got != nil, err
}

// complete asks for what the second list has left out as well, one by one as far as these are not too many.
func (r *Run) complete(ctx context.Context, looked *spill.Sorter, there map[string]bool) (_ *spill.Sorter, err error) {
	in, err := looked.Sort()
	if err != nil {
		return nil, err
	}
	out := spill.New(r.c.Spill)
	defer func() {
		if err != nil {
			err = errors.Join(err, out.Close())
		}
	}()
	before, asked := map[*pair]*pair{}, 0
	next := func() (*pair, error) {
		was, now, err := nextLooked(in)
		if was != nil {
			before[now] = was
		}
		return now, err
	}
	return out, batches(next, func(batch []*pair) error {
		var ask []*pair
		for _, now := range batch {
			s, _ := r.lacks(now)
			if s == nil || !s.canAsk() || asked >= mostFinds && !there[before[now].key] {
				continue
			}
			asked++
			ask = append(ask, now)
		}
		if err := atOnce(ctx, len(ask), func(ctx context.Context, i int) error { return r.leftOut(ctx, ask[i], there[before[ask[i]].key]) }); err != nil {
			return err
		}
		for _, now := range batch {
			if err := out.Add([]byte(now.key), appendLooked(nil, before[now], now)); err != nil {
				return err
			}
			delete(before, now)
		}
		return nil
	})
}

// leftOut asks for the half that a list has left out. was: it was there before the list began.
func (r *Run) leftOut(ctx context.Context, now *pair, was bool) error {
	s, e := r.lacks(now)
	got, _, err := r.counterpart(ctx, s, e)
	switch {
	case errors.Is(err, errCannotAsk):
		return nil
	case err != nil || got == nil:
		return err
	case was:
		return fmt.Errorf("the %s side: %w: %s lists no %s %s, and has it when it is asked for it; what is missing cannot be told by this list", s.name, ErrIncomplete, s.def.System, s.object(), got.own)
	}
	if s == r.left {
		now.left = got
	} else {
		now.right = got
	}
	return nil
}

// byNames puts every pair under all keys that it may have had before: what was alone may have met its other half.
func byNames(differ, names *spill.Sorter) error {
	in, err := differ.Sort()
	if err != nil {
		return err
	}
	var value []byte
	for {
		key, b, ok, err := in.Next()
		if err != nil || !ok {
			return err
		}
		p, err := readPair(key, b)
		if err != nil {
			return err
		}
		keys := []string{p.key}
		for i, e := range []*entry{p.left, p.right} {
			if e == nil || e.own == "" {
				continue
			}
			keys = append(keys, "lr"[i:i+1]+e.own)
			if e.hub != "" {
				keys = append(keys, "h"+e.hub)
			}
		}
		slices.Sort(keys)
		for _, k := range slices.Compact(keys) {
			value = append(appendText(value[:0], p.key), b...)
			if err := names.Add([]byte(k), value); err != nil {
				return err
			}
		}
	}
}

// lookedAt puts every pair of in beside what it is in now; what is not there agrees, or has gone.
func lookedAt(in *candidates, now *spill.Reader, out *spill.Sorter) error {
	var b []byte
	nowKey, nowPair, more, err := now.Next()
	if err != nil {
		return err
	}
	for {
		was, err := in.next()
		if err != nil || was == nil {
			return err
		}
		for more && string(nowKey) < was.key {
			if nowKey, nowPair, more, err = now.Next(); err != nil {
				return err
			}
		}
		is := &pair{key: was.key}
		if more && string(nowKey) == was.key {
			key, b, err := takeText(nowPair)
			if err != nil {
				return err
			}
			if is, err = readPair(key, b); err != nil {
				return err
			}
		}
		is.n = was.n
		b = appendLooked(b[:0], was, is)
		if err := out.Add([]byte(is.key), b); err != nil {
			return err
		}
	}
}
