package bus

import (
	"context"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/bus/recordbatch"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
)

// Bounds of a peek: what one asks of the broker, what a batch may become when it is decompressed for it, and how many records it tells of. A
// broker gives one whole batch all the same, which a larger bound would only add others to.
const (
	peekBytes   = 64 << 10
	peekInflate = 8 << 20
	peekRecords = 1000
)

// Peeked is a record that lies on a topic: its offset, and when it was accepted (see event.AcceptedAt).
type Peeked struct {
	Offset   int64
	Accepted time.Time
}

// Peek tells of records from an offset on, in their order: as many as the broker gives in one small answer, without taking part in any group
// and without waiting for more. None: there is none that counts, or the topic does not reach so far.
func (c *Cluster) Peek(ctx context.Context, topic string, partition int, from int64) ([]Peeked, error) {
	f := &fetcher{c: c, topic: topic, partition: partition}
	defer f.release()
	answer, err := f.fetch(ctx, from, peekBytes, 0)
	if err == nil && answer.err != 0 {
		c.forget(topic)
		err = kafka.Error(answer.err)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "look at what waits on "+topic, err)
	}
	return answer.peek(from)
}

func (a *fetched) peek(from int64) (out []Peeked, err error) {
	aborted := abortedSet{list: a.aborted}
	for b := a.records; len(out) < peekRecords; {
		info, rest, ok, err := recordbatch.Read(b)
		if err != nil || !ok {
			return out, err
		}
		b = rest
		if info.Next <= from || aborted.skip(&info) {
			continue
		}
		if err := info.Inflate(peekInflate); err != nil {
			// Its records stay unread; the batch tells when the first of them was written.
			out = append(out, Peeked{max(from, info.Base), event.AcceptedAt(&event.Record{Time: time.UnixMilli(info.BaseTime)})})
			continue
		}
		if out, err = peekBatch(&info, out, from); err != nil {
			return out, err
		}
	}
	return out, nil
}

// peekBatch adds the batch's records from an offset on.
func peekBatch(b *recordbatch.Batch, out []Peeked, from int64) ([]Peeked, error) {
	rr := recordsOf(b)
	var rec event.Record
	for len(out) < peekRecords {
		more, err := rr.next(&rec)
		if err != nil || !more {
			return out, err
		}
		if rec.Offset >= from {
			out = append(out, Peeked{rec.Offset, event.AcceptedAt(&rec)})
		}
		rr.headers = rr.headers[:0]
	}
	return out, nil
}
