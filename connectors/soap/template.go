package soap

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/xmldoc"
)

// template is what a request is made of: one element, or several where it stands for content.
type template struct {
	name     string // as it is written: prefix:local
	each     string // path of the list of which every element makes one of these
	repeated bool
	copied   string // path of the value whose members become its content
	copyAs   string // prefix of their names
	copies   bool
	attrs    []attribute
	text     *text
	children []*template
}

type attribute struct {
	name  string
	value *text
}

// text is a value with places to fill.
type text struct {
	parts []part
}

// part is fixed, or a place.
type part struct {
	fixed string
	place bool
	param string // of the call
	root  bool   // from the top of the document on
	path  string // inside the document; empty: the value itself
}

// compiler reads templates of settings.
type compiler struct {
	spaces map[string]string
	p      *strictyaml.Problems
	// secrets are texts that come from outside of the file.
	secrets []string
}

// content reads a mapping of elements.
func (c *compiler) content(n strictyaml.Node) []*template {
	t := c.element("", n)
	if t == nil {
		return nil
	}
	if len(t.attrs) > 0 || t.text != nil || t.repeated || t.copies {
		c.p.AddHint(n.Pos(), "write one element: {ord:GetOrder: {ord:id: \"{$id}\"}}", "%s: only elements stand here", n.Key())
	}
	return t.children
}

// element reads what stands below an element's name.
func (c *compiler) element(name string, n strictyaml.Node) *template {
	t := &template{name: name}
	switch n.Kind() {
	case strictyaml.Null:
		return t
	case strictyaml.Scalar:
		t.text = c.value(n)
		return t
	case strictyaml.Map:
	default:
		c.p.AddHint(n.Pos(), "write the elements of that name, or $each: and the path of a list", "%s: an empty list", n.Key())
		return nil
	}
	for _, f := range n.Fields() {
		switch attr, isAttr := strings.CutPrefix(f.Key, "@"); {
		case isAttr:
			c.name(attr, f.KeyPos)
			if f.Value.Kind() != strictyaml.Scalar {
				c.p.Add(f.Value.Pos(), "%s: an attribute is a text", f.Key)
				continue
			}
			t.attrs = append(t.attrs, attribute{attr, c.value(f.Value)})
		case f.Key == "$each":
			t.each, t.repeated = c.path(f.Value)
		case f.Key == "$copy":
			t.copied, t.copies = c.path(f.Value)
		case f.Key == "$prefix":
			t.copyAs = f.Value.Text()
			if c.spaces[t.copyAs] == "" {
				c.p.AddHint(f.Value.Pos(), "add it to namespaces", "$prefix: the prefix %q is not one of namespaces", t.copyAs)
			}
		case f.Key == "#text":
			if f.Value.Kind() == strictyaml.Scalar {
				t.text = c.value(f.Value)
			} else {
				c.p.Add(f.Value.Pos(), "#text: this is no text")
			}
		case strings.HasPrefix(f.Key, "$"):
			c.p.AddHint(f.KeyPos, "write $each, $copy or $prefix", "%s is not known", f.Key)
		default:
			c.name(f.Key, f.KeyPos)
			several := f.Value.Kind() == strictyaml.List && len(f.Value.Items()) > 0
			each := []strictyaml.Node{f.Value}
			if several {
				each = f.Value.Items()
			}
			for _, one := range each {
				if several && one.Kind() == strictyaml.List {
					c.p.Add(one.Pos(), "%s: an element of the list is a list itself", f.Key)
				} else if child := c.element(f.Key, one); child != nil {
					t.children = append(t.children, child)
				}
			}
		}
	}
	return t
}

// path reads the path of a value inside the document: lines, or "." for the value itself.
func (c *compiler) path(n strictyaml.Node) (string, bool) {
	if n.Kind() != strictyaml.Scalar || n.Text() == "" {
		c.p.AddHint(n.Pos(), "write the path of a value inside the document, such as lines, or . for the document itself", "%s: this is no path", n.Key())
		return "", true
	}
	return strings.TrimPrefix(n.Text(), "."), true
}

// name checks a name with its prefix.
func (c *compiler) name(name string, at strictyaml.Pos) {
	prefix, local, ok := strings.Cut(name, ":")
	if !ok {
		prefix, local = "", name
	}
	if err := xmldoc.CheckName(local); err != nil {
		c.p.Add(at, "%s", err)
	}
	if ok && c.spaces[prefix] == "" {
		c.p.AddHint(at, "add it to namespaces", "the prefix %q is not one of namespaces", prefix)
	}
}

// value reads a text with places: {path}, {/path} from the top on, {$name} of the call, {.} for the value itself. {{ and }} are braces.
func (c *compiler) value(n strictyaml.Node) *text {
	var problems strictyaml.Problems
	raw, ok := n.AppendJSON(nil, &problems)
	c.p.Append(&problems)
	if !ok {
		return &text{}
	}
	said := string(raw)
	if doc, err := jsondoc.Parse(raw, jsondoc.Limits{}); err == nil && doc.Root().Kind() == jsondoc.String {
		said = doc.Root().Str()
	}
	if strings.Contains(n.Text(), "${") {
		c.secrets = append(c.secrets, said)
	}
	t, err := readText(said)
	if err != nil {
		c.p.AddHint(n.Pos(), "write {path} for a value of the document, {{ for a brace", "%s: %s", n.Key(), err)
		return &text{}
	}
	return t
}

func readText(said string) (*text, error) {
	t := &text{}
	fixed := strings.Builder{}
	flush := func() {
		if fixed.Len() > 0 {
			t.parts = append(t.parts, part{fixed: fixed.String()})
			fixed.Reset()
		}
	}
	for i := 0; i < len(said); i++ {
		switch ch := said[i]; {
		case (ch == '{' || ch == '}') && i+1 < len(said) && said[i+1] == ch:
			fixed.WriteByte(ch)
			i++
		case ch == '}':
			return nil, errors.New("a brace is closed that was not opened")
		case ch == '{':
			end := strings.IndexByte(said[i:], '}')
			if end < 0 {
				return nil, errors.New("a brace is not closed")
			}
			place := said[i+1 : i+end]
			i += end
			flush()
			p := part{place: true, path: place}
			if place == "" || place == "$" {
				return nil, fmt.Errorf("{%s} names nothing", place)
			} else if rest, ok := strings.CutPrefix(place, "$"); ok {
				p.param, p.path = rest, ""
			} else if rest, ok := strings.CutPrefix(place, "/"); ok {
				p.root, p.path = true, rest
			} else if place == "." {
				p.path = ""
			}
			t.parts = append(t.parts, p)
		default:
			fixed.WriteByte(ch)
		}
	}
	flush()
	return t, nil
}

// params lists the values of the call that a template asks for.
func params(all []*template) []string {
	var out []string
	add := func(t *text) {
		if t == nil {
			return
		}
		for _, p := range t.parts {
			if p.param != "" && !slices.Contains(out, p.param) {
				out = append(out, p.param)
			}
		}
	}
	for _, t := range all {
		add(t.text)
		for _, a := range t.attrs {
			add(a.value)
		}
		for _, name := range params(t.children) {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// filler makes a request of a document and the values of a call.
type filler struct {
	root   jsondoc.Value
	params map[string]string
	// seen counts the values of the document that were there.
	seen int
}

// state is what a value is: absent, null or there.
type state int

const (
	absent state = iota
	null
	there
)

func (f *filler) content(dst []byte, all []*template, at jsondoc.Value) ([]byte, error) {
	var err error
	for _, t := range all {
		if dst, err = f.elements(dst, t, at); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// elements appends what a template stands for: none, one, or one for each element of a list.
func (f *filler) elements(dst []byte, t *template, at jsondoc.Value) ([]byte, error) {
	if !t.repeated {
		return f.element(dst, t, at)
	}
	list := at.GetPath(t.each)
	if t.each == "" {
		list = at
	}
	switch list.Kind() {
	case jsondoc.Missing, jsondoc.Null:
		return dst, nil
	case jsondoc.Array:
	default:
		return nil, fmt.Errorf("%s: %s is no list", t.name, t.each)
	}
	f.seen++ // also a list without an element: it says that there are none
	i := 0
	for e := range list.Elements() {
		var err error
		if dst, err = f.element(dst, t, e); err != nil {
			return nil, fmt.Errorf("%s, element %d: %w", t.each, i, err)
		}
		i++
	}
	return dst, nil
}

func (f *filler) element(dst []byte, t *template, at jsondoc.Value) ([]byte, error) {
	start, seen := len(dst), f.seen
	dst = append(append(dst, '<'), t.name...)
	for _, a := range t.attrs {
		value, st, err := f.text(nil, a.value, at)
		if err != nil {
			return nil, fmt.Errorf("%s: @%s: %w", t.name, a.name, err)
		}
		if st != there {
			continue
		}
		dst = append(append(append(append(append(dst, ' '), a.name...), `="`...), value...), '"')
	}
	head := len(dst)
	dst = append(dst, '>')
	if t.text != nil {
		value, st, err := f.text(nil, t.text, at)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", t.name, err)
		case st == null:
			return append(dst[:head], ` xsi:nil="true"/>`...), nil
		case st == absent && len(t.children) == 0 && len(t.attrs) == 0:
			return dst[:start], nil
		}
		dst = append(dst, value...)
	}
	dst, err := f.content(dst, t.children, at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	if t.copies {
		if dst, err = f.copied(dst, t, at); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	if f.seen == seen && t.asks() {
		return dst[:start], nil // all that it is for is absent
	}
	return append(append(append(dst, "</"...), t.name...), '>'), nil
}

// asks: something in the element is of the document, so that it is left out where all of that is absent. One that only has values of the call, or fixed
// ones, always stands.
func (t *template) asks() bool {
	asks := func(v *text) bool {
		return v != nil && slices.ContainsFunc(v.parts, func(p part) bool { return p.place && p.param == "" })
	}
	return t.copies || asks(t.text) || slices.ContainsFunc(t.attrs, func(a attribute) bool { return asks(a.value) }) ||
		slices.ContainsFunc(t.children, func(c *template) bool { return c.repeated || c.asks() })
}

// copied appends the members of a value as elements.
func (f *filler) copied(dst []byte, t *template, at jsondoc.Value) ([]byte, error) {
	v := at
	if t.copied != "" {
		v = at.GetPath(t.copied)
	}
	if !v.Exists() {
		return dst, nil
	}
	f.seen++
	if v.Kind() != jsondoc.Object {
		return nil, fmt.Errorf("$copy: %s is no object", strconv.Quote(t.copied))
	}
	var err error
	for name, m := range v.Members() {
		if dst, err = xmldoc.AppendElement(dst, t.copyAs, name, m); err != nil {
			return nil, fmt.Errorf("$copy: %w", err)
		}
	}
	return dst, nil
}

// text fills a value's places. One that is absent makes the whole value absent, and so does null, but where it is all there is.
func (f *filler) text(dst []byte, t *text, at jsondoc.Value) ([]byte, state, error) {
	var err error
	seen := 0 // counts where all of it is there
	for _, p := range t.parts {
		switch {
		case !p.place:
			dst, err = xmldoc.AppendText(dst, p.fixed)
		case p.param != "":
			value, known := f.params[p.param]
			if !known {
				return nil, absent, nil
			}
			dst, err = xmldoc.AppendText(dst, value)
		default:
			from := at
			if p.root {
				from = f.root
			}
			v := from
			if p.path != "" {
				v = from.GetPath(p.path)
			}
			switch v.Kind() {
			case jsondoc.Missing:
				return nil, absent, nil
			case jsondoc.Null:
				if len(t.parts) > 1 {
					return nil, absent, nil
				}
				f.seen++
				return nil, null, nil
			case jsondoc.String:
				dst, err = xmldoc.AppendText(dst, v.Str())
			case jsondoc.Object, jsondoc.Array:
				return nil, absent, fmt.Errorf("%s is a %s, and a text is needed", p.path, v.Kind())
			default:
				dst = append(dst, v.Raw()...)
			}
		}
		if err != nil {
			return nil, absent, err
		}
		if p.place && p.param == "" {
			seen++
		}
	}
	f.seen += seen
	return dst, there, nil
}

// declarations are the namespaces of an envelope or a root element.
func declarations(spaces map[string]string, more ...xml.Attr) []byte {
	var dst []byte
	add := func(prefix, space string) {
		dst = append(append(append(dst, " xmlns:"...), prefix...), `="`...)
		dst, _ = xmldoc.AppendText(dst, space) // settings were checked
		dst = append(dst, '"')
	}
	for _, prefix := range sortedKeys(spaces) {
		add(prefix, spaces[prefix])
	}
	for _, a := range more {
		add(a.Name.Local, a.Value)
	}
	return dst
}
