package bus

import (
	"encoding/binary"
	"errors"
)

// errShort: an answer ended before its own lengths said it would, or holds a length that cannot be.
var errShort = errors.New("malformed answer of the broker")

// wireReader reads Kafka's primitive types. After the first short read every further one gives zero, and err is set.
type wireReader struct {
	b   []byte
	err error
}

func (r *wireReader) take(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.b) {
		r.err, r.b = errShort, nil
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *wireReader) int8() int8 {
	if b := r.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (r *wireReader) int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *wireReader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *wireReader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// count reads the length of an array whose elements take at least size bytes each; null counts as empty.
func (r *wireReader) count(size int) int {
	n := int(r.int32())
	if n <= 0 {
		return 0
	}
	if n > len(r.b)/size {
		r.err, r.b = errShort, nil
		return 0
	}
	return n
}

// string reads a nullable string; null is "".
func (r *wireReader) string() string {
	n := int(r.int16())
	if n <= 0 {
		return ""
	}
	return string(r.take(n))
}

// bytes reads bytes after their length; null is nil.
func (r *wireReader) bytes() []byte {
	n := int(r.int32())
	if n <= 0 {
		return nil
	}
	if n > len(r.b) {
		r.err, r.b = errShort, nil
		return nil
	}
	return r.take(n)
}

func (r *wireReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if r.err != nil || n <= 0 {
		r.err, r.b = errShort, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// varint reads a zig-zag number.
func (r *wireReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if r.err != nil || n <= 0 {
		r.err, r.b = errShort, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// varbytes reads bytes after their zig-zag length; a negative length is nil.
func (r *wireReader) varbytes() []byte {
	n := r.varint()
	if n < 0 {
		return nil
	}
	if n > int64(len(r.b)) {
		r.err, r.b = errShort, nil
		return nil
	}
	return r.take(int(n))
}

// compactCount reads the length of a compact array; null counts as empty.
func (r *wireReader) compactCount() int {
	n := r.uvarint()
	if n <= 1 {
		return 0
	}
	if n-1 > uint64(len(r.b)) {
		r.err, r.b = errShort, nil
		return 0
	}
	return int(n - 1)
}

// compactString reads a compact nullable string; null is "".
func (r *wireReader) compactString() string {
	n := r.uvarint()
	if n <= 1 {
		return ""
	}
	if n-1 > uint64(len(r.b)) {
		r.err, r.b = errShort, nil
		return ""
	}
	return string(r.take(int(n - 1)))
}

// tags skips tagged fields.
func (r *wireReader) tags() {
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		r.uvarint()
		if size := r.uvarint(); size <= uint64(len(r.b)) {
			r.take(int(size))
		} else {
			r.err, r.b = errShort, nil
		}
	}
}

func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

func appendCompactString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)+1))
	return append(b, s...)
}

// appendVarbytes appends bytes after their zig-zag length; nil has length -1.
func appendVarbytes(b, v []byte) []byte {
	if v == nil {
		return append(b, 1)
	}
	b = binary.AppendVarint(b, int64(len(v)))
	return append(b, v...)
}

// varintLen is the number of bytes that v takes as a zig-zag number.
func varintLen(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	n := 1
	for u >= 0x80 {
		u >>= 7
		n++
	}
	return n
}
