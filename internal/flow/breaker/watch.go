package breaker

import (
	"context"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Watch probes while the system is failing, until ctx ends. One goroutine a breaker.
func (b *Breaker) Watch(ctx context.Context) {
	b.watch()
	for pause := watchEvery; lifecycle.Wait(ctx, b.clock, pause, b.wake) == nil; {
		pause = b.look(ctx)
	}
}

func (b *Breaker) watch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watched = true
}

// look probes the system where it is due, and says for how long to wait then.
func (b *Breaker) look(ctx context.Context) (pause time.Duration) {
	due, rest := b.due()
	if !due {
		return rest
	}
	pctx, cancel := context.WithTimeout(ctx, probePatience)
	err := b.probe(pctx)
	cancel()
	if ctx.Err() != nil {
		return watchEvery
	}
	return b.probed(err)
}

// due reports whether the system is to be probed: it is failing, or leaves a call without an answer for long. Else rest is when to look again.
func (b *Breaker) due() (due bool, rest time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Elapsed()
	switch {
	case b.state == opened:
		rest = b.at + b.stays - now
	case b.failing: // one that fails now and then is not probed for every failure
		rest = b.probedAt + watchEvery - now
	case !b.stuck(now):
		rest = watchEvery
	}
	return rest <= 0, rest
}

// stuck: a call has been under way for downAfter, and nothing was taken meanwhile. It is called with the lock held.
func (b *Breaker) stuck(now time.Duration) bool {
	if now-b.took < downAfter {
		return false
	}
	for _, at := range b.calls {
		if now-at >= downAfter {
			return true
		}
	}
	return false
}

// probed takes what a probe has brought, and says for how long to wait until the next.
func (b *Breaker) probed(err error) (pause time.Duration) {
	if fault.KindOf(err) == fault.RateLimited {
		err = nil // it answers, and wants to be left alone
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Elapsed()
	b.probedAt = now
	switch {
	case b.failing:
	case err == nil:
		return probeMost // it is slow
	case !b.stuck(now):
		return watchEvery // it has taken something meanwhile
	}
	was := b.silent
	b.silent, b.asked = err, true
	if err != nil {
		if !b.failing {
			b.failing, b.since, b.began = true, b.clock.Now().Add(-downAfter), now-downAfter
			err = fmt.Errorf("no call was answered for %s, and its probe fails: %w", downAfter, err)
		}
		b.down(now, err)
	} else {
		if was != nil {
			b.backs++
		}
		switch {
		case b.state == opened:
			b.set(halfOpen)
			b.failed, b.untried = now, !b.refuses
			if b.refuses {
				break // it is tried again; whether it takes the credentials now is not known
			}
			b.log.Info("the system answers again, and is tried", "failed", (now - b.began).Round(time.Millisecond))
		case b.state == closed && len(b.keys) == 0, !b.refuses && now-b.failed >= forgetAfter:
			// What failed has its fate, or has gone, to another hub for example, and nothing has come since.
			clear(b.keys)
			b.recover()
			b.set(closed)
			return watchEvery
		}
	}
	if (was == nil) != (err == nil) {
		b.pause = 0
	}
	b.pause = min(max(2*b.pause, probeFirst), probeMost)
	if verdict := b.began + downAfter - now; verdict > 0 {
		return min(b.pause, verdict)
	}
	return b.pause
}

// down opens the breaker where that is due, after a probe that failed. It is called with the lock held.
func (b *Breaker) down(now time.Duration, why error) {
	switch {
	case b.state == opened:
		b.cause = why
	case b.state == halfOpen || now-b.began >= downAfter:
		was := b.state
		b.cause = why
		b.stays, b.refuses, b.untried = 0, false, false
		b.set(opened)
		if was == closed {
			b.log.Warn("the system is down: its flows wait and nothing is parked", "since", b.since, "cause", why)
		}
	}
}
