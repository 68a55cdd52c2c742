package parquetdoc

import (
	"fmt"
	"io"
	"iter"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Field is a column to write; or a group of them, where it has fields. It may always be null.
type Field struct {
	Name string
	Kind Kind // Text, Integer, Decimal, Bool, Date, Timestamp or Datetime
	// Precision and Scale are a decimal's: all of its digits, and those behind the mark.
	Precision, Scale int
	// List: there is a list of it.
	List   bool
	Fields []Field
}

// MostDigits is how many digits a decimal has at most that is written: with more, few others read it.
const MostDigits = 38

const (
	// groupRows is how many rows go into one row group.
	groupRows = 100_000
	// mostDictionary is how many bytes a column's texts may have that are written once and then referred to; with more, they stand where they are.
	mostDictionary = 1 << 20
)

// Schema is what files have that are written.
type Schema struct {
	fields []Field
	of     *parquet.Schema
	leaves int
	group  int64 // rows of one
	texts  int64 // bytes of a dictionary
	how    []parquet.WriterOption
}

// group is a group of columns in an order of its own; the library's are sorted by name.
type group struct {
	parquet.Group
	fields []parquet.Field
}

func (g group) Fields() []parquet.Field { return g.fields }

// member is a column of a group.
type member struct {
	parquet.Node
	name string
}

func (m member) Name() string                           { return m.name }
func (m member) Value(base reflect.Value) reflect.Value { return base }

// NewSchema makes one. Its fields have names that differ within a group.
func NewSchema(fields []Field) *Schema {
	s := &Schema{fields: fields, group: groupRows, texts: mostDictionary}
	s.of = parquet.NewSchema("document", s.node(fields, nil))
	return s
}

func (s *Schema) node(fields []Field, path []string) parquet.Node {
	g := group{}
	for _, f := range fields {
		at := append(slices.Clone(path), f.Name)
		if f.List {
			at = append(at, "list", "element")
		}
		var n parquet.Node
		if len(f.Fields) > 0 {
			n = s.node(f.Fields, at)
		} else {
			n = f.leaf()
			s.leaves++
		}
		if len(f.Fields) == 0 && f.Kind == Text { // the least and the greatest text would stand in the footer as wholes
			s.how = append(s.how, parquet.SkipPageBounds(at...))
		}
		if n = parquet.Optional(n); f.List {
			n = parquet.Optional(parquet.List(n))
		}
		g.fields = append(g.fields, member{n, f.Name})
	}
	return g
}

func (f *Field) leaf() parquet.Node {
	switch f.Kind {
	case Integer:
		return parquet.Int(64)
	case Decimal:
		switch {
		case f.Precision <= 9:
			return parquet.Decimal(f.Scale, f.Precision, parquet.Int32Type)
		case f.Precision <= 18:
			return parquet.Decimal(f.Scale, f.Precision, parquet.Int64Type)
		}
		return parquet.Decimal(f.Scale, f.Precision, parquet.FixedLenByteArrayType(widthOf(f.Precision)))
	case Bool:
		return parquet.Leaf(parquet.BooleanType)
	case Date:
		return parquet.Date()
	case Timestamp, Datetime:
		return parquet.TimestampAdjusted(parquet.Microsecond, f.Kind == Timestamp)
	}
	return parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
}

// widthOf is how many bytes a whole number of so many digits needs, with its sign.
func widthOf(digits int) int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil).BitLen()/8 + 1
}

var packers = map[string]compress.Codec{"none": &parquet.Uncompressed, "snappy": &parquet.Snappy, "gzip": &parquet.Gzip, "zstd": &parquet.Zstd}

// Packings are how pages may be packed.
func Packings() []string { return []string{"snappy", "zstd", "gzip", "none"} }

// Check says why a document cannot be written.
func (s *Schema) Check(doc jsondoc.Value) error {
	_, err := s.row(doc)
	return err
}

// Write writes a file of documents.
func (s *Schema) Write(to io.Writer, packing string, docs iter.Seq2[jsondoc.Value, error]) (err error) {
	defer func() { // the library panics where it is called wrongly
		if p := recover(); p != nil {
			err = fmt.Errorf("the file cannot be written: %v", p)
		}
	}()
	w := parquet.NewWriter(to, append([]parquet.WriterOption{s.of, parquet.Compression(packers[packing]), parquet.CreatedBy("waybill", "1", ""), parquet.MaxRowsPerRowGroup(s.group),
		parquet.DictionaryMaxBytes(s.texts), parquet.DataPageVersion(1)}, s.how...)...) // version 1: more can read it
	for doc, err := range docs {
		if err != nil {
			return err
		}
		row, err := s.row(doc)
		if err != nil {
			return err
		}
		if _, err := w.WriteRows([]parquet.Row{row}); err != nil {
			return err
		}
	}
	return w.Close()
}

// shredder puts a document's values into columns.
type shredder struct {
	columns [][]parquet.Value
	leaf    int
}

// levels are where a value stands: what repeats with it, what is there above it, and in how many lists.
type levels struct{ rep, def, lists int }

func (l levels) there(n int) levels { return levels{l.rep, l.def + n, l.lists} }

func (s *Schema) row(doc jsondoc.Value) (parquet.Row, error) {
	r := &shredder{columns: make([][]parquet.Value, s.leaves)}
	if err := r.group(s.fields, doc, "", levels{}); err != nil {
		return nil, err
	}
	return parquet.MakeRow(r.columns...), nil
}

func (r *shredder) put(v parquet.Value, l levels) {
	r.columns[r.leaf] = append(r.columns[r.leaf], v.Level(l.rep, l.def, r.leaf))
	r.leaf++
}

// null says of all columns of a field that nothing is there.
func (r *shredder) null(f *Field, l levels) {
	if len(f.Fields) == 0 {
		r.put(parquet.NullValue(), l)
		return
	}
	for i := range f.Fields {
		r.null(&f.Fields[i], l)
	}
}

func (r *shredder) group(fields []Field, v jsondoc.Value, path string, l levels) error {
	if v.Kind() != jsondoc.Object {
		return fmt.Errorf("%s: it holds %s, and is a group of columns", path, v.Kind())
	}
	for name := range v.Members() {
		if !slices.ContainsFunc(fields, func(f Field) bool { return f.Name == name }) {
			if strings.Contains(name, ".") {
				return fmt.Errorf("%q is no column: it is one name with a dot in it, and the dot of a column leads into a group (write it as a group, in a mapping)", join(path, name))
			}
			return fmt.Errorf("%q is no column", join(path, name))
		}
	}
	for i := range fields {
		f := &fields[i]
		if err := r.field(f, v.Get(f.Name), join(path, f.Name), l); err != nil {
			return err
		}
	}
	return nil
}

func (r *shredder) field(f *Field, v jsondoc.Value, path string, l levels) error {
	switch {
	case !f.List || !v.Exists():
		return r.one(f, v, path, l)
	case v.Kind() != jsondoc.Array:
		return fmt.Errorf("%s: it holds %s, and is a list", path, v.Kind())
	case v.Len() == 0:
		r.null(f, l.there(1))
		return nil
	}
	first := r.leaf
	at := levels{l.rep, l.def + 2, l.lists + 1}
	for e := range v.Elements() {
		r.leaf = first
		if err := r.one(f, e, path, at); err != nil {
			return err
		}
		at.rep = at.lists
	}
	return nil
}

func (r *shredder) one(f *Field, v jsondoc.Value, path string, l levels) error {
	switch {
	case !v.Exists():
		r.null(f, l)
		return nil
	case len(f.Fields) > 0:
		return r.group(f.Fields, v, path, l.there(1))
	}
	value, err := f.value(v)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r.put(value, l.there(1))
	return nil
}

// value is a document's value as it is stored. None is cut or rounded to fit.
func (f *Field) value(v jsondoc.Value) (none parquet.Value, err error) {
	wrong := fmt.Errorf("it holds %s, and the column takes %s", v.Kind(), f.Kind)
	switch f.Kind {
	case Bool:
		if v.Kind() != jsondoc.Bool {
			return none, wrong
		}
		return parquet.BooleanValue(v.Bool()), nil
	case Integer, Decimal:
		d, err := v.Decimal()
		if err != nil {
			return none, wrong
		}
		return f.number(d)
	}
	if v.Kind() != jsondoc.String {
		return none, wrong
	}
	text := v.Str()
	switch f.Kind {
	case Date:
		t, err := time.Parse(time.DateOnly, text)
		if err != nil || t.Year() < 1 {
			return none, fmt.Errorf("%q is no date (write 2006-01-02)", short(text))
		}
		return parquet.Int32Value(int32(t.Unix() / 86_400)), nil
	case Timestamp:
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return none, fmt.Errorf("%q is no time with a zone (write 2006-01-02T15:04:05Z)", short(text))
		}
		return micros(t, text)
	case Datetime:
		t, err := time.Parse(localLayout, text)
		if err != nil {
			return none, fmt.Errorf("%q is no time without a zone (write 2006-01-02T15:04:05)", short(text))
		}
		return micros(t, text)
	}
	return parquet.ByteArrayValue([]byte(text)), nil
}

func micros(t time.Time, text string) (none parquet.Value, err error) {
	if t.Nanosecond()%1000 != 0 {
		return none, fmt.Errorf("%q has more than six digits behind its seconds", short(text))
	}
	if y := t.UTC().Year(); y < 1 || y > 9999 {
		return none, errDay
	}
	return parquet.Int64Value(t.UnixMicro()), nil
}

func (f *Field) number(d jsondoc.Decimal) (none parquet.Value, err error) {
	precision, scale := f.Precision, f.Scale
	if f.Kind == Integer {
		n, ok := d.Trim().Int64()
		if !ok {
			return none, fmt.Errorf("%s is no whole number of 64 bits", short(d.String()))
		}
		return parquet.Int64Value(n), nil
	}
	if d = d.Trim(); d.Scale() > scale {
		return none, fmt.Errorf("%s has more than the %d decimals of its column", short(d.String()), scale)
	}
	n, ok := new(big.Int).SetString(strings.Replace(d.Fixed(scale, jsondoc.HalfEven).String(), ".", "", 1), 10)
	if !ok || len(strings.TrimPrefix(n.String(), "-")) > precision {
		return none, fmt.Errorf("%s has more than the %d digits of its column", short(d.String()), precision)
	}
	switch {
	case precision <= 9:
		return parquet.Int32Value(int32(n.Int64())), nil
	case precision <= 18:
		return parquet.Int64Value(n.Int64()), nil
	}
	b := make([]byte, widthOf(precision))
	if n.Sign() < 0 {
		n.Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return parquet.FixedLenByteArrayValue(n.FillBytes(b)), nil
}

// short bounds a value that an error shows.
func short(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:77]) + "..."
	}
	return s
}
