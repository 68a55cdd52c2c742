package mapping

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// The operators: first on the values of functions and the machine, then their direct forms.

// binary applies an operator other than and, or, ?? to two values.
func binary(operator string, a, b any) (any, error) {
	switch operator {
	case "==":
		return equal(a, b), nil
	case "!=":
		return !equal(a, b), nil
	case "<", "<=", ">", ">=":
		n, err := compare(operator, a, b)
		if err != nil {
			return nil, err
		}
		return holds(operator, n), nil
	case "in":
		list, ok := b.([]any)
		if !ok {
			return nil, fmt.Errorf("in needs a list on its right side, not %s", describe(b))
		}
		return inList(list, a), nil
	}
	if a == nil || b == nil {
		return nil, nil // what is computed from something absent is absent
	}
	if operator == "+" {
		if s, ok := a.(string); ok {
			if t, ok := b.(string); ok {
				return bounded(s + t)
			}
		}
	}
	x, okA := a.(jsondoc.Decimal)
	y, okB := b.(jsondoc.Decimal)
	if !okA || !okB {
		return nil, operandError(operator, a, b)
	}
	d, err := arithmetic(operator, x, y)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func inList(list []any, x any) bool {
	for _, e := range list {
		if equal(e, x) {
			return true
		}
	}
	return false
}

func operandError(operator string, a, b any) error {
	what := "two numbers"
	if operator == "+" {
		what = "two numbers or two texts"
	}
	return fmt.Errorf("%s needs %s, not %s and %s (num() and text() convert)", operator, what, describe(a), describe(b))
}

func arithmetic(operator string, x, y jsondoc.Decimal) (d jsondoc.Decimal, err error) {
	switch operator {
	case "+":
		d = x.Add(y)
	case "-":
		d = x.Sub(y)
	case "*":
		d = x.Mul(y)
	case "/":
		d, err = x.Quo(y)
	case "%":
		d, err = remainder(x, y)
	default:
		return d, fmt.Errorf("unknown operator %s", operator)
	}
	if err != nil {
		return d, err
	}
	return d, d.Err()
}

// remainder is what is left of x after taking y out as often as it goes, with the sign of x.
func remainder(x, y jsondoc.Decimal) (jsondoc.Decimal, error) {
	q, err := x.Div(y, 0, jsondoc.Down)
	if err != nil {
		return q, err
	}
	return x.Sub(q.Mul(y)), nil
}

// equal compares by value; absent equals only absent.
func equal(a, b any) bool {
	switch x := a.(type) {
	case nil:
		return b == nil
	case jsondoc.Decimal:
		y, ok := b.(jsondoc.Decimal)
		return ok && x.Err() == nil && y.Err() == nil && x.Cmp(y) == 0
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equal(x[i], y[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		y, ok := b.(map[string]any)
		return ok && subset(x, y) && subset(y, x)
	}
	switch b.(type) {
	case []any, map[string]any, jsondoc.Decimal:
		return false
	}
	return a == b
}

func subset(x, y map[string]any) bool {
	for k, v := range x {
		if !equal(v, y[k]) {
			return false
		}
	}
	return true
}

// compare orders two numbers or two texts.
func compare(operator string, a, b any) (int, error) {
	switch x := a.(type) {
	case jsondoc.Decimal:
		if y, ok := b.(jsondoc.Decimal); ok {
			return x.Cmp(y), errors.Join(x.Err(), y.Err())
		}
	case string:
		if y, ok := b.(string); ok {
			return bytes.Compare([]byte(x), []byte(y)), nil
		}
	}
	if a == nil || b == nil {
		return 0, fmt.Errorf("%s needs two values, and one is absent: give a default with `??`, or test it first with exists()", operator)
	}
	return 0, fmt.Errorf("%s compares two numbers or two texts, not %s and %s", operator, describe(a), describe(b))
}

func holds(operator string, n int) bool {
	switch operator {
	case "<":
		return n < 0
	case "<=":
		return n <= 0
	case ">":
		return n > 0
	}
	return n >= 0
}

// truth is a condition's value.
func truth(x any) (bool, error) {
	if b, ok := x.(bool); ok {
		return b, nil
	}
	if x == nil {
		return false, errors.New("a condition is absent: give a default with `??`, or test it first with exists()")
	}
	return false, fmt.Errorf("a condition must be true or false, not %s", describe(x))
}

func (v *val) truth(f *frame) (bool, error) {
	if b, ok := v.boolean(); ok {
		return b, nil
	}
	x, err := v.any(f)
	if err != nil {
		return false, err
	}
	return truth(x)
}

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
	r, err := binary(o.operator, x, y)
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
	switch o.operator {
	case "==", "!=":
		v.setBool(bytes.Equal(s, t) == (o.operator == "=="))
	case "<", "<=", ">", ">=":
		v.setBool(holds(o.operator, bytes.Compare(s, t)))
	case "+":
		if err := checkLength(len(s) + len(t)); err != nil {
			return false, err
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

func negate(x any) (any, error) {
	switch x := x.(type) {
	case nil:
		return nil, nil
	case jsondoc.Decimal:
		return x.Neg(), x.Err()
	}
	return nil, fmt.Errorf("- needs a number, not %s", describe(x))
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
