package logcheck

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/publish"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// resendBatches is how many batches of sent records are read at once.
	resendBatches = 16
	// resendTTL is how long a hub that puts records on a topic again may be silent before another one goes on.
	resendTTL = 15 * time.Second
)

// Resend puts on topics again what is lost, in order, one hub at a time, until ctx ends.
func (c *Checker) Resend(ctx context.Context) {
	for lifecycle.Wait(ctx, c.o.Clock, lookEvery, c.resend) == nil {
		pending, err := c.o.Store.Resending(ctx)
		if err != nil || len(pending) == 0 {
			continue
		}
		done := false
		for _, topic := range slices.Sorted(maps.Keys(pending)) {
			if c.Broken(topic) {
				continue
			}
			had, err := c.resendTopic(ctx, topic)
			if err != nil && ctx.Err() == nil {
				c.sparing.Warn(c.o.Clock, c.o.Log, "putting records on a topic again failed; trying again", err, "topic", topic)
			}
			done = done || had && err == nil
		}
		if done { // where nothing has changed, a look would only ask for this again, at once
			c.LookSoon()
		}
	}
}

// resendTopic puts on a topic what it lacks; had is false where another hub is at it.
func (c *Checker) resendTopic(ctx context.Context, topic string) (had bool, err error) {
	r := lease.Runner{Store: c.o.Store, Clock: c.o.Clock, Log: c.o.Log, Name: "resend/" + topic, Holder: c.o.Holder, TTL: resendTTL}
	return r.Once(ctx, func(ctx context.Context, held *lease.Held) error {
		for total := 0; ; {
			n, err := c.resendBatch(ctx, held, topic)
			if err != nil {
				return err
			}
			if n == 0 {
				c.o.Log.Info("records are on their topic again", "topic", topic, "records", total)
				return nil
			}
			total += n
		}
	})
}

// resendBatch sends the first batches of what is lost, and gives how many records that were; 0: nothing is lost any more.
func (c *Checker) resendBatch(ctx context.Context, held *lease.Held, topic string) (sent int, err error) {
	// Before anything is sent: where the log is another one by the time that it is stored, it has to be sent once more.
	life := c.Life(topic)
	batches, err := c.o.Store.Lost(ctx, topic, resendBatches)
	if err != nil {
		return 0, err
	}
	for _, b := range batches {
		at, err := c.sendAll(ctx, held, topic, b.Records)
		if err != nil {
			return sent, err
		}
		if err := c.o.Store.Resent(ctx, held.Lease(), b.ID, life, at); err != nil {
			return sent, err
		}
		sent += len(at)
	}
	return sent, nil
}

// sendAll sends until every record is on the topic. It gives up where the topic is not what it was, where the broker will never take a record as it is
// (other topics wait behind this one, and a person may change that), and where the lease may have run out.
func (c *Checker) sendAll(ctx context.Context, held *lease.Held, topic string, records []event.Record) ([]state.PublishedAt, error) {
	at := make([]state.PublishedAt, len(records))
	all := publish.Batch{
		Len:    len(records),
		Ready:  func() error { return held.Check(c.o.Clock) }, // a hub that was frozen sends nothing beside the one that has gone on
		Record: func(i int) event.Record { return records[i] },
		Settle: func(i int, s event.Sent) publish.Fate {
			if s.Err != nil {
				return publish.Failed
			}
			at[i] = state.PublishedAt{Topic: records[i].Topic, Partition: s.Partition, Offset: s.Offset}
			return publish.Settled
		},
		Retry: func(try func() error) error {
			return lifecycle.Retry(ctx, c.o.Clock, lifecycle.Backoff{Min: 50 * time.Millisecond, Max: 5 * time.Second}, try, func(err error, wait time.Duration) error {
				if c.Broken(topic) || errors.Is(err, state.ErrFenced) || fault.KindOf(err) == fault.Invalid {
					return err
				}
				c.sparing.Warn(c.o.Clock, c.o.Log, "the broker does not take records that are to be on their topic again; trying again", err, "topic", topic, "in", wait)
				return nil
			})
		},
	}
	err := all.Send(ctx, c.o.Broker)
	return at, err
}

// Prune removes of the sent records what all readers have finished, if the logs are those that the positions are of.
func (c *Checker) Prune(ctx context.Context) (removed int64, err error) {
	flows := c.o.Flows()
	return c.o.Store.PruneSent(ctx, readers(flows), func(ctx context.Context) error {
		e, err := c.gather(ctx, flows)
		if err != nil {
			return err
		}
		var torn []string
		for _, b := range Survey(readings(flows), *e) {
			if b.Whole {
				torn = append(torn, b.Topic)
			}
		}
		if len(torn) > 0 {
			return fmt.Errorf("the logs of %s are not what they were: %w", strings.Join(torn, ", "), state.ErrBroker)
		}
		return nil
	})
}
