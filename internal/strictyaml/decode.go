package strictyaml

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Unmarshaler is implemented, on the pointer, by types that read themselves. Problems go to p; there is nothing to return.
type Unmarshaler interface {
	UnmarshalNode(n Node, p *Problems)
}

// Decode fills what into points to and reports whether it did so without a problem; every problem is added to p. A
// missing node leaves the target as it is, so that defaults are set before.
//
// A struct's fields are those with a tag `yaml:"name"`, or `yaml:"name,required"`; `yaml:",inline"` takes in the fields of an
// embedded struct. Keys that no field has are a problem. Supported are string, bool (true and false only), whole numbers,
// time.Duration ("10m", "7d"), slices, maps with string keys, structs, pointers, Node (as it stands), Secret, Size, Rate and
// every Unmarshaler. There are no floats: codes and money are text. References ${env:…} and ${file:…} are filled in
// inside every text but a Node's.
func (n Node) Decode(into any, p *Problems) bool {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic(fmt.Sprintf("strictyaml: Decode into %T: want a pointer", into))
	}
	if p == nil {
		p = &Problems{}
	}
	before := p.Len()
	n.decode(v.Elem(), p)
	return p.Len() == before
}

var (
	nodeType     = reflect.TypeFor[Node]()
	durationType = reflect.TypeFor[time.Duration]()
)

func (n Node) decode(v reflect.Value, p *Problems) {
	if n.Kind() == Missing {
		return
	}
	if v.Type() == nodeType {
		v.Set(reflect.ValueOf(n))
		return
	}
	if v.CanAddr() {
		if u, ok := v.Addr().Interface().(Unmarshaler); ok {
			u.UnmarshalNode(n, p)
			return
		}
	}
	if v.Type() == durationType {
		n.decodeDuration(v, p)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		n.decode(v.Elem(), p)
	case reflect.String:
		if text, _, ok := n.resolve(p); ok {
			v.SetString(text)
		}
	case reflect.Bool:
		n.decodeBool(v, p)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n.decodeInt(v, p)
	case reflect.Slice:
		n.decodeSlice(v, p)
	case reflect.Map:
		n.decodeMap(v, p)
	case reflect.Struct:
		n.decodeStruct(v, p)
	default:
		panic(fmt.Sprintf("strictyaml: Decode does not know %s", v.Type()))
	}
}

func (n Node) decodeBool(v reflect.Value, p *Problems) {
	text, _, ok := n.resolve(p)
	if !ok {
		return
	}
	if n.Quoted() && !strings.Contains(n.n.text, "${") {
		p.AddHint(n.Pos(), "leave the quotes out", "%sexpected true or false, found text in quotes", n.label())
		return
	}
	switch text {
	case "true", "false":
		v.SetBool(text == "true")
	default:
		p.AddHint(n.Pos(), boolHint(text), "%sexpected true or false, found %q", n.label(), shorten(text))
	}
}

func boolHint(text string) string {
	switch strings.ToLower(text) {
	case "yes", "y", "on", "true", "1":
		return "write true"
	case "no", "n", "off", "false", "0":
		return "write false"
	}
	return ""
}

func (n Node) decodeInt(v reflect.Value, p *Problems) {
	text, _, ok := n.resolve(p)
	if !ok {
		return
	}
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" || len(digits) > 1 && digits[0] == '0' {
		p.AddHint(n.Pos(), "write decimal digits only", "%sexpected a whole number, found %q", n.label(), shorten(text))
		return
	}
	i, err := strconv.ParseInt(text, 10, 64)
	if err != nil || v.OverflowInt(i) {
		p.Add(n.Pos(), "%sthe number %s is too large", n.label(), shorten(text))
		return
	}
	v.SetInt(i)
}

func (n Node) decodeDuration(v reflect.Value, p *Problems) {
	text, _, ok := n.resolve(p)
	if !ok {
		return
	}
	d, err := ParseDuration(text)
	if err != nil {
		hint := "write a number with a unit: 200ms, 30s, 10m, 2h, 7d"
		if text != "" && strings.Trim(text, "0123456789") == "" {
			hint = "the unit is missing: write for example " + text + "s or " + text + "m"
		}
		p.AddHint(n.Pos(), hint, "%s%s", n.label(), err)
		return
	}
	v.SetInt(int64(d))
}

func (n Node) decodeSlice(v reflect.Value, p *Problems) {
	if !n.want(List, v.Type(), p) {
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.n.items), len(n.n.items))
	for i, item := range n.n.items {
		item.decode(out.Index(i), p)
	}
	v.Set(out)
}

func (n Node) decodeMap(v reflect.Value, p *Problems) {
	if v.Type().Key().Kind() != reflect.String {
		panic(fmt.Sprintf("strictyaml: Decode does not know %s: want string keys", v.Type()))
	}
	if !n.want(Map, v.Type(), p) {
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.n.fields))
	for _, f := range n.n.fields {
		value := reflect.New(v.Type().Elem()).Elem()
		f.Value.decode(value, p)
		out.SetMapIndex(reflect.ValueOf(f.Key).Convert(v.Type().Key()), value)
	}
	v.Set(out)
}

type structField struct {
	name     string
	required bool
	index    []int
}

// fieldsOf lists a struct's tagged fields. Types are few and files are read seldom, so that nothing is cached.
func fieldsOf(t reflect.Type, prefix []int) []structField {
	var out []structField
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("yaml")
		if !ok || tag == "-" {
			continue
		}
		index := append(append([]int(nil), prefix...), i)
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case options == "inline":
			out = append(out, fieldsOf(f.Type, index)...)
		case name == "" || !f.IsExported():
			panic(fmt.Sprintf("strictyaml: field %s.%s cannot be decoded", t, f.Name))
		default:
			out = append(out, structField{name, options == "required", index})
		}
	}
	return out
}

func (n Node) decodeStruct(v reflect.Value, p *Problems) {
	if !n.want(Map, v.Type(), p) {
		return
	}
	fields := fieldsOf(v.Type(), nil)
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	n.Known(p, names...)
	for _, f := range fields {
		value := n.Get(f.name)
		if f.required && value.Kind() == Missing {
			p.Add(n.Pos(), "%s%q is missing", n.label(), f.name)
			continue
		}
		value.decode(v.FieldByIndex(f.index), p)
	}
}

// label begins a message with the key that the node stands under.
func (n Node) label() string {
	if key := n.Key(); key != "" {
		return shorten(key) + ": "
	}
	return ""
}

// want reports whether the node is of the kind that a type is read from.
func (n Node) want(k Kind, t reflect.Type, p *Problems) bool {
	if n.Kind() == k {
		return true
	}
	if n.Kind() == Null {
		p.AddHint(n.Pos(), "give it "+k.String()+", or remove the key", "%sthere is no value", n.label())
		return false
	}
	hint := ""
	switch form := shape(t); {
	case n.Kind() == Scalar && k == Map && n.n.style == plain && lostSpace(n.n.text):
		hint = "put a space after the colon"
	case form != "":
		hint = "write " + form
	case n.Kind() == Scalar && n.n.trap != "":
		hint = n.n.trap
	case n.Kind() == Scalar && k == List:
		hint = "write [" + shorten(n.n.text) + "]"
	}
	p.AddHint(n.Pos(), hint, "%sexpected %s, found %s", n.label(), k, n.Kind())
	return false
}

// shape shows how what a struct, or a list of structs, must have is written; empty for other types, and where nothing must be there.
func shape(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		return shape(t.Elem())
	}
	if _, itself := reflect.New(t).Interface().(Unmarshaler); itself {
		return ""
	}
	switch t.Kind() {
	case reflect.Slice:
		if of := shape(t.Elem()); of != "" {
			return "[" + of + "]"
		}
	case reflect.Struct:
		if t == nodeType {
			return ""
		}
		var must []string
		for _, f := range fieldsOf(t, nil) {
			if f.required {
				must = append(must, f.name+": …")
			}
		}
		if len(must) > 0 {
			return "{" + strings.Join(must, ", ") + "}"
		}
	}
	return ""
}

func (n Node) wantScalar(p *Problems, what string) bool {
	switch n.Kind() {
	case Scalar:
		return true
	case Null:
		p.AddHint(n.Pos(), "give it a value, or remove the key", "%sthere is no value", n.label())
	default:
		p.AddHint(n.Pos(), "", "%sexpected %s, found %s", n.label(), what, n.Kind())
	}
	return false
}
