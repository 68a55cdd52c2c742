package decide

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/guards"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/state"
)

// deletedHash stands for "deleted" where the version guard remembers the hash of what it applied.
const deletedHash = "deleted"

// Target is a message before the system that it is to be written to, with what is known of both. What is known may change between two calls of its
// methods.
type Target struct {
	*Message
	// System is its name. Finds: it can be asked for objects. WriteOnce: what was written stays, and a change is written beside it.
	System           string
	Finds, WriteOnce bool
	// Reads is how an object written there reads back; nil: it does not.
	Reads *Inbound
	// Known is what the store holds of the object there. Inherited: earlier calls to it are in doubt. InDoubt: those, or others.
	Known              state.Target
	Inherited, InDoubt bool
	// Edits counts how often a person has edited the message.
	Edits int64
	Now   time.Time
	// Hash is that of the document to write, after Guard.
	Hash string
}

// Guard keeps from the target what must not or need not be written there.
func (t *Target) Guard(ctx context.Context) (*Verdict, error) {
	if guards.Off {
		return nil, nil
	}
	ev := t.Event
	if ev.Origin == t.System {
		return Skip(state.Echo, "it came from %s", t.System), nil
	}
	t.Hash = deletedHash
	if ev.Operation != event.Delete {
		sum := sha256.Sum256(t.Out)
		t.Hash = hex.EncodeToString(sum[:16])
	}
	if a := t.Known.Applied; a != nil {
		switch c := event.CompareVersions(ev.Version, a.Version); {
		case ev.Ahead() && t.alreadyApplied(a):
			return Skip(state.Duplicate, "it was applied before"), nil
		case c < 0 && !event.Ahead(a.Version, t.Now): // what an older version of the hub has believed holds up nothing
			return Skip(state.Stale, "its version is %s, and %s was applied before", ev.Version, a.Version), nil
		case c == 0 && (a.Hash == t.Hash && !ev.Again() || t.alreadyApplied(a)):
			return Skip(state.Duplicate, "the same was applied before, with the same version"), nil
		}
	}
	for i := range t.Flow.Requires {
		if v, err := t.require(ctx, i); v != nil || err != nil {
			return v, err
		}
	}
	if !t.unchanged() {
		return nil, nil
	}
	v := Skip(state.Echo, "%s is known to hold all that it says", t.System)
	if a := t.Known.Applied; a != nil && a.Hash == t.Hash {
		v = Skip(state.Duplicate, "the same content was applied before, under another version")
	}
	v.Applied = t.Applied()
	return v, nil
}

// require looks for the object that must be in the target first.
func (t *Target) require(ctx context.Context, i int) (*Verdict, error) {
	if t.doc == nil {
		return nil, nil
	}
	need := &t.Flow.Requires[i]
	hub, err := need.ID.String(ctx, &t.input)
	if err != nil {
		return refusedBy(ctx, "requires", err)
	}
	if hub == "" {
		return nil, nil // the document names none: the schema says whether it must
	}
	if v := unfit("requires", "the id of the "+need.Entity+" that is required", hub); v != nil {
		return v, nil
	}
	_, ok, err := t.Lookup.LocalID(ctx, need.Entity, t.System, hub)
	if err != nil || ok {
		return nil, err
	}
	return Wait(&state.Missing{Entity: need.Entity, System: t.System, Hub: hub}), nil
}

// unchanged reports whether the target is known to hold, in every field that this flow updates, what the event says.
func (t *Target) unchanged() bool {
	ref := t.Known.Ref
	if t.Reads == nil || !t.Reads.comparable || ref == nil || ref.Deleted || ref.Known == nil || ref.Known.Flow != t.Reads.flow.Name ||
		t.Event.Operation == event.Delete || t.Event.Again() || t.Inherited {
		return false
	}
	now := fields(t.Reads.flow.Map, t.doc)
	for _, f := range t.Reads.updated {
		if now[f] != ref.Known.Fields[f] {
			return false
		}
	}
	return true
}

// There: the cross-reference knows the object in the target.
func (t *Target) There() bool {
	ref := t.Known.Ref
	return ref != nil && !ref.Deleted && ref.Local != ""
}

// Object is the target's name for objects of the entity.
func (t *Target) Object() string {
	if o := t.Flow.To.Object; o != "" {
		return o
	}
	return t.Flow.Entity
}

// Plan chooses the call. Some messages need none.
func (t *Target) Plan() (connector.Write, *Verdict) {
	w := connector.Write{Entity: t.Event.Entity, Object: t.Object(), External: t.Known.External, IdempotencyKey: t.Event.ID + "/" + t.Flow.Name,
		Version: t.Event.Version}
	if t.Edits > 0 {
		// A target that remembers what it was asked must not take another document for the one that it has refused, or taken.
		w.IdempotencyKey += "/" + strconv.FormatInt(t.Edits, 10)
	}
	ref := t.Known.Ref
	if t.There() {
		w.Local, w.ETag = ref.Local, ref.ETag
	}
	if t.Event.Operation == event.Delete {
		v := t.planDelete(&w)
		return w, v
	}
	switch {
	case t.There():
		w.Action, w.Doc = connector.Update, t.Owned()
	case t.Flow.To.Operation == "update":
		return w, Wait(&state.Missing{Entity: t.Event.Entity, System: t.System, Hub: t.Event.Hub})
	case ref != nil && ref.Deleted && !t.deletedByOrigin():
		return w, Park("not-found", t.System+"/gone", "the object was deleted in "+t.System+
			"; an update from "+t.Event.Origin+" would create it again: discard the message, or remove the deletion there and replay")
	case ref != nil && ref.Local != "" && t.WriteOnce:
		// Its first file may still be there, and must not be taken for what this event creates: it says nothing of the deletion.
		w.Local, w.Action, w.Doc = ref.Local, connector.Update, t.Out
	default:
		w.Action, w.Doc = connector.Create, t.Out
	}
	return w, nil
}

// deletedByOrigin: the event's own origin deleted the object before; its newer version may create it again.
func (t *Target) deletedByOrigin() bool {
	return t.Known.Applied != nil && t.Known.Applied.Hash == deletedHash
}

func (t *Target) planDelete(w *connector.Write) *Verdict {
	to := &t.Flow.To
	switch {
	case to.OnDelete == "ignore":
		return Skip(state.DeleteIgnored, "the flow says `on-delete: ignore`")
	case !t.There() && !t.InDoubt:
		return t.Nothing()
	case to.OnDelete == "delete":
		w.Action = connector.Delete
		if t.WriteOnce {
			w.Doc = t.Out // the deletion is written down, and what was written before may not be at hand any more
		}
	case to.OnDelete == "deactivate":
		w.Action, w.Doc = connector.Update, to.Deactivated
	default:
		return Park("delete", "on-delete", "the object was deleted in "+t.Event.Origin+" and the flow has no on-delete policy: "+
			"replay after setting on-delete, or discard")
	}
	return nil
}

// Nothing is there to delete. The version guard remembers it, so that an older update does not create the object later.
func (t *Target) Nothing() *Verdict {
	v := Skip(state.DeleteIgnored, "there is nothing to delete in %s", t.System)
	v.Applied = t.Applied()
	return v
}

// Unmet: the object is to be looked up before it is created, because the cross-reference has never known it there, and the target can be asked.
// What is written once is not: its create itself tells whether it is there.
func (t *Target) Unmet(a connector.Action) bool {
	return a == connector.Create && t.Finds && !t.WriteOnce && !t.Flow.To.AfterConflict && (t.Known.Ref == nil || t.Known.Ref.Local == "")
}

// mostApplied is how many events of one version the version guard remembers.
const mostApplied = 16

// Applied is what the version guard is to remember. Stamps are often of one second: of the events of one version, each is known by its id, so
// that the first of them is a duplicate when it comes again behind the last.
//
// An event whose version is ahead leaves the version as it was, and is known by its id for as long as sixteen others: it may come again behind one
// that is newer.
func (t *Target) Applied() *state.Applied {
	now := &state.Applied{Entity: t.Event.Entity, Hub: t.Event.Hub, System: t.System, Origin: t.Event.Origin,
		Version: t.Event.Version, Hash: t.Hash, EventID: t.appliedID()}
	a := t.Known.Applied
	if t.Event.Ahead() {
		now.EventID += markAhead
		if now.Version = ""; a != nil && !event.Ahead(a.Version, t.Now) {
			now.Version = a.Version
		}
	}
	if a == nil || a.EventID == "" {
		return now
	}
	before := strings.Split(a.EventID, "\n")
	if event.CompareVersions(now.Version, a.Version) != 0 {
		before = slices.DeleteFunc(before, func(id string) bool { return !strings.HasSuffix(id, markAhead) })
	}
	before = before[max(0, len(before)-mostApplied+1):]
	now.EventID = strings.Join(append(before, now.EventID), "\n")
	return now
}

// markAhead stands behind the id of an applied event whose version tells no order.
const markAhead = " ahead"

// appliedID is by what the version guard knows an event: flows that write different fields of an object apply the same one, and under
// another mapping it says something else.
func (t *Target) appliedID() string { return t.Hash + " " + t.Event.ID + "/" + t.Flow.Name }

// alreadyApplied reports whether this flow has applied the event as it is now; where objects cannot be changed, whether it has at all.
func (t *Target) alreadyApplied(a *state.Applied) bool {
	known := func(id string) string {
		id = strings.TrimSuffix(id, markAhead)
		if t.WriteOnce {
			_, id, _ = strings.Cut(id, " ")
		}
		return id
	}
	now := known(t.appliedID())
	return slices.ContainsFunc(strings.Split(a.EventID, "\n"), func(was string) bool { return known(was) == now })
}

// Owned is the document of an update: the fields that the flow owns.
func (t *Target) Owned() []byte {
	if len(t.Flow.To.Owns) == 0 {
		return t.Out
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if doc.Reset(t.Out, DocumentLimits) != nil {
		return t.Out
	}
	b := []byte{'{'}
	for _, name := range t.Flow.To.Owns {
		v := doc.Root().Get(name)
		if v.Kind() == jsondoc.Missing {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(jsondoc.AppendString(b, name), ':')
		b = append(b, v.Raw()...)
	}
	return append(b, '}')
}

// Holds reports whether a document of the target has every field that is to be written, with its value. Nothing is to be written
// again then: some systems, such as files, take no updates at all.
func (t *Target) Holds(have []byte) bool {
	got, want := jsondoc.Get(), jsondoc.Get()
	defer jsondoc.Put(got)
	defer jsondoc.Put(want)
	if got.Reset(have, DocumentLimits) != nil || want.Reset(t.Out, DocumentLimits) != nil || want.Root().Kind() != jsondoc.Object {
		return false
	}
	for name, v := range want.Root().Members() {
		if w := got.Root().Get(name); w.Kind() == jsondoc.Missing || jsondoc.Hash(w) != jsondoc.Hash(v) {
			return false
		}
	}
	return true
}

// Natural gives the values of the flow's find-by fields, and their rules.
func (t *Target) Natural() (map[string]string, map[string]connector.Compare) {
	if len(t.Flow.To.FindBy) == 0 || len(t.Out) == 0 {
		return nil, nil
	}
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	if doc.Reset(t.Out, DocumentLimits) != nil {
		return nil, nil
	}
	values, rules := map[string]string{}, map[string]connector.Compare{}
	for _, by := range t.Flow.To.FindBy {
		text := ""
		switch v := doc.Root().GetPath(by.Field); v.Kind() {
		case jsondoc.Missing, jsondoc.Null:
		case jsondoc.String:
			text = v.Str()
		default:
			text = string(v.Raw())
		}
		if text == "" {
			return nil, nil // half a key finds strangers
		}
		values[by.Field], rules[by.Field] = text, by.Compare
	}
	return values, rules
}

// Named makes sure that the event says which object it is, and whose.
func (t *Target) Named() *Verdict {
	if t.Event.Hub == "" && t.Event.Key == "" {
		return Park("malformed", "key", "the record has neither a key nor a hub id: nothing says which object it is")
	}
	if t.Event.Origin == "" {
		t.Event.Origin = t.Event.Source
	}
	return nil
}

// Place is where an object of another program has its ids: the topic that the program fills.
func (t *Target) Place() string { return "topic/" + t.Flow.From.Topic }
