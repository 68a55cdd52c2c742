package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// The queue is counted as it is written, by triggers (migration 24): what a list, a count or a status says of a hundred thousand messages comes from some hundred
// rows of queue_counts, and a look at the first row of each group.

// queueGroup are the rows of the queue that one thing has stopped in one flow: heads, or what is behind them.
type queueGroup struct {
	flow        string
	state       state.Outcome
	cause, kind string
	follower    bool
	n           int64
	oldest      int64 // since when the first of them is there
	first       int64 // its number
}

// mostGroups is by how many groups a list is put together.
const mostGroups = 400

// byGroups reports whether the groups of the queue answer a filter.
func byGroups(f *state.QueueFilter) bool {
	return f.Lane == "" && f.Key == "" && !f.Marked && (f.Since.IsZero() || f.Code == "")
}

// groupsOf are the groups that a filter by groups selects. counted: n is how many of them it selects, where it selects by age as well.
func groupsOf(ctx context.Context, db queryer, d dialect, f *state.QueueFilter, counted bool) (out []queueGroup, err error) {
	if err := byIndexes(ctx, db, d); err != nil {
		return nil, err
	}
	const same = " FROM queue q WHERE q.flow = c.flow AND q.state = c.state AND q.cause = c.cause AND q.follower = c.follower"
	n, args := "c.n", []any(nil)
	if counted && !f.Since.IsZero() {
		n, args = "(SELECT COUNT(*)"+same+" AND q.since <= ?)", append(args, stamp(f.Since))
	}
	dims := *f
	dims.Since = time.Time{}
	w := selected(d, &dims)
	err = eachOf(ctx, db, d, func(r *sql.Rows) error {
		var g queueGroup
		var follower int64
		var oldest, first sql.NullInt64
		err := r.Scan(&g.flow, &g.state, &g.cause, &g.kind, &follower, &g.n, &oldest, &first)
		g.follower, g.oldest, g.first = follower != 0, oldest.Int64, first.Int64
		if g.n > 0 && (f.Since.IsZero() || g.oldest <= stamp(f.Since)) {
			out = append(out, g)
		}
		return err
	}, "SELECT c.flow, c.state, c.cause, c.kind, c.follower, "+n+", (SELECT q.since"+same+" ORDER BY q.since, q.id LIMIT 1), (SELECT q.id"+same+" ORDER BY q.since, q.id LIMIT 1)"+
		" FROM (SELECT flow, state, cause, MAX(kind) AS kind, follower, CAST(SUM(n) AS BIGINT) AS n FROM queue_counts"+w.String()+" GROUP BY flow, state, cause, follower) AS c", append(args, w.args...)...)
	return out, err
}

// countedGroups is groupsOf for a filter that an index of its own answers, which selects few rows: these are counted.
func countedGroups(ctx context.Context, db queryer, d dialect, f *state.QueueFilter, _ bool) (out []queueGroup, err error) {
	w := selected(d, f)
	err = eachOf(ctx, db, d, func(r *sql.Rows) error {
		var g queueGroup
		var follower int64
		err := r.Scan(&g.flow, &g.state, &g.cause, &g.kind, &follower, &g.n, &g.oldest, &g.first)
		g.follower = follower != 0
		out = append(out, g)
		return err
	}, "SELECT flow, state, cause, kind, follower, COUNT(*), MIN(since), MIN(id) FROM queue"+w.String()+" GROUP BY flow, state, cause, kind, follower", w.args...)
	return out, err
}

// markedOf counts the heads that people have marked, by groups.
func markedOf(ctx context.Context, db queryer, d dialect, f *state.QueueFilter, count func(g *queueGroup)) error {
	w := selected(d, f)
	w.add("follower = 0 AND mark <> '' AND mark IN ('replay', 'discard')")
	return eachOf(ctx, db, d, func(r *sql.Rows) error {
		var g queueGroup
		err := r.Scan(&g.flow, &g.state, &g.cause, &g.kind, &g.n)
		if err == nil {
			count(&g)
		}
		return err
	}, "SELECT flow, state, cause, kind, COUNT(*) FROM "+d.by("queue", "queue_marked")+w.String()+" GROUP BY flow, state, cause, kind", w.args...)
}

// listedIDs gives the numbers of the first rows that a filter by groups selects, in their order; all: it selects every row.
func (s *Store) listedIDs(ctx context.Context, db queryer, f *state.QueueFilter) (ids []any, all bool, err error) {
	groups, err := groupsOf(ctx, db, s.d, f, false)
	if err != nil {
		return nil, false, err
	}
	var selects, total int64
	values := make([]any, 0, 4*len(groups))
	for i := range groups {
		g := &groups[i]
		selects += g.n
		values = append(values, g.flow, string(g.state), g.cause, b2i(g.follower))
	}
	err = eachOf(ctx, db, s.d, func(r *sql.Rows) error { return r.Scan(&total) }, "SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) FROM queue_counts")
	if err != nil || len(groups) == 0 || len(groups) > mostGroups || selects == total && f.Since.IsZero() {
		return nil, len(groups) > 0, err
	}
	w := where{}
	w.add("id > ?", f.After)
	w.text("code", f.Code)
	if !f.Since.IsZero() {
		w.add("since <= ?", stamp(f.Since))
	}
	limit := bound(f.Limit)
	rest, args := " AND "+strings.Join(w.conds, " AND ")+" ORDER BY id LIMIT CAST(? AS INTEGER)", append(w.args, limit)
	var found []int64
	take := func(r *sql.Rows) error {
		var id int64
		err := r.Scan(&id)
		found = append(found, id)
		return err
	}
	if s.d == postgres {
		table, of := s.d.table(4, values)
		err = eachOf(ctx, db, s.d, take, "SELECT x.id FROM ("+table+") AS v, LATERAL (SELECT id FROM queue WHERE flow = v.column1 AND state = v.column2 AND cause = v.column3 AND follower = v.column4"+rest+" OFFSET 0) AS x",
			append(of, args...)...)
	} else {
		err = idsOfGroups(ctx, db, values, rest, args, take)
	}
	if err != nil {
		return nil, false, err
	}
	slices.Sort(found)
	for _, id := range found[:min(len(found), limit)] {
		ids = append(ids, id)
	}
	return ids, false, nil
}

// idsOfGroups asks SQLite group by group, with one statement.
func idsOfGroups(ctx context.Context, db queryer, values []any, rest string, args []any, take func(*sql.Rows) error) error {
	st, err := db.PrepareContext(ctx, "SELECT id FROM queue WHERE flow = ? AND state = ? AND cause = ? AND follower = ?"+rest)
	if err != nil {
		return err
	}
	for group := range slices.Chunk(values, 4) {
		rows, err := st.QueryContext(ctx, slices.Concat(group, args)...)
		if err := eachRow(rows, err, take); err != nil {
			return errors.Join(err, st.Close())
		}
	}
	return st.Close()
}
