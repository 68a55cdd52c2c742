package format

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// MostRows is how many rows a sheet of a workbook takes that is written here, without its header: a workbook is packed in memory.
const MostRows = 200_000

// mostCell is how many characters a cell of XLSX holds, counted in UTF-16; what is longer is cut, and says so.
const mostCell = 32_767

// sureDigits is how many digits of a number survive in XLSX, whose numbers are floats. A number with more is written as text.
const sureDigits = 15

// ErrFull is what Row gives behind MostRows.
var ErrFull = errors.New("the sheet is full")

// Cell is a value in a sheet. A Text stays the text that it is: no code becomes a number, nothing becomes a date or a formula. A Number is a decimal
// as JSON writes it; it is a number there, with all its decimals shown, where a float holds it exactly, and else its text. A Date such as 2026-02-01 is one there, from March 1900
// on, and else its text. A Truth is true or false.
type Cell struct {
	Text, Number, Date, Truth string
	Bold                      bool
}

// Workbook is an XLSX file that is written row by row; rows beyond some megabytes wait in a file of the system's temporary directory.
type Workbook struct {
	f      *excelize.File
	sheets []*Sheet
	// styles are those of numbers by their decimals.
	styles     map[int]int
	bold, date int
}

// Sheet is one sheet of a workbook.
type Sheet struct {
	w    *Workbook
	to   *excelize.StreamWriter
	rows int
}

// NewWorkbook makes an empty one. Close must be called.
func NewWorkbook() (*Workbook, error) {
	w := &Workbook{f: excelize.NewFile(), styles: map[int]int{}}
	var err error
	if w.bold, err = w.f.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}}); err != nil {
		return nil, errors.Join(err, w.f.Close())
	}
	form := "yyyy\\-mm\\-dd"
	if w.date, err = w.f.NewStyle(&excelize.Style{CustomNumFmt: &form}); err != nil {
		return nil, errors.Join(err, w.f.Close())
	}
	return w, nil
}

// Days of workbooks count from dayZero. Before firstSure they are off by one, because workbooks know a 29th of February 1900.
var (
	dayZero   = time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	firstSure = time.Date(1900, 3, 1, 0, 0, 0, 0, time.UTC)
)

// Sheet adds a sheet whose columns have these widths, in characters. With head, its first row stays in sight.
func (w *Workbook) Sheet(name string, widths []float64, head ...string) (*Sheet, error) {
	if len(w.sheets) == 0 { // a new workbook has one already
		if err := w.f.SetSheetName(w.f.GetSheetName(0), name); err != nil {
			return nil, err
		}
	} else if _, err := w.f.NewSheet(name); err != nil {
		return nil, err
	}
	to, err := w.f.NewStreamWriter(name)
	if err != nil {
		return nil, err
	}
	for i, width := range widths {
		if err := to.SetColWidth(i+1, i+1, width); err != nil {
			return nil, err
		}
	}
	s := &Sheet{w: w, to: to}
	w.sheets = append(w.sheets, s)
	if len(head) == 0 {
		return s, nil
	}
	if err := to.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return nil, err
	}
	cells := make([]Cell, len(head))
	for i, h := range head {
		cells[i] = Cell{Text: h, Bold: true}
	}
	return s, s.row(cells)
}

// Row adds a row; ErrFull behind MostRows.
func (s *Sheet) Row(cells []Cell) error {
	if s.rows > MostRows {
		return ErrFull
	}
	return s.row(cells)
}

func (s *Sheet) row(cells []Cell) error {
	values := make([]any, len(cells))
	for i := range cells {
		v, err := s.w.value(&cells[i])
		if err != nil {
			return err
		}
		values[i] = v
	}
	s.rows++
	return s.to.SetRow("A"+strconv.Itoa(s.rows), values)
}

func (w *Workbook) value(c *Cell) (any, error) {
	switch {
	case c.Number != "":
		f, decimals, ok := exact(c.Number)
		if !ok {
			return c.Number, nil
		}
		style, err := w.decimals(decimals)
		return excelize.Cell{StyleID: style, Value: f}, err
	case c.Date != "":
		t, err := time.Parse(time.DateOnly, c.Date)
		if err != nil || t.Before(firstSure) {
			return c.Date, nil
		}
		return excelize.Cell{StyleID: w.date, Value: int(t.Sub(dayZero) / (24 * time.Hour))}, nil
	case c.Truth != "":
		return c.Truth == "true", nil
	case c.Text == "":
		return nil, nil
	case c.Bold:
		return excelize.Cell{StyleID: w.bold, Value: cutCell(c.Text)}, nil
	}
	return cutCell(c.Text), nil
}

// decimals is the style of numbers with so many decimals.
func (w *Workbook) decimals(n int) (int, error) {
	if id, ok := w.styles[n]; ok {
		return id, nil
	}
	form := "0"
	if n > 0 {
		form += "." + strings.Repeat("0", n)
	}
	id, err := w.f.NewStyle(&excelize.Style{CustomNumFmt: &form})
	w.styles[n] = id
	return id, err
}

// exact gives a decimal as a float where no digit is lost, with its decimals. Exponents are left alone: their text says more.
func exact(number string) (f float64, decimals int, ok bool) {
	digits := strings.TrimPrefix(number, "-")
	whole, part, _ := strings.Cut(digits, ".")
	n := 0
	for _, c := range whole + part {
		if c < '0' || c > '9' {
			return 0, 0, false
		}
		n++
	}
	if n == 0 || n > sureDigits {
		return 0, 0, false
	}
	f, err := strconv.ParseFloat(number, 64)
	return f, len(part), err == nil
}

// cutCell cuts a text that no cell holds, and says so in its place.
func cutCell(s string) string {
	if len(s) <= mostCell {
		return s
	}
	n, units := 0, 0
	note := fmt.Sprintf("… (cut; %d characters in all)", utf8.RuneCountInString(s))
	for i, r := range s {
		if units += 1; r > 0xFFFF {
			units++
		}
		if units > mostCell {
			return s[:n] + note
		}
		if units <= mostCell-len(note) {
			n = i + utf8.RuneLen(r)
		}
	}
	return s
}

// Write ends the workbook and writes it.
func (w *Workbook) Write(to io.Writer) error {
	for _, s := range w.sheets {
		if err := s.to.Flush(); err != nil {
			return err
		}
	}
	return w.f.Write(to)
}

// Close removes what waits in temporary files.
func (w *Workbook) Close() error { return w.f.Close() }
