package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/state"
)

// Submit stores events that the hub itself has made, as Accept stores what came from outside: durable when it returns, and each delivery id of a
// flow once. In the same transaction it tells who wanted it: an act for each event that is new, and a row of the audit unless none is.
func (s *Store) Submit(ctx context.Context, rows []state.Inbound, act state.Submitting) ([]state.Accepted, []int64, error) {
	a := &acceptance{rows: slices.Clone(rows), act: &act, events: make([]string, len(rows))}
	for i := range rows {
		ev := rows[i].Event
		if ev == nil || rows[i].DeliveryID == "" {
			return nil, nil, errors.New("store: submit: a row without its event, or without an id")
		}
		text, err := encodeEvent(ev)
		if err != nil {
			return nil, nil, fmt.Errorf("store: submit: %w", err)
		}
		a.events[i] = text
	}
	return s.take(ctx, "submit", a)
}

// submitted tells of an acceptance who wanted it.
func (t *tx) submitted(a *acceptance) error {
	var acts []state.Act
	known := 0
	for i, fate := range a.fate {
		if fate != state.AcceptedNew {
			known++
			continue
		}
		r, ev := &a.rows[i], a.rows[i].Event
		acts = append(acts, state.Act{Flow: r.Flow, EventID: ev.ID, Key: ev.Key, Hub: ev.Hub, Action: a.act.Action, Who: a.act.Who, Note: a.act.Note})
	}
	if len(acts) == 0 {
		return nil
	}
	if err := t.record(acts...); err != nil {
		return err
	}
	if a.act.Object == "" {
		return nil
	}
	about := a.act.About
	if known > 0 {
		about += fmt.Sprintf("; %d of them are not new, and were left out", known)
	}
	if a.act.Note != "" {
		about += ": " + a.act.Note
	}
	return t.audit(a.act.Who, a.act.Action, a.act.Object, about)
}

// NextInbox gives a number of the inbox that nothing has: what is accepted from now on has a greater one.
func (s *Store) NextInbox(ctx context.Context) (int64, error) {
	return ask(ctx, s, "next number of the inbox", func(t *tx) (int64, error) {
		ids, err := t.ids("inbox", 1)
		if err != nil {
			return 0, err
		}
		return ids[0], nil
	})
}

// CountUnpublished counts what the flow's inbox has that is not on its topic yet, up to most: rows, and the events of bundles.
func (s *Store) CountUnpublished(ctx context.Context, flow string, most int) (n int, err error) {
	err = s.snapshot(ctx, func(db queryer) error {
		err := eachOf(ctx, db, s.d, func(r *sql.Rows) error { return r.Scan(&n) },
			"SELECT COUNT(*) FROM (SELECT 1 FROM inbox WHERE flow = ? AND places IS NULL LIMIT CAST(? AS INTEGER)) AS open", flow, most)
		if err != nil || n >= most {
			return err
		}
		more, err := bundledEvents(ctx, db, s.d, " AND i.flow = ?", flow)
		n = min(n+int(more[flow]), most)
		return err
	})
	return n, s.wrap("count unpublished", err)
}

// WithUnpublished gives those of the flows that have inbox rows which are not on their topic yet.
func (s *Store) WithUnpublished(ctx context.Context, flows []string) ([]string, error) {
	var out []string
	if len(flows) == 0 {
		return nil, nil
	}
	args := make([]any, len(flows))
	for i, f := range flows {
		args[i] = f
	}
	err := s.each(ctx, func(r *sql.Rows) error {
		var flow string
		err := r.Scan(&flow)
		out = append(out, flow)
		return err
	}, "SELECT column1 FROM (VALUES (?)"+strings.Repeat(", (?)", len(flows)-1)+") AS f WHERE EXISTS (SELECT 1 FROM inbox WHERE inbox.flow = column1 AND places IS NULL) ORDER BY column1", args...)
	return out, s.wrap("flows with unpublished rows", err)
}
