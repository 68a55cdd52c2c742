package drop

import (
	"bytes"
	"io"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/format"
)

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error               { return nil }
func (inMemory) Stat() (fs.FileInfo, error) { return nil, nil }

// TestSourceEnds: a file ends where it did when it was listed, also for who looks for its end: that is where a Parquet file says what it holds.
func TestSourceEnds(t *testing.T) {
	s := &source{ctx: t.Context(), f: inMemory{bytes.NewReader([]byte("listed, and more"))}, size: 6}
	for _, back := range []int64{0, -2, -6} {
		at, err := s.Seek(back, io.SeekEnd)
		rest, rerr := io.ReadAll(s)
		if err != nil || rerr != nil || at != 6+back || string(rest) != "listed"[at:] {
			t.Errorf("%d from the end: %d, %q, %v, %v", back, at, rest, err, rerr)
		}
	}
}

// TestParquetFields: columns by their path are fields, groups are objects, lists of groups have fields of their own.
func TestParquetFields(t *testing.T) {
	o := &Object{Settings: format.Settings{Format: "parquet", Parquet: format.Parquet{Lists: []string{"lines", "tags"}, Columns: format.Columns{
		{Name: "no", Type: "text"}, {Name: "to.city", Type: "text"}, {Name: "lines.sku", Type: "text"}, {Name: "at", Type: "timestamp"}, {Name: "to.zip", Type: "integer"},
		{Name: "lines.lot.no", Type: "integer"}, {Name: "tags", Type: "text"}}}}}
	var got strings.Builder
	var tell func(fields []connector.ObjectField, path string)
	tell = func(fields []connector.ObjectField, path string) {
		for _, f := range fields {
			got.WriteString(path + f.Name + ":" + strings.Join(f.Gives, "|") + " ")
			if f.Gives[0] != "array" && f.Gives[0] != "object" && !reflect.DeepEqual(f.Takes, []string{"string", "number", "boolean"}) || f.Gives[0] == "array" && !reflect.DeepEqual(f.Takes, f.Gives) {
				t.Errorf("%s takes %v", f.Name, f.Takes)
			}
			tell(f.Fields, path+f.Name+".")
		}
	}
	described := Objects{"order": o}.Describe("order")
	tell(described.Fields, "")
	want := "no:string to:object lines:array lines.sku:string lines.lot:object at:string tags:array "
	if got.String() != want || !described.More {
		t.Errorf("%s, want %s", got.String(), want)
	}
}
