package status

import (
	"fmt"
	"strings"
	"time"
)

// ClockTolerance is how far clocks may be apart. Signatures of webhooks are taken for minutes, stamps of polls overlap by minutes: what is below
// it harms nothing, and what is beyond it soon does.
const ClockTolerance = 30 * time.Second

// ClockFacts is what is known of the hub's clock: how it stands beside others.
type ClockFacts struct{ Seen []ClockSeen }

// ClockSeen is how far another clock is ahead of the hub's, negative where it is behind: at least From, at most To.
type ClockSeen struct {
	Of       string
	From, To time.Duration
}

// off is how far the clock is ahead or behind beyond doubt; 0 where it may agree.
func (c *ClockSeen) off() time.Duration {
	switch {
	case c.From > ClockTolerance:
		return c.From
	case c.To < -ClockTolerance:
		return c.To
	}
	return 0
}

// Off reports whether the clock is off beyond doubt.
func (c *ClockSeen) Off() bool { return c.off() != 0 }

// clockOff names the clocks that are off. Where several are known and all are off the same way, the hub's own is the one that is wrong.
func clockOff(h *HubFacts) (Verdict, bool) {
	var off []string
	ahead := 0
	for i := range h.Clock.Seen {
		c := &h.Clock.Seen[i]
		switch by := c.off(); {
		case by > 0:
			ahead++
			off = append(off, fmt.Sprintf("%s %s ahead of it", c.Of, by.Truncate(time.Second)))
		case by < 0:
			off = append(off, fmt.Sprintf("%s %s behind it", c.Of, -by.Truncate(time.Second)))
		}
	}
	if len(off) == 0 {
		return Verdict{}, false
	}
	why := "the hub's clock and others do not agree: "
	if n := len(h.Clock.Seen); n > 1 && len(off) == n && (ahead == 0 || ahead == n) {
		why = "the hub's clock is wrong, or all others are: "
	}
	return Verdict{Attention, why + strings.Join(off, "; ")}, true
}
