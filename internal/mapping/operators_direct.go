package mapping

import (
	"bytes"
	"errors"
)

// binOp is the direct form of an operator.
type binOp struct {
	operator string
	a, b     op
	tmp      int
	at       int
}

func (o *binOp) eval(f *frame, v *val) error {
	if err := o.a.eval(f, v); err != nil {
		return err
	}
	w := &f.regs[o.tmp]
	if err := o.b.eval(f, w); err != nil {
		return err
	}
	done, err := o.fast(f, v, w)
	if err != nil {
		return at(o.at, err)
	}
	if done {
		return nil
	}
	x, err := v.any(f)
	if err != nil {
		return at(o.at, err)
	}
	y, err := w.any(f)
	if err != nil {
		return at(o.at, err)
	}
	r, err := binary(f, o.operator, x, y)
	if err != nil {
		return at(o.at, err)
	}
	v.setAny(r)
	return nil
}

// fast works on two numbers or two texts without making them Go values.
func (o *binOp) fast(f *frame, v, w *val) (bool, error) {
	x, ok, err := v.number()
	if err != nil {
		return false, err
	}
	if ok {
		y, ok, err := w.number()
		if err != nil || !ok {
			return false, err
		}
		switch o.operator {
		case "+", "-", "*", "/", "%":
			d, err := arithmetic(o.operator, x, y)
			v.setNum(d)
			return true, err
		case "==", "!=":
			v.setBool((x.Cmp(y) == 0) == (o.operator == "=="))
			return true, errors.Join(x.Err(), y.Err())
		case "<", "<=", ">", ">=":
			v.setBool(holds(o.operator, x.Cmp(y)))
			return true, errors.Join(x.Err(), y.Err())
		}
		return false, nil
	}
	s, _, ok := v.text(f)
	if !ok {
		return false, nil
	}
	t, _, ok := w.text(f)
	if !ok {
		return false, nil
	}
	f.steps -= min(len(s), len(t)) / textStep
	switch o.operator {
	case "==", "!=":
		v.setBool(bytes.Equal(s, t) == (o.operator == "=="))
	case "<", "<=", ">", ">=":
		v.setBool(holds(o.operator, bytes.Compare(s, t)))
	case "+":
		if err := checkLength(len(s) + len(t)); err != nil {
			return false, err
		}
		if f.made(len(s) + len(t)); f.room < 0 {
			return false, f.over()
		}
		from := len(f.arena)
		f.arena = append(append(f.arena, s...), t...)
		v.setText(f.arena[from:len(f.arena):len(f.arena)], false)
	default:
		return false, nil
	}
	return true, nil
}

// logicOp is and, or: the second is looked at only where it matters.
type logicOp struct {
	or   bool
	a, b op
	at   int
}

func (o *logicOp) eval(f *frame, v *val) error {
	if err := o.a.eval(f, v); err != nil {
		return err
	}
	b, err := v.truth(f)
	if err != nil {
		return at(o.at, err)
	}
	if b == o.or {
		v.setBool(b)
		return nil
	}
	if err := o.b.eval(f, v); err != nil {
		return err
	}
	if b, err = v.truth(f); err != nil {
		return at(o.at, err)
	}
	v.setBool(b)
	return nil
}

// notOp is not.
type notOp struct {
	a  op
	at int
}

func (o *notOp) eval(f *frame, v *val) error {
	if err := o.a.eval(f, v); err != nil {
		return err
	}
	b, err := v.truth(f)
	v.setBool(!b)
	return at(o.at, err)
}

// negOp is the minus before a number.
type negOp struct {
	a  op
	at int
}

func (o *negOp) eval(f *frame, v *val) error {
	if err := o.a.eval(f, v); err != nil {
		return err
	}
	x, err := v.any(f)
	if err != nil {
		return at(o.at, err)
	}
	if x, err = negate(x); err != nil {
		return at(o.at, err)
	}
	v.setAny(x)
	return nil
}

// elseOp is ??: the second where the first is absent.
type elseOp struct{ a, b op }

func (o *elseOp) eval(f *frame, v *val) error {
	if err := o.a.eval(f, v); err != nil || v.k != vAbsent {
		return err
	}
	return o.b.eval(f, v)
}

// ifOp is choose(c, a, b).
type ifOp struct {
	cond, a, b op
	at         int
}

func (o *ifOp) eval(f *frame, v *val) error {
	if err := o.cond.eval(f, v); err != nil {
		return err
	}
	b, err := v.truth(f)
	if err != nil {
		return at(o.at, err)
	}
	if b {
		return o.a.eval(f, v)
	}
	return o.b.eval(f, v)
}

// amongOp is `x in ["a", "b"]` with literal texts.
type amongOp struct {
	a     op
	among []string
	at    int
}

func (o *amongOp) eval(f *frame, v *val) error {
	if err := o.a.eval(f, v); err != nil {
		return err
	}
	s, _, ok := v.text(f)
	found := false
	if ok {
		for _, w := range o.among {
			if string(s) == w {
				found = true
				break
			}
		}
	}
	v.setBool(found)
	return nil
}

// listOp is a list of expressions; objectOp an object.
type listOp struct {
	items []op
	tmp   int
}

func (o *listOp) eval(f *frame, v *val) error {
	list := make([]any, 0, len(o.items))
	for _, item := range o.items {
		w := &f.regs[o.tmp]
		if err := item.eval(f, w); err != nil {
			return err
		}
		x, err := w.any(f)
		if err != nil {
			return err
		}
		list = append(list, x)
	}
	v.k, v.tree = vTree, list
	return nil
}

type objectOp struct {
	names []string
	items []op
	tmp   int
}

func (o *objectOp) eval(f *frame, v *val) error {
	m := make(map[string]any, len(o.items))
	for i, item := range o.items {
		w := &f.regs[o.tmp]
		if err := item.eval(f, w); err != nil {
			return err
		}
		x, err := w.any(f)
		if err != nil {
			return err
		}
		m[o.names[i]] = x
	}
	v.k, v.tree = vTree, m
	return nil
}
