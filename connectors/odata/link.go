package odata

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// linked gives the path below the service, with its query, of a link in an answer. Services name themselves in links as they please (localhost, a machine
// behind the gateway, http in place of https), so that the host says nothing: what is asked is always the system that url names, and nothing outside the
// service. A relative link is one below the service, as V4 says of payloads whose context is there.
func (w *walk) linked(resp *httpclient.Response, link string) (string, error) {
	return w.s.linked(w.b, link, strings.TrimPrefix(resp.URL.EscapedPath(), w.s.base+suffix(w.b.svc.path != "", w.b.svc.path+"/")))
}

func (s *system) linked(b *bound, link, asked string) (string, error) {
	u, err := url.Parse(link)
	if err != nil && !strings.Contains(link, "://") {
		u, err = url.Parse("./" + link) // a colon in a relative link, such as one in a key, looks like a scheme
	}
	if err != nil {
		return "", fmt.Errorf("the link %q to the next page is no URL", s.client.Scrub(httpclient.Shorten(link, 100)))
	}
	query := suffix(u.RawQuery != "", "?"+strings.ReplaceAll(u.RawQuery, " ", "%20"))
	root := s.base + suffix(b.svc.path != "", b.svc.path+"/")
	to := u.EscapedPath()
	switch {
	case to == "" && query != "":
		return asked + query, nil
	case u.Host == "" && !strings.HasPrefix(to, "/"):
		to = root + strings.TrimPrefix(to, "./")
	}
	if clean := path.Clean(to); strings.HasPrefix(to, root) && strings.HasPrefix(clean+"/", root) {
		return strings.TrimPrefix(to, root) + query, nil
	}
	if strings.HasSuffix(to, "/"+asked) { // another path leads there from where the service stands
		return asked + query, nil
	}
	return "", fmt.Errorf("the link to the next page leads out of the service: %q", s.client.Scrub(httpclient.Shorten(to, 100)))
}

// complete reads those lists of an object that the service has cut.
func (s *system) complete(ctx context.Context, b *bound, it *item, op string) error {
	if it.bad != nil || it.Kind() != jsondoc.Object {
		return nil
	}
	for _, nav := range b.typ.navs {
		v := it.Get(nav.name)
		if !nav.many || v.Kind() == jsondoc.Missing || deferred(v) || !next(it.Value, nav.name, v) {
			continue
		}
		whole := s.wholeList
		if b.Paging == "links" {
			whole = s.linkedList
		}
		list, err := whole(ctx, b, it, nav, op)
		if err != nil {
			return err
		}
		if it.lists == nil {
			it.lists = map[string][]jsondoc.Value{}
		}
		it.lists[nav.name] = list
	}
	return nil
}

// wholeList reads a list of an object by way of the object, page by page.
func (s *system) wholeList(ctx context.Context, b *bound, it *item, nav *navigation, op string) ([]jsondoc.Value, error) {
	target := b.m.types[nav.target]
	if target == nil || len(target.key) == 0 {
		return nil, s.fail(fault.Invalid, op, "%s is cut, and its objects have no key to go on by", nav.name)
	}
	k, err := b.keyIn(it.Value)
	if err != nil {
		return nil, s.refuse(op, err)
	}
	predicate, err := k.predicate()
	if err != nil {
		return nil, s.refuse(op, err)
	}
	w := &walk{s: s, b: b, path: b.set.name + predicate + "/" + nav.name, op: op, size: b.Size, bare: true}
	for _, name := range target.key {
		w.keys = append(w.keys, target.property(name))
	}
	for shifts := 0; ; shifts++ {
		list, err := w.all(ctx)
		switch {
		case !errors.Is(err, errShifted):
			return list, err
		case shifts == maxShifts:
			return nil, s.fail(fault.Unavailable, op, "%s of %s: %s", nav.name, k.local(), err)
		}
		w.at, w.done = w.at.anew(), false
	}
}

// linkedList reads a list of an object by the service's own links, which go on with what was asked for of the list's objects. A link leads behind what is
// there, or to the whole list once more: Dataverse writes such a one beside every list that it shows, whole or not.
func (s *system) linkedList(ctx context.Context, b *bound, it *item, nav *navigation, op string) (list []jsondoc.Value, err error) {
	target := b.m.types[nav.target]
	if target == nil || len(target.key) == 0 {
		return nil, s.fail(fault.Invalid, op, "%s is cut, and its objects have no key to tell them apart by", nav.name)
	}
	w := &walk{s: s, b: b, op: op, size: b.Size, bare: true}
	for _, name := range target.key {
		w.keys = append(w.keys, target.property(name))
	}
	shows := it.Get(nav.name)
	shown, linked := map[string]bool{}, map[string]bool{}
	for e := range b.m.elements(shows).Elements() {
		k, err := b.m.keyIn(w.keys, e)
		if err != nil {
			return nil, s.refuse(op, err)
		}
		shown[k.local()] = true
		list = append(list, e)
	}
	there := len(list)
	again := 0 // of those that are there, how many the links have shown
	seen := map[string]bool{}
	for link := listLink(it.Value, nav.name, shows); link != ""; {
		path, err := s.linked(b, link, b.set.name)
		if err != nil {
			return nil, s.refuse(op, err)
		}
		if seen[path] {
			return nil, s.fail(fault.Invalid, op, "the link behind %s leads in a circle: %s", nav.name, s.client.Scrub(httpclient.Shorten(path, 100)))
		}
		seen[path] = true
		p, root, err := w.fetch(ctx, path)
		if err != nil {
			return nil, err
		}
		for _, e := range p.items {
			if e.bad != nil {
				return nil, s.fail(fault.Invalid, op, "an object of the list cannot be read: %s", e.bad.Err)
			}
			k, err := b.m.keyIn(w.keys, e.Value)
			if err != nil {
				return nil, s.refuse(op, err)
			}
			if linked[k.local()] {
				return nil, s.fail(fault.Unavailable, op, "%s moved while it was read: %s came twice", nav.name, k.local())
			}
			linked[k.local()] = true
			if shown[k.local()] {
				again++
			}
			list = append(list, e.Value)
		}
		link = nextLink(root)
	}
	switch again {
	case 0:
		return list, nil
	case len(shown):
		return list[there:], nil
	}
	return nil, s.fail(fault.Unavailable, op, "%s moved while it was read: its links show %d of the %d objects that were there", nav.name, again, len(shown))
}

// all reads a whole list.
func (w *walk) all(ctx context.Context) (list []jsondoc.Value, err error) {
	for !w.done {
		p, err := w.next(ctx)
		if err != nil {
			return nil, err
		}
		for _, it := range p.items {
			if it.bad != nil {
				return nil, w.s.fail(fault.Invalid, w.op, "an object of the list cannot be read: %s", it.bad.Err)
			}
			list = append(list, it.Value)
		}
	}
	return list, nil
}
