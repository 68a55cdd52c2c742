package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/state"
)

// pruneRows is how many rows one transaction removes: pruning must not hold up promises.
const pruneRows = 2000

// Prune removes inbox rows all of whose places are finished in the stored positions (what became of them on other topics is in the
// sent log by then), delivery ids behind the replay window,
// journal, runs and audit rows behind their retention, runs of reconciliations and rules behind theirs, documents beyond what is kept of them
// (KeepDocuments), counts of what was delivered in time that no status asks for any more, what rules remember of objects that are seen no more,
// what was read of sides that no reconciliation reads on, objects of the search index of which the journal holds nothing any more, and backfills that
// ended long ago. It returns how many rows it removed.
func (s *Store) Prune(ctx context.Context, now time.Time) (removed int64, err error) {
	for _, step := range []func(context.Context, time.Time) (int64, error){s.pruneInbox, s.pruneReplay, s.pruneJournal, s.pruneIndex, s.pruneTimely, s.pruneDocuments, s.pruneComparisons, s.pruneRuleMemory, s.pruneListings, s.pruneSearch, s.pruneBackfills} {
		n, err := step(ctx, now)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// pruneInbox walks the published rows by seq; rows whose fate is open stay and are looked at again the next time, and so do those that came while a
// backfill read the page that it is at: it asks what was accepted since. The positions are read first, so that a backfill that begins meanwhile misses nothing: what was
// settled by then was accepted before it read a page.
func (s *Store) pruneInbox(ctx context.Context, _ time.Time) (removed int64, err error) {
	positions, err := s.positions(ctx)
	if err != nil {
		return 0, err
	}
	after := int64(-1)
	for {
		var finishedRows []any
		seen := 0
		err := s.each(ctx, func(r *sql.Rows) error {
			var flow, places string
			if err := r.Scan(&after, &flow, &places); err != nil {
				return err
			}
			seen++
			at, err := decodePlaces(places)
			if err == nil && settledAll(positions, flow, at) {
				finishedRows = append(finishedRows, after)
			}
			return err
		}, `SELECT seq, flow, places FROM inbox WHERE places IS NOT NULL AND seq > ? AND NOT EXISTS (
			SELECT 1 FROM backfills WHERE backfills.flow = inbox.flow AND finished = 0 AND as_of > 0 AND as_of <= inbox.seq) ORDER BY seq LIMIT CAST(? AS INTEGER)`, after, pruneRows)
		if err != nil {
			return removed, s.wrap("prune inbox", err)
		}
		if len(finishedRows) > 0 {
			err = s.do(ctx, "prune inbox", func(t *tx) error {
				for _, table := range []string{"inbox", "inbox_bundles", "inbox_bundle_keys"} {
					if err := t.execIn("DELETE FROM "+table+" WHERE ", "seq", 1, finishedRows, ""); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return removed, err
			}
			removed += int64(len(finishedRows))
			failpoint.Hit(failpoint.Pruned)
		}
		if seen < pruneRows {
			return removed, nil
		}
	}
}

func (s *Store) positions(ctx context.Context) (map[partKey]*state.Partition, error) {
	ps, err := s.Partitions(ctx, "")
	if err != nil {
		return nil, err
	}
	out := make(map[partKey]*state.Partition, len(ps))
	for i := range ps {
		out[partKey{ps[i].Flow, ps[i].Topic, ps[i].Partition}] = &ps[i]
	}
	return out, nil
}

// settledAll reports whether the fate of every event of an inbox row is stored.
func settledAll(positions map[partKey]*state.Partition, flow string, at []state.PublishedAt) bool {
	for _, a := range at {
		if !settledAt(positions[partKey{flow, a.Topic, a.Partition}], a.Life, a.Offset) {
			return false
		}
	}
	return true
}

func (s *Store) pruneReplay(ctx context.Context, now time.Time) (int64, error) {
	q := "DELETE FROM replay WHERE (flow, delivery_id) IN (SELECT flow, delivery_id FROM replay WHERE received < ? LIMIT CAST(? AS INTEGER))"
	return s.pruneUntilFew(ctx, "prune replay", q, stamp(now.Add(-s.cfg.KeepReplay)), pruneRows)
}

// pruneJournal relies on ids rising with time: it looks at the oldest rows only.
func (s *Store) pruneJournal(ctx context.Context, now time.Time) (removed int64, err error) {
	for _, q := range []string{
		"DELETE FROM journal WHERE time < ? AND id IN (SELECT id FROM journal ORDER BY id LIMIT CAST(? AS INTEGER))",
		"DELETE FROM audit WHERE time < ? AND id IN (SELECT id FROM audit ORDER BY id LIMIT CAST(? AS INTEGER))",
		"DELETE FROM bulks WHERE time < ? AND id IN (SELECT id FROM bulks ORDER BY id LIMIT CAST(? AS INTEGER))",
		"DELETE FROM runs WHERE started < ? AND id IN (SELECT id FROM runs ORDER BY id LIMIT CAST(? AS INTEGER))",
		// What people did to a message that is still there is part of it.
		"DELETE FROM acts WHERE time < ? AND id IN (SELECT id FROM acts WHERE message NOT IN (SELECT id FROM queue) ORDER BY id LIMIT CAST(? AS INTEGER))",
	} {
		n, err := s.pruneUntilFew(ctx, "prune journal", q, s.retention(now), pruneRows)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// pruneUntilFew repeats a bounded DELETE until it no longer removes as many rows as it may.
func (s *Store) pruneUntilFew(ctx context.Context, op, q string, args ...any) (removed int64, err error) {
	for {
		n, err := ask(ctx, s, op, func(t *tx) (int64, error) { return t.exec(q, args...) })
		if err != nil {
			return removed, err
		}
		if removed += n; n < pruneRows {
			return removed, nil
		}
	}
}
