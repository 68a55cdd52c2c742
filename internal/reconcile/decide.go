package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
)

// decide says what a difference is.
func (r *Run) decide(ctx context.Context, d *differ, p *pair, known *known, late map[string]Lateness, moving bool) state.Difference {
	fields := d.diff(p)
	diff := state.Difference{Hub: p.hub(), Kind: kindOf(p), Key: r.keyOf(p, known)}
	diff.Left, diff.Right = own(p.left), own(p.right)
	for _, e := range p.more {
		diff.More = append(diff.More, e.own)
	}
	f := r.facts(ctx, p, known, fields)
	f.moving, f.during, f.stands = moving, known.at.After(r.lookAt), len(late) > 0
	diff.Reason, diff.Explained = reasonOf(f)
	diff.Event, diff.EventTime, diff.Outcome, diff.Parked = known.event, known.at, string(f.outcome), f.queuedID
	diff.Text = known.text
	if why := unreadable(p); why != "" && (!diff.Explained || diff.Reason == state.ExplainedFiltered) { // else it is not due yet
		diff.Kind, diff.Reason, diff.Explained, diff.Text = state.DiffNotCompared, state.DiffNotCompared, false, why
	}
	if diff.Reason == state.ExplainedStands {
		diff.Text = "not decided: " + lateText(late)
	}
	if p.unnamed > 0 {
		diff.Text = strings.TrimSuffix(fmt.Sprintf("%d more of the same key are not named here; %s", p.unnamed, diff.Text), "; ")
	}
	r.money(&diff, p)
	r.count(&diff, fields)
	r.show(&diff, p, fields)
	diff.Proposal = r.propose(&diff)
	r.mendable(&diff)
	return diff
}

// mendable counts what a repair would write, and what it would delete.
func (r *Run) mendable(d *state.Difference) {
	if !reparable(d) {
		return
	}
	switch ways, what := r.direction(d); {
	case len(ways) == 0:
	case what == deleteIt && !r.rec.Repair.Deletes:
		r.sum.Deletable++
	default:
		r.sum.Repairable++
	}
}

// keyOf is the business key of a pair, as it is kept: the same whichever half of it is there, as far as anybody knows it. A flow that reads the object says it, or
// has said it to the hub; else it is what objects are paired by, where that is not personal; else an id.
func (r *Run) keyOf(p *pair, k *known) string {
	fields := r.rec.Match.Fields
	hidden := slices.ContainsFunc(fields, r.private().hides)
	if hidden && p.rowKey() != nil { // whatever else names it may be the same
		return privacy.Masked
	}
	var said, ids []string
	halves := []struct {
		s   *side
		e   *entry
		ref *state.Ref
	}{{r.left, p.left, k.left}, {r.right, p.right, k.right}}
	for _, h := range halves {
		if h.e != nil && h.s.flow != nil && h.s.flow.Key != nil {
			said = append(said, h.e.key)
		}
	}
	for _, h := range halves {
		if h.ref == nil {
			continue
		}
		if h.ref.Known != nil && h.ref.Known.Key != h.ref.Local {
			said = append(said, h.ref.Known.Key)
		}
		ids = append(ids, h.ref.Local)
	}
	if !slices.Contains(ids, k.key) { // a flow without a key of its own has given the id
		said = append(said, k.key)
	}
	if key := cmp.Or(said...); key != "" {
		return key
	}
	for _, h := range halves {
		if h.e == nil || hidden || len(fields) == 0 {
			continue
		}
		if text := shownKey(h.e, fields); text != "" {
			return text
		}
	}
	for _, e := range []*entry{p.left, p.right} {
		if e != nil {
			ids = append(ids, e.key)
		}
	}
	return cmp.Or(ids...)
}

// shownKey are the values of fields with blanks between them, as people give them with --key; empty where one is missing.
func shownKey(e *entry, fields []string) string {
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if e.doc == nil || doc.Reset(e.doc, decide.DocumentLimits) != nil {
		return ""
	}
	var out []string
	for _, f := range fields {
		v := doc.Root().GetPath(f)
		text := v.Str()
		if v.Kind() == jsondoc.Number {
			text = string(v.Raw())
		}
		if text == "" {
			return ""
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

// facts are what is known of a pair.
func (r *Run) facts(ctx context.Context, p *pair, known *known, fields []compare.Field) *facts {
	f := known.facts
	f.doubled, f.rounding = len(p.more) > 0, len(fields) > 0
	var tops []string
	for i := range fields {
		f.rounding = f.rounding && fields[i].Rounding
		if name := top(fields[i].Path); !slices.Contains(tops, name) {
			tops = append(tops, name)
		}
	}
	f.left.is(ctx, p.left, known.left, r.left, tops)
	f.right.is(ctx, p.right, known.right, r.right, tops)
	f.left.feeds, f.left.carries = r.feeds(&r.rec.Left, &r.rec.Right)
	f.right.feeds, f.right.carries = r.feeds(&r.rec.Right, &r.rec.Left)
	return &f
}

func kindOf(p *pair) string {
	switch {
	case len(p.more) > 0 && p.moreRight:
		return state.DiffDoubledRight
	case len(p.more) > 0:
		return state.DiffDoubledLeft
	case p.left == nil:
		return state.DiffMissingLeft
	case p.right == nil:
		return state.DiffMissingRight
	}
	return state.DiffDifferent
}

// unreadable says why a pair cannot be compared; empty: it can be.
func unreadable(p *pair) string {
	for _, h := range []struct {
		name string
		e    *entry
	}{{"left", p.left}, {"right", p.right}} {
		if h.e != nil && h.e.why != "" {
			if h.e.own == "" { // a row of a table says itself where it is
				return h.e.why
			}
			return fmt.Sprintf("on the %s side, %s: %s", h.name, h.e.own, h.e.why)
		}
	}
	return ""
}

// top is the first name of a path.
func top(path string) string {
	name, _, _ := strings.Cut(path, ".")
	name, _, _ = strings.Cut(name, "[")
	return name
}

// is takes over what is known of a half; what was read is held against what the hub saw last, in the fields that differ.
func (h *half) is(ctx context.Context, e *entry, ref *state.Ref, s *side, only []string) {
	h.there, h.filtered = e != nil, e != nil && e.filtered
	if ref == nil {
		return
	}
	h.known, h.gone = ref.Local != "" && !ref.Deleted, ref.Deleted
	k := ref.Known
	if k == nil {
		return
	}
	h.own, h.wrote = k.Hops == 0, k.Wrote != "" || len(k.Written) > 0
	h.seen = k.Received != "" || k.EventID != "" && !h.wrote
	if e == nil || e.doc == nil || len(k.Fields) == 0 || s.flow == nil || k.Flow != s.flow.Name {
		return // it was seen through other eyes
	}
	seen, whole := s.seen(ctx, e)
	if seen == nil {
		return
	}
	if whole {
		only = slices.Collect(maps.Keys(k.Fields)) // what differs goes by other names there
	}
	var volatile []string
	if s.flow.Map != nil {
		volatile = s.flow.Map.Volatile()
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if doc.Reset(seen, jsondoc.Limits{}) != nil {
		return
	}
	now := jsondoc.FieldHashes(doc.Root(), nil)
	for _, f := range only {
		if now[f] != k.Fields[f] && !slices.Contains(volatile, f) {
			h.edited = true
			return
		}
	}
	h.same = true
}

// seen is the document as the hub sees it, through the flow that reads the side; nil: it cannot be told. whole: its fields are not those that are compared.
func (s *side) seen(ctx context.Context, e *entry) (doc []byte, whole bool) {
	switch {
	case e.before != nil:
		doc, whole = e.before, true
	case s.def.Map == s.flow.Map:
		return e.doc, false
	case s.def.Map == nil && s.def.Own:
		whole = true
		in := jsondoc.Get()
		defer jsondoc.Put(in)
		if in.Reset(e.doc, decide.DocumentLimits) != nil {
			return nil, true
		}
		ev := event.Event{Source: s.def.System, Entity: s.entity, Operation: event.Upsert, Origin: s.def.System, Hub: e.hub, Key: e.key, Local: e.own}
		out, err := s.flow.Map.Apply(ctx, &mapping.Input{Doc: in, Event: &ev, Lookup: s.store}, nil)
		if err != nil {
			return nil, true
		}
		doc = out
	}
	return doc, whole
}

// feeds reports whether changes go from one side to the other, and whether deletions do.
func (r *Run) feeds(from, to *config.Side) (changes, deletions bool) {
	topics := map[string]bool{}
	for _, f := range r.c.Plan.Flows {
		if f.Entity == r.rec.Entity && f.From.System == from.System && f.To.Topic != "" {
			topics[f.To.Topic] = true
		}
	}
	for _, f := range r.c.Plan.Flows {
		if f.Entity != r.rec.Entity || f.To.System != to.System {
			continue
		}
		if f.From.System == from.System || f.From.Topic != "" && topics[f.From.Topic] {
			changes = true
			deletions = deletions || f.To.OnDelete != config.IgnoreDelete
		}
	}
	return changes, deletions
}

// money sets how much is affected: the difference of the amounts, or the whole amount of what is there on one side alone.
func (r *Run) money(d *state.Difference, p *pair) {
	m := r.rec.Money
	if m == nil || d.Kind == state.DiffNotCompared {
		return
	}
	amount := func(e *entry) (jsondoc.Decimal, string) {
		if e == nil || e.doc == nil {
			return jsondoc.Decimal{}, ""
		}
		doc := jsondoc.Get()
		defer jsondoc.Put(doc)
		if doc.Reset(e.doc, jsondoc.Limits{}) != nil {
			return jsondoc.Decimal{}, ""
		}
		currency := doc.Root().GetPath(m.Currency).Str()
		v := doc.Root().GetPath(m.Amount)
		if v.Kind() == jsondoc.String {
			n, err := jsondoc.ParseDecimal(v.Str())
			if err != nil {
				return jsondoc.Decimal{}, currency
			}
			return n, currency
		}
		n, err := v.Decimal()
		if err != nil {
			return jsondoc.Decimal{}, currency
		}
		return n, currency
	}
	left, lc := amount(p.left)
	right, rc := amount(p.right)
	n := left.Sub(right).Abs()
	if lc != rc && left.Sign() != 0 && right.Sign() != 0 { // amounts of two currencies have no difference
		n = left.Abs()
	}
	if n.Sign() == 0 || n.Err() != nil {
		return
	}
	d.Amount, d.Currency = n.String(), cmp.Or(lc, rc)
}

// count adds a difference to the summary.
func (r *Run) count(d *state.Difference, fields []compare.Field) {
	switch {
	case d.Explained:
		r.explain(d.Reason)
		if d.Reason == state.ExplainedStands { // whether it agrees, nobody can say before the flow has gone on
			r.sum.NotCompared++
		}
		return
	case d.Kind == state.DiffNotCompared:
		r.sum.NotCompared++
		return
	case d.Kind == state.DiffMissingLeft:
		r.sum.MissingLeft++
	case d.Kind == state.DiffMissingRight:
		r.sum.MissingRight++
	case d.Kind == state.DiffDifferent:
		r.sum.Different++
	default:
		r.sum.Doubled++
	}
	if r.sum.Reasons == nil {
		r.sum.Reasons, r.sum.Fields, r.sum.Money = map[string]int64{}, map[string]int64{}, map[string]string{}
	}
	r.sum.Reasons[d.Reason]++
	seen := map[string]bool{}
	for i := range fields {
		if name := top(fields[i].Path); !seen[name] {
			seen[name] = true
			r.sum.Fields[name]++
		}
	}
	if d.Amount != "" {
		before, _ := jsondoc.ParseDecimal(cmp.Or(r.sum.Money[d.Currency], "0")) // written below
		n, _ := jsondoc.ParseDecimal(d.Amount)                                  // written above
		r.sum.Money[d.Currency] = before.Add(n).String()
	}
}
