package file

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Every testdata/rows/*.yaml is an object's settings; the file of the same name with the ending .in is read by them, and
// what comes of it stands in .golden.
func TestRows(t *testing.T) {
	files, err := filepath.Glob("testdata/rows/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			object, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			base := strings.TrimSuffix(file, ".yaml")
			in, err := os.ReadFile(base + ".in")
			if err != nil {
				t.Fatal(err)
			}
			d := newDrop(t, strings.TrimSpace(string(object)))
			d.put("x.txt", string(in))
			files, _ := d.pending()
			if len(files) != 1 {
				t.Fatal("the file is not seen")
			}
			got := d.rows(files[0], 0)
			connectortest.Golden(t, base+".golden", []byte(got))
			lines := strings.SplitAfter(got, "\n")
			if again := d.rows(files[0], 2); len(lines) > 3 && !strings.HasPrefix(lines[0], "0 ") && again != strings.Join(lines[2:], "") {
				t.Errorf("from row 2 on: %s", again)
			}
		})
	}
}

func TestEncodings(t *testing.T) {
	const text = "sku,name\n0042,Größe 数量\n"
	const latin = "sku,name\n0042,Größe €\n"
	cases := map[string]struct {
		name string
		data func() ([]byte, error)
		want string
	}{
		"utf-8":          {"utf-8", func() ([]byte, error) { return []byte(text), nil }, "Größe 数量"},
		"utf-8 with BOM": {"utf-8", func() ([]byte, error) { return []byte("\uFEFF" + text), nil }, "Größe 数量"},
		"gb18030":        {"gb18030", func() ([]byte, error) { return simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(text)) }, "Größe 数量"},
		"utf-16": {"utf-16", func() ([]byte, error) {
			return unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().Bytes([]byte(text))
		}, "Größe 数量"},
		"utf-16le": {"utf-16le", func() ([]byte, error) {
			return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().Bytes([]byte(text))
		}, "Größe 数量"},
		"iso-8859-15":  {"iso-8859-15", func() ([]byte, error) { return charmap.ISO8859_15.NewEncoder().Bytes([]byte(latin)) }, "Größe €"},
		"windows-1252": {"windows-1252", func() ([]byte, error) { return charmap.Windows1252.NewEncoder().Bytes([]byte(latin)) }, "Größe €"},
		"iso-8859-1":   {"iso-8859-1", func() ([]byte, error) { return []byte("sku,name\n0042,Gr\xf6\xdfe\n"), nil }, "Größe"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			data, err := tc.data()
			if err != nil {
				t.Fatal(err)
			}
			d := newDrop(t, "{encoding: "+tc.name+", ready: {when: renamed}}")
			d.put("x.csv", string(data))
			files, _ := d.pending()
			if got, want := d.rows(files[0], 0), `1 @2: {"sku":"0042","name":"`+tc.want+"\"}\n"; got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
	d := newDrop(t, "{encoding: gb18030, ready: {when: renamed}}")
	d.put("x.csv", "sku\n\xff\xff\n7\n")
	files, _ := d.pending()
	if got := d.rows(files[0], 0); !strings.Contains(got, "1 @2: drop: read x.csv: line 2: bytes that are not of the file's encoding") || !strings.Contains(got, `2 @3: {"sku":"7"}`) {
		t.Errorf("%s", got)
	}
}

// objectFor gives an object for a reader without a folder.
func objectFor(tb testing.TB, yaml string) *object {
	tb.Helper()
	var p strictyaml.Problems
	set := read(settingsOf(tb, "connector: file\npath: x\nobjects: {stock: "+yaml+"}"), &p)
	if err := p.Err(); err != nil {
		tb.Fatal(err)
	}
	return set.Objects["stock"]
}

// drain reads everything; it fails on a reader that does not end.
func drain(tb testing.TB, r rowReader, limit int) (docs []string, bad int) {
	tb.Helper()
	for n := 0; ; n++ {
		doc, line, err := r.next()
		var re *rowError
		switch {
		case errors.Is(err, io.EOF):
			return docs, bad
		case errors.As(err, &re):
			bad++
		case err != nil:
			return docs, bad
		default:
			if _, perr := jsondoc.Parse(doc, jsondoc.Limits{}); perr != nil {
				tb.Fatalf("row %d is no JSON: %v: %s", n, perr, doc)
			}
			docs = append(docs, string(doc))
		}
		if n > limit || line > limit {
			tb.Fatalf("%d rows, line %d, of at most %d lines", n, line, limit)
		}
	}
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a,b\r\n\"x\"\"y\",\"z\r\nw\"\r\n", "a\n\"open\n1\n2\n", "a,a\n", "\uFEFFa;b\n1;2", "a\n\"x\"y\nz\n", "\xff\xfe\n", "a,b\n\"\"\"\n,\n"} {
		f.Add([]byte(s))
	}
	object := objectFor(f, "{max-row: 4KiB}")
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, bad := drain(t, object.rows(bytes.NewReader(data)), bytes.Count(data, []byte("\n"))+1)
		// What the standard library reads without a complaint is read the same here.
		std := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, bom)))
		records, err := std.ReadAll()
		if err != nil || len(records) == 0 || bad > 0 || len(data) > 4000 || bytes.Contains(data, []byte("\r")) || bytes.ContainsRune(data, '\uFFFD') {
			return
		}
		names := map[string]bool{}
		for _, n := range records[0] {
			if n = strings.TrimSpace(n); n == "" || names[n] {
				return
			}
			names[n] = true
		}
		if len(docs) != len(records)-1 {
			t.Fatalf("%d rows, want %d: %q", len(docs), len(records)-1, docs)
		}
		for i, doc := range docs {
			d, _ := jsondoc.Parse([]byte(doc), jsondoc.Limits{})
			k := 0
			for _, v := range d.Root().Members() {
				if v.Str() != records[i+1][k] {
					t.Fatalf("row %d: %q, want %q", i, doc, records[i+1])
				}
				k++
			}
		}
	})
}

// What is written is read back the same.
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
			if strings.HasPrefix(a, "\uFEFF") {
				return
			}
			out, _, err := r.next()
			valid := true
			for _, s := range in {
				valid = valid && strings.ToValidUTF8(s, "\uFFFD") == s && !strings.ContainsRune(s, '\uFFFD')
			}
			if strings.Count(a+b+c, "\n") > maxSpan {
				return
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
	for _, s := range []string{"{\"a\":1}\n{\"b\":2}", "\n\n{}\r\n", "{\"a\":\n1}\n", "[1]\nnull\n\"x\"\n", "\uFEFF{}\n", "\xff\n{}"} {
		f.Add([]byte(s))
	}
	object := objectFor(f, "{format: jsonl, max-row: 4KiB}")
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, bad := drain(t, object.rows(bytes.NewReader(data)), bytes.Count(data, []byte("\n"))+1)
		full := 0
		for _, line := range bytes.Split(bytes.TrimPrefix(data, bom), []byte("\n")) {
			if len(strings.TrimSpace(string(line))) > 0 {
				full++
			}
		}
		if len(docs)+bad != full {
			t.Fatalf("%d rows and %d bad ones of %d lines", len(docs), bad, full)
		}
	})
}
