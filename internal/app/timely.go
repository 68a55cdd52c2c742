package app

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// keepTimely is how often what was delivered in time is added to the store. A hub that is killed forgets that much of it; it is a figure of
// the service, not of the equation, which comes from the commits themselves.
const keepTimely = 5 * time.Second

// timely counts, by flow, what this hub has delivered since that was stored last, and what of it was late.
type timely struct {
	mu    sync.Mutex
	flows map[string]*deliveries
}

// deliveries are one flow's. Its lanes count side by side.
type deliveries struct {
	after           atomic.Int64 // slo.late-after
	delivered, late atomic.Int64
}

// count counts a delivery of that age.
func (d *deliveries) count(age time.Duration) {
	d.delivered.Add(1)
	if age > time.Duration(d.after.Load()) {
		d.late.Add(1)
	}
}

// of gives a flow's counts; from now on, older than after is late.
func (t *timely) of(flow string, after time.Duration) *deliveries {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.flows[flow]
	if d == nil {
		d = &deliveries{}
		if t.flows == nil {
			t.flows = map[string]*deliveries{}
		}
		t.flows[flow] = d
	}
	d.after.Store(int64(after))
	return d
}

// counted gives what is not stored yet.
func (t *timely) counted() (out []state.Timely) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for flow, d := range t.flows {
		late := d.late.Load() // first: every late one is delivered by then
		if n := (state.Timely{Flow: flow, Delivered: d.delivered.Load(), Late: late}); n.Delivered > 0 {
			out = append(out, n)
		}
	}
	return out
}

// stored takes away what is stored.
func (t *timely) stored(counts []state.Timely) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range counts {
		t.flows[c.Flow].delivered.Add(-c.Delivered)
		t.flows[c.Flow].late.Add(-c.Late)
	}
}

// startTimely stores what is counted as long as the hub runs, and what is left when the flows have ended.
func (h *Hub) startTimely(context.Context) error {
	// What is left is stored when the flows and what stores it now and then have ended: both were begun after this.
	if err := h.stack.Push("the rest of what was delivered in time", 5*time.Second, h.storeTimely); err != nil {
		return err
	}
	return h.beside("what was delivered in time", func(ctx context.Context) {
		for lifecycle.Sleep(ctx, h.clock, keepTimely) == nil {
			if err := h.storeTimely(ctx); err != nil && ctx.Err() == nil {
				h.log.Debug("what was delivered in time cannot be stored; trying again", "error", err)
			}
		}
	})
}

func (h *Hub) storeTimely(ctx context.Context) error {
	counts := h.timely.counted()
	if len(counts) == 0 {
		return nil
	}
	if err := h.store.AddTimely(ctx, h.clock.Now(), counts); err != nil {
		return err
	}
	h.timely.stored(counts)
	return nil
}

// timeliness is what each flow has delivered in time, on all hubs, with what this one has not stored yet; stored is what the store holds.
func (h *Hub) timeliness(stored map[string]state.Timeliness) map[string]state.Timeliness {
	all := make(map[string]state.Timeliness, len(stored))
	maps.Copy(all, stored)
	for _, c := range h.timely.counted() {
		t := all[c.Flow]
		t.Hour.Add(c)
		t.Day.Add(c)
		all[c.Flow] = t
	}
	return all
}

// Deliveries are what flows have delivered lately, step by step, with what this hub has not stored yet.
func (h *Hub) Deliveries(ctx context.Context, flow string, last time.Duration) (*api.Deliveries, error) {
	names := []string{flow}
	if flow == "" {
		names = nil
		for _, f := range h.plan().Flows {
			names = append(names, f.Name)
		}
	} else if h.plan().Flow(flow) == nil {
		return nil, h.unknownFlow(flow)
	}
	now := h.clock.Now()
	begin, step, steps, err := h.store.TimelySteps(ctx, flow, now.Add(-last), now)
	if err != nil {
		return nil, err
	}
	for _, c := range h.timely.counted() {
		steps = append(steps, state.TimelyStep{Timely: c, Begin: now})
	}
	return api.DeliveriesOf(names, begin, step, int(last/step)+1, steps), nil
}
