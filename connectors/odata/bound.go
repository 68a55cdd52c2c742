package odata

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// bound is an object of the settings as the service knows it.
type bound struct {
	*object
	svc   *service
	m     *metadata
	set   *entitySet
	typ   *structType
	keys  []*property
	items []*boundItems
	links []*boundLink

	changed, external, deleted *property

	// shape is $expand and $select, escaped.
	shape string
	// unguarded: the service refuses If-Match: *.
	unguarded atomic.Bool
	// lacking are names of the settings that the service does not know, with what to do.
	lacking []lack
}

// lack is one of them.
type lack struct{ name, why string }

// boundItems are the lines of an object.
type boundItems struct {
	*items
	nav  *navigation
	typ  *structType
	keys []*property // all of the line's key
	// own are those properties that tell a line from the others of its object: of its key what does not repeat the object's.
	own []*property
	set string // the set of the lines; empty: they are asked for by way of their object
}

// bind ties the objects of a service's settings to its metadata.
func (s *system) bind(svc *service, m *metadata) map[string]*bound {
	out := map[string]*bound{}
	for name, o := range s.set.Objects {
		if o.Service == svc.path {
			out[name] = bindObject(o, svc, m)
		}
	}
	return out
}

func bindObject(o *object, svc *service, m *metadata) *bound {
	b := &bound{object: o, svc: svc, m: m, set: m.sets[o.Set]}
	if b.set == nil {
		b.lack(o.Set, "the service has no entity set %q%s", o.Set, strictyaml.Meant(o.Set, m.setNames()))
		return b
	}
	b.typ = m.types[b.set.typ]
	names := o.Key
	if len(names) == 0 {
		names = b.typ.key
	}
	for _, name := range names {
		if p := b.property("key", name); p != nil {
			b.keys = append(b.keys, p)
		}
	}
	if len(names) == 0 {
		b.lack(o.Set, "$metadata names no key of %s: set key", o.Set)
	}
	b.changed, b.external, b.deleted = b.property("changed", o.Changed), b.property("external", o.External), b.property("deleted", o.Deleted)
	if p := b.external; p != nil {
		switch {
		case p.kind != stringType && p.kind != guidType:
			b.lack(p.name, "external: %s is of the type %s, and an external id is a text", p.name, p.typ)
		case p.kind == guidType && o.ExternalForm != connector.FormUUID:
			b.lack(p.name, "external: %s takes external-form: uuid alone", p.name)
		case p.length >= 0 && p.length < o.ExternalForm.Length():
			b.lack(p.name, "external: %s takes %d characters, and external-form: %s has %d", p.name, p.length, o.ExternalForm, o.ExternalForm.Length())
		}
	}
	for _, name := range o.Select {
		b.property("select", name)
	}
	for _, name := range o.Bind {
		b.bindLink(name)
	}
	for name, it := range o.Items {
		b.bindItems(name, it)
	}
	slices.SortFunc(b.items, func(x, y *boundItems) int { return strings.Compare(x.nav.name, y.nav.name) })
	b.shape = b.shaped()
	return b
}

func (b *bound) lack(name, format string, args ...any) {
	b.lacking = append(b.lacking, lack{name, fmt.Sprintf(format, args...)})
}

// property gives a property that a setting names.
func (b *bound) property(setting, name string) *property {
	if name == "" {
		return nil
	}
	p := b.typ.property(name)
	switch {
	case p == nil:
		b.lack(name, "%s: %s has no property %q%s", setting, b.set.name, name, strictyaml.Meant(name, b.typ.names()))
	case p.collection || p.kind == complexType || p.kind == anyType:
		b.lack(name, "%s: %s of %s is of the type %s, and not a single value", setting, name, b.set.name, p.typ)
	}
	return p
}

func (b *bound) bindItems(name string, it *items) {
	nav := b.typ.navigation(name)
	switch {
	case nav == nil:
		b.lack(name, "items: %s has no navigation property %q%s", b.set.name, name, strictyaml.Meant(name, b.typ.names()))
		return
	case !nav.many || b.m.types[nav.target] == nil:
		b.lack(name, "items: %s of %s is no list of objects", name, b.set.name)
		return
	case it.OnUpdate == "deep" && b.m.version == 2:
		b.lack(name, "items: OData V2 knows no update of an object with its lines: write on-update: keep or replace for %s", name)
	}
	out := &boundItems{items: it, nav: nav, typ: b.m.types[nav.target], set: b.set.target[name]}
	for _, part := range out.typ.key {
		p := out.typ.property(part)
		out.keys = append(out.keys, p)
		_, repeated := nav.refers[part]
		if len(nav.refers) == 0 {
			repeated = slices.Contains(b.typ.key, part)
		}
		if len(it.Key) == 0 && !repeated {
			out.own = append(out.own, p)
		}
	}
	for _, part := range it.Key {
		p := out.typ.property(part)
		if p == nil {
			b.lack(part, "items: %s has no property %q%s", short(out.typ.name), part, strictyaml.Meant(part, out.typ.names()))
			continue
		}
		out.own = append(out.own, p)
	}
	if len(out.own) == 0 && it.OnUpdate != "deep" {
		b.lack(name, "items: nothing tells one line of %s from another: set key", name)
	}
	b.items = append(b.items, out)
}

// boundLink is an object that a document names by its key, and a change by its address.
type boundLink struct {
	nav  string
	own  *property // holds the key in documents
	key  *property // of the other object
	set  string    // of the other object
	meta *metadata
}

func (b *bound) bindLink(name string) {
	nav := b.typ.navigation(name)
	switch {
	case b.m.version == 2:
		b.lack(name, "bind: links inside a document are V4's: remove %s", name)
		return
	case nav == nil:
		b.lack(name, "bind: %s has no navigation property %q%s", b.set.name, name, strictyaml.Meant(name, b.typ.names()))
		return
	case nav.many || b.m.types[nav.target] == nil:
		b.lack(name, "bind: %s of %s does not lead to one object", name, b.set.name)
		return
	}
	out := &boundLink{nav: name, set: b.set.target[name], meta: b.m}
	for own, theirs := range nav.own {
		out.own, out.key = b.typ.property(own), b.m.types[nav.target].property(theirs)
	}
	switch {
	case len(nav.own) != 1 || out.own == nil || out.key == nil:
		b.lack(name, "bind: $metadata does not say which property of %s repeats the key of %s", b.set.name, name)
	case out.set == "":
		b.lack(name, "bind: $metadata does not say which set %s of %s leads to", name, b.set.name)
	default:
		b.links = append(b.links, out)
	}
}

// link gives the link that a property of documents is written as; nil: it is written as it is.
func (b *bound) link(name string) *boundLink {
	for _, l := range b.links {
		if l.own.name == name {
			return l
		}
	}
	return nil
}

// linked adds a document's links to a body. An empty one takes the object away.
func (b *bound) linked(body []byte, doc jsondoc.Value) ([]byte, error) {
	for name, v := range doc.Members() {
		l := b.link(name)
		if l == nil {
			continue
		}
		address := []byte("null")
		if text, err := b.m.text(l.own, v); err != nil {
			return nil, err
		} else if text != "" {
			predicate, err := key{m: l.meta, parts: []*property{l.key}, values: []string{text}}.predicate()
			if err != nil {
				return nil, inside(name, fmt.Errorf("%s is no key of %s: %w", shown(v), l.set, err))
			}
			address = jsondoc.AppendString(nil, "/"+l.set+predicate)
		}
		body = member(body, l.nav+"@odata.bind", address)
	}
	return body, nil
}

// member adds a member to an object.
func member(body []byte, name string, value []byte) []byte {
	body = body[:len(body)-1]
	if len(body) > 1 {
		body = append(body, ',')
	}
	body = append(jsondoc.AppendString(body, name), ':')
	return append(append(body, value...), '}')
}

// shaped is what is asked for of every object.
func (b *bound) shaped() string {
	var expand []string
	for _, it := range b.items {
		expand = append(expand, it.nav.name)
	}
	lists := slices.Clone(expand)
	expand = append(expand, b.Expand...)
	var q []string
	if len(expand) > 0 {
		q = append(q, "$expand="+escape(strings.Join(expand, ",")))
	}
	if len(b.Select) > 0 {
		names := slices.Clone(b.Select)
		more := []string{b.Changed, b.External, b.Deleted}
		for _, k := range b.keys {
			more = append(more, k.name)
		}
		if b.m.version == 2 { // V4 shows what is expanded anyway
			more = append(more, lists...)
			more = append(more, b.Expand...)
		}
		for _, name := range more {
			if name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		q = append(q, "$select="+escape(strings.Join(names, ",")))
	}
	return strings.Join(q, "&")
}

// bound gives an object as its service knows it. Settings that do not fit the service are an error of every call.
func (s *system) bound(ctx context.Context, name, op string) (*bound, error) {
	o, err := s.object(name)
	if err != nil {
		return nil, err
	}
	r, err := s.metadata(ctx, s.services[o.Service])
	if err != nil {
		return nil, err
	}
	b := r.bound[name]
	if len(b.lacking) > 0 {
		return nil, s.fail(fault.Invalid, op, "%s", b.lacking[0].why)
	}
	return b, nil
}

// keyIn reads the key of an object out of it.
func (b *bound) keyIn(v jsondoc.Value) (key, error) { return b.m.keyIn(b.keys, v) }

func (m *metadata) keyIn(parts []*property, v jsondoc.Value) (key, error) {
	k := key{m: m, parts: parts}
	for _, p := range parts {
		w := v.Get(p.name)
		if !w.Exists() {
			return k, fmt.Errorf("%s: an object without it has no key", p.name)
		}
		text, err := m.text(p, w)
		if err != nil {
			return k, err
		}
		k.values = append(k.values, text)
	}
	return k, nil
}

// path gives the path of an object by its id.
func (b *bound) path(local string) (string, error) {
	k, err := b.m.keyOf(b.keys, local)
	if err != nil {
		return "", err
	}
	predicate, err := k.predicate()
	if err != nil {
		return "", err
	}
	return b.set.name + predicate, nil
}
