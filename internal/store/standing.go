package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/state"
)

// standingLimit bounds the fates and the queued messages of a standing.
const standingLimit = 50

// Standing gives what the hub knows of one object: by its hub id, and by business keys for what has come of it and has no hub id. An empty hub id asks by keys
// alone. Queued messages are without their documents; fates are the newest, newest first.
func (s *Store) Standing(ctx context.Context, entity, hub string, keys ...string) (out state.Standing, err error) {
	err = s.snapshot(ctx, func(db queryer) (err error) {
		if hub != "" {
			err = eachOf(ctx, db, s.d, func(r *sql.Rows) error {
				ref, err := scanRef(r)
				out.Refs = append(out.Refs, ref)
				return err
			}, "SELECT "+refCols+" FROM refs r WHERE r.entity = ? AND r.hub = ? ORDER BY r.system", entity, hub)
		}
		queued, args := s.named(hub, keys)
		if err != nil || queued == "" {
			return err
		}
		out.Queued, err = queuedOf(ctx, db, s.d, "SELECT "+listCols+" FROM queue WHERE id IN ("+queued+") ORDER BY id LIMIT CAST(? AS INTEGER)", append(args, standingLimit)...)
		if err != nil {
			return err
		}
		fates, err := s.fatesIn(ctx, db)
		if err != nil {
			return err
		}
		ids, err := fates.ids(byHub, hub, standingLimit, where{})
		if err != nil {
			return err
		}
		for _, key := range distinct(slices.Clone(keys)) {
			more, err := fates.ids(byKey, key, standingLimit, where{})
			if err != nil {
				return err
			}
			ids = append(ids, more...)
		}
		out.Journal, err = fates.rows(ids, standingLimit)
		return err
	})
	return out, s.wrap("standing", err)
}

// named is a query for the newest messages of the queue that name a hub id or one of some keys; empty: there is nothing to ask for.
func (s *Store) named(hub string, keys []string) (query string, args []any) {
	var parts []string
	add := func(where string, values ...any) {
		parts = append(parts, fmt.Sprintf("SELECT id FROM (SELECT id FROM queue WHERE %s ORDER BY id DESC LIMIT %d) AS n%d", where, standingLimit, len(parts)))
		args = append(args, values...)
	}
	if hub != "" {
		add("hub = ? AND hub <> ''", hub)
	}
	for _, key := range distinct(slices.Clone(keys)) {
		key = cleanText(key)
		add(s.d.fold("ekey")+" = ? AND ekey = ?", folded(key), key)
	}
	return strings.Join(parts, " UNION "), args
}
