package bus

import (
	"context"
	"fmt"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/waybill-hub/waybill/internal/event"
)

// The hub's own messages carry batches. watermill's official suite, which the client has to pass, sends and wants one record per message.

// headerMessageID carries the UUID of a watermill message.
const headerMessageID = "watermill_message_uuid"

// messageKey gives the record key of a message; nil: no key.
type messageKey func(topic string, m *message.Message) []byte

// plainPublisher sends one record per message, with its metadata as headers.
type plainPublisher struct {
	*Publisher
	key messageKey
}

// Publish gives the error of the first message that failed; some may have been written.
func (p plainPublisher) Publish(topic string, messages ...*message.Message) error {
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

func (p plainPublisher) record(topic string, m *message.Message) event.Record {
	r := event.Record{Topic: topic, Value: m.Payload, Headers: make([]event.Header, 0, len(m.Metadata)+1)}
	if p.key != nil {
		r.Key = p.key(topic, m)
	}
	r.Headers = append(r.Headers, event.Header{Key: headerMessageID, Value: []byte(m.UUID)})
	for k, v := range m.Metadata {
		r.Headers = append(r.Headers, event.Header{Key: k, Value: []byte(v)})
	}
	return r
}

// plainSubscriber hands over one record per message. Its MaxBatch is 1.
type plainSubscriber struct {
	*Subscriber
	handing sync.WaitGroup // channels that are not closed yet
}

// Close closes the channels before it returns, as a Subscriber's does.
func (s *plainSubscriber) Close() error {
	defer s.handing.Wait()
	return s.Subscriber.Close()
}

func (s *plainSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	batches, err := s.Subscriber.Subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	out, ended := make(chan *message.Message), make(chan struct{})
	s.handing.Go(func() {
		defer close(out)
		defer close(ended)
		for m := range batches {
			b := event.BatchFrom(m.Context())
			one := plainMessage(&b.Records[0])
			one.SetContext(m.Context())
			select {
			case out <- one:
			case <-m.Context().Done():
				m.Nack() // its lane waits until it is let go
				continue
			}
			go func() { // other lanes go on meanwhile
				select {
				case <-one.Acked():
					m.Ack()
				case <-one.Nacked():
					m.Nack()
				case <-ended:
				}
			}()
		}
	})
	return out, nil
}

// plainMessage turns one record into a message. Records of other programs are named by their position.
func plainMessage(r *event.Record) *message.Message {
	m := message.NewMessage("", r.Value)
	for i := range r.Headers {
		if h := &r.Headers[i]; h.Key == headerMessageID {
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
