package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
)

// unrepaired says why a difference cannot be repaired.
type unrepaired struct{ why string }

func (u *unrepaired) Error() string { return u.why }

func cannot(format string, args ...any) error { return &unrepaired{fmt.Sprintf(format, args...)} }

// eventOf makes the event that repairs a difference: what the side that is right holds now.
func (r *Run) eventOf(ctx context.Context, m *mend, to *target) (string, *event.Event, error) {
	by := r.c.Plan.Flow(to.flow)
	if by == nil {
		return "", nil, cannot("there is no flow %s any more", to.flow)
	}
	own := m.d.Left
	if to.from == r.right {
		own = m.d.Right
	}
	in := by // the flow that reads the side that is right
	if by.From.System != to.from.def.System {
		if in = to.from.flow; in != nil { // as the files have it, whomever it leaves out
			in = r.c.Plan.Flow(in.Name)
		}
		if in == nil || to.from.def.Own {
			return r.fromHere(ctx, m, to, by, own)
		}
	}
	if own == "" {
		return r.deletion(ctx, m, to, by, in)
	}
	got, err := r.object(ctx, in.Name, own)
	switch {
	case err != nil && (fault.KindOf(err) == fault.Invalid || errors.Is(err, connector.ErrNoLookup)):
		return "", nil, cannot("%s was asked for %s: %v", to.from.def.System, own, err)
	case err != nil:
		return "", nil, fmt.Errorf("read %s of %s again: %w", own, to.from.def.System, err)
	case len(got) != 1:
		return "", nil, cannot("%s holds %d objects %s now", to.from.def.System, len(got), own)
	}
	ev := got[0]
	if in.Key == nil {
		ev.Key = ev.Local
	}
	dec, err := decide.DryRun(ctx, r.c.Plan, in, ev, nil, r.c.Store, r.c.Clock.Now())
	if err != nil {
		return "", nil, err
	}
	if dec.Outcome == state.Parked || dec.Outcome == state.Waiting || dec.Outcome == state.Skipped {
		return "", nil, cannot("%s would not take it: %s", in.Name, r.shielded(in, &ev, dec.Reason+" "+dec.Trail.Told))
	}
	ev.Key = dec.Event.Key
	if in == by {
		m.writes = append(m.writes, r.written(by.Name, &dec))
		return by.Name, &ev, nil
	}
	onward := event.Event{Source: ev.Source, Entity: dec.Event.Entity, Operation: event.Upsert, Key: dec.Event.Key, Version: dec.Event.Version, Origin: dec.Event.Origin, Hub: dec.Event.Hub, Data: dec.Document}
	last, err := decide.DryRun(ctx, r.c.Plan, by, onward, nil, r.c.Store, r.c.Clock.Now())
	if err != nil {
		return "", nil, err
	}
	if last.Outcome == state.Parked || last.Outcome == state.Skipped {
		return "", nil, cannot("%s would not deliver it: %s", by.Name, r.shielded(by, &onward, last.Reason+" "+last.Trail.Told))
	}
	m.writes = append(m.writes, r.written(by.Name, &last))
	if r.unseen(m, to) && in.To.Topic == by.From.Topic { // the hub itself has not got what is there now: it learns it on the way
		return in.Name, &ev, nil
	}
	return by.Name, &onward, nil
}

// fromHere makes the event of what the reconciliation itself has read, where no flow reads the side, or not so.
func (r *Run) fromHere(ctx context.Context, m *mend, to *target, by *config.Flow, own string) (string, *event.Event, error) {
	switch {
	case by.From.Topic == "":
		return "", nil, cannot("the flow %s reads %s, and not %s", by.Name, by.From.System, to.from.def.System)
	case own == "":
		return "", nil, cannot("no flow reads %s, so that nobody can say that it is gone there", to.from.def.System)
	}
	e, err := to.from.find(ctx, own, "")
	switch {
	case errors.Is(err, errCannotAsk):
		return "", nil, cannot("%s cannot be asked for %s", to.from.def.System, own)
	case err != nil:
		return "", nil, err
	case e == nil || e.why != "" || e.filtered:
		return "", nil, cannot("%s does not hold %s as it was any more", to.from.def.System, own)
	}
	hub := e.hub
	if hub == "" {
		hub = state.MintHub(r.rec.Entity, to.from.def.System, e.local)
	}
	ev := &event.Event{Source: to.from.def.System, Entity: r.rec.Entity, Operation: event.Upsert, Key: e.key, Origin: to.from.def.System, Hub: hub, Data: e.doc}
	if e.before != nil {
		ev.Data = e.before
	}
	dec, err := decide.DryRun(ctx, r.c.Plan, by, *ev, nil, r.c.Store, r.c.Clock.Now())
	if err != nil {
		return "", nil, err
	}
	if dec.Outcome == state.Parked || dec.Outcome == state.Skipped {
		return "", nil, cannot("%s would not deliver it: %s", by.Name, r.shielded(by, ev, dec.Reason+" "+dec.Trail.Told))
	}
	m.writes = append(m.writes, r.written(by.Name, &dec))
	return by.Name, ev, nil
}

// unseen: the hub's own picture of the side that is right is not what is there.
func (r *Run) unseen(m *mend, to *target) bool {
	left := []string{state.ReasonEditedLeft, state.ReasonCreatedLeft, state.ReasonEditedBoth, state.ReasonCameBack}
	right := []string{state.ReasonEditedRight, state.ReasonCreatedRight, state.ReasonEditedBoth, state.ReasonCameBack}
	if to.from == r.left {
		return slices.Contains(left, m.d.Reason)
	}
	return slices.Contains(right, m.d.Reason)
}

// deletion makes the event of an object that is gone on the side that is right. It is looked for there once more.
func (r *Run) deletion(ctx context.Context, m *mend, to *target, by, in *config.Flow) (string, *event.Event, error) {
	from := to.from
	if m.d.Hub == "" {
		return "", nil, cannot("the hub does not know it")
	}
	t, err := r.c.Store.Standing(ctx, r.rec.Entity, m.d.Hub)
	if err != nil {
		return "", nil, fmt.Errorf("read what is known of %s: %w", m.d.Hub, err)
	}
	var ref *state.Ref
	for i := range t.Refs {
		if t.Refs[i].System == from.def.System {
			ref = &t.Refs[i]
		}
	}
	if ref == nil || ref.Local == "" {
		return "", nil, cannot("the hub does not know which object of %s it was", from.def.System)
	}
	e, err := from.find(ctx, "", ref.Local)
	switch {
	case errors.Is(err, errCannotAsk):
		return "", nil, cannot("%s cannot be asked whether %s is gone", from.def.System, ref.Local)
	case err != nil:
		return "", nil, err
	case e != nil:
		return "", nil, cannot("%s holds %s again", from.def.System, ref.Local)
	}
	ev := &event.Event{Source: from.def.System, Entity: r.rec.Entity, Operation: event.Delete, Local: ref.Local, Origin: from.def.System}
	if ref.Known != nil {
		ev.Version, ev.Key = ref.Known.Received, ref.Known.Key
	}
	if ev.Key == "" && m.d.Key != privacy.Masked {
		ev.Key = m.d.Key
	}
	ev.Key = cmp.Or(ev.Key, ref.Local)
	w, err := json.Marshal(map[string]string{"action": "delete", "system": to.system, "local": cmp.Or(m.d.Left, m.d.Right)})
	if err != nil {
		return "", nil, err
	}
	m.writes = append(m.writes, w)
	if by.From.Topic != "" && in.To.Topic != by.From.Topic {
		ev.Hub = m.d.Hub
		return by.Name, ev, nil
	}
	return in.Name, ev, nil // the hub learns of it on the way
}

// shielded masks in a sentence what a flow's document of an event has of personal data.
func (r *Run) shielded(f *config.Flow, ev *event.Event, text string) string {
	m := r.c.Private.Flow(f.Name)
	if m.None() {
		return text
	}
	values := &privacy.Values{}
	m.Source.Collect(ev.Data, values)
	return values.Text(text)
}

// object reads an object from a flow's source. A system that fails for a while is asked again.
func (r *Run) object(ctx context.Context, flow, own string) (got []event.Event, err error) {
	err = connector.Again(ctx, r.c.Clock, func() (err error) {
		got, err = r.c.Hub.Object(ctx, flow, connector.Lookup{Local: own})
		return err
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	return got, err
}
