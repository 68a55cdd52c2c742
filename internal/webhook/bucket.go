package webhook

import (
	"math"
	"sync"
	"time"
)

// bucket is a token bucket: rate tokens a second, at most burst of them saved up. A nil bucket never runs out.
type bucket struct {
	mu     sync.Mutex
	rate   float64
	burst  float64
	tokens float64
	last   time.Time
}

// newBucket makes a full bucket; nil where rate is not positive. A burst under one becomes one second's worth.
func newBucket(rate float64, burst int, now time.Time) *bucket {
	if !(rate > 0) || math.IsInf(rate, 1) {
		return nil
	}
	size := float64(burst)
	if size < 1 {
		size = max(1, math.Ceil(rate))
	}
	return &bucket{rate: rate, burst: size, tokens: size, last: now}
}

// take takes one token, or says how long it will be until there is one.
func (b *bucket) take(now time.Time) (wait time.Duration, ok bool) {
	if b == nil {
		return 0, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if passed := now.Sub(b.last).Seconds(); passed > 0 {
		b.tokens = min(b.burst, b.tokens+passed*b.rate)
		b.last = now
	}
	if b.tokens >= 1 {
		b.tokens--
		return 0, true
	}
	return time.Duration((1 - b.tokens) / b.rate * float64(time.Second)), false
}
