package schema

import (
	"bytes"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// verdict is what a compiled schema says about a value. The library is the authority: yes and no are said only where the
// library says the same, everything doubtful is left to it.
type verdict uint8

const (
	maybe verdict = iota
	no
	yes
)

// fast is the judge for the common case, a valid document: it looks at the document's own bytes and allocates nothing.
// Whatever it does not find valid goes to the library, which words the violations.
type fast struct {
	check     *check
	authority judge
	// wary: the library writes values as JSON for this schema, and fails on numbers that no float64 holds.
	wary bool
}

// judge implements judge.
func (f *fast) judge(d *jsondoc.Doc) []Violation {
	if f.of(d) == yes {
		return nil
	}
	return f.authority.judge(d)
}

func (f *fast) of(d *jsondoc.Doc) verdict {
	if f.wary && scientific(d.Root()) {
		return maybe
	}
	return f.check.of(d.Root())
}

// scientific reports whether a number in v is written with an exponent or at length: only then may it be too large for a
// float64.
func scientific(v jsondoc.Value) bool {
	if v.Kind() == jsondoc.Number {
		return len(v.Raw()) > 300 || bytes.ContainsAny(v.Raw(), "eE")
	}
	for c := v.Cursor(); c.Next(); {
		if scientific(c.Value()) {
			return true
		}
	}
	return false
}

// check is one schema, compiled. nil accepts everything.
type check struct {
	never   bool
	typed   bool
	kinds   uint8 // bits of the jsondoc.Kinds allowed
	whole   bool  // of numbers only whole ones
	values  *values
	text    *textCheck
	number  *numberCheck
	array   *arrayCheck
	object  *objectCheck
	logical *logicalCheck
}

// of judges a value. Every part has to say yes; the first that does not decides.
func (c *check) of(v jsondoc.Value) verdict {
	if c == nil {
		return yes
	}
	if c.never {
		return no
	}
	kind := v.Kind()
	if c.typed && c.kinds&(1<<kind) == 0 {
		return no
	}
	if c.values != nil {
		if r := c.values.of(v, kind); r != yes {
			return r
		}
	}
	r := yes
	switch kind {
	case jsondoc.String:
		if c.text != nil {
			r = c.text.of(v)
		}
	case jsondoc.Number:
		if !c.plainly(v.Raw()) {
			d, err := v.Decimal()
			if err != nil {
				return maybe
			}
			r = c.numeric(d)
		}
	case jsondoc.Array:
		if c.array != nil {
			r = c.array.of(v)
		}
	case jsondoc.Object:
		if c.object != nil {
			r = c.object.of(v)
		}
	}
	if r == yes && c.logical != nil {
		return c.logical.of(v)
	}
	return r
}

// textCheck is what a schema says about strings.
type textCheck struct {
	low, high int // code points; high is -1 without bound
	matcher   *matcher
	format    strictFormat
}

func (c *textCheck) of(v jsondoc.Value) verdict {
	b, escaped := v.StrBytes()
	if escaped {
		b = v.AppendStr(make([]byte, 0, len(b)))
	}
	return c.holds(b)
}

// holds judges decoded text.
func (c *textCheck) holds(b []byte) verdict {
	// A code point is one to four bytes: most lengths need no counting.
	if len(b) < c.low || c.high >= 0 && len(b) > 4*c.high {
		return no
	}
	if len(b) < 4*c.low || c.high >= 0 && len(b) > c.high {
		if n := utf8.RuneCount(b); n < c.low || c.high >= 0 && n > c.high {
			return no
		}
	}
	if c.matcher != nil && !c.matcher.match(b) {
		return no
	}
	if c.format != nil && !c.format(alias(b)) {
		return no
	}
	return yes
}

// numberCheck is what a schema says about numbers; nil bounds say nothing.
type numberCheck struct {
	least, most, above, below, step *jsondoc.Decimal
	// plain: the only bounds are least and most, and whole numbers: low and high.
	plain     bool
	low, high int64
}

// within reports whether a number that is written in the plainest way is surely within low and high: digits, and perhaps a
// point and digits where it need not be whole.
func (n *numberCheck) within(b []byte, whole bool) bool {
	var i int64
	at := 0
	for ; at < len(b) && b[at]-'0' <= 9; at++ {
		if at == 18 {
			return false
		}
		i = i*10 + int64(b[at]-'0')
	}
	switch {
	case at == 0:
		return false
	case at == len(b):
		return i >= n.low && i <= n.high
	case b[at] != '.' || whole:
		return false
	}
	for at++; at < len(b); at++ {
		if b[at]-'0' > 9 {
			return false
		}
	}
	return i >= n.low && i < n.high // what stands behind the point adds less than one
}

// plainly reports whether a number that is written so is surely valid by that alone.
func (c *check) plainly(raw []byte) bool {
	if n := c.number; n != nil {
		return n.plain && n.within(raw, c.typed && c.whole)
	}
	return !c.typed || !c.whole
}

func (c *check) numeric(d jsondoc.Decimal) verdict {
	if d.Err() != nil {
		return maybe
	}
	if c.typed && c.whole && !d.IsInt() {
		return no
	}
	n := c.number
	switch {
	case n == nil:
		return yes
	case n.least != nil && d.Cmp(*n.least) < 0,
		n.most != nil && d.Cmp(*n.most) > 0,
		n.above != nil && d.Cmp(*n.above) <= 0,
		n.below != nil && d.Cmp(*n.below) >= 0:
		return no
	case n.step != nil:
		return multiple(d, *n.step)
	}
	return yes
}

// multiple reports whether d is a whole number of steps.
func multiple(d, step jsondoc.Decimal) verdict {
	times, err := d.Div(step, 0, jsondoc.Down)
	if err != nil || times.Err() != nil {
		return maybe
	}
	back := times.Mul(step)
	switch {
	case back.Err() != nil:
		return maybe
	case back.Cmp(d) != 0:
		return no
	}
	return yes
}

// arrayCheck is what a schema says about arrays.
type arrayCheck struct {
	low, high int // high is -1 without bound
	tuple     []*check
	rest      *check // of the elements behind tuple
	unique    bool
	contains  *check
	wanted    bool // contains is there, if only to accept everything
}

// mostUnique bounds the arrays whose elements are compared here, each with each.
const mostUnique = 32

func (c *arrayCheck) of(v jsondoc.Value) verdict {
	n := v.Len()
	if n < c.low || c.high >= 0 && n > c.high {
		return no
	}
	if c.unique && n > 1 {
		if r := different(v, n); r != yes {
			return r
		}
	}
	found := no
	i := 0
	for e := v.Cursor(); e.Next(); i++ {
		part := c.rest
		if i < len(c.tuple) {
			part = c.tuple[i]
		}
		if r := part.of(e.Value()); r != yes {
			return r
		}
		if c.wanted && found != yes {
			switch c.contains.of(e.Value()) {
			case yes:
				found = yes
			case maybe:
				found = maybe
			}
		}
	}
	if c.wanted {
		return found
	}
	return yes
}

// different compares each element with each. Where numbers are among them, the authority compares them exactly too (see authorityOf).
func different(v jsondoc.Value, n int) verdict {
	if n > mostUnique {
		return maybe
	}
	var all [mostUnique]jsondoc.Value
	i := 0
	for e := v.Cursor(); e.Next(); i++ {
		one := e.Value()
		for _, other := range all[:i] {
			if one.Kind() == other.Kind() && one.Equal(other) {
				return no
			}
		}
		all[i] = one
	}
	return yes
}

// logicalCheck joins schemas about one value.
type logicalCheck struct {
	all  []*check
	any  []*check
	one  []*check
	not  []*check // at most one
	when []condition
}

// condition is if, then and else.
type condition struct{ test, then, otherwise *check }

func (c *logicalCheck) of(v jsondoc.Value) verdict {
	for _, part := range c.all {
		if r := part.of(v); r != yes {
			return r
		}
	}
	if len(c.any) > 0 {
		if r := anyOf(c.any, v); r != yes {
			return r
		}
	}
	if len(c.one) > 0 {
		if r := oneOf(c.one, v); r != yes {
			return r
		}
	}
	for _, part := range c.not {
		switch part.of(v) {
		case yes:
			return no
		case maybe:
			return maybe
		}
	}
	for i := range c.when {
		r := maybe
		switch c.when[i].test.of(v) {
		case yes:
			r = c.when[i].then.of(v)
		case no:
			r = c.when[i].otherwise.of(v)
		}
		if r != yes {
			return r
		}
	}
	return yes
}

func anyOf(parts []*check, v jsondoc.Value) verdict {
	r := no
	for _, part := range parts {
		switch part.of(v) {
		case yes:
			return yes
		case maybe:
			r = maybe
		}
	}
	return r
}

func oneOf(parts []*check, v jsondoc.Value) verdict {
	n := 0
	for _, part := range parts {
		switch part.of(v) {
		case maybe:
			return maybe
		case yes:
			n++
		}
	}
	if n != 1 {
		return no
	}
	return yes
}
