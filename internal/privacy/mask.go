// Package privacy knows which parts of a plan's documents are personal data, and masks them in what people and programs may read later: the
// journal, traces, lists and logs. What is sent to systems is never masked.
//
// What is personal is said by "x-pii": true in schemas. It is followed through mappings, topics and systems: a field that a mapping makes of a
// personal one is personal as well, in that flow and in those that read what it writes. Where that cannot be told, more is masked, not less.
package privacy

import (
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/schema"
)

// Masked stands in place of a value.
const Masked = "***"

// Mask says which parts of one kind of document are personal data.
type Mask struct {
	schemas []schema.Private
	paths   *tree
	names   map[string]bool // of the members that are, in small letters, for documents of a form that nobody knows
}

// None reports whether nothing is.
func (m *Mask) None() bool { return m == nil || len(m.schemas) == 0 && m.paths.none() }

// tree are ways into a document. A nil tree has none.
type tree struct {
	here     bool
	members  map[string]*tree // by name in small letters
	elements *tree
}

func (t *tree) none() bool { return t == nil || !t.here && len(t.members) == 0 && t.elements == nil }

// add marks the value at the end of a way; it reports whether that is new.
func (t *tree) add(way []string) bool {
	if t.here {
		return false
	}
	if len(way) == 0 {
		t.here = true
		return true
	}
	if way[0] == mapping.AnyElement {
		if t.elements == nil {
			t.elements = &tree{}
		}
		return t.elements.add(way[1:])
	}
	if t.members == nil {
		t.members = map[string]*tree{}
	}
	name := strings.ToLower(way[0])
	if t.members[name] == nil {
		t.members[name] = &tree{}
	}
	return t.members[name].add(way[1:])
}

// merge takes the ways of another tree; it reports whether any is new.
func (t *tree) merge(o *tree, way []string) (fresh bool) {
	if o == nil {
		return false
	}
	if o.here {
		return t.add(way)
	}
	for name, m := range o.members {
		fresh = t.merge(m, append(slices.Clip(way), name)) || fresh
	}
	return t.merge(o.elements, append(slices.Clip(way), mapping.AnyElement)) || fresh
}

// collectNames notes the last names of all ways.
func (t *tree) collectNames(name string, into map[string]bool) {
	if t == nil {
		return
	}
	if t.here && name != "" {
		into[name] = true
	}
	for n, m := range t.members {
		m.collectNames(n, into)
	}
	t.elements.collectNames(name, into)
}

// at is what holds for one value of a document on the way down.
type at struct {
	schemas []schema.Private
	paths   []*tree
}

func (m *Mask) root() at {
	if m == nil {
		return at{}
	}
	a := at{schemas: m.schemas}
	if !m.paths.none() {
		a.paths = []*tree{m.paths}
	}
	return a
}

func (a at) none() bool { return len(a.schemas) == 0 && len(a.paths) == 0 }

func (a at) here() bool {
	return slices.ContainsFunc(a.schemas, schema.Private.Here) || slices.ContainsFunc(a.paths, func(t *tree) bool { return t.here })
}

// fits reports whether a value of this kind can be what the marks below are about.
func (a at) fits(k jsondoc.Kind) bool {
	for _, s := range a.schemas {
		if !s.Fits(k) || s.NamesPrivate() {
			return false
		}
	}
	if k == jsondoc.Null || k == jsondoc.Bool {
		return true
	}
	for _, t := range a.paths {
		if len(t.members) > 0 && k != jsondoc.Object || t.elements != nil && k != jsondoc.Array {
			return false
		}
	}
	return true
}

func (a at) down(s func(schema.Private) schema.Private, t func(*tree) *tree) (out at) {
	for _, p := range a.schemas {
		if q := s(p); !q.None() {
			out.schemas = append(out.schemas, q)
		}
	}
	for _, p := range a.paths {
		if q := t(p); !q.none() {
			out.paths = append(out.paths, q)
		}
	}
	return out
}

func (a at) member(name string) at {
	return a.down(func(p schema.Private) schema.Private { return p.Member(name) }, func(t *tree) *tree { return t.members[strings.ToLower(name)] })
}

func (a at) element(i int) at {
	return a.down(func(p schema.Private) schema.Private { return p.Element(i) }, func(t *tree) *tree { return t.elements })
}

// reaches reports whether what stands at the end of a way is personal data, or holds some.
func (m *Mask) reaches(way []string) bool {
	a := m.root()
	for _, step := range way {
		if a.here() {
			return true
		}
		if step == mapping.AnyElement {
			b := a.member(step) // should a member have this name
			a = a.down(schema.Private.AnyElement, func(t *tree) *tree { return t.elements })
			a.schemas, a.paths = append(a.schemas, b.schemas...), append(a.paths, b.paths...)
		} else {
			a = a.member(step)
		}
	}
	return !a.none()
}
