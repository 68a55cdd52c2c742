package parquetdoc

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// Kinds of pages.
const (
	pageData       = 0
	pageIndex      = 1
	pageDictionary = 2
	pageDataV2     = 3
)

// column reads the values of a column in a row group.
type column struct {
	f     *File
	leaf  *Leaf
	chunk chunk
	at    int64 // the next page
	left  int64 // values in pages that were not begun

	dict       *dictionary
	dictBuf    []byte
	buf        []byte // the page, unpacked
	inPage     int
	reps, defs *hybrid
	vals       values

	// The entry at hand, where there is one.
	has      bool
	rep, def int
}

// begin takes a chunk.
func (c *column) begin(k chunk) {
	if c.dict != nil {
		c.f.open -= c.dict.size()
	}
	c.chunk, c.at, c.left, c.inPage, c.has, c.dict = k, k.start, k.values, 0, false, nil
}

// peek has the next entry at hand; false where there is none.
func (c *column) peek() (bool, error) {
	if c.has {
		return true, nil
	}
	for c.inPage == 0 {
		if c.left == 0 {
			return false, nil
		}
		if err := c.page(); err != nil {
			return false, err
		}
	}
	c.inPage--
	var err error
	if c.rep, err = level(c.reps, c.leaf.rep); err != nil {
		return false, broken("%w", err)
	}
	if c.def, err = level(c.defs, c.leaf.def); err != nil {
		return false, broken("%w", err)
	}
	c.has = true
	return true, nil
}

// level is the next one; without any in the page they are all the greatest, which is 0 for repetitions.
func level(h *hybrid, most int) (int, error) {
	if most == 0 {
		return 0, nil
	}
	n, err := h.next()
	if err == nil && n > uint64(most) {
		err = fmt.Errorf("there is no level %d in a column that has %d", n, most)
	}
	return int(n), err
}

// header is that of a page.
type header struct {
	kind, packed, plain int
	crc                 int64
	checked             bool
	values, encoding    int
	levels              int // encoding of definition levels
	repLevels           int
	defBytes, repBytes  int
	packedValues        bool
}

func (c *cursor) header() (h header) {
	h.packedValues, h.levels, h.repLevels = true, encRuns, encRuns
	c.fields(thriftStruct, func(id int64, typ byte) {
		switch id {
		case 1:
			h.kind = c.small(typ)
		case 2:
			h.plain = c.small(typ)
		case 3:
			h.packed = c.small(typ)
		case 4:
			h.crc, h.checked = c.int(typ), true
		case 5, 7, 8:
			c.fields(typ, func(part int64, typ byte) {
				switch {
				case part == 1:
					h.values = c.small(typ)
				case part == 2 && id != 8, part == 4 && id == 8:
					h.encoding = c.small(typ)
				case part == 3 && id == 5:
					h.levels = c.small(typ)
				case part == 4 && id == 5:
					h.repLevels = c.small(typ)
				case part == 5 && id == 8:
					h.defBytes = c.small(typ)
				case part == 6 && id == 8:
					h.repBytes = c.small(typ)
				case part == 7 && id == 8:
					h.packedValues = c.bool(typ)
				default:
					c.skip(typ, false)
				}
			})
		default:
			c.skip(typ, false)
		}
	})
	return h
}

// header reads the header of the next page, and judges it.
func (c *column) header() (h header, err error) {
	left := c.chunk.start + c.chunk.size - c.at
	for size := int64(512); ; size *= 8 {
		b := make([]byte, min(size, left, int64(c.f.most.header)))
		if err := c.f.at(c.at, b); err != nil {
			return h, err
		}
		cur := &cursor{b: b}
		h = cur.header()
		if cur.err == nil {
			c.at += int64(cur.at)
			return h, c.judge(&h, left-int64(cur.at))
		}
		if !errors.Is(cur.err, errShort) || size >= left {
			return h, broken("the header of a page: %w", cur.err)
		}
		if size >= int64(c.f.most.header) {
			return h, broken("the header of a page has more than %d bytes", c.f.most.header)
		}
	}
}

func (c *column) judge(h *header, left int64) error {
	data := h.kind == pageData || h.kind == pageDataV2
	switch {
	case int64(h.packed) > left:
		return broken("a page has %d bytes, and its column %d", h.packed, left)
	case c.codec(h) == 0 && h.packed != h.plain:
		return broken("a page that is not packed has %d bytes, and says %d", h.packed, h.plain)
	case data && int64(h.values) > c.left:
		return broken("a page has %d values, and %d are left of the column's", h.values, c.left)
	case h.kind == pageData && (c.leaf.def > 0 && h.levels != encRuns || c.leaf.rep > 0 && h.repLevels != encRuns):
		return broken("a page has levels of an old encoding, which is not read")
	case h.kind == pageDataV2 && h.repBytes > min(h.packed, h.plain)-h.defBytes:
		return broken("a page has more bytes of levels than bytes")
	case h.kind == pageDictionary && c.dict != nil:
		return broken("there are two dictionaries")
	case h.kind == pageDictionary && h.encoding != encPlain && h.encoding != encPlainDictionary:
		return broken("a dictionary has the encoding %d, which is not read", h.encoding)
	case h.kind > pageDataV2:
		return broken("there is no page of the kind %d", h.kind)
	}
	return nil
}

func (c *column) codec(h *header) int {
	if h.kind == pageDataV2 && !h.packedValues {
		return 0
	}
	return c.chunk.codec
}

// page reads the next page.
func (c *column) page() error {
	if c.at >= c.chunk.start+c.chunk.size {
		return broken("its pages end, and %d values are missing", c.left)
	}
	h, err := c.header()
	if err != nil {
		return err
	}
	at := c.at
	c.at += int64(h.packed)
	switch h.kind {
	case pageIndex:
		return nil
	case pageDictionary:
		if c.dictBuf, err = c.unpack(&h, at, c.dictBuf); err != nil {
			return err
		}
		d := &dictionary{b: c.dictBuf, n: h.values, leaf: c.leaf}
		if err := d.judge(); err != nil {
			return broken("a dictionary: %w", err)
		}
		if err := c.f.count(d.size()); err != nil {
			return err
		}
		if c.dict = d; d.fill() != nil {
			return broken("a dictionary: %w", errEnds)
		}
		return nil
	}
	if c.buf, err = c.unpack(&h, at, c.buf); err != nil {
		return err
	}
	c.left -= int64(h.values)
	c.inPage = h.values
	if err := c.levels(&h); err != nil {
		return broken("%w", err)
	}
	return nil
}

// count adds to what is held at once, before it is.
func (f *File) count(more int) error {
	if f.open += more; f.open > f.most.open {
		return broken("the pages that are open at once have more than %d bytes: write smaller row groups, or raise parquet.memory", f.most.open)
	}
	return nil
}

// levels begins those of a page, and its values.
func (c *column) levels(h *header) (err error) {
	b := c.buf
	reps, defs := h.repBytes, h.defBytes
	take := func(most, size int) (*hybrid, error) {
		if most == 0 && h.kind == pageData {
			return nil, nil
		}
		if h.kind == pageData {
			if len(b) < 4 {
				return nil, errEnds
			}
			n := binary.LittleEndian.Uint32(b)
			if b = b[4:]; int64(n) > int64(len(b)) {
				return nil, errEnds
			}
			size = int(n)
		}
		part := b[:size]
		b = b[size:]
		return newHybrid(part, bits.Len(uint(most)))
	}
	if c.reps, err = take(c.leaf.rep, reps); err != nil {
		return err
	}
	if c.defs, err = take(c.leaf.def, defs); err != nil {
		return err
	}
	c.vals, err = c.decoder(h.encoding, b)
	return err
}

// sized gives a buffer of n bytes, and counts it before it is made.
func (f *File) sized(buf []byte, n int) ([]byte, error) {
	if cap(buf) >= n {
		return buf[:n], nil
	}
	if err := f.count(n - cap(buf)); err != nil {
		return nil, err
	}
	return make([]byte, n), nil
}

// unpack reads a page into buf, or another one.
func (c *column) unpack(h *header, at int64, buf []byte) ([]byte, error) {
	buf, err := c.f.sized(buf, h.plain)
	if err != nil {
		return nil, err
	}
	codec := c.codec(h)
	packed := buf
	if codec != 0 {
		if c.f.packed, err = c.f.sized(c.f.packed, h.packed); err != nil {
			return nil, err
		}
		packed = c.f.packed
	}
	if err := c.f.at(at, packed); err != nil {
		return nil, err
	}
	if h.checked && uint32(h.crc) != crc32.ChecksumIEEE(packed) {
		return nil, broken("a page is damaged: its checksum does not fit")
	}
	if codec == 0 {
		return buf, nil
	}
	levels := h.defBytes + h.repBytes // which are not packed
	copy(buf, packed[:levels])
	if err := c.f.inflate(codec, buf[levels:], packed[levels:]); err != nil {
		return nil, broken("a page cannot be unpacked: %w", err)
	}
	return buf, nil
}

// noEnd gives bytes that are not there another error than io.EOF, by which readers know that a file has ended as it should.
func noEnd(err, instead error) error {
	if errors.Is(err, io.EOF) {
		return instead
	}
	return err
}

var errUnpacked = errors.New("it has another size than its header says")

// inflate unpacks into exactly dst.
func (f *File) inflate(codec int, dst, src []byte) error {
	if len(dst) == 0 {
		return nil
	}
	switch codec {
	case 1:
		if n, err := snappy.DecodedLen(src); err != nil || n != len(dst) {
			return errors.Join(err, errUnpacked)
		}
		_, err := snappy.Decode(dst, src)
		return err
	case 2:
		z, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return noEnd(err, errShort)
		}
		if _, err := io.ReadFull(z, dst); err != nil {
			return noEnd(err, errShort)
		}
		if _, err := io.ReadFull(z, make([]byte, 1)); err != io.EOF { // the checksum is read here
			return errors.Join(err, errUnpacked)
		}
		return nil
	}
	if f.zstd == nil {
		var err error
		if f.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(f.most.open)), zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecodeAllCapLimit(true)); err != nil {
			return err
		}
	}
	out, err := f.zstd.DecodeAll(src, dst[:0:len(dst)])
	if err == nil && len(out) != len(dst) {
		err = errUnpacked
	}
	return err
}
