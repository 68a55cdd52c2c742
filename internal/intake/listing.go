package intake

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// Lists is how everything is read that a source holds.
type Lists struct {
	Lister connector.Lister
	// Object names the object type in the system's settings.
	Object string
	// Overlap and Limit are those of the source's polls.
	Overlap time.Duration
	Limit   int
}

// ErrNotListed: a source's system cannot list what it holds.
var ErrNotListed = errors.New("its system cannot list what it holds")

// Listing reads everything that a flow's source holds, page by page, from a place on that is kept outside. It is for one goroutine. Where the system is
// polled, pages are read as polls read them, by a cursor of its own. What has changed since a time is listed instead, from its beginning, because a poll
// without a past has no place there; and so is what is read from a log: two readers of one log would take each other's changes.
type Listing struct {
	store Known
	src   *Source
	since time.Time
	poll  connector.Poller // nil: it is listed

	next func() (connector.Record, error, bool)
	stop func()
}

// Listing begins to read what the source of a flow holds, or what has changed there since a time. Errors: state.ErrNotFound, ErrNotListed.
func (in *Intake) Listing(flow string, since time.Time) (*Listing, error) {
	w := in.find(flow)
	if w == nil {
		return nil, fmt.Errorf("flow %s reads no system: %w", flow, state.ErrNotFound)
	}
	return NewListing(&w.src, in.c.Store, since)
}

// NewListing begins to read what a source holds.
func NewListing(s *Source, store Known, since time.Time) (*Listing, error) {
	if s.Lists == nil {
		return nil, ErrNotListed
	}
	l := &Listing{store: store, src: s, since: since}
	if p, ok := s.Lists.Lister.(connector.Poller); ok && since.IsZero() && !logged(p, s.Lists.Object) {
		l.poll = p
	}
	return l, nil
}

func logged(p connector.Poller, object string) bool {
	s, ok := p.(connector.Streamer)
	return ok && s.Stream(object) != ""
}

// CanList reports whether the source of a flow can be listed.
func (in *Intake) CanList(flow string) bool {
	w := in.find(flow)
	return w != nil && w.src.Lists != nil
}

// Close lets go of a list that was not read to its end.
func (l *Listing) Close() {
	if l.stop != nil {
		l.stop()
		l.next, l.stop = nil, nil
	}
}

// Resumes reports whether a page can be read again from its cursor. What is listed begins anew.
func (l *Listing) Resumes() bool { return l.poll != nil }

// Count counts what there is in all, where ids cost less than documents; 0: they do not, or not everything is read.
func (l *Listing) Count(ctx context.Context) (n int64, err error) {
	ids, ok := l.src.Lists.Lister.(connector.IDLister)
	if !ok || !l.since.IsZero() || !ids.ListsIDs(l.src.Lists.Object) {
		return 0, nil
	}
	err = lifecycle.Guard(func() error {
		for _, err := range ids.ListIDs(ctx, l.src.Lists.Object) {
			if err != nil {
				return err
			}
			n++
		}
		return context.Cause(ctx) // a listing that was cut short is none
	})
	return n, err
}

// Listed is an object that a listing has given.
type Listed struct {
	// Event is what the flow would take of it now; it has no id and no key.
	Event event.Event
	// Content names what it says. Tied: its version is the system's own, so that another state of it may have the same one.
	Content string
	Tied    bool
	// Err says why it cannot be read as it is.
	Err error
}

// ListPage is one page of a listing.
type ListPage struct {
	Objects []Listed
	Cursor  string
	More    bool
	// Moved: the list moved all the time while it was read, so that objects may have been left out: it is to be read once more.
	Moved bool
}

// listPage is how many objects are taken at once from a list that has no pages.
const listPage = 500

// Page reads the page at a cursor. asOf is a number of the inbox from before: see submit.Door.AsOf.
func (l *Listing) Page(ctx context.Context, cursor string, asOf int64) (*ListPage, error) {
	if l.poll == nil {
		return l.list(ctx, asOf)
	}
	var page connector.Page
	err := lifecycle.Guard(func() (err error) {
		page, err = l.poll.Poll(ctx, connector.PollRequest{Object: l.src.Lists.Object, Cursor: cursor, Overlap: l.src.Lists.Overlap, Limit: l.src.Lists.Limit, Reader: l.src.Flow})
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case page.More && page.Cursor == cursor:
		return nil, fault.New(fault.Invalid, "%s says that there is more but does not move its cursor", l.src.System)
	}
	out := &ListPage{Objects: l.listed(page.Records, asOf), Cursor: page.Cursor, More: page.More}
	for _, r := range page.Remarks {
		out.Moved = out.Moved || r.Kind == connector.Moving
	}
	return out, nil
}

// list takes the next objects of a list without pages, which is begun with the first.
func (l *Listing) list(ctx context.Context, asOf int64) (*ListPage, error) {
	if l.next == nil {
		l.next, l.stop = iter.Pull2(l.src.Lists.Lister.List(ctx, l.src.Lists.Object, l.since))
	}
	var recs []connector.Record
	for len(recs) < min(listPage, cmp.Or(l.src.Lists.Limit, listPage)) {
		var rec connector.Record
		more := false
		err := lifecycle.Guard(func() (err error) {
			rec, err, more = l.next()
			return err
		})
		switch {
		case err != nil:
			l.Close()
			return nil, err
		case !more:
			l.Close()
			return &ListPage{Objects: l.listed(recs, asOf)}, context.Cause(ctx) // a listing that was cut short is none
		}
		recs = append(recs, rec)
	}
	return &ListPage{Objects: l.listed(recs, asOf), More: true}, nil
}

// Again reads objects of a page once more, by their ids in the system; those that are not there any more, or cannot be read once more, are left out. cursor
// is that of the page, which is read again where the system cannot be asked for one object. connector.ErrNoLookup where there are no pages either.
func (l *Listing) Again(ctx context.Context, cursor string, locals []string, asOf int64) ([]Listed, error) {
	var out []Listed
	for _, local := range locals {
		found, err := l.find(ctx, local)
		if errors.Is(err, connector.ErrNoLookup) || err == nil && l.unversioned(found) {
			if l.poll == nil { // a list has no pages
				return nil, connector.ErrNoLookup
			}
			page, err := l.Page(ctx, cursor, asOf)
			if err != nil {
				return nil, err
			}
			return slices.DeleteFunc(page.Objects, func(o Listed) bool { return !slices.Contains(locals, o.Event.Local) }), nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, l.listed(found, asOf)...)
	}
	return out, nil
}

// unversioned reports whether a look-up tells no versions where polls do: the two would not compare.
func (l *Listing) unversioned(found []connector.Record) bool {
	return l.src.Poll != nil && !l.src.Versioned && slices.ContainsFunc(found, func(r connector.Record) bool { return r.Version == "" })
}

func (l *Listing) find(ctx context.Context, local string) (found []connector.Record, err error) {
	f := l.src.Finder
	if f == nil {
		return nil, connector.ErrNoLookup
	}
	err = lifecycle.Guard(func() (err error) {
		found, err = f.System.Find(ctx, connector.Lookup{Entity: l.src.Entity, Object: f.Object, Local: local})
		return err
	})
	return found, err
}

// listed makes events of records.
func (l *Listing) listed(recs []connector.Record, asOf int64) []Listed {
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	out := make([]Listed, 0, len(recs))
	for i := range recs {
		r := &recs[i]
		ev := event.Event{Source: l.src.System, Entity: l.src.Entity, Operation: event.Upsert, Local: r.Local, Origin: l.src.System, Version: l.src.versionOf(r, strconv.FormatInt(asOf, 10)), Data: r.Doc}
		h := sha256.New()
		if r.Deleted {
			ev.Operation = event.Delete
			h.Write([]byte("deleted\n"))
		}
		if err := doc.Reset(r.Doc, inbox.DocumentLimits); err == nil {
			sum := jsondoc.Hash(doc.Root()) // the order of members is no change
			h.Write(sum[:])
		} else {
			h.Write(r.Doc)
		}
		out = append(out, Listed{Event: ev, Content: hex.EncodeToString(h.Sum(nil)[:12]), Tied: l.src.Versioned || l.src.Poll != nil && r.Version != "", Err: r.Err})
	}
	return out
}

// mostTouched is how many rows of the inbox are looked through for the objects that they are of; where there are more, any object may have changed.
const mostTouched = 1000

// Touched are the objects of which something was accepted meanwhile.
type Touched struct {
	// All: nobody can say of which.
	All    bool
	locals map[string]bool
	ids    map[string]bool
	gone   map[string]bool
	l      *Listing
}

// None reports whether there is none.
func (t *Touched) None() bool { return !t.All && len(t.locals) == 0 && len(t.ids) == 0 }

// Is reports whether an object is, or may be, among them.
func (t *Touched) Is(ctx context.Context, o *Listed) bool {
	if t.All || t.locals[o.Event.Local] {
		return true
	}
	if len(t.ids) == 0 {
		return false
	}
	id, ok := t.l.idOf(ctx, o.Event.Data, o.Event.Local)
	return !ok || t.ids[id]
}

// Sure reports whether an object is among them beyond doubt.
func (t *Touched) Sure(ctx context.Context, o *Listed) bool {
	if t.locals[o.Event.Local] || len(t.ids) == 0 {
		return t.locals[o.Event.Local]
	}
	id, ok := t.l.idOf(ctx, o.Event.Data, o.Event.Local)
	return ok && t.ids[id]
}

// Gone reports whether an object was deleted.
func (t *Touched) Gone(o *Listed) bool { return t.gone[o.Event.Local] }

// Touched tells of which objects something was accepted after asOf, besides what has a delivery id that begins with own: a live change of them may be newer
// than the page that was read at asOf.
func (l *Listing) Touched(ctx context.Context, asOf int64, own string) (*Touched, error) {
	rows, err := l.store.AcceptedSince(ctx, l.src.Flow, asOf, own, mostTouched)
	if err != nil {
		return nil, fmt.Errorf("read what was accepted meanwhile: %w", err)
	}
	t := &Touched{l: l, locals: map[string]bool{}, ids: map[string]bool{}, gone: map[string]bool{}, All: len(rows) >= mostTouched}
	for i := range rows {
		r := &rows[i]
		if local := r.Headers[inbox.HeaderLocal]; local != "" {
			t.locals[local] = true
			t.gone[local] = r.Headers[inbox.HeaderDeleted] != "" || r.Event != nil && r.Event.Operation == event.Delete
			continue
		}
		id, ok := l.idOf(ctx, r.Body, "")
		if !ok {
			t.All = true
			break
		}
		t.ids[id] = true
	}
	return t, nil
}

// idOf is the id of a document's object as the flow computes it; false where the document does not give one, as a list does not.
func (l *Listing) idOf(ctx context.Context, data []byte, local string) (id string, ok bool) {
	eval := l.src.ID
	if eval == nil {
		eval = l.src.Key
	}
	if eval == nil || l.src.Webhook != nil && l.src.Webhook.Split != "" && local == "" {
		return "", false
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if doc.Reset(data, inbox.DocumentLimits) != nil || doc.Root().Kind() != jsondoc.Object {
		return "", false
	}
	ev := event.Event{Source: l.src.System, Entity: l.src.Entity, Operation: event.Upsert, Origin: l.src.System, Data: data}
	err := lifecycle.Guard(func() (err error) {
		id, err = eval(ctx, inbox.Input{Doc: doc, Event: &ev, Headers: map[string]string{inbox.HeaderLocal: local}})
		return err
	})
	return id, err == nil && id != ""
}
