package scaffold

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
)

// File is one that is to be written; Path begins at the project's directory and has slashes.
type File struct {
	Path string
	Data []byte
}

// Mapping is what a sample is mapped by.
type Mapping struct {
	Name   string
	Entity string
	Root   *Field
	// Key names the business object, and KeyExpr reads it.
	Key     *Field
	KeyExpr string
	// Target is the entity's common schema, and TargetName its name.
	Target     schema.Shape
	TargetName string
}

// SourceName is the name of the sample's own schema.
func (m *Mapping) SourceName() string { return m.Name + "/" + m.Entity + ".v1" }

// DraftName is the name of a schema that holds only what is sure.
func (m *Mapping) DraftName() string { return "draft/" + m.Name + ".v1" }

// Full is the mapping to the common schema.
func (m *Mapping) Full() File {
	return m.file(m.TargetName, Suggest(m.Root, m.Target, m.Entity), false)
}

// Draft is a mapping of what is sure alone, to a schema of exactly that: for a sample that does not say all that the common schema requires. It is
// given with its schema.
func (m *Mapping) Draft() ([]File, error) {
	all := Suggest(m.Root, m.Target, m.Entity)
	sure := slices.DeleteFunc(slices.Clone(all), func(s Suggestion) bool { return !s.Sure })
	if len(sure) == 0 {
		sure = []Suggestion{{Target: Normal(m.Key.Name), Source: m.KeyExpr, Sure: true, field: m.Key}}
		all = append(sure, slices.DeleteFunc(all, func(s Suggestion) bool { return s.Target == sure[0].Target })...)
	}
	root := &Field{Types: []string{"object"}}
	for _, s := range sure {
		at, parts := root, strings.Split(s.Target, ".")
		for _, part := range parts[:len(parts)-1] {
			at = at.field(part)
			at.Types = []string{"object"}
			at.Required = at.Required || !s.Optional
		}
		leaf := at.field(parts[len(parts)-1])
		leaf.Types, leaf.Format, leaf.Required = kinds(s.field.Types), s.field.Format, !s.Optional
	}
	text, err := render(root, "A draft of "+m.Entity+": what is sure in "+m.Name)
	if err != nil {
		return nil, err
	}
	return []File{{"schemas/" + m.DraftName() + ".json", text}, m.file(m.DraftName(), all, true)}, nil
}

func (m *Mapping) file(to string, all []Suggestion, draft bool) File {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Suggested from a sample by the names of its fields. Look at every line; what was not sure is a TODO.\nmapping: %s\nfrom: %s\nto: %s\n", m.Name, m.SourceName(), to)
	if draft {
		fmt.Fprintf(&b, "# TODO: the common schema %s requires more than is sure here. When all of its required fields have a rule, write to: %s\n", m.TargetName, m.TargetName)
	}
	b.WriteString("set:\n")
	set := map[string]bool{}
	for _, s := range all {
		top, _, _ := strings.Cut(s.Target, ".")
		if s.Sure {
			set[top] = true
			fmt.Fprintf(&b, "  %s%s: %s\n", s.Target, optional(s.Optional), s.Source)
		}
	}
	for _, s := range all {
		top, _, _ := strings.Cut(s.Target, ".")
		if !s.Sure {
			set[top] = true
			fmt.Fprintf(&b, "  # TODO %s%s: %s   (%s)\n", s.Target, required(m.Target, s.Target), s.Source, s.Why)
		}
	}
	for _, name := range m.Target.Required() {
		if !set[name] {
			fmt.Fprintf(&b, "  # TODO %s (required): nothing in the sample has such a name\n", name)
		}
	}
	if unused := m.unused(all); len(unused) > 0 {
		fmt.Fprintf(&b, "  # not used: %s\n", strings.Join(unused, ", "))
	}
	return File{"mappings/" + m.Name + ".yaml", b.Bytes()}
}

func optional(yes bool) string {
	if yes {
		return "?"
	}
	return ""
}

func required(target schema.Shape, path string) string {
	if slices.Contains(target.Required(), path) {
		return " (required)"
	}
	return ""
}

// unused are the sample's fields that no suggestion reads.
func (m *Mapping) unused(all []Suggestion) []string {
	var out []string
	for _, f := range m.Root.Fields {
		path := Path("source", f.Name)
		if !slices.ContainsFunc(all, func(s Suggestion) bool {
			return s.Source == path || strings.HasPrefix(s.Source, path+".") || strings.HasPrefix(s.Source, path+"[")
		}) {
			out = append(out, oneLine(f.Name))
		}
	}
	return out
}

func oneLine(s string) string {
	quoted, _ := json.Marshal(s) // a string always is
	if plainName.MatchString(s) {
		return s
	}
	return string(quoted)
}

// Flow is a flow from a system to a topic.
type Flow struct {
	Name, Entity, System, Topic string
	From                        string // webhook, poll or files
	Object                      string // its name in the system's settings; empty: the entity's
	Accept, Map                 string
	Key                         string // the expression that reads it
}

// File is the flow's.
func (f *Flow) File() File {
	var b bytes.Buffer
	fmt.Fprintf(&b, "flow: %s\nentity: %s\nfrom:\n  system: %s\n", f.Name, f.Entity, f.System)
	switch f.From {
	case "webhook":
		fmt.Fprintf(&b, "  webhook:\n    path: %s/%s\n    # TODO: how the sender proves itself: waybill has stripe, shopify, github, standard-webhooks, hmac and others (docs/configuration.md)\n    verify: {scheme: bearer, secret: \"${env:%s}\"}\n", f.System, f.Name, f.SecretName())
	case "poll":
		fmt.Fprintf(&b, "  poll: {%severy: 1m, overlap: 10m}          # overlap: as long as a change may take to commit\n", f.object())
	case "files":
		fmt.Fprintf(&b, "  files: {%severy: 10s}\n", f.object())
	}
	fmt.Fprintf(&b, "accept: %s\nkey: %s          # what people search for\n", f.Accept, f.Key)
	b.WriteString("# TODO version: a time or a number that rises with every change, for example time(source.updated_at)\n")
	fmt.Fprintf(&b, "map: %s\nto: {topic: %s}\n", f.Map, f.Topic)
	return File{"flows/" + f.Name + ".yaml", b.Bytes()}
}

func (f *Flow) object() string {
	if f.Object == "" {
		return ""
	}
	return "object: " + f.Object + ", "
}

// SecretName is the environment variable of the webhook's secret.
func (f *Flow) SecretName() string {
	return strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")) + "_SECRET"
}

// mostCases bounds the test's cases: a few documents show what the mapping does.
const mostCases = 3

// Test is the beginning of a test file: kind is test (of a flow) or mapping; want is filled in by waybill test --update.
func Test(kind, name string, docs []*jsondoc.Doc) File {
	dir := map[string]string{"test": "flows/", "mapping": "mappings/"}[kind]
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s\ncases:\n", kind, name)
	for _, c := range casesOf(docs) {
		fmt.Fprintf(&b, "  - name: sample %d\n    given: %s\n    want: {data: {}}\n", c.number, c.given)
	}
	return File{dir + name + "_test.yaml", b.Bytes()}
}

type sampleCase struct {
	number int
	given  []byte
}

// casesOf are the first documents that a test can hold.
func casesOf(docs []*jsondoc.Doc) (out []sampleCase) {
	for i, d := range docs {
		given := compact(d.Root(), nil)
		if _, err := jsondoc.Parse(given, jsondoc.Limits{}); err == nil && len(out) < mostCases {
			out = append(out, sampleCase{i + 1, given})
		}
	}
	return out
}

// Testable complains of a sample of which no document can stand in a test, where numbers are written in digits.
func Testable(docs []*jsondoc.Doc) error {
	if len(casesOf(docs)) > 0 {
		return nil
	}
	_, err := jsondoc.Parse(compact(docs[0].Root(), nil), jsondoc.Limits{})
	return fmt.Errorf("none of its documents can stand in a test, which has numbers in digits and no exponents: %w; give a sample with smaller numbers", err)
}

// compact is a document in one line, which YAML reads as JSON does: numbers have no exponent, which would read like a code there.
func compact(v jsondoc.Value, dst []byte) []byte {
	switch v.Kind() {
	case jsondoc.Object:
		dst = append(dst, '{')
		for name, m := range v.Members() {
			dst = compact(m, append(jsondoc.AppendString(comma(dst), name), ':'))
		}
		return append(dst, '}')
	case jsondoc.Array:
		dst = append(dst, '[')
		for e := range v.Elements() {
			dst = compact(e, comma(dst))
		}
		return append(dst, ']')
	case jsondoc.Number:
		if d, err := v.Decimal(); err == nil && bytes.ContainsAny(v.Raw(), "eE") {
			return append(dst, d.String()...)
		}
	}
	return append(dst, v.Raw()...)
}

// comma divides what follows from what came before it in the same list or object.
func comma(dst []byte) []byte {
	if last := dst[len(dst)-1]; last == '[' || last == '{' {
		return dst
	}
	return append(dst, ',')
}
