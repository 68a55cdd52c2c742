package format

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Fixed are files whose columns have fixed widths.
type Fixed struct {
	Columns    Columns `yaml:"columns" type:"map" elem:"string" doc:"all columns in their order, each with its type and width: {no: text(10), quantity: decimal(8), price: decimal(10.2), day: date(8)}. Behind the dot stands how many of the digits are decimals that have no mark"`
	Count      string  `yaml:"count" default:"characters" enum:"characters,bytes" doc:"what widths count: characters, or bytes of the encoding"`
	Fill       string  `yaml:"fill" default:"blank" enum:"blank,zero" doc:"what stands before numbers that are written"`
	Header     bool    `yaml:"header" default:"false" doc:"a row of the same widths names the columns: it is left out, and written"`
	Skip       int     `yaml:"skip" default:"0" doc:"lines before that, or before the data"`
	SkipAfter  int     `yaml:"skip-after" default:"0" doc:"rows after the data that are left out"`
	Footer     string  `yaml:"footer" doc:"the first value of the row after the data, with * and ?: it and what follows it are left out"`
	Footed     bool    `yaml:"footer-required" default:"false" doc:"a file without that row is not complete"`
	DateLayout string  `yaml:"date-layout" default:"20060102" doc:"how dates are written, in Go's notation"`
	Mark       string  `yaml:"decimal-mark" default:"." enum:".,comma" doc:"the mark of decimals, where they have one"`
}

func (f *Fixed) complete(n strictyaml.Node, p *strictyaml.Problems) *CSV {
	t := &CSV{Columns: f.Columns, By: "position", Header: f.Header, Skip: f.Skip, SkipAfter: f.SkipAfter, Footer: f.Footer, Footed: f.Footed,
		DateLayout: f.DateLayout, Mark: f.Mark, Numbers: Numbers{Group: "none"}}
	at := n.Get("fixed")
	if len(f.Columns) == 0 {
		p.AddHint(at.Pos(), "write for example columns: {no: text(10), quantity: decimal(8)}", "fixed: the columns must be listed")
	}
	for _, c := range f.Columns {
		pos := at.Get("columns").Get(c.Name).Pos()
		switch {
		case c.Width == 0 && c.Type != "":
			p.AddHint(pos, fmt.Sprintf("write %s(10)", c.Type), "fixed: the column %s has no width", c.Name)
		case c.Scale > 0 && c.Scale >= c.Width:
			p.Add(pos, "fixed: the column %s has %d characters, and %d decimals", c.Name, c.Width, c.Scale)
		}
	}
	t.completeTable(at, p)
	for _, r := range []struct{ key, name string }{{"operation-column", n.Get("rows").Get("operation-column").Text()}, {"event-column", n.Get("rows").Get("event-column").Text()}} {
		if r.name != "" && f.Columns.index(r.name) < 0 {
			p.AddHint(n.Get("rows").Get(r.key).Pos(), "give it a place and a width in fixed.columns", "%s: there is no column %q", r.key, r.name)
		}
	}
	return t
}

// fixedReader cuts lines into values.
type fixedReader struct {
	lines lines
	set   *Settings
}

func (r *fixedReader) begin(set *CSV) error { return r.lines.skip(set) }
func (r *fixedReader) cut() bool            { return r.lines.open && r.lines.last() }
func (r *fixedReader) end() ending          { return ending{open: r.lines.open} }

func (r *fixedReader) next() (fields []string, line int, err error) {
	for {
		text, err := r.lines.next()
		line = r.lines.line
		if errors.Is(err, errLong) {
			return nil, line, &RowError{Err: err}
		}
		if err != nil {
			return nil, line, err
		}
		if text = chomp(text); strings.TrimSpace(string(text)) == "" {
			continue
		}
		fields, err := r.set.Fixed.split(string(text), r.set.Encoding, r.cut())
		return fields, line, err
	}
}

// split gives a line's values. A line may be shorter where blanks are left out at its end, but not the last one of a file, if no line end says that it is all there.
func (f *Fixed) split(text, encoding string, open bool) ([]string, error) {
	if !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) {
		return nil, &RowError{Err: errBytes}
	}
	if strings.IndexByte(text, 0) >= 0 {
		return nil, &RowError{Err: errNUL}
	}
	fields := make([]string, len(f.Columns))
	for i, c := range f.Columns {
		value, rest, whole, err := f.front(text, c.Width, encoding)
		if err != nil {
			return nil, &RowError{Err: err, Column: c.Name}
		}
		if !whole && open {
			return nil, &RowError{Err: fmt.Errorf("the line ends in it, or before it"), Column: c.Name, Cut: true}
		}
		text = rest
		if value = strings.TrimRight(value, " "); c.Scale > 0 {
			if value, err = implied(value, c.Scale, f.Mark); err != nil {
				return nil, &RowError{Err: err, Column: c.Name}
			}
		}
		fields[i] = value
	}
	if strings.TrimSpace(text) != "" {
		return nil, &RowError{Err: fmt.Errorf("behind the last column stands %q", short(text))}
	}
	return fields, nil
}

// front cuts the first column off. whole: the text was long enough.
func (f *Fixed) front(text string, width int, encoding string) (value, rest string, whole bool, err error) {
	at, n := 0, 0
	for at < len(text) && n < width {
		_, size := utf8.DecodeRuneInString(text[at:])
		if f.Count == "characters" {
			n++
		} else {
			b, err := encoded([]byte(text[at:at+size]), encoding)
			if err != nil {
				return "", "", false, err
			}
			n += len(b)
		}
		at += size
	}
	if n > width {
		return "", "", false, errors.New("it ends within a character: widths count bytes, and this one is off")
	}
	return text[:at], text[at:], n == width, nil
}

// implied gives a number its mark.
func implied(value string, scale int, mark string) (string, error) {
	digits := strings.TrimSpace(value)
	if digits == "" {
		return "", nil
	}
	before, after := "", ""
	if strings.HasPrefix(digits, "-") || strings.HasPrefix(digits, "+") {
		before, digits = digits[:1], strings.TrimSpace(digits[1:])
	} else if strings.HasSuffix(digits, "-") || strings.HasSuffix(digits, "+") {
		digits, after = digits[:len(digits)-1], strings.TrimSuffix(digits[len(digits)-1:], "+")
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return "", fmt.Errorf("%q is no number of digits whose last %d are decimals", short(strings.TrimSpace(value)), scale)
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale+1-len(digits)) + digits
	}
	point := "."
	if mark == "comma" {
		point = ","
	}
	return before + digits[:len(digits)-scale] + point + digits[len(digits)-scale:] + after, nil
}

// line appends a row. What does not fit is an error: nothing is cut.
func (f *Fixed) line(dst []byte, fields []string, cols Columns, encoding string) ([]byte, error) {
	for i, c := range cols {
		value := fields[i]
		number := c.Type == "decimal" || c.Type == "integer"
		if strings.ContainsAny(value, "\r\n") {
			return nil, fmt.Errorf("%s: it holds a line end", c.Name)
		}
		if c.Scale > 0 && value != "" && strings.Trim(value, "-0123456789.,") == "" {
			var err error
			if value, err = unmarked(value, c.Scale); err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
		}
		n := utf8.RuneCountInString(value)
		if f.Count == "bytes" {
			b, err := encoded([]byte(value), encoding)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
			n = len(b)
		}
		if n > c.Width {
			return nil, fmt.Errorf("%s: %q has %d %s, and the column %d", c.Name, short(value), n, f.Count, c.Width)
		}
		fill := strings.Repeat(" ", c.Width-n)
		switch {
		case number && value != "" && f.Fill == "zero":
			sign := ""
			if strings.HasPrefix(value, "-") {
				sign, value = "-", value[1:]
			}
			dst = append(append(append(dst, sign...), strings.Repeat("0", len(fill))...), value...)
		case number:
			dst = append(append(dst, fill...), value...)
		default:
			if strings.HasSuffix(value, " ") {
				return nil, fmt.Errorf("%s: it ends in a blank, which nobody could tell from those that fill the column", c.Name)
			}
			dst = append(append(dst, value...), fill...)
		}
	}
	return append(dst, '\r', '\n'), nil
}

// unmarked leaves the mark of a number out, whose last digits are decimals then.
func unmarked(value string, scale int) (string, error) {
	whole, part, _ := strings.Cut(strings.Replace(value, ",", ".", 1), ".")
	if kept := strings.TrimRight(part, "0"); len(kept) > scale {
		return "", fmt.Errorf("%s has more than %d decimals", value, scale)
	} else if len(part) > scale {
		part = part[:scale]
	}
	return whole + part + strings.Repeat("0", scale-len(part)), nil
}
