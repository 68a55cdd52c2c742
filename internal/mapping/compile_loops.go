package mapping

import (
	"fmt"

	"github.com/expr-lang/expr/ast"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// loop compiles a function over the elements of a list, whose conditions and values are b. An absent list gives an absent result, but for
// conditions, which must be true or false.
func (c *compiler) loop(n *ast.BuiltinNode, body *ast.PredicateNode, l, b code, order string) code {
	out := code{t: boolType, free: l.free.or(free{lets: b.free.lets})}
	condition := false
	switch n.Name {
	case "all", "any", "none", "one":
		condition = true
	case "filter", "sortBy":
		out.t = l.t
	case "find":
		out.t = l.t.item().maybe()
	case "map":
		out.t = listOf(b.t)
	case "count", "sum":
		out.t = numberType
	}
	switch n.Name {
	case "sum":
		if b.t.never(kNumber) {
			return c.fail(body.Node, "", "sum adds up numbers, and this is %s", (b.t.k & kSome).a())
		}
	case "sortBy":
		if b.t.never(kPlain) {
			return c.fail(body.Node, "", "sortBy needs numbers or texts to sort by, and this is %s", (b.t.k & kSome).a())
		}
	case "map":
	default:
		c.wantBool(b, body.Node)
	}
	if !condition {
		out.t.k |= l.t.k & kNull
	}
	if c.direct(&l, &b) {
		o := &loopOp{function: n.Name, list: l.op, body: b.op, order: order, condition: condition, depth: len(c.elements), tmp: c.layout.reg(), at: c.offset(n), inner: c.offset(body.Node)}
		o.cost = 1 + c.size(body)/4
		out.op = o
	} else {
		out.vm = c.machineLoop(n, body, l, b, order, condition)
	}
	return out
}

// size is of how many parts something consists.
func (c *compiler) size(n ast.Node) int {
	var count counter
	ast.Walk(&n, &count)
	return int(count)
}

type counter int

func (c *counter) Visit(*ast.Node) { *c++ }

// machineLoop is the machine's form of a loop.
func (c *compiler) machineLoop(n *ast.BuiltinNode, body *ast.PredicateNode, l, b code, order string, condition bool) ast.Node {
	where, inner := c.offset(n), c.offset(body.Node)
	name := fmt.Sprintf("$list%d", len(c.fns))
	listNode := func() ast.Node { return &ast.IdentifierNode{Value: name} }
	each := func(builtin string, body ast.Node) ast.Node {
		return &ast.BuiltinNode{Name: builtin, Arguments: []ast.Node{listNode(), &ast.PredicateNode{Node: body}}}
	}
	var out ast.Node
	switch n.Name {
	case "all", "any", "none", "one", "filter", "find":
		out = each(n.Name, c.condition(b, inner))
	case "map":
		out = each("map", c.machine(b))
	case "count":
		out = c.native(func(_ *frame, args ...any) (any, error) {
			return jsondoc.FromInt(int64(args[0].(int))), nil
		}, each("count", c.condition(b, inner)))
	case "sum":
		out = c.native(func(_ *frame, args ...any) (any, error) {
			d, err := boxed(sum(args[0].([]any), "sum"))
			return d, at(where, err)
		}, each("map", c.machine(b)))
	case "sortBy":
		out = c.native(func(_ *frame, args ...any) (any, error) {
			sorted, err := sortBy(args[0].([]any), args[1].([]any), order)
			if err != nil {
				return nil, at(where, err)
			}
			return sorted, nil
		}, listNode(), each("map", c.machine(b)))
	}
	if !condition {
		out = &ast.ConditionalNode{
			Cond: c.native(func(_ *frame, args ...any) (any, error) { return args[0] == nil, nil }, listNode()),
			Exp1: &ast.NilNode{}, Exp2: out,
		}
	}
	function := n.Name
	return &ast.VariableDeclaratorNode{
		Name: name,
		Value: c.native(func(f *frame, args ...any) (any, error) {
			switch x := args[0].(type) {
			case []any:
				return x, at(where, f.spend(len(x)))
			case nil:
				if !condition {
					return nil, nil
				}
				return nil, at(where, absentList(function))
			default:
				return nil, at(where, noList(function, x))
			}
		}, c.machine(l)),
		Expr: out,
	}
}

func absentList(function string) error {
	return fmt.Errorf("%s: the list is absent: give a default with `?? []`", function)
}

func noList(function string, x any) error {
	return fmt.Errorf("%s wants a list, not %s", function, describe(x))
}

// pointer is the current element (#, or what stands before .field) or its position (#index).
func (c *compiler) pointer(n *ast.PointerNode) code {
	if len(c.elements) == 0 {
		return c.fail(n, "", "# stands only inside filter(), map() and the like")
	}
	switch n.Name {
	case "":
		x := code{t: c.elements[len(c.elements)-1], free: free{element: len(c.elements)}, vm: &ast.PointerNode{}}
		if !c.forced {
			x.op = elementOp{len(c.elements) - 1}
		}
		return x
	case "index":
		x := code{t: numberType, free: free{element: len(c.elements)}, vm: c.native(func(_ *frame, args ...any) (any, error) {
			return jsondoc.FromInt(int64(args[0].(int))), nil
		}, &ast.PointerNode{Name: "index"})}
		if !c.forced {
			x.op = positionOp{len(c.elements) - 1}
		}
		return x
	}
	return c.fail(n, "there are # and #index", "unknown name #%s", n.Name)
}

// let compiles `let x = …; …`.
func (c *compiler) let(n *ast.VariableDeclaratorNode) code {
	value := c.walk(n.Value)
	switch {
	case c.letCount == 64:
		return c.fail(n, "", "an expression has at most 64 variables")
	case c.nameTaken(n.Name):
		return c.fail(n, "choose another name", "%q has a meaning already", n.Name)
	}
	v := letVar{name: n.Name, t: value.t, id: 1 << c.letCount, reg: -1}
	c.letCount++
	if c.direct(&value) {
		v.reg = c.layout.reg()
	}
	c.lets = append(c.lets, v)
	body := c.walk(n.Expr)
	c.lets = c.lets[:len(c.lets)-1]
	fr := value.free.or(free{element: body.free.element, lets: body.free.lets &^ v.id})
	if v.reg >= 0 && c.direct(&body) {
		return code{t: body.t, free: fr, op: &letOp{value: value.op, reg: v.reg, body: body.op}}
	}
	given := c.machine(value)
	if v.reg >= 0 { // parts of the body that have a direct form look for it there
		given = c.native(func(f *frame, args ...any) (any, error) {
			f.regs[v.reg].setAny(args[0])
			return args[0], nil
		}, given)
	}
	return code{t: body.t, free: fr, vm: &ast.VariableDeclaratorNode{Name: n.Name, Value: given, Expr: c.machine(body)}}
}

// letOp gives a variable its value, and then what stands behind it; letRef is the variable.
type (
	letOp struct {
		value, body op
		reg         int
	}
	letRef struct{ reg int }
)

func (o *letOp) eval(f *frame, v *val) error {
	if err := o.value.eval(f, &f.regs[o.reg]); err != nil {
		return err
	}
	return o.body.eval(f, v)
}

func (o letRef) eval(f *frame, v *val) error {
	*v = f.regs[o.reg]
	return nil
}
