package flow

import (
	"context"
	"errors"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/state"
)

// Assigned opens a partition for this hub: it takes the fencing token, learns the stored position and the queued lanes.
// It is the bus's Positions, which asks again where the store does not answer, or nobody knows whether it has done what it was asked: a
// partition that is taken twice has one owner all the same. Only a broker that is another one stops the flow.
func (r *Runner) Assigned(ctx context.Context, _, topic string, number int, log event.Log) (int64, event.Position, bool, error) {
	asked := r.Clock.Elapsed()
	sp, err := r.Store.OpenPartition(ctx, r.flow.Name, topic, number, log)
	if err != nil {
		if errors.Is(err, state.ErrBroker) {
			r.RaiseAlarm("broker", err)
			return 0, event.Position{}, false, err
		}
		return 0, event.Position{}, false, fault.Wrap(fault.Unavailable, "take a partition", err)
	}
	lanes, err := r.Store.QueuedLanes(ctx, r.flow.Name, topic, number)
	if err == nil {
		err = r.recall(ctx, topic, number)
	}
	if err != nil {
		return 0, event.Position{}, false, fault.Wrap(fault.Unavailable, "take a partition", err)
	}
	p := newPartition(topic, number, &sp, r.Lanes, lanes)
	p.Taken = r.Clock.Elapsed()
	if r.target != nil {
		p.backs = r.target.Breaker.Backs()
	}
	p.Confirm(asked)
	r.mu.Lock()
	if r.stopping {
		r.mu.Unlock()
		p.stop()
		return 0, event.Position{}, false, fault.Wrap(fault.Unavailable, "take a partition", deliver.ErrStopping)
	}
	old := r.parts[partKey{topic, number}]
	r.parts[partKey{topic, number}] = p
	r.wg.Add(1)
	r.mu.Unlock()
	if old != nil {
		old.stop()
	}
	go func() { defer r.wg.Done(); r.drainLoop(p) }()
	return sp.Epoch, sp.Position, true, nil
}

// recall learns what earlier owners have left: calls whose outcome nobody has stored, and messages that rest until a time by their
// clocks. None of these rests for longer than this flow ever lets one rest.
func (r *Runner) recall(ctx context.Context, topic string, number int) error {
	if r.target == nil {
		return nil
	}
	open, err := r.Store.Intents(ctx, r.flow.Name)
	if err != nil {
		return err
	}
	for _, in := range open {
		if in.Topic == "" || in.Topic == topic && in.Partition == number { // without a place: of an earlier version of the hub
			r.openIntents.Add(in)
		}
	}
	longest := max(r.flow.Retry.Max, r.target.Bound()+r.target.VisibleAfter)
	return r.Store.PullForward(ctx, r.flow.Name, topic, number, r.steady().Add(longest))
}

// Gap passes offsets that hold no record.
func (r *Runner) Gap(ctx context.Context, _, topic string, number int, epoch int64, gap event.Range) error {
	return r.Store.Commit(ctx, &state.Commit{Flow: r.flow.Name, Topic: topic, Partition: number, Epoch: epoch, Gaps: []event.Range{gap}})
}

// Revoked gives a partition up: its drains end; the store refuses what its epoch still sends.
func (r *Runner) Revoked(_, topic string, number int) {
	r.mu.Lock()
	p := r.parts[partKey{topic, number}]
	delete(r.parts, partKey{topic, number})
	for _, other := range r.parts {
		other.kick() // one of them looks for marks from now on
	}
	r.mu.Unlock()
	if p != nil {
		p.stop()
	}
}
