package format

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/big"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
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

	book   *workbook
	sheet  io.ReadCloser
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

// workbook is what is needed of one to read a sheet.
type workbook struct {
	files   map[string]*zip.File
	strings []string
	styles  []cellStyle
	days    time.Time // day 0
	odd     bool      // days before the 60th are off by one
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
	if x.sheet, err = b.part(at, maxPart); err != nil {
		return err
	}
	x.dec = xml.NewDecoder(x.sheet)
	return nil
}

// limited is a part of a workbook, of which too much is an error.
type limited struct {
	io.ReadCloser
	left int64
	name string
}

func (l *limited) Read(b []byte) (int, error) {
	n, err := l.ReadCloser.Read(b)
	if l.left -= int64(n); l.left < 0 {
		return n, fmt.Errorf("%s is too large once it is unpacked", l.name)
	}
	return n, err
}

func (b *workbook) part(name string, most int64) (io.ReadCloser, error) {
	f := b.files[name]
	if f == nil {
		return nil, fmt.Errorf("there is no %s in it", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	return &limited{r, most, name}, nil
}

// decode reads a whole part.
func (b *workbook) decode(name string, into any) error {
	r, err := b.part(name, 16<<20)
	if err != nil {
		return err
	}
	defer r.Close()
	return xml.NewDecoder(r).Decode(into)
}

type relations struct {
	All []struct {
		ID     string `xml:"Id,attr"`
		Type   string `xml:"Type,attr"`
		Target string `xml:"Target,attr"`
	} `xml:"Relationship"`
}

// find gives the part of a sheet by its name; by none, that of the first.
func (b *workbook) find(name string) (string, error) {
	var root, rels relations
	if err := b.decode("_rels/.rels", &root); err != nil {
		return "", err
	}
	main := ""
	for _, r := range root.All {
		if strings.HasSuffix(r.Type, "/officeDocument") {
			main = strings.TrimPrefix(r.Target, "/")
		}
	}
	var book struct {
		Properties struct {
			From1904 string `xml:"date1904,attr"`
		} `xml:"workbookPr"`
		Sheets []struct {
			Name string     `xml:"name,attr"`
			IDs  []xml.Attr `xml:",any,attr"`
		} `xml:"sheets>sheet"`
	}
	if err := b.decode(main, &book); err != nil {
		return "", err
	}
	b.days, b.odd = dayZero, true
	if book.Properties.From1904 == "1" || book.Properties.From1904 == "true" {
		b.days, b.odd = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC), false
	}
	if err := b.decode(path.Join(path.Dir(main), "_rels", path.Base(main)+".rels"), &rels); err != nil {
		return "", err
	}
	var names []string
	for _, s := range book.Sheets {
		names = append(names, s.Name)
		if name != "" && s.Name != name {
			continue
		}
		for _, r := range rels.All {
			if slices.ContainsFunc(s.IDs, func(a xml.Attr) bool { return a.Name.Local == "id" && a.Value == r.ID }) {
				if strings.HasPrefix(r.Target, "/") {
					return r.Target[1:], nil
				}
				return path.Join(path.Dir(main), r.Target), nil
			}
		}
	}
	return "", fmt.Errorf("there is no sheet %q in it; there are: %s", name, short(list(names)))
}

// other gives the part that the workbook names by a kind; empty: none.
func (b *workbook) other(end string) string {
	for name := range b.files {
		if path.Base(name) == end && !strings.Contains(name, "_rels") {
			return name
		}
	}
	return ""
}

func (b *workbook) readStrings() error {
	name := b.other("sharedStrings.xml")
	if name == "" {
		return nil
	}
	r, err := b.part(name, maxStrings)
	if err != nil {
		return err
	}
	defer r.Close()
	dec := xml.NewDecoder(r)
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if s, ok := t.(xml.StartElement); ok && s.Name.Local == "si" {
			text, err := textRuns(dec)
			if err != nil {
				return err
			}
			b.strings = append(b.strings, text)
		}
	}
}

// textRuns gives the text of the element that has begun, without how it is pronounced.
func textRuns(dec *xml.Decoder) (string, error) {
	var out strings.Builder
	in := []string{""}
	for len(in) > 0 {
		t, err := dec.Token()
		if err != nil {
			return "", err
		}
		switch t := t.(type) {
		case xml.StartElement:
			in = append(in, t.Name.Local)
		case xml.EndElement:
			in = in[:len(in)-1]
		case xml.CharData:
			if in[len(in)-1] == "t" && !slices.Contains(in, "rPh") {
				out.Write(t)
			}
		}
	}
	return unescapeX(out.String()), nil
}

var escapedX = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

// unescapeX gives the characters that workbooks write as _x000D_.
func unescapeX(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	return escapedX.ReplaceAllStringFunc(s, func(e string) string {
		n, _ := strconv.ParseUint(e[2:6], 16, 32) // four hexadecimal digits
		return string(rune(n))
	})
}

// cellStyle is what a style says of a number.
type cellStyle struct {
	date, time bool
	zeros      int // digits that are shown at least
}

func (b *workbook) readStyles() error {
	name := b.other("styles.xml")
	if name == "" {
		return nil
	}
	var styles struct {
		Formats []struct {
			ID   int    `xml:"numFmtId,attr"`
			Code string `xml:"formatCode,attr"`
		} `xml:"numFmts>numFmt"`
		Cells []struct {
			ID int `xml:"numFmtId,attr"`
		} `xml:"cellXfs>xf"`
	}
	if err := b.decode(name, &styles); err != nil {
		return err
	}
	codes := map[int]string{}
	for _, f := range styles.Formats {
		codes[f.ID] = f.Code
	}
	for _, c := range styles.Cells {
		style := builtIn(c.ID)
		if code, ok := codes[c.ID]; ok {
			style = styleOf(code)
		}
		b.styles = append(b.styles, style)
	}
	return nil
}

// builtIn are the formats that have a number and no code: 14 to 22, 45 and 47, and those of East Asian languages, are dates and times.
func builtIn(id int) cellStyle {
	switch {
	case id >= 14 && id <= 17, id >= 27 && id <= 31, id == 36, id >= 50 && id <= 54, id == 57, id == 58:
		return cellStyle{date: true}
	case id >= 18 && id <= 21, id >= 32 && id <= 35, id == 45, id == 47, id == 55, id == 56:
		return cellStyle{time: true}
	case id == 22:
		return cellStyle{date: true, time: true}
	}
	return cellStyle{}
}

var (
	notShown = regexp.MustCompile(`"[^"]*"|\\.|_.|\*.|\[\$[^\]]*\]|\[(?i:black|blue|cyan|green|magenta|red|white|yellow|color ?\d+|[<>=].*?)\]`)
	elapsed  = regexp.MustCompile(`\[(?i:h+|m+|s+)\]`)
)

// styleOf reads a format's code.
func styleOf(code string) cellStyle {
	code, _, _ = strings.Cut(notShown.ReplaceAllString(code, ""), ";")
	code = strings.ToLower(code)
	if code == "general" || code == "@" || elapsed.MatchString(code) {
		return cellStyle{} // what is counted in days is a number
	}
	if strings.Trim(code, "0") == "" && len(code) > 1 {
		return cellStyle{zeros: len(code)}
	}
	if strings.ContainsAny(code, "#?") {
		return cellStyle{}
	}
	s := cellStyle{date: strings.ContainsAny(code, "ydge年月日"), time: strings.ContainsAny(code, "hs時分秒")}
	if strings.Contains(code, "e+") || strings.Contains(code, "e-") {
		return cellStyle{} // powers of ten
	}
	if strings.Contains(code, "m") && !s.time {
		s.date = true
	}
	return s
}

// next reads a row of the sheet that holds something.
func (x *xlsxReader) next() ([]string, int, error) {
	if k := x.kept; k != nil {
		x.kept = nil
		return k.fields, k.line, k.err
	}
	for {
		t, err := x.dec.Token()
		if errors.Is(err, io.EOF) {
			return nil, x.row, io.EOF
		}
		if err != nil {
			return nil, x.row, &FileError{x.row, fmt.Errorf("the sheet cannot be read: %w", err)}
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
			return nil, x.row, &FileError{x.row, fmt.Errorf("the sheet cannot be read: %w", err)}
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

// text gives a cell's value as the readers of tables take it.
func (x *xlsxReader) text(c cell, column int) (string, error) {
	if !c.has {
		if c.formula {
			return "", errors.New("the cell holds a formula whose result is not stored: have the workbook computed and saved")
		}
		return "", nil
	}
	switch c.typ {
	case "s":
		n, err := strconv.Atoi(c.value)
		if err != nil || n < 0 || n >= len(x.book.strings) {
			return "", fmt.Errorf("the cell names a text that is not there (%s)", short(c.value))
		}
		return x.book.strings[n], nil
	case "str", "inlineStr":
		if c.typ == "str" {
			return unescapeX(c.value), nil
		}
		return c.value, nil
	case "b":
		return map[bool]string{true: "true", false: "false"}[c.value == "1"], nil
	case "e":
		return c.value, fmt.Errorf("the cell holds the error %s", short(c.value))
	case "d":
		return c.value, nil
	}
	if strings.TrimSpace(c.value) == "" {
		return "", nil
	}
	var style cellStyle
	if c.style >= 0 && c.style < len(x.book.styles) {
		style = x.book.styles[c.style]
	}
	typ := "text"
	if column <= len(x.table.columns) {
		typ = x.table.columns[column-1].Type
	}
	if style.date || style.time {
		return x.moment(c.value, style, typ)
	}
	return number(c.value, style, typ)
}

// number gives a number that is stored: its digits as people write them, of which workbooks keep 15.
func number(value string, style cellStyle, typ string) (string, error) {
	d, err := jsondoc.ParseDecimal(strings.TrimSpace(value))
	if err != nil {
		return value, fmt.Errorf("the cell holds %q, which is no number", short(value))
	}
	f, _, err := big.ParseFloat(d.String(), 10, 53, big.ToNearestEven)
	if err != nil {
		return value, fmt.Errorf("the cell holds %q, which is no number", short(value))
	}
	whole := d.IsInt()
	if n := significant(d.String()); n > sureDigits {
		if whole {
			if exact, _ := f.Int(nil); exact.CmpAbs(big.NewInt(1<<53)) >= 0 {
				return value, fmt.Errorf("the number %s has more digits than a workbook keeps: write it as a text", short(value))
			}
		} else if d, err = jsondoc.ParseDecimal(f.Text('g', sureDigits)); err != nil {
			return value, fmt.Errorf("the cell holds %q, which is no number", short(value))
		}
	}
	out := plainDecimal(d)
	if typ == "text" && style.zeros > len(out) && whole && !strings.HasPrefix(out, "-") {
		out = strings.Repeat("0", style.zeros-len(out)) + out
	}
	return out, nil
}

// significant counts the digits of a decimal without those zeros around them that say nothing.
func significant(s string) int {
	digits, _, _ := strings.Cut(strings.ToLower(s), "e")
	digits = strings.Replace(strings.TrimPrefix(digits, "-"), ".", "", 1)
	return len(strings.Trim(digits, "0"))
}

// plainDecimal gives a number without a power of ten and without zeros at the end of its decimals.
func plainDecimal(d jsondoc.Decimal) string {
	return d.Trim().String()
}

// moment gives a day, a time of day or both.
func (x *xlsxReader) moment(value string, style cellStyle, typ string) (string, error) {
	serial, ok := new(big.Rat).SetString(strings.TrimSpace(value))
	if !ok || serial.Sign() < 0 || serial.Cmp(big.NewRat(2958466, 1)) >= 0 {
		return value, fmt.Errorf("the cell is a date, and %q is no day that a workbook knows", short(value))
	}
	ms := new(big.Rat).Mul(serial, big.NewRat(86_400_000, 1))
	ms.Add(ms, big.NewRat(1, 2))
	n := new(big.Int).Quo(ms.Num(), ms.Denom()).Int64() // rounded: a float is a little beside it
	days, rest := n/86_400_000, time.Duration(n%86_400_000)*time.Millisecond
	if days == 0 && style.time && !style.date {
		return timeOfDay(rest), nil
	}
	from := x.book.days
	if x.book.odd && days < 61 {
		if days == 60 {
			return value, errors.New("the cell is the 29th of February 1900, which never was")
		}
		from = from.AddDate(0, 0, 1)
	}
	day := from.AddDate(0, 0, int(days))
	switch {
	case rest != 0:
		return day.Format(time.DateOnly) + "T" + timeOfDay(rest), nil
	case typ == "date":
		return day.Format(x.table.set.DateLayout), nil
	case style.time && style.date:
		return day.Format(time.DateOnly) + "T00:00:00", nil
	}
	return day.Format(time.DateOnly), nil
}

func timeOfDay(d time.Duration) string {
	return time.Time{}.Add(d).Format("15:04:05.999")
}

// fitsCell says why a text fits into no cell.
func fitsCell(s string) error {
	if utf8.RuneCountInString(s) > mostCell || cutCell(s) != s {
		return fmt.Errorf("a cell holds %d characters, and it has more", mostCell)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF }) {
		return errors.New("it holds a character that no cell can")
	}
	return nil
}

// workbook packs rows.
func (s *Settings) workbook(records [][]byte) (_ []byte, err error) {
	w, err := NewWorkbook()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	cols := s.written()
	var head []string
	if s.table().Header {
		for _, c := range cols {
			head = append(head, c.Name)
		}
	}
	name := s.XLSX.Sheet
	if name == "" {
		name = "Data"
	}
	sheet, err := w.Sheet(name, nil, head...)
	if err != nil {
		return nil, err
	}
	for _, record := range records {
		for line := range bytes.Lines(record) {
			doc, err := jsondoc.Parse(line, jsondoc.Limits{Bytes: len(line) + 1})
			if err != nil {
				return nil, err
			}
			cells := make([]Cell, len(cols))
			for i, c := range cols {
				if cells[i], err = cellOf(c.Type, doc.Root().Get(c.Name), s.table()); err != nil {
					return nil, err
				}
			}
			if err := sheet.Row(cells); err != nil {
				return nil, err
			}
		}
	}
	var out bytes.Buffer
	if err := w.Write(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func cellOf(typ string, v jsondoc.Value, t *CSV) (Cell, error) {
	text, err := t.text(typ, v)
	if err != nil || v.Kind() == jsondoc.Missing || v.Kind() == jsondoc.Null {
		return Cell{}, err
	}
	switch typ {
	case "decimal", "integer":
		return Cell{Number: text}, nil
	case "date":
		return Cell{Date: v.Str()}, nil
	case "bool":
		return Cell{Truth: text}, nil
	}
	return Cell{Text: text}, nil
}
