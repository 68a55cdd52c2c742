package parquetdoc

import (
	"encoding/binary"
	"errors"
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
