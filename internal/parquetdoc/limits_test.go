package parquetdoc

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const threeRows = "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n"

// TestLimits: what a file says of itself is judged before it is believed. Each case is a small file that is whole but for one thing.
func TestLimits(t *testing.T) {
	gzipped := func(n int) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(make([]byte, n)) // into memory
		_ = z.Close()
		return b.Bytes()
	}
	list := func(levels ...[]byte) *built { // a list of numbers: bare, as old writers have it
		return &built{schema: []format.SchemaElement{leafOf("n", format.Int32, format.Repeated)}, rows: 2,
			columns: []builtColumn{{values: 3, pages: []builtPage{page(3, format.Plain, append(append(sized(levels[0]), sized(levels[1])...), int32s(1, 2, 3)...))}}}}
	}
	texts := &built{schema: []format.SchemaElement{leafOf("x", format.ByteArray, format.Required)}, rows: 3, columns: []builtColumn{{values: 3, pages: []builtPage{
		{body: textsOf("a", "b"), head: format.PageHeader{Type: format.DictionaryPage, UncompressedPageSize: 10, CompressedPageSize: 10,
			DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: 2, Encoding: format.Plain})}},
		page(3, format.RLEDictionary, append([]byte{1}, runs(1, 0, 2, 1)...))}}}}
	for name, c := range map[string]struct {
		file *built
		do   func(f *built)
		most func(l *limits)
		want string
	}{
		"whole":                 {want: threeRows},
		"a footer at its bound": {do: func(f *built) { f.after = make([]byte, 100) }, most: func(l *limits) { l.footer = 100 + len(pack(t, whole(t))) }, want: threeRows},
		"a footer beyond it":    {do: func(f *built) { f.after = make([]byte, 101) }, most: func(l *limits) { l.footer = 100 + len(pack(t, whole(t))) }, want: "write fewer row groups"},
		"columns":               {do: wide(3), most: func(l *limits) { l.fields = 4 }, want: "{\"n\":1,\"c0\":1,\"c1\":1}\n{\"n\":2,\"c0\":1,\"c1\":1}\n{\"n\":3,\"c0\":1,\"c1\":1}\n"},
		"a column more":         {do: wide(3), most: func(l *limits) { l.fields = 3 }, want: "it has more than 3 columns"},
		"groups in groups":      {do: deep(mostLevels - 1), want: "{\"n\":1,\"g\":" + strings.Repeat("{\"g\":", mostLevels-2) + "{\"x\":1}"},
		"a group more":          {do: deep(mostLevels), want: "more than 32 groups of columns stand in each other"},
		"structures in each other": {do: func(f *built) {
			f.change = nil
			f.after = nil
			f.columns[0].pages[0].raw = bytes.Repeat([]byte{0xec}, mostNested+1)
		}, want: "more than 32 structures stand in each other"},
		"values":                {most: func(l *limits) { l.values = 3 }, want: threeRows},
		"a value more":          {most: func(l *limits) { l.values = 2 }, want: "more than 2 values: write several files"},
		"values of all columns": {do: wide(3), most: func(l *limits) { l.values = 8 }, want: "more than 8 values in its columns: write several files"},
		"a header":              {do: statistics(600), want: threeRows},
		"a header beyond":       {do: statistics(600), most: func(l *limits) { l.header = 512 }, want: "the header of a page has more than 512 bytes"},
		"a page that unpacks to more than is read": {do: func(f *built) {
			f.columns[0].codec = format.Gzip
			f.columns[0].pages[0] = packed(3, gzipped(12), 128<<20+1) // what it says is enough
		}, want: "the pages that are open at once have more than 134217728 bytes: write smaller row groups, or raise parquet.memory"},
		"a page that says less than it is": {do: func(f *built) {
			f.columns[0].codec = format.Gzip
			f.columns[0].pages[0] = packed(3, gzipped(1<<20), 12)
		}, want: "another size than its header says"},
		"a page of which nothing is there": {do: func(f *built) {
			f.columns[0].codec = format.Gzip
			f.columns[0].pages[0] = packed(3, nil, 12)
		}, want: "a page cannot be unpacked: it ends in the middle"},
		"a page that is packed of nothing": {do: func(f *built) {
			f.columns[0].codec = format.Gzip
			f.columns[0].pages[0] = packed(3, gzipped(0), 12)
		}, want: "a page cannot be unpacked: it ends in the middle"},
		"a page as it is stored": {do: func(f *built) {
			f.columns[0].codec = format.Gzip
			b := gzipped(12)
			f.columns[0].pages[0] = packed(3, append(b, make([]byte, 100-len(b))...), 12)
		}, most: func(l *limits) { l.open = 111 }, want: "the pages that are open at once have more than 111 bytes"},
		"pages that are open":       {do: wide(2), most: func(l *limits) { l.open = 24 }, want: "{\"n\":1,\"c0\":1}\n{\"n\":2,\"c0\":1}\n{\"n\":3,\"c0\":1}\n"},
		"one more that is open":     {do: wide(2), most: func(l *limits) { l.open = 23 }, want: "the pages that are open at once have more than 23 bytes"},
		"a dictionary that is open": {do: dictionaryOf(5), most: func(l *limits) { l.open = 24 }, want: "the pages that are open at once have more than 24 bytes"},
		"rows that are said":        {do: func(f *built) { f.change = func(m *format.FileMetaData) { m.NumRows = 1 << 60 } }, want: "it has 1152921504606846976 rows, which are more than 20000000: write several files"},
		"rows that are not there":   {do: func(f *built) { f.change = func(m *format.FileMetaData) { m.NumRows = 4 } }, want: "there are 4 rows, and its row groups have 3"},
		"rows":                      {most: func(l *limits) { l.rows = 3 }, want: threeRows},
		"a row more":                {most: func(l *limits) { l.rows = 2 }, want: "it has 3 rows, which are more than 2: write several files"},
		"rows below 0": {do: func(f *built) {
			f.change = func(m *format.FileMetaData) { m.NumRows = -3; m.RowGroups[0].NumRows = -3 }
		}, want: "-3 is below 0"},
		"rows of a row group": {do: func(f *built) {
			f.change = func(m *format.FileMetaData) { m.NumRows = 3; m.RowGroups[0].NumRows = 1 << 60 }
		}, want: "values: write several files"},
		"values for other rows":      {do: func(f *built) { f.change = ofChunk(func(c *format.ColumnMetaData) { c.NumValues = 4 }) }, want: "it has 4 values for 3 rows"},
		"values of a page":           {do: func(f *built) { f.columns[0].pages[0].head.DataPageHeader.V.NumValues = 4 }, want: "a page has 4 values, and 3 are left of the column's"},
		"values that are missing":    {do: func(f *built) { f.columns[0].pages[0].head.DataPageHeader.V.NumValues = 2 }, want: "its pages end, and 1 values are missing"},
		"bytes that are missing":     {do: func(f *built) { f.columns[0].pages[0] = page(3, format.Plain, int32s(1, 2)) }, want: "a page ends in the middle of its values"},
		"a page beyond its column":   {do: func(f *built) { f.columns[0].pages[0].head.CompressedPageSize = 1 << 30 }, want: "a page has 1073741824 bytes, and its column 12"},
		"a page that is not packed":  {do: func(f *built) { f.columns[0].pages[0].head.UncompressedPageSize = 1 << 20 }, want: "a page that is not packed has 12 bytes, and says 1048576"},
		"a size below 0":             {do: func(f *built) { f.columns[0].pages[0].head.UncompressedPageSize = -1 }, want: "-1 is not between 0 and 2147483647"},
		"a column that lies outside": {do: func(f *built) { f.change = ofChunk(func(c *format.ColumnMetaData) { c.DataPageOffset = 1 << 62 }) }, want: "its bytes lie outside of the file's data"},
		"a column that reaches outside": {do: func(f *built) {
			f.change = ofChunk(func(c *format.ColumnMetaData) { c.TotalCompressedSize = 1<<63 - 1 })
		}, want: "its bytes lie outside of the file's data"},
		"a column in the magic": {do: func(f *built) { f.change = ofChunk(func(c *format.ColumnMetaData) { c.DataPageOffset = 3 }) }, want: "its bytes lie outside of the file's data"},
		"columns that overlap": {do: func(f *built) {
			f.change = func(m *format.FileMetaData) {
				for len(m.RowGroups) < 3 {
					m.RowGroups = append(m.RowGroups, m.RowGroups[0])
				}
				m.NumRows = 9
			}
		}, want: "its columns have more bytes than the file"},
		"a column too few": {do: func(f *built) { f.change = func(m *format.FileMetaData) { m.RowGroups[0].Columns = nil } }, want: "it has 0 columns, and the schema 1"},
		"a column too many": {do: func(f *built) {
			f.change = func(m *format.FileMetaData) {
				m.RowGroups[0].Columns = append(m.RowGroups[0].Columns, m.RowGroups[0].Columns[0])
			}
		}, want: "more columns than the schema, which has 1"},
		"another type":   {do: func(f *built) { f.change = ofChunk(func(c *format.ColumnMetaData) { c.Type = format.Int64 }) }, want: "the physical type 2, and the schema says 1"},
		"a packing":      {do: func(f *built) { f.columns[0].codec = format.Brotli }, want: "packed with BROTLI, and none, snappy, gzip, zstd are read"},
		"a damaged page": {do: func(f *built) { f.columns[0].pages[0].head.CRC = 7 }, want: "its checksum does not fit"},
		"no dictionary": {do: func(f *built) {
			f.columns[0].pages[0] = page(3, format.RLEDictionary, append([]byte{2}, runs(3, 1)...))
		}, want: "a page refers to a dictionary, and there is none"},
		"beyond a dictionary": {do: func(f *built) {
			dictionaryOf(2)(f)
			f.columns[0].pages[1].body[3] = 2
			f.columns[0].pages[1].body[2] = 2
		}, want: "value 2 of a dictionary of 2"},
		"a dictionary of texts":              {file: texts, want: "{\"x\":\"YQ==\"}\n{\"x\":\"Yg==\"}\n{\"x\":\"Yg==\"}\n"},
		"a dictionary of texts that is open": {file: texts, most: func(l *limits) { l.open = 22 }, want: "the pages that are open at once have more than 22 bytes"},
		"a dictionary of many texts":         {file: many(texts), want: "a dictionary: a page ends in the middle of its values"},
		"two dictionaries": {do: func(f *built) {
			dictionaryOf(5)(f)
			p := f.columns[0].pages
			f.columns[0].pages = []builtPage{p[0], p[0], p[1]}
		}, want: "there are two dictionaries"},
		"a large dictionary":    {do: func(f *built) { dictionaryOf(5)(f); f.columns[0].pages[0].head.DictionaryPageHeader.V.NumValues = 6 }, want: "a page ends in the middle of its values"},
		"an encoding":           {do: func(f *built) { f.columns[0].pages[0] = page(3, format.DeltaByteArray, int32s(1, 2, 3)) }, want: "the encoding 7, which is not read with the physical type 1"},
		"a list":                {file: list(runs(2, 0, 1, 1), runs(3, 1)), want: "{\"n\":[1]}\n{\"n\":[2,3]}\n"},
		"a row within a list":   {file: list(runs(3, 1), runs(3, 1)), want: "a row begins within a list"},
		"rows that are missing": {file: list(runs(1, 0, 2, 1), runs(3, 1)), want: "it has fewer values than its rows"},
		"rows too many":         {file: list(runs(3, 0), runs(3, 1)), want: "it has more values than its rows"},
		"a level":               {file: list(runs(2, 0, 1, 1), runs(2, 1, 1, 2)), want: "there is no level 2 in a column that has 1"},
		"levels that end":       {file: list(runs(2, 0), runs(3, 1)), want: "a page ends in the middle of its values"},
		"columns that disagree": {file: &built{rows: 1, schema: []format.SchemaElement{groupOf("g", format.Optional, 2), leafOf("a", format.Int32, format.Required), leafOf("b", format.Int32, format.Required)},
			columns: []builtColumn{{values: 1, pages: []builtPage{page(1, format.Plain, append(sized(runs(1, 1)), int32s(1)...))}}, {values: 1, pages: []builtPage{page(1, format.Plain, sized(runs(1, 0)))}}}},
			want: "its columns do not agree on what is null"},
		"lists that disagree": {file: &built{rows: 1, schema: []format.SchemaElement{groupOf("g", format.Repeated, 2), leafOf("a", format.Int32, format.Required), leafOf("b", format.Int32, format.Required)},
			columns: []builtColumn{{values: 1, pages: []builtPage{page(1, format.Plain, append(append(sized(runs(1, 0)), sized(runs(1, 1))...), int32s(1)...))}},
				{values: 2, pages: []builtPage{page(2, format.Plain, append(append(sized(runs(1, 0, 1, 1)), sized(runs(2, 1))...), int32s(1, 2)...))}}}},
			want: "its columns do not agree on what is null and how long lists are"},
		"a list that goes on though it is empty": {file: &built{rows: 1, schema: []format.SchemaElement{groupOf("g", format.Repeated, 1), leafOf("b", format.Int32, format.Repeated)},
			columns: []builtColumn{{values: 2, pages: []builtPage{page(2, format.Plain, slices.Concat(sized(runs(1, 0, 1, 2)), sized(runs(1, 1, 1, 2)), int32s(1)))}}}},
			want: "its columns do not agree on what is null and how long lists are"},
		"no columns":      {do: func(f *built) { f.change = func(m *format.FileMetaData) { m.Schema = m.Schema[:1] } }, want: "the schema has no columns"},
		"columns lacking": {do: func(f *built) { f.change = func(m *format.FileMetaData) { m.Schema[0].NumChildren.V = 2 } }, want: "the schema lacks columns"},
		"columns beside":  {do: func(f *built) { f.change = func(m *format.FileMetaData) { m.Schema = append(m.Schema, m.Schema[1]) } }, want: "columns that belong to no group"},
		"a name twice":    {do: func(f *built) { wide(2)(f); f.schema[1].Name = "n" }, want: "two columns have the name \"n\""},
		"no name":         {do: func(f *built) { f.schema[0].Name = "" }, want: "has no name"},
		"encrypted": {do: func(f *built) {
			f.change = func(m *format.FileMetaData) {
				m.EncryptionAlgorithm.Value = &format.AesGcmV1{}
			}
		}, want: "the file is encrypted"},
		"a type":            {do: func(f *built) { f.schema[0].LogicalType.Value = &format.Float16Type{} }, want: "n: values of the type FLOAT16 are not read"},
		"a decimal":         {do: func(f *built) { f.schema[0].LogicalType.Value = &format.DecimalType{Precision: 10} }, want: "n: a decimal of 10 digits, 0 of them behind the mark: there are at most 9"},
		"a decimal's scale": {do: func(f *built) { f.schema[0].LogicalType.Value = &format.DecimalType{Precision: 5, Scale: 6} }, want: "a decimal of 5 digits, 6 of them behind the mark"},
		"a long decimal": {do: func(f *built) {
			f.schema[0] = format.SchemaElement{Name: "n", Type: thrift.New(format.ByteArray), RepetitionType: thrift.New(format.Required)}
			f.schema[0].LogicalType.Value = &format.DecimalType{Precision: mostPrecision + 1}
		}, want: "a decimal of 77 digits"},
	} {
		t.Run(name, func(t *testing.T) {
			f, most := c.file, defaults
			if f == nil {
				f = oneColumn()
			}
			if c.do != nil {
				c.do(f)
			}
			if c.most != nil {
				c.most(&most)
			}
			got := rowsOf(t, f.bytes(t), most)
			if strings.HasPrefix(c.want, "{") && !strings.HasPrefix(got, c.want) || !strings.Contains(got, c.want) || strings.HasSuffix(got, "(the file)\n") == strings.HasPrefix(c.want, "{") {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

// whole is the footer of oneColumn.
func whole(t *testing.T) (m *format.FileMetaData) {
	f := oneColumn()
	f.change = func(have *format.FileMetaData) { m = have }
	f.bytes(t)
	return m
}

func wide(n int) func(f *built) {
	return func(f *built) {
		for i := range n - 1 {
			f.schema = append(f.schema, leafOf(fmt.Sprint("c", i), format.Int32, format.Required))
			f.columns = append(f.columns, builtColumn{values: 3, pages: []builtPage{page(3, format.Plain, int32s(1, 1, 1))}})
		}
	}
}

// deep has a column in so many groups.
func deep(n int) func(f *built) {
	return func(f *built) {
		for range n {
			f.schema = append(f.schema, groupOf("g", format.Required, 1))
		}
		f.schema = append(f.schema, leafOf("x", format.Int32, format.Required))
		f.columns = append(f.columns, builtColumn{values: 3, pages: []builtPage{page(3, format.Plain, int32s(1, 1, 1))}})
	}
}

func statistics(n int) func(f *built) {
	return func(f *built) { f.columns[0].pages[0].head.DataPageHeader.V.Statistics.MaxValue = make([]byte, n) }
}

// dictionaryOf has a dictionary of n numbers.
func dictionaryOf(n int) func(f *built) {
	return func(f *built) {
		body := int32s(make([]int32, n)...)
		f.columns[0].pages = []builtPage{
			{body: body, head: format.PageHeader{Type: format.DictionaryPage, UncompressedPageSize: int32(len(body)), CompressedPageSize: int32(len(body)),
				DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(n), Encoding: format.Plain})}},
			page(3, format.RLEDictionary, append([]byte{2}, runs(1, 0, 2, 1)...)),
		}
		f.columns[0].pages[1].body = append([]byte{2}, runs(1, 0, 2, 1)...)
	}
}

func packed(n int, body []byte, unpacked int32) builtPage {
	p := page(n, format.Plain, body)
	p.head.UncompressedPageSize = unpacked
	return p
}

func ofChunk(do func(c *format.ColumnMetaData)) func(m *format.FileMetaData) {
	return func(m *format.FileMetaData) { do(&m.RowGroups[0].Columns[0].MetaData) }
}

// TestTails: a file that is not there as a whole, or is none.
func TestTails(t *testing.T) {
	data := oneColumn().bytes(t)
	for n := range len(data) {
		got := rowsOf(t, data[:n], defaults)
		if !strings.Contains(got, "(the file)") || strings.HasPrefix(got, "{") {
			t.Fatalf("%d of %d bytes: %s", n, len(data), got)
		}
	}
	for name, change := range map[string]struct {
		do   func(b []byte) []byte
		want string
	}{
		"not one":             {func([]byte) []byte { return []byte("a,b,c\n1,2,3\n") }, "it does not begin with PAR1"},
		"half":                {func(b []byte) []byte { return b[:len(b)-5] }, "it does not end with PAR1: it is not there as a whole"},
		"encrypted":           {func(b []byte) []byte { return append(b[:len(b)-1], 'E') }, "its footer is encrypted"},
		"a footer of nothing": {func(b []byte) []byte { return append(b[:len(b)-8], "\x00\x00\x00\x00PAR1"...) }, "its footer cannot be read: it ends in the middle"},
		"a great footer":      {func(b []byte) []byte { return append(b[:len(b)-8], "\xff\xff\xff\xffPAR1"...) }, "its footer has 4294967295 bytes, and the file"},
		"a list that is said": {func([]byte) []byte { return []byte("PAR1\x15\x02\x19\xfc\xff\xff\xff\xff\x07\x09\x00\x00\x00PAR1") }, "its footer cannot be read: it ends in the middle"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := rowsOf(t, change.do(bytes.Clone(data)), defaults); !strings.Contains(got, change.want) {
				t.Errorf("%s, want %s", got, change.want)
			}
		})
	}
}

// many is a file whose dictionary says that it has a billion texts.
func many(f *built) *built {
	o := *f
	o.columns = []builtColumn{f.columns[0]}
	o.columns[0].pages = slices.Clone(f.columns[0].pages)
	o.columns[0].pages[0].head.DictionaryPageHeader.V.NumValues = 1 << 30
	return &o
}

// TestBrokenPages: pages whose insides are not what their headers say.
func TestBrokenPages(t *testing.T) {
	deltas := func(all ...int32) []byte {
		b, err := new(delta.BinaryPackedEncoding).EncodeInt32(nil, all)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	zipped := func(codec compress.Codec, b []byte) []byte {
		out, err := codec.Encode(nil, b)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	const ends = "a page ends in the middle of its values"
	numbers := int32s(1, 2, 3)
	text := leafOf("x", format.ByteArray, format.Required)
	fixed := leafOf("x", format.FixedLenByteArray, format.Required)
	fixed.TypeLength.Set(3)
	number := leafOf("x", format.Int32, format.Required)
	for name, c := range map[string]struct {
		leaf format.SchemaElement
		page builtPage
		want string
	}{
		"a prefix of nothing":         {text, page(1, format.DeltaByteArray, slices.Concat(deltas(5), deltas(1), []byte("x"))), ends},
		"a prefix below 0":            {text, page(1, format.DeltaByteArray, slices.Concat(deltas(-1), deltas(1), []byte("x"))), ends},
		"a longer text than there is": {text, page(1, format.DeltaLengthByteArray, slices.Concat(deltas(100), []byte("x"))), ends},
		"a length below 0":            {text, page(1, format.DeltaLengthByteArray, slices.Concat(deltas(-1), []byte("x"))), ends},
		"no lengths":                  {text, page(1, format.DeltaLengthByteArray, []byte{0x80}), ends},
		"another width":               {fixed, page(1, format.DeltaByteArray, slices.Concat(deltas(0), deltas(2), []byte("xy"))), ends},
		"streams of another width":    {fixed, page(2, format.ByteStreamSplit, []byte("xyzuvwt")), ends},
		"a text that ends":            {text, page(1, format.Plain, []byte{5, 0, 0, 0, 'x'}), ends},
		"a length that ends":          {text, page(1, format.Plain, []byte{5, 0}), ends},
		"blocks of nothing":           {number, page(1, format.DeltaBinaryPacked, []byte{0, 0, 1, 0}), "a page of differences has blocks of 0 values in 0 parts"},
		"parts of nothing":            {number, page(1, format.DeltaBinaryPacked, []byte{128, 1, 0, 1, 0}), "blocks of 128 values in 0 parts"},
		"parts of five":               {number, page(1, format.DeltaBinaryPacked, []byte{20, 4, 1, 0}), "blocks of 20 values in 4 parts"},
		"many values":                 {number, page(1, format.DeltaBinaryPacked, []byte{128, 1, 4, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0}), "blocks of 128 values in 4 parts"},
		"bits that no value has":      {number, page(3, format.DeltaBinaryPacked, append([]byte{128, 1, 4, 3, 0, 0, 65, 0, 0, 0}, make([]byte, 300)...)), "a number of bits that no value has"},
		"differences that end":        {number, page(3, format.DeltaBinaryPacked, []byte{128, 1, 4, 3, 0, 0, 64, 0, 0, 0}), ends},
		"an index of many bits":       {number, page(3, format.RLEDictionary, append([]byte{33}, runs(3, 0)...)), "a page refers to a dictionary, and there is none"},
		"a run of nothing":            {leafOf("x", format.Boolean, format.Required), page(3, format.RLE, sized(runs(0, 1))), ends},
		"a run that ends":             {leafOf("x", format.Boolean, format.Required), page(3, format.RLE, sized([]byte{6})), ends},
		"runs that say more":          {leafOf("x", format.Boolean, format.Required), page(3, format.RLE, []byte{9, 0, 0, 0, 6, 1}), ends},
		"levels beyond the page": {number, builtPage{body: numbers, head: format.PageHeader{Type: format.DataPageV2, UncompressedPageSize: 12, CompressedPageSize: 12,
			DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{NumValues: 3, DefinitionLevelsByteLength: 1 << 30})}}, "a page has more bytes of levels than bytes"},
		"repetitions beyond the page": {number, builtPage{body: numbers, head: format.PageHeader{Type: format.DataPageV2, UncompressedPageSize: 12, CompressedPageSize: 12,
			DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{NumValues: 3, DefinitionLevelsByteLength: 2, RepetitionLevelsByteLength: 11})}}, "a page has more bytes of levels than bytes"},
		"another kind": {number, builtPage{head: format.PageHeader{Type: 9}}, "there is no page of the kind 9"},
	} {
		t.Run(name, func(t *testing.T) {
			n := int64(max(1, c.page.head.DataPageHeader.V.NumValues+c.page.head.DataPageHeaderV2.V.NumValues))
			f := &built{schema: []format.SchemaElement{c.leaf}, rows: n, columns: []builtColumn{{values: n, pages: []builtPage{c.page}}}}
			if got := rowsOf(t, f.bytes(t), defaults); !strings.Contains(got, c.want) || !strings.Contains(got, "(the file)") {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	for name, codec := range map[format.CompressionCodec]compress.Codec{format.Snappy: &parquet.Snappy, format.Gzip: &parquet.Gzip, format.Zstd: &parquet.Zstd} {
		for says, want := range map[int32]string{11: "a page cannot be unpacked", 12: threeRows, 13: "a page cannot be unpacked"} {
			f := oneColumn()
			f.columns[0].codec = name
			f.columns[0].pages[0] = packed(3, zipped(codec, numbers), says)
			if got := rowsOf(t, f.bytes(t), defaults); !strings.Contains(got, want) {
				t.Errorf("%s, %d bytes: %s", name, says, got)
			}
		}
	}
	for _, c := range []struct {
		levels, plain int32
		want          string
	}{{0, 12, threeRows}, {50, 100, "a page has more bytes of levels than bytes"}, {8, 4, "a page has more bytes of levels than bytes"}} { // more than is stored, more than it unpacks to
		f := oneColumn()
		f.columns[0].codec = format.Zstd
		body := zipped(&parquet.Zstd, numbers)
		f.columns[0].pages[0] = builtPage{body: body, head: format.PageHeader{Type: format.DataPageV2, UncompressedPageSize: c.plain, CompressedPageSize: int32(len(body)),
			DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{NumValues: 3, DefinitionLevelsByteLength: c.levels})}}
		if got := rowsOf(t, f.bytes(t), defaults); !strings.Contains(got, c.want) {
			t.Errorf("levels of %d bytes: %s", c.levels, got)
		}
	}
	f := oneColumn()
	f.columns[0].codec = format.Snappy
	f.columns[0].pages[0] = packed(3, []byte{0xff, 0xff, 0xff, 0xff, 7, 0}, 12) // it says that it unpacks to 2 GiB
	if got := rowsOf(t, f.bytes(t), defaults); !strings.Contains(got, "it has another size than its header says") {
		t.Error(got)
	}
}
