package odata

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// copied binds the object to the copy of $metadata that the settings name; nil: they name none.
func (o *object) copied(s connector.Settings) (*bound, error) {
	if o.Metadata == "" {
		return nil, nil
	}
	f, err := os.Open(s.Path(o.Metadata))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxMetadata+1))
	if err != nil {
		return nil, err
	}
	m, err := parseMetadata(b)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", o.Metadata, err)
	}
	return bindObject(o, newService(o.Service), m), nil
}

// stored holds the settings of an object against the copy.
func (o *object) stored(s connector.Settings, n strictyaml.Node, p *strictyaml.Problems) {
	b, err := o.copied(s)
	if err != nil {
		p.AddHint(n.Get("metadata").Pos(), "fetch it from the service: …/$metadata", "metadata: %s", err)
	}
	if b == nil {
		return
	}
	for _, l := range b.lacking {
		at := n.Pos()
		setting, _, _ := strings.Cut(l.why, ":")
		for _, key := range []string{setting, "set"} {
			if n.Has(key) {
				at = n.Get(key).Pos()
				break
			}
		}
		p.Add(at, "%s", l.why)
	}
}

// fields are what documents of the object hold: its properties, and those lists and objects that are read with it.
func (b *bound) fields() []connector.ObjectField {
	out := b.m.fields(b.typ, nil)
	shown := slices.Clone(b.Expand)
	for _, it := range b.items {
		shown = append(shown, it.nav.name)
	}
	for _, nav := range b.typ.navs {
		target := b.m.types[nav.target]
		if target == nil || !slices.ContainsFunc(shown, func(e string) bool { return expanded(e) == nav.name }) {
			continue
		}
		types := []string{"object"}
		if nav.many {
			types = []string{"array"}
		}
		f := connector.ObjectField{Name: nav.name, Gives: types, Takes: types}
		if nav.many {
			f.Fields = b.m.fields(target, nil)
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(x, y connector.ObjectField) int { return strings.Compare(x.Name, y.Name) })
	return out
}

// gives and takes are the JSON types of what properties show, and of what can be written to them, where that is not a text.
var (
	gives = map[edmType][]string{booleanType: {"boolean"}, integerType: {"integer"}, int64Type: {"integer"}, decimalType: {"number"}, doubleType: {"number"}, complexType: {"object"}, anyType: nil}
	takes = map[edmType][]string{booleanType: {"boolean"}, integerType: {"integer", "string"}, int64Type: {"integer", "string"}, decimalType: {"number", "string"}, doubleType: {"number", "string"},
		complexType: {"object"}, anyType: nil}
)

// fields are the properties of a type; above are the types that it is part of, which may hold each other.
func (m *metadata) fields(t *structType, above []string) []connector.ObjectField {
	var out []connector.ObjectField
	for _, p := range t.props {
		if p.kind == streamType {
			continue
		}
		f := connector.ObjectField{Name: p.name, Gives: []string{"string"}, Takes: []string{"string"}}
		if g, other := gives[p.kind]; other {
			f.Gives, f.Takes = g, takes[p.kind]
		}
		if p.collection {
			f.Gives, f.Takes = []string{"array"}, []string{"array"}
			if p.kind == complexType && !slices.Contains(above, p.typ) {
				f.Fields = m.fields(m.types[p.typ], append(above, p.typ))
			}
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(x, y connector.ObjectField) int { return strings.Compare(x.Name, y.Name) })
	return out
}
