package store

import (
	"bytes"
	"cmp"
	"database/sql"
	"maps"
	"slices"

	"github.com/waybill-hub/waybill/internal/state"
)

type refKey struct{ entity, hub, system string }

func compareRefKeys(a, b refKey) int {
	return cmp.Or(cmp.Compare(a.entity, b.entity), cmp.Compare(a.hub, b.hub), cmp.Compare(a.system, b.system))
}

type appliedKey struct{ entity, hub, system, origin string }

func compareAppliedKeys(a, b appliedKey) int {
	return cmp.Or(compareRefKeys(refKey{a.entity, a.hub, a.system}, refKey{b.entity, b.hub, b.system}), cmp.Compare(a.origin, b.origin))
}

type intentKey struct{ entity, hub, system, event string }

func intentKeyOf(in *state.Intent) intentKey {
	return intentKey{in.Entity, in.Hub, in.System, in.EventID}
}

func compareIntentKeys(a, b intentKey) int {
	return cmp.Or(compareRefKeys(refKey{a.entity, a.hub, a.system}, refKey{b.entity, b.hub, b.system}), cmp.Compare(a.event, b.event))
}

// sighting says that a system was seen to hold an object under an id.
type sighting struct {
	entity, system, external, local string
	deleted                         bool
}

// object is the sighting without the id under which the object was seen.
func (s sighting) object() sighting {
	return sighting{entity: s.entity, system: s.system, external: s.external}
}

// place is the sighting without what was seen there.
func (s sighting) place() sighting {
	s.deleted = false
	return s
}

func compareSightings(a, b sighting) int {
	return cmp.Or(cmp.Compare(a.entity, b.entity), cmp.Compare(a.system, b.system), cmp.Compare(a.external, b.external), cmp.Compare(a.local, b.local))
}

// refChanges are references to write; the last one on a key wins, but a state that an earlier one knows is kept.
type refChanges struct {
	byKey map[refKey]*state.Ref
	seen  []sighting
}

func (c *refChanges) add(r *state.Result) {
	c.put(r.Source)
	c.put(r.Ref)
}

func (c *refChanges) put(r *state.Ref) {
	if r == nil {
		return
	}
	ref := *r
	if c.byKey == nil {
		c.byKey = map[refKey]*state.Ref{}
	}
	k := refKey{ref.Entity, ref.Hub, ref.System}
	if old := c.byKey[k]; old != nil {
		switch {
		case ref.Known == nil:
			ref.Known = old.Known
		case ref.Judged && old.Known != nil:
			ref = rebased(ref, old.Known, old.ETag) // another flow's, or the same flow's, decided upon what this commit says itself
		}
		ref.Before, ref.Judged = old.Before, old.Judged
		ref.Local, ref.Instead = cmp.Or(ref.Local, old.Local), cmp.Or(ref.Instead, old.Instead)
	}
	c.byKey[k] = &ref
	if ref.Lost != "" && ref.Lost != ref.Local {
		c.seen = append(c.seen, sighting{ref.Entity, ref.System, state.ExternalID(ref.Entity, ref.Hub), ref.Lost, true})
	}
	if ref.Local != "" {
		c.seen = append(c.seen, sighting{ref.Entity, ref.System, state.ExternalID(ref.Entity, ref.Hub), ref.Local, ref.Deleted})
	}
}

func (c *refChanges) rows() []*state.Ref {
	out := make([]*state.Ref, 0, len(c.byKey))
	for _, k := range sortedKeys(c.byKey, compareRefKeys) {
		out = append(out, c.byKey[k])
	}
	return out
}

// saveRefs upserts references. Their objects are made where they are missing, and locked on PostgreSQL, so that two
// sightings of one object come one after the other.
func (t *tx) saveRefs(c *refChanges) error {
	if len(c.byKey) == 0 {
		return nil
	}
	rows := c.rows()
	if t.d == postgres { // or another sighting would come between what is read and what is written
		if err := t.makeObjects(rows); err != nil {
			return err
		}
	}
	if err := t.rebase(rows); err != nil {
		return err
	}
	refs := t.refValues(rows)
	t.noteRefs(refs)
	if t.d == sqlite {
		met, err := t.updateRefs(refs)
		if err != nil {
			return err
		}
		fresh := rows
		if len(met) > 0 {
			fresh = slices.DeleteFunc(slices.Clone(rows), func(r *state.Ref) bool { return met[refKey{r.Entity, r.Hub, r.System}] })
			refs = t.refValues(fresh)
		}
		if err := t.makeObjects(fresh); err != nil {
			return err
		}
	}
	if err := t.upsertRefs(refs); err != nil {
		return err
	}
	if err := t.endRefs(rows); err != nil {
		return err
	}
	return t.saveSightings(c.seen)
}

// refWidth is how many values a row of refs has.
const refWidth = 13

// refValues are rows of refs.
func (t *tx) refValues(rows []*state.Ref) []any {
	refs := make([]any, 0, refWidth*len(rows))
	for _, r := range rows {
		var known []byte
		var flow, received, event, key string
		if r.Known != nil {
			known, flow, received, event, key = encodeKnown(r.Known), r.Known.Flow, r.Known.Received, r.Known.EventID, r.Known.Key
		}
		updated := stamp(r.Updated)
		if updated == 0 {
			updated = t.now
		}
		refs = append(refs, r.Entity, r.Hub, r.System, r.Local, b2i(r.Deleted), known, flow, received, event, r.ETag, updated, key, foldOf(r.Local))
	}
	return refs
}

// noteRefs keeps for the commit what rows of refs change.
func (t *tx) noteRefs(refs []any) {
	if t.s.remembered == nil {
		return
	}
	clean(refs)
	for v := range slices.Chunk(refs, refWidth) {
		text := func(i int) string { return v[i].(string) }
		k := object{text(0), text(1), text(2)}
		row := &refRow{local: text(3), deleted: v[4].(int64) != 0, known: v[5].([]byte), flow: text(6), received: text(7), event: text(8), etag: text(9), updated: v[10].(int64)}
		t.note(func(m *remembered) { m.setRef(row, k) })
	}
}

// updateRefs writes what does not change the id of a reference that is there, and tells which those are. SQLite writes every index of a column
// that a statement sets, also where the value stays: two thirds of what an upsert costs.
func (t *tx) updateRefs(refs []any) (map[refKey]bool, error) {
	met := map[refKey]bool{}
	err := t.chunks(refWidth, refs, func(table string, args []any) error {
		return t.each(func(r *sql.Rows) error {
			var k refKey
			err := r.Scan(&k.entity, &k.hub, &k.system)
			met[k] = true
			return err
		}, `UPDATE refs SET deleted = v.column5, known = COALESCE(v.column6, refs.known),
			known_flow = CASE WHEN v.column6 IS NULL THEN refs.known_flow ELSE v.column7 END,
			received = CASE WHEN v.column6 IS NULL THEN refs.received ELSE v.column8 END,
			known_event = CASE WHEN v.column6 IS NULL THEN refs.known_event ELSE v.column9 END,
			etag = v.column10, updated = v.column11, ekey = CASE WHEN v.column12 = '' THEN refs.ekey ELSE v.column12 END
			FROM (`+table+`) AS v WHERE refs.entity = v.column1 AND refs.hub = v.column2 AND refs.system = v.column3
			AND (v.column4 = '' OR refs.local = v.column4) RETURNING entity, hub, system`, args...)
	})
	return met, err
}

// makeObjects makes the objects of references where they are missing, and locks them on PostgreSQL.
func (t *tx) makeObjects(rows []*state.Ref) error {
	var objects []any
	for i, r := range rows {
		if i == 0 || rows[i-1].Entity != r.Entity || rows[i-1].Hub != r.Hub {
			objects = append(objects, r.Entity, r.Hub, state.ExternalID(r.Entity, r.Hub), "", t.now)
		}
	}
	if len(objects) == 0 {
		return nil
	}
	lock := "NOTHING"
	if t.d == postgres {
		lock = "UPDATE SET created = objects.created"
	}
	return t.insert("INSERT INTO objects (entity, hub, external, event_id, created)", 5, objects, " ON CONFLICT (entity, hub) DO "+lock)
}

// rebase looks at what is known by now of the objects whose state was decided upon: one flow reads an object while another writes it, and whichever is stored
// last would have the store believe that the other was not. What was given stays as it is: a commit may be made again.
func (t *tx) rebase(rows []*state.Ref) error {
	var keys []any
	judged := map[refKey]int{}
	for i, r := range rows {
		if !r.Judged || r.Known == nil {
			continue
		}
		if now, ok := t.recall(object{r.Entity, r.Hub, r.System}); ok {
			if err := rebase(rows, i, now); err != nil {
				return err
			}
			continue
		}
		keys = append(keys, r.Entity, r.Hub, r.System)
		judged[refKey{r.Entity, r.Hub, r.System}] = i
	}
	return t.chunks(3, keys, func(table string, args []any) error {
		return t.each(func(row *sql.Rows) error {
			var k refKey
			var now refRow
			if err := row.Scan(&k.entity, &k.hub, &k.system, &now.etag, &now.flow, &now.received, &now.event, &now.known); err != nil {
				return err
			}
			if i, ok := judged[k]; ok {
				return rebase(rows, i, &now)
			}
			return nil
		}, "SELECT r.entity, r.hub, r.system, r.etag, r.known_flow, r.received, r.known_event, r.known FROM ("+table+") AS v CROSS JOIN refs AS r"+
			" WHERE r.entity = v.column1 AND r.hub = v.column2 AND r.system = v.column3 AND r.known IS NOT NULL", args...)
	})
}

// recall is a reference as it is remembered: as it was before this transaction, of which nothing may have been written. nil: there is none.
func (t *tx) recall(k object) (*refRow, bool) {
	if t.s.remembered == nil || len(t.written.changes) > 0 {
		return nil, false
	}
	return t.s.remembered.reference(k)
}

// rebase puts the reference of a row on top of what is known now, where it was judged by another state.
func rebase(rows []*state.Ref, i int, row *refRow) error {
	r := rows[i]
	if row == nil || row.known == nil || r.Known.Flow != row.flow {
		return nil
	}
	var before state.Known
	if r.Before != nil {
		before = *r.Before
		if before.EventID == row.event && bytes.Equal(encodeKnown(&before), row.known) {
			return nil
		}
	}
	now := &state.Known{Flow: row.flow, Received: row.received, EventID: row.event}
	if err := decodeKnown(row.known, now); err != nil {
		return err
	}
	out := rebased(*r, now, row.etag)
	rows[i] = &out
	return nil
}

// rebased is a reference on top of what is known now.
func rebased(r state.Ref, now *state.Known, etag string) state.Ref {
	var before state.Known
	if r.Before != nil {
		before = *r.Before
	}
	wrote := r.Known.EventID == before.EventID // a write of the hub: it receives nothing
	switch {
	case r.Known.Flow != now.Flow:
	case r.Before != nil && before.EventID == now.EventID && bytes.Equal(encodeKnown(&before), encodeKnown(now)):
	case wrote:
		r.Known = r.Known.Behind(now)
	default:
		r.Known, r.ETag = r.Known.Onto(now), etag
	}
	return r
}

func (t *tx) upsertRefs(refs []any) error {
	if len(refs) == 0 {
		return nil
	}
	return t.insert("INSERT INTO refs (entity, hub, system, local, deleted, known, known_flow, received, known_event, etag, updated, ekey, fold)", refWidth, refs,
		` ON CONFLICT (entity, hub, system) DO UPDATE SET local = CASE WHEN excluded.local <> '' THEN excluded.local ELSE refs.local END,
		fold = CASE WHEN excluded.local <> '' THEN excluded.fold ELSE refs.fold END,
		deleted = excluded.deleted, known = COALESCE(excluded.known, refs.known),
		known_flow = CASE WHEN excluded.known IS NULL THEN refs.known_flow ELSE excluded.known_flow END,
		received = CASE WHEN excluded.known IS NULL THEN refs.received ELSE excluded.received END,
		known_event = CASE WHEN excluded.known IS NULL THEN refs.known_event ELSE excluded.known_event END,
		etag = excluded.etag, updated = excluded.updated,
		ekey = CASE WHEN excluded.ekey = '' THEN refs.ekey ELSE excluded.ekey END`)
}

// endRefs ends the references whose objects have turned out to be others'.
func (t *tx) endRefs(rows []*state.Ref) error {
	for _, r := range rows {
		if r.Instead == "" || r.Instead == r.Hub {
			continue
		}
		if _, err := t.exec("UPDATE refs SET deleted = 1 WHERE entity = ? AND hub = ? AND system = ? AND local = ?", r.Entity, r.Instead, r.System, r.Local); err != nil {
			return err
		}
		k, local := object{cleanText(r.Entity), cleanText(r.Instead), cleanText(r.System)}, cleanText(r.Local)
		t.note(func(m *remembered) { m.forget(k, local) })
	}
	return nil
}

// saveSightings records ids under which objects were seen. Beyond the first that is not deleted, a row is extra: a duplicate.
func (t *tx) saveSightings(seen []sighting) error {
	if len(seen) == 0 {
		return nil
	}
	last := map[sighting]bool{} // key without deleted → deleted
	for _, s := range seen {
		last[s.place()] = s.deleted
	}
	if m := t.s.remembered; m != nil {
		maps.DeleteFunc(last, func(place sighting, deleted bool) bool {
			if _, changed := t.written.seen[place]; changed {
				return false
			}
			place.deleted = deleted
			return m.sighted(place)
		})
		if len(last) == 0 {
			return nil
		}
	}
	// Mostly nothing is new, or the object is seen in the system for the first time.
	others := map[sighting]int{} // rows per object and system
	var objects []any
	keys := sortedKeys(last, compareSightings)
	for _, k := range keys {
		if others[k.object()]++; others[k.object()] == 1 {
			objects = append(objects, k.entity, k.system, k.external)
		}
	}
	l := looking{cols: "entity, system, external, local, deleted", table: "target_objects", key: []string{"entity", "system", "external"}, keys: objects}
	err := t.look(l, func(r *sql.Rows) error {
		var k sighting
		var deleted int64
		if err := r.Scan(&k.entity, &k.system, &k.external, &k.local, &deleted); err != nil {
			return err
		}
		if now, same := last[k]; !same {
			others[k.object()]++
		} else if now == (deleted != 0) {
			t.noteSeen(k, now)
			delete(last, k)
		}
		return nil
	})
	if err != nil || len(last) == 0 {
		return err
	}
	var values, several []any
	for _, k := range keys {
		deleted, changed := last[k]
		if !changed {
			continue
		}
		t.noteSeen(k, deleted)
		values = append(values, k.entity, k.system, k.external, k.local, b2i(deleted), int64(0), t.now)
		if n := len(several); others[k.object()] > 1 && (n < 3 || several[n-3] != k.entity || several[n-2] != k.system || several[n-1] != k.external) {
			several = append(several, k.entity, k.system, k.external)
		}
	}
	err = t.insert("INSERT INTO target_objects (entity, system, external, local, deleted, extra, seen)", 7, values,
		" ON CONFLICT (entity, system, external, local) DO UPDATE SET deleted = excluded.deleted")
	if err != nil {
		return err
	}
	return t.countExtra(several)
}

// countExtra says anew which of the ids that objects have in a system are one too many.
func (t *tx) countExtra(objects []any) error {
	return t.execIn(`UPDATE target_objects SET extra = CASE WHEN deleted = 0 AND EXISTS (SELECT 1 FROM target_objects o
		WHERE o.entity = target_objects.entity AND o.system = target_objects.system AND o.external = target_objects.external
		AND o.deleted = 0 AND (o.seen < target_objects.seen OR o.seen = target_objects.seen AND o.local < target_objects.local)) THEN 1 ELSE 0 END WHERE `,
		"entity, system, external", 3, objects, "")
}

func (t *tx) saveApplied(applied map[appliedKey]*state.Applied) error {
	values := make([]any, 0, 7*len(applied))
	for _, k := range sortedKeys(applied, compareAppliedKeys) {
		a := applied[k]
		if t.s.remembered != nil {
			now := &state.Applied{Entity: cleanText(a.Entity), Hub: cleanText(a.Hub), System: cleanText(a.System), Origin: cleanText(a.Origin), Version: cleanText(a.Version), Hash: cleanText(a.Hash), EventID: cleanText(a.EventID)}
			t.note(func(m *remembered) { m.setApplied(now) })
		}
		values = append(values, a.Entity, a.Hub, a.System, a.Origin, a.Version, a.Hash, a.EventID)
	}
	return t.insert("INSERT INTO applied (entity, hub, system, origin, version, hash, event_id)", 7, values,
		" ON CONFLICT (entity, hub, system, origin) DO UPDATE SET version = excluded.version, hash = excluded.hash, event_id = excluded.event_id")
}
