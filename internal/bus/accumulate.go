package bus

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/bus/recordbatch"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// call is one Send (or the part of it that may be in flight at once).
type call struct {
	records []event.Record
	done    chan struct{}
	release func()

	mu        sync.Mutex
	sent      []event.Sent
	pending   int
	abandoned bool
}

// settle notes the outcomes of n records.
func (c *call) settle(n int, note func(sent []event.Sent)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.abandoned {
		note(c.sent)
	}
	c.pending -= n
	if c.pending == 0 {
		c.release()
		close(c.done)
	}
}

// chunk is what one call has for one partition, in order. Its fields are the partition's to guard.
type chunk struct {
	call  *call
	at    partitionKey
	idx   []int32 // positions in call.records
	bytes int
	taken int // idx[:taken] have been put into a batch
	// failed: a record of it was not written; gone: the caller has given up. Nothing more of it is sent.
	failed, gone bool
}

// span is the part of a chunk that is in a batch.
type span struct {
	k        *chunk
	from, to int
}

// pubPartition queues what is to be written to one partition. While anything is queued it has a goroutine, which writes
// one batch at a time.
type pubPartition struct {
	p *Publisher
	w producer

	// reading is held while records are read for encoding: a caller that gives up waits for it, because it may change
	// its records afterwards.
	ill     ailment // of writing
	reading sync.Mutex
	mu      sync.Mutex
	queue   []*chunk
	running bool

	// Of the goroutine alone.
	spans   []span
	encoder batchWriter
	buf     []byte // the write request
	batch   int    // where its batch begins
	memory  *[]byte
	signer  identity
}

func (q *pubPartition) enqueue(k *chunk) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, k)
	if !q.running {
		q.running = true
		q.p.writing.Add(1)
		go q.run()
	}
}

// withdraw takes back what of a chunk is not in a batch yet.
func (q *pubPartition) withdraw(k *chunk, err error) {
	q.reading.Lock()
	defer q.reading.Unlock()
	q.mu.Lock()
	rest := k.idx[k.taken:]
	k.idx = k.idx[:k.taken]
	k.gone = true
	q.mu.Unlock()
	if len(rest) > 0 {
		k.call.settle(len(rest), func(sent []event.Sent) { setErr(sent, rest, err) })
	}
}

func setErr(sent []event.Sent, idx []int32, err error) {
	for _, i := range idx {
		sent[i].Err = err
	}
}

func (q *pubPartition) run() {
	defer q.p.writing.Done()
	if q.p.cfg.Linger > 0 {
		timer := time.NewTimer(q.p.cfg.Linger)
		select {
		case <-timer.C:
		case <-q.p.ctx.Done():
		}
		timer.Stop()
	}
	q.memory = buffers.Get().(*[]byte)
	q.buf = *q.memory
	for q.take() {
		q.write(q.spans)
	}
}

// take fills q.spans with the next batch; false, and the goroutine ends, when nothing is queued.
func (q *pubPartition) take() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spans = q.spans[:0]
	bytes, most := recordbatch.HeaderSize, min(q.p.cfg.BatchBytes, q.p.c.MaxRecord(q.w.topic))
	for len(q.queue) > 0 {
		k := q.queue[0]
		from := k.taken
		for k.taken < len(k.idx) {
			n := recordBytes(&k.call.records[k.idx[k.taken]])
			if bytes+n > most && bytes > recordbatch.HeaderSize {
				break
			}
			bytes += n
			k.taken++
		}
		if k.taken > from {
			q.spans = append(q.spans, span{k, from, k.taken})
		}
		if k.taken < len(k.idx) {
			return true
		}
		q.queue[0] = nil
		q.queue = q.queue[1:]
	}
	q.queue = nil
	if len(q.spans) == 0 { // before anyone can start another goroutine
		*q.memory = q.buf
		buffers.Put(q.memory)
		q.running, q.memory, q.buf = false, nil, nil
	}
	return q.running
}

// write writes the spans as one batch, or in halves where the broker refuses the batch for something in it.
func (q *pubPartition) write(spans []span) {
	spans, n, err := q.encode(spans)
	if n == 0 {
		return
	}
	var base int64
	if err == nil {
		base, err = q.attempt(n)
	}
	if errors.Is(err, kafka.MessageSizeTooLarge) { // somebody has made the topic take less: what comes next is cut to that
		_ = q.p.c.LearnLimits(q.p.ctx, q.w.topic)
	}
	if fault.KindOf(err) == fault.Invalid && n > 1 {
		first, second := halve(spans, n/2)
		q.write(first)
		q.write(second)
		return
	}
	for _, s := range spans {
		q.settle(s, base, err)
		if base >= 0 {
			base += int64(s.to - s.from)
		}
	}
}

// encode puts the records of the spans into q.buf, and gives back the spans that are in it: not those of calls that have
// had a failure, nor of callers that have gone.
func (q *pubPartition) encode(spans []span) ([]span, int, error) {
	q.reading.Lock()
	defer q.reading.Unlock()
	q.buf = q.w.begin(q.buf[:0], q.p.cfg.RequestTimeout)
	q.batch = len(q.buf)
	q.encoder.begin(q.buf, time.Now())
	n, out := 0, spans[:0]
	for _, s := range spans {
		switch {
		case s.k.failed: // settled by the failure
		case s.k.gone:
			q.settle(s, 0, errAfterFailure)
		default:
			for _, i := range s.k.idx[s.from:s.to] {
				q.encoder.add(&s.k.call.records[i])
			}
			n += s.to - s.from
			out = append(out, s)
		}
	}
	var err error
	q.buf, err = q.encoder.end(q.p.compression)
	q.w.end(q.buf, q.batch)
	return out, n, fault.Wrap(fault.Invalid, "encode", err)
}

// halve cuts spans after n records.
func halve(spans []span, n int) (first, second []span) {
	for _, s := range spans {
		k := min(n, s.to-s.from)
		if k > 0 {
			first = append(first, span{s.k, s.from, s.from + k})
		}
		if s.from+k < s.to {
			second = append(second, span{s.k, s.from + k, s.to})
		}
		n -= k
	}
	return first, second
}

// settle notes the outcome of a span. After a failure nothing more of the chunk is sent.
func (q *pubPartition) settle(s span, base int64, err error) {
	q.mu.Lock() // a caller that gives up meanwhile shortens idx
	idx, rest := s.k.idx[s.from:s.to], s.k.idx[s.to:]
	if err != nil {
		s.k.idx = s.k.idx[:s.to]
		s.k.taken = min(s.k.taken, s.to)
		s.k.failed = true
	}
	q.mu.Unlock()
	if err == nil {
		s.k.call.settle(len(idx), func(sent []event.Sent) {
			for i, at := range idx {
				sent[at].Offset = base
				if base >= 0 {
					sent[at].Offset = base + int64(i)
				}
			}
		})
		return
	}
	s.k.call.settle(len(idx)+len(rest), func(sent []event.Sent) {
		setErr(sent, idx, err)
		setErr(sent, rest, errAfterFailure)
	})
}

// attempt writes the encoded batch of n records, again and again while it was certainly not written, or would be there once all the same, and may be soon.
func (q *pubPartition) attempt(n int) (base int64, err error) {
	until := time.Now().Add(q.p.cfg.RetryFor)
	if q.p.cfg.Idempotent {
		until = until.Add(q.p.cfg.RequestTimeout) // also one that was not answered in time is sent again
	}
	t := try{d: &q.signer, n: n}
	_ = lifecycle.Retry(q.p.ctx, lifecycle.Real(), lifecycle.Backoff{Min: 20 * time.Millisecond, Max: time.Second}, func() error {
		base, err = q.once(&t)
		switch {
		case err == nil || fault.KindOf(err) == fault.Invalid: // the broker takes records, or says what is wrong with this one
			q.ill.heal()
		case q.p.ctx.Err() == nil:
			q.ill.note(err)
		}
		return err
	}, func(err error, wait time.Duration) error {
		if !passing(err) && !t.again(err) || time.Now().Add(wait).After(until) {
			return err
		}
		return nil
	})
	if t.doubt && err != nil {
		q.signer.bump()
	}
	return base, err // of the last try, also where the publisher was closed: whether it was written is for that to say
}

// once makes one try.
func (q *pubPartition) once(t *try) (base int64, err error) {
	if q.p.cfg.Idempotent {
		if err := q.p.c.identify(q.p.ctx, t.d); err != nil {
			return 0, err
		}
	}
	if !t.d.known {
		return q.w.produce(q.p.ctx, q.buf, q.p.cfg.RequestTimeout)
	}
	if !t.signed {
		t.d.sign(q.buf[q.batch:])
		t.signed = true
	}
	base, err = q.w.produce(q.p.ctx, q.buf, q.p.cfg.RequestTimeout)
	if err = t.answered(err); err == nil && t.twice {
		base = -1 // where, the broker does not know any more
	}
	return base, err
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	return lifecycle.Sleep(ctx, lifecycle.Real(), d) == nil
}
