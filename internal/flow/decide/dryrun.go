package decide

import (
	"context"
	"math"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/state"
)

// Decision is what a flow would do with one event.
type Decision struct {
	// Its Outcome is Delivered, Skipped, Parked or Waiting.
	Verdict
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

// DryRun decides an event as the flow would, without a store, a broker or a system. Nothing is
// remembered: there are no versions to compare with, no known states and no open intents. What the hub knows of objects is what
// lookup answers; it may be a Matcher. For a flow from a system, the key and, where headers are given, the delivery id are
// evaluated as intake does; an event that was refused keeps the id that it has. now is the time that versions are held against. An error means
// that lookup failed or ctx has ended.
func DryRun(ctx context.Context, plan *config.Plan, f *config.Flow, ev event.Event, headers map[string]string, lookup mapping.Lookup, now time.Time) (Decision, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := Decision{Event: ev}
	var scratch []byte
	m := &Message{Flow: f, Event: &out.Event, Lookup: answers{lookup, cancel}, Scratch: &scratch}
	defer m.Dispose()
	v, err := out.decide(ctx, plan, m, headers, now)
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return Decision{}, err
	}
	out.Verdict = *v
	return out, nil
}

func (out *Decision) decide(ctx context.Context, plan *config.Plan, m *Message, headers map[string]string, now time.Time) (v *Verdict, err error) {
	if out.Delivery, v, err = m.Arrive(ctx, headers); v != nil || err != nil {
		return v, err
	}
	if v, err = m.Read(ctx); v != nil || err != nil {
		return v, err
	}
	if m.Flow.From.System != "" {
		if v, err = m.source(ctx, now); v != nil || err != nil {
			return v, err
		}
	}
	v, err = m.Map(ctx)
	out.Document = m.Out
	if v != nil || err != nil {
		return v, err
	}
	if m.Flow.To.System == "" {
		return m.Forward(m.Event.Lane(), math.MaxInt), nil
	}
	return out.write(ctx, plan, m, now)
}

// source finds the object of the source, and what is known of it.
func (m *Message) source(ctx context.Context, now time.Time) (*Verdict, error) {
	system := m.Flow.From.System
	hub, err := m.resolve(ctx, system, m.Local, m.External)
	if err != nil {
		return nil, err
	}
	m.Event.Hub = hub
	known, err := m.target(ctx, system)
	if err != nil {
		return nil, err
	}
	return m.Received(&known, now), nil
}

// write plans the call to the flow's target.
func (out *Decision) write(ctx context.Context, plan *config.Plan, m *Message, now time.Time) (*Verdict, error) {
	t := &Target{Message: m, System: m.Flow.To.System, Reads: FindInbound(plan, m.Flow), Now: now}
	if v := t.Named(); v != nil {
		return v, nil
	}
	if m.Event.Hub == "" {
		hub, err := m.resolve(ctx, t.Place(), m.Event.Key, "")
		if err != nil {
			return nil, err
		}
		m.Event.Hub = hub
	}
	var err error
	if t.Known, err = m.target(ctx, t.System); err != nil {
		return nil, err
	}
	if v, err := t.Guard(ctx); v != nil || err != nil {
		return v, err
	}
	w, v := t.Plan()
	if v != nil {
		return v, nil
	}
	out.Write = &w
	return &Verdict{Outcome: state.Delivered}, nil
}

// resolve finds, matches or mints the hub id as the store does; what it mints is not kept.
func (m *Message) resolve(ctx context.Context, system, local, external string) (string, error) {
	hub, ok, err := m.Lookup.HubID(ctx, m.Event.Entity, system, local)
	if err != nil || ok {
		return hub, err
	}
	if external != "" && external != state.NoExternal {
		if hub, ok, err := m.Lookup.(answers).ByExternal(ctx, m.Event.Entity, external); err != nil || ok {
			return hub, err
		}
	}
	return state.MintHub(m.Event.Entity, system, local), nil
}

// target knows the object's id in a system and nothing of what was applied there.
func (m *Message) target(ctx context.Context, system string) (state.Target, error) {
	entity, hub := m.Event.Entity, m.Event.Hub
	t := state.Target{External: state.ExternalID(entity, hub)}
	local, ok, err := m.Lookup.LocalID(ctx, entity, system, hub)
	if ok {
		t.Ref = &state.Ref{Entity: entity, Hub: hub, System: system, Local: local}
	}
	return t, err
}

// answers is a look-up whose failure ends the dry run: the engine would ask its store again until it answers.
type answers struct {
	mapping.Lookup
	failed context.CancelCauseFunc
}

func (a answers) note(err error) error {
	if err != nil {
		a.failed(err)
	}
	return err
}

func (a answers) HubID(ctx context.Context, entity, system, local string) (string, bool, error) {
	hub, ok, err := a.Lookup.HubID(ctx, entity, system, local)
	return hub, ok, a.note(err)
}

func (a answers) LocalID(ctx context.Context, entity, system, hub string) (string, bool, error) {
	local, ok, err := a.Lookup.LocalID(ctx, entity, system, hub)
	return local, ok, a.note(err)
}

func (a answers) ByExternal(ctx context.Context, entity, external string) (string, bool, error) {
	m, can := a.Lookup.(Matcher)
	if !can {
		return "", false, nil
	}
	hub, ok, err := m.ByExternal(ctx, entity, external)
	return hub, ok, a.note(err)
}
