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

// chunk is how many records are looked up in the cross-reference at once.
const chunk = 500

// side reads one system of a comparison.
type side struct {
	name   string // left or right
	entity string
	def    *config.Side
	match  config.Match
	system connector.System
	flow   *config.Flow // nil: none reads it
	store  Store
	clock  lifecycle.Clock
	rows   atomic.Int64 // read so far
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
	batch := make([]*entry, 0, chunk)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		out, err := s.pairs(ctx, batch)
		if err != nil {
			return err
		}
		batch = batch[:0]
		for i := range out {
			if err := each(&out[i]); err != nil {
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
			e, err := s.entry(ctx, r)
			if err != nil {
				return err
			}
			if batch = append(batch, e); len(batch) == cap(batch) {
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

// entry maps a record to what is compared. Its error is one of the run; what is wrong with the record stands in the entry.
func (s *side) entry(ctx context.Context, r *connector.Record) (*entry, error) {
	e := &entry{own: r.Local, local: r.Local, version: r.Version}
	if r.Err != nil {
		e.why = "it cannot be read: " + r.Err.Error()
		return e, nil
	}
	ev := event.Event{Source: s.def.System, Entity: s.entity, Operation: event.Upsert, Origin: s.def.System, Version: r.Version, Key: r.Local, Local: r.Local, Data: r.Doc}
	var err error
	if s.flow != nil {
		err = s.byFlow(ctx, e, &ev)
	} else {
		err = s.byMap(ctx, e, &ev)
	}
	if err != nil || e.why != "" || e.filtered || s.def.Where == nil {
		return e, err
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if err := doc.Reset(e.doc, decide.DocumentLimits); err != nil {
		e.why = "what it maps to cannot be read: " + err.Error()
		return e, nil
	}
	in, err := s.def.Where.Bool(ctx, &mapping.Input{Doc: doc, Event: &ev, Lookup: s.store})
	if err != nil {
		return e, s.unmapped(ctx, e, "where", err)
	}
	e.filtered = !in
	return e, nil
}

// byFlow takes the record as the flow that reads the system would.
func (s *side) byFlow(ctx context.Context, e *entry, ev *event.Event) error {
	scratch := make([]byte, 0, 2*len(ev.Data))
	lookup := &failing{Lookup: s.store}
	m := decide.Message{Flow: s.flow, Event: ev, Lookup: lookup, Scratch: &scratch}
	defer m.Dispose()
	step := func(v *decide.Verdict, err error) (bool, error) {
		switch {
		case err == nil && lookup.err != nil:
			err = lookup.err
			fallthrough
		case err != nil:
			return false, err
		case v == nil:
			return true, nil
		case v.Outcome == state.Skipped:
			e.filtered = true
		default:
			e.why = v.Reason
		}
		return false, nil
	}
	_, v, err := m.Arrive(ctx, nil)
	if on, err := step(v, err); !on {
		return err
	}
	e.key = ev.Key
	on, err := step(m.Read(ctx))
	if m.Local != "" {
		e.local = m.Local
	}
	if !on {
		return err
	}
	if ev.Operation == event.Delete { // the document says that it is gone
		e.filtered = true
		return nil
	}
	e.version = ev.Version
	if s.def.Map != s.flow.Map {
		return s.apply(ctx, e, ev)
	}
	if on, err := step(m.Map(ctx)); !on {
		return err
	}
	e.doc = m.Out
	return nil
}

// byMap takes the record of a system that no flow reads.
func (s *side) byMap(ctx context.Context, e *entry, ev *event.Event) error {
	if s.def.ID != nil {
		doc := jsondoc.Get()
		defer jsondoc.Put(doc)
		if err := doc.Reset(ev.Data, decide.DocumentLimits); err != nil {
			e.why = "it is no acceptable JSON: " + err.Error()
			return nil
		}
		id, err := s.def.ID.String(ctx, &mapping.Input{Doc: doc, Event: ev, Lookup: s.store})
		if err != nil {
			return s.unmapped(ctx, e, "id", err)
		}
		if id == "" {
			e.why = "it has no id"
			return nil
		}
		e.local, ev.Local, ev.Key = id, id, id
	}
	e.key = ev.Key
	return s.apply(ctx, e, ev)
}

// apply maps with the side's own mapping.
func (s *side) apply(ctx context.Context, e *entry, ev *event.Event) error {
	if s.def.Map == nil {
		e.doc = ev.Data
		return nil
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if err := doc.Reset(ev.Data, decide.DocumentLimits); err != nil {
		e.why = "it is no acceptable JSON: " + err.Error()
		return nil
	}
	out, err := s.def.Map.Apply(ctx, &mapping.Input{Doc: doc, Event: ev, Lookup: s.store}, nil)
	if err != nil {
		return s.unmapped(ctx, e, "map", err)
	}
	e.doc = out
	return nil
}

// unmapped is for a record that an expression or a mapping does not take. What the store or the end of ctx has made fail says nothing of the record.
func (s *side) unmapped(ctx context.Context, e *entry, what string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if v := decide.Refuse(what, err); v.Kind == what && fault.KindOf(err) != fault.Invalid { // neither schema nor mapping
		return err
	}
	e.why = err.Error()
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

// pairs gives entries the keys under which they are paired, and their hub ids.
func (s *side) pairs(ctx context.Context, batch []*entry) ([]keyed, error) {
	if err := s.known(ctx, batch); err != nil {
		return nil, err
	}
	out := make([]keyed, len(batch))
	for i, e := range batch {
		out[i] = keyed{s.pairKey(e), e}
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
		b := jsondoc.AppendCanonical(nil, v)
		key = append(binary.AppendUvarint(key, uint64(len(b))), b...)
	}
	return key, ""
}

// plainField is an expression that is a field of the document, by which a system may be asked.
var plainField = regexp.MustCompile(`^source\.([A-Za-z_][A-Za-z0-9_.]*)$`)

// errCannotAsk: the system cannot be asked for one object.
var errCannotAsk = errors.New("it cannot be asked for one object")

// find asks the system for one object: by its own id, or by the one that the hub knows. nil: it is not there.
func (s *side) find(ctx context.Context, own, local string) (*entry, error) {
	f, ok := s.system.(connector.Finder)
	if !ok || s.def.Files {
		return nil, errCannotAsk
	}
	look := connector.Lookup{Entity: s.entity, Object: s.object(), Local: own}
	if own == "" {
		look.Local = local
		if id := s.idExpr(); id != nil {
			m := plainField.FindStringSubmatch(strings.TrimSpace(id.Text()))
			if m == nil {
				return nil, errCannotAsk
			}
			look.Local, look.Natural = "", map[string]string{m[1]: local}
		}
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
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("the %s side, %s: look for %s %s%s: %w", s.name, s.def.System, s.object(), own, local, err)
	}
	for i := range got {
		if got[i].Deleted {
			continue
		}
		e, err := s.entry(ctx, &got[i])
		if err != nil {
			return nil, err
		}
		return e, s.known(ctx, []*entry{e})
	}
	return nil, nil
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

// sorted reads the side and sorts it by key.
func (s *side) sorted(ctx context.Context, c spill.Config, since time.Time, each func(*keyed)) (*spill.Sorter, error) {
	out := spill.New(c)
	var b []byte
	err := s.read(ctx, since, func(k *keyed) error {
		each(k)
		b = k.e.append(b[:0])
		return out.Add(k.key, b)
	})
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}
