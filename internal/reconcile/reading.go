package reconcile

import (
	"cmp"
	"context"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/state"
)

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
		r.e.filtered = true // it is read on all the same: what it is the half of is no difference either
	default:
		r.fails(v.Reason)
	}
	return nil
}

// fails says why there is nothing to compare. Of what nobody wants that is no matter.
func (r *reading) fails(why string) {
	if r.done = true; !r.e.filtered {
		r.e.why = why
	}
}

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
	if err == nil && r.e.filtered {
		err = r.take(r.m.Identify(ctx))
	}
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
	if err != nil || r.done || r.e.filtered || s.def.Where == nil {
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
