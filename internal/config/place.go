package config

import "github.com/waybill-hub/waybill/internal/strictyaml"

// Place is where a setting of the configuration file stands, or the nearest one around it that does: Place("store", "sqlite", "path").
func (p *Plan) Place(keys ...string) strictyaml.Pos {
	n := p.root
	for _, key := range keys {
		next := n.Get(key)
		if next.Kind() == strictyaml.Missing {
			break
		}
		n = next
	}
	return n.Pos()
}

// Absent are the references of a setting, or below it, that a stand-in was given for: env:NAME or file:PATH. What stands there is not known.
func (p *Plan) Absent(keys ...string) []string {
	n := p.root
	for _, key := range keys {
		n = n.Get(key)
	}
	return n.Absent()
}
