package rest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Find looks an object up. What a search answers is compared again with what was asked for: services that do not know a
// parameter answer with everything.
func (s *system) Find(ctx context.Context, l connector.Lookup) ([]connector.Record, error) {
	o, err := s.object(l.Object)
	if err != nil {
		return nil, err
	}
	op := "find " + o.name
	switch {
	case l.Local != "":
		r, err := s.get(ctx, o, l.Local, op)
		if err != nil || r == nil {
			return nil, err
		}
		return []connector.Record{*r}, nil
	case l.External != "":
		found, err := s.byExternal(ctx, o, &l, op)
		return found, connector.Unlookable(err, forbidden)
	case len(l.Natural) > 0:
		found, err := s.byNatural(ctx, o, &l, op)
		return found, connector.Unlookable(err, forbidden)
	}
	return nil, s.fail(fault.Invalid, op, "nothing to look for")
}

// forbidden is the code of a 403. The answer to a search is about all objects; one to a single object by its id may be about that object alone.
const forbidden = "403"

// byExternal asks for an external id in the form that the object's creates write, and in the older ones where that is asked for.
func (s *system) byExternal(ctx context.Context, o *object, l *connector.Lookup, op string) ([]connector.Record, error) {
	if len(o.Find.External) == 0 {
		f := s.fail(fault.Invalid, op, "")
		f.Err = fmt.Errorf("by external id: %w (set find.external)", connector.ErrNoLookup)
		return nil, f
	}
	forms := []connector.ExternalForm{o.ExternalForm}
	if l.Older {
		forms = append(forms, o.ExternalForm.Others()...)
	}
	var asked []map[string]string
	for _, form := range forms {
		asked = append(asked, map[string]string{"external": form.Write(l.External)})
	}
	if l.Older { // as a service keeps it that writes ids in capitals and searches by the letter
		asked = append(asked, map[string]string{"external": strings.ToUpper(o.ExternalForm.Write(l.External))})
	}
	return s.ask(ctx, o, o.Find.External, asked, op, func(v jsondoc.Value) bool {
		return connector.SameExternal(text(at(v, o.ExternalID)), l.External)
	})
}

// byNatural asks for natural keys as they are given, and then as their rules would write them: a service may search by the letter.
func (s *system) byNatural(ctx context.Context, o *object, l *connector.Lookup, op string) ([]connector.Record, error) {
	templates := o.Find.Natural
	if len(templates) == 0 {
		templates = map[string]string{}
		for field := range l.Natural {
			templates[field] = "{" + field + "}"
		}
	}
	if _, used := parameters(templates, l.Natural); !used {
		f := s.fail(fault.Invalid, op, "")
		f.Err = fmt.Errorf("by %v: %w (set find.natural)", slices.Sorted(maps.Keys(l.Natural)), connector.ErrNoLookup)
		return nil, f
	}
	return s.ask(ctx, o, templates, []map[string]string{l.Natural, spelt(l)}, op, func(v jsondoc.Value) bool {
		for field, want := range l.Natural {
			if !l.Compare[field].Same(text(at(v, field)), want) {
				return false
			}
		}
		return true
	})
}

// spelt gives the natural keys as most systems keep them: letters small, numbers and UUIDs in their plain form.
func spelt(l *connector.Lookup) map[string]string {
	out := make(map[string]string, len(l.Natural))
	for field, v := range l.Natural {
		switch rule := l.Compare[field]; rule {
		case connector.Fold:
			out[field] = strings.ToLower(v)
		default:
			out[field] = rule.Key(v)
		}
	}
	return out
}

// ask searches by one set of values after the other until something fits; the same question is not put twice.
func (s *system) ask(ctx context.Context, o *object, templates map[string]string, values []map[string]string, op string, fits func(jsondoc.Value) bool) ([]connector.Record, error) {
	for i, v := range values {
		if slices.ContainsFunc(values[:i], func(before map[string]string) bool { return maps.Equal(before, v) }) {
			continue
		}
		q, _ := parameters(templates, v)
		found, err := s.search(ctx, o, q, op, fits)
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, nil
}

// parameters fills templates; those that need a value which is not there are left out.
func parameters(templates, values map[string]string) (q httpclient.Query, any bool) {
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		if v, ok := expand(templates[name], values, verbatim); ok {
			q = append(q, httpclient.Param{Name: name, Value: v})
			any = any || len(placeholders(templates[name])) > 0
		}
	}
	return q, any
}

// get reads one object; nil when there is none.
func (s *system) get(ctx context.Context, o *object, id, op string) (*connector.Record, error) {
	path, err := pathOf(o.Get.Path, id)
	if err != nil {
		return nil, s.fail(fault.Invalid, op, "%s", err)
	}
	now := s.clock.Now()
	c := s.call(ActGet, o, httpclient.Request{Method: http.MethodGet, Path: path, Op: op})
	c.ID = id
	for _, name := range slices.Sorted(maps.Keys(o.Get.Parameters)) {
		c.Query = append(c.Query, httpclient.Param{Name: name, Value: put(o.Get.Parameters[name], "{id}", id)})
	}
	kind, has := jsondoc.Object, o.alone().ID
	if o.Get.Rows != "" {
		kind, has = jsondoc.Array, ""
	}
	resp, err := s.do(ctx, c, s.reader(o, o.Get.Item, kind, has))
	if err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return nil, nil
		}
		return nil, err
	}
	root, err := s.parse(op, resp, true)
	if err != nil {
		return nil, err
	}
	item := at(root, o.Get.Item)
	if o.Get.Rows != "" && item.Kind() == jsondoc.Array {
		if item.Len() == 0 {
			return nil, nil
		}
		if item, err = gathered(item, o.Get.Rows); err != nil {
			return nil, s.fail(fault.Invalid, op, "the rows are no object: %s", err)
		}
	}
	if item.Kind() != jsondoc.Object && (s.dialect != nil && s.dialect.None(root, o.Get.Item) || pastEnd(root, o.Get.Item)) {
		return nil, nil
	}
	if item.Kind() != jsondoc.Object {
		return nil, s.fail(fault.Invalid, op, "the answer holds no object at %q: %s", o.Get.Item, s.client.Text(resp))
	}
	if err := s.wrong(op, o, item); err != nil {
		return nil, err
	}
	if item, err = s.parts(ctx, o, item, id, op); err != nil {
		return nil, err
	}
	r := o.alone().record(item, resp.Header.Get("ETag"), now)
	if r.Local == "" {
		r.Local = id
	}
	return &r, nil
}

// gathered makes the object of its rows: the first one, with all of them under a name.
func gathered(rows jsondoc.Value, name string) (jsondoc.Value, error) {
	doc, err := placed(rows.Index(0).Raw(), name, rows.Raw())
	if err != nil {
		return jsondoc.Value{}, err
	}
	d, err := jsondoc.Parse(doc, jsondoc.Limits{Bytes: len(doc) + 1})
	if err != nil {
		return jsondoc.Value{}, err
	}
	return d.Root(), nil
}

// alone is the object type as get shows it.
func (o *object) alone() *object {
	if o.Get.ID == "" && o.Get.Version == "" {
		return o
	}
	out := *o
	out.ID, out.Version = cmp.Or(o.Get.ID, o.ID), cmp.Or(o.Get.Version, o.Version)
	return &out
}

// entire reads the whole of an object of which a list shows a part alone; the version stays the list's, by which polls go. It reports whether the object is there
// still: what was deleted meanwhile is gone as if it had not been in the list. What cannot be read alone is told with its record.
func (s *system) entire(ctx context.Context, o *object, rec *connector.Record, op string) (there bool, err error) {
	if o.List.Detail != "get" || o.idsOnly || rec.Err != nil || rec.Deleted {
		return true, nil
	}
	full, err := s.get(ctx, o, rec.Local, op)
	switch {
	case fault.KindOf(err) == fault.Invalid:
		rec.Err = err
		return true, nil
	case err != nil || full == nil:
		return false, err
	}
	rec.Doc, rec.ETag, rec.Deleted = full.Doc, full.ETag, full.Deleted // the list need not show what says that it is deleted
	return true, nil
}

// A search is bounded: more than a few matches are a duplicate whatever their number, and many pages without one show
// that the service does not know the parameter.
const (
	maxFound = 100
	maxPages = 20
)

func (s *system) search(ctx context.Context, o *object, q httpclient.Query, op string, fits func(jsondoc.Value) bool) ([]connector.Record, error) {
	var found []connector.Record
	walk := s.walk(o, o.Find.Path, o.Find.Items, o.fixed(q...), op)
	walk.action = ActFind
	for n := 0; walk.more() && len(found) < maxFound; n++ {
		if n == maxPages {
			return nil, s.fail(fault.Invalid, op, "the search answers with other objects too, page after page: does the service know %q?", q[0].Name)
		}
		now := s.clock.Now()
		p, err := walk.next(ctx)
		if f, ok := fault.As(err); ok && f.Kind == fault.NotFound && strings.HasPrefix(f.Code, "2") {
			return found, nil // the settings read a code of the service as: there is none
		}
		if err != nil {
			return nil, err
		}
		for _, v := range p.items {
			if v.bad != nil { // it may be the one: to go on as if it were not there would make a second
				return nil, s.fail(fault.Invalid, op, "an object of the answer cannot be read: %s", v.bad.Err)
			}
			if fits(v.Value) {
				if err := s.wrong(op, o, v.Value); err != nil {
					return nil, err
				}
				rec := o.record(v.Value, "", now)
				if there, err := s.entire(ctx, o, &rec, op); err != nil {
					return nil, err
				} else if there {
					found = append(found, rec)
				}
			}
		}
	}
	return found, nil
}
