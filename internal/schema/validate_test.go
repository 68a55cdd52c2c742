package schema

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/xeipuuv/gojsonschema"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

func onlySchema(t *testing.T, text string) *Schema {
	t.Helper()
	set, problems := compile("a/x", text)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return set.Get("a/x")
}

func document(t testing.TB, text string) *jsondoc.Doc {
	t.Helper()
	d, err := jsondoc.Parse([]byte(text), jsondoc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// violationTests are documents that break their schema, with what is said about them: the same by both libraries.
var violationTests = []struct{ schema, doc, want string }{
	{`{"type":"string"}`, `1`, `: type: must be string, is integer`},
	{`{"properties":{"a":{"type":["string","null"]}}}`, `{"a":1.5}`, `a: type: must be string or null, is number`},
	{`{"required":["a"]}`, `{}`, `a: required: is missing`},
	{`{"items":{"properties":{"b":{"required":["c d"]}}}}`, `[1,{"b":{}}]`, `[1].b["c d"]: required: is missing`},
	{`{"properties":{"0":{"items":{"type":"null"}}}}`, `{"0":[null,2]}`, `0[1]: type: must be null, is integer`},
	{`{"properties":{"a":{}},"additionalProperties":false}`, `{"b":1}`, `b: additionalProperties: is not in the schema`},
	{`{"patternProperties":{"^x":{"type":"string"}}}`, `{"xa":1}`, `xa: type: must be string, is integer`},
	{`{"propertyNames":{"maxLength":2}}`, `{"abc":1}`, `: maxLength: may have 2 characters at most, the name is "abc"|abc: propertyNames: is not allowed as a name`},
	{`{"type":"string","enum":["a","b"]}`, `"c"`, `: enum: must be one of a, b, is "c"`},
	{`{"type":"string","enum":["a","b"],"format":"date"}`, `"a"`, `: format: must be of format date, is "a"`},
	{`{"enum":["a",1]}`, `"c"`, `: enum: must be one of "a", 1, is "c"`},
	{`{"type":"string","const":"a"}`, `"b"`, `: const: must be "a", is "b"`},
	{`{"const":1}`, `2`, `: const: must be 1, is 2`},
	{`{"minLength":2}`, `"日"`, `: minLength: needs 2 or more characters, is "日"`},
	{`{"maxLength":2}`, `"日本語"`, `: maxLength: may have 2 characters at most, is "日本語"`},
	{`{"pattern":"^[A-Z]+$"}`, `"a"`, `: pattern: must match ^[A-Z]+$, is "a"`},
	{`{"format":"date-time"}`, `"10:00:00"`, `: format: must be of format date-time, is "10:00:00"`},
	{`{"minimum":1}`, `0.999999999999999999999`, `: minimum: must be at least 1, is 0.999999999999999999999`},
	{`{"maximum":0.3}`, `0.30000000000000000001`, `: maximum: must be at most 0.3, is 0.30000000000000000001`},
	{`{"exclusiveMinimum":1}`, `1`, `: exclusiveMinimum: must be greater than 1, is 1`},
	{`{"exclusiveMaximum":1}`, `1e0`, `: exclusiveMaximum: must be less than 1, is 1e0`},
	{`{"multipleOf":0.01}`, `0.015`, `: multipleOf: must be a multiple of 0.01, is 0.015`},
	{`{"minItems":1}`, `[]`, `: minItems: needs 1 or more elements, has 0`},
	{`{"maxItems":1}`, `[1,2]`, `: maxItems: may have 1 elements at most, has 2`},
	{`{"uniqueItems":true}`, `[1,2,1.0]`, `: uniqueItems: elements 0 and 2 are equal`},
	{`{"contains":{"type":"string"}}`, `[1]`, `: contains: has no element of the required form|[0]: type: must be string, is integer`},
	{`{"minProperties":1}`, `{}`, `: minProperties: needs 1 or more properties, has 0`},
	{`{"maxProperties":1}`, `{"a":1,"b":2}`, `: maxProperties: may have 1 properties at most, has 2`},
	{`{"items":[true],"additionalItems":false}`, `[1,2]`, `: additionalItems: has more elements than the schema describes`},
	{`{"dependencies":{"a":["b"]}}`, `{"a":1}`, `b: dependencies: is missing: another property needs it`},
	{`{"dependencies":{"a":{"required":["c"]}}}`, `{"a":1}`, `c: required: is missing`},
	{`{"anyOf":[{"type":"string"},{"type":"null"}]}`, `1`, `: anyOf: matches none of the allowed forms|: type: must be`},
	{`{"oneOf":[{"type":"integer"},{"minimum":0}]}`, `1`, `: oneOf: does not match exactly one of the allowed forms`},
	{`{"allOf":[{"type":"string"},{"minLength":3}]}`, `"x"`, `: minLength: needs 3 or more characters, is "x"`},
	{`{"not":{"type":"null"}}`, `null`, `: not: matches a form that is not allowed`},
	{`{"if":{"required":["a"]},"then":{"required":["b"]}}`, `{"a":1}`, `b: required: is missing`},
	{`{"if":{"required":["a"]},"else":{"required":["b"]}}`, `{}`, `b: required: is missing`},
	{`{"properties":{"a":false}}`, `{"a":1}`, `a: false: must not be there`},
	{`{"type":"string"}`, `["` + strings.Repeat("x", 10_000) + `"]`, `: type: must be string, is array`},
}

func TestViolations(t *testing.T) {
	for _, tt := range violationTests {
		err := onlySchema(t, tt.schema).Validate(document(t, tt.doc))
		var invalid *Invalid
		if !errors.As(err, &invalid) {
			t.Errorf("%s accepts %s: %v", tt.schema, tt.doc, err)
			continue
		}
		var got []string
		for _, v := range invalid.Problems {
			got = append(got, v.Path+": "+v.Keyword+": "+v.Message)
		}
		want := strings.Split(tt.want, "|")
		ok := len(got) == len(want)
		for i := range want {
			ok = ok && strings.HasPrefix(got[i], want[i])
		}
		if !ok {
			t.Errorf("%s with %s\n got %s\nwant %s", tt.schema, tt.doc, strings.Join(got, "|"), tt.want)
		}
	}
}

func TestInvalid(t *testing.T) {
	s := onlySchema(t, `{"additionalProperties":{"type":"string","maxLength":3}}`)
	var b strings.Builder
	for i := range 150 {
		fmt.Fprintf(&b, `,"k%03d":%d`, i, i)
	}
	long := strings.Repeat("geheim", 1000)
	err := s.Validate(document(t, `{"a":"`+long+`"`+b.String()+`}`))
	var invalid *Invalid
	if !errors.As(err, &invalid) || len(invalid.Problems) != 100 || invalid.More != 51 || invalid.Schema != "a/x" {
		t.Fatalf("got %d problems and %d more", len(invalid.Problems), invalid.More)
	}
	text := err.Error()
	if !strings.HasPrefix(text, `not valid by a/x: a: may have 3 characters at most, is "geheim`) || !strings.HasSuffix(text, "; and 146 more") || len(text) > 600 {
		t.Errorf("got %s", text)
	}
	if strings.Count(text, "geheim") > 14 {
		t.Errorf("a value is quoted at length: %s", text)
	}
	if fault.KindOf(fmt.Errorf("flow x: %w", err)) != fault.Invalid {
		t.Error("the class is not Invalid")
	}
	if f, ok := fault.As(err); !ok || !errors.Is(f, err) || f.Op != "validate" {
		t.Errorf("got %v", f)
	}
	var other *os.PathError
	if errors.As(err, &other) {
		t.Error("it is everything")
	}
	if s.Validate(new(jsondoc.Doc)) == nil {
		t.Error("no document is valid")
	}
}

// What is reported must not share memory with the document, whose buffer is used again.
func TestViolationsAreCopies(t *testing.T) {
	s := onlySchema(t, `{"properties":{"a":{"type":"string","enum":["x"]}},"additionalProperties":false,"propertyNames":{"maxLength":3}}`)
	b := []byte(`{"a":"yyyy","unknown":1}`)
	d, _ := jsondoc.Parse(b, jsondoc.Limits{})
	err := s.Validate(d)
	before := err.Error()
	for i := range b {
		b[i] = '#'
	}
	if after := err.Error(); before != after || strings.Contains(after, "#") {
		t.Errorf("%s became %s", before, after)
	}
}

func TestManyAtOnce(t *testing.T) {
	s, d := benchmarked(t)
	bad := document(t, `{"header":{"priority":9},"lines":[{"sku":1}]}`)
	want := s.Validate(bad).Error()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if err := s.Validate(d); err != nil {
					t.Error(err)
				}
				if got := s.Validate(bad).Error(); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
	wg.Wait()
}

// Numbers at the edge of the hub's limits cost little, and the library's panic never gets out.
func TestHostileNumbers(t *testing.T) {
	s := onlySchema(t, `{"items":{"minimum":0,"multipleOf":0.01}}`)
	doc := "[" + strings.Repeat("1e400,1e-400,", 2000) + "0]"
	if s.Validate(document(t, doc)) == nil {
		t.Error("1e-400 is no multiple of 0.01")
	}
	if _, err := jsondoc.Parse([]byte(`{"a":1e401}`), jsondoc.Limits{}); err == nil {
		t.Error("1e401 got through")
	}
	panicking := &Schema{name: "p", judge: &library{schema: new(gojsonschema.Schema)}}
	if err := panicking.Validate(document(t, `{}`)); err == nil || !strings.Contains(err.Error(), "the validator failed") {
		t.Errorf("got %v", err)
	}
}

func TestFormats(t *testing.T) {
	tests := []struct {
		format   string
		yes, not []string
	}{
		{"date-time", []string{"2026-11-21T10:00:00Z", "2026-11-21t10:00:00.123456789z", "2024-02-29T23:59:59+08:00", "2026-01-01T00:00:00-00:00"},
			[]string{"10:00:00", "2026-11-21", "2026-11-21T10:00:00", "2026-11-21 10:00:00Z", "2026-11-21T1:00:00Z", "2026-11-21T10:00Z", "2025-02-29T00:00:00Z", "2026-11-31T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T10:60:00Z", "2026-12-31T23:59:60Z", "2026-11-21T10:00:00,5Z", "2026-11-21T10:00:00.Z", "2026-11-21T10:00:00+0800", "2026-11-21T10:00:00+24:00", "2026-11-21T10:00:00Z ", "2026-13-01T00:00:00Z", "+026-11-21T10:00:00Z", ""}},
		{"date", []string{"2026-11-21", "2000-02-29"}, []string{"2026-11-2", "2026/11/21", "1900-02-29", "20261121", "2026-00-10", "2026-01-00", "2026-1a-01"}},
		{"time", []string{"10:00:00Z", "23:59:59.5-03:30"}, []string{"10:00:00", "10:00", "1:00:00Z", "10:00:0xZ", "10-00:00Z"}},
		{"email", []string{"a@example.com"}, []string{"Bob <a@example.com>", "a@", "a", "a@b, c@d"}},
		{"ipv4", []string{"127.0.0.1"}, []string{"::ffff:1.2.3.4", "1.2.3", "256.1.1.1"}},
		{"ipv6", []string{"::1", "::ffff:1.2.3.4"}, []string{"1.2.3.4", "fe80::1%eth0"}},
		{"uuid", []string{"B4099646-a7b6-4d55-ab4a-b45fdc210c33"}, []string{"b4099646a7b64d55ab4ab45fdc210c33", "b4099646-a7b6-4d55-ab4a-b45fdc210c3"}},
		{"hostname", []string{"a.example.com"}, []string{"-a.example", "a..b", strings.Repeat("a", 64)}},
		{"uri", []string{"https://example.com/a?b#c"}, []string{"/a", "https://exa mple.com", "https://exämple.com"}},
		{"iri", []string{"https://exämple.com"}, []string{"ä"}},
		{"uri-reference", []string{"/a", "b"}, []string{"a\\b"}},
		{"regex", []string{"^a$"}, []string{"("}},
		{"json-pointer", []string{"", "/a~0b"}, []string{"a", "/~2"}},
		{"relative-json-pointer", []string{"0#", "1/a"}, []string{"/a", "01"}},
		{"uri-template", []string{"/a/{b}"}, []string{"/a/{b"}},
	}
	for _, tt := range tests {
		for _, s := range tt.yes {
			if !formats[tt.format].IsFormat(s) {
				t.Errorf("%s refuses %q", tt.format, s)
			}
		}
		for _, s := range tt.not {
			if formats[tt.format].IsFormat(s) {
				t.Errorf("%s accepts %q", tt.format, s)
			}
		}
		if !formats[tt.format].IsFormat(1) {
			t.Errorf("%s is about numbers", tt.format)
		}
	}
}

// Golden documents: testdata/documents/NAME.valid*.json and NAME.invalid*.json, judged by canonical/NAME.v1.
func TestCanonicalDocuments(t *testing.T) {
	set := shipped(t)
	files, _ := filepath.Glob("testdata/documents/*.json")
	var report strings.Builder
	seen := map[string]int{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		entity, rest, _ := strings.Cut(filepath.Base(file), ".")
		s := set.Get("canonical/" + entity + ".v1")
		d, err := jsondoc.Parse(b, jsondoc.Limits{})
		if s == nil || err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		err = s.Validate(d)
		if strings.HasPrefix(rest, "valid") {
			seen[entity]++
			if err != nil {
				t.Errorf("%s: %v", file, err)
			}
			continue
		}
		var invalid *Invalid
		if !errors.As(err, &invalid) {
			t.Errorf("%s: is valid", file)
			continue
		}
		fmt.Fprintln(&report, filepath.Base(file))
		for _, v := range invalid.Problems {
			fmt.Fprintf(&report, "\t%s\n", v)
		}
	}
	for _, entity := range []string{"customer", "product", "order", "shipment", "inventory", "invoice", "payment", "quote"} {
		if seen[entity] == 0 {
			t.Errorf("no valid example of %s", entity)
		}
	}
	golden(t, "testdata/documents.golden", report.String())
}
