package schema

import (
	"math/bits"
	"regexp"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// objectCheck is what a schema says about objects.
type objectCheck struct {
	low, high int // of members; high is -1 without bound
	members   []member
	index     map[string]int // of members, by name
	required  uint64         // bits of the members that must be there
	patterns  []patternCheck
	other     *check // of members without name or pattern
	names     *check
	needs     []needCheck
}

// member is a name that a schema knows.
type member struct {
	name  string
	bit   uint64 // in objectCheck.required; 0: may be absent
	known bool   // stands in properties; a name that is only required does not
	check *check
}

type patternCheck struct {
	re    *regexp.Regexp
	check *check
}

// needCheck is one entry of dependencies.
type needCheck struct {
	name  string
	names []string
	check *check
}

func (c *objectCheck) of(v jsondoc.Value) verdict {
	n := v.Len()
	if n < c.low || c.high >= 0 && n > c.high || n < bits.OnesCount64(c.required) {
		return no
	}
	missing := c.required
	next := 0 // documents often keep the order of their schema
	for e := v.Cursor(); e.Next(); {
		name := e.NameValue()
		b, escaped := name.StrBytes()
		if escaped {
			b = name.AppendStr(make([]byte, 0, len(b)))
		}
		at := -1
		if next < len(c.members) && string(b) == c.members[next].name {
			at = next
		} else if i, ok := c.index[string(b)]; ok {
			at = i
		}
		known := false
		if at >= 0 {
			m := &c.members[at]
			next = at + 1
			missing &^= m.bit
			known = m.known
			if r := m.check.of(e.Value()); r != yes {
				return r
			}
		}
		if !known || len(c.patterns) > 0 {
			if r := c.unnamed(b, e.Value(), known); r != yes {
				return r
			}
		}
		if c.names != nil {
			if r := c.names.of(name); r != yes {
				return r
			}
		}
	}
	if missing != 0 {
		return no
	}
	return c.depends(v)
}

// unnamed applies patternProperties, and additionalProperties to what nothing else describes.
func (c *objectCheck) unnamed(name []byte, v jsondoc.Value, known bool) verdict {
	for i := range c.patterns {
		if c.patterns[i].re.Match(name) {
			known = true
			if r := c.patterns[i].check.of(v); r != yes {
				return r
			}
		}
	}
	if known {
		return yes
	}
	return c.other.of(v)
}

func (c *objectCheck) depends(v jsondoc.Value) verdict {
	for i := range c.needs {
		d := &c.needs[i]
		if v.Get(d.name).Kind() == jsondoc.Missing {
			continue
		}
		for _, name := range d.names {
			if v.Get(name).Kind() == jsondoc.Missing {
				return no
			}
		}
		if r := d.check.of(v); r != yes {
			return r
		}
	}
	return yes
}

// values is enum or const, or both.
type values struct {
	sets []valueSet
}

// valueSet is a list of values of which one must be met.
type valueSet struct {
	texts map[string]struct{}
	few   []string // the same, where there are few
	kinds uint8    // kinds of the values
	other []jsondoc.Value
}

func newValueSet(list []jsondoc.Value) valueSet {
	s := valueSet{}
	for _, v := range list {
		s.kinds |= 1 << v.Kind()
		if v.Kind() == jsondoc.String {
			s.few = append(s.few, v.Str())
		} else {
			s.other = append(s.other, v)
		}
	}
	if len(s.few) > 8 {
		s.texts = make(map[string]struct{}, len(s.few))
		for _, t := range s.few {
			s.texts[t] = struct{}{}
		}
		s.few = nil
	}
	return s
}

func (s *values) of(v jsondoc.Value, kind jsondoc.Kind) verdict {
	for i := range s.sets {
		if r := s.sets[i].of(v, kind); r != yes {
			return r
		}
	}
	return yes
}

func (s *valueSet) of(v jsondoc.Value, kind jsondoc.Kind) verdict {
	if s.kinds&(1<<kind) == 0 {
		return no
	}
	if kind == jsondoc.String {
		return s.text(v)
	}
	for _, w := range s.other {
		if w.Kind() == kind && w.Equal(v) {
			return yes
		}
	}
	if kind == jsondoc.Null || kind == jsondoc.Bool {
		return no
	}
	return maybe // the library compares numbers as binary floating point: what differs here may be equal there
}

func (s *valueSet) text(v jsondoc.Value) verdict {
	b, escaped := v.StrBytes()
	if escaped {
		b = v.AppendStr(make([]byte, 0, len(b)))
	}
	if s.holds(b) {
		return yes
	}
	return no
}

// holds reports whether decoded text is one of the set.
func (s *valueSet) holds(b []byte) bool {
	for _, t := range s.few {
		if t == string(b) {
			return true
		}
	}
	_, ok := s.texts[string(b)]
	return ok
}

// texts reports whether decoded text is in every set.
func (s *values) texts(b []byte) bool {
	for i := range s.sets {
		if !s.sets[i].holds(b) {
			return false
		}
	}
	return true
}
