package rules

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/state"
)

// Hub is what the hub knows of messages.
type Hub interface {
	// Trace gives all that is remembered of an object, by its hub id or its id in a system.
	Trace(ctx context.Context, key string) (state.Trace, error)
	// Late gives, of these flows, those that have not decided all that had come in when the run began.
	Late(ctx context.Context, flows []string) (map[string]Lateness, error)
}

// Lateness is how late a flow is. Stands: nothing moves until a person acts.
type Lateness struct {
	Why    string
	Stands bool
}

// mostTraced is how many of the objects that a violation is about are looked up.
const mostTraced = 10

// knowledge explains violations by messages of the rule's objects that are on their way between the rule's systems.
type knowledge struct {
	hub Hub
	// flows are those that carry objects of the rule to one of its systems, and those that feed them.
	flows map[string]bool
	late  map[string]Lateness // nil: not asked yet
}

// NewKnowledge is what the hub knows for a run of a rule that has just begun.
func NewKnowledge(hub Hub, plan *config.Plan, rule *config.Rule) Knowledge {
	systems, entities := map[string]bool{rule.Over.System: true}, map[string]bool{rule.Entity: true}
	for i := range rule.With {
		systems[rule.With[i].System], entities[rule.With[i].Entity] = true, true
	}
	k := &knowledge{hub: hub, flows: map[string]bool{}}
	topics := map[string]bool{}
	take := func(f *config.Flow) bool {
		if k.flows[f.Name] || !(systems[f.To.System] && entities[f.Entity] || f.To.Topic != "" && topics[f.To.Topic]) {
			return false
		}
		k.flows[f.Name] = true
		topics[f.From.Topic] = true
		return true
	}
	for again := true; again; {
		again = false
		for _, f := range plan.Flows {
			again = take(f) || again
		}
	}
	return k
}

// Explain looks first at the objects themselves, and then at the flows between the systems.
func (k *knowledge) Explain(ctx context.Context, objects []Object) (Explanation, error) {
	for _, o := range objects[:min(len(objects), mostTraced)] {
		e, err := k.object(ctx, o)
		if err != nil || e.Reason != "" {
			return e, err
		}
	}
	if k.late == nil {
		late, err := k.hub.Late(ctx, slices.Sorted(maps.Keys(k.flows)))
		if err != nil {
			return Explanation{}, fmt.Errorf("look whether the flows have come so far: %w", err)
		}
		k.late = late
		if late == nil {
			k.late = map[string]Lateness{}
		}
	}
	names := slices.Sorted(maps.Keys(k.late))
	if len(names) == 0 {
		return Explanation{}, nil
	}
	l := k.late[names[0]]
	e := Explanation{Reason: state.ExplainedInFlight, Text: "the flow " + names[0] + " has not decided what had come in: " + l.Why}
	if l.Stands {
		e.Reason = state.ExplainedStands
	}
	return e, nil
}

// object looks for messages of one object that are not delivered.
func (k *knowledge) object(ctx context.Context, o Object) (Explanation, error) {
	key := o.Hub
	if key == "" {
		key = o.Local
	}
	t, err := k.hub.Trace(ctx, key)
	if err != nil {
		return Explanation{}, fmt.Errorf("read what is known of %s: %w", key, err)
	}
	hubs := map[string]bool{o.Hub: o.Hub != ""}
	for i := range t.Objects {
		x := &t.Objects[i]
		for j := range x.Refs {
			if x.Entity == o.Entity && x.Refs[j].System == o.System && x.Refs[j].Local == o.Local {
				hubs[x.Hub] = true
			}
		}
	}
	reasons := map[state.Outcome]string{state.Parked: state.ExplainedParked, state.Waiting: state.ExplainedWaiting, state.Held: state.ExplainedInFlight}
	for i := range t.Queued {
		q := &t.Queued[i]
		if reason := reasons[q.State]; reason != "" && k.flows[q.Flow] && q.Event.Entity == o.Entity && hubs[q.Event.Hub] {
			return Explanation{Reason: reason, Event: q.Event.ID, EventTime: q.Event.Time, Outcome: string(q.State), Parked: q.ID, Text: q.Flow + ": " + q.Reason}, nil
		}
	}
	for i := range t.Inbox {
		if in := &t.Inbox[i]; !in.Published && k.flows[in.Flow] {
			return Explanation{Reason: state.ExplainedInFlight, Text: "an event of it is accepted for the flow " + in.Flow}, nil
		}
	}
	return Explanation{}, nil
}
