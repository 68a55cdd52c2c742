package strictyaml

import "slices"

// Merge lays a mapping over another one: what stands in over counts, keys that it lacks are taken from base, and mappings under the same key are laid over
// each other in the same way. Lists and texts are taken as a whole. Every value keeps its own place, so that a problem leads to the file that holds it; what
// is missing is missing in over. Where one of both is no mapping, over counts if it is there at all.
func Merge(base, over Node) Node {
	switch {
	case over.Kind() == Missing:
		return base
	case base.Kind() != Map || over.Kind() != Map:
		return over
	}
	out := *over.n
	out.fields = make([]Field, 0, len(base.n.fields)+len(over.n.fields))
	for _, f := range base.n.fields {
		if over.Has(f.Key) {
			f.KeyPos, f.Value = over.KeyPos(f.Key), Merge(f.Value, over.Get(f.Key))
		}
		out.fields = append(out.fields, f)
	}
	for _, f := range over.n.fields {
		if !base.Has(f.Key) {
			out.fields = append(out.fields, f)
		}
	}
	return Node{n: &out}
}

// With gives the mapping with a value under the key, in place of what stood there.
func (n Node) With(key string, value Node) Node {
	if n.Kind() != Map {
		return n
	}
	out := *n.n
	out.fields = slices.Clone(n.n.fields)
	for i := range out.fields {
		if out.fields[i].Key == key {
			out.fields[i].Value = value
			return Node{n: &out}
		}
	}
	out.fields = append(out.fields, Field{Key: key, KeyPos: value.Pos(), Value: value})
	return Node{n: &out}
}

// Without gives the mapping without a value that a path of keys leads to. found is false where there was none.
func (n Node) Without(path ...string) (rest Node, found bool) {
	if n.Kind() != Map || len(path) == 0 || !n.Has(path[0]) {
		return n, false
	}
	if len(path) > 1 {
		below, found := n.Get(path[0]).Without(path[1:]...)
		if !found {
			return n, false
		}
		return n.With(path[0], below), true
	}
	out := *n.n
	out.fields = slices.DeleteFunc(slices.Clone(n.n.fields), func(f Field) bool { return f.Key == path[0] })
	return Node{n: &out}, true
}

// Filler is a Resolver that also knows what ${setting:NAME} stands for, in files whose text is filled in by those who use them.
type Filler interface {
	Resolver
	// Setting gives the value, and whether there is a setting of that name.
	Setting(name string) (string, bool)
	// Referred reports whether the value was filled in from a reference itself.
	Referred(name string) bool
}
