package config

import (
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/schema"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func (l *loader) loadReconciliations() {
	for _, n := range l.documents["reconciliation"] {
		l.plan.Reconciliations = append(l.plan.Reconciliations, l.reconciliation(n))
	}
	slices.SortStableFunc(l.plan.Reconciliations, func(a, b *Reconciliation) int { return strings.Compare(a.Name, b.Name) })
}

func (l *loader) reconciliation(n strictyaml.Node) *Reconciliation {
	var raw reconciliationFile
	l.decode(n, &raw)
	r := &Reconciliation{Name: raw.Name, About: raw.About, Entity: raw.Entity, Pos: n.Pos(), Settle: raw.Settle, Keep: raw.Keep}
	l.known("entity", n.Get("entity"), l.entities)
	l.notACommand(n.Get("reconciliation"), "reconcile")
	l.positive(n, "keep")
	r.Schedule = l.schedule(raw.Schedule, n.Get("schedule"))
	left, right := &sideDocument{side: &r.Left, node: n.Get("left")}, &sideDocument{side: &r.Right, node: n.Get("right")}
	left.raw, right.raw = raw.Right.Through != "", raw.Left.Through != ""
	l.side(left, raw.Left, raw.Entity)
	l.side(right, raw.Right, raw.Entity)
	if r.Left.System != "" && r.Left.System == r.Right.System && r.Left.Object == r.Right.Object {
		l.p.AddHint(right.node.Pos(), "name another system or object", "right: it is compared with itself")
	}
	d := describedBy(l.compared(left, right))
	for _, s := range []*sideDocument{left, right} {
		l.rows(s, d)
	}
	r.Match = l.match(n.Get("match"), d, left, right)
	r.Totals = l.totals(raw.Totals, n.Get("totals"), d)
	l.comparison(r, n.Get("compare"), d)
	if raw.Money != nil {
		for _, key := range []string{"amount", "currency"} {
			if at := n.Get("money").Get(key); at.Kind() == strictyaml.Scalar {
				l.declares(d, at.Pos(), at.Text())
			}
		}
		r.Money = &Money{Amount: raw.Money.Amount, Currency: raw.Money.Currency}
	}
	if raw.Repair != nil {
		r.Repair = l.repair(r, *raw.Repair, n.Get("repair"), n.Get("compare").Text() == "none")
	}
	return r
}

// sideDocument is a side with the place where it is written.
type sideDocument struct {
	side *Side
	node strictyaml.Node
	// read: flows read the entity from the system.
	read bool
	// raw: they are compared as they are, with what a flow would write there.
	raw bool
	// then: they go through the mapping of a flow that writes to the other side.
	then bool
	// in and out are the schemas of its documents before and after the mapping; nil: unknown.
	in, out *schema.Schema
}

func (l *loader) side(d *sideDocument, raw sideFile, entity string) {
	n := d.node
	s := l.system(n.Get("system"))
	*d.side = Side{System: raw.System, Object: l.object(s, n, raw.Object, entity)}
	can := abilities{List: true}
	if s != nil {
		if k, known := l.o.Kinds[s.Kind]; known {
			can = k.Spec().Can
		}
	}
	if d.side.Files = can.Files && !can.List; !d.side.Files {
		l.able(s, n, "cannot list everything it holds", func(a abilities) bool { return a.List })
	}
	l.index(d, raw.Index, s)
	if s != nil {
		l.reader(d, raw, entity)
	} else {
		l.mapping(n.Get("map"))
	}
}

// index reads how what a side holds is kept.
func (l *loader) index(d *sideDocument, raw *indexFile, s *System) {
	n := d.node.Get("index")
	switch {
	case raw == nil:
		return
	case d.side.Files:
		l.p.AddHint(n.Pos(), "remove it", "index: a file is read whole")
		return
	}
	l.able(s, n, "cannot be polled, so that nothing says what has changed", func(a abilities) bool { return a.Poll })
	l.positive(n, "whole")
	if raw.Overlap < 0 {
		l.p.AddHint(n.Get("overlap").Pos(), "write for example 10m", "overlap: it is looked back, and not ahead")
	}
	d.side.Index = &Index{Whole: raw.Whole, Overlap: raw.Overlap}
}

// reader finds the flow that reads the side's objects, and the mapping to the compared document.
func (l *loader) reader(d *sideDocument, raw sideFile, entity string) {
	n, side := d.node, d.side
	var flows []*Flow
	direct := l.direct(d, raw, entity)
	if direct != nil {
		flows, d.raw, d.then = []*Flow{direct}, false, true
	} else if n.Has("flow") {
		flows = l.named(n.Get("flow"), raw.System, entity)
	} else {
		for _, f := range l.plan.Inbound(raw.System, entity) {
			if object := f.From.object(); raw.Object == "" || object == "" || object == raw.Object {
				flows = append(flows, f)
			}
		}
	}
	d.read = len(flows) > 0 || n.Has("flow")
	if len(flows) == 1 {
		side.Flow = flows[0].Name
		d.in = flows[0].input()
	}
	switch {
	case n.Has("map"):
		side.Map, side.Own = l.mapping(n.Get("map")), true
	case d.raw:
		side.Own, d.out = true, nil
		return
	case len(flows) > 0 && !slices.ContainsFunc(flows, func(f *Flow) bool { return f.Map != flows[0].Map }):
		side.Map = flows[0].Map
		d.out = flows[0].output()
	case len(flows) > 1:
		var names []string
		for _, f := range flows {
			names = append(names, f.Name)
		}
		l.p.AddHint(n.Pos(), "name one of them as flow, one that writes to the other side as through, or a mapping as map", "%s: several flows read the entity %q from %q, each in its own way: %s", n.Key(), entity, raw.System, strings.Join(names, ", "))
	}
	if side.Map != nil {
		d.in, d.out = side.Map.From(), side.Map.To()
	}
	if n.Has("through") && direct == nil {
		l.through(d, entity)
	}
}

// through reads the flow whose mapping a side's documents go through as well.
func (l *loader) through(d *sideDocument, entity string) {
	n := d.node.Get("through")
	if !l.known("flow", n, l.names("flow")) {
		return
	}
	f := l.plan.Flow(n.Text())
	switch {
	case f == nil:
	case f.To.System != "" && f.Entity == entity && f.Map == nil:
		l.p.AddHint(n.Pos(), "remove it, or name a mapping to what the other side holds as map", "through: the flow %q has no mapping: it writes documents as they are", f.Name)
	case f.To.System == "" || f.Entity != entity || f.Map == nil:
		l.p.AddHint(n.Pos(), "name the flow that writes to the other side", "through: the flow %q does not map the entity %q for a system", f.Name, entity)
	case d.out != nil && f.Map.From() != nil && d.out.Name() != f.Map.From().Name():
		l.p.AddHint(n.Pos(), "name the flow that takes these documents", "through: the flow %q maps %s, and the documents of the side are %s", f.Name, f.Map.From().Name(), d.out.Name())
	default:
		d.side.Then, d.then = f.Map, true
		d.out = f.Map.To()
	}
}

// object is the object type that is read; empty: a webhook does not say.
func (f *From) object() string {
	switch {
	case f.Poll != nil:
		return f.Poll.Object
	case f.Files != nil:
		return f.Files.Object
	}
	return ""
}

// named gives the flow that a side names, where it reads the entity from the system.
func (l *loader) named(n strictyaml.Node, system, entity string) []*Flow {
	if !l.known("flow", n, l.names("flow")) {
		return nil
	}
	f := l.plan.Flow(n.Text())
	if f == nil {
		return nil
	}
	if f.From.System != system || f.Entity != entity {
		l.p.AddHint(n.Pos(), "name a flow that does, or a mapping as map", "flow: the flow %q does not read the entity %q from %q", f.Name, entity, system)
		return nil
	}
	return []*Flow{f}
}

// rows reads which of the side's objects count, and what they are called.
func (l *loader) rows(d *sideDocument, compared described) {
	n := d.node
	if at := n.Get("where"); at.Kind() != strictyaml.Missing {
		s := d.out
		if s == nil && d.side.Map == nil {
			s = l.plan.Schemas.Get(compared.name)
		}
		d.side.Where = l.expression(at, mapping.ExprContext{Schema: s, Result: "bool"})
	}
	if at := n.Get("id"); at.Kind() != strictyaml.Missing {
		if d.side.Flow != "" {
			l.p.AddHint(n.KeyPos("id"), "remove it", "id: the flow %q says already what the system calls an object", d.side.Flow)
			return
		}
		d.side.ID = l.expression(at, mapping.ExprContext{Schema: d.in, Result: "string"})
	}
}

// compared is the schema of the documents that are compared; nil: unknown.
func (l *loader) compared(left, right *sideDocument) *schema.Schema {
	switch {
	case left.out == nil && right.out == nil:
		return nil
	case left.out == nil:
		l.unmapped(left, right)
		return right.out
	case right.out == nil:
		l.unmapped(right, left)
		return left.out
	case left.out.Name() == right.out.Name():
		return left.out
	}
	at := right.node.Pos()
	if right.node.Has("map") {
		at = right.node.Get("map").Pos()
	}
	hint := "both sides must be mapped to one schema"
	for _, s := range [][2]*sideDocument{{left, right}, {right, left}} {
		if f := l.straight(s[0], s[1]); f != nil {
			hint = "write through: " + f.Name + " on the " + s[0].node.Key() + " side, without map: what it writes is compared with what the other system holds as it is"
		}
	}
	l.p.AddHint(at, hint, "the left side is mapped to %s, the right side to %s", left.out.Name(), right.out.Name())
	return nil
}

// unmapped notes that a side's documents are compared as they are, beside mapped ones.
func (l *loader) unmapped(d, other *sideDocument) {
	if d.side.System != "" && !d.read && !d.node.Has("map") && other.side.Map != nil && !other.then && l.straight(other, d) == nil {
		l.p.Note(d.node.Pos(), "name a mapping to "+other.out.Name()+" as map, unless the documents are like that",
			"%s: the documents of %q are compared as they are, since no flow reads this entity from there", d.node.Key(), d.side.System)
	}
}

// match reads how objects are paired.
func (l *loader) match(n strictyaml.Node, d described, sides ...*sideDocument) Match {
	const hint = "write xref, a field of the compared document, or a list of fields, with xref before them where they pair what the cross-reference does not know"
	items := n.Items()
	switch n.Kind() {
	case strictyaml.Missing:
		l.identified(sides)
		return Match{Xref: true}
	case strictyaml.Scalar:
		if n.Text() == "xref" {
			l.identified(sides)
			return Match{Xref: true}
		}
		items = []strictyaml.Node{n}
	}
	if len(items) == 0 {
		l.p.AddHint(n.Pos(), hint, "match: no field is named")
	}
	var m Match
	for i, item := range items {
		name := item.Text()
		switch _, declared := d.at(name); {
		case name == "xref" && i == 0 && len(items) > 1:
			m.Xref = true
			l.identified(sides)
		case name == "xref" && item.Kind() == strictyaml.Scalar:
			l.p.AddHint(item.Pos(), "write it first", "match: xref counts before all fields")
		case item.Kind() != strictyaml.Scalar || name == "":
			l.p.AddHint(item.Pos(), hint, "match: this is no field")
		case slices.Contains(m.Fields, name):
			l.p.AddHint(item.Pos(), "remove one of them", "match: %q stands there twice", shorten(name))
		case d.known && !declared:
			l.p.AddHint(item.Pos(), strictyaml.DidYouMean(name, append(d.shape.Fields(), "xref")), "match: %q is neither xref nor a field of %s", shorten(name), d.name)
		default:
			m.Fields = append(m.Fields, name)
		}
	}
	return m
}

// identified complains of a side whose objects have no id, where the cross-reference pairs them.
func (l *loader) identified(sides []*sideDocument) {
	for _, d := range sides {
		if d.side.Files && d.side.Flow == "" && !d.node.Has("id") {
			l.p.AddHint(d.node.Pos(), "add for example id: source.number, or pair by a field with match", "%s: nothing says what %q calls an object: files give no ids", d.node.Key(), d.side.System)
		}
	}
}

func (l *loader) totals(raw []totalFile, n strictyaml.Node, d described) []compare.Total {
	var out []compare.Total
	for i, item := range n.Items() {
		if i >= len(raw) || item.Kind() != strictyaml.Map || !l.only(item, "totals", "sum", "count") {
			continue
		}
		t := compare.Total{Sum: raw[i].Sum}
		switch {
		case item.Has("sum"):
			l.declares(d, item.Get("sum").Pos(), t.Sum)
		case !raw[i].Count:
			l.p.AddHint(item.Get("count").Pos(), "write count: true, or sum: the path of an amount", "count: nothing is counted")
		}
		for _, by := range item.Get("by").Items() {
			t.By = append(t.By, l.group(by, d))
		}
		if item.Has("within") {
			t.Within = l.bound(item.Get("within"))
		}
		out = append(out, t)
	}
	if n.Kind() == strictyaml.List && len(n.Items()) == 0 {
		l.p.AddHint(n.Pos(), "write for example totals: [{count: true}], or remove the key", "totals: the list is empty")
	}
	return out
}

// group reads what a total is for each of.
func (l *loader) group(n strictyaml.Node, d described) compare.Group {
	if n.Kind() == strictyaml.Scalar {
		l.declares(d, n.Pos(), n.Text())
		return compare.Group{Path: n.Text()}
	}
	var raw periodFile
	if n.Kind() != strictyaml.Map {
		l.p.AddHint(n.Pos(), "write a field, or for example {month: issued_at}", "by: expected a text or a mapping, found %s", n.Kind())
		return compare.Group{}
	}
	if !l.decode(n, &raw) || !l.only(n, "by", "day", "month", "year") {
		return compare.Group{}
	}
	g := compare.Group{Path: raw.Day + raw.Month + raw.Year, Zone: l.zone(n.Get("zone"))}
	for _, unit := range []compare.Unit{compare.Day, compare.Month, compare.Year} {
		if n.Has(string(unit)) {
			g.Unit = unit
			l.declares(d, n.Get(string(unit)).Pos(), g.Path)
		}
	}
	return g
}
