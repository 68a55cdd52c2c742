package mapping

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

type ruleKind uint8

const (
	leafRule   ruleKind = iota // one value: an expression or literal text
	objectRule                 // fields of an object
	eachRule                   // a list, one element for each of another
	listRule                   // a list, written out
)

// rule sets one field of the target.
type rule struct {
	kind ruleKind
	name string
	key  []byte // the name with its colon, as JSON
	// pos is where the key stands.
	pos      strictyaml.Pos
	optional bool
	nullable bool // the target allows null
	capture  int  // where its value is kept for later rules, or -1
	acc      int  // the accumulator of its values, or -1

	value part // leaf: the value; each: the list; object: what it is made of
	when  part // object: whether it is there; each: which elements count
	json  []byte
	// implicit: an object of dotted keys; it is there when one of its fields is.
	implicit bool
	children []*rule // fields of an object, of an element, or elements
	depth    int
	sums     []int // accumulators to begin with each list

	// part is what the target's schema says of the value, room how many lists and objects deep it may nest, low and high how many elements an each may have
	// (-1: without bound); where the mapping's results are judged as they are written.
	part            schema.Part
	room, low, high int
}

// part is one compiled expression and where it stands.
type part struct {
	op   op
	node strictyaml.Node
	// cost is about how many steps one evaluation takes, besides those that depend on the document.
	cost int
}

func newRule(kind ruleKind, name string, pos strictyaml.Pos) *rule {
	r := &rule{kind: kind, name: name, pos: pos, capture: -1, acc: -1}
	if name != "" {
		r.key = append(jsondoc.AppendString(nil, name), ':')
	}
	return r
}

// vanishes reports whether the field may be left out.
func (r *rule) vanishes() bool {
	if r.kind == objectRule && r.implicit {
		return !slices.ContainsFunc(r.children, func(c *rule) bool { return !c.vanishes() })
	}
	return r.optional
}

// open is an object whose fields are being compiled.
type open struct {
	rule  *rule
	out   *output
	shape schema.Shape
	path  string // dotted, for messages
	pos   strictyaml.Pos
}

func (o *open) join(name string) string {
	if o.path == "" || name == "" {
		return o.path + name
	}
	return o.path + "." + name
}

// set compiles the rules of one `set` into the object o.
func (c *compiler) set(node strictyaml.Node, o *open) {
	if node.Kind() != strictyaml.Map || len(node.Fields()) == 0 {
		c.p.AddHint(node.Pos(), "write field: expression", "set needs rules")
		return
	}
	stack := []*open{o}
	for _, f := range node.Fields() {
		names, optional, ok := c.splitKey(f)
		if !ok {
			continue
		}
		if o.path == "" {
			c.top = names[0]
		}
		// Objects that the key does not continue are finished.
		depth := 0
		for depth+1 < len(stack) && depth+1 < len(names) && stack[depth+1].rule.name == names[depth] {
			depth++
		}
		c.finishObjects(stack[depth+1:])
		stack = stack[:depth+1]
		for ok && len(stack) < len(names) {
			next := c.openObject(stack[len(stack)-1], names[len(stack)-1], keyPos(f, names, len(stack)-1))
			if ok = next != nil; ok {
				stack = append(stack, next)
			}
		}
		if ok {
			c.field(stack[len(stack)-1], names[len(names)-1], optional, f, keyPos(f, names, len(names)-1))
		}
	}
	c.finishObjects(stack[1:])
}

func (c *compiler) finishObjects(list []*open) {
	for i := len(list) - 1; i >= 0; i-- {
		c.finishObject(list[i])
	}
}

// splitKey reads a key: dotted names, and `?` behind an optional one. Names may hold blanks, as those of Siebel's fields do.
func (c *compiler) splitKey(f strictyaml.Field) (names []string, optional, ok bool) {
	key, optional := strings.CutSuffix(f.Key, "?")
	names = strings.Split(key, ".")
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, "?[]") || strings.TrimSpace(name) != name {
			c.p.AddHint(f.KeyPos, "a key is a name, or names separated by dots, and `?` at its end makes the rule optional", "%q is not the name of a field", f.Key)
			return nil, false, false
		}
	}
	return names, optional, true
}

// keyPos is where name i of a dotted key stands.
func keyPos(f strictyaml.Field, names []string, i int) strictyaml.Pos {
	pos := f.KeyPos
	for _, name := range names[:i] {
		pos.Col += utf8.RuneCountInString(name) + 1
	}
	return pos
}

// openObject begins the object of dotted keys.
func (c *compiler) openObject(parent *open, name string, pos strictyaml.Pos) *open {
	if before := parent.out.find(name); before != nil {
		if before.rule.kind == objectRule && before.rule.implicit {
			c.p.AddHint(pos, "move it to the other rules of "+parent.join(name), "the rules of %s do not stand together", parent.join(name))
		} else {
			c.p.AddHint(pos, "set it as a whole or field by field", "%s is set as a whole above", parent.join(name))
		}
		return nil
	}
	shape, ok := c.targetField(parent, name, pos)
	if !ok {
		return nil
	}
	if k := shapeKinds(shape); k&kObject == 0 {
		c.p.Add(pos, "%s is %s in %s: it has no fields", parent.join(name), (k & kSome).a(), c.targetName)
		return nil
	}
	r := newRule(objectRule, name, pos)
	r.implicit = true
	out := &output{name: name, rule: r, parent: parent.out}
	parent.rule.children = append(parent.rule.children, r)
	parent.out.fields = append(parent.out.fields, out)
	return &open{rule: r, out: out, shape: shape, path: parent.join(name), pos: pos}
}

// targetField is the shape of a field that a rule sets; what the schema does not declare is a problem.
func (c *compiler) targetField(parent *open, name string, pos strictyaml.Pos) (schema.Shape, bool) {
	shape, state := parent.shape.Field(name)
	names := parent.shape.Fields()
	if state == schema.Declared || state == schema.Open && len(names) == 0 {
		return shape, true
	}
	c.p.AddHint(pos, orElse(strictyaml.DidYouMean(name, names), "its fields are "+listed(names)), "%s has no field %q", c.placeIn(parent), name)
	return shape, false
}

// placeIn names an object of the target.
func (c *compiler) placeIn(o *open) string {
	if o.path == "" {
		return c.targetName
	}
	return o.path + " in " + c.targetName
}

// finishObject marks an object as standing above, and looks for what the schema requires and no rule sets.
func (c *compiler) finishObject(o *open) {
	o.out.done = true
	o.out.optional = o.rule.vanishes()
	for _, name := range o.shape.Required() {
		i := slices.IndexFunc(o.rule.children, func(r *rule) bool { return r.name == name })
		if i < 0 {
			c.p.AddHint(o.pos, "add a rule for it", "%s requires %q, and no rule sets it", c.placeIn(o), name)
			continue
		}
		r := o.rule.children[i]
		if !r.vanishes() {
			continue
		}
		if o.out.parent != nil && o.rule.vanishes() && len(o.rule.children) == 1 && o.rule.when.op == nil {
			continue // it goes together with the object
		}
		if r.kind == objectRule && r.implicit {
			c.p.AddHint(r.pos, "let one of its rules always set something", "%s requires %q, and all its rules are optional", c.placeIn(o), name)
			continue
		}
		c.p.AddHint(r.pos, "drop the `?`, or give a default with `??`; an optional object as a whole is `name?: {when: …, set: …}`", "%s requires %q, and its rule is optional", c.placeIn(o), name)
	}
}

// field compiles one rule into the object o.
func (c *compiler) field(o *open, name string, optional bool, f strictyaml.Field, pos strictyaml.Pos) {
	if before := o.out.find(name); before != nil {
		c.p.AddHint(pos, "keep one of the two", "%s is set twice", o.join(name))
		return
	}
	shape, ok := c.targetField(o, name, pos)
	if !ok {
		shape = c.unknown
	}
	out := &output{name: name, parent: o.out, optional: optional}
	r := c.value(o, name, optional, f.Value, pos, shape, out)
	if r == nil {
		r = newRule(leafRule, name, pos) // so that the field counts as set
		r.value.op = newLit(nil)
	}
	r.optional = optional
	r.nullable = shapeKinds(shape)&kNull != 0
	if optional {
		out.t.k |= kNull
	}
	out.rule, out.done = r, true
	o.rule.children = append(o.rule.children, r)
	o.out.fields = append(o.out.fields, out)
}

// value compiles what stands behind a key, or an item of a list; nil when it is unusable.
func (c *compiler) value(o *open, name string, optional bool, n strictyaml.Node, pos strictyaml.Pos, shape schema.Shape, out *output) *rule {
	path := o.join(name)
	switch n.Kind() {
	case strictyaml.Scalar:
		return c.leaf(name, n, pos, shape, path, out)
	case strictyaml.List:
		return c.items(name, n, pos, shape, path, out)
	case strictyaml.Map:
		switch {
		case n.Has("each"):
			return c.each(name, n, pos, shape, path, out)
		case n.Has("set"), n.Has("of"):
			return c.block(name, optional, n, pos, shape, path, out)
		}
		c.p.AddHint(n.Pos(), "objects are set by dotted keys ("+path+".field: …) or by {set: …}, lists by {each: …, set: …}", "this is no rule for %s", path)
		return nil
	}
	c.p.AddHint(pos, `write nil for JSON's null, "" for an empty text`, "%s has no expression", path)
	return nil
}

func (c *compiler) leaf(name string, n strictyaml.Node, pos strictyaml.Pos, shape schema.Shape, path string, out *output) *rule {
	done := c.copying.into(path)
	x, ok := c.compileNode(n)
	done()
	out.t = x.t
	if !ok {
		return nil
	}
	c.assign(x.t, shape, n, path, 0)
	r := newRule(leafRule, name, pos)
	r.value = part{op: x.op, node: n, cost: c.cost()}
	if x.lit != nil {
		r.json = x.lit.json
		if x.lit.any == nil {
			r.json = nil
		}
	}
	return r
}
