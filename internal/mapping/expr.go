package mapping

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
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
	// Names, where not nil, are the documents that the expression is about, in place of one source; the document of its Input has them as
	// members.
	Names []Name
	// Clock allows now(), today(), age() and lengths of time such as 3d; Input.Now is the moment.
	Clock bool
	// Absent makes the expression a text that people read: in the pieces that + and concat join, it stands in place of what is absent. Empty: a text with an absent
	// piece is absent.
	Absent string
	// Result is "string", "bool" or "number"; empty means "string".
	Result string
}

// Name is one document, or a list of documents, of an expression over several.
type Name struct {
	Name string
	// Member is where it stands in the document of Input.
	Member string
	// Schema describes it, or each element of the list; nil: fields are not checked. Fields, in place of a schema, are all that it has.
	Schema *schema.Schema
	Fields []string
	// List: a list, which is never absent. Optional: it may be absent.
	List, Optional bool
}

// typ is what is known of what the name stands for.
func (n *Name) typ() typ {
	t := anyType
	switch {
	case n.Schema != nil:
		t = fromShape(n.Schema.Shape())
	case n.Fields != nil:
		t = typ{k: kObject, fields: map[string]typ{}}
		for _, name := range n.Fields {
			t.fields[name] = anyType
		}
	}
	t.k &^= kNull
	switch {
	case n.List:
		return listOf(t)
	case n.Optional:
		return t.maybe()
	}
	return t
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
	c.absent = ctx.Absent
	c.layout.reg() // for the result
	c.scope = &scope{source: documentType(ctx.Schema), headers: ctx.Headers, clock: ctx.Clock}
	if ctx.Names != nil {
		c.scope.names = map[string]named{}
		for _, n := range ctx.Names {
			t := n.typ()
			t.from = wholeSource + between + n.Member
			c.scope.names[n.Name] = named{n.Member, t}
			if n.Name == "source" {
				c.scope.source = t
			}
		}
	}
	x, ok := c.compileNode(node)
	if !ok || p.Len() > before {
		return nil
	}
	want := kText | kNumber | kBool
	switch ctx.Result {
	case "bool":
		want = kBool
	case "number":
		want = kNumber
	}
	if x.t.never(want) || want == kBool && x.t.k&kSome == 0 {
		hint := ""
		if node.Quoted() {
			hint = "it is quoted, so that it stands for these letters: write the expression without quotes around it, or on the next line behind >-"
		}
		p.AddHint(node.Pos(), hint, "this must give %s, and gives %s", want.a(), x.t.k.a())
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

// Plain gives a text, a number or a truth as text: numbers by their value (1.50 is 1.5), so that two systems' ways of writing one meet. ok is false
// where it is absent.
func (e *Expr) Plain(ctx context.Context, in *Input) (text string, ok bool, err error) {
	err = e.run(ctx, in, func(f *frame, v *val) error {
		x, err := v.any(f)
		if err != nil || x == nil {
			return err
		}
		if d, number := x.(jsondoc.Decimal); number {
			x = d.Trim()
		}
		text, err = plain(x)
		ok = err == nil
		return err
	})
	return text, ok, err
}

// Number gives the result of an expression that makes a number; ok is false where it is absent.
func (e *Expr) Number(ctx context.Context, in *Input) (d jsondoc.Decimal, ok bool, err error) {
	err = e.run(ctx, in, func(f *frame, v *val) error {
		x, err := v.any(f)
		if err != nil || x == nil {
			return err
		}
		if d, ok = x.(jsondoc.Decimal); !ok {
			return fmt.Errorf("a number is needed here, not %s%s", describe(x), conversion(kNumber, kindOf(x)))
		}
		return d.Err()
	})
	return d, ok && err == nil, err
}

func formatUTC(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
