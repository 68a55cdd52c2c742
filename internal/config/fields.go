package config

import (
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// checkFields compares what the settings say of systems' objects with the schemas and mappings of the flows that read and write them: what can
// fit no document is a problem, what will not fit some is a note.
func (l *loader) checkFields() {
	l.passOn()
	for _, d := range l.flows {
		if d.flow.To.System != "" {
			l.checkWritten(d)
		}
		if d.flow.From.System != "" && d.flow.From.Webhook == nil {
			l.checkRead(d)
		}
	}
}

// passOn tells flows that neither accept nor map anything what they carry: what all writers of their topic write.
func (l *loader) passOn() {
	for range l.flows {
		changed := false
		for _, d := range l.flows {
			if d.flow.From.Topic == "" || d.out != "" || d.node.Has("map") || d.node.Has("accept") {
				continue
			}
			name, agreed := "", true
			for _, w := range l.flows {
				if w.flow.To.Topic == d.flow.From.Topic {
					agreed = agreed && w.out != "" && (name == "" || name == w.out)
					name = w.out
				}
			}
			if agreed && name != "" {
				d.in, d.out, changed = name, name, true
			}
		}
		if !changed {
			return
		}
	}
}

// tell adds a problem where it is certain, else a note.
func (l *loader) tell(certain bool, at strictyaml.Pos, hint, format string, args ...any) {
	if certain {
		l.p.AddHint(at, hint, format, args...)
	} else {
		l.p.Note(at, hint, format, args...)
	}
}

func fieldNames(fields []connector.ObjectField) []string {
	var out []string
	for _, f := range fields {
		out = append(out, f.Name)
	}
	return out
}

func fieldOf(fields []connector.ObjectField, name string) *connector.ObjectField {
	for i := range fields {
		if fields[i].Name == name {
			return &fields[i]
		}
	}
	return nil
}

// checkWritten looks whether the object that a flow writes has a field for everything that it is given.
func (l *loader) checkWritten(d *flowDocument) {
	f := d.flow
	t := l.describe(l.plan.Systems[f.To.System], f.To.Object)
	s := l.plan.Schemas.Get(d.out)
	if t.Fields == nil || s == nil {
		return
	}
	shape := s.Shape()
	names, always := shape.Fields(), shape.Required()
	at, missing := d.node.Get("to").Pos(), " (there is no map)"
	if f.Map != nil {
		names, always = f.Map.TargetFields(), f.Map.Always()
		at, missing = d.node.Get("map").Pos(), ""
	}
	if f.To.Operation == "update" && len(f.To.Owns) > 0 {
		names = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(f.To.Owns, name) })
	}
	w := written{l: l, at: at, object: f.To.Object + " of " + f.To.System, schema: s.Name(), missing: missing}
	for _, name := range names {
		sub, _ := shape.Field(name)
		w.field(t.Fields, name, name, sub, slices.Contains(always, name), f.Map == nil)
	}
}

// written is the comparison of what one flow writes.
type written struct {
	l                       *loader
	at                      strictyaml.Pos
	object, schema, missing string
}

// field compares one field. Inside of lists the mapping may set less than the schema has, which is only known where there is none.
func (w *written) field(fields []connector.ObjectField, name, path string, shape schema.Shape, always, whole bool) {
	column := fieldOf(fields, name)
	if column == nil {
		w.l.tell(always, w.at, near(name, fieldNames(fields), "name it in the system's settings, with its type, or leave it out in the mapping"),
			"the object %s has no field %q, which %s%s has: such a document is refused", w.object, path, w.schema, w.missing)
		return
	}
	if types := misfit(shape.Types(), column.Takes); types != "" {
		hint := "convert it in the mapping"
		if slices.Contains([]string{"object", "array"}, types) {
			hint = "take its fields one by one in the mapping, or make it text; a database's table takes lists as children"
		}
		w.l.tell(always, w.at, hint, "%s is %s in %s%s, and the object %s takes %s there", path, a(types), w.schema, w.missing, w.object, oneOf(column.Takes))
		return
	}
	if column.Fields == nil {
		return
	}
	item := shape.Item()
	required := item.Required()
	names := required
	if whole {
		names = item.Fields()
	}
	for _, sub := range names {
		next, _ := item.Field(sub)
		w.field(column.Fields, sub, path+"."+sub, next, always && slices.Contains(required, sub), whole)
	}
}

// checkRead looks whether the documents that an object gives can be what the flow accepts, or what is read behind it.
func (l *loader) checkRead(d *flowDocument) {
	f := d.flow
	object := ""
	switch {
	case f.From.Poll != nil:
		object = f.From.Poll.Object
	case f.From.Files != nil:
		object = f.From.Files.Object
	}
	t := l.describe(l.plan.Systems[f.From.System], object)
	if t.Fields == nil {
		return
	}
	of := object + " of " + f.From.System
	switch {
	case f.Accept != nil:
		l.compareRead(d.node.Get("accept").Pos(), f.Accept, t, of, true, "set accept to a schema of the object")
	case f.Map != nil && f.Map.From() != nil:
		l.compareRead(d.node.Get("map").Pos(), f.Map.From(), t, of, false, "use a mapping from a schema of the object")
	case f.Map == nil && f.To.Topic != "":
		for _, r := range l.flows {
			if r.flow.From.Topic == f.To.Topic && r.flow.Accept != nil {
				l.compareRead(d.node.Get("to").Pos(), r.flow.Accept, t, of, true, "add map: a mapping to "+r.flow.Accept.Name()+", which the flow "+r.flow.Name+" accepts")
			}
		}
	}
	if f.Map != nil && !t.More {
		for _, name := range f.Map.SourceFields() {
			if fieldOf(t.Fields, name) == nil {
				l.p.Note(d.node.Get("map").Pos(), near(name, fieldNames(t.Fields), "name it in the system's settings"),
					"the mapping %q reads %q, which the object %s does not have: it is always absent", f.Map.Name(), name, of)
			}
		}
	}
}

// compareRead compares the fields of an object with a schema; certain: documents that do not satisfy it are refused.
func (l *loader) compareRead(at strictyaml.Pos, s *schema.Schema, t connector.ObjectType, of string, certain bool, hint string) {
	shape := s.Shape()
	required := shape.Required()
	for _, name := range required {
		if fieldOf(t.Fields, name) == nil && !t.More {
			l.tell(certain, at, near(name, fieldNames(t.Fields), hint), "%s requires %q, and the object %s has no such field", s.Name(), name, of)
		}
	}
	for _, field := range t.Fields {
		sub, state := shape.Field(field.Name)
		if state == schema.Never {
			l.tell(certain, at, hint, "the object %s has the field %q, and %s does not allow it", of, field.Name, s.Name())
			continue
		}
		if state == schema.Declared && misfit(sub.Types(), field.Gives) != "" {
			// A null would fit, and may be all that is there.
			l.tell(certain && slices.Contains(required, field.Name) && !slices.Contains(sub.Types(), "null"), at, hint,
				"the field %q of the object %s is %s, and %s wants %s", field.Name, of, oneOf(field.Gives), s.Name(), oneOf(sub.Types()))
		}
	}
}

// misfit gives the first of the types, where none of them is one of those that are possible; empty: one fits.
func misfit(types, possible []string) string {
	first := ""
	for _, t := range types {
		switch {
		case t == "null":
			continue
		case possible == nil, slices.Contains(possible, t), t == "integer" && slices.Contains(possible, "number"), t == "number" && slices.Contains(possible, "integer"):
			return ""
		case first == "":
			first = t
		}
	}
	return first
}

func a(typ string) string {
	return map[string]string{"object": "an object", "array": "a list", "string": "a text", "number": "a number", "integer": "a whole number", "boolean": "true or false"}[typ]
}

func oneOf(types []string) string {
	var out []string
	for _, t := range types {
		if t != "null" {
			out = append(out, a(t))
		}
	}
	return strings.Join(out, " or ")
}

// near hints at the name that was probably meant, else at what else to do.
func near(name string, among []string, other string) string {
	if s := strictyaml.Suggest(name, among); s != "" {
		return "did you mean " + s + "? Else " + other
	}
	return other
}
