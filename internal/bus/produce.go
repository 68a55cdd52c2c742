package bus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
)

// producer writes record batches to one partition, one at a time.
type producer struct {
	c         *Cluster
	topic     string
	partition int
}

// begin starts a write request: a record batch is to follow.
func (p *producer) begin(b []byte, timeout time.Duration) []byte {
	b = append(b, make([]byte, headSize(p.c.cfg.ClientID, false))...)
	b = append(b, 0xff, 0xff) // no transaction
	b = append(b, 0xff, 0xff) // all in-sync replicas
	b = binary.BigEndian.AppendUint32(b, uint32(timeout.Milliseconds()))
	b = binary.BigEndian.AppendUint32(b, 1)
	b = appendString(b, p.topic)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(p.partition))
	return append(b, 0, 0, 0, 0) // size of the batch
}

// end completes a write request whose batch begins at batch.
func (p *producer) end(b []byte, batch int) {
	binary.BigEndian.PutUint32(b[batch-4:], uint32(len(b)-batch))
}

// produce sends a write request with one batch and gives the offset of its first record. The error is classified:
// Unavailable, Invalid and Auth mean that nothing of the batch was written.
func (p *producer) produce(ctx context.Context, request []byte, timeout time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var code int16
	var base int64
	var text string
	q := &raw{key: protocol.Produce, least: 3, most: 8, negotiate: true, topic: p.topic, partition: int32(p.partition), whole: request,
		read: func(r io.Reader, size int, version int16) error {
			b, err := readAll(r, size)
			if err != nil {
				return err
			}
			w := &wireReader{b: b}
			if w.count(1) != 1 || w.string() != p.topic || w.count(1) != 1 || int(w.int32()) != p.partition {
				return errShort
			}
			code, base = w.int16(), w.int64()
			w.int64() // append time
			if version >= 5 {
				w.int64() // log start
			}
			if version >= 8 {
				for n := w.count(6); n > 0 && w.err == nil; n-- {
					w.int32()
					if s := w.string(); text == "" {
						text = s
					}
				}
				if s := w.string(); s != "" {
					text = s
				}
			}
			return w.err
		},
	}
	where := fmt.Sprintf("write to %s/%d", p.topic, p.partition)
	if err := failpoint.Fail(failpoint.Produce); err != nil {
		return 0, fault.Wrap(fault.Unavailable, where, err)
	}
	err := p.c.exchange(ctx, q)
	if err != nil {
		if q.sent() {
			return 0, &fault.Error{Kind: fault.UnknownOutcome, Op: where, Err: err}
		}
		return 0, &fault.Error{Kind: callKind(err), Op: where, Err: err}
	}
	if code == 0 {
		failpoint.Hit(failpoint.Produced)
		return base, nil
	}
	p.c.forget(p.topic)
	kerr := kafka.Error(code)
	f := &fault.Error{Kind: produceKind(kerr), Op: where, Code: kerr.Title(), Err: kerr}
	if text != "" {
		f.Err = fmt.Errorf("%w: %s", kerr, text)
	}
	return 0, f
}

// passing reports whether a write that was certainly not done may succeed when it is tried again soon.
func passing(err error) bool {
	f, ok := fault.As(err)
	return ok && f.Kind == fault.Unavailable && !errors.Is(err, context.Canceled)
}
