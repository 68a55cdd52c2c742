package schema

import (
	"math"
	"slices"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// inFront puts the compiled form of a schema in front of its authority; where it cannot be compiled the authority stays
// alone.
func inFront(root *node, authority judge) judge {
	f := fastCompiler{done: map[*node]*check{}, open: map[*node]*check{}}
	c := f.check(root)
	if f.failed {
		return authority
	}
	return &fast{c, authority, f.wary}
}

// fastCompiler turns nodes into checks.
type fastCompiler struct {
	done map[*node]*check
	// open are those on the way to the node at hand: one that contains itself stands in its own check.
	open   map[*node]*check
	failed bool // there is something in the schema that a check cannot say
	wary   bool // see fast
}

// check compiles n; nil for a schema that accepts everything.
func (f *fastCompiler) check(n *node) *check {
	if n == nil {
		return nil
	}
	if c, ok := f.done[n]; ok {
		return c
	}
	if c, ok := f.open[n]; ok {
		return c
	}
	own := &check{}
	f.open[n] = own
	c := f.compile(n, own)
	delete(f.open, n)
	f.done[n] = c
	return c
}

// compile fills own; nil for a schema that accepts everything.
func (f *fastCompiler) compile(n *node, own *check) *check {
	switch {
	case n.always != nil && *n.always:
		return nil
	case n.always != nil:
		own.never = true
		return own
	case n.target != nil && n.src.draft.refAlone():
		return f.check(n.target)
	case n.ref.Kind() != jsondoc.Missing && n.target == nil, n.otherProperties != nil, n.otherItems != nil:
		f.failed = true
		return nil
	}
	k := kinder{f: f, check: own, text: textCheck{high: -1}, array: arrayCheck{high: -1}, object: objectCheck{high: -1}}
	for _, p := range n.plain {
		k.plain(p.keyword, p.value)
	}
	k.types(n)
	k.values(n)
	k.arrays(n)
	k.objects(n)
	k.logic(n)
	return k.finish(n)
}

func (f *fastCompiler) checks(list []*node) []*check {
	var out []*check
	for _, n := range list {
		out = append(out, f.check(n))
	}
	return out
}

// kinder collects what one schema says about each kind of value.
type kinder struct {
	f       *fastCompiler
	check   *check
	text    textCheck
	texts   bool
	number  numberCheck
	numbers bool
	array   arrayCheck
	lists   bool
	object  objectCheck
	maps    bool
	logical logicalCheck
}

// plain compiles a keyword without subschemas.
func (k *kinder) plain(word string, v jsondoc.Value) {
	switch word {
	case "type", "enum", "const", "required": // read into the node
	case "minLength":
		k.text.low, k.texts = k.count(v), true
	case "maxLength":
		k.text.high, k.texts = k.count(v), true
	case "pattern":
		k.text.matcher, k.texts = newMatcher(v.Str()), true
		k.f.failed = k.f.failed || k.text.matcher == nil
	case "format":
		format, ok := formats[v.Str()].(strictFormat)
		k.text.format, k.texts = format, true
		k.f.failed = k.f.failed || !ok
	case "minimum":
		k.number.least = k.bound(v)
	case "maximum":
		k.number.most = k.bound(v)
	case "exclusiveMinimum":
		k.number.above = k.bound(v)
	case "exclusiveMaximum":
		k.number.below = k.bound(v)
	case "multipleOf":
		k.number.step = k.bound(v)
	case "minItems":
		k.array.low, k.lists = k.count(v), true
	case "maxItems":
		k.array.high, k.lists = k.count(v), true
	case "uniqueItems":
		k.array.unique = v.Bool()
		k.lists, k.f.wary = k.lists || v.Bool(), true
	case "minProperties":
		k.object.low, k.maps = k.count(v), true
	case "maxProperties":
		k.object.high, k.maps = k.count(v), true
	default:
		k.f.failed = true
	}
}

func (k *kinder) count(v jsondoc.Value) int {
	d, err := v.Decimal()
	n, ok := d.Int64()
	if err != nil || !ok || n < 0 || n >= 1<<31 {
		k.f.failed = true
		return 0
	}
	return int(n)
}

func (k *kinder) bound(v jsondoc.Value) *jsondoc.Decimal {
	d, err := v.Decimal()
	if err != nil || d.Err() != nil {
		k.f.failed = true
	}
	k.numbers = true
	return &d
}

func (k *kinder) types(n *node) {
	k.check.typed = len(n.types) > 0
	for _, t := range n.types {
		switch t {
		case "object":
			k.check.kinds |= 1 << jsondoc.Object
		case "array":
			k.check.kinds |= 1 << jsondoc.Array
		case "string":
			k.check.kinds |= 1 << jsondoc.String
		case "number", "integer":
			k.check.kinds |= 1 << jsondoc.Number
		case "boolean":
			k.check.kinds |= 1 << jsondoc.Bool
		case "null":
			k.check.kinds |= 1 << jsondoc.Null
		default:
			k.f.failed = true
		}
	}
	k.check.whole = slices.Contains(n.types, "integer") && !slices.Contains(n.types, "number")
}

func (k *kinder) values(n *node) {
	var s values
	if len(n.enum) > 0 {
		s.sets = append(s.sets, newValueSet(n.enum))
	}
	if n.constant.Kind() != jsondoc.Missing {
		s.sets = append(s.sets, newValueSet([]jsondoc.Value{n.constant}))
	}
	if len(s.sets) > 0 {
		k.check.values = &s
		k.f.wary = k.f.wary || enumFormat(n) == ""
	}
}

func (k *kinder) arrays(n *node) {
	if n.items == nil && len(n.tuple) == 0 && n.contains == nil {
		return
	}
	k.lists = true
	k.array.rest = k.f.check(n.items)
	k.array.tuple = k.f.checks(n.tuple)
	if len(n.tuple) > 0 {
		k.array.rest = k.f.check(n.moreItems)
	}
	k.array.contains, k.array.wanted = k.f.check(n.contains), n.contains != nil
}

func (k *kinder) objects(n *node) {
	o := &k.object
	o.index = map[string]int{}
	add := func(name string) *member {
		at, ok := o.index[name]
		if !ok {
			at = len(o.members)
			o.index[name] = at
			o.members = append(o.members, member{name: name})
		}
		return &o.members[at]
	}
	for _, p := range n.properties {
		m := add(p.name)
		m.known, m.check = true, k.f.check(p.node)
	}
	for i, name := range n.required {
		if i >= 64 {
			k.f.failed = true
			return
		}
		m := add(name)
		m.bit = 1 << i
		o.required |= m.bit
	}
	for _, p := range n.patterns {
		k.f.failed = k.f.failed || p.re == nil
		o.patterns = append(o.patterns, patternCheck{p.re, k.f.check(p.node)})
	}
	o.other, o.names = k.f.check(n.additional), k.f.check(n.names)
	for _, d := range n.needs {
		c := needCheck{name: d.name, check: k.f.check(d.node)}
		for name := range d.names.Elements() {
			c.names = append(c.names, name.Str())
		}
		o.needs = append(o.needs, c)
	}
	k.maps = k.maps || len(o.members)+len(o.patterns)+len(o.needs) > 0 || o.other != nil || o.names != nil
}

func (k *kinder) logic(n *node) {
	l := &k.logical
	l.all, l.any, l.one = k.f.checks(n.allOf), k.f.checks(n.anyOf), k.f.checks(n.oneOf)
	if n.target != nil {
		l.all = append(l.all, k.f.check(n.target))
	}
	if n.not != nil {
		l.not = []*check{k.f.check(n.not)}
	}
	if n.ifs != nil {
		l.when = []condition{{k.f.check(n.ifs), k.f.check(n.then), k.f.check(n.otherwise)}}
	}
}

// simplify sets the plain bounds where they say everything.
func (n *numberCheck) simplify() {
	n.low, n.high = math.MinInt64, math.MaxInt64
	n.plain = n.above == nil && n.below == nil && n.step == nil
	for _, b := range []struct {
		bound *jsondoc.Decimal
		at    *int64
	}{{n.least, &n.low}, {n.most, &n.high}} {
		if b.bound == nil {
			continue
		}
		whole, ok := b.bound.Int64()
		*b.at, n.plain = whole, n.plain && ok
	}
}

// finish keeps of the parts those that say something.
func (k *kinder) finish(n *node) *check {
	c := k.check
	if k.texts {
		c.text = &k.text
	}
	if k.numbers {
		k.number.simplify()
		c.number = &k.number
	}
	if k.lists {
		c.array = &k.array
	}
	if k.maps {
		c.object = &k.object
	}
	l := &k.logical
	if len(l.all)+len(l.any)+len(l.one)+len(l.not)+len(l.when) > 0 {
		c.logical = l
	}
	if *c == (check{}) {
		return nil
	}
	return c
}
