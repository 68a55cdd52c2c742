package bus

import (
	"log/slog"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// committer commits the low watermarks of one generation's partitions, from one goroutine: only upwards, never two calls
// at a time, and only through the generation that read the records.
type committer struct {
	gen interface {
		CommitOffsets(map[string]map[int]int64) error
	} // kafka-go's generation
	topic   string
	parts   []*partition
	timeout time.Duration
	log     *slog.Logger

	running chan error // of the call that is on its way
	lows    []int64    // what that call commits
	sparing *lifecycle.Sparing
}

// tick begins a commit, unless the last one is still on its way, and reports whether there is one: it is to be called again then.
func (c *committer) tick() (open bool) {
	select {
	case err := <-c.running:
		c.note(err)
	default:
		if c.running != nil {
			return true
		}
	}
	offsets := map[int]int64{}
	lows := make([]int64, len(c.parts))
	for i, p := range c.parts {
		if lows[i] = p.low(); lows[i] > p.committed {
			offsets[p.number] = lows[i]
		}
	}
	if len(offsets) == 0 {
		return false
	}
	running := make(chan error, 1)
	c.running, c.lows = running, lows
	go func() { running <- c.commit(offsets) }()
	return true
}

// commit makes the call.
func (c *committer) commit(offsets map[int]int64) error {
	if err := failpoint.Fail(failpoint.OffsetCommit); err != nil {
		return err
	}
	if err := c.gen.CommitOffsets(map[string]map[int]int64{c.topic: offsets}); err != nil {
		return err
	}
	failpoint.Hit(failpoint.OffsetCommitted)
	return nil
}

// note records the outcome of a call.
func (c *committer) note(err error) {
	switch {
	case err != nil:
		c.sparing.Warn(lifecycle.Real(), c.log, "committing offsets failed and is tried again", explained(err))
	case err == nil:
		for i, p := range c.parts {
			p.committed = max(p.committed, c.lows[i])
		}
	}
	c.running = nil
}

// wait waits for the call on its way; false when it does not end: kafka-go's can hang.
func (c *committer) wait() bool {
	if c.running == nil {
		return true
	}
	t := time.NewTimer(c.timeout)
	defer t.Stop()
	select {
	case err := <-c.running:
		c.note(err)
		return true
	case <-t.C:
		c.log.Warn("committing offsets does not end: what was acknowledged lately will be read again", "after", c.timeout)
		return false
	}
}

// last commits what was acknowledged until now.
func (c *committer) last() {
	if c.wait() {
		c.tick()
		c.wait()
	}
}
