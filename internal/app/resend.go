package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// resendLost puts on topics again what is lost, in order, one hub at a time.
func (h *Hub) resendLost(ctx context.Context) {
	for lifecycle.Wait(ctx, h.clock, lookLogs, h.logs.resend) == nil {
		pending, err := h.store.Resending(ctx)
		if err != nil || len(pending) == 0 {
			continue
		}
		for _, topic := range slices.Sorted(maps.Keys(pending)) {
			if h.logs.brokenLog(topic) {
				continue
			}
			if err := h.resendTopic(ctx, topic); err != nil && ctx.Err() == nil {
				h.log.Warn("putting records on a topic again failed; trying again", "topic", topic, "error", err)
			}
		}
		nudge(h.logs.kick)
	}
}

// resendBatches is how many outbox rows are read at once.
const resendBatches = 16

func (h *Hub) resendTopic(ctx context.Context, topic string) error {
	const ttl = 15 * time.Second
	lease, ok, err := h.store.AcquireLease(ctx, "resend/"+topic, h.logs.holder, ttl)
	if err != nil || !ok {
		return err
	}
	defer func() {
		if err := h.store.ReleaseLease(context.WithoutCancel(ctx), lease); err != nil {
			h.log.Debug("cannot give back a lease; it will run out", "lease", lease.Name, "error", err)
		}
	}()
	sent := 0
	for {
		life := h.logs.Life(topic)
		batches, err := h.store.Lost(ctx, topic, resendBatches)
		if err != nil {
			return err
		}
		if len(batches) == 0 {
			h.log.Info("records are on their topic again", "topic", topic, "records", sent)
			return nil
		}
		for i := range batches {
			at, err := h.sendAgain(ctx, topic, batches[i].Records)
			if err != nil {
				return err
			}
			if err := h.store.Resent(ctx, lease, batches[i].ID, life, at); err != nil {
				return err
			}
			sent += len(at)
		}
		if lease, err = h.store.RenewLease(ctx, lease, ttl); err != nil {
			return err
		}
	}
}

// sendAgain sends until every record is on the topic. What fails is sent again before anything behind it.
func (h *Hub) sendAgain(ctx context.Context, topic string, records []event.Record) ([]state.PublishedAt, error) {
	at := make([]state.PublishedAt, len(records))
	open := make([]int, len(records))
	for i := range open {
		open[i] = i
	}
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		batch := make([]event.Record, len(open))
		for j, i := range open {
			batch[j] = records[i]
		}
		var failed []int
		var cause error
		for j, s := range h.publisher.Send(ctx, batch) {
			if s.Err != nil {
				failed, cause = append(failed, open[j]), s.Err
				continue
			}
			at[open[j]] = state.PublishedAt{Topic: topic, Partition: s.Partition, Offset: s.Offset}
		}
		if open = failed; len(open) == 0 {
			return at, nil
		}
		if h.logs.brokenLog(topic) {
			return nil, cause
		}
		if err := lifecycle.Sleep(ctx, h.clock, wait); err != nil {
			return nil, errors.Join(err, cause)
		}
	}
}

// pruneOutbox removes what all readers have finished, if the logs are those that the positions are of.
func (h *Hub) pruneOutbox(ctx context.Context) (int64, error) {
	plan := h.plan()
	return h.store.PruneOutbox(ctx, readers(plan), func(ctx context.Context) error {
		e, err := h.evidence(ctx, plan)
		if err != nil {
			return err
		}
		var torn []string
		for _, b := range store.Survey(readings(plan), *e) {
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
