package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/reconcile/plain"
)

// How a reconciliation compares.
const (
	// Streamed: both sides are read whole.
	Streamed = "streamed"
	// Indexed: what a system holds is kept from run to run, and what has changed is read.
	Indexed = "indexed"
	// Pushed: databases work out digests, and only ranges that differ travel.
	Pushed = "pushed"
)

// Kinds gives the kind of a system; nil where it is not known.
type Kinds func(kind string) connector.Kind

// Path says from the files alone how a reconciliation compares, and why. Whether a database has the index that the pushed path needs, only a run knows.
func Path(rec *config.Reconciliation, plan *config.Plan, kinds Kinds) (path, why string) {
	if _, why := columns(rec, plan, kinds); why != "" {
		var how []string
		for i, s := range []*config.Side{&rec.Left, &rec.Right} {
			if s.Index != nil {
				how = append(how, wholeText([...]string{"left", "right"}[i], s.Index.Whole))
			}
		}
		if len(how) > 0 {
			return Indexed, strings.Join(how, "; ")
		}
		return Streamed, "as documents: " + why
	}
	return Pushed, "as columns, in the databases, where both have a unique index on the key; as columns read whole otherwise"
}

// columns says what two tables are compared by, where a reconciliation is one of columns alone; else why it is not.
func columns(rec *config.Reconciliation, plan *config.Plan, kinds Kinds) (spec plain.Spec, why string) {
	switch {
	case rec.Compare == nil:
		return spec, "only totals are compared"
	case len(rec.Totals) > 0:
		return spec, "totals are added up"
	case rec.Match.Xref:
		return spec, "objects are paired by the cross-reference"
	}
	fields, ok := rec.Compare.Plain()
	if !ok {
		return spec, "a field has a rule that a database does not know"
	}
	var tables [2]connector.PlainSettings
	for i, s := range []*config.Side{&rec.Left, &rec.Right} {
		t, why := table(rec, s, plan, kinds)
		if why != "" {
			return spec, fmt.Sprintf("the %s side %s", [...]string{"left", "right"}[i], why)
		}
		tables[i] = t
	}
	if tables[0].Group != tables[1].Group {
		return spec, fmt.Sprintf("one side is %s, the other %s", tables[0].Group, tables[1].Group)
	}
	for _, f := range rec.Match.Fields {
		if strings.Contains(f, ".") {
			return spec, fmt.Sprintf("%s is no column", f)
		}
		spec.Key = append(spec.Key, plain.Column{Left: f, Right: f})
	}
	spec.Columns = compared(fields, rec.Match.Fields, &tables)
	return spec, unlisted(&spec, &tables)
}

// table says what is known of a side's table; else why the side is none.
func table(rec *config.Reconciliation, s *config.Side, plan *config.Plan, kinds Kinds) (t connector.PlainSettings, why string) {
	system := plan.Systems[s.System]
	switch {
	case system == nil:
		return t, "is a system that the files do not name"
	case s.Map != nil || s.Then != nil:
		return t, "is mapped"
	case s.Where != nil:
		return t, "leaves objects out (where)"
	case s.Files:
		return t, "is a file"
	case s.Index != nil:
		return t, "is kept from run to run (index)"
	}
	if f := plan.Flow(s.Flow); f != nil && !s.Own && (f.When != nil || f.Operation != nil) {
		return t, "is read by a flow that leaves objects out"
	}
	kind, ok := kinds(system.Kind).(connector.PlainKind)
	if !ok {
		return t, fmt.Sprintf("is of the kind %s, and no table", system.Kind)
	}
	object := s.Object
	if object == "" {
		object = rec.Entity
	}
	t = kind.Plain(system.Settings, object)
	if t.Group == "" {
		return t, "is no plain table: " + t.Why
	}
	return t, ""
}

// compared gives the columns that the rules name; those of all other fields are the ones that either side lists.
func compared(fields []compare.PlainField, key []string, tables *[2]connector.PlainSettings) (out []plain.Column) {
	done := map[string]bool{}
	for _, k := range key {
		done[k] = true
	}
	add := func(name string, within *compare.Bound) {
		if !done[name] {
			done[name] = true
			out = append(out, plain.Column{Left: name, Right: name, Within: within})
		}
	}
	var others *compare.PlainField
	for i := range fields {
		switch f := &fields[i]; {
		case f.Path == compare.Others:
			others = f
		case f.Ignore:
			done[f.Path] = true
		default:
			add(f.Path, f.Within)
		}
	}
	if others == nil || others.Ignore {
		return out
	}
	rest := map[string]bool{}
	for _, t := range tables {
		for _, c := range t.Columns {
			rest[c] = true
		}
		for c := range t.Others {
			rest[c] = true
		}
	}
	for _, c := range slices.Sorted(maps.Keys(rest)) {
		add(c, others.Within)
	}
	return out
}

// unlisted says which column is not plain on a side; empty: all are.
func unlisted(spec *plain.Spec, tables *[2]connector.PlainSettings) string {
	for _, c := range slices.Concat(spec.Key, spec.Columns) {
		for i, t := range tables {
			if !slices.Contains(t.Columns, c.Left) {
				why := t.Others[c.Left]
				if why == "" {
					why = "is not listed in the settings"
				}
				return fmt.Sprintf("on the %s side, %s %s", [...]string{"left", "right"}[i], c.Left, why)
			}
		}
	}
	return ""
}
