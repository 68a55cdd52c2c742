package store

import (
	"cmp"
	"database/sql"
	"maps"
	"slices"

	"github.com/waybill-hub/waybill/internal/state"
)

// ordered are those that fit, in the order of answers.
func (se *searching) ordered(which func(*fit) bool) []*fit {
	out := slices.DeleteFunc(slices.Collect(maps.Values(se.fits)), func(f *fit) bool { return !which(f) })
	slices.SortFunc(out, (*fit).before)
	return out
}

// whole makes a page of all that fits.
func (se *searching) whole(at searchCursor) error {
	return se.give(se.ordered(func(f *fit) bool { return at.behind(f) }), searchCursor{})
}

// give fills the page; more is where it goes on otherwise, if anywhere.
func (se *searching) give(fits []*fit, more searchCursor) error {
	limit := searchLimit(se.q.Limit)
	if err := se.fill(fits[:min(len(fits), limit)]); err != nil {
		return err
	}
	for _, f := range fits[:min(len(fits), limit)] {
		slices.Sort(f.Fields)
		se.page.Objects = append(se.page.Objects, f.SearchedObject)
	}
	switch {
	case len(fits) > limit:
		last := fits[limit-1]
		c := searchCursor{Fate: last.Fate, Name: last.name, Entity: last.Entity, Exact: last.exact, Walked: more.Walked}
		se.page.Next = c.text()
	case more.Name != "":
		se.page.Next = more.text()
	}
	return nil
}

// walk makes a page where too many objects fit to be put in order: first come those that fit exactly and those that are not indexed yet, then the objects
// are gone through, the newest first.
func (se *searching) walk(at searchCursor) error {
	limit := searchLimit(se.q.Limit)
	first := se.ordered(func(f *fit) bool { return f.exact || f.Fate > se.page.Fate || f.Fate == 0 && f.Hub == "" })
	for _, f := range first {
		f.exact = true // they stand before all others
	}
	slices.SortFunc(first, (*fit).before)
	given := map[objectName]bool{}
	for _, f := range first {
		given[f.key()] = true
	}
	out := slices.DeleteFunc(slices.Clone(first), func(f *fit) bool { return at.Name != "" && (!at.Exact || !at.behind(f)) })
	below, walked, last := int64(1)<<62, 0, searchCursor{}
	if at.Name != "" && !at.Exact {
		below = at.Fate
	}
	began := se.elapsed()
	for len(out) <= limit && walked < mostWalked && (walked == 0 || se.elapsed()-began < walkFor) {
		n := 0
		err := se.each(func(r *sql.Rows) error {
			x, err := scanIndexing(r)
			if err != nil {
				return err
			}
			n++
			below = x.newest
			last = searchCursor{Fate: x.newest, Name: x.name, Entity: x.entity, Walked: true}
			se.page.Back = unstamp(x.time)
			if se.q.Entity != "" && x.entity != se.q.Entity || !slices.ContainsFunc(x.terms, se.fitting) || given[objectName{x.entity, x.name}] {
				return nil
			}
			delete(se.fits, objectName{x.entity, x.name})
			f := se.take(x)
			f.foundBy(x.terms, se)
			out = append(out, f)
			return nil
		}, "SELECT "+searchCols+" FROM search_objects WHERE newest < ? ORDER BY newest DESC LIMIT CAST(? AS INTEGER)", below, walkStep)
		if err != nil {
			return err
		}
		if walked += n; n < walkStep {
			last = searchCursor{}
			break
		}
	}
	last.Walked = true
	if len(out) > limit {
		se.page.Back = out[limit-1].Time
	}
	return se.give(out, last)
}

// ownOrder is the order of rows that an index of their own finds, which are few: as an expression, so that PostgreSQL, which is not to sort here, does not go through
// all rows by the order of their numbers instead.
const ownOrder = "id + 0"

// describe fills in what stands beside the objects of a page.
func (se *searching) describe(objects []state.SearchedObject) error {
	at := map[string][]*state.SearchedObject{}
	var hubs, keys []any
	for i := range objects {
		o := &objects[i]
		if o.Hub == "" {
			keys = append(keys, folded(o.Key))
			continue
		}
		if at[o.Hub] == nil {
			hubs = append(hubs, o.Hub)
		}
		at[o.Hub] = append(at[o.Hub], o)
	}
	if len(hubs) > 0 {
		if err := se.describeHubs(at, hubs); err != nil {
			return err
		}
	}
	if len(keys) == 0 {
		return nil
	}
	rows, err := queuedOf(se.ctx, se.db, se.d, "SELECT "+listCols+" FROM queue WHERE "+se.d.in(se.d.fold("ekey"), 1, len(keys))+" ORDER BY "+ownOrder+" LIMIT 1000", keys...)
	for i := range rows {
		for j := range objects {
			if o := &objects[j]; o.Hub == "" && o.Key == rows[i].Event.Key && (o.Entity == "" || o.Entity == rows[i].Event.Entity || rows[i].Event.Entity == "") {
				o.Queued = cmp.Or(o.Queued, &rows[i])
			}
		}
	}
	return err
}

func (se *searching) describeHubs(at map[string][]*state.SearchedObject, hubs []any) error {
	in := se.d.in("hub", 1, len(hubs))
	err := se.each(func(r *sql.Rows) error {
		ref, err := scanRef(r)
		for _, o := range at[ref.Hub] {
			if o.Entity == ref.Entity {
				o.Refs = append(o.Refs, ref)
			}
		}
		return err
	}, "SELECT "+refCols+" FROM refs r JOIN (SELECT entity AS e, hub AS h FROM objects WHERE "+in+") AS k ON r.entity = k.e AND r.hub = k.h ORDER BY r.system", hubs...)
	if err != nil {
		return err
	}
	rows, err := queuedOf(se.ctx, se.db, se.d, "SELECT "+listCols+" FROM queue WHERE "+in+" AND hub <> '' ORDER BY "+ownOrder+" LIMIT 1000", hubs...)
	if err != nil {
		return err
	}
	for i := range rows {
		for _, o := range at[rows[i].Event.Hub] {
			if rows[i].Event.Entity == "" || rows[i].Event.Entity == o.Entity {
				o.Queued = worse(o.Queued, &rows[i])
			}
		}
	}
	return se.each(func(r *sql.Rows) error {
		var run int64
		var body []byte
		if err := r.Scan(&run, &body); err != nil {
			return err
		}
		d, _, err := decodeDifference(body)
		d.Run = run
		if err == nil && d.Repair != state.RepairRepaired {
			for _, o := range at[d.Hub] {
				o.Drift = &d
			}
		}
		return err
	}, "SELECT d.run, d.body FROM differences d JOIN comparisons c ON c.id = d.run WHERE "+se.d.in("d.hub", 1, len(hubs))+" AND d.hub <> '' AND d.drift = 1 AND c.last = ? ORDER BY d.run + 0 LIMIT 200", append(slices.Clone(hubs), lastTold)...)
}

// worse is which of two messages of an object says how it stands: what waits for a person, before what waits for another object.
func worse(a, b *state.Queued) *state.Queued {
	if a == nil {
		return b
	}
	rank := map[state.Outcome]int{state.Parked: 2, state.Waiting: 1}
	if rank[b.State] > rank[a.State] {
		return b
	}
	return a
}
