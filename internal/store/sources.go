package store

import (
	"context"
	"database/sql"

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
			w.Flow, string(w.Kind), ids[0], w.Detail, w.Who, t.now)
		if err != nil {
			return err
		}
		return t.audit(w.Who, string(w.Kind), "flow/"+w.Flow, about)
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

func (t *tx) endWish(w state.SourceWish) error {
	_, err := t.exec("DELETE FROM source_wishes WHERE flow = ? AND kind = ? AND id = ?", w.Flow, string(w.Kind), w.ID)
	return err
}
