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

	id     string
	ref    jsondoc.Value // the text of $ref
	target *node         // what it refers to; nil until resolved, or when it cannot be

	types    []string
	format   string
	enum     []jsondoc.Value
	constant jsondoc.Value
	required []string
	// plain are the keywords without subschemas, as written, for the validator.
	plain []plain

	properties  []property
	patterns    []pattern
	additional  *node
	names       *node
	items       *node   // one schema for all elements
	tuple       []*node // or one for each of the first
	moreItems   *node   // additionalItems
	contains    *node
	allOf       []*node
	anyOf       []*node
	oneOf       []*node
	not         *node
	ifs         *node
	then        *node
	otherwise   *node
	needs       []need
	definitions []property
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

// need is one entry of dependencies: a schema, or names.
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
	each(n.moreItems, n.contains)
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
