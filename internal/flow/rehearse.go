package flow

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/state"
)

// Rehearsal is what a flow would do with one event.
type Rehearsal struct {
	// Outcome is Delivered, Skipped, Parked or Waiting. Reason is that of the skip, or the sentence for the operator; Kind and Code
	// are those that a stored queue would show.
	Outcome    state.Outcome
	Reason     string
	Kind, Code string
	// Missing is what a waiting message waits for.
	Missing *state.Missing
	// Event is the event with all that the flow computes of it: key, version, operation, hub id, origin.
	Event event.Event
	// Delivery is the delivery id by which intake would recognise a repeated webhook; empty where the flow computes none.
	Delivery string
	// Document is the target document; nil where the message did not come so far, or for a delete without one.
	Document []byte
	// Write is the call to the target system: for an update, its Doc has only the fields that the flow owns. nil for a flow to
	// a topic, and where nothing would be written.
	Write *connector.Write
}

// Matcher is a Lookup that also finds the object to which an external id belongs, as the hub does with an object that
// it has created itself.
type Matcher interface {
	ByExternal(ctx context.Context, entity, external string) (hub string, ok bool, err error)
}

// Rehearse decides an event as the flow would, by the engine's own stages, without a store, a broker or a system. Nothing is
// remembered: there are no versions to compare with, no known states and no open intents. What the hub knows of objects is what
// lookup answers; it may be a Matcher. For a flow from a system, the key and, where headers are given, the delivery id are
// evaluated as intake does; an event that was refused keeps the id that it has. An error means that lookup failed or ctx has ended.
func Rehearse(ctx context.Context, plan *config.Plan, f *config.Flow, ev event.Event, headers map[string]string, lookup mapping.Lookup) (Rehearsal, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &Runner{flow: f, log: slog.New(slog.DiscardHandler)}
	r.Deps = Deps{Plan: plan, Store: recollection{lookup: lookup, failed: cancel}, Clock: lifecycle.Real(), Log: r.log}
	if f.To.System != "" {
		s, ok := plan.Systems[f.To.System]
		if !ok {
			return Rehearsal{}, fmt.Errorf("flow %s: system %q is not there", f.Name, f.To.System)
		}
		r.target, r.reads = &System{System: s}, findInbound(plan, f)
	}
	out := Rehearsal{Event: ev}
	fate, err := r.rehearse(ctx, &out, headers)
	if err != nil {
		return Rehearsal{}, err
	}
	out.Outcome, out.Reason, out.Kind, out.Code, out.Missing = fate.outcome, fate.reason, fate.kind, fate.code, fate.missing
	return out, nil
}

func (r *Runner) rehearse(ctx context.Context, out *Rehearsal, headers map[string]string) (fate, error) {
	ev := &out.Event
	if f, done, err := r.taken(ctx, out, headers); done || err != nil {
		return f, err
	}
	var scratch []byte
	a := &attempt{lane: ev.Lane(), scratch: &scratch}
	defer a.dispose()
	s, f, done, err := r.examine(ctx, ev, a)
	out.Document = s.out
	if done || err != nil {
		return f, err
	}
	if r.target == nil {
		return r.forward(ev, s, a), nil
	}
	d := r.newDelivery(ev, s, a)
	if f, done, err := d.identify(ctx); done || err != nil {
		return f, err
	}
	if f, done, err := d.prepare(ctx); done || err != nil {
		return f, err
	}
	out.Write = &d.write
	return delivered(), nil
}

// taken does what intake does before an event is on the flow's topic: it evaluates the delivery id and the business key.
func (r *Runner) taken(ctx context.Context, out *Rehearsal, headers map[string]string) (fate, bool, error) {
	ev, from := &out.Event, &r.flow.From
	if from.System == "" || len(ev.Data) == 0 {
		return fate{}, false, nil
	}
	in := mapping.Input{Doc: jsondoc.Get(), Event: ev, Headers: headers, Lookup: lookup{r}}
	defer jsondoc.Put(in.Doc)
	if err := in.Doc.Reset(ev.Data, documentLimits); err != nil {
		return parked("malformed", "json", err.Error()), true, nil
	}
	var err error
	if w := from.Webhook; w != nil && w.DeliveryID != nil && len(headers) > 0 && ev.Refused == nil {
		if out.Delivery, err = w.DeliveryID.String(ctx, &in); err != nil {
			return r.refuse(ctx, "delivery-id", err)
		}
		if out.Delivery != "" {
			ev.ID = out.Delivery
		}
	}
	if r.flow.Key == nil {
		return fate{}, false, nil
	}
	switch ev.Key, err = r.flow.Key.String(ctx, &in); {
	case err != nil && ctx.Err() != nil:
		return fate{}, true, context.Cause(ctx)
	case err != nil: // whatever it is, it is refused: there is no lane yet in which the message could wait
		return parked("mapping", event.RefusedKey, err.Error()), true, nil
	case ev.Key == "":
		return parked("mapping", event.RefusedKey, "the key is empty"), true, nil
	}
	return fate{}, false, nil
}

// recollection is the store of a rehearsal: it knows what the lookup answers and nothing else. The methods of Store that it
// does not define belong to the work around a decision, which a rehearsal does not do.
type recollection struct {
	Store
	lookup mapping.Lookup
	// failed ends the rehearsal: the engine would ask a store again until it answers.
	failed context.CancelCauseFunc
}

// Shared is false: nobody else hears of a rehearsal.
func (s recollection) Shared() bool { return false }

func (s recollection) note(err error) error {
	if err != nil {
		s.failed(err)
	}
	return err
}

func (s recollection) HubID(ctx context.Context, entity, system, local string) (string, bool, error) {
	hub, ok, err := s.lookup.HubID(ctx, entity, system, local)
	return hub, ok, s.note(err)
}

func (s recollection) LocalID(ctx context.Context, entity, system, hub string) (string, bool, error) {
	local, ok, err := s.lookup.LocalID(ctx, entity, system, hub)
	return local, ok, s.note(err)
}

// Resolve finds, matches or mints as the store does; what it mints is not kept.
func (s recollection) Resolve(ctx context.Context, entity, system, local, external, _ string) (string, state.Resolution, error) {
	hub, ok, err := s.HubID(ctx, entity, system, local)
	if err != nil || ok {
		return hub, state.Found, err
	}
	if m, can := s.lookup.(Matcher); can && external != "" && external != state.NoExternal {
		hub, ok, err := m.ByExternal(ctx, entity, external)
		if err != nil || ok {
			return hub, state.Matched, s.note(err)
		}
	}
	return state.MintHub(entity, system, local), state.Minted, nil
}

// Target knows the object's id in the system and nothing of what was applied there.
func (s recollection) Target(ctx context.Context, entity, hub, system, _ string) (state.Target, error) {
	t := state.Target{External: state.ExternalID(entity, hub)}
	local, ok, err := s.LocalID(ctx, entity, system, hub)
	if ok {
		t.Ref = &state.Ref{Entity: entity, Hub: hub, System: system, Local: local}
	}
	return t, err
}
