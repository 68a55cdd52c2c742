package reconcile

import (
	"context"
	"errors"

	"github.com/waybill-hub/waybill/internal/spill"
)

// comparing merges what both sides hold, and puts what differs into out.
type comparing struct {
	r   *Run
	d   *differ
	out *spill.Sorter
	// count: the run counts what is compared.
	count bool
	// fields, where objects that the cross-reference does not pair are paired by fields: everything that is there, by these fields.
	fields *spill.Sorter
}

// compare puts what differs between two sorted sides into out; count: the run counts it.
func (r *Run) compare(ctx context.Context, left, right, out *spill.Sorter, count bool) (err error) {
	c := &comparing{r: r, d: newDiffer(r.rec), out: out, count: count}
	defer c.d.close()
	if r.rec.Match.Xref && len(r.rec.Match.Fields) > 0 {
		c.fields = spill.New(r.c.Spill)
		defer func() { err = errors.Join(err, c.fields.Close()) }()
	}
	l, err := left.Sort()
	if err != nil {
		return err
	}
	rr, err := right.Sort()
	if err != nil {
		return err
	}
	j, err := newJoin(l, rr)
	if err != nil {
		return err
	}
	for seen := 0; ; seen++ {
		p, err := j.next()
		if err != nil {
			return err
		}
		if p == nil {
			break
		}
		if seen%1000 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if c.fields == nil {
			_, err = c.take(p)
		} else {
			err = c.gather(p)
		}
		if err != nil {
			return err
		}
	}
	if c.fields == nil {
		return nil
	}
	return c.byFields(ctx)
}

// take compares a pair, and reports whether its halves are the same.
func (c *comparing) take(p *pair) (same bool, err error) {
	if p.outOfScope() {
		return false, nil
	}
	same = c.d.same(p)
	if c.count {
		c.r.sum.Compared++
		if same {
			c.r.sum.Equal++
		} else {
			c.r.progress.Candidates++
		}
	}
	if same {
		return true, nil
	}
	return false, c.out.Add([]byte(p.key), p.append(nil))
}

// What is known of an object when it is put under its fields.
const (
	isAlone byte = iota
	isPaired
	isSame // paired, and both halves are the same
)

// gather compares a pair of which both halves are there, and puts what is there under its fields: another object of the same fields may be its double, and
// two that the cross-reference does not know may be one.
func (c *comparing) gather(p *pair) error {
	is := isAlone
	if p.left != nil && p.right != nil || len(p.more) > 0 {
		same, err := c.take(p)
		if err != nil {
			return err
		}
		if is = isPaired; same {
			is = isSame
		}
	}
	for _, h := range []struct {
		s *side
		e *entry
	}{{c.r.left, p.left}, {c.r.right, p.right}} {
		if h.e == nil {
			continue
		}
		key, _ := h.s.fieldKey(h.e)
		if key == nil {
			if is == isAlone {
				if _, err := c.take(p); err != nil {
					return err
				}
			}
			continue
		}
		half := &pair{key: p.key}
		if h.s == c.r.left {
			half.left = h.e
		} else {
			half.right = h.e
		}
		b := append([]byte{is, byte(len(p.key) >> 8), byte(len(p.key))}, p.key...)
		if err := c.fields.Add(key, half.append(b)); err != nil {
			return err
		}
	}
	return nil
}

// group is what is there under the same fields. Of paired objects one of each side is kept.
type group struct {
	key         string
	left, right *entry // of a pair
	pairKey     string
	same        bool // the pair's halves are
	alone       []*pair
}

// byFields goes through everything by its fields.
func (c *comparing) byFields(ctx context.Context) error {
	in, err := c.fields.Sort()
	if err != nil {
		return err
	}
	g := &group{}
	for seen := 0; ; seen++ {
		key, b, ok, err := in.Next()
		if err != nil {
			return err
		}
		if !ok {
			return c.close(g)
		}
		if seen%1000 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if g.key != string(key) {
			if err := c.close(g); err != nil {
				return err
			}
			g = &group{key: string(key)}
		}
		if err := g.add(b); err != nil {
			return err
		}
	}
}

func (g *group) add(b []byte) error {
	if len(b) < 3 {
		return errEntry
	}
	is, n := b[0], int(b[1])<<8|int(b[2])
	if b = b[3:]; len(b) < n {
		return errEntry
	}
	p, err := readPair(b[:n], b[n:])
	if err != nil {
		return err
	}
	switch {
	case is == isAlone && len(g.alone) < 2*mostDoubled:
		g.alone = append(g.alone, p)
	case is != isAlone && (g.pairKey == "" || g.pairKey == p.key):
		if g.pairKey, g.same = p.key, is == isSame; p.left != nil {
			g.left = p.left
		} else {
			g.right = p.right
		}
	}
	return nil
}

// close says what the objects of one group are: doubles of one that is paired, halves of one another, or alone.
func (c *comparing) close(g *group) error {
	var left, right []*pair
	for _, p := range g.alone {
		if p.left != nil {
			left = append(left, p)
		} else {
			right = append(right, p)
		}
	}
	if len(left) == 0 && len(right) == 0 {
		return nil
	}
	whole := &pair{key: g.pairKey, left: g.left, right: g.right}
	if whole.key == "" {
		whole.key = g.key
	}
	switch {
	case len(left) > 0 && (g.left != nil || len(left) > 1):
		for _, p := range left {
			if whole.left == nil {
				whole.left = p.left
			} else {
				whole.more = append(whole.more, p.left)
			}
		}
		left = nil
	case len(right) > 0 && (g.right != nil || len(right) > 1):
		whole.moreRight = true
		for _, p := range right {
			if whole.right == nil {
				whole.right = p.right
			} else {
				whole.more = append(whole.more, p.right)
			}
		}
		right = nil
	case len(left) == 1 && len(right) == 1:
		whole.left, whole.right = left[0].left, right[0].right
		_, err := c.take(whole)
		return err
	}
	if len(whole.more) > 0 {
		if len(right) == 1 && whole.right == nil {
			whole.right, right = right[0].right, nil
		}
		if c.count && g.pairKey != "" { // its pair was counted
			c.r.sum.Compared--
			if g.same {
				c.r.sum.Equal--
			}
		}
		if _, err := c.take(whole); err != nil {
			return err
		}
	}
	for _, p := range append(left, right...) {
		if _, err := c.take(p); err != nil {
			return err
		}
	}
	return nil
}
