package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// MarkPublished records where inbox rows went, and adds to the inbox the rows of rest, which stand for events of rows in done that have
// no place yet. What is published of a long list is kept apart until all of it is. Rows that are published already are left as they are, and a call all of whose rows are was stored before: it adds nothing again.
func (s *Store) MarkPublished(ctx context.Context, lease state.Lease, done []state.Published, rest []state.Inbound) error {
	places := make([]string, len(done))
	for i := range done {
		var err error
		if places[i], err = encodePlaces(done[i].Positions); err != nil {
			return fmt.Errorf("store: mark published: %w", err)
		}
	}
	sent, size, err := sentOnto(done)
	if err != nil {
		return fmt.Errorf("store: mark published: %w", err)
	}
	var keys []any
	for i := range done {
		if done[i].Keys != nil {
			b := encodeKeys(done[i].Keys)
			keys, size = append(keys, done[i].Seq, b), size+len(b)
		}
	}
	more := make([]*arrival, len(rest))
	for i := range rest {
		var err error
		if more[i], err = newArrival(rest[i]); err != nil {
			return fmt.Errorf("store: mark published: %w", err)
		}
		size += len(rest[i].Body)
	}
	return s.submit(ctx, &member{op: "mark published", kind: aFunc, rows: len(done) + len(rest), bytes: size, run: func(t *tx) error {
		if err := t.holds(&lease); err != nil {
			return err
		}
		if err := t.inPresentLogs(done); err != nil {
			return err
		}
		changed, err := t.place(done, places)
		if err == nil {
			var more int64
			more, err = t.slices(done, places)
			changed += more
		}
		if err != nil || changed == 0 {
			return err
		}
		if err := t.saveSent(sent); err != nil {
			return err
		}
		if err := t.insert("INSERT INTO inbox_bundle_keys (seq, keys)", 2, keys, " ON CONFLICT (seq) DO NOTHING"); err != nil {
			return err
		}
		return t.arrive(more)
	}})
}

// sentOnto gives the rows of the sent log for records that were put on topics which others fill as well, a row for each flow, topic and life.
func sentOnto(done []state.Published) (rows []*sentRow, size int, err error) {
	type log struct {
		flow, topic string
		life        int64
	}
	byLog := map[log][]*event.Record{}
	var order []log
	for i := range done {
		r := done[i].Sent
		if r == nil {
			continue
		}
		if len(done[i].Positions) != 1 {
			return nil, 0, fmt.Errorf("a record that was put on %s has %d places", r.Topic, len(done[i].Positions))
		}
		at := &done[i].Positions[0]
		rec := *r
		rec.Partition, rec.Offset = at.Partition, at.Offset
		k := log{done[i].SentBy, at.Topic, at.Life}
		if byLog[k] == nil {
			order = append(order, k)
		}
		byLog[k] = append(byLog[k], &rec)
	}
	for _, k := range order {
		row, err := newSentRow(k.flow, k.life, byLog[k])
		if err != nil {
			return nil, 0, err
		}
		rows, size = append(rows, row), size+len(row.records)
	}
	return rows, size, nil
}

// inPresentLogs refuses with state.ErrBroker what was published into a log that is not its topic's any more.
func (t *tx) inPresentLogs(done []state.Published) error {
	seen := map[string]int64{}
	for i := range done {
		for _, a := range done[i].Positions {
			if life, ok := seen[a.Topic]; !ok || a.Life < life {
				seen[a.Topic] = a.Life
			}
		}
	}
	lives, err := t.lives(slices.Collect(maps.Keys(seen)))
	if err != nil {
		return err
	}
	for topic, life := range seen {
		if life < lives[topic] {
			return refuse(state.ErrBroker, "what was published to %s is in a log that it had before", topic)
		}
	}
	return nil
}

func (t *tx) place(done []state.Published, places []string) (int64, error) {
	values := make([]any, 0, 4*len(done))
	for i := range done {
		if done[i].Next > 0 {
			continue
		}
		text, key := places[i], done[i].Key
		if done[i].Sliced {
			var err error
			if text, key, err = t.joined(&done[i], text); err != nil {
				return 0, err
			}
		}
		values = append(values, done[i].Seq, text, key, foldOf(key))
	}
	if len(values) == 0 {
		return 0, nil
	}
	tail := ") AS v WHERE seq = column1 AND places IS NULL"
	if t.d == postgres {
		tail += " AND seq = ANY($1)" // by the primary key, whatever the planner thinks of a young table
	}
	return t.rows("UPDATE inbox SET places = column2, ekey = column3, fold = column4, again = NULL FROM (", 4, values, tail)
}

// joined gives all places of a list whose last elements have the places last, and the first key, and takes its slices away.
func (t *tx) joined(p *state.Published, last string) (places, key string, err error) {
	parts := []string{}
	err = t.each(func(r *sql.Rows) error {
		var text, k string
		err := r.Scan(&text, &k)
		parts, key = append(parts, strings.Trim(text, "[]")), cmp.Or(key, k)
		return err
	}, "SELECT places, ekey FROM inbox_slices WHERE seq = ? AND life = ? ORDER BY next", p.Seq, p.Life)
	if err != nil {
		return "", "", err
	}
	parts = append(parts, strings.Trim(last, "[]"))
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	_, err = t.exec("DELETE FROM inbox_slices WHERE seq = ?", p.Seq)
	return "[" + strings.Join(parts, ",") + "]", cmp.Or(key, p.Key), err
}

// slices keeps what is published of lists that are not published as a whole. Slices of a log that the topic had before count no more: their
// list was begun anew.
func (t *tx) slices(done []state.Published, places []string) (changed int64, err error) {
	for i := range done {
		p := &done[i]
		if p.Next == 0 {
			continue
		}
		if _, err := t.exec("DELETE FROM inbox_slices WHERE seq = ? AND life <> ?", p.Seq, p.Life); err != nil {
			return changed, err
		}
		n, err := t.exec("INSERT INTO inbox_slices (seq, next, life, ekey, places) VALUES (?, ?, ?, ?, ?) ON CONFLICT (seq, next) DO NOTHING",
			p.Seq, p.Next, p.Life, p.Key, places[i])
		if err != nil {
			return changed, err
		}
		changed += n
	}
	return changed, nil
}

// arrival is an inbox row that is going to be added, with all texts made in the caller's goroutine.
type arrival struct {
	row            state.Inbound
	headers, event string
}

func newArrival(row state.Inbound) (*arrival, error) {
	row.Flow, row.ID, row.DeliveryID = cleanText(row.Flow), cleanText(row.ID), cleanText(row.DeliveryID)
	if row.Flow == "" || row.ID == "" || row.Event == nil {
		return nil, errors.New("an inbox row needs a flow and an id, and one that was not delivered its event")
	}
	headers, err := encodeHeaders(row.Headers)
	if err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	text, err := encodeEvent(row.Event)
	if row.Body == nil {
		row.Body = []byte{}
	}
	return &arrival{row, headers, text}, err
}

// arrive adds rows to the inbox that stand for one event each.
func (t *tx) arrive(rows []*arrival) error {
	if len(rows) == 0 {
		return nil
	}
	seqs, err := t.ids("inbox", len(rows))
	if err != nil {
		return err
	}
	values := make([]any, 0, 9*len(rows))
	for i, a := range rows {
		r := &a.row
		values = append(values, seqs[i], r.Flow, r.ID, r.DeliveryID, a.headers, r.Body, r.Trace, stamp(r.Received), a.event)
	}
	return t.insert(insertEvents, 9, values, "")
}

// insertEvents adds rows to the inbox that stand for one event each.
const insertEvents = "INSERT INTO inbox (seq, flow, id, delivery_id, headers, body, trace, received, event)"

// Inbound is one inbox row; state.ErrNotFound when it is gone. It stays until the fates of all its events are stored.
func (s *Store) Inbound(ctx context.Context, seq int64) (state.Inbound, error) {
	var out []state.Inbound
	err := s.each(ctx, func(r *sql.Rows) error {
		in, err := scanInbound(r)
		out = append(out, in)
		return err
	}, "SELECT "+inboxCols+" FROM inbox WHERE seq = ?", seq)
	if err != nil || len(out) == 0 {
		return state.Inbound{}, s.wrap("inbox", errors.Join(err, notFound(err, "inbox row %d", seq)))
	}
	return out[0], nil
}

// Refused reports whether this reading of an event was refused, and parked, before: the journal has it, whatever a person did since.
func (s *Store) Refused(ctx context.Context, flow, eventID string, reading int) (known bool, err error) {
	w := where{}
	w.add("flow = ?", flow)
	w.add("outcome = ?", string(state.Parked))
	w.add("attempts > ?", reading)
	err = s.snapshot(ctx, func(db queryer) error {
		f, err := s.fatesIn(ctx, db)
		if err != nil {
			return err
		}
		ids, err := f.ids(byEvent, eventID, 1, w)
		known = len(ids) > 0
		return err
	})
	return known, s.wrap("refused", err)
}
