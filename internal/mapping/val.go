package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// vkind is what a val holds.
type vkind uint8

const (
	vAbsent vkind = iota // not there, or null
	vDoc                 // doc: a value of a parsed document, never null
	vText                // s: decoded text
	vNum                 // dec
	vBool                // b
	vTree                // tree: []any or map[string]any, made by an expression
)

// val is a value on its way through the direct form of an expression. Text and documents are referred to, not copied; they
// live as long as the run.
type val struct {
	k     vkind
	b     bool
	clean bool // s needs no escaping in JSON
	doc   jsondoc.Value
	s     []byte
	dec   jsondoc.Decimal
	tree  any
}

// The forms of values in the expression library's machine and in functions: nil, bool, string, jsondoc.Decimal, []any and
// map[string]any.

func (v *val) setDoc(d jsondoc.Value) {
	if !d.Exists() {
		v.k = vAbsent
		return
	}
	v.k, v.doc = vDoc, d
}

func (v *val) setText(s []byte, clean bool) { v.k, v.s, v.clean = vText, s, clean }
func (v *val) setNum(d jsondoc.Decimal)     { v.k, v.dec = vNum, d }
func (v *val) setBool(b bool)               { v.k, v.b = vBool, b }

func (v *val) setAny(x any) {
	switch x := x.(type) {
	case nil:
		v.k = vAbsent
	case string:
		v.setText([]byte(x), false)
	case jsondoc.Decimal:
		v.setNum(x)
	case bool:
		v.setBool(x)
	default:
		v.k, v.tree = vTree, x
	}
}

// text gives the value as text; ok is false when it is none. Escaped text is decoded into the frame's arena.
func (v *val) text(f *frame) (s []byte, clean, ok bool) {
	switch v.k {
	case vText:
		return v.s, v.clean, true
	case vDoc:
		if v.doc.Kind() != jsondoc.String {
			return nil, false, false
		}
		b, escaped := v.doc.StrBytes()
		if !escaped {
			return b, true, true
		}
		from := len(f.arena)
		if f.made(len(b)); f.room < 0 {
			return nil, true, true // the expression fails for it
		}
		f.arena = v.doc.AppendStr(f.arena)
		return f.arena[from:len(f.arena):len(f.arena)], false, true
	}
	return nil, false, false
}

// number gives the value as a number; ok is false when it is none.
func (v *val) number() (d jsondoc.Decimal, ok bool, err error) {
	switch v.k {
	case vNum:
		return v.dec, true, nil
	case vDoc:
		if v.doc.Kind() != jsondoc.Number {
			return d, false, nil
		}
		d, err = v.doc.Decimal()
		return d, err == nil, err
	}
	return d, false, nil
}

// boolean gives the value as a boolean; ok is false when it is none.
func (v *val) boolean() (b, ok bool) {
	switch v.k {
	case vBool:
		return v.b, true
	case vDoc:
		return v.doc.Bool(), v.doc.Kind() == jsondoc.Bool
	}
	return false, false
}

// any gives the value as functions and the machine take it.
func (v *val) any(f *frame) (any, error) {
	switch v.k {
	case vText:
		f.made(len(v.s))
		return string(v.s), f.over()
	case vNum:
		return v.dec, nil
	case vBool:
		return v.b, nil
	case vTree:
		return v.tree, nil
	case vDoc:
		switch v.doc.Kind() {
		case jsondoc.Array, jsondoc.Object:
			return f.tree(v.doc)
		case jsondoc.String:
			if f.made(len(v.doc.Raw())); f.room < 0 {
				return nil, f.over()
			}
		}
		return fromDoc(v.doc)
	}
	return nil, nil
}

// fromDoc converts a document's value; null and missing give nil.
func fromDoc(d jsondoc.Value) (any, error) {
	switch d.Kind() {
	case jsondoc.String:
		return d.Str(), nil
	case jsondoc.Number:
		return d.Decimal()
	case jsondoc.Bool:
		return d.Bool(), nil
	case jsondoc.Array:
		list := make([]any, 0, d.Len())
		for c := d.Cursor(); c.Next(); {
			x, err := fromDoc(c.Value())
			if err != nil {
				return nil, err
			}
			list = append(list, x)
		}
		return list, nil
	case jsondoc.Object:
		m := make(map[string]any, d.Len())
		for c := d.Cursor(); c.Next(); {
			x, err := fromDoc(c.Value())
			if err != nil {
				return nil, err
			}
			m[c.Name()] = x
		}
		return m, nil
	}
	return nil, nil
}

// appendJSON appends the value as JSON. Values of documents are copied as bytes.
func (v *val) appendJSON(dst []byte, most int) ([]byte, error) {
	switch v.k {
	case vDoc:
		return append(dst, v.doc.Raw()...), nil
	case vText:
		if v.clean {
			dst = append(dst, '"')
			dst = append(dst, v.s...)
			return append(dst, '"'), nil
		}
		return appendText(dst, v.s), nil
	case vNum:
		return appendNumber(dst, v.dec)
	case vBool:
		if v.b {
			return append(dst, "true"...), nil
		}
		return append(dst, "false"...), nil
	case vTree:
		return appendTree(dst, v.tree, most)
	}
	return append(dst, "null"...), nil
}

func appendNumber(dst []byte, d jsondoc.Decimal) ([]byte, error) {
	if err := d.Err(); err != nil {
		return dst, err
	}
	return d.Append(dst), nil
}

// appendText appends decoded text as a JSON string.
func appendText(dst, s []byte) []byte {
	for _, c := range s {
		if c < 0x20 || c == '"' || c == '\\' || c >= 0x80 {
			return jsondoc.AppendString(dst, string(s))
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

var errLongTree = errors.New("the value is too long")

// appendTree appends a value that an expression made; members are sorted, so that the same value gives the same bytes, and
// absent members are left out. It ends when dst has grown beyond most bytes: such a value can hold another many times over.
func appendTree(dst []byte, x any, most int) ([]byte, error) {
	if len(dst) > most {
		return dst, errLongTree
	}
	switch x := x.(type) {
	case nil:
		return append(dst, "null"...), nil
	case string:
		return jsondoc.AppendString(dst, x), nil
	case bool:
		if x {
			return append(dst, "true"...), nil
		}
		return append(dst, "false"...), nil
	case jsondoc.Decimal:
		return appendNumber(dst, x)
	case []any:
		dst = append(dst, '[')
		for i, e := range x {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendTree(dst, e, most); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		names := make([]string, 0, len(x))
		for name, e := range x {
			if e != nil {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		dst = append(dst, '{')
		for i, name := range names {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(jsondoc.AppendString(dst, name), ':')
			var err error
			if dst, err = appendTree(dst, x[name], most); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	}
	return dst, fmt.Errorf("a value of type %T has no JSON form", x)
}

// plain gives a value as text for places where text is wanted: numbers without exponent, absent as "".
func plain(x any) (string, error) {
	switch x := x.(type) {
	case nil:
		return "", nil
	case string:
		return x, nil
	case jsondoc.Decimal:
		return x.String(), x.Err()
	case bool:
		if x {
			return "true", nil
		}
		return "false", nil
	}
	return "", errors.New(kindOf(x).a() + " has no text form")
}

// describe names a value and shows it, shortened: text "Ab…".
func describe(x any) string {
	switch x := x.(type) {
	case nil:
		return "nothing (absent or null)"
	case string:
		return "the text " + show(x)
	case jsondoc.Decimal:
		return "the number " + shorten(x.String())
	case bool:
		return fmt.Sprintf("the boolean %t", x)
	case []any:
		return fmt.Sprintf("a list of %d", len(x))
	case map[string]any:
		names := make([]string, 0, len(x))
		for name := range x {
			names = append(names, name)
		}
		slices.Sort(names)
		return "an object with " + shorten(strings.Join(names, ", "))
	}
	return fmt.Sprintf("%T", x)
}
