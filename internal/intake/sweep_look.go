package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/idset"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	sweepChunk = 500
	// mostFinds is how many missing objects are asked for one by one; more are looked for in a second listing.
	mostFinds = 1000
)

// Known is what the hub knows of a system's objects.
type Known interface {
	KnownObjects(ctx context.Context, entity, system, flow, after string, limit int) ([]state.KnownObject, error)
	CountKnown(ctx context.Context, entity, system, flow string) (int, error)
	KnownByLocal(ctx context.Context, entity, system string, locals []string) (map[string]state.KnownObject, error)
	AcceptedSince(ctx context.Context, flow string, after int64, without string, limit int) ([]state.Inbound, error)
}

// swept is what a sweep has found so far.
type swept struct {
	listed, unreadable, taken, left, deleted int
	// unnamed is one of the records that are there and do not say which known object they are; nameless are their ids in the system.
	unnamed  string
	nameless []string
	// apart: an object has another id in the flow than in the system, so that the system cannot be asked for it by what is known.
	apart bool
	held  string
}

func (f *swept) text() string {
	text := fmt.Sprintf("%d listed, %d deleted", f.listed, f.deleted)
	for _, part := range []struct {
		n    int
		what string
	}{{f.taken, "taken that polls had not brought"}, {f.unreadable, "cannot be read and count as there"}, {f.left, "without a version left to polls"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	return text
}

// look lists what is there, takes what the hub does not know, and submits a delete for what is known and gone. A listing that fails decides nothing.
func (s *sweeper) look(ctx context.Context, t *lease.Held, bound config.AtMost) (*swept, error) {
	began, found, there := s.clock.Now(), &swept{}, &idset.Set{}
	err := s.list(ctx, there, func(chunk []connector.Record) error { return s.compare(ctx, t, chunk, there, found) })
	if err != nil {
		return found, err
	}
	known, err := s.store.CountKnown(ctx, s.src.Entity, s.src.System, s.src.Flow)
	if err != nil {
		return found, fmt.Errorf("count what is known: %w", err)
	}
	allowed := bound.Of(known)
	gone, missing, err := s.missing(ctx, there, began, allowed)
	if err != nil || missing == 0 {
		return found, err
	}
	gone, missing, err = s.lookAgain(ctx, t, there, found, gone, missing, began, allowed)
	switch {
	case err != nil:
		return found, err
	case missing > allowed:
		found.held = fmt.Sprintf("%d of %d known objects are missing in %s, and at-most is %s: nothing was deleted; look why, and where they are gone, `waybill sweep %s --at-most %d` confirms it",
			missing, known, s.src.System, bound, s.src.Flow, missing)
		return found, nil
	}
	gone, doubtful := found.rule(gone)
	if len(gone) > 0 && doubtful {
		found.held = fmt.Sprintf("%d of %d known objects are missing in %s, but %d records do not say which objects they are, such as %s: nothing was deleted", len(gone), known, s.src.System, len(found.nameless), found.unnamed)
		return found, nil
	}
	return found, s.delete(ctx, t, gone, found)
}

// rule leaves out of gone what a nameless record is: the event by which an object is known begins with the id in the system of the record that it was
// read from. doubtful: a record has no id in the system, or an event does not tell.
func (f *swept) rule(gone []state.KnownObject) (left []state.KnownObject, doubtful bool) {
	if len(f.nameless) == 0 {
		return gone, false
	}
	doubtful = slices.Contains(f.nameless, "")
	for _, o := range gone {
		if slices.ContainsFunc(f.nameless, func(local string) bool {
			return local != "" && (strings.HasPrefix(o.EventID, local+"@") || strings.HasPrefix(o.EventID, local+"#"))
		}) {
			continue
		}
		left = append(left, o)
		doubtful = doubtful || strings.HasPrefix(o.EventID, "sha256:") || !strings.ContainsAny(o.EventID, "@#")
	}
	return left, doubtful
}

// list goes through everything that the system holds, a chunk at a time. A record that cannot be read is there.
func (s *sweeper) list(ctx context.Context, there *idset.Set, each func([]connector.Record) error) error {
	chunk := make([]connector.Record, 0, sweepChunk)
	for rec, err := range s.sweep.Lister.List(ctx, s.poll.Object, time.Time{}) {
		if err != nil {
			return fmt.Errorf("list %s of %s: %w", s.poll.Object, s.src.System, err)
		}
		if chunk = append(chunk, rec); len(chunk) == sweepChunk {
			if err := each(chunk); err != nil {
				return err
			}
			chunk = chunk[:0]
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // a listing that was cut short is none
	}
	return each(chunk)
}

// listIDs notes the ids that a second listing gives, where they cost less than documents.
func (s *sweeper) listIDs(ctx context.Context, l connector.IDLister, there *idset.Set) error {
	return lifecycle.Guard(func() error {
		for id, err := range l.ListIDs(ctx, s.poll.Object) {
			if err != nil {
				return fmt.Errorf("list the ids of %s of %s: %w", s.poll.Object, s.src.System, err)
			}
			there.Add(id)
		}
		return context.Cause(ctx) // a listing that was cut short is none
	})
}

// missing gives what is known and not there, up to limit, and how much it is. What the hub has learned of since the listing began is left out: the
// listing may have been past it.
func (s *sweeper) missing(ctx context.Context, there *idset.Set, began time.Time, limit int) ([]state.KnownObject, int, error) {
	gone, n, err := idset.Lacking(there, s.known(ctx, began), func(o state.KnownObject) string { return o.Local }, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("read what is known: %w", err)
	}
	return gone, n, nil
}

func (s *sweeper) known(ctx context.Context, before time.Time) iter.Seq2[state.KnownObject, error] {
	return func(yield func(state.KnownObject, error) bool) {
		after := ""
		for {
			page, err := s.store.KnownObjects(ctx, s.src.Entity, s.src.System, s.src.Flow, after, 10*sweepChunk)
			if err != nil {
				yield(state.KnownObject{}, err)
				return
			}
			for _, o := range page {
				if o.Updated.Before(before) && !yield(o, nil) {
					return
				}
			}
			if len(page) < 10*sweepChunk {
				return
			}
			after = page[len(page)-1].Local
		}
	}
}

// lookAgain believes nothing that one listing alone says: objects are asked for one by one where the system can be, and looked for in a second
// listing else, of ids alone where that costs less. What is found was missed by the list, and is compared as the rest was.
func (s *sweeper) lookAgain(ctx context.Context, t *lease.Held, there *idset.Set, found *swept, gone []state.KnownObject, missing int, began time.Time, allowed int) ([]state.KnownObject, int, error) {
	if finder, ok := s.poll.Poller.(connector.Finder); ok && !found.apart && found.listed > 0 && missing <= min(allowed, mostFinds) {
		left, err := s.find(ctx, t, finder, gone, found)
		if !errors.Is(err, connector.ErrNoLookup) {
			found.nameless = nil // each was asked for
			return left, len(left), err
		}
	}
	if ids, ok := s.poll.Poller.(connector.IDLister); ok && !found.apart && found.listed > 0 && ids.ListsIDs(s.poll.Object) {
		if err := s.listIDs(ctx, ids, there); err != nil {
			return nil, 0, err
		}
		return s.missing(ctx, there, began, allowed)
	}
	again := &swept{}
	err := s.list(ctx, there, func(chunk []connector.Record) error {
		for i := range chunk {
			if _, err := s.object(ctx, &chunk[i], there, again); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	found.nameless, found.unnamed = append(found.nameless, again.nameless...), cmp.Or(found.unnamed, again.unnamed)
	slices.Sort(found.nameless)
	found.nameless = slices.Compact(found.nameless)
	return s.missing(ctx, there, began, allowed)
}

// find gives those that the system does not have when it is asked for them.
func (s *sweeper) find(ctx context.Context, t *lease.Held, finder connector.Finder, gone []state.KnownObject, found *swept) (left []state.KnownObject, err error) {
	for _, o := range gone {
		var got []connector.Record
		err := lifecycle.Guard(func() (err error) {
			got, err = finder.Find(ctx, connector.Lookup{Entity: s.src.Entity, Object: s.poll.Object, Local: o.Local})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("look for %s, which the list does not hold: %w", o.Local, err)
		}
		if len(got) == 0 {
			left = append(left, o)
			continue
		}
		if err := s.compare(ctx, t, got, &idset.Set{}, found); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// delete submits deletes through the ordinary door. A delete is named by what was known of the object, so that a sweep which is repeated after a crash
// submits none twice.
func (s *sweeper) delete(ctx context.Context, t *lease.Held, gone []state.KnownObject, found *swept) error {
	for len(gone) > 0 {
		n := min(len(gone), sweepChunk)
		rows := make([]state.Inbound, n)
		for i, o := range gone[:n] {
			id := inbox.CleanID(o.Local + "@" + o.Received + "#gone" + after(o.EventID))
			rows[i] = state.Inbound{Flow: s.src.Flow, ID: id, DeliveryID: id, Trace: inbox.Trace(), Received: s.clock.Now(),
				Headers: map[string]string{inbox.HeaderLocal: o.Local, inbox.HeaderDeleted: "true", inbox.HeaderKnown: o.Received}}
		}
		fresh, err := s.submit(ctx, t, rows)
		if err != nil {
			return err
		}
		found.deleted += fresh
		gone = gone[n:]
	}
	return nil
}

// submit takes rows as a poll does, without moving the cursor.
func (s *sweeper) submit(ctx context.Context, t *lease.Held, rows []state.Inbound) (fresh int, err error) {
	if len(rows) == 0 {
		return 0, nil
	}
	if err := t.Check(s.clock); err != nil {
		return 0, err
	}
	lease := t.Lease()
	outcome, _, err := s.store.Accept(ctx, rows, nil, &lease)
	if err != nil {
		return 0, fmt.Errorf("commit what a sweep has found: %w", err)
	}
	for _, o := range outcome {
		if o == state.AcceptedNew {
			fresh++
		}
	}
	s.wake(s.src.Flow)
	return fresh, nil
}
