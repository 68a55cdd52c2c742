package parquetdoc

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var (
	errEnds  = errors.New("a page ends in the middle of its values")
	errWidth = errors.New("a page says a number of bits that no value has")
)

// datum is a value as it is stored: n where it is a number, b where it is bytes, which may be overwritten when the next value is read.
type datum struct {
	n int64
	b []byte
}

// values gives one value of a page after the other.
type values interface{ next() (datum, error) }

// bitsAt gives width bits from an offset in bits on, the lowest first; the bytes must have them.
func bitsAt(b []byte, off, width int) uint64 {
	b = b[off>>3:]
	shift := off & 7
	var n uint64
	if len(b) >= 8 {
		n = binary.LittleEndian.Uint64(b) >> shift
		if shift+width > 64 {
			n |= uint64(b[8]) << (64 - shift)
		}
	} else {
		for i := 0; i < len(b) && i*8 < shift+width; i++ {
			n |= uint64(b[i]) << (8 * i)
		}
		n >>= shift
	}
	if width < 64 {
		n &= 1<<width - 1
	}
	return n
}

// hybrid reads runs of one value and of packed bits: levels, indices of dictionaries and truth values.
type hybrid struct {
	b      []byte
	width  int
	left   int
	same   bool
	value  uint64
	packed []byte
	bit    int
}

func newHybrid(b []byte, width int) (*hybrid, error) {
	if width > 32 {
		return nil, errWidth
	}
	return &hybrid{b: b, width: width}, nil
}

func (h *hybrid) next() (uint64, error) {
	if h.left == 0 {
		if err := h.run(); err != nil {
			return 0, err
		}
	}
	h.left--
	if h.same {
		return h.value, nil
	}
	h.bit += h.width
	return bitsAt(h.packed, h.bit-h.width, h.width), nil
}

func (h *hybrid) run() error {
	head, n := binary.Uvarint(h.b)
	if n <= 0 || head>>1 == 0 || head > 1<<32 {
		return errEnds
	}
	h.b = h.b[n:]
	if h.same = head&1 == 0; h.same {
		size := (h.width + 7) / 8
		if len(h.b) < size {
			return errEnds
		}
		h.value = bitsAt(h.b, 0, 8*size)
		h.b, h.left = h.b[size:], int(head>>1)
		return nil
	}
	h.left = 8 * int(head>>1)
	size := h.left / 8 * h.width
	if size > len(h.b) { // the last run may have fewer values than it says
		size = len(h.b)
		h.left = 8 * size / h.width
	}
	if h.left == 0 {
		return errEnds
	}
	h.packed, h.bit, h.b = h.b[:size], 0, h.b[size:]
	return nil
}

// truths are truth values in runs.
type truths struct{ h *hybrid }

func (t truths) next() (datum, error) {
	n, err := t.h.next()
	return datum{n: int64(n)}, err
}

// flags are truth values, one a bit.
type flags struct {
	b  []byte
	at int
}

func (p *flags) next() (datum, error) {
	if p.at >= 8*len(p.b) {
		return datum{}, errEnds
	}
	p.at++
	return datum{n: int64(bitsAt(p.b, p.at-1, 1))}, nil
}

// fixed are values of one width.
type fixed struct {
	b    []byte
	leaf *Leaf
}

func (p *fixed) next() (datum, error) {
	size := p.leaf.size()
	if len(p.b) < size {
		return datum{}, errEnds
	}
	v := p.leaf.datum(p.b[:size])
	p.b = p.b[size:]
	return v, nil
}

// size is how many bytes a plain value has.
func (l *Leaf) size() int {
	switch l.phys {
	case physInt32, physFloat:
		return 4
	case physInt64, physDouble:
		return 8
	case physInt96:
		return 12
	}
	return l.width
}

// datum is a plain value.
func (l *Leaf) datum(b []byte) datum {
	switch len(b) {
	case 4:
		if l.phys == physInt32 || l.phys == physFloat {
			return datum{n: int64(int32(binary.LittleEndian.Uint32(b)))}
		}
	case 8:
		if l.phys == physInt64 || l.phys == physDouble {
			return datum{n: int64(binary.LittleEndian.Uint64(b))}
		}
	}
	return datum{b: b}
}

// texts are values with their length before each.
type texts struct{ b []byte }

func (p *texts) next() (datum, error) {
	if len(p.b) < 4 {
		return datum{}, errEnds
	}
	n := int64(binary.LittleEndian.Uint32(p.b))
	if n > int64(len(p.b)-4) {
		return datum{}, errEnds
	}
	v := p.b[4 : 4+n]
	p.b = p.b[4+n:]
	return datum{b: v}, nil
}

// streams are values whose first bytes stand together, then the second ones, and so on.
type streams struct {
	b        []byte
	at, each int
	leaf     *Leaf
	value    []byte
}

func newStreams(b []byte, l *Leaf) (*streams, error) {
	size := l.size()
	if len(b)%size != 0 {
		return nil, errEnds
	}
	return &streams{b: b, each: len(b) / size, leaf: l, value: make([]byte, size)}, nil
}

func (p *streams) next() (datum, error) {
	if p.at >= p.each {
		return datum{}, errEnds
	}
	for i := range p.value {
		p.value[i] = p.b[i*p.each+p.at]
	}
	p.at++
	return p.leaf.datum(p.value), nil
}

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

// dictionary are the values that indices stand for.
type dictionary struct {
	b    []byte
	ends []uint32 // of values that have lengths
	n    int
	leaf *Leaf
}

// judge says whether the bytes can have so many values.
func (d *dictionary) judge() error {
	least := 4 // a length
	if d.leaf.phys == physBool {
		return errors.New("truth values have no dictionary")
	}
	if d.leaf.phys != physBytes {
		least = d.leaf.size()
	}
	if d.n > len(d.b)/least {
		return errEnds
	}
	return nil
}

// size is how many bytes fill takes.
func (d *dictionary) size() int {
	if d.leaf.phys != physBytes {
		return 0
	}
	return 4 * d.n
}

// fill finds where values of any length end.
func (d *dictionary) fill() error {
	if d.leaf.phys != physBytes {
		return nil
	}
	d.ends = make([]uint32, d.n)
	p := texts{d.b}
	for i := range d.ends {
		if _, err := p.next(); err != nil {
			return err
		}
		d.ends[i] = uint32(len(d.b) - len(p.b))
	}
	return nil
}

func (d *dictionary) value(i uint64) (datum, error) {
	if i >= uint64(d.n) {
		return datum{}, fmt.Errorf("value %d of a dictionary of %d", i, d.n)
	}
	if d.leaf.phys != physBytes {
		size := d.leaf.size()
		return d.leaf.datum(d.b[int(i)*size : (int(i)+1)*size]), nil
	}
	from := uint32(4)
	if i > 0 {
		from += d.ends[i-1]
	}
	return datum{b: d.b[from:d.ends[i]]}, nil
}

// looked are values by their place in the dictionary.
type looked struct {
	h *hybrid
	d *dictionary
}

func (p *looked) next() (datum, error) {
	i, err := p.h.next()
	if err != nil {
		return datum{}, err
	}
	return p.d.value(i)
}

// Encodings.
const (
	encPlain           = 0
	encPlainDictionary = 2
	encRuns            = 3
	encPackedLevels    = 4
	encDeltas          = 5
	encLengths         = 6
	encPrefixes        = 7
	encDictionary      = 8
	encStreams         = 9
)

// decoder begins the values of a page.
func (c *column) decoder(encoding int, b []byte) (values, error) {
	l := c.leaf
	switch {
	case len(b) == 0 || c.dict == nil && len(b) == 1 && (encoding == encDictionary || encoding == encPlainDictionary):
		return &flags{}, nil // every value is null
	case encoding == encPlain && l.phys == physBool:
		return &flags{b: b}, nil
	case encoding == encPlain && l.phys == physBytes:
		return &texts{b}, nil
	case encoding == encPlain:
		return &fixed{b, l}, nil
	case encoding == encDictionary || encoding == encPlainDictionary:
		if c.dict == nil {
			return nil, errors.New("a page refers to a dictionary, and there is none")
		}
		h, err := newHybrid(b[1:], int(b[0]))
		return &looked{h, c.dict}, err
	case encoding == encRuns && l.phys == physBool:
		if len(b) < 4 || int64(binary.LittleEndian.Uint32(b)) > int64(len(b)-4) {
			return nil, errEnds
		}
		h, err := newHybrid(b[4:4+binary.LittleEndian.Uint32(b)], 1)
		return truths{h}, err
	case encoding == encDeltas && (l.phys == physInt32 || l.phys == physInt64):
		return begun(newDeltas(b, l.phys == physInt32))
	case encoding == encLengths && l.phys == physBytes:
		return begun(newLengths(b))
	case encoding == encPrefixes && (l.phys == physBytes || l.phys == physFixed):
		return begun(newPrefixes(b, l))
	case encoding == encStreams && l.phys != physBytes && l.phys != physBool && l.phys != physInt96:
		return begun(newStreams(b, l))
	}
	return nil, fmt.Errorf("a page has the encoding %d, which is not read with the physical type %d", encoding, l.phys)
}

func begun[T values](v T, err error) (values, error) { return v, err }
