package format

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// XML are files whose rows are elements.
type XML struct {
	Rows       string   `yaml:"rows" doc:"path of the elements that are rows, from the root, such as /Orders/Order. Prefixes of namespaces do not count"`
	Columns    Columns  `yaml:"columns" type:"map" elem:"string" doc:"types of values, by their path in the row: {qty: decimal, lines.line.qty: decimal, total.@rounded: bool}; @ stands before an attribute. What is not listed is text"`
	Lists      []string `yaml:"lists" doc:"paths of elements that are lists, also where only one is there; elements that stand more than once always are"`
	DateLayout string   `yaml:"date-layout" default:"2006-01-02" doc:"how dates are written, in Go's notation"`
	Namespace  string   `yaml:"namespace" doc:"the namespace of what is written"`
}

// mostDeep is how many elements of XML may stand in each other.
const mostDeep = 64

func (x *XML) complete(n strictyaml.Node, p *strictyaml.Problems) *CSV {
	at := n.Get("xml")
	if len(x.path()) < 2 || !strings.HasPrefix(x.Rows, "/") || slices.ContainsFunc(x.path(), func(s string) bool { return !xmlName(s) }) {
		p.AddHint(at.Get("rows").Pos(), "write for example rows: /Orders/Order", "xml: rows: %q is no path of at least two elements", short(x.Rows))
	}
	x.Columns.plain(at, p)
	t := &CSV{Columns: x.Columns, DateLayout: x.DateLayout, Numbers: Numbers{Group: "none"}}
	t.completeTable(at, p)
	return t
}

func (x *XML) path() []string { return strings.Split(strings.TrimPrefix(x.Rows, "/"), "/") }

// xmlReader reads one row after the other. It takes no document types, and no entities but those of XML itself.
type xmlReader struct {
	set   *Settings
	dec   *xml.Decoder
	guard *guard
	path  []string
	at    []string // the elements that are open
	ended ending
}

// guard ends a reading in which one token has no end.
type guard struct {
	r    io.Reader
	left int
}

func (g *guard) Read(b []byte) (int, error) {
	if g.left <= 0 {
		return 0, errLong
	}
	n, err := g.r.Read(b[:min(len(b), g.left)])
	g.left -= n
	return n, err
}

func newXML(s *Settings, in *bufio.Reader) *xmlReader {
	g := &guard{r: in}
	r := &xmlReader{set: s, guard: g, path: s.XML.path(), dec: xml.NewDecoder(bufio.NewReaderSize(g, 4<<10))}
	r.dec.CharsetReader = func(label string, rest io.Reader) (io.Reader, error) {
		if s.Encoding != "utf-8" {
			return rest, nil // the settings have said it, and it is UTF-8 by now
		}
		if e := encodings[strings.ToLower(label)]; e != nil {
			return e.NewDecoder().Reader(rest), nil
		}
		return nil, fmt.Errorf("the file says that its encoding is %q, which is not known: set encoding", short(label))
	}
	return r
}

func (r *xmlReader) end() ending { return r.ended }

// token gives the next one; its error is the file's.
func (r *xmlReader) token() (xml.Token, error) {
	r.guard.left = 2*int(r.set.MaxRow) + 64<<10
	t, err := r.dec.Token()
	line, _ := r.dec.InputPos()
	if _, directive := t.(xml.Directive); directive {
		err = errors.New("a document type is not taken")
	}
	var syntax *xml.SyntaxError
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return t, err
	case errors.As(err, &syntax):
		if strings.Contains(syntax.Msg, "unexpected EOF") {
			r.ended.missing = fmt.Errorf("line %d: the file ends within its elements", line)
		}
		return nil, &FileError{line, errors.New(syntax.Msg)}
	case errors.Is(err, errLong):
		return nil, &FileError{line, fmt.Errorf("%w: a text or a name has more than twice as much as max-row", err)}
	}
	return nil, &FileError{line, err}
}

func (r *xmlReader) next() (Row, error) {
	for {
		t, err := r.token()
		if err != nil {
			return Row{}, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			r.at = append(r.at, t.Name.Local)
			if len(r.at) == 1 {
				if r.at[0] != r.path[0] {
					line, _ := r.dec.InputPos()
					return Row{}, &FileError{line, fmt.Errorf("the root is %s, and the rows are at %s", short(r.at[0]), r.set.XML.Rows)}
				}
				r.ended.headed = true
			}
			if len(r.at) > mostDeep {
				return r.tooDeep()
			}
			if slices.Equal(r.at, r.path) {
				r.at = r.at[:len(r.at)-1]
				return r.row(t)
			}
		case xml.EndElement:
			r.at = r.at[:len(r.at)-1]
		}
	}
}

func (r *xmlReader) tooDeep() (Row, error) {
	line, _ := r.dec.InputPos()
	return Row{}, &FileError{line, fmt.Errorf("more than %d elements stand in each other", mostDeep)}
}

// element is one of a row.
type element struct {
	name  string
	attrs []xml.Attr
	kids  []*element
	text  []byte
}

// row reads a row's elements. What a row holds beyond max-row is passed over.
func (r *xmlReader) row(start xml.StartElement) (Row, error) {
	line, _ := r.dec.InputPos()
	begin := r.dec.InputOffset()
	root := &element{name: start.Name.Local, attrs: start.Attr}
	open := []*element{root}
	long := false
	for len(open) > 0 {
		t, err := r.token()
		if err != nil {
			return Row{}, err
		}
		if long = long || r.dec.InputOffset()-begin > int64(r.set.MaxRow); long {
			root.kids, root.text = nil, nil
		}
		top := open[len(open)-1]
		switch t := t.(type) {
		case xml.StartElement:
			if len(r.at)+len(open) >= mostDeep {
				return r.tooDeep()
			}
			kid := &element{name: t.Name.Local, attrs: t.Attr}
			if !long {
				top.kids = append(top.kids, kid)
			}
			open = append(open, kid)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if !long {
				top.text = append(top.text, t...)
			}
		}
	}
	row := Row{Line: line}
	if long {
		return row, &RowError{Err: fmt.Errorf("the row is too long: it has more than %s, which max-row is", r.set.MaxRow)}
	}
	b := rowDocument{set: r.set}
	row.Doc = b.object(nil, root, "")
	if b.err != nil {
		return row, b.err
	}
	return row, nil
}

// rowDocument makes a row's document. A value that its type cannot show is its text.
type rowDocument struct {
	set *Settings
	err *RowError
}

func (b *rowDocument) fail(path string, err error) {
	if b.err == nil {
		b.err = &RowError{Err: err, Column: path}
	}
}

func (b *rowDocument) object(dst []byte, e *element, path string) []byte {
	dst = append(dst, '{')
	first := true
	member := func(name string) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(jsondoc.AppendString(dst, name), ':')
	}
	seen := map[string]bool{}
	for _, a := range e.plain() {
		name := "@" + a.Name.Local
		if seen[name] {
			b.fail(path, fmt.Errorf("it has two attributes %s", a.Name.Local))
			continue
		}
		seen[name] = true
		member(name)
		dst = b.scalar(dst, join(path, name), a.Value)
	}
	if len(e.kids) == 0 && (len(e.text) > 0 || path != "") {
		member("#text")
		dst = b.scalar(dst, path, string(e.text))
	} else if len(e.kids) > 0 && len(bytes.TrimSpace(e.text)) > 0 {
		b.fail(path, fmt.Errorf("text and elements stand side by side: %q", short(string(bytes.TrimSpace(e.text)))))
	}
	named := map[string][]*element{}
	for _, k := range e.kids {
		named[k.name] = append(named[k.name], k)
	}
	for _, k := range e.kids {
		at, all := join(path, k.name), named[k.name]
		if all == nil {
			continue // with the first of its name
		}
		named[k.name] = nil
		member(k.name)
		if len(all) == 1 && !slices.Contains(b.set.XML.Lists, at) {
			dst = b.value(dst, k, at)
			continue
		}
		for j, o := range all {
			dst = append(dst, map[bool]byte{true: '[', false: ','}[j == 0])
			dst = b.value(dst, o, at)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func (b *rowDocument) value(dst []byte, e *element, path string) []byte {
	switch {
	case slices.ContainsFunc(e.attrs, func(a xml.Attr) bool {
		return a.Name.Space == "http://www.w3.org/2001/XMLSchema-instance" && a.Name.Local == "nil" && (a.Value == "true" || a.Value == "1")
	}):
		return append(dst, "null"...)
	case len(e.kids) == 0 && len(e.plain()) == 0:
		return b.scalar(dst, path, string(e.text))
	}
	return b.object(dst, e, path)
}

// plain are an element's attributes without those of XML itself.
func (e *element) plain() []xml.Attr {
	return slices.DeleteFunc(slices.Clone(e.attrs), func(a xml.Attr) bool {
		return a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" || a.Name.Space == "http://www.w3.org/2001/XMLSchema-instance"
	})
}

func (b *rowDocument) scalar(dst []byte, path, text string) []byte {
	typ := "text"
	if i := b.set.table().Columns.index(path); i >= 0 {
		typ = b.set.table().Columns[i].Type
	}
	if strings.ContainsRune(text, utf8.RuneError) {
		b.fail(path, errBytes)
	}
	out, err := b.set.table().appendValue(dst, typ, text)
	if err != nil {
		b.fail(path, err)
		return jsondoc.AppendString(dst, text)
	}
	return out
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// xmlName reports whether a text can be the name of an element, without a prefix.
func xmlName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0xC0 && r != 0xD7 && r != 0xF7
		if !letter && (i == 0 || r != '-' && r != '.' && (r < '0' || r > '9')) {
			return false
		}
	}
	return s != ""
}

// open is what stands before the rows.
func (x *XML) open(encoding string) []byte {
	if strings.HasPrefix(encoding, "utf-16") {
		encoding = "utf-16"
	}
	out := fmt.Appendf(nil, "<?xml version=\"1.0\" encoding=\"%s\"?>\n", strings.ToUpper(encoding))
	path := x.path()
	for i, name := range path[:len(path)-1] {
		out = append(append(out, '<'), name...)
		if i == 0 && x.Namespace != "" {
			out = append(appendEscaped(append(out, ` xmlns="`...), x.Namespace), '"')
		}
		out = append(out, ">\n"...)
	}
	return out
}

func (x *XML) close(out []byte) []byte {
	path := x.path()
	for i := len(path) - 2; i >= 0; i-- {
		out = fmt.Appendf(out, "</%s>\n", path[i])
	}
	return out
}

// row appends a row's element.
func (x *XML) row(dst []byte, members []named, table *CSV) ([]byte, error) {
	path := x.path()
	out, err := appendElement(dst, path[len(path)-1], "", members, table)
	if err != nil {
		return nil, err
	}
	return append(out, '\n'), nil
}

func appendElement(dst []byte, name, path string, members []named, table *CSV) ([]byte, error) {
	dst = append(append(dst, '<'), name...)
	text := []byte(nil)
	for _, m := range members {
		attr, isAttr := strings.CutPrefix(m.name, "@")
		if !isAttr && m.name != "#text" || m.v.Kind() == jsondoc.Null {
			continue
		}
		at := path
		if isAttr {
			at = join(path, m.name)
		}
		value, err := textOf(at, m.v, table)
		if err != nil {
			return nil, err
		}
		if !isAttr {
			text = []byte(value)
			continue
		}
		if !xmlName(attr) {
			return nil, fmt.Errorf("%q is no name of an attribute", short(m.name))
		}
		dst = append(appendEscaped(append(append(append(dst, ' '), attr...), `="`...), value), '"')
	}
	dst = appendEscaped(append(dst, '>'), string(text))
	var err error
	for _, m := range members {
		if strings.HasPrefix(m.name, "@") || m.name == "#text" {
			continue
		}
		if len(text) > 0 {
			return nil, fmt.Errorf("%s: text and elements cannot stand side by side", join(path, "#text"))
		}
		if !xmlName(m.name) {
			return nil, fmt.Errorf("%q is no name of an element", short(m.name))
		}
		if dst, err = appendMember(dst, m.name, join(path, m.name), m.v, table); err != nil {
			return nil, err
		}
	}
	return fmt.Appendf(dst, "</%s>", name), nil
}

// appendMember appends the elements of one name. What is null is left out.
func appendMember(dst []byte, name, path string, v jsondoc.Value, table *CSV) ([]byte, error) {
	switch v.Kind() {
	case jsondoc.Null:
		return dst, nil
	case jsondoc.Array:
		var err error
		for i := range v.Len() {
			if v.Index(i).Kind() == jsondoc.Array || v.Index(i).Kind() == jsondoc.Null {
				return nil, fmt.Errorf("%s.%d: %s cannot be an element", path, i, v.Index(i).Kind())
			}
			if dst, err = appendMember(dst, name, path, v.Index(i), table); err != nil {
				return nil, err
			}
		}
		return dst, nil
	case jsondoc.Object:
		var members []named
		for n, w := range v.Members() {
			members = append(members, named{n, w})
		}
		return appendElement(dst, name, path, members, table)
	}
	text, err := textOf(path, v, table)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(appendEscaped(fmt.Appendf(dst, "<%s>", name), text), "</%s>", name), nil
}

// textOf gives a value as a text: by its type, where the settings have one, else as it is.
func textOf(path string, v jsondoc.Value, table *CSV) (string, error) {
	text, err := "", error(nil)
	i := table.Columns.index(path)
	switch {
	case i >= 0:
		text, err = table.text(table.Columns[i].Type, v)
	case v.Kind() == jsondoc.String:
		text = v.Str()
	case v.Kind() == jsondoc.Object || v.Kind() == jsondoc.Array:
		err = fmt.Errorf("%s is no text", v.Kind())
	default:
		text = string(v.Raw())
	}
	if err == nil && strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF || r == utf8.RuneError
	}) {
		err = errors.New("it holds a character that XML cannot")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

// appendEscaped appends a text for an element or an attribute.
func appendEscaped(dst []byte, s string) []byte {
	b := bytes.NewBuffer(dst)
	_ = xml.EscapeText(b, []byte(s)) // it writes to memory
	return b.Bytes()
}
