package store

import (
	"context"
	"database/sql"
	"strings"

	"github.com/waybill-hub/waybill/internal/state"
)

// AskSource stores what a person asks of a source, with the act; about says it in words, for the audit. It takes the place of what was asked
// before of the same kind and is not carried out yet.
func (s *Store) AskSource(ctx context.Context, w state.SourceWish, about string) error {
	return s.do(ctx, "ask a source", func(t *tx) error {
		ids, err := t.ids("wishes", 1)
		if err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO source_wishes (flow, kind, id, detail, who, since) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (flow, kind) DO UPDATE SET id = excluded.id, detail = excluded.detail, who = excluded.who, since = excluded.since`,
			w.Flow, wishKey(&w), ids[0], w.Detail, w.Who, t.now)
		if err != nil {
			return err
		}
		if w.Kind != state.WishRewind {
			return t.audit(w.Who, string(w.Kind), "flow/"+w.Flow, about)
		}
		was := ""
		err = t.each(func(r *sql.Rows) error { return r.Scan(&was) }, "SELECT value FROM cursors WHERE flow = ?", w.Flow)
		if err != nil {
			return err
		}
		return t.audit(w.Who, string(w.Kind), "flow/"+w.Flow, about, was, w.Detail)
	})
}

// SourceWishes gives what people ask of a flow's source and is not carried out yet, oldest first; of all sources where flow is empty.
func (s *Store) SourceWishes(ctx context.Context, flow string) ([]state.SourceWish, error) {
	var out []state.SourceWish
	w := where{}
	w.text("flow", flow)
	err := s.each(ctx, func(r *sql.Rows) error {
		var one state.SourceWish
		var kind string
		var since int64
		err := r.Scan(&one.ID, &one.Flow, &kind, &one.Detail, &one.Who, &since)
		kind, one.Of, _ = strings.Cut(kind, ":")
		one.Kind, one.Since = state.WishKind(kind), unstamp(since)
		out = append(out, one)
		return err
	}, "SELECT id, flow, kind, detail, who, since FROM source_wishes"+w.String()+" ORDER BY id", w.args...)
	return out, s.wrap("wishes of sources", err)
}

// Rewind carries out a rewind: the cursor and the end of the wish are one transaction, under the lease of whoever reads the source, so that no
// read that is under way can take it back. state.ErrFenced when the lease is another's. A wish that another has replaced stays.
func (s *Store) Rewind(ctx context.Context, w state.SourceWish, cur state.Cursor, lease state.Lease) error {
	return s.do(ctx, "rewind", func(t *tx) error {
		if err := t.holds(&lease); err != nil {
			return err
		}
		if err := t.saveCursor(cur); err != nil {
			return err
		}
		return t.endWish(w)
	})
}

// EndWish ends a wish that was carried out, or cannot be; done and about, where not empty, go to the audit beside the act itself.
func (s *Store) EndWish(ctx context.Context, w state.SourceWish, lease state.Lease, done, about string) error {
	return s.do(ctx, "end a wish", func(t *tx) error {
		if err := t.holds(&lease); err != nil {
			return err
		}
		if err := t.endWish(w); err != nil || done == "" {
			return err
		}
		return t.audit(w.Who, done, "flow/"+w.Flow, about)
	})
}

// wishKey is what a wish takes the place of: those of its kind, and of the same.
func wishKey(w *state.SourceWish) string {
	if w.Of == "" {
		return string(w.Kind)
	}
	return string(w.Kind) + ":" + w.Of
}

func (t *tx) endWish(w state.SourceWish) error {
	_, err := t.exec("DELETE FROM source_wishes WHERE flow = ? AND kind = ? AND id = ?", w.Flow, wishKey(&w), w.ID)
	return err
}

const knownCols = "local, hub, received, known_event, deleted, updated"

func scanKnown(r *sql.Rows) (o state.KnownObject, err error) {
	var deleted, updated int64
	err = r.Scan(&o.Local, &o.Hub, &o.Received, &o.EventID, &deleted, &updated)
	o.Deleted, o.Updated = deleted != 0, unstamp(updated)
	return o, err
}

// KnownObjects gives the objects of an entity that a system is known, through a flow, to hold, by their ids there: those behind after, at most limit.
func (s *Store) KnownObjects(ctx context.Context, entity, system, flow, after string, limit int) ([]state.KnownObject, error) {
	var out []state.KnownObject
	err := s.each(ctx, func(r *sql.Rows) error {
		o, err := scanKnown(r)
		out = append(out, o)
		return err
	}, "SELECT "+knownCols+" FROM refs WHERE local > ? AND system = ? AND entity || '' = ? AND known_flow = ? AND deleted = 0 ORDER BY local LIMIT CAST(? AS INTEGER)",
		after, system, entity, flow, bound(limit))
	return out, s.wrap("known objects", err)
}

// CountKnown counts what KnownObjects gives in all.
func (s *Store) CountKnown(ctx context.Context, entity, system, flow string) (n int, err error) {
	err = s.each(ctx, func(r *sql.Rows) error { return r.Scan(&n) },
		"SELECT COUNT(*) FROM refs WHERE local <> '' AND system = ? AND entity = ? AND known_flow = ? AND deleted = 0", system, entity, flow)
	return n, s.wrap("count known objects", err)
}

// KnownByLocal gives what is known of a system's objects with these ids, tombstones included; those that nobody has seen are left out. Where a
// deleted object's id was given to another one, the living one counts.
func (s *Store) KnownByLocal(ctx context.Context, entity, system string, locals []string) (map[string]state.KnownObject, error) {
	out := make(map[string]state.KnownObject, len(locals))
	if len(locals) == 0 {
		return out, nil
	}
	args := make([]any, 0, len(locals)+2)
	for _, l := range locals {
		args = append(args, l)
	}
	err := s.each(ctx, func(r *sql.Rows) error {
		o, err := scanKnown(r)
		if _, there := out[o.Local]; !there {
			out[o.Local] = o
		}
		return err
	}, "SELECT "+knownCols+" FROM refs WHERE local IN (?"+strings.Repeat(", ?", len(locals)-1)+") AND system = ? AND entity || '' = ? ORDER BY deleted, updated DESC, hub",
		append(args, system, entity)...)
	return out, s.wrap("known objects by id", err)
}

// KnownKey is the business key of the newest event that came of a system's object; empty when none is known.
func (s *Store) KnownKey(ctx context.Context, entity, system, local string) (key string, err error) {
	err = s.each(ctx, func(r *sql.Rows) error { return r.Scan(&key) },
		"SELECT ekey FROM refs WHERE local = ? AND system = ? AND entity || '' = ? ORDER BY deleted, updated DESC, hub LIMIT 1", local, system, entity)
	return key, s.wrap("known key", err)
}
