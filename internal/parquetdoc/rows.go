package parquetdoc

import (
	"errors"
	"fmt"
	"io"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// row is the one that is being put together.
type row struct {
	doc  []byte
	room int
	long bool
	bad  *ValueError
}

var errLevels = errors.New("its columns do not agree on what is null and how long lists are")

// Next appends the next row to dst, which has most bytes at most. io.EOF ends the file. A *ValueError is of this row alone; a value that cannot be shown stands in it as a text. An *Error is the file's, and
// nothing comes after it.
func (f *File) Next(dst []byte, most int) ([]byte, error) {
	if f.broken != nil {
		return nil, f.broken
	}
	if f.left == 0 {
		if err := f.nextGroup(); err != nil {
			f.broken = err
			return nil, err
		}
	}
	f.left--
	f.row = row{doc: dst, room: len(dst) + most}
	begins, err := f.agree(f.root, func(c *column) bool { return c.rep == 0 })
	if err == nil && !begins {
		err = broken("row group %d: a row begins within a list", f.group)
	}
	if err == nil {
		err = f.object(f.root)
	}
	if err != nil {
		f.broken = err
		return nil, err
	}
	if f.long {
		return nil, &ValueError{"", fmt.Errorf("the row is too long: it has more than %d bytes", most)}
	}
	if f.bad != nil {
		return f.doc, f.bad
	}
	return f.doc, nil
}

// nextGroup begins the next row group that has rows.
func (f *File) nextGroup() error {
	for f.left == 0 {
		for _, c := range f.cols {
			has, err := c.peek()
			if err == nil && has {
				err = broken("it has more values than its rows")
			}
			if err != nil {
				return c.failed(err)
			}
		}
		if f.group == len(f.groups) {
			return io.EOF
		}
		g, err := f.rowGroup(f.group)
		if err != nil {
			return broken("row group %d: %w", f.group+1, err)
		}
		if f.cols == nil {
			for _, l := range f.leaves {
				f.cols = append(f.cols, &column{f: f, leaf: l})
			}
		}
		for i, c := range f.cols {
			c.begin(g.chunks[i])
		}
		f.group++
		f.left = g.rows
	}
	return nil
}

// failed says where an error is.
func (c *column) failed(err error) error {
	var own *Error
	if errors.As(err, &own) {
		return broken("row group %d, column %s: %w", c.f.group, c.leaf.path, own.Err)
	}
	return err
}

// agree reports whether something holds for the entries at hand of all columns of a group, or for none.
func (f *File) agree(n *node, holds func(c *column) bool) (bool, error) {
	all := false
	for i, l := range n.leaves {
		c := f.cols[l.index]
		has, err := c.peek()
		if err == nil && !has {
			err = broken("it has fewer values than its rows")
		}
		if err != nil {
			return false, c.failed(err)
		}
		if yes := holds(c); i == 0 {
			all = yes
		} else if yes != all {
			return false, c.failed(broken("%w", errLevels))
		}
	}
	return all, nil
}

// there reports whether a group of columns has values here; where it has none, what says so is passed over.
func (f *File) there(n *node) (bool, error) {
	there, err := f.agree(n, func(c *column) bool { return c.def >= n.def })
	if err == nil && !there {
		for _, l := range n.leaves {
			f.cols[l.index].has = false
		}
	}
	return there, err
}

func (f *File) put(s string) {
	f.doc = append(f.doc, s...)
	f.shorten()
}

// shorten forgets a row that is too long: what is left of it is passed over.
func (f *File) shorten() {
	if f.long = f.long || len(f.doc) > f.room; f.long {
		f.doc = f.doc[:0]
	}
}

// object appends what the columns of a group hold.
func (f *File) object(n *node) error {
	f.put("{")
	for i, k := range n.kids {
		if i > 0 {
			f.put(",")
		}
		f.doc = append(jsondoc.AppendString(f.doc, k.name), ':')
		if err := f.node(k); err != nil {
			return err
		}
	}
	f.put("}")
	return nil
}

// node appends what a column or a group of columns holds.
func (f *File) node(n *node) error {
	switch n.repetition {
	case repeated:
		return f.list(n)
	case optional:
		there, err := f.there(n)
		if err != nil {
			return err
		}
		if !there {
			f.put("null")
			return nil
		}
	}
	return f.content(n)
}

// content appends what is there.
func (f *File) content(n *node) error {
	switch {
	case n.leaf:
		return f.value(n.leaves[0])
	case n.wraps:
		return f.list(n.kids[0])
	}
	return f.object(n)
}

func (f *File) list(n *node) error {
	there, err := f.there(n)
	if err != nil {
		return err
	}
	if !there {
		f.put("[]")
		return nil
	}
	f.put("[")
	for {
		if n.inner {
			err = f.node(n.kids[0])
		} else {
			err = f.content(n)
		}
		if err != nil {
			return err
		}
		more, err := f.more(n)
		if err != nil {
			return err
		}
		if !more {
			f.put("]")
			return nil
		}
		f.put(",")
	}
}

// more reports whether another element of the list follows, for all of its columns or none.
func (f *File) more(n *node) (bool, error) {
	all := false
	for i, l := range n.leaves {
		c := f.cols[l.index]
		has, err := c.peek()
		more := has && c.rep == n.rep
		if err == nil && (has && c.rep > n.rep || i > 0 && more != all) {
			err = broken("%w", errLevels)
		}
		if err != nil {
			return false, c.failed(err)
		}
		all = more
	}
	return all, nil
}

// value appends the value at hand of a column.
func (f *File) value(l *Leaf) error {
	c := f.cols[l.index]
	v, err := c.vals.next()
	if err != nil {
		return c.failed(broken("%w", err))
	}
	c.has = false
	if f.long = f.long || len(v.b) > f.room; f.long { // it is not even shown
		return nil
	}
	out, err := l.append(f.doc, v)
	if err != nil && f.bad == nil {
		f.bad = &ValueError{l.path, err}
	}
	f.doc = out
	f.shorten()
	return nil
}
