package decide

import (
	"context"
	"fmt"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/state"
)

// Arrive does what the intake does before an event is on the flow's topic: it evaluates the delivery id, where headers are given, and the business
// key. delivery is the id by which a repeated webhook would be known; empty where the flow computes none.
func (m *Message) Arrive(ctx context.Context, headers map[string]string) (delivery string, v *Verdict, err error) {
	ev, from := m.Event, &m.Flow.From
	if from.System == "" || len(ev.Data) == 0 {
		return "", nil, nil
	}
	doc, err := m.Doc()
	if err != nil {
		return "", Park("malformed", "json", err.Error()), nil
	}
	in := mapping.Input{Doc: doc, Event: ev, Headers: headers, Lookup: m.Lookup}
	if w := from.Webhook; w != nil && w.DeliveryID != nil && len(headers) > 0 && ev.Refused == nil {
		if delivery, err = w.DeliveryID.String(ctx, &in); err != nil {
			v, err = refusedBy(ctx, "delivery-id", err)
			return "", v, err
		}
		if delivery != "" {
			ev.ID = delivery
		}
	}
	if m.Flow.Key == nil {
		return delivery, nil, nil
	}
	if ev.Key, v, err = m.key(ctx, &in); v != nil && err == nil {
		var unwanted *Verdict
		if unwanted, err = m.Unwanted(ctx); unwanted != nil {
			v = unwanted
		}
	}
	return delivery, v, err
}

// Unwanted is the fate of an event that has no key, where the flow does not want it: a draft that has no number yet is no fault. nil: the flow wants it, or nobody can tell.
func (m *Message) Unwanted(ctx context.Context) (*Verdict, error) {
	if m.Flow.When == nil || len(m.Event.Data) == 0 {
		return nil, nil
	}
	ev := *m.Event
	ev.Refused = nil
	alone := Message{Flow: m.Flow, Event: &ev, Lookup: m.Lookup}
	defer alone.Dispose()
	v, err := alone.Read(ctx)
	if err != nil || v == nil || v.Outcome != state.Skipped {
		return nil, err
	}
	return v, nil
}

// key evaluates the flow's key. Whatever is wrong with it, the message is refused: there is no lane yet in which it could wait.
func (m *Message) key(ctx context.Context, in *mapping.Input) (string, *Verdict, error) {
	key, err := m.Flow.Key.String(ctx, in)
	switch {
	case err != nil && ctx.Err() != nil:
		return "", nil, context.Cause(ctx)
	case err != nil:
		return "", Park("mapping", event.RefusedKey, err.Error()), nil
	case key == "":
		return "", Park("mapping", event.RefusedKey, "the key is empty"), nil
	}
	if v := unfit(event.RefusedKey, "the key", key); v != nil {
		return "", v, nil
	}
	return key, nil, nil
}

// Arrives looks at a refused message that a person wants to be tried again, as the intake will. code is why it was refused; no record of the flow's
// topic may be larger than most bytes. nil: it is taken now.
func (m *Message) Arrives(ctx context.Context, code string, most int) (*Verdict, error) {
	ev := m.Event
	if m.Flow.Key == nil && code != event.RefusedSplit {
		if ev.Key == "" {
			return Park("mapping", event.RefusedKey, "the source has told no id of the object: without one the flow needs a `key`"), nil
		}
		if v := unfit(event.RefusedKey, "the key", ev.Key); v != nil {
			return v, nil
		}
		return m.tooLarge(ev.Key, most), nil
	}
	doc, err := m.Doc()
	switch {
	case err != nil:
		return Park("invalid", code, fmt.Sprintf("the document is not acceptable JSON: %v", err)), nil
	case doc == nil:
		return Park("invalid", code, "there is no document"), nil
	case code == event.RefusedSplit:
		return m.split(doc), nil
	}
	key, v, err := m.key(ctx, &mapping.Input{Doc: doc, Event: ev, Headers: ev.Refused.Headers, Lookup: m.Lookup})
	if v != nil || err != nil {
		return v, err
	}
	return m.tooLarge(key, most), nil
}

// split: what the flow splits is to be a list.
func (m *Message) split(doc *jsondoc.Doc) *Verdict {
	w := m.Flow.From.Webhook
	if w == nil || w.Split == "" {
		return nil
	}
	if kind := doc.Root().GetPath(w.Split).Kind(); kind != jsondoc.Array {
		return Park("mapping", event.RefusedSplit, fmt.Sprintf("split: %s is %s, not a list", w.Split, kind))
	}
	return nil
}

// tooLarge: the record would be larger than the broker takes.
func (m *Message) tooLarge(key string, most int) *Verdict {
	plain := *m.Event
	plain.Key, plain.Refused = key, nil
	if size := recordSize(plain.Headers(), len(key)+len(m.Event.Data)); size > most {
		return Park("invalid", event.RefusedRecord, fmt.Sprintf("the document makes a record of %d bytes, and topic %s takes %d", size, m.Flow.Topic(), most))
	}
	return nil
}
