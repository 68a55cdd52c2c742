package odata

import (
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// faultKinds are the meanings that errors.kinds can give a code; duplicate is a Conflict of its own.
var faultKinds = map[string]fault.Kind{
	"duplicate": fault.Conflict, "conflict": fault.Conflict, "invalid": fault.Invalid, "not-found": fault.NotFound, "auth": fault.Auth,
	"rate-limited": fault.RateLimited, "unavailable": fault.Unavailable, "unknown-outcome": fault.UnknownOutcome,
}

// read decodes and completes the settings; every problem goes to p.
func read(s connector.Settings, p *strictyaml.Problems) *settings {
	set := &settings{}
	s.Decode(set, p)
	set.Settings.Check(s.Node, set.URL, p)
	set.Auth.Check(s.Node.Get("auth"), p)
	kinds := s.Node.Get("errors").Get("kinds")
	for code, kind := range set.Errors.Kinds {
		if _, ok := faultKinds[kind]; !ok {
			p.AddHint(kinds.Get(code).Pos(), strictyaml.DidYouMean(kind, slices.Sorted(maps.Keys(faultKinds))), "kinds: %q is no kind of failure", kind)
		}
	}
	if set.Batch.Size < 1 {
		p.Add(s.Node.Get("batch").Get("size").Pos(), "size: at least 1")
	}
	if set.Batch.Format == "json" && set.Version == "2" {
		p.AddHint(s.Node.Get("batch").Get("format").Pos(), "write multipart", "format: V2 knows no $batch in JSON")
	}
	objects := s.Node.Get("objects")
	if set.Objects != nil && len(set.Objects) == 0 {
		p.Add(objects.Pos(), "objects: name at least one")
	}
	for name, o := range set.Objects {
		if o == nil {
			set.Objects[name] = &object{Changes: "stamp", Paging: "key", Size: 100, Create: "post", Numbers: "text", ExternalForm: connector.FormUUID}
		}
		set.Objects[name].name = name
		set.Objects[name].complete(objects.Get(name), set.Version, p)
		set.Objects[name].stored(s, objects.Get(name), p)
	}
	return set
}

// complete fills in the defaults that depend on other settings, and checks what the shape alone does not show.
func (o *object) complete(n strictyaml.Node, version string, p *strictyaml.Problems) {
	if o.Set == "" {
		o.Set = o.name
	}
	o.Service = strings.Trim(o.Service, "/")
	if strings.ContainsAny(o.Service, "?#") {
		p.AddHint(n.Get("service").Pos(), "write parameters of every request under parameters", "service: there must be no query in it")
	}
	if o.Size < 1 {
		p.Add(n.Get("size").Pos(), "size: at least 1")
	}
	for _, f := range []struct{ key, name string }{{"set", o.Set}, {"external", o.External}, {"changed", o.Changed}, {"deleted", o.Deleted}} {
		if !plainName(f.name) {
			p.Add(n.Get(f.key).Pos(), "%s: %q is no name of OData's: letters, digits and _", f.key, f.name)
		}
	}
	for _, list := range []struct {
		key   string
		names []string
	}{{"key", o.Key}, {"select", o.Select}, {"bind", o.Bind}} {
		for i, name := range list.names {
			at := n.Get(list.key).Items()
			switch {
			case i >= len(at):
			case name == "" || !plainName(name):
				p.Add(at[i].Pos(), "%s: %q is no name of OData's: letters, digits and _", list.key, name)
			case slices.Contains(list.names[:i], name):
				p.Add(at[i].Pos(), "%s: %s stands here twice", list.key, name)
			}
		}
	}
	if len(o.Bind) > 0 && version == "2" {
		p.AddHint(n.Get("bind").Pos(), "remove it: V2 takes the property itself", "bind: links inside a document are V4's")
	}
	if o.Changes == "delta" && o.Changed != "" {
		p.AddHint(n.Get("changes").Pos(), "remove one of the two", "changes: delta needs no changed: the service keeps the place")
	}
	for name, it := range o.Items {
		at := n.Get("items").Get(name)
		if it == nil {
			it = &items{OnUpdate: "keep"}
			o.Items[name] = it
		}
		if !plainName(name) {
			p.Add(n.Get("items").KeyPos(name), "items: %q is no name of OData's: letters, digits and _", name)
		}
		if it.OnUpdate == "deep" && version == "2" {
			p.AddHint(at.Get("on-update").Pos(), "write keep or replace", "on-update: V2 knows no update of an object with its lines")
		}
		if it.OnUpdate == "deep" && len(it.Key) > 0 {
			p.AddHint(at.Get("key").Pos(), "remove one of the two", "key: on-update: deep compares no lines")
		}
		if slices.ContainsFunc(o.Expand, func(e string) bool {
			return e == name || strings.HasPrefix(e, name+"/") || strings.HasPrefix(e, name+"(")
		}) {
			p.AddHint(n.Get("expand").Pos(), "remove it: items are read with the object", "expand: %s stands under items", name)
		}
	}
}

// plainName: letters, digits and underscores, or empty.
func plainName(s string) bool {
	for i, r := range s {
		if r != '_' && (r < '0' || r > '9' || i == 0) && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r < 0x80 {
			return false
		}
	}
	return len(s) <= 128
}
