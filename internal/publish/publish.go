// Package publish puts records on their topics in order. What fails is sent again as one, before anything later: the broker writes nothing of a
// partition behind a record that fails, so what is sent again in its order has been overtaken by nothing.
package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/waybill-hub/waybill/internal/event"
)

// Publisher sends records once. The answer has one element per record, in their order; behind one that fails, nothing of its partition is
// written in the same call.
type Publisher interface {
	Send(ctx context.Context, records []event.Record) []event.Sent
}

// Fate is what becomes of a record that was sent once.
type Fate uint8

const (
	// Settled: it is on its topic, or is not to be sent any more.
	Settled Fate = iota
	// Failed: it is to be sent again when the broker was given time.
	Failed
	// Changed: it is something else now, and is sent at once, with all that failed.
	Changed
	// Refused: it will never be taken, and is not sent any more; what failed behind it is sent at once.
	Refused
)

// Batch is what is to be sent in order, by number. Its functions are called one at a time.
type Batch struct {
	Len int
	// Ready says before each sending why nothing may be sent at present; nil: something may always be.
	Ready func() error
	// Record makes the record that is sent, at each sending anew.
	Record func(i int) event.Record
	// Settle is told, in order, what came of each record.
	Settle func(i int, s event.Sent) Fate
	// Retry calls try until it succeeds, or gives up with an error; lifecycle.Retry with its waits.
	Retry func(try func() error) error
}

// Send sends until every record is settled. Its error is Retry's.
func (b *Batch) Send(ctx context.Context, p Publisher) error {
	open := make([]int, b.Len)
	for i := range open {
		open[i] = i
	}
	if b.Len == 0 {
		return nil
	}
	return b.Retry(func() error {
		for now := true; now && len(open) > 0; {
			if b.Ready != nil {
				if err := b.Ready(); err != nil {
					return err
				}
			}
			var err error
			if open, now, err = b.once(ctx, p, open); err != nil && !now {
				return err
			}
		}
		if len(open) > 0 {
			return errNoReason
		}
		return nil
	})
}

// errNoReason: a fault of the caller, which must not pass for an end.
var errNoReason = errors.New("records are to be sent again, and nobody said why")

// once sends these records once and gives those that are to be sent again, and whether at once; err is why one of them failed.
func (b *Batch) once(ctx context.Context, p Publisher, open []int) (again []int, now bool, err error) {
	records := make([]event.Record, len(open))
	for n, i := range open {
		records[n] = b.Record(i)
	}
	sent := p.Send(ctx, records)
	if len(sent) != len(records) {
		return open, false, fmt.Errorf("the publisher answered for %d of %d records", len(sent), len(records))
	}
	for n, i := range open {
		switch b.Settle(i, sent[n]) {
		case Settled:
		case Refused:
			now = true
		case Changed:
			now, again = true, append(again, i)
		case Failed:
			if again = append(again, i); err == nil { // what fails behind it says less
				err = sent[n].Err
			}
		}
	}
	return again, now, err
}
