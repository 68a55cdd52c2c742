package mapping

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// mappingInto compiles rules from a source of any form into a target schema.
func mappingInto(t failer, target, set string) (*Mapping, error) {
	var p strictyaml.Problems
	schemas := schema.Compile([]schema.File{{Name: "any.v1", Data: []byte(`{"type": "object", "properties": {"a": {}, "b": {}, "n": {}, "o": {}, "u": {}, "w": {}, "l": {"items": {"properties": {"x": {}, "y": {}, "z": {}}}}}}`)}, {Name: "to.v1", Data: []byte(target)}}, &p)
	if err := p.Err(); err != nil {
		t.Fatalf("%v\n%s", err, target)
	}
	nodes := strictyaml.Parse("m.yaml", []byte("mapping: m\nfrom: any.v1\nto: to.v1\nset:\n"+set), &p)
	if err := p.Err(); err != nil {
		t.Fatalf("%v\n%s", err, set)
	}
	m := Compile(nodes[0], Deps{Schemas: schemas}, &p)
	return m, p.Err()
}

// judgedRules are of every form that a rule has.
var judgedRules = []string{
	"  a: source.a\n", "  b?: upper(source.b)\n", "  n?: round(source.n * 3, 2)\n", "  f: source.a == \"x\"\n", "  c: \"literal\"\n", "  o.p?: source.o\n  o.q: source.b ?? \"none\"\n",
	"  w?:\n    when: has(source.w)\n    set:\n      v: source.w\n      u?: source.u\n",
	"  l?:\n    each: source.l\n    where: item.x != \"no\"\n    set:\n      x: item.x\n      y?: lower(item.y)\n      deep?:\n        each: item.z\n        as: z\n        set:\n          k: z\n",
}

var (
	anySchemas    = []string{`{}`, `true`, `{"type": ["string", "number", "null"]}`, `{"not": {"type": "number"}}`, `{"maxLength": 3, "maximum": 100}`, `{"type": ["array", "string"], "maxItems": 2}`, `{"enum": ["x", "X", null]}`, `{"$ref": "#/definitions/short"}`, `{"uniqueItems": true}`, `{"anyOf": [{"type": "string"}, {"type": "number"}]}`, `{"type": ["object", "string"], "maxProperties": 2}`}
	textSchemas   = []string{`{}`, `{"type": "string"}`, `{"type": ["string", "null"]}`, `{"type": "string", "minLength": 2}`, `{"type": "string", "maxLength": 3}`, `{"pattern": "^[A-Za-z]+$"}`, `{"type": "string", "enum": ["x", "X", "literal", "none"]}`, `{"type": "string", "format": "date"}`, `{"$ref": "#/definitions/short"}`}
	numberSchemas = []string{`{}`, `{"type": "number", "minimum": 0}`, `{"type": ["number", "string"], "maximum": 100}`, `{"type": ["integer", "string"]}`, `{"type": "number", "multipleOf": 0.5}`, `{"exclusiveMinimum": 0}`}
	boolSchemas   = []string{`{}`, `{"type": "boolean"}`, `{"type": ["boolean", "string"]}`, `{"enum": [true]}`}
	objectExtras  = rapid.SampledFrom([]string{
		``, ``, ``, ``, ``, ``, ``, ``, ``, `, "additionalProperties": false`, `, "additionalProperties": {"type": "string"}`, `, "minProperties": 2`, `, "maxProperties": 6`,
		`, "patternProperties": {"^[an]$": {"type": "string"}}`, `, "dependencies": {"a": ["b"]}`, `, "required": ["a"]`, `, "required": ["a", "b"]`, `, "required": ["x"]`, `, "required": ["q", "k"]`,
		`, "if": {"required": ["b"]}, "then": {"required": ["n"]}`,
	})
	listExtras    = rapid.SampledFrom([]string{``, ``, ``, ``, `, "minItems": 1`, `, "maxItems": 2`, `, "uniqueItems": true`, `, "contains": {"type": "object"}`})
	judgedTexts   = rapid.SampledFrom([]string{`"x"`, `"Ab"`, `"äö"`, `"\u00e4\n"`, `""`, `"2026-11-01"`, `"a longer text"`, `null`})
	judgedNumbers = rapid.SampledFrom([]string{`1`, `0`, `-2.5`, `100.01`, `1e3`, `12345678901234567890`, `null`})
	judgedValues  = rapid.SampledFrom([]string{
		`"x"`, `"X"`, `"no"`, `"Ab"`, `"äö"`, `"\u00e4\n"`, `""`, `"2026-11-01"`, `"a longer text"`, `1`, `0`, `-2.5`, `100.01`, `1e3`, `12345678901234567890`, `true`, `null`, `[]`, `[1, 2]`, `["x", "x"]`,
		`{"x": 1}`, `{"a": "x", "b": [[1]], "c": 2}`,
	})
)

// TestJudgedAsWritten: what is said to be valid as it was written can be read and is valid, and is what Apply gives. That something is, TestJudgedOrRead shows.
func TestJudgedAsWritten(t *testing.T) {
	said, wrong, unknown := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		object := func(members ...string) string {
			var b strings.Builder
			b.WriteString(`{"type": "object", "properties": {`)
			for i := 0; i < len(members); i += 2 {
				if i > 0 {
					b.WriteString(", ")
				}
				fmt.Fprintf(&b, "%q: %s", members[i], members[i+1])
			}
			return b.String() + "}" + objectExtras.Draw(t, "object") + "}"
		}
		list := func(of string) string { return `{"type": "array", "items": ` + of + listExtras.Draw(t, "list") + "}" }
		of := func(schemas []string) string { return rapid.SampledFrom(schemas).Draw(t, "schema") }
		target := object("a", of(anySchemas), "b", of(textSchemas), "n", of(numberSchemas), "f", of(boolSchemas), "c", of(textSchemas), "o", object("p", of(anySchemas), "q", of(textSchemas)),
			"w", object("v", of(anySchemas), "u", of(anySchemas)), "l", list(object("x", of(anySchemas), "y", of(textSchemas), "deep", list(object("k", of(anySchemas))))))
		target = target[:len(target)-1] + `, "definitions": {"short": {"maxLength": 2}}}`
		rules := ""
		for _, rule := range judgedRules {
			if rapid.IntRange(0, 3).Draw(t, "with") > 0 {
				if rapid.Bool().Draw(t, "of") {
					rule = strings.Replace(rule, "when: has(source.w)\n    set:\n      v: source.w", "of: source.w\n    as: whole\n    set:\n      v: whole", 1)
				}
				rules += rule
			}
		}
		if rules == "" {
			return
		}
		m, err := mappingInto(t, target, rules)
		if err != nil {
			return // the rules do not fit
		}
		value := func() string { return judgedValues.Draw(t, "value") }
		text := func() string { return judgedTexts.Draw(t, "text") }
		for range 4 {
			doc := fmt.Sprintf(`{"a": %s, "b": %s, "n": %s, "o": %s, "u": %s, "l": [{"x": %s, "y": %s, "z": [%s]}, {"x": %s, "y": null}]`, value(), text(), judgedNumbers.Draw(t, "number"), value(), value(), value(), text(), value(), value())
			if rapid.Bool().Draw(t, "w") {
				doc += `, "w": ` + value()
			}
			in := &Input{Doc: parseDoc(nil, doc+"}")}
			plain, plainErr := m.Apply(context.Background(), in, nil)
			out, valid, err := m.ApplyValid(context.Background(), in, []byte("before"))
			if fmt.Sprint(err) != fmt.Sprint(plainErr) {
				t.Fatalf("%v, and %v", err, plainErr)
			}
			if err != nil {
				continue
			}
			if out = out[len("before"):]; string(out) != string(plain) {
				t.Fatalf("%s, and %s", out, plain)
			}
			read, err := jsondoc.Parse(out, jsondoc.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			err = m.To().Validate(read)
			switch {
			case valid && err != nil:
				t.Fatalf("%s is said to be valid: %v\n%s\n%s", out, err, target, rules)
			case valid:
				said++
			case err != nil:
				wrong++
			default:
				unknown++
			}
		}
	})
	t.Logf("valid as written: %d, invalid: %d, valid when read: %d", said, wrong, unknown)
}

// TestJudgedOrRead: what is judged as it is written, and what is read again.
func TestJudgedOrRead(t *testing.T) {
	object := func(text string) string { return `{"type": "object", ` + text + `}` }
	nested := func(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }
	for _, c := range []struct {
		name, target, rules, doc string
		valid                    bool
	}{
		{"a copy", object(`"properties": {"a": {"type": "string", "maxLength": 3}}`), "  a: source.a", `{"a": "äöü"}`, true},
		{"a copy that is too long", object(`"properties": {"a": {"type": "string", "maxLength": 3}}`), "  a: source.a", `{"a": "äöüx"}`, false},
		{"what is made", object(`"properties": {"a": {"enum": ["ÄX"], "type": "string"}, "b": {"type": "integer", "maximum": 6}}`), "  a: upper(source.a)\n  b: source.b * 2", `{"a": "äx", "b": 3}`, true},
		{"a number beyond its bound", object(`"properties": {"b": {"type": "integer", "maximum": 6}}`), "  b: source.b * 2", `{"b": 3.5}`, false},
		{"a number as long as one may be", object(`"properties": {"b": {"type": "number"}}`), "  b: source.a * source.b", `{"a": 1` + strings.Repeat("0", 64) + `, "b": 1` + strings.Repeat("0", 63) + `}`, true},
		{"a longer one", object(`"properties": {"b": {"type": "number"}}`), "  b: source.a * source.b", `{"a": 1` + strings.Repeat("0", 64) + `, "b": 1` + strings.Repeat("0", 64) + `}`, false},
		{"null where it may be", object(`"properties": {"a": {"type": ["string", "null"]}}`), "  a: source.a", `{}`, true},
		{"all that is required", object(`"required": ["a"], "additionalProperties": false, "properties": {"a": {}, "b": {}}`), "  a: source.a\n  b?: source.b", `{"a": 1}`, true},
		{"a list", object(`"properties": {"l": {"type": "array", "maxItems": 2, "items": {"required": ["x"], "properties": {"x": {"type": "number"}}}}}`), "  l:\n    each: source.l\n    where: item != 3\n    set: {x: item}", `{"l": [1, 2, 3]}`, true},
		{"a list that is too long", object(`"properties": {"l": {"type": "array", "maxItems": 2, "items": {"properties": {"x": {"type": "number"}}}}}`), "  l: {each: source.l, set: {x: item}}", `{"l": [1, 2, 3]}`, false},
		{"a copied list", object(`"properties": {"l": {"type": "array", "items": {"type": "number"}}}`), "  l: source.l", `{"l": [1, 2, 3]}`, true},
		{"a copy as deep as one may be", object(`"properties": {"o": {"properties": {"l": {}}}}`), "  o.l: source.l", `{"l": ` + nested(62) + `}`, true},
		{"a deeper one", object(`"properties": {"o": {"properties": {"l": {}}}}`), "  o.l: source.l", `{"l": ` + nested(63) + `}`, false},
		{"an element as deep as one may be", object(`"properties": {"l": {"items": {"properties": {"x": {}}}}}`), "  l: {each: source.l, set: {x: item}}", `{"l": [` + nested(61) + `]}`, true},
		{"a deeper element", object(`"properties": {"l": {"items": {"properties": {"x": {}}}}}`), "  l: {each: source.l, set: {x: item}}", `{"l": [` + nested(62) + `]}`, false},
		{"a list that is too short", object(`"properties": {"l": {"minItems": 2, "items": {"properties": {"x": {}}}}}`), "  l:\n    each: source.l\n    where: item != 3\n    set: {x: item}", `{"l": [1, 3]}`, false},
		{"a field of which nothing is said by name", object(`"additionalProperties": {"maxLength": 2}`), "  a: source.a", `{"a": "abc"}`, false},
		{"one that a pattern names", object(`"properties": {"a": {}}, "patternProperties": {"^a$": {"maxLength": 2}}`), "  a: source.a", `{"a": "abc"}`, false},
		{"too many fields", object(`"maxProperties": 1, "properties": {"a": {}, "b": {}}`), "  a: source.a\n  b: source.b", `{"a": 1, "b": 1}`, false},
		{"a field that wants another", object(`"dependencies": {"a": ["b"]}, "properties": {"a": {}, "b": {}}`), "  a: source.a\n  b?: source.b", `{"a": 1}`, false},
		{"a list that must hold something", object(`"properties": {"l": {"contains": {"required": ["y"]}, "items": {"properties": {"x": {}}}}}`), "  l: {each: source.l, set: {x: item}}", `{"l": [1]}`, false},
		{"one of several", object(`"properties": {"a": {"type": "string", "anyOf": [{"maxLength": 1}, {"minLength": 5}]}}`), "  a: upper(source.a)", `{"a": "abc"}`, false},
		{"a number that no float64 holds, where the library compares numbers", object(`"properties": {"a": {}, "b": {"enum": [1]}}`), "  a: source.a\n  b: source.b", `{"a": 1e350, "b": 1}`, false},
		{"a literal that is wrong", object(`"properties": {"a": {"pattern": "^x"}}`), `  a: "y"`, `{}`, false},
		{"an object of which more is said", object(`"minProperties": 1, "properties": {"a": {}}`), "  a: source.a", `{"a": 1}`, false},
		{"elements of which more is said", object(`"properties": {"l": {"type": "array", "uniqueItems": true, "items": {}}}`), "  l: {each: source.l, set: {x: item}}", `{"l": [1]}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := mappingInto(t, c.target, c.rules)
			if err != nil {
				t.Fatal(err)
			}
			out, valid, err := m.ApplyValid(t.Context(), &Input{Doc: parseDoc(t, c.doc)}, nil)
			if err != nil || valid != c.valid {
				t.Errorf("%s: %v, %v", out, valid, err)
			}
			read, err := jsondoc.Parse(out, jsondoc.Limits{})
			if err == nil {
				err = m.To().Validate(read)
			}
			if valid && err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBenchIsJudged: the mapping of the benchmark is judged as it is written.
func TestBenchIsJudged(t *testing.T) {
	if _, valid, err := benchMapping(t).ApplyValid(t.Context(), &Input{Doc: parseDoc(t, string(benchDoc(t)))}, nil); err != nil || !valid {
		t.Errorf("%v, %v", valid, err)
	}
}
