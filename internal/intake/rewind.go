package intake

import (
	"context"
	"fmt"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// Wishes are what people ask of sources, and how whoever reads a source carries it out.
type Wishes interface {
	SourceWishes(ctx context.Context, flow string) ([]state.SourceWish, error)
	Rewind(ctx context.Context, w state.SourceWish, cur state.Cursor, lease state.Lease) error
	EndWish(ctx context.Context, w state.SourceWish, lease state.Lease, done, about string) error
}

// CanRewind reports whether a source that is polled can be read again from a place; the error says what can be given in its stead. cursor is the
// present one.
func (in *Intake) CanRewind(ctx context.Context, flow, to string) error {
	w := in.find(flow)
	if w == nil || w.src.Poll == nil {
		return fmt.Errorf("the source of %q is not polled: %w", flow, state.ErrNotFound)
	}
	cur, err := in.c.Store.Cursor(ctx, flow)
	if err != nil {
		return fmt.Errorf("read the cursor: %w", err)
	}
	_, err = rewindTo(w.src.Poll, cur.Value, to)
	return err
}

// rewindTo gives the cursor of a place.
func rewindTo(p *Poll, cursor, to string) (string, error) {
	if to == connector.RewindStart {
		return "", nil
	}
	r, ok := p.Poller.(connector.Rewinder)
	if !ok {
		return "", fault.New(fault.Invalid, "its system cannot go back to a time or version: %q reads everything again", connector.RewindStart)
	}
	var again string
	err := lifecycle.Guard(func() (err error) {
		again, err = r.RewindTo(p.Object, cursor, to)
		return err
	})
	return again, err
}

// Asked tells the flow's reader that something is asked of it. A source that is paused, because its system refuses the hub's credentials, is left
// alone: it comes to it when a person resumes it. Without this call the reader finds out at its next read.
func (in *Intake) Asked(flow string) {
	w := in.find(flow)
	if w == nil || w.reader == nil {
		return
	}
	if w.reader.State().State != SourcePaused {
		w.reader.resume()
	}
	if w.sweeper != nil {
		select {
		case w.sweeper.nudge <- struct{}{}:
		default:
		}
	}
}

// asked carries out what people ask of the source. Nothing else moves the cursor meanwhile: this is the reader itself, under its lease.
func (p *poller) asked(ctx context.Context, t *lease.Held) error {
	return p.wishes(ctx, state.WishRewind, func(w state.SourceWish) error { return p.rewind(ctx, t, w) })
}

// wishes carries out what people ask of the source, of one kind, until one of them cannot be.
func (r *reader) wishes(ctx context.Context, kind state.WishKind, do func(state.SourceWish) error) error {
	wishes, err := r.store.SourceWishes(ctx, r.src.Flow)
	if err != nil {
		return fmt.Errorf("read what is asked of the source: %w", err)
	}
	for _, w := range wishes {
		if w.Kind != kind {
			continue
		}
		if err := do(w); err != nil {
			return err
		}
	}
	return nil
}

// rewind moves the cursor back. A place that is no place any more, because the system's settings have changed since, is given up with its reason.
func (p *poller) rewind(ctx context.Context, t *lease.Held, w state.SourceWish) error {
	cur, err := p.store.Cursor(ctx, p.src.Flow)
	if err != nil {
		return fmt.Errorf("read the cursor: %w", err)
	}
	again, err := rewindTo(&p.poll, cur.Value, w.Detail)
	if err != nil {
		p.log.Error("a rewind was asked for and cannot be made", "flow", w.Flow, "to", w.Detail, "by", w.Who, "error", err)
		return p.store.EndWish(ctx, w, t.Lease(), "rewind-refused", err.Error())
	}
	if err := p.store.Rewind(ctx, w, state.Cursor{Flow: p.src.Flow, Value: again, Updated: p.clock.Now()}, t.Lease()); err != nil {
		return fmt.Errorf("rewind: %w", err)
	}
	p.log.Info("the source is read again", "flow", w.Flow, "from", w.Detail, "by", w.Who)
	return nil
}
