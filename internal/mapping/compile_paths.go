package mapping

import (
	"fmt"
	"slices"

	"github.com/expr-lang/expr/ast"
)

// scope is what an expression can refer to.
type scope struct {
	source  typ
	items   []itemVar
	root    *output // what the target has above; nil outside of mappings
	this    *output // what the object that is being built has above
	headers bool
	// names, where not nil, stand in place of source: each is a member of the document that the expression works on.
	names map[string]named
	// clock allows the functions about the time at which the expression runs.
	clock bool
}

// named is one name of an expression over several documents.
type named struct {
	member string
	t      typ
}

// itemVar is the element of an each around the expression.
type itemVar struct {
	name string // given with `as`, or empty
	t    typ
}

// inside is s within an each over elements of type t.
func (s *scope) inside(name string, t typ, this *output) *scope {
	in := *s
	in.items = append(slices.Clip(s.items), itemVar{name, t})
	in.this = this
	return &in
}

// path is a chain of fields from a name.
type path struct {
	name  string // as written, for messages
	scope int    // 0: the source; i+1: the element at depth i
	out   *output
	steps []step
	t     typ
	at    int
}

func (c *compiler) identifier(n *ast.IdentifierNode) code {
	name := n.Value
	if x, ok := c.span(n); ok {
		return x
	}
	for i := len(c.lets) - 1; i >= 0; i-- {
		if v := c.lets[i]; v.name == name {
			x := code{t: v.t, free: free{lets: v.id}, vm: &ast.IdentifierNode{Value: name}}
			if v.reg >= 0 {
				x.op = letRef{v.reg}
			}
			return x
		}
	}
	for i := len(c.scope.items) - 1; i >= 0; i-- {
		if v := c.scope.items[i]; name == v.name && name != "" || name == "item" && i == len(c.scope.items)-1 {
			return code{path: &path{name: name, scope: i + 1, t: v.t}}
		}
	}
	if v, ok := c.scope.names[name]; ok {
		return code{path: &path{name: name, steps: []step{{name: v.member}}, t: v.t}}
	}
	switch name {
	case "source", "data":
		return code{path: &path{name: name, t: c.scope.source}}
	case "target", "this":
		if c.scope.root == nil {
			return c.fail(n, "", "%s is only for mappings", name)
		}
		out := c.scope.root
		if name == "this" {
			out = c.scope.this
		}
		return code{path: &path{name: name, out: out, at: c.offset(n)}}
	case "item", "index":
		if len(c.scope.items) == 0 {
			return c.fail(n, "", "%s is only for rules inside each", name)
		}
		return code{t: numberType, op: indexOp{len(c.scope.items) - 1}}
	case "event":
		return c.fail(n, eventHint, "event is no value: name one of its attributes")
	case "null":
		return litCode(nil)
	}
	hint := ""
	switch {
	case library[name] != nil || predicates[name] || c.scope.clock && clockLibrary[name] != nil:
		hint = "a function needs its arguments: " + name + "(…)"
	case len(c.scope.items) > 0 && slices.Contains(c.scope.items[len(c.scope.items)-1].t.fieldNames(), name):
		hint = "did you mean item." + name + "?"
	case slices.Contains(c.scope.source.fieldNames(), name):
		hint = "did you mean source." + name + "?"
	default:
		hint = didYouMean(name, c.names())
	}
	return c.fail(n, orElse(hint, "fields are written source."+name+"; literal text is written in quotes"), "unknown name %q", name)
}

// names are all names in scope.
func (c *compiler) names() []string {
	names := []string{"source", "data", "event"}
	for name := range c.scope.names {
		names = append(names, name)
	}
	if c.scope.root != nil {
		names = append(names, "target", "this")
	}
	for _, v := range c.scope.items {
		if v.name != "" {
			names = append(names, v.name)
		}
	}
	if len(c.scope.items) > 0 {
		names = append(names, "item", "index")
	}
	for _, v := range c.lets {
		names = append(names, v.name)
	}
	return names
}

var reserved = []string{"source", "data", "item", "index", "target", "this", "event", "null", "nil", "true", "false", "let"}

// Reserved reports whether a name means something in expressions already.
func Reserved(name string) bool {
	return slices.Contains(reserved, name) || slices.Contains(Functions(), name) || clockLibrary[name] != nil || slices.Contains([]string{"not", "and", "or", "in"}, name)
}

func (c *compiler) nameTaken(name string) bool {
	return slices.Contains(reserved, name) || slices.Contains(c.names(), name) || library[name] != nil || predicates[name] || name[0] == '$'
}

// member compiles x.field, x["field"] and x[index].
func (c *compiler) member(n *ast.MemberNode) code {
	if ident, ok := n.Node.(*ast.IdentifierNode); ok && ident.Value == "event" {
		return c.event(n)
	}
	s, ok := c.step(n)
	if !ok {
		return poison()
	}
	base := c.part(n.Node)
	if base.bad {
		return poison()
	}
	if base.path != nil && base.path.out != nil {
		return c.target(n, base.path, s)
	}
	if base.path != nil {
		base.t = base.path.t
	}
	t, ok := c.fieldType(n, base, s)
	if !ok {
		return poison()
	}
	if base.path != nil {
		p := *base.path
		p.name = name(p.name, s)
		p.steps = append(slices.Clip(p.steps), s)
		p.t = t
		return code{path: &p}
	}
	if c.direct(&base) {
		a, steps := base.op, []step{s}
		if m, ok := a.(*memberOp); ok {
			a, steps = m.a, append(slices.Clip(m.steps), s)
		}
		return code{t: t, free: base.free, op: &memberOp{a, steps}}
	}
	return code{t: t, free: base.free, vm: c.native(func(_ *frame, args ...any) (any, error) {
		if s.isIndex {
			return element(args[0], s.index), nil
		}
		return member(args[0], s.name), nil
	}, c.machine(base))}
}

func name(base string, s step) string {
	if s.isIndex {
		return fmt.Sprintf("%s[%d]", base, s.index)
	}
	return base + "." + s.name
}

// step reads which field or element a member names.
func (c *compiler) step(n *ast.MemberNode) (step, bool) {
	switch p := n.Property.(type) {
	case *ast.StringNode:
		return step{name: p.Value}, true
	case *ast.IntegerNode:
		return step{index: p.Value, isIndex: true}, true
	case *ast.UnaryNode:
		if i, ok := p.Node.(*ast.IntegerNode); ok && p.Operator == "-" {
			return step{index: -i.Value, isIndex: true}, true
		}
	}
	c.problem(c.offset(n.Property), "find(list, condition) looks an element up; first() and last() give the ends", "a field or position must be written out: it is checked when the mapping is loaded")
	return step{}, false
}

// fieldType is the type of a field or element of base; every problem with it is noted.
func (c *compiler) fieldType(n *ast.MemberNode, base code, s step) (typ, bool) {
	shown := "this"
	if base.path != nil {
		shown = base.path.name
	}
	where := c.offset(n)
	if s.isIndex {
		if base.t.never(kList) {
			c.problem(where, "", "%s is %s: it has no elements", shown, (base.t.k & kSome).a())
			return typ{}, false
		}
		return base.t.item().maybe(), true
	}
	if base.t.never(kObject) {
		hint := ""
		if base.t.known(kList) {
			hint = "a list's fields are reached by each, map() or a position"
		}
		c.problem(where, hint, "%s is %s: it has no fields", shown, (base.t.k & kSome).a())
		return typ{}, false
	}
	t, ok := base.t.field(s.name)
	if !ok {
		names := base.t.fieldNames()
		hint := didYouMean(s.name, names)
		if hint == "" && len(names) == 0 {
			hint = "the schema declares no fields there"
		}
		c.problem(where, orElse(hint, "only what the schema declares can be used"), "%s has no field %q", shown, s.name)
		return typ{}, false
	}
	return t.maybe(), true
}

// finish gives the forms of a whole path.
func (c *compiler) finish(x code) code {
	p := x.path
	if p.out != nil {
		return c.finishTarget(p)
	}
	c.copying.read(p)
	if p.scope == 0 {
		if len(p.steps) > 0 && !p.steps[0].isIndex {
			c.sources[p.steps[0].name] = true
			c.readsOf(c.top).fields[p.steps[0].name] = true
		} else {
			c.whole = true
			c.readsOf(c.top).whole = true
		}
	}
	return code{t: p.t, op: c.pathOp(p.scope, p.steps), path: nil}
}

// pathOp is the direct form of a path in the source or an element.
func (c *compiler) pathOp(scope int, steps []step) op {
	fields := len(steps) > 0 && !slices.ContainsFunc(steps, func(s step) bool { return s.isIndex })
	if !fields {
		return &stepsOp{scope: scope, capture: -1, steps: steps}
	}
	slot := -1
	for _, s := range steps[:len(steps)-1] {
		slot = c.slot(slotDef{parent: slot, scope: scope, name: s.name})
	}
	return &docOp{defs: &c.layout.slots, slot: slot, scope: scope, name: steps[len(steps)-1].name, steps: steps}
}

func (c *compiler) slot(def slotDef) int {
	if i := slices.Index(c.layout.slots, def); i >= 0 {
		return i
	}
	c.layout.slots = append(c.layout.slots, def)
	return len(c.layout.slots) - 1
}
