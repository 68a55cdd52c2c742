package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

const backfillCols = "id, flow, again, who, why, since, state, attempt, wanted, started, updated, finished, cancel, detail, about, place, as_of, moved, rounds, progress"

func scanBackfill(r *sql.Rows) (b state.Backfill, err error) {
	var st, progress string
	var again, moved, since, wanted, started, updated, finished int64
	p := &b.Place
	err = r.Scan(&b.ID, &b.Flow, &again, &b.Who, &b.Why, &since, &st, &b.Attempt, &wanted, &started, &updated, &finished, &b.Cancel, &b.Detail, &p.About, &p.Cursor, &p.AsOf, &moved, &p.Rounds, &progress)
	if err != nil {
		return b, err
	}
	b.State, b.Again, p.Moved, b.Since = state.BackfillState(st), again != 0, moved != 0, unstamp(since)
	b.Wanted, b.Started, b.Updated, b.Finished = unstamp(wanted), unstamp(started), unstamp(updated), unstamp(finished)
	if err := json.Unmarshal([]byte(progress), &b.Progress); err != nil {
		return b, fmt.Errorf("backfill %d: %w: %w", b.ID, errTorn, err)
	}
	return b, nil
}

// backfill is the row of a backfill, kept as it is until the transaction ends; state.ErrNotFound when there is none.
func (t *tx) backfill(id int64) (b state.Backfill, err error) {
	err = t.each(func(r *sql.Rows) (err error) {
		b, err = scanBackfill(r)
		return err
	}, "SELECT "+backfillCols+" FROM backfills WHERE id = ?"+t.d.forUpdate(), id)
	if err == nil && b.ID == 0 {
		err = refuse(state.ErrNotFound, "backfill %d", id)
	}
	return b, err
}

// filling is the row of a backfill that is worked under the lease l; state.ErrFenced where the lease is another hub's, or another flow's.
func (t *tx) filling(l *state.Lease, id int64) (state.Backfill, error) {
	b, err := t.backfill(id)
	switch {
	case err != nil:
		return b, err
	case l.Name != state.BackfillLease(b.Flow):
		return b, refuse(state.ErrFenced, "backfill %d is worked under the lease %s, not %s", id, state.BackfillLease(b.Flow), l.Name)
	}
	return b, t.holds(l)
}

// openBackfill is filling for one that is not over; state.ErrNotFound for one that is.
func (t *tx) openBackfill(l *state.Lease, id int64) (state.Backfill, error) {
	b, err := t.filling(l, id)
	if err == nil && b.State.Over() {
		err = refuse(state.ErrNotFound, "backfill %d is over (%s): open backfill", id, b.State)
	}
	return b, err
}

// WantBackfill stores that a backfill is wanted, with the act of the person who wants it. Where one of its flow is wanted or running already, that one is
// given back, with false.
func (s *Store) WantBackfill(ctx context.Context, b state.Backfill) (state.Backfill, bool, error) {
	type answer struct {
		b     state.Backfill
		fresh bool
	}
	a, err := ask(ctx, s, "want a backfill", func(t *tx) (a answer, err error) {
		err = t.each(func(r *sql.Rows) (err error) {
			a.b, err = scanBackfill(r)
			return err
		}, "SELECT "+backfillCols+" FROM backfills WHERE flow = ? AND finished = 0", b.Flow)
		if err != nil || a.b.ID != 0 {
			return a, err
		}
		a.b, a.fresh = b, true
		a.b.State, a.b.Wanted = state.BackfillWanted, unstamp(t.now)
		// People type these numbers: they count on without holes. The counter ends with its transaction.
		err = t.each(func(r *sql.Rows) error { return r.Scan(&a.b.ID) }, "INSERT INTO counters (name, value) VALUES ('backfill', 1) ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value")
		if err != nil {
			return a, err
		}
		// Where another hub wants one at the same time, an index refuses one of the two, and the transaction is run again.
		_, err = t.exec("INSERT INTO backfills ("+backfillCols+") VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, 0, 0, 0, '', '', '', '', 0, 0, 0, '{}')",
			a.b.ID, b.Flow, b2i(b.Again), b.Who, b.Why, stamp(b.Since), string(a.b.State), t.now)
		if err != nil {
			return a, err
		}
		return a, t.audit(b.Who, backfillAction(&b), "flow/"+b.Flow, fmt.Sprintf("backfill %d%s%s", a.b.ID, sinceText(b.Since), forReason(b.Why)))
	})
	return a.b, a.fresh, err
}

// backfillAction is what the audit calls a person's wish for one.
func backfillAction(b *state.Backfill) string {
	if b.Again {
		return "resend-all"
	}
	return "backfill"
}

func sinceText(since time.Time) string {
	if since.IsZero() {
		return ""
	}
	return ", of what has changed since " + since.UTC().Format(time.RFC3339)
}

// BeginBackfill takes a backfill up, where it was left. state.ErrFenced where the lease is not the caller's, state.ErrNotFound where there is no such
// backfill, or it is over.
func (s *Store) BeginBackfill(ctx context.Context, lease state.Lease, id int64) (state.Backfill, error) {
	return ask(ctx, s, "begin a backfill", func(t *tx) (state.Backfill, error) {
		b, err := t.openBackfill(&lease, id)
		if err != nil {
			return state.Backfill{}, err
		}
		if b.Started.IsZero() {
			b.Started = unstamp(t.now)
		}
		b.State, b.Updated = state.BackfillRunning, unstamp(t.now)
		b.Attempt++
		_, err = t.exec("UPDATE backfills SET state = ?, attempt = ?, started = ?, updated = ? WHERE id = ?", string(b.State), b.Attempt, stamp(b.Started), t.now, id)
		return b, err
	})
}

// SaveBackfill tells how far a backfill has come, and from where it would be gone on with; a nil place leaves that as it is. It gives who wants it to end;
// empty: nobody.
func (s *Store) SaveBackfill(ctx context.Context, lease state.Lease, id int64, place *state.BackfillPlace, p state.BackfillProgress) (cancelledBy string, err error) {
	progress, err := json.Marshal(&p)
	if err != nil {
		return "", fmt.Errorf("store: progress of backfill %d: %w", id, err)
	}
	return ask(ctx, s, "progress of a backfill", func(t *tx) (string, error) {
		b, err := t.openBackfill(&lease, id)
		if err != nil {
			return "", err
		}
		if place == nil {
			place = &b.Place
		}
		_, err = t.exec("UPDATE backfills SET updated = ?, progress = ?, about = ?, place = ?, as_of = ?, moved = ?, rounds = ? WHERE id = ?",
			t.now, string(progress), place.About, place.Cursor, place.AsOf, b2i(place.Moved), place.Rounds, id)
		return b.Cancel, err
	})
}

// EndBackfill ends the backfill b.ID: State, Detail and Progress, with an act of who has wanted it. To end it again in the same way changes nothing.
func (s *Store) EndBackfill(ctx context.Context, lease state.Lease, b state.Backfill) error {
	if !b.State.Over() {
		return fmt.Errorf("store: backfill %d cannot end as %s", b.ID, b.State)
	}
	return s.do(ctx, "end a backfill", func(t *tx) error {
		have, err := t.filling(&lease, b.ID)
		switch {
		case err != nil:
			return err
		case have.State == b.State:
			return nil
		case have.State.Over():
			return refuse(state.ErrNotFound, "backfill %d is over (%s): open backfill", b.ID, have.State)
		}
		have.State, have.Detail, have.Progress = b.State, b.Detail, b.Progress
		return t.endBackfill(&have)
	})
}

// endBackfill notes the end. What it was read up to is needed no more.
func (t *tx) endBackfill(b *state.Backfill) error {
	progress, err := json.Marshal(&b.Progress)
	if err != nil {
		return fmt.Errorf("store: progress of backfill %d: %w", b.ID, err)
	}
	_, err = t.exec("UPDATE backfills SET state = ?, finished = ?, updated = ?, cancel = ?, detail = ?, progress = ?, about = '', place = '', as_of = 0, moved = 0, rounds = 0 WHERE id = ?",
		string(b.State), t.now, t.now, b.Cancel, b.Detail, string(progress), b.ID)
	if err != nil {
		return err
	}
	about := fmt.Sprintf("backfill %d: %s, %d objects", b.ID, b.State, b.Progress.Submitted)
	if b.Detail != "" {
		about += ": " + b.Detail
	}
	return t.audit(b.Who, backfillAction(b)+"-ended", "flow/"+b.Flow, about)
}

// CancelBackfill asks for the end of a backfill, with the act: one that nobody has begun ends at once, another when the hub that works it looks.
// state.ErrNotFound when there is no such backfill, state.ErrBusy when it is over.
func (s *Store) CancelBackfill(ctx context.Context, id int64, who, why string) error {
	return s.do(ctx, "cancel a backfill", func(t *tx) error {
		b, err := t.backfill(id)
		switch {
		case err != nil:
			return err
		case b.State.Over():
			return busy("backfill %d is over already (%s)", id, b.State)
		case b.Cancel != "": // it is asked for already
			return nil
		}
		if err := t.audit(who, "cancel", "flow/"+b.Flow, fmt.Sprintf("backfill %d%s", id, forReason(why))); err != nil {
			return err
		}
		if b.Cancel = state.Why(who, why); b.State == state.BackfillWanted {
			b.State, b.Detail = state.BackfillCancelled, "cancelled by "+b.Cancel
			return t.endBackfill(&b)
		}
		_, err = t.exec("UPDATE backfills SET cancel = ? WHERE id = ?", b.Cancel, id)
		return err
	})
}

// Backfills lists backfills, the newest first.
func (s *Store) Backfills(ctx context.Context, f state.BackfillFilter) ([]state.Backfill, error) {
	w, order := where{}, "id"
	w.text("flow", f.Flow)
	if f.Open {
		w.add("finished = 0")
		order = openOrder
	}
	if f.Before > 0 {
		w.add("id < ?", f.Before)
	}
	return s.backfills(ctx, w.String()+" ORDER BY "+order+" DESC LIMIT CAST(? AS INTEGER)", append(w.args, bound(f.Limit))...)
}

// LastBackfills gives the newest backfill of each flow.
func (s *Store) LastBackfills(ctx context.Context) (map[string]state.Backfill, error) {
	all, err := s.backfills(ctx, " WHERE id IN (SELECT MAX(id) FROM backfills GROUP BY flow)")
	out := make(map[string]state.Backfill, len(all))
	for _, b := range all {
		out[b.Flow] = b
	}
	return out, err
}

// BackfillByID is one backfill; state.ErrNotFound when there is none.
func (s *Store) BackfillByID(ctx context.Context, id int64) (state.Backfill, error) {
	all, err := s.backfills(ctx, " WHERE id = ?", id)
	if err == nil && len(all) == 0 {
		return state.Backfill{}, s.wrap("backfill", refuse(state.ErrNotFound, "backfill %d", id))
	}
	if err != nil {
		return state.Backfill{}, err
	}
	return all[0], nil
}

func (s *Store) backfills(ctx context.Context, rest string, args ...any) (out []state.Backfill, err error) {
	err = s.each(ctx, func(r *sql.Rows) error {
		b, err := scanBackfill(r)
		out = append(out, b)
		return err
	}, "SELECT "+backfillCols+" FROM backfills"+rest, args...)
	return out, s.wrap("backfills", err)
}

// AcceptedSince gives what was accepted for a flow since a number of the inbox, but for what has a delivery id that begins with without: oldest first, at
// most limit. While a backfill is open, nothing of it is pruned that lies behind the place of that.
func (s *Store) AcceptedSince(ctx context.Context, flow string, after int64, without string, limit int) ([]state.Inbound, error) {
	var out []state.Inbound
	err := s.snapshot(ctx, func(db queryer) error {
		in := inboxRows{db: db, d: s.d, limit: bound(limit)}
		rows, err := in.read(ctx, "i.flow = ? AND i.seq > ? AND substr(i.delivery_id, 1, CAST(? AS INTEGER)) <> ?", flow, after, len([]rune(without)), without)
		for i := range rows {
			if rows[i].Bundle == nil {
				out = append(out, rows[i])
			}
			for k := range rows[i].Bundle {
				out = append(out, alone(&rows[i], k))
			}
		}
		return err
	})
	out = out[:min(len(out), bound(limit))]
	return out, s.wrap("accepted since", err)
}

// CountHeld counts messages of flows that rest because their target could not be reached, up to most.
func (s *Store) CountHeld(ctx context.Context, flows []string, most int) (n int, err error) {
	for _, f := range flows {
		one := 0
		err := s.each(ctx, func(r *sql.Rows) error { return r.Scan(&one) },
			"SELECT COUNT(*) FROM (SELECT 1 FROM queue WHERE flow = ? AND state = 'held' LIMIT CAST(? AS INTEGER)) AS held", f, most)
		if n += one; err != nil || n >= most {
			return min(n, most), s.wrap("count held", err)
		}
	}
	return n, nil
}

// pruneBackfills removes what ended longer ago than the journal is kept, but for the newest of each flow.
func (s *Store) pruneBackfills(ctx context.Context, now time.Time) (int64, error) {
	return s.pruneUntilFew(ctx, "prune backfills", "DELETE FROM backfills WHERE id IN (SELECT id FROM backfills AS b WHERE finished > 0 AND finished < ? AND EXISTS (SELECT 1 FROM backfills AS n WHERE n.flow = b.flow AND n.id > b.id) LIMIT CAST(? AS INTEGER))",
		stamp(now.Add(-s.cfg.KeepJournal)), pruneRows)
}
