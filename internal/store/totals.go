package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// outcomeRetried is the totals row that counts calls made again.
const outcomeRetried = "retried"

type totalKey struct {
	flow, topic     string
	part            int
	outcome, reason string
}

func compareTotalKeys(a, b totalKey) int {
	return cmp.Or(comparePartKeys(partKey{a.flow, a.topic, a.part}, partKey{b.flow, b.topic, b.part}), cmp.Compare(a.outcome, b.outcome), cmp.Compare(a.reason, b.reason))
}

type total struct{ n, newest int64 }

// totals are what a merged transaction adds.
type totals map[totalKey]total

func (t totals) add(k totalKey, n, now int64) { t[k] = total{t[k].n + n, now} }

func (t *tx) saveTotals(tt totals) error {
	values := make([]any, 0, 7*len(tt))
	for _, k := range sortedKeys(tt, compareTotalKeys) {
		values = append(values, k.flow, k.topic, k.part, k.outcome, k.reason, tt[k].n, tt[k].newest)
	}
	return t.insert("INSERT INTO totals (flow, topic, part, outcome, reason, n, newest)", 7, values,
		` ON CONFLICT (flow, topic, part, outcome, reason) DO UPDATE SET n = totals.n + excluded.n,
		newest = CASE WHEN excluded.newest > totals.newest THEN excluded.newest ELSE totals.newest END`)
}

// StatusSnapshot gives what a status is made of, from one consistent state: the conservation equation of every flow that the store knows, by name; the
// positions of all partitions; and the number of target objects beyond one per object and system, from every id ever reported by a write or a find.
func (s *Store) StatusSnapshot(ctx context.Context) (totals []state.FlowTotals, parts []state.Partition, duplicates int64, err error) {
	err = s.snapshot(ctx, func(db queryer) error {
		var err error
		if totals, err = s.totalsOf(ctx, db); err != nil {
			return err
		}
		if parts, err = s.partitionsOf(ctx, db, ""); err != nil {
			return err
		}
		duplicates, err = s.duplicatesOf(ctx, db)
		return err
	})
	return totals, parts, duplicates, s.wrap("status snapshot", err)
}

func (s *Store) totalsOf(ctx context.Context, db queryer) ([]state.FlowTotals, error) {
	flows := map[string]*state.FlowTotals{}
	of := func(name string) *state.FlowTotals {
		if flows[name] == nil {
			flows[name] = &state.FlowTotals{Flow: name, Skipped: map[string]int64{}}
		}
		return flows[name]
	}
	next := map[int64]string{} // the flow of each inbox row that is the next of its flow
	err := errors.Join(
		eachOf(ctx, db, s.d, func(r *sql.Rows) error { return scanFinished(r, of) }, "SELECT flow, SUM(finished) FROM partitions GROUP BY flow"),
		eachOf(ctx, db, s.d, func(r *sql.Rows) error { return scanTotal(r, of) },
			"SELECT flow, outcome, reason, SUM(n), MAX(newest) FROM totals GROUP BY flow, outcome, reason"),
		eachOf(ctx, db, s.d, func(r *sql.Rows) error { return scanResting(r, of) },
			"SELECT c.flow, c.state, c.n, (SELECT q.accepted FROM queue q WHERE q.flow = c.flow AND q.state = c.state ORDER BY q.accepted LIMIT 1) FROM (SELECT flow, state, CAST(SUM(n) AS BIGINT) AS n FROM queue_counts GROUP BY flow, state) AS c"),
		// Of an index alone: while a broker is away the inbox is long, and to read the rows would be to read their documents.
		eachOf(ctx, db, s.d, func(r *sql.Rows) error { return scanUnpublished(r, of, next) }, "SELECT flow, COUNT(*), MIN(seq) FROM inbox WHERE places IS NULL GROUP BY flow"))
	if err != nil {
		return nil, err
	}
	more, err := bundledEvents(ctx, db, s.d, "")
	if err != nil {
		return nil, err
	}
	for name, n := range more {
		of(name).Unpublished += n
	}
	for name, f := range flows { // few flows have any
		if f.Waiting == 0 {
			continue
		}
		if err := eachOf(ctx, db, s.d, func(r *sql.Rows) error { return scanWaiting(r, f) }, "SELECT MIN(since) FROM queue WHERE flow = ? AND state = 'waiting'", name); err != nil {
			return nil, err
		}
	}
	for chunk := range slices.Chunk(slices.Collect(maps.Keys(next)), 500) {
		args := make([]any, len(chunk))
		for i, seq := range chunk {
			args[i] = seq
		}
		if err := eachOf(ctx, db, s.d, func(r *sql.Rows) error {
			var seq, received int64
			err := r.Scan(&seq, &received)
			older(of(next[seq]), unstamp(received))
			return err
		}, "SELECT seq, received FROM inbox WHERE "+s.d.in("seq", 1, len(args)), args...); err != nil {
			return nil, err
		}
	}
	out := make([]state.FlowTotals, 0, len(flows))
	for _, name := range slices.Sorted(maps.Keys(flows)) {
		out = append(out, *flows[name])
	}
	return out, nil
}

func scanFinished(r *sql.Rows, of func(string) *state.FlowTotals) error {
	var flow string
	var n int64
	err := r.Scan(&flow, &n)
	of(flow).Finished = n
	return err
}

func scanTotal(r *sql.Rows, of func(string) *state.FlowTotals) error {
	var flow, outcome, reason string
	var n, newest int64
	if err := r.Scan(&flow, &outcome, &reason, &n, &newest); err != nil {
		return err
	}
	f := of(flow)
	switch outcome {
	case string(state.Delivered):
		f.Delivered, f.LastDelivered = n, unstamp(newest)
	case string(state.Skipped):
		f.Skipped[reason] = n
	case string(state.Discarded):
		f.Discarded = n
	case outcomeRetried:
		f.Retried = n
	}
	return nil
}

func scanResting(r *sql.Rows, of func(string) *state.FlowTotals) error {
	var flow, st string
	var n, oldest int64
	if err := r.Scan(&flow, &st, &n, &oldest); err != nil {
		return err
	}
	f := of(flow)
	switch state.Outcome(st) {
	case state.Parked:
		f.Parked, f.OldestParked = n, unstamp(oldest)
	case state.Waiting:
		f.Waiting = n
	case state.Held:
		f.Held = n
		older(f, unstamp(oldest))
	}
	return nil
}

func scanWaiting(r *sql.Rows, f *state.FlowTotals) error {
	var since sql.NullInt64
	err := r.Scan(&since)
	f.OldestWaiting = unstamp(since.Int64)
	return err
}

func scanUnpublished(r *sql.Rows, of func(string) *state.FlowTotals, next map[int64]string) error {
	var flow string
	var n, first int64
	err := r.Scan(&flow, &n, &first)
	of(flow).Unpublished, next[first] = n, flow
	return err
}

func older(f *state.FlowTotals, t time.Time) {
	if !t.IsZero() && (f.Oldest.IsZero() || t.Before(f.Oldest)) {
		f.Oldest = t
	}
}

func (s *Store) duplicatesOf(ctx context.Context, db queryer) (n int64, err error) {
	err = eachOf(ctx, db, s.d, func(r *sql.Rows) error { return r.Scan(&n) }, "SELECT COUNT(*) FROM target_objects WHERE extra = 1")
	return n, err
}
