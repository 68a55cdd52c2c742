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

const (
	// peekPatience is how long a status waits for the broker to tell what waits first on topics; what it has not told by then keeps the age that
	// was known.
	peekPatience = 2 * time.Second
	// peeksAtOnce bounds the calls under way.
	peeksAtOnce = 8
	// peekFresh is how long an answer is used again while the position moves, and peekSteady while it does not: what comes later on a topic is seldom
	// older.
	peekFresh  = time.Second
	peekSteady = 10 * time.Second
)

// topicAges knows when the first records that wait on topics were accepted. It looks at one small answer of the broker for each partition where
// something waits, and never reads on: what lies further behind has come later, but for what was held on its way.
type topicAges struct {
	mu   sync.Mutex // held while it is looked: one status at a time
	seen map[peekKey]*peek
}

type peekKey struct {
	topic     string
	partition int
	from      int64
}

// peeker is Cluster.Peek.
type peeker func(ctx context.Context, topic string, partition int, from int64) ([]bus.Peeked, error)

type peek struct {
	records []bus.Peeked
	at      time.Duration // by the clock's Elapsed
}

// waits is a partition where a flow has something to read.
type waits struct {
	flow string
	peekKey
	done []event.Range
}

// look gives, by flow, when the oldest record was accepted that waits on its topic; flows without one, or of which nothing is known, are missing.
func (a *topicAges) look(ctx context.Context, clock lifecycle.Clock, all []waits, ask peeker) map[string]time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ask(ctx, clock, a.keep(all, clock.Elapsed()), ask)
	oldest := map[string]time.Time{}
	for _, w := range all {
		p := a.seen[w.peekKey]
		if p == nil {
			continue
		}
		if at := w.oldest(p.records); !at.IsZero() && (oldest[w.flow].IsZero() || at.Before(oldest[w.flow])) {
			oldest[w.flow] = at
		}
	}
	return oldest
}

// keep forgets what is not asked for any more, carries what was seen to positions that have moved on, and gives what is to be asked now.
func (a *topicAges) keep(all []waits, now time.Duration) (stale []peekKey) {
	type place struct {
		topic     string
		partition int
	}
	behind := map[place]*peek{} // the newest answer of each partition
	for k, p := range a.seen {
		if at := (place{k.topic, k.partition}); behind[at] == nil || behind[at].at < p.at {
			behind[at] = p
		}
	}
	kept := map[peekKey]*peek{}
	for _, w := range all {
		if kept[w.peekKey] != nil {
			continue
		}
		p, fresh := a.seen[w.peekKey], peekSteady
		if p == nil {
			p, fresh = behind[place{w.topic, w.partition}], peekFresh
		}
		if p != nil && w.oldest(p.records).IsZero() {
			p = nil // it tells nothing of what waits now
		}
		if p == nil || now-p.at >= fresh {
			stale = append(stale, w.peekKey)
		}
		if p == nil {
			p = &peek{at: now - peekSteady}
		}
		kept[w.peekKey] = p
	}
	a.seen = kept
	return stale
}

// ask asks the broker, for a bounded time. What it does not tell stays as it was.
func (a *topicAges) ask(ctx context.Context, clock lifecycle.Clock, stale []peekKey, ask peeker) {
	ctx, cancel := context.WithTimeout(ctx, peekPatience)
	defer cancel()
	answers := make([]*peek, len(stale))
	room := make(chan struct{}, peeksAtOnce)
	var wg sync.WaitGroup
	for i, k := range stale {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			if records, err := ask(ctx, k.topic, k.partition, k.from); err == nil {
				answers[i] = &peek{records: records, at: clock.Elapsed()}
			}
		})
	}
	wg.Wait()
	for i, p := range answers {
		if p != nil {
			a.seen[stale[i]] = p
		}
	}
}

// oldest gives the earliest acceptance among records that have no fate yet.
func (w *waits) oldest(records []bus.Peeked) (oldest time.Time) {
	done := w.done
	for _, r := range records {
		for len(done) > 0 && done[0].To <= r.Offset {
			done = done[1:]
		}
		finished := r.Offset < w.from || len(done) > 0 && done[0].From <= r.Offset
		if !finished && !r.Accepted.IsZero() && (oldest.IsZero() || r.Accepted.Before(oldest)) {
			oldest = r.Accepted
		}
	}
	return oldest
}

// backlog is what waits on the flows' topics: how many records have no fate yet, and when the oldest of them were accepted.
func (h *Hub) backlog(ctx context.Context, stored []state.Partition, ends map[string]bus.TopicInfo) (lags map[string]int64, oldest map[string]time.Time) {
	lags, all := h.lags(stored, ends)
	return lags, h.ages.look(ctx, h.clock, all, h.cluster.Peek)
}
