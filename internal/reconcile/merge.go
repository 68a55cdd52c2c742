package reconcile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/spill"
)

// mostDoubled is how many objects of one key are kept apart; more are counted alone.
const mostDoubled = 20

// bothDoubled ends the key of the pair that names the doubles of the right side, where the left side has doubles as well.
const bothDoubled = "\x00right"

// join gives what two sorted sides hold, key by key.
type join struct {
	left, right cursor
	then        *pair // given next
}

// cursor is where a side is read.
type cursor struct {
	r    *spill.Reader
	key  []byte
	e    *entry
	done bool
}

func newJoin(left, right *spill.Reader) (*join, error) {
	j := &join{left: cursor{r: left}, right: cursor{r: right}}
	if err := j.left.next(); err != nil {
		return nil, err
	}
	return j, j.right.next()
}

func (c *cursor) next() error {
	key, value, ok, err := c.r.Next()
	if err != nil || !ok {
		c.done, c.e = true, nil
		return err
	}
	c.key, c.e = append(c.key[:0], key...), &entry{}
	rest, err := c.e.read(value)
	if err == nil && len(rest) > 0 {
		err = errEntry
	}
	if err != nil {
		return err
	}
	c.e.doc, c.e.before = bytes.Clone(c.e.doc), bytes.Clone(c.e.before) // they outlive the reader's buffer
	return nil
}

// next gives the next key's pair; nil at the end. Where both sides have doubles, it is given twice, with those of each.
func (j *join) next() (*pair, error) {
	if p := j.then; p != nil {
		j.then = nil
		return p, nil
	}
	if j.left.done && j.right.done {
		return nil, nil
	}
	key := ""
	switch {
	case j.right.done || !j.left.done && string(j.left.key) <= string(j.right.key):
		key = string(j.left.key)
	default:
		key = string(j.right.key)
	}
	lefts, err := j.left.all(key)
	if err != nil {
		return nil, err
	}
	rights, err := j.right.all(key)
	if err != nil {
		return nil, err
	}
	pairs := pairsOf(key, lefts, rights)
	if len(pairs) > 1 {
		j.then = pairs[1]
	}
	return pairs[0], nil
}

// several are objects of one side under one key, and how many more there are.
type several struct {
	of      []*entry
	unnamed int
}

// add keeps an object apart from the others, by id: lists have no order that stays. What a list gives twice, because it moved while it was read, is one: the
// later reading. It gives the one that there is no room for any more, if there is one.
func (s *several) add(e *entry) (dropped *entry) {
	at, is := slices.BinarySearchFunc(s.of, e.own, func(have *entry, own string) int { return strings.Compare(have.own, own) })
	if is {
		dropped, s.of[at] = s.of[at], e
		return dropped
	}
	s.of = slices.Insert(s.of, at, e)
	if len(s.of) <= mostDoubled {
		return nil
	}
	s.unnamed++
	dropped, s.of = s.of[mostDoubled], s.of[:mostDoubled]
	return dropped
}

// wanted leaves out what nobody wants, as long as there is another one: it is nobody's double.
func (s *several) wanted() several {
	out := several{unnamed: s.unnamed}
	for _, e := range s.of {
		if !e.filtered {
			out.of = append(out.of, e)
		}
	}
	if len(out.of) == 0 && len(s.of) > 0 {
		out.of = s.of[:1]
	}
	return out
}

// pairsOf makes a pair of what both sides hold under a key: two where both hold several.
func pairsOf(key string, left, right several) []*pair {
	left, right = left.wanted(), right.wanted()
	p := pair{key: key}
	if len(left.of) > 0 {
		p.left = left.of[0]
	}
	if len(right.of) > 0 {
		p.right = right.of[0]
	}
	var out []*pair
	if len(left.of) > 1 {
		q := p
		q.more, q.unnamed = left.of[1:], left.unnamed
		out = append(out, &q)
	}
	if len(right.of) > 1 {
		q := p
		q.more, q.unnamed, q.moreRight = right.of[1:], right.unnamed, true
		if len(out) > 0 {
			q.key += bothDoubled
		}
		out = append(out, &q)
	}
	if len(out) == 0 {
		out = append(out, &p)
	}
	return out
}

// all gives the side's objects of a key.
func (c *cursor) all(key string) (out several, err error) {
	for !c.done && string(c.key) == key {
		out.add(c.e)
		if err := c.next(); err != nil {
			return out, fmt.Errorf("read what was sorted: %w", err)
		}
	}
	return out, nil
}
