package schema

import (
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// lint reports what is written correctly but would never take effect, or would refuse every document.
func (r *reader) lint(n *node) {
	if n.ref.Kind() != jsondoc.Missing && r.src.draft.refAlone() {
		r.besideRef(n)
		return
	}
	for c := n.v.Cursor(); c.Next(); {
		r.applies(n, c.NameValue())
	}
	if n.ifs == nil && (n.then != nil || n.otherwise != nil) {
		r.problem(n.v, "", "then and else need an if")
	}
	if n.ifs != nil && n.then == nil && n.otherwise == nil {
		r.problem(n.v.Get("if"), "", "if without then or else says nothing")
	}
	if n.moreItems != nil && len(n.tuple) == 0 {
		r.problem(n.v.Get("additionalItems"), "", "additionalItems needs items as a list of schemas")
	}
	if r.src.draft != draft07 && n.contains == nil {
		for _, word := range []string{"minContains", "maxContains"} {
			if v := n.v.Get(word); v.Kind() != jsondoc.Missing {
				r.problem(v, "", "%s needs contains", word)
			}
		}
	}
	r.bounds(n)
	r.unreachable(n)
	r.values(n)
}

// besideRef: draft-07 ignores every keyword beside $ref.
func (r *reader) besideRef(n *node) {
	for c := n.v.Cursor(); c.Next(); {
		word := c.Name()
		if k, ok := r.vocabulary().keywords[word]; ok && !k.note && word != "$ref" {
			r.problem(c.NameValue(), "write allOf: [{$ref}, {…}]", "%s beside $ref is ignored in draft-07", word)
		}
	}
}

// applies: a keyword for strings beside "type": "integer" is never looked at.
func (r *reader) applies(n *node, name jsondoc.Value) {
	word := name.Str()
	on := r.vocabulary().keywords[word].on
	if len(n.types) == 0 || len(on) == 0 {
		return
	}
	for _, t := range on {
		if slices.Contains(n.types, t) {
			return
		}
	}
	r.problem(name, "", "%s is about a value of type %s, but type allows only %s", word, on[0], strings.Join(n.types, ", "))
}

// bounds: a lower bound above its upper bound refuses everything.
func (r *reader) bounds(n *node) {
	for _, pair := range [][2]string{
		{"minLength", "maxLength"}, {"minItems", "maxItems"}, {"minContains", "maxContains"}, {"minProperties", "maxProperties"},
		{"minimum", "maximum"}, {"exclusiveMinimum", "maximum"}, {"minimum", "exclusiveMaximum"},
		{"exclusiveMinimum", "exclusiveMaximum"},
	} {
		low, err1 := n.v.Get(pair[0]).Decimal()
		high, err2 := n.v.Get(pair[1]).Decimal()
		if err1 != nil || err2 != nil {
			continue
		}
		open := strings.HasPrefix(pair[0], "ex") || strings.HasPrefix(pair[1], "ex")
		if c := low.Cmp(high); c > 0 || c == 0 && open {
			r.problem(n.v.Get(pair[0]), "", "%s %s leaves nothing below %s %s", pair[0], low, pair[1], high)
		}
	}
}

// unreachable: a required property that no other rule allows.
func (r *reader) unreachable(n *node) {
	if n.additional == nil || n.additional.always == nil || *n.additional.always || len(n.patterns) > 0 {
		return
	}
	list := n.v.Get("required")
	for e := range list.Elements() {
		if e.Kind() == jsondoc.String && n.property(e.Str()) == nil {
			r.problem(e, "", "%q is required, but it is not among the properties and no others are allowed", e.Str())
		}
	}
}

// values: an enum or const whose values the type does not allow.
func (r *reader) values(n *node) {
	if len(n.types) == 0 {
		return
	}
	check := func(v jsondoc.Value, word string) {
		if !ofType(v, n.types) {
			r.problem(v, "", "%s holds %s, but type allows only %s", word, quoted(v), strings.Join(n.types, ", "))
		}
	}
	for _, v := range n.enum {
		check(v, "enum")
	}
	if n.constant.Kind() != jsondoc.Missing {
		check(n.constant, "const")
	}
}

// ofType reports whether v is of one of the types.
func ofType(v jsondoc.Value, types []string) bool {
	if slices.Contains(types, v.Kind().String()) {
		return true
	}
	if v.Kind() != jsondoc.Number || !slices.Contains(types, "integer") {
		return false
	}
	d, err := v.Decimal()
	return err == nil && d.IsInt()
}
