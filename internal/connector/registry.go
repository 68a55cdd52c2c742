package connector

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrNoLookup is wrapped by Find when the object's settings give no way to ask for what was asked: the outcome of a lost
// write cannot be looked up then.
var ErrNoLookup = errors.New("no look-up configured")

// Registry is the list of kinds that a hub knows, by name. It is made once, from one explicit list, and never changes.
type Registry struct{ kinds map[string]Kind }

// NewRegistry makes a registry. A kind without a name, or two kinds of one name, are an error.
func NewRegistry(kinds ...Kind) (*Registry, error) {
	r := &Registry{kinds: make(map[string]Kind, len(kinds))}
	for _, k := range kinds {
		name := k.Spec().Kind
		if name == "" {
			return nil, fmt.Errorf("connector kind %T has no name", k)
		}
		if _, dup := r.kinds[name]; dup {
			return nil, fmt.Errorf("connector kind %q is listed twice", name)
		}
		r.kinds[name] = k
	}
	return r, nil
}

// Get gives the kind of that name.
func (r *Registry) Get(name string) (Kind, bool) {
	k, ok := r.kinds[name]
	return k, ok
}

// Names gives the names of all kinds, sorted.
func (r *Registry) Names() []string { return slices.Sorted(maps.Keys(r.kinds)) }

// Map gives all kinds by name. The map is the caller's.
func (r *Registry) Map() map[string]Kind { return maps.Clone(r.kinds) }
