package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/bus/recordbatch"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
)

// partition is one partition for as long as one generation of the group has given it to us.
type partition struct {
	s       *Subscriber
	sub     *subscription
	cfg     *SubscriberConfig
	topic   string
	number  int
	name    string // topic/number
	epoch   int64
	done    []event.Range // finished before, above the position
	out     chan<- *message.Message
	ctx     context.Context // of the messages; cancelled when their outcomes do not count any more
	cancel  context.CancelFunc
	lane    []*lane
	lanes   sync.WaitGroup
	fetcher fetcher

	stopping chan struct{} // closed: nothing more is handed over
	fence    chan struct{} // closed: acknowledgements do not count
	gone     chan struct{} // closed: the subscription has ended

	ill      ailment                  // of reading
	failures *notice.Limiter          // what the log is told of it
	asked    atomic.Pointer[question] // what the broker was asked, while it has not answered
	empty    int                      // answers without a record since the last one with any

	next atomic.Int64 // offset after the last record queued in a lane
	end  atomic.Int64 // offset of the next record to be written, as the broker said last

	mu    sync.Mutex
	bytes int64
	freed chan struct{} // has an element after bytes were released

	committed int64 // of the generation's goroutine: what Kafka holds for the group
	deal      dealer
}

func (p *partition) fenced() bool {
	select {
	case <-p.fence:
		return true
	default:
		return false
	}
}

// low is the offset below which everything is acknowledged.
func (p *partition) low() int64 {
	low := p.next.Load() // read first: what is queued later is above it
	for _, l := range p.lane {
		if head, ok := l.low(); ok && head < low {
			low = head
		}
	}
	return low
}

func (p *partition) stats() PartitionStats {
	p.mu.Lock()
	bytes := p.bytes
	p.mu.Unlock()
	return PartitionStats{Topic: p.topic, Partition: p.number, Next: p.low(), Read: p.next.Load(), End: p.end.Load(), Bytes: bytes, Epoch: p.epoch}
}

// budget gives the most that may be asked for at once, and the memory of records at which reading pauses.
func (p *partition) budget() (fetch int, limit int64) {
	share := p.cfg.MaxBytes / max(1, p.s.assigned.Load())
	fetch = int(min(int64(p.cfg.FetchBytes), max(share/2, 1)))
	return fetch, share - int64(fetch)
}

func (p *partition) hold(n int64) {
	p.mu.Lock()
	p.bytes += n
	p.mu.Unlock()
}

func (p *partition) release(n int64) {
	p.mu.Lock()
	p.bytes -= n
	p.mu.Unlock()
	select {
	case p.freed <- struct{}{}:
	default:
	}
	p.sub.moved()
}

// room waits until there is memory for more records; false when ctx ended first.
func (p *partition) room(ctx context.Context) bool {
	for {
		_, limit := p.budget()
		p.mu.Lock()
		ok := p.bytes == 0 || p.bytes < limit
		p.mu.Unlock()
		if ok {
			return ctx.Err() == nil
		}
		select {
		case <-p.freed:
		case <-ctx.Done():
			return false
		}
	}
}

// read fetches until ctx ends. An error means that going on would lose records.
func (p *partition) read(ctx context.Context) error {
	corrupt := 0
	doubt := false // a call has failed: the broker that answers next may be another one
	defer p.fetcher.release()
	tries := askAgain
	for p.room(ctx) {
		if doubt {
			err := p.sub.checkSame(ctx)
			if errors.Is(err, ErrPosition) {
				return err
			}
			if doubt = err != nil; doubt && ctx.Err() == nil {
				p.ill.note(err)
			}
			if doubt && !pause(ctx, tries.Next()) {
				return nil
			}
			continue
		}
		fetch, _ := p.budget()
		answer, err := p.ask(ctx, fetch)
		if err == nil && answer.err != 0 {
			err = kafka.Error(answer.err)
			p.s.c.forget(p.topic)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, kafka.OffsetOutOfRange):
			if err := p.checkRange(ctx); err != nil {
				return err
			}
		case err == nil && answer.high < p.end.Load():
			if err := p.checkEnd(ctx, p.end.Load()); err != nil {
				return err
			}
			p.end.Store(answer.high) // asked anew
			continue
		case err == nil:
			p.end.Store(answer.high)
			p.ill.heal()
			if p.empty++; p.next.Load() < answer.high {
				p.empty = 0
			}
			before := p.next.Load()
			if err = p.dispatch(ctx, &answer); p.next.Load() != before {
				p.sub.moved()
			}
			p.deal.reset()
			p.fetcher.release()
			switch {
			case err == nil:
				corrupt = 0
				tries.Reset()
				continue
			case errors.Is(err, recordbatch.ErrCorrupt) && corrupt < 3:
				corrupt++
			default:
				return fmt.Errorf("%s at offset %d: %w", p.name, p.next.Load(), err)
			}
		}
		doubt = true
		if err != nil {
			p.ill.note(err)
		}
		if err != nil {
			p.failures.Warn("reading a partition failed and is tried again", err, "partition", p.name, "offset", p.next.Load())
		}
		if !pause(ctx, tries.Next()) {
			return nil
		}
	}
	return nil
}

// ask asks the broker for records.
func (p *partition) ask(ctx context.Context, most int) (fetched, error) {
	q := &question{at: time.Now(), wait: p.wait()}
	p.asked.Store(q)
	defer p.asked.Store(nil)
	return p.fetcher.fetch(ctx, p.next.Load(), most, q.wait)
}

// question is what a broker was asked for: when, and for how long it may hold the answer back while there are no records.
type question struct {
	at   time.Time
	wait time.Duration
}

// idleWait bounds how long a broker holds a request for records of a partition that nothing comes to. It delays no record: hundreds of idle
// partitions would ask all the time.
const idleWait = 5 * time.Second

// wait is how long the broker may hold the next request: twice as long for every answer without a record.
func (p *partition) wait() time.Duration {
	return max(p.cfg.FetchWait, min(p.cfg.FetchWait<<min(p.empty, 10), idleWait))
}

// checkRange looks whether the broker really does not hold the next offset: after a change of leaders it may say so for
// a moment.
func (p *partition) checkRange(ctx context.Context) error {
	info, err := p.s.c.Describe(ctx, p.topic)
	if err != nil || p.number >= len(info[p.topic].Partitions) {
		return nil // asked again
	}
	held := info[p.topic].Partitions[p.number]
	return inRange(p.name, p.next.Load(), held.First, held.Last)
}

// checkEnd looks whether a log that ended at end does not do so any more: records were cut off, and others may take their offsets.
// After a change of leaders a log may seem shorter for a moment.
func (p *partition) checkEnd(ctx context.Context, end int64) error {
	last := int64(0)
	for range 10 {
		info, err := p.s.c.Describe(ctx, p.topic)
		if err == nil && p.number < len(info[p.topic].Partitions) {
			if last = info[p.topic].Partitions[p.number].Last; last >= end {
				return nil
			}
		}
		if !pause(ctx, 300*time.Millisecond) {
			return nil
		}
	}
	return fmt.Errorf("%w: %s ended at offset %d and ends at %d now: %d records were cut off", ErrPosition, p.name, end, last, end-last)
}

// inRange checks that an offset can be read from: that it is in [first, last].
func inRange(name string, next, first, last int64) error {
	switch {
	case next < first:
		return fmt.Errorf("%w: %s continues at offset %d, but the oldest record held is %d: %d records were deleted unread", ErrPosition, name, next, first, first-next)
	case next > last:
		return fmt.Errorf("%w: %s continues at offset %d, but the log ends at %d: it was wiped or is another one", ErrPosition, name, next, last)
	}
	return nil
}

// isDone reports whether the offset was finished before, and forgets ranges below it: offsets are asked for in order.
func (p *partition) isDone(offset int64) bool {
	for len(p.done) > 0 && p.done[0].To <= offset {
		p.done = p.done[1:]
	}
	return len(p.done) > 0 && p.done[0].From <= offset
}

// tellGap tells Positions of offsets without a record.
func (p *partition) tellGap(ctx context.Context, from, to int64) {
	g, ok := p.cfg.Positions.(GapPositions)
	if !ok || from >= to {
		return
	}
	_ = lifecycle.Retry(ctx, lifecycle.Real(), askAgain, func() error {
		return g.Gap(ctx, p.cfg.Group, p.topic, p.number, p.epoch, event.Range{From: from, To: to})
	}, func(err error, _ time.Duration) error {
		p.failures.Warn("a gap could not be stored and is tried again", err, "partition", p.name, "from", from, "to", to)
		return nil
	})
}
