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

// FailedFiles tells of the files that a flow's source could not take, at most so many; more: there are others. state.ErrNotFound where its source is no drop.
func (in *Intake) FailedFiles(ctx context.Context, flow string, most int) (files []connector.FailedFile, more bool, err error) {
	w := in.find(flow)
	if w == nil || w.src.Files == nil {
		return nil, false, fmt.Errorf("flow %q does not read files: %w", flow, state.ErrNotFound)
	}
	r, ok := w.src.Files.Source.(connector.FileRetaker)
	if !ok {
		return nil, false, fault.New(fault.Invalid, "the system %s cannot take files again", w.src.System)
	}
	err = lifecycle.Guard(func() (err error) {
		files, more, err = r.FailedFiles(ctx, w.src.Files.Object, most)
		return err
	})
	return files, more, err
}

// asked carries out what people ask of the drop, under its lease.
func (w *watcher) asked(ctx context.Context, t *lease.Held) error {
	return w.wishes(ctx, state.WishRetake, func(wish state.SourceWish) error {
		if err := w.retake(ctx, t, wish); err != nil {
			return fmt.Errorf("%s: %w", wish.Of, err)
		}
		return nil
	})
}

// retake puts a file that has failed back into the drop, from where it is taken as any other. What cannot be done is given up with its reason; what cannot be
// done now is tried again.
func (w *watcher) retake(ctx context.Context, t *lease.Held, wish state.SourceWish) error {
	r, ok := w.files.Source.(connector.FileRetaker)
	if !ok {
		return w.store.EndWish(ctx, wish, t.Lease(), "retake-refused", wish.Of+": the system cannot take files again")
	}
	at, err := w.place(ctx)
	if err != nil {
		return err
	}
	if at.Failed != "" { // a hub ended when it had just moved a file away: if it is this one, it would be moved away unread
		if err := w.idle(ctx, t, &at); err != nil {
			return err
		}
	}
	err = lifecycle.Guard(func() error { return r.Retake(ctx, w.files.Object, wish.Of) })
	switch kind := fault.KindOf(err); {
	case err == nil:
		w.log.Info("a file that had failed is taken again", "flow", w.src.Flow, "file", wish.Of, "by", wish.Who)
		return w.store.EndWish(ctx, wish, t.Lease(), "", "")
	case kind == fault.Invalid || kind == fault.Conflict:
		w.log.Error("a file was to be taken again and cannot be", "flow", w.src.Flow, "file", wish.Of, "by", wish.Who, "error", err)
		return w.store.EndWish(ctx, wish, t.Lease(), "retake-refused", wish.Of+": "+err.Error())
	}
	return err
}
