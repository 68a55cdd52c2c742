package rules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// mostDocument is how large a document may be that is kept of a violation, in bytes.
	mostDocument = 64 << 10
	tellPage     = 200
)

// report is what a run tells.
type report struct {
	run     *Run
	sum     state.CompareSummary
	n       int
	pending []state.Difference
	// missed counts, by list, objects that cannot be read: one of them may be what a violation lacks.
	missed map[string]int64
	money  map[string]jsondoc.Decimal
}

func (p *report) explain(reason string) {
	if p.sum.Explained == nil {
		p.sum.Explained = map[string]int64{}
	}
	p.sum.Explained[reason]++
}

func (p *report) detail() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(p.missed)) {
		parts = append(parts, fmt.Sprintf("%d of %s cannot be read", p.missed[name], name))
	}
	return strings.Join(parts, "; ")
}

func (p *report) add(ctx context.Context, d state.Difference) error {
	p.n++
	d.Run, d.N = p.run.id, p.n
	if p.pending = append(p.pending, d); len(p.pending) < tellPage {
		return nil
	}
	return p.flush(ctx)
}

func (p *report) flush(ctx context.Context) error {
	if len(p.pending) == 0 {
		return nil
	}
	err := p.run.sink.Add(ctx, p.pending)
	p.pending = nil // it is the sink's
	return err
}

// failures tells of what has failed, in the order of ids.
func (p *report) failures(ctx context.Context, f *failures) error {
	in, err := f.reader()
	if err != nil {
		return err
	}
	for {
		x, err := in.next()
		if err != nil {
			return err
		}
		if x == nil {
			p.total()
			return p.flush(ctx)
		}
		d, err := p.difference(ctx, x)
		if err == nil {
			err = p.add(ctx, d)
		}
		if err != nil {
			return err
		}
	}
}

// difference tells of one object.
func (p *report) difference(ctx context.Context, x *failure) (state.Difference, error) {
	r := p.run
	key, err := r.judge.key(ctx, x.row)
	if err != nil {
		return state.Difference{}, err
	}
	d := state.Difference{Kind: state.DiffViolation, Reason: state.ReasonViolated, Hub: x.hub, Key: key, Left: x.local, More: x.more}
	var values privacy.Values
	p.documents(&d, x.row, &values)
	if x.why != "" {
		d.Kind, d.Reason, d.Text = state.DiffNotCompared, state.DiffNotCompared, values.Text(x.why)
		p.sum.NotCompared++
		return d, nil
	}
	if err := p.words(ctx, &d, x.row, &values); err != nil {
		return d, err
	}
	switch explained, err := p.known(ctx, &d, x); {
	case err != nil:
		return d, err
	case explained:
		p.explain(d.Reason)
		return d, nil
	}
	p.sum.Different++
	if p.sum.Reasons == nil {
		p.sum.Reasons = map[string]int64{}
	}
	p.sum.Reasons[d.Reason]++
	return d, p.count(&d)
}

// known says why a violation may be none, as far as the hub knows.
func (p *report) known(ctx context.Context, d *state.Difference, x *failure) (bool, error) {
	r := p.run
	if !x.sure && r.rule.Settle > 0 {
		d.Reason, d.Explained = state.ExplainedMoving, true
		return true, nil
	}
	if r.c.Knowledge == nil || len(r.rule.With) == 0 {
		return false, nil // what stands in one record is nowhere on its way
	}
	objects := []Object{{r.rule.Entity, r.rule.Over.System, x.local, x.hub}}
	for _, more := range x.more {
		name, local, _ := strings.Cut(more, " ")
		for i := range r.rule.With {
			if side := &r.rule.With[i]; side.Name == name {
				objects = append(objects, Object{Entity: side.Entity, System: side.System, Local: local})
			}
		}
	}
	e, err := r.c.Knowledge.Explain(ctx, objects)
	if err != nil || e.Reason == "" {
		return false, err
	}
	d.Reason, d.Explained = e.Reason, true
	d.Event, d.EventTime, d.Outcome, d.Parked = e.Event, e.EventTime, e.Outcome, e.Parked
	if e.Text != "" {
		d.Text += " (" + e.Text + ")"
	}
	return true, nil
}

// words sets the sentence and the money of a violation.
func (p *report) words(ctx context.Context, d *state.Difference, x *row, values *privacy.Values) error {
	w, err := p.run.judge.words(ctx, x)
	if err != nil {
		return err
	}
	d.Text, d.Amount, d.Currency = values.Text(w.text), w.amount, w.currency
	for _, name := range slices.Sorted(maps.Keys(p.missed)) {
		d.Text += fmt.Sprintf(" (%d of %s cannot be read: one of them may be what is missing)", p.missed[name], name)
	}
	return nil
}

// count adds up the money.
func (p *report) count(d *state.Difference) error {
	if d.Currency == "" {
		return nil
	}
	amount, err := jsondoc.ParseDecimal(d.Amount)
	if err != nil {
		return fmt.Errorf("the amount of %s: %w", d.Left, err)
	}
	if p.money == nil {
		p.money = map[string]jsondoc.Decimal{}
	}
	p.money[d.Currency] = p.money[d.Currency].Add(amount)
	return nil
}

func (p *report) total() {
	for currency, amount := range p.money {
		if p.sum.Money == nil {
			p.sum.Money = map[string]string{}
		}
		p.sum.Money[currency] = amount.String()
	}
}

// documents sets what the rule saw, with personal data masked.
func (p *report) documents(d *state.Difference, x *row, values *privacy.Values) {
	r := p.run
	mask := make([]*privacy.Mask, len(x.docs))
	for i, doc := range x.docs {
		if mask[i] = r.mask(i); i == 0 || !r.rule.With[i-1].Group {
			mask[i].Collect(doc, values)
		}
	}
	mask[0].Collect(x.previous, values)
	show := func(doc []byte, m *privacy.Mask) json.RawMessage {
		if doc = m.Document(doc, values); len(doc) == 0 || len(doc) > mostDocument {
			return nil
		}
		return slices.Clone(doc)
	}
	d.LeftDoc = show(x.docs[0], mask[0])
	together := []byte{'{'}
	add := func(name string, doc json.RawMessage) {
		if doc == nil {
			return
		}
		if len(together) > 1 {
			together = append(together, ',')
		}
		together = append(append(jsondoc.AppendString(together, name), ':'), doc...)
	}
	for i := range r.rule.With {
		side := &r.rule.With[i]
		if side.Group && x.docs[i+1] != nil && !mask[i+1].None() {
			add(side.Name, p.masked(x.docs[i+1], mask[i+1], values))
			continue
		}
		add(side.Name, show(x.docs[i+1], mask[i+1]))
	}
	add(config.RulePrevious, show(x.previous, mask[0]))
	if together = append(together, '}'); len(together) > 2 && len(together) <= mostDocument {
		d.RightDoc = together
	}
}

// masked masks each document of a list: masks are made for one.
func (p *report) masked(list []byte, m *privacy.Mask, values *privacy.Values) json.RawMessage {
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if doc.Reset(list, jsondoc.Limits{Bytes: mostTogether}) != nil {
		return nil
	}
	out := []byte{'['}
	for e := range doc.Root().Elements() {
		if len(out) > 1 {
			out = append(out, ',')
		}
		m.Collect(e.Raw(), values)
		out = append(out, m.Document(e.Raw(), values)...)
	}
	return append(out, ']')
}

// mask is of what the rule sees of a list: that of the flow where it goes by the flow's mapping. What another mapping makes of personal data
// nobody knows.
func (r *Run) mask(i int) *privacy.Mask {
	side := &r.rule.Over
	if i > 0 {
		side = &r.rule.With[i-1]
	}
	if f := r.c.Private.Flow(markedBy(r.c.Plan, side)); f != nil {
		return f.Mapped
	}
	return nil
}

// markedBy names the flow whose marks hold for what the rule sees of a list; empty: nobody knows what is personal there.
func markedBy(plan *config.Plan, side *config.RuleSide) string {
	if f := plan.Flow(side.Flow); f != nil && f.Map == side.Map {
		return side.Flow
	}
	return ""
}

// MaskedWhole names the lists of which every value is masked in what runs keep of violations, where schemas of the plan mark anything as personal.
func MaskedWhole(rule *config.Rule, plan *config.Plan) (lists []string) {
	for _, s := range append([]config.RuleSide{rule.Over}, rule.With...) {
		if markedBy(plan, &s) == "" {
			lists = append(lists, s.Name)
		}
	}
	return lists
}

// unreadable tells of objects that belong to others and cannot be read. Each is asked for once more where that is possible: many wait for another
// object alone.
func (r *Run) unreadable(ctx context.Context, l *look, settled bool) error {
	if len(l.broken) > 0 && !settled && r.rule.Settle > 0 {
		if err := r.settle(ctx, int64(len(l.broken))); err != nil {
			return err
		}
	}
	p := &r.report
	beyond := map[string]int64{}
	for name, n := range l.brokenAll {
		beyond[name] = max(0, n-mostUnread)
	}
	for i := range l.broken {
		b := &l.broken[i]
		why, err := r.stillBroken(ctx, b, i < mostFinds && r.rule.Settle > 0)
		if err != nil {
			return err
		}
		if why == "" {
			p.explain(state.ExplainedArrived)
			l.brokenAll[b.name]--
			continue
		}
		p.sum.NotCompared++
		d := state.Difference{Kind: state.DiffNotCompared, Reason: state.DiffNotCompared, Hub: b.hub, Key: b.local, Right: b.local, Text: b.name + ": " + why}
		if err := p.add(ctx, d); err != nil {
			return err
		}
	}
	for name, n := range l.brokenAll {
		if n <= 0 {
			continue
		}
		if p.missed == nil {
			p.missed = map[string]int64{}
		}
		p.missed[name] = n
		p.sum.NotCompared += beyond[name]
	}
	return nil
}

// stillBroken says why an object cannot be read; empty: it can be by now, or is gone.
func (r *Run) stillBroken(ctx context.Context, b *unread, ask bool) (string, error) {
	for i, l := range r.with {
		f, ok := l.system.(connector.Finder)
		if r.rule.With[i].Name != b.name || !ok || !ask || b.local == "" {
			continue
		}
		e, ok, err := l.find(ctx, f, b.local)
		switch {
		case errors.Is(err, connector.ErrNoLookup):
			return b.why, nil
		case err != nil:
			return "", l.failed(fmt.Errorf("look for %s: %w", b.local, err))
		case !ok:
			return "", nil
		}
		return e.why, nil
	}
	return b.why, nil
}
