package avrodoc

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

const orderSchema = `{"type":"record","name":"Order","namespace":"com.example","fields":[
 {"name":"id","type":"string"},
 {"name":"total","type":{"type":"bytes","logicalType":"decimal","precision":20,"scale":4}},
 {"name":"tax","type":["null",{"type":"fixed","name":"Tax","size":9,"logicalType":"decimal","precision":20,"scale":2}],"default":null},
 {"name":"rate","type":{"type":"bytes","logicalType":"big-decimal"}},
 {"name":"at","type":["null",{"type":"long","logicalType":"timestamp-millis"},"string"],"default":null},
 {"name":"fine","type":{"type":"long","logicalType":"timestamp-micros"}},
 {"name":"day","type":{"type":"int","logicalType":"date"}},
 {"name":"clock","type":{"type":"int","logicalType":"time-millis"}},
 {"name":"local","type":{"type":"long","logicalType":"local-timestamp-micros"}},
 {"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[{"name":"sku","type":"string"},{"name":"quantity","type":"int"},{"name":"part","type":["null","Line"],"default":null}]}}},
 {"name":"weights","type":{"type":"map","values":"double"}},
 {"name":"state","type":{"type":"enum","name":"State","symbols":["OPEN","DONE"]}},
 {"name":"uid","type":{"type":"string","logicalType":"uuid"}},
 {"name":"raw","type":"bytes"},
 {"name":"mark","type":{"type":"fixed","name":"Mark","size":2}},
 {"name":"wait","type":{"type":"fixed","name":"Wait","size":12,"logicalType":"duration"}},
 {"name":"count","type":"long","default":7},
 {"name":"ratio","type":"float"},
 {"name":"paid","type":"boolean"},
 {"name":"odd","type":{"type":"string","logicalType":"nobody-knows"}}
]}`

const orderDoc = `{"id":"A-1","total":123456789012345.6000,"tax":-0.50,"rate":10.125,"at":"2026-11-01T09:30:00.120Z","fine":"1969-12-31T23:59:59.999999Z","day":"2026-02-28","clock":"09:30:00.001",` +
	`"local":"2026-11-01T09:30:00.000001","lines":[{"sku":"00123","quantity":-2147483648,"part":{"sku":"x","quantity":1,"part":null}}],"weights":{"a":0.1,"b":1e+100},"state":"DONE",` +
	`"uid":"1297f71c-1905-53e0-bbb7-e253a25632a9","raw":"AP8=","mark":"AQI=","wait":{"months":1,"days":2,"milliseconds":4294967295},"count":9223372036854775807,"ratio":0.1,"paid":true,"odd":"Größe \"1\""}`

func compile(t testing.TB, text string, references ...string) *Schema {
	t.Helper()
	s, err := Compile(text, references...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func value(s *Schema, doc string) ([]byte, error) {
	d, err := jsondoc.Parse([]byte(doc), jsondoc.Limits{})
	if err != nil {
		return nil, err
	}
	return s.Value(nil, d.Root())
}

// TestBothWays: every type, written and read again, is the same, digit by digit.
func TestBothWays(t *testing.T) {
	s := compile(t, orderSchema)
	b, err := value(s, orderDoc)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Document(nil, b)
	if err != nil || string(got) != orderDoc {
		t.Errorf("got  %s, %v\nwant %s", got, err, orderDoc)
	}
	if s.Name() != "com.example.Order" || !s.Record() {
		t.Errorf("%s, %v", s.Name(), s.Record())
	}
	var fields []string
	for _, f := range s.Fields() {
		fields = append(fields, fmt.Sprintf("%s:%s:%v", f.Name, f.Type, f.Optional))
	}
	if got := strings.Join(fields, " "); !strings.HasPrefix(got, "id:string:false total:decimal(20,4):false tax:null or decimal(20,2):true") || !strings.Contains(got, "lines:array of record com.example.Line:false weights:map of double:false state:enum com.example.State:false") {
		t.Errorf("%s", got)
	}
}

// written is the document as fastavro 1.13.1 (Python) has written it, with its own types of dates, times and decimals.
const written = "06412d3110112210f47de97e0002ffffffffffffffffce0804278d0602f0888ee7b26801c0c00282e7ce2082d8e6c5f5ccaf06020a3030313233ffffffff0f0202780200000402619a9999999999b93f02627dc39425ad49b25400024831323937663731632d31" +
	"3930352d353365302d626262372d6532353361323536333261390400ff01020100000002000000fffffffffeffffffffffffffff01cdcccc3d01164772c3b6c39f6520223122"

// TestAsOthersWriteIt: what another implementation has written is read as what it was.
func TestAsOthersWriteIt(t *testing.T) {
	b, err := hex.DecodeString(written)
	if err != nil {
		t.Fatal(err)
	}
	s := compile(t, orderSchema)
	got, err := s.Document(nil, b)
	if err != nil || string(got) != orderDoc {
		t.Errorf("got  %s, %v\nwant %s", got, err, orderDoc)
	}
	ours, err := value(s, orderDoc)
	if err != nil || len(ours) != len(b) { // a map has no order
		t.Errorf("%d bytes, %v; want %d", len(ours), err, len(b))
	}
}

// TestBytes: the bytes are those of the specification.
func TestBytes(t *testing.T) {
	for _, c := range []struct{ schema, doc, hex string }{
		{`"string"`, `"foo"`, "06666f6f"},
		{`"long"`, `-64`, "7f"},
		{`"int"`, `64`, "8001"},
		{`{"type":"record","name":"test","fields":[{"name":"a","type":"long"},{"name":"b","type":"string"}]}`, `{"a":27,"b":"foo"}`, "3606666f6f"},
		{`{"type":"array","items":"long"}`, `[3,27]`, "04063600"},
		{`["null","string"]`, `"a"`, "020261"},
		{`["null","string"]`, `null`, "00"},
		{`{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}`, `-1.5`, "04ff6a"},
		{`{"type":"int","logicalType":"date"}`, `"1970-01-02"`, "02"},
		{`{"type":"long","logicalType":"timestamp-millis"}`, `"1970-01-01T08:00:01+08:00"`, "d00f"},
		{`"boolean"`, `true`, "01"},
		{`"double"`, `1.5`, "000000000000f83f"},
	} {
		b, err := value(compile(t, c.schema), c.doc)
		if err != nil || hex.EncodeToString(b) != c.hex {
			t.Errorf("%s as %s: %x, %v; want %s", c.doc, c.schema, b, err, c.hex)
		}
	}
}

// TestRefusals: what would be lost or changed is refused, and where it stands is said.
func TestRefusals(t *testing.T) {
	record := func(field string) string { return `{"type":"record","name":"R","fields":[` + field + `]}` }
	f := func(typ string) string { return record(`{"name":"x","type":` + typ + `}`) }
	for _, c := range []struct{ schema, doc, text string }{
		{f(`"string"`), `{}`, "x: the document lacks it"},
		{f(`"string"`), `{"x":"a","y":1}`, "y: the schema has no such field"},
		{f(`"string"`), `{"x":1}`, "x: the schema wants a text, and the document has number"},
		{f(`"string"`), `{"x":null}`, "x: the schema wants a text, and the document has null"},
		{f(`"int"`), `{"x":2147483648}`, "x: it is no whole number of 32 bits"},
		{f(`"int"`), `{"x":1.5}`, "x: it is no whole number"},
		{f(`"long"`), `{"x":9223372036854775808}`, "x: it is no whole number of 64 bits"},
		{f(`"double"`), `{"x":1234567890123456.78}`, "x: the type cannot hold the number exactly"},
		{f(`"float"`), `{"x":0.123456789}`, "x: the type cannot hold the number exactly"},
		{f(`"double"`), `{"x":1e400}`, "x: "},
		{f(`{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}`), `{"x":1.005}`, "x: 1.005 does not fit into decimal(5,2)"},
		{f(`{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}`), `{"x":1000}`, "x: 1000 does not fit into decimal(5,2)"},
		{f(`{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}`), `{"x":"ten"}`, "x: it is no number"},
		{f(`{"type":"long","logicalType":"timestamp-millis"}`), `{"x":"2026-11-01T09:30:00"}`, "with a zone"},
		{f(`{"type":"long","logicalType":"timestamp-millis"}`), `{"x":"2026-11-01T09:30:00.0001Z"}`, "holds 3 digits"},
		{f(`{"type":"long","logicalType":"local-timestamp-millis"}`), `{"x":"2026-11-01T09:30:00Z"}`, "without a zone"},
		{f(`{"type":"long","logicalType":"timestamp-nanos"}`), `{"x":"2300-11-01T09:30:00Z"}`, "the years 1678 to 2261"},
		{f(`{"type":"int","logicalType":"date"}`), `{"x":"2026-02-30"}`, "such as 2026-11-01"},
		{f(`{"type":"int","logicalType":"time-millis"}`), `{"x":"25:00:00"}`, "such as 09:30:00"},
		{f(`{"type":"string","logicalType":"uuid"}`), `{"x":"1"}`, "x: it is no UUID"},
		{f(`{"type":"enum","name":"E","symbols":["A","B"]}`), `{"x":"C"}`, `x: "C" is none of A, B`},
		{f(`{"type":"fixed","name":"F","size":2}`), `{"x":"AQ=="}`, "x: it has 1 bytes, and the schema wants 2"},
		{f(`"bytes"`), `{"x":"?"}`, "x: it is no base64"},
		{f(`["null","int","boolean"]`), `{"x":"a"}`, "x: none of the union's types holds it (int: the schema wants a number, and the document has string; boolean:"},
		{f(`["null",{"type":"array","items":"int"}]`), `{"x":[1,"a"]}`, "x.1: the schema wants a number"},
		{f(`{"type":"fixed","name":"D","size":12,"logicalType":"duration"}`), `{"x":{"months":-1,"days":0,"milliseconds":0}}`, "x.months: it is no whole number"},
		{`"string"`, `1`, "the schema wants a text"},
	} {
		_, err := value(compile(t, c.schema), c.doc)
		if err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s as %s: %v, want %q", c.doc, c.schema, err, c.text)
		}
	}
}

// TestUnreadable: values that a document cannot show are refused, with their path.
func TestUnreadable(t *testing.T) {
	for _, c := range []struct{ schema, hex, text string }{
		{`{"type":"record","name":"R","fields":[{"name":"x","type":"double"}]}`, "000000000000f87f", "x: the number is NaN"},
		{`"float"`, "0000807f", "the number is +Inf"},
		{`{"type":"map","values":{"type":"long","logicalType":"timestamp-millis"}}`, "02026bfeffffffffffffffff0100", "k: the time is of the year"},
		{`"string"`, "02ff", "UTF-8"},
		{`"string"`, "0a61", ""},
		{`"string"`, "026161", "1 bytes are left behind the value"},
		{`["null","int"]`, "08", ""},
		{`{"type":"array","items":"null"}`, "feffffffffffffff7f", ""},
	} {
		b, _ := hex.DecodeString(c.hex)
		got, err := compile(t, c.schema).Document(nil, b)
		if err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s as %s: %s, %v, want %q", c.hex, c.schema, got, err, c.text)
		}
	}
}

// TestReferences: types of other schemas are used by their names.
func TestReferences(t *testing.T) {
	address := `{"type":"record","name":"Address","namespace":"com.example","fields":[{"name":"city","type":"string"}]}`
	customer := `{"type":"record","name":"Customer","namespace":"com.example","fields":[{"name":"home","type":"Address"},{"name":"work","type":["null","com.example.Address"],"default":null}]}`
	if _, err := Compile(customer); err == nil {
		t.Error("a type that is nowhere described is taken")
	}
	s := compile(t, customer, address)
	const doc = `{"home":{"city":"北京"},"work":{"city":"Köln"}}`
	b, err := value(s, doc)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Document(nil, b); err != nil || string(got) != doc {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{``, `{}`, `{"type":"record","name":"R","fields":[{"name":"x","type":"Nobody"}]}`, `{"type":"protobuf"}`} {
		if _, err := Compile(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// TestDecimalProperty: a decimal of any scale comes back with its digits.
func TestDecimalProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		precision := rapid.IntRange(1, 38).Draw(t, "precision")
		scale := rapid.IntRange(0, precision).Draw(t, "scale")
		digits := rapid.StringMatching(fmt.Sprintf(`[0-9]{%d}`, precision)).Draw(t, "digits")
		before, behind := strings.TrimLeft(digits[:precision-scale], "0"), digits[precision-scale:]
		if before == "" {
			before = "0"
		}
		text := before
		if scale > 0 {
			text += "." + behind
		}
		if strings.Trim(text, "0.") != "" && rapid.Bool().Draw(t, "negative") {
			text = "-" + text
		}
		s, err := Compile(fmt.Sprintf(`{"type":"bytes","logicalType":"decimal","precision":%d,"scale":%d}`, precision, scale))
		if err != nil {
			t.Fatal(err)
		}
		b, err := value(s, text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Document(nil, b); err != nil || string(got) != text {
			t.Fatalf("%s became %s, %v", text, got, err)
		}
	})
}

// FuzzDocument: whatever bytes are, they are a document that can be written back, or refused.
func FuzzDocument(f *testing.F) {
	s, err := Compile(orderSchema)
	if err != nil {
		f.Fatal(err)
	}
	whole, err := value(s, orderDoc)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, err := s.Document(nil, b)
		if err != nil {
			return
		}
		d, err := jsondoc.Parse(doc, jsondoc.Limits{})
		if err != nil {
			return // a number of more digits than documents hold
		}
		again, err := s.Value(nil, d.Root())
		if err != nil && (strings.Contains(err.Error(), "does not fit into decimal") || strings.Contains(err.Error(), "no UUID")) {
			return // bytes may break the schema's own word: it is shown, and not written
		}
		if err != nil {
			t.Fatalf("%s is not taken back: %v", doc, err)
		}
		back, err := s.Document(nil, again)
		if err != nil || string(back) != string(doc) {
			t.Errorf("%s became %s, %v", doc, back, err)
		}
	})
}
