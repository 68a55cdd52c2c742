// Package jsondoc holds a JSON document parsed once into a flat list of nodes over its own bytes. Nothing is copied
// and nothing is converted until somebody asks: a value that is merely passed on is passed on as bytes. Numbers are
// exact decimals; the canonical form gives equal documents equal hashes.
package jsondoc

import (
	"fmt"
	"sync"
	"unicode/utf8"
)

// Limits bound what Parse accepts. A zero field means its default.
type Limits struct {
	// Bytes is the greatest length of a document in bytes; default 10 MiB.
	Bytes int
	// Depth is how deep objects and arrays may nest; default 64, at most 10,000.
	Depth int
	// Nodes bounds values plus member names; default 1,000,000, at most 16,777,215.
	Nodes int
	// NumberLen is the greatest length of a number as written, in bytes; default 128, at most 1,024.
	NumberLen int
	// Exponent bounds the written exponent of a number on both sides of zero; default 400, at most 1,000.
	Exponent int
}

// Defaults of Limits, and the most that each field can be set to.
const (
	DefaultBytes     = 10 << 20
	DefaultDepth     = 64
	DefaultNodes     = 1_000_000
	DefaultNumberLen = 128
	DefaultExponent  = 400

	maxBytes     = 1<<31 - 1
	maxDepth     = 10_000
	maxNodes     = 1<<24 - 1
	maxNumberLen = 1_024
	maxExponent  = 1_000
)

func (l Limits) resolved() Limits {
	return Limits{
		Bytes:     bound(l.Bytes, DefaultBytes, maxBytes),
		Depth:     bound(l.Depth, DefaultDepth, maxDepth),
		Nodes:     bound(l.Nodes, DefaultNodes, maxNodes),
		NumberLen: bound(l.NumberLen, DefaultNumberLen, maxNumberLen),
		Exponent:  bound(l.Exponent, DefaultExponent, maxExponent),
	}
}

func bound(n, def, limit int) int {
	if n <= 0 {
		return def
	}
	return min(n, limit)
}

// SyntaxError says why bytes are no acceptable JSON document, and where.
type SyntaxError struct {
	// Offset counts bytes from 0; Line and Col count lines and characters from 1.
	Offset, Line, Col int
	Msg               string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Col, e.Msg)
}

// node is one value or member name: 16 bytes. An object's members follow it as name, value, name, value, …; an array's
// elements follow it. next is the index behind the node's whole subtree.
type node struct {
	start, end uint32 // the value's bytes, quotes included
	next       uint32
	meta       uint32 // kind in bits 0–3, flagEscaped in bit 4, count of members or elements from bit 8
}

const (
	kindMask    = 0x0f
	flagEscaped = 0x10 // a string that holds at least one backslash
	countShift  = 8
)

func (n *node) kind() Kind    { return Kind(n.meta & kindMask) }
func (n *node) escaped() bool { return n.meta&flagEscaped != 0 }
func (n *node) count() int    { return int(n.meta >> countShift) }

// nodeEach is about how many bytes of a document there are for a value or name, foreseen for how many of them room is made at first.
const (
	nodeEach = 8
	foreseen = 1024
)

// Doc is a parsed document. It keeps the bytes it was given; they must not change while the Doc is in use. A Doc may be
// read by several goroutines at once; Reset must not run meanwhile.
type Doc struct {
	b     []byte
	nodes []node
	stack []frame
	seen  []uint32 // scratch for the search of duplicate names in large objects
}

// Parse reads one document strictly: nothing may follow it, names in an object are unique, text is valid UTF-8. The
// error is a *SyntaxError. b is kept, not copied.
func Parse(b []byte, l Limits) (*Doc, error) {
	d := &Doc{nodes: make([]node, 0, min(len(b)/nodeEach+1, foreseen))}
	if err := d.Reset(b, l); err != nil {
		return nil, err
	}
	return d, nil
}

// Reset parses b in place of what d held, with d's memory. All Values of the former document become invalid. After an
// error d is empty: its Root is Missing.
func (d *Doc) Reset(b []byte, l Limits) error {
	l = l.resolved()
	d.b, d.nodes, d.stack = b, d.nodes[:0], d.stack[:0]
	if len(b) > l.Bytes {
		d.b = nil
		return &SyntaxError{Line: 1, Col: 1, Msg: fmt.Sprintf("the document has %d bytes; at most %d are allowed", len(b), l.Bytes)}
	}
	if p := d.parse(b, &l); p.msg != "" {
		d.nodes = d.nodes[:0]
		line, col := d.LineCol(p.at)
		d.b = nil
		return &SyntaxError{Offset: p.at, Line: line, Col: col, Msg: p.msg}
	}
	return nil
}

// Root is the document's value; Missing for a Doc that holds no document.
func (d *Doc) Root() Value {
	if d == nil || len(d.nodes) == 0 {
		return Value{}
	}
	return Value{d, 0}
}

// Bytes are the bytes that were parsed.
func (d *Doc) Bytes() []byte { return d.b }

// LineCol turns a byte offset into a line and a column, both from 1; the column counts characters.
func (d *Doc) LineCol(offset int) (line, col int) {
	b := d.b[:min(max(offset, 0), len(d.b))]
	line, start := 1, 0
	for i, c := range b {
		if c == '\n' {
			line, start = line+1, i+1
		}
	}
	return line, utf8.RuneCount(b[start:]) + 1
}

var pool = sync.Pool{New: func() any { return new(Doc) }}

// Get takes an empty Doc from a pool; give it back with Put.
func Get() *Doc { return pool.Get().(*Doc) }

// Put gives d back. Neither d nor a Value of it may be used afterwards.
func Put(d *Doc) {
	if d == nil || cap(d.nodes) > 1<<16 || cap(d.seen) > 1<<16 {
		return // an unusually large document must not keep its memory for ever
	}
	d.b, d.nodes, d.stack = nil, d.nodes[:0], d.stack[:0]
	pool.Put(d)
}
