package format

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Settings say how a file's bytes are documents. Connectors embed them, inline, in the settings of an object type, decode them with defaults
// filled in, and call Complete.
type Settings struct {
	Format   string          `yaml:"format" default:"csv" enum:"csv,jsonl,fixed,xml,xlsx,parquet,x12,edifact,ubl,cii" doc:"csv; jsonl: one JSON object a line; fixed: columns of fixed width; xml: elements of one path; xlsx: a sheet of a workbook; parquet: columns with types of their own; x12 and edifact: interchanges, each message of which is a document (docs/edi.md); ubl and cii: an e-invoice (docs/e-invoices.md). Lines end in CR, LF or both"`
	Encoding string          `yaml:"encoding" default:"utf-8" enum:"utf-8,gb18030,iso-8859-1,iso-8859-15,windows-1252,utf-16,utf-16le,utf-16be" doc:"encoding of the files; a byte order mark is understood"`
	MaxRow   strictyaml.Size `yaml:"max-row" default:"1MiB" doc:"bound of one row"`
	CSV      CSV             `yaml:"csv" doc:"the dialect of csv"`
	Fixed    Fixed           `yaml:"fixed" doc:"the columns of fixed"`
	XML      XML             `yaml:"xml" doc:"the elements of xml"`
	XLSX     XLSX            `yaml:"xlsx" doc:"the sheet of xlsx"`
	Parquet  Parquet         `yaml:"parquet" doc:"the columns of parquet"`
	Empty    string          `yaml:"empty" default:"done" enum:"done,failed" doc:"what a file of 0 bytes is: done, with 0 rows, or failed; one that holds bytes and neither a header nor a row always fails"`
	BadRows  BadRows         `yaml:"bad-rows" doc:"when rows that cannot be read fail the whole file, before any row of it is taken; default: each parks alone"`
	GroupBy  []string        `yaml:"group-by" doc:"columns whose values rows that belong together share: such rows, one after the other, become one document with lines"`
	Lines    Lines           `yaml:"lines" doc:"the lines of such a document"`
	Rows     Rows            `yaml:"rows" doc:"how a document is written as rows"`
	EDI      EDI             `yaml:"edi" doc:"the messages of x12 and edifact"`
	EInvoice EInvoice        `yaml:"einvoice" doc:"the invoices of ubl and cii"`

	// other is how values stand in rows where the format is not csv, in the words of csv.
	other *CSV
}

// CSV is the dialect of delimited files.
type CSV struct {
	Delimiter  string  `yaml:"delimiter" default:"," doc:"one ASCII character, or tab; a first line such as sep=; in a file says another"`
	Quote      string  `yaml:"quote" default:"\"" doc:"one ASCII character, or none"`
	Header     bool    `yaml:"header" default:"true" doc:"a row before the data names the columns"`
	Columns    Columns `yaml:"columns" type:"map" elem:"string" doc:"columns in their order, with their type: text, integer, decimal, date, bool; a column that a header names and this does not is text; without a header, and for writing, all of them"`
	By         string  `yaml:"by" default:"name" enum:"name,position" doc:"name: the header says which column is which; position: columns does, and what the header says does not count"`
	Skip       int     `yaml:"skip" default:"0" doc:"lines before the header, or before the data where there is none"`
	Starts     string  `yaml:"header-contains" doc:"a text: the first line that holds it is the header, and lines before it are skipped"`
	SkipAfter  int     `yaml:"skip-after" default:"0" doc:"rows after the data that are left out"`
	Footer     string  `yaml:"footer" doc:"the first value of the row after the data, with * and ?, such as Total*: it and what follows it are left out"`
	Footed     bool    `yaml:"footer-required" default:"false" doc:"a file without that row is not complete"`
	DateLayout string  `yaml:"date-layout" default:"2006-01-02" doc:"how dates are written, in Go's notation"`
	Mark       string  `yaml:"decimal-mark" default:"." enum:".,comma" doc:"the mark of decimals: . or comma"`
	Numbers    Numbers `yaml:"numbers" doc:"how numbers are written; -1, 1- and (1) are the same number"`
	Trim       bool    `yaml:"trim" doc:"leave out blanks around values"`
	Formulas   string  `yaml:"formulas" default:"keep" enum:"keep,quote" doc:"quote: texts that a spreadsheet would take for a formula (= + - @, tab or CR first) are written with an apostrophe before them"`
}

// Numbers are the marks of numbers.
type Numbers struct {
	Decimal string `yaml:"decimal" doc:"the mark of decimals: . or comma; default: decimal-mark"`
	Group   string `yaml:"group" default:"none" enum:"none,dot,comma,apostrophe,space" doc:"the mark between groups of three digits; a space may be a no-break one. A number has all of its marks or none, and one in a wrong place is no number. Numbers are written without"`
}

// Lines say how rows become the lines of a document.
type Lines struct {
	Name    string   `yaml:"name" default:"lines" doc:"name of the list"`
	Columns []string `yaml:"columns" doc:"columns of a line; the others are the document's, and are the same in all of its rows. Default: all but those of group-by"`
	AtMost  int      `yaml:"at-most" default:"10000" doc:"lines of a document; one with more is parked"`
}

// Rows say how documents become rows.
type Rows struct {
	Each      string `yaml:"each" doc:"name of a list: each of its elements is a row, which repeats the document's other values. Default: with group-by, lines.name"`
	Operation string `yaml:"operation-column" doc:"a column that says what happened to the object"`
	Create    string `yaml:"create" default:"create" doc:"what it says of a new object"`
	Update    string `yaml:"update" default:"update" doc:"of one that was written before"`
	Delete    string `yaml:"delete" default:"delete" doc:"of one that was deleted; without operation-column a deletion cannot be written"`
	Event     string `yaml:"event-column" doc:"a column for the id of the change: a receiver that meets one twice has it twice"`
}

// Column is one column of a file. Width is what is in brackets behind its type, such as the 10 of decimal(10.2), and Scale the 2; 0: nothing is.
type Column struct {
	Name, Type   string
	Width, Scale int
}

// Columns keep the order in which they stand in the settings.
type Columns []Column

var columnTypes = []string{"text", "integer", "decimal", "date", "bool", "timestamp", "datetime"}

// timed are those that are Parquet's alone.
var timed = []string{"timestamp", "datetime"}

// UnmarshalNode reads a mapping of names to types.
func (c *Columns) UnmarshalNode(n strictyaml.Node, p *strictyaml.Problems) {
	if n.Kind() != strictyaml.Map {
		p.AddHint(n.Pos(), "write for example {sku: text, quantity: decimal}", "columns: expected a mapping, found %s", n.Kind())
		return
	}
	for _, f := range n.Fields() {
		var text string
		col := Column{Name: f.Key}
		if f.Value.Decode(&text, p) {
			m := columnType.FindStringSubmatch(text)
			if m == nil || !slices.Contains(columnTypes, m[1]) || m[3] != "" && m[1] != "decimal" {
				p.AddHint(f.Value.Pos(), strictyaml.DidYouMean(text, columnTypes), "%s: %q is no type", f.Key, text)
				m = make([]string, 4)
			}
			col.Type = m[1]
			col.Width, _ = strconv.Atoi(m[2]) // digits, or nothing
			col.Scale, _ = strconv.Atoi(m[3])
		}
		*c = append(*c, col)
	}
}

var columnType = regexp.MustCompile(`^(\w+)(?:\(([1-9]\d{0,3})(?:\.(\d{1,3}))?\))?$`)

func (c Columns) index(name string) int {
	return slices.IndexFunc(c, func(d Column) bool { return d.Name == name })
}

// BadRows is how many rows of a file may be unreadable.
type BadRows struct {
	AtMost Bound `yaml:"at-most" type:"string" doc:"a number of rows, or a share of them such as 5%"`
}

// Bound is a number, or a share in percent, of rows; the zero Bound is none.
type Bound struct {
	set     bool
	n       int
	percent bool
}

// UnmarshalNode reads 12 or 5%.
func (b *Bound) UnmarshalNode(n strictyaml.Node, p *strictyaml.Problems) {
	var text string
	if !n.Decode(&text, p) {
		return
	}
	digits, percent := strings.CutSuffix(text, "%")
	i, err := strconv.Atoi(digits)
	if err != nil || i < 0 || percent && i > 100 || strings.Trim(digits, "0123456789") != "" {
		p.AddHint(n.Pos(), "write for example 10 or 5%", "at-most: %q is neither a number of rows nor a share", short(text))
		return
	}
	*b = Bound{true, i, percent}
}

func (b Bound) String() string {
	if b.percent {
		return strconv.Itoa(b.n) + "%"
	}
	return strconv.Itoa(b.n)
}

// exceeded reports whether bad of all rows are too many.
func (b Bound) exceeded(bad, all int) bool {
	switch {
	case !b.set:
		return false
	case b.percent:
		return bad*100 > b.n*all
	}
	return bad > b.n
}

// table is how the columns of a row are read and written, whatever the format.
func (s *Settings) table() *CSV {
	if s.other != nil {
		return s.other
	}
	return &s.CSV
}

// Complete checks the settings, whose node is n, and fills in what follows from others.
func (s *Settings) Complete(n strictyaml.Node, p *strictyaml.Problems) {
	s.CSV.complete(n.Get("csv"), s.Format == "csv", p)
	s.other = nil
	for _, f := range []string{"csv", "fixed", "xml", "xlsx", "parquet"} {
		if f != s.Format && n.Has(f) {
			p.Note(n.KeyPos(f), "leave it out", "%s: it does not count, since the format is %s", f, s.Format)
		}
	}
	switch s.Format {
	case "fixed":
		s.other = s.Fixed.complete(n, p)
	case "xml":
		s.other = s.XML.complete(n, p)
	case "xlsx":
		s.other = s.XLSX.complete(n, p)
	case "parquet":
		s.completeParquet(n, p)
	}
	if (s.Format == "xlsx" || s.Format == "parquet") && n.Has("encoding") {
		p.Note(n.KeyPos("encoding"), "leave it out", "encoding: files of the format %s say their own", s.Format)
	}
	for _, c := range s.table().Columns {
		if s.Format != "parquet" && slices.Contains(timed, c.Type) {
			p.AddHint(n.Get(s.Format).Get("columns").Get(c.Name).Pos(), "write text", "columns: %s is of the type %s, which goes with format: parquet", c.Name, c.Type)
		}
	}
	s.completeEDI(n, p)
	s.completeEInvoice(n, p)
	s.completeGroups(n, p)
	if s.Rows.Each == "" && len(s.GroupBy) > 0 {
		s.Rows.Each = s.Lines.Name
	}
	if r, at := &s.Rows, n.Get("rows"); r.Operation != "" {
		if r.Create == "" || r.Update == "" || r.Delete == "" || r.Delete == r.Create || r.Delete == r.Update {
			p.Add(at.Pos(), "rows: a deletion and the other operations need different words")
		}
		if r.Operation == r.Event {
			p.Add(at.Get("event-column").Pos(), "event-column: it is the operation's")
		}
	}
}

func (c *CSV) complete(n strictyaml.Node, used bool, p *strictyaml.Problems) {
	switch c.Delimiter {
	case "tab", `\t`:
		c.Delimiter = "\t"
	default:
		if !single(c.Delimiter) {
			p.AddHint(n.Get("delimiter").Pos(), "write one ASCII character, or tab", "delimiter: %q is none", c.Delimiter)
		}
	}
	if c.Quote == "none" {
		c.Quote = ""
	} else if !single(c.Quote) || c.Quote == c.Delimiter {
		p.AddHint(n.Get("quote").Pos(), "write one ASCII character other than the delimiter, or none", "quote: %q is none", c.Quote)
	}
	if used {
		c.Columns.plain(n, p)
	}
	if used && len(c.Columns) == 0 {
		if !c.Header {
			p.Add(n.Pos(), "csv: without a header the columns must be listed")
		} else if c.By == "position" {
			p.Add(n.Get("by").Pos(), "by: the columns must be listed, since the header does not count")
		}
	}
	c.completeTable(n, p)
}

// completeTable checks what csv, fixed and xlsx have in common.
func (c *CSV) completeTable(n strictyaml.Node, p *strictyaml.Problems) {
	sample := time.Date(2031, 11, 23, 0, 0, 0, 0, time.UTC)
	if t, err := time.Parse(c.DateLayout, sample.Format(c.DateLayout)); err != nil || !t.Equal(sample) {
		p.AddHint(n.Get("date-layout").Pos(), "write for example 02.01.2006", "date-layout: %q does not hold a whole date", c.DateLayout)
	}
	if c.Skip < 0 || c.SkipAfter < 0 || c.SkipAfter > maxAfter {
		p.Add(n.Pos(), "skip and skip-after are numbers of lines from 0 on; skip-after is at most %d", maxAfter)
	}
	if c.Starts != "" && (c.Skip > 0 || !c.Header) {
		p.Add(n.Get("header-contains").Pos(), "header-contains: it looks for a header, and goes with header: true and without skip")
	}
	if _, err := path.Match(c.Footer, "x"); err != nil {
		p.Add(n.Get("footer").Pos(), "footer: %q is no pattern", short(c.Footer))
	}
	if c.Footed && c.Footer == "" {
		p.Add(n.Get("footer-required").Pos(), "footer-required: footer says nothing of the row")
	}
	c.completeNumbers(n.Get("numbers"), p)
}

// groupMarks are the characters that a mark between groups is written as.
var groupMarks = map[string]string{"none": "", "dot": ".", "comma": ",", "apostrophe": "'\u2019", "space": " \u00a0\u202f\u2009"}

func (c *CSV) completeNumbers(n strictyaml.Node, p *strictyaml.Problems) {
	switch c.Numbers.Decimal {
	case "":
		c.Numbers.Decimal = "."
		if c.Mark == "comma" {
			c.Numbers.Decimal = ","
		}
	case ".", "dot":
		c.Numbers.Decimal = "."
	case ",", "comma":
		c.Numbers.Decimal = ","
	default:
		p.AddHint(n.Get("decimal").Pos(), "write . or comma", "decimal: %q is no mark of decimals", short(c.Numbers.Decimal))
	}
	if groupMarks[c.Numbers.Group] == c.Numbers.Decimal {
		p.Add(n.Pos(), "numbers: the mark of groups is the mark of decimals")
	}
}

func (s *Settings) completeGroups(n strictyaml.Node, p *strictyaml.Problems) {
	if len(s.GroupBy) == 0 {
		if n.Has("lines") {
			p.Add(n.KeyPos("lines"), "lines: group-by does not say which rows belong together")
		}
		return
	}
	if s.Lines.Name == "" || slices.Contains(s.GroupBy, s.Lines.Name) {
		p.Add(n.Get("lines").Pos(), "lines: the list needs a name of its own")
	}
	if s.Lines.AtMost < 1 {
		p.Add(n.Get("lines").Get("at-most").Pos(), "at-most: it must be above 0")
	}
	for i, name := range s.GroupBy {
		at := n.Get("group-by").Items()[i].Pos()
		switch {
		case slices.Contains(s.GroupBy[:i], name):
			p.Add(at, "group-by: %q stands twice", name)
		case slices.Contains(s.Lines.Columns, name):
			p.Add(at, "group-by: %q is a column of the lines, which differ in it", name)
		case s.inTable() && (!s.table().Header || s.table().By == "position") && s.table().Columns.index(name) < 0:
			p.AddHint(at, strictyaml.DidYouMean(name, s.table().Columns.names()), "group-by: there is no column %q", name)
		}
	}
}

func (c Columns) names() []string {
	out := make([]string, len(c))
	for i := range c {
		out[i] = c[i].Name
	}
	return out
}

func single(s string) bool { return len(s) == 1 && s[0] >= ' ' && s[0] < 0x7f || s == "\t" }

// describeSeparator names a delimiter for people.
func describeSeparator(b byte) string {
	if b == '\t' {
		return "a tab"
	}
	return fmt.Sprintf("%q", string(b))
}

// inTable reports whether rows are values in columns.
func (s *Settings) inTable() bool {
	return s.Format == "csv" || s.Format == "fixed" || s.Format == "xlsx"
}

// Listed are the columns that the settings list, those of Parquet by their path; nil: the format has none, or lists none. More: files may have others.
func (s *Settings) Listed() (columns Columns, more bool) {
	if s.Format == "parquet" {
		return s.Parquet.Columns, true
	}
	if !s.inTable() || len(s.table().Columns) == 0 {
		return nil, true
	}
	return s.table().Columns, s.table().Header && s.table().By == "name"
}

// Ending is what names of files of the format end with, without a dot.
func (s *Settings) Ending() string {
	switch {
	case s.Format == "fixed":
		return "txt"
	case s.Whole():
		return "xml"
	}
	return s.Format
}

// plain complains of widths, which only columns of fixed width have.
func (c Columns) plain(n strictyaml.Node, p *strictyaml.Problems) {
	for _, col := range c {
		if col.Width > 0 {
			p.AddHint(n.Get("columns").Get(col.Name).Pos(), "write "+col.Type, "columns: %s has a width, which goes with format: fixed", col.Name)
		}
	}
}
