package flow

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/state"
)

// documentLimits bound a document in the engine: no record and no result is larger, and of its values there are as many as everywhere.
var documentLimits = jsondoc.Limits{Bytes: mapping.MaxResult}

// attempt is the place in which a message is decided.
type attempt struct {
	partition *partition
	lane      string
	// queued is the stored row when the message is drained; nil for a live record.
	queued  *state.Queued
	scratch *[]byte // batch-wide buffer that mapped documents are cut from
	// doc is the document where it is parsed already; malformed says why it cannot be.
	doc       *jsondoc.Doc
	malformed error
	// taken are the objects that are held until the fate is stored.
	taken []hold
	// settle stores what the batch has decided before; nil where there is nothing.
	settle func(context.Context) error
}

// parse gives the message's document; nil where it has none.
func (a *attempt) parse(ev *event.Event) (*jsondoc.Doc, error) {
	if a.doc != nil || a.malformed != nil || len(ev.Data) == 0 {
		return a.doc, a.malformed
	}
	a.doc = jsondoc.Get()
	if a.malformed = a.doc.Reset(ev.Data, documentLimits); a.malformed != nil {
		a.dispose()
	}
	return a.doc, a.malformed
}

// dispose gives the document's memory back.
func (a *attempt) dispose() {
	if a.doc != nil {
		jsondoc.Put(a.doc)
		a.doc = nil
	}
}

// decide gives ev its fate. An error means that nothing was decided: the hub is stopping or fenced.
func (r *Runner) decide(ctx context.Context, ev *event.Event, a *attempt) (fate, error) {
	defer a.dispose()
	s, f, done, err := r.examine(ctx, ev, a)
	switch {
	case err != nil:
		return f, err
	case !done && r.target == nil:
		f = r.forward(ev, s, a)
	case !done:
		if f, err = r.deliver(ctx, ev, s, a); err != nil {
			return f, err
		}
	}
	if r.target != nil {
		f, err = r.unsettled(ctx, ev, a, f)
	}
	f.trail.mapped = s.out
	return f, err
}

// computedKey is the key that the flow computes of the document; empty where it cannot.
func (r *Runner) computedKey(ctx context.Context, ev *event.Event, a *attempt) string {
	doc, err := a.parse(ev)
	if err != nil || doc == nil {
		return ""
	}
	key, err := r.flow.Key.String(ctx, &mapping.Input{Doc: doc, Event: ev, Lookup: lookup{r}})
	if err != nil {
		return ""
	}
	return key
}

// stage is what examine learned of a message.
type stage struct {
	doc   *jsondoc.Doc // nil for a delete without a document
	out   []byte       // the mapped document; nil for a delete that does not map
	ref   *state.Ref   // the source system's new reference; nil for flows from a topic
	known *state.Known // what was known of the object in its source before
	gone  bool         // it was deleted there
	input mapping.Input
}

// examine takes the message as far as its mapped document: parse, validate, filter, identify, map, validate, guard.
func (r *Runner) examine(ctx context.Context, ev *event.Event, a *attempt) (s *stage, f fate, done bool, err error) {
	s = &stage{}
	stop := func(f fate) (*stage, fate, bool, error) { return s, f, true, nil }
	if f, done, _ := circling(ev); done {
		return stop(f)
	}
	if s.doc, err = a.parse(ev); err != nil {
		return stop(parked("malformed", "json", err.Error()))
	}
	s.input = mapping.Input{Doc: s.doc, Event: ev, Lookup: lookup{r}}
	if f, done, err := r.attributes(ctx, ev, s); done || err != nil {
		return s, f, done, err
	}
	if r.flow.Accept != nil && s.doc != nil {
		if err := r.flow.Accept.Validate(s.doc); err != nil {
			return stop(refused("accept", err))
		}
	}
	if r.flow.When != nil && s.doc != nil {
		ok, err := r.flow.When.Bool(ctx, &s.input)
		if err != nil {
			f, done, err := r.refuse(ctx, "when", err)
			return s, f, done, err
		}
		if !ok {
			return stop(skipped(state.Filtered, "`when` does not want it: %s", r.flow.When.Text()))
		}
	}
	if f, done, err := r.identify(ctx, ev, s, a); done || err != nil {
		return s, f, done, err
	}
	if f, done, err := r.mapped(ctx, ev, s, a); done || err != nil {
		return s, f, done, err
	}
	return s, fate{}, false, nil
}

// attributes sets what the flow computes of the event itself: entity, operation and version.
func (r *Runner) attributes(ctx context.Context, ev *event.Event, s *stage) (fate, bool, error) {
	if r.flow.Entity != "" {
		ev.Entity = r.flow.Entity
	}
	if s.doc == nil {
		if ev.Operation != event.Delete {
			return parked("malformed", "empty", "an upsert without a document"), true, nil
		}
		return fate{}, false, nil
	}
	if r.flow.Operation != nil {
		op, err := r.flow.Operation.String(ctx, &s.input)
		if err != nil {
			return r.refuse(ctx, "operation", err)
		}
		if !event.Operation(op).Valid() {
			return parked("mapping", "operation", fmt.Sprintf("operation gives %q; it must give \"upsert\" or \"delete\"", op)), true, nil
		}
		ev.Operation = event.Operation(op)
	}
	if r.flow.Key != nil && r.flow.From.System == "" { // the relay has done it for flows from a system
		key, err := r.flow.Key.String(ctx, &s.input)
		if err != nil {
			return r.refuse(ctx, "key", err)
		}
		ev.Key = key
	}
	if r.flow.Version != nil {
		v, err := r.flow.Version.String(ctx, &s.input)
		if err != nil {
			return r.refuse(ctx, "version", err)
		}
		ev.Version = v
	}
	return fate{}, false, nil
}

// refuse gives the fate of a message whose expression or mapping failed, unless it failed because the hub is stopping.
func (r *Runner) refuse(ctx context.Context, what string, err error) (fate, bool, error) {
	if ctx.Err() != nil {
		return fate{}, true, context.Cause(ctx)
	}
	return refused(what, err), true, nil
}

// lookup asks the store for cross-references until it answers: a mapping then fails only for what the document says.
type lookup struct{ r *Runner }

func (l lookup) HubID(ctx context.Context, entity, system, local string) (hub string, ok bool, err error) {
	err = l.r.insist(ctx, "cross-reference", func() (err error) {
		hub, ok, err = l.r.Store.HubID(ctx, entity, system, local)
		return err
	})
	return hub, ok, err
}

func (l lookup) LocalID(ctx context.Context, entity, system, hub string) (local string, ok bool, err error) {
	err = l.r.insist(ctx, "cross-reference", func() (err error) {
		local, ok, err = l.r.Store.LocalID(ctx, entity, system, hub)
		return err
	})
	return local, ok, err
}

// identify finds the object's hub id, minting one for an object that nobody has seen, and what is known of it.
func (r *Runner) identify(ctx context.Context, ev *event.Event, s *stage, a *attempt) (fate, bool, error) {
	system := r.flow.From.System
	if system == "" {
		return fate{}, false, nil
	}
	local, external := ev.Key, ""
	if s.doc == nil && ev.Local != "" {
		local = ev.Local // the key may be another one than the id
	}
	var err error
	if s.doc != nil {
		if r.flow.ID != nil {
			if local, err = r.flow.ID.String(ctx, &s.input); err != nil {
				return r.refuse(ctx, "id", err)
			}
		}
		if r.flow.ExternalID != nil {
			if external, err = r.flow.ExternalID.String(ctx, &s.input); err != nil {
				return r.refuse(ctx, "external-id", err)
			}
			if external == "" {
				external = state.NoExternal
			} else if u, ok := connector.ParseExternal(external); ok {
				external = u // as the hub knows it, whatever the form in which the system gives it back
			}
		}
	}
	if local == "" {
		return parked("mapping", "id", "the document gives no id of the object"), true, nil
	}
	if f, done, err := r.unknownHere(ctx, ev, a, local, external); done || err != nil {
		return f, true, err
	}
	var res state.Resolution
	err = r.insist(ctx, "resolve", func() (err error) {
		ev.Hub, res, err = r.Store.Resolve(ctx, ev.Entity, system, local, external, ev.ID)
		return err
	})
	if err != nil {
		return fate{}, true, err
	}
	failpoint.Hit(failpoint.FlowResolved)
	if res == state.Pending {
		return waiting(&state.Missing{Entity: ev.Entity, System: system, Intents: true}), true, nil
	}
	if ev.Origin == "" {
		ev.Origin = system
	}
	return r.received(ctx, ev, s, local)
}

// received applies the version guard of the receiving side and prepares the source's new reference.
func (r *Runner) received(ctx context.Context, ev *event.Event, s *stage, local string) (fate, bool, error) {
	t, err := r.whatIsKnown(ctx, ev)
	if err != nil {
		return fate{}, true, err
	}
	s.ref = &state.Ref{Entity: ev.Entity, Hub: ev.Hub, System: r.flow.From.System, Local: local, Deleted: ev.Operation == event.Delete,
		Known: &state.Known{Flow: r.flow.Name, Received: ev.Version, EventID: ev.ID, Key: ev.Key}, Updated: r.Clock.Now()}
	if t.Ref == nil {
		return fate{}, false, nil
	}
	if ev.Ahead() { // it makes nothing stale that comes after it
		s.ref.Known.Received = ""
		if k := t.Ref.Known; k != nil {
			s.ref.Known.Received = k.Received
		}
	}
	if !t.Ref.Deleted && t.Ref.Local != "" && t.Ref.Local != local {
		return twin(r.flow.From.System, t.Ref, local), true, nil
	}
	s.ref.ETag = t.Ref.ETag
	k := t.Ref.Known
	if k == nil || k.Flow != r.flow.Name {
		return fate{}, false, nil
	}
	s.known, s.gone = k, t.Ref.Deleted
	s.ref.Known.Wrote, s.ref.Known.Written = k.Wrote, k.Written
	switch {
	case k.EventID == ev.ID && ev.ID != "":
		// The fate of this very event is stored: the relay has published it twice.
		return skipped(state.Duplicate, "this very event came before"), true, nil
	case k.Received != "" && ev.Version != "" && event.CompareVersions(ev.Version, k.Received) < 0 && !event.Ahead(k.Received, r.Clock.Now()):
		return skipped(state.Stale, "its version is %s, and %s was received before", ev.Version, k.Received), true, nil
	case t.Ref.Deleted && ev.Operation == event.Delete && len(k.Fields) == 0: // what was received last was a deletion
		return skipped(state.Duplicate, "the object was deleted before, and %s said so already", r.flow.From.System), true, nil
	case t.Ref.Deleted && ev.Operation == event.Delete:
		return skipped(state.Echo, "the hub itself has deleted the object in %s", r.flow.From.System), true, nil
	}
	return fate{}, false, nil
}

// mapped maps, validates the result, and compares it with what is known of the object in its source: an equal state is the
// echo of what the hub wrote there, or of what it has received already.
func (r *Runner) mapped(ctx context.Context, ev *event.Event, s *stage, a *attempt) (fate, bool, error) {
	switch {
	case s.doc == nil:
		return fate{}, false, nil
	case r.flow.Map == nil:
		s.out = ev.Data
	default:
		from := len(*a.scratch)
		buf, err := r.flow.Map.Apply(ctx, &s.input, *a.scratch)
		if err != nil && ctx.Err() != nil {
			return fate{}, true, context.Cause(ctx)
		}
		if err != nil && ev.Operation == event.Delete {
			return fate{}, false, nil // what is gone need not map: its identity is enough
		}
		if err != nil {
			return refused("map", err), true, nil
		}
		*a.scratch = buf
		s.out = buf[from:len(buf):len(buf)]
	}
	if ev.Operation == event.Delete || (s.ref == nil && (r.flow.Map == nil || r.flow.Map.To() == nil)) {
		return fate{}, false, nil
	}
	out := jsondoc.Get()
	defer jsondoc.Put(out)
	if err := out.Reset(s.out, documentLimits); err != nil {
		return parked("mapping", "json", err.Error()), true, nil
	}
	if r.flow.Map != nil && r.flow.Map.To() != nil {
		if err := r.flow.Map.To().Validate(out); err != nil {
			return refused("map result", err), true, nil
		}
	}
	if s.ref == nil {
		return fate{}, false, nil
	}
	s.ref.Known.Fields = fields(r.flow.Map, out)
	if s.known != nil && s.known.Fields != nil && maps.Equal(s.known.Fields, s.ref.Known.Fields) && !(s.gone && s.later()) {
		f := s.again(r.flow.From.System)
		f.ref = s.ref          // the version received is newer all the same
		f.ref.Deleted = s.gone // a state from before the deletion, read late, brings nothing back
		return f, true, nil
	}
	if s.known != nil && overwritten(s.known, s.ref.Known) {
		return skipped(state.Stale, "it says what the hub has overwritten in %s since", r.flow.From.System), true, nil
	}
	if s.known != nil && follows(s.known, s.ref.Known) {
		ev.Hops = max(ev.Hops, s.known.Hops)
	}
	return circling(ev)
}

// again is the skip of an event that says what is known of the object in its source already. Whether it is news of the hub's own write, or the same
// content once more, depends on who said it last.
func (s *stage) again(system string) fate {
	if s.known.Hops > 0 {
		return skipped(state.Echo, "it says what the hub itself has written in %s", system)
	}
	told := "the same content came before"
	if s.known.EventID != "" {
		told += ", as event " + s.known.EventID
	}
	return skipped(state.Duplicate, "%s", told)
}

// later reports whether the event is certainly newer than all that is known of the object: than what was received, and than the hub's last
// write.
func (s *stage) later() bool {
	now := s.ref.Known.Received
	return s.known.Received+s.known.Wrote != "" && event.CompareVersions(now, s.known.Received) > 0 && event.CompareVersions(now, s.known.Wrote) > 0
}

// whatIsKnown is what the store holds of the object in the system that the event came from. While the hub itself is writing the
// object there, the event may be that very write, seen before its outcome is stored: then it is waited for, a short while.
func (r *Runner) whatIsKnown(ctx context.Context, ev *event.Event) (t state.Target, err error) {
	const look, patience = 25 * time.Millisecond, 5 * time.Second
	began := r.Clock.Elapsed()
	for {
		err = r.insist(ctx, "known state", func() (err error) {
			t, err = r.Store.Target(ctx, ev.Entity, ev.Hub, r.flow.From.System, ev.Origin)
			return err
		})
		if err != nil || len(t.Intents) == 0 || r.Clock.Elapsed()-began > patience || r.steady().Sub(t.Intents[0].Opened) > patience {
			return t, err
		}
		if err := lifecycle.Sleep(ctx, r.Clock, look); err != nil {
			return t, err
		}
	}
}

// overwritten reports whether an event older than the hub's last write of the object says nothing new but the values that this
// write has replaced.
func overwritten(known, got *state.Known) bool {
	if known.Wrote == "" || got.Received == "" || event.CompareVersions(got.Received, known.Wrote) >= 0 {
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

// fields are the hashes by which two states of an object are compared.
func fields(m *mapping.Mapping, d *jsondoc.Doc) map[string]uint64 {
	var ignore []string
	if m != nil {
		ignore = m.Volatile()
	}
	return jsondoc.FieldHashes(d.Root(), ignore)
}

// forward makes the record for the flow's topic.
func (r *Runner) forward(ev *event.Event, s *stage, a *attempt) fate {
	out := *ev
	out.Hops++
	out.Local = "" // it is the source's
	out.Data = s.out
	if out.Origin == "" {
		out.Origin = ev.Source
	}
	key := out.Hub
	switch {
	case key != "":
	case r.flow.Key != nil && ev.Key != "":
		key = ev.Key
	default:
		key = a.lane
	}
	headers := out.Headers()
	size := recordSize(headers, len(key)+len(s.out))
	if most := r.mostOf(r.flow.To.Topic); size > most {
		return parked("broker", "too-large", fmt.Sprintf("the mapped document makes a record of %d bytes, and topic %s takes %d: set its max.message.bytes, then replay", size, r.flow.To.Topic, most))
	}
	f := delivered()
	f.send = &event.Record{Topic: r.flow.To.Topic, Key: []byte(key), Value: s.out, Headers: headers, Time: ev.Time}
	f.ref = s.ref
	f.trail.action = state.DidPublish
	return f
}
