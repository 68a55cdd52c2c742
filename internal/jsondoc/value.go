package jsondoc

import (
	"encoding/json"
	"iter"
	"strings"
)

// Kind is what a value is.
type Kind uint8

// The kinds of values. Missing is the kind of the zero Value: what Get gives for a name that is not there.
const (
	Missing Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

var kindNames = [...]string{"missing", "null", "boolean", "number", "string", "array", "object"}

// String is the kind's name as JSON Schema writes it, or "missing".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Value is one value in a Doc: small, to be copied, and valid until the Doc is reset. The zero Value is Missing, and
// every method may be called on it.
type Value struct {
	d *Doc
	i uint32
}

func (v Value) node() *node { return &v.d.nodes[v.i] }

// Kind is what the value is.
func (v Value) Kind() Kind {
	if v.d == nil {
		return Missing
	}
	return v.node().kind()
}

// Exists reports whether the value is there and not null.
func (v Value) Exists() bool { return v.Kind() > Null }

// Raw are the value's bytes as they stand in the document; nil when Missing. They must not be changed.
func (v Value) Raw() []byte {
	if v.d == nil {
		return nil
	}
	n := v.node()
	return v.d.b[n.start:n.end:n.end]
}

// Offset is where the value's bytes begin in the document; -1 when Missing.
func (v Value) Offset() int {
	if v.d == nil {
		return -1
	}
	return int(v.node().start)
}

// Bool is the value of a boolean; false for everything else.
func (v Value) Bool() bool {
	return v.Kind() == Bool && v.d.b[v.node().start] == 't'
}

// Truthy reports whether the value is anything but absent, null, false, 0 and "".
func (v Value) Truthy() bool {
	switch v.Kind() {
	case Missing, Null:
		return false
	case Bool:
		return v.Bool()
	case Number:
		d, err := v.Decimal()
		return err != nil || d.Sign() != 0
	case String:
		return v.Str() != ""
	}
	return true
}

// Str is a string's text, decoded; "" when the value is no string.
func (v Value) Str() string {
	b, escaped := v.StrBytes()
	if escaped {
		return string(appendUnescaped(make([]byte, 0, len(b)), b))
	}
	return string(b)
}

// AppendStr appends a string's text, decoded, to dst.
func (v Value) AppendStr(dst []byte) []byte {
	b, escaped := v.StrBytes()
	if escaped {
		return appendUnescaped(dst, b)
	}
	return append(dst, b...)
}

// StrBytes are the bytes between a string's quotes as they stand in the document: the text itself unless escaped. nil
// when the value is no string.
func (v Value) StrBytes() (b []byte, escaped bool) {
	if v.Kind() != String {
		return nil, false
	}
	n := v.node()
	return v.d.b[n.start+1 : n.end-1 : n.end-1], n.escaped()
}

// Decimal is a number's exact value. The error wraps ErrSyntax when the value is no number.
func (v Value) Decimal() (Decimal, error) {
	if v.Kind() != Number {
		return Decimal{}, notNumber(v.Kind())
	}
	return parseDecimal(v.Raw(), maxNumberLen, maxExponent)
}

// Len is the count of an array's elements or an object's members; 0 for everything else.
func (v Value) Len() int {
	if v.Kind() < Array {
		return 0
	}
	return v.node().count()
}

// Get is the member of that name; Missing when there is none or the value is no object.
func (v Value) Get(name string) Value {
	if v.Kind() != Object {
		return Value{}
	}
	nodes, b := v.d.nodes, v.d.b
	end := nodes[v.i].next
	for k := v.i + 1; k < end; k = nodes[k+1].next {
		n := &nodes[k]
		if n.escaped() {
			if string(nameBytes(b, n)) == name {
				return Value{v.d, k + 1}
			}
		} else if int(n.end-n.start) == len(name)+2 && string(b[n.start+1:n.end-1]) == name {
			return Value{v.d, k + 1}
		}
	}
	return Value{}
}

// GetPath follows member names separated by dots: GetPath("customer.id"). Missing as soon as a step is.
func (v Value) GetPath(path string) Value {
	for v.d != nil {
		name, rest, more := strings.Cut(path, ".")
		v = v.Get(name)
		if !more {
			break
		}
		path = rest
	}
	return v
}

// Index is the element at i, from 0; Missing beyond the end, or when the value is no array. It counts from the front: to
// visit all elements use Elements or a Cursor.
func (v Value) Index(i int) Value {
	if v.Kind() != Array || i < 0 || i >= v.Len() {
		return Value{}
	}
	k := v.i + 1
	for ; i > 0; i-- {
		k = v.d.nodes[k].next
	}
	return Value{v.d, k}
}

// Members visits an object's members in the document's order.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if v.Kind() != Object {
			return
		}
		for c := v.Cursor(); c.Next(); {
			if !yield(c.Name(), c.Value()) {
				return
			}
		}
	}
}

// Size is how many values and names the value consists of, itself counted; 0 for Missing.
func (v Value) Size() int {
	if v.d == nil {
		return 0
	}
	return int(v.node().next - v.i)
}

// Within reports whether the value nests no more than depth arrays and objects, itself counted.
func (v Value) Within(depth int) bool {
	if v.Kind() < Array {
		return true
	}
	if depth <= 0 {
		return false
	}
	for c := v.Cursor(); c.Next(); {
		if !c.Value().Within(depth - 1) {
			return false
		}
	}
	return true
}

// Elements visits an array's elements in order.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Kind() != Array {
			return
		}
		for c := v.Cursor(); c.Next(); {
			if !yield(c.Value()) {
				return
			}
		}
	}
}

// Cursor visits an object's members or an array's elements without allocating:
//
//	for c := v.Cursor(); c.Next(); {
//		use(c.Value())
//	}
type Cursor struct {
	d         *Doc
	at        uint32 // node of the current value
	next, end uint32
	object    bool
}

// Cursor stands before the first member or element; it visits nothing when the value has none.
func (v Value) Cursor() Cursor {
	if v.Kind() < Array {
		return Cursor{}
	}
	n := v.node()
	return Cursor{d: v.d, next: v.i + 1, end: n.next, object: n.kind() == Object}
}

// Next moves on; false behind the last.
func (c *Cursor) Next() bool {
	if c.next >= c.end {
		return false
	}
	c.at = c.next
	if c.object {
		c.at++
	}
	c.next = c.d.nodes[c.at].next
	return true
}

// Value is the current member's value or the current element. Call it only after Next gave true.
func (c *Cursor) Value() Value { return Value{c.d, c.at} }

// NameValue is the current member's name as a string Value: its place and its bytes. Missing in an array.
func (c *Cursor) NameValue() Value {
	if !c.object {
		return Value{}
	}
	return Value{c.d, c.at - 1}
}

// Name is the current member's name, decoded; "" in an array.
func (c *Cursor) Name() string { return c.NameValue().Str() }

// Any is the value in Go's generic form: map[string]any, []any, json.Number, string, bool or nil.
func (v Value) Any() any {
	switch v.Kind() {
	case Bool:
		return v.Bool()
	case Number:
		return json.Number(v.Raw())
	case String:
		return v.Str()
	case Array:
		list := make([]any, 0, v.Len())
		for c := v.Cursor(); c.Next(); {
			list = append(list, c.Value().Any())
		}
		return list
	case Object:
		m := make(map[string]any, v.Len())
		for c := v.Cursor(); c.Next(); {
			m[c.Name()] = c.Value().Any()
		}
		return m
	}
	return nil
}
