package odata

import (
	"context"
	"errors"
	"fmt"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

var _ connector.Sampler = (*system)(nil)

// Sample reads $metadata anew, and one object.
func (s *system) Sample(ctx context.Context, name string) (connector.Sample, error) {
	o, err := s.object(name)
	if err != nil {
		return connector.Sample{}, err
	}
	op := "sample " + name
	svc := s.services[o.Service]
	read, err := s.readMetadata(ctx, svc, op)
	if err != nil {
		return connector.Sample{}, err
	}
	svc.meta.Store(read)
	b := read.bound[name]
	var out connector.Sample
	for _, l := range b.lacking {
		if b.typ == nil || b.typ.property(l.name) == nil {
			out.Lacking = append(out.Lacking, l.name)
		}
	}
	if b.typ == nil {
		return out, nil
	}
	out.Columns = b.columns()
	if len(b.lacking) > 0 {
		return out, nil
	}
	w := s.walk(b, "", op)
	w.size = 1
	p, err := w.next(ctx)
	switch {
	case errors.Is(err, errShifted):
		return out, s.fail(fault.Unavailable, op, "%s", err)
	case err != nil || len(p.items) == 0:
		return out, err
	}
	r := s.record(b, &p.items[0], op)
	out.Record = &r
	return out, nil
}

// columns are what $metadata says of the object's properties and lines.
func (b *bound) columns() []connector.SampleColumn {
	out := columnsOf("", b.typ)
	for _, it := range b.items {
		out = append(out, columnsOf(it.nav.name+".", it.typ)...)
	}
	for i, c := range out {
		for _, l := range b.lacking { // a property that is there, and cannot be what the settings make of it
			if l.name == c.Name {
				out[i].Odd = l.why
			}
		}
	}
	return out
}

func columnsOf(before string, t *structType) []connector.SampleColumn {
	var out []connector.SampleColumn
	for _, p := range t.props {
		c := connector.SampleColumn{Name: before + p.name, Type: short(p.typ), Length: int64(max(p.length, 0))}
		switch {
		case p.kind == decimalType && p.precision >= 0 && p.scale >= 0:
			c.Type += fmt.Sprintf("(%d,%d)", p.precision, p.scale)
		case p.kind == stringType && p.length >= 0:
			c.Type += fmt.Sprintf("(%d)", p.length)
		}
		if p.collection {
			c.Type = "list of " + c.Type
		}
		out = append(out, c)
	}
	return out
}
