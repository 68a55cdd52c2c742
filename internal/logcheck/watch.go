package logcheck

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// lookEvery is how often the topics' logs are held against what the store remembers of them; an alarm makes it at once.
	lookEvery = 10 * time.Second
	// lookAgain is how soon it is looked again at what may pass by itself.
	lookAgain = 2 * time.Second
	// lookTime is how long one look may take.
	lookTime = 30 * time.Second
)

// Start looks at the logs before anything reads or writes them. It fails where that takes longer than half a minute.
func (c *Checker) Start(ctx context.Context) error {
	if err := c.learn(ctx); err != nil {
		return err
	}
	deadline, cancel := lifecycle.WithTimeout(ctx, c.o.Clock, lookTime, errUnsure)
	defer cancel()
	var last error // says more than the end of its time
	// Leaders of new topics, or after a broker's end, are only just being chosen.
	err := lifecycle.Retry(deadline, c.o.Clock, lifecycle.Backoff{Min: 300 * time.Millisecond, Max: 300 * time.Millisecond}, func() error {
		var sure bool
		if sure, last = c.Look(deadline); last == nil && !sure {
			return errUnsure
		}
		return last
	}, nil)
	if err != nil {
		return cmp.Or(last, err)
	}
	return nil
}

var errUnsure = fmt.Errorf("what the topics' logs hold was not certain within %s: brokers or leaders come and go", lookTime)

// learn adds to what is known of the logs how far the hub itself has written.
func (c *Checker) learn(ctx context.Context) error {
	known, err := c.o.Store.Logs(ctx)
	if err != nil {
		return err
	}
	tops, err := c.o.Store.Tops(ctx)
	if err != nil {
		return err
	}
	var note []state.TopicLog
	for topic, ends := range tops {
		if l, ok := known[topic]; ok {
			l.Ends = ends
			note = append(note, l)
		}
	}
	if len(note) == 0 {
		return nil
	}
	return c.o.Store.NoteLogs(ctx, note)
}

// Watch looks at the logs until ctx ends, and calls looked after each look that was made.
func (c *Checker) Watch(ctx context.Context, looked func(context.Context)) {
	next := lookEvery
	for lifecycle.Wait(ctx, c.o.Clock, next, c.kick) == nil {
		sure, err := c.Look(ctx)
		next = lookEvery
		if err != nil || !sure {
			next = lookAgain
		}
		if err != nil {
			c.o.Log.Debug("the topics' logs cannot be looked at; trying again", "error", err)
			continue
		}
		looked(ctx)
	}
}

// Look finds out what does not fit. sure is false while something is seen that may pass by itself.
func (c *Checker) Look(ctx context.Context) (sure bool, err error) {
	c.look.Lock()
	defer c.look.Unlock()
	return c.lookLocked(ctx)
}

func (c *Checker) lookLocked(ctx context.Context) (sure bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	flows := c.o.Flows()
	e, err := c.gather(ctx, flows)
	if err != nil {
		return false, err
	}
	breaks, doubts, sure := c.doubts.certain(Survey(readings(flows), *e))
	c.doubts = doubts
	pending, err := c.o.Store.Resending(ctx)
	if err != nil {
		return false, err
	}
	would, err := c.previewAll(ctx, breaks)
	if err != nil {
		return false, err
	}
	found := c.keep(e, breaks, pending, consequences(flows, breaks, would, pending))
	if note := grown(e, found, doubts); len(note) > 0 {
		return sure, c.o.Store.NoteLogs(ctx, note)
	}
	return sure, nil
}

// previewAll tells what a recovery of all breaks would do that can be recovered now.
func (c *Checker) previewAll(ctx context.Context, breaks []state.Break) (*state.Recovered, error) {
	rec := &state.Recovery{}
	for i := range breaks {
		if breaks[i].Plan != nil {
			rec.Topics = append(rec.Topics, *breaks[i].Plan)
		}
	}
	return c.preview(ctx, rec)
}

func (c *Checker) preview(ctx context.Context, rec *state.Recovery) (*state.Recovered, error) {
	if len(rec.Topics) == 0 {
		return &state.Recovered{}, nil
	}
	return c.o.Store.PreviewRecovery(ctx, rec)
}

// keep puts what was found in the place of what was known, tells what is new of it, and gives the breaks by topic.
func (c *Checker) keep(e *Evidence, breaks []state.Break, pending map[string]int64, stand standing) map[string]*state.Break {
	found := map[string]*state.Break{}
	for i := range breaks {
		found[breaks[i].Topic] = &breaks[i]
	}
	c.mu.Lock()
	for topic, b := range found {
		if old := c.breaks[topic]; old == nil || old.Text != b.Text {
			c.o.Log.Error("a topic's log does not hold what the hub remembers of it", "topic", topic, "cause", b.Cause, "why", b.Text)
		}
	}
	c.known, c.breaks, c.pending, c.stand = e.Logs, found, pending, stand
	c.mu.Unlock()
	if len(pending) > 0 {
		nudge(c.resend)
	}
	return found
}
