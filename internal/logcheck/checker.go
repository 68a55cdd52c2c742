package logcheck

import (
	"fmt"
	"slices"
	"sync"

	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// Checker knows what the last look at the topics' logs has found, and who stands still because of it. Everything that reads or
// publishes asks it. Its methods may be called at the same time.
type Checker struct {
	o    Options
	look sync.Mutex // held while the logs are looked at, or a recovery is made

	mu      sync.Mutex
	known   map[string]state.TopicLog
	breaks  map[string]*state.Break // by topic
	pending map[string]int64        // records that are to be put on a topic again, by topic
	stand   standing
	ended   map[string]bool // flows that have to subscribe anew
	doubts  doubts

	sparing lifecycle.Sparing

	kick   chan struct{} // of capacity one: look now
	resend chan struct{} // of capacity one: something is to be put on a topic again
}

// New makes a Checker that knows nothing yet: Start looks for the first time.
func New(o Options) *Checker {
	return &Checker{o: o, ended: map[string]bool{}, kick: make(chan struct{}, 1), resend: make(chan struct{}, 1)}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// LookSoon lets the watch look at once, instead of when it is time.
func (c *Checker) LookSoon() { nudge(c.kick) }

// Life is the life of the topic's log that is known (see state.TopicLog).
func (c *Checker) Life(topic string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[topic].Life
}

// Held says why nothing may be published to the topic: it would lie before what has to come first, or in a log that is not the one.
func (c *Checker) Held(topic string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := c.breaks[topic]; b != nil && b.Whole {
		return fmt.Errorf("topic %s: %s: %w", topic, b.Text, state.ErrBroker)
	}
	if n := c.pending[topic]; n > 0 {
		return fmt.Errorf("topic %s: %d records are put there again first: %w", topic, n, state.ErrBroker)
	}
	return nil
}

// Same fails with state.ErrBroker where the ids that the broker has just told of a topic, or the life that a caller knew of it, are not
// those of the log that is known.
func (c *Checker) Same(topic string, life int64, cluster, topicID string) error {
	c.mu.Lock()
	known, ok := c.known[topic]
	c.mu.Unlock()
	if !ok || known.Life == life && !differ(known.Cluster, cluster) && !differ(known.TopicID, topicID) {
		return nil
	}
	c.LookSoon()
	return fmt.Errorf("topic %s has the id %s in cluster %s, and had %s in %s: %w", topic, topicID, cluster, known.TopicID, known.Cluster, state.ErrBroker)
}

// Broken reports whether the topic's log is not the one that the hub knows.
func (c *Checker) Broken(topic string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken(topic)
}

func (c *Checker) broken(topic string) bool {
	b := c.breaks[topic]
	return b != nil && b.Whole
}

// First reports whether the topic has still the log that the hub has known from the beginning: a group's offsets in it mean what they say.
func (c *Checker) First(topic string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.broken(topic) && c.known[topic].Life == 0
}

// Pending is how many records are to be put on the topic again.
func (c *Checker) Pending(topic string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending[topic]
}

// Why is what the status says of a flow that stands still because of a log; empty where it does not.
func (c *Checker) Why(flow string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stand.why[flow]
}

// Lag is what a flow has still to get where offsets do not tell; ok is false where they do.
func (c *Checker) Lag(flow string) (lag int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lag, ok = c.stand.lag[flow]
	return lag, ok
}

// NeedsRecovery reports whether the flow cannot go on without a recovery, or the right broker.
func (c *Checker) NeedsRecovery(flow string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stand.why[flow] != "" && !c.stand.waits[flow]
}

// Unreadable reports whether the flow cannot read its topic as it is, and remembers that it has to subscribe anew when it can.
func (c *Checker) Unreadable(flow, topic string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.breaks[topic]
	if b == nil || !slices.ContainsFunc(b.Flows, func(r state.BrokenFlow) bool { return r.Flow == flow }) {
		return false
	}
	c.ended[flow] = true
	return true
}

// Ended says that the flow's subscription is over: it has to subscribe anew when its topic is to be read again.
func (c *Checker) Ended(flow string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended[flow] = true
}

// TakeEnded reports whether the flow has to subscribe anew, and forgets it.
func (c *Checker) TakeEnded(flow string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ended := c.ended[flow]
	delete(c.ended, flow)
	return ended
}

// partitionCounts is the number of partitions that topics are known to have had.
func (c *Checker) partitionCounts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]int, len(c.known))
	for topic, k := range c.known {
		out[topic] = len(k.Ends)
	}
	return out
}
