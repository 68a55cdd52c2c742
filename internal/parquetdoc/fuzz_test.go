package parquetdoc

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// FuzzFile: whatever the bytes say, reading ends, holds no more than it may, and gives documents.
func FuzzFile(f *testing.F) {
	for _, packing := range Packings() {
		f.Add(written(f, NewSchema(order), packing, slices.Values(orders)))
	}
	f.Add(oneColumn().bytes(f))
	for _, of := range samples() {
		var out bytes.Buffer
		w := parquet.NewWriter(&out, parquet.NewSchema("x", group{fields: []parquet.Field{member{of.node, "x"}}}), parquet.Compression(&parquet.Uncompressed), parquet.DataPageVersion(1+len(of.name)%2))
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(out.Bytes())
	}
	lists := &built{schema: []format.SchemaElement{groupOf("g", format.Repeated, 2), leafOf("a", format.Int32, format.Optional), leafOf("b", format.Int32, format.Repeated)}, rows: 2,
		columns: []builtColumn{{values: 3, pages: []builtPage{page(3, format.Plain, slices.Concat(sized(runs(2, 0, 1, 1)), sized(runs(1, 2, 1, 1, 1, 2)), int32s(1, 2)))}},
			{values: 3, pages: []builtPage{page(3, format.Plain, slices.Concat(sized(runs(2, 0, 1, 1)), sized(runs(1, 2, 2, 1)), int32s(1)))}}}}
	f.Add(lists.bytes(f))
	most := limits{footer: 1 << 16, fields: 100, header: 1 << 12, open: 1 << 18, rows: 1000, values: 2000}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := open(bytes.NewReader(data), int64(len(data)), most)
		for rows := int64(0); err == nil; rows++ {
			var doc []byte
			doc, err = p.Next(nil, 4<<10)
			if rows > p.Rows() || p.open > most.open || cap(p.packed) > most.open || len(doc) > 4<<10 {
				t.Fatalf("row %d of %d, %d bytes are open, the document has %d", rows, p.Rows(), p.open, len(doc))
			}
			var bad *ValueError
			if errors.As(err, &bad) {
				err = nil
			}
			if doc == nil || err != nil {
				continue
			}
			if _, perr := jsondoc.Parse(doc, jsondoc.Limits{NumberLen: 512}); perr != nil {
				t.Fatalf("row %d is no JSON: %v: %q", rows, perr, doc)
			}
		}
	})
}
