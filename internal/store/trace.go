package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/state"
)

// traceLimit bounds each list of a trace.
const traceLimit = 200

// Trace gives everything about a key: a business key, a hub id, an external id, an id in a system, an event id or a delivery id. What
// the hub knows to be the same object is followed to its references, journal and queue. A key that nobody knows gives an empty trace.
func (s *Store) Trace(ctx context.Context, key string) (state.Trace, error) {
	out := state.Trace{Key: key}
	if key == "" {
		return out, nil
	}
	err := s.snapshot(ctx, func(db queryer) error {
		fates, err := s.fatesIn(ctx, db)
		if err != nil {
			return err
		}
		tr := &tracer{ctx: ctx, db: db, d: s.d, fates: fates, key: cleanText(key), out: &out}
		for _, step := range []func() error{tr.byKey, tr.objects, tr.byObjects, tr.inbox, tr.acts, tr.differences} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
	return out, s.wrap("trace", err)
}

type tracer struct {
	ctx context.Context
	db  queryer
	d   dialect
	// fates finds the rows of the journal.
	fates *fates

	key string
	out *state.Trace
	ids []string // of deliveries and events, as inbox has found them
}

// byKey finds what names the key itself.
func (tr *tracer) byKey() (err error) {
	var ids []int64
	for _, by := range []by{byKey, byHub, byEvent} {
		more, err := tr.fates.ids(by, tr.key, traceLimit, where{})
		if err != nil {
			return err
		}
		ids = append(ids, more...)
	}
	if tr.out.Journal, err = tr.fates.rows(ids, traceLimit); err != nil {
		return err
	}
	tr.out.Queued, err = queuedOf(tr.ctx, tr.db, tr.d, "SELECT "+queueCols+` FROM queue WHERE id IN (SELECT id FROM queue WHERE `+tr.d.fold("ekey")+` = ? AND ekey = ? UNION
		SELECT id FROM queue WHERE hub = ? AND hub <> '' UNION SELECT id FROM queue WHERE event_id = ?) ORDER BY id LIMIT CAST(? AS INTEGER)`, folded(tr.key), tr.key, tr.key, tr.key, traceLimit)
	return err
}

// objects finds the objects that the key, or what was found under it, stands for.
func (tr *tracer) objects() error {
	hubs := []string{tr.key}
	for i := range tr.out.Journal {
		hubs = append(hubs, tr.out.Journal[i].Hub)
	}
	for i := range tr.out.Queued {
		hubs = append(hubs, tr.out.Queued[i].Event.Hub)
	}
	hubs = distinct(hubs)
	args := []any{tr.key, tr.key}
	for _, h := range hubs {
		args = append(args, h)
	}
	err := eachOf(tr.ctx, tr.db, tr.d, func(r *sql.Rows) error {
		var o state.Object
		var at int64
		err := r.Scan(&o.Entity, &o.Hub, &o.External, &at)
		o.Created = unstamp(at)
		tr.out.Objects = append(tr.out.Objects, o)
		return err
	}, `SELECT o.entity, o.hub, o.external, o.created FROM objects o JOIN (SELECT entity, hub FROM objects WHERE external = ? UNION
		SELECT entity, hub FROM refs WHERE local = ? UNION SELECT entity, hub FROM objects WHERE `+tr.d.in("hub", 1, len(hubs))+
		") AS k ON k.entity = o.entity AND k.hub = o.hub ORDER BY o.entity, o.hub LIMIT 50", args...)
	if err != nil {
		return err
	}
	for i := range tr.out.Objects {
		o := &tr.out.Objects[i]
		err := eachOf(tr.ctx, tr.db, tr.d, func(r *sql.Rows) error {
			ref, err := scanRef(r)
			o.Refs = append(o.Refs, ref)
			return err
		}, "SELECT "+refCols+" FROM refs r WHERE r.entity = ? AND r.hub = ? ORDER BY r.system", o.Entity, o.Hub)
		if err != nil {
			return err
		}
	}
	return nil
}

// byObjects adds journal and queue rows of the objects that were found.
func (tr *tracer) byObjects() error {
	if len(tr.out.Objects) == 0 {
		return nil
	}
	var hubs []any
	var ids []int64
	for i := range tr.out.Objects {
		hub := tr.out.Objects[i].Hub
		hubs = append(hubs, hub)
		if hub == tr.key {
			continue // what names it was read first of all
		}
		more, err := tr.fates.ids(byHub, hub, traceLimit, where{})
		if err != nil {
			return err
		}
		ids = append(ids, more...)
	}
	in := tr.d.in("hub", 1, len(hubs))
	js, err := tr.fates.rows(ids, traceLimit)
	if err != nil {
		return err
	}
	tr.out.Journal = mergeByID(tr.out.Journal, js, func(j *state.Journal) int64 { return -j.ID })
	qs, err := queuedOf(tr.ctx, tr.db, tr.d, "SELECT "+queueCols+" FROM queue WHERE "+in+" AND hub <> '' ORDER BY id LIMIT CAST(? AS INTEGER)", append(slices.Clone(hubs), traceLimit)...)
	if err != nil {
		return err
	}
	tr.out.Queued = mergeByID(tr.out.Queued, qs, func(q *state.Queued) int64 { return q.ID })
	return nil
}

// inbox finds rows by delivery id, by the business key that the relay recorded, and by the events found: an event is named
// after its row, with an index behind where the row was split.
func (tr *tracer) inbox() error {
	ids := []string{tr.key}
	for i := range tr.out.Journal {
		ids = append(ids, tr.out.Journal[i].EventID)
	}
	for i := range tr.out.Queued {
		ids = append(ids, tr.out.Queued[i].Event.ID)
	}
	for _, id := range slices.Clone(ids) {
		for _, sep := range []string{"#", "/", ":", "-", "."} {
			if i := strings.LastIndex(id, sep); i > 0 {
				ids = append(ids, id[:i])
			}
		}
	}
	ids = distinct(ids)
	ids = ids[:min(len(ids), 2*traceLimit)]
	tr.ids = ids
	args := []any{folded(tr.key), tr.key}
	for _, id := range ids {
		args = append(args, id)
	}
	err := eachOf(tr.ctx, tr.db, tr.d, func(r *sql.Rows) error {
		var places sql.NullString
		in, err := scanInbound(r, &places)
		if err != nil {
			return err
		}
		row := state.TracedInbound{Inbound: in, Published: places.Valid}
		if places.Valid {
			row.Positions, err = decodePlaces(places.String)
		}
		tr.out.Inbox = append(tr.out.Inbox, row)
		return err
	}, "SELECT "+inboxCols+", places FROM inbox WHERE seq IN (SELECT seq FROM inbox WHERE "+tr.d.fold("ekey")+" = ? AND ekey = ? AND ekey <> '' UNION SELECT seq FROM inbox WHERE "+
		tr.d.in("id", 1, len(ids))+") ORDER BY seq DESC LIMIT CAST(? AS INTEGER)", append(args, tracedInbound)...)
	if err != nil {
		return err
	}
	return tr.bundles(ids)
}

// tracedInbound is how many deliveries a trace tells.
const tracedInbound = 20

// bundles finds events that came together with others, as rows of their own.
func (tr *tracer) bundles(ids []string) error {
	all, named, err := inBundles(tr.ctx, tr.db, tr.d, ids, tr.key, tracedInbound)
	if err != nil || len(all) == 0 {
		return err
	}
	var row state.Inbound
	var places []state.PublishedAt
	var published bool
	for _, f := range all {
		if row.Seq != f.seq {
			if row, places, published, err = tr.row(f.seq); err != nil {
				return err
			}
		}
		if f.index >= len(row.Bundle) || named[f] && !slices.Contains(ids, row.Bundle[f.index].ID) {
			continue // two names have one digest
		}
		one := state.TracedInbound{Inbound: alone(&row, f.index), Published: published}
		for _, at := range places {
			if at.Index == f.index {
				one.Positions = append(one.Positions, at)
			}
		}
		tr.out.Inbox = append(tr.out.Inbox, one)
	}
	slices.SortStableFunc(tr.out.Inbox, func(a, b state.TracedInbound) int { return cmp.Compare(b.Seq, a.Seq) })
	tr.out.Inbox = tr.out.Inbox[:min(len(tr.out.Inbox), tracedInbound)]
	return nil
}

// row reads one row of the inbox with its bundle, and where it went.
func (tr *tracer) row(seq int64) (in state.Inbound, places []state.PublishedAt, published bool, err error) {
	one := inboxRows{db: tr.db, d: tr.d, limit: 1}
	rows, err := one.read(tr.ctx, "i.seq = ?", seq)
	if err != nil || len(rows) == 0 {
		return in, nil, false, err
	}
	err = eachOf(tr.ctx, tr.db, tr.d, func(r *sql.Rows) error {
		var text string
		err := r.Scan(&text)
		if published = true; err == nil {
			places, err = decodePlaces(text)
		}
		return err
	}, "SELECT places FROM inbox WHERE seq = ? AND places IS NOT NULL", seq)
	return rows[0], places, published, err
}

// acts finds what people did to the messages that were found, also to those that have gone since.
func (tr *tracer) acts() error {
	for i := range tr.out.Inbox { // an event that was parked before it had a place, and of which nothing else is left
		tr.ids = append(tr.ids, tr.out.Inbox[i].ID)
	}
	hubs := []string{tr.key}
	for i := range tr.out.Objects {
		hubs = append(hubs, tr.out.Objects[i].Hub)
	}
	args := []any{tr.key}
	for _, h := range hubs {
		args = append(args, h)
	}
	ids := distinct(tr.ids)
	for _, id := range ids {
		args = append(args, id)
	}
	args = append(args, traceLimit)
	var err error
	tr.out.Acts, err = actsOf(tr.ctx, tr.db, tr.d, "SELECT "+actCols+", NULL, NULL FROM acts WHERE id IN (SELECT id FROM acts WHERE ekey = ? AND ekey <> '' UNION SELECT id FROM acts WHERE "+
		tr.d.in("hub", 1, len(hubs))+" AND hub <> '' UNION SELECT id FROM acts WHERE "+tr.d.in("event_id", 1, len(ids))+") ORDER BY id DESC LIMIT CAST(? AS INTEGER)", args...)
	slices.Reverse(tr.out.Acts)
	return err
}

// tracedDifferences is how many differences a trace tells.
const tracedDifferences = 20

// differences finds what runs have found of the objects.
func (tr *tracer) differences() error {
	hubs := []string{tr.key}
	for i := range tr.out.Objects {
		hubs = append(hubs, tr.out.Objects[i].Hub)
	}
	hubs = distinct(hubs)
	args := make([]any, 0, len(hubs)+2)
	for _, h := range hubs {
		args = append(args, h)
	}
	return eachOf(tr.ctx, tr.db, tr.d, func(r *sql.Rows) error {
		var d state.TracedDifference
		var at, since int64
		var body []byte
		var run int64
		err := r.Scan(&run, &d.Name, &at, &since, &body)
		if err == nil {
			d.Difference, _, err = decodeDifference(body)
		}
		d.Run, d.At, d.Since = run, unstamp(at), unstamp(since)
		tr.out.Differences = append(tr.out.Differences, d)
		return err
	}, "SELECT d.run, c.name, c.finished, d.since, d.body FROM (SELECT run, n, since, body FROM differences WHERE "+tr.d.in("hub", 1, len(hubs))+
		" AND hub <> '' UNION ALL SELECT run, n, since, body FROM differences WHERE ekey = ? AND ekey <> '' AND hub = '') AS d JOIN comparisons c ON c.id = d.run ORDER BY d.run DESC, d.n LIMIT CAST(? AS INTEGER)",
		append(args, tr.key, tracedDifferences)...)
}

// distinct leaves out empty and repeated texts, and keeps the order.
func distinct(in []string) []string {
	seen := map[string]bool{"": true}
	return slices.DeleteFunc(in, func(s string) bool {
		was := seen[s]
		seen[s] = true
		return was
	})
}

func mergeByID[T any](a, b []T, id func(*T) int64) []T {
	out := append(a, b...)
	slices.SortStableFunc(out, func(x, y T) int {
		switch i, j := id(&x), id(&y); {
		case i < j:
			return -1
		case i > j:
			return 1
		}
		return 0
	})
	return slices.CompactFunc(out, func(x, y T) bool { return id(&x) == id(&y) })
}
