package format

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// drain reads everything; it fails on a reader that does not end, or gives what is no document.
func drain(tb testing.TB, s *Settings, data []byte) (docs []string, bad int, whole error) {
	tb.Helper()
	limit := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + 2
	for row, err := range s.Read(bytes.NewReader(data), 0) {
		var re *RowError
		var fe *FileError
		switch {
		case errors.As(err, &fe):
			whole = err
		case errors.As(err, &re):
			bad++
		case err != nil:
			tb.Fatalf("neither of a row nor of the file: %v", err)
		default:
			docs = append(docs, string(row.Doc))
		}
		if row.Doc != nil {
			if _, perr := jsondoc.Parse(row.Doc, jsondoc.Limits{}); perr != nil {
				tb.Fatalf("row %d is no JSON: %v: %s", row.Number, perr, row.Doc)
			}
		}
		if row.Number > limit || row.Line > limit {
			tb.Fatalf("row %d, line %d, of at most %d lines", row.Number, row.Line, limit)
		}
	}
	if len(data) > 0 && len(docs)+bad == 0 && whole == nil && s.Format == "jsonl" {
		tb.Fatalf("%q holds bytes, yields no row and is none the worse for it", data)
	}
	return docs, bad, whole
}

var csvSeeds = []string{"a,b\n1,2\n", "a,b\r\n\"x\"\"y\",\"z\r\nw\"\r\n", "a\n\"open\n1\n2\n", "a,a\n", "\uFEFFa;b\n1;2", "a\n\"x\"y\nz\n", "\xff\xfe\n",
	"a,b\n\"\"\"\n,\n", "a,b\r1,2\r", "a,b,\n1,2,\n", "sep=;\na;b\n1;2\n", "a\r\r\nb\r\r\n", "a,b\n\"1\r2\",3\n", "\x00\n"}

func FuzzCSV(f *testing.F) {
	for _, s := range csvSeeds {
		f.Add([]byte(s))
	}
	s := settingsOf(f, "{max-row: 4KiB}")
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, bad, whole := drain(t, s, data)
		// What the standard library reads without a complaint is read the same here.
		std := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, bom)))
		records, err := std.ReadAll()
		if err != nil || len(records) == 0 || bad > 0 || whole != nil || len(data) > 4000 || bytes.ContainsAny(data, "\r\x00\uFFFD") ||
			strings.HasPrefix(strings.ToLower(strings.TrimLeft(string(data), "\uFEFF\"")), "sep=") {
			return
		}
		names := records[0]
		for len(names) > 1 && strings.TrimSpace(names[len(names)-1]) == "" {
			names = names[:len(names)-1] // delimiters at the end
		}
		seen := map[string]bool{}
		for _, n := range names {
			if n = strings.TrimSpace(n); n == "" || seen[n] {
				return
			}
			seen[n] = true
		}
		rows := slices.DeleteFunc(records[1:], func(r []string) bool { return len(names) > 1 && len(r) == 1 })
		if len(docs) != len(rows) {
			t.Fatalf("%d rows, want %d: %q", len(docs), len(rows), docs)
		}
		for i, doc := range docs {
			d, _ := jsondoc.Parse([]byte(doc), jsondoc.Limits{})
			k := 0
			for _, v := range d.Root().Members() {
				if v.Str() != rows[i][k] {
					t.Fatalf("row %d: %q, want %q", i, doc, rows[i])
				}
				k++
			}
		}
	})
}

// FuzzDialects: no bytes make a reader of any dialect hang, panic or give what is no document, and from any row on the same comes.
func FuzzDialects(f *testing.F) {
	var all []*Settings
	for _, yaml := range []string{
		"{max-row: 64B, csv: {delimiter: ;, skip: 1, skip-after: 1}}",
		"{csv: {header-contains: a, footer: T*, trim: true, columns: {a: decimal, b: integer}, numbers: {decimal: comma, group: dot}, delimiter: ;}}",
		"{group-by: [a], bad-rows: {at-most: 50%}}", "{format: jsonl, group-by: [a], lines: {columns: [b], at-most: 2}}",
		"{encoding: utf-16, csv: {header: false, columns: {a: text, b: date}}}", "{csv: {quote: none, by: position, columns: {a: text, b: bool}}}",
		"{csv: {footer: Total, footer-required: true}, group-by: [a, b]}",
	} {
		all = append(all, settingsOf(f, yaml))
	}
	for _, s := range append(slices.Clone(csvSeeds), "x\na;b\n1.234,5;7\nT;1\n", "a,b\n1,2\n1,3\n2,\"\n", "{\"a\":1,\"b\":2}\r{\"a\":1,\"b\":3}\n", "a,b\n1,2\nTotal,5\n") {
		for i := range all {
			f.Add(i, []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, which int, data []byte) {
		s := all[(which%len(all)+len(all))%len(all)]
		_, _, whole := drain(t, s, data)
		if v, err := s.Survey(bytes.NewReader(data)); err != nil || v.Bad > v.Rows || whole == nil && v.Refused != nil {
			t.Fatalf("%+v %v", v, err)
		}
		if whole != nil {
			return
		}
		rows := strings.SplitAfter(told(s, data, 0), "\n")
		if from := len(rows) / 2; strings.Count(told(s, data, 0), "\n") == len(rows)-1 && told(s, data, from) != strings.Join(rows[from:], "") {
			t.Fatalf("from row %d on: %q", from, told(s, data, from))
		}
	})
}

// FuzzCSVRoundTrip: what is written is read back the same.
func FuzzCSVRoundTrip(f *testing.F) {
	f.Add("a", "b,c", "d\"e\"\n")
	f.Add("", " ", "\r\n")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		in := []string{a, b, c}
		for _, delimiter := range []byte{',', ';', '\t', '|'} {
			text, err := appendRecord(nil, in, delimiter, '"')
			if err != nil {
				t.Fatal(err)
			}
			r := csvReader{lines: lines{r: decoded(bytes.NewReader(text), "utf-8"), max: 1 << 20}, delimiter: delimiter, quote: '"'}
			if strings.HasPrefix(a, "\uFEFF") || strings.Count(a+b+c, "\n")+strings.Count(a+b+c, "\r") > maxSpan {
				return
			}
			out, _, err := r.next()
			valid := true
			for _, s := range in {
				valid = valid && strings.ToValidUTF8(s, "\uFFFD") == s && !strings.ContainsAny(s, "\uFFFD\x00")
			}
			if valid && (err != nil || !slices.Equal(in, out)) {
				t.Fatalf("%q became %q by %q: %v", in, out, text, err)
			}
			if !valid && err == nil {
				t.Fatalf("%q was read as %q", in, out)
			}
		}
	})
}

func FuzzJSONL(f *testing.F) {
	for _, s := range []string{"{\"a\":1}\n{\"b\":2}", "\n\n{}\r\n", "{\"a\":\n1}\n", "[1]\nnull\n\"x\"\n", "\uFEFF{}\n", "\xff\n{}", "{}\r{}\r", "\r\n\r\n"} {
		f.Add([]byte(s))
	}
	s := settingsOf(f, "{format: jsonl, max-row: 4KiB}")
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, bad, whole := drain(t, s, data)
		if whole != nil && len(docs)+bad > 0 {
			t.Fatalf("%d rows of a file that fails as a whole: %v", len(docs)+bad, whole)
		}
		if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
			return
		}
		full := 0
		for _, line := range bytes.FieldsFunc(bytes.TrimPrefix(data, bom), func(r rune) bool { return r == '\n' || r == '\r' }) {
			if len(strings.TrimSpace(string(line))) > 0 {
				full++
			}
		}
		if len(docs)+bad != full {
			t.Fatalf("%d rows and %d bad ones of %d lines", len(docs), bad, full)
		}
	})
}

// TestRoundTrip: documents of any values that the columns take, with and without lines, are read back from what was written of them, in any
// dialect.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dialect := rapid.SampledFrom([]string{
			"", "delimiter: ;, decimal-mark: comma, date-layout: 02.01.2006, ", "delimiter: tab, quote: \"'\", ",
			"delimiter: \"|\", header: false, ", "numbers: {decimal: comma, group: dot}, delimiter: ;, ",
		}).Draw(t, "dialect")
		encoding := rapid.SampledFrom([]string{"utf-8", "gb18030", "utf-16", "utf-16le"}).Draw(t, "encoding")
		format := rapid.SampledFrom([]string{"csv", "jsonl", "fixed", "xml", "xlsx", "parquet"}).Draw(t, "format")
		grouped := rapid.Bool().Draw(t, "grouped")
		yaml := "{format: " + format
		if format != "xlsx" && format != "parquet" {
			yaml += ", encoding: " + encoding
		}
		switch format {
		case "fixed":
			yaml += ", fixed: {columns: {no: text(20), day: date(8), sku: text(14), qty: decimal(12.2), n: integer(12), ok: bool(5)}}"
		case "xml":
			yaml += ", xml: {rows: /a/b, columns: {day: date, qty: decimal, n: integer, ok: bool, lines.qty: decimal, lines.n: integer, lines.ok: bool}, lists: [lines]}"
		case "parquet":
			yaml += ", parquet: {lists: [lines], columns: {no: text, day: date, sku: text, qty: decimal(12.2), n: integer, ok: bool}}"
			if grouped {
				yaml = strings.NewReplacer("sku:", "lines.sku:", "qty:", "lines.qty:", " n:", " lines.n:", "ok:", "lines.ok:").Replace(yaml)
			} else {
				yaml = strings.Replace(yaml, "lists: [lines], ", "", 1)
			}
		case "xlsx":
			yaml += ", xlsx: {columns: {no: text, day: date, sku: text, qty: decimal, n: integer, ok: bool}}"
		case "csv":
			yaml += fmt.Sprintf(", csv: {%scolumns: {no: text, day: date, sku: text, qty: decimal, n: integer, ok: bool}}", dialect)
		}
		if grouped && format != "xml" && format != "parquet" { // which have lists
			yaml += ", group-by: [no], lines: {columns: [sku, qty, n, ok]}"
		}
		s, err := readSettings(yaml + "}")
		if err != nil {
			t.Fatal(err)
		}
		letters := "aZ0 ,;|\t\"'=-\r\nä数"
		if format == "fixed" {
			letters = "aZ0,;|\t\"'=-ä数" // no line ends, and no blank at the end
		}
		text := rapid.StringOfN(rapid.RuneFrom([]rune(letters)), 0, 12, -1)
		var want []string
		var records [][]byte
		for i := range rapid.IntRange(1, 6).Draw(t, "documents") {
			head := fmt.Sprintf(`"no":%s,"day":"20%02d-02-28"`, jsondoc.AppendString(nil, fmt.Sprint(i, text.Draw(t, "no"))), rapid.IntRange(10, 99).Draw(t, "year"))
			line := func() string {
				return fmt.Sprintf(`"sku":%s,"qty":%d.%02d,"n":%d,"ok":%v`, jsondoc.AppendString(nil, text.Draw(t, "sku")),
					rapid.IntRange(-9999, 999999).Draw(t, "qty"), rapid.IntRange(0, 99).Draw(t, "cents"), rapid.Int32().Draw(t, "n"), rapid.Bool().Draw(t, "ok"))
			}
			doc := "{" + head + "," + line() + "}"
			if grouped {
				lines := []string{"{" + line() + "}"}
				for range rapid.IntRange(0, 3).Draw(t, "more") {
					lines = append(lines, "{"+line()+"}")
				}
				doc = "{" + head + `,"lines":[` + strings.Join(lines, ",") + "]}"
			}
			record, err := s.Record([]byte(doc), Change{Operation: "create"})
			if err != nil {
				t.Fatalf("%s: %v", doc, err)
			}
			want, records = append(want, doc), append(records, record)
		}
		data, err := s.File(records)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for row, err := range s.Read(bytes.NewReader(data), 0) {
			if err != nil {
				t.Fatalf("%q: row %d: %v", data, row.Number, err)
			}
			got = append(got, string(row.Doc))
		}
		if !slices.EqualFunc(got, want, equalDocs) {
			t.Fatalf("%q became %q by %q", want, got, data)
		}
		if v, err := s.Survey(bytes.NewReader(data)); err != nil || len(want) > 0 && (v.Missing != nil || v.Refused != nil) {
			t.Fatalf("what was written does not look whole: %+v %v", v, err)
		}
	})
}

func equalDocs(a, b string) bool {
	x, xerr := jsondoc.Parse([]byte(a), jsondoc.Limits{})
	y, yerr := jsondoc.Parse([]byte(b), jsondoc.Limits{})
	return xerr == nil && yerr == nil && x.Root().Equal(y.Root())
}
