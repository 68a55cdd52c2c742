package mapping

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// retired are functions that people look for and that are missing for a reason.
var retired = map[string]string{
	"now": "a mapping has no clock: the same document must always give the same result; event.time is when the change happened",
	"env": "a mapping has no environment", "random": "a mapping has no randomness", "uuid": "uuid5() gives the same id for the same thing",
	"if": "write choose(condition, then, otherwise)", "coalesce": "write a ?? b", "int": "write num()", "float": "write num()", "string": "write text()",
	"reduce": "sum(), total() and count() are there", "groupBy": "", "findIndex": "", "findLast": "last(filter(…))", "findLastIndex": "",
	"toUpper": "write upper()", "toLower": "write lower()", "today": "a mapping has no clock", "age": "a mapping has no clock: how old something is, only business rules can ask",
}

func (c *compiler) call(n *ast.CallNode) code {
	ident, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return c.fail(n, "functions stand before their arguments: trim(x), not x.trim()", "values have no methods")
	}
	name := ident.Value
	if alias := aliases[name]; alias != "" {
		name = alias
	}
	switch name {
	case "choose":
		if len(n.Arguments) != 3 {
			return c.fail(n, "choose(condition, then, otherwise)", "choose takes 3 arguments, not %d", len(n.Arguments))
		}
		return c.choose(n, n.Arguments[0], n.Arguments[1], n.Arguments[2])
	case "header":
		return c.header(n)
	}
	if fn := library[name]; fn != nil {
		return c.invoke(fn, n, n.Arguments)
	}
	if fn := clockLibrary[name]; fn != nil && c.scope.clock {
		return c.invoke(fn, n, n.Arguments)
	}
	if why, ok := retired[name]; ok {
		return c.fail(n, why, "there is no function %q", name)
	}
	names := Functions()
	if c.scope.clock {
		names = append(names, ClockFunctions()...)
	}
	return c.fail(n, didYouMean(name, names), "there is no function %q", name)
}

// invoke compiles a call of a library function.
func (c *compiler) invoke(fn *function, n ast.Node, arguments []ast.Node) code {
	call := &callInfo{fn: fn, offset: c.offset(n)}
	var fr free
	all := true
	for _, a := range arguments {
		x := c.walk(a)
		if fn == library["concat"] {
			x = c.told(x)
		}
		all = c.direct(&x) && all
		call.args = append(call.args, x)
		call.places = append(call.places, c.offset(a))
		fr = fr.or(x.free)
	}
	if !c.checkArguments(call) {
		return poison()
	}
	if fn.prepare != nil {
		call.site = fn.prepare(c, call)
	}
	if call.site == nil {
		call.site = &site{}
	}
	t := fn.result(call.args)
	if call.site.values != nil && call.site.ready {
		t.lits, _ = call.site.values.results(fn.name, call.site.system)
		t.some = true
	}
	if all {
		if fn.direct != nil {
			if o := fn.direct(c, call); o != nil {
				return code{t: t, free: fr, op: o}
			}
		}
		o := &callOp{fn: fn, site: call.site, tmp: c.layout.reg(), at: call.offset}
		for _, x := range call.args {
			o.args = append(o.args, x.op)
		}
		return code{t: t, free: fr, op: o}
	}
	var nodes []ast.Node
	for _, x := range call.args {
		nodes = append(nodes, c.machine(x))
	}
	return code{t: t, free: fr, vm: c.native(func(f *frame, args ...any) (any, error) {
		x, err := fn.call(f, call.site, args)
		return x, at(call.offset, err)
	}, nodes...)}
}

// checkArguments checks number and types of the arguments.
func (c *compiler) checkArguments(call *callInfo) bool {
	fn := call.fn
	switch n := len(call.args); {
	case n < fn.required, n > len(fn.params) && !fn.variadic:
		c.problem(call.offset, "it is "+fn.signature(), "%s takes %s, not %d", fn.name, fn.arity(), n)
		return false
	}
	ok := true
	for i, a := range call.args {
		p := &fn.params[min(i, len(fn.params)-1)]
		switch {
		case a.t.never(p.k):
			c.problem(call.at(i), strings.Trim(conversion(p.k, a.t.k), " ()"), "%s wants %s as %s, and this is %s", fn.name, p.k.a(), p.name, (a.t.k & kSome).a())
			ok = false
		case a.t.k&kSome == 0 && p.mode == needs:
			c.problem(call.at(i), "", "%s needs %s, and this is null", fn.name, p.name)
			ok = false
		case p.literal && a.lit == nil:
			c.problem(call.at(i), "write the text itself: it is checked when the mapping is loaded", "%s of %s must be a literal text", p.name, fn.name)
			ok = false
		}
	}
	return ok
}

func (fn *function) arity() string {
	word := "arguments"
	if fn.required == 1 && len(fn.params) == 1 && !fn.variadic {
		word = "argument"
	}
	switch {
	case fn.variadic:
		return fmt.Sprintf("%d or more %s", fn.required, word)
	case fn.required == len(fn.params):
		return fmt.Sprintf("%d %s", fn.required, word)
	}
	return fmt.Sprintf("%d to %d %s", fn.required, len(fn.params), word)
}

// signature writes the call's form: time(x[, layout[, zone]]).
func (fn *function) signature() string {
	var b strings.Builder
	b.WriteString(fn.name)
	b.WriteByte('(')
	for i, p := range fn.params {
		if i >= fn.required {
			b.WriteByte('[')
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p.name)
	}
	if fn.variadic {
		b.WriteString("…")
	}
	b.WriteString(strings.Repeat("]", len(fn.params)-fn.required))
	b.WriteByte(')')
	return b.String()
}

// header compiles header("name"), where the place has headers.
func (c *compiler) header(n *ast.CallNode) code {
	if !c.scope.headers {
		return c.fail(n, "the request is over when a mapping runs; put what matters into the document or delivery-id", "header() is only for expressions about a request")
	}
	if len(n.Arguments) != 1 {
		return c.fail(n, `header("webhook-id")`, "header takes 1 argument, not %d", len(n.Arguments))
	}
	name, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		return c.fail(n.Arguments[0], `header("webhook-id")`, "the header's name must be a literal text")
	}
	return code{t: textType.maybe(), op: opFunc(func(f *frame, v *val) error {
		v.k = vAbsent
		if s := findHeader(f.in.Headers, name.Value); s != "" {
			v.setText([]byte(s), false)
		}
		return nil
	})}
}

// findHeader ignores the case of names; of several that differ in case only, the first in order of bytes counts.
func findHeader(headers map[string]string, name string) string {
	if s, ok := headers[name]; ok {
		return s
	}
	found := ""
	for k := range headers {
		if strings.EqualFold(k, name) && (found == "" || k < found) {
			found = k
		}
	}
	return headers[found]
}

// predicate compiles the functions that look at each element of a list.
func (c *compiler) predicate(n *ast.BuiltinNode) code {
	if !predicates[n.Name] {
		return c.fail(n, retired[n.Name], "there is no function %q", n.Name)
	}
	if len(n.Arguments) == 1 {
		if fn := library[n.Name]; fn != nil {
			return c.invoke(fn, n, n.Arguments) // sum(list), count(list)
		}
	}
	if len(n.Arguments) < 2 {
		return c.fail(n, n.Name+"(list, condition)", "%s takes a list and what to do with each element", n.Name)
	}
	body, ok := n.Arguments[1].(*ast.PredicateNode)
	if !ok {
		return c.fail(n, "", "%s takes what to do with each element", n.Name)
	}
	l := c.walk(n.Arguments[0])
	if l.t.never(kList) {
		return c.fail(n.Arguments[0], "", "%s wants a list, and this is %s", n.Name, (l.t.k & kSome).a())
	}
	c.elements = append(c.elements, l.t.item())
	c.layout.predicates = max(c.layout.predicates, len(c.elements))
	b := c.walk(body.Node)
	c.elements = c.elements[:len(c.elements)-1]
	order := ""
	if n.Name == "sortBy" && len(n.Arguments) > 2 {
		s, ok := n.Arguments[2].(*ast.StringNode)
		if !ok || s.Value != "asc" && s.Value != "desc" {
			return c.fail(n.Arguments[2], `write "asc" or "desc"`, "this is not an order")
		}
		order = s.Value
	}
	return c.loop(n, body, l, b, order)
}
