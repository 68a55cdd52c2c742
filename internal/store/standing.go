package store

import (
	"context"
	"database/sql"
	"slices"

	"github.com/waybill-hub/waybill/internal/state"
)

// standingLimit bounds the fates and the queued messages of a standing.
const standingLimit = 50

// Standing gives what the hub knows of one object: by its hub id, and by business keys for what has come of it and has no hub id. An empty hub id asks by keys
// alone. Queued messages are without their documents; fates are the newest, newest first.
func (s *Store) Standing(ctx context.Context, entity, hub string, keys ...string) (out state.Standing, err error) {
	err = s.snapshot(ctx, func(db queryer) error {
		queued := func(where string, args ...any) error {
			got, err := queuedOf(ctx, db, s.d, "SELECT "+listCols+" FROM queue WHERE "+where+" ORDER BY id LIMIT CAST(? AS INTEGER)", append(args, standingLimit)...)
			out.Queued = mergeByID(out.Queued, got, func(q *state.Queued) int64 { return q.ID })
			return err
		}
		fates := func(where string, args ...any) error {
			got, err := journalOf(ctx, db, s.d, "SELECT "+journalCols+" FROM journal WHERE "+where+" ORDER BY id DESC LIMIT CAST(? AS INTEGER)", append(args, standingLimit)...)
			out.Journal = mergeByID(out.Journal, got, func(j *state.Journal) int64 { return -j.ID })
			return err
		}
		if hub != "" {
			err := eachOf(ctx, db, s.d, func(r *sql.Rows) error {
				ref, err := scanRef(r)
				out.Refs = append(out.Refs, ref)
				return err
			}, "SELECT "+refCols+" FROM refs r WHERE r.entity = ? AND r.hub = ? ORDER BY r.system", entity, hub)
			if err != nil {
				return err
			}
			if err := queued("hub = ? AND hub <> ''", hub); err != nil {
				return err
			}
			if err := fates("hub = ?", hub); err != nil {
				return err
			}
		}
		for _, key := range distinct(slices.Clone(keys)) {
			key = cleanText(key)
			if err := queued(s.d.fold("ekey")+" = ? AND ekey = ?", folded(key), key); err != nil {
				return err
			}
			if err := fates(s.d.fold("ekey")+" = ? AND ekey = ?", folded(key), key); err != nil {
				return err
			}
		}
		return nil
	})
	return out, s.wrap("standing", err)
}
