package tryton

import (
	"context"
	"maps"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// fill adds to the values of a new record what Tryton's own forms would have filled in after the fields of on-change. What the document holds stays as it is.
// parent are the values of the object that the record belongs to; nil: it is the object itself.
func (s *system) fill(ctx context.Context, b *bound, l *list, v, parent values, op string) error {
	if len(l.OnChange) == 0 {
		return nil
	}
	company, err := s.company(ctx)
	if err != nil {
		return err
	}
	given := values{}
	add := func(before string, m *model, of values) {
		if m.fields["company"] != nil {
			given[before+"company"] = company
		}
		for name, value := range of {
			if f := m.fields[name]; f != nil && f.typ != "many2many" && f.typ != "one2many" {
				given[before+name] = value
			}
		}
	}
	add("", l.m, v)
	if parent != nil {
		add("_parent_"+l.item.back+".", b.list.m, parent)
	}
	names := make([]string, 0, len(l.OnChange))
	for _, name := range l.OnChange {
		if given[name] != "" { // nobody has filled it in
			names = append(names, string(quote(name)))
		}
	}
	if len(names) == 0 {
		return nil
	}
	context, err := s.context(ctx, b.object, "")
	if err != nil {
		return err
	}
	a, err := s.call(ctx, request{method: "model." + l.m.name + ".on_change", params: []string{given.json(), "[" + strings.Join(names, ",") + "]"}, op: op + ": on_change", safe: true, context: context})
	if err != nil {
		return err
	}
	filled := values{}
	for _, changes := range elements(a.Value) {
		for name, w := range changes.Members() {
			f := l.m.fields[name] // what ends in a point is for people
			if f == nil || f.readonly || v[name] != "" {
				continue
			}
			if text, ok := filledIn(f, w); ok {
				filled[name] = text
			}
		}
	}
	maps.Copy(v, filled)
	return nil
}

// filledIn is a value of on_change's as a create takes it; false for what no create takes.
func filledIn(f *field, v jsondoc.Value) (string, bool) {
	switch f.typ {
	case "one2many":
		return "", false
	case "many2many":
		var ids []string
		for _, e := range elements(v) { // ids
			ids = append(ids, string(e.Raw()))
		}
		for _, e := range elements(v.Get("add")) { // places and records
			if id := e.Index(1).Get("id"); id.Exists() {
				ids = append(ids, string(id.Raw()))
			}
		}
		return `[["add",[` + strings.Join(ids, ",") + `]]]`, len(ids) > 0
	}
	return string(v.Raw()), true
}

// parentOf are the values of an object that is there, as those of its items' parent.
func (b *bound) parentOf(there jsondoc.Value) values {
	out := values{}
	for _, f := range b.list.fields {
		v := there.Get(f.name)
		if b.list.refer[f.name] != nil {
			v = there.Get(f.name + ".").Get("id")
		}
		if v.Exists() {
			out[f.name] = string(v.Raw())
		}
	}
	return out
}
