package compare

import (
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// scope are the documents, or the elements within them, in which two values stand, from the inside.
type scope struct {
	left, right jsondoc.Value
	around      *scope
}

// same reports whether two values are the same under the rule; those of a Set are compared elsewhere.
func (r *Rule) same(in *scope, a, b jsondoc.Value) bool {
	if identical(a, b) || r.How == Ignore {
		return true
	}
	if r.Empty != EmptyDiffer {
		if none, other := r.empty(a), r.empty(b); none || other {
			return none == other
		}
	}
	switch r.How {
	case Fold, UUID, Number, Folded:
		x, xok := r.text(a)
		y, yok := r.text(b)
		if xok && yok {
			return x == y
		}
	case Within:
		if bound := r.Within.at(in); bound != nil && a.Kind() == b.Kind() {
			x, xok := amount(a)
			y, yok := amount(b)
			if xok && yok {
				return bound.Holds(x, y)
			}
		}
	case Time:
		x, xok := r.moment(a)
		y, yok := r.moment(b)
		if xok && yok {
			return x.meets(y)
		}
	}
	return r.equal(a, b)
}

// none reports whether a side has no value.
func (r *Rule) none(v jsondoc.Value) bool { return !v.Exists() || r.Empty != EmptyDiffer && r.empty(v) }

// empty reports whether a value counts as none, where some do.
func (r *Rule) empty(v jsondoc.Value) bool {
	switch v.Kind() {
	case jsondoc.Missing, jsondoc.Null:
		return true
	case jsondoc.String:
		if r.Empty != EmptySame {
			return false
		}
		text, _ := v.StrBytes()
		return len(text) == 0 || r.How == Folded && fold(v.Str(), r.Folds) == ""
	case jsondoc.Array:
		return r.Empty == EmptySame && r.How == Set && v.Len() == 0
	}
	return false
}

// text is what all values that are the same under a rule for texts have in common; false: the rule says nothing of the value.
func (r *Rule) text(v jsondoc.Value) (string, bool) {
	switch {
	case v.Kind() == jsondoc.Number && r.How == Number:
		return connector.Number.Key(string(v.Raw())), true
	case v.Kind() != jsondoc.String:
		return "", false
	case r.How == Folded:
		return fold(v.Str(), r.Folds), true
	}
	return connector.Compare(r.How).Key(v.Str()), true
}

// equal compares exactly, but for what Empty says.
func (r *Rule) equal(a, b jsondoc.Value) bool {
	if r.Empty == EmptyDiffer {
		return a.Equal(b)
	}
	if none, other := r.empty(a), r.empty(b); none || other {
		return none == other
	}
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case jsondoc.Array:
		if a.Len() != b.Len() {
			return false
		}
		x, y := a.Cursor(), b.Cursor()
		for x.Next() && y.Next() {
			if !r.equal(x.Value(), y.Value()) {
				return false
			}
		}
		return true
	case jsondoc.Object:
		same := true
		members(a, b, func(_ jsondoc.Value, x, y jsondoc.Value) bool {
			same = r.equal(x, y)
			return same
		})
		return same
	}
	return a.Equal(b)
}

// at is the bound for the currency in which the amounts are; nil: none is set, or they are in two.
func (t *Tolerance) at(in *scope) *Bound {
	if t.Currency == "" {
		return t.Bound
	}
	for s := in; s != nil; s = s.around {
		left, right := currency(s.left, t.Currency), currency(s.right, t.Currency)
		switch {
		case left == "" && right == "":
			continue
		case left != right: // what has no currency is not in that of the other side
			return nil
		}
		if b, ok := t.ByCurrency[left]; ok {
			return &b
		}
		break
	}
	return t.Bound
}

// currency is the code at the path, or what stands there in its place, such as the number of a currency; empty: nothing does.
func currency(v jsondoc.Value, path string) string {
	switch at := v.GetPath(path); {
	case at.Kind() == jsondoc.String:
		return strings.ToUpper(strings.TrimSpace(at.Str()))
	case at.Exists():
		return string(jsondoc.AppendCanonical(nil, at))
	}
	return ""
}

// amount reads a number, or a text that is one.
func amount(v jsondoc.Value) (jsondoc.Decimal, bool) {
	var d jsondoc.Decimal
	var err error
	switch v.Kind() {
	case jsondoc.Number:
		d, err = v.Decimal()
	case jsondoc.String:
		d, err = jsondoc.ParseDecimal(strings.TrimSpace(v.Str()))
	default:
		return d, false
	}
	return d, err == nil
}

// Holds reports whether two amounts are no further apart; at the bound they are not.
func (b *Bound) Holds(x, y jsondoc.Decimal) bool {
	apart := x.Sub(y).Abs()
	if !b.Percent {
		return apart.Cmp(b.Amount) <= 0
	}
	larger := x.Abs()
	if y.Abs().Cmp(larger) > 0 {
		larger = y.Abs()
	}
	return apart.Mul(jsondoc.FromInt(100)).Cmp(larger.Mul(b.Amount)) <= 0
}

// rounding reports whether two numbers that differ may be one that was rounded.
func (r *Rule) rounding(a, b jsondoc.Value) bool {
	if a.Kind() != b.Kind() && r.How != Number || a.Kind() == jsondoc.String && r.How != Number && r.How != Within {
		return false
	}
	x, xok := amount(a)
	y, yok := amount(b)
	if !xok || !yok {
		return false
	}
	unit, err := jsondoc.ParseDecimal("1e-" + strconv.Itoa(min(x.Scale(), y.Scale())))
	if min(x.Scale(), y.Scale()) == 0 { // many writers leave zeros out: 100 may well be 100.00
		unit, err = jsondoc.ParseDecimal("0.5")
	}
	return err == nil && x.Sub(y).Abs().Cmp(unit) <= 0
}
