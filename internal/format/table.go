package format

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// maxAfter bounds skip-after: so many rows are held back.
const maxAfter = 1000

// table turns the records of a CSV file into documents.
type table struct {
	set     *CSV
	from    records
	begun   bool
	columns []Column
	// spare is how many values beyond the columns a row may have, all of them empty: delimiters at its end. -1: the first row will tell.
	spare int
	after []record // read, and perhaps among the rows after the data
	done  bool
	ended ending
}

// record is a row before it is known to be one of the data.
type record struct {
	row Row
	err error
}

// records gives the values of one row after the other.
type records interface {
	// begin passes over what stands before the header, or before the data.
	begin(set *CSV) error
	// next gives a row and the line that it begins in. io.EOF, and only that, ends the file; a *RowError is the row's own.
	next() (fields []string, line int, err error)
	// cut: the bytes end with the row that was given last, and without a line's end.
	cut() bool
	end() ending
}

func newTable(s *Settings, from records) *table { return &table{set: s.table(), spare: -1, from: from} }

func (t *table) end() ending {
	e := t.from.end()
	t.ended.open, t.ended.missing = e.open && !t.ended.footed, e.missing
	return t.ended
}

func (t *table) next() (Row, error) {
	if !t.begun {
		t.begun = true
		if err := t.begin(); err != nil {
			return Row{}, err
		}
	}
	for !t.done && len(t.after) <= t.set.SkipAfter {
		row, err := t.read()
		if err != nil && !isRow(err) {
			if t.done = errors.Is(err, io.EOF); t.done {
				break
			}
			return Row{}, err
		}
		t.after = append(t.after, record{row, err})
	}
	if len(t.after) <= t.set.SkipAfter {
		return Row{}, io.EOF
	}
	r := t.after[0]
	t.after = t.after[1:]
	return r.row, r.err
}

// isRow: the failure is of one row; that of a file may well be of its header, a row.
func isRow(err error) bool {
	var re *RowError
	var fe *FileError
	return errors.As(err, &re) && !errors.As(err, &fe)
}

// read gives the next row of the file; io.EOF also where the data ends before it.
func (t *table) read() (Row, error) {
	for {
		fields, line, err := t.from.next()
		row := Row{Line: line}
		var re *RowError
		if errors.As(err, &re) {
			re.Cut = re.Cut || t.from.cut()
		}
		if err != nil {
			return row, err
		}
		if t.set.Footer != "" {
			if ok, _ := path.Match(t.set.Footer, strings.TrimSpace(fields[0])); ok {
				t.ended.footed = true
				return row, io.EOF
			}
		}
		if len(fields) == 1 && len(t.columns) > 1 && strings.TrimSpace(fields[0]) == "" {
			continue // blanks alone
		}
		if !t.fits(fields) {
			return row, &RowError{Err: fmt.Errorf("the row has %d values, and there are %d columns", len(fields), len(t.columns)),
				Cut: t.from.cut()}
		}
		row.Doc, err = t.document(fields[:len(t.columns)])
		return row, err
	}
}

// fits reports whether a row has a value for each column, and beyond them only the empty values that delimiters at its end make: as many as
// the header has of them, or the first row.
func (t *table) fits(fields []string) bool {
	more := len(fields) - len(t.columns)
	if more < 0 || slices.ContainsFunc(fields[len(t.columns):], func(s string) bool { return s != "" }) {
		return false
	}
	if t.spare < 0 {
		t.spare = more
	}
	return more <= t.spare
}

// document makes a row's document. One with a value that its column cannot show holds it as a text.
func (t *table) document(fields []string) ([]byte, error) {
	size := 2
	for i, f := range fields {
		size += len(f) + len(t.columns[i].Name) + 8
	}
	doc := append(make([]byte, 0, size), '{')
	var bad *RowError
	for i, c := range t.columns {
		if i > 0 {
			doc = append(doc, ',')
		}
		doc = append(jsondoc.AppendString(doc, c.Name), ':')
		to, err := t.set.appendValue(doc, c.Type, fields[i])
		if err != nil {
			to = jsondoc.AppendString(doc, fields[i])
			if bad == nil {
				bad = &RowError{Err: err, Column: c.Name, Cut: t.from.cut()}
			}
		}
		doc = to
	}
	if bad != nil {
		return append(doc, '}'), bad
	}
	return append(doc, '}'), nil
}

// begin takes what stands before the data, and settles the columns.
func (t *table) begin() error {
	if err := t.from.begin(t.set); err != nil {
		return err
	}
	if !t.set.Header {
		t.columns = t.set.Columns
		return nil
	}
	names, line, err := t.from.next()
	if isRow(err) {
		return &FileError{line, fmt.Errorf("header: %w", err)}
	}
	if err != nil {
		return err
	}
	if err := t.head(names); err != nil {
		return &FileError{line, fmt.Errorf("header: %w", err)}
	}
	t.ended.headed = true
	return nil
}

// head settles the columns by the header's names.
func (t *table) head(names []string) error {
	listed := t.set.Columns
	n := len(names)
	for n > 1 && strings.TrimSpace(names[n-1]) == "" && (t.set.By == "name" || n > len(listed)) {
		n--
	}
	if n < len(names) {
		t.spare = len(names) - n
	}
	names = names[:n]
	if t.set.By == "position" {
		if n != len(listed) {
			return fmt.Errorf("it has %d columns, and csv.columns lists %d", n, len(listed))
		}
		t.columns = listed
		return nil
	}
	cols := make([]Column, n)
	for i, name := range names {
		name = strings.TrimSpace(name)
		if name == "" {
			return fmt.Errorf("column %d has no name", i+1)
		}
		if k := slices.IndexFunc(cols[:i], func(c Column) bool { return c.Name == name }); k >= 0 {
			return fmt.Errorf("the columns %d and %d have one name, %q: rename one, or list the columns and set by: position", k+1, i+1, short(name))
		}
		cols[i] = Column{Name: name, Type: "text"}
		if k := listed.index(name); k >= 0 {
			cols[i].Type = listed[k].Type
		}
	}
	if n == 1 && t.set.Delimiter != "" && listed.index(cols[0].Name) < 0 {
		if i := strings.IndexAny(cols[0].Name, ",;\t|"); i >= 0 {
			return fmt.Errorf("the only column is %q: the delimiter is %s, and seems to be %s in this file", short(cols[0].Name),
				describeSeparator(t.set.Delimiter[0]), describeSeparator(cols[0].Name[i]))
		}
	}
	for _, c := range listed {
		if !slices.ContainsFunc(cols, func(have Column) bool { return have.Name == c.Name }) {
			return fmt.Errorf("there is no column %q", c.Name)
		}
	}
	t.columns = cols
	return nil
}
