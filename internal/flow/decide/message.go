package decide

import (
	"context"
	"fmt"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/state"
)

// DocumentLimits bound a document in the engine: no record and no result is larger, and of its values there are as many as everywhere.
var DocumentLimits = jsondoc.Limits{Bytes: mapping.MaxResult}

// MaxHops stops events that flows hand round in a circle.
const MaxHops = 32

// Message is one event on its way through its flow. It is used by one goroutine, and ends with Dispose.
type Message struct {
	Flow  *config.Flow
	Event *event.Event
	// Lookup knows the cross-references. An error of it decides nothing.
	Lookup mapping.Lookup
	// Scratch is what the mapped document is appended to. It is never shortened here: documents that were cut from it stay as they are.
	Scratch *[]byte

	// Local and External name the object in the system that the event came from; of flows from a system, after Read.
	Local, External string
	// Ref is the source system's new reference, after Received; nil for flows from a topic.
	Ref *state.Ref
	// Out is the mapped document, after Map; nil for a delete that does not map.
	Out []byte

	doc       *jsondoc.Doc // nil for a delete without a document
	malformed error        // why it cannot be parsed
	input     mapping.Input
	known     *state.Known // what was known of the object in its source before
	gone      bool         // it was deleted there
	sent      Verdict      // of a message that is sent on: most are, and each would be an allocation
}

// Doc gives the message's document; nil where it has none.
func (m *Message) Doc() (*jsondoc.Doc, error) {
	if m.doc != nil || m.malformed != nil || len(m.Event.Data) == 0 {
		return m.doc, m.malformed
	}
	m.doc = jsondoc.Get()
	if m.malformed = m.doc.Reset(m.Event.Data, DocumentLimits); m.malformed != nil {
		m.Dispose()
	}
	return m.doc, m.malformed
}

// Dispose gives the document's memory back.
func (m *Message) Dispose() {
	if m.doc != nil {
		jsondoc.Put(m.doc)
		m.doc = nil
	}
}

// Read takes the message as far as what it says of itself: parse, validate, filter, and by which ids the source knows the object.
func (m *Message) Read(ctx context.Context) (*Verdict, error) {
	if v := m.circling(); v != nil {
		return v, nil
	}
	doc, err := m.Doc()
	if err != nil {
		return Park("malformed", "json", err.Error()), nil
	}
	m.input = mapping.Input{Doc: doc, Event: m.Event, Lookup: m.Lookup}
	if v, err := m.attributes(ctx); v != nil || err != nil {
		return v, err
	}
	if m.Flow.Accept != nil && doc != nil {
		if err := m.Flow.Accept.Validate(doc); err != nil {
			return Refuse("accept", err), nil
		}
	}
	if m.Flow.When != nil && doc != nil {
		ok, err := m.Flow.When.Bool(ctx, &m.input)
		if err != nil {
			return refusedBy(ctx, "when", err)
		}
		if !ok {
			return Skip(state.Filtered, "`when` does not want it: %s", m.Flow.When.Text()), nil
		}
	}
	if m.Flow.From.System == "" {
		return nil, nil
	}
	return m.named(ctx)
}

// Identify does of a message that Read has filtered out what Read does of the others: it sets the ids by which the source knows the object.
func (m *Message) Identify(ctx context.Context) (*Verdict, error) { return m.named(ctx) }

// circling parks an event that flows hand round in a circle, by topics or by way of a system that is read again.
func (m *Message) circling() *Verdict {
	if m.Event.Hops < MaxHops {
		return nil
	}
	return Park("loop", "loop", fmt.Sprintf("the event has passed %d flows: flows hand it round in a circle", m.Event.Hops))
}

// refusedBy is for a message whose expression or mapping failed, unless it failed because ctx has ended.
func refusedBy(ctx context.Context, what string, err error) (*Verdict, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return Refuse(what, err), nil
}

// attributes sets what the flow computes of the event itself: entity, operation, key and version.
func (m *Message) attributes(ctx context.Context) (*Verdict, error) {
	ev, f := m.Event, m.Flow
	if f.Entity != "" {
		ev.Entity = f.Entity
	}
	if m.doc == nil {
		if ev.Operation != event.Delete {
			return Park("malformed", "empty", "an upsert without a document"), nil
		}
		return nil, nil
	}
	if f.Operation != nil {
		op, err := f.Operation.String(ctx, &m.input)
		if err != nil {
			return refusedBy(ctx, "operation", err)
		}
		if !event.Operation(op).Valid() {
			return Park("mapping", "operation", fmt.Sprintf("operation gives %q; it must give \"upsert\" or \"delete\"", op)), nil
		}
		ev.Operation = event.Operation(op)
	}
	if f.Key != nil && f.From.System == "" { // the relay has done it for flows from a system
		key, err := f.Key.String(ctx, &m.input)
		if err != nil {
			return refusedBy(ctx, "key", err)
		}
		if v := unfit(event.RefusedKey, "the key", key); v != nil {
			return v, nil
		}
		ev.Key = key
	}
	if f.Version != nil {
		v, err := f.Version.String(ctx, &m.input)
		if err != nil {
			return refusedBy(ctx, "version", err)
		}
		ev.Version = v
	}
	return nil, nil
}

// named sets the ids by which the source knows the object.
func (m *Message) named(ctx context.Context) (*Verdict, error) {
	m.Local = m.Event.Key
	if m.doc == nil && m.Event.Local != "" {
		m.Local = m.Event.Local // the key may be another one than the id
	}
	var err error
	if m.doc != nil && m.Flow.ID != nil {
		if m.Local, err = m.Flow.ID.String(ctx, &m.input); err != nil {
			return refusedBy(ctx, "id", err)
		}
	}
	if m.doc != nil && m.Flow.ExternalID != nil {
		if m.External, err = m.Flow.ExternalID.String(ctx, &m.input); err != nil {
			return refusedBy(ctx, "external-id", err)
		}
		if v := unfit("external-id", "the external id", m.External); v != nil {
			return v, nil
		}
		if m.External == "" {
			m.External = state.NoExternal
		} else if u, ok := connector.ParseExternal(m.External); ok {
			m.External = u // as the hub knows it, whatever the form in which the system gives it back
		}
	}
	if m.Local == "" {
		return Park("mapping", "id", "the document gives no id of the object"), nil
	}
	return unfit("id", "the id of the object", m.Local), nil
}

// ComputedKey is the key that the flow computes of the document; empty where it cannot.
func (m *Message) ComputedKey(ctx context.Context) string {
	doc, err := m.Doc()
	if err != nil || doc == nil {
		return ""
	}
	key, err := m.Flow.Key.String(ctx, &mapping.Input{Doc: doc, Event: m.Event, Lookup: m.Lookup})
	if err != nil || event.CheckName(key) != nil {
		return ""
	}
	return key
}
