package store

import (
	"cmp"
	"database/sql"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// A lane is the stored queue of one key in one partition of one flow. Its blocking rows are a chain by id: the first is the
// head, has follower = 0 and its own state; the others have follower = 1 and carry the head's state, kind and reason, so that they
// are counted under it. Rows that do not block stand alone, with follower = 0. Only commits of the partition's owner, which hold the
// partition's row, change a chain.

type laneKey struct {
	partKey
	lane string
}

func compareLaneKeys(a, b laneKey) int {
	return cmp.Or(comparePartKeys(a.partKey, b.partKey), cmp.Compare(a.lane, b.lane))
}

// appending is a row that is going to be appended: as it was given, and as the running transaction stores it.
type appending struct {
	given state.Queued
	q     state.Queued
	event string
}

func newAppending(q *state.Queued) (*appending, error) {
	text, err := encodeEvent(&q.Event)
	if err != nil {
		return nil, err
	}
	q.Flow, q.Topic, q.Lane = cleanText(q.Flow), cleanText(q.Topic), cleanText(q.Lane)
	return &appending{given: *q, q: *q, event: text}, nil
}

func (a *appending) key() laneKey {
	return laneKey{partKey{a.q.Flow, a.q.Topic, a.q.Partition}, a.q.Lane}
}

// link is what the chain needs to know of a stored row.
type link struct {
	id       int64
	lane     laneKey
	state    state.Outcome
	kind     string
	reason   string
	cause    string
	blocking bool
	follower bool
}

const linkCols = "id, flow, topic, part, lane, state, kind, reason, cause, blocking, follower"

func scanLink(r *sql.Rows) (*link, error) {
	var l link
	var blocking, follower int64
	err := r.Scan(&l.id, &l.lane.flow, &l.lane.topic, &l.lane.part, &l.lane.lane, &l.state, &l.kind, &l.reason, &l.cause, &blocking, &follower)
	l.blocking, l.follower = blocking != 0, follower != 0
	return &l, err
}

// queueChanges is what a merged transaction does to stored queues.
type queueChanges struct {
	rows    map[int64]*link // the drained rows that are still there
	leaves  []int64
	given   []any                   // those of leaves that a person has given up
	updates map[int64]*state.Result // the last word on each
	appends []*appending
	touched map[laneKey]bool
}

// drain notes the fate of a stored row and reports whether the row was still there, in the commit's own partition.
func (c *queueChanges) drain(r *state.Result, of *state.Commit) bool {
	l := c.rows[r.Drained]
	if l == nil || l.lane.partKey != (partKey{of.Flow, of.Topic, of.Partition}) {
		return false
	}
	if c.touched == nil {
		c.touched, c.updates = map[laneKey]bool{}, map[int64]*state.Result{}
	}
	c.touched[l.lane] = true
	if rests(r.Outcome) {
		c.updates[r.Drained] = r
		return true
	}
	delete(c.updates, r.Drained)
	delete(c.rows, r.Drained)
	c.leaves = append(c.leaves, r.Drained)
	if r.Outcome == state.Discarded {
		c.given = append(c.given, r.Drained)
	}
	return true
}

func (t *tx) queueRows(ids []any) (map[int64]*link, error) {
	out := make(map[int64]*link, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	slices.SortFunc(ids, func(a, b any) int { return cmp.Compare(a.(int64), b.(int64)) })
	err := t.eachIn(func(r *sql.Rows) error {
		l, err := scanLink(r)
		out[l.id] = l
		return err
	}, "SELECT "+linkCols+" FROM queue WHERE ", "id", 1, slices.Compact(ids), "")
	return out, err
}

// saveQueue applies drained rows, mends the chains they were in, and appends.
func (t *tx) saveQueue(c *queueChanges) error {
	if err := t.keepGiven(c.given); err != nil {
		return err
	}
	if len(c.leaves) > 0 {
		ids := make([]any, len(c.leaves))
		for i, id := range c.leaves {
			ids[i] = id
		}
		if err := t.execIn("DELETE FROM queue WHERE ", "id", 1, ids, ""); err != nil {
			return err
		}
	}
	for _, id := range sortedKeys(c.updates, cmp.Compare[int64]) {
		if err := t.updateDrained(id, c.updates[id]); err != nil {
			return err
		}
	}
	if err := t.relink(c.touched); err != nil {
		return err
	}
	if err := t.appendQueue(c.appends); err != nil {
		return err
	}
	return t.lookAgain(c)
}

// updateDrained stores that a row was worked and stays. The message itself is left alone: a person may have edited it
// meanwhile; and what they wish since the row was read stays a wish, as does one to discard.
func (t *tx) updateDrained(id int64, r *state.Result) error {
	q := r.Queue
	if q == nil {
		_, err := t.exec("UPDATE queue SET state = ?, reason = ?, follower = 0, mark = CASE WHEN mark = 'discard' THEN mark ELSE '' END WHERE id = ?",
			string(r.Outcome), r.Reason, id)
		return err
	}
	m := cmp.Or(q.Missing, &state.Missing{})
	why := *q
	why.Reason = cmp.Or(q.Reason, r.Reason)
	cause, _ := state.CauseOf(&why)
	_, err := t.exec(`UPDATE queue SET since = CASE WHEN ? = 'held' AND CAST(? AS BIGINT) <> 0 THEN ? ELSE since END, state = ?, blocking = ?, follower = 0, kind = ?, reason = ?, code = ?, cause = ?, m_entity = ?, m_system = ?, m_hub = ?, m_local = ?,
		m_intents = ?, attempts = ?, tried = ?, not_before = ?, mark = CASE WHEN mark = 'discard' OR rev <> ? THEN mark ELSE '' END WHERE id = ?`,
		string(r.Outcome), stamp(q.Since), stamp(q.Since), string(r.Outcome), b2i(q.Blocking), q.Kind, why.Reason, q.Code, cause, m.Entity, m.System, m.Hub, m.Local, b2i(m.Intents), q.Attempts,
		int64(q.Tried), stamp(q.NotBefore), q.Rev, id)
	return err
}

func headsOf(lanes []any) looking {
	return looking{cols: linkCols, table: "queue", key: []string{"flow", "lane", "topic", "part"}, keys: lanes, where: " AND blocking = 1", first: "id"}
}

// heads gives the first blocking row of each lane that has one.
func (t *tx) heads(lanes []laneKey) (map[laneKey]*link, error) {
	args := make([]any, 0, 4*len(lanes))
	for _, l := range lanes {
		args = append(args, l.flow, l.lane, l.topic, l.part)
	}
	out := make(map[laneKey]*link)
	err := t.look(headsOf(args), func(r *sql.Rows) error {
		l, err := scanLink(r)
		out[l.lane] = l
		return err
	})
	return out, err
}

// relink makes the chains of lanes right after their rows were worked: a follower that has become first is promoted to a held
// head that is due whatever the time is, and the others take the head's state.
func (t *tx) relink(touched map[laneKey]bool) error {
	lanes := sortedKeys(touched, compareLaneKeys)
	heads, err := t.heads(lanes)
	if err != nil {
		return err
	}
	for _, k := range lanes {
		h := heads[k]
		if h == nil {
			continue
		}
		if h.follower {
			h.state, h.kind, h.reason, h.cause = state.Held, "", "", ""
			// The time that it has waited behind another one is no time that the target has failed it: it is held since now, however old it is. It
			// is due whatever the clock says.
			_, err := t.exec("UPDATE queue SET follower = 0, state = ?, kind = '', reason = '', cause = '', since = ?, not_before = 0, tried = 0 WHERE id = ?", string(state.Held), t.now, h.id)
			if err != nil {
				return err
			}
		}
		_, err := t.exec(`UPDATE queue SET follower = 1, state = ?, kind = ?, reason = ?, cause = ? WHERE flow = ? AND lane = ? AND topic = ? AND part = ? AND blocking = 1 AND id > ?
			AND (follower = 0 OR state <> ? OR kind <> ? OR reason <> ? OR cause <> ?)`,
			string(h.state), h.kind, h.reason, h.cause, k.flow, k.lane, k.topic, k.part, h.id, string(h.state), h.kind, h.reason, h.cause)
		if err != nil {
			return err
		}
	}
	return nil
}

const appendCols = `id, flow, topic, part, lane, state, blocking, follower, kind, reason, code, m_entity, m_system, m_hub, m_local, m_intents,
	event_id, ekey, hub, event, data, original, attempts, since, not_before, mark, marked_by, mark_note, cause, tried, accepted, fold`

// appendQueue joins rows to the ends of their lanes' chains.
func (t *tx) appendQueue(rows []*appending) error {
	if len(rows) == 0 {
		return nil
	}
	wanted := map[laneKey]bool{}
	for _, a := range rows {
		a.q = a.given // a transaction that was rolled back must leave no trace
		if a.q.Blocking || a.q.Follower {
			wanted[a.key()] = true
		}
	}
	heads, err := t.heads(sortedKeys(wanted, compareLaneKeys))
	if err != nil {
		return err
	}
	ids, err := t.ids("queue", len(rows))
	if err != nil {
		return err
	}
	values := make([]any, 0, 32*len(rows))
	for i, a := range rows {
		q := &a.q
		q.ID = ids[i]
		if q.Since.IsZero() {
			q.Since = unstamp(t.now)
		}
		q.Cause, _ = state.CauseOf(q)
		if q.Blocking || q.Follower {
			t.join(heads, a)
		}
		m := cmp.Or(q.Missing, &state.Missing{})
		values = append(values, q.ID, q.Flow, q.Topic, q.Partition, q.Lane, string(q.State), b2i(q.Blocking), b2i(q.Follower), q.Kind, q.Reason, q.Code,
			m.Entity, m.System, m.Hub, m.Local, b2i(m.Intents), q.Event.ID, q.Event.Key, q.Event.Hub, a.event, q.Event.Data, q.Original,
			q.Attempts, stamp(q.Since), stamp(q.NotBefore), string(q.Mark), q.MarkedBy, q.MarkNote, q.Cause, int64(q.Tried), accepted(q), foldOf(q.Event.Key))
	}
	return t.insert("INSERT INTO queue ("+appendCols+")", 32, values, "")
}

// accepted is when the hub accepted the message first; where nobody knows that, when it was queued.
func accepted(q *state.Queued) int64 {
	if q.Event.Accepted.IsZero() {
		return stamp(q.Since)
	}
	return stamp(q.Event.Accepted)
}

// join makes the row its lane's head, or a follower of it.
func (t *tx) join(heads map[laneKey]*link, a *appending) {
	q := &a.q
	h := heads[a.key()]
	if h == nil {
		if q.Follower { // the head it was to follow has left meanwhile
			q.State, q.Kind, q.Reason, q.Code, q.Cause, q.NotBefore = state.Held, "", "", "", "", time.Time{}
		}
		q.Blocking, q.Follower = true, false
		heads[a.key()] = &link{id: q.ID, lane: a.key(), state: q.State, kind: q.Kind, reason: q.Reason, cause: q.Cause, blocking: true}
		return
	}
	q.Blocking, q.Follower = true, true
	q.State, q.Kind, q.Reason, q.Cause = h.state, h.kind, h.reason, h.cause
}
