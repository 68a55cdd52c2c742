package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	relayRows  = 512
	relayBytes = 8 << 20
	relayPoll  = time.Second // for what other hubs have accepted, and what people have marked
	alarmAfter = 30 * time.Second
	relayGrace = 5 * time.Second // for what is on its way when the hub stops
)

// relay carries one flow's inbox to its topic, in the inbox's order. It works under a lease; should another relay have taken
// over meanwhile, what this one published comes twice, under the same event ids, and is marked by the other.
type relay struct {
	src   Source
	box   Outbox
	pub   Publisher
	clock lifecycle.Clock
	log   *slog.Logger
	obs   Observer
	logs  Logs
	wake  chan struct{} // of capacity one: something was accepted or marked
}

// run works until ctx ends.
func (r *relay) run(ctx context.Context, t *tenure) error {
	var looked time.Time
	for {
		n, err := 0, r.logs.Held(r.src.Topic)
		if now := r.clock.Now(); err == nil && now.Sub(looked) >= relayPoll {
			looked = now
			err = r.unplaced(ctx, t)
		}
		if err == nil {
			n, err = r.step(ctx, t)
		}
		// What the broker has made of the topic is for a person to see to; what is accepted meanwhile rests in the inbox.
		if err != nil && !errors.Is(err, state.ErrBroker) {
			return err
		}
		if n > 0 {
			continue
		}
		if err := lifecycle.Wait(ctx, r.clock, relayPoll, r.wake); err != nil {
			return err
		}
	}
}

// step carries the oldest rows and says how many they were.
func (r *relay) step(ctx context.Context, t *tenure) (int, error) {
	var rows []state.Inbound
	err := r.insist(ctx, "read the inbox", func() (err error) {
		rows, err = r.box.Unpublished(ctx, r.src.Flow, relayRows, relayBytes)
		return err
	})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	b := &batch{relay: r}
	done := make([]state.Published, len(rows))
	for i := range rows {
		done[i].Seq = rows[i].Seq
		if err := b.add(ctx, &rows[i], &done[i]); err != nil {
			return 0, err
		}
	}
	// What is on its way to the topic is also marked when the hub stops now: otherwise it would be published again.
	ctx, cancel := lifecycle.Linger(ctx, r.clock, relayGrace, errStopping)
	defer cancel()
	if err := t.held(r.clock); err != nil {
		return 0, err
	}
	if err := b.publish(ctx); err != nil {
		return 0, err
	}
	failpoint.Hit(failpoint.RelayPublished)
	published := b.place()
	err = r.insist(ctx, "mark the inbox", func() error { return r.box.MarkPublished(ctx, t.now(), done, b.park) })
	if err != nil {
		return 0, err
	}
	failpoint.Hit(failpoint.RelayMarked)
	r.obs.Relayed(r.src.Flow, published, len(b.park))
	if len(b.park) > 0 {
		r.log.Warn("events were parked before they had a place", "flow", r.src.Flow, "events", len(b.park), "first", b.park[0].Event.ID, "reason", b.park[0].Reason)
	}
	return len(rows), nil
}

// unplaced works parked events that a person has marked. An edited document is read anew.
func (r *relay) unplaced(ctx context.Context, t *tenure) error {
	for {
		var marked []state.Queued
		err := r.insist(ctx, "read marked events", func() (err error) {
			marked, err = r.box.UnplacedMarked(ctx, r.src.Flow)
			return err
		})
		if err != nil || len(marked) == 0 {
			return err
		}
		if err := r.again(ctx, t, marked); err != nil {
			return err
		}
	}
}

// again publishes marked events and settles them.
func (r *relay) again(ctx context.Context, t *tenure, marked []state.Queued) error {
	ctx, cancel := lifecycle.Linger(ctx, r.clock, relayGrace, errStopping) // as in step
	defer cancel()
	b := &batch{relay: r}
	settled := make([]state.Settled, len(marked))
	places := make([]state.Published, len(marked))
	for i := range marked {
		settled[i].ID = marked[i].ID
		if marked[i].Mark == state.MarkDiscard {
			settled[i].Discard = true
			continue
		}
		if err := b.again(ctx, &replay{&marked[i], &settled[i]}, &places[i]); err != nil {
			return err
		}
	}
	if err := t.held(r.clock); err != nil {
		return err
	}
	if err := b.publish(ctx); err != nil {
		return err
	}
	failpoint.Hit(failpoint.ReplayPublished)
	published := b.place()
	for i := range settled {
		settled[i].Published = places[i].Positions
	}
	if len(b.park) > 0 { // of a list that was split at last: only some have a key
		err := r.insist(ctx, "park events", func() error { return r.box.MarkPublished(ctx, t.now(), nil, b.park) })
		if err != nil {
			return err
		}
		failpoint.Hit(failpoint.ReplayParked)
	}
	err := r.insist(ctx, "settle marked events", func() error { return r.box.SettleUnplaced(ctx, t.now(), settled) })
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.ReplaySettled)
	r.obs.Relayed(r.src.Flow, published, 0)
	return nil
}

// insist tries until it succeeds, ctx ends, the lease is another's, or the topic has another log. After a while it raises an alarm.
func (r *relay) insist(ctx context.Context, what string, try func() error) error {
	b := backoff{min: 100 * time.Millisecond, max: 10 * time.Second}
	began, alarmed := r.clock.Now(), false
	for {
		err := try()
		switch {
		case err == nil:
			if alarmed {
				r.obs.Alarm(r.src.Flow, AlarmRelay, "")
			}
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, state.ErrFenced), errors.Is(err, state.ErrBroker):
			return err
		}
		wait := b.next()
		r.log.Warn("cannot "+what+"; trying again", "flow", r.src.Flow, "in", wait, "error", err)
		if !alarmed && r.clock.Now().Sub(began) >= alarmAfter {
			alarmed = true
			r.obs.Alarm(r.src.Flow, AlarmRelay, fmt.Sprintf("cannot %s for %v: %v", what, r.clock.Now().Sub(began).Truncate(time.Second), err))
		}
		if err := lifecycle.Sleep(ctx, r.clock, wait); err != nil {
			return err
		}
	}
}

// transient reports whether err is none of the document's: it is worth another try.
func transient(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return true
	}
	f, ok := fault.As(err)
	return ok && (f.Kind == fault.Unavailable || f.Kind == fault.RateLimited || f.Kind == fault.UnknownOutcome)
}
