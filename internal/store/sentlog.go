package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// The sent log (table outbox) holds what the hub itself has put on topics that its flows read, until every one of them has stored its fate: the
// inbox is not enough for that, because a message has left it when the first flow is done with it. What lies on a topic straight
// from the inbox is not in it: the inbox row leads to it.

// sentRow is a row of the sent log to be written.
type sentRow struct {
	flow, topic string
	life        int64
	spots       []spot
	records     []byte
}

// newSentRow encodes records with their places; nil where there are none.
func newSentRow(flow string, life int64, records []*event.Record) (*sentRow, error) {
	if len(records) == 0 {
		return nil, nil
	}
	out := &sentRow{flow: cleanText(flow), topic: records[0].Topic, life: life, spots: make([]spot, len(records))}
	size := 0
	for _, r := range records {
		size += len(r.Key) + len(r.Value) + 512
	}
	out.records = make([]byte, 0, size)
	for i, r := range records {
		if r.Topic != out.topic || r.Partition < 0 || r.Offset < 0 {
			return nil, fmt.Errorf("store: a record that was sent to %s has the place %s", out.topic, r.Position())
		}
		out.spots[i] = spot{part: r.Partition, offset: r.Offset}
		out.records = appendRecord(out.records, r)
	}
	return out, nil
}

// saveSent writes rows. What was put into a log that is not the topic's any more is lost from the beginning.
func (t *tx) saveSent(rows []*sentRow) error {
	if len(rows) == 0 {
		return nil
	}
	topics := make([]string, len(rows))
	for i, r := range rows {
		topics[i] = r.topic
	}
	lives, err := t.lives(topics)
	if err != nil {
		return err
	}
	ids, err := t.ids("outbox", len(rows))
	if err != nil {
		return err
	}
	values := make([]any, 0, 7*len(rows))
	for i, r := range rows {
		spots, lost := r.spots, 0
		if r.life < lives[r.topic] {
			spots = make([]spot, len(r.spots))
			for j, s := range r.spots {
				s.lost = true
				spots[j] = s
			}
			lost = len(spots)
		}
		values = append(values, ids[i], r.flow, r.topic, lives[r.topic], lost, encodeSpots(spots), r.records)
	}
	return t.insert("INSERT INTO outbox (id, flow, topic, life, lost, places, records)", 7, values, "")
}

// Resending counts, by topic, the records that are to be put on it again.
func (s *Store) Resending(ctx context.Context) (map[string]int64, error) {
	out, err := numbersOf(ctx, s.read, s.d, "SELECT topic, SUM(lost) FROM outbox WHERE lost > 0 GROUP BY topic")
	return out, s.wrap("resending", err)
}

// Lost gives what is to be put on a topic again, in the order in which it was put there first, up to limit batches.
func (s *Store) Lost(ctx context.Context, topic string, limit int) ([]state.Lost, error) {
	var out []state.Lost
	err := s.each(ctx, func(r *sql.Rows) error {
		l := state.Lost{Topic: topic}
		var places, records []byte
		if err := r.Scan(&l.ID, &l.Flow, &places, &records); err != nil {
			return err
		}
		spots, all, err := decodeSent(places, records)
		for i := range all {
			if spots[i].lost {
				all[i].Topic = topic
				l.Records = append(l.Records, all[i])
			}
		}
		out = append(out, l)
		return err
	}, "SELECT id, flow, places, records FROM outbox WHERE topic = ? AND lost > 0 ORDER BY id LIMIT CAST(? AS INTEGER)", topic, bound(limit))
	return out, s.wrap("lost", err)
}

func decodeSent(places, records []byte) ([]spot, []event.Record, error) {
	spots, err := decodeSpots(places, nil)
	if err != nil {
		return nil, nil, err
	}
	all, err := decodeRecords(records)
	if err == nil && len(all) != len(spots) {
		err = fmt.Errorf("sent log: %w: %d places of %d records", errTorn, len(spots), len(all))
	}
	return spots, all, err
}

// Resent records that the lost records of a batch are on their topic again, at these places, in order. life is the life of the topic's
// log that was known before they were sent: where it is another one by now, they are still lost, and the error wraps state.ErrBroker.
func (s *Store) Resent(ctx context.Context, lease state.Lease, id, life int64, at []state.PublishedAt) error {
	return s.do(ctx, "resent", func(t *tx) error {
		if err := t.holds(&lease); err != nil {
			return err
		}
		var topic string
		var places []byte
		err := t.each(func(r *sql.Rows) error { return r.Scan(&topic, &places) }, "SELECT topic, places FROM outbox WHERE id = ? AND lost > 0", id)
		if err != nil || topic == "" {
			return err // settled before
		}
		lives, err := t.lives([]string{topic})
		if err != nil {
			return err
		}
		if life != lives[topic] {
			return refuse(state.ErrBroker, "the topic %s has another log since", topic)
		}
		spots, err := decodeSpots(places, nil)
		if err != nil {
			return err
		}
		n := 0
		for i := range spots {
			if spots[i].lost {
				if n < len(at) {
					spots[i] = spot{part: at[n].Partition, offset: at[n].Offset}
				}
				n++
			}
		}
		if n != len(at) {
			return fmt.Errorf("%d places were given for %d records", len(at), n)
		}
		_, err = t.exec("UPDATE outbox SET lost = 0, life = ?, places = ? WHERE id = ?", life, encodeSpots(spots), id)
		return err
	})
}

// pruneIdle is how many rows of a topic without one that can go are looked at before the rest is left for the next time:
// nobody is reading.
const pruneIdle = 4 * pruneRows

// PruneSent removes what all readers of a topic have finished, and what nobody reads any more. readers names the flows that read
// each topic. same is asked before anything is removed whether the logs are still those that the positions are of.
func (s *Store) PruneSent(ctx context.Context, readers map[string][]string, same func(context.Context) error) (removed int64, err error) {
	positions, err := s.positions(ctx)
	if err != nil {
		return 0, err
	}
	var topics []string
	err = s.each(ctx, func(r *sql.Rows) error {
		var topic string
		err := r.Scan(&topic)
		topics = append(topics, topic)
		return err
	}, "SELECT DISTINCT topic FROM outbox ORDER BY topic")
	if err != nil {
		return 0, s.wrap("prune the sent log", err)
	}
	for _, topic := range topics {
		n, err := s.pruneTopic(ctx, topic, readers[topic], positions, same)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

func (s *Store) pruneTopic(ctx context.Context, topic string, readers []string, positions map[partKey]*state.Partition, same func(context.Context) error) (removed int64, err error) {
	after, idle := int64(-1), 0
	var spots []spot
	for idle < pruneIdle {
		var gone []any
		seen := 0
		err := s.each(ctx, func(r *sql.Rows) error {
			var id, life, lost int64
			var places []byte
			if err := r.Scan(&id, &life, &lost, &places); err != nil {
				return err
			}
			seen, after = seen+1, id
			var err error
			if spots, err = decodeSpots(places, spots); err == nil && (len(readers) == 0 || lost == 0 && readByAll(positions, topic, readers, life, spots)) {
				gone = append(gone, id)
			}
			return err
		}, "SELECT id, life, lost, places FROM outbox WHERE topic = ? AND id > ? ORDER BY id LIMIT CAST(? AS INTEGER)", topic, after, pruneRows)
		if err != nil {
			return removed, s.wrap("prune the sent log", err)
		}
		idle += seen
		if len(gone) > 0 {
			idle = 0
			if err := same(ctx); err != nil {
				return removed, err
			}
			if err := s.do(ctx, "prune the sent log", func(t *tx) error { return t.execIn("DELETE FROM outbox WHERE ", "id", 1, gone, "") }); err != nil {
				return removed, err
			}
			removed += int64(len(gone))
		}
		if seen < pruneRows {
			return removed, nil
		}
	}
	return removed, nil
}

// readByAll reports whether every reader has stored the fate of every record.
func readByAll(positions map[partKey]*state.Partition, topic string, readers []string, life int64, spots []spot) bool {
	for _, s := range spots {
		if s.offset == over {
			continue
		}
		for _, flow := range readers {
			if !settledAt(positions[partKey{flow, topic, s.part}], life, s.offset) {
				return false
			}
		}
	}
	return true
}

// settledAt reports whether a flow has finished an offset of a life of the log. What was not finished when a life ended has been, or
// is going to be, put into the next one: nothing is left of it in its own.
func settledAt(p *state.Partition, life, offset int64) bool {
	switch {
	case p == nil || p.Life < life:
		return false
	case p.Life > life:
		return true
	}
	return finished(&p.Position, offset)
}
