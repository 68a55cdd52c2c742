package rest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// checkParts: each must say which object it is of. It completes those that are lists in pages.
func (o *object) checkParts(n strictyaml.Node, p *strictyaml.Problems) {
	get := n.Get("get")
	parts := get.Get("parts")
	if len(o.Get.Parts) > 0 && (get.Has("body") || get.Has("query") || get.Has("rows")) {
		p.AddHint(parts.Pos(), "ask for them in the body or query", "parts: they are read from addresses, with an object that is read from one")
	}
	if len(o.Get.Parts) > 0 && o.List.Detail != "get" {
		p.AddHint(parts.Pos(), "add detail: get to the object's list", "parts: polls and lists would show the objects without them")
	}
	for _, name := range slices.Sorted(maps.Keys(o.Get.Parts)) {
		part, at := o.Get.Parts[name], parts.Get(name)
		if strings.ContainsAny(name, ".") || name == "" {
			p.Add(parts.KeyPos(name), "parts: %q is no name of a member", name)
		}
		if part == nil {
			continue // told already
		}
		said := false
		for _, value := range part.Parameters {
			said = said || strings.Contains(value, "{id}")
		}
		if known := []string{"id"}; !said || strings.Contains(part.Path, "{") {
			template(at, "path", part.Path, known, p)
		}
		if !at.Has("paging") {
			if at.Has("id") {
				p.AddHint(at.KeyPos("id"), "add paging, or remove it", "id: a part that is one answer is taken as it stands")
			}
			continue
		}
		pg := &part.Paging
		def(&pg.Parameter, pg.Style)
		def(&pg.Next, "next")
		part.o = &object{name: o.name, ID: part.ID, Success: o.Success, List: listSettings{Paging: *pg}}
		part.o.checkPaging(at.Get("paging"), p)
	}
}

// parts reads what other addresses show of an object, and puts it into the object.
func (s *system) parts(ctx context.Context, o *object, item jsondoc.Value, id, op string) (jsondoc.Value, error) {
	for _, name := range slices.Sorted(maps.Keys(o.Get.Parts)) {
		part := o.Get.Parts[name]
		path, err := pathOf(part.Path, id)
		if err != nil {
			return item, s.fail(fault.Invalid, op, "%s", err)
		}
		var q httpclient.Query
		for _, param := range slices.Sorted(maps.Keys(part.Parameters)) {
			q = append(q, httpclient.Param{Name: param, Value: put(part.Parameters[param], "{id}", id)})
		}
		read := s.piece
		if part.o != nil {
			read = s.elements
		}
		shown, err := read(ctx, o, part, path, q, op+": "+name, int(s.set.MaxBody)-len(item.Raw()))
		if f, ok := fault.As(err); ok && f.Kind == fault.NotFound { // the object is there: an address that is not would take all objects away
			g := *f
			g.Kind = fault.Invalid
			return item, &g
		}
		if err != nil {
			return item, err
		}
		doc, err := placed(item.Raw(), name, shown)
		if err != nil {
			return item, s.fail(fault.Invalid, op, "the object and its %s are no document: %s", name, err)
		}
		d, err := jsondoc.Parse(doc, jsondoc.Limits{Bytes: len(doc) + 1})
		if err != nil {
			return item, s.fail(fault.Invalid, op, "the object and its %s are no document: %s", name, err)
		}
		item = d.Root()
	}
	return item, nil
}

// piece reads a part that is one answer.
func (s *system) piece(ctx context.Context, o *object, part *partSettings, path string, q httpclient.Query, op string, _ int) ([]byte, error) {
	c := s.call(ActGet, o, httpclient.Request{Method: http.MethodGet, Path: path, Query: q, Op: op})
	shows := func(root jsondoc.Value) bool {
		k := at(root, part.Item).Kind()
		return k == jsondoc.Object || k == jsondoc.Array
	}
	resp, err := s.do(ctx, c, &judge{s: s, rules: s.success(o, nil), reading: true, bare: part.Item == "", there: shows})
	if err != nil {
		return nil, err
	}
	root, err := s.parse(op, resp, true)
	if err != nil {
		return nil, err
	}
	if !shows(root) {
		return nil, s.fail(fault.Invalid, op, "the answer holds none at %q: %s", part.Item, s.client.Text(resp))
	}
	return at(root, part.Item).Raw(), nil
}

// elements reads a part that is a list in pages, to its end. room is what the object may still grow by.
func (s *system) elements(ctx context.Context, _ *object, part *partSettings, path string, q httpclient.Query, op string, room int) ([]byte, error) {
	for range maxShifts {
		list, err := s.elementsOnce(ctx, s.walk(part.o, path, part.Item, q, op), part, room)
		if errors.Is(err, errShifted) || errors.Is(err, errPlaceLost) {
			continue
		}
		return list, err
	}
	return nil, s.fail(fault.Unavailable, op, "%s moved each of %d times that it was read", path, maxShifts)
}

// elementsOnce walks through a list. Pages overlap where that shows that nothing slipped between them: an element that comes again stands as it was seen last.
func (s *system) elementsOnce(ctx context.Context, w *walk, part *partSettings, room int) ([]byte, error) {
	w.verify = !part.Paging.Stable
	var found [][]byte
	index := map[string]int{}
	for w.more() {
		p, err := w.next(ctx)
		if err != nil {
			return nil, err
		}
		for _, v := range p.items {
			if v.bad != nil {
				return nil, s.fail(fault.Invalid, w.op, "an element of the list at %s cannot be read: %s", w.path, v.bad.Err)
			}
			id := text(at(v.Value, part.ID))
			if id == "" {
				return nil, s.fail(fault.Invalid, w.op, "an element of the list at %s holds no id at %q", w.path, part.ID)
			}
			if i, again := index[id]; again {
				room += len(found[i])
				found[i] = v.Raw()
			} else {
				index[id] = len(found)
				found = append(found, v.Raw())
			}
			if room -= len(v.Raw()) + 1; room < 0 {
				return nil, s.fail(fault.Invalid, w.op, "the object and its lists are longer than %s, which max-body is: raise it", s.set.MaxBody)
			}
		}
	}
	return append(append([]byte{'['}, bytes.Join(found, []byte{','})...), ']'), nil
}
