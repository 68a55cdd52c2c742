package schema

import "github.com/waybill-hub/waybill/internal/jsondoc"

// Part is what a schema says about the value at one place, for whoever writes a document and judges its values as they are written: then nobody has to read it
// again. Every answer is yes or unknown: the schema as a whole has the last word on what is not surely valid. The zero Part accepts everything.
type Part struct{ check *check }

// Part is what the schema says about a whole document; ok is false where its values cannot be judged one by one.
func (s *Schema) Part() (p Part, ok bool) {
	if s == nil {
		return Part{}, true
	}
	f, ok := s.judge.(*fast)
	if !ok || f.wary {
		return Part{}, false
	}
	return Part{f.check}, true
}

// takes reports whether nothing is said of a value of that kind but what its own keywords say.
func (c *check) takes(kind jsondoc.Kind) bool {
	return !c.never && c.logical == nil && (!c.typed || c.kinds&(1<<kind) != 0)
}

// Members gives the parts of the members of an object that has these and no others; always tells of which it has whatever comes. ok is false where the object may
// be invalid although each of its members is valid.
func (p Part) Members(names []string, always func(i int) bool) (parts []Part, ok bool) {
	parts = make([]Part, len(names))
	c := p.check
	if c == nil {
		return parts, true
	}
	if !c.takes(jsondoc.Object) || c.values != nil {
		return nil, false
	}
	o := c.object
	if o == nil {
		return parts, true
	}
	if o.low > 0 || o.high >= 0 || len(o.patterns) > 0 || o.names != nil || len(o.needs) > 0 {
		return nil, false
	}
	missing := o.required
	for i, name := range names {
		at, named := o.index[name]
		if named && o.members[at].known {
			parts[i].check = o.members[at].check
		} else {
			parts[i].check = o.other
		}
		if named && always(i) {
			missing &^= o.members[at].bit
		}
	}
	return parts, missing == 0
}

// Elements gives the part of the elements of an array, and how many there must be at least and at most (-1: without bound). ok is false where the array may be
// invalid although each of its elements is valid.
func (p Part) Elements() (element Part, low, high int, ok bool) {
	c := p.check
	if c == nil {
		return Part{}, 0, -1, true
	}
	if !c.takes(jsondoc.Array) || c.values != nil {
		return Part{}, 0, 0, false
	}
	a := c.array
	if a == nil {
		return Part{}, 0, -1, true
	}
	if len(a.tuple) > 0 || a.unique || a.wanted {
		return Part{}, 0, 0, false
	}
	return Part{a.rest}, a.low, a.high, true
}

// Value reports whether a value that was read is surely valid.
func (p Part) Value(v jsondoc.Value) bool { return p.check.of(v) == yes }

// Text reports the same of a string, of which these are the decoded bytes, UTF-8.
func (p Part) Text(b []byte) bool {
	c := p.check
	return c == nil || c.takes(jsondoc.String) && (c.values == nil || c.values.texts(b)) && (c.text == nil || c.text.holds(b) == yes)
}

// Number reports the same of a number that is written so.
func (p Part) Number(d jsondoc.Decimal, raw []byte) bool {
	c := p.check
	return c == nil || c.takes(jsondoc.Number) && c.values == nil && (c.plainly(raw) || c.numeric(d) == yes)
}
