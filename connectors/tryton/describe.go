package tryton

import (
	"context"
	"slices"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var (
	_ connector.Describer = Kind{}
	_ connector.Orderer   = Kind{}
	_ connector.Sampler   = (*system)(nil)
)

// Describe tells of one object type what its settings say.
func (Kind) Describe(s connector.Settings, object string) connector.ObjectType {
	o := read(s, &strictyaml.Problems{}).Objects[object]
	if o == nil {
		return connector.ObjectType{}
	}
	t := connector.ObjectType{External: o.External, Form: o.ExternalForm, Searched: o.External != ""}
	for _, name := range o.Fields {
		t.Fields = append(t.Fields, connector.ObjectField{Name: name})
	}
	for name, it := range o.Items {
		f := connector.ObjectField{Name: name, Gives: []string{"array"}, Takes: []string{"array"}}
		for _, one := range it.Fields {
			f.Fields = append(f.Fields, connector.ObjectField{Name: one})
		}
		slices.SortFunc(f.Fields, byName)
		t.Fields = append(t.Fields, f)
	}
	if o.External != "" {
		t.Fields = append(t.Fields, connector.ObjectField{Name: o.External, Gives: []string{"string", "null"}, Takes: []string{"string"}})
	}
	slices.SortFunc(t.Fields, byName)
	return t
}

func byName(a, b connector.ObjectField) int {
	if a.Name < b.Name {
		return -1
	}
	return 1
}

// Ordering: Tryton's stamps are the time at which a transaction began.
func (Kind) Ordering(s connector.Settings, name string) connector.Ordering {
	switch o := read(s, &strictyaml.Problems{}).Objects[name]; {
	case o == nil:
		return connector.Ordering{}
	case o.Changes == "content":
		return connector.Ordering{By: connector.ByContent}
	}
	return connector.Ordering{By: connector.ByStamp}
}

// Sample asks anew what fields the model has, and reads one object.
func (s *system) Sample(ctx context.Context, name string) (connector.Sample, error) {
	o, err := s.object(name)
	if err != nil {
		return connector.Sample{}, err
	}
	op := "sample " + name
	if _, err := s.readModel(ctx, o.Model, op); err != nil {
		return connector.Sample{}, err
	}
	b, lacking, err := s.bind(ctx, o, op)
	if err != nil {
		return connector.Sample{}, err
	}
	out := connector.Sample{Lacking: lacking, Columns: columns("", b.list)}
	for _, l := range b.items {
		out.Columns = append(out.Columns, columns(l.name+".", l)...)
	}
	if len(lacking) > 0 {
		return out, nil
	}
	got, err := s.page(ctx, b, "", place{}, 1, op)
	if err != nil || len(got.items) == 0 {
		return out, err
	}
	r := s.record(b, &got.items[0], op)
	out.Record = &r
	return out, nil
}

// columns are what the server says of the fields of a model.
func columns(before string, l *list) []connector.SampleColumn {
	var out []connector.SampleColumn
	for _, name := range l.m.names() {
		f := l.m.fields[name]
		typ := f.typ
		if f.relation != "" {
			typ += " of " + f.relation
		}
		if f.readonly {
			typ += ", read only"
		}
		out = append(out, connector.SampleColumn{Name: before + name, Type: typ})
	}
	return out
}
