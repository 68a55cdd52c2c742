package relay

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/state"
)

// GroupStore tells a Group where there is something to carry.
type GroupStore interface {
	// WithUnpublished gives those of the flows that have inbox rows which are not on their topic yet.
	WithUnpublished(ctx context.Context, flows []string) ([]string, error)
}

// Group carries the inboxes of flows that have seldom something in them, such as those that read a topic: one lease and one question to the store
// serve them all, so that a flow more costs nothing while nothing is submitted to it. A topic that takes nothing holds up nobody else.
type Group struct {
	store  GroupStore
	clock  lifecycle.Clock
	flows  []string
	relays map[string]*Relay
	wake   chan struct{} // of capacity one: something was accepted, or a relay has come to its end
	// failures is what the log is told of what is tried again.
	failures *notice.Limiter
}

// NewGroup makes a group of relays, whose sources name the flows.
func NewGroup(store GroupStore, clock lifecycle.Clock, log *slog.Logger, relays []*Relay) *Group {
	g := &Group{store: store, clock: clock, failures: notice.NewLimiter(clock, log), relays: map[string]*Relay{}, wake: make(chan struct{}, 1)}
	for _, r := range relays {
		g.flows, g.relays[r.src.Flow] = append(g.flows, r.src.Flow), r
	}
	return g
}

// Has reports whether the flow's inbox is carried by the group.
func (g *Group) Has(flow string) bool { return g.relays[flow] != nil }

// Flows are those whose inboxes are carried.
func (g *Group) Flows() []string { return g.flows }

// Len is how many they are.
func (g *Group) Len() int { return len(g.flows) }

// Wake tells the group that there is something for it. Without it, the group finds out within a second.
func (g *Group) Wake() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, under a lease. It waits for all that is under way.
func (g *Group) Run(ctx context.Context, held *lease.Held) error {
	carrying := lifecycle.NewBackground(ctx)
	ctx = carrying.Context()
	at := &busy{flows: map[string]bool{}}
	for {
		open, err := g.store.WithUnpublished(ctx, g.flows)
		if err != nil && ctx.Err() == nil {
			g.failures.Warn("cannot ask which flows have something to carry; trying again", err)
		}
		for _, flow := range open {
			if at.begin(flow) {
				carrying.Go(func(ctx context.Context) error { return g.carry(ctx, held, at, flow) })
			}
		}
		if err := lifecycle.Wait(ctx, g.clock, pollEvery, g.wake); err != nil {
			_ = carrying.Wait() // what one of them failed of is why ctx has ended
			return err
		}
	}
}

// carry empties one flow's inbox. A relay tries again by itself what another try can mend: any other end of it is the end of the work under this
// lease, but for a topic that is not what the hub takes it for, which a person sees to.
func (g *Group) carry(ctx context.Context, held *lease.Held, at *busy, flow string) error {
	err := g.relays[flow].drain(ctx, held)
	at.over(flow)
	switch {
	case err == nil:
		g.Wake() // something may have come in just when nothing more was found
	case !errors.Is(err, state.ErrBroker) && !errors.Is(err, errLeftOver):
		return err
	}
	return nil
}

// busy are the flows whose relays are at work.
type busy struct {
	mu    sync.Mutex
	flows map[string]bool
}

func (b *busy) begin(flow string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.flows[flow]
	b.flows[flow] = true
	return !was
}

func (b *busy) over(flow string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.flows, flow)
}
