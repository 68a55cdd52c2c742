package config

import (
	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func (l *loader) repair(r *Reconciliation, raw repairFile, n strictyaml.Node, totalsAlone bool) *Repair {
	out := &Repair{From: RepairFrom(raw.From), AtMost: l.atMost(raw.AtMost, n.Get("at-most")), Automatic: raw.Automatic, Deletes: raw.Deletes}
	by := n.Get("by")
	switch by.Kind() {
	case strictyaml.Scalar:
		switch out.From {
		case FromLeft:
			out.ToRight = l.writer(by, r, &r.Left, &r.Right, raw.Deletes)
		case FromRight:
			out.ToLeft = l.writer(by, r, &r.Right, &r.Left, raw.Deletes)
		case FromNewest, FromOwner:
			l.p.AddHint(by.Pos(), "write by: {left: FLOW, right: FLOW}, the flow that writes to each", "by: from: %s repairs either side", out.From)
		default:
			l.known("flow", by, l.names("flow"))
		}
	case strictyaml.Map:
		l.writers(out, by, r, raw.Deletes)
	case strictyaml.Missing:
	default:
		l.p.AddHint(by.Pos(), "name a flow, or write {left: FLOW, right: FLOW}", "by: expected a text or a mapping, found %s", by.Kind())
	}
	if n.Has("automatic") && raw.Automatic && r.Schedule == nil {
		l.p.Note(n.KeyPos("automatic"), "add a schedule, or remove it", "automatic means nothing without a schedule: who asks for a run says whether it repairs")
	}
	if totalsAlone {
		l.p.AddHint(n.Pos(), "name fields in compare, or remove repair", "repair: totals say of no object that it is to be repaired")
	}
	return out
}

// writers reads the flow that writes to each side.
func (l *loader) writers(out *Repair, by strictyaml.Node, r *Reconciliation, deletes bool) {
	by.Known(l.p, "left", "right")
	left, right := by.Get("left"), by.Get("right")
	owned := map[compare.Side]bool{}
	if out.From == FromOwner && r.Compare != nil {
		owned = r.Compare.Owners()
		if len(owned) == 0 {
			l.p.AddHint(by.Pos(), "add owner: left or owner: right to the rules of fields", "by: from: owner needs fields that have an owner")
		}
	}
	switch {
	case out.From == FromLeft && by.Has("left"), out.From == FromRight && by.Has("right"):
		l.p.AddHint(by.KeyPos(string(out.From)), "remove it", "by: nothing is written to the %s side, which is right", out.From)
	case out.From == FromLeft && !by.Has("right"), out.From == FromRight && !by.Has("left"), !by.Has("left") && !by.Has("right"):
		l.p.AddHint(by.Pos(), "name the flow that writes to the side that is to be repaired", "by: no flow is named")
	case out.From == FromOwner && owned[compare.Left] && !by.Has("right"):
		l.p.AddHint(by.Pos(), "add right: the flow that writes there", "by: fields of the left side are repaired on the right, and no flow writes there")
	case out.From == FromOwner && owned[compare.Right] && !by.Has("left"):
		l.p.AddHint(by.Pos(), "add left: the flow that writes there", "by: fields of the right side are repaired on the left, and no flow writes there")
	case out.From == FromNewest && (!by.Has("left") || !by.Has("right")):
		missing := "left"
		if by.Has("left") {
			missing = "right"
		}
		l.p.Note(by.Pos(), "add "+missing+": the flow that writes there", "by: what was changed last on the other side is not repaired on the %s", missing)
	}
	out.ToLeft = l.writer(left, r, &r.Right, &r.Left, deletes)
	out.ToRight = l.writer(right, r, &r.Left, &r.Right, deletes)
}

// writer is the flow that writes to the wrong side what the right one holds; empty where it cannot.
func (l *loader) writer(n strictyaml.Node, r *Reconciliation, right, wrong *Side, deletes bool) string {
	if !l.known("flow", n, l.names("flow")) {
		return ""
	}
	f := l.plan.Flow(n.Text())
	const hint = "name a flow that does"
	switch {
	case f == nil:
	case f.To.System != wrong.System:
		l.p.AddHint(n.Pos(), hint, "by: the flow %q does not write to %q, the side that is to be repaired", f.Name, wrong.System)
	case f.Entity != r.Entity:
		l.p.AddHint(n.Pos(), hint, "by: the flow %q does not carry the entity %q", f.Name, r.Entity)
	case f.From.System != "" && f.From.System != right.System:
		l.p.AddHint(n.Pos(), "name a flow that reads that system, or a topic", "by: the flow %q reads %q, and %q is the side that is right", f.Name, f.From.System, right.System)
	case deletes && f.To.OnDelete != DeleteObject && f.To.OnDelete != Deactivate:
		l.p.Note(n.Pos(), "set its on-delete to delete or deactivate, or remove deletes", "by: the flow %q has on-delete: %s, so deletes are not repaired by it", f.Name, f.To.OnDelete)
	}
	return n.Text()
}
