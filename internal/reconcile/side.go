package reconcile

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
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
	// apart: an object has another id in the hub than in the system.
	apart atomic.Bool
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
	flush := func() error {
		out, err := s.entries(ctx, batch)
		if err != nil {
			return err
		}
		batch, size = batch[:0], 0
		for _, e := range out {
			if err := each(&keyed{s.pairKey(e), e}); err != nil {
				return err
			}
		}
		return nil
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
	if s.def.Files {
		return s.fileRows(ctx, each)
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
	files, err := src.Pending(ctx, s.object())
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fault.New(fault.NotFound, "there is no file to compare with: put one into the drop")
	}
	newest := files[len(files)-1]
	for row, err := range src.Read(ctx, s.object(), newest, 0) {
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
		if e := all[i].e; e.own != e.local && e.local != "" {
			s.apart.Store(true)
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

// reading is a record on its way to be an entry.
type reading struct {
	e       *entry
	ev      event.Event
	lookup  mapping.Lookup
	m       decide.Message
	scratch []byte
	done    bool // it goes no further
}

// take notes what a step has decided.
func (r *reading) take(v *decide.Verdict, err error) error {
	switch {
	case err != nil || v == nil:
		return err
	case v.Outcome == state.Skipped:
		r.e.filtered = true
	default:
		r.e.why = v.Reason
	}
	r.done = true
	return nil
}

func (r *reading) fails(why string) { r.e.why, r.done = why, true }

// named finds out which object a record is.
func (s *side) named(ctx context.Context, r *reading, rec *connector.Record, lookup mapping.Lookup) error {
	r.e, r.lookup = &entry{own: rec.Local, local: rec.Local, version: rec.Version}, lookup
	if rec.Err != nil {
		r.fails("it cannot be read: " + rec.Err.Error())
		return nil
	}
	r.ev = event.Event{Source: s.def.System, Entity: s.entity, Operation: event.Upsert, Origin: s.def.System, Version: rec.Version, Key: rec.Local, Local: rec.Local, Data: rec.Doc}
	if s.flow == nil {
		return s.namedHere(ctx, r)
	}
	r.m = decide.Message{Flow: s.flow, Event: &r.ev, Lookup: lookup, Scratch: &r.scratch}
	_, v, err := r.m.Arrive(ctx, nil)
	if err := r.take(v, err); err != nil || r.done {
		return err
	}
	r.e.key = r.ev.Key
	err = r.take(r.m.Read(ctx))
	r.e.local = cmp.Or(r.m.Local, r.e.local)
	if r.ev.Operation == event.Delete { // the document says that it is gone
		r.e.filtered, r.done = true, true
	}
	r.e.version = r.ev.Version
	return err
}

// namedHere is named for a system that no flow reads.
func (s *side) namedHere(ctx context.Context, r *reading) error {
	if s.def.ID != nil {
		doc := jsondoc.Get()
		defer jsondoc.Put(doc)
		if err := doc.Reset(r.ev.Data, decide.DocumentLimits); err != nil {
			r.fails("it is no acceptable JSON: " + err.Error())
			return nil
		}
		id, err := s.def.ID.String(ctx, &mapping.Input{Doc: doc, Event: &r.ev, Lookup: r.lookup})
		switch {
		case err != nil:
			return s.unmapped(ctx, r, "id", err)
		case id == "":
			r.fails("it has no id")
			return nil
		}
		r.e.local, r.ev.Local, r.ev.Key = id, id, id
	}
	r.e.key = r.ev.Key
	return nil
}

// mapped makes what is compared. The hub id of the object is known, where the hub knows it.
func (s *side) mapped(ctx context.Context, r *reading) error {
	if r.done {
		return nil
	}
	if r.ev.Hub = r.e.hub; r.ev.Hub == "" {
		r.ev.Hub = state.MintHub(s.entity, s.def.System, r.e.local)
	}
	var err error
	if s.flow != nil && s.def.Map == s.flow.Map {
		if err = r.take(r.m.Map(ctx)); err == nil && !r.done {
			r.e.doc = r.m.Out
		}
	} else {
		err = s.apply(ctx, r)
	}
	if err == nil && !r.done && s.def.Then != nil {
		err = s.then(ctx, r)
	}
	if err != nil || r.done || s.def.Where == nil {
		return err
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if err := doc.Reset(r.e.doc, decide.DocumentLimits); err != nil {
		r.fails("what it maps to cannot be read: " + err.Error())
		return nil
	}
	in, err := s.def.Where.Bool(ctx, &mapping.Input{Doc: doc, Event: &r.ev, Lookup: r.lookup})
	if err != nil {
		return s.unmapped(ctx, r, "where", err)
	}
	r.e.filtered = !in
	return nil
}

// then makes of a mapped document what the flow that writes to the other side would write there.
func (s *side) then(ctx context.Context, r *reading) error {
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if err := doc.Reset(r.e.doc, decide.DocumentLimits); err != nil {
		r.fails("what it maps to cannot be read: " + err.Error())
		return nil
	}
	out, err := s.def.Then.Apply(ctx, &mapping.Input{Doc: doc, Event: &r.ev, Lookup: r.lookup}, nil)
	if err != nil {
		return s.unmapped(ctx, r, "map", err)
	}
	r.e.doc, r.e.before = out, r.e.doc
	return nil
}

// apply maps with the side's own mapping.
func (s *side) apply(ctx context.Context, r *reading) error {
	if s.def.Map == nil {
		r.e.doc = r.ev.Data
		return nil
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if err := doc.Reset(r.ev.Data, decide.DocumentLimits); err != nil {
		r.fails("it is no acceptable JSON: " + err.Error())
		return nil
	}
	out, err := s.def.Map.Apply(ctx, &mapping.Input{Doc: doc, Event: &r.ev, Lookup: r.lookup}, nil)
	if err != nil {
		return s.unmapped(ctx, r, "map", err)
	}
	r.e.doc = out
	return nil
}

// unmapped is for a record that an expression or a mapping does not take. What the store or the end of ctx has made fail says nothing of the record.
func (s *side) unmapped(ctx context.Context, r *reading, what string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.fails(decide.Refuse(what, err).Reason)
	return nil
}

// failing is a look-up that remembers its failure: what could not be looked up says nothing of a record.
type failing struct {
	mapping.Lookup
	err error
}

func (f *failing) HubID(ctx context.Context, entity, system, local string) (string, bool, error) {
	hub, ok, err := f.Lookup.HubID(ctx, entity, system, local)
	f.err = errors.Join(f.err, err)
	return hub, ok, err
}

func (f *failing) LocalID(ctx context.Context, entity, system, hub string) (string, bool, error) {
	local, ok, err := f.Lookup.LocalID(ctx, entity, system, hub)
	f.err = errors.Join(f.err, err)
	return local, ok, err
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
		e.hub = known[e.local].Hub
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
		if k := v.Kind(); k == jsondoc.Missing || k == jsondoc.Null {
			return nil, fmt.Sprintf("it has no %s, by which objects are paired", f)
		}
		part := s.rules.Key(f, v)
		key = append(binary.AppendUvarint(key, uint64(len(part))), part...)
	}
	return key, ""
}

// plainField is an expression that is a field of the document, by which a system may be asked.
var plainField = regexp.MustCompile(`^(?:text\()?source\.([A-Za-z_][A-Za-z0-9_.]*)\)?$`)

// errCannotAsk: the system cannot be asked for one object.
var errCannotAsk = errors.New("it cannot be asked for one object")

// find asks the system for one object: by its own id, or by the one that the hub knows. nil: it is not there.
func (s *side) find(ctx context.Context, own, local string) (*entry, error) {
	f, ok := s.system.(connector.Finder)
	if !ok || s.def.Files {
		return nil, errCannotAsk
	}
	look, sure := connector.Lookup{Entity: s.entity, Object: s.object(), Local: own}, true
	if own == "" {
		look, sure = s.lookFor(local)
	}
	var got []connector.Record
	tries := 0
	err := lifecycle.Retry(ctx, s.clock, lifecycle.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}, func() error {
		return lifecycle.Guard(func() (err error) {
			got, err = f.Find(ctx, look)
			return err
		})
	}, func(err error, _ time.Duration) error {
		if tries++; tries >= mostTries || !passing(err) {
			return err
		}
		return nil
	})
	switch {
	case errors.Is(err, connector.ErrNoLookup):
		return nil, errCannotAsk
	case fault.KindOf(err) == fault.NotFound && err != nil:
		got = nil
	case err != nil:
		return nil, fmt.Errorf("the %s side, %s: look for %s %s%s: %w", s.name, s.def.System, s.object(), own, local, err)
	}
	for i := range got {
		if got[i].Deleted {
			continue
		}
		e, err := s.entries(ctx, got[i:i+1])
		if err != nil {
			return nil, err
		}
		if own == "" && e[0].local != local {
			continue // another object has the id there that this one has in the hub
		}
		return e[0], nil
	}
	if !sure {
		return nil, errCannotAsk
	}
	return nil, nil
}

// lookFor is the question for an object by the id that the hub knows; sure: where it finds nothing, nothing is there.
func (s *side) lookFor(local string) (l connector.Lookup, sure bool) {
	l = connector.Lookup{Entity: s.entity, Object: s.object()}
	id := s.idExpr()
	if id != nil && (s.apart.Load() || s.rows.Load() == 0) {
		if m := plainField.FindStringSubmatch(strings.TrimSpace(id.Text())); m != nil {
			l.Natural = map[string]string{m[1]: local}
			return l, true
		}
	}
	l.Local = local
	return l, id == nil || s.rows.Load() > 0 && !s.apart.Load()
}

// mostTries is how often a question is put to a system that fails.
const mostTries = 8

// passing reports whether a failure may be over soon.
func passing(err error) bool {
	k := fault.KindOf(err)
	return k == fault.Unavailable || k == fault.RateLimited || k == fault.UnknownOutcome
}

// idExpr is by what the hub knows objects of the side, where that is another id than the system's.
func (s *side) idExpr() *mapping.Expr {
	switch {
	case s.flow != nil && s.flow.ID != nil:
		return s.flow.ID
	case s.flow != nil:
		return s.flow.Key
	}
	return s.def.ID
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
