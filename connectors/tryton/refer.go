package tryton

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// maxKnown bounds how many records are remembered by what documents call them.
const maxKnown = 10_000

// reference is a record as documents name it.
type reference struct{ model, field, value string }

// rememberFor is for how long a record is remembered by what documents call it: it may get another code, and another record get its.
const rememberFor = time.Minute

// remembered is the id of such a record, and until when it counts.
type remembered struct {
	id    int64
	until time.Duration
}

// referred gives the id of the record that a document names. It is remembered for a minute; where a write is refused, what it referred to is forgotten at once.
func (s *system) referred(ctx context.Context, l *list, f *field, v jsondoc.Value, op string) (int64, error) {
	by := l.refer[f.name]
	taken, err := take(by, v)
	if err != nil {
		return 0, err
	}
	r := reference{f.relation, by.name, taken}
	s.mu.Lock()
	known := s.known[r]
	s.mu.Unlock()
	now := s.clock.Elapsed()
	if known.id != 0 && now < known.until {
		return known.id, nil
	}
	context, err := s.context(ctx, nil, "")
	if err != nil {
		return 0, err
	}
	a, err := s.call(ctx, request{method: "model." + f.relation + ".search", params: []string{"[" + clause(by.name, "=", taken) + "]", "0", "2", "null"},
		op: op + ": look up " + f.name, safe: true, context: context})
	if err != nil {
		return 0, err
	}
	switch id, ok := integer(a.Index(0)); {
	case a.Len() == 0:
		return 0, fmt.Errorf("no record of %s has %s %s", f.relation, by.name, httpclient.Shorten(string(v.Raw()), 60))
	case a.Len() > 1:
		return 0, fmt.Errorf("several records of %s have %s %s", f.relation, by.name, httpclient.Shorten(string(v.Raw()), 60))
	case !ok:
		return 0, s.fail(fault.Invalid, op, "the answer holds no id of %s", f.relation)
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.known) >= maxKnown {
			clear(s.known)
		}
		s.known[r] = remembered{id, now + rememberFor}
		return id, nil
	}
}

// forget gives up what is remembered of records that were referred to.
func (s *system) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.known)
}

// values are the fields of a record as Tryton takes them.
type values map[string]string

// json writes them in the order of their names.
func (v values) json() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range sortedKeys(v) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(name))
		b.WriteByte(':')
		b.WriteString(v[name])
	}
	b.WriteByte('}')
	return b.String()
}

// values reads the fields of a document that belong to the list. leave tells which are not written here.
func (s *system) values(ctx context.Context, l *list, doc jsondoc.Value, op string, leave func(name string) bool) (values, error) {
	out := values{}
	if doc.Kind() != jsondoc.Object {
		return nil, fmt.Errorf("it is %s, and no object", doc.Kind())
	}
	for name, v := range doc.Members() {
		if leave(name) {
			continue
		}
		if name == "id" {
			return nil, &placed{name, errors.New("records get their ids from Tryton: leave it out of what is written")}
		}
		f := l.m.fields[name]
		if f == nil || !l.has(name) {
			return nil, &placed{name, fmt.Errorf("it is none of the fields that the settings name for %s%s", l.m.name, strictyaml.Meant(name, l.items.Fields))}
		}
		var err error
		if f.typ == "many2many" {
			var ids []string
			ids, err = s.takeIDs(ctx, l, f, v, op)
			out[name] = `[["add",[` + strings.Join(ids, ",") + `]]]`
		} else {
			out[name], err = s.takeOne(ctx, l, f, v, op)
		}
		if err != nil {
			return nil, inside(name, err)
		}
	}
	return out, nil
}

func (l *list) has(name string) bool {
	for _, f := range l.fields {
		if f.name == name {
			return true
		}
	}
	return false
}

// takeOne writes one value, or the id of the record that it names.
func (s *system) takeOne(ctx context.Context, l *list, f *field, v jsondoc.Value, op string) (string, error) {
	if l.refer[f.name] == nil || v.Kind() == jsondoc.Null {
		return take(f, v)
	}
	id, err := s.referred(ctx, l, f, v, op)
	return fmt.Sprint(id), err
}

// takeIDs writes the ids of a list of records.
func (s *system) takeIDs(ctx context.Context, l *list, f *field, v jsondoc.Value, op string) ([]string, error) {
	if v.Kind() == jsondoc.Null {
		return nil, nil
	}
	if v.Kind() != jsondoc.Array {
		return nil, expected("a list", v)
	}
	var out []string
	for i, e := range elements(v) {
		one := *f
		one.typ = "many2one"
		id, err := s.takeOne(ctx, l, &one, e, op)
		if err != nil {
			return nil, inside(fmt.Sprint(i), err)
		}
		out = append(out, id)
	}
	return out, nil
}
