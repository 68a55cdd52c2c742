package parquetdoc

import "fmt"

// deltas are numbers by their differences.
type deltas struct {
	c          cursor
	minis, per int // miniblocks of a block, values of one
	total      int // values that are not given yet
	begun      bool
	last       int64
	least      int64
	widths     []byte
	mini       int
	packed     []byte
	width, bit int
	left       int
	small      bool // of 32 bits
}

func newDeltas(b []byte, small bool) (*deltas, error) {
	d := &deltas{c: cursor{b: b}, small: small}
	block, minis, total := d.c.uvarint(), d.c.uvarint(), d.c.uvarint()
	d.last = d.c.varint()
	if d.c.err != nil {
		return nil, errEnds
	}
	if block > 1<<20 || minis < 1 || minis > block || block%minis != 0 || block/minis%8 != 0 || total > 1<<31-1 {
		return nil, fmt.Errorf("a page of differences has blocks of %d values in %d parts", block, minis)
	}
	d.minis, d.per, d.total = int(minis), int(block/minis), int(total)
	d.mini = d.minis
	return d, nil
}

// block reads the head of the next block.
func (d *deltas) block() error {
	d.least = d.c.varint()
	d.widths = d.c.take(uint64(d.minis))
	d.mini = 0
	if d.c.err != nil {
		return errEnds
	}
	return nil
}

// part begins the next miniblock.
func (d *deltas) part() error {
	if d.mini == d.minis {
		if err := d.block(); err != nil {
			return err
		}
	}
	if d.width = int(d.widths[d.mini]); d.width > 64 {
		return errWidth
	}
	d.mini++
	d.packed = d.c.take(uint64(d.per / 8 * d.width))
	d.bit, d.left = 0, d.per
	if d.c.err != nil {
		return errEnds
	}
	return nil
}

func (d *deltas) next() (datum, error) {
	if d.total == 0 {
		return datum{}, errEnds
	}
	d.total--
	if !d.begun {
		d.begun = true
		return datum{n: d.last}, nil
	}
	if d.left == 0 {
		if err := d.part(); err != nil {
			return datum{}, err
		}
	}
	d.left--
	d.last += d.least + int64(bitsAt(d.packed, d.bit, d.width))
	if d.bit += d.width; d.small {
		d.last = int64(int32(d.last))
	}
	return datum{n: d.last}, nil
}

// rest gives what stands behind the numbers.
func (d *deltas) rest() ([]byte, error) {
	o := *d
	for n := d.total - 1; n > 0; n -= d.per {
		if err := o.part(); err != nil {
			return nil, err
		}
	}
	return o.c.b[o.c.at:], nil
}

// lengths are texts whose lengths stand before all of them.
type lengths struct {
	n *deltas
	b []byte
}

func newLengths(b []byte) (*lengths, error) {
	n, err := newDeltas(b, true)
	if err != nil {
		return nil, err
	}
	rest, err := n.rest()
	return &lengths{n, rest}, err
}

func (p *lengths) next() (datum, error) {
	v, err := p.n.next()
	if err != nil {
		return v, err
	}
	if v.n < 0 || v.n > int64(len(p.b)) {
		return v, errEnds
	}
	v = datum{b: p.b[:v.n]}
	p.b = p.b[len(v.b):]
	return v, nil
}

// prefixes are texts that begin as the one before. No value is longer than the page.
type prefixes struct {
	n    *deltas
	rest *lengths
	last []byte
	leaf *Leaf
}

func newPrefixes(b []byte, l *Leaf) (*prefixes, error) {
	n, err := newDeltas(b, true)
	if err != nil {
		return nil, err
	}
	if b, err = n.rest(); err != nil {
		return nil, err
	}
	rest, err := newLengths(b)
	return &prefixes{n: n, rest: rest, leaf: l}, err
}

func (p *prefixes) next() (datum, error) {
	n, err := p.n.next()
	if err != nil {
		return n, err
	}
	if n.n < 0 || n.n > int64(len(p.last)) {
		return n, errEnds
	}
	v, err := p.rest.next()
	if err != nil {
		return v, err
	}
	p.last = append(p.last[:n.n], v.b...)
	if p.leaf.phys == physFixed && len(p.last) != p.leaf.width {
		return v, errEnds
	}
	return datum{b: p.last}, nil
}
