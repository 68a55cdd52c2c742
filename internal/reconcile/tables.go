package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/reconcile/plain"
	"github.com/waybill-hub/waybill/internal/spill"
)

// look compares both sides and puts what differs into out; count: the run counts it. Tables of columns are compared as such.
func (r *Run) look(ctx context.Context, out *spill.Sorter, count bool) error {
	if r.tables != nil {
		err := r.lookAtTables(ctx, out, count)
		if !errors.Is(err, connector.ErrNotPlain) {
			return err
		}
		r.note("the tables are compared as documents: %v", err)
		r.tables = nil
	}
	left, right, err := r.readBoth(ctx, true)
	if err != nil {
		return err
	}
	defer func() { _ = errors.Join(left.Close(), right.Close()) }()
	r.phase("comparing", "")
	return r.compare(ctx, left, right, out, count)
}

// lookAtTables compares two tables by their columns.
func (r *Run) lookAtTables(ctx context.Context, out *spill.Sorter, count bool) error {
	left, lok := r.left.system.(connector.PlainReader)
	right, rok := r.right.system.(connector.PlainReader)
	if !lok || !rok {
		return fmt.Errorf("%w: one of the systems cannot give rows", connector.ErrNotPlain)
	}
	o := plain.Options{Clock: r.c.Clock, Throttle: plain.Throttle{Rest: r.pace().rest}, Progress: func(p plain.Progress) {
		r.left.rows.Store(p.Left)
		r.right.rows.Store(p.Right)
		if r.progress.Text = ""; p.Waits != "" {
			r.progress.Text = "waiting: " + p.Waits
		}
		r.tell()
	}}
	c, err := plain.Open(ctx, plain.Table{System: left, Object: r.left.object()}, plain.Table{System: right, Object: r.right.object()}, *r.tables, o)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	r.progress.Path = string(c.Path())
	r.phase("reading", "%s of %s and %s, as columns: %s", r.rec.Entity, r.left.def.System, r.right.def.System, c.Why())
	found := int64(0)
	res, err := c.Run(ctx, func(p plain.Pair) error {
		found++
		pair := r.pairOfRows(&p)
		return out.Add([]byte(pair.key), pair.append(nil))
	})
	var empty *plain.EmptyError
	if errors.As(err, &empty) {
		return fmt.Errorf("%w: %w; look why", err, ErrEmpty)
	}
	if err != nil {
		return err
	}
	r.left.rows.Store(res.Left.Rows)
	r.right.rows.Store(res.Right.Rows)
	if res.Left.Rows+res.Right.Rows+res.Left.Unkeyed+res.Right.Unkeyed == 0 {
		if err := errors.Join(r.notEmpty(ctx, r.left), r.notEmpty(ctx, r.right)); err != nil {
			return err
		}
	}
	if !count {
		return nil
	}
	r.sum.Compared, r.sum.Equal = r.sum.Compared+res.Compared, r.sum.Equal+res.Equal
	r.progress.Candidates += found
	for _, side := range []struct {
		name string
		n    int64
	}{{"left", res.Left.Unkeyed}, {"right", res.Right.Unkeyed}} {
		if side.n > 0 {
			r.sum.NotCompared += side.n
			r.note("%d rows of the %s side have no key (%s), and are compared with nothing", side.n, side.name, strings.Join(r.rec.Match.Fields, ", "))
		}
	}
	for _, hint := range c.Hints() {
		r.note("%s", hint)
	}
	return nil
}

// keyOfRow begins the key of a pair of rows, behind which the values of their key stand.
const keyOfRow = 't'

// rowKey gives the key of the rows that a pair was made of; nil: it was made of documents.
func (p *pair) rowKey() (key []string) {
	if p.key == "" || p.key[0] != keyOfRow {
		return nil
	}
	for b := []byte(p.key[1:]); len(b) > 0; {
		text, rest, err := takeText(b)
		if err != nil {
			return nil
		}
		key, b = append(key, string(text)), rest
	}
	return key
}

// pairOfRows is the pair that rows make: a half has no id of its own, and is asked for by the key.
func (r *Run) pairOfRows(p *plain.Pair) *pair {
	key := []byte{keyOfRow}
	for _, k := range p.Key {
		key = appendText(key, k)
	}
	half := func(values []json.RawMessage) *entry {
		return &entry{key: strings.Join(p.Key, " "), doc: r.document(values)}
	}
	out := &pair{key: string(key)}
	if p.Left != nil {
		out.left = half(p.Left)
	}
	if p.Right != nil {
		out.right = half(p.Right)
	}
	switch p.Kind {
	case plain.NotCompared:
		if out.left == nil && out.right == nil {
			out.left = half(nil)
		}
		e := out.left
		if e == nil {
			e = out.right
		}
		e.why = p.Err.Error()
	case plain.DoubledLeft, plain.DoubledRight:
		out.moreRight = p.Kind == plain.DoubledRight
		of := out.left
		if out.moreRight {
			of = out.right
		}
		for range min(p.Rows-1, mostDoubled) {
			more := *of
			out.more = append(out.more, &more)
		}
	}
	return out
}

// document is what a row's columns are as a document.
func (r *Run) document(values []json.RawMessage) []byte {
	b := []byte{'{'}
	for i, v := range values {
		if v == nil {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(jsondoc.AppendString(b, r.tables.Columns[i].Left), ':')
		b = append(b, v...)
	}
	return append(b, '}')
}

// findByKey asks both systems for the rows of a key.
func (r *Run) findByKey(ctx context.Context, was *pair, key []string) (*pair, error) {
	now := &pair{key: was.key, n: was.n}
	for _, s := range []*side{r.left, r.right} {
		all, err := s.byFields(ctx, key)
		if err != nil {
			return nil, err
		}
		now.hold(all, s == r.right)
	}
	return now, nil
}

// findAll asks the system for everything that fits.
func (s *side) findAll(ctx context.Context, l connector.Lookup) ([]*entry, error) {
	got, err := s.ask(ctx, l)
	if err != nil {
		return nil, err
	}
	there := got[:0]
	for _, rec := range got {
		if !rec.Deleted {
			there = append(there, rec)
		}
	}
	return s.entries(ctx, there)
}
