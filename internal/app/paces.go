package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// paceTick is how often replays at a rate go on, and looked for where there are none.
const paceTick = time.Second

// startPaces carries out replays at their rates, where no other hub on the same store does.
func (h *Hub) startPaces(context.Context) error {
	return h.beside("paced replays", func(ctx context.Context) {
		for ctx.Err() == nil {
			if open, err := h.store.Paces(ctx, true); err == nil && len(open) > 0 { // a store that does not answer is told of elsewhere
				r := lease.Runner{Store: h.store, Clock: h.clock, Log: h.log, Name: store.PaceLease, Holder: h.holder(), TTL: h.leaseTTL()}
				if _, err := r.Once(ctx, h.pace); err != nil && ctx.Err() == nil {
					h.log.Warn("replays at a rate do not go on at this moment; it is tried again", "error", err)
				}
			}
			if lifecycle.Sleep(ctx, h.clock, paceTick) != nil {
				return
			}
		}
	})
}

// pace marks of each replay what its rate allows, until none goes on. What was allowed while no hub was running is not made up for.
func (h *Hub) pace(ctx context.Context, held *lease.Held) error {
	budgets := map[int64]*budget{}
	last := h.clock.Elapsed()
	for ctx.Err() == nil {
		if err := lifecycle.Sleep(ctx, h.clock, paceTick); err != nil {
			return nil // it ends with the hub
		}
		open, err := h.store.Paces(ctx, true)
		if err != nil || len(open) == 0 {
			return err
		}
		now := h.clock.Elapsed()
		for i := range open {
			p := &open[i]
			act := p.Bulk.From.Act
			if budgets[act] == nil {
				rate, err := strictyaml.ParseRate(p.Rate)
				if err != nil {
					return err // it was written by this program
				}
				budgets[act] = &budget{rate: rate}
			}
			if p.Bulk.Most = budgets[act].grant(now - last); p.Bulk.Most == 0 {
				continue
			}
			step, err := h.store.PaceStep(ctx, held.Lease(), p.Bulk)
			if step.Marked > 0 {
				h.marked()
			}
			if err != nil && !errors.Is(err, state.ErrNotFound) { // a person has stopped it
				return err
			}
		}
		last = now
	}
	return nil
}

// budget is what a rate allows.
type budget struct {
	rate strictyaml.Rate
	due  float64
}

// grant is how many are allowed after that much time more; never more at once than those of a few ticks, whatever the clock does.
func (b *budget) grant(passed time.Duration) int {
	b.due += b.rate.PerSecond() * passed.Seconds()
	b.due = min(b.due, max(1, b.rate.PerSecond()*5*paceTick.Seconds()))
	n := int(b.due)
	b.due -= float64(n)
	return n
}

// slowestPace and fastestPace bound a rate, in messages a second: a slower one would not end, and beyond the faster one a replay without a rate is as good.
const (
	slowestPace = 1.0 / 3600
	fastestPace = 10_000.0
)

func paceRate(text string) (strictyaml.Rate, error) {
	r, err := strictyaml.ParseRate(text)
	if err != nil {
		return r, &api.Invalid{Detail: err.Error() + ": write it like 5/s, 100/m or 1000/h"}
	}
	if s := r.PerSecond(); s < slowestPace || s > fastestPace {
		return r, &api.Invalid{Detail: fmt.Sprintf("%q: a replay goes on at 1/h at least and 10000/s at most", text)}
	}
	return r, nil
}

// PaceSeconds is how long so many messages take at a rate.
func (h *Hub) PaceSeconds(rate string, n int64) (float64, error) {
	r, err := paceRate(rate)
	if err != nil {
		return 0, err
	}
	return float64(n) / r.PerSecond(), nil
}

// BeginPace begins a replay at a rate, which a hub of this store carries out, also after a restart.
func (h *Hub) BeginPace(ctx context.Context, b state.Bulk, rate string) (state.Pace, error) {
	r, err := paceRate(rate)
	if err != nil {
		return state.Pace{}, err
	}
	return h.store.BeginPace(ctx, state.Pace{Bulk: b, Rate: r.String()})
}

// Paces are the replays at a rate, the newest first.
func (h *Hub) Paces(ctx context.Context) ([]state.Pace, error) { return h.store.Paces(ctx, false) }

// StopPace ends one.
func (h *Hub) StopPace(ctx context.Context, act int64, who string) error {
	return h.store.StopPace(ctx, act, who)
}
