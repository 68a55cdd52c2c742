package edi

import (
	"maps"
	"slices"
)

type object = map[string]any

// Schema is the JSON Schema (draft-07) of the table's documents, for checks of mappings and for editors.
func (t *Table) Schema() map[string]any {
	text := object{"type": "string"}
	w := schemaWriter{inside: map[*level]bool{}, names: map[*level]string{}, definitions: object{}}
	w.recursive(&t.root)
	root := w.level(&t.root)
	if len(w.definitions) > 0 {
		root["definitions"] = w.definitions
	}
	props := root["properties"].(object)
	props["edi"] = object{
		"description": "Where the message came from; partner: who it is for", "type": "object", "additionalProperties": false,
		"properties": object{"standard": text, "type": text, "version": text, "partner": text, "sender": text, "receiver": text, "interchange": text, "group": text, "message": text,
			"test": object{"type": "boolean"}},
	}
	root["$schema"], root["title"] = "http://json-schema.org/draft-07/schema#", "Message "+t.Message+" of table "+t.Name
	return root
}

// Lists are the names of the lists that a document of the table has at its top, sorted.
func (t *Table) Lists() []string {
	var names []string
	for name, one := range t.Schema()["properties"].(object) {
		if one, ok := one.(object); ok && one["type"] == "array" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// schemaWriter makes definitions of levels that hold themselves.
type schemaWriter struct {
	inside      map[*level]bool
	names       map[*level]string // of those
	definitions object
}

// recursive finds the levels that hold themselves.
func (w *schemaWriter) recursive(l *level) {
	w.inside[l] = true
	for i := range l.items {
		switch in := l.items[i].loop; {
		case in == nil:
		case !w.inside[in]:
			w.recursive(in)
		case w.names[in] == "":
			w.names[in] = l.items[i].list
		}
	}
	delete(w.inside, l)
}

// loop is the schema of a loop's document.
func (w *schemaWriter) loop(l *level) object {
	name := w.names[l]
	if name == "" {
		return w.level(l)
	}
	if w.definitions[name] == nil {
		w.definitions[name] = true // it is on its way
		w.definitions[name] = w.level(l)
	}
	return object{"$ref": "#/definitions/" + name}
}

func (w *schemaWriter) level(l *level) object {
	props, required := object{}, []string{}
	w.add(l, props, &required)
	props["other"] = object{"description": "Segments that the table does not name", "type": "array", "items": object{"type": "object"}}
	return closed(props, required)
}

func closed(props object, required []string) object {
	props["more"] = object{"description": "Data elements that the table does not name", "type": "object"}
	out := object{"type": "object", "additionalProperties": false, "properties": props}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func (w *schemaWriter) add(l *level, props object, required *[]string) {
	for i := range l.items {
		it := &l.items[i]
		name, inner := it.list+it.object, object(nil)
		switch {
		case name == "" && it.loop != nil:
			optional := []string{}
			w.add(it.loop, props, &optional)
			continue
		case name == "":
			must := []string{}
			addValues(it, props, &must)
			if (it.required || i == 0 && len(l.items) > 1) && it.window == (window{}) {
				*required = append(*required, must...)
			}
			continue
		case it.loop != nil:
			inner = w.loop(it.loop)
		default:
			own, must := object{}, []string{}
			addValues(it, own, &must)
			inner = closed(own, must)
		}
		if it.list != "" {
			inner = object{"type": "array", "items": inner}
		}
		if before, twice := props[name].(object); twice { // one release has it here, another there
			inner = merged(before, inner)
		}
		props[name] = inner
		if it.required && it.window == (window{}) {
			*required = append(*required, name)
		}
	}
}

// merged is what one of two says, or the other; what must be there must in both.
func merged(a, b object) object {
	out := maps.Clone(a)
	for key, v := range b {
		was, twice := out[key]
		in, ok := was.(object)
		switch {
		case !twice:
			out[key] = v
		case ok:
			out[key] = merged(in, v.(object))
		}
	}
	must, _ := a["required"].([]string)
	also, _ := b["required"].([]string)
	if must = slices.DeleteFunc(slices.Clone(must), func(name string) bool { return !slices.Contains(also, name) }); len(must) > 0 {
		out["required"] = must
	} else {
		delete(out, "required")
	}
	return out
}

func addValues(it *item, props object, required *[]string) {
	add := func(v *value) {
		if v == nil || v.name == "" {
			return
		}
		one := object{"type": "string"}
		switch {
		case v.count != "":
			one = object{"description": "How many segments " + v.count + " there are; the text count is counted when it is written", "type": []string{"number", "string"}}
		case v.kind == asDecimal || v.kind == asImplied:
			one = object{"type": "number"}
		case v.kind == asInteger:
			one = object{"type": "integer"}
		}
		if v.required && v.count == "" {
			*required = append(*required, v.name)
		}
		props[v.name] = one
	}
	for _, at := range it.order {
		e := it.elements[at]
		switch {
		case e.pairs != "":
			usual := object{}
			for _, q := range []string{"BO", "BP", "CB", "EN", "IN", "IZ", "LT", "MG", "MN", "PI", "PN", "PO", "SK", "SN", "UA", "UI", "UK", "UP", "VA", "VC", "VN", "VP", "EM", "FX", "TE"} {
				usual[q] = object{"type": "string"}
			}
			props[e.pairs] = object{"description": "Values by their qualifiers, of which these are usual", "type": "object", "properties": usual, "additionalProperties": object{"type": "string"}}
		case e.repeat:
			props[e.simple.name] = object{"type": "array", "items": object{"type": "string"}}
		case e.simple != nil:
			add(e.simple)
		default:
			for c := 1; c <= e.last; c++ {
				add(e.parts[c])
			}
		}
	}
}
