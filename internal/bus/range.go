package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/bus/recordbatch"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
)

// ErrNotHeld: the log of a partition does not reach to the offset: it begins later, or ends before.
var ErrNotHeld = errors.New("the partition does not hold the offset")

// Stretch is what lies in a partition from an offset on, as far as it was read.
type Stretch struct {
	// Records are those that count, in their order: not those of transactions that are open or were aborted. They hold memory of their own, and
	// name no topic.
	Records []event.Record
	// Next is the offset to go on at.
	Next int64
	// Unreadable is why nothing can be read from the offset up to Next: a batch that becomes larger than maxInflate. There are no Records then.
	Unreadable error
}

// ReadFrom reads records of a partition from an offset on, without taking part in any group and without waiting for more: at most so many records,
// and about so many bytes as they are sent; a broker gives one whole batch all the same. The error is a *fault.Error; it wraps ErrNotHeld where the log does
// not reach to the offset.
func (c *Cluster) ReadFrom(ctx context.Context, topic string, partition int, offset int64, records, maxBytes int) (Stretch, error) {
	f := &fetcher{c: c, topic: topic, partition: partition}
	defer f.release()
	where := fmt.Sprintf("read %s/%d from offset %d", topic, partition, offset)
	answer, err := f.fetch(ctx, offset, maxBytes, 0)
	if err == nil && answer.err != 0 {
		c.forget(topic)
		err = kafka.Error(answer.err)
	}
	switch {
	case errors.Is(err, kafka.OffsetOutOfRange):
		return Stretch{}, fault.Wrap(fault.Unavailable, where, fmt.Errorf("%w: %w", ErrNotHeld, err))
	case err != nil:
		return Stretch{}, fault.Wrap(callKind(err), where, err)
	}
	s := Stretch{Next: offset}
	if err := s.take(&answer, records, maxInflate); err != nil {
		return Stretch{}, fault.Wrap(fault.Unavailable, where, err)
	}
	return s, nil
}

// take adds what an answer holds, at most so many records, of batches that do not become larger than the limit.
func (s *Stretch) take(a *fetched, most int, limit int64) error {
	aborted := abortedSet{list: a.aborted}
	for b := a.records; len(s.Records) < most; {
		info, rest, ok, err := recordbatch.Read(b)
		if err != nil || !ok {
			return err
		}
		b = rest
		if info.Next <= s.Next {
			continue
		}
		if !aborted.skip(&info) {
			err := info.Inflate(limit)
			switch {
			case errors.Is(err, recordbatch.ErrInflated):
				return s.unreadable(info.Next, err)
			case err != nil:
				return err
			}
			if err := s.batch(&info, most); err != nil {
				return err
			}
			if len(s.Records) >= most {
				return nil
			}
		}
		s.Next = info.Next
	}
	return nil
}

// unreadable notes what cannot be read, unless there are records before it: those are given first.
func (s *Stretch) unreadable(next int64, err error) error {
	if len(s.Records) == 0 {
		s.Next, s.Unreadable = next, err
	}
	return nil
}

// batch adds the records of one batch from Next on.
func (s *Stretch) batch(b *recordbatch.Batch, most int) error {
	rr := recordsOf(b)
	for {
		var rec event.Record
		rr.headers = nil
		more, err := rr.next(&rec)
		if err != nil || !more {
			return err
		}
		if rec.Offset < s.Next {
			continue
		}
		if len(s.Records) >= most {
			return nil
		}
		rec.Key, rec.Value = bytes.Clone(rec.Key), bytes.Clone(rec.Value)
		rec.Headers = slices.Clone(rec.Headers)
		for i := range rec.Headers {
			rec.Headers[i].Value = bytes.Clone(rec.Headers[i].Value)
		}
		s.Records = append(s.Records, rec)
		s.Next = rec.Offset + 1
	}
}
