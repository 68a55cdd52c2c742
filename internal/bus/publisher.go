package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/semaphore"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
)

// MaxRecord is the largest record, in bytes, that is written to a topic of which nobody knows what it takes; see Cluster.MaxRecord. A
// broker accepts batches of 1,048,588 bytes by default.
const MaxRecord = 990_000

// PublisherConfig sets how records are written. Every zero value is a good default.
type PublisherConfig struct {
	// BatchBytes ends a batch; default, and most, MaxRecord, and never more than the topic takes. A record that is larger, and that
	// the topic takes, is a batch of its own.
	BatchBytes int
	// Linger is how long the first record of an idle partition waits for company; default 0: what comes while a batch is
	// on its way makes the next one, so that a quiet hub adds no delay and a busy one large batches.
	Linger time.Duration
	// MaxInFlight bounds the bytes of records accepted by Send whose outcome is not known; callers wait beyond it.
	// Default 64 MiB.
	MaxInFlight int64
	// RequestTimeout bounds one write; default 10 s. A write that ends by it has an unknown outcome.
	RequestTimeout time.Duration
	// RetryFor is how long a batch that was certainly not written is tried again before its records fail as unavailable;
	// default 10 s.
	RetryFor time.Duration
	// Compression is "none" (default), "gzip", "snappy", "lz4" or "zstd".
	Compression string
	// Idempotent: batches are signed, so that one of which nobody knows what became is sent again, until RetryFor, and is there once. What nobody knows of
	// after that is refused by the broker as soon as something later was written.
	Idempotent bool
}

// Publisher writes records with all acknowledgements, those of one key in order. It is safe for concurrent use, and many
// callers share batches. At most one batch of a partition is on its way at a time; when it fails, the later records of the
// callers concerned are not sent any more.
type Publisher struct {
	c           *Cluster
	cfg         PublisherConfig
	compression kafka.Compression
	cfgErr      error
	balancer    kafka.Murmur2Balancer
	budget      *semaphore.Weighted

	ctx    context.Context // ends when waiting for outcomes must stop
	cancel context.CancelFunc

	mu      sync.Mutex
	parts   map[partitionKey]*pubPartition
	lookups map[string]*ailment // of topics that could not be looked up
	closed  bool
	sending sync.WaitGroup // calls of Send
	writing sync.WaitGroup // partitions with a goroutine
}

type partitionKey struct {
	topic     string
	partition int
}

// errClosed: Close was called before.
var errClosed = errors.New("closed")

// Publisher makes a publisher. A wrong configuration is reported by its first use.
func (c *Cluster) Publisher(cfg PublisherConfig) *Publisher {
	if cfg.BatchBytes <= 0 {
		cfg.BatchBytes = MaxRecord
	}
	cfg.BatchBytes = min(cfg.BatchBytes, MaxRecord)
	if cfg.MaxInFlight <= 0 {
		cfg.MaxInFlight = 64 << 20
	}
	if cfg.RequestTimeout <= 0 {
		cfg.RequestTimeout = 10 * time.Second
	}
	if cfg.RetryFor <= 0 {
		cfg.RetryFor = 10 * time.Second
	}
	p := &Publisher{c: c, cfg: cfg, balancer: kafka.Murmur2Balancer{Consistent: true}, budget: semaphore.NewWeighted(cfg.MaxInFlight),
		parts: map[partitionKey]*pubPartition{}, lookups: map[string]*ailment{}}
	p.compression, p.cfgErr = compressionByName(cfg.Compression)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

func compressionByName(name string) (kafka.Compression, error) {
	switch name {
	case "", "none":
		return 0, nil
	case "gzip":
		return kafka.Gzip, nil
	case "snappy":
		return kafka.Snappy, nil
	case "lz4":
		return kafka.Lz4, nil
	case "zstd":
		return kafka.Zstd, nil
	}
	return 0, fmt.Errorf("bus: unknown compression %q: use none, gzip, snappy, lz4 or zstd", name)
}

// Send writes records and returns when the outcome of every one is known, or ctx ends: then records that were on their
// way have an unknown outcome. The answer has one element per record, in order. Records of one key keep their order;
// after one fails, later ones of its partition in the same call are not written. The records must not be changed before
// Send returns. Record fields Partition, Offset and Time are not read: a record's time is when it is written, because brokers
// remove old records by it.
func (p *Publisher) Send(ctx context.Context, records []event.Record) []event.Sent {
	sent := make([]event.Sent, len(records))
	fail := func(err error) []event.Sent {
		for i := range sent {
			sent[i] = event.Sent{Offset: -1, Err: err}
		}
		return sent
	}
	if p.cfgErr != nil {
		return fail(fault.Wrap(fault.Invalid, "publish", p.cfgErr))
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return fail(fault.Wrap(fault.Unavailable, "publish", errClosed))
	}
	p.sending.Add(1)
	p.mu.Unlock()
	defer p.sending.Done()

	var failed map[partitionKey]bool // partitions that an earlier part of this call failed in
	for from := 0; from < len(records); {
		to, bytes := p.part(records, from)
		part := sent[from:to]
		if err := p.budget.Acquire(ctx, bytes); err != nil {
			for i := range sent[from:] {
				sent[from+i] = event.Sent{Offset: -1, Err: fault.Wrap(fault.Unavailable, "publish: not sent", err)}
			}
			return sent
		}
		p.sendPart(ctx, records[from:to], part, bytes, failed)
		if to < len(records) {
			for i := range part {
				if part[i].Err != nil {
					if failed == nil {
						failed = map[partitionKey]bool{}
					}
					failed[partitionKey{records[from+i].Topic, part[i].Partition}] = true
				}
			}
		}
		from = to
	}
	return sent
}

// part cuts off as many records as may be in flight at once.
func (p *Publisher) part(records []event.Record, from int) (to int, bytes int64) {
	for to = from; to < len(records); to++ {
		n := int64(recordBytes(&records[to]))
		if bytes+n > p.cfg.MaxInFlight && to > from {
			break
		}
		bytes += n
	}
	return to, min(bytes, p.cfg.MaxInFlight)
}

// sendPart deals the records to their partitions and waits for their outcomes.
func (p *Publisher) sendPart(ctx context.Context, records []event.Record, sent []event.Sent, bytes int64, failed map[partitionKey]bool) {
	c := &call{records: records, sent: make([]event.Sent, len(records)), done: make(chan struct{}), release: func() { p.budget.Release(bytes) }}
	var chunks []*chunk
	var partitions []int
	var topicErr error
	topic, most := "", 0
	pending := 0
	for i := range records {
		r := &records[i]
		if i == 0 || r.Topic != topic {
			topic = r.Topic
			partitions, topicErr = p.lookUp(ctx, topic)
			most = p.c.MaxRecord(topic)
		}
		if topicErr != nil {
			c.sent[i] = event.Sent{Offset: -1, Err: topicErr}
			continue
		}
		n := p.balancer.Balance(kafka.Message{Key: r.Key}, partitions...)
		c.sent[i] = event.Sent{Partition: n, Offset: -1}
		size := recordBytes(r)
		at := partitionKey{topic, n}
		if size > most {
			c.sent[i].Err = fault.New(fault.Invalid, "record of %d bytes is larger than %d, which is what topic %s takes: set its max.message.bytes", size, most, topic)
			if failed == nil {
				failed = map[partitionKey]bool{}
			}
			failed[at] = true
			continue
		}
		if failed[at] {
			c.sent[i].Err = errAfterFailure
			continue
		}
		pending++
		k := findChunk(chunks, at)
		if k == nil {
			k = &chunk{call: c, at: at}
			chunks = append(chunks, k)
		}
		k.idx = append(k.idx, int32(i))
		k.bytes += size
	}
	c.pending = pending
	if pending == 0 {
		c.release()
		copy(sent, c.sent)
		return
	}
	for _, k := range chunks {
		p.partition(k.at).enqueue(k)
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		p.abandon(c, chunks, ctx.Err())
	case <-p.ctx.Done():
		p.abandon(c, chunks, errClosed)
	}
	c.mu.Lock()
	copy(sent, c.sent)
	c.mu.Unlock()
}

// lookUp gives the partition numbers of a topic.
func (p *Publisher) lookUp(ctx context.Context, topic string) ([]int, error) {
	partitions, err := p.c.partitionsOf(ctx, topic)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch a := p.lookups[topic]; {
	case err == nil:
		delete(p.lookups, topic)
	case ctx.Err() != nil:
	case a == nil:
		p.lookups[topic] = &ailment{}
		fallthrough
	default:
		p.lookups[topic].note(err)
	}
	return partitions, err
}

// errAfterFailure: the record was not sent, because one before it failed.
var errAfterFailure = fault.New(fault.Unavailable, "not sent: an earlier record of the same partition failed")

func findChunk(chunks []*chunk, at partitionKey) *chunk {
	for i := len(chunks) - 1; i >= 0; i-- {
		if chunks[i].at == at {
			return chunks[i]
		}
	}
	return nil
}

// abandon ends the waiting for a call: what is still queued will not be sent, what is on its way has an unknown outcome.
func (p *Publisher) abandon(c *call, chunks []*chunk, cause error) {
	for _, k := range chunks {
		p.partition(k.at).withdraw(k, fault.Wrap(fault.Unavailable, "publish: not sent", cause))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == 0 {
		return
	}
	c.abandoned = true
	for i := range c.sent {
		if s := &c.sent[i]; s.Err == nil && s.Offset < 0 {
			s.Err = fault.Wrap(fault.UnknownOutcome, "publish: gave up waiting", cause)
		}
	}
}

func (p *Publisher) partition(at partitionKey) *pubPartition {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.parts[at]
	if q == nil {
		q = &pubPartition{p: p, w: producer{c: p.c, topic: at.topic, partition: at.partition}}
		p.parts[at] = q
	}
	return q
}

// Close waits for the outcome of everything that was given to Send, no longer than a write and its retries may take.
func (p *Publisher) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		p.sending.Wait()
		p.writing.Wait()
		close(done)
	}()
	timer := time.NewTimer(p.cfg.RequestTimeout + p.cfg.RetryFor)
	defer timer.Stop()
	select {
	case <-done:
		p.cancel()
		return nil
	case <-timer.C:
		p.cancel()
		return errors.New("bus: publisher closed while records were on their way: their outcome is unknown")
	}
}
