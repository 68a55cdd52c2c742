package tryton

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

var (
	fieldName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
	modelName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$`)
)

// read decodes and completes the settings; every problem goes to p.
func read(s connector.Settings, p *strictyaml.Problems) *settings {
	set := &settings{}
	s.Decode(set, p)
	set.Settings.Check(s.Node, set.URL, p)
	if set.Bulk < 1 {
		p.Add(s.Node.Get("bulk").Pos(), "bulk: at least 1")
	}
	if set.Company < 0 {
		p.Add(s.Node.Get("company").Pos(), "company: this is no id")
	}
	objects := s.Node.Get("objects")
	if set.Objects != nil && len(set.Objects) == 0 {
		p.Add(objects.Pos(), "objects: name at least one")
	}
	for name, o := range set.Objects {
		if o == nil { // what is required is missed already
			o = &object{}
			set.Objects[name] = o
		}
		o.name = name
		o.complete(objects.Get(name), p)
	}
	return set
}

func (o *object) complete(n strictyaml.Node, p *strictyaml.Problems) {
	if o.Model != "" && !modelName.MatchString(o.Model) {
		p.AddHint(n.Get("model").Pos(), "write it as party.party", "model: %q is no model's name", httpclient.Shorten(o.Model, 80))
	}
	if n.Has("size") && o.Size < 1 {
		p.Add(n.Get("size").Pos(), "size: at least 1")
	}
	for _, j := range []struct {
		key  string
		node strictyaml.Node
		kind strictyaml.Kind
		into *[]byte
	}{{"filter", o.Filter, strictyaml.List, &o.filter}, {"context", o.Context, strictyaml.Map, &o.context}} {
		switch j.node.Kind() {
		case strictyaml.Missing:
		case j.kind:
			*j.into, _ = j.node.AppendJSON(nil, p)
		default:
			p.Add(j.node.Pos(), "%s: expected a %s, found %s", j.key, j.kind, j.node.Kind())
		}
	}
	checkFields(n, o.Fields, o.Refer, o.OnChange, p)
	if o.External != "" {
		switch {
		case !fieldName.MatchString(o.External):
			p.Add(n.Get("external").Pos(), "external: %q is no field's name", httpclient.Shorten(o.External, 80))
		case slices.Contains(o.Fields, o.External):
			p.AddHint(n.Get("external").Pos(), "remove it there: the hub writes and reads it by itself", "external: %s stands among fields", o.External)
		}
	}
	for name, it := range o.Items {
		at := n.Get("items").Get(name)
		if it == nil {
			it = &items{}
			o.Items[name] = it
		}
		if !fieldName.MatchString(name) || slices.Contains(o.Fields, name) {
			p.Add(n.Get("items").KeyPos(name), "items: %q is no field's name, or stands among fields too", httpclient.Shorten(name, 80))
		}
		checkFields(at, it.Fields, it.Refer, it.OnChange, p)
		for i, key := range it.Key {
			if !slices.Contains(it.Fields, key) {
				p.Add(at.Get("key").Items()[i].Pos(), "key: %q is none of fields%s", httpclient.Shorten(key, 80), strictyaml.Meant(key, it.Fields))
			}
		}
		if it.OnUpdate != "none" && it.OnUpdate != "" && len(it.Key) == 0 && at.Has("on-update") {
			p.AddHint(at.Get("on-update").Pos(), "name the fields that tell one record from the others under key", "on-update: without key the records of a document cannot be told from those that are there")
		}
	}
	if o.Steps != nil {
		o.checkSteps(n, p)
	}
}

// checkFields checks names, and what is said of them.
func checkFields(n strictyaml.Node, fields []string, refer map[string]string, onChange []string, p *strictyaml.Problems) {
	at := n.Get("fields").Items()
	if n.Has("fields") && len(fields) == 0 {
		p.Add(n.Get("fields").Pos(), "fields: name at least one")
	}
	for i, name := range fields {
		switch {
		case i >= len(at):
		case !fieldName.MatchString(name):
			p.Add(at[i].Pos(), "fields: %q is no field's name", httpclient.Shorten(name, 80))
		case slices.Contains(fields[:i], name):
			p.Add(at[i].Pos(), "fields: %s stands here twice", name)
		}
	}
	for name, by := range refer {
		where := n.Get("refer")
		if !slices.Contains(fields, name) {
			p.Add(where.KeyPos(name), "refer: %q is none of fields%s", httpclient.Shorten(name, 80), strictyaml.Meant(name, fields))
		}
		if !fieldName.MatchString(by) {
			p.Add(where.Get(name).Pos(), "refer: %q is no field's name", httpclient.Shorten(by, 80))
		}
	}
	for i, name := range onChange {
		if !fieldName.MatchString(name) && i < len(n.Get("on-change").Items()) {
			p.Add(n.Get("on-change").Items()[i].Pos(), "on-change: %q is no field's name", httpclient.Shorten(name, 80))
		}
	}
}

func (o *object) checkSteps(n strictyaml.Node, p *strictyaml.Problems) {
	at := n.Get("steps")
	if o.External == "" {
		p.AddHint(at.Pos(), "set external", "steps: where a call is lost between two steps, the object must be found again, and there is no external id to find it by")
	}
	st := o.Steps
	if !slices.Contains(o.Fields, st.Field) {
		p.AddHint(at.Pos(), fmt.Sprintf("add %s to fields", st.Field), "steps: the state is read from %s, which is none of fields", st.Field)
	}
	if len(st.Path) < 2 && at.Has("path") {
		p.Add(at.Get("path").Pos(), "path: name the states in their order, two at least")
	}
	nodes := at.Get("path").Items()
	for i, one := range st.Path {
		if i >= len(nodes) {
			break
		}
		if one.By != "" && !fieldName.MatchString(one.By) {
			p.Add(nodes[i].Get("by").Pos(), "by: %q is no method's name", httpclient.Shorten(one.By, 80))
		}
		if i == 0 && one.By != "" {
			p.Add(nodes[i].Get("by").Pos(), "by: nothing leads to the first state, in which objects are made")
		}
		if st.at(one.State) != i {
			p.Add(nodes[i].Pos(), "path: %s stands here twice", one.State)
		}
	}
	for state, by := range st.Aside {
		if !fieldName.MatchString(by) {
			p.Add(at.Get("aside").Get(state).Pos(), "aside: %q is no method's name", httpclient.Shorten(by, 80))
		}
		if st.at(state) >= 0 {
			p.Add(at.Get("aside").KeyPos(state), "aside: %s stands on the path", state)
		}
	}
	if st.Reach != "" && st.at(st.Reach) < 0 {
		p.Add(at.Get("reach").Pos(), "reach: %q is no state of the path", httpclient.Shorten(st.Reach, 80))
	}
}

// at is the place of a state on the path; -1: it is not there.
func (st *steps) at(state string) int {
	return slices.IndexFunc(st.Path, func(one step) bool { return one.State == state })
}
