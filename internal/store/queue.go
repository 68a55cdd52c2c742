package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

const queueCols = `id, flow, topic, part, lane, state, blocking, follower, kind, reason, code, m_entity, m_system, m_hub, m_local, m_intents,
	event, data, original, edited_by, edit_note, attempts, since, not_before, mark, marked_by, mark_note, cause, edits, rev, tried`

// listCols are queueCols without the documents: a list of them may be long.
var listCols = strings.Replace(queueCols, "event, data, original", "event, NULL, NULL", 1)

func scanQueued(r *sql.Rows) (q state.Queued, err error) {
	var blocking, follower, intents, since, notBefore, tried int64
	var m state.Missing
	var text string
	var data []byte
	err = r.Scan(&q.ID, &q.Flow, &q.Topic, &q.Partition, &q.Lane, &q.State, &blocking, &follower, &q.Kind, &q.Reason, &q.Code,
		&m.Entity, &m.System, &m.Hub, &m.Local, &intents, &text, &data, &q.Original, &q.EditedBy, &q.EditNote, &q.Attempts, &since, &notBefore,
		&q.Mark, &q.MarkedBy, &q.MarkNote, &q.Cause, &q.Edits, &q.Rev, &tried)
	if err != nil {
		return q, err
	}
	q.Blocking, q.Follower, m.Intents = blocking != 0, follower != 0, intents != 0
	q.Since, q.NotBefore, q.Tried = unstamp(since), unstamp(notBefore), time.Duration(tried)
	if m != (state.Missing{}) {
		q.Missing = &m
	}
	q.Event, err = decodeEvent(text)
	q.Event.Data = data
	return q, err
}

func (s *Store) queued(ctx context.Context, q string, args ...any) ([]state.Queued, error) {
	return queuedOf(ctx, s.read, s.d, q, args...)
}

func queuedOf(ctx context.Context, db queryer, d dialect, q string, args ...any) ([]state.Queued, error) {
	var out []state.Queued
	err := eachOf(ctx, db, d, func(r *sql.Rows) error {
		row, err := scanQueued(r)
		out = append(out, row)
		return err
	}, q, args...)
	return out, err
}

// QueuedLanes gives the lanes of a partition that have a blocking queue, with their heads' states.
func (s *Store) QueuedLanes(ctx context.Context, flow, topic string, partition int) ([]state.QueuedLane, error) {
	var out []state.QueuedLane
	err := s.each(ctx, func(r *sql.Rows) error {
		var l state.QueuedLane
		err := r.Scan(&l.Lane, &l.State)
		out = append(out, l)
		return err
	}, "SELECT lane, state FROM queue WHERE flow = ? AND topic = ? AND part = ? AND follower = 0 AND blocking = 1 ORDER BY lane", flow, topic, partition)
	return out, s.wrap("queued lanes", err)
}

// Due gives up to limit lanes of a partition with work to do: whose head is marked, or is held or waiting and due at now, and those
// with a follower to discard. Rows that block nothing are heads of their own. A waiting row without NotBefore is due only when marked.
func (s *Store) Due(ctx context.Context, flow, topic string, partition int, now time.Time, limit int) ([]string, error) {
	var out []string
	err := s.each(ctx, func(r *sql.Rows) error {
		var lane string
		err := r.Scan(&lane)
		out = append(out, lane)
		return err
		// Thousands may wait without a time. The second part never comes by them, and the third goes by state: the plus keeps SQLite
		// from the index of heads.
	}, `SELECT lane FROM (
		SELECT lane, id FROM queue WHERE flow = ? AND topic = ? AND part = ? AND mark <> '' AND (follower = 0 OR mark = 'discard')
		UNION ALL
		SELECT lane, id FROM queue WHERE flow = ? AND topic = ? AND part = ? AND follower = 0 AND not_before > 0 AND not_before <= ? AND state IN ('held', 'waiting')
		UNION ALL
		SELECT lane, id FROM queue WHERE flow = ? AND state = 'held' AND topic = ? AND part = ? AND +follower = 0 AND not_before = 0
		) AS d GROUP BY lane ORDER BY MIN(id) LIMIT CAST(? AS INTEGER)`, flow, topic, partition, flow, topic, partition, stamp(now), flow, topic, partition, bound(limit))
	return out, s.wrap("due lanes", err)
}

// MarkedPartitions gives the partitions of a flow's topic that hold a row that somebody has marked. The owner of what blocks a lane knows of it
// anyhow.
func (s *Store) MarkedPartitions(ctx context.Context, flow, topic string) ([]int, error) {
	var out []int
	err := s.each(ctx, func(r *sql.Rows) error {
		var part int
		err := r.Scan(&part)
		out = append(out, part)
		return err
	}, "SELECT DISTINCT part FROM queue WHERE flow = ? AND topic = ? AND mark <> '' ORDER BY part", flow, topic)
	return out, s.wrap("marked partitions", err)
}

// GivenUp gives up to limit lanes of a partition with a row that a person has given up: what may be done while nothing else may.
func (s *Store) GivenUp(ctx context.Context, flow, topic string, partition int, limit int) ([]string, error) {
	var out []string
	err := s.each(ctx, func(r *sql.Rows) error {
		var lane string
		err := r.Scan(&lane)
		out = append(out, lane)
		return err
	}, "SELECT lane FROM queue WHERE flow = ? AND topic = ? AND part = ? AND mark <> '' AND mark = 'discard' GROUP BY lane ORDER BY MIN(id) LIMIT CAST(? AS INTEGER)", flow, topic, partition, bound(limit))
	return out, s.wrap("given up", err)
}

// Queue gives the first rows of a key's stored queue in order: its chain and the rows that block nothing.
func (s *Store) Queue(ctx context.Context, flow, lane string, limit int) ([]state.Queued, error) {
	out, err := s.queued(ctx, "SELECT "+queueCols+" FROM queue WHERE flow = ? AND lane = ? ORDER BY id LIMIT CAST(? AS INTEGER)", flow, lane, bound(limit))
	return out, s.wrap("queue", err)
}

// Drainable gives the rows of a key's stored queue that its owner may have to work: the first of its chain, in order, and of
// the rest what a person has marked. Parked rows that block nothing and that nobody has marked are left out, however many.
func (s *Store) Drainable(ctx context.Context, flow, topic string, partition int, lane string, limit int) ([]state.Queued, error) {
	const where = " FROM queue WHERE flow = ? AND lane = ? AND topic = ? AND part = ?"
	out, err := s.queued(ctx, "SELECT "+queueCols+where+" AND (blocking = 1 OR mark <> '') ORDER BY id LIMIT CAST(? AS INTEGER)", flow, lane, topic, partition, bound(limit))
	if err != nil || len(out) < bound(limit) {
		return out, s.wrap("drainable", err)
	}
	// What a person has given up further back need not wait for those before it.
	more, err := s.queued(ctx, "SELECT "+queueCols+where+" AND id > ? AND mark = ? ORDER BY id LIMIT CAST(? AS INTEGER)", flow, lane, topic, partition, out[len(out)-1].ID, string(state.MarkDiscard), bound(limit))
	return append(out, more...), s.wrap("drainable", err)
}

// PullForward lets no held message of a partition rest beyond latest: the clock by which it was to rest may have been wrong, or was set since.
func (s *Store) PullForward(ctx context.Context, flow, topic string, partition int, latest time.Time) error {
	return s.do(ctx, "pull held messages forward", func(t *tx) error {
		_, err := t.exec("UPDATE queue SET not_before = ? WHERE flow = ? AND topic = ? AND part = ? AND follower = 0 AND not_before > ?",
			stamp(latest), flow, topic, partition, stamp(latest))
		return err
	})
}

// where collects conditions.
type where struct {
	conds []string
	args  []any
}

func (w *where) add(cond string, args ...any) {
	w.conds = append(w.conds, cond)
	w.args = append(w.args, args...)
}

// text asks for an exact value, unless it is empty.
func (w *where) text(col, v string) {
	if v != "" {
		w.add(col+" = ?", v)
	}
}

func (w *where) String() string {
	if len(w.conds) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conds, " AND ")
}
