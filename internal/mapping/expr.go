package mapping

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// ExprContext says what a flow's expression may refer to and what it must give.
type ExprContext struct {
	// Schema describes the document; nil: fields are not checked.
	Schema *schema.Schema
	Deps   Deps
	// Headers allows header().
	Headers bool
	// Result is "string" or "bool"; empty means "string".
	Result string
}

// Expr is one compiled expression of a flow. It does not change and may be used by several goroutines.
type Expr struct {
	part    part
	text    string
	t       typ
	sources []string
	uses    []Use
	values  []string
	frames  sync.Pool
	limits  Limits
}

// CompileExpr compiles the expression, or literal text, at node. Every problem goes to p; the expression is nil when there
// is one.
func CompileExpr(node strictyaml.Node, ctx ExprContext, p *strictyaml.Problems) *Expr {
	if node.Kind() != strictyaml.Scalar {
		p.AddHint(node.Pos(), "a plain or block text is an expression, a quoted one is literal", "an expression is missing")
		return nil
	}
	before := p.Len()
	c := newCompiler(ctx.Deps, p)
	c.layout.reg() // for the result
	c.scope = &scope{source: documentType(ctx.Schema), headers: ctx.Headers}
	x, ok := c.compileNode(node)
	if !ok || p.Len() > before {
		return nil
	}
	want := kText | kNumber | kBool
	if ctx.Result == "bool" {
		want = kBool
	}
	if x.t.never(want) || want == kBool && x.t.k&kSome == 0 {
		p.Add(node.Pos(), "this must give %s, and gives %s", want.a(), x.t.k.a())
		return nil
	}
	e := &Expr{part: part{op: x.op, node: node, cost: c.cost()}, text: node.Text(), t: x.t, uses: c.uses, values: slices.Sorted(maps.Keys(c.values))}
	e.limits = ctx.Deps.Limits.resolved()
	e.sources = c.sourceFields(ctx.Schema)
	layout := *c.layout
	e.frames.New = func() any { return layout.frame() }
	return e
}

// Text is the expression as it is written.
func (e *Expr) Text() string { return e.text }

// Pos is where it stands.
func (e *Expr) Pos() strictyaml.Pos { return e.part.node.Pos() }

// Literals are all texts that the expression can give, where that is known.
func (e *Expr) Literals() (texts []string, known bool) { return e.t.lits, e.t.lits != nil }

// SourceFields are the top-level fields of the document that the expression reads, sorted.
func (e *Expr) SourceFields() []string { return e.sources }

// Uses are the calls of xref and xref_id.
func (e *Expr) Uses() []Use { return e.uses }

// ValueMaps are the names of the value maps that the expression looks codes up in, sorted.
func (e *Expr) ValueMaps() []string { return e.values }

// run evaluates the expression and hands the result to use, which must not keep it.
func (e *Expr) run(ctx context.Context, in *Input, use func(f *frame, v *val) error) error {
	f := e.frames.Get().(*frame)
	f.start(ctx, in, e.limits, nil)
	v := &f.regs[0]
	err := e.part.eval(f, v)
	if err == nil {
		err = use(f, v)
	}
	f.stop()
	e.frames.Put(f)
	if err != nil {
		return e.part.failure(err)
	}
	return nil
}

// String gives the result as text: numbers plain, absent as "", times as RFC 3339 in UTC.
func (e *Expr) String(ctx context.Context, in *Input) (string, error) {
	var out string
	err := e.run(ctx, in, func(f *frame, v *val) error {
		if s, _, ok := v.text(f); ok {
			out = string(s)
		} else {
			x, err := v.any(f)
			if err != nil {
				return err
			}
			if out, err = plain(x); err != nil {
				return fmt.Errorf("a text is needed here: %w", err)
			}
		}
		if e.t.time && out != "" {
			t, err := time.Parse(time.RFC3339Nano, out)
			if err == nil {
				out = formatUTC(t)
			}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return out, nil
}

// Bool gives the result of a condition; an absent one is an error.
func (e *Expr) Bool(ctx context.Context, in *Input) (bool, error) {
	var out bool
	err := e.run(ctx, in, func(f *frame, v *val) (err error) {
		out, err = v.truth(f)
		return err
	})
	return out, err
}

func formatUTC(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
