package mapping

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// The operators: first on the values of functions and the machine, then their direct forms.

// binary applies an operator other than and, or, ?? to two values.
func binary(f *frame, operator string, a, b any) (any, error) {
	switch operator {
	case "==":
		return boxedBool(f.equal(a, b))
	case "!=":
		same, err := f.equal(a, b)
		return boxedBool(!same, err)
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
		return boxedBool(f.isIn(list, a))
	}
	if a == nil || b == nil {
		return nil, nil // what is computed from something absent is absent
	}
	if operator == "+" {
		if s, ok := a.(string); ok {
			if t, ok := b.(string); ok {
				if err := checkLength(len(s) + len(t)); err != nil {
					return nil, err
				}
				f.made(len(s) + len(t))
				return s + t, f.over()
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

// boxedBool keeps the machine's form: a boolean, or nothing at all when there is an error.
func boxedBool(b bool, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return b, nil
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

// equal compares by value; absent equals only absent. It counts down left, and is false when nothing is left of it.
func equal(left *int, a, b any) bool {
	if *left--; *left < 0 {
		return false
	}
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
			if !equal(left, x[i], y[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		y, ok := b.(map[string]any)
		return ok && subset(left, x, y) && subset(left, y, x)
	}
	switch b.(type) {
	case []any, map[string]any, jsondoc.Decimal:
		return false
	}
	return a == b
}

func subset(left *int, x, y map[string]any) bool {
	for k, v := range x {
		if !equal(left, v, y[k]) {
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

func negate(x any) (any, error) {
	switch x := x.(type) {
	case nil:
		return nil, nil
	case jsondoc.Decimal:
		return x.Neg(), x.Err()
	}
	return nil, fmt.Errorf("- needs a number, not %s", describe(x))
}
