package flowtest

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// editor changes values in a YAML file in place: whatever it does not have to touch stays as it was written.
type editor struct {
	src   []byte
	lines []int // where each line begins
	edits []edit
}

// edit replaces src[from:to].
type edit struct {
	from, to int
	text     string
}

func newEditor(src []byte) *editor {
	e := &editor{src: src, lines: []int{0}}
	for i, c := range src {
		if c == '\n' {
			e.lines = append(e.lines, i+1)
		}
	}
	return e
}

// apply gives the file with all edits made.
func (e *editor) apply() []byte {
	slices.SortStableFunc(e.edits, func(a, b edit) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	var out []byte
	at := 0
	crlf := bytes.Contains(e.src, []byte("\r\n"))
	for _, x := range e.edits {
		if x.from < at {
			continue // inside what has been replaced
		}
		text := x.text
		if crlf {
			text = strings.ReplaceAll(text, "\n", "\r\n")
		}
		out = append(append(out, e.src[at:x.from]...), text...)
		at = x.to
	}
	return append(out, e.src[at:]...)
}

func (e *editor) replace(from, to int, text string) { e.edits = append(e.edits, edit{from, to, text}) }

// offset is the byte at which pos stands.
func (e *editor) offset(pos strictyaml.Pos) int {
	if pos.Line < 1 || pos.Line > len(e.lines) {
		return len(e.src)
	}
	at := e.lines[pos.Line-1]
	for col := 1; col < pos.Col && at < len(e.src); col++ {
		_, size := utf8.DecodeRune(e.src[at:])
		at += size
	}
	return at
}

// lineEnd is where line (from 1) ends, before its line break.
func (e *editor) lineEnd(line int) int {
	end := len(e.src)
	if line < len(e.lines) {
		end = e.lines[line] - 1
	}
	if end > e.lines[line-1] && e.src[end-1] == '\r' {
		end--
	}
	return end
}

func (e *editor) byteAt(i int) byte {
	if i < 0 || i >= len(e.src) {
		return 0
	}
	return e.src[i]
}

// inFlow reports whether a mapping or list is written with {} or [].
func (e *editor) inFlow(n strictyaml.Node) bool {
	c := e.byteAt(e.offset(n.Pos()))
	return c == '{' || c == '['
}

// span is where a value is written that has a clear end: a plain or quoted scalar, null, {} or [].
func (e *editor) span(n strictyaml.Node) (from, to int, ok bool) {
	from = e.offset(n.Pos())
	switch n.Kind() {
	case strictyaml.Scalar:
		to = e.offset(n.ScalarPos(len(n.Text())))
		if n.Quoted() {
			ok = to > from && e.byteAt(to) == e.byteAt(from)
			return from, to + 1, ok
		}
		return from, to, to > from && isPlain(n)
	case strictyaml.Null:
		for _, word := range []string{"null", "Null", "NULL", "~"} {
			if bytes.HasPrefix(e.src[from:], []byte(word)) && strings.IndexByte(" \t\r\n,]}\x00", e.byteAt(from+len(word))) >= 0 {
				return from, from + len(word), true
			}
		}
		return from, from, false
	}
	if !e.inFlow(n) {
		return from, from, false
	}
	to = e.flowEnd(from)
	return from, to, to > from
}

// flowEnd is behind the bracket that closes the one at from; 0 when there is none.
func (e *editor) flowEnd(from int) int {
	depth, before := 0, byte('{')
	for i := from; i < len(e.src); i++ {
		c := e.src[i]
		switch {
		case (c == '"' || c == '\'') && strings.IndexByte("{[,:", before) >= 0:
			if i = e.quoteEnd(i); i == 0 {
				return 0
			}
		case c == '#' && strings.IndexByte(" \t\n", e.src[i-1]) >= 0:
			for i+1 < len(e.src) && e.src[i+1] != '\n' {
				i++
			}
			continue
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		if strings.IndexByte(" \t\r\n", c) < 0 {
			before = c
		}
	}
	return 0
}

// quoteEnd is the closing quote of the text whose opening quote is at from; 0 when there is none.
func (e *editor) quoteEnd(from int) int {
	quote := e.src[from]
	for i := from + 1; i < len(e.src); i++ {
		switch {
		case quote == '"' && e.src[i] == '\\':
			i++
		case e.src[i] == quote && quote == '\'' && e.byteAt(i+1) == quote:
			i++
		case e.src[i] == quote:
			return i
		}
	}
	return 0
}

// colon is behind the colon of a field; 0 when it is not where it is expected.
func (e *editor) colon(f strictyaml.Field) int {
	i := e.offset(f.KeyPos)
	switch c := e.byteAt(i); {
	case c == '"' || c == '\'':
		if i = e.quoteEnd(i); i == 0 {
			return 0
		}
		i++
	case bytes.HasPrefix(e.src[i:], []byte(f.Key)):
		i += len(f.Key)
	default:
		return 0
	}
	for e.byteAt(i) == ' ' {
		i++
	}
	if e.byteAt(i) != ':' {
		return 0
	}
	return i + 1
}

// lastLine is the last line, from 1, of a field of a block mapping: its value's lines are indented more than its key, or are the
// items of a list right below it.
func (e *editor) lastLine(f strictyaml.Field) int {
	last := f.KeyPos.Line
	if _, to, ok := e.span(f.Value); ok {
		// Nothing below a value with a clear end belongs to it, comments included.
		return 1 + bytes.Count(e.src[:to], []byte("\n"))
	}
	for line := last + 1; line <= len(e.lines); line++ {
		text := string(e.src[e.lines[line-1]:e.lineEnd(line)])
		bare := strings.TrimLeft(text, " ")
		indent := len(text) - len(bare)
		switch {
		case strings.TrimSpace(bare) == "":
			continue
		case indent > f.KeyPos.Col-1, indent == f.KeyPos.Col-1 && f.Value.Kind() == strictyaml.List && (bare == "-" || strings.HasPrefix(bare, "- ")):
			last = line
		default:
			return last
		}
	}
	return last
}

// sync makes the value at n say what got is, with as few changes as possible; false: it cannot be done in place. Of a part, only
// the fields that it names change.
func (e *editor) sync(n strictyaml.Node, got jsondoc.Value, part bool) bool {
	d := differ{part: part}
	d.compare(n, parsed(n).Root(), got, "")
	if len(d.list) == 0 {
		return true
	}
	made := len(e.edits)
	ok := false
	switch {
	case n.Kind() == strictyaml.Map && got.Kind() == jsondoc.Object:
		ok = e.syncMap(n, got, part)
	case n.Kind() == strictyaml.List && got.Kind() == jsondoc.Array && len(n.Items()) == got.Len():
		ok = true
		for i, item := range n.Items() {
			ok = ok && e.sync(item, got.Index(i), part)
		}
	case (n.Kind() == strictyaml.Scalar || n.Kind() == strictyaml.Null) && got.Kind() < jsondoc.Array:
		var from, to int
		if from, to, ok = e.span(n); ok {
			e.replace(from, to, like(n, got))
		}
	}
	if !ok {
		e.edits = e.edits[:made]
	}
	return ok
}

var plainText = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 _-]*[A-Za-z0-9]$`)

// like writes a scalar in the manner of the one that it replaces.
func like(n strictyaml.Node, v jsondoc.Value) string {
	text := v.Str()
	old := string(document(n, nil, nil))
	if v.Kind() == jsondoc.String && n.Kind() == strictyaml.Scalar && isPlain(n) && old[0] == '"' &&
		plainText.MatchString(text) && !words.MatchString(text) && !strings.EqualFold(text, "null") {
		return text
	}
	return inline(v)
}

func (e *editor) syncMap(n strictyaml.Node, got jsondoc.Value, part bool) bool {
	flow := e.inFlow(n)
	kept := 0
	for _, f := range n.Fields() {
		g := got.Get(f.Key)
		switch {
		case g.Kind() == jsondoc.Missing && part && f.Value.Kind() == strictyaml.Null:
			kept++
		case g.Kind() == jsondoc.Missing && !part:
			if flow || !e.remove(f) {
				return false
			}
		case !e.sync(f.Value, g, part) && !e.set(f, g, flow):
			return false
		default:
			kept++
		}
	}
	if part || kept == 0 {
		return part
	}
	var added []string
	for name, v := range got.Members() {
		if !n.Has(name) {
			added = append(added, fieldText(name, v, n.Fields()))
		}
	}
	return len(added) == 0 || !flow && e.add(n, added)
}

// fieldText writes a field as its neighbours are indented.
func fieldText(name string, v jsondoc.Value, beside []strictyaml.Field) string {
	indent := beside[0].KeyPos.Col - 1
	return strings.Repeat(" ", indent) + yamlKey(name) + ":" + below(v, indent+len(name)+2, indent+2)
}

// add puts fields behind the last one of a block mapping.
func (e *editor) add(n strictyaml.Node, fields []string) bool {
	all := n.Fields()
	at := e.lineEnd(e.lastLine(all[len(all)-1]))
	e.replace(at, at, "\n"+strings.Join(fields, "\n"))
	return true
}

// remove takes a field out of a block mapping, with its lines.
func (e *editor) remove(f strictyaml.Field) bool {
	line := f.KeyPos.Line
	if line == 1 || strings.TrimSpace(string(e.src[e.lines[line-1]:e.offset(f.KeyPos)])) != "" {
		return false // it shares its line with the dash of a list
	}
	e.replace(e.lineEnd(line-1), e.lineEnd(e.lastLine(f)), "")
	return true
}

// set writes the value of a field anew.
func (e *editor) set(f strictyaml.Field, v jsondoc.Value, flow bool) bool {
	from, to, ok := e.span(f.Value)
	colon := e.colon(f)
	if colon == 0 {
		return false
	}
	if flow {
		if ok {
			e.replace(from, to, inline(v))
		}
		return ok
	}
	indent := f.KeyPos.Col - 1
	if !ok { // a block, or nothing at all
		from, to = colon, e.lineEnd(e.lastLine(f))
		if v.Kind() >= jsondoc.Array && f.Value.Kind() >= strictyaml.Map && !short(v, indent+len(f.Key)+2) {
			// What stands between the key and its first line stays.
			start := e.lines[f.Value.Pos().Line-1]
			e.replace(start, to, block(v, f.Value.Pos().Col-1))
			return true
		}
	} else {
		from = colon
	}
	e.replace(from, to, below(v, indent+len(f.Key)+2, indent+2))
	return true
}
