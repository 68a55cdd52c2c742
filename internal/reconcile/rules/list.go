package rules

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/state"
)

// list reads one list of a system.
type list struct {
	side   *config.RuleSide
	run    *Run
	system connector.System
	flow   *config.Flow // nil: none reads it
	rows   int64        // read in this run, over all looks
	buf    []byte
}

// entry is an object of a list as the rule sees it.
type entry struct {
	local, hub string
	doc        []byte // in memory of the list until the next entry
	why        string // it cannot be read or mapped
}

// ErrEmpty is wrapped by the error of a run where a list gave nothing.
var ErrEmpty = errors.New("an empty answer says nothing")

// failed says of which list an error is.
func (l *list) failed(err error) error {
	return fmt.Errorf("%s, the list of %s of %s: %w", l.side.Name, l.side.Object, l.side.System, err)
}

// read gives every object of the list that the rule wants, and fails where the list does not come to its end. Of ids that are not among only,
// nothing is told; nil: of all.
func (l *list) read(ctx context.Context, only *hashes, each func(*entry) error) error {
	lister, ok := l.system.(connector.Lister)
	if !ok {
		return l.failed(fault.New(fault.Invalid, "the system cannot list what it holds"))
	}
	var since time.Time
	if l.side.Name == config.RuleSource { // what belongs to an object may be older
		since = l.run.opts.Since
	}
	n := 0
	err := lifecycle.Guard(func() error {
		for rec, err := range lister.List(ctx, l.side.Object, since) {
			if err != nil {
				return err
			}
			n++
			l.rows++
			l.run.sometimes()
			if err := l.one(ctx, &rec, only, each); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx) // a list that was cut short is none
	}
	if err == nil && n == 0 && since.IsZero() {
		err = l.empty(ctx)
	}
	if err != nil {
		return l.failed(err)
	}
	return nil
}

// empty refuses a list that gave nothing where that is hardly true.
func (l *list) empty(ctx context.Context) error {
	const hint = `; look why, or write may-be-empty: true where that may be so`
	if l.side.MayBeEmpty {
		return nil
	}
	if l.flow == nil {
		return fmt.Errorf("it gave no object at all: %w%s", ErrEmpty, hint)
	}
	known, err := l.run.c.Store.CountKnown(ctx, l.side.Entity, l.side.System, l.flow.Name)
	if err != nil {
		return fmt.Errorf("count what is known: %w", err)
	}
	if known > 0 {
		return fmt.Errorf("it gave no object at all, and the hub knows %d there: %w%s", known, ErrEmpty, hint)
	}
	return nil
}

func (l *list) one(ctx context.Context, rec *connector.Record, only *hashes, each func(*entry) error) error {
	if rec.Deleted || only != nil && !only.has([]byte(rec.Local)) {
		return nil
	}
	e, wanted, err := l.entry(ctx, rec)
	if err != nil || !wanted {
		return err
	}
	return each(e)
}

// find looks for one object by its id. ok is false where it is gone, or is not wanted any more.
func (l *list) find(ctx context.Context, f connector.Finder, local string) (e *entry, ok bool, err error) {
	var got []connector.Record
	err = connector.Again(ctx, l.run.c.Clock, func() error {
		return lifecycle.Guard(func() (err error) {
			got, err = f.Find(ctx, connector.Lookup{Entity: l.side.Entity, Object: l.side.Object, Local: local})
			return err
		})
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, false, context.Cause(ctx)
	case err != nil && fault.KindOf(err) == fault.NotFound:
		return nil, false, nil
	case err != nil && fault.KindOf(err) == fault.Invalid: // it is there, and says nothing of the others
		got = []connector.Record{{Local: local, Err: err}}
	case err != nil:
		return nil, false, err
	}
	var rec *connector.Record
	for i := range got {
		if !got[i].Deleted && (rec == nil || got[i].Local == local) {
			rec = &got[i]
		}
	}
	if rec == nil {
		return nil, false, nil
	}
	l.rows++
	rec.Local = local // as the list calls it
	return l.entry(ctx, rec)
}

// entry makes of a record what the rule sees; wanted is false where `where` leaves it out. Its error is one of the run: what is wrong with the record
// stands in the entry.
func (l *list) entry(ctx context.Context, rec *connector.Record) (e *entry, wanted bool, err error) {
	e = &entry{local: rec.Local}
	if rec.Err != nil {
		e.why = "it cannot be read: " + rec.Err.Error()
		return e, true, nil
	}
	if rec.Local == "" {
		e.why = "it has no id"
		return e, true, nil
	}
	raw := jsondoc.Get()
	defer jsondoc.Put(raw)
	if err := raw.Reset(rec.Doc, jsondoc.Limits{}); err != nil {
		e.why = "it cannot be read: " + err.Error()
		return e, true, nil
	}
	known := &lookup{Lookup: l.run.c.Store}
	in := &mapping.Input{Doc: raw, Lookup: known, Now: l.run.now, Event: &event.Event{
		Source: l.side.System, Origin: l.side.System, Entity: l.side.Entity, Operation: event.Upsert, Version: rec.Version, Key: rec.Local, Local: rec.Local, Data: rec.Doc}}
	wanted, err = l.sees(ctx, e, in)
	if known.err != nil {
		return nil, false, fmt.Errorf("the cross-reference: %w", known.err)
	}
	return e, wanted, err
}

// sees fills in the document that the rule sees.
func (l *list) sees(ctx context.Context, e *entry, in *mapping.Input) (wanted bool, err error) {
	local := e.local
	if l.flow != nil && l.flow.ID != nil {
		if id, err := l.flow.ID.String(ctx, in); err == nil && id != "" {
			local = id
		}
	}
	hub, ok, err := l.run.c.Store.HubID(ctx, l.side.Entity, l.side.System, local)
	if err != nil {
		return false, fmt.Errorf("the cross-reference: %w", err)
	}
	if !ok {
		hub = state.MintHub(l.side.Entity, l.side.System, local) // what it will have once the hub sees it
	}
	e.hub, in.Event.Hub = hub, hub
	if l.side.Map == nil {
		e.doc = in.Doc.Bytes()
	} else {
		if l.buf, err = l.side.Map.Apply(ctx, in, l.buf[:0]); err != nil {
			if l.flow != nil && l.flow.When != nil && l.side.Map == l.flow.Map {
				if takes, failed := l.flow.When.Bool(ctx, in); failed == nil && !takes {
					return false, nil // what the flow leaves out need not fit its mapping
				}
			}
			e.why = err.Error()
			return true, ctx.Err()
		}
		e.doc = l.buf
	}
	if l.side.Where == nil {
		return true, nil
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if err := doc.Reset(e.doc, jsondoc.Limits{}); err != nil {
		e.doc, e.why = nil, "what it is mapped to cannot be read: "+err.Error()
		return true, nil
	}
	seen := *in
	seen.Doc = doc
	wanted, err = l.side.Where.Bool(ctx, &seen)
	if err != nil {
		e.why = "where: " + err.Error()
		return true, ctx.Err()
	}
	return wanted, nil
}

// lookup keeps the failure of the cross-reference itself: it is none of the document's.
type lookup struct {
	mapping.Lookup
	err error
}

func (l *lookup) HubID(ctx context.Context, entity, system, local string) (string, bool, error) {
	hub, ok, err := l.Lookup.HubID(ctx, entity, system, local)
	l.err = errors.Join(l.err, err)
	return hub, ok, err
}

func (l *lookup) LocalID(ctx context.Context, entity, system, hub string) (string, bool, error) {
	local, ok, err := l.Lookup.LocalID(ctx, entity, system, hub)
	l.err = errors.Join(l.err, err)
	return local, ok, err
}
