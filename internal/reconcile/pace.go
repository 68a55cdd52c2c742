package reconcile

import (
	"context"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

const (
	// mostRest is how many times as long as it has worked a run rests beside traffic, and busyRate the messages a second from which on it does. Beside less
	// traffic it rests less, and without any not at all.
	mostRest = 8
	busyRate = 50
	// restingFinds is how many questions are under way at the same time beside traffic.
	restingFinds = 2
	// restUpTo bounds one rest: what takes that long waits for a system, and is in nobody's way.
	restUpTo = time.Second
	// rateOver is the time over which traffic is measured, at least.
	rateOver = 100 * time.Millisecond
)

// pace lets a part of a run rest between its pieces of work, so that messages do not wait for the run. It is used by one goroutine.
type pace struct {
	clock lifecycle.Clock
	// decided counts the messages that the hub has decided; nil: nobody does.
	decided func() int64
	seen    int64
	rate    float64       // messages a second
	at      time.Duration // when the piece of work has begun
	looked  time.Duration // when seen was read
}

func (r *Run) pace() *pace {
	p := &pace{clock: r.c.Clock, decided: r.c.Decided, at: r.c.Clock.Elapsed()}
	if p.looked = p.at; p.decided != nil {
		p.seen = p.decided()
	}
	return p
}

// finds is how many questions may be under way at the same time.
func (p *pace) finds() int {
	if p.rate >= busyRate {
		return restingFinds
	}
	return findsAtOnce
}

// rest ends a piece of work.
func (p *pace) rest(ctx context.Context) error {
	if p.decided == nil {
		return nil
	}
	now := p.clock.Elapsed()
	if since := now - p.looked; since >= rateOver { // in less time it says little
		n := p.decided()
		p.rate, p.seen, p.looked = float64(n-p.seen)/since.Seconds(), n, now
	}
	rest := min(restUpTo, time.Duration(min(1, p.rate/busyRate)*mostRest*float64(now-p.at)))
	if rest > 0 {
		if err := lifecycle.Sleep(ctx, p.clock, rest); err != nil {
			return context.Cause(ctx)
		}
	}
	p.at = p.clock.Elapsed()
	return nil
}
