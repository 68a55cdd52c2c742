package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	relayRows  = 512
	relayBytes = 8 << 20
	// relaySlice is how many events are published before it is noted how far the relay has come. A list of more is published in slices.
	relaySlice = 2048
	relayPoll  = time.Second // for what other hubs have accepted, and what flows have handed back
	alarmAfter = 30 * time.Second
	relayGrace = 5 * time.Second // for what is on its way when the hub stops
)

// relay carries one flow's inbox to its topic, in the inbox's order. What it can make no message of goes there as well, with a refusal
// that says why: to park it is the flow's. It works under a lease; should another relay have taken
// over meanwhile, what this one published comes twice, under the same event ids, and is marked by the other.
type relay struct {
	src   Source
	box   Outbox
	pub   Publisher
	clock lifecycle.Clock
	log   *slog.Logger
	obs   Observer
	logs  Logs
	wake  chan struct{} // of capacity one: something was accepted
}

// run works until ctx ends.
func (r *relay) run(ctx context.Context, t *lease.Held) error {
	for {
		n, err := 0, r.logs.Held(r.src.Topic)
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
func (r *relay) step(ctx context.Context, t *lease.Held) (int, error) {
	var rows []state.Inbound
	err := r.insist(ctx, "read the inbox", func() (err error) {
		rows, err = r.box.Unpublished(ctx, r.src.Flow, relayRows, relayBytes)
		return err
	})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	b := &batch{relay: r, held: t}
	for i := range rows {
		if err = b.add(ctx, &rows[i]); err != nil {
			break
		}
	}
	if err == nil {
		err = b.flush(ctx)
	}
	if errors.Is(err, errOtherLog) {
		return len(rows), nil // the list is begun anew
	}
	if err != nil {
		return 0, err
	}
	return len(rows), nil
}

// errOtherLog: the first elements of a list are in a log that its topic had before.
var errOtherLog = errors.New("the topic has another log than when the list was begun")

// flush publishes what was added, and notes in the inbox how far the relay has come.
func (b *batch) flush(ctx context.Context) error {
	if len(b.done) == 0 {
		return nil
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	// What is on its way to the topic is also marked when the hub stops now: otherwise it would be published again.
	ctx, cancel := lifecycle.Linger(ctx, b.clock, relayGrace, errStopping)
	defer cancel()
	if err := b.held.Check(b.clock); err != nil {
		return err
	}
	if err := b.publish(ctx); err != nil {
		return err
	}
	failpoint.Hit(failpoint.RelayPublished)
	if b.again {
		failpoint.Hit(failpoint.ReplayPublished)
	}
	published, refused := b.place()
	done := make([]state.Published, len(b.done))
	for i, p := range b.done {
		if p.Next > 0 {
			p.Life = b.life
		}
		done[i] = *p
	}
	err := b.insist(ctx, "mark the inbox", func() error { return b.box.MarkPublished(ctx, b.held.Lease(), done, b.rest) })
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.RelayMarked)
	b.obs.Relayed(b.src.Flow, published, refused)
	b.tell(refused)
	clear(b.out) // the documents
	b.out, b.done, b.rest, b.size, b.again = b.out[:0], nil, nil, 0, false
	return nil
}

// tell logs what no message could be made of.
func (b *batch) tell(refused int) {
	for i := range b.out {
		if no := b.out[i].ev.Refused; no != nil && b.out[i].at != nil {
			b.log.Warn("the flow is given refusals to park", "flow", b.src.Flow, "events", refused, "first", b.out[i].ev.ID, "reason", no.Reason)
			return
		}
	}
}

// insist tries until it succeeds, ctx ends, the lease is another's, or the topic has another log. After a while it raises an alarm.
func (r *relay) insist(ctx context.Context, what string, try func() error) error {
	b := lifecycle.Backoff{Min: 100 * time.Millisecond, Max: 10 * time.Second}
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
		wait := b.Next()
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
