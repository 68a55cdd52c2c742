// Package xmldoc reads XML within bounds, and turns elements into JSON documents and back. Names are those of their namespaces: what a prefix is called says
// nothing. Document type declarations, and with them entities of a document's own, are refused; so is every encoding but UTF-8.
package xmldoc

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// NSInstance is the namespace of xsi:nil and xsi:type.
const NSInstance = "http://www.w3.org/2001/XMLSchema-instance"

const (
	nsXML   = "http://www.w3.org/XML/1998/namespace"
	nsXMLNS = "http://www.w3.org/2000/xmlns/"
)

const (
	maxDepth    = 60
	maxElements = 100_000
	// maxNamespace bounds a namespace, in bytes: a short prefix stands for it wherever it is used, and a document may have to spell it out.
	maxNamespace = 256
)

// byteOrderMark may stand before UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// Element is an XML element; its methods may be called on nil.
type Element struct {
	Name xml.Name
	// Attrs are its attributes without declarations of namespaces.
	Attrs []xml.Attr
	// Text is all text directly in it, as it stands.
	Text     []byte
	Children []*Element
	// List: it is an element of a list also where it is alone.
	List bool
}

// Memory is what parsing a body takes beside its bytes, at most, about.
func Memory(body []byte) int64 {
	const element, attribute = 160, 128
	return element*int64(min(bytes.Count(body, []byte("<")), maxElements)) + attribute*int64(bytes.Count(body, []byte("=")))
}

// open is an element that has not ended yet.
type open struct {
	e *Element
	// raw is the name as it is written: an end must be written alike.
	raw xml.Name
	// spaces are the namespaces of the prefixes that it declares itself; "" is the default's.
	spaces map[string]string
}

// parser reads one document.
type parser struct {
	most  int // elements
	root  *Element
	stack []open
	count int
}

// Parse reads one document: UTF-8, at most 100,000 elements, 60 in one another. The reader bounds its bytes.
func Parse(body []byte) (*Element, error) { return ParseLarge(body, maxElements) }

// ParseLarge is Parse for documents that may have more elements, or fewer.
func ParseLarge(body []byte, elements int) (*Element, error) {
	body = bytes.TrimPrefix(body, byteOrderMark)
	dec := xml.NewDecoder(bytes.NewReader(body))
	p := &parser{most: elements}
	for {
		at := dec.InputOffset()
		tok, err := dec.RawToken()
		if err == io.EOF {
			return p.end()
		}
		if err != nil {
			return nil, plain(err)
		}
		if err := p.token(tok, at); err != nil {
			return nil, err
		}
	}
}

// plain tells the decoder's errors without its name.
func plain(err error) error {
	if strings.Contains(err.Error(), "CharsetReader") {
		return errors.New("its encoding is not UTF-8")
	}
	return errors.New(strings.TrimPrefix(err.Error(), "xml: "))
}

func (p *parser) end() (*Element, error) {
	switch {
	case len(p.stack) > 0:
		return nil, fmt.Errorf("it ends within <%s>", p.stack[len(p.stack)-1].e.Name.Local)
	case p.root == nil:
		return nil, errors.New("it is empty")
	}
	return p.root, nil
}

func (p *parser) token(tok xml.Token, at int64) error {
	switch t := tok.(type) {
	case xml.Directive:
		return errors.New("a document type declaration is not allowed")
	case xml.ProcInst:
		if t.Target == "xml" && at > 0 {
			return errors.New("an XML declaration stands behind the beginning")
		}
	case xml.StartElement:
		return p.start(t)
	case xml.EndElement:
		if len(p.stack) == 0 {
			return fmt.Errorf("</%s> ends nothing", t.Name.Local)
		}
		top := p.stack[len(p.stack)-1]
		if top.raw != t.Name {
			return fmt.Errorf("<%s> is ended by </%s>", top.raw.Local, t.Name.Local)
		}
		p.stack = p.stack[:len(p.stack)-1]
	case xml.CharData:
		if len(p.stack) > 0 {
			e := p.stack[len(p.stack)-1].e
			e.Text = append(e.Text, t...)
		} else if len(bytes.TrimSpace(t)) > 0 {
			return errors.New("text stands outside of the root element")
		}
	}
	return nil
}

func (p *parser) start(t xml.StartElement) error {
	if p.count++; p.count > p.most || len(p.stack) == maxDepth {
		return fmt.Errorf("it has more than %d elements, or more than %d in one another", p.most, maxDepth)
	}
	spaces, err := declared(t.Attr)
	if err != nil {
		return err
	}
	e := &Element{}
	switch {
	case len(p.stack) > 0:
		top := p.stack[len(p.stack)-1].e
		top.Children = append(top.Children, e)
	case p.root == nil:
		p.root = e
	default:
		return errors.New("it has more than one root element")
	}
	p.stack = append(p.stack, open{e, t.Name, spaces})
	if e.Name, err = p.named(t.Name, true); err != nil {
		return err
	}
	had := make(map[xml.Name]bool, len(t.Attr))
	for _, a := range t.Attr {
		if isDeclaration(a.Name) {
			continue
		}
		name, err := p.named(a.Name, false)
		if err != nil {
			return err
		}
		if had[name] {
			return fmt.Errorf("<%s> has the attribute %s twice", e.Name.Local, name.Local)
		}
		had[name] = true
		e.Attrs = append(e.Attrs, xml.Attr{Name: name, Value: a.Value})
	}
	return nil
}

func isDeclaration(n xml.Name) bool { return n.Space == "xmlns" || n.Space == "" && n.Local == "xmlns" }

// declared are the namespaces that an element declares.
func declared(attrs []xml.Attr) (own map[string]string, err error) {
	for _, a := range attrs {
		if !isDeclaration(a.Name) {
			continue
		}
		prefix := a.Name.Local
		if a.Name.Space == "" {
			prefix = ""
		}
		switch {
		case prefix != "" && a.Value == "":
			return nil, fmt.Errorf("the prefix %.100s stands for no namespace", prefix)
		case len(a.Value) > maxNamespace:
			return nil, fmt.Errorf("the namespace of the prefix %.100q has more than %d bytes", prefix, maxNamespace)
		case prefix == "xmlns" || (prefix == "xml") != (a.Value == nsXML) || a.Value == nsXMLNS:
			return nil, fmt.Errorf("the prefix %q cannot stand for %.100s", prefix, a.Value)
		}
		if _, twice := own[prefix]; twice {
			return nil, fmt.Errorf("the prefix %.100q is declared twice", prefix)
		}
		if own == nil {
			own = map[string]string{}
		}
		own[prefix] = a.Value
	}
	return own, nil
}

// space is what a prefix stands for here. It is looked for outwards, level by level: to keep all that is known for each element would cost as much as what a sender
// declares, times its elements.
func (p *parser) space(prefix string) (space string, known bool) {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if space, known = p.stack[i].spaces[prefix]; known {
			return space, true
		}
	}
	if prefix == "xml" {
		return nsXML, true
	}
	return "", false
}

// named gives a name its namespace. An attribute without a prefix has none.
func (p *parser) named(n xml.Name, element bool) (xml.Name, error) {
	if strings.Contains(n.Local, ":") {
		return n, fmt.Errorf("the name %.100s has two colons", n.Space+":"+n.Local)
	}
	if n.Space == "" {
		if element {
			n.Space, _ = p.space("")
		}
		return n, nil
	}
	space, known := p.space(n.Space)
	if !known {
		return n, fmt.Errorf("the prefix %.100s of %.100s is not declared", n.Space, n.Local)
	}
	n.Space = space
	return n, nil
}

// Child gives the first child of a name; nil: there is none.
func (e *Element) Child(space, local string) *Element {
	if e == nil {
		return nil
	}
	for _, c := range e.Children {
		if c.Name.Local == local && c.Name.Space == space {
			return c
		}
	}
	return nil
}

// Attr gives an attribute's value; empty: there is none.
func (e *Element) Attr(space, local string) string {
	if e == nil {
		return ""
	}
	for _, a := range e.Attrs {
		if a.Name.Local == local && a.Name.Space == space {
			return a.Value
		}
	}
	return ""
}

// Content gives the text without blanks around it.
func (e *Element) Content() string {
	if e == nil {
		return ""
	}
	return strings.TrimSpace(string(e.Text))
}

// Nil reports whether the element is xsi:nil.
func (e *Element) Nil() bool {
	v := strings.TrimSpace(e.Attr(NSInstance, "nil"))
	return v == "true" || v == "1"
}
