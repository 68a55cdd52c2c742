package httpclient

import (
	"context"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Limit bounds what the hub asks of a system. Its tags are those of connector.Settings.Decode.
type Limit struct {
	Rate        strictyaml.Rate `yaml:"rate" doc:"calls per time, such as 50/s or 1000/h; calls are spaced evenly, with short bursts of a tenth of a second's worth; without it, unlimited"`
	Concurrency int             `yaml:"concurrency" default:"8" doc:"calls at the same time"`
}

// Check adds a problem where the limit would let nothing through.
func (l *Limit) Check(n strictyaml.Node, p *strictyaml.Problems) {
	if n.Has("concurrency") && l.Concurrency < 1 {
		p.Add(n.Get("concurrency").Pos(), "concurrency: at least 1")
	}
}

// limiter is a token bucket and a semaphore.
type limiter struct {
	slots chan struct{}
	every time.Duration // between two tokens; 0: unlimited
	burst time.Duration // how far ahead of the even pace a caller may be

	mu   sync.Mutex
	next time.Time // when the next token is due at an even pace
}

func newLimiter(l Limit) *limiter {
	lim := &limiter{slots: make(chan struct{}, max(l.Concurrency, 1))}
	if r := l.Rate.PerSecond(); r > 0 {
		lim.every = time.Duration(float64(time.Second) / r)
		lim.burst = max(time.Second/10-lim.every, 0)
	}
	return lim
}

// acquire waits for a slot and a token. release gives the slot back.
func (l *limiter) acquire(ctx context.Context) (release func(), err error) {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := l.wait(ctx); err != nil {
		<-l.slots
		return nil, err
	}
	return func() { <-l.slots }, nil
}

func (l *limiter) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil || l.every == 0 {
		return err
	}
	l.mu.Lock()
	now := time.Now()
	if earliest := now.Add(-l.burst); l.next.Before(earliest) {
		l.next = earliest
	}
	due := l.next
	if end, ok := ctx.Deadline(); ok && due.After(end) {
		l.mu.Unlock()
		return context.DeadlineExceeded // now rather than later; nobody else waits for the token
	}
	l.next = due.Add(l.every)
	l.mu.Unlock()
	d := due.Sub(now)
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
