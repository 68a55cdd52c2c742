package mapping

import (
	"strings"

	"github.com/expr-lang/expr/ast"
)

// synonyms are other spellings of operators.
var synonyms = map[string]string{"&&": "and", "||": "or", "startsWith": "starts_with", "endsWith": "ends_with"}

func (c *compiler) binary(n *ast.BinaryNode) code {
	operator := n.Operator
	if s := synonyms[operator]; s != "" {
		operator = s
	}
	switch operator {
	case "??":
		return c.coalesce(n)
	case "and", "or":
		return c.logic(n, operator)
	case "+", "-", "*", "/", "%":
		return c.arithmetic(n)
	case "==", "!=", "<", "<=", ">", ">=", "in":
		a, b := c.walk(n.Left), c.walk(n.Right)
		if operator == "in" {
			c.checkIn(n, a, b)
		} else {
			c.checkComparison(n, a, b)
		}
		return c.operator(n, a, b, boolType)
	case "contains", "matches", "starts_with", "ends_with":
		return c.invoke(library[operator], n, []ast.Node{n.Left, n.Right})
	case "**", "^":
		return c.fail(n, "", "powers are not part of the language")
	case "..":
		return c.fail(n, "", "ranges are not part of the language")
	}
	return c.fail(n, "", "the operator %s is not part of the language", n.Operator)
}

// operator gives the forms of a binary operator.
func (c *compiler) operator(n *ast.BinaryNode, a, b code, t typ) code {
	where, name, fr := c.offset(n), n.Operator, a.free.or(b.free)
	if c.direct(&a, &b) {
		if name == "in" {
			if l, ok := b.op.(*listOp); ok && a.t.known(kText) {
				if texts := literalTexts(l); texts != nil {
					return code{t: t, free: fr, op: &amongOp{a: a.op, among: texts, at: where}}
				}
			}
		}
		return code{t: t, free: fr, op: &binOp{operator: name, a: a.op, b: b.op, tmp: c.layout.reg(), at: where}}
	}
	return code{t: t, free: fr, vm: c.native(func(f *frame, args ...any) (any, error) {
		x, err := binary(f, name, args[0], args[1])
		return x, at(where, err)
	}, c.machine(a), c.machine(b))}
}

// literalTexts are the items of a list of literal texts; nil when it is another list.
func literalTexts(l *listOp) []string {
	texts := make([]string, 0, len(l.items))
	for _, item := range l.items {
		lit, ok := item.(*litOp)
		if !ok {
			return nil
		}
		s, ok := lit.any.(string)
		if !ok {
			return nil
		}
		texts = append(texts, s)
	}
	return texts
}

func (c *compiler) coalesce(n *ast.BinaryNode) code {
	return c.orElse(c.walk(n.Left), c.walk(n.Right))
}

// orElse is a, or b where a is absent.
func (c *compiler) orElse(a, b code) code {
	left := a.t
	left.k &^= kNull
	t := b.t
	if left.k != 0 {
		t = union(left, b.t)
		if b.t.k&kNull == 0 {
			t.k &^= kNull
		}
	}
	if c.direct(&a, &b) {
		return code{t: t, free: a.free.or(b.free), op: &elseOp{a: a.op, b: b.op}}
	}
	return code{t: t, free: a.free.or(b.free), vm: &ast.BinaryNode{Operator: "??", Left: c.machine(a), Right: c.machine(b)}}
}

// told is a piece of a text that people read: where it is absent, that is said. Elsewhere it is what it is.
func (c *compiler) told(x code) code {
	if c.absent == "" || x.t.k&kNull == 0 || c.broken {
		return x
	}
	return c.orElse(x, litCode(c.absent))
}

func (c *compiler) logic(n *ast.BinaryNode, operator string) code {
	a, b := c.walk(n.Left), c.walk(n.Right)
	c.wantBool(a, n.Left)
	c.wantBool(b, n.Right)
	if c.direct(&a, &b) {
		return code{t: boolType, free: a.free.or(b.free), op: &logicOp{or: operator == "or", a: a.op, b: b.op, at: c.offset(n)}}
	}
	return code{t: boolType, free: a.free.or(b.free), vm: &ast.BinaryNode{
		Operator: operator, Left: c.condition(a, c.offset(n.Left)), Right: c.condition(b, c.offset(n.Right)),
	}}
}

func (c *compiler) arithmetic(n *ast.BinaryNode) code {
	a, b := c.walk(n.Left), c.walk(n.Right)
	allowed := kNumber
	if n.Operator == "+" {
		allowed = kNumber | kText
	}
	for i, x := range []code{a, b} {
		if x.t.never(allowed) {
			side := []ast.Node{n.Left, n.Right}[i]
			return c.fail(side, strings.Trim(conversion(kNumber, x.t.k), " ()"), "%s needs %s, and this is %s", n.Operator, allowed.a(), (x.t.k & kSome).a())
		}
	}
	if n.Operator == "+" && a.t.k&kSome != 0 && b.t.k&kSome != 0 && a.t.k&b.t.k&allowed == 0 {
		return c.fail(n, "text(x) makes text of a number, num(x) a number of a text", "+ joins two texts or adds two numbers, not %s and %s", (a.t.k & kSome).a(), (b.t.k & kSome).a())
	}
	if n.Operator == "+" && (a.t.k&kSome == kText || b.t.k&kSome == kText) {
		a, b = c.told(a), c.told(b)
	}
	k := a.t.k & b.t.k & allowed
	if k == 0 {
		k = allowed
	}
	return c.operator(n, a, b, typ{k: k | (a.t.k|b.t.k)&kNull})
}

func (c *compiler) checkComparison(n *ast.BinaryNode, a, b code) {
	if c.spanAgainstNumber(n, a, b) {
		return
	}
	ak, bk := a.t.k&kSome, b.t.k&kSome
	order := n.Operator != "==" && n.Operator != "!="
	switch {
	case ak == 0 || bk == 0:
		if order {
			c.problem(c.offset(n), "", "%s cannot compare with null", n.Operator)
		}
		return
	case ak&bk == 0:
		c.problem(c.offset(n), "text(x) makes text of a number, num(x) a number of a text", "%s compares %s with %s", n.Operator, ak.a(), bk.a())
		return
	case order && (ak&kPlain == 0 || bk&kPlain == 0):
		c.problem(c.offset(n), "", "%s compares two numbers or two texts, not %s and %s", n.Operator, ak.a(), bk.a())
		return
	}
	if !order {
		c.checkLiteral(n.Right, a.t, b)
		c.checkLiteral(n.Left, b.t, a)
	}
}

// checkLiteral notes a literal that the other side can never be.
func (c *compiler) checkLiteral(n ast.Node, other typ, x code) {
	if x.lit == nil || other.lits == nil {
		return
	}
	s, ok := x.lit.any.(string)
	if !ok {
		return
	}
	for _, l := range other.lits {
		if l == s {
			return
		}
	}
	c.problem(c.offset(n), orElse(didYouMean(s, other.lits), "it can be "+listed(other.lits)), "the other side is never %q", shorten(s))
}

func (c *compiler) checkIn(n *ast.BinaryNode, a, b code) {
	if b.t.never(kList) {
		c.problem(c.offset(n.Right), "", "in needs a list on its right side, and this is %s", (b.t.k & kSome).a())
		return
	}
	array, ok := n.Right.(*ast.ArrayNode)
	if !ok {
		if item := b.t.item(); a.t.k&kSome != 0 && item.k&kSome != 0 && a.t.k&item.k&kSome == 0 {
			c.problem(c.offset(n), "", "in looks for %s in a list of %s", (a.t.k & kSome).a(), item.k&kSome)
		}
		return
	}
	for _, e := range array.Nodes {
		s, ok := e.(*ast.StringNode)
		if _, number := e.(*ast.IntegerNode); number && a.t.never(kNumber) {
			c.problem(c.offset(e), "", "in looks for %s, and this is a number", (a.t.k & kSome).a())
		}
		if ok && a.t.never(kText) {
			c.problem(c.offset(e), "", "in looks for %s, and this is text", (a.t.k & kSome).a())
		} else if ok {
			c.checkLiteral(e, a.t, litCode(s.Value))
		}
	}
}
