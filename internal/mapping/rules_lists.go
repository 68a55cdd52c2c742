package mapping

import (
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// each compiles a list rule.
func (c *compiler) each(name string, n strictyaml.Node, pos strictyaml.Pos, shape schema.Shape, path string, out *output) *rule {
	n.Known(c.p, "each", "as", "where", "set")
	r := newRule(eachRule, name, pos)
	done := c.copying.into(elementsOf(path))
	list, ok := c.expression(n.Get("each"), "each", kList)
	done()
	r.value = list.part
	if k := shapeKinds(shape); k&kList == 0 {
		c.p.Add(pos, "%s is %s in %s, not a list", path, (k & kSome).a(), c.targetName)
		shape = c.unknown
	}
	as := c.elementName(n)
	item := anyType
	if ok {
		item = list.t.item()
	}
	outer := c.scope
	inner := &output{name: name, parent: out.parent}
	c.scope = outer.inside(as, item, inner)
	c.copying.lists = append(c.copying.lists, elementsOf(path))
	defer func() { c.copying.lists = c.copying.lists[:len(outer.items)] }()
	r.depth = len(outer.items)
	c.layout.depth = max(c.layout.depth, len(c.scope.items))
	if w := n.Get("where"); w.Kind() != strictyaml.Missing {
		cond, _ := c.expression(w, "where", kBool)
		r.when = cond.part
	}
	elem := newRule(objectRule, "", n.Get("set").Pos())
	inner.rule = elem
	o := &open{rule: elem, out: inner, shape: shape.Item(), path: path + "[]", pos: n.KeyPos("set")}
	if !n.Has("set") {
		c.p.AddHint(n.Pos(), "set says what an element is made of; a list of plain values is map(list, …)", "each without set")
	} else {
		c.set(n.Get("set"), o)
		c.finishObject(o)
	}
	c.scope = outer
	r.children = elem.children
	out.t = listOf(inner.typ())
	if !ok {
		return nil
	}
	return r
}

// block compiles {of: …, when: …, set: …}: an object that is made of another, or with a condition.
func (c *compiler) block(name string, optional bool, n strictyaml.Node, pos strictyaml.Pos, shape schema.Shape, path string, out *output) *rule {
	n.Known(c.p, "of", "as", "when", "set")
	r := newRule(objectRule, name, pos)
	if k := shapeKinds(shape); k&kObject == 0 {
		c.p.Add(pos, "%s is %s in %s: it has no fields", path, (k & kSome).a(), c.targetName)
		shape = c.unknown
	}
	r.optional = optional
	if n.Has("of") {
		outer := c.scope
		defer func() { c.scope = outer; c.copying.lists = c.copying.lists[:len(outer.items)] }()
		if !c.of(r, n, path) {
			return nil
		}
	} else if as := n.Get("as"); as.Kind() != strictyaml.Missing {
		c.p.AddHint(as.Pos(), "say of what the object is made: of: expression", "as without of")
	}
	if w := n.Get("when"); w.Kind() != strictyaml.Missing {
		cond, _ := c.expression(w, "when", kBool)
		r.when = cond.part
		if !optional && name != "" {
			c.p.AddHint(pos, "write "+name+"?: {when: …, set: …}", "%s can be left out by its condition, but is not optional", path)
		}
	}
	out.rule = r
	o := &open{rule: r, out: out, shape: shape, path: path, pos: n.KeyPos("set")}
	c.set(n.Get("set"), o)
	c.finishObject(o)
	out.done = false // until the whole field is there
	return r
}

// of compiles what an object is made of, and goes into its scope.
func (c *compiler) of(r *rule, n strictyaml.Node, path string) bool {
	done := c.copying.into(elementsOf(path))
	from, ok := c.expression(n.Get("of"), "of", kObject)
	done()
	r.value = from.part
	t := anyType
	if ok {
		t = from.t
		t.k &^= kNull
	}
	r.depth = len(c.scope.items)
	c.scope = c.scope.inside(c.elementName(n), t, c.scope.this)
	c.copying.lists = append(c.copying.lists, elementsOf(path))
	c.layout.depth = max(c.layout.depth, len(c.scope.items))
	return ok
}

// elementName is the name that `as` gives.
func (c *compiler) elementName(n strictyaml.Node) string {
	a := n.Get("as")
	if a.Kind() == strictyaml.Missing {
		return ""
	}
	as := a.Text()
	if !isName(as) || c.nameTaken(as) {
		c.p.AddHint(a.Pos(), "choose another name", "%q cannot name the element", as)
	}
	return as
}

// items compiles a list that is written out.
func (c *compiler) items(name string, n strictyaml.Node, pos strictyaml.Pos, shape schema.Shape, path string, out *output) *rule {
	r := newRule(listRule, name, pos)
	if k := shapeKinds(shape); k&kList == 0 {
		c.p.Add(pos, "%s is %s in %s, not a list", path, (k & kSome).a(), c.targetName)
		shape = c.unknown
	}
	item := shape.Item()
	elem := typ{k: kAll, open: true}
	for i, v := range n.Items() {
		inner := &output{parent: out.parent}
		o := &open{path: path + "[]"}
		var child *rule
		if v.Kind() == strictyaml.Map && v.Has("each") {
			c.p.AddHint(v.Pos(), "set the whole list by each, or join lists with flatten()", "an item of a list is an expression or {set: …}")
		} else {
			child = c.value(o, "", false, v, v.Pos(), item, inner)
		}
		if child == nil {
			continue
		}
		child.nullable = shapeKinds(item)&kNull != 0
		inner.rule = child
		r.children = append(r.children, child)
		if t := inner.typ(); i == 0 {
			elem = t
		} else {
			elem = union(elem, t)
		}
	}
	out.t = listOf(elem)
	return r
}

// typedPart is a part with its type.
type typedPart struct {
	part
	t typ
}

// expression compiles the expression at a word of the language (each, where, when), which must be of kind k.
func (c *compiler) expression(n strictyaml.Node, word string, k kinds) (typedPart, bool) {
	out := typedPart{part: part{op: newLit(nil), node: n}, t: anyType}
	if n.Kind() != strictyaml.Scalar || n.Quoted() {
		c.p.AddHint(n.Pos(), "a plain or block text is an expression, a quoted one is literal", "%s must be an expression that gives %s", word, k.a())
		return out, false
	}
	x, ok := c.compileNode(n)
	out.t = x.t
	if !ok {
		return out, false
	}
	if x.t.never(k) || x.t.k&kSome == 0 {
		c.p.Add(n.Pos(), "%s must give %s, and this is %s", word, k.a(), x.t.k.a())
		return out, false
	}
	out.op, out.cost = x.op, c.cost()
	return out, true
}

func isName(s string) bool {
	for i, r := range s {
		if r != '_' && !(r >= 'a' && r <= 'z') && !(r >= 'A' && r <= 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
