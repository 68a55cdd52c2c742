package mapping

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

func textFunctions() []*function {
	return []*function{
		text1("trim", strings.TrimSpace, trimBytes),
		text1("upper", strings.ToUpper, upperBytes),
		text1("lower", strings.ToLower, lowerBytes),
		text1("width", width.Fold.String, nil),
		text1("fold", foldText, nil),
		{
			name: "substr", params: []param{p("s", kText), p("from", kNumber), p("length", kNumber)}, required: 2, result: passing(textType),
			run: substr,
		},
		{
			name: "replace", params: []param{p("s", kText), p("old", kText), p("new", kText)}, required: 3, result: passing(textType),
			run: func(_ *frame, _ *site, args []any) (any, error) {
				s, old, with := args[0].(string), args[1].(string), args[2].(string)
				if old == "" {
					return nil, errors.New("replace: the text to replace is empty")
				}
				if err := checkLength(len(s) + strings.Count(s, old)*(len(with)-len(old))); err != nil {
					return nil, err
				}
				return strings.ReplaceAll(s, old, with), nil
			},
		},
		{
			name: "split", params: []param{p("s", kText), p("separator", kText)}, required: 2, result: passing(listOf(textType)),
			run: func(f *frame, _ *site, args []any) (any, error) {
				if args[1] == "" {
					return nil, errors.New("split: the separator is empty")
				}
				if f.made(32 * strings.Count(args[0].(string), args[1].(string))); f.room < 0 {
					return nil, f.over()
				}
				parts := strings.Split(args[0].(string), args[1].(string))
				list := make([]any, len(parts))
				for i, part := range parts {
					list[i] = part
				}
				return list, nil
			},
		},
		{
			name: "join", params: []param{p("list", kList), p("separator", kText)}, required: 2, result: passing(textType),
			run: join,
		},
		{
			name: "concat", params: []param{pt("x", kPlain)}, required: 1, variadic: true, result: fixed(textType),
			run: func(_ *frame, _ *site, args []any) (any, error) {
				var b strings.Builder
				for _, x := range args {
					s, err := plain(x)
					if err != nil {
						return nil, err
					}
					if err := checkLength(b.Len() + len(s)); err != nil {
						return nil, err
					}
					b.WriteString(s)
				}
				return b.String(), nil
			},
		},
		{
			name: "pad_left", params: []param{p("s", kPlain), p("width", kNumber), p("fill", kText)}, required: 3, result: passing(textType),
			run: padLeft,
		},
		{
			name: "contains", params: []param{p("in", kText|kList), pt("what", kAll)}, required: 2, result: passing(boolType),
			run: func(f *frame, _ *site, args []any) (any, error) { return contains(f, args[0], args[1]) },
		},
		textTest("starts_with", strings.HasPrefix),
		textTest("ends_with", strings.HasSuffix),
		{
			name: "matches", params: []param{p("s", kText), {name: "pattern", k: kText, literal: true}}, required: 2, result: passing(boolType),
			prepare: func(c *compiler, call *callInfo) *site {
				pattern, ok := call.literal(1)
				if !ok {
					return nil
				}
				re, err := regexp.Compile(pattern)
				if err != nil {
					c.problem(call.at(1), "patterns are Go's (RE2): no look-around, no back-references", "the pattern %s does not compile: %v", show(pattern), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
				}
				return &site{re: re}
			},
			run: func(_ *frame, s *site, args []any) (any, error) { return s.re.MatchString(args[0].(string)), nil },
		},
		{
			name: "format", params: []param{{name: "template", k: kText, literal: true}, pt("x", kPlain|kBool)}, required: 1, variadic: true, result: fixed(textType),
			prepare: func(c *compiler, call *callInfo) *site {
				if t, ok := call.literal(0); ok {
					if n := strings.Count(t, "{}"); n != len(call.args)-1 {
						c.problem(call.offset, "each {} takes one value, in order", "format: the template has places for %d, and what is given is %d", n, len(call.args)-1)
					}
				}
				return nil
			},
			run: format,
		},
		{
			name: "text", params: []param{p("x", kPlain|kBool)}, required: 1, result: passing(textType),
			run: func(_ *frame, _ *site, args []any) (any, error) {
				s, err := plain(args[0])
				return s, err
			},
		},
	}
}

// text1 is a function from text to text; fast, if given, works on bytes that need no decoding.
func text1(name string, do func(string) string, fast func(f *frame, s []byte) ([]byte, bool)) *function {
	return &function{
		name: name, params: []param{p("s", kText)}, required: 1,
		result: passing(textType),
		run:    func(_ *frame, _ *site, args []any) (any, error) { return do(args[0].(string)), nil },
		direct: func(_ *compiler, call *callInfo) op {
			return &textOp{a: call.args[0].op, name: name, do: do, fast: fast, at: call.offset}
		},
	}
}

// textOp is the direct form of a function from text to text.
type textOp struct {
	a    op
	name string
	do   func(string) string
	fast func(f *frame, s []byte) ([]byte, bool)
	at   int
}

func (o *textOp) eval(f *frame, v *val) error {
	if err := o.a.eval(f, v); err != nil || v.k == vAbsent {
		return err
	}
	s, clean, ok := v.text(f)
	if !ok {
		x, err := v.any(f)
		if err != nil {
			return at(o.at, err)
		}
		return at(o.at, fmt.Errorf("%s wants text, not %s%s", o.name, describe(x), conversion(kText, kindOf(x))))
	}
	if f.made(len(s)); f.room < 0 {
		return at(o.at, f.over())
	}
	if o.fast != nil {
		if t, ok := o.fast(f, s); ok {
			v.setText(t, clean)
			return nil
		}
	}
	v.setText([]byte(o.do(string(s))), false)
	return nil
}

func trimBytes(_ *frame, s []byte) ([]byte, bool) { return bytes.TrimSpace(s), true }

func upperBytes(f *frame, s []byte) ([]byte, bool) { return mapASCII(f, s, 'a', 'z') }
func lowerBytes(f *frame, s []byte) ([]byte, bool) { return mapASCII(f, s, 'A', 'Z') }

// mapASCII switches the case of letters from low to high; false where the text is not ASCII.
func mapASCII(f *frame, s []byte, low, high byte) ([]byte, bool) {
	from := len(f.arena)
	for _, c := range s {
		if c >= utf8.RuneSelf {
			f.arena = f.arena[:from]
			return nil, false
		}
		if low <= c && c <= high {
			c ^= 0x20
		}
		f.arena = append(f.arena, c)
	}
	return f.arena[from:len(f.arena):len(f.arena)], true
}

// foldText makes texts that people take for the same the same: letter case, full and half width, composed and decomposed
// letters, and runs of space.
func foldText(s string) string {
	return strings.Join(strings.Fields(norm.NFC.String(cases.Fold().String(width.Fold.String(s)))), " ")
}

func textTest(name string, do func(s, t string) bool) *function {
	return &function{
		name: name, params: []param{p("s", kText), p("what", kText)}, required: 2, result: passing(boolType),
		run: func(_ *frame, _ *site, args []any) (any, error) { return do(args[0].(string), args[1].(string)), nil },
	}
}

// contains looks for a text in a text, or for a value among the elements of a list.
func contains(f *frame, in, what any) (any, error) {
	switch x := in.(type) {
	case nil:
		return nil, nil
	case []any:
		return boxedBool(f.isIn(x, what))
	case string:
		if s, ok := what.(string); ok {
			return strings.Contains(x, s), nil
		}
	}
	return nil, fmt.Errorf("contains looks for text in text, or for a value in a list, not for %s in %s", describe(what), describe(in))
}

// substr counts characters from 0; a negative start counts from the end.
func substr(f *frame, _ *site, args []any) (any, error) {
	if f.made(4 * len(args[0].(string))); f.room < 0 {
		return nil, f.over()
	}
	runes := []rune(args[0].(string))
	from, err := whole("substr", "from", args[1], -maxText, maxText)
	if err != nil {
		return nil, err
	}
	length := len(runes)
	if len(args) > 2 {
		if length, err = whole("substr", "length", args[2], 0, maxText); err != nil {
			return nil, err
		}
	}
	if from < 0 {
		from = max(0, len(runes)+from)
	}
	from = min(from, len(runes))
	return string(runes[from:min(from+length, len(runes))]), nil
}

func join(_ *frame, _ *site, args []any) (any, error) {
	var b strings.Builder
	first := true
	for i, x := range args[0].([]any) {
		if x == nil {
			continue
		}
		s, err := plain(x)
		if err != nil {
			return nil, fmt.Errorf("join: element %d: %w", i, err)
		}
		if !first {
			b.WriteString(args[1].(string))
		}
		first = false
		b.WriteString(s)
		if err := checkLength(b.Len()); err != nil {
			return nil, err
		}
	}
	return b.String(), nil
}

func padLeft(_ *frame, _ *site, args []any) (any, error) {
	s, err := plain(args[0])
	if err != nil {
		return nil, err
	}
	n, err := whole("pad_left", "width", args[1], 0, 10_000)
	if err != nil {
		return nil, err
	}
	fill := args[2].(string)
	if utf8.RuneCountInString(fill) != 1 {
		return nil, fmt.Errorf("pad_left: fill must be one character, not %s", show(fill))
	}
	if have := utf8.RuneCountInString(s); have < n {
		s = strings.Repeat(fill, n-have) + s
	}
	return s, nil
}

// format puts the values into the places {} of the template, in order; absent values give nothing.
func format(_ *frame, _ *site, args []any) (any, error) {
	rest := args[0].(string)
	var b strings.Builder
	for _, x := range args[1:] {
		before, after, ok := strings.Cut(rest, "{}")
		if !ok {
			break
		}
		s, err := plain(x)
		if err != nil {
			return nil, fmt.Errorf("format: %w", err)
		}
		if err := checkLength(b.Len() + len(before) + len(s)); err != nil {
			return nil, err
		}
		b.WriteString(before)
		b.WriteString(s)
		rest = after
	}
	b.WriteString(rest)
	return bounded(b.String())
}

func decimals(list []any, fn string) ([]jsondoc.Decimal, error) {
	out := make([]jsondoc.Decimal, 0, len(list))
	for i, x := range list {
		d, ok := x.(jsondoc.Decimal)
		if !ok {
			return nil, fmt.Errorf("%s: element %d is %s, not a number", fn, i, describe(x))
		}
		out = append(out, d)
	}
	return out, nil
}
