package decide

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/state"
)

// Received applies the version guard of the receiving side to what is known of the object in the system that the event came from, and prepares the
// new reference there. The event's hub id is known.
func (m *Message) Received(t *state.Target, now time.Time) *Verdict {
	ev, source := m.Event, m.Flow.From.System
	if ev.Origin == "" {
		ev.Origin = source
	}
	m.Ref = &state.Ref{Entity: ev.Entity, Hub: ev.Hub, System: source, Local: m.Local, Deleted: ev.Operation == event.Delete,
		Known: &state.Known{Flow: m.Flow.Name, Received: ev.Version, EventID: ev.ID, Key: ev.Key}, Updated: now}
	m.Ref.Judged = true
	if t.Ref == nil {
		return nil
	}
	m.Ref.Before = t.Ref.Known
	if ev.Ahead() { // it makes nothing stale that comes after it
		m.Ref.Known.Received = ""
		if k := t.Ref.Known; k != nil {
			m.Ref.Known.Received = k.Received
		}
	}
	if !t.Ref.Deleted && t.Ref.Local != "" && t.Ref.Local != m.Local {
		return twin(source, t.Ref, m.Local)
	}
	m.Ref.ETag = t.Ref.ETag
	k := t.Ref.Known
	if k == nil || k.Flow != m.Flow.Name {
		return nil
	}
	m.known, m.gone = k, t.Ref.Deleted
	m.Ref.Known.Wrote, m.Ref.Known.Written = k.Wrote, k.Written
	switch {
	case k.EventID == ev.ID && ev.ID != "":
		// The fate of this very event is stored: the relay has published it twice.
		return Skip(state.Duplicate, "this very event came before")
	case k.Received != "" && ev.Version != "" && event.CompareVersions(ev.Version, k.Received) < 0 && !event.Ahead(k.Received, now):
		return Skip(state.Stale, "its version is %s, and %s was received before", ev.Version, k.Received)
	case t.Ref.Deleted && ev.Operation == event.Delete && ev.Again():
		return nil // whether it is gone everywhere is what is doubted
	case t.Ref.Deleted && ev.Operation == event.Delete && len(k.Fields) == 0: // what was received last was a deletion
		return Skip(state.Duplicate, "the object was deleted before, and %s said so already", source)
	case t.Ref.Deleted && ev.Operation == event.Delete:
		return Skip(state.Echo, "the hub itself has deleted the object in %s", source)
	}
	return nil
}

// twin: the source holds the object twice, and the event is of the one that the cross-reference does not know.
func twin(system string, ref *state.Ref, local string) *Verdict {
	return Park(fault.Conflict.String(), system+"/twin", fmt.Sprintf("%s holds the object twice, as %s and as %s: both carry one external id. Leave one of them there, then discard this message, or replay it",
		system, ref.Local, local))
}

// Map maps, validates the result, and compares it with what is known of the object in its source: an equal state is the echo of what the hub wrote
// there, or of what it has received already.
func (m *Message) Map(ctx context.Context) (*Verdict, error) {
	ev, f := m.Event, m.Flow
	valid := f.Map == nil || f.Map.To() == nil
	switch {
	case m.doc == nil:
		return nil, nil
	case f.Map == nil:
		m.Out = ev.Data
	default:
		from := len(*m.Scratch)
		buf, sound, err := f.Map.ApplyValid(ctx, &m.input, *m.Scratch)
		if err != nil && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil && ev.Operation == event.Delete {
			return nil, nil // what is gone need not map: its identity is enough
		}
		if err != nil {
			return Refuse("map", err), nil
		}
		*m.Scratch = buf
		m.Out = buf[from:len(buf):len(buf)]
		valid = valid || sound
	}
	if ev.Operation == event.Delete || m.Ref == nil && valid {
		return nil, nil
	}
	out := jsondoc.Get()
	defer jsondoc.Put(out)
	if err := out.Reset(m.Out, DocumentLimits); err != nil {
		return Park("mapping", "json", err.Error()), nil
	}
	if !valid {
		if err := f.Map.To().Validate(out); err != nil {
			return Refuse("map result", err), nil
		}
	}
	if m.Ref == nil {
		return nil, nil
	}
	return m.compared(out), nil
}

// compared holds the mapped document against what is known of the object in its source.
func (m *Message) compared(out *jsondoc.Doc) *Verdict {
	source := m.Flow.From.System
	m.Ref.Known.Fields = fields(m.Flow.Map, out)
	if m.known != nil && m.known.Fields != nil && maps.Equal(m.known.Fields, m.Ref.Known.Fields) && !(m.gone && m.later()) && (m.gone || !m.Event.Again()) {
		v := m.again(source)
		v.Ref = m.Ref          // the version received is newer all the same
		v.Ref.Deleted = m.gone // a state from before the deletion, read late, brings nothing back
		return v
	}
	if m.known != nil && overwritten(m.known, m.Ref.Known) {
		return Skip(state.Stale, "it says what the hub has overwritten in %s since", source)
	}
	if m.known != nil && older(m.known, m.Ref.Known) {
		// It has news beside what the hub has replaced since. What the system holds of the replaced fields is not what it says: another write of the value
		// that it says would be taken for there already, until the system has said what became of the first.
		maps.DeleteFunc(m.Ref.Known.Fields, func(name string, h uint64) bool {
			return slices.Contains(m.known.Written, name) && m.known.Fields[name] != h
		})
	}
	if m.known != nil && follows(m.known, m.Ref.Known) {
		m.Event.Hops = max(m.Event.Hops, m.known.Hops)
	}
	return m.circling()
}

// again is the skip of an event that says what is known of the object in its source already. Whether it is news of the hub's own write, or the same
// content once more, depends on who said it last.
func (m *Message) again(system string) *Verdict {
	if m.known.Hops > 0 {
		return Skip(state.Echo, "it says what the hub itself has written in %s", system)
	}
	told := "the same content came before"
	if m.known.EventID != "" {
		told += ", as event " + m.known.EventID
	}
	return Skip(state.Duplicate, "%s", told)
}

// later reports whether the event is certainly newer than all that is known of the object: than what was received, and than the hub's last
// write.
func (m *Message) later() bool {
	now := m.Ref.Known.Received
	return m.known.Received+m.known.Wrote != "" && event.CompareVersions(now, m.known.Received) > 0 && event.CompareVersions(now, m.known.Wrote) > 0
}

// overwritten reports whether an event older than the hub's last write of the object says nothing new but the values that this
// write has replaced.
func overwritten(known, got *state.Known) bool {
	if !older(known, got) {
		return false
	}
	same := func(a, b map[string]uint64) bool {
		for name, h := range a {
			if b[name] != h && !slices.Contains(known.Written, name) {
				return false
			}
		}
		return true
	}
	return same(known.Fields, got.Fields) && same(got.Fields, known.Fields)
}

// older reports whether a state that was read is certainly from before the hub's last write of the object.
func older(known, got *state.Known) bool {
	return known.Wrote != "" && got.Received != "" && event.CompareVersions(got.Received, known.Wrote) < 0
}

// follows reports whether a state that was read holds all that the hub wrote last: it is what became of that write, and not what somebody has
// made of the object since.
func follows(known, got *state.Known) bool {
	if known.Hops == 0 || len(known.Written) == 0 {
		return false
	}
	for _, name := range known.Written {
		if h, ok := known.Fields[name]; ok && h != got.Fields[name] { // one that is not known may be as it was written
			return false
		}
	}
	return true
}

// fields are the hashes by which two states of an object are compared.
func fields(m *mapping.Mapping, d *jsondoc.Doc) map[string]uint64 {
	var ignore []string
	if m != nil {
		ignore = m.Volatile()
	}
	return jsondoc.FieldHashes(d.Root(), ignore)
}
