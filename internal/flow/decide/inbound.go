package decide

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/state"
)

// Inbound is how an object that a flow writes comes back into the hub: the flow that reads the entity from the target.
type Inbound struct {
	flow *config.Flow
	// comparable: the outbound mapping reads the schema that the inbound one writes, so that an event's fields and the known
	// fields of the target are the same fields.
	comparable bool
	// created and updated are the fields of that schema that a create and an update write there: those that the outbound mapping
	// reads, and of these those that the flow owns. Foreign changes to others are never overlooked.
	created, updated []string
	// direct: it is not comparable, but what it polls is the very document that is written: an own write is known again by the fields that
	// are made of what was written and of the object's stamps.
	direct bool
}

// FindInbound is how an object that f writes comes back; nil: it does not.
func FindInbound(plan *config.Plan, f *config.Flow) *Inbound {
	all := plan.Inbound(f.To.System, f.Entity)
	for _, back := range all {
		if back.Map != nil {
			return newInbound(f, back)
		}
	}
	for _, back := range all {
		if in := newInbound(f, back); in.direct {
			return in
		}
	}
	return nil
}

func newInbound(f, back *config.Flow) *Inbound {
	in := &Inbound{flow: back}
	if f.Map == nil || f.Map.From() == nil || back.Map == nil || back.Map.To() == nil || f.Map.From().Name() != back.Map.To().Name() {
		// Only what is polled is of the same form as what is written, or read back after a write.
		in.direct = back.From.Poll != nil && back.From.Poll.Object == f.To.Object
		return in
	}
	in.comparable = true
	volatile := func(name string) bool { return slices.Contains(back.Map.Volatile(), name) }
	in.created = slices.DeleteFunc(f.Map.SourceFields(), volatile)
	in.updated = in.created
	if len(f.To.Owns) > 0 {
		in.updated = slices.DeleteFunc(f.Map.SourceFieldsOf(f.To.Owns...), volatile)
	}
	return in
}

// Tells: what was written can be known again when it is read. nil does not.
func (in *Inbound) Tells() bool { return in != nil && (in.comparable || in.direct) }

// written are the fields of the inbound flow's document, now, that say what a write has written there.
func (in *Inbound) written(w *connector.Write, external string, now map[string]uint64) []string {
	if in.comparable && w.Action == connector.Create {
		return in.created
	}
	if in.comparable {
		return in.updated
	}
	names := map[string]bool{}
	for _, stamp := range in.flow.Stamps {
		names[stamp] = true
	}
	if top, _, _ := strings.Cut(external, "."); top != "" && w.Action == connector.Create {
		names[top] = true
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if doc.Reset(w.Doc, DocumentLimits) != nil {
		return nil
	}
	for name := range doc.Root().Members() {
		names[name] = true
	}
	var out []string
	for field := range now {
		if in.of(field, names) {
			out = append(out, field)
		}
	}
	slices.Sort(out)
	return out
}

// of reports whether a field of the inbound flow's document is made of these fields of the target's document alone.
func (in *Inbound) of(field string, names map[string]bool) bool {
	if in.flow.Map == nil {
		return names[field]
	}
	for _, source := range in.flow.Map.SourceFieldsOf(field) {
		if !names[source] {
			return false
		}
	}
	return true
}

// KnownAfter is the target's state after a write, as the inbound flow will see it, by a document that the target gave: with its answer, or read
// back. Only the fields that the hub wrote are taken as they are now, so that a target's own normalisation is no change. The others stay as they
// were known: what the target made itself (its number, its status) and what somebody changed there at the same time is
// news, not an echo. Where the document says nothing, or there is none, what was written is not known any more; nil where nothing was. Of an object that was looked up because the answer to its create got lost (asked), somebody
// may have changed the written fields, too, in the time that has passed: of these only those count that are as they were sent.
func (t *Target) KnownAfter(ctx context.Context, w *connector.Write, doc []byte, asked bool) *state.Known {
	if !t.Reads.Tells() {
		return nil
	}
	var now map[string]uint64
	version, ok := "", false
	if doc != nil {
		now, version, ok = t.seen(ctx, doc)
	}
	if !ok {
		return t.untold(w)
	}
	written := t.Reads.written(w, t.Flow.To.External, now)
	k := &state.Known{Flow: t.Reads.flow.Name, Key: t.Event.Key, Fields: map[string]uint64{}, Wrote: version, Written: written, Hops: t.Event.Hops + 1}
	if old := t.Known.Ref; old != nil && old.Known != nil && old.Known.Flow == k.Flow {
		k.Received, k.EventID, k.Key = old.Known.Received, old.Known.EventID, "" // the key stays
		for name, h := range old.Known.Fields {
			if !slices.Contains(written, name) {
				k.Fields[name] = h
			}
		}
	}
	sent := now
	if asked {
		sent, _, _ = t.seen(ctx, overlaid(doc, w.Doc))
	}
	for _, name := range written {
		if h, ok := now[name]; ok && sent[name] == h {
			k.Fields[name] = h
		}
	}
	return k
}

// untold is the target's state after a write of which nobody knows what it has left: a change back to what was there before must be written, too.
func (t *Target) untold(w *connector.Write) *state.Known {
	old := t.Known.Ref
	if !t.Reads.comparable || old == nil || old.Known == nil || old.Known.Flow != t.Reads.flow.Name {
		return nil
	}
	k := *old.Known
	k.Key, k.Fields, k.Written, k.Hops = "", maps.Clone(k.Fields), slices.Clone(k.Written), t.Event.Hops+1
	for _, name := range t.Reads.written(w, t.Flow.To.External, nil) {
		delete(k.Fields, name)
		if !slices.Contains(k.Written, name) {
			k.Written = append(k.Written, name)
		}
	}
	return &k
}

// overlaid is a target's document with the fields in it that were sent, as they were sent; nil where one of the two is no object.
func overlaid(doc, sent []byte) []byte {
	all, fields := jsondoc.Get(), jsondoc.Get()
	defer jsondoc.Put(all)
	defer jsondoc.Put(fields)
	if all.Reset(doc, DocumentLimits) != nil || fields.Reset(sent, DocumentLimits) != nil {
		return nil
	}
	names, out := map[string]bool{}, []byte{'{'}
	add := func(name string, v jsondoc.Value) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(jsondoc.AppendString(out, name), ':'), v.Raw()...)
	}
	for name, v := range fields.Root().Members() {
		names[name] = true
		add(name, v)
	}
	for name, v := range all.Root().Members() {
		if !names[name] {
			add(name, v)
		}
	}
	return append(out, '}')
}

// seen takes a target's document as the inbound flow does: the hashes of its fields and its version, where the flow computes one.
func (t *Target) seen(ctx context.Context, doc []byte) (hashes map[string]uint64, version string, ok bool) {
	in := jsondoc.Get()
	defer jsondoc.Put(in)
	if in.Reset(doc, DocumentLimits) != nil {
		return nil, "", false
	}
	ev := event.Event{Entity: t.Event.Entity, Hub: t.Event.Hub, Key: t.Event.Key, Operation: event.Upsert, Origin: t.System,
		Source: t.System, Time: t.Event.Time}
	input := &mapping.Input{Doc: in, Event: &ev, Lookup: t.Lookup}
	mapped := doc
	if m := t.Reads.flow.Map; m != nil {
		var err error
		if mapped, err = m.Apply(ctx, input, nil); err != nil {
			return nil, "", false
		}
	}
	if v := t.Reads.flow.Version; v != nil {
		var err error
		if version, err = v.String(ctx, input); err != nil {
			return nil, "", false
		}
		if event.Ahead(version, t.Now) {
			version = "" // it tells no order
		}
	}
	out := jsondoc.Get()
	defer jsondoc.Put(out)
	if out.Reset(mapped, DocumentLimits) != nil {
		return nil, "", false
	}
	return fields(t.Reads.flow.Map, out), version, true
}
