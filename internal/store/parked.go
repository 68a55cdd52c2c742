package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/state"
)

// selected are the conditions of a filter.
func selected(d dialect, f *state.QueueFilter) *where {
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
	if f.Key != "" {
		w.add(d.fold("ekey")+" = ? AND ekey = ?", folded(f.Key), f.Key)
	}
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
	w := selected(s.d, &f)
	w.add("id > ?", f.After)
	if !byGroups(&f) {
		out, err := s.queued(ctx, "SELECT "+listCols+" FROM queue"+w.String()+" ORDER BY id LIMIT CAST(? AS INTEGER)", append(w.args, bound(f.Limit))...)
		return out, s.wrap("parked", err)
	}
	var out []state.Queued
	err := s.snapshot(ctx, func(db queryer) error {
		ids, all, err := s.listedIDs(ctx, db, &f)
		switch {
		case err != nil:
		case all:
			out, err = queuedOf(ctx, db, s.d, "SELECT "+listCols+" FROM queue"+w.String()+" ORDER BY id LIMIT CAST(? AS INTEGER)", append(w.args, bound(f.Limit))...)
		default:
			out, err = rowsByID(ctx, db, s.d, ids)
		}
		return err
	})
	return out, s.wrap("parked", err)
}

// rowsByID gives rows by their numbers, in the order of these.
func rowsByID(ctx context.Context, db queryer, d dialect, ids []any) (out []state.Queued, err error) {
	for chunk := range slices.Chunk(ids, 500) {
		rows, err := queuedOf(ctx, db, d, "SELECT "+listCols+" FROM queue WHERE "+d.in("id", 1, len(chunk)), chunk...)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	slices.SortFunc(out, func(a, b state.Queued) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
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
		lanes := "WITH k (flow, lane, topic, part) AS (VALUES (CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT))" + strings.Repeat(", (?, ?, ?, ?)", len(chunk)-1) + ") "
		const behindThem = "queue AS b ON b.flow = k.flow AND b.lane = k.lane AND b.topic = k.topic AND b.part = k.part AND b.blocking = 1 AND b.follower = 1"
		err := s.each(ctx, func(r *sql.Rows) error {
			var k laneKey
			var n int64
			err := r.Scan(&k.flow, &k.lane, &k.topic, &k.part, &n)
			out[at[k]].Behind = n
			return err
		}, lanes+"SELECT k.flow, k.lane, k.topic, k.part, COUNT(*) FROM k JOIN "+behindThem+" GROUP BY k.flow, k.lane, k.topic, k.part", args...)
		if err != nil {
			return nil, s.wrap("parked", err)
		}
		if followers <= 0 {
			continue
		}
		behind, err := s.queued(ctx, lanes+"SELECT "+listCols+" FROM queue WHERE id IN (SELECT id FROM (SELECT b.id AS id, ROW_NUMBER() OVER (PARTITION BY b.flow, b.lane, b.topic, b.part ORDER BY b.id) AS nth FROM k JOIN "+
			behindThem+") AS q WHERE nth <= ?) ORDER BY id", append(args, followers)...)
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

// causing puts together what has stopped messages.
type causing struct {
	groups map[causeKey]*state.CauseCount
	order  []*state.CauseCount
	flows  map[*state.CauseCount]map[string]bool
	// first holds the oldest row: of heads, where there are any.
	first map[*state.CauseCount]queueGroup
}

type causeKey struct{ cause, kind string }

// of gives the cause that a group belongs to. Two states of one cause are counted together: only what is just due, and so has none, is told apart by its state.
func (c *causing) of(g *queueGroup) *state.CauseCount {
	k := causeKey{g.cause, g.kind}
	if g.cause == "" {
		k.kind = string(g.state)
	}
	one := c.groups[k]
	if one == nil {
		one = &state.CauseCount{Cause: g.cause, State: g.state, Kind: g.kind, Oldest: unstamp(g.oldest)}
		c.groups[k], c.order, c.flows[one], c.first[one] = one, append(c.order, one), map[string]bool{}, *g
	}
	return one
}

// add counts a group.
func (c *causing) add(g *queueGroup) {
	one := c.of(g)
	c.flows[one][g.flow] = true
	if g.follower {
		one.Behind += g.n
	} else {
		one.Count += g.n
	}
	if oldest := unstamp(g.oldest); oldest.Before(one.Oldest) {
		one.Oldest = oldest
	}
	if first := c.first[one]; cmp.Or(cmp.Compare(b2i(g.follower), b2i(first.follower)), cmp.Compare(g.oldest, first.oldest), cmp.Compare(g.first, first.first)) < 0 {
		c.first[one] = *g
	}
}

// Causes counts the stored queue by what has stopped its messages, most frequent first. The filter's After and Limit are not used.
func (s *Store) Causes(ctx context.Context, f state.QueueFilter) ([]state.CauseCount, error) {
	c := &causing{groups: map[causeKey]*state.CauseCount{}, flows: map[*state.CauseCount]map[string]bool{}, first: map[*state.CauseCount]queueGroup{}}
	err := s.snapshot(ctx, func(db queryer) error {
		ask := groupsOf
		if !byGroups(&f) {
			ask = countedGroups
		}
		list, err := ask(ctx, db, s.d, &f, true)
		if err != nil || len(list) == 0 {
			return err
		}
		for i := range list {
			c.add(&list[i])
		}
		err = markedOf(ctx, db, s.d, &f, func(g *queueGroup) { c.of(g).Marked += g.n })
		if err != nil {
			return err
		}
		of := map[int64]*state.CauseCount{}
		var ids []any
		for one, g := range c.first {
			of[g.first], ids = one, append(ids, g.first)
		}
		rows, err := rowsByID(ctx, db, s.d, ids)
		for i := range rows {
			one := of[rows[i].ID]
			one.Example, one.Code = rows[i], rows[i].Code
			_, one.Text = state.CauseOf(&rows[i])
		}
		return err
	})
	if err != nil {
		return nil, s.wrap("causes", err)
	}
	out := make([]state.CauseCount, len(c.order))
	for i, one := range c.order {
		one.Flows = slices.Sorted(maps.Keys(c.flows[one]))
		out[i] = *one
	}
	slices.SortStableFunc(out, func(a, b state.CauseCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Example.ID, b.Example.ID))
	})
	return out, nil
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
