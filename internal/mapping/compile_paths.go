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

// output is a field of the target and what is known of it: it grows while rules are compiled.
type output struct {
	name     string
	rule     *rule
	t        typ
	fields   []*output
	parent   *output
	done     bool // stands above, wholly
	optional bool
}

func (o *output) find(name string) *output {
	for _, f := range o.fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

func (o *output) names() []string {
	var names []string
	for _, f := range o.fields {
		names = append(names, f.name)
	}
	return names
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

const eventHint = "event has " + "id, key, hub, entity, operation, version, origin, source and time"

func (c *compiler) identifier(n *ast.IdentifierNode) code {
	name := n.Value
	for i := len(c.lets) - 1; i >= 0; i-- {
		if v := c.lets[i]; v.name == name {
			return code{t: v.t, free: free{lets: v.id}, vm: &ast.IdentifierNode{Value: name}}
		}
	}
	for i := len(c.scope.items) - 1; i >= 0; i-- {
		if v := c.scope.items[i]; name == v.name && name != "" || name == "item" && i == len(c.scope.items)-1 {
			return code{path: &path{name: name, scope: i + 1, t: v.t}}
		}
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
	case library[name] != nil || predicates[name]:
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
		a := base.op
		return code{t: t, op: opFunc(func(f *frame, v *val) error {
			if err := a.eval(f, v); err != nil {
				return err
			}
			from := *v
			return walkVal(f, &from, []step{s}, v)
		})}
	}
	return code{t: t, free: base.free, vm: c.native(func(args ...any) (any, error) {
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
	if p.scope == 0 {
		if len(p.steps) > 0 && !p.steps[0].isIndex {
			c.sources[p.steps[0].name] = true
		} else {
			c.whole = true
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

// target extends a path in the target: to a field that stands above.
func (c *compiler) target(n *ast.MemberNode, p *path, s step) code {
	where := c.offset(n)
	q := *p
	q.name, q.at = name(p.name, s), where
	if len(p.steps) == 0 && p.out.rule.kind == objectRule {
		if s.isIndex {
			return c.fail(n, "", "%s is an object: it has no elements", p.name)
		}
		next := p.out.find(s.name)
		if next == nil {
			hint := "target refers only to what stands above"
			if s := didYouMean(s.name, p.out.names()); s != "" {
				hint = s[:len(s)-1] + "? " + hint
			}
			c.problem(where, hint, "%s is not set above", q.name)
			return poison()
		}
		q.out = next
		return code{path: &q}
	}
	t := p.t
	if len(p.steps) == 0 {
		t = p.out.t
	}
	ft, ok := c.fieldType(n, code{t: t, path: p}, s)
	if !ok {
		return poison()
	}
	q.steps, q.t = append(slices.Clip(p.steps), s), ft
	return code{path: &q}
}

// finishTarget gives the form of a path in the target. The rule that sets it is told to keep its place in the output.
func (c *compiler) finishTarget(p *path) code {
	if !p.out.done {
		if p.out.parent == nil {
			c.problem(p.at, "name the field that you mean", "%s as a whole is not finished here", p.name)
		} else {
			c.problem(p.at, "", "%s is not finished here: it stands around this rule", p.name)
		}
		return poison()
	}
	t := p.t
	if len(p.steps) == 0 {
		t = p.out.typ()
	}
	return code{t: t, path: nil, op: &stepsOp{capture: c.keep(p.out.rule), steps: p.steps}}
}

// typ is the type of a field of the target: of its rule, or of the object that several rules build.
func (o *output) typ() typ {
	t := o.t
	if o.rule.kind != objectRule {
		return t
	}
	t = typ{k: kObject, fields: map[string]typ{}}
	if o.optional {
		t.k |= kNull
	}
	for _, f := range o.fields {
		t.fields[f.name] = f.typ()
	}
	return t
}

var eventAttributes = map[string]func(in *Input) string{
	"id":        func(in *Input) string { return in.Event.ID },
	"key":       func(in *Input) string { return in.Event.Key },
	"hub":       func(in *Input) string { return in.Event.Hub },
	"entity":    func(in *Input) string { return in.Event.Entity },
	"operation": func(in *Input) string { return string(in.Event.Operation) },
	"version":   func(in *Input) string { return in.Event.Version },
	"origin":    func(in *Input) string { return in.Event.Origin },
	"source":    func(in *Input) string { return in.Event.Source },
	"time": func(in *Input) string {
		if in.Event.Time.IsZero() {
			return ""
		}
		return formatUTC(in.Event.Time)
	},
}

// event compiles event.attribute; an empty attribute is absent.
func (c *compiler) event(n *ast.MemberNode) code {
	s, ok := c.step(n)
	if !ok {
		return poison()
	}
	get := eventAttributes[s.name]
	if get == nil || s.isIndex {
		names := make([]string, 0, len(eventAttributes))
		for name := range eventAttributes {
			names = append(names, name)
		}
		slices.Sort(names)
		return c.fail(n, orElse(didYouMean(s.name, names), eventHint), "event has no attribute %q", s.name)
	}
	t := textType.maybe()
	t.time = s.name == "time"
	if s.name == "operation" {
		t.lits = []string{"upsert", "delete"}
	}
	return code{t: t, op: opFunc(func(f *frame, v *val) error {
		v.k = vAbsent
		if f.in.Event != nil {
			if s := get(f.in); s != "" {
				v.setText([]byte(s), false)
			}
		}
		return nil
	})}
}

// keep makes a rule remember where its value stands in the output.
func (c *compiler) keep(r *rule) int {
	if r.capture < 0 {
		r.capture = c.layout.caps
		c.layout.caps++
		c.kept[r.capture] = r
	}
	return r.capture
}

// madeByEach gives the capture of a list of the target that each makes, if x is one.
func (c *compiler) madeByEach(x code) (int, bool) {
	o, ok := x.op.(*stepsOp)
	if !ok || o.capture < 0 || len(o.steps) > 0 || c.kept[o.capture].kind != eachRule {
		return 0, false
	}
	return o.capture, true
}

// accumulate arranges that a number of each element is added up while a list of the target is written. It is possible
// where the list is made by each and the field is set by a rule of its own.
func (c *compiler) accumulate(x code, field string) (list, acc int, ok bool) {
	list, ok = c.madeByEach(x)
	if !ok {
		return 0, 0, false
	}
	made := c.kept[list]
	for _, r := range made.children {
		if r.name == field && r.kind == leafRule {
			if r.acc < 0 {
				r.acc = c.layout.accs
				c.layout.accs++
				made.sums = append(made.sums, r.acc)
			}
			return list, r.acc, true
		}
	}
	return 0, 0, false
}
