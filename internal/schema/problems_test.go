package schema

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// compile compiles name, text, name, text, …; the files lie in the folder s.
func compile(nameText ...string) (*Set, []string) {
	var files []File
	for i := 0; i < len(nameText); i += 2 {
		files = append(files, File{Name: nameText[i], Path: "s/" + nameText[i] + ".json", Data: []byte(nameText[i+1])})
	}
	var p strictyaml.Problems
	set := Compile(files, &p)
	var texts []string
	for _, problem := range p.List() {
		texts = append(texts, problem.String())
	}
	return set, texts
}

func TestProblems(t *testing.T) {
	tests := []struct {
		name, schema string
		want         []string // each begins a problem, in order
	}{
		{"not JSON", "{\n  \"type\": \"object\",\n}", []string{"3:1: expected a member name in double quotes, found '}' (schemas are JSON)"}},
		{"duplicate key", `{"type":"object","type":"array"}`, []string{`1:18: the name "type" stands twice`}},
		{"not an object", `[]`, []string{"1:1: a schema file holds one object, not array"}},
		{"misspelt", "{\n \"requierd\": []}", []string{`2:2: unknown keyword "requierd" (did you mean "required"?)`}},
		{"misspelt deep", `{"properties":{"a":{"minLenght":1}}}`, []string{`1:21: unknown keyword "minLenght" (did you mean "minLength"?)`}},
		{"property named like nothing", `{"properties":{"requierd":true}}`, nil},
		{"2019-09", `{"$defs":{},"unevaluatedProperties":false,"dependentRequired":{}}`, []string{
			`1:2: "$defs" is no keyword of draft-07 and would be ignored (write definitions`,
			`1:13: "unevaluatedProperties" is no keyword`, `1:43: "dependentRequired" is no keyword`}},
		{"2020-12", `{"prefixItems":[]}`, []string{`1:2: "prefixItems" is no keyword of draft-07 and would be ignored (write items as a list`}},
		{"OpenAPI", `{"properties":{"a":{"type":"string","nullable":true}}}`, []string{`1:37: "nullable" is no keyword`}},
		{"draft-04 id", `{"id":"x"}`, []string{`1:2: "id" is no keyword of draft-07 and would be ignored (write $id`}},
		{"extension", `{"x-owner":"sales"}`, nil},
		{"2020-12 said", `{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"a":{"$anchor":"x"}},"prefixItems":[true],"items":{"$ref":"#x","maxLength":3},"unevaluatedProperties":false,"dependentRequired":{"a":["b"]}}`, nil},
		{"2019-09 said", `{"$schema":"https://json-schema.org/draft/2019-09/schema","$defs":{},"items":[true],"additionalItems":false,"minContains":2,"contains":true}`, nil},
		{"2019-09 in 2020-12", `{"$schema":"https://json-schema.org/draft/2020-12/schema","additionalItems":false,"dependencies":{}}`, []string{
			`1:59: "additionalItems" is no keyword of draft 2020-12`, `1:83: "dependencies" is no keyword of draft 2020-12 and would be ignored (write dependentRequired`}},
		{"dynamic references", `{"$schema":"https://json-schema.org/draft/2020-12/schema","$dynamicAnchor":"n","items":{"$dynamicRef":"#n"}}`, []string{
			`1:59: "$dynamicAnchor" is not supported (write $anchor`, `1:89: "$dynamicRef" is not supported`}},
		{"minContains alone", `{"$schema":"https://json-schema.org/draft/2020-12/schema","minContains":2}`, []string{`1:73: minContains needs contains`}},
		{"other draft", `{"$schema":"https://json-schema.org/draft/next/schema"}`, []string{`1:12: the draft "https://json-schema.org/draft/next/schema" is not known (write http`}},
		{"draft-06", `{"$schema":"http://json-schema.org/draft-06/schema#"}`, []string{`1:12: draft-06 is not read (write http`}},
		{"$id inside", `{"$id":"https://example.com/a.json","definitions":{"m":{"$id":"money.json","type":"string"}},"properties":{"p":{"$ref":"money.json"},"q":{"$ref":"https://example.com/money.json"}}}`, nil},
		{"anchor of draft-07", `{"definitions":{"m":{"$id":"#money"}},"items":{"$ref":"#money"}}`, nil},
		{"anchor twice", `{"definitions":{"m":{"$id":"#a"},"n":{"$id":"#a"}}}`, []string{`1:45: the anchor "a" stands twice`}},
		{"draft-07", `{"$schema":"http://json-schema.org/draft-07/schema#","$id":"https://example.com/a.json","title":"t","$comment":"c","examples":[{"id":"x"},{"id":"x"}]}`, nil},
		{"unknown type", `{"type":"strnig"}`, []string{`1:9: unknown type "strnig" (did you mean "string"?)`}},
		{"type twice", `{"type":["string","string"]}`, []string{`1:19: type "string" stands twice`}},
		{"unknown format", `{"format":"datetime"}`, []string{`1:11: the format "datetime" is not known and would not be checked (did you mean "date-time"?)`}},
		{"format of OpenAPI", `{"type":"integer","format":"int64"}`, []string{`1:19: format is about a value of type string`, `1:28: the format "int64" is not known`}},
		{"bad regexp", `{"pattern":"["}`, []string{`1:12: the regular expression does not compile: missing closing ]`}},
		{"look-ahead", `{"pattern":"^(?!x)"}`, []string{`1:12: the regular expression does not compile: invalid or unsupported Perl syntax: ` + "`(?!` (look-ahead"}},
		{"code point", `{"patternProperties":{"^\\u0041":true}}`, []string{`1:23: the regular expression does not compile`}},
		{"keyword for another type", `{"type":"integer","maxLength":3}`, []string{`1:19: maxLength is about a value of type string, but type allows only integer`}},
		{"beside $ref", `{"definitions":{"a":{}},"properties":{"b":{"$ref":"#/definitions/a","maxLength":3,"description":"fine"}}}`, []string{`1:69: maxLength beside $ref is ignored`}},
		{"then without if", `{"then":{}}`, []string{`1:1: then and else need an if`}},
		{"contradiction", `{"minLength":3,"maxLength":2}`, []string{`1:14: minLength 3 leaves nothing below maxLength 2`}},
		{"contradiction of numbers", `{"exclusiveMinimum":3,"maximum":3}`, []string{`1:21: exclusiveMinimum 3 leaves nothing below maximum 3`}},
		{"draft-04 exclusive", `{"minimum":1,"exclusiveMinimum":true}`, []string{`1:33: exclusiveMinimum is a number since draft-06`}},
		{"draft-03 required", `{"properties":{"a":{"required":true}}}`, []string{`1:32: required is a list of names since draft-04`}},
		{"required but not allowed", `{"required":["a"],"properties":{"b":{}},"additionalProperties":false}`, []string{`1:14: "a" is required, but it is not among the properties`}},
		{"enum of another type", `{"type":"string","enum":["a",1]}`, []string{`1:30: enum holds 1, but type allows only string`}},
		{"enum twice", `{"enum":[1,1.0]}`, []string{`1:12: 1.0 stands twice in enum`}},
		{"enum of long numbers", `{"enum":[{},12345678901234567]}`, nil},
		{"counts", `{"minLength":-1,"maxLength":1.5,"maxItems":"3"}`, []string{`1:14: minLength is a whole number from 0, not -1`, `1:29: maxLength is a whole number`, `1:44: maxItems is a whole number`}},
		{"wrong shapes", `{"properties":[],"allOf":{},"anyOf":[],"required":"a","uniqueItems":1,"title":1,"items":3,"multipleOf":0,"enum":[],"dependencies":1,"$ref":1}`,
			[]string{"1:15: properties is an object of schemas", "1:26: allOf is a list", "1:37: anyOf is a list", "1:51: required is a list", "1:69: uniqueItems is true or false", "1:79: title is a string", "1:89: a schema is an object, true or false, not number", "1:104: multipleOf is greater than 0", "1:113: enum is a list", "1:131: dependencies is an object", "1:140: $ref is a string"}},
		{"self reference", `{"$ref":"#"}`, []string{`1:9: $ref "#" makes the schema mean itself`}},
		{"recursion", `{"properties":{"child":{"$ref":"#"}}}`, nil},
		{"recursion in place", `{"anyOf":[{"type":"object"},{"allOf":[{"$ref":"#"}]}]}`, []string{`1:47: $ref "#" makes the schema mean itself (refer to it from properties`}},
		{"recursion in anyOf", `{"definitions":{"n":{"anyOf":[{"type":"null"},{"items":{"$ref":"#/definitions/n"}},{"items":{"$ref":"#/definitions/n"}}]}},"$ref":"#/definitions/n"}`,
			nil},
		{"mutual recursion", `{"definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}}}`, []string{`1:60: $ref "#/definitions/a" makes the schema mean itself`}},
		{"web reference", `{"items":{"$ref":"https://example.com/x.json"}}`, []string{`1:18: $ref "https://example.com/x.json" is not fetched`}},
		{"file reference", `{"items":{"$ref":"file:///etc/passwd"}}`, []string{`1:18: $ref "file:///etc/passwd" is not fetched`}},
		{"host reference", `{"items":{"$ref":"//example.com/x"}}`, []string{`1:18: $ref "//example.com/x" is not fetched`}},
		{"dangling", `{"definitions":{"money":{}},"items":{"$ref":"#/definitions/monye"}}`, []string{`1:45: $ref "#/definitions/monye" leads nowhere: "a/x" has no "monye" (did you mean "money"?)`}},
		{"dangling file", `{"items":{"$ref":"y.json"}}`, []string{`1:18: $ref "y.json": there is no schema "y"`}},
		{"to no schema", `{"required":["a"],"items":{"$ref":"#/required"}}`, []string{`1:35: $ref "#/required" leads to something that is no schema`}},
		{"anchor", `{"items":{"$ref":"#foo"}}`, []string{`1:18: $ref "#foo": no schema has the anchor "foo"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, got := compile("a/x", tt.schema)
			if len(got) != len(tt.want) {
				t.Fatalf("got %d problems, want %d:\n%s", len(got), len(tt.want), strings.Join(got, "\n"))
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(got[i], "s/a/x.json:"+want) {
					t.Errorf("got  %s\nwant s/a/x.json:%s…", got[i], want)
				}
			}
			// Whatever is wrong with it, the schema is there, refuses documents exactly when it is broken, and has a shape.
			s := set.Get("a/x")
			d, _ := jsondoc.Parse([]byte(`{}`), jsondoc.Limits{})
			if err := s.Validate(d); (err != nil) != (len(tt.want) > 0) {
				t.Errorf("Validate: %v", err)
			}
			sh, _ := s.Shape().Field("b")
			sh.Types()
		})
	}
}

func TestReferencesBetweenFiles(t *testing.T) {
	set, problems := compile(
		"canonical/order.v1", `{"properties":{
			"a":{"$ref":"common.v1.json#/definitions/id"},
			"b":{"$ref":"canonical/common.v1#/definitions/id"},
			"c":{"$ref":"../canonical/common.v1#/definitions/a~1b%20c"},
			"d":{"$ref":"https://example.com/common.json#/definitions/list/items/1"},
			"e":{"$ref":"/canonical/common.v1.json"}}}`,
		"canonical/common.v1", `{"$id":"https://example.com/common.json","maxProperties":0,"definitions":{
			"id":{"type":"string"},"a/b c":{"type":"integer"},"list":{"items":[true,{"type":"null"}]}}}`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	s := set.Get("canonical/order.v1")
	for doc, ok := range map[string]bool{
		`{"a":"x","b":"x","c":1,"d":null,"e":{}}`: true,
		`{"a":1}`:       false,
		`{"b":1}`:       false,
		`{"c":"x"}`:     false,
		`{"d":1}`:       false,
		`{"e":{"f":1}}`: false,
	} {
		d, _ := jsondoc.Parse([]byte(doc), jsondoc.Limits{})
		if err := s.Validate(d); (err == nil) != ok {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

func TestCycleOverFiles(t *testing.T) {
	_, problems := compile(
		"a", `{"allOf":[{"$ref":"b"}]}`,
		"b", `{"allOf":[{"$ref":"c"}]}`,
		"c", `{"allOf":[{"$ref":"a"}]}`)
	if len(problems) != 1 || !strings.HasPrefix(problems[0], `s/c.json:1:19: $ref "a" makes the schema mean itself`) {
		t.Errorf("got %q", problems)
	}
}

// A broken file breaks those that refer to it, and is reported once.
func TestProblemsAreReportedOnce(t *testing.T) {
	set, problems := compile("a", `{"properties":{"b":{"$ref":"b"},"c":{"$ref":"c"}}}`, "b", `{"typ":"x"}`, "c", `{`)
	if len(problems) != 2 {
		t.Errorf("got %q", problems)
	}
	d, _ := jsondoc.Parse([]byte(`{}`), jsondoc.Limits{})
	if set.Get("a").Validate(d) == nil {
		t.Error("a schema that refers to a broken one accepts documents")
	}
	c, state := set.Get("a").Shape().Field("c")
	if _, inner := c.Field("anything"); state != Declared || inner != Declared || !c.Any() {
		t.Error("the shape of a broken schema is not open")
	}
}

func TestSameNameTwice(t *testing.T) {
	_, problems := compile("a", `{}`, "a", `{}`)
	if len(problems) != 1 || problems[0] != `s/a.json: there is another schema named "a"` {
		t.Errorf("got %q", problems)
	}
	_, problems = compile("a", `{"$id":"urn:x"}`, "b", `{"$id":"urn:x"}`)
	if len(problems) != 1 || !strings.Contains(problems[0], "has the same $id") {
		t.Errorf("got %q", problems)
	}
}

// References that lead out of the plan are problems before the library sees them; were one to reach it, it would fetch
// nothing.
func TestNothingIsFetched(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was fetched", r.URL)
		_, _ = io.WriteString(w, `{}`)
	}))
	defer web.Close()
	file := filepath.Join(t.TempDir(), "x.json")
	if err := os.WriteFile(file, []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{web.URL + "/x.json", "file://" + file} {
		if _, err := load(map[string]any{"properties": map[string]any{"a": map[string]any{"$ref": ref}}}); err == nil {
			t.Errorf("%s was followed", ref)
		}
		n := &node{src: &source{draft: draft2020}, plain: []plain{{"$ref", document(t, `"`+ref+`"`).Root()}}}
		if _, err := loadModern(n, nil); err == nil {
			t.Errorf("%s was followed under a newer draft", ref)
		}
	}
}

// References that multiply must be refused, not written out.
func TestExplosion(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/definitions/d0","definitions":{`)
	for i := range 60 {
		fmt.Fprintf(&b, `"d%d":{"anyOf":[{"$ref":"#/definitions/d%d"},{"$ref":"#/definitions/d%d"}]},`, i, i+1, i+1)
	}
	b.WriteString(`"d60":{"type":"null"}}}`)
	set, problems := compile("a", b.String())
	if len(problems) != 1 || !strings.Contains(problems[0], "more than 200000 parts") {
		t.Errorf("got %q", problems)
	}
	if sh := set.Get("a").Shape(); !sh.Any() {
		t.Errorf("shape %v", sh.Types())
	}
}
