package config

import (
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// advise notes what works and will not be meant.
func (l *loader) advise() {
	l.adviseTopics()
	l.adviseLoops()
	l.adviseWriters()
	l.adviseKeys()
}

// adviseTopics notes topics that no flow writes, or that no flow reads.
func (l *loader) adviseTopics() {
	var written, read []string
	for _, d := range l.flows {
		written = append(written, d.flow.To.Topic)
		read = append(read, d.flow.From.Topic)
	}
	const foreign = "add it to broker.foreign-topics in the configuration"
	hint := func(topic string, others, besides []string, what string) string {
		open := slices.DeleteFunc(slices.Clone(others), func(t string) bool { return t == "" || slices.Contains(besides, t) })
		if s := strictyaml.Suggest(topic, open); s != "" {
			return "did you mean " + s + "? If a program outside the hub " + what + " it, " + foreign
		}
		return "if a program outside the hub " + what + " it, " + foreign
	}
	for _, d := range l.flows {
		if t := d.flow.From.Topic; t != "" && !slices.Contains(written, t) && !slices.Contains(l.foreign, t) {
			l.p.Note(d.node.Get("from").Get("topic").Pos(), hint(t, written, read, "writes"), "no flow writes the topic %s: nothing will come", t)
		}
		if t := d.flow.To.Topic; t != "" && !slices.Contains(read, t) && !slices.Contains(l.foreign, t) {
			l.p.Note(d.node.Get("to").Get("topic").Pos(), hint(t, read, written, "reads"), "no flow reads the topic %s: what is written there goes nowhere", t)
		}
	}
	for _, t := range l.foreign {
		if !slices.Contains(written, t) && !slices.Contains(read, t) {
			l.p.Note(l.plan.Place("broker", "foreign-topics"), strictyaml.DidYouMean(t, slices.Concat(written, read)), "foreign-topics: no flow writes or reads the topic %s", t)
		}
	}
}

// adviseLoops notes flows that write to the system that they read: the echo guard keeps from a system what came from there, so that none of it is delivered.
func (l *loader) adviseLoops() {
	for _, d := range l.flows {
		if s := d.flow.From.System; s != "" && s == d.flow.To.System {
			l.p.Note(d.node.Get("to").Pos(), "give one of the two places a system of its own in the configuration, at the same address",
				"the flow reads %s and writes to %s: what comes from a system is never written there, so that everything is skipped as an echo", s, s)
		}
	}
}

// adviseWriters notes two flows that write the same fields of one object type of one system, and two that write one object as two of them.
func (l *loader) adviseWriters() {
	for i, d := range l.flows {
		for _, other := range l.flows[:i] {
			a, b := d.flow, other.flow
			if a.To.System == "" || a.To.System != b.To.System || a.To.Object == "" || b.To.Object == "" {
				continue
			}
			if a.To.Object != b.To.Object {
				if twoForOne(a, b) {
					l.p.Note(d.node.Get("to").Pos(), "name another entity for one of them, let one only update (operation: update), or choose with when which documents each one takes",
						"the flow %q writes the entity %s of %s too, as %s: the hub keeps one id of an object in a system, so that what goes to both is written to one of them, or under the other's id",
						b.Name, a.Entity, a.To.System, b.To.Object)
				}
				continue
			}
			if fields, all := overlap(a, b); all || len(fields) > 0 {
				what := "the same fields"
				if !all {
					what = strings.Join(fields, ", ")
				}
				l.p.Note(d.node.Get("to").Pos(), "name the fields of each flow with to.owns, or let both go by way of one topic: the last one wins, and the order of two flows is nobody's",
					"the flow %q writes %s of the object %s of %s too", b.Name, what, a.To.Object, a.To.System)
			}
		}
	}
}

// twoForOne reports whether two flows may create one object twice, as two object types of a system, for all that can be told.
func twoForOne(a, b *Flow) bool {
	return a.Entity == b.Entity && a.To.Operation != "update" && b.To.Operation != "update" && (a.When == nil || b.When == nil)
}

// overlap gives the fields that updates of both flows write; all: it is not known which they are.
func overlap(a, b *Flow) (fields []string, all bool) {
	of := func(f *Flow) []string {
		switch {
		case len(f.To.Owns) > 0:
			return f.To.Owns
		case f.Map != nil:
			return f.Map.TargetFields()
		}
		return f.output().Shape().Fields()
	}
	one, two := of(a), of(b)
	if len(one) == 0 || len(two) == 0 {
		return nil, true
	}
	for _, name := range one {
		if slices.Contains(two, name) {
			fields = append(fields, name)
		}
	}
	return fields, false
}

// adviseKeys notes keys, ids and versions that are one text for every document.
func (l *loader) adviseKeys() {
	for _, d := range l.flows {
		in := d.flow.input()
		if in == nil {
			continue
		}
		for _, key := range []string{"key", "id", "external-id", "version"} {
			n := d.node.Get(key)
			if n.Quoted() && slices.Contains(in.Shape().Fields(), n.Text()) {
				l.p.Note(n.Pos(), "write "+key+": source."+n.Text(), "%s is the text %q for every document: it is quoted, and it is the name of a field", key, n.Text())
			}
		}
	}
}
