package schema

import (
	"regexp"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// node is one schema or subschema, read.
type node struct {
	src *source
	v   jsondoc.Value
	// path is the JSON pointer in the file; "" is the root.
	path string

	// always is set for the boolean schemas true and false.
	always *bool

	id     string        // the absolute $id of a schema resource
	base   string        // what references start from
	ref    jsondoc.Value // the text of $ref
	target *node         // what it refers to; nil until resolved, or when it cannot be

	types    []string
	format   string
	enum     []jsondoc.Value
	constant jsondoc.Value
	required []string
	unique   bool
	exact    bool // enum or const hold a number that binary floating point would take for another
	// plain are the keywords without subschemas, as written, for the validator.
	plain []plain

	properties []property
	patterns   []pattern
	additional *node
	names      *node
	items      *node   // one schema for all elements
	tuple      []*node // or one for each of the first
	moreItems  *node   // of the elements behind tuple
	contains   *node
	// otherProperties and otherItems are unevaluatedProperties and unevaluatedItems.
	otherProperties *node
	otherItems      *node
	allOf           []*node
	anyOf           []*node
	oneOf           []*node
	not             *node
	ifs             *node
	then            *node
	otherwise       *node
	needs           []need
	definitions     []property

	// private: marked as personal data; leads: that, or something about the value or below it is.
	private, leads bool
}

type plain struct {
	keyword string
	value   jsondoc.Value
}

type property struct {
	name string
	node *node
}

type pattern struct {
	text string
	re   *regexp.Regexp // nil when it does not compile
	node *node
}

// need is one entry of dependencies, dependentSchemas or dependentRequired: a schema, or names.
type need struct {
	name  string
	node  *node
	names jsondoc.Value
}

// property finds a declared property.
func (n *node) property(name string) *node {
	for i := range n.properties {
		if n.properties[i].name == name {
			return n.properties[i].node
		}
	}
	return nil
}

// refuses reports whether the schema is false.
func (n *node) refuses() bool { return n != nil && n.always != nil && !*n.always }

// comparesNumbers: the schema tells numbers apart that binary floating point may take for equal.
func (n *node) comparesNumbers() bool {
	if n.exact || !n.unique {
		return n.exact
	}
	if n.items == nil || len(n.items.types) == 0 {
		return true
	}
	for _, t := range n.items.types {
		if t != "string" && t != "boolean" && t != "null" {
			return true
		}
	}
	return false
}

// inPlace visits every direct subschema that is about the very value that n is about, and what n refers to.
func (n *node) inPlace(visit func(*node)) {
	for _, list := range [][]*node{n.allOf, n.anyOf, n.oneOf, {n.not, n.ifs, n.then, n.otherwise, n.target}} {
		for _, c := range list {
			if c != nil {
				visit(c)
			}
		}
	}
	for i := range n.needs {
		if c := n.needs[i].node; c != nil {
			visit(c)
		}
	}
}

// children visits every direct subschema; definitions only when asked for.
func (n *node) children(definitions bool, visit func(*node)) {
	each := func(list ...*node) {
		for _, c := range list {
			if c != nil {
				visit(c)
			}
		}
	}
	for i := range n.properties {
		each(n.properties[i].node)
	}
	for i := range n.patterns {
		each(n.patterns[i].node)
	}
	each(n.additional, n.names, n.items)
	each(n.tuple...)
	each(n.moreItems, n.contains, n.otherProperties, n.otherItems)
	each(n.allOf...)
	each(n.anyOf...)
	each(n.oneOf...)
	each(n.not, n.ifs, n.then, n.otherwise)
	for i := range n.needs {
		each(n.needs[i].node)
	}
	if definitions {
		for i := range n.definitions {
			each(n.definitions[i].node)
		}
	}
}
