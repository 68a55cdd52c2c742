package intake

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/idset"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// compare notes which objects a chunk of the list holds, and takes those records that the hub does not know as they are: changes that polls have
// missed.
func (s *sweeper) compare(ctx context.Context, t *lease.Held, chunk []connector.Record, there *idset.Set, found *swept) error {
	ids := make([]string, len(chunk))
	var ask []string
	for i := range chunk {
		id, err := s.object(ctx, &chunk[i], there, found)
		if err != nil {
			return err
		}
		if ids[i] = id; id != "" {
			ask = append(ask, id)
		}
	}
	known, err := s.store.KnownByLocal(ctx, s.src.Entity, s.src.System, ask)
	if err != nil {
		return fmt.Errorf("read what is known: %w", err)
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	var rows []state.Inbound
	for i := range chunk {
		rec := &chunk[i]
		row, news := s.news(doc, rec, known, ids[i])
		switch {
		case !news:
		case rec.Version == "" && !s.src.Versioned:
			if err := s.freshly(ctx, t, rec, known, ids[i], found); err != nil {
				return err
			}
		default:
			rows = append(rows, row)
		}
	}
	fresh, err := s.submit(ctx, t, rows)
	found.taken += fresh
	return err
}

// object gives the id by which the hub knows the object of a record, and notes that it is there; empty where the record does not say it.
func (s *sweeper) object(ctx context.Context, rec *connector.Record, there *idset.Set, found *swept) (string, error) {
	found.listed++
	if rec.Err != nil {
		found.unreadable++
	}
	eval := s.src.ID
	if eval == nil {
		eval = s.src.Key
	}
	id := rec.Local
	if eval != nil {
		var err error
		if id, err = s.named(ctx, rec, eval); err != nil {
			return "", err
		}
		if id != "" && rec.Err != nil { // what cannot be read as it is may be the very field that names the object: only a name that is known counts
			known, err := s.store.KnownByLocal(ctx, s.src.Entity, s.src.System, []string{id})
			if err != nil {
				return "", fmt.Errorf("read what is known: %w", err)
			}
			if _, is := known[id]; !is {
				id = ""
			}
		}
	}
	if id == "" {
		there.Add(rec.Local)
		found.nameless = append(found.nameless, rec.Local)
		found.unnamed = cmp.Or(rec.Local, "one without an id")
		return "", nil
	}
	there.Add(id)
	found.apart = found.apart || id != rec.Local
	return id, nil
}

// named evaluates the id of a record's object; empty where the document does not give it.
func (s *sweeper) named(ctx context.Context, rec *connector.Record, eval inbox.Eval) (id string, err error) {
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if doc.Reset(rec.Doc, inbox.DocumentLimits) != nil {
		return "", nil
	}
	ev := event.Event{Source: s.src.System, Entity: s.src.Entity, Operation: event.Upsert, Origin: s.src.System, Version: rec.Version, Data: rec.Doc}
	err = lifecycle.Guard(func() (err error) {
		id, err = eval(ctx, inbox.Input{Doc: doc, Event: &ev, Headers: map[string]string{inbox.HeaderLocal: rec.Local}})
		return err
	})
	switch {
	case err == nil:
		return id, nil
	case inbox.Transient(ctx, err):
		return "", fmt.Errorf("evaluate the id of %s: %w", rec.Local, err)
	}
	return "", nil
}

// news makes the inbox row of a record, and reports whether the hub may not know it as it is.
//
// The event by which an object is known is named by the record's id, version and content, so it tells whether the record is the same. What differs is
// named as a poll names it, and the store leaves out what was accepted before. Where that name does not tell two states apart (there is no version, or
// both have the same, or the object had gone), the row is named by what is known, too: the same news are taken once.
func (s *sweeper) news(doc *jsondoc.Doc, rec *connector.Record, all map[string]state.KnownObject, id string) (row state.Inbound, news bool) {
	known, there := all[id]
	if rec.Err != nil || rec.Deleted && (!there || known.Deleted) {
		return row, false
	}
	c := s.candidate(doc, rec)
	version := rec.Local + "@" + rec.Version + "#"
	name := version + c.now.content
	// A log names its changes itself, and the version of a list of its table is that of the list.
	logged := s.src.stream() != ""
	if rec.Version == "" || logged {
		name = rec.Local + "#" + c.now.content
	}
	clean := inbox.CleanID(name)
	if there && !known.Deleted && (known.EventID == clean || strings.HasPrefix(known.EventID, clean+"~") || logged && strings.HasSuffix(known.EventID, "#"+c.now.content)) {
		return row, false
	}
	if rec.Version == "" || logged || there && (known.Deleted || strings.HasPrefix(known.EventID, version)) {
		c.row.ID = inbox.CleanID(name + after(known.EventID))
		c.row.DeliveryID = c.row.ID
	}
	return c.row, true
}

// after names the state behind which something came.
func after(eventID string) string {
	sum := sha256.Sum256([]byte(eventID))
	return "~after:" + hex.EncodeToString(sum[:6])
}

// freshly takes a record without a version as it is now. Such records are ordered by their acceptance, so that no poll may take a newer state between
// the look and the commit.
func (s *sweeper) freshly(ctx context.Context, t *lease.Held, rec *connector.Record, known map[string]state.KnownObject, id string, found *swept) error {
	finder, ok := s.poll.Poller.(connector.Finder)
	if !ok {
		found.left++
		return nil
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	var got []connector.Record
	err := lifecycle.Guard(func() (err error) {
		got, err = finder.Find(ctx, connector.Lookup{Entity: s.src.Entity, Object: s.poll.Object, Local: rec.Local})
		return err
	})
	switch {
	case errors.Is(err, connector.ErrNoLookup):
		found.left++
		return nil
	case err != nil:
		return fmt.Errorf("look at %s again: %w", rec.Local, err)
	case len(got) != 1:
		return nil
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	row, news := s.news(doc, &got[0], known, id)
	if !news {
		return nil
	}
	fresh, err := s.submit(ctx, t, []state.Inbound{row})
	found.taken += fresh
	return err
}
