package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/waybill-hub/waybill/internal/state"
)

// Resolve turns an id of a system into a hub id. A known id is found. An unknown one is matched by the external id that the object carries, where
// there is one; else it is pending while create intents are open on (system, entity), because it may be one of those; else a
// hub id is minted and, when Resolve returns, on disk. external is state.NoExternal where the object is known to carry none: then
// no intent can be meant, and the id is minted at once. A matched or minted id is a reference from then on.
func (s *Store) Resolve(ctx context.Context, entity, system, local, external, eventID string) (string, state.Resolution, error) {
	if local == "" {
		return "", "", errors.New("store: resolve: an object without an id in " + system)
	}
	hub, ok, err := s.HubID(ctx, entity, system, local)
	if err != nil || ok {
		return hub, state.Found, err
	}
	type answer struct {
		hub string
		how state.Resolution
	}
	a, err := ask(ctx, s, "resolve", func(t *tx) (a answer, err error) {
		a.hub, a.how, err = t.resolve(entity, system, local, external, eventID)
		return a, err
	})
	return a.hub, a.how, err
}

// ResolveAll does for several objects of one kind what Resolve does for one. Those that are new are on disk when it returns, all at once; what is pending
// stays so.
func (s *Store) ResolveAll(ctx context.Context, entity, system string, all []state.Met) error {
	for i := range all {
		if all[i].Local == "" {
			return errors.New("store: resolve: an object without an id in " + system)
		}
	}
	m := &member{op: "resolve", kind: aFunc, rows: 2 * len(all), run: func(t *tx) error {
		for i := range all {
			if _, _, err := t.resolve(entity, system, all[i].Local, all[i].External, all[i].EventID); err != nil {
				return err
			}
		}
		return nil
	}}
	return s.submit(ctx, m)
}

func (t *tx) resolve(entity, system, local, external, eventID string) (string, state.Resolution, error) {
	if err := t.lock(pairLocks(ofRefs, map[pair]bool{{entity, system}: false})); err != nil {
		return "", "", err
	}
	// Intents first: an intent that has just been closed has left its reference, which the next look then finds.
	open := false
	err := t.each(func(*sql.Rows) error { open = true; return nil },
		"SELECT 1 FROM intents WHERE system = ? AND entity = ? AND is_create = 1 LIMIT 1", system, entity)
	if err != nil {
		return "", "", err
	}
	var hub string
	var updated int64
	scan := func(r *sql.Rows) error { return r.Scan(&hub) }
	if err := t.each(func(r *sql.Rows) error { return r.Scan(&hub, &updated) }, hubIDQuery, local, system, entity); err != nil || hub != "" {
		return hub, state.Found, err
	}
	if external != "" && external != state.NoExternal {
		if err := t.each(scan, "SELECT hub FROM objects WHERE external = ? AND entity = ?", external, entity); err != nil {
			return "", "", err
		}
	}
	switch {
	case hub != "":
		return hub, state.Matched, t.match(entity, hub, system, local, external)
	case open && external != state.NoExternal:
		return "", state.Pending, nil
	}
	hub = state.MintHub(entity, system, local)
	_, err = t.exec("INSERT INTO objects (entity, hub, external, event_id, created) VALUES (?, ?, ?, ?, ?) ON CONFLICT (entity, hub) DO NOTHING",
		entity, hub, state.ExternalID(entity, hub), eventID, t.now)
	if err != nil {
		return "", "", err
	}
	return hub, state.Minted, t.refer(&state.Ref{Entity: entity, Hub: hub, System: system, Local: local})
}

// match makes local the object's id in the system, unless it has another one there already: then the system holds the
// object twice, and only that is recorded.
func (t *tx) match(entity, hub, system, local, external string) error {
	var have string
	err := t.each(func(r *sql.Rows) error { return r.Scan(&have) },
		"SELECT local FROM refs WHERE entity = ? AND hub = ? AND system = ? AND deleted = 0", entity, hub, system)
	if err != nil {
		return err
	}
	if have != "" && have != local {
		return t.saveSightings([]sighting{{entity: entity, system: system, external: external, local: local}})
	}
	return t.refer(&state.Ref{Entity: entity, Hub: hub, System: system, Local: local})
}

// refer writes one reference and wakes who waits for it.
func (t *tx) refer(ref *state.Ref) error {
	var c refChanges
	c.add(&state.Result{Ref: ref})
	if err := t.saveRefs(&c); err != nil {
		return err
	}
	return t.markReady(c.rows(), nil)
}

const (
	// A system may give a deleted object's id to another one: the living one comes first. SQLite would rather walk the primary key by
	// the entity alone, past every object, than go by refs_local and come back: with the entity in an expression it cannot.
	hubIDQuery   = "SELECT hub, updated FROM refs WHERE local = ? AND system = ? AND entity || '' = ? ORDER BY deleted, updated DESC, hub LIMIT 1"
	localIDQuery = "SELECT local FROM refs WHERE entity = ? AND hub = ? AND system = ? AND deleted = 0 AND local <> ''"
	refCols      = "r.entity, r.hub, r.system, r.local, r.deleted, r.known, r.known_flow, r.received, r.known_event, r.etag, r.updated"
	targetQuery  = `SELECT r.local, r.deleted, r.known, r.known_flow, r.received, r.known_event, r.etag, r.updated, a.version, a.hash, a.event_id,
		i.flow, i.event_id, i.is_create, i.external, i.opened, i.begun, i.topic, i.part, i.epoch FROM (SELECT 1 AS one) AS x
		LEFT JOIN refs r ON r.entity = ? AND r.hub = ? AND r.system = ?
		LEFT JOIN applied a ON a.entity = ? AND a.hub = ? AND a.system = ? AND a.origin = ?
		LEFT JOIN intents i ON i.entity = ? AND i.hub = ? AND i.system = ?
		ORDER BY i.opened DESC`
)

// HubID is the hub id of a system's object; ok is false when nobody has seen it. A deleted object keeps its hub id.
func (s *Store) HubID(ctx context.Context, entity, system, local string) (hub string, ok bool, err error) {
	m, k := s.remembered, localID{cleanText(entity), cleanText(system), cleanText(local)}
	var turn, updated int64
	if m != nil {
		if hub, turn, ok = m.hub(k); ok {
			return hub, true, ctx.Err()
		}
	}
	err = s.lookups.one(ctx, s.lookups.hubID, []any{local, system, entity}, &hub, &updated)
	if m != nil && err == nil {
		m.learnHub(k, hub, updated, turn)
	}
	return found(s, "hub id", hub, err)
}

// LocalID is the id of the object in a system; ok is false when it has none there, or is deleted there.
func (s *Store) LocalID(ctx context.Context, entity, system, hub string) (local string, ok bool, err error) {
	err = s.lookups.one(ctx, s.lookups.localID, []any{entity, hub, system}, &local)
	return found(s, "local id", local, err)
}

func found(s *Store, op, id string, err error) (string, bool, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return id, err == nil, s.wrap(op, err)
}

// Target is what the guards need before a write to one object in one system.
func (s *Store) Target(ctx context.Context, entity, hub, system, origin string) (state.Target, error) {
	k, from := object{cleanText(entity), cleanText(hub), cleanText(system)}, cleanText(origin)
	if s.remembered == nil {
		o, err := s.readTarget(ctx, k, from)
		if err != nil {
			return state.Target{External: state.ExternalID(entity, hub)}, s.wrap("target", err)
		}
		return o.target(k, o.applied[from])
	}
	if err := ctx.Err(); err != nil {
		return state.Target{}, s.wrap("target", err)
	}
	o, applied, look := s.remembered.target(k, from)
	if look != nil {
		var err error
		if o, err = s.readTarget(ctx, k, from); err != nil {
			s.remembered.learn(k, look, nil)
			return state.Target{External: state.ExternalID(entity, hub)}, s.wrap("target", err)
		}
		applied = o.applied[from]
		s.remembered.learn(k, look, o)
	}
	return o.target(k, applied)
}

// target gives what is known of an object for the guards of one origin. Nothing of it is shared.
func (o *knownObject) target(k object, applied *state.Applied) (out state.Target, err error) {
	out.External, out.Intents = state.ExternalID(k.entity, k.hub), slices.Clone(o.intents)
	if r := o.ref; r != nil {
		out.Ref = &state.Ref{Entity: k.entity, Hub: k.hub, System: k.system, Local: r.local, Deleted: r.deleted, ETag: r.etag, Updated: unstamp(r.updated)}
		if out.Ref.Known, err = known(r.known, r.flow, r.received, r.event); err != nil {
			return out, err
		}
	}
	if applied != nil {
		a := *applied
		out.Applied = &a
	}
	return out, nil
}

// readTarget reads it.
func (s *Store) readTarget(ctx context.Context, k object, origin string) (*knownObject, error) {
	var row struct {
		local, seenBy, received, event, etag, version, hash, appliedBy, flow, intentOf, external, topic sql.NullString
		deleted, updated, create, opened, begun, part, epoch                                            sql.NullInt64
		known                                                                                           []byte
	}
	out := &knownObject{applied: map[string]*state.Applied{origin: nil}}
	first := true
	// One row an open intent: mostly there is none, and one row.
	err := s.lookups.rows(ctx, s.lookups.target, []any{k.entity, k.hub, k.system, k.entity, k.hub, k.system, origin, k.entity, k.hub, k.system}, func(r *sql.Rows) error {
		err := r.Scan(&row.local, &row.deleted, &row.known, &row.seenBy, &row.received, &row.event, &row.etag, &row.updated, &row.version, &row.hash, &row.appliedBy,
			&row.flow, &row.intentOf, &row.create, &row.external, &row.opened, &row.begun, &row.topic, &row.part, &row.epoch)
		if err != nil {
			return err
		}
		if row.intentOf.Valid {
			out.intents = append(out.intents, state.Intent{Flow: row.flow.String, Entity: k.entity, Hub: k.hub, System: k.system, EventID: row.intentOf.String, Create: row.create.Int64 != 0,
				External: row.external.String, Opened: unstamp(row.opened.Int64), Begun: unstamp(row.begun.Int64), Topic: row.topic.String, Partition: int(row.part.Int64), Epoch: row.epoch.Int64})
		}
		if !first {
			return nil
		}
		first = false
		if row.local.Valid {
			out.ref = &refRow{local: row.local.String, deleted: row.deleted.Int64 != 0, known: row.known, flow: row.seenBy.String, received: row.received.String, event: row.event.String,
				etag: row.etag.String, updated: row.updated.Int64}
		}
		if row.version.Valid {
			out.applied[origin] = &state.Applied{Entity: k.entity, Hub: k.hub, System: k.system, Origin: origin, Version: row.version.String, Hash: row.hash.String, EventID: row.appliedBy.String}
		}
		return nil
	})
	return out, err
}

func known(fields []byte, flow, received, event string) (*state.Known, error) {
	if fields == nil {
		return nil, nil
	}
	k := &state.Known{Flow: flow, Received: received, EventID: event}
	return k, decodeKnown(fields, k)
}

func scanRef(r *sql.Rows) (ref state.Ref, err error) {
	var deleted, updated int64
	var fields []byte
	var flow, received, event string
	if err := r.Scan(&ref.Entity, &ref.Hub, &ref.System, &ref.Local, &deleted, &fields, &flow, &received, &event, &ref.ETag, &updated); err != nil {
		return ref, err
	}
	ref.Deleted, ref.Updated = deleted != 0, unstamp(updated)
	ref.Known, err = known(fields, flow, received, event)
	return ref, err
}

// bound is a listing's limit: 100 by default, at most 10,000.
func bound(limit int) int { return min(max(cmp.Or(limit, 100), 1), 10_000) }
