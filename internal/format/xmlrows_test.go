package format

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

const orderXML = `<?xml version="1.0"?>
<o:Orders xmlns:o="urn:x" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <o:Head><Order>not this one</Order></o:Head>
  <!-- a remark -->
  <o:Order no="0042" xsi:type="x">
    <day>20260201</day>
    <total cur="EUR">12.50</total>
    <note>a &lt; b <![CDATA[& c]]></note>
    <none/>
    <nil xsi:nil="true"/>
    <lines><line><sku>007</sku><qty>2</qty></line><line><sku>008</sku><qty>1.50</qty></line></lines>
  </o:Order>
  <o:Order no="43"><lines><line><sku>9</sku><qty/></line></lines></o:Order>
</o:Orders>
`

const orderColumns = "columns: {day: date, total: decimal, none: integer, lines.line.qty: decimal}, date-layout: \"20060102\""

// TestXMLRows: elements and attributes as documents, or why not.
func TestXMLRows(t *testing.T) {
	wrap := func(row string) string { return "<Orders>\n" + row + "\n</Orders>" }
	plain := "{format: xml, xml: {rows: /Orders/Order}}"
	for name, c := range map[string]struct{ yaml, text, want string }{
		"orders": {"{format: xml, xml: {rows: /Orders/Order, " + orderColumns + "}}", orderXML,
			`1 @5: {"@no":"0042","day":"2026-02-01","total":{"@cur":"EUR","#text":12.50},"note":"a < b & c","none":null,"nil":null,"lines":{"line":[{"sku":"007","qty":2},{"sku":"008","qty":1.50}]}}
2 @13: {"@no":"43","lines":{"line":{"sku":"9","qty":null}}}
`},
		"lists":               {"{format: xml, xml: {rows: /Orders/Order, lists: [lines.line]}}", wrap("<Order><lines><line><sku>9</sku></line></lines></Order>"), "1 @2: {\"lines\":{\"line\":[{\"sku\":\"9\"}]}}\n"},
		"grouped":             {"{format: xml, xml: {rows: /Orders/Order, columns: {q: integer}}, group-by: [no]}", wrap("<Order><no>1</no><q>1</q></Order><Order><no>1</no><q>2</q></Order>"), "1 @2: {\"no\":\"1\",\"lines\":[{\"q\":1},{\"q\":2}]}\n"},
		"deeper":              {"{format: xml, xml: {rows: /a/b/c}}", "<a><b><c><x>1</x></c></b><c><x>no</x></c><b><c><x>2</x></c></b></a>", "1 @1: {\"x\":\"1\"}\n2 @1: {\"x\":\"2\"}\n"},
		"a value of no type":  {"{format: xml, xml: {rows: /Orders/Order, columns: {q: integer}}}", wrap("<Order><q>x</q></Order>\n<Order><q>2</q></Order>"), "1 @2: column q: \"x\" is no number {\"q\":\"x\"}\n2 @3: {\"q\":2}\n"},
		"mixed":               {plain, wrap("<Order><q>a<b>c</b></q></Order>"), "1 @2: column q: text and elements stand side by side: \"a\" {\"q\":{\"b\":\"c\"}}\n"},
		"too long":            {"{format: xml, max-row: 64B, xml: {rows: /Orders/Order}}", wrap("<Order><q>" + strings.Repeat("a", 80) + "</q></Order>\n<Order><q>2</q></Order>"), "1 @2: the row is too long: it has more than 64B, which max-row is \n2 @3: {\"q\":\"2\"}\n"},
		"no rows":             {plain, "<Orders/>", ""},
		"another root":        {plain, "<Order/>", "0 @1: line 1: the root is Order, and the rows are at /Orders/Order (the file)\n"},
		"a document type":     {plain, "<!DOCTYPE Orders [<!ENTITY a \"b\">]>\n" + wrap("<Order><q>&a;</q></Order>"), "0 @1: line 1: a document type is not taken (the file)\n"},
		"an entity":           {plain, wrap("<Order><q>&a;</q></Order>"), "0 @2: line 2: invalid character entity &a; (the file)\n"},
		"not closed":          {plain, "<Orders><Order><q>1</q></Order>\n<Order><q>2", "0 @2: line 2: unexpected EOF (the file)\n"},
		"closed wrongly":      {plain, wrap("<Order><q>1</r></Order>"), "0 @2: line 2: element <q> closed by </r> (the file)\n"},
		"a row before that":   {plain, wrap("<Order><q>1</q></Order><Order><q>1</r></Order>"), "0 @2: line 2: element <q> closed by </r> (the file)\n"},
		"too deep":            {plain, "<Orders><Order>" + strings.Repeat("<a>", 70), "0 @1: line 1: more than 64 elements stand in each other (the file)\n"},
		"too deep elsewhere":  {plain, "<Orders><Head>" + strings.Repeat("<a>", 70), "0 @1: line 1: more than 64 elements stand in each other (the file)\n"},
		"two attributes":      {plain, wrap("<Order xmlns:x=\"x\" no=\"1\" x:no=\"2\"/>"), "1 @2: it has two attributes no {\"@no\":\"1\"}\n"},
		"a lost character":    {plain, wrap("<Order><q>a\uFFFD</q></Order>"), "1 @2: column q: bytes that are not of the file's encoding {\"q\":\"a\uFFFD\"}\n"},
		"an unknown encoding": {plain, "<?xml version=\"1.0\" encoding=\"ebcdic\"?><Orders/>", "0 @1: line 1: xml: opening charset \"ebcdic\": the file says that its encoding is \"ebcdic\", which is not known: set encoding (the file)\n"},
		"no XML":              {plain, "a;b\n", "0 @0: the file holds 4 bytes, and no row (the file)\n"},
		"empty":               {plain, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := settingsOf(t, c.yaml)
			if got := told(s, []byte(c.text), 0); got != c.want {
				t.Errorf("got:\n%swant:\n%s", got, c.want)
			}
		})
	}
	s := settingsOf(t, plain)
	for text, missing := range map[string]bool{wrap("<Order/>"): false, "<Orders><Order/>": true, "<Orders><Order><q>1</r></Order></Orders>": false, "": true} {
		if v, err := s.Survey(strings.NewReader(text)); err != nil || (v.Missing != nil) != missing {
			t.Errorf("%q: %+v %v", text, v, err)
		}
	}
	if v, err := s.Survey(strings.NewReader("<Orders><Order>" + strings.Repeat("a", 4<<20))); err != nil || v.Refused == nil || !strings.Contains(v.Refused.Error(), "a text or a name has more") {
		t.Errorf("a text without an end: %+v %v", v, err)
	}
}

// TestXMLEncodings: a file in the encoding that it names, or that the settings name.
func TestXMLEncodings(t *testing.T) {
	const body = "<r><x><a>Größe</a></x></r>"
	latin, _ := charmap.ISO8859_1.NewEncoder().String(`<?xml version="1.0" encoding="ISO-8859-1"?>` + body)
	wide, _ := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(`<?xml version="1.0" encoding="UTF-16"?>` + body)
	for text, yaml := range map[string]string{body: "", latin: "", "\uFEFF" + body: "", wide: "encoding: utf-16, "} {
		if got := told(settingsOf(t, "{"+yaml+"format: xml, xml: {rows: /r/x}}"), []byte(text), 0); got != "1 @1: {\"a\":\"Größe\"}\n" {
			t.Errorf("%s", got)
		}
	}
}

// TestXMLWritten: documents as elements, and what cannot be one.
func TestXMLWritten(t *testing.T) {
	s := settingsOf(t, "{format: xml, encoding: iso-8859-1, xml: {rows: /Data/Orders/Order, namespace: \"urn:x&y\", "+orderColumns+"}}")
	const doc = `{"@no":"0042","day":"2026-02-01","total":{"@cur":"EUR","#text":12.50},"note":"ä < b","none":null,"many":[1,2],"lines":{"line":[{"sku":"007","qty":2}]}}`
	record, err := s.Record([]byte(doc), Change{Operation: "create"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := s.File([][]byte{record})
	if err != nil {
		t.Fatal(err)
	}
	want := "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<Data xmlns=\"urn:x&amp;y\">\n<Orders>\n<Order no=\"0042\"><day>20260201</day><total cur=\"EUR\">12.50</total><note>\xe4 &lt; b</note><many>1</many><many>2</many>" +
		"<lines><line><sku>007</sku><qty>2</qty></line></lines></Order>\n</Orders>\n</Data>\n"
	if string(data) != want {
		t.Errorf("%s\nwant %s", data, want)
	}
	if got := told(s, data, 0); got != `1 @4: {"@no":"0042","day":"2026-02-01","total":{"@cur":"EUR","#text":12.50},"note":"ä < b","many":["1","2"],"lines":{"line":{"sku":"007","qty":2}}}`+"\n" {
		t.Errorf("%s", got)
	}
	for bad, why := range map[string]string{
		`{"a b":1}`: "is no name of an element", `{"@":1}`: "is no name of an attribute", `{"day":"1.2.26"}`: "is no date", `{"x":"\u0001"}`: "a character that XML cannot",
		`{"x":[[1]]}`: "cannot be an element", `{"x":[null]}`: "cannot be an element", `{"x":{"#text":"a","b":1}}`: "side by side", `{"x":{"@y":[1]}}`: "is no text", `{"x":"数"}`: "a character that iso-8859-1 does not have",
	} {
		if _, err := s.Record([]byte(bad), Change{Operation: "create"}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %s", bad, err, why)
		}
	}
}

// FuzzXML: no bytes make the reader hang, panic or give what is no document, and from any row on the same comes.
func FuzzXML(f *testing.F) {
	for _, s := range []string{orderXML, "<Orders><Order/></Orders>", "<Orders><Order a='1' b='2'>x</Order>", "<Orders>]]></Orders>", "<!DOCTYPE x>", "<Orders><Order><a/><b/><a/></Order></Orders>"} {
		f.Add([]byte(s))
	}
	s := settingsOf(f, "{format: xml, max-row: 4KiB, xml: {rows: /Orders/Order, lists: [a], "+orderColumns+"}}")
	f.Fuzz(func(t *testing.T, data []byte) {
		all := told(s, data, 0)
		if strings.HasPrefix(all, "0 ") {
			return
		}
		if v, err := s.Survey(bytes.NewReader(data)); err != nil || v.Refused != nil {
			t.Fatalf("%+v %v", v, err)
		}
		lines := strings.SplitAfter(all, "\n")
		if n := len(lines) / 2; told(s, data, n) != strings.Join(lines[n:], "") && strings.Count(all, "\n") == len(lines)-1 && !strings.Contains(all, ": \n") {
			t.Fatalf("from row %d on: %q of %q", n, told(s, data, n), all)
		}
	})
}
