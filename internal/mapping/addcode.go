package mapping

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// NewCode is a pair that a value map is to know from now on: a system's code and the canonical one that it stands for.
type NewCode struct {
	Map, System, Code, Canonical string
}

// Line is the pair as it is written for a canonical code that the map does not have yet.
func (c NewCode) Line() string {
	return fmt.Sprintf("%s: {%s: %s}", keyText(c.Canonical), c.System, quoted(c.Code))
}

// Codes are a system's codes and what each stands for; Canonical are the map's own codes, in their order.
func (m *ValueMap) Codes(system string) map[string]string {
	if c := m.columns[system]; c != nil {
		return maps.Clone(c.toCanonical)
	}
	return nil
}

// Canonical are the map's own codes, in the order of the file.
func (m *ValueMap) Canonical() []string { return slices.Clone(m.canonical) }

// AddCode writes a pair into the text of a value map's file, which otherwise stays as it is, and tells on which line it stands now. What comes out is
// read again: it is the old map with that pair and nothing else, or an error. A system's first code of a canonical one stays the one that is written.
func AddCode(file string, text []byte, c NewCode) (changed []byte, line int, err error) {
	old, node, err := mapIn(file, text, c.Map)
	if err != nil {
		return nil, 0, err
	}
	if stands, ok := old.Codes(c.System)[c.Code]; ok {
		return nil, 0, fmt.Errorf("%s: value map %s knows the code %s of %s already: it stands for %s", file, c.Map, show(c.Code), c.System, show(stands))
	}
	e := editor{text: text}
	at := e.add(node.Get("codes"), c)
	changed, line = e.text, 1+bytes.Count(e.text[:at], []byte("\n"))
	fresh, _, err := mapIn(file, changed, c.Map)
	if err != nil || !fresh.is(old, c) {
		return nil, 0, fmt.Errorf("%s: value map %s is written in a way that the hub does not change: add there, under codes: %s", file, c.Map, c.Line())
	}
	return changed, line, nil
}

// mapIn reads the map of that name from a file.
func mapIn(file string, text []byte, name string) (*ValueMap, strictyaml.Node, error) {
	var p strictyaml.Problems
	for _, n := range strictyaml.Parse(file, text, &p) {
		if n.Kind() == strictyaml.Map && n.Get("values").Text() == name {
			m := ParseValueMaps(n, &p)
			if err := p.Err(); err != nil {
				return nil, n, err
			}
			return m, n, nil
		}
	}
	if err := p.Err(); err != nil {
		return nil, strictyaml.Node{}, err
	}
	return nil, strictyaml.Node{}, fmt.Errorf("%s: the value map %s is not there any more: load the files again", file, name)
}

// is reports whether the map is the old one with a pair more.
func (m *ValueMap) is(old *ValueMap, c NewCode) bool {
	canonical := old.Canonical()
	if !slices.Contains(canonical, c.Canonical) {
		canonical = append(canonical, c.Canonical)
	}
	if !slices.Equal(slices.Sorted(slices.Values(canonical)), slices.Sorted(slices.Values(m.canonical))) || m.value != old.value || m.code != old.code {
		return false
	}
	for _, system := range slices.Concat(m.Systems(), old.Systems()) {
		to, from := old.Codes(system), map[string]string{}
		if to == nil {
			to = map[string]string{}
		}
		if was := old.columns[system]; was != nil {
			from = maps.Clone(was.fromHub)
		}
		if system == c.System {
			to[c.Code] = c.Canonical
			if _, has := from[c.Canonical]; !has {
				from[c.Canonical] = c.Code
			}
		}
		now := m.columns[system]
		if now == nil || !maps.Equal(now.toCanonical, to) || !maps.Equal(now.fromHub, from) {
			return false
		}
	}
	return true
}

// editor puts texts into a file.
type editor struct{ text []byte }

func (e *editor) insert(at int, s string) int {
	e.text = slices.Concat(e.text[:at], []byte(s), e.text[at:])
	return at + len(s) - len(strings.TrimLeft(s, "\n "))
}

// add writes the pair, and gives where.
func (e *editor) add(codes strictyaml.Node, c NewCode) int {
	fields := codes.Fields()
	i := slices.IndexFunc(fields, func(f strictyaml.Field) bool { return f.Key == c.Canonical })
	if i < 0 {
		if at := e.offset(codes.Pos()); e.text[at] == '{' {
			return e.insert(at+1, c.Line()+", ")
		}
		indent := strings.Repeat(" ", fields[0].KeyPos.Col-1)
		return e.insert(e.end(fields[len(fields)-1].KeyPos), indent+c.Line()+"\n")
	}
	v := fields[i].Value
	s := v.Get(c.System)
	at := e.offset(v.Pos())
	pair := c.System + ": " + quoted(c.Code)
	switch items := s.Items(); {
	case s.Kind() == strictyaml.Missing && e.text[at] == '{' && len(v.Fields()) == 0:
		return e.insert(at+1, pair)
	case s.Kind() == strictyaml.Missing && e.text[at] == '{':
		return e.insert(at+1, pair+", ")
	case s.Kind() == strictyaml.Missing:
		first := v.Fields()[0].KeyPos
		return e.insert(e.offset(first), pair+"\n"+strings.Repeat(" ", first.Col-1))
	case s.Kind() == strictyaml.Scalar:
		at, end := e.scalar(s.Pos())
		e.insert(end, ", "+quoted(c.Code)+"]")
		return e.insert(at, "[")
	case e.text[e.offset(s.Pos())] == '[':
		_, end := e.scalar(items[len(items)-1].Pos())
		return e.insert(end, ", "+quoted(c.Code))
	default:
		from, end := e.scalar(items[len(items)-1].Pos())
		if i := bytes.IndexByte(e.text[end:], '\n'); i >= 0 {
			end += i // a comment stays with its code
		}
		begin := bytes.LastIndexByte(e.text[:from], '\n') + 1
		return e.insert(end, "\n"+string(e.text[begin:from])+quoted(c.Code))
	}
}

// offset is where a place is in the text: columns count characters.
func (e *editor) offset(p strictyaml.Pos) int {
	at := 0
	for range p.Line - 1 {
		at += bytes.IndexByte(e.text[at:], '\n') + 1
	}
	line := e.text[at:]
	for i := range string(line) {
		if p.Col--; p.Col == 0 {
			return at + i
		}
	}
	return len(e.text) - 1
}

// scalar is where a code stands in the text, with its quotes.
func (e *editor) scalar(p strictyaml.Pos) (from, to int) {
	from = e.offset(p)
	m := scalarText.FindIndex(e.text[from:])
	if m == nil {
		return from, from
	}
	return from, from + len(bytes.TrimRight(e.text[from:from+m[1]], " \t\r"))
}

var scalarText = regexp.MustCompile(`^(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|(?:[^\n,\]}# ]|[^\n,\]} ]#| [^\n#])+)`)

// end is where the lines of a field end that is a block's last one: comments and blank lines behind it are not its own.
func (e *editor) end(key strictyaml.Pos) int {
	at := e.offset(strictyaml.Pos{Line: key.Line, Col: 1})
	end := at
	for first := true; at < len(e.text); first = false {
		next := len(e.text)
		if i := bytes.IndexByte(e.text[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		line := bytes.TrimRight(e.text[at:next], " \r\n")
		deep := len(line) - len(bytes.TrimLeft(line, " "))
		own := len(line) > 0 && line[deep] != '#'
		if own && !first && deep < key.Col {
			break
		}
		if at = next; own {
			end = at
		}
	}
	if end > 0 && e.text[end-1] != '\n' { // the file's last line has no end
		e.insert(end, "\n")
		end++
	}
	return end
}

var plainKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

// keyText is a canonical code as a key of YAML; what YAML takes for something else stands in quotes.
func keyText(code string) string {
	if plainKey.MatchString(code) && !slices.Contains([]string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}, strings.ToLower(code)) {
		return code
	}
	return quoted(code)
}

// quoted is a text in double quotes, as JSON and YAML both read it.
func quoted(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // a text is always written
	}
	return strings.TrimSuffix(b.String(), "\n")
}
