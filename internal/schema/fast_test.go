package schema

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/bench/gen"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// agree checks that the compiled form says nothing that the library does not say too, and gives what it says.
func agree(t interface{ Errorf(string, ...any) }, s *Schema, d *jsondoc.Doc) verdict {
	j := s.judge
	if b, ok := j.(*bounded); ok {
		j = b.inner
	}
	f, ok := j.(*fast)
	if !ok {
		return maybe
	}
	got := f.of(d)
	found := f.authority.judge(d)
	if got == yes && len(found) > 0 || got == no && len(found) == 0 {
		t.Errorf("compiled: %d, library: %v\nschema %s\ndocument %s", got, found, s.root.v.Raw(), d.Bytes())
	}
	return got
}

// Every schema of the official suites meets every document of its file and one file's more.
func TestCompiledAgreesOnTheSuite(t *testing.T) {
	for _, folder := range []string{"suite", "suite-2019-09", "suite-2020-12"} {
		t.Run(folder, func(t *testing.T) { compiledAgreesOn(t, folder) })
	}
}

func compiledAgreesOn(t *testing.T, folder string) {
	files, _ := filepath.Glob("testdata/" + folder + "/*.json")
	type file struct {
		schemas []*Schema
		docs    []*jsondoc.Doc
		// unevaluated: what such schemas say is always left to the library.
		unevaluated bool
	}
	var all []file
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		d, err := jsondoc.Parse(b, jsondoc.Limits{Depth: 256, NumberLen: 1000})
		if err != nil {
			t.Fatal(err)
		}
		f := file{unevaluated: strings.Contains(name, "unevaluated")}
		for c := range d.Root().Elements() {
			var p strictyaml.Problems
			if s := Compile([]File{{Name: "x", Data: c.Get("schema").Raw()}}, &p).Get("x"); p.Len() == 0 {
				f.schemas = append(f.schemas, s)
			}
			for test := range c.Get("tests").Elements() {
				if doc, err := jsondoc.Parse(test.Get("data").Raw(), jsondoc.Limits{}); err == nil {
					f.docs = append(f.docs, doc)
				}
			}
		}
		all = append(all, f)
	}
	said := map[verdict]int{}
	for i, f := range all {
		docs := append(f.docs, all[(i+1)%len(all)].docs...)
		for _, s := range f.schemas {
			for _, d := range docs {
				if r := agree(t, s, d); !f.unevaluated {
					said[r]++
				}
			}
		}
	}
	if decided := said[yes] + said[no]; decided < 15*said[maybe] {
		t.Errorf("left to the library too often: %v", said)
	}
}

// Random schemas and random documents from a small world, so that they meet.
func TestCompiledAgrees(t *testing.T) {
	said := map[verdict]int{}
	rapid.Check(t, func(t *rapid.T) {
		text := randomSchema(3).Draw(t, "schema")
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

// FuzzCompiledAgrees takes schemas and documents from anywhere.
func FuzzCompiledAgrees(f *testing.F) {
	f.Add([]byte(`{"type":"object","required":["a"],"properties":{"a":{"pattern":"^[A-Z]+-x?$"}},"additionalProperties":{"multipleOf":0.01}}`), []byte(`{"a":"AB-","b":0.03}`))
	f.Add([]byte(`{"items":{"oneOf":[{"type":"integer","minimum":2},{"enum":["ä",null,1.0]}]},"uniqueItems":true}`), []byte(`["\u00e4",1,3]`))
	f.Add([]byte(`{"if":{"minLength":2},"then":{"format":"date"},"not":{"const":"x"},"dependencies":{"a":["b"]}}`), []byte(`"2026-01-01"`))
	f.Add([]byte(`{"$schema":"https://json-schema.org/draft/2020-12/schema","$defs":{"n":{"$anchor":"n","properties":{"c":{"items":{"$ref":"#n"}}}}},"$ref":"#n","unevaluatedProperties":false}`), []byte(`{"c":[{"c":[]}]}`))
	f.Add([]byte(`{"$schema":"https://json-schema.org/draft/2019-09/schema","$id":"http://e/x","items":[{"$id":"y","type":"null"}],"contains":{"$ref":"y"},"minContains":2}`), []byte(`[null,null]`))
	f.Fuzz(func(t *testing.T, schema, doc []byte) {
		var p strictyaml.Problems
		s := Compile([]File{{Name: "x", Data: schema}}, &p).Get("x")
		d, err := jsondoc.Parse(doc, jsondoc.Limits{})
		if p.Len() > 0 || err != nil {
			return
		}
		agree(t, s, d)
	})
}

// Orders of the benchmark, whole and with one byte changed: the compiled form finds every valid one valid by itself.
func TestCompiledAgreesOnOrders(t *testing.T) {
	s, _ := benchmarked(t)
	for i := range 200 {
		_, b := gen.Order(i, nil)
		if agree(t, s, document(t, string(b))) != yes {
			t.Fatalf("order %d is left to the library", i)
		}
		for at := i; at < len(b); at += 211 {
			changed := append([]byte(nil), b...)
			changed[at] = "0aA\"-9 .é"[i%9]
			if d, err := jsondoc.Parse(changed, jsondoc.Limits{}); err == nil {
				agree(t, s, d)
			}
		}
	}
}

// Every schema that comes with the hub is compiled: none is left to the library alone.
func TestShippedSchemasAreCompiled(t *testing.T) {
	set := shipped(t)
	for _, name := range set.Names() {
		if _, ok := set.Get(name).judge.(*fast); !ok {
			t.Errorf("%s is not compiled", name)
		}
	}
}

func TestValidateAllocatesNothing(t *testing.T) {
	s, d := benchmarked(t)
	if n := testing.AllocsPerRun(100, func() {
		if err := s.Validate(d); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%.0f allocations", n)
	}
}

func TestMatcher(t *testing.T) {
	tests := []struct {
		pattern string
		simple  bool
	}{
		{`^ORD-[0-9]{8}$`, true}, {`^[A-Z]{3}$`, true}, {`^[^@ ]+@[^@ ]+$`, true}, {`^\+[0-9]{6,15}$`, true}, {`^a?b*c+$`, true}, {`^\d+(x)$`, false},
		{`^[a-z]*z$`, false}, {`^a|b$`, false}, {`[a-z]{3}`, false}, {`^(?i)abc$`, false}, {`^ä$`, false}, {`^.+$`, false}, {`^a*?b$`, true},
		{`^(?m)a$`, false}, {`^a?a?b?$`, false}, {`^x{0,2}y$`, true}, {`^\w+-\w+$`, true}, {`^\w+_\w+$`, false}, {`^[a-z]{2}[a-z]?$`, true},
	}
	for _, tt := range tests {
		if m := newMatcher(tt.pattern); (m.steps != nil) != tt.simple {
			t.Errorf("%s: simple is %v", tt.pattern, m.steps != nil)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.SampledFrom(tests).Draw(t, "pattern").pattern
		text := rapid.OneOf(rapid.StringMatching(pattern), rapid.StringOf(rapid.SampledFrom([]rune("aAbcxyzZ0189-_@+ ORDä\n")))).Draw(t, "text")
		if at := rapid.IntRange(-3, len(text)).Draw(t, "at"); at >= 0 {
			text = text[:at] + rapid.SampledFrom([]string{"", "z", "9", "é", "\n", "-"}).Draw(t, "with") + text[at:]
		}
		text = strings.ToValidUTF8(text, "?")
		if got, want := newMatcher(pattern).match([]byte(text)), regexp.MustCompile(pattern).MatchString(text); got != want {
			t.Errorf("%s on %q: %v", pattern, text, got)
		}
	})
}

// randomDocument gives small documents of few names and values.
func randomDocument(depth int) *rapid.Generator[string] {
	leaf := rapid.SampledFrom([]string{`null`, `true`, `false`, `0`, `1`, `1.0`, `10e-1`, `2`, `-3`, `0.3`, `0.30`, `1.00000000000000000001`, `1e400`, `-1e-400`,
		`12345678901234567890`, `""`, `"a"`, `"b"`, `"ab"`, `"\u0061"`, `"ä"`, `"A-1"`, `"2026-01-01"`, `"a@b.c"`, `"<&>"`})
	if depth == 0 {
		return leaf
	}
	inner := randomDocument(depth - 1)
	list := rapid.Custom(func(t *rapid.T) string {
		return "[" + strings.Join(rapid.SliceOfN(inner, 0, 4).Draw(t, "list"), ",") + "]"
	})
	object := rapid.Custom(func(t *rapid.T) string {
		var parts []string
		for name, v := range rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "ab", `\u0062b`}), inner, 0, 4).Draw(t, "object") {
			parts = append(parts, fmt.Sprintf(`"%s":%s`, name, v))
		}
		return "{" + strings.Join(parts, ",") + "}"
	})
	return rapid.OneOf(leaf, list, object)
}

// randomSchema gives schemas whose keywords can all be met.
func randomSchema(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 19).Draw(t, "plain") == 0 {
			return rapid.SampledFrom([]string{"true", "false"}).Draw(t, "always")
		}
		sub := func() string { return `{}` }
		if depth > 0 {
			sub = func() string { return randomSchema(depth-1).Draw(t, "sub") }
		}
		of := func(list ...string) string { return rapid.SampledFrom(list).Draw(t, "of") }
		value := func() string { return randomDocument(1).Draw(t, "value") }
		rules := map[string]func() string{
			"type": func() string {
				return of(`"string"`, `"number"`, `"integer"`, `"object"`, `"array"`, `["null","boolean"]`, `["string","integer"]`)
			},
			"enum":                 func() string { return "[" + value() + "]" },
			"const":                value,
			"minLength":            func() string { return of("0", "1", "2") },
			"maxLength":            func() string { return of("2", "3") },
			"pattern":              func() string { return of(`"^[a-z]+$"`, `"a"`, `"^[A-Z]-[0-9]{1,2}$"`, `"^.$"`) },
			"format":               func() string { return of(`"date"`, `"email"`, `"uri-reference"`) },
			"minimum":              func() string { return of("-3", "0.3", "1") },
			"maximum":              func() string { return of("1", "2.0", "1e3") },
			"exclusiveMinimum":     func() string { return of("-4", "0.3") },
			"exclusiveMaximum":     func() string { return of("2", "1e1") },
			"multipleOf":           func() string { return of("0.1", "1", "0.15", "3") },
			"minItems":             func() string { return of("1", "2") },
			"maxItems":             func() string { return of("2", "3") },
			"uniqueItems":          func() string { return of("true", "false") },
			"minProperties":        func() string { return of("1", "2") },
			"maxProperties":        func() string { return of("2", "3") },
			"required":             func() string { return of(`["a"]`, `["a","b"]`, `["ab"]`) },
			"items":                func() string { return of(sub(), "["+sub()+","+sub()+"]") },
			"contains":             sub,
			"properties":           func() string { return fmt.Sprintf(`{"a":%s,"b":%s}`, sub(), sub()) },
			"patternProperties":    func() string { return fmt.Sprintf(`{"^a":%s}`, sub()) },
			"additionalProperties": sub,
			"propertyNames":        sub,
			"dependencies":         func() string { return of(`{"a":["b"]}`, `{"b":`+sub()+`}`) },
			"allOf":                func() string { return "[" + sub() + "," + sub() + "]" },
			"anyOf":                func() string { return "[" + sub() + "," + sub() + "]" },
			"oneOf":                func() string { return "[" + sub() + "," + sub() + "]" },
			"not":                  sub,
		}
		names := make([]string, 0, len(rules))
		for name := range rules {
			names = append(names, name)
		}
		slices.Sort(names)
		var parts []string
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 3, rapid.ID[string]).Draw(t, "rules") {
			parts = append(parts, fmt.Sprintf("%q:%s", name, rules[name]()))
		}
		if depth > 0 && rapid.IntRange(0, 9).Draw(t, "if") == 0 {
			parts = append(parts, fmt.Sprintf(`"if":%s,"then":%s,"else":%s`, sub(), sub(), sub()))
		}
		return "{" + strings.Join(parts, ",") + "}"
	})
}
