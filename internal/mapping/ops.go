package mapping

import (
	"errors"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// op is the direct form of an expression: it leaves its value in v, which is never nil.
type op interface {
	eval(f *frame, v *val) error
}

// opFunc is an op made of a function.
type opFunc func(f *frame, v *val) error

func (o opFunc) eval(f *frame, v *val) error { return o(f, v) }

// litOp is a literal.
type litOp struct {
	v    val
	json []byte
	any  any
}

func (o *litOp) eval(_ *frame, v *val) error {
	*v = o.v
	return nil
}

func newLit(x any) *litOp {
	o := &litOp{any: x}
	o.v.setAny(x)
	o.json, _ = appendTree(nil, x, maxText)
	if o.v.k == vText {
		// What appendTree wrote without escapes can be copied as it is.
		o.v.clean = len(o.json) == len(o.v.s)+2
	}
	return o
}

// step is one step of a path: a field, or an element counted from the front or, below zero, from the end.
type step struct {
	name    string
	index   int
	isIndex bool
}

// docOp reads a field of the source document or of an element: the object through slot, then the last field.
type docOp struct {
	defs  *[]slotDef
	slot  int // -1: the document or element itself
	scope int // 0: the document; i+1: the element at depth i
	name  string
	steps []step // all steps, for elements that are no document values
}

func (o *docOp) eval(f *frame, v *val) error {
	var obj jsondoc.Value
	if o.scope > 0 {
		item := &f.items[o.scope-1].v
		if item.k != vDoc {
			return walkVal(f, item, o.steps, v)
		}
		obj = item.doc
	} else {
		obj = f.root
	}
	if o.slot >= 0 {
		obj = f.object(*o.defs, o.slot)
	}
	f.steps -= obj.Len() / passedStep
	v.setDoc(obj.Get(o.name))
	return nil
}

// stepsOp reads a path with indexes in it, or one that starts at a captured target field.
type stepsOp struct {
	scope   int
	capture int // -1: scope counts
	steps   []step
}

func (o *stepsOp) eval(f *frame, v *val) error {
	var base val
	switch {
	case o.capture >= 0:
		d, err := f.captured(o.capture)
		if err != nil {
			return err
		}
		base.setDoc(d)
	case o.scope > 0:
		base = f.items[o.scope-1].v
	default:
		base.setDoc(f.root)
	}
	return walkVal(f, &base, o.steps, v)
}

// memberOp follows steps from the value of another part.
type memberOp struct {
	a     op
	steps []step
}

func (o *memberOp) eval(f *frame, v *val) error {
	if err := o.a.eval(f, v); err != nil {
		return err
	}
	from := *v
	return walkVal(f, &from, o.steps, v)
}

// walkVal follows steps from base; absent as soon as a step is. What is gone over in a document on the way is counted.
func walkVal(f *frame, base *val, steps []step, v *val) error {
	if base.k == vDoc {
		d := base.doc
		for i := range steps {
			s := &steps[i]
			if !s.isIndex {
				f.steps -= d.Len() / passedStep
				d = d.Get(s.name)
				continue
			}
			n, i := d.Len(), s.index
			if i < 0 {
				i += n
			}
			if i > 0 && i < n {
				f.steps -= i / passedStep
			}
			d = d.Index(i)
		}
		v.setDoc(d)
		return f.over()
	}
	if len(steps) == 0 {
		*v = *base
		return nil
	}
	x := base.tree
	if base.k != vTree {
		x = nil
	}
	for i := range steps {
		if steps[i].isIndex {
			x = element(x, steps[i].index)
		} else {
			x = member(x, steps[i].name)
		}
	}
	v.setAny(x)
	return nil
}

func member(x any, name string) any {
	if m, ok := x.(map[string]any); ok {
		return m[name]
	}
	return nil
}

func element(x any, i int) any {
	list, _ := x.([]any)
	if i < 0 {
		i += len(list)
	}
	if i < 0 || i >= len(list) {
		return nil
	}
	return list[i]
}

// indexOp is the position in the list that each is at.
type indexOp struct{ depth int }

func (o indexOp) eval(f *frame, v *val) error {
	v.setNum(jsondoc.FromInt(int64(f.items[o.depth].index)))
	return nil
}

// callOp calls a function of the library with evaluated arguments.
type callOp struct {
	fn   *function
	site *site
	args []op
	tmp  int
	at   int
}

func (o *callOp) eval(f *frame, v *val) error {
	base := len(f.args)
	tmp := &f.regs[o.tmp]
	for _, a := range o.args {
		if err := a.eval(f, tmp); err != nil {
			f.args = f.args[:base]
			return err
		}
		x, err := tmp.any(f)
		if err != nil {
			f.args = f.args[:base]
			return at(o.at, err)
		}
		f.args = append(f.args, x)
	}
	x, err := o.fn.call(f, o.site, f.args[base:len(f.args):len(f.args)])
	f.args = f.args[:base]
	if err != nil {
		return at(o.at, err)
	}
	v.setAny(x)
	return nil
}

// progOp runs on the expression library's machine what has no direct form.
type progOp struct{ prog *vm.Program }

func (o *progOp) eval(f *frame, v *val) error {
	x, err := runProgram(f, o.prog)
	if err != nil {
		return err
	}
	v.setAny(x)
	return nil
}

func runProgram(f *frame, prog *vm.Program) (any, error) {
	m := f.machine()
	x, err := m.Run(prog, f)
	f.machineDone()
	if err == nil {
		return x, nil
	}
	var fe *file.Error
	if !errors.As(err, &fe) {
		return nil, err
	}
	if fe.Prev != nil {
		return nil, fe.Prev // errors of this package carry their place
	}
	return nil, errors.New(fe.Message)
}
