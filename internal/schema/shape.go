package schema

import "slices"

// FieldState says what a schema thinks of a property.
type FieldState uint8

const (
	// Never: no valid document has the property.
	Never FieldState = iota
	// Open: the schema does not name the property but does not forbid it either.
	Open
	// Declared: the schema names the property, or describes it by a pattern.
	Declared
)

func (s FieldState) String() string {
	return [...]string{"never", "open", "declared"}[s]
}

// Shape is what a schema says about the structure of a value, seen through $ref, allOf, anyOf, oneOf and if: one or more
// alternatives, each a set of schemas that hold together. The zero Shape says nothing: any value at all.
type Shape struct {
	alts []alternative
	// unknown: the schema has problems of its own; whatever is asked about it exists and may be anything.
	unknown bool
}

// Shape is the structure of the documents.
func (s *Schema) Shape() Shape {
	if s == nil {
		return Shape{unknown: true}
	}
	return shapeOf([]alternative{{s.root}})
}

// Any reports whether the shape says nothing: every value fits, or its schema is not known.
func (sh Shape) Any() bool { return sh.unknown || len(sh.alts) == 0 || len(sh.Types()) == 0 }

// Types are the JSON types a value may have, in JSON Schema's words; empty means any.
func (sh Shape) Types() []string {
	var out []string
	for _, a := range sh.alts {
		types, any := a.types()
		if any {
			return nil
		}
		for _, t := range types {
			if !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	return out
}

// Field is the shape of a property and whether the schema declares it. An open property of unknown form has the zero Shape.
func (sh Shape) Field(name string) (Shape, FieldState) {
	if sh.unknown {
		return Shape{unknown: true}, Declared
	}
	if len(sh.alts) == 0 {
		return Shape{}, Open
	}
	best := Never
	var declared, open []alternative
	for _, a := range sh.alts {
		set, state := a.field(name)
		switch state {
		case Declared:
			declared = append(declared, set)
		case Open:
			open = append(open, set)
		}
		best = max(best, state)
	}
	switch best {
	case Declared:
		return shapeOf(declared), Declared
	case Open:
		if slices.ContainsFunc(open, func(a alternative) bool { return len(a) == 0 }) {
			return Shape{}, Open
		}
		return shapeOf(open), Open
	}
	return Shape{}, Never
}

// Item is the shape of an array's elements; of all of them together where each place has its own.
func (sh Shape) Item() Shape {
	if sh.unknown {
		return sh
	}
	var sets []alternative
	for _, a := range sh.alts {
		if !a.allows("array") {
			continue
		}
		var all alternative // hold for every element
		var places []*node  // hold for one place each
		for _, n := range a {
			if n.items != nil {
				all = append(all, n.items)
			}
			places = append(places, n.tuple...)
			if n.moreItems != nil && len(n.tuple) > 0 {
				places = append(places, n.moreItems)
			}
		}
		if len(places) == 0 {
			if len(all) == 0 {
				return Shape{}
			}
			sets = append(sets, all)
		}
		for _, p := range places {
			sets = append(sets, append(slices.Clip(all), p))
		}
	}
	return shapeOf(sets)
}

// Fields are the declared property names, in the order of the schema.
func (sh Shape) Fields() []string {
	var out []string
	for _, a := range sh.alts {
		if !a.allows("object") {
			continue
		}
		for _, n := range a {
			for _, p := range n.properties {
				if !slices.Contains(out, p.name) {
					out = append(out, p.name)
				}
			}
		}
	}
	return out
}

// Required are the properties that every valid object has.
func (sh Shape) Required() []string {
	var out []string
	first := true
	for _, a := range sh.alts {
		if !a.allows("object") {
			continue
		}
		var own []string
		for _, n := range a {
			for _, name := range n.required {
				if !slices.Contains(own, name) {
					own = append(own, name)
				}
			}
		}
		if first {
			out, first = own, false
			continue
		}
		out = slices.DeleteFunc(out, func(name string) bool { return !slices.Contains(own, name) })
	}
	return out
}

// Closed reports whether no property but the declared ones is allowed.
func (sh Shape) Closed() bool {
	if sh.unknown || len(sh.alts) == 0 {
		return false
	}
	for _, a := range sh.alts {
		if !a.allows("object") {
			continue
		}
		if !a.complete() {
			return false
		}
	}
	return true
}

// Format is the format of a string; "" when there is none or the alternatives differ.
func (sh Shape) Format() string {
	format := ""
	for i, a := range sh.alts {
		own := ""
		for _, n := range a {
			if n.format != "" {
				own = n.format
			}
		}
		if i > 0 && own != format {
			return ""
		}
		format = own
	}
	return format
}

// Enum are the strings that a value is restricted to; nil when other strings are allowed too.
func (sh Shape) Enum() []string {
	var out []string
	for _, a := range sh.alts {
		if !a.allows("string") {
			continue
		}
		own, restricted := a.enum()
		if !restricted {
			return nil
		}
		for _, s := range own {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}
