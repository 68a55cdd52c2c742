package bus

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/waybill-hub/waybill/internal/bus/recordbatch"
	"github.com/waybill-hub/waybill/internal/fault"
)

// identity is what a partition's batches are signed with, where the publisher is idempotent: the broker takes a batch that it was sent twice once, and
// none of an older epoch behind one of a newer. It is of the partition's goroutine alone.
type identity struct {
	known bool
	// refused: the broker gives this user no id. Batches go unsigned then.
	refused bool
	id      int64
	epoch   int16
	next    int32 // number of the next record
}

// bump makes every batch that was signed before one that the broker refuses, once it has taken another.
func (d *identity) bump() {
	if d.next = 0; d.epoch == math.MaxInt16 {
		d.known = false
		return
	}
	d.epoch++
}

// wrote notes that n records were written.
func (d *identity) wrote(n int) { d.next = int32((int64(d.next) + int64(n)) % (1 << 31)) }

// sign puts the identity into an encoded batch.
func (d *identity) sign(batch []byte) {
	binary.BigEndian.PutUint64(batch[43:], uint64(d.id))
	binary.BigEndian.PutUint16(batch[51:], uint16(d.epoch))
	binary.BigEndian.PutUint32(batch[53:], uint32(d.next))
	binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:], recordbatch.Castagnoli))
}

// identify gets an id from the broker, where there is none yet.
func (c *Cluster) identify(ctx context.Context, d *identity) error {
	if d.known || d.refused {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	var code int16
	var id int64
	var epoch int16
	q := &raw{key: protocol.InitProducerId, least: 1, most: 1,
		write: func(b []byte, _ int16) []byte {
			b = append(b, 0xff, 0xff)                               // no transactions
			return binary.BigEndian.AppendUint32(b, math.MaxUint32) // and so no bound of one
		},
		read: func(r io.Reader, size int, _ int16) error {
			b, err := readAll(r, size)
			if err != nil {
				return err
			}
			w := &wireReader{b: b}
			w.int32() // throttle
			code, id, epoch = w.int16(), w.int64(), w.int16()
			return w.err
		},
	}
	const op = "ask for a producer's id"
	if err := c.exchange(ctx, q); err != nil {
		return &fault.Error{Kind: callKind(err), Op: op, Err: err}
	}
	switch err := kafka.Error(code); {
	case code == 0:
		*d = identity{known: true, id: id, epoch: epoch}
	case errors.Is(err, kafka.ClusterAuthorizationFailed): // clusters of before 3.0 want IDEMPOTENT_WRITE for it
		c.cfg.Log.Warn("the cluster gives the hub's user no producer id: a write that was cut off is not told apart from one that is made again", "cluster", c.String())
		d.refused = true
	default:
		return &fault.Error{Kind: fault.Unavailable, Op: op, Code: err.Title(), Err: err}
	}
	return nil
}

// try is one batch on its way, over all tries.
type try struct {
	d *identity
	n int // records
	// signed: the batch has its number. doubt: an earlier try may have been written. twice: one was, so long ago that the broker does not know where.
	signed, doubt, twice bool
}

// again: the same batch may be sent once more, although nobody knows what became of it.
func (t *try) again(err error) bool {
	return t.d.known && t.signed && fault.KindOf(err) == fault.UnknownOutcome && !errors.Is(err, context.Canceled)
}

// answered says what the answer to a signed batch means; nil: it is written, once.
func (t *try) answered(err error) error {
	var code kafka.Error
	errors.As(err, &code)
	f, _ := fault.As(err)
	switch {
	case err == nil, code == kafka.DuplicateSequenceNumber:
		t.twice = err != nil
		t.d.wrote(t.n)
		return nil
	case code == kafka.OutOfOrderSequenceNumber, code == kafka.UnknownProducerId, code == kafka.InvalidProducerIDMapping, code == kafka.InvalidProducerEpoch:
		// This try was not written: the broker has forgotten the partition's producer, or its log is another one.
		t.d.bump()
		if t.doubt {
			t.signed = false
			return err // an unknown outcome, and no second batch under another number
		}
		t.signed = false
		g := *f
		g.Kind = fault.Unavailable
		return &g
	case f.Kind == fault.UnknownOutcome:
		t.doubt = true
	case f.Kind != fault.Invalid && t.doubt: // this one was not, but one before may have been
		g := *f
		g.Kind = fault.UnknownOutcome
		return &g
	}
	return err
}
