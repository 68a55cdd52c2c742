package parquetdoc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// order are columns of every kind, in groups and lists.
var order = []Field{
	{Name: "no", Kind: Text}, {Name: "Größe in m²", Kind: Decimal, Precision: 9, Scale: 2}, {Name: "total", Kind: Decimal, Precision: 18, Scale: 4}, {Name: "huge", Kind: Decimal, Precision: 38, Scale: 0},
	{Name: "n", Kind: Integer}, {Name: "ok", Kind: Bool}, {Name: "day", Kind: Date}, {Name: "at", Kind: Timestamp}, {Name: "local", Kind: Datetime}, {Name: "tags", Kind: Text, List: true},
	{Name: "to", Fields: []Field{{Name: "city", Kind: Text}, {Name: "geo", Fields: []Field{{Name: "lat", Kind: Decimal, Precision: 12, Scale: 6}}}}},
	{Name: "lines", List: true, Fields: []Field{{Name: "sku", Kind: Text}, {Name: "qty", Kind: Decimal, Precision: 12, Scale: 2},
		{Name: "lots", List: true, Fields: []Field{{Name: "lot", Kind: Text}, {Name: "ns", Kind: Integer, List: true}}}}},
}

var orders = []string{
	`{"no":"0042","Größe in m²":-0.05,"total":12345678901234.5678,"huge":-12345678901234567890123456789012345678,"n":-9223372036854775808,"ok":true,"day":"2026-02-28","at":"2026-02-01T09:30:00.123456Z","local":"2026-02-01T09:30:00","tags":["a",null,""],"to":{"city":"数","geo":{"lat":-1.000001}},"lines":[{"sku":"007","qty":1.50,"lots":[{"lot":"a","ns":[1,2]},null,{"lot":null,"ns":[]},{"lot":"b","ns":null}]},{"sku":"x","qty":0.00,"lots":[]},{"sku":null,"qty":null,"lots":null}]}`,
	`{"no":"","Größe in m²":9999999.99,"total":0.0000,"huge":0,"n":9223372036854775807,"ok":false,"day":"0001-01-01","at":"0001-01-01T00:00:00Z","local":"9999-12-31T23:59:59.999999","tags":[],"to":{"city":null,"geo":null},"lines":[]}`,
	`{"no":null,"Größe in m²":null,"total":null,"huge":null,"n":null,"ok":null,"day":null,"at":null,"local":null,"tags":null,"to":null,"lines":null}`,
	`{"no":"a","Größe in m²":1.00,"total":1.0000,"huge":99999999999999999999999999999999999999,"n":0,"ok":null,"day":"9999-12-31","at":"1969-12-31T23:59:59.999999Z","local":"1969-12-31T23:59:59","tags":[null],"to":{"city":"","geo":{"lat":null}},"lines":[null,{"sku":"y","qty":-9999999999.99,"lots":null}]}`,
}

func docsOf(tb testing.TB, all iter.Seq[string]) iter.Seq2[jsondoc.Value, error] {
	return func(yield func(jsondoc.Value, error) bool) {
		for s := range all {
			d, err := jsondoc.Parse([]byte(s), jsondoc.Limits{})
			if err != nil {
				tb.Fatalf("%s: %v", s, err)
			}
			if !yield(d.Root(), nil) {
				return
			}
		}
	}
}

func written(tb testing.TB, s *Schema, packing string, all iter.Seq[string]) []byte {
	tb.Helper()
	var out bytes.Buffer
	if err := s.Write(&out, packing, docsOf(tb, all)); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// TestWritten: what is written is read as it was, in any packing; no document is one too.
func TestWritten(t *testing.T) {
	t.Run("packed", func(t *testing.T) {
		s := NewSchema(order) // of all at once
		for _, packing := range Packings() {
			t.Run(packing, func(t *testing.T) {
				t.Parallel()
				same(t, rowsOf(t, written(t, s, packing, slices.Values(orders)), defaults), strings.Join(orders, "\n")+"\n")
			})
		}
	})
	if got := rowsOf(t, written(t, NewSchema(order), "snappy", slices.Values([]string{})), defaults); got != "" {
		t.Errorf("a file without rows has %s", got)
	}
	got := rowsOf(t, written(t, NewSchema(order), "snappy", slices.Values([]string{`{"tags":["x"],"huge":1e3,"n":5.00,"at":"2026-02-01T09:30:00+05:30"}`})), defaults)
	want := `{"no":null,"Größe in m²":null,"total":null,"huge":1000,"n":5,"ok":null,"day":null,"at":"2026-02-01T04:00:00Z","local":null,"tags":["x"],"to":null,"lines":null}` + "\n"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestRefused: nothing is cut or rounded to fit.
func TestRefused(t *testing.T) {
	s := NewSchema(order)
	for doc, want := range map[string]string{
		`{"new":1}`:         `"new" is no column`,
		`{"to.city":"Ulm"}`: `"to.city" is no column: it is one name with a dot in it`,
		`{"lines":[{"sku":"a"},{"lots":[{"x":1}]}]}`: `"lines.lots.x" is no column`,
		`{"no":17}`:                   "no: it holds number, and the column takes text",
		`{"n":"17"}`:                  "n: it holds string, and the column takes integer",
		`{"n":1.5}`:                   "n: 1.5 is no whole number of 64 bits",
		`{"n":9223372036854775808}`:   "n: 9223372036854775808 is no whole number of 64 bits",
		`{"ok":1}`:                    "ok: it holds number, and the column takes bool",
		`{"Größe in m²":1.005}`:       "1.005 has more than the 2 decimals of its column",
		`{"Größe in m²":10000000}`:    "10000000 has more than the 9 digits of its column",
		`{"Größe in m²":-12345678.9}`: "-12345678.9 has more than the 9 digits of its column",
		`{"huge":100000000000000000000000000000000000000}`: "has more than the 38 digits of its column",
		`{"huge":1e300}`:                        "digits of its column",
		`{"day":"2026-02-30"}`:                  `day: "2026-02-30" is no date (write 2006-01-02)`,
		`{"at":"2026-02-01T09:30:00"}`:          "is no time with a zone",
		`{"at":"2026-02-01T09:30:00.1234567Z"}`: "has more than six digits behind its seconds",
		`{"at":"0001-01-01T00:00:00+14:00"}`:    "is no day of the years 1 to 9999",
		`{"local":"2026-02-01T09:30:00Z"}`:      "is no time without a zone",
		`{"tags":"a"}`:                          "tags: it holds string, and is a list",
		`{"tags":[["a"]]}`:                      "tags: it holds array, and the column takes text",
		`{"to":"a"}`:                            "to: it holds string, and is a group of columns",
		`{"lines":[{"qty":"1"}]}`:               "lines.qty: it holds string, and the column takes decimal",
	} {
		for d, err := range docsOf(t, slices.Values([]string{doc})) {
			if err = s.Check(d); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", doc, err, want)
			}
			if err := s.Write(&bytes.Buffer{}, "none", docsOf(t, slices.Values([]string{doc}))); err == nil {
				t.Errorf("%s is written", doc)
			}
		}
	}
}

// TestHeldAtOnce: of a large file the pages at hand are held, and no more.
func TestHeldAtOnce(t *testing.T) {
	const rows = 60_001
	s := NewSchema([]Field{{Name: "no", Kind: Text}, {Name: "lines", List: true, Fields: []Field{{Name: "note", Kind: Text}}}})
	s.group = 20_000
	text := func(i int) string {
		return fmt.Sprintf(`{"no":"%d","lines":[{"note":"%d %s"},{"note":"%d"}]}`, i, i, strings.Repeat("x", 100), i)
	}
	data := written(t, s, "zstd", func(yield func(string) bool) {
		for i := range rows {
			if !yield(text(i)) {
				return
			}
		}
	})
	f, err := Open(bytes.NewReader(data), int64(len(data)), defaults.open)
	if err != nil || f.Rows() != rows || len(f.groups) != 4 {
		t.Fatalf("%d rows in %d groups: %v", f.Rows(), len(f.groups), err)
	}
	most, n := 0, 0
	var doc []byte
	for ; err == nil; n++ {
		if doc, err = f.Next(doc[:0], 1<<20); err == nil && string(doc) != text(n) {
			t.Fatalf("row %d: %s", n+1, doc)
		}
		most = max(most, f.open)
	}
	if n-1 != rows || most > 4<<20 || most == 0 {
		t.Errorf("%d rows, %d bytes held: %v", n-1, most, err)
	}
}

// TestLongRow: a row beyond its bound is passed over, and the next one is read.
func TestLongRow(t *testing.T) {
	long := `{"no":"1","tags":["` + strings.Repeat("x", 90) + `"`
	data := written(t, NewSchema([]Field{{Name: "no", Kind: Text}, {Name: "tags", Kind: Text, List: true}}), "snappy",
		slices.Values([]string{`{"no":"0","tags":[]}`, long + `]}`, long + strings.Repeat(`,"y"`, 1000) + `]}`, `{"no":"` + strings.Repeat("x", 1<<20) + `","tags":["a"]}`, `{"no":"2","tags":null}`}))
	f, err := Open(bytes.NewReader(data), int64(len(data)), defaults.open)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.footer) > 4<<10 {
		t.Errorf("the footer has %d bytes: a text stands in it", len(f.footer))
	}
	var got []string
	for {
		doc, err := f.Next(nil, len(long)+2)
		if errors.Is(err, io.EOF) {
			break
		}
		if f.broken != nil {
			t.Fatal(err)
		}
		if err != nil {
			doc = []byte(err.Error())
		}
		if cap(f.doc) > 4<<10 {
			t.Fatalf("a row of %d bytes at most took %d", len(long)+2, cap(f.doc))
		}
		got = append(got, string(doc))
	}
	tooLong := fmt.Sprintf("the row is too long: it has more than %d bytes", len(long)+2)
	want := []string{`{"no":"0","tags":[]}`, long + "]}", tooLong, tooLong, `{"no":"2","tags":null}`}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestGroupsHeld: what one row group held is let go with the next.
func TestGroupsHeld(t *testing.T) {
	s := NewSchema([]Field{{Name: "no", Kind: Text}})
	s.group = 100
	data := written(t, s, "none", func(yield func(string) bool) {
		for i := range 1000 {
			if !yield(fmt.Sprintf(`{"no":"%04d"}`, i)) {
				return
			}
		}
	})
	most := defaults
	most.open = 1400 // a dictionary of 800 bytes and its ends, and indices
	if got := rowsOf(t, data, most); strings.Count(got, "\n") != 1000 || strings.Contains(got, "!") {
		t.Error(got[max(0, len(got)-200):])
	}
	most.open = 1200
	if got := rowsOf(t, data, most); !strings.Contains(got, "have more than 1200 bytes") {
		t.Error(got[max(0, len(got)-200):])
	}
}
