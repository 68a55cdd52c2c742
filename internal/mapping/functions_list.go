package mapping

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

func listFunctions() []*function {
	return []*function{
		{
			name: "len", params: []param{p("x", kText|kList)}, required: 1, result: passing(numberType),
			run: func(_ *frame, _ *site, args []any) (any, error) {
				if s, ok := args[0].(string); ok {
					return jsondoc.FromInt(int64(utf8.RuneCountInString(s))), nil
				}
				return jsondoc.FromInt(int64(len(args[0].([]any)))), nil
			},
			direct: directLen,
		},
		{
			name: "count", params: []param{p("list", kList)}, required: 1, result: passing(numberType),
			run: func(_ *frame, _ *site, args []any) (any, error) {
				return jsondoc.FromInt(int64(len(args[0].([]any)))), nil
			},
			direct: directLen,
		},
		{
			name: "sum", params: []param{p("list", kList)}, required: 1, result: passing(numberType),
			run: func(_ *frame, _ *site, args []any) (any, error) { return boxed(sum(args[0].([]any), "sum")) },
		},
		{
			name: "total", params: []param{p("list", kList), {name: "field", k: kText, literal: true}}, required: 2, result: passing(numberType),
			prepare: prepareTotal,
			run: func(_ *frame, _ *site, args []any) (any, error) {
				return boxed(total(args[0].([]any), args[1].(string)))
			},
			direct: directTotal,
		},
		{
			name: "first", params: []param{p("list", kList)}, required: 1, result: elementType,
			run:    func(_ *frame, _ *site, args []any) (any, error) { return element(args[0], 0), nil },
			direct: func(_ *compiler, call *callInfo) op { return directEnd(call, 0) },
		},
		{
			name: "last", params: []param{p("list", kList)}, required: 1, result: elementType,
			run:    func(_ *frame, _ *site, args []any) (any, error) { return element(args[0], -1), nil },
			direct: func(_ *compiler, call *callInfo) op { return directEnd(call, -1) },
		},
		{
			name: "unique", params: []param{p("list", kList)}, required: 1, result: func(args []code) typ { return args[0].t },
			run: unique,
		},
		{
			name: "flatten", params: []param{p("list", kList)}, required: 1, result: func(args []code) typ {
				t := listOf(args[0].t.item().item())
				t.k |= args[0].t.k & kNull
				return t
			},
			run: func(f *frame, _ *site, args []any) (any, error) {
				var out []any
				for _, x := range args[0].([]any) {
					inner, ok := x.([]any)
					if !ok && x != nil {
						return nil, fmt.Errorf("flatten wants a list of lists; one element is %s", describe(x))
					}
					f.made(16 * len(inner))
					if err := f.spend(len(inner)); err != nil {
						return nil, err
					}
					out = append(out, inner...)
				}
				return out, nil
			},
		},
		{
			name: "entries", params: []param{p("object", kObject)}, required: 1,
			result: passing(listOf(typ{k: kObject, fields: map[string]typ{"key": textType, "value": anyType}})),
			run: func(f *frame, _ *site, args []any) (any, error) {
				members := args[0].(map[string]any)
				f.made(64 * len(members))
				if err := f.spend(len(members)); err != nil {
					return nil, err
				}
				out := make([]any, 0, len(members))
				for _, key := range slices.Sorted(maps.Keys(members)) {
					out = append(out, map[string]any{"key": key, "value": members[key]})
				}
				return out, nil
			},
		},
	}
}

// boxed keeps the machine's form: a decimal, or nothing at all when there is an error.
func boxed(d jsondoc.Decimal, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}

func elementType(args []code) typ { return args[0].t.item().maybe() }

// total adds up one field of a list of objects. A field that is absent is an error: a sum that silently leaves something
// out is wrong money.
func total(list []any, field string) (jsondoc.Decimal, error) {
	var sum jsondoc.Decimal
	for i, x := range list {
		d, ok := member(x, field).(jsondoc.Decimal)
		if !ok {
			return sum, totalError(i, field)
		}
		sum = sum.Add(d)
	}
	return sum, sum.Err()
}

func totalError(i int, field string) error {
	return fmt.Errorf("total: element %d %w %q", i, errNoField, field)
}

// prepareTotal checks the field of a literal total(list, "field").
func prepareTotal(c *compiler, call *callInfo) *site {
	field, ok := call.literal(1)
	if !ok {
		return nil
	}
	item := call.args[0].t.item()
	ft, ok := item.field(field)
	switch {
	case !ok:
		c.problem(call.at(1), didYouMean(field, item.fieldNames()), "total: the elements have no field %q", field)
	case ft.never(kNumber):
		c.problem(call.at(1), "", "total: the field %q is %s, not a number", field, (ft.k & kSome).a())
	}
	return nil
}

// directTotal adds up on the document's own values, or takes the sum that was kept while the target list was written.
func directTotal(c *compiler, call *callInfo) op {
	field, _ := call.literal(1)
	if list, acc, ok := c.accumulate(call.args[0], field); ok {
		where := call.offset
		return opFunc(func(f *frame, v *val) error {
			a := &f.accs[acc]
			if !f.caps[list].set {
				v.k = vAbsent
				return nil
			}
			v.setNum(a.sum)
			if a.fault != nil {
				return at(where, a.fault)
			}
			return at(where, a.sum.Err())
		})
	}
	return &totalOp{a: call.args[0].op, fn: call.fn, field: field, at: call.offset}
}

type totalOp struct {
	a     op
	fn    *function
	field string
	at    int
}

func (o *totalOp) eval(f *frame, v *val) error {
	if err := o.a.eval(f, v); err != nil || v.k == vAbsent {
		return err
	}
	if v.k == vDoc && v.doc.Kind() == jsondoc.Array {
		if err := f.spend(v.doc.Len() + v.doc.Size()/passedStep); err != nil {
			return at(o.at, err)
		}
		var sum jsondoc.Decimal
		i := 0
		for c := v.doc.Cursor(); c.Next(); i++ {
			n := c.Value().Get(o.field)
			if n.Kind() != jsondoc.Number {
				return at(o.at, totalError(i, o.field))
			}
			d, err := n.Decimal()
			if err != nil {
				return at(o.at, err)
			}
			sum = sum.Add(d)
		}
		v.setNum(sum)
		return at(o.at, sum.Err())
	}
	x, err := v.any(f)
	if err == nil {
		x, err = o.fn.call(f, nil, []any{x, o.field})
	}
	if err != nil {
		return at(o.at, err)
	}
	v.setAny(x)
	return nil
}

// directLen counts a document's list without converting it, and a list of the target without reading it.
func directLen(c *compiler, call *callInfo) op {
	a, fn, where := call.args[0].op, call.fn, call.offset
	if i, ok := c.madeByEach(call.args[0]); ok {
		return opFunc(func(f *frame, v *val) error {
			v.k = vAbsent
			if f.caps[i].set {
				v.setNum(jsondoc.FromInt(int64(f.caps[i].count)))
			}
			return nil
		})
	}
	return opFunc(func(f *frame, v *val) error {
		if err := a.eval(f, v); err != nil || v.k == vAbsent {
			return err
		}
		if v.k == vDoc && v.doc.Kind() == jsondoc.Array {
			v.setNum(jsondoc.FromInt(int64(v.doc.Len())))
			return nil
		}
		return fn.converted(f, v, where)
	})
}

// converted calls a function of one argument with v as a Go value.
func (fn *function) converted(f *frame, v *val, where int) error {
	x, err := v.any(f)
	if err == nil {
		x, err = fn.call(f, nil, []any{x})
	}
	if err != nil {
		return at(where, err)
	}
	v.setAny(x)
	return nil
}

// directEnd takes an element of a document's list without converting the others.
func directEnd(call *callInfo, index int) op {
	a, fn, where, steps := call.args[0].op, call.fn, call.offset, []step{{index: index, isIndex: true}}
	return opFunc(func(f *frame, v *val) error {
		if err := a.eval(f, v); err != nil || v.k == vAbsent {
			return err
		}
		if v.k == vDoc && v.doc.Kind() == jsondoc.Array {
			return at(where, walkVal(f, v, steps, v))
		}
		return fn.converted(f, v, where)
	})
}

// directHas looks at a document's value without converting it.
func directHas(_ *compiler, call *callInfo) op {
	a, fn, where := call.args[0].op, call.fn, call.offset
	return opFunc(func(f *frame, v *val) error {
		if err := a.eval(f, v); err != nil {
			return err
		}
		if s, _, ok := v.text(f); ok {
			if err := f.spend(len(s) / textStep); err != nil {
				return at(where, err)
			}
			v.setBool(len(bytes.TrimSpace(s)) > 0)
			return nil
		}
		switch v.k {
		case vAbsent:
			v.setBool(false)
		case vNum, vBool:
			v.setBool(true)
		case vDoc:
			some := true
			if k := v.doc.Kind(); k == jsondoc.Array || k == jsondoc.Object {
				c := v.doc.Cursor()
				some = c.Next()
			}
			v.setBool(some)
		default:
			return fn.converted(f, v, where)
		}
		return nil
	})
}

// unique keeps the first of equal elements.
func unique(f *frame, _ *site, args []any) (any, error) {
	list := args[0].([]any)
	out := make([]any, 0, len(list))
	seen := make(map[string]bool, len(list))
	for _, x := range list {
		key, err := canonical(x, max(f.room, 0))
		if errors.Is(err, errLongTree) {
			f.room = -1
		}
		f.made(2 * len(key))
		if over := f.over(); over != nil {
			return nil, over
		}
		if err != nil {
			return nil, err
		}
		if !seen[key] {
			seen[key] = true
			out = append(out, x)
		}
	}
	return out, nil
}

// canonical is a text that two values share if and only if they are equal.
func canonical(x any, most int) (string, error) {
	b, err := appendTree(nil, x, most)
	if err != nil {
		return "", err
	}
	d, err := jsondoc.Parse(b, jsondoc.Limits{})
	if err != nil {
		return "", err
	}
	return string(jsondoc.AppendCanonical(nil, d.Root())), nil
}

// sortBy sorts a list by keys of the same positions: all numbers or all texts, absent ones last; equal keys keep their order.
func sortBy(list, keys []any, order string) ([]any, error) {
	var fault error
	at := make([]int, len(list))
	for i := range at {
		at[i] = i
	}
	slices.SortStableFunc(at, func(i, j int) int {
		a, b := keys[i], keys[j]
		switch {
		case a == nil && b == nil:
			return 0
		case a == nil:
			return 1
		case b == nil:
			return -1
		}
		n := 0
		switch x := a.(type) {
		case string:
			y, ok := b.(string)
			if !ok {
				fault = errMixedKeys
			}
			n = strings.Compare(x, y)
		case jsondoc.Decimal:
			y, ok := b.(jsondoc.Decimal)
			if !ok {
				fault = errMixedKeys
			}
			n = x.Cmp(y)
		default:
			fault = errMixedKeys
		}
		if order == "desc" {
			n = -n
		}
		return cmp.Compare(n, 0)
	})
	if fault != nil {
		return nil, fault
	}
	out := make([]any, len(list))
	for i, j := range at {
		out[i] = list[j]
	}
	return out, nil
}

var errMixedKeys = errors.New("sortBy needs keys that are all numbers or all texts")

func otherFunctions() []*function {
	return []*function{
		{
			name: "exists", params: []param{pt("x", kAll)}, required: 1, result: fixed(boolType),
			run: func(_ *frame, _ *site, args []any) (any, error) { return args[0] != nil, nil },
			direct: func(_ *compiler, call *callInfo) op {
				a := call.args[0].op
				return opFunc(func(f *frame, v *val) error {
					if err := a.eval(f, v); err != nil {
						return err
					}
					v.setBool(v.k != vAbsent)
					return nil
				})
			},
		},
		{
			name: "has", params: []param{pt("x", kAll)}, required: 1, result: fixed(boolType),
			run: func(_ *frame, _ *site, args []any) (any, error) {
				switch x := args[0].(type) {
				case nil:
					return false, nil
				case string:
					return strings.TrimSpace(x) != "", nil
				case []any:
					return len(x) > 0, nil
				case map[string]any:
					return len(x) > 0, nil
				}
				return true, nil
			},
			direct: directHas,
		},
	}
}

// listed names things in a sentence: "a, b and c".
func listed(names []string) string {
	switch len(names) {
	case 0:
		return "none"
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
