package schema

import (
	"slices"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// alternative is a set of schemas that a value follows all at once.
type alternative []*node

// mostAlternatives bounds the combinations of anyOf, oneOf and if; beyond it a Shape says nothing rather than too little.
const mostAlternatives = 64

// shapeOf expands each set of schemas, as written, into alternatives without references or branches.
func shapeOf(sets []alternative) Shape {
	x := expander{left: mostSteps}
	var out []alternative
	for _, set := range sets {
		alts := []alternative{nil}
		for _, n := range set {
			more := x.expand(n)
			if x.failed {
				return Shape{unknown: true}
			}
			if alts = product(alts, more); len(alts) > mostAlternatives {
				return Shape{}
			}
		}
		out = append(out, alts...)
	}
	if len(out) > mostAlternatives {
		return Shape{}
	}
	// What no value can be says nothing about the rest; if nothing can be at all, keep it: the author should see why.
	possible := slices.DeleteFunc(slices.Clone(out), func(a alternative) bool { return !a.possible() })
	if len(possible) > 0 {
		out = possible
	}
	return Shape{alts: out}
}

// expander follows references and branches, a bounded number of them: broken schemas may contain themselves.
type expander struct {
	left   int
	failed bool // a schema could not be read, or there are too many
}

const mostSteps = 5_000

// expand gives the alternatives that n stands for.
func (x *expander) expand(n *node) []alternative {
	if x.left--; n == nil || x.left < 0 {
		x.failed = true
	}
	if x.failed {
		return nil
	}
	if n.ref.Kind() != jsondoc.Missing && n.src.draft.refAlone() {
		return x.expand(n.target)
	}
	alts := []alternative{{n}}
	if n.ref.Kind() != jsondoc.Missing {
		alts = product(alts, x.expand(n.target))
	}
	for _, part := range n.allOf {
		alts = x.and(alts, part)
	}
	alts = x.or(alts, n.anyOf)
	alts = x.or(alts, n.oneOf)
	if n.ifs != nil {
		// Either the condition and then, or else: what the condition excludes from else says little about structure.
		with := x.and(x.and([]alternative{nil}, n.ifs), n.then)
		without := x.and([]alternative{nil}, n.otherwise)
		alts = product(alts, append(with, without...))
	}
	if len(alts) > 4*mostAlternatives {
		x.failed = true
	}
	return alts
}

// and adds what part says to every alternative; a missing part says nothing.
func (x *expander) and(alts []alternative, part *node) []alternative {
	if part == nil || x.failed {
		return alts
	}
	return product(alts, x.expand(part))
}

// or adds to every alternative one of the branches, each in turn.
func (x *expander) or(alts []alternative, branches []*node) []alternative {
	if len(branches) == 0 || x.failed {
		return alts
	}
	var either []alternative
	for _, branch := range branches {
		either = append(either, x.expand(branch)...)
		if x.failed || len(either) > 4*mostAlternatives {
			x.failed = true
			return alts
		}
	}
	return product(alts, either)
}

func product(a, b []alternative) []alternative {
	if len(b) == 1 && len(a) == 1 {
		return []alternative{append(slices.Clip(a[0]), b[0]...)}
	}
	out := make([]alternative, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			out = append(out, append(slices.Clip(x), y...))
		}
	}
	return out
}

// possible reports whether any value can follow the schemas, as far as types tell.
func (a alternative) possible() bool {
	for _, n := range a {
		if n.always != nil && !*n.always {
			return false
		}
	}
	types, any := a.types()
	return any || len(types) > 0
}

// types are those that all schemas of the set allow; any is true when none restricts them.
func (a alternative) types() (types []string, any bool) {
	any = true
	for _, n := range a {
		own := n.typesOf()
		switch {
		case len(own) == 0:
		case any:
			types, any = own, false
		default:
			types = both(types, own)
		}
	}
	return types, any
}

// typesOf are the types a schema names, or those of its enum or const.
func (n *node) typesOf() []string {
	if len(n.types) > 0 {
		return n.types
	}
	values := n.enum
	if n.constant.Kind() != jsondoc.Missing {
		values = []jsondoc.Value{n.constant}
	}
	var types []string
	for _, v := range values {
		if t := v.Kind().String(); !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	return types
}

// both is what two lists of types have in common; an integer is a number.
func both(a, b []string) []string {
	var out []string
	for _, t := range a {
		switch {
		case slices.Contains(b, t), t == "integer" && slices.Contains(b, "number"):
			out = append(out, t)
		case t == "number" && slices.Contains(b, "integer"):
			out = append(out, "integer")
		}
	}
	return out
}

// allows reports whether a value of the set may be of type t.
func (a alternative) allows(t string) bool {
	types, any := a.types()
	return any || slices.Contains(types, t)
}

// field collects what the schemas of a set say about a property.
func (a alternative) field(name string) (set alternative, state FieldState) {
	if !a.allows("object") {
		return nil, Never
	}
	state = Open
	for _, n := range a {
		own := n.field(name)
		if len(own) > 0 {
			set, state = append(set, own...), Declared
			continue
		}
		if n.additional == nil {
			continue
		}
		if n.additional.refuses() {
			return nil, Never
		}
		set = append(set, n.additional)
	}
	if state == Open && a.complete() {
		return nil, Never
	}
	return set, state
}

// complete reports whether no property but the declared ones is allowed, by one of the schemas.
func (a alternative) complete() bool {
	return slices.ContainsFunc(a, func(n *node) bool { return n.additional.refuses() || n.otherProperties.refuses() })
}

// field is what one schema declares about a property: by name and by patterns.
func (n *node) field(name string) []*node {
	var out []*node
	if p := n.property(name); p != nil {
		out = append(out, p)
	}
	for _, p := range n.patterns {
		if p.re != nil && p.re.MatchString(name) {
			out = append(out, p.node)
		}
	}
	return out
}

// enum are the strings that every schema of the set allows.
func (a alternative) enum() (values []string, restricted bool) {
	for _, n := range a {
		list := n.enum
		if n.constant.Kind() != jsondoc.Missing {
			list = []jsondoc.Value{n.constant}
		}
		if len(list) == 0 {
			continue
		}
		var own []string
		for _, v := range list {
			if v.Kind() == jsondoc.String && (!restricted || slices.Contains(values, v.Str())) {
				own = append(own, v.Str())
			}
		}
		values, restricted = own, true
	}
	return values, restricted
}
