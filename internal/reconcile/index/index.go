// Package index keeps what a system holds from run to run of a reconciliation, so that a run reads what has changed since, and not everything.
//
// Changes are read as polls read them, by windows of time that look back. What polls cannot see is found in two ways: where the system lists ids at less cost
// than everything, each run holds them against what is kept; and everything is read anew after a time, or when a run asks for it. What is kept and the
// place from which changes are read are stored together, so that a run which was broken off is gone on with.
package index

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/idset"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// keepAtOnce is how many objects are stored, and pageSize how many are read from the store, at once.
	keepAtOnce = 500
	pageSize   = 500
	idsAtOnce  = 10_000
	// mostFinds is how many objects that no poll has brought are asked for one by one; where there are more, everything is read anew.
	mostFinds = 1000
	// nameless begins the key of a record without an id in its system.
	nameless = "\x01"
)

// ErrEmpty: a system gave nothing although something is kept of it.
var ErrEmpty = errors.New("an empty answer says nothing")

// Store keeps what was read of a side, under the lease of the run.
type Store interface {
	OpenListing(ctx context.Context, side string, until time.Time) (state.Listing, error)
	ListedObjects(ctx context.Context, side, after string, limit int) ([]state.ListedObject, error)
	ListedIDs(ctx context.Context, side, after string, limit int) ([]string, error)
	KeepListed(ctx context.Context, side string, l state.Listing, rows []state.ListedObject, gone []string) error
	DropListed(ctx context.Context, side string, before int64) (int64, error)
}

// Index is what is kept of one side.
type Index struct {
	Store Store
	Clock lifecycle.Clock
	// Side is left or right.
	Side   string
	System connector.Poller
	// Entity and Object are what is read; About is what it is read from: what was kept under another one is worth nothing.
	Entity, Object, About string
	// Whole is how old a whole reading may be. Overlap is how far before the last change is looked again. Keep is how long what no run reads on is kept.
	Whole, Overlap, Keep time.Duration
	// Rest lets messages go first between two pages; Told hears how many records have come.
	Rest func(ctx context.Context) error
	Told func(n int)
}

// Found is what an update has come to.
type Found struct {
	// Changed objects were read, and Gone ones forgotten. Missed are those that the list of ids holds and no poll had brought; Unread could not be read so.
	Changed, Gone, Missed, Unread int
	// Whole is when the last whole reading began; Anew: it was this update's.
	Whole time.Time
	Anew  bool
	// Unstamped is how many records have no stamp, so that only a whole reading sees how they change.
	Unstamped int
	// IDs: the system has listed the ids of what it holds. Else what is gone there without a trace is seen by whole readings alone.
	IDs bool
}

// Update reads what has changed, or everything: the first time, when it is due, and where anew says so.
func (x *Index) Update(ctx context.Context, anew bool) (*Found, error) {
	now := x.Clock.Now()
	until := now.Add(x.Keep)
	l, err := x.Store.OpenListing(ctx, x.Side, until)
	if err != nil {
		return nil, err
	}
	if l.About != x.About { // what was kept is of something else
		if _, err := x.Store.DropListed(ctx, x.Side, math.MaxInt64); err != nil {
			return nil, err
		}
		l = state.Listing{}
	}
	l.About, l.Until = x.About, until
	if broken := !l.Began.IsZero(); anew || !broken && now.Sub(l.Whole) >= x.Whole { // one that was broken off is gone on with
		l.Cursor, l.Turn, l.Began = "", l.Turn+1, now
	}
	found := &Found{}
	if !l.Began.IsZero() {
		if err := x.everything(ctx, &l, found); err != nil {
			return nil, err
		}
	}
	if err := x.changes(ctx, &l, found); err != nil {
		return nil, err
	}
	if err := x.ids(ctx, &l, found); err != nil {
		return nil, err
	}
	if found.Unread > 0 && !found.Anew {
		return x.Update(ctx, true)
	}
	found.Whole = l.Whole
	return found, nil
}

// everything reads all that the system holds. What it does not give any more is forgotten at the end.
func (x *Index) everything(ctx context.Context, l *state.Listing, found *Found) error {
	if err := x.changes(ctx, l, found); err != nil {
		return err
	}
	if err := x.notEmpty(ctx, l, found); err != nil {
		return err
	}
	gone, err := x.Store.DropListed(ctx, x.Side, l.Turn)
	if err != nil {
		return err
	}
	found.Gone += int(gone)
	found.Anew = true
	l.Whole, l.Began = l.Began, time.Time{}
	return x.keep(ctx, l, nil, nil)
}

// notEmpty refuses a whole reading that gave nothing while something is kept. The next one begins again.
func (x *Index) notEmpty(ctx context.Context, l *state.Listing, found *Found) error {
	if found.Changed > 0 {
		return nil
	}
	some := false
	for o, err := range x.objects(ctx) {
		switch {
		case err != nil:
			return err
		case o.Turn == l.Turn: // of pages before it was broken off
			return nil
		}
		some = true
	}
	if !some {
		return nil
	}
	l.Cursor = ""
	return errors.Join(fmt.Errorf("nothing is listed, and it has held something before: %w", ErrEmpty), x.keep(ctx, l, nil, nil))
}

// changes reads pages until there are no more.
func (x *Index) changes(ctx context.Context, l *state.Listing, found *Found) error {
	for {
		var page connector.Page
		err := connector.Again(ctx, x.Clock, func() error {
			return lifecycle.Guard(func() (err error) {
				page, err = x.System.Poll(ctx, connector.PollRequest{Object: x.Object, Cursor: l.Cursor, Overlap: x.Overlap})
				return err
			})
		})
		switch {
		case err != nil:
			return err
		case page.More && page.Cursor == l.Cursor:
			return errors.New("it says that there is more, and does not move its cursor")
		}
		for _, r := range page.Remarks {
			switch r.Kind {
			case connector.Moving:
				return fault.New(fault.Unavailable, "the list moved all the time while it was read: nobody can say that nothing was left out")
			case connector.Unstamped:
				found.Unstamped = max(found.Unstamped, r.Count, 1)
			}
		}
		if err := x.take(ctx, l, page, found); err != nil {
			return err
		}
		if !page.More {
			return nil
		}
	}
}

// take stores a page, and with the last of it the cursor.
func (x *Index) take(ctx context.Context, l *state.Listing, page connector.Page, found *Found) error {
	var rows []state.ListedObject
	var gone []string
	place := map[string]int{}
	for i := range page.Records {
		rec := &page.Records[i]
		id := key(rec)
		at, twice := place[id]
		if rec.Deleted {
			gone = append(gone, id)
			if twice { // the later word counts
				rows[at].ID = ""
				delete(place, id)
			}
			continue
		}
		row := state.ListedObject{ID: id, Version: rec.Version, Turn: l.Turn, Doc: rec.Doc}
		if rec.Err != nil {
			row.Bad = rec.Err.Error()
		}
		if twice {
			rows[at] = row
			continue
		}
		place[id] = len(rows)
		rows = append(rows, row)
	}
	kept := rows[:0]
	for _, r := range rows {
		if r.ID != "" {
			kept = append(kept, r)
		}
	}
	if rows = kept; x.Told != nil {
		x.Told(len(page.Records))
	}
	found.Changed, found.Gone = found.Changed+len(rows), found.Gone+len(gone)
	for len(rows) > keepAtOnce { // without the cursor: they come once more where the run ends between
		if err := x.keep(ctx, l, rows[:keepAtOnce], nil); err != nil {
			return err
		}
		rows = rows[keepAtOnce:]
	}
	l.Cursor = page.Cursor
	return x.keep(ctx, l, rows, gone)
}

func (x *Index) keep(ctx context.Context, l *state.Listing, rows []state.ListedObject, gone []string) error {
	if err := x.Store.KeepListed(ctx, x.Side, *l, rows, gone); err != nil {
		return err
	}
	if x.Rest == nil {
		return nil
	}
	return x.Rest(ctx)
}

// key is under what a record is kept: its id, or what it says where it has none.
func key(rec *connector.Record) string {
	if rec.Local != "" {
		return rec.Local
	}
	sum := sha256.Sum256(rec.Doc)
	return nameless + hex.EncodeToString(sum[:16])
}

// ids holds what is kept against the ids that the system lists, where it can.
func (x *Index) ids(ctx context.Context, l *state.Listing, found *Found) error {
	lister, ok := x.System.(connector.IDLister)
	if found.IDs = ok && lister.ListsIDs(x.Object); !found.IDs {
		return nil
	}
	have, there := &idset.Set{}, &idset.Set{}
	for id, err := range x.kept(ctx) {
		if err != nil {
			return err
		}
		have.Add(id)
	}
	var fresh []string
	err := x.listed(ctx, lister, func(id string) {
		if there.Add(id); !have.Has(id) && len(fresh) <= mostFinds {
			fresh = append(fresh, id)
		}
	})
	if err != nil {
		return err
	}
	if there.Len() == 0 && have.Len() > 0 {
		return fmt.Errorf("no ids are listed, and %d objects were there: %w", have.Len(), ErrEmpty)
	}
	if err := x.missed(ctx, l, fresh, found); err != nil || found.Unread > 0 && !found.Anew {
		return err
	}
	_, lacking, err := idset.Lacking(there, x.kept(ctx), itself, 0)
	if err != nil || lacking == 0 {
		return err
	}
	if err := x.listed(ctx, lister, func(id string) { there.Add(id) }); err != nil { // one listing alone is not believed
		return err
	}
	gone, lacking, err := idset.Lacking(there, x.kept(ctx), itself, lacking)
	if err != nil {
		return err
	}
	found.Gone += lacking
	return x.Forget(ctx, gone)
}

func itself(id string) string { return id }

// listed gives each id that the system lists.
func (x *Index) listed(ctx context.Context, lister connector.IDLister, each func(id string)) error {
	err := lifecycle.Guard(func() error {
		for id, err := range lister.ListIDs(ctx, x.Object) {
			if err != nil {
				return fmt.Errorf("list the ids: %w", err)
			}
			if id != "" {
				each(id)
			}
		}
		return nil
	})
	if err == nil && ctx.Err() != nil {
		return context.Cause(ctx) // a listing that was cut short is none
	}
	return err
}

// missed reads objects that no poll has brought, one by one. Those that cannot be read so are counted.
func (x *Index) missed(ctx context.Context, l *state.Listing, fresh []string, found *Found) error {
	finder, ok := x.System.(connector.Finder)
	if len(fresh) > 0 && (!ok || len(fresh) > mostFinds) {
		found.Unread = len(fresh)
		return nil
	}
	for i, id := range fresh {
		var got []connector.Record
		err := connector.Again(ctx, x.Clock, func() error {
			return lifecycle.Guard(func() (err error) {
				got, err = finder.Find(ctx, connector.Lookup{Entity: x.Entity, Object: x.Object, Local: id})
				return err
			})
		})
		switch {
		case errors.Is(err, connector.ErrNoLookup):
			found.Unread = len(fresh) - i
			return nil
		case err != nil && fault.KindOf(err) == fault.NotFound:
			continue
		case err != nil:
			return fmt.Errorf("look for %s, which no poll has brought: %w", id, err)
		}
		page := connector.Page{Cursor: l.Cursor}
		for _, rec := range got {
			if rec.Local == id && !rec.Deleted {
				page.Records = append(page.Records, rec)
			}
		}
		if len(page.Records) == 0 {
			continue
		}
		found.Missed++
		if err := x.take(ctx, l, page, found); err != nil {
			return err
		}
	}
	return nil
}

// Forget takes objects out that are known to be gone.
func (x *Index) Forget(ctx context.Context, ids []string) error {
	l, err := x.Store.OpenListing(ctx, x.Side, x.Clock.Now().Add(x.Keep))
	if err != nil {
		return err
	}
	for len(ids) > 0 {
		n := min(len(ids), keepAtOnce)
		if err := x.keep(ctx, &l, nil, ids[:n]); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// Each gives all that is kept, as records of the system.
func (x *Index) Each(ctx context.Context, each func(*connector.Record) error) error {
	for o, err := range x.objects(ctx) {
		if err != nil {
			return err
		}
		rec := connector.Record{Local: o.ID, Version: o.Version, Doc: o.Doc}
		if strings.HasPrefix(o.ID, nameless) {
			rec.Local = ""
		}
		if o.Bad != "" {
			rec.Err = errors.New(o.Bad)
		}
		if err := each(&rec); err != nil {
			return err
		}
	}
	return nil
}

// objects goes through all that is kept.
func (x *Index) objects(ctx context.Context) iter.Seq2[*state.ListedObject, error] {
	return func(yield func(*state.ListedObject, error) bool) {
		for after := ""; ; {
			page, err := x.Store.ListedObjects(ctx, x.Side, after, pageSize)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page {
				if after = page[i].ID; !yield(&page[i], nil) {
					return
				}
			}
			if len(page) < pageSize {
				return
			}
		}
	}
}

// kept goes through the ids of all that is kept and has one.
func (x *Index) kept(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for after := nameless + "\xff"; ; { // behind what has none
			page, err := x.Store.ListedIDs(ctx, x.Side, after, idsAtOnce)
			if err != nil {
				yield("", err)
				return
			}
			for _, id := range page {
				if after = id; !yield(id, nil) {
					return
				}
			}
			if len(page) < idsAtOnce {
				return
			}
		}
	}
}
