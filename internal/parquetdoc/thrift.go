package parquetdoc

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Types of Thrift's compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
)

// mostNested is how many structures and lists may stand in each other in a footer or a page's header.
const mostNested = 32

var errShort = errors.New("it ends in the middle")

// cursor reads Thrift's compact protocol. Nothing is allocated by what the bytes claim, and what is longer than they are is an error where they end: each element of a list has a byte or more. The first error
// stays.
type cursor struct {
	b    []byte
	at   int
	deep int
	err  error
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *cursor) left() int { return len(c.b) - c.at }

func (c *cursor) byte() byte {
	if c.err != nil || c.left() < 1 {
		c.fail(errShort)
		return 0
	}
	c.at++
	return c.b[c.at-1]
}

func (c *cursor) uvarint() uint64 {
	if c.err != nil {
		return 0
	}
	n, size := binary.Uvarint(c.b[c.at:])
	switch {
	case size == 0:
		c.fail(errShort)
	case size < 0:
		c.fail(errors.New("a number has more than 64 bits"))
	default:
		c.at += size
	}
	return n
}

func (c *cursor) varint() int64 {
	n := c.uvarint()
	return int64(n>>1) ^ -int64(n&1)
}

// int is a whole number of any size.
func (c *cursor) int(typ byte) int64 {
	switch {
	case typ == thriftByte:
		return int64(int8(c.byte()))
	case typ > thriftByte && typ <= thriftI64:
		return c.varint()
	}
	c.fail(fmt.Errorf("a number is expected, and there is a value of type %d", typ))
	return 0
}

// bool is the value of a structure's field, whose type says it.
func (c *cursor) bool(typ byte) bool {
	if typ != thriftTrue && typ != thriftFalse {
		c.fail(fmt.Errorf("a truth value is expected, and there is a value of type %d", typ))
	}
	return typ == thriftTrue
}

func (c *cursor) bytes(typ byte) []byte {
	if typ != thriftBinary {
		c.fail(fmt.Errorf("a text is expected, and there is a value of type %d", typ))
	}
	return c.take(c.uvarint())
}

func (c *cursor) take(n uint64) []byte {
	if c.err == nil && n > uint64(c.left()) {
		c.fail(errShort)
	}
	if c.err != nil {
		return nil
	}
	c.at += int(n)
	return c.b[c.at-int(n) : c.at]
}

func (c *cursor) down() bool {
	if c.deep++; c.deep > mostNested {
		c.fail(fmt.Errorf("more than %d structures stand in each other", mostNested))
	}
	return c.err == nil
}

// fields visits the fields of a structure; visit reads their values.
func (c *cursor) fields(typ byte, visit func(id int64, typ byte)) {
	if typ != thriftStruct {
		c.fail(fmt.Errorf("a structure is expected, and there is a value of type %d", typ))
	}
	defer func() { c.deep-- }()
	if !c.down() {
		return
	}
	id := int64(0)
	for c.err == nil {
		head := c.byte()
		if head == 0 || c.err != nil {
			return
		}
		if delta := head >> 4; delta != 0 {
			id += int64(delta)
		} else {
			id = c.varint()
		}
		visit(id, head&15)
	}
}

// list visits the elements of a list; visit reads them.
func (c *cursor) list(typ byte, visit func(typ byte)) {
	if typ != thriftList && typ != thriftSet {
		c.fail(fmt.Errorf("a list is expected, and there is a value of type %d", typ))
	}
	defer func() { c.deep-- }()
	if !c.down() {
		return
	}
	head := c.byte()
	n := uint64(head >> 4)
	if n == 15 {
		n = c.uvarint()
	}
	for ; n > 0 && c.err == nil; n-- {
		visit(head & 15)
	}
}

// skip passes over a value; within: it is an element, and a truth value has a byte of its own.
func (c *cursor) skip(typ byte, within bool) {
	switch typ {
	case thriftTrue, thriftFalse:
		if within {
			c.byte()
		}
	case thriftByte, thriftByte + 1, thriftByte + 2, thriftI64:
		c.int(typ)
	case thriftDouble:
		c.take(8)
	case thriftBinary:
		c.bytes(typ)
	case thriftList, thriftSet:
		c.list(typ, func(t byte) { c.skip(t, true) })
	case thriftMap:
		c.skipMap()
	case thriftStruct:
		c.fields(typ, func(_ int64, t byte) { c.skip(t, false) })
	default:
		c.fail(fmt.Errorf("there is no type %d", typ))
	}
}

func (c *cursor) skipMap() {
	defer func() { c.deep-- }()
	if !c.down() {
		return
	}
	n := c.uvarint()
	if n == 0 {
		return
	}
	types := c.byte()
	for ; n > 0 && c.err == nil; n-- {
		c.skip(types>>4, true)
		c.skip(types&15, true)
	}
}
