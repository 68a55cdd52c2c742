package file

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// rowReader gives the rows of a file as documents, with the line that each begins in. io.EOF ends the file; a *rowError is
// one row's own failure; every other error is the file's.
type rowReader interface {
	next() (doc []byte, line int, err error)
}

// rows makes the reader of an object's files.
func (o *object) rows(r io.Reader) rowReader {
	l := lines{r: decoded(r, o.Encoding), max: int(o.MaxRow)}
	if o.Format == "jsonl" {
		return &jsonlReader{l}
	}
	quote := byte(0)
	if o.CSV.Quote != "" {
		quote = o.CSV.Quote[0]
	}
	return &csvRows{o: o, csv: csvReader{lines: l, delimiter: o.CSV.Delimiter[0], quote: quote}}
}

// jsonlReader reads one JSON object a line.
type jsonlReader struct{ lines lines }

func (r *jsonlReader) next() ([]byte, int, error) {
	for {
		text, err := r.lines.next()
		line := r.lines.line
		if errors.Is(err, errLong) {
			return nil, line, &rowError{err}
		}
		if err != nil {
			return nil, line, err
		}
		text = chomp(text)
		if len(strings.TrimSpace(string(text))) == 0 {
			continue
		}
		if !utf8.Valid(text) || strings.ContainsRune(string(text), utf8.RuneError) {
			return nil, line, &rowError{errBytes}
		}
		doc, err := jsondoc.Parse(text, jsondoc.Limits{Bytes: len(text) + 1})
		if err != nil {
			return nil, line, &rowError{err}
		}
		if doc.Root().Kind() != jsondoc.Object {
			return nil, line, &rowError{fmt.Errorf("the line holds no object (%s)", doc.Root().Kind())}
		}
		return doc.Root().Raw(), line, nil
	}
}

// csvRows turns records into documents.
type csvRows struct {
	o       *object
	csv     csvReader
	columns []column
}

func (r *csvRows) next() ([]byte, int, error) {
	if r.columns == nil {
		if line, err := r.head(); err != nil {
			return nil, line, err
		}
	}
	fields, line, err := r.csv.next()
	if err != nil {
		return nil, line, err
	}
	if len(fields) != len(r.columns) {
		return nil, line, &rowError{fmt.Errorf("the row has %d values, and there are %d columns", len(fields), len(r.columns))}
	}
	doc := []byte{'{'}
	for i, c := range r.columns {
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = append(jsondoc.AppendString(doc, c.name), ':')
		if doc, err = r.o.CSV.appendValue(doc, c.typ, fields[i]); err != nil {
			return nil, line, &rowError{fmt.Errorf("column %s: %w", c.name, err)}
		}
	}
	return append(doc, '}'), line, nil
}

// head settles the columns: those of the settings, or of the first row. Its failure is the file's.
func (r *csvRows) head() (line int, err error) {
	listed := r.o.CSV.Columns
	if !r.o.CSV.Header {
		r.columns = listed
		return 0, nil
	}
	names, line, err := r.csv.next()
	var re *rowError
	if errors.As(err, &re) {
		return line, &headError{re.error}
	}
	if err != nil {
		return line, err // an empty file has no rows
	}
	cols := make([]column, len(names))
	for i, name := range names {
		name = strings.TrimSpace(name)
		if name == "" || slices.ContainsFunc(cols[:i], func(c column) bool { return c.name == name }) {
			return line, &headError{fmt.Errorf("column %d has the name %q, which is empty or there twice", i+1, short(name))}
		}
		cols[i] = column{name, "text"}
		if k := slices.IndexFunc(listed, func(c column) bool { return c.name == name }); k >= 0 {
			cols[i].typ = listed[k].typ
		}
	}
	for _, c := range listed {
		if !slices.ContainsFunc(cols, func(have column) bool { return have.name == c.name }) {
			return line, &headError{fmt.Errorf("there is no column %q", c.name)}
		}
	}
	r.columns = cols
	return line, nil
}

// appendValue appends a value as JSON. Empty values are null, but for texts.
func (c *csvSettings) appendValue(dst []byte, typ, value string) ([]byte, error) {
	if c.Trim || typ != "text" {
		value = strings.TrimSpace(value)
	}
	if typ == "text" {
		return jsondoc.AppendString(dst, value), nil
	}
	if value == "" {
		return append(dst, "null"...), nil
	}
	switch typ {
	case "bool":
		switch strings.ToLower(value) {
		case "true", "t", "1", "yes", "y":
			return append(dst, "true"...), nil
		case "false", "f", "0", "no", "n":
			return append(dst, "false"...), nil
		}
		return dst, fmt.Errorf("%q is no truth value", short(value))
	case "date":
		t, err := time.Parse(c.DateLayout, value)
		if err != nil {
			return dst, fmt.Errorf("%q is no date in the layout %s", short(value), c.DateLayout)
		}
		return jsondoc.AppendString(dst, t.Format(time.DateOnly)), nil
	}
	number := value
	if c.Mark == "comma" {
		if strings.Contains(value, ".") {
			return dst, fmt.Errorf("%q is no number with a decimal comma", short(value))
		}
		number = strings.ReplaceAll(value, ",", ".")
	}
	d, err := jsondoc.ParseDecimal(number)
	switch {
	case err != nil:
		return dst, fmt.Errorf("%q is no number", short(value))
	case typ == "integer" && !d.IsInt():
		return dst, fmt.Errorf("%q is no whole number", short(value))
	case typ == "integer":
		d = d.Trim()
	}
	return d.Append(dst), nil
}

// text gives a document's value as a CSV value.
func (c *csvSettings) text(typ string, v jsondoc.Value) (string, error) {
	switch v.Kind() {
	case jsondoc.Missing, jsondoc.Null:
		return "", nil
	case jsondoc.Array, jsondoc.Object:
		return "", fmt.Errorf("%s does not fit into a column", v.Kind())
	}
	wrong := fmt.Errorf("holds %s, and the column takes %s", v.Kind(), typ)
	switch typ {
	case "text":
		if v.Kind() != jsondoc.String {
			return "", wrong
		}
		return v.Str(), nil
	case "bool":
		if v.Kind() != jsondoc.Bool {
			return "", wrong
		}
		return string(v.Raw()), nil
	case "date":
		t, err := time.Parse(time.DateOnly, v.Str())
		if err != nil {
			return "", fmt.Errorf("%q is no date (write 2006-01-02)", short(v.Str()))
		}
		return t.Format(c.DateLayout), nil
	}
	d, err := v.Decimal()
	if err != nil || typ == "integer" && !d.IsInt() {
		return "", wrong
	}
	if c.Mark == "comma" {
		return strings.Replace(d.String(), ".", ",", 1), nil
	}
	return d.String(), nil
}

func short(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:77]) + "..."
	}
	return s
}
