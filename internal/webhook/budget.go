package webhook

import (
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

const (
	defaultMemory  = 64 << 20
	defaultMinRate = 4 << 10
	// rateGrace is how long a body may take before its rate counts: a sender's first packets are slow.
	rateGrace = 2 * time.Second
	// stalledAfter is how long nothing may come of a body while another has no room.
	stalledAfter = 500 * time.Millisecond
)

// budget bounds the bytes of bodies that are held at the same time, over all requests. Where there is no room, the body that has been stalled
// longest makes it, or one that comes slower than minRate: who announces much and sends nothing keeps nobody out. What is complete is never cut.
// Where there are several flows, one may hold half of it.
type budget struct {
	max     int64
	minRate int64
	clock   lifecycle.Clock // nil: nothing is cut

	mu      sync.Mutex
	largest int64 // what the largest body that is allowed needs
	more    int64 // beyond max, so that it fits
	used    int64
	flows   int
	parts   map[string]int64 // used, by flow
	open    map[*claim]struct{}
}

// fit makes room for a body of n bytes, as it was sent, unfolded and parsed.
func (b *budget) fit(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.largest = max(b.largest, 3*n+24*min(n, jsondoc.DefaultNodes))
	b.more = max(0, b.largest-b.max)
}

// shared says how many flows there are.
func (b *budget) shared(flows int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flows = flows
}

// share is what one flow may hold.
func (b *budget) share() int64 {
	all := b.max + b.more
	if b.flows < 2 {
		return all
	}
	return max(all/2, b.largest)
}

// claim is one request's part of the budget.
type claim struct {
	b    *budget
	flow string
	// stop ends the reading of the request's body.
	stop func()

	// Under the budget's lock.
	n     int64
	began time.Time
	last  time.Time // something came
	came  int64
	cut   bool
}

// reading says that the body is on its way: until done, it may have to make room for others.
func (c *claim) reading() {
	if c.b.clock == nil || c.stop == nil {
		return
	}
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	if c.b.open == nil {
		c.b.open = map[*claim]struct{}{}
	}
	c.began = c.b.clock.Now()
	c.last = c.began
	c.b.open[c] = struct{}{}
}

// got says that n bytes came.
func (c *claim) got(n int) {
	if n == 0 || c.began.IsZero() {
		return
	}
	now := c.b.clock.Now()
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	c.last = now
	c.came += int64(n)
}

// done says that nothing more is to come, and whether the body was cut before.
func (c *claim) done() (cut bool) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	delete(c.b.open, c)
	return c.cut
}

// take claims n bytes more, at the cost of bodies that do not come on.
func (c *claim) take(n int64) bool {
	b := c.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.cut {
		return false
	}
	for {
		full, crowded := b.used+n > b.max+b.more, b.parts[c.flow]+n > b.share()
		if !full && !crowded {
			break
		}
		victim := b.idlest(c, crowded)
		if victim == nil {
			return false
		}
		b.drop(victim)
	}
	if b.parts == nil {
		b.parts = map[string]int64{}
	}
	b.used += n
	b.parts[c.flow] += n
	c.n += n
	return true
}

// idlest is the body that has to make room for c: of the same flow, where that has its share.
func (b *budget) idlest(c *claim, same bool) *claim {
	if b.clock == nil {
		return nil
	}
	now := b.clock.Now()
	var worst *claim
	for o := range b.open {
		if o == c || o.n == 0 || same && o.flow != c.flow || !o.idle(now) {
			continue
		}
		if worst == nil || o.last.Before(worst.last) {
			worst = o
		}
	}
	return worst
}

// idle reports whether nothing has come of the body for some time, or too little in all.
func (c *claim) idle(now time.Time) bool {
	age := now.Sub(c.began)
	return now.Sub(c.last) >= stalledAfter || age >= rateGrace && float64(c.came) < float64(c.b.minRate)*age.Seconds()
}

// drop cuts a body. Its bytes go when its request notices, which is at once.
func (b *budget) drop(c *claim) {
	c.cut = true
	delete(b.open, c)
	b.give(c)
	c.stop()
}

func (b *budget) give(c *claim) {
	b.used -= c.n
	if b.parts[c.flow] -= c.n; b.parts[c.flow] == 0 {
		delete(b.parts, c.flow)
	}
	c.n = 0
}

func (c *claim) release() {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	delete(c.b.open, c)
	c.b.give(c)
}

// held is what all requests hold.
func (b *budget) held() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
