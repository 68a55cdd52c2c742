package config

import (
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// The structs of this file are a reconciliation as it is written: each key once, with its sentence for people.

type reconciliationFile struct {
	Name     string          `yaml:"reconciliation,required" doc:"the reconciliation's name"`
	About    string          `yaml:"about" doc:"a sentence for people"`
	Entity   string          `yaml:"entity,required" doc:"the kind of business object"`
	Schedule *scheduleFile   `yaml:"schedule" doc:"when it runs; without it only when asked"`
	Left     sideFile        `yaml:"left,required" doc:"one system"`
	Right    sideFile        `yaml:"right,required" doc:"the other system"`
	Match    string          `yaml:"match" default:"xref" doc:"how objects are paired: xref (by the cross-reference), or a field of the compared document"`
	Compare  strictyaml.Node `yaml:"compare" type:"map" doc:"fields with exact, fold, uuid, number, {within: 0.01} or {fold: [case, width, space]}; default: every field, exactly"`
	Settle   time.Duration   `yaml:"settle" default:"2m" doc:"how long to wait before looking again at what differs"`
	Repair   *repairFile     `yaml:"repair" doc:"write what differs through a flow"`
}

type scheduleFile struct {
	Cron     string `yaml:"cron,required" doc:"a cron line, for example 0 2 * * *"`
	Timezone string `yaml:"timezone" doc:"its zone, for example Asia/Shanghai; default UTC"`
	CatchUp  bool   `yaml:"catch-up" doc:"run once after the hub was down at the time"`
}

type sideFile struct {
	System string `yaml:"system,required" doc:"the system"`
	Object string `yaml:"object" doc:"the object type in the system's settings; default: the entity"`
	Map    string `yaml:"map" doc:"the mapping to the compared document; without one the documents are compared as they are"`
}

type repairFile struct {
	From   string `yaml:"from,required" enum:"left,right" doc:"the side that is right"`
	By     string `yaml:"by,required" doc:"the flow that writes to the other side"`
	AtMost string `yaml:"at-most" default:"5%" doc:"more differences than that are not repaired but reported: a share or a number"`
}

type foldFile struct {
	Within strictyaml.Node `yaml:"within" type:"decimal" doc:"the largest difference of two numbers"`
	Fold   []string        `yaml:"fold" doc:"differences of text that do not count: case, width, space"`
}

func (l *loader) loadReconciliations() {
	for _, n := range l.documents["reconciliation"] {
		l.plan.Reconciliations = append(l.plan.Reconciliations, l.reconciliation(n))
	}
	slices.SortStableFunc(l.plan.Reconciliations, func(a, b *Reconciliation) int { return strings.Compare(a.Name, b.Name) })
}

func (l *loader) reconciliation(n strictyaml.Node) *Reconciliation {
	var raw reconciliationFile
	l.decode(n, &raw)
	r := &Reconciliation{Name: raw.Name, Entity: raw.Entity, Pos: n.Pos(), About: raw.About, Settle: raw.Settle, Keep: 720 * time.Hour}
	r.Match = Match{Xref: raw.Match == "xref"}
	if !r.Match.Xref {
		r.Match.Fields = []string{raw.Match}
	}
	l.known("entity", n.Get("entity"), l.entities)
	if raw.Schedule != nil {
		r.Schedule = &Schedule{Cron: raw.Schedule.Cron, Timezone: raw.Schedule.Timezone, CatchUp: raw.Schedule.CatchUp}
		at := n.Get("schedule")
		l.cron(at.Get("cron"), at.Get("timezone"))
	}
	r.Left = l.side(raw.Left, n.Get("left"), raw.Entity)
	r.Right = l.side(raw.Right, n.Get("right"), raw.Entity)
	if r.Left.System != "" && r.Left.System == r.Right.System && r.Left.Object == r.Right.Object {
		l.p.AddHint(n.Get("right").Pos(), "name another system or object", "right: it is compared with itself")
	}
	target := l.compared(r, n)
	if target != nil && !r.Match.Xref {
		if _, state := target.Shape().Field(raw.Match); state != schema.Declared {
			l.p.AddHint(n.Get("match").Pos(), strictyaml.DidYouMean(raw.Match, append(target.Shape().Fields(), "xref")),
				"match: %q is neither xref nor a field of %s", shorten(raw.Match), target.Name())
		}
	}
	l.compare(r, n.Get("compare"), target)
	if raw.Repair != nil {
		r.Repair = l.repair(r, *raw.Repair, n.Get("repair"))
	}
	return r
}

func (l *loader) side(raw sideFile, n strictyaml.Node, entity string) Side {
	s := l.system(n.Get("system"))
	l.able(s, n, "cannot list everything it holds", func(a abilities) bool { return a.List })
	return Side{System: raw.System, Object: l.object(s, n, raw.Object, entity), Map: l.mapping(n.Get("map"))}
}

// compared is the schema of the documents that are compared; nil: unknown.
func (l *loader) compared(r *Reconciliation, n strictyaml.Node) *schema.Schema {
	if r.Left.Map == nil || r.Right.Map == nil || r.Left.Map.To() == nil || r.Right.Map.To() == nil {
		return nil
	}
	left, right := r.Left.Map.To(), r.Right.Map.To()
	if left.Name() != right.Name() {
		l.p.AddHint(n.Get("right").Get("map").Pos(), "both sides must be mapped to one schema",
			"the left side is mapped to %s, the right side to %s", left.Name(), right.Name())
		return nil
	}
	return left
}

func (l *loader) compare(r *Reconciliation, n strictyaml.Node, target *schema.Schema) {
	r.Compare = compare.All()
	if n.Kind() == strictyaml.Missing {
		return
	}
	if n.Kind() != strictyaml.Map || len(n.Fields()) == 0 {
		l.p.AddHint(n.Pos(), "write for example compare: {name: exact}, or remove the key to compare every field", "compare: no field is named")
		return
	}
	var rules []compare.Rule
	for _, f := range n.Fields() {
		if target != nil {
			if _, state := target.Shape().Field(f.Key); state != schema.Declared {
				l.p.AddHint(f.KeyPos, strictyaml.DidYouMean(f.Key, target.Shape().Fields()), "%s does not declare the field %q", target.Name(), shorten(f.Key))
			}
		}
		rule := l.tolerance(f.Value)
		rule.Path = f.Key
		rules = append(rules, rule)
	}
	if made, err := compare.New(rules); err == nil {
		r.Compare = made
	}
}

func (l *loader) tolerance(n strictyaml.Node) compare.Rule {
	const hint = "write exact, fold, uuid, number, {within: 0.01} or {fold: [case, width, space]}"
	if n.Kind() == strictyaml.Scalar && slices.Contains(connector.Compares(), n.Text()) {
		return compare.Rule{How: compare.How(n.Text())}
	}
	if n.Kind() != strictyaml.Map {
		l.p.AddHint(n.Pos(), hint, "%s: unknown way to compare", n.Key())
		return compare.Rule{}
	}
	var raw foldFile
	if !l.decode(n, &raw) || !l.only(n, n.Key(), "within", "fold") {
		return compare.Rule{}
	}
	if n.Has("within") {
		at := n.Get("within")
		if !decimal(at.Text()) {
			l.p.AddHint(at.Pos(), "write for example 0.01", "within: %q is no amount", shorten(at.Text()))
		}
		amount, _ := jsondoc.ParseDecimal(at.Text())
		return compare.Rule{How: compare.Within, Within: compare.Tolerance{Bound: &compare.Bound{Amount: amount}}}
	}
	rule := compare.Rule{How: compare.Folded}
	for _, item := range n.Get("fold").Items() {
		if l.known("fold", item, compare.Foldings()) {
			rule.Folds = append(rule.Folds, compare.Folding(item.Text()))
		}
	}
	if len(raw.Fold) == 0 {
		l.p.AddHint(n.Get("fold").Pos(), hint, "fold: the list is empty")
	}
	return rule
}

// decimal reports whether s is digits with at most one point between them.
func decimal(s string) bool {
	whole, fraction, point := strings.Cut(s, ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return len(s) <= 40 && digits(whole) && (!point || digits(fraction))
}

func (l *loader) repair(r *Reconciliation, raw repairFile, n strictyaml.Node) *Repair {
	out := &Repair{From: RepairFrom(raw.From), AtMost: l.atMost(raw.AtMost, n.Get("at-most"))}
	wrong := r.Right.System
	if raw.From == "right" {
		wrong, out.ToLeft = r.Left.System, raw.By
	} else {
		out.ToRight = raw.By
	}
	if by := n.Get("by"); l.known("flow", by, l.names("flow")) {
		f := l.plan.Flow(by.Text())
		switch {
		case f == nil:
		case f.To.System != wrong:
			l.p.AddHint(by.Pos(), "name a flow that does", "by: the flow %q does not write to %q, the side that is to be repaired", f.Name, wrong)
		case f.Entity != r.Entity:
			l.p.AddHint(by.Pos(), "name a flow that does", "by: the flow %q does not carry the entity %q", f.Name, r.Entity)
		}
	}
	return out
}
