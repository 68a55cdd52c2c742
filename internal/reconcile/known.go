package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// known is what the hub knows of a pair.
type known struct {
	facts
	left, right *state.Ref
	// key is the one under which the newest event of the object was decided.
	key   string
	event string
	at    time.Time
	text  string
}

// knowledge asks the hub what it knows of an object: also under its business keys, because what was stopped before anybody knew which object it is has no
// hub id.
func (r *Run) knowledge(ctx context.Context, p *pair) (*known, error) {
	mine := p.hub()
	var keys []string
	for _, e := range p.all() {
		if e.key != "" && len(keys) < 2 {
			keys = append(keys, e.key)
		}
	}
	t, err := r.c.Store.Standing(ctx, r.rec.Entity, mine, keys...)
	if err != nil {
		return nil, fmt.Errorf("read what is known of %s: %w", p.key[1:], err)
	}
	out := &known{}
	for i := range t.Refs {
		switch ref := &t.Refs[i]; ref.System {
		case r.rec.Left.System:
			out.left = ref
		case r.rec.Right.System:
			out.right = ref
		}
	}
	ours := func(flow, entity, hub string) bool {
		return (entity == "" || entity == r.rec.Entity) && (hub == mine || hub == "") && r.carries(flow)
	}
	out.queue(t.Queued, ours)
	out.fate(t.Journal, ours)
	return out, nil
}

// queue takes note of the messages of the object that rest in stored queues: one that waits for a person says most.
func (k *known) queue(all []state.Queued, ours func(flow, entity, hub string) bool) {
	rank := map[state.Outcome]int{state.Parked: 3, state.Waiting: 2, state.Held: 1}
	for i := range all {
		q := &all[i]
		if !ours(q.Flow, q.Event.Entity, q.Event.Hub) || rank[q.State] <= rank[k.queued] {
			continue
		}
		k.queued, k.queuedID = q.State, q.ID
		k.text = fmt.Sprintf("%s: %s", q.Flow, q.Reason)
	}
}

// fate takes note of what became of the last event of the object.
func (k *known) fate(all []state.Journal, ours func(flow, entity, hub string) bool) {
	for i := range all { // newest first
		j := &all[i]
		if !ours(j.Flow, j.Entity, j.Hub) {
			continue
		}
		if k.key == "" && j.Hub != "" {
			k.key = j.Key
		}
		again := j.Outcome == state.Skipped && j.Reason != state.Filtered // it says what was known before: the fate of that counts
		if again && k.event != "" {
			continue
		}
		k.event, k.at, k.outcome, k.reason = j.EventID, j.Time, j.Outcome, j.Reason
		if again {
			continue
		}
		if k.text == "" && j.Outcome != state.Delivered {
			k.text = fmt.Sprintf("%s: %s %s", j.Flow, j.Outcome, j.Reason)
		}
		return
	}
}

// carries reports whether a flow is on the way between the two systems, or was before the files changed: what another flow stops says nothing of these two.
func (r *Run) carries(flow string) bool {
	f := r.c.Plan.Flow(flow)
	return f == nil || r.on[flow]
}
