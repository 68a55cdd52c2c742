package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/flow/breaker"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// system is an open system with the watch over its breakers: flows write to it through one, and its readers tell the other what they meet.
type system struct {
	*deliver.System
	reads *breaker.Breaker
	watch *lifecycle.Background
	took  callTimes
}

// callTimes is how long the newest calls to a system took.
type callTimes struct {
	mu   sync.Mutex
	n    int
	last [20]struct{ took, at time.Duration } // by the clock's Elapsed
}

// callsKept is for how long a call counts as one of late.
const callsKept = 5 * time.Minute

func (c *callTimes) note(took, now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := &c.last[c.n%len(c.last)]
	at.took, at.at = took, now
	c.n++
}

// lately is the average of the calls of late; 0 where there was none.
func (c *callTimes) lately(now time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sum, n time.Duration
	for i := range min(c.n, len(c.last)) {
		if now-c.last[i].at <= callsKept {
			sum += c.last[i].took
			n++
		}
	}
	return sum / max(n, 1)
}

// openSystems opens every system of the plan.
func (h *Hub) openSystems(ctx context.Context) error {
	err := h.stack.Push("systems", 20*time.Second, func(context.Context) error { return closeSystems(h.systems()) })
	if err != nil {
		return err
	}
	open := map[string]*system{}
	for name, s := range h.plan().Systems {
		o, err := h.openSystem(ctx, s)
		if err != nil {
			return errors.Join(err, closeSystems(open))
		}
		open[name] = o
	}
	h.run(&current{plan: h.plan(), loaded: h.clock.Now(), systems: open})
	return nil
}

// openSystem makes a system ready; nothing is asked of it yet.
func (h *Hub) openSystem(ctx context.Context, s *config.System) (*system, error) {
	kind, ok := h.kinds.Get(s.Kind)
	if !ok {
		return nil, fmt.Errorf("%s: system %s: connector %q is not there", s.Pos, s.Name, s.Kind)
	}
	settings := s.Settings
	settings.Log = h.log.With("system", s.Name)
	settings.Told = func(at time.Time, passed time.Duration) { h.told(s.Name, at, passed) }
	settings.Exchanges = exchanges{h.store}
	c, err := kind.Open(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("system %s: %w", s.Name, err)
	}
	watched := func(direction string) *breaker.Breaker {
		return breaker.New(s.Name, h.clock, h.log.With("direction", direction), c.Probe)
	}
	o := &system{System: &deliver.System{System: s, Connector: c, Breaker: watched("write")}, reads: watched("read"), watch: lifecycle.NewBackground(context.Background())}
	h.supervise(o.watch, "watching "+s.Name, o.Breaker.Watch)
	h.supervise(o.watch, "watching "+s.Name, o.reads.Watch)
	return o, nil
}

func (s *system) close() error {
	err := s.watch.Stop(context.Background(), nil) // a probe ends with its context
	if err = errors.Join(err, s.Connector.Close()); err != nil {
		return fmt.Errorf("close system %s: %w", s.Name, err)
	}
	return nil
}

// closeSystems closes systems side by side.
func closeSystems(systems map[string]*system) error {
	return lifecycle.SideBySide(sortedKeys(systems), func(name string) error { return systems[name].close() })
}
