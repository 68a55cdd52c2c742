package scaffold

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Field is what sample documents show of one value.
type Field struct {
	Name string
	// Types in JSON Schema's words, in a fixed order; null where the value was null once.
	Types []string
	// Format that every text had: date, date-time, email or uuid; or empty.
	Format string
	// Required: every object that was seen has it.
	Required bool
	// Fields of an object, in the order in which they were first seen; Item is a list's element.
	Fields []*Field
	Item   *Field

	seen, objects, whole, fraction int
	texts                          int
	values                         map[string]bool // up to mostValues of the texts
	formats                        map[string]int
}

// Infer gives what the documents have in common.
func Infer(docs []*jsondoc.Doc) *Field {
	root := &Field{}
	for _, d := range docs {
		root.see(d.Root())
	}
	root.settle()
	return root
}

var formats = map[string]func(string) bool{
	"uuid":  regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString,
	"email": regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`).MatchString,
	"date":  func(s string) bool { _, err := time.Parse(time.DateOnly, s); return err == nil },
	"date-time": func(s string) bool {
		_, err := time.Parse(time.RFC3339Nano, s)
		return err == nil
	},
}

// mostValues is how many texts are remembered: with more than that a field holds no codes.
const mostValues = 50

func (f *Field) add(typ string) {
	if !slices.Contains(f.Types, typ) {
		f.Types = append(f.Types, typ)
	}
}

func (f *Field) see(v jsondoc.Value) {
	f.seen++
	switch v.Kind() {
	case jsondoc.Null:
		f.add("null")
	case jsondoc.Bool:
		f.add("boolean")
	case jsondoc.Number:
		if d, err := v.Decimal(); err == nil && d.IsInt() && !bytes.ContainsAny(v.Raw(), ".eE") {
			f.whole++
		} else {
			f.fraction++ // 10.00 is an amount, whatever its digits
		}
	case jsondoc.String:
		f.add("string")
		f.texts++
		if f.formats == nil {
			f.formats = map[string]int{}
		}
		if f.values == nil {
			f.values = map[string]bool{}
		}
		if len(f.values) <= mostValues {
			f.values[v.Str()] = true
		}
		for name, is := range formats {
			if is(v.Str()) {
				f.formats[name]++
			}
		}
	case jsondoc.Object:
		f.add("object")
		f.objects++
		for name, m := range v.Members() {
			f.field(name).see(m)
		}
	case jsondoc.Array:
		f.add("array")
		if f.Item == nil {
			f.Item = &Field{}
		}
		for e := range v.Elements() {
			f.Item.see(e)
		}
	}
}

func (f *Field) field(name string) *Field {
	for _, c := range f.Fields {
		if c.Name == name {
			return c
		}
	}
	c := &Field{Name: name}
	f.Fields = append(f.Fields, c)
	return c
}

var typeOrder = []string{"object", "array", "string", "number", "integer", "boolean", "null"}

func (f *Field) settle() {
	switch {
	case f.fraction > 0:
		f.add("number")
	case f.whole > 0:
		f.add("integer")
	}
	slices.SortFunc(f.Types, func(a, b string) int { return slices.Index(typeOrder, a) - slices.Index(typeOrder, b) })
	for name, n := range f.formats {
		if n == f.texts {
			f.Format = name // no text has two of them
		}
	}
	for _, c := range f.Fields {
		c.Required = c.seen == f.objects
		c.settle()
	}
	if f.Item != nil {
		f.Item.settle()
	}
}

// Scalar reports whether the value was a text or a number whenever it was there.
func (f *Field) Scalar() bool {
	return len(f.Types) > 0 && !slices.ContainsFunc(f.Types, func(t string) bool { return t == "object" || t == "array" || t == "boolean" || t == "null" })
}

// ordered is a JSON object whose members keep their order.
type ordered []member

type member struct {
	name  string
	value any
}

func (o ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, value, err := encode(m.name, m.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func encode(name string, value any) (n, v []byte, err error) {
	if n, err = json.Marshal(name); err != nil {
		return nil, nil, err
	}
	v, err = json.Marshal(value)
	return n, v, err
}

func (f *Field) schema() ordered {
	var out ordered
	switch len(f.Types) {
	case 0:
		return out
	case 1:
		out = append(out, member{"type", f.Types[0]})
	default:
		out = append(out, member{"type", f.Types})
	}
	if f.Format != "" {
		out = append(out, member{"format", f.Format})
	}
	if len(f.Fields) > 0 {
		var required []string
		properties := ordered{}
		for _, c := range f.Fields {
			properties = append(properties, member{c.Name, c.schema()})
			if c.Required {
				required = append(required, c.Name)
			}
		}
		if len(required) > 0 {
			out = append(out, member{"required", required})
		}
		out = append(out, member{"properties", properties})
	}
	if f.Item != nil && len(f.Item.Types) > 0 {
		out = append(out, member{"items", f.Item.schema()})
	}
	return out
}

// Schema is the JSON Schema (draft 7) of what was seen. Fields that were not seen are allowed: the sample is not everything. Where a format would
// refuse one of the documents under the hub's own rules, formats are left out.
func Schema(f *Field, title string, docs []*jsondoc.Doc) ([]byte, error) {
	text, err := render(f, title)
	if err != nil {
		return nil, err
	}
	var p strictyaml.Problems
	s := schema.Compile([]schema.File{{Name: "sample", Path: "sample.json", Data: text}}, &p).Get("sample")
	if s != nil && !slices.ContainsFunc(docs, func(d *jsondoc.Doc) bool { return s.Validate(d) != nil }) {
		return text, nil
	}
	f.plain()
	return render(f, title)
}

func (f *Field) plain() {
	f.Format = ""
	for _, c := range f.Fields {
		c.plain()
	}
	if f.Item != nil {
		f.Item.plain()
	}
}

func render(f *Field, title string) ([]byte, error) {
	body := append(ordered{{"$schema", "http://json-schema.org/draft-07/schema#"}, {"title", title}}, f.schema()...)
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
