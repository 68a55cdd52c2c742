package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// mostListed bounds a document that is kept of a system, in bytes.
const mostListed = 64 << 20

// OpenListing is how far a side of a reconciliation has been read, kept until the time given from now on; the zero one where nothing of it is kept.
// state.ErrFenced when the lease of the reconciliation's runs is another's.
func (s *Store) OpenListing(ctx context.Context, lease state.Lease, name, side string, until time.Time) (l state.Listing, err error) {
	err = s.listing(ctx, lease, name, func(t *tx) error {
		l = state.Listing{}
		if _, err := t.exec("UPDATE listings SET keep_until = ? WHERE name = ? AND side = ?", stamp(until), name, side); err != nil {
			return err
		}
		return t.each(func(r *sql.Rows) error {
			var began, whole, until int64
			err := r.Scan(&l.About, &l.Cursor, &l.Turn, &began, &whole, &until)
			l.Began, l.Whole, l.Until = unstamp(began), unstamp(whole), unstamp(until)
			return err
		}, "SELECT about, at, turn, began, whole, keep_until FROM listings WHERE name = ? AND side = ?", name, side)
	})
	return l, err
}

// ListedObjects gives what was read of a side, in the order of the bytes of the ids, from behind after on; no more than limit (500 when zero, at most 10,000).
func (s *Store) ListedObjects(ctx context.Context, name, side, after string, limit int) ([]state.ListedObject, error) {
	var out []state.ListedObject
	err := s.each(ctx, func(r *sql.Rows) error {
		var one state.ListedObject
		var doc []byte
		if err := r.Scan(&one.ID, &one.Version, &one.Turn, &one.Bad, &doc); err != nil {
			return err
		}
		var err error
		if one.Doc, err = unpack(doc, mostListed); err != nil {
			return fmt.Errorf("the document of %s: %w", one.ID, err)
		}
		out = append(out, one)
		return nil
	}, "SELECT id, version, turn, bad, doc FROM listed WHERE name = ? AND side = ? AND id > ? ORDER BY id LIMIT CAST(? AS INTEGER)", name, side, after, listedLimit(limit))
	return out, s.wrap("what was read of a side", err)
}

// ListedIDs gives the ids alone, as ListedObjects does.
func (s *Store) ListedIDs(ctx context.Context, name, side, after string, limit int) (ids []string, err error) {
	err = s.each(ctx, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	}, "SELECT id FROM listed WHERE name = ? AND side = ? AND id > ? ORDER BY id LIMIT CAST(? AS INTEGER)", name, side, after, listedLimit(limit))
	return ids, s.wrap("what was read of a side", err)
}

func listedLimit(limit int) int { return min(cmp.Or(limit, 500), 10_000) }

// KeepListed keeps objects in place of what was kept of them, forgets those that are gone, and notes how far the side was read: all or nothing.
// state.ErrFenced when the lease of the reconciliation's runs is another's.
func (s *Store) KeepListed(ctx context.Context, lease state.Lease, name, side string, l state.Listing, rows []state.ListedObject, gone []string) error {
	values := make([]any, 0, 7*len(rows))
	for i := range rows {
		o := &rows[i]
		values = append(values, name, side, cleanText(o.ID), cleanText(o.Version), o.Turn, cleanText(o.Bad), pack(o.Doc))
	}
	ids := make([]any, 0, 3*len(gone))
	for _, id := range gone {
		ids = append(ids, name, side, cleanText(id))
	}
	return s.listing(ctx, lease, name, func(t *tx) error {
		if len(ids) > 0 {
			if err := t.execIn("DELETE FROM listed WHERE ", "name, side, id", 3, ids, ""); err != nil {
				return err
			}
		}
		if len(values) > 0 {
			err := t.insert("INSERT INTO listed (name, side, id, version, turn, bad, doc)", 7, values,
				" ON CONFLICT (name, side, id) DO UPDATE SET version = excluded.version, turn = excluded.turn, bad = excluded.bad, doc = excluded.doc")
			if err != nil {
				return err
			}
		}
		_, err := t.exec("INSERT INTO listings (name, side, about, at, turn, began, whole, keep_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"+
			" ON CONFLICT (name, side) DO UPDATE SET about = excluded.about, at = excluded.at, turn = excluded.turn, began = excluded.began, whole = excluded.whole, keep_until = excluded.keep_until",
			name, side, l.About, l.Cursor, l.Turn, stamp(l.Began), stamp(l.Whole), stamp(l.Until))
		return err
	})
}

// DropListed forgets objects that were read in a turn before the one given; it returns how many.
func (s *Store) DropListed(ctx context.Context, lease state.Lease, name, side string, before int64) (dropped int64, err error) {
	for {
		n := int64(0)
		err := s.listing(ctx, lease, name, func(t *tx) (err error) {
			n, err = t.exec("DELETE FROM listed WHERE (name, side, id) IN (SELECT name, side, id FROM listed WHERE name = ? AND side = ? AND turn < ? LIMIT CAST(? AS INTEGER))", name, side, before, pruneRows)
			return err
		})
		if dropped += n; err != nil || n < pruneRows {
			return dropped, err
		}
	}
}

// listing works on what is kept of a reconciliation's sides, under the lease of its runs.
func (s *Store) listing(ctx context.Context, lease state.Lease, name string, work func(*tx) error) error {
	return s.do(ctx, "keep what was read of a side", func(t *tx) error {
		if want := state.RunLease(state.RunReconciliation, name); lease.Name != want {
			return refuse(state.ErrFenced, "the reconciliation %s is worked under the lease %s, not %s", name, want, lease.Name)
		}
		if err := t.holds(&lease); err != nil {
			return err
		}
		return work(t)
	})
}

// pruneListings removes what is kept of sides that no run has read on for as long as that is to be kept.
func (s *Store) pruneListings(ctx context.Context, now time.Time) (removed int64, err error) {
	type side struct{ name, side string }
	var old []side
	err = s.each(ctx, func(r *sql.Rows) error {
		var one side
		err := r.Scan(&one.name, &one.side)
		old = append(old, one)
		return err
	}, "SELECT name, side FROM listings WHERE keep_until < ?", stamp(now))
	if err != nil {
		return 0, s.wrap("prune what was read of sides", err)
	}
	for _, o := range old {
		for more := true; more; {
			n := int64(0)
			err := s.do(ctx, "prune what was read of sides", func(t *tx) (err error) {
				n, more, err = t.pruneListing(o.name, o.side, stamp(now))
				return err
			})
			if removed += n; err != nil {
				return removed, err
			}
		}
	}
	return removed, nil
}

// pruneListing removes some of what is kept of a side, and at last the note of it; more: there is more to remove. What is half removed is about nothing, so
// that a run which comes meanwhile reads everything anew.
func (t *tx) pruneListing(name, side string, now int64) (removed int64, more bool, err error) {
	n, err := t.exec("UPDATE listings SET about = '' WHERE name = ? AND side = ? AND keep_until < ?", name, side, now)
	if err != nil || n == 0 { // a run reads on
		return 0, false, err
	}
	removed, err = t.exec("DELETE FROM listed WHERE (name, side, id) IN (SELECT name, side, id FROM listed WHERE name = ? AND side = ? LIMIT CAST(? AS INTEGER))", name, side, pruneRows)
	if err != nil || removed == pruneRows {
		return removed, true, err
	}
	_, err = t.exec("DELETE FROM listings WHERE name = ? AND side = ?", name, side)
	return removed + 1, false, err
}
