package format

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// XLSX are workbooks of which one sheet is read, and written.
type XLSX struct {
	Sheet      string  `yaml:"sheet" doc:"name of the sheet; default: the first one, and Data for what is written"`
	Header     bool    `yaml:"header" default:"true" doc:"a row before the data names the columns"`
	Columns    Columns `yaml:"columns" type:"map" elem:"string" doc:"columns in their order, with their type: text, integer, decimal, date, bool; what a header names and this does not is text; without a header, and for writing, all of them. A number that is shown with leading zeros is a text with them, and a date is a date whatever its cell shows"`
	By         string  `yaml:"by" default:"name" enum:"name,position" doc:"name: the header says which column is which; position: columns does"`
	Skip       int     `yaml:"skip" default:"0" doc:"rows of the sheet before the header, or before the data where there is none"`
	Starts     string  `yaml:"header-contains" doc:"a text: the first row with a cell that holds it is the header, and rows before it are skipped"`
	SkipAfter  int     `yaml:"skip-after" default:"0" doc:"rows after the data that are left out"`
	Footer     string  `yaml:"footer" doc:"the first value of the row after the data, with * and ?, such as Total*: it and what follows it are left out"`
	Footed     bool    `yaml:"footer-required" default:"false" doc:"a file without that row is not complete"`
	DateLayout string  `yaml:"date-layout" default:"2006-01-02" doc:"how dates are written that are texts in their cells, in Go's notation"`
	Trim       bool    `yaml:"trim" doc:"leave out blanks around texts"`
}

func (x *XLSX) complete(n strictyaml.Node, p *strictyaml.Problems) *CSV {
	at := n.Get("xlsx")
	t := &CSV{Header: x.Header, Columns: x.Columns, By: x.By, Skip: x.Skip, Starts: x.Starts, SkipAfter: x.SkipAfter, Footer: x.Footer, Footed: x.Footed,
		DateLayout: x.DateLayout, Trim: x.Trim, Numbers: Numbers{Group: "none"}}
	x.Columns.plain(at, p)
	if len(x.Columns) == 0 && !x.Header {
		p.Add(at.Pos(), "xlsx: without a header the columns must be listed")
	} else if len(x.Columns) == 0 && x.By == "position" {
		p.Add(at.Get("by").Pos(), "by: the columns must be listed, since the header does not count")
	}
	if utf8.RuneCountInString(x.Sheet) > 31 || strings.ContainsAny(x.Sheet, `[]:*?/\`) {
		p.Add(at.Get("sheet").Pos(), "sheet: %q is no name of one: at most 31 characters, and none of [ ] : * ? / \\", short(x.Sheet))
	}
	t.completeTable(at, p)
	return t
}

const (
	// maxWorkbook bounds a workbook that is read: it is held in memory, packed.
	maxWorkbook = 64 << 20
	// maxStrings bounds its texts, which are held in memory, and maxPart everything else that is unpacked, which is read piece by piece.
	maxStrings = 128 << 20
	maxPart    = 2 << 30
	// mostColumns is how many columns a sheet has.
	mostColumns = 16_384
)

// xlsxReader reads the rows of a sheet. Cells are taken with their type and style, and not as somebody sees them: a code that is a text stays one, a number that is shown with leading
// zeros has them, a day is the day that is stored, in whatever way it is shown.
type xlsxReader struct {
	set   *XLSX
	table *table // whose columns say which dates have to fit a layout
	in    io.Reader
	most  int // bytes of a row, unpacked

	book   *workbook
	guard  *guard
	dec    *xml.Decoder
	row    int
	kept   *xlsxRow // found to be the header
	broken error
}

type xlsxRow struct {
	fields []string
	line   int
	err    error
}

func (x *xlsxReader) cut() bool   { return false }
func (x *xlsxReader) end() ending { return ending{missing: x.broken} }

// begin opens the workbook. One that is not all there cannot be opened.
func (x *xlsxReader) begin(set *CSV) error {
	data, err := io.ReadAll(io.LimitReader(x.in, maxWorkbook+1))
	switch {
	case err != nil:
		return err
	case len(data) == 0:
		return io.EOF
	case len(data) > maxWorkbook:
		return &FileError{Err: fmt.Errorf("the workbook has more than %s", strictyaml.Size(maxWorkbook))}
	}
	if err := x.open(data); err != nil {
		x.broken = fmt.Errorf("it is no whole workbook: %w", err)
		return &FileError{Err: x.broken}
	}
	for x.row < set.Skip { // rows that hold nothing are not there, and count all the same
		fields, line, err := x.next()
		if err != nil && !isRow(err) {
			return err
		}
		if line > set.Skip {
			x.kept = &xlsxRow{fields, line, err}
		}
	}
	for set.Starts != "" {
		fields, line, err := x.next()
		if errors.Is(err, io.EOF) {
			return &FileError{Err: fmt.Errorf("header: no row holds %q", short(set.Starts))}
		}
		if err != nil && !isRow(err) {
			return err
		}
		if slices.ContainsFunc(fields, func(f string) bool { return strings.Contains(f, set.Starts) }) {
			x.kept = &xlsxRow{fields, line, err}
			return nil
		}
	}
	return nil
}

func (x *xlsxReader) open(data []byte) error {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	b := &workbook{files: map[string]*zip.File{}}
	for _, f := range z.File {
		b.files[strings.TrimPrefix(f.Name, "/")] = f
	}
	at, err := b.find(x.set.Sheet)
	if err != nil {
		return err
	}
	if err := b.readStrings(); err != nil {
		return err
	}
	if err := b.readStyles(); err != nil {
		return err
	}
	x.book = b
	part, err := b.part(at, maxPart) // of bytes that are in memory: there is nothing to close
	if err != nil {
		return err
	}
	x.guard = &guard{r: part}
	x.dec = newShallow(x.guard)
	return nil
}

var escapedX = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

var (
	notShown = regexp.MustCompile(`"[^"]*"|\\.|_.|\*.|\[\$[^\]]*\]|\[(?i:black|blue|cyan|green|magenta|red|white|yellow|color ?\d+|[<>=].*?)\]`)
	elapsed  = regexp.MustCompile(`\[(?i:h+|m+|s+)\]`)
)

// next reads a row of the sheet that holds something.
func (x *xlsxReader) next() ([]string, int, error) {
	if k := x.kept; k != nil {
		x.kept = nil
		return k.fields, k.line, k.err
	}
	for {
		x.guard.left = x.most
		t, err := x.dec.Token()
		if errors.Is(err, io.EOF) {
			return nil, x.row, io.EOF
		}
		if err != nil {
			return nil, x.row, x.unreadable(err)
		}
		start, ok := t.(xml.StartElement)
		if !ok || start.Name.Local != "row" {
			continue
		}
		x.row++
		for _, a := range start.Attr {
			if n, err := strconv.Atoi(a.Value); a.Name.Local == "r" && err == nil && n > 0 {
				x.row = n
			}
		}
		fields, bad, err := x.cells()
		if err != nil {
			return nil, x.row, x.unreadable(err)
		}
		if bad != nil {
			return fields, x.row, bad
		}
		if slices.ContainsFunc(fields, func(s string) bool { return s != "" }) {
			for len(fields) < len(x.table.columns) {
				fields = append(fields, "")
			}
			return fields, x.row, nil
		}
	}
}

func (x *xlsxReader) unreadable(err error) error {
	if errors.Is(err, errLong) {
		err = fmt.Errorf("a row has more than %s once it is unpacked, which is what max-row leaves room for", strictyaml.Size(x.most))
	}
	return &FileError{x.row, fmt.Errorf("the sheet cannot be read: %w", err)}
}

// cells reads the cells of a row up to its end.
func (x *xlsxReader) cells() (fields []string, bad *RowError, err error) {
	column := 0
	for {
		t, err := x.dec.Token()
		if err != nil {
			return nil, nil, err
		}
		if end, ok := t.(xml.EndElement); ok && end.Name.Local == "row" {
			return fields, bad, nil
		}
		start, ok := t.(xml.StartElement)
		if !ok || start.Name.Local != "c" {
			continue
		}
		c, err := x.cell(start)
		if err != nil {
			return nil, nil, err
		}
		column++
		if c.at > 0 {
			column = c.at
		}
		if column > mostColumns {
			return nil, nil, fmt.Errorf("a cell stands in column %d", column)
		}
		name := ""
		if column <= len(x.table.columns) {
			name = x.table.columns[column-1].Name
		}
		text, err := x.text(c, column)
		if err != nil && bad == nil {
			bad = &RowError{Err: err, Column: name}
		}
		if text == "" {
			continue
		}
		for len(fields) < column {
			fields = append(fields, "")
		}
		fields[column-1] = text
	}
}

// cell is one as it is stored.
type cell struct {
	at, style int
	typ       string
	value     string
	formula   bool
	has       bool // a value is there
}

func (x *xlsxReader) cell(start xml.StartElement) (c cell, err error) {
	for _, a := range start.Attr {
		switch a.Name.Local {
		case "r":
			c.at = columnOf(a.Value)
		case "s":
			c.style, _ = strconv.Atoi(a.Value) // a style that is none says nothing
		case "t":
			c.typ = a.Value
		}
	}
	for {
		t, err := x.dec.Token()
		if err != nil {
			return c, err
		}
		switch t := t.(type) {
		case xml.EndElement:
			if t.Name.Local == "c" {
				return c, nil
			}
		case xml.StartElement:
			switch t.Name.Local {
			case "v":
				if err := x.dec.DecodeElement(&c.value, &t); err != nil {
					return c, err
				}
				c.has = true
			case "is":
				if c.value, err = textRuns(x.dec); err != nil {
					return c, err
				}
				c.has = true
			case "f":
				c.formula = true
			}
		}
	}
}

// columnOf gives the number of a column in a place such as AB12; 0: it is none.
func columnOf(place string) (n int) {
	for _, r := range place {
		if r < 'A' || r > 'Z' {
			break
		}
		if n = n*26 + int(r-'A') + 1; n > mostColumns {
			return n
		}
	}
	return n
}
