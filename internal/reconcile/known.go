package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// known is what the hub knows of a pair.
type known struct {
	facts
	left, right *state.Ref
	event       string
	at          time.Time
	text        string
}

// knowledge asks the hub what it knows of an object.
func (r *Run) knowledge(ctx context.Context, p *pair) (*known, error) {
	out := &known{}
	name := p.hub()
	for _, e := range []*entry{p.left, p.right} {
		if name == "" && e != nil {
			name = cmp.Or(e.local, e.own)
		}
	}
	t, err := r.c.Store.Trace(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read what is known of %s: %w", name, err)
	}
	mine := p.hub()
	for i := range t.Objects {
		o := &t.Objects[i]
		if o.Entity != r.rec.Entity || mine != "" && o.Hub != mine {
			continue
		}
		for j := range o.Refs {
			ref := &o.Refs[j]
			if mine == "" && !(p.left != nil && ref.System == r.rec.Left.System && ref.Local == p.left.local || p.right != nil && ref.System == r.rec.Right.System && ref.Local == p.right.local) {
				continue
			}
			switch ref.System {
			case r.rec.Left.System:
				out.left = ref
			case r.rec.Right.System:
				out.right = ref
			}
		}
	}
	ours := func(entity, hub, key string) bool {
		if entity != "" && entity != r.rec.Entity {
			return false
		}
		if mine != "" && hub != "" {
			return hub == mine
		}
		return key != "" && (p.left != nil && key == p.left.key || p.right != nil && key == p.right.key)
	}
	out.queue(&t, ours)
	for i := range t.Inbox {
		in := &t.Inbox[i]
		if !in.Published && r.flowOf(in.Flow) {
			out.coming = true
		}
	}
	for i := range t.Journal { // newest first
		j := &t.Journal[i]
		if !ours(j.Entity, j.Hub, j.Key) {
			continue
		}
		out.event, out.at, out.outcome, out.reason = j.EventID, j.Time, j.Outcome, j.Reason
		if out.text == "" && j.Outcome != state.Delivered {
			out.text = fmt.Sprintf("%s: %s %s", j.Flow, j.Outcome, j.Reason)
		}
		break
	}
	return out, nil
}

// queue takes note of the messages of the object that rest in stored queues: one that waits for a person says most.
func (k *known) queue(t *state.Trace, ours func(entity, hub, key string) bool) {
	rank := map[state.Outcome]int{state.Parked: 3, state.Waiting: 2, state.Held: 1}
	for i := range t.Queued {
		q := &t.Queued[i]
		if !ours(q.Event.Entity, q.Event.Hub, q.Event.Key) || rank[q.State] <= rank[k.queued] {
			continue
		}
		k.queued, k.queuedID = q.State, q.ID
		k.text = fmt.Sprintf("%s: %s", q.Flow, q.Reason)
	}
}

func (r *Run) flowOf(name string) bool {
	for _, f := range r.flows {
		if f == name {
			return true
		}
	}
	return false
}
