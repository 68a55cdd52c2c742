package drop

import (
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/format"
)

// Describe tells of one object type what its settings say of the documents.
func (all Objects) Describe(object string) connector.ObjectType {
	o := all[object]
	if o == nil {
		return connector.ObjectType{}
	}
	fields, more := fieldsOf(&o.Settings)
	return connector.ObjectType{Fields: fields, More: more}
}

// fieldsOf are what documents hold, as far as the columns are listed; nil: that is not known. More: what is read may hold others too.
func fieldsOf(s *format.Settings) (fields []connector.ObjectField, more bool) {
	columns, more := s.Listed()
	if len(columns) == 0 {
		return nil, true
	}
	fields = fieldsBelow(s, columns, "")
	if s.Rows.Each != "" {
		list := []string{"array"}
		fields = append(fields, connector.ObjectField{Name: s.Rows.Each, Gives: list, Takes: list, Fields: fields})
	}
	return fields, more || s.Rows.Each != ""
}

var gives = map[string]string{"text": "string", "date": "string", "timestamp": "string", "datetime": "string", "integer": "integer", "decimal": "number", "bool": "boolean"}

// fieldsBelow are the fields of columns below a path. Only Parquet's are paths.
func fieldsBelow(s *format.Settings, columns format.Columns, path string) (fields []connector.ObjectField) {
	for _, c := range columns {
		name, below := strings.CutPrefix(c.Name, path)
		if !below {
			continue
		}
		f := connector.ObjectField{Name: name, Gives: []string{gives[c.Type]}, Takes: []string{"string", "number", "boolean"}}
		if s.Format == "parquet" {
			group := false
			f.Name, _, group = strings.Cut(name, ".")
			if slices.ContainsFunc(fields, func(o connector.ObjectField) bool { return o.Name == f.Name }) {
				continue
			}
			list := slices.Contains(s.Parquet.Lists, path+f.Name)
			if group {
				f.Gives, f.Takes = []string{"object"}, []string{"object"}
			}
			if list {
				f.Gives, f.Takes = []string{"array"}, []string{"array"}
			}
			if list && group {
				f.Fields = fieldsBelow(s, columns, path+f.Name+".")
			}
		}
		fields = append(fields, f)
	}
	return fields
}
