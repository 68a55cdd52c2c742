package mapping

import (
	"fmt"
	"regexp"
	"sort"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// maxText bounds the text that a function or + can make, in bytes.
const maxText = 1 << 20

// mode says what an absent argument does.
type mode uint8

const (
	passes mode = iota // the result is absent
	needs              // an error
	takes              // the function looks at it itself
)

// param is one parameter of a function.
type param struct {
	name string
	k    kinds
	mode mode
	// literal: the argument must be written out, because it is checked when the mapping is loaded.
	literal bool
}

// function is one function of the language. It is pure but for xref and xref_id, which ask the cross-reference.
type function struct {
	name     string
	params   []param
	required int  // how many parameters must be given
	variadic bool // the last parameter may be repeated
	result   func(args []code) typ
	// prepare checks literal arguments and resolves them; it may be nil.
	prepare func(c *compiler, call *callInfo) *site
	// run gets arguments that were checked against params.
	run func(f *frame, s *site, args []any) (any, error)
	// direct may give a form without Go values, or nil.
	direct func(c *compiler, call *callInfo) op
}

// site is what was resolved of one call's literal arguments when compiling.
type site struct {
	layout  string
	zone    *time.Location
	re      *regexp.Regexp
	values  *ValueMap
	system  string
	mode    jsondoc.Mode
	places  int
	ready   bool              // every argument that matters is literal
	members map[string][]byte // the entries of values for system
}

// call checks the arguments and runs the function.
func (fn *function) call(f *frame, s *site, args []any) (any, error) {
	for i, x := range args {
		p := &fn.params[min(i, len(fn.params)-1)]
		if x == nil {
			switch p.mode {
			case passes:
				return nil, nil
			case needs:
				return nil, fmt.Errorf("%s: its argument %q is absent: give a default with `??`", fn.name, p.name)
			}
			continue
		}
		if kindOf(x)&p.k == 0 {
			return nil, fmt.Errorf("%s wants %s, not %s%s", fn.name, p.k.a(), describe(x), conversion(p.k, kindOf(x)))
		}
	}
	if f == nil {
		return fn.run(f, s, args)
	}
	if err := f.given(args); err != nil {
		return nil, err
	}
	out, err := fn.run(f, s, args)
	if err != nil {
		return nil, err
	}
	return out, f.taken(out)
}

// conversion hints at the function that turns what was given into what is wanted.
func conversion(want, got kinds) string {
	switch {
	case want == kText && got&kSome == kNumber, want == kText && got&kSome == kBool:
		return " (text() converts)"
	case want == kNumber && got&kSome == kText:
		return " (num() converts)"
	}
	return ""
}

func fixed(t typ) func([]code) typ { return func([]code) typ { return t } }

// passing is t, absent where a passing argument can be.
func passing(t typ) func([]code) typ {
	return func(args []code) typ {
		for _, a := range args {
			t.k |= a.t.k & kNull
		}
		return t
	}
}

// p, pn and pt are parameters that pass on, need, and take an absent argument.
func p(name string, k kinds) param  { return param{name: name, k: k} }
func pn(name string, k kinds) param { return param{name: name, k: k, mode: needs} }
func pt(name string, k kinds) param { return param{name: name, k: k, mode: takes} }

var library = func() map[string]*function {
	m := map[string]*function{}
	for _, group := range [][]*function{textFunctions(), numberFunctions(), timeFunctions(), listFunctions(), refFunctions(), otherFunctions()} {
		for _, fn := range group {
			if m[fn.name] != nil {
				panic("mapping: two functions " + fn.name)
			}
			m[fn.name] = fn
		}
	}
	return m
}()

// predicates are the functions of the expression library that take a condition or expression per element.
var predicates = map[string]bool{
	"all": true, "any": true, "none": true, "one": true, "filter": true, "map": true, "find": true, "count": true, "sum": true, "sortBy": true,
}

// special are functions that the compiler itself turns into something else.
var special = []string{"choose", "header"}

// Functions gives the names of all functions, sorted.
func Functions() []string {
	names := append([]string{}, special...)
	for name := range library {
		names = append(names, name)
	}
	for name := range predicates {
		if library[name] == nil {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

func checkLength(n int) error {
	if n > maxText {
		return fmt.Errorf("the text would be longer than %d bytes", maxText)
	}
	return nil
}

func bounded(s string) (any, error) {
	if err := checkLength(len(s)); err != nil {
		return nil, err
	}
	return s, nil
}

// whole gives a number argument as a machine integer within bounds.
func whole(fn, name string, x any, low, high int64) (int, error) {
	d, _ := x.(jsondoc.Decimal)
	n, ok := d.Int64()
	if !ok || n < low || n > high {
		return 0, fmt.Errorf("%s: %s must be a whole number from %d to %d, not %s", fn, name, low, high, shorten(d.String()))
	}
	return int(n), nil
}
