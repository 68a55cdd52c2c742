package drop

import (
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
	scalar := []string{"string", "number", "boolean"}
	gives := map[string]string{"text": "string", "date": "string", "integer": "integer", "decimal": "number", "bool": "boolean"}
	for _, c := range columns {
		fields = append(fields, connector.ObjectField{Name: c.Name, Gives: []string{gives[c.Type]}, Takes: scalar})
	}
	if s.Rows.Each != "" {
		list := []string{"array"}
		fields = append(fields, connector.ObjectField{Name: s.Rows.Each, Gives: list, Takes: list, Fields: fields})
	}
	return fields, more || s.Rows.Each != ""
}
