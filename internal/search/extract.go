package search

import (
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/fold"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
)

// Plan is what the files say of the search.
type Plan struct {
	// Flows are the flows by name; Entities are the kinds of objects that fields may be named after.
	Flows    map[string]Flow
	Entities map[string]bool
	// Settings changes with everything that the index depends on: with other settings it is made anew.
	Settings string
}

// Flow says what its objects are found by.
type Flow struct {
	// Fields are dotted paths of the document that the flow has on a topic, through lists as well.
	Fields []string
	// Mapped: that is the document after the mapping, which the flow puts there.
	Mapped bool
}

const (
	// mostValues is how many values of one field an object is found by: of a list of lines the first.
	mostValues = 20
	// mostReferences is how many other objects one document may name.
	mostReferences = 200
)

// indexed is what the index is told of a fate.
func indexed(p *Plan, j *state.Journal) state.Indexed {
	x := state.Indexed{Fate: j.ID, Time: j.Time, Entity: j.Entity, Hub: j.Hub, Key: j.Key, Flow: j.Flow, Event: j.EventID, System: j.System, Outcome: j.Outcome}
	x.Terms = terms(nil, "key", j.Key)
	f, known := p.Flows[j.Flow]
	if j.Documents == nil || !known {
		return x
	}
	doc := j.Documents.Source
	if f.Mapped {
		doc = j.Documents.Mapped
	}
	if len(doc) == 0 {
		return x
	}
	d := jsondoc.Get()
	defer jsondoc.Put(d)
	if d.Reset(doc, jsondoc.Limits{Bytes: len(doc) + 1}) != nil { // a refusal may hold anything
		return x
	}
	for _, field := range f.Fields {
		n := 0
		valuesAt(d.Root(), field, func(text string) bool {
			x.Terms = terms(x.Terms, field, text)
			n++
			return n < mostValues
		})
	}
	for _, t := range j.Documents.Hidden {
		if slices.Contains(f.Fields, t.Field) {
			x.Terms = append(x.Terms, t)
		}
	}
	r := references{plan: p}
	r.walk(d.Root(), "")
	x.References = r.grouped()
	return x
}

// terms adds what a value is found by. What is masked is nobody's to find.
func terms(out []state.Term, field, value string) []state.Term {
	if value == privacy.Masked {
		return out
	}
	for _, start := range fold.Starts(value) {
		out = append(out, state.Term{Field: field, Text: start})
	}
	return out
}

// valuesAt visits the texts and numbers at a dotted path, in all elements of the lists on the way, until visit says no.
func valuesAt(v jsondoc.Value, path string, visit func(string) bool) bool {
	switch v.Kind() {
	case jsondoc.Array:
		for e := range v.Elements() {
			if !valuesAt(e, path, visit) {
				return false
			}
		}
	case jsondoc.Object:
		if path == "" {
			return true
		}
		name, rest, _ := strings.Cut(path, ".")
		return valuesAt(v.Get(name), rest, visit)
	case jsondoc.String:
		return path != "" || visit(v.Str())
	case jsondoc.Number:
		return path != "" || visit(string(v.Raw()))
	}
	return true
}

// references collects which other objects a document names.
type references struct {
	plan *Plan
	list []state.Reference
}

// walk goes through a document. An object is named by a field that is called like a kind of objects and holds an id or a number (customer: {id, number},
// order_number: "SO-1"), or by a hub id, whatever its field is called.
func (r *references) walk(v jsondoc.Value, at string) {
	switch v.Kind() {
	case jsondoc.Array:
		for e := range v.Elements() {
			r.walk(e, at)
		}
	case jsondoc.String:
		if text := v.Str(); at != "" && fold.IsUUID(text) {
			r.add(state.Reference{Field: at, ID: text})
		}
	case jsondoc.Object:
		for name, m := range v.Members() {
			here := strings.TrimPrefix(at+"."+name, ".")
			if !r.named(name, m, here) {
				r.walk(m, here)
			}
		}
	}
}

// named adds what a field names that is called like a kind of objects; false: it is none.
func (r *references) named(name string, v jsondoc.Value, at string) bool {
	if entity, ok := strings.CutSuffix(name, "_id"); ok && r.plan.Entities[entity] && v.Kind() == jsondoc.String {
		return r.add(state.Reference{Field: at, Entity: entity, ID: v.Str()})
	}
	if entity, ok := strings.CutSuffix(name, "_number"); ok && r.plan.Entities[entity] && v.Kind() == jsondoc.String {
		return r.add(state.Reference{Field: at, Entity: entity, Number: v.Str()})
	}
	if !r.plan.Entities[name] {
		return false
	}
	switch v.Kind() {
	case jsondoc.String:
		return r.add(state.Reference{Field: at, Entity: name, ID: v.Str(), Number: v.Str()})
	case jsondoc.Object:
		for member, m := range v.Members() { // what else it holds may name others
			if member != "id" && member != "number" {
				r.walk(m, at+"."+member)
			}
		}
		return r.add(state.Reference{Field: at, Entity: name, ID: text(v.Get("id")), Number: text(v.Get("number"))})
	}
	return false
}

func text(v jsondoc.Value) string {
	if v.Kind() == jsondoc.String {
		return v.Str()
	}
	return ""
}

func (r *references) add(ref state.Reference) bool {
	for _, s := range []*string{&ref.ID, &ref.Number} {
		if *s == privacy.Masked {
			*s = ""
		}
	}
	if (ref.ID != "" || ref.Number != "") && len(r.list) < mostReferences && !slices.Contains(r.list, ref) {
		r.list = append(r.list, ref)
	}
	return true
}

// grouped are the references field by field.
func (r *references) grouped() []state.Reference {
	slices.SortStableFunc(r.list, func(a, b state.Reference) int { return strings.Compare(a.Field, b.Field) })
	return r.list
}
