package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/waybill-hub/waybill/internal/state"
)

// acceptance is one call of Accept.
type acceptance struct {
	rows    []state.Inbound
	hashes  [][sha256.Size]byte // of the bodies
	headers []string
	events  []string  // of rows that stand for one event; nil where there is none
	bundles []*bundle // of rows that stand for several; nil where there is none
	cur     *state.Cursor
	lease   *state.Lease
	act     *state.Submitting // who has the hub make these rows; nil: they came from outside

	fate []state.Accepted
	seqs []int64
}

// Accept stores what came from outside, and with it the cursor it was read up to. When it returns, the rows are on disk. Per
// row it says whether it is new, was delivered before (seq is then the first one's), or came before with another body
// (nothing is stored of it, seq is 0). A row without an ID gets one, which makes that row's repetition after a lost answer a second
// row: give an ID. With a lease, a holder that was replaced gets state.ErrFenced and nothing is stored.
func (s *Store) Accept(ctx context.Context, rows []state.Inbound, cur *state.Cursor, lease *state.Lease) ([]state.Accepted, []int64, error) {
	a := &acceptance{rows: slices.Clone(rows), cur: cur, lease: lease}
	return s.take(ctx, "accept", a)
}

// take prepares an acceptance in the caller's goroutine and has it stored.
func (s *Store) take(ctx context.Context, op string, a *acceptance) ([]state.Accepted, []int64, error) {
	a.hashes, a.headers = make([][sha256.Size]byte, len(a.rows)), make([]string, len(a.rows))
	size := 0
	for i := range a.rows {
		r := &a.rows[i]
		r.Flow, r.ID, r.DeliveryID = cleanText(r.Flow), cleanText(r.ID), cleanText(r.DeliveryID)
		if r.Flow == "" {
			return nil, nil, errors.New("store: accept: a row without a flow")
		}
		if r.ID = cmp.Or(r.ID, r.DeliveryID); r.ID == "" {
			id, err := uuid.NewV7()
			if err != nil {
				return nil, nil, fmt.Errorf("store: accept: %w", err)
			}
			r.ID = id.String()
		}
		h, err := encodeHeaders(r.Headers)
		if err != nil {
			return nil, nil, fmt.Errorf("store: accept: headers: %w", err)
		}
		body := r.Body
		if r.Bundle != nil {
			b := newBundle(r.Bundle)
			if a.bundles == nil {
				a.bundles = make([]*bundle, len(a.rows))
			}
			a.bundles[i], body = b, b.body
		}
		a.hashes[i], a.headers[i] = sha256.Sum256(body), h
		size += len(body) + len(h)
	}
	err := s.submit(ctx, &member{op: op, kind: anAccept, accept: a, rows: len(a.rows) + 1, bytes: size})
	if err != nil {
		return nil, nil, err
	}
	return a.fate, a.seqs, nil
}

// digest is what row i is remembered by. A repetition counts as the same also where it has the very bytes of a row that was
// remembered by them: before its flow said otherwise.
func (a *acceptance) digest(i int) []byte {
	if d := a.rows[i].Digest; d != nil {
		return d
	}
	return a.hashes[i][:]
}

// delivery is what a flow's delivery, or inbox row, is known by.
type delivery struct{ flow, id string }

func compareDeliveries(a, b delivery) int {
	return cmp.Or(cmp.Compare(a.flow, b.flow), cmp.Compare(a.id, b.id))
}

// seen is what came before under a delivery's name.
type seen struct {
	hash []byte
	seq  int64
}

func (t *tx) accept(members []*member) error {
	live := members[:0:0]
	for _, m := range members {
		if m.accept.lease != nil {
			if err := t.holds(m.accept.lease); isRefusal(err) {
				m.err = err
				continue
			} else if err != nil {
				return err
			}
		}
		live = append(live, m)
	}
	before, err := t.deliveredBefore(live)
	if err != nil {
		return err
	}
	n := 0
	for _, m := range live {
		n += len(m.accept.rows)
	}
	seqs, err := t.ids("inbox", n)
	if err != nil {
		return err
	}
	var inbox, events, replay, bundles []any
	var cursors []state.Cursor
	for _, m := range live {
		a := m.accept
		a.fate, a.seqs = make([]state.Accepted, len(a.rows)), make([]int64, len(a.rows))
		for i := range a.rows {
			r := &a.rows[i]
			if old, ok := before.find(r); ok {
				a.fate[i], a.seqs[i] = state.AcceptedDuplicate, old.seq
				if !bytes.Equal(old.hash, a.digest(i)) && !bytes.Equal(old.hash, a.hashes[i][:]) {
					a.fate[i], a.seqs[i] = state.AcceptedConflict, 0
				}
				continue
			}
			seq := seqs[0]
			seqs = seqs[1:]
			a.fate[i], a.seqs[i] = state.AcceptedNew, seq
			before.add(r, seen{a.digest(i), seq})
			body := r.Body
			if body == nil {
				body = []byte{}
			}
			if a.bundles != nil && a.bundles[i] != nil {
				b := a.bundles[i]
				bundles = append(bundles, seq, b.n, b.ids, b.body)
			}
			if a.events == nil {
				inbox = append(inbox, seq, r.Flow, r.ID, r.DeliveryID, a.headers[i], body, r.Trace, stamp(r.Received))
			} else {
				events = append(events, seq, r.Flow, r.ID, r.DeliveryID, a.headers[i], body, r.Trace, stamp(r.Received), a.events[i])
			}
			if r.DeliveryID != "" {
				replay = append(replay, r.Flow, r.DeliveryID, a.digest(i), seq, t.now)
			}
		}
		if a.cur != nil {
			cursors = append(cursors, *a.cur)
		}
	}
	if err := t.insert("INSERT INTO replay (flow, delivery_id, hash, seq, received)", 5, replay, ""); err != nil {
		return err
	}
	if err := t.insert("INSERT INTO inbox (seq, flow, id, delivery_id, headers, body, trace, received)", 8, inbox, ""); err != nil {
		return err
	}
	if err := t.insert(insertEvents, 9, events, ""); err != nil {
		return err
	}
	if err := t.insert("INSERT INTO inbox_bundles (seq, n, ids, body)", 4, bundles, ""); err != nil {
		return err
	}
	for _, m := range live {
		if m.accept.act != nil {
			if err := t.submitted(m.accept); err != nil {
				return err
			}
		}
	}
	for _, c := range cursors {
		if err := t.saveCursor(c); err != nil {
			return err
		}
	}
	return nil
}

// history is what came before: by delivery id within the replay window, by row id while the row is in the inbox.
type history struct{ byDelivery, byID map[delivery]seen }

func (h *history) find(r *state.Inbound) (seen, bool) {
	if r.DeliveryID != "" {
		if s, ok := h.byDelivery[delivery{r.Flow, r.DeliveryID}]; ok {
			return s, true
		}
	}
	s, ok := h.byID[delivery{r.Flow, r.ID}]
	return s, ok
}

func (h *history) add(r *state.Inbound, s seen) {
	h.byID[delivery{r.Flow, r.ID}] = s
	if r.DeliveryID != "" {
		h.byDelivery[delivery{r.Flow, r.DeliveryID}] = s
	}
}

// deliveredBefore looks up all rows of all members at once. Two hubs that get the same delivery at the same time collide on the
// unique keys: the later one's transaction is run again and then finds the first.
func (t *tx) deliveredBefore(members []*member) (*history, error) {
	h := &history{map[delivery]seen{}, map[delivery]seen{}}
	var byDelivery, byID []delivery
	for _, m := range members {
		for i := range m.accept.rows {
			r := &m.accept.rows[i]
			byID = append(byID, delivery{r.Flow, r.ID})
			if r.DeliveryID != "" {
				byDelivery = append(byDelivery, delivery{r.Flow, r.DeliveryID})
			}
		}
	}
	for _, names := range []*[]delivery{&byDelivery, &byID} {
		slices.SortFunc(*names, compareDeliveries)
		*names = slices.Compact(*names)
	}
	l := looking{cols: "flow, delivery_id, hash, seq", table: "replay", key: []string{"flow", "delivery_id"}, keys: flat(byDelivery)}
	err := t.look(l, func(r *sql.Rows) error {
		var d delivery
		var s seen
		if err := r.Scan(&d.flow, &d.id, &s.hash, &s.seq); err != nil {
			return err
		}
		h.byDelivery[d] = s
		return nil
	})
	if err != nil {
		return nil, err
	}
	l = looking{cols: "flow, id, body, seq", table: "inbox", key: []string{"flow", "id"}, keys: flat(byID)}
	err = t.look(l, func(r *sql.Rows) error {
		var d delivery
		var body []byte
		var s seen
		if err := r.Scan(&d.flow, &d.id, &body, &s.seq); err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		s.hash = sum[:]
		h.byID[d] = s
		return nil
	})
	return h, err
}

func flat(ds []delivery) []any {
	out := make([]any, 0, 2*len(ds))
	for _, d := range ds {
		out = append(out, d.flow, d.id)
	}
	return out
}

func (t *tx) saveCursor(c state.Cursor) error {
	at := stamp(c.Updated)
	if at == 0 {
		at = t.now
	}
	_, err := t.exec("INSERT INTO cursors (flow, value, updated) VALUES (?, ?, ?) ON CONFLICT (flow) DO UPDATE SET value = excluded.value, updated = excluded.updated",
		c.Flow, c.Value, at)
	return err
}

// Cursor is how far the flow has read; a flow that has never read gets an empty value.
func (s *Store) Cursor(ctx context.Context, flow string) (state.Cursor, error) {
	c := state.Cursor{Flow: flow}
	err := s.each(ctx, func(r *sql.Rows) error {
		var at int64
		err := r.Scan(&c.Value, &at)
		c.Updated = unstamp(at)
		return err
	}, "SELECT value, updated FROM cursors WHERE flow = ?", flow)
	return c, s.wrap("cursor", err)
}

const inboxCols = "seq, flow, id, delivery_id, headers, body, trace, received, event"

// inboxColsOf are the columns of a table that stands beside others.
func inboxColsOf(table string) string {
	return table + "." + strings.ReplaceAll(inboxCols, ", ", ", "+table+".")
}

func scanInbound(r *sql.Rows, more ...any) (in state.Inbound, err error) {
	var headers string
	var received int64
	var one sql.NullString
	dest := append([]any{&in.Seq, &in.Flow, &in.ID, &in.DeliveryID, &headers, &in.Body, &in.Trace, &received, &one}, more...)
	if err := r.Scan(dest...); err != nil {
		return in, err
	}
	in.Received = unstamp(received)
	if one.Valid {
		ev, err := decodeEvent(one.String)
		if err != nil {
			return in, err
		}
		in.Event = &ev
	}
	in.Headers, err = decodeHeaders(headers)
	return in, err
}

// Unpublished gives the flow's inbox rows that have no place on their topic yet, oldest first, up to limit events and maxBytes of bodies
// (but always one row). A row whose list is published in part says how far. It asks for what is open, never for "seq above the last": a lower seq may be committed later.
func (s *Store) Unpublished(ctx context.Context, flow string, limit, maxBytes int) ([]state.Inbound, error) {
	var out []state.Inbound
	begun, err := s.begunLists(ctx, flow)
	if err != nil {
		return nil, s.wrap("unpublished", err)
	}
	err = s.snapshot(ctx, func(db queryer) error {
		in := inboxRows{db: db, d: s.d, limit: max(limit, 1), maxBytes: maxBytes}
		out, err = in.read(ctx, "i.flow = ? AND i.places IS NULL", flow)
		return err
	})
	for i := range out {
		l := begun[out[i].Seq]
		out[i].Next, out[i].Life = l.next, l.life
	}
	return out, s.wrap("unpublished", err)
}

// begunList is how far a list is published, and in which life of its topic's log.
type begunList struct {
	next int
	life int64
}

// begunLists are the flow's lists that are published in part, by the number of their row. Mostly there is none: to ask for each row of the inbox would
// cost more than to read it.
func (s *Store) begunLists(ctx context.Context, flow string) (map[int64]begunList, error) {
	var out map[int64]begunList
	err := s.each(ctx, func(r *sql.Rows) error {
		var seq int64
		var l begunList
		err := r.Scan(&seq, &l.next, &l.life)
		if out == nil {
			out = map[int64]begunList{}
		}
		out[seq] = l
		return err
	}, "SELECT s.seq, MAX(s.next), MAX(s.life) FROM inbox_slices AS s CROSS JOIN inbox AS i WHERE i.seq = s.seq AND i.flow = ? AND i.places IS NULL GROUP BY s.seq", flow)
	return out, err
}
