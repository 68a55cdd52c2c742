package tryton

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// model is what the server says of a model's fields (fields_get).
type model struct {
	name   string
	fields map[string]*field
}

type field struct {
	name, typ string
	// relation is the model that the field leads to, and back the field there that leads to this one, of a list of the object's own records.
	relation, back string
	required       bool
	readonly       bool // by Tryton's forms: computed, or reached by a step
}

// model gives what the server says of a model; it is asked once.
func (s *system) model(ctx context.Context, name, op string) (*model, error) {
	s.mu.Lock()
	m := s.models[name]
	s.mu.Unlock()
	if m != nil {
		return m, nil
	}
	return s.readModel(ctx, name, op)
}

// readModel asks for it. What cannot be read is in the way of every message alike, and no message can be blamed for it.
func (s *system) readModel(ctx context.Context, name, op string) (*model, error) {
	context, err := s.context(ctx, nil, "")
	if err != nil {
		return nil, err
	}
	a, err := s.call(ctx, request{method: "model." + name + ".fields_get", params: []string{"[]"}, op: op + ": fields of " + name, safe: true, context: context})
	if err != nil {
		if f, ok := fault.As(err); ok && (f.Kind == fault.Invalid || f.Kind == fault.NotFound) {
			g := *f
			g.Kind = fault.Unavailable
			g.Err = fmt.Errorf("%w (is the module of %s active, and may the hub's user read it?)", f.Err, name)
			return nil, &g
		}
		return nil, err
	}
	m := &model{name: name, fields: map[string]*field{}}
	for name, v := range a.Members() {
		m.fields[name] = &field{name: name, typ: v.Get("type").Str(), relation: v.Get("relation").Str(), back: v.Get("relation_field").Str(),
			required: isTrue(v.Get("required")), readonly: isTrue(v.Get("readonly"))}
	}
	if len(m.fields) == 0 {
		return nil, s.fail(fault.Unavailable, op, "the server names no fields of %s", name)
	}
	s.mu.Lock()
	s.models[name] = m
	s.mu.Unlock()
	return m, nil
}

func (m *model) names() []string { return slices.Sorted(maps.Keys(m.fields)) }

// bound is an object type with what the server says of its fields.
type bound struct {
	*object
	list     *list // the object's own fields
	items    []*list
	external *field // nil: none
	active   bool   // the model knows inactive records
	stamps   []string
	reads    string // the fields that a read asks for, as JSON
}

// list is fields of a model that documents hold: those of the object, or those of its items under a name.
type list struct {
	*items
	name   string // of the field that holds the items; empty: the object's own
	m      *model
	fields []*field
	refer  map[string]*field // by the field, that of the other model which names its records
	key    []*field
	item   *field // of the object's model; nil for its own
}

// bound gives an object type as the server has it.
func (s *system) bound(ctx context.Context, name, op string) (*bound, error) {
	o, err := s.object(name)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	b := o.bound
	s.mu.Unlock()
	if b != nil {
		return b, nil
	}
	b, lacking, err := s.bind(ctx, o, op)
	if err != nil {
		return nil, err
	}
	if len(lacking) > 0 {
		s.mu.Lock()
		clear(s.models) // somebody may add them there: the next try asks again
		s.mu.Unlock()
		return nil, s.fail(fault.Unavailable, op, "the settings name fields that the server does not have: %s", lacking[0])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.bound == nil { // whoever was first: creates that go together are of one
		o.bound = b
	}
	return o.bound, nil
}

// bind looks up all fields of the settings; lacking says of each that is not there, or not of its kind, why not.
func (s *system) bind(ctx context.Context, o *object, op string) (*bound, []string, error) {
	m, err := s.model(ctx, o.Model, op)
	if err != nil {
		return nil, nil, err
	}
	b := &bound{object: o, active: m.fields["active"] != nil}
	var lacking []string
	b.list, lacking, err = s.bindList(ctx, m, &items{Fields: o.Fields, Refer: o.Refer, OnChange: o.OnChange}, op)
	if err != nil {
		return nil, nil, err
	}
	if o.External != "" {
		if b.external = m.fields[o.External]; b.external == nil || b.external.typ != "char" && b.external.typ != "text" {
			lacking = append(lacking, fmt.Sprintf("%s of %s is no text%s", o.External, m.name, strictyaml.Meant(o.External, m.names())))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Items)) {
		f := m.fields[name]
		if f == nil || f.typ != "one2many" {
			lacking = append(lacking, fmt.Sprintf("%s of %s is no list of its own records%s", name, m.name, strictyaml.Meant(name, m.names())))
			continue
		}
		im, err := s.model(ctx, f.relation, op)
		if err != nil {
			return nil, nil, err
		}
		l, missing, err := s.bindList(ctx, im, o.Items[name], op)
		if err != nil {
			return nil, nil, err
		}
		l.name, l.item = name, f
		b.items, lacking = append(b.items, l), append(lacking, missing...)
		if l.Stamps {
			b.stamps = append(b.stamps, name)
		}
	}
	if len(lacking) == 0 {
		b.reads = b.readNames()
	}
	return b, lacking, nil
}

func (s *system) bindList(ctx context.Context, m *model, it *items, op string) (*list, []string, error) {
	l := &list{items: it, m: m, refer: map[string]*field{}}
	var lacking []string
	for _, name := range it.Fields {
		f := m.fields[name]
		if f == nil {
			lacking = append(lacking, fmt.Sprintf("%s of %s%s", name, m.name, strictyaml.Meant(name, m.names())))
			continue
		}
		if f.typ == "one2many" {
			lacking = append(lacking, fmt.Sprintf("%s of %s is a list of records: name it under items", name, m.name))
			continue
		}
		l.fields = append(l.fields, f)
		if slices.Contains(it.Key, name) {
			l.key = append(l.key, f)
		}
		by := it.Refer[name]
		if by == "" {
			continue
		}
		if f.relation == "" {
			lacking = append(lacking, fmt.Sprintf("%s of %s leads to no other record", name, m.name))
			continue
		}
		other, err := s.model(ctx, f.relation, op)
		if err != nil {
			return nil, nil, err
		}
		if l.refer[name] = other.fields[by]; l.refer[name] == nil {
			lacking = append(lacking, fmt.Sprintf("%s of %s%s", by, other.name, strictyaml.Meant(by, other.names())))
		}
	}
	return l, lacking, nil
}

// readNames are the fields that a read asks for. A name with a point leads to the records that the field before it holds.
func (b *bound) readNames() string {
	names := []string{"id", "_timestamp", "create_date", "write_date"}
	if b.external != nil {
		names = append(names, b.External)
	}
	if b.active {
		names = append(names, "active")
	}
	names = append(names, b.list.names("")...)
	for _, l := range b.items {
		names = append(names, l.name+".id")
		if l.Stamps {
			names = append(names, l.name+".create_date", l.name+".write_date")
		}
		names = append(names, l.names(l.name+".")...)
	}
	slices.Sort(names)
	out := []byte{'['}
	for i, name := range slices.Compact(names) {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, quote(name)...)
	}
	return string(append(out, ']'))
}

func (l *list) names(before string) []string {
	var names []string
	for _, f := range l.fields {
		name := before + f.name
		if by := l.refer[f.name]; by != nil {
			name += "." + by.name
		}
		names = append(names, name)
	}
	return names
}

// company is the id of the company that the hub works for, as JSON.
func (s *system) company(ctx context.Context) (string, error) {
	if s.set.Company != 0 {
		return strconv.Itoa(s.set.Company), nil
	}
	if p := s.preferred.Load(); p != nil {
		return *p, nil
	}
	a, err := s.call(ctx, request{method: "model.res.user.get_preferences", params: []string{"true"}, op: "preferences of the hub's user", safe: true, context: "{}"})
	if err != nil {
		return "", err
	}
	own := "null"
	if c, ok := integer(a.Get("company")); ok {
		own = strconv.FormatInt(c, 10)
	}
	s.preferred.Store(&own)
	return own, nil
}

// context is the context of a call: company and language, what the object's settings add, and more (",…" of JSON, or nothing).
func (s *system) context(ctx context.Context, o *object, more string) (string, error) {
	company, err := s.company(ctx)
	if err != nil {
		return "", err
	}
	out := `{"company":` + company + `,"language":` + string(quote(s.set.Language))
	if o != nil && len(o.context) > len("{}") {
		out += "," + string(o.context[1:len(o.context)-1])
	}
	return out + more + "}", nil
}

func isTrue(v jsondoc.Value) bool { return v.Kind() == jsondoc.Bool && v.Bool() }

// elements of a list, or nothing.
func elements(v jsondoc.Value) []jsondoc.Value {
	var out []jsondoc.Value
	if v.Kind() == jsondoc.Array {
		for e := range v.Elements() {
			out = append(out, e)
		}
	}
	return out
}
