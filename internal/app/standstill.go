package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/flow"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// alarmFlow lets a flow stand still, or not, as its topics' logs want it.
func (h *Hub) alarmFlow(r *running) (still bool) {
	why := h.logs.Why(r.Flow().Name)
	if why == "" {
		return false
	}
	if a := r.Alarmed(); a == nil {
		r.RaiseAlarm(brokerAlarm, fmt.Errorf("%w: %s", state.ErrBroker, why))
	}
	return true
}

// brokerAlarm is the name of alarms that end by themselves when the broker holds again what the store remembers.
const brokerAlarm = "broker"

// settleFlows lets flows stand still whose topics' logs do not fit, and go on those whose logs fit again: because a person has
// recovered, maybe at another hub, or because the right broker is back.
func (h *Hub) settleFlows(ctx context.Context) {
	for _, r := range h.flows() {
		name := r.Flow().Name
		if h.alarmFlow(r) {
			h.logs.Unreadable(name, r.Flow().Topic())
			continue
		}
		a := r.Alarmed()
		if a == nil || a.What != brokerAlarm || !errors.Is(a.Err, state.ErrBroker) && !errors.Is(a.Err, bus.ErrPosition) {
			continue
		}
		ended := h.logs.TakeEnded(name) || errors.Is(a.Err, bus.ErrPosition)
		h.pausing.Lock()
		if h.paused[name] {
			r.ClearAlarm()
		} else {
			r.Resume()
		}
		h.pausing.Unlock()
		h.log.Info("the flow goes on: the broker holds what the hub remembers", "flow", name)
		if !ended {
			continue
		}
		if err := h.revive(ctx, name); err != nil && ctx.Err() == nil {
			r.RaiseAlarm(brokerAlarm, err)
			h.log.Error("a flow that could go on cannot read", "flow", name, "error", err)
		}
	}
}

// broken is the alarm of a subscription: the flow reads no more.
func (h *Hub) broken(r *flow.Runner, err error) {
	h.logs.Ended(r.Flow().Name) // before the alarm, so that whoever ends that one knows of it
	r.RaiseAlarm(brokerAlarm, err)
	h.logs.LookSoon()
}

// foreign records that a topic which flows write to has other writers too.
func (h *Hub) foreign(topic string) {
	h.errands.Go(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second) // a hub that stops waits for it
		defer cancel()
		if err := lifecycle.Guard(func() error { return h.store.NoteForeign(ctx, topic) }); err != nil {
			h.log.Debug("cannot note that others write to a topic", "topic", topic, "error", err)
		}
		return nil
	})
}
