package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

const (
	// clockMargin is how far the clocks of hubs and brokers may be apart: records are looked for from so long before.
	clockMargin = 5 * time.Minute
	// mostLooked bounds what is read for one look, in bytes as they are sent.
	mostLooked = 256 << 20
	// lookedRecords and lookedBytes are read at once.
	lookedRecords = 5000
	lookedBytes   = 4 << 20
)

// errTooFar: more lies between than is looked through.
var errTooFar = errors.New("more was written to the topic since then than is looked through")

// recall looks whether a change was written by an earlier call of which nobody knows what became. That call's request may reach the broker for as long as
// it may be under way: nothing is told before.
func (s *system) recall(ctx context.Context, op string, o *object, w *connector.Write, key []byte) (bool, error) {
	s.mu.Lock()
	d, known := s.doubts[w.IdempotencyKey]
	s.mu.Unlock()
	switch {
	case w.IdempotencyKey == "" || !known && w.Since.IsZero():
		return false, nil
	case !known:
		d.since = w.Since
	case !w.Since.IsZero() && w.Since.Before(d.since):
		d.since = w.Since
	}
	if wait := d.until - s.clock.Elapsed(); wait > 0 {
		if err := lifecycle.Sleep(ctx, s.clock, wait); err != nil {
			return false, s.classify(op, err)
		}
	}
	there := false
	err := s.scan(ctx, op, o, d.since, func(rec *event.Record) bool {
		there = header(rec, headerEvent) == w.IdempotencyKey && string(rec.Key) == string(key)
		return !there
	})
	if errors.Is(err, connector.ErrNoLookup) { // it is written again, under the same event id
		s.log.Warn("a change may be written twice: the hub's user may not read the topic to see whether it is there", "system", s.name, "topic", o.Topic)
		return false, nil
	}
	return there, err
}

// scan gives the records that were written since a time, less the margin, in every partition, until visit is false. An error that wraps ErrNoLookup: the
// hub's user may not read the topic.
func (s *system) scan(ctx context.Context, op string, o *object, since time.Time, visit func(rec *event.Record) bool) error {
	info, err := s.look(ctx, op, o)
	if err != nil {
		return s.unlookable(op, err)
	}
	from, err := s.cluster.OffsetsAt(ctx, o.Topic, since.Add(-clockMargin))
	if err != nil {
		return s.unlookable(op, s.classify(op, err))
	}
	left := mostLooked
	for i, p := range info.Partitions {
		if i >= len(from) || from[i] < 0 {
			continue
		}
		for at := max(from[i], p.First); at < p.Last; {
			got, err := s.cluster.ReadFrom(ctx, o.Topic, i, at, lookedRecords, lookedBytes)
			if err != nil {
				return s.unlookable(op, s.classify(op, err))
			}
			for k := range got.Records {
				rec := &got.Records[k]
				left -= len(rec.Key) + len(rec.Value)
				rec.Partition = i
				if !visit(rec) {
					return nil
				}
			}
			if left < 0 {
				return s.fail(fault.Unavailable, op, "%w", errTooFar)
			}
			if got.Next == at { // a transaction that is open hides what comes behind it
				return s.fail(fault.Unavailable, op, "%s: whether the change is there cannot be seen: a transaction is open at offset %d", where(o, i, at), at)
			}
			at = got.Next
		}
	}
	return nil
}

// unlookable is what the refusal of a read means for a look.
func (s *system) unlookable(op string, err error) error {
	if f, ok := fault.As(err); ok && f.Code == "TOPIC_AUTHORIZATION_FAILED" {
		out := s.fail(fault.Invalid, op, "")
		out.Err = errors.Join(connector.ErrNoLookup, f.Err)
		return out
	}
	return err
}

func header(rec *event.Record, name string) string {
	for i := range rec.Headers {
		if rec.Headers[i].Key == name {
			return string(rec.Headers[i].Value)
		}
	}
	return ""
}

// Find looks for an object that the hub may have created a while ago. A topic has no index, so that nothing else can be asked of it.
func (s *system) Find(ctx context.Context, l connector.Lookup) ([]connector.Record, error) {
	op := "find " + l.Object
	o, err := s.object(op, l.Object)
	if err != nil {
		return nil, err
	}
	if l.External == "" || l.Since.IsZero() {
		f := s.fail(fault.Invalid, op, "")
		f.Err = errors.Join(connector.ErrNoLookup, errors.New("a topic has no index"))
		return nil, f
	}
	if err := ctx.Err(); err != nil {
		return nil, s.classify(op, err)
	}
	var out []connector.Record
	var unread error
	err = s.scan(ctx, op, o, l.Since, func(rec *event.Record) bool {
		if header(rec, headerOperation) != string(connector.Create) || !connector.SameExternal(header(rec, headerExternal), l.External) {
			return true
		}
		found, err := s.record(ctx, o, "", rec)
		if err == nil {
			err = found.Err
		}
		if unread = err; unread != nil {
			return false
		}
		out = append(out, found)
		return true
	})
	if err == nil && unread != nil {
		err = s.classify(op, unread)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}
