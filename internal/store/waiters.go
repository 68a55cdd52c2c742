package store

import (
	"cmp"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"slices"

	"github.com/waybill-hub/waybill/internal/state"
)

// A message waits for a cross-reference, and its writer may be another hub in another transaction. On SQLite the one writer
// puts the two in an order. On PostgreSQL advisory locks per (entity, system) do: whoever writes a reference, or ends a create intent, holds
// the lock of that shared, and whoever appends a waiter holds it alone. So of the two transactions the later one sees the earlier, and hubs
// that only write do not wait for each other. Two that end the last two create intents would each see the other's still open: where
// somebody waits for the last one, they take a third lock alone.

// pair is an entity in a system.
type pair struct{ entity, system string }

func comparePairs(a, b pair) int {
	return cmp.Or(cmp.Compare(a.entity, b.entity), cmp.Compare(a.system, b.system))
}

type lockKey struct {
	hash      int64
	exclusive bool
}

func hashKey(parts ...string) int64 {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return int64(binary.BigEndian.Uint64(h.Sum(nil)))
}

// lock takes advisory locks until the end of the transaction, in one order.
func (t *tx) lock(keys []lockKey) error {
	if t.d != postgres || len(keys) == 0 {
		return nil
	}
	slices.SortFunc(keys, func(a, b lockKey) int { return cmp.Compare(a.hash, b.hash) })
	for _, k := range keys {
		f := "pg_advisory_xact_lock_shared"
		if k.exclusive {
			f = "pg_advisory_xact_lock"
		}
		if err := t.each(func(*sql.Rows) error { return nil }, "SELECT "+f+"(?)", k.hash); err != nil {
			return err
		}
	}
	return nil
}

// What a lock of a pair is about.
const (
	ofRefs    = "pair"         // references that are written
	ofCreates = "creates"      // create intents that end
	ofLast    = "last-creates" // who wakes those that wait for the last one
)

// pairLocks gives one lock per pair; true stands for alone.
func pairLocks(about string, pairs map[pair]bool) []lockKey {
	out := make([]lockKey, 0, len(pairs))
	for p, alone := range pairs {
		out = append(out, lockKey{hashKey(about, p.entity, p.system), alone})
	}
	return out
}

// locks are those that a transaction takes before it writes; ended create intents are known only afterwards.
func (ch *changes) locks() []lockKey {
	refs, creates := map[pair]bool{}, map[pair]bool{}
	for k := range ch.refs.byKey {
		refs[pair{k.entity, k.system}] = false
	}
	waits := func(m *state.Missing) {
		if m == nil {
			return
		}
		p := pair{m.Entity, m.System}
		refs[p] = true
		if m.Intents {
			creates[p] = true
		}
	}
	for _, a := range ch.queue.appends {
		waits(a.q.Missing)
	}
	for _, r := range ch.queue.updates {
		if r.Queue != nil {
			waits(r.Queue.Missing)
		}
	}
	return append(pairLocks(ofRefs, refs), pairLocks(ofCreates, creates)...)
}

// lookAgain marks the rows that have just begun to wait for something that came between the engine's look and this transaction.
func (t *tx) lookAgain(c *queueChanges) error {
	var ids []any
	for _, a := range c.appends {
		if a.q.Missing != nil && a.q.State == state.Waiting {
			ids = append(ids, a.q.ID)
		}
	}
	for _, id := range sortedKeys(c.updates, cmp.Compare[int64]) {
		if r := c.updates[id]; r.Outcome == state.Waiting && r.Queue != nil && r.Queue.Missing != nil {
			ids = append(ids, id)
		}
	}
	return t.wake(ids)
}

// satisfied is true of a waiting row that no longer has to wait.
const satisfied = `mark = '' AND state = 'waiting' AND (
	(m_hub <> '' AND EXISTS (SELECT 1 FROM refs r WHERE r.entity = m_entity AND r.hub = m_hub AND r.system = m_system AND r.local <> '' AND r.deleted = 0)) OR
	(m_local <> '' AND EXISTS (SELECT 1 FROM refs r WHERE r.local = m_local AND r.system = m_system AND r.entity = m_entity)) OR
	(m_intents = 1 AND NOT EXISTS (SELECT 1 FROM intents i WHERE i.system = m_system AND i.entity = m_entity AND i.is_create = 1)))`

// wake marks those of the rows that are satisfied.
func (t *tx) wake(ids []any) error {
	t.woken = t.woken || len(ids) > 0
	slices.SortFunc(ids, func(a, b any) int { return cmp.Compare(a.(int64), b.(int64)) })
	return t.execIn("UPDATE queue SET mark = 'ready' WHERE "+satisfied+" AND ", "id", 1, slices.Compact(ids), "")
}

// markReady marks every waiting row that the written references satisfy, and those that waited for the last create intent.
func (t *tx) markReady(refs []*state.Ref, created map[pair]bool) error {
	pairs := map[pair]bool{}
	for _, r := range refs {
		if r.Local != "" {
			pairs[pair{r.Entity, r.System}] = true
		}
	}
	awaited, err := t.awaited(pairs)
	if err != nil {
		return err
	}
	var hubs, locals, ended []any
	for _, r := range refs {
		if r.Local == "" || !awaited[pair{r.Entity, r.System}] {
			continue
		}
		if !r.Deleted {
			hubs = append(hubs, r.Entity, r.System, r.Hub)
		}
		locals = append(locals, r.Entity, r.System, r.Local)
	}
	for _, p := range sortedKeys(created, comparePairs) {
		ended = append(ended, p.entity, p.system)
	}
	var ids []any
	last := map[pair]bool{}
	for _, l := range []looking{
		{key: []string{"m_entity", "m_system", "m_hub"}, keys: hubs},
		{key: []string{"m_entity", "m_system", "m_local"}, keys: locals},
		{key: []string{"m_entity", "m_system"}, keys: ended, where: " AND m_intents = 1"},
	} {
		l.cols, l.table, l.where = "id, m_entity, m_system, m_intents", "queue", l.where+" AND m_entity <> '' AND mark = ''"
		err := t.look(l, func(r *sql.Rows) error {
			var id, intents int64
			var p pair
			err := r.Scan(&id, &p.entity, &p.system, &intents)
			ids = append(ids, id)
			if intents != 0 && created[p] {
				last[p] = true
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := t.lock(pairLocks(ofLast, last)); err != nil {
		return err
	}
	return t.wake(ids)
}

// awaited tells which pairs anything waits for at all: mostly none, and then that is the end of it.
func (t *tx) awaited(pairs map[pair]bool) (map[pair]bool, error) {
	out := map[pair]bool{}
	for _, p := range sortedKeys(pairs, comparePairs) {
		err := t.each(func(*sql.Rows) error { out[p] = true; return nil },
			"SELECT 1 FROM queue WHERE m_entity = ? AND m_system = ? AND m_entity <> '' AND mark = '' LIMIT 1", p.entity, p.system)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
