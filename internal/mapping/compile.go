package mapping

import (
	"fmt"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	exprcompiler "github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// code is what the compiler made of a part of an expression: its type, and its direct form or its form for the machine.
type code struct {
	t  typ
	op op
	vm ast.Node
	// free is what the part refers to beyond documents: the current element (#), and variables of let, which only the machine has.
	free free
	lit  *litOp
	path *path
	bad  bool // a problem with it has been noted
}

type free struct {
	element int // of which predicate, counted from 1 by how deep it stands in others; 0: of none
	lets    uint64
}

func (a free) or(b free) free { return free{max(a.element, b.element), a.lets | b.lets} }
func (a free) none() bool     { return a == free{} }

// callInfo is one call of a library function.
type callInfo struct {
	fn     *function
	args   []code
	places []int // byte offsets of the arguments
	offset int
	site   *site
}

// literal gives argument i if it is a literal text.
func (c *callInfo) literal(i int) (string, bool) {
	if i < 0 || i >= len(c.args) || c.args[i].lit == nil {
		return "", false
	}
	s, ok := c.args[i].lit.any.(string)
	return s, ok
}

func (c *callInfo) at(i int) int {
	if i >= 0 && i < len(c.places) {
		return c.places[i]
	}
	return c.offset
}

// compiler compiles one expression after the other of one mapping; what belongs to the present expression is reset by begin.
type compiler struct {
	deps   Deps
	p      *strictyaml.Problems
	layout *layout
	scope  *scope
	uses   []Use
	// sources collects the top-level source fields that are read; whole means all.
	sources map[string]bool
	whole   bool
	// values are the names of the value maps that are used.
	values map[string]bool
	// top is the top-level target field whose rule is being compiled, reads what each of them reads.
	top   string
	reads map[string]*reads
	// copying tells, rule by rule, of what its value is made.
	copying copying
	// kept are the rules whose values later rules refer to, by capture.
	kept map[int]*rule
	// targetName names the target's schema in messages; unknown is the shape of what has a problem already.
	targetName string
	unknown    schema.Shape

	// absent stands, in a text that people read, in place of what is absent; empty: the text is absent then.
	absent string

	// forced leaves out every direct form but those of names and literals: tests compare the two forms.
	forced bool

	node     strictyaml.Node
	runes    []rune
	fns      map[string]*builtin.Function
	elements []typ // types of # by nesting of predicates
	lets     []letVar
	letCount int
	broken   bool
	nodes    int // of the present expression
}

type letVar struct {
	name string
	t    typ
	id   uint64
	// reg is where direct forms find its value; -1: the machine alone has it.
	reg int
}

func newCompiler(deps Deps, p *strictyaml.Problems) *compiler {
	return &compiler{deps: deps, p: p, layout: &layout{}, sources: map[string]bool{}, values: map[string]bool{}, reads: map[string]*reads{}, kept: map[int]*rule{}}
}

// compileNode compiles the expression or literal text that stands at node. ok is false when it has problems.
func (c *compiler) compileNode(node strictyaml.Node) (code, bool) {
	c.node, c.runes = node, []rune(node.Text())
	c.fns = map[string]*builtin.Function{}
	c.elements, c.lets, c.letCount, c.broken, c.nodes = nil, nil, 0, false, 0
	if node.Quoted() {
		c.quotedPath(node)
		return litCode(node.Text()), true
	}
	tree, bad := parseExpression(node.Text(), c.scope.clock)
	if bad != nil {
		hint := bad.hint
		if trap := node.Trap(); trap != "" {
			hint = trap
		}
		c.problem(bad.at, hint, "%s", bad.message)
		return code{t: anyType}, false
	}
	out := c.close(c.walk(tree))
	return out, !c.broken
}

// cost is about how many steps the present expression takes.
func (c *compiler) cost() int { return 1 + c.nodes/4 }

// problem notes a problem at a byte offset of the present expression. Without a better hint it says what YAML may have
// made of the text.
func (c *compiler) problem(offset int, hint, format string, args ...any) {
	c.broken = true
	hint = orElse(hint, c.node.Trap())
	c.p.AddHint(c.node.ScalarPos(offset), hint, format, args...)
}

func (c *compiler) place(offset int) strictyaml.Pos { return c.node.ScalarPos(offset) }

// offset is the byte offset where a part begins.
func (c *compiler) offset(n ast.Node) int { return byteOffset(c.runes, n.Location().From) }

// fail notes a problem and gives a part that causes no further ones.
func (c *compiler) fail(n ast.Node, hint, format string, args ...any) code {
	c.problem(c.offset(n), hint, format, args...)
	return poison()
}

func poison() code { return code{t: anyType, op: newLit(nil), bad: true} }

func litCode(x any) code {
	lit := newLit(x)
	t := typ{k: kindOf(x)}
	if s, ok := x.(string); ok {
		t.lits = []string{s}
	}
	return code{t: t, op: lit, lit: lit}
}

// close gives c a direct form if everything it refers to is there.
func (c *compiler) close(x code) code {
	if x.op != nil || !x.free.none() || x.vm == nil || c.broken {
		return x
	}
	tree := &parser.Tree{Node: x.vm, Source: file.NewSource(string(c.runes))}
	prog, err := exprcompiler.Compile(tree, &conf.Config{Functions: c.fns, ShortCircuit: true})
	if err != nil {
		c.problem(0, "write it in simpler parts", "the expression cannot be compiled: %v", err)
		return x
	}
	x.op = &progOp{prog: prog}
	return x
}

// direct closes all parts; it reports whether all have a direct form.
func (c *compiler) direct(parts ...*code) bool {
	if c.forced {
		return false
	}
	all := true
	for _, x := range parts {
		*x = c.close(*x)
		all = all && x.op != nil
	}
	return all
}

// machine gives x's form for the machine.
func (c *compiler) machine(x code) ast.Node {
	if x.vm != nil {
		return x.vm
	}
	if x.lit != nil {
		switch v := x.lit.any.(type) {
		case nil:
			return &ast.NilNode{}
		case bool:
			return &ast.BoolNode{Value: v}
		case string:
			return &ast.StringNode{Value: v}
		case jsondoc.Decimal:
			return &ast.ConstantNode{Value: v}
		}
	}
	o, tmp := x.op, c.layout.reg()
	run := func(f *frame) (any, error) {
		v := &f.regs[tmp]
		if err := o.eval(f, v); err != nil {
			return nil, err
		}
		return v.any(f)
	}
	if x.free.element == 0 {
		return c.native(func(f *frame, _ ...any) (any, error) { return run(f) })
	}
	depth := x.free.element - 1 // the machine's element becomes that of the direct form
	return c.native(func(f *frame, args ...any) (any, error) {
		e := &f.elements[depth]
		e.v.setAny(args[0])
		e.index = args[1].(int)
		return run(f)
	}, &ast.PointerNode{}, &ast.PointerNode{Name: "index"})
}

// native is a call, on the machine, of a function of this package that only this place knows. It is a step.
func (c *compiler) native(fn func(f *frame, args ...any) (any, error), args ...ast.Node) ast.Node {
	name := fmt.Sprintf("$%d", len(c.fns))
	c.fns[name] = &builtin.Function{Name: name, Func: func(args ...any) (any, error) {
		f := args[0].(*frame)
		if err := f.spend(1); err != nil {
			return nil, err
		}
		return fn(f, args[1:]...)
	}}
	args = append([]ast.Node{&ast.IdentifierNode{Value: "$env"}}, args...)
	return &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: args}
}

// condition is x on the machine, checked to be a boolean there.
func (c *compiler) condition(x code, offset int) ast.Node {
	return c.native(func(_ *frame, args ...any) (any, error) {
		b, err := truth(args[0])
		if err != nil {
			return nil, at(offset, err)
		}
		return b, nil
	}, c.machine(x))
}

// wantBool notes a problem where a condition can be no boolean.
func (c *compiler) wantBool(x code, n ast.Node) {
	if x.t.never(kBool) {
		c.problem(c.offset(n), "compare it with something, or use has() or exists()", "a condition must be true or false, and this is %s", (x.t.k & kSome).a())
	}
}

// walk compiles a node of the tree.
func (c *compiler) walk(n ast.Node) code {
	x := c.part(n)
	if x.path != nil {
		x = c.finish(x)
	}
	return x
}

// part compiles a node; a path may still be extended by its parent.
func (c *compiler) part(n ast.Node) code {
	c.nodes++
	switch n := n.(type) {
	case *ast.NilNode:
		return litCode(nil)
	case *ast.BoolNode:
		return litCode(n.Value)
	case *ast.StringNode:
		return litCode(n.Value)
	case *ast.IntegerNode, *ast.FloatNode:
		return c.numberLiteral(n)
	case *ast.IdentifierNode:
		return c.identifier(n)
	case *ast.MemberNode:
		return c.member(n)
	case *ast.ChainNode:
		return c.part(n.Node) // absent fields are absent anyway
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.ConditionalNode:
		return c.choose(n, n.Cond, n.Exp1, n.Exp2)
	case *ast.CallNode:
		return c.call(n)
	case *ast.BuiltinNode:
		return c.predicate(n)
	case *ast.PointerNode:
		return c.pointer(n)
	case *ast.VariableDeclaratorNode:
		return c.let(n)
	case *ast.ArrayNode:
		return c.list(n)
	case *ast.MapNode:
		return c.object(n)
	case *ast.SliceNode:
		return c.fail(n, "substr() takes a part of a text; filter() a part of a list", "slices are not part of the language")
	case *ast.SequenceNode:
		return c.fail(n, "", "an expression gives one value; `;` stands only behind let")
	case *ast.BytesNode:
		return c.fail(n, "", "byte strings are not part of the language")
	}
	return c.fail(n, "", "this is not part of the language")
}
