package parquetdoc

import (
	"encoding/binary"
	"errors"
	"fmt"
)

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
