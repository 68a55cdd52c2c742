package jsondoc

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
	"sync"
)

// AppendCanonical appends v in canonical form: members sorted by the bytes of their names, numbers reduced to their value
// (1.50, 1.5 and 15e-1 are all 1.5), strings with the least escaping, no spaces. Two values have one canonical form if
// and only if they are Equal. Missing appends as null.
func AppendCanonical(dst []byte, v Value) []byte {
	c := canons.Get().(*canon)
	dst = c.append(dst, v)
	c.release()
	return dst
}

// canon is the scratch of one canonical run: the members of the objects that are open, used as a stack.
type canon struct {
	members []member
	buf     []byte
}

type member struct {
	name  []byte
	value Value
}

var canons = sync.Pool{New: func() any { return new(canon) }}

func (c *canon) append(dst []byte, v Value) []byte {
	switch v.Kind() {
	case Bool, Null:
		return append(dst, v.Raw()...)
	case Number:
		return appendNumber(dst, v.Raw())
	case String:
		return appendText(dst, v)
	case Array:
		dst = append(dst, '[')
		first := true
		for e := v.Cursor(); e.Next(); first = false {
			if !first {
				dst = append(dst, ',')
			}
			dst = c.append(dst, e.Value())
		}
		return append(dst, ']')
	case Object:
		return c.appendObject(dst, v)
	}
	return append(dst, "null"...)
}

func (c *canon) appendObject(dst []byte, v Value) []byte {
	base := len(c.members)
	for m := v.Cursor(); m.Next(); {
		c.members = append(c.members, member{nameBytes(v.d.b, m.NameValue().node()), m.Value()})
	}
	slices.SortFunc(c.members[base:], func(a, b member) int { return bytes.Compare(a.name, b.name) })
	dst = append(dst, '{')
	for i, end := base, len(c.members); i < end; i++ {
		if i > base {
			dst = append(dst, ',')
		}
		name := Value{v.d, c.members[i].value.i - 1}
		dst = append(appendText(dst, name), ':')
		dst = c.append(dst, c.members[i].value)
	}
	c.members = c.members[:base]
	return append(dst, '}')
}

// appendText copies a string that has no escapes, and writes any other anew: the same text may be escaped in many ways.
func appendText(dst []byte, v Value) []byte {
	if v.node().escaped() {
		return AppendString(dst, v.Str())
	}
	return append(dst, v.Raw()...)
}

// plainZeros is how many zeros a canonical number may have between its digits and the point; beyond, it is written with
// an exponent, so that 1e400 does not become 401 bytes.
const plainZeros = 20

// appendNumber writes a number's value: plain where that is short, as digits and exponent otherwise.
func appendNumber(dst, raw []byte) []byte {
	neg := raw[0] == '-'
	if neg {
		raw = raw[1:]
	}
	var space [128]byte
	digits, exp := space[:0], 0
	for i, c := range raw {
		switch {
		case c-'0' <= 9:
			if c != '0' || len(digits) > 0 {
				digits = append(digits, c)
			}
			continue
		case c == '.':
			// What stands behind the point is counted when the exponent, if any, has been found.
			frac := raw[i+1:]
			if e := bytes.IndexAny(frac, "eE"); e >= 0 {
				frac = frac[:e]
			}
			exp -= len(frac)
			continue
		}
		n, _ := strconv.Atoi(string(raw[i+1:])) // bounded when parsed
		exp += n
		break
	}
	return appendReduced(dst, digits, exp, neg)
}

func appendReduced(dst, digits []byte, exp int, neg bool) []byte {
	for len(digits) > 0 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
		exp++
	}
	if len(digits) == 0 {
		return append(dst, '0')
	}
	if neg {
		dst = append(dst, '-')
	}
	switch point := len(digits) + exp; {
	case exp >= 0 && exp <= plainZeros:
		return appendZeros(append(dst, digits...), exp)
	case exp < 0 && point > 0:
		dst = append(append(dst, digits[:point]...), '.')
		return append(dst, digits[point:]...)
	case exp < 0 && -point <= plainZeros:
		return append(appendZeros(append(dst, '0', '.'), -point), digits...)
	}
	return strconv.AppendInt(append(append(dst, digits...), 'e'), int64(exp), 10)
}

func appendZeros(dst []byte, n int) []byte {
	for ; n > 0; n-- {
		dst = append(dst, '0')
	}
	return dst
}

// Hash is the SHA-256 of v's canonical form: equal for equal values, however they are written.
func Hash(v Value) [32]byte {
	c := canons.Get().(*canon)
	c.buf = c.append(c.buf[:0], v)
	h := sha256.Sum256(c.buf)
	c.release()
	return h
}

// FieldHashes gives, for each member of the object v, the first 8 bytes of the SHA-256 of its canonical form. Members
// named in ignore are left out, and those that are null: null and absent are the same. Empty when v is no object.
func FieldHashes(v Value, ignore []string) map[string]uint64 {
	hashes := make(map[string]uint64, v.Len())
	if v.Kind() != Object {
		return hashes
	}
	c := canons.Get().(*canon)
	for m := v.Cursor(); m.Next(); {
		if !m.Value().Exists() {
			continue
		}
		name := m.Name()
		if slices.Contains(ignore, name) {
			continue
		}
		c.buf = c.append(c.buf[:0], m.Value())
		h := sha256.Sum256(c.buf)
		hashes[name] = binary.BigEndian.Uint64(h[:8])
	}
	c.release()
	return hashes
}

func (c *canon) release() {
	if cap(c.buf) > 1<<20 {
		c.buf = nil
	}
	if cap(c.members) > 1<<14 {
		c.members = nil
	}
	clear(c.members[:cap(c.members)]) // let go of the documents
	c.members, c.buf = c.members[:0], c.buf[:0]
	canons.Put(c)
}

// Equal reports whether v and w are the same value: numbers by value, objects whatever their order, strings whatever
// their escapes. Missing equals only Missing.
func (v Value) Equal(w Value) bool {
	k := v.Kind()
	if k != w.Kind() {
		return false
	}
	switch k {
	case Missing, Null:
		return true
	case Bool:
		return v.Bool() == w.Bool()
	case Number:
		if bytes.Equal(v.Raw(), w.Raw()) {
			return true
		}
		var a, b [64]byte
		return bytes.Equal(appendNumber(a[:0], v.Raw()), appendNumber(b[:0], w.Raw()))
	case String:
		a, ea := v.StrBytes()
		b, eb := w.StrBytes()
		if !ea && !eb {
			return bytes.Equal(a, b)
		}
		return v.Str() == w.Str()
	}
	if v.Len() != w.Len() {
		return false
	}
	if k == Array {
		b := w.Cursor()
		for a := v.Cursor(); a.Next() && b.Next(); {
			if !a.Value().Equal(b.Value()) {
				return false
			}
		}
		return true
	}
	if v.Len() > linearNames {
		// Looking up each name by itself would take time in the square of the members.
		return bytes.Equal(AppendCanonical(nil, v), AppendCanonical(nil, w))
	}
	for a := v.Cursor(); a.Next(); {
		if !a.Value().Equal(w.Get(a.Name())) {
			return false
		}
	}
	return true
}
