package app

import (
	"context"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/status"
)

const (
	// askClock is how often the database is asked for the time.
	askClock = 10 * time.Second
	// clockKept is how long what was seen of a clock counts.
	clockKept = 10 * time.Minute
	// clockSure is how often in a row a clock must have been seen off: one answer may come out of a cache that does not say so.
	clockSure = 2
)

// clocks is what the hub has seen of other clocks: of the systems', in the Date of their answers; of the database's; and of whoever stamps records
// that the hub reads before they were written.
type clocks struct {
	mu   sync.Mutex
	seen map[string]*clockSeen
}

type clockSeen struct {
	status.ClockSeen
	at    time.Duration // by the clock's Elapsed
	times int           // how often in a row it was seen off
	said  bool          // that it is off, in the log
}

// note keeps how far another clock is ahead of the hub's, at least and at most. changed: it is off since now, or no more.
func (c *clocks) note(of string, from, to, elapsed time.Duration) (off, changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.seen[of]
	if s == nil {
		if c.seen == nil {
			c.seen = map[string]*clockSeen{}
		}
		s = &clockSeen{}
		c.seen[of] = s
	}
	s.ClockSeen, s.at = status.ClockSeen{Of: of, From: from, To: to}, elapsed
	if s.times++; !s.Off() {
		s.times = 0
	}
	off = s.times > 0 && (s.said || s.times >= clockSure)
	changed = off != s.said
	s.said = off
	return off, changed
}

// noteClock keeps it, and logs when a clock is off, and when it is right again.
func (h *Hub) noteClock(of string, from, to time.Duration) {
	switch off, changed := h.clocks.note(of, from, to, h.clock.Elapsed()); {
	case changed && off:
		h.log.Warn("the hub's clock and another one do not agree: set the one that is wrong", "clock", of, "ahead_of_the_hubs", from.Truncate(time.Second))
	case changed:
		h.log.Info("the hub's clock and the other one agree again", "clock", of)
	}
}

// told keeps what a clock has shown at some moment of the time that has just passed, to the second.
func (h *Hub) told(of string, at time.Time, passed time.Duration) {
	ahead := at.Sub(h.clock.Now())
	h.noteClock(of, ahead, ahead+passed+time.Second)
}

// facts are the clocks that were seen lately, by name; those of systems that the plan does not name any more are forgotten with time.
func (c *clocks) facts(elapsed time.Duration) (out status.ClockFacts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range sortedKeys(c.seen) {
		switch s := c.seen[of]; {
		case elapsed-s.at > clockKept:
			delete(c.seen, of)
		case s.times == 0 || s.times >= clockSure:
			out.Seen = append(out.Seen, s.ClockSeen)
		}
	}
	return out
}

// startClocks asks the database for the time as long as the hub runs, where it has a clock of its own.
func (h *Hub) startClocks(context.Context) error {
	if h.plan().Hub.Store.Postgres == nil {
		return nil
	}
	return h.beside("clocks", func(ctx context.Context) {
		for {
			h.askClock(ctx)
			if lifecycle.Sleep(ctx, h.clock, askClock) != nil {
				return
			}
		}
	})
}

func (h *Hub) askClock(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askClock)
	defer cancel()
	asked := h.clock.Elapsed()
	at, ok, err := h.store.TheirClock(ctx)
	if err != nil || !ok {
		return // a store that does not answer is told of elsewhere
	}
	h.told("the database", at, h.clock.Elapsed()-asked)
}
