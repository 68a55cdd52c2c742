package rest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// checkLists completes the lists that belong to an object and stand at addresses of their own, and looks for what means nothing with them.
func (o *object) checkLists(n strictyaml.Node, p *strictyaml.Problems) {
	lists := n.Get("get").Get("lists")
	if len(o.Get.Lists) > 0 && o.List.Detail != "get" {
		p.AddHint(lists.Pos(), "add detail: get to the object's list", "lists: polls would show the objects without them")
	}
	for _, name := range slices.Sorted(maps.Keys(o.Get.Lists)) {
		part, at := o.Get.Lists[name], lists.Get(name)
		if part == nil {
			continue
		}
		pg := &part.Paging
		def(&pg.Parameter, pg.Style)
		def(&pg.Next, "next")
		template(at, "path", part.Path, []string{"id"}, p)
		part.o = &object{name: o.name, ID: part.ID, Success: o.Success, List: listSettings{Paging: *pg}}
		part.o.checkPaging(at.Get("paging"), p)
	}
}

// withLists reads the lists that belong to an object, and puts them into it. What stands at their addresses belongs to the object as it is then: a list that is longer than before
// is what the next change of the object is told by, too.
func (s *system) withLists(ctx context.Context, o *object, id string, item jsondoc.Value, op string) (jsondoc.Value, error) {
	doc := item.Raw()
	room := int(s.set.MaxBody) - len(doc)
	for _, name := range slices.Sorted(maps.Keys(o.Get.Lists)) {
		elements, err := s.elements(ctx, o.Get.Lists[name], id, &room, op)
		switch {
		case fault.KindOf(err) == fault.NotFound:
			return item, s.fail(fault.Invalid, op, "there is no list %s of it: %s (see get.lists.%s.path)", name, err, name)
		case err != nil:
			return item, err
		}
		if doc, err = setMember(doc, name, elements); err != nil {
			return item, s.fail(fault.Invalid, op, "%s cannot stand in it: %s", name, err)
		}
	}
	whole, err := jsondoc.Parse(doc, jsondoc.Limits{Bytes: len(doc) + 1})
	if err != nil {
		return item, s.fail(fault.Invalid, op, "with its lists it is no JSON: %s", err)
	}
	return whole.Root(), nil
}

// elements reads one list to its end. room is what an object may still grow by.
func (s *system) elements(ctx context.Context, part *partSettings, id string, room *int, op string) ([]byte, error) {
	path, err := pathOf(part.Path, id)
	if err != nil {
		return nil, s.fail(fault.Invalid, op, "%s", err)
	}
	var q httpclient.Query
	for _, name := range slices.Sorted(maps.Keys(part.Parameters)) {
		q = append(q, httpclient.Param{Name: name, Value: strings.ReplaceAll(part.Parameters[name], "{id}", id)})
	}
	for range maxShifts {
		list, err := s.elementsOnce(ctx, s.walk(part.o, path, part.Items, q, op), part, *room)
		if errors.Is(err, errShifted) || errors.Is(err, errPlaceLost) {
			continue
		}
		*room -= len(list)
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
	out := []byte{'['}
	for i, raw := range found {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, raw...)
	}
	return append(out, ']'), nil
}
