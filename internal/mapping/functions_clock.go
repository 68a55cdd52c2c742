package mapping

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/expr-lang/expr/ast"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Business rules are about time: how long something has stood. Their expressions may ask for the moment at which a run began, which is one
// for all objects of the run; mappings may not.

// clockLibrary are the functions that only expressions with a clock have.
var clockLibrary = func() map[string]*function {
	m := map[string]*function{}
	for _, fn := range clockFunctions() {
		m[fn.name] = fn
	}
	return m
}()

// ClockFunctions gives the names of the functions that only expressions with a clock have, sorted.
func ClockFunctions() []string { return slices.Sorted(maps.Keys(clockLibrary)) }

var spanType = typ{k: kNumber, span: true}

func clockFunctions() []*function {
	zone := param{name: "zone", k: kText, literal: true}
	return []*function{
		{
			name: "now", result: fixed(timeType),
			run: func(f *frame, _ *site, _ []any) (any, error) {
				return f.in.Now.UTC().Format(time.RFC3339Nano), nil
			},
		},
		{
			name: "today", params: []param{zone}, required: 1, result: fixed(textType), prepare: prepareTime(-1, 0),
			run: func(f *frame, s *site, _ []any) (any, error) {
				return f.in.Now.In(s.zone).Format(time.DateOnly), nil
			},
		},
		{
			name: "age", params: []param{p("t", kText), zone}, required: 1, result: passing(spanType), prepare: prepareTime(-1, 1),
			run: func(f *frame, s *site, args []any) (any, error) {
				t, err := pointInTime(args[0].(string), "", s.zone)
				if err != nil {
					return nil, err
				}
				return seconds(f.in.Now, t)
			},
		},
		lengthFunction("days", 24*time.Hour),
		lengthFunction("hours", time.Hour),
	}
}

// lengthFunction makes a length of time of a number that is computed.
func lengthFunction(name string, unit time.Duration) *function {
	scale := jsondoc.FromInt(int64(unit / time.Second))
	return &function{name: name, params: []param{p("n", kNumber)}, required: 1, result: passing(spanType),
		run: func(_ *frame, _ *site, args []any) (any, error) {
			d := args[0].(jsondoc.Decimal).Mul(scale)
			return d, d.Err()
		}}
}

// seconds are those from t until now, exactly: times may lie further apart than a Duration can say.
func seconds(now, t time.Time) (jsondoc.Decimal, error) {
	whole := jsondoc.FromInt(now.Unix() - t.Unix())
	nanos, err := jsondoc.FromInt(int64(now.Nanosecond()-t.Nanosecond())).Div(jsondoc.FromInt(int64(time.Second)), 9, jsondoc.Down)
	if err != nil {
		return whole, err
	}
	return whole.Add(nanos).Trim(), nil
}

// spanUnits are those of lengths of time, in seconds.
var spanUnits = map[rune]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 7 * 86400}

// spanAt is how many characters a length of time at i has: whole numbers with units, 3d or 1d12h; 0: none stands there.
func spanAt(runes []rune, i int) int {
	if i > 0 && (wordRune(runes[i-1]) || runes[i-1] == '.') {
		return 0
	}
	n := 0
	for {
		digits := n
		for i+n < len(runes) && runes[i+n] >= '0' && runes[i+n] <= '9' {
			n++
		}
		if n == digits {
			return 0
		}
		if i+n >= len(runes) || spanUnits[runes[i+n]] == 0 {
			return 0
		}
		n++
		if i+n >= len(runes) || !wordRune(runes[i+n]) {
			return n
		}
	}
}

func wordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// maskSpans writes lengths of time as words of the same length: the library reads no number with letters. What they are is read from the
// text itself, at their place.
func maskSpans(runes []rune) []rune {
	out := slices.Clone(runes)
	for i := 0; i < len(out); i++ {
		switch r := out[i]; {
		case r == '"' || r == '\'' || r == '`':
			i = closing(out, i)
		case r == '/' && i+1 < len(out) && (out[i+1] == '/' || out[i+1] == '*'):
			i = commentEnd(out, i)
		case r >= '0' && r <= '9':
			n := spanAt(runes, i)
			for j := range n {
				out[i+j] = '_'
			}
			i += max(0, n-1)
		}
	}
	return out
}

// closing is where the text that begins at i ends.
func closing(runes []rune, i int) int {
	quote := runes[i]
	for i++; i < len(runes) && runes[i] != quote; i++ {
		if runes[i] == '\\' && quote != '`' {
			i++
		}
	}
	return i
}

// commentEnd is where the comment that begins at i ends.
func commentEnd(runes []rune, i int) int {
	line := runes[i+1] == '/'
	for i += 2; i < len(runes); i++ {
		if line && runes[i] == '\n' || !line && runes[i] == '/' && runes[i-1] == '*' {
			break
		}
	}
	return i
}

// asWritten is a word of a problem as it stands in the file.
func asWritten(runes []rune, from int, word string) string {
	if strings.Trim(word, "_") == "" && from >= 0 && from+len(word) <= len(runes) {
		return string(runes[from : from+len(word)])
	}
	return word
}

// span compiles a length of time.
func (c *compiler) span(n *ast.IdentifierNode) (code, bool) {
	loc := n.Location()
	if !c.scope.clock || loc.From < 0 || loc.To > len(c.runes) || loc.From >= loc.To || c.runes[loc.From] < '0' || c.runes[loc.From] > '9' {
		return code{}, false
	}
	var sum jsondoc.Decimal
	number := ""
	for _, r := range c.runes[loc.From:loc.To] {
		unit := spanUnits[r]
		if unit == 0 {
			number += string(r)
			continue
		}
		d, err := jsondoc.ParseDecimal(number)
		if err != nil {
			return c.fail(n, "", "the length of time %s cannot be read: %v", shorten(string(c.runes[loc.From:loc.To])), err), true
		}
		sum, number = sum.Add(d.Mul(jsondoc.FromInt(unit))), ""
	}
	x := litCode(sum)
	x.t.span = true
	return x, true
}

// spanAgainstNumber notes a length of time that is compared with a number that names no unit.
func (c *compiler) spanAgainstNumber(n *ast.BinaryNode, a, b code) bool {
	for _, pair := range []struct {
		span, other code
		at          ast.Node
	}{{a, b, n.Right}, {b, a, n.Left}} {
		d, number := literalNumber(pair.other)
		if pair.span.t.span && number && !pair.other.t.span && d.Sign() != 0 {
			c.problem(c.offset(pair.at), fmt.Sprintf("write for example %sd for days", d.String()), "this is a length of time, and %s names no unit", d.String())
			return true
		}
	}
	return false
}

func literalNumber(x code) (jsondoc.Decimal, bool) {
	if x.lit == nil {
		return jsondoc.Decimal{}, false
	}
	d, ok := x.lit.any.(jsondoc.Decimal)
	return d, ok
}
