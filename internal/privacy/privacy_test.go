package privacy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func maskOf(t testing.TB, text string) *Mask {
	t.Helper()
	var p strictyaml.Problems
	set := schema.Compile([]schema.File{{Name: "s", Path: "s.json", Data: []byte(text)}, {Name: "other", Path: "other.json", Data: []byte(`{"definitions":{"mail":{"type":"string","x-pii":true}}}`)}}, &p)
	if p.Len() > 0 {
		t.Fatal(p.Err())
	}
	c := &content{}
	c.addSchema(set.Get("s"))
	return c.mask()
}

func TestMarks(t *testing.T) {
	const modern = `"$schema":"https://json-schema.org/draft/2020-12/schema",`
	for _, c := range []struct{ name, schema, doc, want string }{
		{"a field", `{"properties":{"mail":{"x-pii":true}}}`, `{"mail":"a@b","no":"1"}`, `{"mail":"***","no":"1"}`},
		{"false is no mark", `{"properties":{"mail":{"x-pii":false}}}`, `{"mail":"a@b"}`, `{"mail":"a@b"}`},
		{"any other value is one", `{"properties":{"mail":{"x-pii":"email"}}}`, `{"mail":"a@b"}`, `{"mail":"***"}`},
		{"an object with all in it", `{"properties":{"c":{"x-pii":true}}}`, `{"c":{"n":"x","l":[1,true,null,""]}}`, `{"c":{"n":"***","l":["***","***",null,""]}}`},
		{"in a list", `{"properties":{"l":{"items":{"properties":{"n":{"x-pii":true}}}}}}`, `{"l":[{"n":1,"q":2},{"n":2}]}`, `{"l":[{"n":"***","q":2},{"n":"***"}]}`},
		{"a place of a list", `{` + modern + `"properties":{"l":{"prefixItems":[{},{"x-pii":true}]}}}`, `{"l":[1,2,3]}`, `{"l":[1,"***",3]}`},
		{"a reference", `{"definitions":{"m":{"x-pii":true}},"properties":{"a":{"$ref":"#/definitions/m"}}}`, `{"a":"x"}`, `{"a":"***"}`},
		{"a reference to another file", `{"properties":{"a":{"$ref":"other#/definitions/mail"}}}`, `{"a":"x","b":"y"}`, `{"a":"***","b":"y"}`},
		{"beside a reference", `{"definitions":{"m":{"type":"string"}},"properties":{"a":{"$ref":"#/definitions/m","x-pii":true}}}`, `{"a":"x"}`, `{"a":"***"}`},
		{"a schema that contains itself", `{"properties":{"n":{"x-pii":true},"child":{"$ref":"#"}}}`, `{"n":"x","child":{"n":"y","child":{"n":"z","q":1}}}`, `{"n":"***","child":{"n":"***","child":{"n":"***","q":1}}}`},
		{"one of several", `{"oneOf":[{"properties":{"a":{"x-pii":true}}},{"properties":{"b":{"type":"string"}}}]}`, `{"a":"x","b":"y"}`, `{"a":"***","b":"y"}`},
		{"if, then, else, not", `{"if":{"properties":{"k":{"const":1}}},"then":{"properties":{"a":{"x-pii":true}}},"else":{"properties":{"b":{"x-pii":true}}},"not":{"properties":{"c":{"x-pii":true}}}}`, `{"a":1,"b":2,"c":3,"d":4}`, `{"a":"***","b":"***","c":"***","d":4}`},
		{"by a pattern", `{"patternProperties":{"^m_":{"x-pii":true}}}`, `{"m_1":"x","n":"y"}`, `{"m_1":"***","n":"y"}`},
		{"whatever else there is", `{"properties":{"no":{"type":"string"}},"additionalProperties":{"x-pii":true}}`, `{"no":"1","else":"x"}`, `{"no":"1","else":"***"}`},
		{"names of members", `{"properties":{"by":{"propertyNames":{"x-pii":true}}}}`, `{"by":{"Jane":"x"}}`, `{"by":{"***":"***"}}`},
		{"another case of a name", `{"properties":{"Email":{"x-pii":true}}}`, `{"EMAIL":"x"}`, `{"EMAIL":"***"}`},
		{"dependencies", `{"dependencies":{"a":{"properties":{"b":{"x-pii":true}}}}}`, `{"a":1,"b":"x"}`, `{"a":1,"b":"***"}`},
		{"unevaluated", `{` + modern + `"unevaluatedProperties":{"x-pii":true}}`, `{"a":"x"}`, `{"a":"***"}`},
		{"a text where an object with marks belongs", `{"properties":{"c":{"properties":{"n":{"x-pii":true}}}}}`, `{"c":"Jane Doe","d":1}`, `{"c":"***","d":1}`},
		{"a list where an object with marks belongs", `{"properties":{"c":{"properties":{"n":{"x-pii":true}}}}}`, `{"c":[{"n":"Jane"}]}`, `{"c":[{"n":"***"}]}`},
		{"the whole document", `{"x-pii":true}`, `{"a":"x"}`, `{"a":"***"}`},
		{"no JSON", `{"properties":{"a":{"x-pii":true}}}`, `{"a":`, `"***"`},
		{"no marks", `{"properties":{"a":{"type":"string"}}}`, `{"a":`, `{"a":`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := maskOf(t, c.schema).Document([]byte(c.doc), nil); string(got) != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestValuesInTexts(t *testing.T) {
	v := &Values{}
	for _, s := range []string{"jane@example.org", "Jörg \"Jo\" Müller", "Ada", "4711", "a & b street 5"} {
		v.add(s)
	}
	for text, want := range map[string]string{
		"jane@example.org is not valid": "*** is not valid", "JANE@EXAMPLE.ORG": "***", "for xjane@example.org.": "for x***.",
		`{"n":"J\u00f6rg \"Jo\" M\u00fcller"}`: `{"n":"***"}`, `{"n":"Jörg \"Jo\" Müller"}`: `{"n":"***"}`, `n=J%C3%B6rg+%22Jo%22+M%C3%BCller`: "n=***",
		"a &amp; b street 5": "***", "Ada": "***", "Canada, Ada.": "Canada, ***.", "order 47110, 4711": "order 47110, ***",
		"it said jane@exam...": "it said ***...", "it said jane@exam…": "it said ***…", "jane@e": "***", "": "", "nothing": "nothing",
	} {
		if got := v.Text(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	v.unread = true
	if got := v.Text(`row 7: column mail: "x@y" and 'z' are wrong`); got != `row 7: column mail: "***" and "***" are wrong` {
		t.Errorf("of a document that cannot be read: %q", got)
	}
	if got := (&Values{}).Text("jane@example.org"); got != "jane@example.org" {
		t.Errorf("without values: %q", got)
	}
}

func TestAnswers(t *testing.T) {
	m := maskOf(t, `{"properties":{"mail":{"x-pii":true},"lines":{"items":{"properties":{"to":{"x-pii":true}}}}}}`)
	v := &Values{}
	m.Collect([]byte(`{"mail":"jane@example.org","lines":[{"to":"Pier 9"}]}`), v)
	for answer, want := range map[string]string{
		`{"data":{"Mail":"other@example.org","id":7}}`:          `{"data":{"Mail":"***","id":7}}`, // by its name, wherever it stands
		`{"error":"jane@example.org is taken","to":["Pier 8"]}`: `{"error":"*** is taken","to":["***"]}`,
		`<p>jane@example.org</p>`:                               `<p>***</p>`, `{"id":7}`: `{"id":7}`, ``: ``,
	} {
		if got := string(m.Answer([]byte(answer), v)); got != want {
			t.Errorf("%s: %s, want %s", answer, got, want)
		}
	}
}

// TestAnswersKnowEveryName: a definition with a mark in it may be used under several names, and each of them is that of a personal field.
func TestAnswersKnowEveryName(t *testing.T) {
	m := maskOf(t, `{"definitions":{"phones":{"type":"array","items":{"type":"string","x-pii":true}}},
		"properties":{"phones":{"$ref":"#/definitions/phones"},"mobiles":{"$ref":"#/definitions/phones"},"children":{"type":"array","items":{"$ref":"#"}}}}`)
	const answer = `{"record":{"mobiles":["+49 2"],"phones":["+49 1"],"children":[{"no":"7"}]}}`
	const want = `{"record":{"mobiles":["***"],"phones":["***"],"children":[{"no":"7"}]}}`
	if got := string(m.Answer([]byte(answer), nil)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

type kind struct{}

func (kind) Spec() connector.Spec {
	return connector.Spec{Kind: "script", Can: connector.Abilities{Write: true, Find: true, Poll: true}}
}
func (kind) Check(connector.Settings, *strictyaml.Problems)                     {}
func (kind) Open(context.Context, connector.Settings) (connector.System, error) { return nil, nil }

const planFlows = `flow: in
entity: customer
from: {system: crm, poll: {every: 1m}}
accept: crm.v1
key: source.no
map: to-canonical
to: {topic: canonical.customer}
---
flow: out
entity: customer
from: {topic: canonical.customer}
map: to-erp
to: {system: erp, on-delete: ignore}
---
flow: copy
entity: customer
from: {topic: canonical.customer}
to: {topic: other}
---
flow: strangers
entity: order
from: {topic: strangers}
to: {topic: more}
`

const planMappings = `mapping: to-canonical
from: crm.v1
to: canonical.v1
set:
  no: source.no
  who.full: source.first + " " + upper(source.last)
  who.kind: "person"
  phones: {each: source.phones, set: {n: item.number, type: item.type}}
---
mapping: to-erp
from: canonical.v1
to: erp.v1
set:
  No: source.no
  Name: source.who.full
  Kind: source.who.kind
  Phone: first(source.phones).n ?? ""
  Phones: count(source.phones, .type == "home")
`

func planOf(t testing.TB) *config.Plan {
	t.Helper()
	src := func(name string, files map[string]string) []config.Source {
		m := fstest.MapFS{}
		for k, v := range files {
			m[k] = &fstest.MapFile{Data: []byte(v)}
		}
		return []config.Source{{Name: name, FS: m}}
	}
	plan, problems := config.Load(config.Paths{Config: "waybill.yaml",
		ConfigFS: src("", map[string]string{"waybill.yaml": "systems:\n  crm: {connector: script}\n  erp: {connector: script}\n"})[0].FS,
		Flows:    src("flows", map[string]string{"f.yaml": planFlows}), Mappings: src("mappings", map[string]string{"m.yaml": planMappings}),
		Schemas: src("schemas", map[string]string{
			"crm.v1.json": `{"type":"object","properties":{"no":{"type":"string"},"first":{"type":"string","x-pii":true},"last":{"type":"string","x-pii":true},
				"phones":{"type":"array","items":{"type":"object","properties":{"number":{"type":"string","x-pii":true},"type":{"type":"string"}},"required":["number","type"]}}},"required":["no","first","last","phones"]}`,
			"canonical.v1.json": `{"type":"object","properties":{"no":{"type":"string"},"who":{"type":"object","properties":{"full":{"type":"string"},"kind":{"type":"string"}},"required":["full","kind"]},
				"phones":{"type":"array","items":{"type":"object","properties":{"n":{"type":"string"},"type":{"type":"string"}},"required":["n","type"]}}},"required":["no","who","phones"]}`,
			"erp.v1.json": `{"type":"object","properties":{"No":{"type":"string"},"Name":{"type":"string"},"Kind":{"type":"string"},"Phone":{"type":"string"},"Phones":{"type":"number"}}}`,
		})}, config.Options{Kinds: map[string]connector.Kind{"script": kind{}}})
	if problems.Len() > 0 {
		t.Fatal(problems.Err())
	}
	return plan
}

// Marks follow the values: through a mapping, over a topic whose schema has none, through the next mapping, and a copy without one.
func TestMarksFollowTheValues(t *testing.T) {
	p := Of(planOf(t))
	const canonical = `{"no":"7","who":{"full":"Jane DOE","kind":"person"},"phones":[{"n":"+49 1","type":"home"}]}`
	const hidden = `{"no":"7","who":{"full":"***","kind":"person"},"phones":[{"n":"***","type":"home"}]}`
	erp := `{"No":"7","Name":"Jane DOE","Kind":"person","Phone":"+49 1","Phones":1}`
	for _, c := range []struct {
		mask      *Mask
		doc, want string
	}{
		{p.Flow("in").Source, `{"no":"7","first":"Jane","last":"Doe","phones":[{"number":"+49 1","type":"home"}]}`, `{"no":"7","first":"***","last":"***","phones":[{"number":"***","type":"home"}]}`},
		{p.Flow("in").Mapped, canonical, hidden}, {p.Flow("out").Source, canonical, hidden}, {p.Flow("copy").Source, canonical, hidden}, {p.Flow("copy").Mapped, canonical, hidden},
		// How many there are is made of the whole list: masked, to be on the safe side.
		{p.Flow("out").Mapped, erp, `{"No":"7","Name":"***","Kind":"person","Phone":"***","Phones":"***"}`},
		{p.Flow("gone").Source, canonical, `{"no":"***","who":{"full":"***","kind":"***"},"phones":[{"n":"***","type":"***"}]}`},
	} {
		if got := c.mask.Document([]byte(c.doc), nil); string(got) != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	if f := p.Flow("strangers"); !f.None() {
		t.Errorf("a flow that reads nothing of it is masked: %+v", f)
	}
	if Of(&config.Plan{}).Flow("gone") != nil {
		t.Error("a plan without marks masks")
	}
}

// Whatever stands in the marked fields, nothing of it is left in the documents, in what a system says, or in a text that quotes it; and a masked
// document is the document but for its marked values.
func TestNothingIsLeft(t *testing.T) {
	p := Of(planOf(t)).Flow("in")
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringOfN(rapid.RuneFrom([]rune("aZ9 é\"\\<&'%\n😀ß%+#/.@")), 8, 30, -1)
		first, last, phone := "q"+secret.Draw(t, "first")+"x1", "w"+secret.Draw(t, "last")+"y2", "e"+secret.Draw(t, "phone")+"z3"
		doc, _ := json.Marshal(map[string]any{"no": "4711", "first": first, "last": last, "phones": []any{map[string]any{"number": phone, "type": "home"}}})
		v := &Values{}
		p.Source.Collect(doc, v)
		mapped, _ := json.Marshal(map[string]any{"no": "4711", "who": map[string]any{"full": first + " " + strings.ToUpper(last)}, "note": "call " + phone})
		p.Mapped.Collect(mapped, v)
		quotedFirst, _ := json.Marshal(first)
		answer := fmt.Appendf(nil, `{"errors":[{"text":"%s","value":%s,"up":%s}]}`, "no", quotedFirst, mapped)
		text := "it said " + first + " and " + string(quotedFirst) + " and " + strings.ToUpper(last)
		for _, got := range []string{string(p.Source.Document(doc, v)), string(p.Mapped.Document(mapped, v)), string(p.Mapped.Answer(answer, v)), v.Text(text),
			string(p.Mapped.Answer([]byte("<b>"+phone+"</b>"), v))} {
			plain := strings.ToLower(got)
			for _, value := range []string{first, last, phone} {
				for _, form := range formsOf(value) {
					if strings.Contains(plain, strings.ToLower(form)) {
						t.Fatalf("%q stands in %s", form, got)
					}
				}
			}
			if !strings.Contains(got, Masked) {
				t.Fatalf("nothing was masked in %s", got)
			}
		}
		masked := p.Source.Document(doc, v)
		want := bytes.ReplaceAll(doc, nil, nil)
		for _, value := range []string{first, last, phone} {
			b, _ := json.Marshal(value)
			want = bytes.Replace(want, b, []byte(`"***"`), 1)
		}
		if !sameJSON(t, masked, want) {
			t.Fatalf("%s, want %s", masked, want)
		}
	})
}

func sameJSON(t *rapid.T, a, b []byte) bool {
	x, err := jsondoc.Parse(a, jsondoc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	y, err := jsondoc.Parse(b, jsondoc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return jsondoc.Hash(x.Root()) == jsondoc.Hash(y.Root())
}

func FuzzDocument(f *testing.F) {
	m := maskOf(f, `{"properties":{"a":{"x-pii":true},"l":{"items":{"properties":{"n":{"x-pii":true}}}}}}`)
	f.Add([]byte(`{"a":"x","l":[{"n":1}]}`), "x")
	f.Add([]byte(`[`), "\xff")
	f.Fuzz(func(t *testing.T, doc []byte, text string) {
		v := &Values{}
		m.Collect(doc, v)
		v.add(text)
		_ = v.Text(text)
		_ = m.Answer(doc, v)
		if out := m.Document(doc, v); len(out) > 0 && !json.Valid(out) {
			t.Errorf("%q is no JSON", out)
		}
	})
}

// TestFixedForm: what is masked says nothing of how many words or blanks stood there.
func TestFixedForm(t *testing.T) {
	var v Values
	for _, text := range []string{"Ann", "Maria", "Smith", "Ann Maria Smith"} {
		v.add(text)
	}
	for text, want := range map[string]string{"Ann  Smith": Masked, "dear Ann Maria Smith Maria, hello": "dear ***, hello", " Smith\t": " ***\t", "Ann of Smith": "*** of ***", "x": "x"} {
		if got := v.Text(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{"Smith  ": Masked, "\u3000Ann Smith ": Masked, "  ": "  ", " x ": " x ", "Ann x": "*** x"} {
		if got := v.Value(text); got != want {
			t.Errorf("%q as a value: %q, want %q", text, got, want)
		}
	}
	if got := string((&Mask{}).Document([]byte(`{"a":"Maria ","Ann ":[" Smith"," "]}`), &v)); got != `{"a":"***","***":["***"," "]}` {
		t.Error(got)
	}
}
