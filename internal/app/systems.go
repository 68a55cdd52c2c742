package app

import (
	"context"
	"errors"
	"fmt"
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
