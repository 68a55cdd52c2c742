package mapping

import (
	"slices"

	"github.com/expr-lang/expr/ast"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// numberLiteral reads the number from the text: the library has made a machine number of it.
func (c *compiler) numberLiteral(n ast.Node) code {
	loc := n.Location()
	if loc.From < 0 || loc.To > len(c.runes) || loc.From >= loc.To {
		return c.fail(n, "", "this number cannot be read")
	}
	text := make([]rune, 0, loc.To-loc.From)
	for _, r := range c.runes[loc.From:loc.To] {
		if r != '_' {
			text = append(text, r)
		}
	}
	d, err := jsondoc.ParseDecimal(string(text))
	if err != nil {
		return c.fail(n, "", "the number %s cannot be read: %v", shorten(string(text)), err)
	}
	x := litCode(d)
	x.t.fraction = !d.IsInt()
	return x
}

func (c *compiler) unary(n *ast.UnaryNode) code {
	a := c.walk(n.Node)
	where := c.offset(n)
	switch n.Operator {
	case "not", "!":
		c.wantBool(a, n.Node)
		if c.direct(&a) {
			return code{t: boolType, free: a.free, op: &notOp{a: a.op, at: where}}
		}
		return code{t: boolType, free: a.free, vm: &ast.UnaryNode{Operator: "not", Node: c.condition(a, where)}}
	case "-", "+":
		if a.t.never(kNumber) {
			return c.fail(n, "", "%s needs a number, and this is %s", n.Operator, (a.t.k & kSome).a())
		}
		if n.Operator == "+" {
			return a
		}
		if a.lit != nil {
			if d, ok := a.lit.any.(jsondoc.Decimal); ok {
				x := litCode(d.Neg())
				x.t.fraction = a.t.fraction
				return x
			}
		}
		t := typ{k: kNumber | a.t.k&kNull}
		if c.direct(&a) {
			return code{t: t, free: a.free, op: &negOp{a: a.op, at: where}}
		}
		return code{t: t, free: a.free, vm: c.native(func(_ *frame, args ...any) (any, error) {
			x, err := negate(args[0])
			return x, at(where, err)
		}, c.machine(a))}
	}
	return c.fail(n, "", "the operator %s is not part of the language", n.Operator)
}

// choose compiles choose(c, a, b) and c ? a : b: only the one that is chosen is evaluated.
func (c *compiler) choose(n, cond, yes, no ast.Node) code {
	x, a, b := c.walk(cond), c.walk(yes), c.walk(no)
	c.wantBool(x, cond)
	t := union(a.t, b.t)
	if c.direct(&x, &a, &b) {
		return code{t: t, free: x.free.or(a.free).or(b.free), op: &ifOp{cond: x.op, a: a.op, b: b.op, at: c.offset(cond)}}
	}
	return code{t: t, free: x.free.or(a.free).or(b.free), vm: &ast.ConditionalNode{
		Cond: c.condition(x, c.offset(cond)), Exp1: c.machine(a), Exp2: c.machine(b),
	}}
}

func (c *compiler) list(n *ast.ArrayNode) code {
	items := make([]code, len(n.Nodes))
	t := typ{k: kList, elem: &typ{k: kAll, open: true}}
	all := true
	var fr free
	for i, e := range n.Nodes {
		items[i] = c.walk(e)
		all = c.direct(&items[i]) && all
		fr = fr.or(items[i].free)
		if i == 0 {
			t.elem = &items[i].t
		} else {
			u := union(*t.elem, items[i].t)
			t.elem = &u
		}
	}
	if all {
		o := &listOp{tmp: c.layout.reg()}
		for _, x := range items {
			o.items = append(o.items, x.op)
		}
		return code{t: t, free: fr, op: o}
	}
	out := &ast.ArrayNode{}
	for _, x := range items {
		out.Nodes = append(out.Nodes, c.machine(x))
	}
	return code{t: t, free: fr, vm: out}
}

func (c *compiler) object(n *ast.MapNode) code {
	t := typ{k: kObject, fields: map[string]typ{}}
	o := &objectOp{}
	var items []code
	all := true
	var fr free
	for _, pair := range n.Pairs {
		pn, ok := pair.(*ast.PairNode)
		if !ok {
			return c.fail(n, "", "this object cannot be read")
		}
		key, ok := pn.Key.(*ast.StringNode)
		if !ok {
			return c.fail(pn.Key, "", "the fields of an object have fixed names")
		}
		if slices.Contains(o.names, key.Value) {
			c.problem(c.offset(pn.Key), "", "the field %q is given twice", key.Value)
		}
		x := c.walk(pn.Value)
		all = c.direct(&x) && all
		fr = fr.or(x.free)
		t.fields[key.Value] = x.t
		o.names = append(o.names, key.Value)
		items = append(items, x)
	}
	if all {
		o.tmp = c.layout.reg()
		for _, x := range items {
			o.items = append(o.items, x.op)
		}
		return code{t: t, free: fr, op: o}
	}
	out := &ast.MapNode{}
	for i, x := range items {
		out.Pairs = append(out.Pairs, &ast.PairNode{Key: &ast.StringNode{Value: o.names[i]}, Value: c.machine(x)})
	}
	return code{t: t, free: fr, vm: out}
}
