package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

const journalCols = "id, time, flow, event_id, entity, ekey, hub, outcome, reason, system, local, external, version, attempts, took, action, field, told"

// saveJournal writes rows, and beside them the documents that bodies holds for them.
func (t *tx) saveJournal(rows []*state.Journal, bodies [][]byte) error {
	if len(rows) == 0 {
		return nil
	}
	ids, err := t.ids("journal", len(rows))
	if err != nil {
		return err
	}
	values := make([]any, 0, 19*len(rows))
	for i, j := range rows {
		if t.d == sqlite {
			t.named = append(t.named, namesOfJournal(ids[i], j))
		}
		at := stamp(j.Time)
		if at == 0 {
			at = t.now
		}
		values = append(values, ids[i], at, j.Flow, j.EventID, j.Entity, j.Key, j.Hub, string(j.Outcome), j.Reason, j.System, j.Local, j.External,
			j.Version, j.Attempts, int64(j.Took), j.Action, j.Field, j.Told, foldOf(j.Key))
	}
	if err := t.insert("INSERT INTO journal ("+journalCols+", fold)", 19, values, ""); err != nil {
		return err
	}
	return t.saveDocuments(ids, rows, bodies)
}

func journalOf(ctx context.Context, db queryer, d dialect, q string, args ...any) ([]state.Journal, error) {
	var out []state.Journal
	err := eachOf(ctx, db, d, func(r *sql.Rows) error {
		j, err := scanJournal(r)
		out = append(out, j)
		return err
	}, q, args...)
	return out, err
}

func scanJournal(r *sql.Rows) (j state.Journal, err error) {
	var at, took int64
	err = r.Scan(&j.ID, &at, &j.Flow, &j.EventID, &j.Entity, &j.Key, &j.Hub, &j.Outcome, &j.Reason, &j.System, &j.Local, &j.External, &j.Version, &j.Attempts, &took,
		&j.Action, &j.Field, &j.Told)
	j.Time, j.Took = unstamp(at), time.Duration(took)
	return j, err
}

// Newest lists fates as Journal does, but looks at the newest rows of the journal alone, or at those before f.Before: at so many as among says. next is from
// where to look on, also where few were found; 0: there is nothing older. So it takes as long whatever the journal holds, and needs no index that every
// delivery would have to write.
func (s *Store) Newest(ctx context.Context, f state.JournalFilter, among int64) (rows []state.Journal, next int64, err error) {
	var oldest, newest sql.NullInt64
	err = s.each(ctx, func(r *sql.Rows) error { return r.Scan(&oldest, &newest) }, "SELECT (SELECT MIN(id) FROM journal), (SELECT MAX(id) FROM journal)")
	if err != nil || !newest.Valid {
		return nil, 0, s.wrap("the newest of the journal", err)
	}
	if f.Before == 0 || f.Before > newest.Int64+1 {
		f.Before = newest.Int64 + 1
	}
	from := f.Before - among
	w := where{}
	w.text("flow", f.Flow)
	w.text("outcome", string(f.Outcome))
	w.add("id < ?", f.Before)
	w.add("id >= ?", from)
	rows, err = journalOf(ctx, s.read, s.d, "SELECT "+journalCols+" FROM journal"+w.String()+" ORDER BY id DESC LIMIT CAST(? AS INTEGER)", append(w.args, bound(f.Limit))...)
	if len(rows) == bound(f.Limit) {
		from = rows[len(rows)-1].ID
	}
	if from > oldest.Int64 {
		next = from
	}
	return rows, next, s.wrap("the newest of the journal", err)
}

// Journal lists fates, newest first.
func (s *Store) Journal(ctx context.Context, f state.JournalFilter) ([]state.Journal, error) {
	w := where{}
	w.text("flow", f.Flow)
	w.text("outcome", string(f.Outcome))
	if !f.Since.IsZero() {
		w.add("time >= ?", stamp(f.Since))
	}
	if f.Before > 0 {
		w.add("id < ?", f.Before)
	}
	if f.Key == "" && f.Hub == "" {
		out, err := journalOf(ctx, s.read, s.d, "SELECT "+journalCols+" FROM journal"+w.String()+" ORDER BY id DESC LIMIT CAST(? AS INTEGER)", append(w.args, bound(f.Limit))...)
		return out, s.wrap("journal", err)
	}
	by, name := byHub, f.Hub
	if f.Key != "" {
		w.text("hub", f.Hub)
		by, name = byKey, f.Key
	}
	var out []state.Journal
	err := s.snapshot(ctx, func(db queryer) error {
		fates, err := s.fatesIn(ctx, db)
		if err != nil {
			return err
		}
		ids, err := fates.ids(by, name, bound(f.Limit), w)
		if err != nil {
			return err
		}
		out, err = fates.rows(ids, bound(f.Limit))
		return err
	})
	return out, s.wrap("journal", err)
}
