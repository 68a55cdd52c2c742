package strictyaml

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Bounds of a file. People do not write larger ones, and a larger one is not read at all.
const (
	maxBytes = 4 << 20
	maxDepth = 64
)

// Parse reads every document of a file; references ${env:…} and ${file:…} in it are resolved by the process's
// environment and by files relative to the file's directory.
func Parse(file string, data []byte, p *Problems) []Node {
	return ParseWith(file, data, OS(filepath.Dir(file)), p)
}

// ParseWith is Parse with another resolver. A document that cannot be read is left out; those after it are still read.
func ParseWith(file string, data []byte, r Resolver, p *Problems) []Node {
	if p == nil {
		p = &Problems{}
	}
	src := newSource(file, data, r)
	if !src.readable(p) {
		return nil
	}
	var out []Node
	for _, c := range src.chunks() {
		out = append(out, c.parse(p)...)
	}
	return out
}

// readable reports bytes that are no text before YAML, which would place them wrongly, sees them.
func (s *source) readable(p *Problems) bool {
	if len(s.data) > maxBytes {
		p.AddHint(Pos{File: s.name}, "split the file", "the file is larger than %s", Size(maxBytes))
		return false
	}
	if bytes.HasPrefix(s.data, []byte{0xFF, 0xFE}) || bytes.HasPrefix(s.data, []byte{0xFE, 0xFF}) {
		p.AddHint(Pos{s.name, 1, 1}, "save the file as UTF-8", "the file is UTF-16")
		return false
	}
	if bom := []byte("\uFEFF"); bytes.HasPrefix(s.data, bom) {
		*s = *newSource(s.name, s.data[len(bom):], s.resolver)
	}
	for i := 0; i < len(s.data); {
		r, size := utf8.DecodeRune(s.data[i:])
		what := ""
		switch {
		case r == utf8.RuneError && size == 1:
			p.AddHint(s.pos(i), "save the file as UTF-8", "the byte 0x%02X is no UTF-8", s.data[i])
			return false
		case r == '\r' && (i+1 == len(s.data) || s.data[i+1] != '\n'):
			what = "a carriage return without a line feed"
		case r == '\u0085' || r == '\u2028' || r == '\u2029':
			what = "an unusual line break"
		case r == '\uFEFF':
			what = "a byte order mark"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0x7F && r < 0xA0:
			what = "a control character"
		}
		if what != "" {
			p.AddHint(s.pos(i), "remove it, or write it as an escape in double quotes", "%s (%U)", what, r)
			return false
		}
		i += size
	}
	return true
}

// chunk is the part of a file from one document marker to the next: documents are read one by one, so that an error in one
// does not hide those in the others.
type chunk struct {
	src   *source
	first int // line of the file, from 0, on which it begins
	data  []byte
}

func (s *source) chunks() []chunk {
	var out []chunk
	begin := 0
	for line := 1; line < len(s.lines); line++ {
		text := s.line(line + 1)
		if strings.HasPrefix(text, "---") && (len(text) == 3 || text[3] == ' ' || text[3] == '\t') {
			out = append(out, chunk{s, begin, s.data[s.lines[begin]:s.lines[line]]})
			begin = line
		}
	}
	return append(out, chunk{s, begin, s.data[s.lines[begin]:]})
}

// parse gives the documents of a chunk: one, or more after a `...` line, or none when there are only comments.
func (c chunk) parse(p *Problems) (out []Node) {
	dec := yaml.NewDecoder(bytes.NewReader(c.data))
	defer func() {
		if r := recover(); r != nil {
			c.syntax(dec, "", p)
		}
	}()
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			c.syntax(dec, err.Error(), p)
			return out
		}
		for _, root := range doc.Content {
			if root.Kind == yaml.ScalarNode && root.Tag == "!!null" && root.Value == "" {
				continue // a marker with nothing but comments after it
			}
			out = append(out, Node{n: c.convert(root, "", false, 0, p)})
		}
	}
}

// convert makes our node of a YAML node. inFlow says that it stands inside {} or [].
func (c chunk) convert(y *yaml.Node, key string, inFlow bool, depth int, p *Problems) *node {
	pos := Pos{c.src.name, c.first + y.Line, y.Column}
	n := &node{pos: pos, src: c.src, key: key, start: c.src.offset(pos.Line, pos.Col)}
	if depth > maxDepth {
		p.AddHint(pos, "split it", "nested deeper than %d levels", maxDepth)
		return n
	}
	c.refuse(y, pos, p)
	inFlow = inFlow || y.Style&yaml.FlowStyle != 0
	switch y.Kind {
	case yaml.MappingNode:
		n.kind = Map
		c.fields(n, y, inFlow, depth, p)
	case yaml.SequenceNode:
		n.kind = List
		for _, item := range y.Content {
			n.items = append(n.items, Node{n: c.convert(item, key, inFlow, depth+1, p)})
		}
	case yaml.ScalarNode:
		n.scalar(y, inFlow, p)
	default: // an alias, which is refused
		n.kind = Null
	}
	return n
}

// refuse reports what this YAML leaves out.
func (c chunk) refuse(y *yaml.Node, pos Pos, p *Problems) {
	if y.Anchor != "" && y.Kind != yaml.AliasNode {
		p.AddHint(pos, "write the value out where it is needed; quote text that begins with &", "the anchor &%s is not supported", shorten(y.Anchor))
	}
	if y.Kind == yaml.AliasNode {
		p.AddHint(pos, "write the value out; quote text that begins with *", "the alias *%s is not supported", shorten(y.Value))
	}
	if y.Style&yaml.TaggedStyle != 0 {
		p.AddHint(pos, tagHint, "%s is read as a YAML tag", quote(shorten(c.src.word(c.src.offset(pos.Line, pos.Col)))))
	}
}

const tagHint = "a value cannot begin with !: write `not …`, or put the expression below a `>-`; tags are not supported"

// word is the text at offset as far as the next blank.
func (s *source) word(offset int) string {
	end := offset
	for end < len(s.data) && strings.IndexByte(" \t\r\n", s.data[end]) < 0 {
		end++
	}
	return string(s.data[offset:end])
}

func (c chunk) fields(n *node, y *yaml.Node, inFlow bool, depth int, p *Problems) {
	seen := make(map[string]Pos, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content); i += 2 {
		k := y.Content[i]
		pos := Pos{c.src.name, c.first + k.Line, k.Column}
		if k.Kind != yaml.ScalarNode {
			p.AddHint(pos, "write the key as plain text", "a key must be text")
			c.refuse(k, pos, p)
			continue
		}
		c.refuse(k, pos, p)
		value := c.convert(y.Content[i+1], k.Value, inFlow, depth+1, p)
		switch {
		case k.Value == "" && k.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0:
			p.AddHint(pos, "write the key before the colon", "a key is missing")
			continue
		case k.Value == "<<" && k.Style == 0:
			p.AddHint(pos, "write the keys out", "merge keys are not supported")
			continue
		}
		if first, twice := seen[k.Value]; twice {
			p.AddHint(pos, "remove one of them", "duplicate key %q; it stands also on line %d", shorten(k.Value), first.Line)
			continue
		}
		seen[k.Value] = pos
		n.fields = append(n.fields, Field{k.Value, pos, Node{n: value}})
		if inFlow {
			c.lostValue(n, value, pos, p)
		}
	}
}

// lostValue reports the key of a flow mapping that has no colon: what stands after a comma that belonged to a value.
func (c chunk) lostValue(n, value *node, pos Pos, p *Problems) {
	key := n.fields[len(n.fields)-1].Key
	if value.kind != Null || value.text != "" {
		return
	}
	for _, f := range n.fields {
		if f.Value.Kind() == Scalar && f.Value.n.style == plain && unfinished(f.Value.Text()) != "" {
			return // reported at that value, of which this is the rest
		}
	}
	before := c.src.data[c.src.offset(pos.Line, pos.Col):]
	end := bytes.IndexAny(before, ",}\n")
	if end >= 0 && bytes.IndexByte(before[:end], ':') >= 0 {
		return // `key:` without a value: whoever reads it complains
	}
	p.AddHint(pos, commaHint, "%s has no value", quote(shorten(key)))
}

const commaHint = "inside {} and [] a comma ends the value: write one key on each line instead"
