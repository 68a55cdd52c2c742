package mapping

import (
	"fmt"

	"github.com/expr-lang/expr/ast"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// loop gives the machine's form of a function over the elements of a list. An absent list gives an absent result, but for
// conditions, which must be true or false.
func (c *compiler) loop(n *ast.BuiltinNode, body *ast.PredicateNode, l, b code, order string) code {
	where, inner := c.offset(n), c.offset(body.Node)
	fr := l.free.or(free{lets: b.free.lets})
	name := fmt.Sprintf("$list%d", len(c.fns))
	listNode := func() ast.Node { return &ast.IdentifierNode{Value: name} }
	each := func(builtin string, body ast.Node) ast.Node {
		return &ast.BuiltinNode{Name: builtin, Arguments: []ast.Node{listNode(), &ast.PredicateNode{Node: body}}}
	}
	var out ast.Node
	t := boolType
	condition := false
	switch n.Name {
	case "all", "any", "none", "one":
		c.wantBool(b, body.Node)
		condition = true
		out = each(n.Name, c.condition(b, inner))
	case "filter":
		c.wantBool(b, body.Node)
		t = l.t
		out = each("filter", c.condition(b, inner))
	case "find":
		c.wantBool(b, body.Node)
		t = l.t.item().maybe()
		out = each("find", c.condition(b, inner))
	case "map":
		t = listOf(b.t)
		out = each("map", c.machine(b))
	case "count":
		c.wantBool(b, body.Node)
		t = numberType
		out = c.native(func(_ *frame, args ...any) (any, error) {
			return jsondoc.FromInt(int64(args[0].(int))), nil
		}, each("count", c.condition(b, inner)))
	case "sum":
		if b.t.never(kNumber) {
			return c.fail(body.Node, "", "sum adds up numbers, and this is %s", (b.t.k & kSome).a())
		}
		t = numberType
		out = c.native(func(_ *frame, args ...any) (any, error) {
			d, err := boxed(sum(args[0].([]any), "sum"))
			return d, at(where, err)
		}, each("map", c.machine(b)))
	case "sortBy":
		if b.t.never(kPlain) {
			return c.fail(body.Node, "", "sortBy needs numbers or texts to sort by, and this is %s", (b.t.k & kSome).a())
		}
		t = l.t
		out = c.native(func(_ *frame, args ...any) (any, error) {
			sorted, err := sortBy(args[0].([]any), args[1].([]any), order)
			if err != nil {
				return nil, at(where, err)
			}
			return sorted, nil
		}, listNode(), each("map", c.machine(b)))
	}
	if !condition {
		t.k |= l.t.k & kNull
		out = &ast.ConditionalNode{
			Cond: c.native(func(_ *frame, args ...any) (any, error) { return args[0] == nil, nil }, listNode()),
			Exp1: &ast.NilNode{}, Exp2: out,
		}
	}
	function := n.Name
	return code{t: t, free: fr, vm: &ast.VariableDeclaratorNode{
		Name: name,
		Value: c.native(func(f *frame, args ...any) (any, error) {
			switch x := args[0].(type) {
			case []any:
				return x, at(where, f.spend(len(x)))
			case nil:
				if !condition {
					return nil, nil
				}
				return nil, at(where, fmt.Errorf("%s: the list is absent: give a default with `?? []`", function))
			default:
				return nil, at(where, fmt.Errorf("%s wants a list, not %s", function, describe(x)))
			}
		}, c.machine(l)),
		Expr: out,
	}}
}

// pointer is the current element (#, or what stands before .field) or its position (#index).
func (c *compiler) pointer(n *ast.PointerNode) code {
	if len(c.elements) == 0 {
		return c.fail(n, "", "# stands only inside filter(), map() and the like")
	}
	switch n.Name {
	case "":
		return code{t: c.elements[len(c.elements)-1], free: free{pointer: true}, vm: &ast.PointerNode{}}
	case "index":
		return code{t: numberType, free: free{pointer: true}, vm: c.native(func(_ *frame, args ...any) (any, error) {
			return jsondoc.FromInt(int64(args[0].(int))), nil
		}, &ast.PointerNode{Name: "index"})}
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
	v := letVar{name: n.Name, t: value.t, id: 1 << c.letCount}
	c.letCount++
	c.lets = append(c.lets, v)
	body := c.walk(n.Expr)
	c.lets = c.lets[:len(c.lets)-1]
	fr := value.free.or(free{pointer: body.free.pointer, lets: body.free.lets &^ v.id})
	return code{t: body.t, free: fr, vm: &ast.VariableDeclaratorNode{Name: n.Name, Value: c.machine(value), Expr: c.machine(body)}}
}
