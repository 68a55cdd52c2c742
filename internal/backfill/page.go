package backfill

import (
	"context"
	"errors"
	"fmt"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/intake"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/submit"
)

// work is one page's.
type work struct {
	*Run
	page *intake.ListPage
	// todo are the objects that are still to be sent; of those that are stale, a live change may have come since they were read.
	todo  []intake.Listed
	stale map[string]bool
	// sure are those of the stale ones of which a live change is known, which comes by itself.
	sure map[string]bool
	// last is what was sent last, of which nobody has looked yet whether it was the present state.
	last []intake.Listed
	// asOf: it was looked for what was accepted up to this number of the inbox, and up to before by the look before that. What has a lower number may be stored
	// later, by another hub: so each look begins where the one before began.
	asOf, before int64
	// sent is what was submitted of each object, by name; bad are those that cannot be.
	sent map[string]string
	bad  map[string]bool
}

// name is how a page's objects are told apart: those without an id by what they say.
func name(o *intake.Listed) string {
	if o.Event.Local != "" {
		return o.Event.Local
	}
	return "#" + o.Content
}

// read reads the page at the run's place. What is accepted from now on is known to have come after.
func (w *work) read(ctx context.Context) (err error) {
	if w.asOf, err = w.now(ctx); err != nil {
		return err
	}
	if !w.c.Source.Resumes() { // what a list gives may have been read at any time since it was begun
		if w.listed == 0 {
			w.listed = w.asOf
		}
		w.asOf = w.listed
	}
	w.place.AsOf, w.before = w.asOf, w.asOf
	if err := w.save(ctx); err != nil { // else what comes meanwhile might be pruned before it is asked for
		return err
	}
	return w.patiently(ctx, func() (err error) {
		w.page, err = w.c.Source.Page(ctx, w.place.Cursor, w.asOf)
		return err
	})
}

// off sends the page's objects in pieces, until all of them have come through as they are.
func (w *work) off(ctx context.Context) error {
	for _, o := range w.page.Objects {
		if o.Err != nil {
			w.leave(&o)
			continue
		}
		w.todo = append(w.todo, o)
	}
	for {
		if err := w.clear(ctx); err != nil {
			return err
		}
		if err := w.stand(ctx); err != nil {
			return err
		}
		if len(w.todo) == 0 {
			return nil
		}
		n := min(w.pace.next(), len(w.todo))
		piece, err := w.fresh(ctx, w.todo[:n:n])
		if err != nil {
			return err
		}
		w.todo = w.todo[n:]
		began := w.c.Clock.Elapsed()
		taken, err := w.through(ctx, piece, "")
		if err != nil {
			return err
		}
		took := w.c.Clock.Elapsed() - began
		w.last, w.p.Submitted = piece, w.p.Submitted+int64(taken)
		if _, err := w.now(ctx); err != nil { // for the traffic alone
			return err
		}
		w.measure()
		if err := lifecycle.Sleep(ctx, w.c.Clock, w.pace.done(taken, took, w.others)); err != nil {
			return context.Cause(ctx)
		}
	}
}

// stand looks what was accepted since it was looked last. What of it may be of objects that were sent since, with the same version, may have come before
// them and be newer: then the present state is sent behind. What may be of objects that are still to be sent makes them stale.
func (w *work) stand(ctx context.Context) error {
	for range mostBehind {
		touched, err := w.look(ctx)
		if err != nil || len(touched) == 0 {
			return err
		}
		now, can, err := w.again(ctx, touched)
		if err != nil {
			return err
		}
		var behind []intake.Listed
		for i := range w.last {
			o := &w.last[i]
			is, asked := now[name(o)]
			switch {
			case !asked:
			case is == nil && touched[name(o)] && o.Event.Operation != event.Delete: // it was deleted, and says so with the version that it had
				gone := *o
				gone.Event.Operation, gone.Event.Data, gone.Content = event.Delete, nil, "deleted"
				behind = append(behind, gone)
			case !can: // the live change may have come before it, or behind
				w.place.Moved = true
			case is == nil || is.Err != nil || is.Content == w.sent[name(o)] || is.Event.Version != o.Event.Version: // another version comes, or came, by itself
			default:
				behind = append(behind, *is)
			}
		}
		w.last = behind
		if len(behind) == 0 {
			return nil
		}
		if _, err := w.through(ctx, behind, fmt.Sprintf("@%d", w.asOf)); err != nil { // it may say what was said before, and is another one nevertheless
			return err
		}
	}
	return nil
}

// look gives those of the objects that were sent last of which something else was accepted since the last look, and whether that was a deletion.
func (w *work) look(ctx context.Context) (map[string]bool, error) {
	tied := func(all []intake.Listed) bool {
		for i := range all {
			if all[i].Tied {
				return true
			}
		}
		return false
	}
	if !tied(w.last) && !tied(w.todo) {
		return nil, nil // what is accepted later has a greater version, whatever it says
	}
	at, err := w.now(ctx) // before the look: what comes during it is seen by the next one
	if err != nil {
		return nil, err
	}
	var t *intake.Touched
	err = w.patiently(ctx, func() (err error) {
		t, err = w.c.Source.Touched(ctx, w.before, inbox.SubmittedID(w.by().Trigger, w.prefix()))
		return err
	})
	if w.before, w.asOf = w.asOf, at; err != nil || t.None() {
		return nil, err
	}
	for i := range w.todo {
		if o := &w.todo[i]; o.Event.Local != "" && t.Is(ctx, o) {
			w.stale[name(o)] = true
			w.sure[name(o)] = w.sure[name(o)] || t.Sure(ctx, o)
		}
	}
	out := map[string]bool{}
	for i := range w.last {
		if o := &w.last[i]; o.Tied && o.Event.Local != "" && !w.bad[name(o)] && t.Is(ctx, o) {
			out[name(o)] = t.Gone(o)
		}
	}
	return out, nil
}

// fresh reads objects anew that are stale. Those that are gone are left out: that is a change of its own, which comes as such. Where nothing can be read anew, those
// of which no change is known are left to the next reading of the list.
func (w *work) fresh(ctx context.Context, piece []intake.Listed) ([]intake.Listed, error) {
	stale := map[string]bool{}
	for i := range piece {
		if w.stale[name(&piece[i])] {
			stale[name(&piece[i])] = true
		}
	}
	if len(stale) == 0 {
		return piece, nil
	}
	now, can, err := w.again(ctx, stale)
	if err != nil {
		return nil, err
	}
	out := make([]intake.Listed, 0, len(piece))
	for i := range piece {
		is, asked := now[name(&piece[i])]
		switch {
		case !asked:
			out = append(out, piece[i])
		case is != nil && is.Err != nil:
			w.leave(is)
		case is != nil:
			out = append(out, *is)
		case !can && !w.sure[name(&piece[i])]:
			w.place.Moved = true
		}
	}
	return out, nil
}

// again gives the present state of objects, nil where they are gone; can is false where nobody can tell.
func (w *work) again(ctx context.Context, names map[string]bool) (now map[string]*intake.Listed, can bool, err error) {
	asOf, err := w.now(ctx)
	if err != nil {
		return nil, false, err
	}
	locals := make([]string, 0, len(names))
	out := make(map[string]*intake.Listed, len(names))
	for local := range names {
		locals = append(locals, local)
		out[local] = nil
	}
	var got []intake.Listed
	err = w.patiently(ctx, func() (err error) {
		got, err = w.c.Source.Again(ctx, w.place.Cursor, locals, asOf)
		return err
	})
	if errors.Is(err, connector.ErrNoLookup) {
		return out, false, nil
	}
	for i := range got {
		if _, asked := out[name(&got[i])]; asked {
			out[name(&got[i])] = &got[i]
		}
	}
	return out, true, err
}

// through submits objects and waits until they have come through all flows. It gives how many were taken. behind ends their ids where they are sent behind others.
func (w *work) through(ctx context.Context, piece []intake.Listed, behind string) (taken int, err error) {
	taken, last, err := w.submit(ctx, piece, behind)
	if err != nil || last == 0 {
		return taken, err
	}
	failpoint.Hit(failpoint.BackfillSubmitted)
	m, began := &Mark{Inbox: last}, w.c.Clock.Elapsed()
	for {
		var done bool
		var text string
		err := w.patiently(ctx, func() (err error) {
			done, text, err = w.c.Hub.Through(ctx, m)
			return err
		})
		if err != nil {
			return taken, err
		}
		if w.say(text); done {
			return taken, nil
		}
		next := min(lastLook, max(firstLook, (w.c.Clock.Elapsed()-began)/lookAfter))
		if lifecycle.Sleep(ctx, w.c.Clock, next) != nil {
			return taken, context.Cause(ctx)
		}
	}
}

// submit has objects accepted, and gives how many were and the newest number of the inbox that they have. What cannot be taken as it is is left out and
// counted.
func (w *work) submit(ctx context.Context, piece []intake.Listed, behind string) (taken int, last int64, err error) {
	for most := len(piece); len(piece) > 0; {
		n := min(most, len(piece))
		receipt, err := w.take(ctx, piece[:n], behind)
		var no *submit.Refused
		switch {
		case errors.As(err, &no) && no.Index < 0 && n > 1: // too much together
			most = (n + 1) / 2
			continue
		case errors.As(err, &no):
			i := max(no.Index, 0)
			w.leave(&piece[i])
			piece = append(piece[:i:i], piece[i+1:]...)
			continue
		case err != nil:
			return taken, last, err
		}
		for i := range receipt.Events {
			if receipt.Events[i].Status == state.AcceptedConflict {
				return taken, last, fmt.Errorf("under the id of %s another one was submitted before: the store is not the one that this backfill began with: begin another one", receipt.Events[i].ID)
			}
			last = max(last, receipt.Events[i].Inbox)
			w.sent[name(&piece[i])] = piece[i].Content
		}
		taken, piece = taken+n, piece[n:]
	}
	return taken, last, nil
}

// take submits, and tries again for as long as that may help. An object that is read again and says the same has the same id: it is taken once, whatever
// is repeated after a crash.
func (w *work) take(ctx context.Context, piece []intake.Listed, behind string) (receipt submit.Receipt, err error) {
	events := make([]event.Event, len(piece))
	for i := range piece {
		events[i] = piece[i].Event
		events[i].ID = w.prefix() + piece[i].Event.Local + "#" + piece[i].Content + behind
	}
	err = w.patiently(ctx, func() (err error) {
		receipt, err = w.c.Hub.Submit(ctx, events, w.by())
		return err
	})
	// Of a failure nobody knows: then its own are taken for others', for which it rests, and never others' for its own.
	w.own += int64(receipt.New())
	return receipt, err
}

// leave counts an object that cannot be read, or submitted, as it is.
func (w *work) leave(o *intake.Listed) {
	if w.bad[name(o)] {
		return
	}
	w.bad[name(o)] = true
	if w.p.Unread++; w.p.FirstUnread == "" {
		w.p.FirstUnread = o.Event.Local
	}
}
