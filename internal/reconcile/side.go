package reconcile

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/reconcile/index"
	"github.com/waybill-hub/waybill/internal/spill"
)

// chunk is how many records are looked up in the cross-reference at once, and chunkBytes how many bytes of documents.
const (
	chunk      = 500
	chunkBytes = 4 << 20
)

// side reads one system of a comparison.
type side struct {
	name   string // left or right
	entity string
	def    *config.Side
	match  config.Match
	// rules say which values of the fields of match are one; nil: those that are equal.
	rules  *compare.Rules
	system connector.System
	flow   *config.Flow // nil: none reads it
	store  Store
	clock  lifecycle.Clock
	rows   atomic.Int64 // read so far
	// file is what is read of a drop, once it was chosen.
	file *connector.File
	// index keeps what the system holds from run to run; nil: everything is listed. found is what its update came to; anew: it is to read everything.
	index *index.Index
	found *index.Found
	anew  bool
	// apart: an object has another id in the hub than in the system. alike: one has the same.
	apart, alike atomic.Bool
	pace         func() *pace
}

func (s *side) object() string {
	if s.def.Object != "" {
		return s.def.Object
	}
	return s.entity
}

// keyed is an object with the key under which it is paired.
type keyed struct {
	key []byte
	e   *entry
}

// read lists everything, or what has changed since, and hands it over as it is to be compared. A list that ends with an error is none.
func (s *side) read(ctx context.Context, since time.Time, each func(*keyed) error) error {
	batch, size := make([]connector.Record, 0, chunk), 0
	pace := s.pace()
	flush := func() error {
		out, err := s.entries(ctx, batch)
		if err == nil && s.index != nil && since.IsZero() {
			out, err = s.present(ctx, out)
		}
		if err != nil {
			return err
		}
		batch, size = batch[:0], 0
		for _, e := range out {
			if err := each(&keyed{s.pairKey(e), e}); err != nil {
				return err
			}
		}
		return pace.rest(ctx)
	}
	err := lifecycle.Guard(func() error {
		return s.records(ctx, since, func(r *connector.Record) error {
			s.rows.Add(1)
			if r.Deleted {
				return nil
			}
			batch, size = append(batch, *r), size+len(r.Doc)
			if len(batch) == cap(batch) || size > chunkBytes {
				return flush()
			}
			return nil
		})
	})
	if err == nil {
		err = flush()
	}
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx) // a listing that was cut short is none
	}
	if err != nil {
		return fmt.Errorf("the %s side, %s of %s: %w", s.name, s.object(), s.def.System, err)
	}
	return nil
}

// records gives each record of the side.
func (s *side) records(ctx context.Context, since time.Time, each func(*connector.Record) error) error {
	switch {
	case s.def.Files:
		return s.fileRows(ctx, each)
	case s.index != nil && since.IsZero():
		return s.indexed(ctx, each)
	}
	l, ok := s.system.(connector.Lister)
	if !ok {
		return fault.New(fault.Invalid, "it cannot list what it holds")
	}
	for r, err := range l.List(ctx, s.object(), since) {
		if err != nil {
			return err
		}
		if err := each(&r); err != nil {
			return err
		}
	}
	return nil
}

// fileRows gives the rows of the newest file of a drop, which stays where it is.
func (s *side) fileRows(ctx context.Context, each func(*connector.Record) error) error {
	src, ok := s.system.(connector.FileSource)
	if !ok {
		return fault.New(fault.Invalid, "it holds no files")
	}
	newest, err := s.newest(ctx, src)
	if err != nil {
		return err
	}
	for row, err := range src.Read(ctx, s.object(), *newest, 0) {
		r := connector.Record{Local: fmt.Sprintf("%s:%d", newest.Name, row.Number), Doc: row.Doc, Err: err}
		if row.Number == 0 && err != nil {
			return err // the file, and not a row of it
		}
		if err := each(&r); err != nil {
			return err
		}
	}
	return nil
}

// ripens is how long a file is waited for that may still be written to.
const ripens = 2 * time.Minute

// newest is the newest file of the drop: the same one for all looks of a run. One that may be half an upload is waited for.
func (s *side) newest(ctx context.Context, src connector.FileSource) (*connector.File, error) {
	if s.file != nil {
		return s.file, nil
	}
	before := ""
	for began := s.clock.Elapsed(); ; {
		files, err := src.Pending(ctx, s.object())
		if err != nil {
			return nil, err
		}
		young := heldBack(src, s.object())
		if young == "" && before != "" { // the one that was waited for may not be among these
			before = ""
			continue
		}
		before = young
		switch {
		case young == "" && len(files) == 0:
			return nil, fault.New(fault.NotFound, "there is no file to compare with: put one into the drop")
		case young == "":
			s.file = &files[len(files)-1]
			return s.file, nil
		case s.clock.Elapsed()-began > ripens:
			return nil, fault.New(fault.Unavailable, "%s is not known to be complete yet: it was still written to", young)
		}
		if err := lifecycle.Sleep(ctx, s.clock, time.Second); err != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// heldBack names a file of the drop that may be half an upload; empty: there is none, or nobody knows.
func heldBack(src connector.FileSource, object string) string {
	if r, ok := src.(connector.FileRipener); ok {
		if name := r.Ripening(object); name != "" {
			return name
		}
	}
	notes, ok := src.(connector.FileNoter)
	if !ok {
		return ""
	}
	for _, n := range notes.FileNotes(object) {
		if !n.Since.IsZero() {
			return n.Name
		}
	}
	return ""
}

// entries maps records to what is compared. Its error is one of the run; what is wrong with a record stands in its entry.
func (s *side) entries(ctx context.Context, recs []connector.Record) ([]*entry, error) {
	all, out := make([]reading, len(recs)), make([]*entry, len(recs))
	defer func() {
		for i := range all {
			all[i].m.Dispose()
		}
	}()
	lookup := &failing{Lookup: s.store}
	for i := range recs {
		if err := s.named(ctx, &all[i], &recs[i], lookup); err != nil {
			return nil, err
		}
		out[i] = all[i].e
	}
	if err := s.known(ctx, out); err != nil {
		return nil, err
	}
	for i := range all {
		if e := all[i].e; e.local != "" {
			if e.own != e.local {
				s.apart.Store(true)
			} else if !all[i].done {
				s.alike.Store(true)
			}
		}
		if err := s.mapped(ctx, &all[i]); err != nil {
			return nil, err
		}
		if lookup.err != nil {
			return nil, lookup.err
		}
	}
	return out, nil
}

// known gives entries their hub ids.
func (s *side) known(ctx context.Context, batch []*entry) error {
	ids := make([]string, 0, len(batch))
	for _, e := range batch {
		if e.local != "" {
			ids = append(ids, e.local)
		}
	}
	known, err := s.store.KnownByLocal(ctx, s.entity, s.def.System, ids)
	if err != nil {
		return fmt.Errorf("read what is known: %w", err)
	}
	for _, e := range batch {
		e.hub, e.gone = known[e.local].Hub, known[e.local].Deleted
	}
	return nil
}

// pairKey is the key under which an object meets its other half. One that has none is alone.
func (s *side) pairKey(e *entry) []byte {
	if s.match.Xref {
		if e.hub == "" {
			return s.alone(e)
		}
		return []byte("h" + e.hub)
	}
	key, why := s.fieldKey(e)
	if key == nil {
		e.why = cmp.Or(e.why, why)
		return s.alone(e)
	}
	return key
}

func (s *side) alone(e *entry) []byte { return []byte(s.name[:1] + e.own) }

// fieldKey is the key of the fields by which objects are paired; without one, why there is none.
func (s *side) fieldKey(e *entry) (key []byte, why string) {
	if e.doc == nil {
		return nil, ""
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if err := doc.Reset(e.doc, decide.DocumentLimits); err != nil {
		return nil, "what it maps to cannot be read: " + err.Error()
	}
	key = []byte("f")
	for _, f := range s.match.Fields {
		v := doc.Root().GetPath(f)
		if s.rules.None(f, v) {
			return nil, fmt.Sprintf("it has no %s, by which objects are paired", f)
		}
		part := s.rules.Key(f, v)
		key = append(binary.AppendUvarint(key, uint64(len(part))), part...)
	}
	return key, ""
}

// sorted reads the side and sorts it by key; without keep, what was read is only shown to each.
func (s *side) sorted(ctx context.Context, c spill.Config, since time.Time, keep bool, each func(*keyed)) (*spill.Sorter, error) {
	out := spill.New(c)
	var b []byte
	err := s.read(ctx, since, func(k *keyed) error {
		each(k)
		if !keep {
			return nil
		}
		b = k.e.append(b[:0])
		return out.Add(k.key, b)
	})
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}
