package store

import (
	"cmp"
	"slices"
	"sync"

	"github.com/waybill-hub/waybill/internal/state"
)

// remembered is what this process has read and written lately of objects, references, versions and intents, so that it need not be read again: every
// message asks for them, and most are about objects that were just written. It is there only where nobody else writes, on SQLite.
//
// What is remembered is changed by the writer, after the commit and before anybody is told of it: so whoever has the answer of a call is also given
// what the call has changed. What is being read while the writer changes it is not remembered.
type remembered struct {
	mu      sync.Mutex
	objects lately[object, *knownObject]
	reading map[object][]*reading
	// ids are hub ids by the ids in a system, and idOf the way back. turn counts the changes of them: what was read before one is not remembered after it.
	ids  lately[localID, string]
	idOf lately[object, idRow]
	turn int64
	// seen tells of the ids under which objects were seen whether they are deleted.
	seen lately[sighting, bool]
}

// reading is a look at the store that is under way.
type reading struct{ over bool }

type localID struct{ entity, system, local string }

// idRow is a reference's id, and when the reference was written.
type idRow struct {
	local   string
	updated int64
}

// knownObject is an object in a system: what the guards need before a write.
type knownObject struct {
	ref     *refRow
	applied map[string]*state.Applied // by origin; nil: none is there. An origin that is missing was not asked for
	intents []state.Intent            // the newest first
}

// refRow is a reference as its columns hold it.
type refRow struct {
	local, flow, received, event, etag string
	deleted                            bool
	known                              []byte
	updated                            int64
}

// mostRemembered bounds each of the maps.
const mostRemembered = 16_384

func newRemembered(most int) *remembered {
	m := &remembered{reading: map[object][]*reading{}}
	half := max(1, most/2)
	m.objects.half, m.ids.half, m.idOf.half, m.seen.half = half, half, half, half
	return m
}

// lately is a map of what was used lately: two halves, of which the older one is forgotten when the younger one is full.
type lately[K comparable, V any] struct {
	young, old map[K]V
	half       int
}

func (l *lately[K, V]) get(k K) (v V, ok bool) {
	if v, ok = l.young[k]; ok {
		return v, true
	}
	if v, ok = l.old[k]; ok {
		l.put(k, v)
	}
	return v, ok
}

func (l *lately[K, V]) put(k K, v V) {
	if len(l.young) >= l.half {
		l.young, l.old = nil, l.young
	}
	if l.young == nil {
		l.young = map[K]V{}
	}
	l.young[k] = v
}

func (l *lately[K, V]) clear() { l.young, l.old = nil, nil }

func (l *lately[K, V]) drop(k K) {
	delete(l.young, k)
	delete(l.old, k)
}

// target gives what is remembered of an object for the guards of one origin. Where that is nothing, it begins a look at the store, whose end is told
// with learn.
func (m *remembered) target(k object, origin string) (known *knownObject, applied *state.Applied, look *reading) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.objects.get(k); ok {
		if a, asked := o.applied[origin]; asked {
			return o, a, nil
		}
	}
	look = &reading{}
	m.reading[k] = append(m.reading[k], look)
	return nil, nil, look
}

// reference gives what is remembered of a reference; nil, true: there is none.
func (m *remembered) reference(k object) (*refRow, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, ok := m.objects.get(k); ok {
		return o.ref, true
	}
	return nil, false
}

// learn ends a look. nil: it has failed.
func (m *remembered) learn(k object, look *reading, got *knownObject) {
	m.mu.Lock()
	defer m.mu.Unlock()
	left := slices.DeleteFunc(m.reading[k], func(r *reading) bool { return r == look })
	if m.reading[k] = left; len(left) == 0 {
		delete(m.reading, k)
	}
	if got == nil || look.over {
		return
	}
	if o, ok := m.objects.get(k); ok { // what is known of other origins stays
		for origin, a := range got.applied {
			o.applied[origin] = a
		}
		return
	}
	m.objects.put(k, got)
}

// hub gives the hub id of an id that is remembered, or the turn of a look at the store, for learnHub.
func (m *remembered) hub(k localID) (hub string, turn int64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if hub, ok = m.ids.get(k); ok {
		// The way back may have been forgotten, and a change since then have gone unseen.
		row, back := m.idOf.get(object{k.entity, hub, k.system})
		ok = back && row.local == k.local
	}
	return hub, m.turn, ok
}

func (m *remembered) learnHub(k localID, hub string, updated, turn int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if turn == m.turn && hub != "" {
		m.ids.put(k, hub)
		m.idOf.put(object{k.entity, hub, k.system}, idRow{k.local, updated})
	}
}

// sighted tells whether an object is stored as seen under an id, and deleted or not as it is now.
func (m *remembered) sighted(s sighting) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	deleted, ok := m.seen.get(s.place())
	return ok && deleted == s.deleted
}

// written are the changes of a transaction that is not committed, in their order; nil on PostgreSQL.
type written struct {
	changes []func(*remembered)
	seen    map[sighting]bool // deleted or not, by place
}

// note keeps a change for the commit.
func (t *tx) note(change func(*remembered)) {
	if t.s.remembered != nil {
		t.written.changes = append(t.written.changes, change)
	}
}

// noteSeen keeps sightings for the commit.
func (t *tx) noteSeen(place sighting, deleted bool) {
	if t.s.remembered == nil {
		return
	}
	if t.written.seen == nil {
		t.written.seen = map[sighting]bool{}
	}
	t.written.seen[place] = deleted
}

// committed takes what a transaction has changed. unsure: nobody knows whether it has, so all is forgotten.
func (m *remembered) committed(w *written, unsure bool) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if unsure {
		m.objects.clear()
		m.ids.clear()
		m.idOf.clear()
		m.seen.clear()
		m.turn++
		for _, all := range m.reading {
			for _, r := range all {
				r.over = true
			}
		}
		return
	}
	for _, change := range w.changes {
		change(m)
	}
	for place, deleted := range w.seen {
		m.seen.put(place, deleted)
	}
}

// of is what is remembered of an object that is being changed; nil: nothing. A look that is under way may have missed the change.
func (m *remembered) of(k object) *knownObject {
	for _, r := range m.reading[k] {
		r.over = true
	}
	o, _ := m.objects.get(k)
	return o
}

// setRef is an upsert of a reference: see upsertRefs.
func (m *remembered) setRef(r *refRow, k object) {
	o := m.of(k)
	m.setID(k, r, o)
	if o == nil {
		return
	}
	row := *r
	if old := o.ref; old != nil {
		row.local = cmp.Or(row.local, old.local)
		if row.known == nil {
			row.known, row.flow, row.received, row.event = old.known, old.flow, old.received, old.event
		}
	}
	// Whoever reads the old one keeps it.
	m.objects.put(k, &knownObject{ref: &row, applied: o.applied, intents: o.intents})
}

// setID keeps the hub ids true. Where several objects have one id, that which was written last is found, and a living one first: a reference that stays
// what it was changes none. o is what is known of the object; nil: nothing.
func (m *remembered) setID(k object, r *refRow, o *knownObject) {
	before, known := m.idOf.get(k)
	if o != nil {
		before, known = idRow{}, true
		if o.ref != nil {
			before = idRow{o.ref.local, o.ref.updated}
		}
	}
	local := cmp.Or(r.local, before.local)
	if known && before.local == local && !r.deleted && r.updated >= before.updated {
		hub, ok := m.ids.get(localID{k.entity, k.system, local})
		if ok && hub == k.hub {
			m.idOf.put(k, idRow{local, r.updated})
		}
		if local == "" || ok && hub == k.hub {
			return
		}
	}
	m.turn++
	m.idOf.drop(k)
	if local == "" && !known { // whichever it is
		m.ids.clear()
		m.idOf.clear()
		return
	}
	m.ids.drop(localID{k.entity, k.system, before.local})
	m.ids.drop(localID{k.entity, k.system, local})
}

// forget drops what is known of an object that has turned out to be another one.
func (m *remembered) forget(k object, local string) {
	m.of(k)
	m.objects.drop(k)
	m.turn++
	m.idOf.drop(k)
	m.ids.drop(localID{k.entity, k.system, local})
}

func (m *remembered) setApplied(a *state.Applied) {
	k := object{a.Entity, a.Hub, a.System}
	o := m.of(k)
	if o == nil {
		return
	}
	all := make(map[string]*state.Applied, len(o.applied)+1)
	for origin, old := range o.applied {
		all[origin] = old
	}
	all[a.Origin] = a
	m.objects.put(k, &knownObject{ref: o.ref, applied: all, intents: o.intents})
}

// openIntent is an upsert of an intent: see openIntents.
func (m *remembered) openIntent(in *state.Intent) {
	k := object{in.Entity, in.Hub, in.System}
	o := m.of(k)
	if o == nil {
		return
	}
	now := *in
	others := make([]state.Intent, 0, len(o.intents)+1)
	for _, old := range o.intents {
		if old.EventID == in.EventID {
			now.Create, now.Begun = now.Create || old.Create, old.Begun
			continue
		}
		others = append(others, old)
	}
	at := slices.IndexFunc(others, func(old state.Intent) bool { return !old.Opened.After(now.Opened) })
	if at < 0 {
		at = len(others)
	}
	m.objects.put(k, &knownObject{ref: o.ref, applied: o.applied, intents: slices.Insert(others, at, now)})
}

// closeIntent ends an intent, or, without an event, all of an object's.
func (m *remembered) closeIntent(key intentKey) {
	k := object{key.entity, key.hub, key.system}
	o := m.of(k)
	if o == nil {
		return
	}
	var left []state.Intent
	for _, in := range o.intents {
		if key.event != "" && in.EventID != key.event {
			left = append(left, in)
		}
	}
	m.objects.put(k, &knownObject{ref: o.ref, applied: o.applied, intents: left})
}
