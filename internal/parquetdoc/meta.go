package parquetdoc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// limits are the bounds by which a file is judged.
type limits struct {
	footer, fields, header int
	open                   int // what is held at once: a page and a dictionary of each column, and one page as it is stored
	rows, values           int64
}

// MostMemory is how many bytes may be allowed to pages that are open at once.
const MostMemory = 2 << 30

// File is a Parquet file that is being read.
type File struct {
	in   io.ReadSeeker
	most limits

	end    int64 // where data ends, and the footer begins
	footer []byte
	groups []int // where row groups stand in it
	root   *node
	leaves []*Leaf
	rows   int64

	group  int   // the next one
	left   int64 // rows of the group that are not read yet
	cols   []*column
	open   int           // bytes that are unpacked
	packed []byte        // a page as it is stored
	zstd   *zstd.Decoder // made when a page needs it; it has no goroutines
	broken error
	row
}

var magic = []byte("PAR1")

// Open reads and judges the footer of a file of so many bytes, whose pages may take so many bytes of memory at once. An *Error says that it is none; another error is of the reading.
func Open(in io.ReadSeeker, size int64, memory int) (*File, error) {
	return open(in, size, limits{footer: mostFooter, fields: mostFields, header: mostHeader, open: memory, rows: mostRows, values: mostValues})
}

func open(in io.ReadSeeker, size int64, most limits) (*File, error) {
	f := &File{in: in, most: most}
	tail := make([]byte, 8)
	if size < int64(len(magic)+len(tail)) {
		return nil, broken("it has %d bytes, and no Parquet file has less than %d", size, len(magic)+len(tail))
	}
	if err := f.at(0, tail[:4]); err != nil {
		return nil, err
	}
	if !bytes.Equal(tail[:4], magic) {
		return nil, broken("it does not begin with PAR1")
	}
	if err := f.at(size-int64(len(tail)), tail); err != nil {
		return nil, err
	}
	switch {
	case string(tail[4:]) == "PARE":
		return nil, broken("its footer is encrypted: write it without encryption")
	case !bytes.Equal(tail[4:], magic):
		return nil, broken("it does not end with PAR1: it is not there as a whole")
	}
	n := int64(binary.LittleEndian.Uint32(tail))
	if f.end = size - int64(len(tail)) - n; f.end < int64(len(magic)) {
		return nil, broken("its footer has %d bytes, and the file %d", n, size)
	}
	if n > int64(f.most.footer) {
		return nil, broken("its footer has %d bytes, which are more than %d: write fewer row groups", n, f.most.footer)
	}
	f.footer = make([]byte, n)
	if err := f.at(f.end, f.footer); err != nil {
		return nil, err
	}
	if err := f.judge(); err != nil {
		return nil, broken("its footer cannot be read: %w", err)
	}
	return f, nil
}

// at reads bytes from a place.
func (f *File) at(offset int64, b []byte) error {
	if _, err := f.in.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	_, err := io.ReadFull(f.in, b)
	return noEnd(err, io.ErrUnexpectedEOF) // it is shorter than it was
}

// Leaves are the columns.
func (f *File) Leaves() []*Leaf { return f.leaves }

// Rows is how many the footer says that there are.
func (f *File) Rows() int64 { return f.rows }

// judge reads the footer: the schema is kept, row groups are read again when their turn comes.
func (f *File) judge() error {
	c := &cursor{b: f.footer}
	var all []element
	var err error
	c.fields(thriftStruct, func(id int64, typ byte) {
		switch id {
		case 2:
			c.list(typ, func(typ byte) {
				if all = append(all, c.element(typ)); len(all) > f.most.fields {
					c.fail(fmt.Errorf("it has more than %d columns", f.most.fields))
				}
			})
		case 3:
			f.rows = c.count(typ)
		case 4:
			c.list(typ, func(typ byte) {
				f.groups = append(f.groups, c.at)
				c.skip(typ, true)
			})
		case 8:
			c.fail(errors.New("the file is encrypted: write it without encryption"))
		default:
			c.skip(typ, false)
		}
	})
	if c.err != nil {
		return c.err
	}
	if f.root, f.leaves, err = newSchema(all); err != nil {
		return err
	}
	if f.rows > f.most.rows {
		return fmt.Errorf("it has %d rows, which are more than %d: write several files", f.rows, f.most.rows)
	}
	var rows, values, packed int64
	for i := range f.groups {
		g, err := f.rowGroup(i)
		if err != nil {
			return fmt.Errorf("row group %d: %w", i+1, err)
		}
		rows += g.rows // each is within mostValues
		for k := range g.chunks {
			values += g.chunks[k].values
			packed += g.chunks[k].size
		}
		if values > f.most.values {
			return fmt.Errorf("it has more than %d values in its columns: write several files", f.most.values)
		}
	}
	if rows != f.rows {
		return fmt.Errorf("it says that there are %d rows, and its row groups have %d", f.rows, rows)
	}
	if packed > f.end {
		return errors.New("its columns have more bytes than the file")
	}
	return nil
}

// count is a number of rows, values or bytes.
func (c *cursor) count(typ byte) int64 {
	n := c.int(typ)
	if n < 0 {
		c.fail(fmt.Errorf("%d is below 0", n))
	}
	return n
}

type rowGroup struct {
	rows   int64
	chunks []chunk
}

// chunk is where the values of a column lie.
type chunk struct {
	phys, codec      int
	values           int64
	start, size      int64
	data, dictionary int64
}

func (f *File) rowGroup(i int) (*rowGroup, error) {
	c := &cursor{b: f.footer, at: f.groups[i]}
	g := &rowGroup{}
	c.fields(thriftStruct, func(id int64, typ byte) {
		switch id {
		case 1:
			c.list(typ, func(typ byte) {
				if len(g.chunks) == len(f.leaves) {
					c.fail(fmt.Errorf("it has more columns than the schema, which has %d", len(f.leaves)))
					return
				}
				g.chunks = append(g.chunks, c.chunk(typ))
			})
		case 3:
			g.rows = c.count(typ)
		default:
			c.skip(typ, false)
		}
	})
	if c.err != nil {
		return nil, c.err
	}
	if len(g.chunks) != len(f.leaves) {
		return nil, fmt.Errorf("it has %d columns, and the schema %d", len(g.chunks), len(f.leaves))
	}
	for k := range g.chunks {
		if err := g.chunks[k].judge(f.leaves[k], g.rows, f); err != nil {
			return nil, fmt.Errorf("column %s: %w", f.leaves[k].path, err)
		}
	}
	return g, nil
}

func (c *cursor) chunk(typ byte) (k chunk) {
	c.fields(typ, func(id int64, typ byte) {
		switch id {
		case 1:
			if len(c.bytes(typ)) > 0 {
				c.fail(errors.New("its values lie in another file"))
			}
		case 3:
			c.fields(typ, func(id int64, typ byte) {
				switch id {
				case 1:
					k.phys = c.small(typ)
				case 4:
					k.codec = c.small(typ)
				case 5:
					k.values = c.count(typ)
				case 7:
					k.size = c.count(typ)
				case 9:
					k.data = c.count(typ)
				case 11:
					k.dictionary = c.count(typ)
				default:
					c.skip(typ, false)
				}
			})
		case 8, 9:
			c.fail(errors.New("a column is encrypted: write it without encryption"))
		default:
			c.skip(typ, false)
		}
	})
	return k
}

// codecs are those of which pages are unpacked.
var codecs = map[int]string{0: "none", 1: "snappy", 2: "gzip", 6: "zstd"}

var otherCodecs = map[int]string{3: "LZO", 4: "BROTLI", 5: "LZ4", 7: "LZ4_RAW"}

func (k *chunk) judge(l *Leaf, rows int64, f *File) error {
	if k.start = k.data; k.dictionary > 0 && k.dictionary < k.data {
		k.start = k.dictionary
	}
	switch {
	case k.phys != l.phys:
		return fmt.Errorf("its values have the physical type %d, and the schema says %d", k.phys, l.phys)
	case codecs[k.codec] == "":
		name := otherCodecs[k.codec]
		if name == "" {
			name = fmt.Sprint("number ", k.codec)
		}
		known := []string{"none", "snappy", "gzip", "zstd"}
		return fmt.Errorf("its pages are packed with %s, and %s are read", name, strings.Join(known, ", "))
	case k.values > f.most.values || rows > f.most.values:
		return fmt.Errorf("it has more than %d values: write several files", f.most.values)
	case k.values < rows || l.rep == 0 && k.values != rows:
		return fmt.Errorf("it has %d values for %d rows", k.values, rows)
	case k.start < int64(len(magic)) || k.size > f.end-k.start:
		return errors.New("its bytes lie outside of the file's data")
	}
	return nil
}
