package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"github.com/waybill-hub/waybill/internal/state"
)

func searchedOf(x *indexing) state.SearchedObject {
	var f fit
	f.fill(x)
	return f.SearchedObject
}

// mostRelated is how many objects are given that name another one, or that it names.
const mostRelated = 50

// Related gives the objects that one names, and those that name it, the latest of these first: by its entity, its hub id and its business key. more: there are
// more of them.
func (s *Store) Related(ctx context.Context, entity, hub, key string) (out []state.Related, more bool, err error) {
	name := cmp.Or(hub, keyName(key))
	err = s.snapshot(ctx, func(db queryer) error {
		se := &searching{ctx: ctx, db: db, d: s.d, q: &state.SearchQuery{}, fits: map[objectName]*fit{}}
		if err := byIndexes(ctx, db, s.d); err != nil {
			return err
		}
		type link struct{ field, entity, value string }
		var links []link
		err := se.each(func(r *sql.Rows) error {
			var l link
			err := r.Scan(&l.field, &l.entity, &l.value)
			links = append(links, l)
			return err
		}, "SELECT l.field, l.entity, l.value FROM search_objects o JOIN search_links l ON l.object = o.object WHERE o.entity = ? AND o.name = ? ORDER BY l.field, l.entity, l.value LIMIT CAST(? AS INTEGER)",
			entity, name, mostRelated+1)
		if err != nil {
			return err
		}
		more = len(links) > mostRelated
		for _, l := range links[:min(len(links), mostRelated)] {
			one := state.Related{Field: l.field, SearchedObject: state.SearchedObject{Entity: l.entity, Key: l.value}}
			if err := se.named(&one.SearchedObject, l.value); err != nil {
				return err
			}
			out = append(out, one)
		}
		backward, err := se.naming(entity, distinct([]string{hub, key}))
		if err != nil {
			return err
		}
		more = more || len(backward) > mostRelated
		out = append(out, backward[:min(len(backward), mostRelated)]...)
		objects := make([]state.SearchedObject, len(out))
		for i := range out {
			objects[i] = out[i].SearchedObject
		}
		if err := se.describe(objects); err != nil {
			return err
		}
		for i := range out {
			out[i].SearchedObject = objects[i]
		}
		return nil
	})
	return out, more, s.wrap("related objects", err)
}

// named fills in the object that a document names by a hub id or a number.
func (se *searching) named(o *state.SearchedObject, value string) error {
	entity, known := o.Entity, false
	for _, col := range []string{"name", "ekey"} {
		err := se.each(func(r *sql.Rows) error {
			x, err := scanIndexing(r)
			if err == nil {
				known, *o = true, searchedOf(x)
			}
			return err
		}, "SELECT "+searchCols+" FROM search_objects WHERE entity = ? AND "+col+" = ? ORDER BY object + 0 DESC LIMIT 1", entity, value)
		if err != nil || known {
			return err
		}
	}
	return se.each(func(*sql.Rows) error { o.Hub, o.Key = value, ""; return nil }, "SELECT hub FROM objects WHERE entity = ? AND hub = ?", entity, value)
}

// naming are the objects whose documents name one, by any of the values, the latest first; one more than mostRelated where there are more.
func (se *searching) naming(entity string, values []string) (out []state.Related, err error) {
	since := map[string]int64{}
	for _, value := range values {
		err := se.each(func(r *sql.Rows) error {
			var at int64
			var field string
			x := &indexing{}
			err := r.Scan(&at, &field, &x.entity, &x.name, &x.hub, &x.key, &x.newest, &x.time, &x.flow, &x.event, &x.system, &x.outcome)
			out = append(out, state.Related{SearchedObject: searchedOf(x), Field: field, Backward: true})
			since[x.entity+" "+x.name+" "+field] = at
			return err
		}, `SELECT l.since, l.field, o.entity, o.name, o.hub, o.ekey, o.newest, o.time, o.flow, o.event_id, o.system, o.outcome FROM search_links l JOIN search_objects o ON o.object = l.object
			WHERE l.entity = ? AND l.value = ? ORDER BY l.since DESC LIMIT CAST(? AS INTEGER)`, entity, value, mostRelated+1)
		if err != nil {
			return nil, err
		}
	}
	at := func(r *state.Related) int64 { return since[r.Entity+" "+cmp.Or(r.Hub, keyName(r.Key))+" "+r.Field] }
	slices.SortStableFunc(out, func(a, b state.Related) int { return cmp.Compare(at(&b), at(&a)) })
	return out, nil
}
