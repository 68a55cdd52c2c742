package app

import (
	"context"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// topicEnds is how far the topics' logs reached when the broker was asked last.
type topicEnds struct {
	mu     sync.Mutex
	seen   map[string]bus.TopicInfo
	silent error // of the last time; nil: it answered
}

const (
	// endsPatience is how long a status waits for the broker: leaders of new topics, or after a broker's end, are only just being chosen.
	endsPatience = 5 * time.Second
	// silentPatience is how long it waits for one that did not answer the last time either.
	silentPatience = time.Second
)

// look asks the broker. Where it does not answer, that is given beside what was seen last.
func (e *topicEnds) look(ctx context.Context, h *Hub) (map[string]bus.TopicInfo, error) {
	topics := map[string]bool{}
	for _, f := range h.plan().Flows {
		topics[f.Topic()] = true
	}
	e.mu.Lock()
	patience := endsPatience
	if e.silent != nil {
		patience = silentPatience
	}
	e.mu.Unlock()
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var ends map[string]bus.TopicInfo
	var refused map[string]error
	var silent error // what the broker said last: more than the end of the patience
	_ = lifecycle.Retry(ctx, h.clock, lifecycle.Backoff{Min: 200 * time.Millisecond, Max: 200 * time.Millisecond}, func() error {
		ends, refused, silent = h.cluster.Ends(ctx, sortedKeys(topics)...)
		return silent
	}, nil)
	e.mu.Lock()
	defer e.mu.Unlock()
	if silent == nil {
		for topic := range refused { // why, the flow itself tells
			if before, ok := e.seen[topic]; ok {
				ends[topic] = before
			}
		}
		e.seen = ends
	}
	if asked.Err() == nil { // who asked and went away says nothing of the broker
		e.silent = silent
	}
	return e.seen, silent
}

// lags counts, by flow, the records on its topic that have no fate yet: from the stored positions and the broker's ends, so that
// partitions which nobody reads at the moment count as well. all are the places where they lie.
func (h *Hub) lags(stored []state.Partition, ends map[string]bus.TopicInfo) (lags map[string]int64, all []waits) {
	type key struct {
		flow, topic string
		partition   int
	}
	done := map[key]*state.Partition{}
	for i := range stored {
		p := &stored[i]
		done[key{p.Flow, p.Topic, p.Partition}] = p
	}
	lags = map[string]int64{}
	for _, f := range h.plan().Flows {
		if lag, broken := h.logs.Lag(f.Name); broken { // offsets of a log that is not the one say nothing
			lags[f.Name] = lag
			continue
		}
		for n, p := range ends[f.Topic()].Partitions {
			at := event.Position{Next: p.First}
			if known := done[key{f.Name, f.Topic(), n}]; known != nil {
				at = known.Position
			}
			lag := p.Last - at.Next
			for _, r := range at.Done {
				lag -= r.To - r.From
			}
			if lag > 0 {
				lags[f.Name] += lag
				all = append(all, waits{f.Name, peekKey{f.Topic(), n, at.Next}, at.Done})
			}
		}
		lags[f.Name] += h.logs.Pending(f.Topic())
	}
	return lags, all
}
