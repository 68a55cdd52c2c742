package plain

import (
	"context"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Throttle says when a comparison waits for the systems. A field that is 0 has its default.
type Throttle struct {
	// Off: it never waits.
	Off bool
	// Factor is how many times as long a small call may take as before the comparison began; default 5.
	Factor float64
	// Floor is how long a call may take in any case; default 20 ms.
	Floor time.Duration
	// Lag is how far a copy may be behind; default 10 s.
	Lag time.Duration
	// Every is how often the systems are asked; default 1 s.
	Every time.Duration
	// Rest, where not nil, is called after each piece of work, and waits as long as others need: beside their work pieces are small, and one system is
	// asked at a time.
	Rest func(ctx context.Context) error
	// Patience is how long it waits at once: then a little is read before it waits again, so that what others do to a system ends no comparison; default 30 s.
	Patience time.Duration
}

func (t Throttle) withDefaults() Throttle {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	if t.Factor == 0 {
		t.Factor = 5
	}
	set(&t.Floor, 20*time.Millisecond)
	set(&t.Lag, 10*time.Second)
	set(&t.Every, time.Second)
	set(&t.Patience, 30*time.Second)
	return t
}

// gate lets a comparison pass as long as both systems do well.
type gate struct {
	Throttle
	clock   lifecycle.Clock
	systems []*measured
	next    time.Duration
	told    time.Duration
	// beside: others are at work, because of whom it had to rest.
	beside bool
}

// measured is a system with the latency that it had before the comparison began.
type measured struct {
	name     string
	system   connector.PlainReader
	baseline time.Duration
}

func newGate(o Options, left, right connector.PlainReader) *gate {
	return &gate{Throttle: o.Throttle.withDefaults(), clock: o.Clock, systems: []*measured{{name: "left", system: left}, {name: "right", system: right}}, next: -1}
}

// baselines is how many calls the baseline is the shortest of: the first one connects.
const baselines = 3

func (g *gate) measure(ctx context.Context) error {
	for _, m := range g.systems {
		for range baselines {
			load, err := m.system.PlainLoad(ctx)
			if err != nil {
				return err
			}
			if m.baseline == 0 || load.Latency < m.baseline {
				m.baseline = load.Latency
			}
		}
	}
	return nil
}

// pass returns at once, or when the systems do well again, or after Patience. tell hears now and then.
func (g *gate) pass(ctx context.Context, tell func(waits string)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	now := g.clock.Elapsed()
	if now-g.told >= telling {
		g.told = now
		tell("")
	}
	if err := g.rest(ctx); err != nil {
		return err
	}
	if g.Off || now < g.next {
		return nil
	}
	if g.next < 0 {
		if err := g.measure(ctx); err != nil {
			return err
		}
	}
	for waited := time.Duration(0); waited < g.Patience; waited += g.Every {
		strain := g.strain(ctx)
		if strain == "" {
			break
		}
		tell(strain)
		if err := lifecycle.Sleep(ctx, g.clock, g.Every); err != nil {
			return err
		}
	}
	g.next = g.clock.Elapsed() + g.Every
	return nil
}

// least is what counts as a rest.
const least = time.Millisecond

func (g *gate) rest(ctx context.Context) error {
	if g.Rest == nil {
		return nil
	}
	begun := g.clock.Elapsed()
	err := g.Rest(ctx)
	g.beside = g.clock.Elapsed()-begun >= least
	return err
}

// strain says what a system suffers from; empty: nothing.
func (g *gate) strain(ctx context.Context) string {
	for _, m := range g.systems {
		load, err := m.system.PlainLoad(ctx)
		switch most := max(g.Floor, time.Duration(g.Factor*float64(m.baseline))); {
		case err != nil:
			return fmt.Sprintf("the %s side does not answer: %v", m.name, err)
		case load.Lag > g.Lag:
			return fmt.Sprintf("the %s side's copies lag by %v", m.name, load.Lag.Round(time.Millisecond))
		case load.Latency > most:
			return fmt.Sprintf("the %s side takes %v for a call, which took %v before", m.name, load.Latency.Round(100*time.Microsecond), m.baseline.Round(100*time.Microsecond))
		}
	}
	return ""
}
