package odata

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// deltaPlace is the cursor of polls by delta links.
type deltaPlace struct {
	// link is where the next page, or the next delta, is; empty: the beginning.
	link string
	// delta: the pages are those of a delta, and not of the first reading of everything.
	delta bool
}

// readDelta reads a cursor; the empty one is the beginning.
func readDelta(cursor string) (deltaPlace, bool) {
	if cursor == "" {
		return deltaPlace{}, true
	}
	doc, err := jsondoc.Parse([]byte(cursor), jsondoc.Limits{})
	if err != nil || scalar(doc.Root().Get("v")) != "2" {
		return deltaPlace{}, false
	}
	return deltaPlace{link: doc.Root().Get("link").Str(), delta: doc.Root().Get("delta").Bool()}, true
}

func (p deltaPlace) String() string {
	b := append(jsondoc.AppendString([]byte(`{"v":2,"link":`), p.link), `,"delta":`...)
	return string(append(strconv.AppendBool(b, p.delta), '}'))
}

// pollDelta reads one page of everything, or of what has changed since the last link.
func (s *system) pollDelta(ctx context.Context, b *bound, r connector.PollRequest, op string) (connector.Page, error) {
	at, ok := readDelta(r.Cursor)
	if !ok {
		return connector.Page{}, s.fail(fault.Invalid, op, "the stored cursor is none of delta links: %s", httpclient.Shorten(r.Cursor, 60))
	}
	w := s.walk(b, "", op)
	if r.Limit > 0 {
		w.size = min(w.size, r.Limit)
	}
	path, header := at.link, b.accept()
	w.prefer(header)
	if path == "" {
		path = deltaStart(w)
		header.Set("Prefer", strings.TrimPrefix(header.Get("Prefer")+",odata.track-changes", ","))
	}
	resp, err := s.do(ctx, b.svc, b.m, httpclient.Request{Method: http.MethodGet, Path: b.svc.at(path), Header: header, Op: op, Judge: (&judge{s: s, reading: true}).answer})
	if resp != nil && at.link != "" && (resp.Status == http.StatusGone || fault.KindOf(err) == fault.NotFound) { // the service has forgotten the place
		s.log.Warn("the service has forgotten the place of a delta link: everything is read again", "system", s.name, "object", b.name)
		return connector.Page{Cursor: deltaPlace{}.String(), More: true}, nil
	}
	if err != nil {
		return connector.Page{}, err
	}
	root, broken, err := s.parseList(op, resp, b.m)
	if err != nil {
		return connector.Page{}, err
	}
	list := root.Get("value")
	if b.m.version == 2 {
		list = root.Get("results")
	}
	if list.Kind() != jsondoc.Array {
		return connector.Page{}, s.fail(fault.Invalid, op, "the answer holds no list: %s", s.client.Text(resp))
	}
	var out connector.Page
	for i := range list.Len() {
		it := &item{Value: list.Index(i)}
		if bad, is := broken[i]; is {
			it.bad = &bad
		}
		rec, held, err := s.deltaRecord(ctx, b, it, at.delta, op)
		if err != nil {
			return connector.Page{}, err
		}
		if held {
			out.Records = append(out.Records, rec)
		}
	}
	link, delta := nextLink(root), deltaLink(root)
	switch {
	case link != "":
		at.link, err = w.linked(resp, link)
		out.More = true
	case delta != "":
		at.link, err = w.linked(resp, delta)
		at.delta = true
	default:
		return connector.Page{}, s.fail(fault.Invalid, op, "the service gives no delta link: set changed, and changes: stamp")
	}
	if err != nil {
		return connector.Page{}, s.refuse(op, err)
	}
	out.Cursor = at.String()
	return out, nil
}

// deltaStart asks for everything, and to be told of changes from now on.
func deltaStart(w *walk) string {
	var q []string
	if w.shape != "" {
		q = append(q, w.shape)
	}
	if w.filter != "" {
		q = append(q, "$filter="+escape(w.filter))
	}
	return w.path + suffix(len(q) > 0, "?"+strings.Join(q, "&"))
}

// deltaLink is where an answer says that later changes are to be had.
func deltaLink(root jsondoc.Value) string {
	for _, v := range []jsondoc.Value{root.Get("@odata.deltaLink"), root.Get("@deltaLink"), root.Get("__delta")} {
		if v.Kind() == jsondoc.String {
			return v.Str()
		}
	}
	return ""
}

// deltaRecord makes a record of an entry. A delta may hold of an object only what has changed, so that one which is not whole is read; and what has left
// the list is not gone before the service says so.
func (s *system) deltaRecord(ctx context.Context, b *bound, it *item, delta bool, op string) (r connector.Record, held bool, err error) {
	if it.bad != nil || !delta {
		if err := s.complete(ctx, b, it, op); err != nil {
			return r, false, err
		}
		return s.record(b, it, op), true, nil
	}
	local, gone, sure := b.removed(it.Value)
	switch {
	case gone && local == "":
		return r, false, s.fail(fault.Invalid, op, "the delta tells of a deletion, and not of what: %s", shown(it.Value))
	case gone && sure:
		return connector.Record{Local: local, Deleted: true, Doc: nil}, true, nil
	case !gone && strings.HasSuffix(kindOf(it.Value), "ink"): // $link, $deletedLink: of a relation, and not of an object
		return r, false, nil
	case !gone && b.covered(it.Value):
		if err := s.complete(ctx, b, it, op); err != nil {
			return r, false, err
		}
		return s.record(b, it, op), true, nil
	case !gone:
		k, err := b.keyIn(it.Value)
		if err != nil {
			return r, false, s.refuse(op, err)
		}
		local = k.local()
	}
	now, err := s.get(ctx, b, local, op)
	if err != nil {
		return r, false, err
	}
	if now == nil {
		return connector.Record{Local: local, Deleted: true}, true, nil
	}
	return s.record(b, now, op), !gone, nil
}

// kindOf is the end of an entry's context, which tells what it is: $deletedEntity, $link, $deletedLink.
func kindOf(v jsondoc.Value) string {
	for _, name := range []string{"@odata.context", "@context"} {
		if c := v.Get(name).Str(); c != "" {
			return c[strings.LastIndexByte(c, '/')+1:]
		}
	}
	return ""
}

// removed reads an entry that tells of an object which is gone: V4.01 marks it with @removed, V4.0 by its context. sure: it is deleted, and has not only left
// the list.
func (b *bound) removed(v jsondoc.Value) (local string, gone, sure bool) {
	mark := v.Get("@removed")
	if mark.Kind() == jsondoc.Missing {
		mark = v.Get("@odata.removed")
	}
	if mark.Kind() == jsondoc.Missing && kindOf(v) != "$deletedEntity" {
		return "", false, false
	}
	reason := mark.Get("reason").Str() + v.Get("reason").Str()
	if k, err := b.keyIn(v); err == nil {
		return k.local(), true, reason == "deleted"
	}
	for _, name := range []string{"@odata.id", "@id", "id"} {
		at := v.Get(name).Str()
		if k, ok := b.m.keyAt(b.keys, at); ok {
			return k.local(), true, reason == "deleted"
		}
		if len(b.keys) == 1 && b.keys[0].kind == guidType { // Dataverse writes the key where the protocol wants an address
			if _, err := b.m.literal(b.keys[0], at); err == nil {
				return at, true, reason == "deleted"
			}
		}
	}
	return "", true, false
}

// covered reports whether an entry holds all that a read would.
func (b *bound) covered(v jsondoc.Value) bool {
	for _, p := range b.typ.props {
		if v.Get(p.name).Kind() == jsondoc.Missing && p.kind != streamType && (len(b.Select) == 0 || strings.Contains(b.shape, p.name)) {
			return false
		}
	}
	return b.wholeIn(&item{Value: v}) || len(b.items)+len(b.Expand) == 0
}
