package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// What people see of stored queues and ask of them. They never move a row: a mark tells the owner of the row's lane what to do, and an edit
// is taken only while no owner can be working on the row.

// selected are the conditions of a filter.
func selected(f *state.QueueFilter) *where {
	w := &where{}
	w.text("flow", f.Flow)
	if f.Flows != nil {
		if len(f.Flows) == 0 {
			w.add("1 = 0")
		} else {
			args := make([]any, len(f.Flows))
			for i, name := range f.Flows {
				args[i] = name
			}
			w.add("flow IN (?"+strings.Repeat(",?", len(args)-1)+")", args...)
		}
	}
	w.text("lane", f.Lane)
	w.text("ekey", f.Key)
	w.text("state", string(f.State))
	w.text("code", f.Code)
	w.text("cause", f.Cause)
	if !f.Since.IsZero() {
		w.add("since <= ?", stamp(f.Since))
	}
	if f.Marked {
		w.add("mark IN ('replay', 'discard')")
	}
	if f.Heads {
		w.add("follower = 0")
	}
	if f.Followers {
		w.add("follower = 1")
	}
	return w
}

// Parked lists the stored queue by id, whatever the rows' state, without documents. A row never changes its id: whatever is
// there all the while is listed once.
func (s *Store) Parked(ctx context.Context, f state.QueueFilter) ([]state.Queued, error) {
	w := selected(&f)
	w.add("id > ?", f.After)
	out, err := s.queued(ctx, "SELECT "+listCols+" FROM queue"+w.String()+" ORDER BY id LIMIT ?", append(w.args, bound(f.Limit))...)
	return out, s.wrap("parked", err)
}

// Listed is Parked with the messages behind each row, up to followers of them.
func (s *Store) Listed(ctx context.Context, f state.QueueFilter, followers int) ([]state.Listed, error) {
	rows, err := s.Parked(ctx, f)
	if err != nil {
		return nil, err
	}
	out := make([]state.Listed, len(rows))
	at := map[laneKey]int{}
	var keys []laneKey
	for i := range rows {
		out[i].Queued = rows[i]
		if rows[i].Blocking && !rows[i].Follower {
			k := laneKey{partKey{rows[i].Flow, rows[i].Topic, rows[i].Partition}, rows[i].Lane}
			at[k] = i
			keys = append(keys, k)
		}
	}
	const step = 200
	for chunk := range slices.Chunk(keys, step) {
		args := make([]any, 0, 4*len(chunk)+1)
		for _, k := range chunk {
			args = append(args, k.flow, k.lane, k.topic, k.part)
		}
		// The newest ones are counted only: a queue may be long.
		err := s.each(ctx, func(r *sql.Rows) error {
			var k laneKey
			var n int64
			err := r.Scan(&k.flow, &k.lane, &k.topic, &k.part, &n)
			out[at[k]].Behind = n
			return err
		}, "SELECT flow, lane, topic, part, COUNT(*) FROM queue WHERE "+s.d.in("flow, lane, topic, part", 4, len(chunk))+" AND blocking = 1 AND follower = 1 GROUP BY flow, lane, topic, part", args...)
		if err != nil {
			return nil, s.wrap("parked", err)
		}
		if followers <= 0 {
			continue
		}
		behind, err := s.queued(ctx, "SELECT "+listCols+" FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY flow, lane, topic, part ORDER BY id) AS nth FROM queue WHERE "+
			s.d.in("flow, lane, topic, part", 4, len(chunk))+" AND blocking = 1 AND follower = 1) AS q WHERE nth <= ? ORDER BY id", append(args, followers)...)
		if err != nil {
			return nil, s.wrap("parked", err)
		}
		for i := range behind {
			k := laneKey{partKey{behind[i].Flow, behind[i].Topic, behind[i].Partition}, behind[i].Lane}
			out[at[k]].Followers = append(out[at[k]].Followers, behind[i])
		}
	}
	return out, nil
}

// ParkedByID is one row of the stored queue with its document; state.ErrNotFound when it is gone.
func (s *Store) ParkedByID(ctx context.Context, id int64) (state.Queued, error) {
	out, err := s.queued(ctx, "SELECT "+queueCols+" FROM queue WHERE id = ?", id)
	if err != nil || len(out) == 0 {
		return state.Queued{}, s.wrap("parked", errors.Join(err, notFound(err, "message %d", id)))
	}
	return out[0], nil
}

// Ahead is the head of the queue that a row waits in, and how many rows wait behind it; the row itself where it is the head.
func (s *Store) Ahead(ctx context.Context, q *state.Queued) (head state.Queued, behind int64, err error) {
	if !q.Blocking {
		return *q, 0, nil
	}
	const lane = " FROM queue WHERE flow = ? AND lane = ? AND topic = ? AND part = ? AND blocking = 1"
	rows, err := s.queued(ctx, "SELECT "+listCols+lane+" ORDER BY id LIMIT 1", q.Flow, q.Lane, q.Topic, q.Partition)
	if err != nil || len(rows) == 0 {
		return *q, 0, s.wrap("parked", err)
	}
	err = s.each(ctx, func(r *sql.Rows) error { return r.Scan(&behind) }, "SELECT COUNT(*)"+lane+" AND follower = 1", q.Flow, q.Lane, q.Topic, q.Partition)
	return rows[0], behind, s.wrap("parked", err)
}

// notFound is state.ErrNotFound with a name, unless err says more.
func notFound(err error, format string, args ...any) error {
	if err != nil {
		return nil
	}
	return refuse(state.ErrNotFound, format, args...)
}

// Causes counts the stored queue by what has stopped its messages, most frequent first. The filter's After and Limit are not used.
func (s *Store) Causes(ctx context.Context, f state.QueueFilter) ([]state.CauseCount, error) {
	w := selected(&f)
	type group struct{ cause, kind string }
	groups := map[group]*state.CauseCount{}
	var order []*state.CauseCount
	flows := map[*state.CauseCount]map[string]bool{}
	examples := map[*state.CauseCount]int64{}
	err := s.snapshot(ctx, func(db queryer) error {
		err := eachOf(ctx, db, s.d, func(r *sql.Rows) error {
			var cause, flow, kind string
			var st state.Outcome
			var heads, behind, marked, example, since int64
			if err := r.Scan(&cause, &flow, &st, &kind, &heads, &behind, &marked, &example, &since); err != nil {
				return err
			}
			// Two states of one cause are counted together: only what is just due, and so has none, is told apart by its state.
			k := group{cause, kind}
			if cause == "" {
				k.kind = string(st)
			}
			c := groups[k]
			if c == nil {
				c = &state.CauseCount{Cause: cause, State: st, Kind: kind, Oldest: unstamp(since)}
				groups[k], order, flows[c], examples[c] = c, append(order, c), map[string]bool{}, example
			}
			c.Count, c.Behind, c.Marked = c.Count+heads, c.Behind+behind, c.Marked+marked
			if flows[c][flow] = true; unstamp(since).Before(c.Oldest) {
				c.Oldest = unstamp(since)
			}
			if example < examples[c] {
				examples[c] = example
			}
			return nil
		}, `SELECT cause, flow, state, kind, SUM(1 - follower), SUM(follower), SUM(CASE WHEN follower = 0 AND mark IN ('replay', 'discard') THEN 1 ELSE 0 END),
			COALESCE(MIN(CASE WHEN follower = 0 THEN id END), MIN(id)), MIN(since) FROM queue`+w.String()+" GROUP BY cause, flow, state, kind", w.args...)
		if err != nil || len(order) == 0 {
			return err
		}
		ids := make([]any, 0, len(order))
		of := map[int64]*state.CauseCount{}
		for c, id := range examples {
			ids = append(ids, id)
			of[id] = c
		}
		for chunk := range slices.Chunk(ids, 500) {
			rows, err := queuedOf(ctx, db, s.d, "SELECT "+listCols+" FROM queue WHERE "+s.d.in("id", 1, len(chunk)), chunk...)
			if err != nil {
				return err
			}
			for i := range rows {
				c := of[rows[i].ID]
				c.Example, c.Code = rows[i], rows[i].Code
				_, c.Text = state.CauseOf(&rows[i])
			}
		}
		return nil
	})
	if err != nil {
		return nil, s.wrap("causes", err)
	}
	out := make([]state.CauseCount, len(order))
	for i, c := range order {
		for name := range flows[c] {
			c.Flows = append(c.Flows, name)
		}
		slices.Sort(c.Flows)
		out[i] = *c
	}
	slices.SortStableFunc(out, func(a, b state.CauseCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Example.ID, b.Example.ID))
	})
	return out, nil
}

// MarkQueued asks the owner of a queued message to replay or discard it.
func (s *Store) MarkQueued(ctx context.Context, id int64, mark state.Mark, who, note string) error {
	return s.Mark(ctx, state.Wish{ID: id, Mark: mark, Who: who, Note: note})
}

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
		return t.audit(w.Who, action, fmt.Sprintf("message/%d", w.ID), w.Note)
	})
}

// EditQueued replaces a queued message's document.
func (s *Store) EditQueued(ctx context.Context, id int64, data []byte, who, note string) error {
	return s.Edit(ctx, state.Edit{ID: id, Data: data, Who: who, Note: note})
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
		acts := []state.Act{a}
		if err := t.audit(e.Who, "edit", object, e.Note); err != nil {
			return err
		}
		if e.Replay {
			_, err := t.exec("UPDATE queue SET mark = 'replay', marked_by = ?, mark_note = ?, rev = rev + 1 WHERE id = ?", e.Who, e.Note, e.ID)
			if err != nil {
				return err
			}
			acts = append(acts, r.act("replay", e.Who, e.Note))
			if err := t.audit(e.Who, "replay", object, e.Note); err != nil {
				return err
			}
		}
		return t.record(acts...)
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

// bulkRows is how many rows one transaction of a bulk marks: what people do must not hold up promises.
const bulkRows = 500

// Bulk marks, in transactions of bounded size, up to b.Most rows of those that the filter selects. Rows that came, or were
// tried and stopped again, after the first step are not among them. A replay leaves alone what is marked already, a discard what is to be
// discarded already. Each message knows who and why, and the audit has the whole in one entry.
func (s *Store) Bulk(ctx context.Context, b state.Bulk) (state.BulkStep, error) {
	step := state.BulkStep{Next: b.From}
	switch {
	case b.Mark != state.MarkReplay && b.Mark != state.MarkDiscard:
		return step, fmt.Errorf("store: bulk: no person gives the mark %q", b.Mark)
	case b.Mark == state.MarkReplay && (b.Filter.Followers || b.Behind):
		return step, s.wrap("bulk", busy("what queues behind another message is released in order when that one is replayed, and cannot be replayed before it"))
	}
	if b.From.Act == 0 {
		next, err := s.beginBulk(ctx, &b)
		if err != nil {
			return step, err
		}
		step.Next = next
	}
	for !step.Done && step.Marked < int64(max(b.Most, 1)) {
		if err := s.bulkStep(ctx, &b, &step, min(bulkRows, max(b.Most, 1)-int(step.Marked))); err != nil {
			return step, err
		}
	}
	return step, nil
}

// beginBulk writes the audit, so that a bulk that breaks off is in it.
func (s *Store) beginBulk(ctx context.Context, b *state.Bulk) (state.BulkPlace, error) {
	var top int64
	if err := s.each(ctx, func(r *sql.Rows) error { return r.Scan(&top) }, "SELECT COALESCE(MAX(id), 0) FROM queue"); err != nil {
		return state.BulkPlace{}, s.wrap("bulk", err)
	}
	act, err := ask(ctx, s, "bulk", func(t *tx) (int64, error) {
		ids, err := t.ids("audit", 1)
		if err != nil {
			return 0, err
		}
		_, err = t.exec("INSERT INTO audit (id, time, who, action, object, detail) VALUES (?, ?, ?, ?, ?, ?)",
			ids[0], t.now, b.Who, bulkAction(b), "messages where "+b.About, bulkDetail(0, b.Note))
		return ids[0], err
	})
	p := state.BulkPlace{Act: act, Top: top}
	if b.Mark == state.MarkDiscard { // the newest first, so that no follower is released before its own turn
		p.At = top + 1
	}
	return p, err
}

func bulkAction(b *state.Bulk) string { return "bulk " + string(b.Mark) }

// bulkDetail is what the audit says of a bulk; its count stands first, where bulkCount finds it.
func bulkDetail(n int64, note string) string {
	text := fmt.Sprintf("%d messages", n)
	if note != "" {
		text += ": " + note
	}
	return text
}

func bulkCount(detail string) (n int64) {
	// A detail that says something else was not written by bulkDetail: it counts as none.
	_, _ = fmt.Sscanf(detail, "%d messages", &n)
	return n
}

func (s *Store) bulkStep(ctx context.Context, b *state.Bulk, step *state.BulkStep, most int) error {
	w := selected(&b.Filter)
	if !b.Behind && !b.Filter.Followers {
		w.add("follower = 0")
	}
	order := "ASC"
	if b.Mark == state.MarkReplay {
		w.add("mark = ''")
	} else {
		w.add("mark <> 'discard'")
		order = "DESC"
	}
	page := where{conds: slices.Clone(w.conds), args: slices.Clone(w.args)}
	if order == "DESC" {
		page.add("id < ?", step.Next.At)
	} else {
		page.add("id > ?", step.Next.At)
		page.add("id <= ?", step.Next.Top)
	}
	var ids []any
	err := s.each(ctx, func(r *sql.Rows) error {
		var id int64
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	}, "SELECT id FROM queue"+page.String()+" ORDER BY id "+order+" LIMIT ?", append(page.args, most)...)
	if err != nil {
		return s.wrap("bulk", err)
	}
	at := step.Next.At
	if len(ids) > 0 {
		at = ids[len(ids)-1].(int64)
	}
	marked, err := ask(ctx, s, "bulk", func(t *tx) (marked [2]int64, err error) {
		total, err := t.bulkTotal(b, step.Next.Act)
		if err != nil || len(ids) == 0 {
			return [2]int64{0, total}, err
		}
		n, err := t.bulkMark(b, w, step.Next.Act, ids)
		if err != nil || n == 0 {
			return [2]int64{0, total}, err
		}
		_, err = t.exec("UPDATE audit SET detail = ? WHERE id = ?", bulkDetail(total+n, b.Note), step.Next.Act)
		return [2]int64{n, total + n}, err
	})
	if err != nil {
		return err
	}
	step.Marked += marked[0]
	step.Total = marked[1]
	step.Next.At = at
	step.Done = len(ids) < most
	return nil
}

// bulkTotal is how many messages a bulk has marked so far; state.ErrNotFound when it is none of this person's.
func (t *tx) bulkTotal(b *state.Bulk, act int64) (total int64, err error) {
	found := false
	err = t.each(func(r *sql.Rows) error {
		var detail string
		found = true
		err := r.Scan(&detail)
		total = bulkCount(detail)
		return err
	}, "SELECT detail FROM audit WHERE id = ? AND who = ? AND action = ? AND object = ?"+t.d.forUpdate(), act, b.Who, bulkAction(b), "messages where "+b.About)
	if err == nil && !found {
		err = refuse(state.ErrNotFound, "bulk %d", act)
	}
	return total, err
}

// bulkMark marks those of the rows that the filter still selects.
func (t *tx) bulkMark(b *state.Bulk, w *where, act int64, ids []any) (int64, error) {
	var acts []state.Act
	head := append([]any{string(b.Mark), b.Who, b.Note}, w.args...)
	err := t.chunks(1, ids, func(table string, args []any) error {
		return t.each(func(r *sql.Rows) error {
			a := state.Act{Action: string(b.Mark), Who: b.Who, Note: b.Note, Bulk: act}
			err := r.Scan(&a.Message, &a.Flow, &a.EventID, &a.Key, &a.Hub)
			acts = append(acts, a)
			return err
		}, "UPDATE queue SET mark = ?, marked_by = ?, mark_note = ?, rev = rev + 1"+w.String()+" AND id IN ("+table+") RETURNING id, flow, event_id, ekey, hub",
			append(slices.Clone(head), args...)...)
	})
	if err != nil {
		return 0, err
	}
	return int64(len(acts)), t.record(acts...)
}

// Count is how many rows a bulk would mark now, and how many queue behind those and are released after them.
func (s *Store) Count(ctx context.Context, b state.Bulk) (n, behind int64, err error) {
	f := b.Filter
	wanted, args := "follower = 0", []any(nil)
	switch {
	case f.Followers:
		wanted = "follower = 1"
	case b.Behind:
		wanted = "1 = 1"
	}
	if b.Mark == state.MarkReplay {
		wanted += " AND mark = ''"
	} else {
		wanted += " AND mark <> 'discard'"
	}
	if !f.Since.IsZero() { // what queues behind an old message may be young
		wanted, args = wanted+" AND since <= ?", append(args, stamp(f.Since))
		f.Since = time.Time{}
	}
	w := selected(&f)
	err = s.each(ctx, func(r *sql.Rows) error { return r.Scan(&n, &behind) },
		"SELECT COALESCE(SUM(CASE WHEN "+wanted+" THEN 1 ELSE 0 END), 0), COALESCE(SUM(follower), 0) FROM queue"+w.String(), append(args, w.args...)...)
	if b.Behind || f.Followers {
		behind = 0
	}
	return n, behind, s.wrap("count", err)
}

// classify gives a cause to rows that an older version has queued, and to what queues behind them.
func (s *Store) classify(ctx context.Context, c *sql.Conn) error {
	for {
		rows, err := queuedOf(ctx, c, s.d, "SELECT "+listCols+" FROM queue WHERE follower = 0 AND cause = '' AND kind <> '' ORDER BY id LIMIT 1000")
		if err != nil || len(rows) == 0 {
			return err
		}
		for i := range rows {
			q := &rows[i]
			cause, _ := state.CauseOf(q)
			q1, a1 := "UPDATE queue SET cause = ? WHERE id = ?", []any{cause, q.ID}
			if q.Blocking {
				q1, a1 = q1+" OR flow = ? AND lane = ? AND topic = ? AND part = ? AND blocking = 1 AND follower = 1", append(a1, q.Flow, q.Lane, q.Topic, q.Partition)
			}
			if _, err := c.ExecContext(ctx, s.d.bind(q1), a1...); err != nil {
				return err
			}
		}
	}
}
