package mapping

import (
	"maps"
	"slices"
	"strings"
)

// Copy says of what the value of a field of the target may be made.
type Copy struct {
	// Target is the way to the field, name by name, with AnyElement for a list's elements.
	Target []string
	// Sources are the ways to the places of the source that its rule reads; an empty one stands for the whole document. What a condition reads is
	// not among them: it decides whether there is a value, and is no part of it.
	Sources [][]string
}

// AnyElement is the step from a list to its elements.
const AnyElement = "[]"

// Copies are the fields of the target that a rule gives a value to, in the order of the rules.
func (m *Mapping) Copies() []Copy { return m.copies }

// wholeSource is where all of the source stands.
const wholeSource = "$"

// between stands between the steps of a way; no name holds it.
const between = "\x1f"

// copying collects, while rules are compiled, what each of them reads.
type copying struct {
	field  string // whose rule is being compiled; empty between rules and in conditions
	fields []string
	reads  map[string]map[string]bool
	lists  []string // the rules of the lists around the present one
}

// aboveMark begins what a rule reads of the target instead of the source.
const aboveMark = "\x00"

// elementsOf names the rule that says over which list a list of the target goes.
func elementsOf(path string) string { return path + " each" }

// into says which field's rule is compiled until done is called.
func (c *copying) into(field string) (done func()) {
	c.field = field
	if c.reads == nil {
		c.reads = map[string]map[string]bool{}
	}
	if c.reads[field] == nil {
		c.reads[field] = map[string]bool{}
		c.fields = append(c.fields, field)
	}
	return func() { c.field = "" }
}

// read notes a path of the source, or of an element of a list. Where nobody knows where the element comes from, it comes from what the list is made of.
func (c *copying) read(p *path) {
	if c.field == "" {
		return
	}
	at, known := strings.CutPrefix(p.t.from, wholeSource)
	switch {
	case known:
		c.reads[c.field][at] = true
	case p.scope > 0 && p.scope <= len(c.lists):
		maps.Copy(c.reads[c.field], c.reads[c.lists[p.scope-1]])
	default:
		c.reads[c.field][""] = true
	}
}

func (c *copying) readTarget(way string) {
	if c.field != "" {
		c.reads[c.field][aboveMark+way] = true
	}
}

// copied is what was collected, with what is read of the target followed to the source.
func (c *compiler) copied() []Copy {
	k := &c.copying
	for again := true; again; {
		again = false
		for _, reads := range k.reads {
			for place := range maps.Clone(reads) {
				way, above := strings.CutPrefix(place, aboveMark)
				if !above {
					continue
				}
				before := len(reads)
				for field, of := range k.reads {
					if within(field, way) && !strings.HasSuffix(field, elementsOf("")) {
						maps.Copy(reads, of)
					}
				}
				again = again || len(reads) > before
			}
		}
	}
	var out []Copy
	for _, field := range k.fields {
		if strings.HasSuffix(field, elementsOf("")) {
			continue
		}
		reads := maps.Clone(k.reads[field])
		maps.DeleteFunc(reads, func(place string, _ bool) bool { return strings.HasPrefix(place, aboveMark) })
		one := Copy{Target: strings.Split(strings.ReplaceAll(field, AnyElement, "."+AnyElement), ".")}
		for _, place := range slices.Sorted(maps.Keys(reads)) {
			var way []string
			if place != "" {
				way = strings.Split(place[len(between):], between)
			}
			one.Sources = append(one.Sources, way)
		}
		out = append(out, one)
	}
	return out
}

// within reports whether a field of the target is the one at the end of way, or below it.
func within(field, way string) bool {
	plain := strings.ReplaceAll(field, AnyElement, "")
	return way == "" || plain == way || strings.HasPrefix(plain, way+".")
}

// way is the way to a field of the target, without the steps into lists.
func (o *output) way() string {
	if o.parent == nil {
		return ""
	}
	if up := o.parent.way(); up != "" {
		return up + "." + o.name
	}
	return o.name
}
