package flow

import (
	"context"
	"errors"
	"time"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/guards"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// patient is the store, asked until it answers, the hub stops or is fenced: while it cannot be reached nothing has a fate, so there is nothing else
// to do. It is what deliveries remember by.
type patient struct{ r *Runner }

// insist repeats a call to the store until it is answered. What the store says by itself is an answer.
func (p patient) insist(ctx context.Context, what string, call func() error) error {
	var held *fault.Trouble
	defer func() {
		if held != nil {
			p.r.standing.free(held)
		}
	}()
	return lifecycle.Retry(ctx, p.r.Clock, lifecycle.Backoff{Min: 50 * time.Millisecond, Max: 5 * time.Second}, call, func(err error, wait time.Duration) error {
		if answer(err) {
			return err
		}
		held = p.r.standing.hold(held, p.r.Clock.Now(), err)
		p.r.failures.Warn("the store does not answer; trying again", err, "what", what, "in", wait)
		return nil
	})
}

// answer: the error is what the store says, and no failure of it.
func answer(err error) bool {
	return errors.Is(err, state.ErrFenced) || errors.Is(err, state.ErrClaimed) || errors.Is(err, state.ErrNotFound)
}

// insist is patient.insist for a question.
func insist[T any](ctx context.Context, p patient, what string, ask func() (T, error)) (got T, err error) {
	err = p.insist(ctx, what, func() (err error) {
		got, err = ask()
		return err
	})
	return got, err
}

func (p patient) Resolve(ctx context.Context, entity, system, local, external, eventID string) (hub string, res state.Resolution, err error) {
	err = p.insist(ctx, "resolve", func() (err error) {
		hub, res, err = p.r.Store.Resolve(ctx, entity, system, local, external, eventID)
		return err
	})
	return hub, res, err
}

func (p patient) resolveAll(ctx context.Context, entity, system string, all []state.Met) error {
	return p.insist(ctx, "resolve", func() error { return p.r.Store.ResolveAll(ctx, entity, system, all) })
}

func (p patient) Target(ctx context.Context, entity, hub, system, origin string) (state.Target, error) {
	return insist(ctx, p, "known state", func() (state.Target, error) { return p.r.Store.Target(ctx, entity, hub, system, origin) })
}

func (p patient) OpenIntent(ctx context.Context, i state.Intent) error {
	if guards.Off {
		return nil
	}
	return p.insist(ctx, "intent", func() error { return p.r.Store.OpenIntent(ctx, i) })
}

func (p patient) Commit(ctx context.Context, c *state.Commit) error {
	return p.insist(ctx, "commit", func() error { return p.r.Store.Commit(ctx, c) })
}

func (p patient) Shared() bool { return p.r.Store.Shared() }

func (p patient) HubID(ctx context.Context, entity, system, local string) (hub string, ok bool, err error) {
	err = p.insist(ctx, "cross-reference", func() (err error) {
		hub, ok, err = p.r.Store.HubID(ctx, entity, system, local)
		return err
	})
	return hub, ok, err
}

func (p patient) LocalID(ctx context.Context, entity, system, hub string) (local string, ok bool, err error) {
	err = p.insist(ctx, "cross-reference", func() (err error) {
		local, ok, err = p.r.Store.LocalID(ctx, entity, system, hub)
		return err
	})
	return local, ok, err
}

func (p patient) knows(ctx context.Context, entity, system, local, external string) (bool, error) {
	return insist(ctx, p, "known object", func() (bool, error) { return p.r.Store.Knows(ctx, entity, system, local, external) })
}

func (p patient) refused(ctx context.Context, flow, eventID string, reading int) (bool, error) {
	return insist(ctx, p, "refusals", func() (bool, error) { return p.r.Store.Refused(ctx, flow, eventID, reading) })
}

// inbound gives state.ErrNotFound where the row is gone.
func (p patient) inbound(ctx context.Context, seq int64) (state.Inbound, error) {
	return insist(ctx, p, "the inbox", func() (state.Inbound, error) { return p.r.Store.Inbound(ctx, seq) })
}

// due are the queues of a partition that something can be done about now; of these, resting, the ones with something that was given up.
func (p patient) due(ctx context.Context, at *partition, resting bool, limit int) ([]string, error) {
	return insist(ctx, p, "due queues", func() ([]string, error) {
		if resting {
			return p.r.Store.GivenUp(ctx, p.r.flow.Name, at.Topic, at.Number, limit)
		}
		return p.r.Store.Due(ctx, p.r.flow.Name, at.Topic, at.Number, p.r.steady(), limit)
	})
}

func (p patient) marked(ctx context.Context) ([]int, error) {
	return insist(ctx, p, "marked messages", func() ([]int, error) { return p.r.Store.MarkedPartitions(ctx, p.r.flow.Name, p.r.flow.Topic()) })
}

func (p patient) drainable(ctx context.Context, at *partition, lane string, limit int) ([]state.Queued, error) {
	return insist(ctx, p, "stored queue", func() ([]state.Queued, error) {
		return p.r.Store.Drainable(ctx, p.r.flow.Name, at.Topic, at.Number, lane, limit)
	})
}

// queued gives state.ErrNotFound where the row is gone.
func (p patient) queued(ctx context.Context, id int64) (state.Queued, error) {
	return insist(ctx, p, "stored queue", func() (state.Queued, error) { return p.r.Store.ParkedByID(ctx, id) })
}

// pullForward lets what rests in a partition go on at once.
func (p patient) pullForward(ctx context.Context, at *partition) error {
	return p.insist(ctx, "what rests", func() error { return p.r.Store.PullForward(ctx, p.r.flow.Name, at.Topic, at.Number, p.r.steady()) })
}
