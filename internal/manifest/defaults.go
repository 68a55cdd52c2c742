package manifest

import (
	"strings"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Defaults gives a system's settings with what stands under defaults in every one of its objects, below what the object itself says. An object's without
// names those that it does not take, as dotted paths.
func Defaults(n strictyaml.Node, p *strictyaml.Problems) strictyaml.Node {
	defaults := n.Get("defaults")
	if defaults.Kind() == strictyaml.Missing {
		return n
	}
	n, _ = n.Without("defaults")
	all := n.Get("objects")
	if defaults.Kind() != strictyaml.Map {
		p.AddHint(defaults.Pos(), "write settings of an object, which then hold for every object", "defaults: expected a mapping, found %s", defaults.Kind())
		return n
	}
	for _, f := range all.Fields() {
		if f.Value.Kind() == strictyaml.Map {
			all = all.With(f.Key, object(defaults, f.Value, p))
		}
	}
	return n.With("objects", all)
}

func object(defaults, own strictyaml.Node, p *strictyaml.Problems) strictyaml.Node {
	list := own.Get("without")
	own, _ = own.Without("without")
	var paths []string
	list.Decode(&paths, p)
	for i, at := range list.Items() {
		if i >= len(paths) {
			break
		}
		found := false
		if defaults, found = defaults.Without(strings.Split(paths[i], ".")...); !found {
			p.AddHint(at.Pos(), "remove it", "without: the defaults have no %s", paths[i])
		}
	}
	return strictyaml.Merge(defaults, own)
}
