package schema

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// modern is the judge that asks jsonschema/v6: for drafts after 07, for schemas that contain themselves, and where numbers are compared,
// which it does exactly.
type modern struct{ schema *jsonschema.Schema }

// rootURI and targetURI are the addresses of a bundle's documents.
const rootURI = "waybill:root"

func targetURI(i int) string { return "waybill:" + strconv.Itoa(i) }

// loadModern hands root and what it refers to to the library, each as a document of its own, in its own draft.
func loadModern(root *node, targets []*node) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.UseLoader(unreachable{})
	c.AssertFormat()
	for name, check := range formats {
		c.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(v any) error {
			if check.IsFormat(v) {
				return nil
			}
			return errFormat
		}})
	}
	b := bundler{number: make(map[*node]string, len(targets))}
	for i, t := range targets {
		b.number[t] = targetURI(i)
	}
	add := func(uri string, n *node) error {
		doc := b.write(n)
		if m, ok := doc.(map[string]any); ok {
			m["$schema"] = n.src.draft.uri()
		}
		return c.AddResource(uri, doc)
	}
	for i, t := range targets {
		if err := add(targetURI(i), t); err != nil {
			return nil, err
		}
	}
	if err := add(rootURI, root); err != nil {
		return nil, err
	}
	return c.Compile(rootURI)
}

var errFormat = errors.New("not of the format")

// unreachable is the library's loader: every reference in a bundle is internal, and whatever else it might ask for is refused.
type unreachable struct{}

func (unreachable) Load(string) (any, error) { return nil, errClosed }

// judge implements judge. A panic of the library refuses the document.
func (m *modern) judge(d *jsondoc.Doc) (bad []Violation) {
	defer func() {
		if r := recover(); r != nil {
			bad = []Violation{{Keyword: "validator", Message: "the validator failed on this document: " + shorten(fmt.Sprint(r))}}
		}
	}()
	g := generics.Get().(*generic)
	defer g.release()
	err := m.schema.Validate(g.value(d.Root()))
	if err == nil {
		return nil
	}
	var found *jsonschema.ValidationError
	if !errors.As(err, &found) {
		return []Violation{{Keyword: "validator", Message: shorten(err.Error())}}
	}
	t := teller{root: d.Root()}
	t.tell(found)
	if len(t.out) == 0 {
		return []Violation{{Keyword: "validator", Message: "does not follow the schema"}}
	}
	return t.out
}

// teller turns the library's findings into ours.
type teller struct {
	root jsondoc.Value
	out  []Violation
}

// tell words one finding and what lies below it. Of branches that fail, the one that fits best is told.
func (t *teller) tell(e *jsonschema.ValidationError) {
	path, v := t.locate(e.InstanceLocation)
	made := func(keyword, format string, args ...any) {
		t.out = append(t.out, Violation{path, keyword, fmt.Sprintf(format, args...)})
	}
	is := ", is " + quoted(v)
	switch k := e.ErrorKind.(type) {
	case *kind.AnyOf:
		made("anyOf", "matches none of the allowed forms")
		t.best(e.Causes)
	case *kind.OneOf:
		made("oneOf", "does not match exactly one of the allowed forms")
		t.best(e.Causes)
	case *kind.Not:
		made("not", "matches a form that is not allowed")
	case *kind.Contains:
		made("contains", "has no element of the required form")
	case *kind.MinContains:
		made("minContains", "needs %d or more elements of the required form, has %d", k.Want, len(k.Got))
	case *kind.MaxContains:
		made("maxContains", "may have %d elements of the form at most, has %d", k.Want, len(k.Got))
	case *kind.FalseSchema:
		made("false", "must not be there")
	case *kind.Required:
		t.missing(path, "required", "is missing", k.Missing)
	case *kind.Dependency:
		t.missing(path, "dependencies", "is missing: another property needs it", k.Missing)
	case *kind.DependentRequired:
		t.missing(path, "dependentRequired", "is missing: another property needs it", k.Missing)
	case *kind.AdditionalProperties:
		t.missing(path, "additionalProperties", "is not in the schema", k.Properties)
	case *kind.PropertyNames:
		t.missing(path, "propertyNames", "is not allowed as a name", []string{k.Property})
	case *kind.AdditionalItems:
		made("additionalItems", "has more elements than the schema describes")
	case *kind.UniqueItems:
		made("uniqueItems", "elements %d and %d are equal", k.Duplicates[0], k.Duplicates[1])
	case *kind.Type:
		made("type", "must be %s, is %s", strings.Join(inOrder(k.Want), " or "), typeOf(v))
	case *kind.Const:
		made("const", "must be %s%s", value(k.Want), is)
	case *kind.Enum:
		made("enum", "must be one of %s%s", shorten(strings.Join(valuesOf(k.Want), ", ")), is)
	case *kind.Format:
		made("format", "must be of format %s%s", k.Want, is)
	case *kind.MinLength:
		made("minLength", "needs %d or more characters%s", k.Want, is)
	case *kind.MaxLength:
		made("maxLength", "may have %d characters at most%s", k.Want, is)
	case *kind.Pattern:
		made("pattern", "must match %s%s", shorten(k.Want), is)
	case *kind.MinItems:
		made("minItems", "needs %d or more elements, has %d", k.Want, k.Got)
	case *kind.MaxItems:
		made("maxItems", "may have %d elements at most, has %d", k.Want, k.Got)
	case *kind.MinProperties:
		made("minProperties", "needs %d or more properties, has %d", k.Want, k.Got)
	case *kind.MaxProperties:
		made("maxProperties", "may have %d properties at most, has %d", k.Want, k.Got)
	case *kind.Minimum:
		made("minimum", "must be at least %s%s", ratio(k.Want), is)
	case *kind.ExclusiveMinimum:
		made("exclusiveMinimum", "must be greater than %s%s", ratio(k.Want), is)
	case *kind.Maximum:
		made("maximum", "must be at most %s%s", ratio(k.Want), is)
	case *kind.ExclusiveMaximum:
		made("exclusiveMaximum", "must be less than %s%s", ratio(k.Want), is)
	case *kind.MultipleOf:
		made("multipleOf", "must be a multiple of %s%s", ratio(k.Want), is)
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		for _, c := range e.Causes {
			t.tell(c)
		}
	default:
		made(strings.Join(e.ErrorKind.KeywordPath(), "."), "does not follow the schema%s", is)
	}
}

// missing words a finding about properties by their names, which may share the document's bytes.
func (t *teller) missing(path, keyword, message string, names []string) {
	for _, name := range names {
		t.out = append(t.out, Violation{join(path, strings.Clone(name)), keyword, message})
	}
}

// best tells of the branches that do not fit the one with the fewest findings, if it has something to say about the place of a value and not
// only that it is of another type.
func (t *teller) best(branches []*jsonschema.ValidationError) {
	var best []Violation
	for _, b := range branches {
		sub := teller{root: t.root}
		sub.tell(b)
		if best == nil || len(sub.out) < len(best) {
			best = sub.out
		}
	}
	t.out = append(t.out, best...)
}

// locate finds the value that a finding is about.
func (t *teller) locate(steps []string) (string, jsondoc.Value) {
	v, path := t.root, ""
	for _, step := range steps {
		if n, err := strconv.Atoi(step); err == nil && v.Kind() == jsondoc.Array {
			v, path = v.Index(n), path+"["+step+"]"
			continue
		}
		v, path = v.Get(step), join(path, strings.Clone(step))
	}
	return path, v
}

// inOrder gives types in a fixed order.
func inOrder(types []string) []string {
	return slices.SortedFunc(slices.Values(types), func(a, b string) int {
		return slices.Index(typeNames, a) - slices.Index(typeNames, b)
	})
}

// valuesOf shows the values of an enum: without quotes where all are texts.
func valuesOf(list []any) []string {
	out := make([]string, len(list))
	texts := true
	for i, v := range list {
		out[i] = value(v)
		_, text := v.(string)
		texts = texts && text
	}
	for i, v := range list {
		if texts {
			out[i] = v.(string)
		}
	}
	return out
}

// value shows a value of a schema.
func value(v any) string {
	switch v := v.(type) {
	case string:
		return shorten(strconv.Quote(v))
	case nil:
		return "null"
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	case map[string]any:
		return fmt.Sprintf("an object of %d", len(v))
	}
	return shorten(fmt.Sprint(v))
}

// ratio writes a bound as a decimal.
func ratio(r *big.Rat) string {
	if n, exact := r.FloatPrec(); exact {
		return shorten(r.FloatString(n))
	}
	return shorten(r.RatString())
}

// bounded is the judge of a schema that contains itself: it counts the steps of judging a document before anybody takes them. Where branches
// contain the schema several times over, the steps double with every level of the document.
type bounded struct {
	root  *node
	inner judge
}

// mostJudged bounds the steps of judging one document by a schema that contains itself.
const mostJudged = 1_000_000

// judge implements judge.
func (b *bounded) judge(d *jsondoc.Doc) []Violation {
	w := stepper{left: mostJudged}
	w.walk(b.root, d.Root())
	if w.left < 0 {
		return []Violation{{Keyword: "validator", Message: fmt.Sprintf("is nested so that this schema, which contains itself, needs more than %d steps", mostJudged)}}
	}
	return b.inner.judge(d)
}

// stepper walks whatever any validator may look at.
type stepper struct{ left int }

func (w *stepper) walk(n *node, v jsondoc.Value) {
	if w.left--; w.left < 0 || n == nil || n.always != nil {
		return
	}
	n.inPlace(func(c *node) { w.walk(c, v) })
	switch v.Kind() {
	case jsondoc.Object:
		w.members(n, v)
	case jsondoc.Array:
		i := 0
		for e := v.Cursor(); e.Next(); i++ {
			rest := n.items
			if i < len(n.tuple) {
				rest = n.tuple[i]
			} else if len(n.tuple) > 0 {
				rest = n.moreItems
			}
			for _, c := range []*node{rest, n.contains, n.otherItems} {
				w.walk(c, e.Value())
			}
		}
	}
}

func (w *stepper) members(n *node, v jsondoc.Value) {
	for e := v.Cursor(); e.Next(); {
		if w.left < 0 {
			return
		}
		name := e.Name()
		w.walk(n.property(name), e.Value())
		for i := range n.patterns {
			w.walk(n.patterns[i].node, e.Value())
		}
		for _, c := range []*node{n.additional, n.otherProperties} {
			w.walk(c, e.Value())
		}
		w.walk(n.names, e.NameValue())
	}
}
