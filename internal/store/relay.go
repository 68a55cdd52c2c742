package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
)

// outcomeDirect is the totals row that counts inbox rows parked by the relay.
const outcomeDirect = "direct"

// MarkPublished records where inbox rows went, and parks what could not be given a place: park rows stand for events of the
// rows in done, have Partition -1 and never block. Rows that are published already are left as they are, and a call all of whose rows are
// was stored before: it parks nothing again.
func (s *Store) MarkPublished(ctx context.Context, lease state.Lease, done []state.Published, park []state.Queued) error {
	places := make([]string, len(done))
	for i := range done {
		var err error
		if places[i], err = encodePlaces(done[i].Positions); err != nil {
			return fmt.Errorf("store: mark published: %w", err)
		}
	}
	appends := make([]*appending, len(park))
	size := 0
	for i := range park {
		q := park[i]
		if q.Flow == "" {
			return errors.New("store: mark published: a parked row without a flow")
		}
		q.State, q.Partition, q.Blocking, q.Follower = state.Parked, -1, false, false
		a, err := newAppending(&q)
		if err != nil {
			return err
		}
		appends[i] = a
		size += len(q.Event.Data)
	}
	return s.submit(ctx, &member{op: "mark published", kind: aFunc, rows: len(done) + len(park), bytes: size, run: func(t *tx) error {
		if err := t.holds(&lease); err != nil {
			return err
		}
		if err := t.inPresentLogs(done); err != nil {
			return err
		}
		changed, err := t.place(done, places)
		if err != nil {
			return err
		}
		if len(park) == 0 || changed == 0 && len(done) > 0 {
			return nil
		}
		return t.parkUnplaced(appends)
	}})
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
	values := make([]any, 0, 3*len(done))
	for i := range done {
		values = append(values, done[i].Seq, places[i], done[i].Key)
	}
	tail := ") AS v WHERE seq = column1 AND places IS NULL"
	if t.d == postgres {
		tail += " AND seq = ANY($1)" // by the primary key, whatever the planner thinks of a young table
	}
	return t.rows("UPDATE inbox SET places = column2, ekey = column3, again = NULL FROM (", 3, values, tail)
}

// parkUnplaced appends rows without a partition, but none twice: an event is parked once until it is settled.
func (t *tx) parkUnplaced(appends []*appending) error {
	var fresh []*appending
	for _, a := range appends {
		known := false
		if a.q.Event.ID != "" {
			err := t.each(func(*sql.Rows) error { known = true; return nil },
				"SELECT id FROM queue WHERE event_id = ? AND flow = ? AND part = -1", a.q.Event.ID, a.q.Flow)
			if err != nil {
				return err
			}
		}
		if !known {
			fresh = append(fresh, a)
		}
	}
	if err := t.appendQueue(fresh); err != nil {
		return err
	}
	tt := totals{}
	for _, a := range fresh {
		tt.add(totalKey{a.q.Flow, a.q.Topic, -1, outcomeDirect, ""}, 1, t.now)
	}
	return t.saveTotals(tt)
}

// UnplacedMarked gives the flow's rows without a partition that a person has marked: the relay works them and calls SettleUnplaced.
func (s *Store) UnplacedMarked(ctx context.Context, flow string) ([]state.Queued, error) {
	out, err := s.queued(ctx, "SELECT "+queueCols+" FROM queue WHERE flow = ? AND part = -1 AND mark <> '' ORDER BY id LIMIT 1000", flow)
	return out, s.wrap("unplaced", err)
}

// SettleUnplaced records what the relay did with marked rows that had no partition. Rows that are gone were settled before.
func (s *Store) SettleUnplaced(ctx context.Context, lease state.Lease, settled []state.Settled) error {
	sent := make([]*outgoing, len(settled))
	places := make([]state.Published, len(settled))
	size := 0
	for i := range settled {
		st := &settled[i]
		places[i].Positions = st.Published
		if len(st.Sent) == 0 {
			continue
		}
		if len(st.Sent) != len(st.Published) {
			return fmt.Errorf("store: settle unplaced: %d records have %d places", len(st.Sent), len(st.Published))
		}
		records := make([]*event.Record, len(st.Sent))
		for j, at := range st.Published {
			r := st.Sent[j]
			r.Topic, r.Partition, r.Offset = at.Topic, at.Partition, at.Offset
			records[j] = &r
		}
		var err error
		if sent[i], err = newOutgoing("", st.Published[0].Life, records); err != nil {
			return err
		}
		size += len(sent[i].records)
	}
	return s.submit(ctx, &member{op: "settle unplaced", kind: aFunc, rows: 2 * len(settled), bytes: size, run: func(t *tx) error {
		if err := t.holds(&lease); err != nil {
			return err
		}
		if err := t.inPresentLogs(places); err != nil {
			return err
		}
		tt := totals{}
		var kept []*outgoing
		for i := range settled {
			flow, err := t.settle(&settled[i], tt)
			if err != nil {
				return err
			}
			if flow != "" && sent[i] != nil {
				row := *sent[i]
				row.flow = flow
				kept = append(kept, &row)
			}
		}
		if err := t.saveTotals(tt); err != nil {
			return err
		}
		return t.saveOutbox(kept)
	}})
}

// settle gives the flow of a row that was there and has gone.
func (t *tx) settle(st *state.Settled, tt totals) (flow string, err error) {
	if st.Again != nil {
		q := st.Again
		cause, _ := state.CauseOf(q)
		_, err := t.exec("UPDATE queue SET kind = ?, reason = ?, code = ?, cause = ?, attempts = ?, mark = CASE WHEN mark = 'discard' THEN mark ELSE '' END WHERE id = ? AND part = -1",
			q.Kind, q.Reason, q.Code, cause, q.Attempts, st.ID)
		return "", err
	}
	if st.Discard {
		if err := t.giveUp(st.ID); err != nil {
			return "", err
		}
	}
	var topic string
	gone := true
	err = t.each(func(r *sql.Rows) error { gone = false; return r.Scan(&flow, &topic) },
		"DELETE FROM queue WHERE id = ? AND part = -1 RETURNING flow, topic", st.ID)
	if err != nil || gone {
		return "", err
	}
	if st.Discard {
		tt.add(totalKey{flow, topic, -1, string(state.Discarded), ""}, 1, t.now)
	} else { // from here on it is one of the records that the position counts
		tt.add(totalKey{flow, topic, -1, outcomeDirect, ""}, -1, t.now)
	}
	return flow, nil
}
