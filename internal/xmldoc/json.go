package xmldoc

import (
	"bytes"
	"encoding/xml"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Shape says what XML does not show: which elements are lists even where there is one, and what a text is.
type Shape struct {
	// Lists are the dotted paths of elements that are always lists.
	Lists map[string]bool
	// Names are what elements are called in documents, by their local names; paths are made of these.
	Names map[string]string
	// Types are those of texts by their dotted path: decimal, integer or boolean. Paths go into lists without a number. What is none of its type stays a text.
	Types map[string]string
}

// Value types.
const (
	Decimal = "decimal"
	Integer = "integer"
	Boolean = "boolean"
)

// AppendJSON appends an element as JSON; path is where it stands, for the shape, which may be nil. An element with neither attributes nor children is a text, and
// null where xsi:nil says so; any other is an object of its children by their local names, or what shape calls these, and its attributes by @name, with #text where
// text stands beside them. Several children of a name are a list. Of children, and of attributes, that share a name but not a namespace each is called
// {namespace}name, so that none is taken for another.
func (e *Element) AppendJSON(dst []byte, path string, shape *Shape) []byte {
	if e.Nil() {
		return append(dst, "null"...)
	}
	attrs := e.shown()
	if len(e.Children) == 0 && len(attrs) == 0 {
		return shape.appendText(dst, path, string(e.Text))
	}
	dst = append(dst, '{')
	member := func(name string) {
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(jsondoc.AppendString(dst, name), ':')
	}
	spaces := mixed{}
	for _, a := range attrs {
		spaces.add(a.Name)
	}
	for _, a := range attrs {
		name := "@" + spaces.key(a.Name)
		member(name)
		dst = shape.appendText(dst, join(path, name), a.Value)
	}
	if len(bytes.TrimSpace(e.Text)) > 0 || len(e.Children) == 0 && len(e.Text) > 0 {
		member("#text")
		dst = shape.appendText(dst, join(path, "#text"), string(e.Text))
	}
	for _, g := range shape.groups(e.Children) {
		member(g.key)
		at := join(path, g.key)
		if len(g.all) == 1 && !g.all[0].List && (shape == nil || !shape.Lists[at]) {
			dst = g.all[0].AppendJSON(dst, at, shape)
			continue
		}
		dst = append(dst, '[')
		for i, c := range g.all {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = c.AppendJSON(dst, at, shape)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// shown are the attributes that belong to the document, and not to XML Schema's own.
func (e *Element) shown() []xml.Attr {
	out := e.Attrs[:0:0]
	for _, a := range e.Attrs {
		if a.Name.Space != NSInstance && a.Name.Space != nsXML {
			out = append(out, a)
		}
	}
	return out
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// group is the children of one name.
type group struct {
	key string
	all []*Element
}

// name is what an element is called in documents.
func (s *Shape) name(local string) string {
	if s != nil && s.Names[local] != "" {
		return s.Names[local]
	}
	return local
}

// groups are the children by name, in the order of the first of each.
func (s *Shape) groups(children []*Element) []group {
	var out []group
	at := make(map[xml.Name]int, len(children))
	names, spaces := make([]xml.Name, 0, len(children)), mixed{}
	for _, c := range children {
		name := xml.Name{Space: c.Name.Space, Local: s.name(c.Name.Local)}
		i, known := at[name]
		if !known {
			i = len(out)
			at[name] = i
			out, names = append(out, group{}), append(names, name)
			spaces.add(name)
		}
		out[i].all = append(out[i].all, c)
	}
	for i := range out {
		out[i].key = spaces.key(names[i])
	}
	return out
}

// mixed counts in how many namespaces a local name stands; each name is added once.
type mixed map[string]int

func (m mixed) add(n xml.Name) { m[n.Local]++ }

// key is what something of a name is called in documents.
func (m mixed) key(n xml.Name) string {
	if m[n.Local] > 1 {
		return "{" + n.Space + "}" + n.Local
	}
	return n.Local
}

// appendText appends a text as what its type says, and as a text where it is none of that type.
func (s *Shape) appendText(dst []byte, path, text string) []byte {
	if s != nil {
		if raw, ok := typed(s.Types[path], strings.TrimSpace(text)); ok {
			return append(dst, raw...)
		}
	}
	return jsondoc.AppendString(dst, text)
}

// typed gives a text's JSON as a type of XML Schema; ok is false where it is none.
func typed(kind, text string) (raw string, ok bool) {
	switch kind {
	case Boolean:
		switch text {
		case "true", "1":
			return "true", true
		case "false", "0":
			return "false", true
		}
	case Integer, Decimal:
		n, ok := number(text)
		return n, ok && (kind == Decimal || !strings.Contains(n, "."))
	}
	return "", false
}

// number gives XML Schema's decimal as JSON's, digit by digit: +007.50 is 7.50, .5 is 0.5. There is no exponent.
func number(text string) (string, bool) {
	digits := strings.TrimPrefix(text, "-")
	negative := digits != text
	if !negative {
		digits = strings.TrimPrefix(text, "+")
	}
	whole, fraction, dot := strings.Cut(digits, ".")
	if whole+fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" || len(digits) > maxDigits {
		return "", false
	}
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	if dot && fraction != "" {
		whole += "." + fraction
	}
	if negative {
		whole = "-" + whole
	}
	return whole, true
}

// maxDigits is how long a number may be.
const maxDigits = 128

// Wrong gives the path of a text that should be of a type and is not; empty: there is none. A null, and what is not there, is of every type.
func (s *Shape) Wrong(doc jsondoc.Value) (path, kind string) {
	for _, path := range slices.Sorted(maps.Keys(s.Types)) {
		if !fits(doc, path) {
			return path, s.Types[path]
		}
	}
	return "", ""
}

func fits(v jsondoc.Value, path string) bool {
	if v.Kind() == jsondoc.Array {
		for e := range v.Elements() {
			if !fits(e, path) {
				return false
			}
		}
		return true
	}
	if path == "" {
		return v.Kind() != jsondoc.String && v.Kind() != jsondoc.Object
	}
	for i := range path + "." { // a name may have dots in it
		if i < len(path) && path[i] != '.' {
			continue
		}
		if at := v.Get(path[:i]); at.Exists() && !fits(at, strings.TrimPrefix(path[i:], ".")) {
			return false
		}
	}
	return true
}
