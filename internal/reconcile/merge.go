package reconcile

import (
	"bytes"
	"fmt"

	"github.com/waybill-hub/waybill/internal/spill"
)

// mostDoubled is how many objects of one key are kept apart; more are counted with the last one.
const mostDoubled = 20

// join gives what two sorted sides hold, key by key.
type join struct {
	left, right cursor
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

// next gives the next key's pair; nil at the end.
func (j *join) next() (*pair, error) {
	if j.left.done && j.right.done {
		return nil, nil
	}
	p := &pair{}
	switch {
	case j.right.done || !j.left.done && string(j.left.key) <= string(j.right.key):
		p.key = string(j.left.key)
	default:
		p.key = string(j.right.key)
	}
	lefts, err := j.left.all(p.key)
	if err != nil {
		return nil, err
	}
	rights, err := j.right.all(p.key)
	if err != nil {
		return nil, err
	}
	if len(lefts) > 0 {
		p.left = lefts[0]
	}
	if len(rights) > 0 {
		p.right = rights[0]
	}
	if len(lefts) > 1 {
		p.more = lefts[1:]
	} else if len(rights) > 1 {
		p.more, p.moreRight = rights[1:], true
	}
	return p, nil
}

// all gives the side's objects of a key. What a list gives twice, because it moved while it was read, is one: the later reading.
func (c *cursor) all(key string) (out []*entry, err error) {
	for !c.done && string(c.key) == key {
		same := -1
		for i := range out {
			if out[i].own == c.e.own {
				same = i
			}
		}
		switch {
		case same >= 0:
			out[same] = c.e
		case len(out) < mostDoubled:
			out = append(out, c.e)
		default:
			out[len(out)-1] = c.e
		}
		if err := c.next(); err != nil {
			return nil, fmt.Errorf("read what was sorted: %w", err)
		}
	}
	return out, nil
}
