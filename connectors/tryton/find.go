package tryton

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// maxFound bounds a search: more than a few matches are a duplicate whatever their number.
const maxFound = 100

// Find looks an object up. What a search answers is compared again with what was asked for.
func (s *system) Find(ctx context.Context, l connector.Lookup) ([]connector.Record, error) {
	op := "find " + l.Object
	b, err := s.bound(ctx, l.Object, op)
	if err != nil {
		return nil, err
	}
	switch {
	case l.Local != "":
		it, err := s.get(ctx, b, l.Local, op)
		if err != nil || it == nil {
			return nil, err
		}
		return []connector.Record{s.record(b, it, op)}, nil
	case l.External != "":
		if b.external == nil {
			f := s.fail(fault.Invalid, op, "")
			f.Err = fmt.Errorf("by external id: %w (set external)", connector.ErrNoLookup)
			return nil, f
		}
		return s.find(ctx, b, b.byExternal(l.External, l.Older), op, func(it *item) bool { return connector.SameExternal(it.Get(b.External).Str(), l.External) })
	case len(l.Natural) > 0:
		return s.byNatural(ctx, b, &l, op)
	}
	return nil, s.fail(fault.Invalid, op, "nothing to look for")
}

// byExternal asks for an external id in the form that creates write, and in the others.
func (b *bound) byExternal(external string, older bool) string {
	forms := []string{b.ExternalForm.Write(external)}
	if older {
		for _, form := range b.ExternalForm.Others() {
			forms = append(forms, form.Write(external))
		}
		forms = append(forms, strings.ToUpper(forms[0]))
	}
	quoted := make([]string, len(forms))
	for i, form := range forms {
		quoted[i] = string(quote(form))
	}
	return clause(b.External, "in", "["+strings.Join(quoted, ",")+"]")
}

// byNatural asks for natural keys as they are given, and then as their rules would write them.
func (s *system) byNatural(ctx context.Context, b *bound, l *connector.Lookup, op string) ([]connector.Record, error) {
	names := slices.Sorted(maps.Keys(l.Natural))
	domain := make([]string, len(names))
	for i, name := range names {
		f, by, err := b.list.sought(name)
		if err != nil {
			return nil, s.fail(fault.Invalid, op, "%s", err)
		}
		if domain[i], err = sought(f, by, l.Natural[name], l.Compare[name]); err != nil {
			return nil, s.fail(fault.Invalid, op, "%s: %s", name, err)
		}
	}
	return s.find(ctx, b, strings.Join(domain, ","), op, func(it *item) bool {
		for _, name := range names {
			f, by, _ := b.list.sought(name)
			v, of := it.Get(name), f
			if by != nil {
				v, of = it.Get(name+".").Get(by.name), by
			}
			if !l.Compare[name].Same(asText(of, v), l.Natural[name]) {
				return false
			}
		}
		return true
	})
}

// sought is the field of a natural key, and the one by which documents name the record that it leads to.
func (l *list) sought(name string) (f, by *field, err error) {
	if i := slices.IndexFunc(l.fields, func(f *field) bool { return f.name == name }); i >= 0 {
		f = l.fields[i]
	}
	if f == nil || f.typ == "many2many" {
		return nil, nil, fmt.Errorf("%q is none of the object's fields that can be looked for%s", httpclient.Shorten(name, 80), strictyaml.Meant(name, l.items.Fields))
	}
	return f, l.refer[name], nil
}

// asText is a value as a natural key is compared.
func asText(f *field, v jsondoc.Value) string {
	out, err := show(nil, f, v)
	if err != nil || !v.Exists() {
		return ""
	}
	doc, err := jsondoc.Parse(out, jsondoc.Limits{})
	if err != nil {
		return ""
	}
	if doc.Root().Kind() == jsondoc.String {
		return doc.Root().Str()
	}
	return string(out)
}

// sought writes the condition of a natural key. Texts are asked for without regard to capitals where the rule has none; what the rule would write
// otherwise is asked for, too.
func sought(f, by *field, value string, rule connector.Compare) (string, error) {
	name := f.name
	if by != nil {
		name, f = name+"."+by.name, by
	}
	if f.typ == "char" || f.typ == "text" || f.typ == "selection" {
		if rule == connector.Fold && f.typ != "selection" {
			return clause(name, "ilike", string(quote(literally(value)))), nil
		}
		return clause(name, "in", fmt.Sprintf("[%s,%s]", quote(value), quote(rule.Key(value)))), nil
	}
	v := string(quote(value))
	if _, err := jsondoc.ParseDecimal(value); err == nil && f.typ != "date" && f.typ != "datetime" {
		v = value
	}
	doc, err := jsondoc.Parse([]byte(v), jsondoc.Limits{})
	if err != nil {
		return "", fmt.Errorf("%q is no value to look for", httpclient.Shorten(value, 60))
	}
	taken, err := take(f, doc.Root())
	if err != nil {
		return "", err
	}
	return clause(name, "=", taken), nil
}

// literally escapes what stands for other characters in a pattern.
func literally(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// clause is a condition of a domain.
func clause(name, operator, value string) string {
	return fmt.Sprintf("[%s,%s,%s]", quote(name), quote(operator), value)
}

// domain joins conditions with those of the object. Inactive objects are there as well.
func (b *bound) domain(conditions ...string) string {
	all := slices.DeleteFunc(conditions, func(c string) bool { return c == "" })
	if b.filter != nil {
		all = append(all, string(b.filter))
	}
	if b.active {
		all = append(all, `["active","in",[true,false]]`)
	}
	return "[" + strings.Join(all, ",") + "]"
}

// find gives the objects of a condition that fit.
func (s *system) find(ctx context.Context, b *bound, condition, op string, fits func(*item) bool) ([]connector.Record, error) {
	found, err := s.search(ctx, b, b.domain(condition), maxFound, op)
	if err != nil {
		return nil, err
	}
	var out []connector.Record
	for i := range found.items {
		it := &found.items[i]
		if it.bad != nil { // it may be the one: to go on as if it were not there would make a second
			return nil, s.fail(fault.Invalid, op, "an object of the answer cannot be read: %s", it.bad.Err)
		}
		if fits(it) {
			out = append(out, s.record(b, it, op))
		}
	}
	return out, nil
}

// get reads one object; nil when there is none. The filter does not count: the object is known.
func (s *system) get(ctx context.Context, b *bound, local, op string) (*item, error) {
	id, err := localID(local)
	if err != nil {
		return nil, nil //nolint:nilerr // no object has an id that is none
	}
	domain := "[" + clause("id", "=", strconv.FormatInt(id, 10)) + "]"
	if b.active {
		domain = "[" + clause("id", "=", strconv.FormatInt(id, 10)) + `,["active","in",[true,false]]]`
	}
	found, err := s.search(ctx, b, domain, 2, op)
	if err != nil || len(found.items) == 0 {
		return nil, err
	}
	return &found.items[0], nil
}

// search reads objects in the order of their ids. A read by ids would fail as a whole where one of them is gone.
func (s *system) search(ctx context.Context, b *bound, domain string, limit int, op string) (*page, error) {
	context, err := s.context(ctx, b.object, "")
	if err != nil {
		return nil, err
	}
	a, err := s.call(ctx, request{method: "model." + b.Model + ".search_read", params: []string{domain, "0", strconv.Itoa(limit), `[["id","ASC"]]`, b.reads}, op: op, safe: true,
		context: context, list: "result"})
	if err != nil {
		return nil, err
	}
	if a.Kind() != jsondoc.Array {
		return nil, s.fail(fault.Invalid, op, "the answer holds no list")
	}
	out := &page{items: make([]item, 0, a.Len()), date: a.resp.Header.Get("Date"), full: a.Len() >= limit}
	for i, e := range elements(a.Value) {
		it := item{Value: e}
		if bad, is := a.broken[i]; is {
			it.bad = &bad
			it.id, _ = strconv.ParseInt(jsondoc.Peek(bad.Raw, "id"), 10, 64)
		} else {
			it.id, _ = integer(e.Get("id"))
		}
		if it.id < 1 {
			return nil, s.fail(fault.Invalid, op, "an object of the answer has no id")
		}
		out.items, out.last = append(out.items, it), it.id
	}
	return out, nil
}
