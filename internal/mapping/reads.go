package mapping

import (
	"maps"
	"slices"
)

// reads is what the rules of one top-level target field read of the source.
type reads struct {
	fields map[string]bool
	whole  bool
}

func (r *reads) add(other *reads) {
	maps.Copy(r.fields, other.fields)
	r.whole = r.whole || other.whole
}

func (c *compiler) readsOf(top string) *reads {
	r := c.reads[top]
	if r == nil {
		r = &reads{fields: map[string]bool{}}
		c.reads[top] = r
	}
	return r
}

// top is the name of the top-level target field that o belongs to; empty for the target itself.
func (o *output) top() string {
	for o.parent != nil && o.parent.parent != nil {
		o = o.parent
	}
	return o.name
}

// SourceFieldsOf are the top-level fields of the source that the rules of these top-level target fields read, also by way of
// other target fields, sorted.
func (m *Mapping) SourceFieldsOf(targets ...string) []string {
	all := reads{fields: map[string]bool{}}
	for _, name := range targets {
		if r := m.reads[name]; r != nil {
			all.add(r)
		}
	}
	if all.whole {
		return m.SourceFields()
	}
	return slices.Sorted(maps.Keys(all.fields))
}
