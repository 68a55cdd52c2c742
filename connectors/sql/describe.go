package sql

import (
	"maps"
	"slices"

	"github.com/waybill-hub/waybill/internal/connector"
)

// Describe tells of one object type what its settings say.
func (Kind) Describe(s connector.Settings, object string) connector.ObjectType {
	set, _ := read(s, nil)
	o := set.Objects[object]
	if o == nil {
		return connector.ObjectType{}
	}
	t := connector.ObjectType{External: o.ExternalID, Form: o.ExternalForm, Searched: o.ExternalID != ""}
	t.Fields = fieldsOf(o.Columns)
	for _, name := range slices.Sorted(maps.Keys(o.Children)) {
		if c := o.Children[name]; c != nil {
			t.Fields = append(t.Fields, connector.ObjectField{Name: name, Gives: []string{"array"}, Takes: []string{"array"}, Fields: fieldsOf(c.Columns)})
		}
	}
	for _, column := range []string{o.Version, o.VersionElse} {
		if column != "" {
			t.Stamps = append(t.Stamps, column)
		}
	}
	return t
}

// gives and takes are the JSON types of what columns of a type show, and of what can be written to them, where that is not a text.
var (
	gives = map[string][]string{"integer": {"integer"}, "decimal": {"number"}, "boolean": {"boolean"}, "json": nil}
	takes = map[string][]string{"integer": {"integer"}, "decimal": {"number", "string"}, "boolean": {"boolean"}, "json": nil}
)

func fieldsOf(columns map[string]string) []connector.ObjectField {
	var out []connector.ObjectField
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		f := connector.ObjectField{Name: name, Gives: []string{"string"}, Takes: []string{"string"}}
		if g, other := gives[columns[name]]; other {
			f.Gives, f.Takes = g, takes[columns[name]]
		}
		out = append(out, f)
	}
	return out
}
