package mapping

import (
	"errors"
	"fmt"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

func numberFunctions() []*function {
	return []*function{
		{
			name: "num", params: []param{p("x", kPlain)}, required: 1, result: passing(numberType),
			run: func(_ *frame, _ *site, args []any) (any, error) {
				s, ok := args[0].(string)
				if !ok {
					return args[0], nil
				}
				d, err := jsondoc.ParseDecimal(strings.TrimSpace(s))
				if err != nil {
					return nil, fmt.Errorf("num: %s is not a number: digits with a point, no grouping, no currency", show(s))
				}
				return d, nil
			},
		},
		{
			name: "round", params: []param{p("x", kNumber), p("places", kNumber), {name: "mode", k: kText, literal: true}}, required: 2, result: passing(numberType),
			prepare: prepareRound,
			run: func(_ *frame, s *site, args []any) (any, error) {
				places, err := whole("round", "places", args[1], -100, 100)
				if err != nil {
					return nil, err
				}
				d := args[0].(jsondoc.Decimal).Round(places, s.mode)
				return d, d.Err()
			},
			direct: func(_ *compiler, call *callInfo) op {
				if !call.site.ready {
					return nil
				}
				return &roundOp{a: call.args[0].op, places: call.site.places, mode: call.site.mode, at: call.offset}
			},
		},
		{
			name: "fixed", params: []param{p("x", kNumber), p("places", kNumber)}, required: 2, result: passing(textType),
			run: func(_ *frame, _ *site, args []any) (any, error) {
				places, err := whole("fixed", "places", args[1], 0, 100)
				if err != nil {
					return nil, err
				}
				d := args[0].(jsondoc.Decimal).Fixed(places, jsondoc.HalfUp)
				return d.String(), d.Err()
			},
		},
		{
			name: "abs", params: []param{p("x", kNumber)}, required: 1, result: passing(numberType),
			run: func(_ *frame, _ *site, args []any) (any, error) { return args[0].(jsondoc.Decimal).Abs(), nil },
		},
		extreme("min", -1),
		extreme("max", 1),
	}
}

var roundModes = []string{"half-up", "half-even", "down", "up"}

func prepareRound(c *compiler, call *callInfo) *site {
	s := &site{}
	if name, ok := call.literal(2); ok {
		if s.mode, ok = jsondoc.ParseMode(name); !ok {
			c.problem(call.at(2), orElse(didYouMean(name, roundModes), "write one of "+strings.Join(roundModes, ", ")), "round: unknown mode %q", name)
		}
	}
	if len(call.args) < 2 || call.args[1].lit == nil {
		return s
	}
	if d, ok := call.args[1].lit.any.(jsondoc.Decimal); ok {
		n, err := whole("round", "places", d, -100, 100)
		if err != nil {
			c.problem(call.at(1), "", "%v", err)
			return s
		}
		s.places, s.ready = n, true
	}
	return s
}

// roundOp is the direct form of round.
type roundOp struct {
	a      op
	places int
	mode   jsondoc.Mode
	at     int
}

func (o *roundOp) eval(f *frame, v *val) error {
	if err := o.a.eval(f, v); err != nil || v.k == vAbsent {
		return err
	}
	d, ok, err := v.number()
	if err != nil {
		return at(o.at, err)
	}
	if !ok {
		x, err := v.any(f)
		if err == nil {
			err = fmt.Errorf("round wants a number, not %s%s", describe(x), conversion(kNumber, kindOf(x)))
		}
		return at(o.at, err)
	}
	d = d.Round(o.places, o.mode)
	v.setNum(d)
	return at(o.at, d.Err())
}

// extreme is min (sign -1) or max (1): of its arguments, or of the one list that is given.
func extreme(name string, sign int) *function {
	return &function{
		name: name, params: []param{p("x", kNumber|kList)}, required: 1, variadic: true, result: func(args []code) typ {
			t := passing(numberType)(args)
			if len(args) == 1 {
				t = t.maybe() // of an empty list
			}
			return t
		},
		run: func(_ *frame, _ *site, args []any) (any, error) {
			list := args
			if len(args) == 1 {
				var ok bool
				if list, ok = args[0].([]any); !ok {
					return args[0], nil
				}
			}
			all, err := decimals(list, name)
			if err != nil || len(all) == 0 {
				return nil, err
			}
			best := all[0]
			for _, d := range all[1:] {
				if d.Cmp(best) == sign {
					best = d
				}
			}
			return best, best.Err()
		},
	}
}

// sum adds up the elements of a list.
func sum(list []any, fn string) (jsondoc.Decimal, error) {
	all, err := decimals(list, fn)
	if err != nil {
		return jsondoc.Decimal{}, err
	}
	var total jsondoc.Decimal
	for _, d := range all {
		total = total.Add(d)
	}
	return total, total.Err()
}

var errNoField = errors.New("has no such number")

func orElse(hint, other string) string {
	if hint != "" {
		return hint
	}
	return other
}
