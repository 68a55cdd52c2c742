package parquetdoc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

var defaults = limits{footer: mostFooter, fields: mostFields, header: mostHeader, open: 128 << 20, rows: mostRows, values: mostValues}

// rowsOf reads a whole file: a row a line, "! " before what is wrong with it; what is wrong with the file is last.
func rowsOf(tb testing.TB, data []byte, most limits, show ...string) string {
	tb.Helper()
	f, err := open(bytes.NewReader(data), int64(len(data)), most)
	var out strings.Builder
	for i := 0; err == nil; i++ {
		if i == 0 {
			for _, l := range f.Leaves() {
				for _, path := range show {
					if l.Path() == path {
						l.Show(func(dst []byte, text string) ([]byte, error) { return jsondoc.AppendString(dst, "<"+text+">"), nil })
					}
				}
			}
		}
		var doc []byte
		doc, err = f.Next(nil, 1<<20)
		var bad *ValueError
		if errors.As(err, &bad) {
			out.WriteString("! " + bad.Error() + " ")
			err = nil
		}
		if err == nil {
			out.Write(append(doc, '\n'))
			if doc != nil {
				if _, perr := jsondoc.Parse(doc, jsondoc.Limits{NumberLen: 512}); perr != nil {
					tb.Fatalf("row %d is no JSON: %v: %q", i+1, perr, doc)
				}
			}
		}
	}
	var whole *Error
	if errors.As(err, &whole) {
		if errors.Is(err, io.EOF) {
			tb.Errorf("readers take it for the end of the file: %v", err)
		}
		out.WriteString("! " + whole.Error() + " (the file)\n")
	} else if err != io.EOF {
		tb.Fatalf("neither of the file nor its end: %v", err)
	}
	return out.String()
}

// built is a file that is put together by hand. Its columns are the schema's leaves, in one row group.
type built struct {
	schema  []format.SchemaElement
	columns []builtColumn
	rows    int64
	change  func(m *format.FileMetaData)
	// after is appended to the footer, within its length.
	after []byte
}

type builtColumn struct {
	codec  format.CompressionCodec
	values int64
	pages  []builtPage
}

type builtPage struct {
	head format.PageHeader
	body []byte
	// raw stands for the header.
	raw []byte
}

func pack(tb testing.TB, v any) []byte {
	tb.Helper()
	b, err := thrift.Marshal(new(thrift.CompactProtocol), v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// leafOf is a column of the schema.
func leafOf(name string, typ format.Type, repetition format.FieldRepetitionType) format.SchemaElement {
	return format.SchemaElement{Name: name, Type: thrift.New(typ), RepetitionType: thrift.New(repetition)}
}

// groupOf is a group of so many columns that follow.
func groupOf(name string, repetition format.FieldRepetitionType, n int32) format.SchemaElement {
	return format.SchemaElement{Name: name, RepetitionType: thrift.New(repetition), NumChildren: thrift.New(n)}
}

// page is a data page of the first version.
func page(n int, encoding format.Encoding, body []byte) builtPage {
	return builtPage{body: body, head: format.PageHeader{Type: format.DataPage, UncompressedPageSize: int32(len(body)), CompressedPageSize: int32(len(body)),
		DataPageHeader: thrift.New(format.DataPageHeader{NumValues: int32(n), Encoding: encoding, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE})}}
}

// runs are levels or indices: each is said to come so many times.
func runs(pairs ...int) []byte {
	var b []byte
	for i := 0; i < len(pairs); i += 2 {
		b = append(binary.AppendUvarint(b, uint64(pairs[i])<<1), byte(pairs[i+1]))
	}
	return b
}

// sized puts the length before levels.
func sized(b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func int32s(all ...int32) (b []byte) {
	for _, n := range all {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return b
}

func textsOf(all ...string) (b []byte) {
	for _, s := range all {
		b = append(b, sized([]byte(s))...)
	}
	return b
}

func (f *built) bytes(tb testing.TB) []byte {
	tb.Helper()
	out := []byte("PAR1")
	group := format.RowGroup{NumRows: f.rows}
	i := 0
	for _, e := range f.schema {
		if !e.Type.Valid {
			continue
		}
		c := f.columns[i]
		i++
		meta := format.ColumnMetaData{Type: e.Type.V, Codec: c.codec, NumValues: c.values, PathInSchema: []string{e.Name}, Encoding: []format.Encoding{format.Plain}, DataPageOffset: int64(len(out))}
		from := len(out)
		for _, p := range c.pages {
			if p.head.Type == format.DictionaryPage {
				meta.DictionaryPageOffset = int64(from)
			} else if meta.DictionaryPageOffset > 0 && meta.DataPageOffset == int64(from) {
				meta.DataPageOffset = int64(len(out))
			}
			head := p.raw
			if head == nil {
				head = pack(tb, &p.head)
			}
			out = append(append(out, head...), p.body...)
		}
		meta.TotalCompressedSize = int64(len(out) - from)
		group.Columns = append(group.Columns, format.ColumnChunk{MetaData: meta})
	}
	m := &format.FileMetaData{Version: 2, Schema: append([]format.SchemaElement{groupOf("root", 0, f.top())}, f.schema...), NumRows: f.rows, RowGroups: []format.RowGroup{group}}
	if f.change != nil {
		f.change(m)
	}
	foot := append(pack(tb, m), f.after...)
	out = append(out, foot...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(foot)))
	return append(out, "PAR1"...)
}

// top is how many columns and groups are not in a group.
func (f *built) top() int32 {
	n, skip := int32(0), int32(0)
	for _, e := range f.schema {
		if skip > 0 {
			skip--
		} else {
			n++
		}
		skip += e.NumChildren.V
	}
	return n
}

// oneColumn is a file of required 32-bit numbers: 1, 2 and 3.
func oneColumn() *built {
	return &built{schema: []format.SchemaElement{leafOf("n", format.Int32, format.Required)}, rows: 3,
		columns: []builtColumn{{values: 3, pages: []builtPage{page(3, format.Plain, int32s(1, 2, 3))}}}}
}
