package plain

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// side is one of the two tables while it is read.
type side struct {
	name     string
	table    Table
	session  connector.PlainSession
	digester connector.Digester

	rows connector.PlainRows
	// row is the present row, ok whether there is one; again: it has the key of the row before.
	row       [][]byte
	ok, again bool
	// bad says why the present row cannot be read as the settings say; its key can. twice is the last key that came again.
	bad   error
	twice []string
	// kept is a copy of the first row of the key, in the memory of spare; of tables whose keys cannot come twice there is none.
	kept, spare [][]byte
	// key is a copy of the present row's key, where there has been one; count counts rows.
	key   [][]byte
	keyed bool
	count int64
}

func (s *side) open(ctx context.Context, c *Comparison, salt int64) (err error) {
	q := connector.PlainQuery{Salt: salt}
	for i, col := range c.spec.Key {
		q.Key = append(q.Key, connector.PlainColumn{Name: s.of(col), Form: c.forms[i]})
	}
	for i, col := range c.spec.Columns {
		q.Columns = append(q.Columns, connector.PlainColumn{Name: s.of(col), Form: c.forms[len(c.spec.Key)+i]})
	}
	s.key = make([][]byte, len(c.spec.Key))
	s.session, err = s.table.System.PlainOpen(ctx, s.table.Object, q)
	return err
}

func (s *side) of(col Column) string {
	if s.name == "left" {
		return col.Left
	}
	return col.Right
}

// begin reads ranges from their first row on.
func (s *side) begin(ranges []connector.KeyRange) {
	s.rows = s.session.Rows(ranges...)
	s.ok, s.again, s.keyed, s.count = false, false, false, 0
}

// next goes to the next row that has a key. Those without one that can be read are told as they come.
func (c *Comparison) next(ctx context.Context, s *side) error {
	for {
		var err error
		if s.ok, err = s.rows.Next(ctx); err != nil || !s.ok {
			return err
		}
		s.count++
		if s.row, s.bad = s.rows.Row(); s.bad == nil || !slices.ContainsFunc(s.row[:len(s.key)], func(v []byte) bool { return v == nil }) {
			return c.inOrder(s)
		}
		c.result.Compared++
		if err := c.yield(Pair{Kind: NotCompared, Err: s.bad}); err != nil {
			return err
		}
	}
}

// inOrder holds the present row's key against the one before: a side that gives its rows in another order would make rows look missing.
func (c *Comparison) inOrder(s *side) error {
	s.again = false
	if s.keyed {
		switch order := c.order(s.row, s.key); {
		case order < 0:
			return fmt.Errorf("the %s side %w: %s comes after %s", s.name, ErrOrder, c.keyText(s.row), c.keyText(s.key))
		case order == 0:
			if s.again, s.twice = true, c.keyText(s.key); c.unique {
				return fmt.Errorf("the %s side %w: %s comes twice, which its index does not allow", s.name, ErrOrder, s.twice)
			}
			return nil
		}
	}
	s.keyed = true
	for i := range s.key {
		s.key[i] = append(s.key[i][:0], s.row[i]...)
	}
	return nil
}

// order compares keys, which stand at the beginning of rows.
func (c *Comparison) order(a, b [][]byte) int {
	for i := range c.spec.Key {
		if order := c.forms[i].Compare(a[i], b[i]); order != 0 {
			return order
		}
	}
	return 0
}

func (c *Comparison) keyText(row [][]byte) []string {
	out := make([]string, len(c.spec.Key))
	for i := range out {
		out[i] = c.forms[i].Text(row[i])
	}
	return out
}

// atOnce is how many rows are merged between two looks at the clock.
const atOnce = 4096

// merge reads ranges of both sides in order and finds what differs.
func (c *Comparison) merge(ctx context.Context, ranges ...connector.KeyRange) error {
	l, r := c.left, c.right
	l.begin(ranges)
	r.begin(ranges)
	defer l.rows.Close()
	defer r.rows.Close()
	if err := c.both(ctx); err != nil {
		return err
	}
	if err := c.empty(ranges); err != nil {
		return err
	}
	apart := c.result.Compared - c.result.Equal
	for n := 1; l.ok || r.ok; n++ {
		if err := c.step(ctx); err != nil {
			return err
		}
		if n%bucketRows == 0 {
			c.buckets++
			if now := c.result.Compared - c.result.Equal; now != apart {
				c.apart, apart = c.apart+1, now
			}
		}
		if n%atOnce == 0 {
			c.account()
			if err := c.gate.pass(ctx, c.tell); err != nil {
				return err
			}
		}
	}
	c.account()
	return nil
}

// account adds what was read to the result.
func (c *Comparison) account() {
	c.result.Left.Rows += c.left.count
	c.result.Right.Rows += c.right.count
	c.result.Read += c.left.count + c.right.count
	c.left.count, c.right.count = 0, 0
}

func (c *Comparison) both(ctx context.Context) error {
	if err := c.next(ctx, c.left); err != nil {
		return err
	}
	return c.next(ctx, c.right)
}

// empty refuses a side that has no rows at all where the other has some.
func (c *Comparison) empty(ranges []connector.KeyRange) error {
	whole := len(ranges) == 1 && ranges[0].After == nil && ranges[0].Upto == nil
	if c.o.AllowEmpty || !whole || c.left.count > 0 == (c.right.count > 0) {
		return nil
	}
	if c.left.count == 0 {
		return &EmptyError{Side: "left", Expected: c.result.Left.Expected}
	}
	return &EmptyError{Side: "right", Expected: c.result.Right.Expected}
}

// step takes the smaller of the two present keys, or both where they are the same.
func (c *Comparison) step(ctx context.Context) error {
	l, r := c.left, c.right
	order := 0
	switch {
	case !l.ok:
		order = 1
	case !r.ok:
		order = -1
	default:
		order = c.order(l.row, r.row)
	}
	c.result.Compared++
	found := c.judge(order)
	if !c.unique {
		c.keep(order)
	}
	rows, err := c.advance(ctx, order)
	switch {
	case err != nil:
		return err
	case rows[0] > 1 || rows[1] > 1:
		return c.doubled(order, rows)
	case found == nil:
		c.result.Equal++
		return nil
	}
	return c.yield(*found)
}

// keep copies the present rows of a key, which may turn out to come again.
func (c *Comparison) keep(order int) {
	for i, s := range []*side{c.left, c.right} {
		if i == 0 && order > 0 || i == 1 && order < 0 {
			continue
		}
		if s.kept == nil {
			s.kept, s.spare = make([][]byte, len(s.row)), make([][]byte, len(s.row))
			for j := range s.spare {
				s.spare[j] = []byte{}
			}
		}
		for j, v := range s.row {
			s.spare[j] = append(s.spare[j][:0], v...)
			if s.kept[j] = s.spare[j]; v == nil {
				s.kept[j] = nil
			}
		}
	}
}

// judge gives the pair of the present rows of one key, or nil where they are the same.
func (c *Comparison) judge(order int) *Pair {
	l, r := c.left, c.right
	switch {
	case order <= 0 && l.bad != nil:
		return &Pair{Kind: NotCompared, Key: c.keyText(l.row), Err: l.bad}
	case order >= 0 && r.bad != nil:
		return &Pair{Kind: NotCompared, Key: c.keyText(r.row), Err: r.bad}
	case order < 0:
		return &Pair{Kind: MissingRight, Key: c.keyText(l.row), Left: c.shown(l.row)}
	case order > 0:
		return &Pair{Kind: MissingLeft, Key: c.keyText(r.row), Right: c.shown(r.row)}
	case !c.same(l.row, r.row):
		return c.different(l.row, r.row)
	}
	return nil
}

// advance goes on on the sides that had the key, and counts its rows there.
func (c *Comparison) advance(ctx context.Context, order int) (rows [2]int, err error) {
	for i, s := range []*side{c.left, c.right} {
		if i == 0 && order > 0 || i == 1 && order < 0 {
			continue
		}
		for more := true; more; more = s.ok && s.again {
			if err := c.next(ctx, s); err != nil {
				return rows, err
			}
			rows[i]++
		}
	}
	return rows, nil
}

// doubled tells of a key that is there several times on a side: it is neither equal nor anything else.
func (c *Comparison) doubled(order int, rows [2]int) error {
	p := Pair{}
	if order <= 0 {
		p.Left = c.shown(c.left.kept)
	}
	if order >= 0 {
		p.Right = c.shown(c.right.kept)
	}
	for i, s := range []*side{c.left, c.right} {
		if rows[i] < 2 {
			continue
		}
		p.Kind, p.Key, p.Rows = []Kind{DoubledLeft, DoubledRight}[i], s.twice, rows[i]
		if err := c.yield(p); err != nil {
			return err
		}
	}
	return nil
}

// same compares the columns of two rows of one key.
func (c *Comparison) same(l, r [][]byte) bool {
	for i := len(c.spec.Key); i < len(c.forms); i++ {
		if !bytes.Equal(l[i], r[i]) || (l[i] == nil) != (r[i] == nil) {
			return c.tolerable(l, r, i)
		}
	}
	return true
}

// tolerable: the first difference, at i, is within what its column allows, and so are all after it.
func (c *Comparison) tolerable(l, r [][]byte, from int) bool {
	for i := from; i < len(c.forms); i++ {
		if !c.within(i, l[i], r[i]) {
			return false
		}
	}
	return true
}

func (c *Comparison) within(i int, l, r []byte) bool {
	if (l == nil) != (r == nil) {
		return false
	}
	if bytes.Equal(l, r) {
		return true
	}
	most := c.spec.Columns[i-len(c.spec.Key)].Within
	if most == nil {
		return false
	}
	a, err := jsondoc.ParseDecimal(c.forms[i].Text(l))
	if err != nil { // NaN and the like are near nothing
		return false
	}
	b, err := jsondoc.ParseDecimal(c.forms[i].Text(r))
	return err == nil && most.Holds(a, b)
}

func (c *Comparison) different(l, r [][]byte) *Pair {
	p := &Pair{Kind: Different, Key: c.keyText(l), Left: c.shown(l), Right: c.shown(r)}
	for i := len(c.spec.Key); i < len(c.forms); i++ {
		if !c.within(i, l[i], r[i]) {
			p.Fields = append(p.Fields, i-len(c.spec.Key))
		}
	}
	return p
}

// shown are the values of the columns as documents show them.
func (c *Comparison) shown(row [][]byte) []json.RawMessage {
	out := make([]json.RawMessage, len(c.spec.Columns))
	for i := range out {
		at := len(c.spec.Key) + i
		out[i] = c.forms[at].JSON(row[at])
	}
	return out
}
