package parquetdoc

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/format"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// sample is a column, and what its values are in documents.
type sample struct {
	name  string
	node  parquet.Node
	value func(r *rand.Rand) (parquet.Value, string)
}

func samples() (all []sample) {
	text := func(r *rand.Rand) (parquet.Value, string) {
		s := []string{"", "0042", "Größe 数", "SKU-00017", "SKU-00018", strings.Repeat("long ", 40)}[r.IntN(6)] + fmt.Sprint(r.IntN(20))
		return parquet.ByteArrayValue([]byte(s)), string(jsondoc.AppendString(nil, s))
	}
	i32 := func(r *rand.Rand) (parquet.Value, string) {
		n := int32(r.Uint32()) >> (r.IntN(2) * r.IntN(32))
		return parquet.Int32Value(n), fmt.Sprint(n)
	}
	i64 := func(r *rand.Rand) (parquet.Value, string) {
		n := int64(r.Uint64()) >> (r.IntN(2) * r.IntN(64))
		return parquet.Int64Value(n), fmt.Sprint(n)
	}
	f64 := func(r *rand.Rand) (parquet.Value, string) {
		n := r.IntN(1<<30) - 1<<29
		return parquet.DoubleValue(float64(n) / 4), decimalOf(25*int64(n), 2)
	}
	f32 := func(r *rand.Rand) (parquet.Value, string) {
		n := r.IntN(1<<20) - 1<<19
		return parquet.FloatValue(float32(n) / 2), decimalOf(5*int64(n), 1)
	}
	truth := func(r *rand.Rand) (parquet.Value, string) {
		b := r.IntN(10) < 3
		return parquet.BooleanValue(b), fmt.Sprint(b)
	}
	bytes7 := func(r *rand.Rand) (parquet.Value, string) {
		b := []byte(fmt.Sprintf("%07d", r.IntN(1000)))
		return parquet.FixedLenByteArrayValue(b), `"` + base64.StdEncoding.EncodeToString(b) + `"`
	}
	int96 := func(r *rand.Rand) (parquet.Value, string) {
		seconds := r.IntN(86_400)
		nanos := uint64(seconds)*1e9 + 500
		return parquet.Int96Value(deprecated.Int96{uint32(nanos), uint32(nanos >> 32), 2_440_588 + 1}),
			fmt.Sprintf(`"1970-01-02T%02d:%02d:%02d.0000005"`, seconds/3600, seconds/60%60, seconds%60)
	}
	add := func(name string, node parquet.Node, value func(r *rand.Rand) (parquet.Value, string), encodings ...encoding.Encoding) {
		for _, e := range encodings {
			of := parquet.Encoded(node, e)
			all = append(all, sample{fmt.Sprintf("%s %s", name, e), parquet.Optional(of), value}, sample{fmt.Sprintf("%s %s required", name, e), of, value})
		}
	}
	add("text", parquet.String(), text, &parquet.Plain, &parquet.RLEDictionary, &parquet.DeltaLengthByteArray, &parquet.DeltaByteArray)
	add("int32", parquet.Int(32), i32, &parquet.Plain, &parquet.RLEDictionary, &parquet.DeltaBinaryPacked, &parquet.ByteStreamSplit)
	add("int64", parquet.Int(64), i64, &parquet.Plain, &parquet.RLEDictionary, &parquet.DeltaBinaryPacked, &parquet.ByteStreamSplit)
	add("double", parquet.Leaf(parquet.DoubleType), f64, &parquet.Plain, &parquet.RLEDictionary, &parquet.ByteStreamSplit)
	add("float", parquet.Leaf(parquet.FloatType), f32, &parquet.Plain, &parquet.RLEDictionary, &parquet.ByteStreamSplit)
	add("bool", parquet.Leaf(parquet.BooleanType), truth, &parquet.Plain, &parquet.RLE)
	add("fixed", parquet.Leaf(parquet.FixedLenByteArrayType(7)), bytes7, &parquet.Plain, &parquet.RLEDictionary, &parquet.DeltaByteArray, &parquet.ByteStreamSplit)
	add("int96", parquet.Leaf(parquet.Int96Type), int96, &parquet.Plain, &parquet.RLEDictionary)
	return all
}

// decimalOf writes n / 10^places with the digits that it needs.
func decimalOf(n int64, places int) string {
	l := Leaf{node: &node{element: element{phys: physInt64, precision: 18, scale: places}}}
	s, _ := l.decimal(datum{n: n}) // which has fewer digits
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// TestEncodings: values of every type in every encoding that parquet-go writes, in both forms of pages and every packing, are read as they were.
func TestEncodings(t *testing.T) {
	for _, version := range []int{1, 2} {
		for name, codec := range map[string]compress.Codec{"none": &parquet.Uncompressed, "snappy": &parquet.Snappy, "gzip": &parquet.Gzip, "zstd": &parquet.Zstd} {
			t.Run(fmt.Sprintf("%s, version %d", name, version), func(t *testing.T) {
				all := samples()
				g := group{}
				for _, s := range all {
					g.fields = append(g.fields, member{s.node, s.name})
				}
				var out bytes.Buffer
				w := parquet.NewWriter(&out, parquet.NewSchema("x", g), parquet.Compression(codec), parquet.DataPageVersion(version), parquet.PageBufferSize(3000), parquet.MaxRowsPerRowGroup(700))
				r := rand.New(rand.NewPCG(7, 7))
				var want strings.Builder
				for range 1500 {
					var row parquet.Row
					for i, s := range all {
						want.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
						want.Write(append(jsondoc.AppendString(nil, s.name), ':'))
						v, doc := s.value(r)
						switch {
						case s.node.Required():
							row = append(row, v.Level(0, 0, i))
						case r.IntN(4) == 0:
							row, doc = append(row, parquet.NullValue().Level(0, 0, i)), "null"
						default:
							row = append(row, v.Level(0, 1, i))
						}
						want.WriteString(doc)
					}
					want.WriteString("}\n")
					if _, err := w.WriteRows([]parquet.Row{row}); err != nil {
						t.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				same(t, rowsOf(t, out.Bytes(), defaults), want.String())
			})
		}
	}
}

// same compares line by line.
func same(t *testing.T, got, want string) {
	t.Helper()
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("line %d:\n%s\nwant\n%s", i+1, a[i], b[i])
		}
	}
	if len(a) != len(b) {
		t.Fatalf("%d lines, want %d", len(a), len(b))
	}
}

// TestKinds: what values are by their annotation, of today and of old files.
func TestKinds(t *testing.T) {
	type one struct {
		leaf format.SchemaElement
		body []byte
	}
	of := func(typ format.Type, do func(e *format.SchemaElement), body []byte) one {
		e := leafOf("x", typ, format.Required)
		do(&e)
		return one{e, body}
	}
	logical := func(v format.LogicalTypeValue) func(e *format.SchemaElement) {
		return func(e *format.SchemaElement) { e.LogicalType.Value = v }
	}
	old := func(c deprecated.ConvertedType) func(e *format.SchemaElement) {
		return func(e *format.SchemaElement) { e.ConvertedType.Set(c) }
	}
	width := func(n int32, then func(e *format.SchemaElement)) func(e *format.SchemaElement) {
		return func(e *format.SchemaElement) { e.TypeLength.Set(n); then(e) }
	}
	decimal := func(precision, scale int32) func(e *format.SchemaElement) {
		return logical(&format.DecimalType{Precision: precision, Scale: scale})
	}
	none := func(*format.SchemaElement) {}
	i64 := func(n int64) (b []byte) {
		for i := range 8 {
			b = append(b, byte(n>>(8*i)))
		}
		return b
	}
	for name, c := range map[string]struct {
		one
		want string
		show bool
	}{
		"int32":                 {one: of(format.Int32, none, int32s(-5)), want: "-5"},
		"uint32":                {one: of(format.Int32, old(deprecated.Uint32), int32s(-1)), want: "4294967295"},
		"uint64":                {one: of(format.Int64, logical(&format.IntType{BitWidth: 64}), i64(-1)), want: "18446744073709551615"},
		"int64":                 {one: of(format.Int64, logical(&format.IntType{BitWidth: 64, IsSigned: true}), i64(-1)), want: "-1"},
		"a code":                {one: of(format.Int32, none, int32s(42)), want: `"<42>"`, show: true},
		"decimal":               {one: of(format.Int32, decimal(9, 2), int32s(-5)), want: "-0.05"},
		"decimal of 64":         {one: of(format.Int64, decimal(18, 0), i64(150)), want: "150"},
		"decimal of bytes":      {one: of(format.ByteArray, decimal(20, 3), textsOf("\xff\x00")), want: "-0.256"},
		"decimal of no bytes":   {one: of(format.ByteArray, decimal(20, 3), textsOf("")), want: `! x: it is a decimal of 0 bytes ""`},
		"decimal of many bytes": {one: of(format.ByteArray, decimal(20, 3), textsOf(strings.Repeat("\x00", 65))), want: `! x: it is a decimal of 65 bytes ""`},
		"decimal, fixed":        {one: of(format.FixedLenByteArray, width(3, decimal(6, 6)), []byte{0, 0, 7}), want: "0.000007"},
		"decimal, old":          {one: of(format.Int32, func(e *format.SchemaElement) { old(deprecated.Decimal)(e); e.Scale.Set(1); e.Precision.Set(5) }, int32s(15)), want: "1.5"},
		"decimal, digits":       {one: of(format.Int32, decimal(3, 1), int32s(1234)), want: `! x: it has 4 digits, and the column 3 "123.4"`},
		"date":                  {one: of(format.Int32, old(deprecated.Date), int32s(-1)), want: `"1969-12-31"`},
		"date, last":            {one: of(format.Int32, logical(&format.DateType{}), int32s(lastDay)), want: `"9999-12-31"`},
		"date, first":           {one: of(format.Int32, logical(&format.DateType{}), int32s(firstDay)), want: `"0001-01-01"`},
		"date, after":           {one: of(format.Int32, logical(&format.DateType{}), int32s(lastDay+1)), want: `! x: it is no day of the years 1 to 9999 "2932897"`},
		"date, before":          {one: of(format.Int32, logical(&format.DateType{}), int32s(firstDay-1)), want: `! x: it is no day of the years 1 to 9999 "-719163"`},
		"time":                  {one: of(format.Int32, old(deprecated.TimeMillis), int32s(86_399_999)), want: `"23:59:59.999"`},
		"time, beyond":          {one: of(format.Int32, old(deprecated.TimeMillis), int32s(86_400_000)), want: `! x: it is no time of a day "86400000"`},
		"time, below":           {one: of(format.Int64, old(deprecated.TimeMicros), i64(-1)), want: `! x: it is no time of a day "-1"`},
		"timestamp, old":        {one: of(format.Int64, old(deprecated.TimestampMillis), i64(-1)), want: `"1969-12-31T23:59:59.999Z"`},
		"timestamp":             {one: of(format.Int64, logical(&format.TimestampType{IsAdjustedToUTC: true, Unit: format.TimeUnit{Value: &format.NanoSeconds{}}}), i64(1)), want: `"1970-01-01T00:00:00.000000001Z"`},
		"datetime":              {one: of(format.Int64, logical(&format.TimestampType{Unit: format.TimeUnit{Value: &format.MicroSeconds{}}}), i64(1_500_000)), want: `"1970-01-01T00:00:01.5"`},
		"timestamp, far":        {one: of(format.Int64, old(deprecated.TimestampMillis), i64(1<<62)), want: `! x: it is no day of the years 1 to 9999 "4611686018427387904"`},
		"int96":                 {one: of(format.Int96, none, append(i64(0), int32s(2_440_588)...)), want: `"1970-01-01T00:00:00"`},
		"int96, beyond":         {one: of(format.Int96, none, append(i64(-1), int32s(2_440_588)...)), want: `! x: it is no time of a day "18446744073709551615"`},
		"float":                 {one: of(format.Float, none, int32s(0x3dcccccd)), want: "0.1"},
		"double":                {one: of(format.Double, none, i64(0x3fd3333333333334)), want: "0.30000000000000004"},
		"double, small":         {one: of(format.Double, none, i64(0x3e112e0be826d695)), want: "1e-09"},
		"double, below 0":       {one: of(format.Double, none, i64(-1<<63)), want: "0"},
		"no number":             {one: of(format.Double, none, i64(0x7ff8000000000000)), want: `! x: it is no number "NaN"`},
		"bool":                  {one: of(format.Boolean, none, []byte{1}), want: "true"},
		"text":                  {one: of(format.ByteArray, old(deprecated.UTF8), textsOf("a\n\"")), want: `"a\n\""`},
		"enum":                  {one: of(format.ByteArray, old(deprecated.Enum), textsOf("NEW")), want: `"NEW"`},
		"json":                  {one: of(format.ByteArray, logical(&format.JsonType{}), textsOf(`{"a":1}`)), want: `"{\"a\":1}"`},
		"no text":               {one: of(format.ByteArray, old(deprecated.UTF8), textsOf("a\xff")), want: "! x: it holds bytes that are no text in UTF-8 \"a\uFFFD\""},
		"bytes":                 {one: of(format.ByteArray, none, textsOf("a\xff")), want: `"Yf8="`},
		"bytes as text":         {one: of(format.ByteArray, none, textsOf("Größe")), want: `"<Größe>"`, show: true},
		"bytes that are none":   {one: of(format.ByteArray, none, textsOf("a\xff")), want: "! x: it holds bytes that are no text in UTF-8 \"a\uFFFD\"", show: true},
		"uuid":                  {one: of(format.FixedLenByteArray, width(16, logical(&format.UUIDType{})), []byte("0123456789abcdef")), want: `"30313233-3435-3637-3839-616263646566"`},
		"null":                  {one: of(format.Int32, logical(&format.NullType{}), int32s(1)), want: `! x: it is a value in a column of nulls ""`},
		"a time of text":        {one: of(format.ByteArray, old(deprecated.Date), textsOf("")), want: "! its footer cannot be read: x: its annotation does not go with its physical type"},
		"a time of seconds":     {one: of(format.Int32, old(deprecated.TimeMicros), int32s(1)), want: "! its footer cannot be read: x: its annotation does not go with its physical type"},
		"an interval":           {one: of(format.FixedLenByteArray, width(12, old(deprecated.Interval)), make([]byte, 12)), want: "! its footer cannot be read: x: values of the type INTERVAL are not read: leave the column out of the file"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &built{schema: []format.SchemaElement{c.leaf}, rows: 1, columns: []builtColumn{{values: 1, pages: []builtPage{page(1, format.Plain, c.body)}}}}
			var show []string
			if c.show {
				show = []string{"x"}
			}
			want := `{"x":` + c.want + "}\n"
			if bad, is := strings.CutPrefix(c.want, "! "); is {
				want = "! " + bad + " (the file)\n"
				if i := strings.Index(bad, ` "`); i > 0 {
					want = "! " + bad[:i] + ` {"x":` + bad[i+1:] + "}\n"
				}
			}
			if got := rowsOf(t, f.bytes(t), defaults, show...); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

// TestLists: lists of today, of old writers, and maps.
func TestLists(t *testing.T) {
	list := func(name string, repetition format.FieldRepetitionType) format.SchemaElement {
		e := groupOf(name, repetition, 1)
		e.ConvertedType.Set(deprecated.List)
		return e
	}
	asMap := list("x", format.Optional)
	asMap.ConvertedType.Set(deprecated.Map)
	three := func(defs ...int) []byte {
		return append(append(sized(runs(2, 0, 1, 1)), sized(runs(defs...))...), int32s(1, 2, 3)...)
	}
	for name, c := range map[string]struct {
		schema []format.SchemaElement
		body   []byte
		want   string
	}{
		"today":             {[]format.SchemaElement{list("x", format.Optional), groupOf("list", format.Repeated, 1), leafOf("element", format.Int32, format.Optional)}, three(3, 3), `{"x":[1]} {"x":[2,3]}`},
		"null and none":     {[]format.SchemaElement{list("x", format.Optional), groupOf("list", format.Repeated, 1), leafOf("element", format.Int32, format.Optional)}, append(sized(runs(3, 0)), sized(runs(1, 0, 1, 1, 1, 2))...), `{"x":null} {"x":[]} {"x":[null]}`},
		"of groups":         {[]format.SchemaElement{list("x", format.Optional), groupOf("list", format.Repeated, 1), groupOf("element", format.Required, 1), leafOf("a", format.Int32, format.Required)}, three(3, 2), `{"x":[{"a":1}]} {"x":[{"a":2},{"a":3}]}`},
		"bare":              {[]format.SchemaElement{leafOf("x", format.Int32, format.Repeated)}, three(3, 1), `{"x":[1]} {"x":[2,3]}`},
		"bare groups":       {[]format.SchemaElement{groupOf("x", format.Repeated, 1), leafOf("a", format.Int32, format.Required)}, three(3, 1), `{"x":[{"a":1}]} {"x":[{"a":2},{"a":3}]}`},
		"of two levels":     {[]format.SchemaElement{list("x", format.Required), leafOf("element", format.Int32, format.Repeated)}, three(3, 1), `{"x":[1]} {"x":[2,3]}`},
		"array":             {[]format.SchemaElement{list("x", format.Required), groupOf("array", format.Repeated, 1), leafOf("a", format.Int32, format.Required)}, three(3, 1), `{"x":[{"a":1}]} {"x":[{"a":2},{"a":3}]}`},
		"tuple":             {[]format.SchemaElement{list("x", format.Required), groupOf("x_tuple", format.Repeated, 1), leafOf("a", format.Int32, format.Required)}, three(3, 1), `{"x":[{"a":1}]} {"x":[{"a":2},{"a":3}]}`},
		"a map of keys":     {[]format.SchemaElement{asMap, groupOf("key_value", format.Repeated, 1), leafOf("key", format.Int32, format.Required)}, three(3, 2), `{"x":[{"key":1}]} {"x":[{"key":2},{"key":3}]}`},
		"a list of nothing": {[]format.SchemaElement{groupOf("x", format.Optional, 0)}, nil, `! its footer cannot be read: "x" is a group without columns (the file)`},
	} {
		t.Run(name, func(t *testing.T) {
			rows := int64(strings.Count(c.want, "{\"x"))
			f := &built{schema: c.schema, rows: rows, columns: []builtColumn{{values: 3, pages: []builtPage{page(3, format.Plain, c.body)}}}}
			if got := strings.TrimSpace(strings.ReplaceAll(rowsOf(t, f.bytes(t), defaults), "\n", " ")); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// TestNothing: a page of nulls alone has no values, in any encoding, and one that should have some ends.
func TestNothing(t *testing.T) {
	const plainDictionary = format.Encoding(encPlainDictionary) // of old files
	for _, e := range []format.Encoding{format.Plain, plainDictionary, format.RLEDictionary, format.DeltaLengthByteArray, format.DeltaByteArray} {
		for _, body := range [][]byte{nil, {0}} {
			if len(body) > 0 && e != format.RLEDictionary && e != plainDictionary {
				continue
			}
			for def, want := range []string{"{\"x\":null}\n{\"x\":null}\n", "! row group 1, column x: a page ends in the middle of its values (the file)\n"} {
				f := &built{schema: []format.SchemaElement{leafOf("x", format.ByteArray, format.Optional)}, rows: 2,
					columns: []builtColumn{{values: 2, pages: []builtPage{page(2, e, append(sized(runs(2, def)), body...))}}}}
				if got := rowsOf(t, f.bytes(t), defaults); got != want {
					t.Errorf("%s: %s, want %s", e, got, want)
				}
			}
		}
	}
}
