package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/parquetdoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Parquet are files that say themselves what their columns are.
type Parquet struct {
	Columns     Columns  `yaml:"columns" type:"map" elem:"string" doc:"columns by their path: {no: text, at: timestamp, lines.qty: decimal(12.2)}; text, integer, decimal(digits.decimals), date, bool, timestamp (a moment, with its zone), datetime (without one). For writing, all of them in their order. For reading, those that the file must have; one that is of another type there is read as this one, such as a number that is a code"`
	Lists       []string `yaml:"lists" doc:"paths of columns, or of groups of them, that are lists in files that are written"`
	Compression string   `yaml:"compression" default:"snappy" enum:"snappy,zstd,gzip,none" doc:"how files are packed that are written; all of these are read"`

	Memory strictyaml.Size `yaml:"memory" default:"128MiB" doc:"how much of a file that is read may be unpacked at once: a page and a dictionary of each column. Writers of whole row groups as one page, such as DuckDB, may need more"`

	schema *parquetdoc.Schema
}

var parquetKinds = map[string]parquetdoc.Kind{"text": parquetdoc.Text, "integer": parquetdoc.Integer, "decimal": parquetdoc.Decimal, "date": parquetdoc.Date, "bool": parquetdoc.Bool,
	"timestamp": parquetdoc.Timestamp, "datetime": parquetdoc.Datetime}

func (s *Settings) completeParquet(n strictyaml.Node, p *strictyaml.Problems) {
	x, at := &s.Parquet, n.Get("parquet")
	s.other = &CSV{Columns: x.Columns, DateLayout: time.DateOnly, Numbers: Numbers{Group: "none"}}
	s.other.completeTable(at, p)
	if x.Memory < 1 || x.Memory > parquetdoc.MostMemory {
		p.Add(at.Get("memory").Pos(), "memory: it must be above 0, and at most %s", strictyaml.Size(parquetdoc.MostMemory))
	}
	whole := true
	problem := func(pos strictyaml.Pos, hint, format string, args ...any) {
		p.AddHint(pos, hint, format, args...)
		whole = false
	}
	for _, c := range x.Columns {
		pos := at.Get("columns").Get(c.Name).Pos()
		switch {
		case c.Type == "": // it has its problem
			whole = false
		case slices.Contains(strings.Split(c.Name, "."), ""):
			problem(pos, "", "columns: %q is no path of names", c.Name)
		case c.Type != "decimal" && c.Width > 0:
			problem(pos, "write "+c.Type, "columns: %s has a width, which goes with decimals", c.Name)
		case c.Type == "decimal" && (c.Width < 1 || c.Width > parquetdoc.MostDigits || c.Scale > c.Width):
			problem(pos, "write for example decimal(12.2)", "columns: %s is a decimal without its digits in all (at most %d), and behind the mark", c.Name, parquetdoc.MostDigits)
		}
		for _, o := range x.Columns {
			if strings.HasPrefix(o.Name, c.Name+".") {
				problem(pos, "", "columns: %s is a column, and a group of columns by %s", c.Name, o.Name)
				break
			}
		}
	}
	for i, l := range x.Lists {
		if !slices.ContainsFunc(x.Columns, func(c Column) bool { return c.Name == l || strings.HasPrefix(c.Name, l+".") }) {
			problem(at.Get("lists").Items()[i].Pos(), strictyaml.DidYouMean(l, x.Columns.names()), "lists: there is no column %q", l)
		}
	}
	if whole && len(x.Columns) > 0 {
		x.schema = parquetdoc.NewSchema(x.fields(s.written(), ""))
	}
}

// fields are the columns below a path, each group where its first column stands.
func (x *Parquet) fields(columns Columns, path string) (out []parquetdoc.Field) {
	for _, c := range columns {
		rest, below := strings.CutPrefix(c.Name, path)
		if !below {
			continue
		}
		name, _, group := strings.Cut(rest, ".")
		if slices.ContainsFunc(out, func(f parquetdoc.Field) bool { return f.Name == name }) {
			continue
		}
		f := parquetdoc.Field{Name: name, List: slices.Contains(x.Lists, path+name)}
		if group {
			f.Fields = x.fields(columns, path+name+".")
		} else {
			f.Kind, f.Precision, f.Scale = parquetKinds[c.Type], c.Width, c.Scale
		}
		out = append(out, f)
	}
	return out
}

// row appends a row as a JSON object on a line; the file is packed when all rows are there.
func (x *Parquet) row(dst []byte, members []named) ([]byte, error) {
	if x.schema == nil {
		return nil, errors.New("parquet.columns says nothing of the columns to write")
	}
	from := len(dst)
	dst = appendJSON(dst, members)
	doc, err := jsondoc.Parse(dst[from:], jsondoc.Limits{Bytes: len(dst) - from + 1})
	if err == nil {
		err = x.schema.Check(doc.Root())
	}
	return dst, err
}

// file packs rows.
func (x *Parquet) file(records [][]byte) ([]byte, error) {
	if x.schema == nil {
		return nil, errors.New("parquet.columns says nothing of the columns to write")
	}
	var out bytes.Buffer
	err := x.schema.Write(&out, x.Compression, documents(records))
	return out.Bytes(), err
}

// documents gives records that are JSON objects, each on a line.
func documents(records [][]byte) iter.Seq2[jsondoc.Value, error] {
	return func(yield func(jsondoc.Value, error) bool) {
		for _, record := range records {
			for line := range bytes.Lines(record) {
				doc, err := jsondoc.Parse(line, jsondoc.Limits{Bytes: len(line) + 1})
				if err != nil {
					yield(jsondoc.Value{}, err)
					return
				}
				if !yield(doc.Root(), nil) {
					return
				}
			}
		}
	}
}

// parquetReader reads the rows of a file.
type parquetReader struct {
	set   *Settings
	in    *counter
	file  *parquetdoc.File
	row   int
	ended ending
}

func (r *parquetReader) end() ending { return r.ended }

func (r *parquetReader) next() (Row, error) {
	if r.file == nil {
		if err := r.open(); err != nil {
			return Row{}, err
		}
	}
	r.row++
	doc, err := r.file.Next(nil, int(r.set.MaxRow))
	row := Row{Line: r.row, Doc: doc}
	var bad *parquetdoc.ValueError
	var whole *parquetdoc.Error
	switch {
	case errors.As(err, &bad):
		return row, &RowError{Err: bad.Err, Column: bad.Path}
	case errors.As(err, &whole):
		return Row{}, &FileError{r.row, err}
	}
	return row, err
}

// open reads the footer, which is at the end.
func (r *parquetReader) open() error {
	size, err := r.in.r.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if r.in.n = size; size == 0 {
		return io.EOF
	}
	f, err := parquetdoc.Open(r.in.r, size, int(r.set.Parquet.Memory))
	var whole *parquetdoc.Error
	if errors.As(err, &whole) {
		r.ended.missing = fmt.Errorf("it is no whole Parquet file: %w", err)
		return &FileError{Err: r.ended.missing}
	}
	if err != nil {
		return err
	}
	if err := r.types(f); err != nil {
		return &FileError{Err: err}
	}
	r.file, r.ended.headed = f, true
	return nil
}

// types holds the columns of a file against those of the settings.
func (r *parquetReader) types(f *parquetdoc.File) error {
	for _, c := range r.set.Parquet.Columns {
		i := slices.IndexFunc(f.Leaves(), func(l *parquetdoc.Leaf) bool { return l.Path() == c.Name })
		if i < 0 {
			var names []string
			for _, l := range f.Leaves() {
				names = append(names, l.Path())
			}
			return fmt.Errorf("there is no column %q; there are: %s", c.Name, short(list(names)))
		}
		l := f.Leaves()[i]
		have, want := l.Kind(), parquetKinds[c.Type]
		moment := want == parquetdoc.Timestamp || want == parquetdoc.Datetime || want == parquetdoc.Date && have != parquetdoc.Text
		switch {
		case have == want || want == parquetdoc.Decimal && have == parquetdoc.Integer:
		case moment || want != parquetdoc.Text && have > parquetdoc.Bool:
			return fmt.Errorf("column %s: the file has values of the type %s there, and the settings say %s", c.Name, have, want)
		default:
			l.Show(func(dst []byte, text string) ([]byte, error) { return r.set.table().appendValue(dst, c.Type, text) })
		}
	}
	return nil
}
