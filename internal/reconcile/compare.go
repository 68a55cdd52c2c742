package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/waybill-hub/waybill/internal/spill"
)

// comparing merges what both sides hold, and puts what differs into out.
type comparing struct {
	r   *Run
	d   *differ
	out *spill.Sorter
	// count: the run counts what is compared.
	count bool
	// b is where entries are written before they go to a sorter, which copies them.
	b []byte
	// fields, where objects that the cross-reference does not pair are paired by fields: everything that is there, by these fields.
	fields *spill.Sorter
}

// compare puts what differs between two sorted sides, which are read once and may be closed, into out; count: the run counts it.
func (r *Run) compare(ctx context.Context, left, right, out *spill.Sorter, count bool) (err error) {
	c := &comparing{r: r, d: newDiffer(r.rec), out: out, count: count}
	if count && r.rec.Compare != nil {
		r.nowhere = r.rec.Compare.Unseen()
	}
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
	pace := r.pace()
	for seen := 0; ; seen++ {
		p, err := j.next()
		if err != nil {
			return fmt.Errorf("compare: %w", err)
		}
		if p == nil {
			break
		}
		if seen%1000 == 0 {
			if err := pace.rest(ctx); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
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
	if err := errors.Join(left.Close(), right.Close()); err != nil { // all that they held is in fields: memory is for one of them
		return err
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
		if c.r.nowhere != nil {
			c.d.see(c.r.nowhere, p.left, p.right)
		}
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
	c.b = p.append(c.b[:0])
	return false, c.out.Add([]byte(p.key), c.b)
}

// What is known of an object when it is put under its fields.
const (
	isAlone byte = iota
	isPaired
	isSame     // paired, and both halves are the same
	isUnwanted // paired, and nobody wants either half
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
		switch is = isPaired; {
		case same:
			is = isSame
		case p.outOfScope():
			is = isUnwanted
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
		c.b = half.append(appendText(append(c.b[:0], is), p.key))
		if err := c.fields.Add(key, c.b); err != nil {
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
	is          byte // what is known of the pair
	// alone are the others, of the left and the right side, with their keys.
	alone [2]several
	keys  map[*entry]string
}

// byFields goes through everything by its fields.
func (c *comparing) byFields(ctx context.Context) error {
	in, err := c.fields.Sort()
	if err != nil {
		return err
	}
	pace := c.r.pace()
	g := &group{}
	for seen := 0; ; seen++ {
		key, b, ok, err := in.Next()
		if err != nil {
			return err
		}
		if !ok {
			return c.close(g)
		}
		if seen%1000 == 0 {
			if err := pace.rest(ctx); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
		if g.key != string(key) {
			if err := c.close(g); err != nil {
				return err
			}
			g = &group{key: string(key), keys: map[*entry]string{}}
		}
		if err := g.add(b); err != nil {
			return err
		}
	}
}

func (g *group) add(b []byte) error {
	if len(b) == 0 {
		return errEntry
	}
	is := b[0]
	key, b, err := takeText(b[1:])
	if err != nil {
		return err
	}
	p, err := readPair(key, b)
	if err != nil {
		return err
	}
	switch {
	case is == isAlone:
		e, n := p.left, 0
		if e == nil {
			e, n = p.right, 1
		}
		g.keys[e] = p.key
		delete(g.keys, g.alone[n].add(e))
	case g.pairKey == "" || g.pairKey == p.key:
		if g.pairKey, g.is = p.key, is; p.left != nil {
			g.left = p.left
		} else {
			g.right = p.right
		}
	}
	return nil
}

// close says what the objects of one group are: doubles of one that is paired, halves of one another, or alone.
func (c *comparing) close(g *group) error {
	if len(g.alone[0].of) == 0 && len(g.alone[1].of) == 0 {
		return nil
	}
	sides := g.alone
	for n, paired := range []*entry{g.left, g.right} {
		if paired == nil {
			continue
		}
		with := several{of: []*entry{paired}, unnamed: g.alone[n].unnamed}
		for _, e := range g.alone[n].of {
			if e.own != paired.own { // else a list has given it twice
				with.of = append(with.of, e)
			}
		}
		sides[n] = with
	}
	key, whole := g.key, g.left != nil && g.right != nil // else the pair has other fields on its other side, and stays what it is
	if whole {
		key = g.pairKey
	}
	pairs := pairsOf(key, sides[0], sides[1])
	doubled := len(pairs[0].more) > 0
	if !doubled && g.pairKey != "" { // the pair is taken already, and its halves have no doubles
		return c.takeAlone(g)
	}
	if doubled && whole && c.count && g.is != isUnwanted { // its pair was counted
		c.r.sum.Compared--
		if g.is == isSame {
			c.r.sum.Equal--
		} else {
			c.r.progress.Candidates--
		}
	}
	for _, p := range pairs {
		if !doubled && (p.left == nil || p.right == nil) {
			p.key = cmp.Or(g.keys[p.left], g.keys[p.right])
		}
		if _, err := c.take(p); err != nil {
			return err
		}
	}
	return nil
}

// takeAlone takes what is alone in a group one by one.
func (c *comparing) takeAlone(g *group) error {
	for n := range g.alone {
		for _, e := range g.alone[n].of {
			p := &pair{key: g.keys[e], left: e}
			if n == 1 {
				p.left, p.right = nil, e
			}
			if e.own == own(g.left) && n == 0 || e.own == own(g.right) && n == 1 {
				continue
			}
			if _, err := c.take(p); err != nil {
				return err
			}
		}
	}
	return nil
}

func own(e *entry) string {
	if e == nil {
		return ""
	}
	return e.own
}
