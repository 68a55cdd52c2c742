package bus

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// recordCost is what a record takes in memory besides its own bytes: the struct, its share of slices and allocations.
const recordCost = 192

// cost is the memory that a record is reckoned at.
func cost(r *event.Record) int64 {
	n := recordCost + len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += 40 + len(r.Headers[i].Value)
	}
	return int64(n)
}

// laneOf gives the lane of a key: the engine's, so that a key's stored queue is drained in the lane of its live records.
func laneOf(key []byte, lanes int) int { return event.LaneOf(key, lanes) }

// lane works the records of some keys of one partition in order: one batch at a time. While anything is queued it has a
// goroutine.
type lane struct {
	p      *partition
	number int
	// gate is held while a batch is with the handler. It outlives the generation: after a rebalance the same lane waits
	// until the handler has let go of the batch that was taken from it.
	gate chan struct{}

	mu      sync.Mutex
	queue   []event.Record
	working int   // records of the batch that is with the handler
	head    int64 // offset of the first of them
	running bool
}

// push queues records, in order.
func (l *lane) push(records []event.Record) {
	l.mu.Lock()
	l.queue = append(l.queue, records...)
	start := !l.running
	l.running = true
	l.mu.Unlock()
	if start {
		l.p.lanes.Add(1)
		go l.run()
	}
}

// low is the offset of the first record that is not acknowledged.
func (l *lane) low() (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.working > 0:
		return l.head, true
	case len(l.queue) > 0:
		return l.queue[0].Offset, true
	}
	return 0, false
}

// take begins the next batch; nil, and the goroutine ends, when there is none.
func (l *lane) take(most int) []event.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(most, len(l.queue))
	if n == 0 {
		l.queue, l.running = nil, false
		return nil
	}
	batch := l.queue[:n:n]
	l.queue = l.queue[n:]
	l.working, l.head = n, batch[0].Offset
	return batch
}

func (l *lane) finish() {
	l.mu.Lock()
	l.working = 0
	l.mu.Unlock()
}

func (l *lane) run() {
	defer l.p.lanes.Done()
	for {
		records := l.take(l.p.cfg.MaxBatch)
		if records == nil || !l.deliver(records) {
			return
		}
		var bytes int64
		for i := range records {
			bytes += cost(&records[i])
		}
		l.finish()
		l.p.release(bytes)
	}
}

// deliver hands a batch over until it is acknowledged; false when the partition was taken from us first: the batch stays
// unacknowledged.
func (l *lane) deliver(records []event.Record) bool {
	select {
	case l.gate <- struct{}{}:
	case <-l.p.stopping:
		return false
	}
	tries := lifecycle.Backoff{Min: l.p.cfg.NackBackoff, Max: 20 * l.p.cfg.NackBackoff}
	for {
		ctx, cancel := context.WithCancel(l.p.ctx)
		m := l.message(ctx, records)
		select {
		case l.p.out <- m:
		case <-l.p.stopping:
			cancel()
			<-l.gate
			return false
		}
		select {
		case <-m.Acked():
			failpoint.Hit(failpoint.Acked)
			cancel()
			<-l.gate
			return !l.p.fenced()
		case <-m.Nacked():
			cancel()
			if !l.rest(tries.Next()) {
				<-l.gate
				return false
			}
		case <-l.p.fence:
			cancel()
			go l.letGo(m)
			return false
		}
	}
}

// letGo opens the gate once the handler has let go of a batch that was taken from it.
func (l *lane) letGo(m *message.Message) {
	select {
	case <-m.Acked():
	case <-m.Nacked():
	case <-l.p.gone:
	}
	<-l.gate
}

// rest waits before a refused batch is handed over again; false when the partition was taken from us.
func (l *lane) rest(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.p.stopping:
		return false
	}
}

func (l *lane) message(ctx context.Context, records []event.Record) *message.Message {
	m := message.NewMessage(l.p.name+"/"+strconv.FormatInt(records[0].Offset, 10), nil)
	m.SetContext(event.WithBatch(ctx, &event.Batch{Group: l.p.cfg.Group, Topic: l.p.topic, Partition: l.p.number,
		Lane: l.number, Epoch: l.p.epoch, Records: records}))
	return m
}
