package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/waybill-hub/waybill/internal/state"
)

// What people ask of stored queues. They never move a row: a mark tells the owner of the row's lane what to do, and an edit is taken only
// while no owner can be working on the row.

// Mark asks the owner of a queued message to replay or discard it. Asking again for what is asked already changes nothing. A message
// that queues behind another one is not replayed before it: state.ErrBusy. It may be discarded, which changes nobody's order. A mark is
// not taken back, because its owner may be at work already; a replay that is not carried out yet may become a discard, and the other
// way round. state.ErrNotFound when the message is gone, state.ErrChanged when it is not the revision that was seen.
func (s *Store) Mark(ctx context.Context, w state.Wish) error {
	if w.Mark != state.MarkReplay && w.Mark != state.MarkDiscard {
		return fmt.Errorf("store: mark message %d: no person gives the mark %q", w.ID, w.Mark)
	}
	action := string(w.Mark)
	return s.do(ctx, "mark", func(t *tx) error {
		r, err := t.wished(w.ID, w.Rev)
		if err != nil {
			return err
		}
		if w.Mark == state.MarkReplay && r.follower {
			return t.behind(r)
		}
		if r.mark == w.Mark {
			return nil
		}
		_, err = t.exec("UPDATE queue SET mark = ?, marked_by = ?, mark_note = ?, rev = rev + 1 WHERE id = ?", action, w.Who, w.Note, w.ID)
		if err != nil {
			return err
		}
		if err := t.record(r.act(action, w.Who, w.Note)); err != nil {
			return err
		}
		return t.audit(w.Who, action, fmt.Sprintf("message/%d", w.ID), w.Note, r.stands(r.mark), r.stands(w.Mark))
	})
}

// Edit replaces a queued message's document, and with Replay asks for a replay at once. The original, and every document in
// between, is kept. It is refused with state.ErrBusy while somebody may be working on the message: while it, or the head that it
// queues behind, is held by the hub or marked. state.ErrNotFound and state.ErrChanged are as for Mark.
func (s *Store) Edit(ctx context.Context, e state.Edit) error {
	if e.Data == nil {
		e.Data = []byte{}
	}
	return s.do(ctx, "edit", func(t *tx) error {
		r, err := t.resting(&e)
		if err != nil {
			return err
		}
		if e.Replay && r.follower {
			return t.behind(r)
		}
		a := r.act("edit", e.Who, e.Note)
		a.After = e.Data
		if r.edits == 0 {
			if a.Before, err = t.document(e.ID); err != nil {
				return err
			}
		}
		_, err = t.exec(`UPDATE queue SET original = CASE WHEN edits = 0 THEN data ELSE original END, data = ?, edited_by = ?, edit_note = ?, edits = edits + 1, rev = rev + 1
			WHERE id = ?`, e.Data, e.Who, e.Note, e.ID)
		if err != nil {
			return err
		}
		object := fmt.Sprintf("message/%d", e.ID)
		ids, err := t.recorded(a)
		if err != nil {
			return err
		}
		if err := t.writeAudit(&state.Audit{Who: e.Who, Action: "edit", Object: object, Detail: e.Note, Act: ids[0]}); err != nil {
			return err
		}
		if e.Replay {
			_, err := t.exec("UPDATE queue SET mark = 'replay', marked_by = ?, mark_note = ?, rev = rev + 1 WHERE id = ?", e.Who, e.Note, e.ID)
			if err != nil {
				return err
			}
			if err := t.record(r.act("replay", e.Who, e.Note)); err != nil {
				return err
			}
			return t.audit(e.Who, "replay", object, e.Note, r.stands(state.MarkNone), r.stands(state.MarkReplay))
		}
		return nil
	})
}

// busyError is state.ErrBusy in a sentence of its own.
type busyError string

func (e busyError) Error() string        { return string(e) }
func (e busyError) Is(target error) bool { return target == state.ErrBusy }

func busy(format string, args ...any) error { return &refusal{busyError(fmt.Sprintf(format, args...))} }

// wishedRow is what a person's wish needs to know of its row.
type wishedRow struct {
	link
	mark              state.Mark
	markedBy          string
	edits, rev        int64
	eventID, key, hub string
}

func (r *wishedRow) act(action, who, note string) state.Act {
	return state.Act{Flow: r.lane.flow, Message: r.id, EventID: r.eventID, Key: r.key, Hub: r.hub, Action: action, Who: who, Note: note}
}

// stands says how a message stands with a mark.
func (r *wishedRow) stands(m state.Mark) string {
	if m == state.MarkNone {
		return string(r.state)
	}
	return fmt.Sprintf("%s, marked for %s", r.state, m)
}

const wishedCols = linkCols + ", mark, marked_by, edits, rev, event_id, ekey, hub"

func scanWished(r *sql.Rows) (*wishedRow, error) {
	var w wishedRow
	var blocking, follower int64
	err := r.Scan(&w.id, &w.lane.flow, &w.lane.topic, &w.lane.part, &w.lane.lane, &w.state, &w.kind, &w.reason, &w.cause, &blocking, &follower,
		&w.mark, &w.markedBy, &w.edits, &w.rev, &w.eventID, &w.key, &w.hub)
	w.blocking, w.follower = blocking != 0, follower != 0
	return &w, err
}

// wished reads, and on PostgreSQL locks, the row that a wish is about.
func (t *tx) wished(id int64, rev *int64) (*wishedRow, error) {
	var w *wishedRow
	err := t.each(func(r *sql.Rows) (err error) { w, err = scanWished(r); return err },
		"SELECT "+wishedCols+" FROM queue WHERE id = ?"+t.d.forUpdate(), id)
	switch {
	case err != nil:
		return nil, err
	case w == nil:
		return nil, refuse(state.ErrNotFound, "message %d", id)
	case rev != nil && *rev != w.rev:
		return nil, refuse(state.ErrChanged, "message %d", id)
	}
	return w, nil
}

// head reads, and on PostgreSQL locks, the first row of a chain. Its owner locks it too, whenever the chain changes.
func (t *tx) head(k laneKey) (h *wishedRow, err error) {
	err = t.each(func(rows *sql.Rows) (err error) { h, err = scanWished(rows); return err },
		"SELECT "+wishedCols+" FROM queue WHERE flow = ? AND lane = ? AND topic = ? AND part = ? AND blocking = 1 ORDER BY id LIMIT 1"+t.d.forUpdate(),
		k.flow, k.lane, k.topic, k.part)
	if err == nil && h == nil {
		err = busy("the queue is just moving: look again")
	}
	return h, err
}

// behind is why a message that queues behind another one is not replayed.
func (t *tx) behind(r *wishedRow) error {
	h, err := t.head(r.lane)
	if err != nil {
		return err
	}
	return busy("message %d queues behind message %d of its key, which is %s: replay or discard that one, and what is behind it follows in order", r.id, h.id, h.state)
}

// resting gives the row that is to be edited, unless an attempt with the old document may be under way. Owners work a chain from its head
// on, and the head only when it is held or marked. So while the head is neither, nobody works on the chain, and its lock keeps everybody
// from marking it until the edit is stored.
func (t *tx) resting(e *state.Edit) (*wishedRow, error) {
	var lane laneKey
	follower := false
	err := t.each(func(rows *sql.Rows) error {
		w, err := scanWished(rows)
		lane, follower = w.lane, w.follower
		return err
	}, "SELECT "+wishedCols+" FROM queue WHERE id = ?", e.ID)
	if err != nil {
		return nil, err
	}
	var h *wishedRow
	if follower { // the head first, as its owner does
		if h, err = t.head(lane); err != nil {
			return nil, err
		}
	}
	r, err := t.wished(e.ID, e.Rev)
	if err != nil {
		return nil, err
	}
	if err := r.atRest(fmt.Sprintf("message %d", r.id)); err != nil || !r.follower {
		return r, err
	}
	if h == nil {
		return nil, busy("message %d has just joined a queue: look again", r.id)
	}
	return r, h.atRest(fmt.Sprintf("message %d queues behind message %d, which", r.id, h.id))
}

// atRest says why somebody may be working on the row.
func (r *wishedRow) atRest(name string) error {
	switch {
	case r.mark == state.MarkReady:
		return busy("%s is just being tried again, because what it waited for is there", name)
	case r.mark != state.MarkNone:
		return busy("%s is marked: the %s that %s has asked for is not carried out yet", name, r.mark, r.markedBy)
	case r.state == state.Held:
		return busy("%s is held: the hub is still trying by itself to deliver it, and nothing is known to be wrong with it", name)
	}
	return nil
}

func (t *tx) document(id int64) (data []byte, err error) {
	err = t.each(func(r *sql.Rows) error { return r.Scan(&data) }, "SELECT data FROM queue WHERE id = ?", id)
	return data, err
}
