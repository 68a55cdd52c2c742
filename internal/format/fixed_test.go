package format

import (
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
)

const stockColumns = "columns: {sku: text(6), name: text(8), qty: decimal(6), price: decimal(8.2), day: date(8)}"

// TestFixed: lines of fixed width as documents, or why not.
func TestFixed(t *testing.T) {
	plain := "{format: fixed, fixed: {" + stockColumns + "}}"
	const row = "000042Größe      2.5    123420260201"
	for name, c := range map[string]struct{ yaml, text, want string }{
		"a row":            {plain, row + "\r\n", `1 @1: {"sku":"000042","name":"Größe","qty":2.5,"price":12.34,"day":"2026-02-01"}` + "\n"},
		"blanks left out":  {plain, "000042\n000043Hut\n", `1 @1: {"sku":"000042","name":"","qty":null,"price":null,"day":null}` + "\n" + `2 @2: {"sku":"000043","name":"Hut","qty":null,"price":null,"day":null}` + "\n"},
		"it ends within":   {plain, row + "\n" + row[:20], `1 @1: {"sku":"000042","name":"Größe","qty":2.5,"price":12.34,"day":"2026-02-01"}` + "\n2 @2: column qty: the line ends in it, or before it \n"},
		"without line end": {plain, row, `1 @1: {"sku":"000042","name":"Größe","qty":2.5,"price":12.34,"day":"2026-02-01"}` + "\n"},
		"too much":         {plain, row + " \n" + row + "x\n", `1 @1: {"sku":"000042","name":"Größe","qty":2.5,"price":12.34,"day":"2026-02-01"}` + "\n2 @2: behind the last column stands \"x\" \n"},
		"signs": {"{format: fixed, fixed: {columns: {a: decimal(5.2), b: decimal(5.2), c: decimal(5.2), d: integer(3)}}}", "-00011234-   +5(7)\n",
			`1 @1: {"a":-0.01,"b":-12.34,"c":0.05,"d":-7}` + "\n"},
		"a mark too many": {plain, "000042           2.5   12.3420260201\n", "1 @1: column price: \"12.34\" is no number of digits whose last 2 are decimals \n"},
		"no date":         {plain, "000042           2.5    123420260230\n", "1 @1: column day: \"20260230\" is no date in the layout 20060102 {\"sku\":\"000042\",\"name\":\"\",\"qty\":2.5,\"price\":12.34,\"day\":\"20260230\"}\n"},
		"header, footer":  {"{format: fixed, fixed: {header: true, skip: 1, footer: \"9*\", footer-required: true, columns: {sku: text(4), n: integer(3)}}}", "LIST OF STOCK\nsku n\nA     1\n9 001\n", "1 @3: {\"sku\":\"A\",\"n\":1}\n"},
		"no footer":       {"{format: fixed, fixed: {footer: \"9*\", footer-required: true, columns: {sku: text(4)}}}", "A\n", "0 @0: no row begins with 9*, which ends the data: the file is not complete (the file)\n"},
		"grouped":         {"{format: fixed, fixed: {columns: {no: text(3), sku: text(3)}}, group-by: [no]}", "1  A\n1  B\n2  C\n", "1 @1: {\"no\":\"1\",\"lines\":[{\"sku\":\"A\"},{\"sku\":\"B\"}]}\n2 @3: {\"no\":\"2\",\"lines\":[{\"sku\":\"C\"}]}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := told(settingsOf(t, c.yaml), []byte(c.text), 0); got != c.want {
				t.Errorf("got:\n%swant:\n%s", got, c.want)
			}
		})
	}
}

// TestFixedBytes: widths that count bytes of another encoding.
func TestFixedBytes(t *testing.T) {
	s := settingsOf(t, "{format: fixed, encoding: gb18030, fixed: {count: bytes, columns: {name: text(6), n: integer(3)}}}")
	data, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte("数量    7\n数量大  7\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := told(s, data, 0); got != "1 @1: {\"name\":\"数量\",\"n\":7}\n2 @2: {\"name\":\"数量大\",\"n\":7}\n" {
		t.Errorf("%s", got)
	}
	odd, _ := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte("a数量大 7\n"))
	if got := told(s, odd, 0); !strings.Contains(got, "column name: it ends within a character") {
		t.Errorf("%s", got)
	}
	record, err := s.Record([]byte(`{"name":"数量","n":7}`), Change{Operation: "create"})
	if err != nil || string(record) != "数量    7\r\n" {
		t.Errorf("%q %v", record, err)
	}
	if _, err := s.Record([]byte(`{"name":"数量数量","n":7}`), Change{Operation: "create"}); err == nil || !strings.Contains(err.Error(), "has 8 bytes, and the column 6") {
		t.Errorf("%v", err)
	}
}

// TestFixedWritten: nothing is cut to fit.
func TestFixedWritten(t *testing.T) {
	for name, c := range map[string]struct{ yaml, doc, want string }{
		"a row":           {stockColumns, `{"sku":"42","name":"Größe","qty":-2.5,"price":12.3,"day":"2026-02-01"}`, "42    Größe     -2.5    123020260201\r\n"},
		"zeros":           {"fill: zero, " + stockColumns, `{"sku":"42","qty":-2.5,"price":-12.30,"day":null}`, "42            -002.5-0001230        \r\n"},
		"too long":        {stockColumns, `{"sku":"1234567"}`, "! sku: \"1234567\" has 7 characters, and the column 6"},
		"too large":       {stockColumns, `{"price":1234567.89}`, "! has 9 characters, and the column 8"},
		"decimals":        {stockColumns, `{"price":1.234}`, "! 1.234 has more than 2 decimals"},
		"zeros behind":    {stockColumns, `{"price":1.2300}`, "                         123        \r\n"},
		"a line end":      {stockColumns, `{"sku":"a\nb"}`, "! it holds a line end"},
		"a blank behind":  {stockColumns, `{"sku":"a "}`, "! it ends in a blank"},
		"no column of it": {stockColumns, `{"colour":"a"}`, "! \"colour\" is no column"},
	} {
		s := settingsOf(t, "{format: fixed, fixed: {"+c.yaml+"}}")
		record, err := s.Record([]byte(c.doc), Change{Operation: "create"})
		if why, bad := strings.CutPrefix(c.want, "! "); bad {
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: %v, want %s", name, err, why)
			}
		} else if err != nil || string(record) != c.want {
			t.Errorf("%s: %q %v, want %q", name, record, err, c.want)
		}
	}
}

// TestFormatSettings: what is wrong with the settings of formats.
func TestFormatSettings(t *testing.T) {
	for yaml, want := range map[string]string{
		"{format: fixed}": "fixed: the columns must be listed",
		"{format: fixed, fixed: {columns: {a: text}}}":                                  "the column a has no width",
		"{format: fixed, fixed: {columns: {a: decimal(2.2)}}}":                          "the column a has 2 characters, and 2 decimals",
		"{format: fixed, fixed: {columns: {a: text(2.1)}}}":                             "is no type",
		"{format: fixed, fixed: {columns: {a: text(2)}}, rows: {operation-column: op}}": "there is no column \"op\"",
		"{csv: {columns: {a: text(2)}}}":                                                "a has a width, which goes with format: fixed",
		"{format: xml}":                                                                 "is no path of at least two elements",
		"{format: xml, xml: {rows: Orders/Order}}":                                      "is no path of at least two elements",
		"{format: xml, xml: {rows: /Orders}}":                                           "is no path of at least two elements",
		"{format: xml, xml: {rows: /Orders/, columns: {a: number}}}":                    "\"number\" is no type",
		"{format: xlsx, xlsx: {header: false}}":                                         "without a header the columns must be listed",
		"{format: xlsx, xlsx: {sheet: \"a/b\"}}":                                        "is no name of one",
		"{format: xlsx, xlsx: {header: false, columns: {a: text}}, group-by: [b]}":      "there is no column \"b\"",
	} {
		if _, err := readSettings(yaml); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", yaml, err, want)
		}
	}
}

// FuzzFixed: no bytes make the reader hang, panic or give what is no document.
func FuzzFixed(f *testing.F) {
	f.Add([]byte("000042Größe      2.5    123420260201\r\n"))
	f.Add([]byte("\xff\x00\n-\n"))
	a := settingsOf(f, "{format: fixed, max-row: 1KiB, fixed: {"+stockColumns+"}}")
	b := settingsOf(f, "{format: fixed, encoding: gb18030, fixed: {count: bytes, footer: T*, "+stockColumns+"}, group-by: [sku]}")
	f.Fuzz(func(t *testing.T, data []byte) {
		drain(t, a, data)
		drain(t, b, data)
	})
}
