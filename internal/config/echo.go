package config

import (
	"slices"
	"strings"
)

// checkEchoes notes pairs of flows that carry one entity to and fro between two systems without a schema between them: what the hub has
// written there is then told from what others have by the documents alone.
func (l *loader) checkEchoes() {
	for _, d := range l.flows {
		f := d.flow
		if f.To.System == "" {
			continue
		}
		from := l.sources(f, nil)
		for _, back := range l.plan.Inbound(f.To.System, f.Entity) {
			if back.From.Poll == nil || shares(f, back) {
				continue
			}
			for _, system := range l.targets(back, nil) {
				if system == f.To.System || !slices.Contains(from, system) {
					continue
				}
				l.p.Note(d.node.Get("to").Pos(), "map to a schema of the hub's own in the flows that read, and from it in the flows that write",
					"this flow writes what %s gives to %s, and the flow %q brings it back to %s: their mappings share no schema, so that an own write is known again only where the systems give it back as it was written",
					system, f.To.System, back.Name, system)
			}
		}
	}
}

// shares reports whether an outbound flow reads the schema that an inbound one writes.
func shares(f, back *Flow) bool {
	return f.Map != nil && f.Map.From() != nil && back.Map != nil && back.Map.To() != nil && f.Map.From().Name() == back.Map.To().Name()
}

// sources are the systems whose events of the flow's entity reach it, by way of topics too.
func (l *loader) sources(f *Flow, seen []*Flow) []string {
	if f.From.System != "" {
		return []string{f.From.System}
	}
	var out []string
	for _, before := range l.plan.Flows {
		if before.To.Topic == f.From.Topic && before.To.Topic != "" && before.Entity == f.Entity && !slices.Contains(seen, before) {
			out = append(out, l.sources(before, append(seen, f))...)
		}
	}
	slices.SortFunc(out, strings.Compare)
	return slices.Compact(out)
}

// targets are the systems that the flow's events reach, by way of topics too.
func (l *loader) targets(f *Flow, seen []*Flow) []string {
	if f.To.System != "" {
		return []string{f.To.System}
	}
	var out []string
	for _, next := range l.plan.Flows {
		if next.From.Topic == f.To.Topic && f.To.Topic != "" && next.Entity == f.Entity && !slices.Contains(seen, next) {
			out = append(out, l.targets(next, append(seen, f))...)
		}
	}
	slices.SortFunc(out, strings.Compare)
	return slices.Compact(out)
}
