package format

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Change says what a document that is written means.
type Change struct {
	// Operation is create, update or delete.
	Operation string
	// Event is the id of the change, for event-column.
	Event string
}

// Record gives a document as the bytes of its rows, each with its line end, in UTF-8. A document that the columns or the encoding cannot show is
// an error, and so is a deletion without a column that would tell.
func (s *Settings) Record(raw []byte, c Change) ([]byte, error) {
	if c.Operation == "delete" && s.Rows.Operation == "" {
		return nil, errors.New("a deletion cannot be told in a file without rows.operation-column")
	}
	doc, err := jsondoc.Parse(raw, jsondoc.Limits{})
	if err != nil {
		return nil, fmt.Errorf("the document is no JSON: %w", err)
	}
	if doc.Root().Kind() != jsondoc.Object {
		return nil, fmt.Errorf("the document is no object (%s)", doc.Root().Kind())
	}
	if s.Whole() {
		return s.invoice(doc)
	}
	all, err := s.flatten(doc.Root(), c)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, members := range all {
		if out, err = s.appendRow(out, members); err != nil {
			return nil, err
		}
	}
	if _, err := encoded(out, s.Encoding); err != nil {
		return nil, fmt.Errorf("a character that %s does not have: %w", s.Encoding, err)
	}
	return out, nil
}

// File gives a whole file of records, in the encoding of the settings.
func (s *Settings) File(records [][]byte) ([]byte, error) {
	switch s.Format {
	case "xlsx":
		return s.workbook(records)
	case "parquet":
		return s.Parquet.file(records)
	}
	if s.Whole() {
		return invoiceFile(records)
	}
	text, err := s.head()
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	for _, r := range records {
		text = append(text, r...)
	}
	if s.Format == "xml" {
		text = s.XML.close(text)
	}
	out, err := encoded(text, s.Encoding)
	if err != nil {
		return nil, fmt.Errorf("header: a character that %s does not have: %w", s.Encoding, err)
	}
	return out, nil
}

// head is what stands before the rows.
func (s *Settings) head() ([]byte, error) {
	if s.Format == "xml" {
		return s.XML.open(s.Encoding), nil
	}
	if !s.inTable() || !s.table().Header {
		return nil, nil
	}
	var names []string
	for _, c := range s.written() {
		names = append(names, c.Name)
	}
	return s.line(nil, names)
}

// line appends a row of values.
func (s *Settings) line(dst []byte, fields []string) ([]byte, error) {
	if s.Format == "fixed" {
		return s.Fixed.line(dst, fields, s.written(), s.Encoding)
	}
	return s.CSV.record(dst, fields)
}

// Readable reports whether Read gives a document that was written as it was: of interchanges it takes those of partners alone.
func (s *Settings) Readable() bool { return !s.isEDI() && (s.Rows.Each == "" || len(s.GroupBy) > 0) }

// written are the columns of files that are written: what says the change stands first, unless it has its place.
func (s *Settings) written() Columns {
	var out Columns
	for _, name := range []string{s.Rows.Operation, s.Rows.Event} {
		if name != "" && s.table().Columns.index(name) < 0 {
			out = append(out, Column{Name: name, Type: "text"})
		}
	}
	return append(out, s.table().Columns...)
}

// named is a value of a row.
type named struct {
	name string
	v    jsondoc.Value
}

// flatten gives the members of each row of a document.
func (s *Settings) flatten(root jsondoc.Value, c Change) ([][]named, error) {
	var head []named
	told, err := s.told(c)
	if err != nil {
		return nil, err
	}
	add := func(to []named, name string, v jsondoc.Value) ([]named, error) {
		if slices.ContainsFunc(to, func(n named) bool { return n.name == name }) {
			return nil, fmt.Errorf("%q would stand in a row twice", short(name))
		}
		return append(to, named{name, v}), nil
	}
	head = append(head, told...)
	each := jsondoc.Value{}
	for name, v := range root.Members() {
		if name == s.Rows.Each {
			each = v
			continue
		}
		if head, err = add(head, name, v); err != nil {
			return nil, err
		}
	}
	if s.Rows.Each == "" || c.Operation == "delete" && !each.Exists() {
		return [][]named{head}, nil
	}
	if each.Kind() != jsondoc.Array || each.Len() == 0 {
		return nil, fmt.Errorf("%s is no list with elements, and its elements are the rows", s.Rows.Each)
	}
	var out [][]named
	for i := range each.Len() {
		row := slices.Clone(head)
		line := each.Index(i)
		if line.Kind() != jsondoc.Object {
			return nil, fmt.Errorf("%s.%d is no object (%s)", s.Rows.Each, i, line.Kind())
		}
		for name, v := range line.Members() {
			if row, err = add(row, name, v); err != nil {
				return nil, fmt.Errorf("%s.%d: %w", s.Rows.Each, i, err)
			}
		}
		out = append(out, row)
	}
	return out, nil
}

// told are the values that say the change.
func (s *Settings) told(c Change) ([]named, error) {
	b := []byte{'{'}
	add := func(name, value string) {
		if name == "" {
			return
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = jsondoc.AppendString(append(jsondoc.AppendString(b, name), ':'), value)
	}
	add(s.Rows.Operation, map[string]string{"create": s.Rows.Create, "update": s.Rows.Update, "delete": s.Rows.Delete}[c.Operation])
	add(s.Rows.Event, c.Event)
	doc, err := jsondoc.Parse(append(b, '}'), jsondoc.Limits{})
	if err != nil {
		return nil, err
	}
	var out []named
	for name, v := range doc.Root().Members() {
		out = append(out, named{name, v})
	}
	return out, nil
}

func (s *Settings) appendRow(dst []byte, members []named) (_ []byte, err error) {
	switch s.Format {
	case "jsonl":
		return appendJSON(dst, members), nil
	case "xml":
		return s.XML.row(dst, members, s.table())
	case "parquet":
		return s.Parquet.row(dst, members)
	}
	cols := s.written()
	if len(s.table().Columns) == 0 {
		return nil, fmt.Errorf("%s.columns says nothing of the columns to write", s.Format)
	}
	fields := make([]string, len(cols))
	for _, m := range members {
		i := cols.index(m.name)
		if i < 0 {
			return nil, fmt.Errorf("%q is no column", short(m.name))
		}
		if fields[i], err = s.table().text(cols[i].Type, m.v); err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if s.Format == "xlsx" { // the workbook is packed when all rows are there
		for i, f := range fields {
			if err := fitsCell(f); err != nil {
				return nil, fmt.Errorf("%s: %w", cols[i].Name, err)
			}
		}
		return appendJSON(dst, members), nil
	}
	return s.line(dst, fields)
}

// appendJSON appends a row as a JSON object on a line.
func appendJSON(dst []byte, members []named) []byte {
	dst = append(dst, '{')
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = compact(append(jsondoc.AppendString(dst, m.name), ':'), m.v)
	}
	return append(dst, '}', '\n')
}

func (c *CSV) record(dst []byte, fields []string) ([]byte, error) {
	quote := byte(0)
	if c.Quote != "" {
		quote = c.Quote[0]
	}
	return appendRecord(dst, fields, c.Delimiter[0], quote)
}

// compact appends a document on one line, its values as they stand.
func compact(dst []byte, v jsondoc.Value) []byte {
	switch v.Kind() {
	case jsondoc.Array:
		dst = append(dst, '[')
		for i := range v.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = compact(dst, v.Index(i))
		}
		return append(dst, ']')
	case jsondoc.Object:
		dst = append(dst, '{')
		first := true
		for name, w := range v.Members() {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = compact(append(jsondoc.AppendString(dst, name), ':'), w)
		}
		return append(dst, '}')
	}
	return append(dst, v.Raw()...)
}

func list(names []string) string { return strings.Join(names, ", ") }
