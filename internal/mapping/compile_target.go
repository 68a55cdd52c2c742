package mapping

import (
	"slices"

	"github.com/expr-lang/expr/ast"
)

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
	c.readsOf(c.top).add(c.readsOf(p.out.top()))
	c.copying.readTarget(p.out.way())
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

const eventHint = "event has id, key, hub, entity, operation, version, origin, source and time"

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
