package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

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
		next, err := s.beginBulk(ctx, &b, nil)
		if err != nil {
			return step, err
		}
		step.Next = next
	}
	for !step.Done && step.Marked < int64(max(b.Most, 1)) {
		if err := s.bulkStep(ctx, &b, &step, min(bulkRows, max(b.Most, 1)-int(step.Marked)), nil); err != nil {
			return step, err
		}
	}
	return step, nil
}

// beginBulk writes the bulk's row, and the audit, so that a bulk that breaks off is in it; also, where it is given, writes more in the same commit.
func (s *Store) beginBulk(ctx context.Context, b *state.Bulk, also func(t *tx, act, top int64) error) (state.BulkPlace, error) {
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
			ids[0], t.now, b.Who, bulkAction(b), bulkObject(b), bulkDetail(0, b.Note))
		if err != nil {
			return 0, err
		}
		_, err = t.exec("INSERT INTO bulks (id, time, who, action, about, n) VALUES (?, ?, ?, ?, ?, 0)", ids[0], t.now, b.Who, bulkAction(b), bulkObject(b))
		if err == nil && also != nil {
			err = also(t, ids[0], top)
		}
		return ids[0], err
	})
	p := state.BulkPlace{Act: act, Top: top}
	if b.Mark == state.MarkDiscard { // the newest first, so that no follower is released before its own turn
		p.At = top + 1
	}
	return p, err
}

func bulkAction(b *state.Bulk) string { return "bulk " + string(b.Mark) }

func bulkObject(b *state.Bulk) string { return "messages where " + b.About }

// bulkDetail is what the audit says of a bulk to people; the count that the hub goes by is in the bulk's own row.
func bulkDetail(n int64, note string) string {
	text := fmt.Sprintf("%d messages", n)
	if note != "" {
		text += ": " + note
	}
	return text
}

// bulkStep marks up to so many rows; also, where it is given, is told in the same commit which row it has come to, and whether that is the end.
func (s *Store) bulkStep(ctx context.Context, b *state.Bulk, step *state.BulkStep, most int, also func(t *tx, at int64, done bool) error) error {
	w := selected(s.d, &b.Filter)
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
	}, "SELECT id FROM queue"+page.String()+" ORDER BY id "+order+" LIMIT CAST(? AS INTEGER)", append(page.args, most)...)
	if err != nil {
		return s.wrap("bulk", err)
	}
	at := step.Next.At
	if len(ids) > 0 {
		at = ids[len(ids)-1].(int64)
	}
	marked, err := ask(ctx, s, "bulk", func(t *tx) (marked [2]int64, err error) {
		if also != nil {
			if err := also(t, at, len(ids) < most); err != nil {
				return marked, err
			}
		}
		total, err := t.bulkTotal(b, step.Next.Act)
		if err != nil || len(ids) == 0 {
			return [2]int64{0, total}, err
		}
		n, err := t.bulkMark(b, w, step.Next.Act, ids)
		if err != nil || n == 0 {
			return [2]int64{0, total}, err
		}
		if _, err := t.exec("UPDATE bulks SET n = ? WHERE id = ?", total+n, step.Next.Act); err != nil {
			return [2]int64{}, err
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
		found = true
		return r.Scan(&total)
	}, "SELECT n FROM bulks WHERE id = ? AND who = ? AND action = ? AND about = ?"+t.d.forUpdate(), act, b.Who, bulkAction(b), bulkObject(b))
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
	if !byGroups(&f) {
		return s.countRows(ctx, &b)
	}
	err = s.snapshot(ctx, func(db queryer) error {
		groups, err := groupsOf(ctx, db, s.d, &f, true)
		if err != nil {
			return err
		}
		for i := range groups {
			if g := &groups[i]; !g.follower || f.Followers || b.Behind {
				n += g.n
			}
		}
		marked := selected(s.d, &f)
		if marked.add("mark <> ''"); b.Mark == state.MarkDiscard {
			marked.add("mark = 'discard'")
		}
		if !f.Followers && !b.Behind {
			marked.add("follower = 0")
		}
		err = eachOf(ctx, db, s.d, func(r *sql.Rows) error {
			var already int64
			err := r.Scan(&already)
			n -= already
			return err
		}, "SELECT COUNT(*) FROM "+s.d.by("queue", "queue_marked")+marked.String(), marked.args...)
		if err != nil || b.Behind || f.Followers {
			return err
		}
		f.Since = time.Time{} // what queues behind an old message may be young
		groups, err = groupsOf(ctx, db, s.d, &f, true)
		for i := range groups {
			if groups[i].follower {
				behind += groups[i].n
			}
		}
		return err
	})
	return n, behind, s.wrap("count", err)
}

// countRows is Count for a filter that an index of its own answers, which selects few rows.
func (s *Store) countRows(ctx context.Context, b *state.Bulk) (n, behind int64, err error) {
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
	w := selected(s.d, &f)
	err = s.each(ctx, func(r *sql.Rows) error { return r.Scan(&n, &behind) },
		"SELECT COALESCE(SUM(CASE WHEN "+wanted+" THEN 1 ELSE 0 END), 0), COALESCE(SUM(follower), 0) FROM queue"+w.String(), append(args, w.args...)...)
	if b.Behind || f.Followers {
		behind = 0
	}
	return n, behind, s.wrap("count", err)
}
