package format

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
)

// maxGroups bounds the documents of one file whose rows are grouped: their keys are remembered.
const maxGroups = 2_000_000

// Read gives the documents of a file from index from on: a *RowError with the row's number where one cannot be read, a *FileError with number
// 0 where nothing comes after it; any other error is of the reading itself. What fails the file as a whole is found before its first row is
// given, and then none is: with settings that need it, the bytes are read twice.
func (s *Settings) Read(in io.ReadSeeker, from int) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if from == 0 && s.needsSurvey() {
			if err := s.verdict(in); err != nil {
				yield(Row{Line: lineOf(err)}, err)
				return
			}
		}
		c := &counter{r: in}
		rd := s.rows(c, true)
		for n := 1; ; n++ {
			row, err := rd.next()
			if errors.Is(err, io.EOF) {
				if err := s.none(n-1, c.n, rd.end()); err != nil {
					yield(Row{}, err)
				}
				return
			}
			if err != nil && !isRow(err) {
				yield(Row{Line: lineOf(err)}, err)
				return
			}
			if row.Number = n; n > from && !yield(row, err) {
				return
			}
		}
	}
}

func lineOf(err error) int {
	var fe *FileError
	if errors.As(err, &fe) {
		return fe.Line
	}
	return 0
}

// none judges a file without a row: one that holds bytes, and neither a header nor what stands after the data, is none of the format.
func (s *Settings) none(rows int, bytes int64, e ending) error {
	switch {
	case rows > 0 || e.headed || e.footed:
		return nil
	case bytes > 0:
		return &FileError{Err: fmt.Errorf("the file holds %d bytes, and no row", bytes)}
	case s.Empty == "failed":
		return &FileError{Err: errors.New("the file is empty")}
	}
	return nil
}

// rows makes the reader of a file; grouped, or its rows as they stand.
func (s *Settings) rows(r *counter, grouped bool) rows {
	if s.Format == "parquet" {
		return s.grouped(&parquetReader{set: s, in: r}, grouped)
	}
	if s.Format == "xlsx" {
		x := &xlsxReader{set: &s.XLSX, in: r, most: 2*int(s.MaxRow) + 64<<10}
		t := newTable(s, x)
		x.table = t
		return s.grouped(t, grouped)
	}
	if s.isEDI() {
		return newEDI(s, r)
	}
	if s.Whole() {
		return &invoiceRows{set: s, in: r}
	}
	b := decoded(r, s.Encoding)
	if err := foreign(b, s.Encoding); err != nil {
		return broken{err}
	}
	l := lines{r: b, max: int(s.MaxRow)}
	var out rows
	switch s.Format {
	case "jsonl":
		out = &jsonl{l}
	case "xml":
		out = newXML(s, b)
	case "fixed":
		out = newTable(s, &fixedReader{lines: l, set: s})
	default:
		out = newTable(s, newCSV(s, l))
	}
	return s.grouped(out, grouped)
}

func (s *Settings) grouped(out rows, grouped bool) rows {
	if grouped && len(s.GroupBy) > 0 {
		return &groups{set: s, rows: out}
	}
	return out
}

func (s *Settings) needsSurvey() bool {
	return s.isEDI() || s.Whole() || s.BadRows.AtMost.set || len(s.GroupBy) > 0 || s.table().Footed || s.Format == "xml" || s.Format == "xlsx" || s.Format == "parquet" // which may end in the middle of their syntax
}

func (s *Settings) verdict(in io.ReadSeeker) error {
	v, err := s.Survey(in)
	if err == nil {
		err = v.Refused
	}
	if err != nil {
		return err
	}
	_, err = in.Seek(0, io.SeekStart)
	return err
}

// Survey is what a first reading tells of a file.
type Survey struct {
	// Rows counts rows before they are grouped, Bad those of them that cannot be read.
	Rows, Bad int
	Bytes     int64
	// Open: the last line has no line end.
	Open bool
	// Missing says why the file may not be complete: its bytes end within a row, or the row after the data is not there. Cut: within a row.
	Missing error
	Cut     bool
	// Refused says why the file fails as a whole; nil where it does not.
	Refused error
}

var errOpen = errors.New("the last line has no line end")

// Survey reads a file to its end. Its error is of the reading itself.
func (s *Settings) Survey(r io.ReadSeeker) (Survey, error) {
	c := &counter{r: r}
	rd := s.rows(c, false)
	v := Survey{}
	g := groupKeys{set: s, seen: map[[16]byte]int{}}
	var first error
	for {
		row, err := rd.next()
		var bad *RowError
		var whole *FileError
		switch {
		case errors.Is(err, io.EOF):
			v.Bytes = c.n
			s.judge(&v, rd.end(), first)
			return v, nil
		case errors.As(err, &whole):
			v.Refused, v.Bytes = whole, c.n
			e := rd.end()
			if v.Missing, v.Open = e.missing, e.open; v.Open {
				v.Missing = errOpen
			}
			return v, nil
		case errors.As(err, &bad):
			v.Bad++
			if bad.Cut && v.Missing == nil {
				v.Missing = fmt.Errorf("line %d: the file ends within this row: %w", row.Line, bad)
				v.Cut = rd.end().open
			}
			if first == nil {
				first = fmt.Errorf("line %d: %w", row.Line, bad)
			}
		case err != nil:
			return v, err
		default:
			v.Missing, v.Cut = nil, false
		}
		v.Rows++
		if err := g.see(row); err != nil {
			v.Refused, v.Bytes = err, c.n
			return v, nil
		}
	}
}

func (s *Settings) judge(v *Survey, e ending, first error) {
	v.Open = e.open
	if s.table().Footed && !e.footed {
		v.Missing = fmt.Errorf("no row begins with %s, which ends the data: the file is not complete", s.table().Footer)
		v.Refused = &FileError{Err: v.Missing}
	} else if v.Missing == nil && v.Open {
		v.Missing = errOpen
	} else if v.Missing == nil && v.Bytes == 0 {
		v.Missing = errors.New("the file is empty")
	}
	if b := s.BadRows.AtMost; b.exceeded(v.Bad, v.Rows) {
		v.Refused = &FileError{Err: fmt.Errorf("%d of %d rows cannot be read, and at most %s may be: nothing of the file was taken. The first: %w", v.Bad, v.Rows, b, first)}
	} else if err := s.none(v.Rows, v.Bytes, e); err != nil && v.Refused == nil {
		v.Refused = err
	}
}

// groupKeys notices rows that belong together and do not follow each other.
type groupKeys struct {
	set  *Settings
	seen map[[16]byte]int
	last string
}

func (k *groupKeys) see(row Row) error {
	if len(k.set.GroupBy) == 0 || row.Doc == nil {
		return nil
	}
	key, _, err := (&groups{set: k.set}).split(row.Doc)
	if err != nil || key == k.last {
		return nil // a row without a key is named with its neighbours
	}
	k.last = key
	sum := [16]byte(sum(key))
	if line, ok := k.seen[sum]; ok {
		return &FileError{row.Line, fmt.Errorf("rows with the same %s stand from line %d on and again here: rows of one document follow each other; nothing of the file was taken",
			list(k.set.GroupBy), line)}
	}
	if len(k.seen) >= maxGroups {
		return &FileError{row.Line, fmt.Errorf("more than %d documents in one file whose rows are grouped", maxGroups)}
	}
	k.seen[sum] = row.Line
	return nil
}

func sum(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:16]
}

// broken is a file that cannot be read at all.
type broken struct{ error }

func (b broken) next() (Row, error) { return Row{}, b.error }
func (b broken) end() ending        { return ending{} }

// counter counts what is read.
type counter struct {
	r io.ReadSeeker
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}
