package format

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// maxGrouped bounds the bytes of the rows that become one document.
const maxGrouped = 16 << 20

// groups makes one document of the rows that follow each other and belong together. No document is given that may lack a line: a row that
// cannot be read spoils the document that it belongs to, or, where its key cannot be read either, both of its neighbours.
type groups struct {
	set   *Settings
	rows  rows
	now   *group
	spoil *RowError // of the next group: a row before it belonged perhaps to it
	line  int       // of that row
	ended bool
}

// group is a document that is being gathered.
type group struct {
	key   string // the values, as they stand in the rows
	line  int
	head  []byte // the document's own members, and
	names map[string]string
	lines []byte // those of its lines
	n     int
	bad   *RowError
}

func (g *groups) end() ending { return g.rows.end() }

func (g *groups) next() (Row, error) {
	for !g.ended {
		row, err := g.rows.next()
		var bad *RowError
		switch {
		case errors.As(err, &bad):
			bad = &RowError{Err: fmt.Errorf("line %d: %w", row.Line, bad), Cut: bad.Cut}
		case errors.Is(err, io.EOF):
			g.ended = true
			continue
		case err != nil:
			return row, err
		}
		if out := g.take(row, bad); out != nil {
			return g.document(out)
		}
	}
	if out := g.now; out != nil {
		g.now = nil
		return g.document(out)
	}
	if bad := g.spoil; bad != nil {
		g.spoil = nil
		return Row{Line: g.line}, bad
	}
	return Row{}, io.EOF
}

// take adds a row, and gives the group that ends before it.
func (g *groups) take(row Row, bad *RowError) (out *group) {
	key, fields, err := g.split(row.Doc)
	if err != nil {
		if bad == nil {
			bad = &RowError{Err: fmt.Errorf("line %d: %w", row.Line, err)}
		}
		if g.now != nil && g.now.bad == nil {
			g.now.bad = bad
		}
		if g.spoil == nil {
			g.spoil, g.line = bad, row.Line
		}
		return nil
	}
	if g.now == nil || g.now.key != key {
		out = g.now
		g.now = &group{key: key, line: row.Line, bad: g.spoil, names: map[string]string{}}
		g.now.begin(fields, g.set)
	}
	g.spoil = nil
	if bad != nil && g.now.bad == nil {
		g.now.bad = bad
	}
	g.now.add(fields, row.Line, g.set)
	return out
}

// field is one member of a row.
type field struct {
	name, raw string
	line      bool
}

// split gives a row's key and members. Its error says that the row cannot be told to belong anywhere.
func (g *groups) split(doc []byte) (key string, fields []field, err error) {
	if doc == nil {
		return "", nil, errors.New("the row cannot be read")
	}
	d, err := jsondoc.Parse(doc, jsondoc.Limits{Bytes: len(doc) + 1})
	if err != nil {
		return "", nil, err
	}
	var b strings.Builder
	for _, name := range g.set.GroupBy {
		v := d.Root().Get(name)
		switch v.Kind() {
		case jsondoc.Missing:
			return "", nil, fmt.Errorf("there is no column %q", name)
		case jsondoc.Null, jsondoc.Array, jsondoc.Object:
			return "", nil, fmt.Errorf("%s holds %s, and groups rows", name, v.Kind())
		case jsondoc.String:
			if v.Str() == "" {
				return "", nil, fmt.Errorf("%s is empty, and groups rows", name)
			}
		}
		b.Write(v.Raw())
		b.WriteByte('\n')
	}
	for name, v := range d.Root().Members() {
		fields = append(fields, field{name, string(v.Raw()), g.set.ofLines(name)})
	}
	return b.String(), fields, nil
}

func (s *Settings) ofLines(name string) bool {
	if len(s.Lines.Columns) > 0 {
		return slices.Contains(s.Lines.Columns, name)
	}
	return !slices.Contains(s.GroupBy, name)
}

func (g *group) begin(fields []field, s *Settings) {
	for _, f := range fields {
		if f.line {
			continue
		}
		g.names[f.name] = f.raw
		g.head = append(jsondoc.AppendString(g.head, f.name), ':')
		g.head = append(append(g.head, f.raw...), ',')
		if f.name == s.Lines.Name && g.bad == nil {
			g.bad = &RowError{Err: fmt.Errorf("line %d: the rows have a column %q, which is the name of the lines", g.line, f.name)}
		}
	}
}

// add adds a row's line.
func (g *group) add(fields []field, line int, s *Settings) {
	heads := 0
	for _, f := range fields {
		if f.line {
			continue
		}
		heads++
		was, ok := g.names[f.name]
		if !ok {
			was = "nothing"
		}
		if was != f.raw && g.bad == nil {
			g.bad = &RowError{Err: fmt.Errorf("line %d: %s is %s, and %s in line %d: rows of one document differ in it", line, f.name, short(f.raw), short(was), g.line)}
		}
	}
	if heads < len(g.names) && g.bad == nil {
		g.bad = &RowError{Err: fmt.Errorf("line %d: the row lacks a column that line %d has", line, g.line)}
	}
	if g.n++; g.n > s.Lines.AtMost || len(g.lines) > maxGrouped {
		if g.bad == nil {
			g.bad = &RowError{Err: fmt.Errorf("line %d: more than %d lines in one document", line, g.n-1)}
		}
		return
	}
	if g.n > 1 {
		g.lines = append(g.lines, ',')
	}
	first := true
	g.lines = append(g.lines, '{')
	for _, f := range fields {
		if !f.line {
			continue
		}
		if !first {
			g.lines = append(g.lines, ',')
		}
		first = false
		g.lines = append(append(jsondoc.AppendString(g.lines, f.name), ':'), f.raw...)
	}
	g.lines = append(g.lines, '}')
}

// document closes a group.
func (g *groups) document(o *group) (Row, error) {
	doc := append([]byte{'{'}, o.head...)
	doc = append(jsondoc.AppendString(doc, g.set.Lines.Name), ':', '[')
	doc = append(append(doc, o.lines...), ']', '}')
	if o.bad != nil {
		if o.n > g.set.Lines.AtMost || len(doc) > maxGrouped {
			doc = nil
		}
		return Row{Line: o.line, Doc: doc}, o.bad
	}
	return Row{Line: o.line, Doc: doc}, nil
}
