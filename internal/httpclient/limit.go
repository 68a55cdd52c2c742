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

// mostHold bounds for how long one answer can close a system; who got it waits as long as it says.
const mostHold = time.Hour

// toldFrom is how long a system must ask to be left alone for the failure to say so: whoever reads that nothing is taken must not wonder why
// nothing is tried.
const toldFrom = 10 * time.Second

// heldError says that the system has asked for no calls until then.
type heldError struct{ until time.Time }

func (e *heldError) Error() string {
	return "the system has asked to be called again at " + e.until.UTC().Format(time.RFC3339) + " and not before"
}

// limiter is a token bucket and a semaphore, and is closed while the system wants no calls.
type limiter struct {
	slots chan struct{}
	every time.Duration // between two tokens; 0: unlimited
	burst time.Duration // how far ahead of the even pace a caller may be

	mu   sync.Mutex
	next time.Time // when the next token is due at an even pace
	held time.Time // until when the system wants no calls
}

func newLimiter(l Limit) *limiter {
	lim := &limiter{slots: make(chan struct{}, max(l.Concurrency, 1))}
	if r := l.Rate.PerSecond(); r > 0 {
		lim.every = time.Duration(float64(time.Second) / r)
		lim.burst = max(time.Second/10-lim.every, 0)
	}
	return lim
}

// acquire waits for a slot and a token, and before that until the system wants calls; where that is later than ctx allows, it fails
// with a heldError at once. release gives the slot back.
func (l *limiter) acquire(ctx context.Context) (release func(), err error) {
	for {
		if err := l.rest(ctx); err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if err := l.wait(ctx); err != nil {
			<-l.slots
			return nil, err
		}
		if time.Until(l.until()) <= 0 {
			return func() { <-l.slots }, nil
		}
		<-l.slots // closed while we waited for our turn
	}
}

// beside asks for no slot and no token. While the system wants no calls it fails at once.
func (l *limiter) beside(ctx context.Context) (release func(), err error) {
	if until := l.until(); time.Until(until) > 0 {
		return nil, &heldError{until}
	}
	return func() {}, ctx.Err()
}

// hold closes the limiter for d from now on.
func (l *limiter) hold(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(min(d, mostHold)); until.After(l.held) {
		l.held = until
	}
}

func (l *limiter) until() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// rest waits while the limiter is closed.
func (l *limiter) rest(ctx context.Context) error {
	until := l.until()
	d := time.Until(until)
	if d <= 0 {
		return nil
	}
	if end, ok := ctx.Deadline(); ok && until.After(end) {
		return &heldError{until}
	}
	return sleep(ctx, d)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
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
	return sleep(ctx, d)
}
