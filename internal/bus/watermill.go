package bus

import (
	"context"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/waybill-hub/waybill/internal/event"
)

// HeaderMessageID carries the UUID of a watermill message.
const HeaderMessageID = "watermill_message_uuid"

// KeyMetadata is the metadata field that holds the record key of a watermill message.
const KeyMetadata = "waybill_key"

// MessageKey gives the record key of a message; nil: no key.
type MessageKey func(topic string, m *message.Message) []byte

func metadataKey(_ string, m *message.Message) []byte {
	if k := m.Metadata.Get(KeyMetadata); k != "" {
		return []byte(k)
	}
	return nil
}

var _ message.Publisher = (*Publisher)(nil)
var _ message.Subscriber = (*Subscriber)(nil)

// Publish makes Publisher a watermill publisher: one record per message, with its metadata as headers. The error is that
// of the first message that failed; some may have been written.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	if len(messages) == 0 {
		return nil
	}
	records := make([]event.Record, len(messages))
	for i, m := range messages {
		records[i] = p.record(topic, m)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*(p.cfg.RequestTimeout+p.cfg.RetryFor))
	defer cancel()
	for i, s := range p.Send(ctx, records) {
		if s.Err != nil {
			return fmt.Errorf("publish message %s: %w", messages[i].UUID, s.Err)
		}
	}
	return nil
}

func (p *Publisher) record(topic string, m *message.Message) event.Record {
	r := event.Record{Topic: topic, Key: p.cfg.Key(topic, m), Value: m.Payload, Headers: make([]event.Header, 0, len(m.Metadata)+1)}
	r.Headers = append(r.Headers, event.Header{Key: HeaderMessageID, Value: []byte(m.UUID)})
	for k, v := range m.Metadata {
		r.Headers = append(r.Headers, event.Header{Key: k, Value: []byte(v)})
	}
	return r
}

// plainMessage turns one record into a message. Records of other programs are named by their position.
func plainMessage(r *event.Record) *message.Message {
	m := message.NewMessage("", r.Value)
	for i := range r.Headers {
		if h := &r.Headers[i]; h.Key == HeaderMessageID {
			m.UUID = string(h.Value)
		} else {
			m.Metadata.Set(h.Key, string(h.Value))
		}
	}
	if m.UUID == "" {
		m.UUID = r.Position()
	}
	return m
}

// shared is a publisher whose Close does nothing.
type shared struct{ *Publisher }

// Close leaves the publisher open for its other users.
func (shared) Close() error { return nil }

// Shared gives the publisher to someone who closes what he is given: watermill's router closes the publisher of a handler
// that ends, although others may be using it.
func (p *Publisher) Shared() message.Publisher { return shared{p} }
