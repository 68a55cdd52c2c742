package config

import (
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

type abilities = connector.Abilities

// able complains when the system's kind cannot do what is asked of it.
func (l *loader) able(s *System, n strictyaml.Node, what string, can func(abilities) bool) {
	if s == nil {
		return
	}
	if k, known := l.o.Kinds[s.Kind]; known && !can(k.Spec().Can) {
		l.p.AddHint(n.Pos(), "use another system, or another connector for it", "the system %q %s: its connector is %s", s.Name, what, s.Kind)
	}
}

// object is the named object type, or the entity; it must be one of the system's, where the system's settings list them.
func (l *loader) object(s *System, n strictyaml.Node, named, entity string) string {
	object, at, hint := named, n.Get("object"), ""
	if named == "" {
		object, at = entity, n
		hint = "name it with object"
	}
	names, listed := l.objects(s)
	if !listed || object == "" || slices.Contains(names, object) {
		return object
	}
	if near := strictyaml.DidYouMean(object, names); hint == "" || near == "" {
		hint = near
	} else {
		hint += "; " + near
	}
	l.p.AddHint(at.Pos(), hint, "the system %q has no object %q in its settings", s.Name, object)
	return object
}

// objectLister is a Kind that knows a system's object types from its settings alone.
type objectLister interface {
	Objects(s connector.Settings) []string
}

// objects lists a system's object types: those that its kind knows, or the keys of a setting `objects`.
func (l *loader) objects(s *System) (names []string, listed bool) {
	if s == nil {
		return nil, false
	}
	k, known := l.o.Kinds[s.Kind]
	if !known {
		return nil, false
	}
	if lister, ok := k.(objectLister); ok {
		names = lister.Objects(s.Settings)
		return names, names != nil
	}
	objects := s.Settings.Node.Get("objects")
	for _, f := range k.Spec().Fields {
		if f.Name == "objects" && f.Type == "map" && objects.Kind() == strictyaml.Map {
			for _, o := range objects.Fields() {
				names = append(names, o.Key)
			}
			return names, true
		}
	}
	return nil, false
}

func (l *loader) to(d *flowDocument, raw toFile, n strictyaml.Node) {
	if n.Kind() != strictyaml.Map || !l.only(n, "to", "topic", "system") {
		return
	}
	f := d.flow
	f.To = To{Topic: raw.Topic, System: raw.System}
	if n.Has("topic") {
		l.checkTopic(n.Get("topic"))
		for _, field := range n.Fields() {
			if field.Key != "topic" {
				l.p.AddHint(field.KeyPos, "remove it, or name a system in place of the topic", "%s means nothing for a topic", field.Key)
			}
		}
		return
	}
	s := l.system(n.Get("system"))
	l.able(s, n, "cannot be written to", func(a abilities) bool { return a.Write })
	if s != nil {
		if k, is := l.o.Kinds[s.Kind].(connector.ReadOnlyKind); is && k.ReadOnly(s.Settings) {
			l.p.AddHint(n.Pos(), "take read-only out of its settings, or write to another system", "the system %q is only read: its settings say read-only", s.Name)
		}
	}
	f.To.Object = l.object(s, n, raw.Object, f.Entity)
	f.To.Operation, f.To.OnDelete = raw.Operation, OnDelete(raw.OnDelete)
	f.To.Owns, f.To.AfterConflict = raw.Owns, raw.Find == "after-conflict"
	for _, by := range raw.FindBy {
		f.To.FindBy = append(f.To.FindBy, FindBy{by.Field, connector.Compare(by.Compare)})
	}
	l.deactivated(f, raw, n)
	l.targetFields(f, n, "find-by")
	l.targetFields(f, n, "owns")
	if n.Has("find-by") {
		l.able(s, n.Get("find-by"), "cannot look objects up", func(a abilities) bool { return a.Find })
	}
	if raw.Find == "before-create" && n.Has("find") {
		l.able(s, n.Get("find"), "cannot look objects up", func(a abilities) bool { return a.Find })
	}
	f.To.External = l.describe(s, f.To.Object).External
	l.externalFits(f, s, f.To.Object, f.output(), n)
}

// describe tells of a system's object type what its settings say.
func (l *loader) describe(s *System, object string) connector.ObjectType {
	if s == nil {
		return connector.ObjectType{}
	}
	if k, ok := l.o.Kinds[s.Kind].(connector.Describer); ok {
		return k.Describe(s.Settings, object)
	}
	return connector.ObjectType{}
}

// externalFits complains of an external id that is longer than a schema says its field may be.
func (l *loader) externalFits(f *Flow, s *System, object string, in *schema.Schema, n strictyaml.Node) {
	t := l.describe(s, object)
	if t.External == "" || in == nil {
		return
	}
	shape, state := in.Shape(), schema.Declared
	for _, name := range strings.Split(t.External, ".") {
		if shape, state = shape.Field(name); state != schema.Declared {
			return
		}
	}
	most, bounded := shape.MaxLength()
	if !bounded || t.Form.Length() <= most {
		return
	}
	hint := "no form of the external id is that short: use another field"
	for _, form := range []connector.ExternalForm{connector.FormCompact, connector.FormBase32} {
		if form.Length() <= most {
			hint = "set external-form: " + string(form) + " for the object " + object + " of the system " + s.Name
			break
		}
	}
	l.p.AddHint(n.Pos(), hint, "the external id has %d characters, and %s of %s takes %d", t.Form.Length(), t.External, in.Name(), most)
}

// output is the schema of the target document; nil: unknown.
func (f *Flow) output() *schema.Schema {
	if f.Map == nil {
		return f.Accept
	}
	return f.Map.To()
}

func (l *loader) deactivated(f *Flow, raw toFile, n strictyaml.Node) {
	at := n.Get("deactivated")
	wanted := raw.OnDelete == string(Deactivate)
	switch {
	case wanted && at.Kind() != strictyaml.Map:
		l.p.AddHint(n.Get("on-delete").Pos(), "add for example deactivated: {active: false}", "deactivated is missing: it says what a delete writes")
		return
	case !wanted && at.Kind() != strictyaml.Missing:
		l.p.AddHint(n.KeyPos("deactivated"), "remove it, or write on-delete: deactivate", "deactivated means nothing under on-delete: %s", raw.OnDelete)
		return
	case !wanted:
		return
	}
	for _, field := range at.Fields() {
		l.declared(f, field.KeyPos, field.Key)
	}
	f.To.Deactivated, _ = at.AppendJSON(nil, l.p)
}

// targetFields checks a list of names of top-level fields of the target document.
func (l *loader) targetFields(f *Flow, n strictyaml.Node, key string) {
	list := n.Get(key)
	if list.Kind() == strictyaml.List && len(list.Items()) == 0 {
		l.p.AddHint(list.Pos(), "name a field, or remove the key", "%s: the list is empty", key)
	}
	seen := map[string]bool{}
	for _, item := range list.Items() {
		if item.Kind() == strictyaml.Map {
			item = item.Get("field")
		}
		name := item.Text()
		if name == "" {
			continue
		}
		if seen[name] {
			l.p.AddHint(item.Pos(), "remove one of them", "%s: %q stands there twice", key, name)
		}
		seen[name] = true
		l.declared(f, item.Pos(), name)
	}
}

// declared complains of a field, perhaps a dotted path, that the target document does not have.
func (l *loader) declared(f *Flow, at strictyaml.Pos, path string) {
	s := f.output()
	if s == nil {
		return
	}
	shape := s.Shape()
	for _, name := range strings.Split(path, ".") {
		next, state := shape.Field(name)
		if state != schema.Declared {
			l.p.AddHint(at, strictyaml.DidYouMean(name, shape.Fields()), "%s does not declare the field %q", s.Name(), name)
			return
		}
		shape = next
	}
}
