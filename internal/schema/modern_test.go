package schema

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// under gives a schema under another draft.
func under(d draft, schema string) string {
	return strings.Replace(schema, "{", `{"$schema":"`+d.uri()+`",`, 1)
}

func told(err error) string {
	var invalid *Invalid
	if !errors.As(err, &invalid) {
		return fmt.Sprint(err)
	}
	var got []string
	for _, v := range invalid.Problems {
		got = append(got, v.Path+": "+v.Keyword+": "+v.Message)
	}
	return strings.Join(got, "|")
}

// TestViolationsOfModern: what is wrong with a document is said in the same words, whichever library says it.
func TestViolationsOfModern(t *testing.T) {
	tests := []struct{ schema, doc, want string }{
		{`{"dependentRequired":{"a":["b"]}}`, `{"a":1}`, `b: dependentRequired: is missing: another property needs it`},
		{`{"dependentSchemas":{"a":{"required":["c"]}}}`, `{"a":1}`, `c: required: is missing`},
		{`{"contains":{"type":"string"},"minContains":2}`, `["a",1]`, `: minContains: needs 2 or more elements of the required form, has 1`},
		{`{"contains":{"type":"string"},"maxContains":1}`, `["a","b"]`, `: maxContains: may have 1 elements of the form at most, has 2`},
		{`{"properties":{"a":{}},"allOf":[{"properties":{"b":{}}}],"unevaluatedProperties":false}`, `{"a":1,"b":2,"c":3}`, `c: false: must not be there`},
		{`{"const":0.1}`, `0.2`, `: const: must be 0.1, is 0.2`},
		{`{"multipleOf":0.01}`, `0.015`, `: multipleOf: must be a multiple of 0.01, is 0.015`},
		{`{"oneOf":[{"required":["a"]},{"required":["b","c"]}]}`, `{}`, `: oneOf: does not match exactly one of the allowed forms|a: required: is missing`},
	}
	for _, tt := range violationTests {
		if !strings.Contains(tt.schema, "dependencies") && !strings.Contains(tt.want, "|") { // of branches and names each tells a little more or less
			tests = append(tests, tt)
		}
	}
	for _, tt := range tests {
		s := onlySchema(t, under(draft2019, tt.schema))
		if got := told(s.Validate(document(t, tt.doc))); !strings.HasPrefix(got, tt.want) || strings.Count(got, "|") != strings.Count(tt.want, "|") {
			t.Errorf("%s with %s\n got %s\nwant %s", tt.schema, tt.doc, got, tt.want)
		}
	}
}

// TestExactNumbers: two 17-digit numbers that binary floating point takes for equal are two, and a const is that number alone; messages keep
// their digits.
func TestExactNumbers(t *testing.T) {
	for _, d := range []draft{draft07, draft2019, draft2020} {
		for _, tt := range []struct{ schema, doc, want string }{
			{`{"uniqueItems":true}`, `[12345678901234567,12345678901234568]`, "<nil>"},
			{`{"uniqueItems":true}`, `[{"a":12345678901234567},{"a":12345678901234568}]`, "<nil>"},
			{`{"uniqueItems":true}`, `[12345678901234567,1,12345678901234567.0]`, ": uniqueItems: elements 0 and 2 are equal"},
			{`{"uniqueItems":true,"maxItems":1}`, `[12345678901234567,12345678901234568]`, ": maxItems: may have 1 elements at most, has 2"},
			{`{"uniqueItems":true,"items":{"type":"integer"}}`, `[1,1e0]`, ": uniqueItems: elements 0 and 1 are equal"},
			{`{"items":{"type":"string"},"uniqueItems":true}`, `["a","b","a"]`, ": uniqueItems: elements 0 and 2 are equal"},
			{`{"const":12345678901234567}`, `12345678901234567`, "<nil>"},
			{`{"const":12345678901234567}`, `12345678901234568`, ": const: must be 12345678901234567, is 12345678901234568"},
			{`{"enum":[0.10000000000000000001,"x"]}`, `0.1`, `: enum: must be one of 0.10000000000000000001, "x", is 0.1`},
		} {
			if got := told(onlySchema(t, under(d, tt.schema)).Validate(document(t, tt.doc))); got != tt.want {
				t.Errorf("%s: %s with %s\n got %s\nwant %s", d, tt.schema, tt.doc, got, tt.want)
			}
		}
	}
}

// Many elements are compared exactly too, and by the library.
func TestManyUniqueNumbers(t *testing.T) {
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, ",1234567890123456%04d", i)
	}
	s := onlySchema(t, `{"uniqueItems":true}`)
	if err := s.Validate(document(t, "["+b.String()[1:]+"]")); err != nil {
		t.Error(err)
	}
	if s.Validate(document(t, "["+b.String()[1:]+",12345678901234560007]")) == nil {
		t.Error("a number that stands twice is accepted")
	}
}

// billOfMaterial contains itself; so do category trees.
const billOfMaterial = `{"type":"object","required":["sku"],"additionalProperties":false,"properties":{
	"sku":{"type":"string","minLength":1},"quantity":{"type":"number","exclusiveMinimum":0},
	"parts":{"type":"array","items":{"$ref":"#"}}}}`

func TestRecursion(t *testing.T) {
	for _, d := range []draft{draft07, draft2019, draft2020} {
		s := onlySchema(t, under(d, billOfMaterial))
		for doc, want := range map[string]string{
			`{"sku":"A"}`: "<nil>",
			`{"sku":"A","parts":[{"sku":"B","quantity":2,"parts":[{"sku":"C","quantity":0.5}]},{"sku":"D","parts":[]}]}`: "<nil>",
			`{"sku":"A","parts":[{"sku":"B","parts":[{"quantity":1}]}]}`:                                                 "parts[0].parts[0].sku: required: is missing",
			`{"sku":"A","parts":[{"sku":"B","parts":[{"sku":"C","qty":1}]}]}`:                                            "parts[0].parts[0].qty: additionalProperties: is not in the schema",
		} {
			if got := told(s.Validate(document(t, doc))); got != want {
				t.Errorf("%s: %s\n got %s\nwant %s", d, doc, got, want)
			}
		}
		if _, ok := s.judge.(*bounded).inner.(*fast); !ok {
			t.Errorf("%s: the schema is not compiled", d)
		}
		// The shape can be asked at every depth.
		sh := s.Shape()
		for range 20 {
			parts, state := sh.Field("parts")
			if state != Declared {
				t.Fatal("parts are not declared")
			}
			sh = parts.Item()
		}
		if sku, state := sh.Field("sku"); state != Declared || sku.Types()[0] != "string" || !sh.Closed() {
			t.Errorf("the shape of a part of a part: %v", sh.Fields())
		}
	}
}

// TestRecursionOverFiles: two files contain each other.
func TestRecursionOverFiles(t *testing.T) {
	set, problems := compile(
		"category", under(draft2020, `{"properties":{"name":{"type":"string"},"products":{"items":{"$ref":"product"}}}}`),
		"product", `{"properties":{"sku":{"type":"string"},"categories":{"items":{"$ref":"category.json"}}},"additionalProperties":false}`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for name, doc := range map[string]string{
		"category": `{"name":"a","products":[{"sku":"x","categories":[{"name":"b","products":[{"sku":1}]}]}]}`,
		"product":  `{"sku":"x","categories":[{"products":[{"sku":"y","colour":"red"}]}]}`,
	} {
		if got := told(set.Get(name).Validate(document(t, doc))); got == "<nil>" {
			t.Errorf("%s accepts %s", name, doc)
		}
		if got := told(set.Get(name).Validate(document(t, `{"sku":"x","name":"n"}`))); name == "category" && got != "<nil>" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if set.Get("category").Sum() == set.Get("product").Sum() {
		t.Error("two schemas have one sum") // each hashes the files that it leads to, and both lead to both
	}
}

// TestStepsAreBounded: where branches contain the schema several times over, the steps double with every level; they are counted before they
// are taken.
func TestStepsAreBounded(t *testing.T) {
	s := onlySchema(t, `{"anyOf":[{"properties":{"a":{"$ref":"#"},"x":{"const":1}},"required":["x"]},{"properties":{"a":{"$ref":"#"},"x":{"const":2}},"required":["x"]},{"type":"null"}]}`)
	nested := func(depth int) string {
		return strings.Repeat(`{"x":3,"a":`, depth) + "null" + strings.Repeat("}", depth)
	}
	if got := told(s.Validate(document(t, nested(5)))); strings.Contains(got, "steps") || got == "<nil>" {
		t.Errorf("5 levels: %s", got)
	}
	if got := told(s.Validate(document(t, nested(40)))); !strings.Contains(got, "needs more than 1000000 steps") {
		t.Errorf("40 levels: %s", got)
	}
	// A tree is walked once, however deep and wide.
	tree := onlySchema(t, billOfMaterial)
	deep := `{"sku":"A"}`
	for range 30 {
		deep = `{"sku":"A","parts":[` + deep + `]}`
	}
	if err := tree.Validate(document(t, deep)); err != nil {
		t.Error(err)
	}
}

// Vendors' schemas: definitions by anchors and ids of their own, $ref with siblings, files of another draft.
func TestVendorSchemas(t *testing.T) {
	set, problems := compile(
		"vendor/order", `{"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"https://vendor.example/order.json",
			"$defs":{
				"money":{"$anchor":"money","type":"string","pattern":"^[0-9]+\\.[0-9]{2}$"},
				"party":{"$id":"party.json","type":"object","properties":{"name":{"$ref":"#/$defs/name"}},"required":["name"],"$defs":{"name":{"type":"string"}}}},
			"type":"object",
			"properties":{
				"total":{"$ref":"#money","maxLength":6},
				"buyer":{"$ref":"party.json","properties":{"vat":{"type":"string"}},"unevaluatedProperties":false},
				"seller":{"$ref":"https://vendor.example/party.json"},
				"lines":{"type":"array","prefixItems":[{"type":"string"}],"items":{"$ref":"../old/line#/definitions/line"}}},
			"dependentRequired":{"seller":["buyer"]},
			"unevaluatedProperties":false}`,
		"old/line", `{"definitions":{"line":{"type":"object","required":["sku"]}}}`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	s := set.Get("vendor/order")
	for doc, want := range map[string]string{
		`{"total":"12.50","buyer":{"name":"A","vat":"1"},"lines":["v1",{"sku":"x"}]}`: "<nil>",
		`{"total":"1234.50"}`:             `total: maxLength: may have 6 characters at most, is "1234.50"`,
		`{"total":"12"}`:                  `total: pattern: must match ^[0-9]+\.[0-9]{2}$, is "12"`,
		`{"buyer":{"name":"A","age":1}}`:  `buyer.age: false: must not be there`,
		`{"seller":{"name":"A","age":1}}`: `buyer: dependentRequired: is missing: another property needs it`,
		`{"buyer":{}}`:                    `buyer.name: required: is missing`,
		`{"lines":["v1",{}]}`:             `lines[1].sku: required: is missing`,
		`{"lines":[1]}`:                   `lines[0]: type: must be string, is integer`,
		`{"totla":"1.00"}`:                `totla: false: must not be there`,
	} {
		if got := told(s.Validate(document(t, doc))); got != want {
			t.Errorf("%s\n got %s\nwant %s", doc, got, want)
		}
	}
	sh := s.Shape()
	if _, state := sh.Field("totla"); state != Never || !sh.Closed() {
		t.Error("unevaluatedProperties do not close the shape")
	}
	buyer, _ := sh.Field("buyer")
	if name, state := buyer.Field("name"); state != Declared || name.Types()[0] != "string" {
		t.Error("what stands behind a $ref with siblings is not seen")
	}
	if vat, state := buyer.Field("vat"); state != Declared || vat.Types()[0] != "string" {
		t.Error("what stands beside a $ref is not seen")
	}
	lines, _ := sh.Field("lines")
	if sku, state := lines.Item().Field("sku"); state != Open || !sku.Any() {
		t.Errorf("an element behind prefixItems: %v", state)
	}
}

// Random schemas under the newer drafts, that contain themselves now and then: the compiled form agrees with the library.
func TestCompiledAgreesUnderModernDrafts(t *testing.T) {
	said := map[verdict]int{}
	rapid.Check(t, func(t *rapid.T) {
		text := randomSchema(3).Draw(t, "schema")
		d := rapid.SampledFrom([]draft{draft2019, draft2020}).Draw(t, "draft")
		if !strings.HasPrefix(text, "{") || text == "{}" {
			t.Skip("drawn again: no object")
		}
		text = under(d, text)
		if rapid.Bool().Draw(t, "recursive") {
			text = `{"$schema":"` + d.uri() + `","$defs":{"s":` + strings.Replace(text, `"$schema":"`+d.uri()+`",`, "", 1) +
				`},"$ref":"#/$defs/s","properties":{"a":{"$ref":"#"}},"items":{"$ref":"#"}}`
		}
		var p strictyaml.Problems
		s := Compile([]File{{Name: "x", Data: []byte(text)}}, &p).Get("x")
		if p.Len() > 0 {
			t.Skip("drawn again: the schema is refused: ", p.List()[0].Message)
		}
		for range 8 {
			d, err := jsondoc.Parse([]byte(randomDocument(3).Draw(t, "document")), jsondoc.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			said[agree(t, s, d)]++
		}
	})
	if said[yes] == 0 || said[no] == 0 {
		t.Errorf("the world is too large: %v", said)
	}
}
