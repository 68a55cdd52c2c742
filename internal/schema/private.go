package schema

import (
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// privateWord marks a schema whose values are personal data.
const privateWord = "x-pii"

// Private says which parts of documents a schema marks as personal data with "x-pii": true. It is asked on the way down a document: a value is
// private where Here says so, and what is below it with it. Wherever a schema leaves open which of its parts is about a value (alternatives,
// conditions, patterns), each of them counts; so does a mark that stands beside a $ref, which draft-07 would not look at. The zero Private marks
// nothing.
type Private struct {
	nodes []*node // with a mark, or with one below; closed under what is about the same value
}

// Private is where the schema's documents hold personal data.
func (s *Schema) Private() Private {
	if s == nil || s.root == nil {
		return Private{}
	}
	return privateOf(s.root)
}

// None reports whether nothing is marked here or below.
func (p Private) None() bool { return len(p.nodes) == 0 }

// Here reports whether the whole value is personal data.
func (p Private) Here() bool {
	for _, n := range p.nodes {
		if n.private {
			return true
		}
	}
	return false
}

// Member is what holds for a member of an object. A name that differs from a declared one in its case alone is taken for it: which of the two is
// meant is not sure.
func (p Private) Member(name string) Private {
	var c collection
	for _, n := range p.nodes {
		declared := false
		for i := range n.properties {
			if q := &n.properties[i]; strings.EqualFold(q.name, name) {
				declared = declared || q.name == name
				c.add(q.node)
			}
		}
		for i := range n.patterns {
			if q := &n.patterns[i]; q.re == nil || q.re.MatchString(name) {
				c.add(q.node)
				declared = true
			}
		}
		if !declared {
			c.add(n.additional)
		}
		c.add(n.otherProperties)
		if n.names != nil && n.names.leads {
			c.whole(n.names) // the names themselves are: what stands under them is not safer
		}
	}
	return c.done()
}

// Element is what holds for an element of a list.
func (p Private) Element(i int) Private {
	var c collection
	for _, n := range p.nodes {
		switch {
		case i < len(n.tuple):
			c.add(n.tuple[i])
		case len(n.tuple) > 0:
			c.add(n.moreItems)
		}
		c.add(n.items)
		c.add(n.contains)
		c.add(n.otherItems)
	}
	return c.done()
}

// AnyElement is what holds for one of the elements of a list, whichever it is.
func (p Private) AnyElement() Private {
	var c collection
	for _, n := range p.nodes {
		for _, e := range n.tuple {
			c.add(e)
		}
		c.add(n.moreItems)
		c.add(n.items)
		c.add(n.contains)
		c.add(n.otherItems)
	}
	return c.done()
}

// Fits reports whether the marks below can be where the value's kind has room for them. Where they cannot, the document is not what the schema
// describes, and nobody knows what the value holds.
func (p Private) Fits(k jsondoc.Kind) bool {
	for _, n := range p.nodes {
		members, elements := n.privateBelow()
		if members && k != jsondoc.Object && k != jsondoc.Null && k != jsondoc.Bool || elements && k != jsondoc.Array && k != jsondoc.Null && k != jsondoc.Bool {
			return false
		}
	}
	return true
}

// NamesPrivate reports whether the names of an object's members are personal data.
func (p Private) NamesPrivate() bool {
	for _, n := range p.nodes {
		if n.names != nil && n.names.leads {
			return true
		}
	}
	return false
}

// privateBelow reports whether members of an object, or elements of a list, hold marks.
func (n *node) privateBelow() (members, elements bool) {
	for i := range n.properties {
		members = members || n.properties[i].node.leads
	}
	for i := range n.patterns {
		members = members || n.patterns[i].node.leads
	}
	for _, c := range []*node{n.additional, n.otherProperties, n.names} {
		members = members || c != nil && c.leads
	}
	for _, c := range append([]*node{n.items, n.moreItems, n.contains, n.otherItems}, n.tuple...) {
		elements = elements || c != nil && c.leads
	}
	return members, elements
}

// collection gathers schemas that are about one value.
type collection struct{ nodes []*node }

func privateOf(n *node) Private {
	var c collection
	c.add(n)
	return c.done()
}

func (c *collection) done() Private { return Private{c.nodes} }

// add takes a schema, and all that is about the same value, as far as marks are there.
func (c *collection) add(n *node) {
	if n == nil || !n.leads {
		return
	}
	for _, have := range c.nodes {
		if have == n {
			return
		}
	}
	c.nodes = append(c.nodes, n)
	n.inPlace(c.add)
}

// whole takes the marks of another place for those of this one.
func (c *collection) whole(n *node) {
	c.nodes = append(c.nodes, &node{src: n.src, private: true, leads: true})
}

// markPrivate finds the marks of all files, and what leads to them. References may go in a circle, so it goes round until nothing is new.
func (c *compiler) markPrivate(names []string) {
	any := false
	for _, name := range names {
		for _, n := range c.sources[name].all {
			v := n.v.Get(privateWord)
			switch {
			case n.v.Kind() != jsondoc.Object || v.Kind() == jsondoc.Missing:
				continue
			case v.Kind() != jsondoc.Bool:
				c.p.Note(n.src.pos(v), "write true, or leave it out", "%s is true or false; %s counts as true", privateWord, quoted(v))
			case !v.Bool():
				continue
			}
			n.private, n.leads, any = true, true, true
		}
	}
	for any {
		any = false
		for _, name := range names {
			for _, n := range c.sources[name].all {
				if n.leads {
					continue
				}
				found := n.target != nil && n.target.leads
				n.children(false, func(child *node) { found = found || child.leads })
				n.leads, any = found, any || found
			}
		}
	}
}

// PrivateNames are the names of the properties that are marked, wherever they are, as they are written; a mark on a list's elements is under the list's name.
func (s *Schema) PrivateNames() []string {
	if s == nil || s.root == nil {
		return nil
	}
	type named struct { // a schema may be referred to under several names
		n    *node
		name string
	}
	names, seen := map[string]bool{}, map[named]bool{}
	var visit func(n *node, name string)
	visit = func(n *node, name string) {
		if n == nil || !n.leads || seen[named{n, name}] {
			return
		}
		seen[named{n, name}] = true
		if n.private {
			names[name] = true
			return
		}
		for i := range n.properties {
			visit(n.properties[i].node, n.properties[i].name)
		}
		for i := range n.patterns {
			visit(n.patterns[i].node, "")
		}
		for _, c := range []*node{n.additional, n.otherProperties} {
			visit(c, "")
		}
		for _, c := range append([]*node{n.items, n.moreItems, n.contains, n.otherItems}, n.tuple...) {
			visit(c, name)
		}
		n.inPlace(func(c *node) { visit(c, name) })
	}
	visit(s.root, "")
	delete(names, "")
	return slices.Sorted(maps.Keys(names))
}
