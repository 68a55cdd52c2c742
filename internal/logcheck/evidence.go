package logcheck

import (
	"context"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// gather asks the store and the broker. A topic that is new to the store becomes known.
func (c *Checker) gather(ctx context.Context, flows []Flow) (*Evidence, error) {
	// What is stored is read first: an offset that is finished by then is in the log that is looked at after it, or was lost.
	known, err := c.o.Store.Logs(ctx)
	if err != nil {
		return nil, err
	}
	stored, err := c.o.Store.Partitions(ctx, "")
	if err != nil {
		return nil, err
	}
	e := &Evidence{Logs: known, Stored: stored}
	var names []string
	for _, r := range readings(flows) {
		names = append(names, r.Topic)
	}
	if len(names) == 0 {
		return e, nil
	}
	if e.Seen, err = c.o.Broker.Look(ctx, names...); err != nil {
		return nil, err
	}
	if err := c.noteFresh(ctx, e); err != nil {
		return nil, err
	}
	e.Committed, err = c.committed(ctx, flows, e)
	return e, err
}

// noteFresh makes topics known that are new to the store.
func (c *Checker) noteFresh(ctx context.Context, e *Evidence) error {
	var fresh []state.TopicLog
	for topic, seen := range e.Seen {
		if _, ok := e.Logs[topic]; !ok {
			e.Logs[topic] = state.TopicLog{Topic: topic, Cluster: seen.Cluster, TopicID: seen.TopicID}
			fresh = append(fresh, e.Logs[topic])
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return c.o.Store.NoteLogs(ctx, fresh)
}

// evidencePatience is how long evidence that a person waits for is asked for again.
const evidencePatience = 10 * time.Second

// patientEvidence is evidence of topics that may just have been made: their leaders are only just being chosen.
func (c *Checker) patientEvidence(ctx context.Context, flows []Flow) (e *Evidence, err error) {
	began := c.o.Clock.Elapsed()
	err = lifecycle.Retry(ctx, c.o.Clock, lifecycle.Backoff{Min: 200 * time.Millisecond, Max: 200 * time.Millisecond}, func() (err error) {
		e, err = c.gather(ctx, flows)
		return err
	}, func(err error, _ time.Duration) error {
		if c.o.Clock.Elapsed()-began > evidencePatience {
			return err
		}
		return nil
	})
	return e, err
}

// committed asks what the groups of flows have committed in partitions of which the store has no position; nil: there are none.
func (c *Checker) committed(ctx context.Context, flows []Flow, e *Evidence) (func(flow, topic string) []int64, error) {
	type key struct{ flow, topic string }
	at := map[key][]int64{}
	for _, f := range flows {
		n := len(e.Seen[f.Reads].Parts)
		if n == 0 || opened(e.Stored, f.Name, f.Reads, n) {
			continue
		}
		offsets, err := c.o.Broker.Committed(ctx, f.Group, f.Reads, n)
		if err != nil {
			return nil, err
		}
		at[key{f.Name, f.Reads}] = offsets
	}
	if len(at) == 0 {
		return nil, nil
	}
	// A position is stored before anything is committed in its partition: what has been opened meanwhile has one by now.
	stored, err := c.o.Store.Partitions(ctx, "")
	if err != nil {
		return nil, err
	}
	for i := range stored {
		p := &stored[i]
		if offsets := at[key{p.Flow, p.Topic}]; p.Partition < len(offsets) {
			offsets[p.Partition] = -1
		}
	}
	return func(flow, topic string) []int64 { return at[key{flow, topic}] }, nil
}

// opened reports whether the flow has a position in each of n partitions.
func opened(stored []state.Partition, flow, topic string, n int) bool {
	have := 0
	for i := range stored {
		if p := &stored[i]; p.Flow == flow && p.Topic == topic && p.Partition < n {
			have++
		}
	}
	return have == n
}
