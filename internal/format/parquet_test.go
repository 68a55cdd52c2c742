package format

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

const nestedColumns = "columns: {no: text, day: date, at: timestamp, lines.sku: text, lines.qty: decimal(8.2)}, lists: [lines]"

// parquetFile writes documents.
func parquetFile(tb testing.TB, s *Settings, docs ...string) []byte {
	tb.Helper()
	var records [][]byte
	for _, doc := range docs {
		record, err := s.Record([]byte(doc), Change{Operation: "create", Event: "e-1"})
		if err != nil {
			tb.Fatalf("%s: %v", doc, err)
		}
		records = append(records, record)
	}
	data, err := s.File(records)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// TestParquetSettings: what settings cannot mean.
func TestParquetSettings(t *testing.T) {
	for yaml, want := range map[string]string{
		"{columns: {a: decimal}}":              "a is a decimal without its digits in all (at most 38), and behind the mark",
		"{columns: {a: decimal(39.2)}}":        "a is a decimal without its digits in all (at most 38)",
		"{columns: {a: decimal(2.3)}}":         "a is a decimal without its digits",
		"{columns: {a: text(3)}}":              "a has a width, which goes with decimals",
		"{columns: {a: text, a.b: text}}":      "a is a column, and a group of columns by a.b",
		"{columns: {a..b: text}}":              `"a..b" is no path of names`,
		"{columns: {a.b: text}, lists: [a.c]}": `lists: there is no column "a.c"`,
		"{columns: {a: timestmap}}":            `"timestmap" is no type`,
		"{memory: 0}":                          "memory: it must be above 0, and at most 2GiB",
		"{memory: 3GiB}":                       "memory: it must be above 0, and at most 2GiB",
		"{compression: lzo}":                   "compression",
		"{columns: {op: text}}, rows: {operation-column: op, event-column: op}": "event-column: it is the operation's",
	} {
		if _, err := readSettings("{format: parquet, parquet: " + yaml + "}"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", yaml, err, want)
		}
	}
	for _, yaml := range []string{"{csv: {columns: {at: timestamp}}}", "{format: xlsx, xlsx: {columns: {at: datetime}}}", "{format: fixed, fixed: {columns: {at: timestamp(20)}}}",
		"{format: xml, xml: {rows: /a/b, columns: {at: timestamp}}}"} {
		if _, err := readSettings(yaml); err == nil || !strings.Contains(err.Error(), "which goes with format: parquet") {
			t.Errorf("%s: %v", yaml, err)
		}
	}
}

// TestParquetRows: what is read of a file, by its own types and by those of the settings.
func TestParquetRows(t *testing.T) {
	data := parquetFile(t, settingsOf(t, "{format: parquet, parquet: {columns: {no: integer, name: text, qty: decimal(8.2), day: date, at: timestamp, local: datetime, ok: bool, to.zip: integer}}}"),
		`{"no":42,"name":"12,5","qty":1.50,"day":"2026-02-01","at":"2026-02-01T09:30:00Z","local":"2026-02-01T09:30:00","ok":true,"to":{"zip":1234}}`,
		`{"no":43,"name":"7","qty":2,"to":null}`)
	plain := `1 @1: {"no":42,"name":"12,5","qty":1.50,"day":"2026-02-01","at":"2026-02-01T09:30:00Z","local":"2026-02-01T09:30:00","ok":true,"to":{"zip":1234}}
2 @2: {"no":43,"name":"7","qty":2.00,"day":null,"at":null,"local":null,"ok":null,"to":null}
`
	for columns, want := range map[string]string{
		"": plain,
		"no: integer, name: text, qty: decimal(3.1), at: timestamp, local: datetime, day: date, ok: bool, to.zip: integer": plain,
		"no: decimal(5.0)":       plain,
		"no: text, to.zip: text": strings.NewReplacer(":42,", `:"42",`, ":43,", `:"43",`, ":1234}", `:"1234"}`).Replace(plain),
		"qty: text, ok: text":    strings.NewReplacer("1.50", `"1.50"`, "2.00", `"2.00"`, "true", `"true"`).Replace(plain),
		"at: text, day: text":    plain,
		"name: integer":          strings.NewReplacer("1 @1: {", "1 @1: column name: \"12,5\" is no number {", `"7"`, "7").Replace(plain),
		"qty: integer":           strings.NewReplacer("1 @1: {", "1 @1: column qty: \"1.50\" is no whole number {", "1.50,", `"1.50",`, "2.00", "2").Replace(plain),
		"at: datetime":           "0 @0: column at: the file has values of the type timestamp there, and the settings say datetime (the file)\n",
		"local: timestamp":       "0 @0: column local: the file has values of the type datetime there, and the settings say timestamp (the file)\n",
		"name: timestamp":        "0 @0: column name: the file has values of the type text there, and the settings say timestamp (the file)\n",
		"at: date":               "0 @0: column at: the file has values of the type timestamp there, and the settings say date (the file)\n",
		"day: integer":           "0 @0: column day: the file has values of the type date there, and the settings say integer (the file)\n",
		"number: text":           "0 @0: there is no column \"number\"; there are: no, name, qty, day, at, local, ok, to.zip (the file)\n",
		"to: text":               "0 @0: there is no column \"to\"; there are: no, name, qty, day, at, local, ok, to.zip (the file)\n",
	} {
		s := settingsOf(t, "{format: parquet, parquet: {columns: {"+columns+"}}}")
		if got := told(s, data, 0); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", columns, got, want)
		}
	}
	s := settingsOf(t, "{format: parquet}")
	if got := told(s, data, 1); got != plain[strings.Index(plain, "2 @"):] {
		t.Errorf("from row 1 on: %s", got)
	}
	if got := told(settingsOf(t, "{format: parquet, parquet: {memory: 20B}}"), data, 0); !strings.Contains(got, "the pages that are open at once have more than 20 bytes: write smaller row groups, or raise parquet.memory (the file)") {
		t.Error(got)
	}
	if got := surveyed(t, s, data); !strings.HasPrefix(got, "rows 2, bad 0") {
		t.Error(got)
	}
	small := settingsOf(t, "{format: parquet, max-row: 128B}")
	if got := told(small, data, 0); !strings.HasPrefix(got, "1 @1: the row is too long: it has more than 128 bytes \n2 @2: {") {
		t.Error(got)
	}
	if got := told(settingsOf(t, "{format: parquet, bad-rows: {at-most: 10%}, max-row: 128B}"), data, 0); !strings.Contains(got, "1 of 2 rows cannot be read, and at most 10% may be: nothing of the file was taken") {
		t.Error(got)
	}
}

// TestParquetWhole: a file that is not there as a whole fails before its first row, one without rows is whole, and so is one without bytes.
func TestParquetWhole(t *testing.T) {
	s := settingsOf(t, "{format: parquet, parquet: {"+nestedColumns+"}}")
	data := parquetFile(t, s, `{"no":"1","lines":[{"sku":"a","qty":1}]}`, `{"no":"2","lines":[]}`)
	for n := range len(data) {
		v, err := s.Survey(bytes.NewReader(data[:n]))
		if err != nil || v.Missing == nil || n > 0 && v.Refused == nil || v.Rows > 0 {
			t.Fatalf("%d of %d bytes: %+v, %v", n, len(data), v, err)
		}
	}
	if got := told(s, data[:len(data)-1], 0); !strings.Contains(got, "it is no whole Parquet file: it does not end with PAR1: it is not there as a whole (the file)") {
		t.Error(got)
	}
	if got := told(s, []byte("no;day\n1;2026-02-01\n"), 0); got != "0 @0: it is no whole Parquet file: it does not begin with PAR1 (the file)\n" {
		t.Error(got)
	}
	if got := told(s, parquetFile(t, s), 0); got != "" {
		t.Errorf("a file without rows has %s", got)
	}
	if got := told(s, nil, 0); got != "" {
		t.Errorf("a file without bytes has %s", got)
	}
	if got := told(settingsOf(t, "{format: parquet, empty: failed}"), nil, 0); !strings.Contains(got, "the file is empty") {
		t.Errorf("a file without bytes has %s", got)
	}
	for i := 4; i < len(data); i++ {
		damaged := bytes.Clone(data)
		damaged[i] ^= 0xff
		for _, err := range s.Read(bytes.NewReader(damaged), 0) {
			var row *RowError
			var whole *FileError
			if err != nil && !errors.As(err, &row) && !errors.As(err, &whole) {
				t.Fatalf("byte %d: neither of a row nor of the file: %v", i, err)
			}
		}
	}
}

// TestParquetReading: a failure of the reading itself is none of the file's.
func TestParquetReading(t *testing.T) {
	s := settingsOf(t, "{format: parquet, parquet: {"+nestedColumns+"}}")
	data := parquetFile(t, s, `{"no":"1","lines":[{"sku":"a","qty":1}]}`)
	lost := errors.New("the line is down")
	for after := range 20 {
		in := &breaking{bytes.NewReader(data), after, lost}
		_, err := s.Survey(in)
		if in.left < 0 && !errors.Is(err, lost) || in.left >= 0 && err != nil {
			t.Errorf("after %d reads: %v", after, err)
		}
		in = &breaking{bytes.NewReader(data), after, io.EOF} // it has become shorter
		if v, err := s.Survey(in); in.left < 0 && err == nil && v.Refused == nil {
			t.Errorf("a file of which nothing comes after %d reads: %+v", after, v)
		}
	}
}

// breaking fails after so many reads.
type breaking struct {
	io.ReadSeeker
	left int
	err  error
}

func (f *breaking) Read(b []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, f.err
	}
	return f.ReadSeeker.Read(b)
}

// TestParquetGroups: rows of a flat file become documents, documents with lists become rows, and what happened stands in columns of its own.
func TestParquetGroups(t *testing.T) {
	s := settingsOf(t, "{format: parquet, group-by: [no], lines: {columns: [sku, qty]}, rows: {operation-column: op, event-column: id}, parquet: {columns: {no: text, sku: text, qty: decimal(8.2)}}}")
	data := parquetFile(t, s, `{"no":"1","lines":[{"sku":"a","qty":1.5},{"sku":"b","qty":2}]}`, `{"no":"2","lines":[{"sku":"a","qty":null}]}`)
	s = settingsOf(t, "{format: parquet, group-by: [no], lines: {columns: [sku, qty]}}")
	want := `1 @1: {"op":"create","id":"e-1","no":"1","lines":[{"sku":"a","qty":1.50},{"sku":"b","qty":2.00}]}
2 @3: {"op":"create","id":"e-1","no":"2","lines":[{"sku":"a","qty":null}]}
`
	if got := told(s, data, 0); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestParquetRefused: a document that the columns cannot show.
func TestParquetRefused(t *testing.T) {
	s := settingsOf(t, "{format: parquet, parquet: {"+nestedColumns+"}}")
	for doc, want := range map[string]string{
		`{"no":"1","new":2}`:           `"new" is no column`,
		`{"no":1}`:                     "no: it holds number, and the column takes text",
		`{"lines":[{"qty":1.005}]}`:    "lines.qty: 1.005 has more than the 2 decimals of its column",
		`{"lines":{"qty":1}}`:          "lines: it holds object, and is a list",
		`{"at":"2026-02-01T09:30:00"}`: "at: \"2026-02-01T09:30:00\" is no time with a zone",
	} {
		if _, err := s.Record([]byte(doc), Change{Operation: "create"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", doc, err, want)
		}
	}
	if _, err := s.Record([]byte(`{"no":"1"}`), Change{Operation: "delete"}); err == nil {
		t.Error("a deletion that nothing tells")
	}
	if _, err := settingsOf(t, "{format: parquet}").Record([]byte(`{"no":"1"}`), Change{Operation: "create"}); err == nil || !strings.Contains(err.Error(), "parquet.columns says nothing") {
		t.Error(err)
	}
	columns, more := s.Listed()
	if !more || s.Ending() != "parquet" || !slices.Equal(columns.names(), []string{"no", "day", "at", "lines.sku", "lines.qty"}) {
		t.Errorf("%v %v %s", columns, more, s.Ending())
	}
}
