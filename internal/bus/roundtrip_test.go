package bus

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/waybill-hub/waybill/internal/event"
)

func publisher(t testing.TB, c *Cluster, cfg PublisherConfig) *Publisher {
	t.Helper()
	p := c.Publisher(cfg)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func subscriber(t testing.TB, c *Cluster, cfg SubscriberConfig) *Subscriber {
	t.Helper()
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = 100 * time.Millisecond
	}
	if cfg.Grace == 0 {
		cfg.Grace = 500 * time.Millisecond
	}
	s, err := c.Subscriber(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func subscribe(t testing.TB, s *Subscriber, topic string) <-chan *message.Message {
	t.Helper()
	ch, err := s.Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// send writes records and fails the test unless all are written.
func send(t testing.TB, p *Publisher, records ...event.Record) []event.Sent {
	t.Helper()
	sent := p.Send(within(t, 20*time.Second), records)
	for i, s := range sent {
		if s.Err != nil {
			t.Fatalf("record %d: %v", i, s.Err)
		}
	}
	return sent
}

func TestRoundTrip(t *testing.T) {
	e := broker(t)
	c := dial(t, e.Addr())
	name := topic(t, c, "orders", 4)
	p := publisher(t, c, PublisherConfig{})
	var records []event.Record
	for i := range 1000 {
		records = append(records, event.Record{Topic: name, Key: key(i % 50), Value: fmt.Appendf(nil, "value %d", i), Time: time.UnixMilli(1_700_000_000_000 + int64(i)),
			Headers: []event.Header{{Key: event.HeaderID, Value: fmt.Appendf(nil, "id-%d", i)}, {Key: "own", Value: nil}}})
	}
	records = append(records, event.Record{Topic: name, Key: nil, Value: nil}, event.Record{Topic: name, Key: []byte{}, Value: []byte{}})
	sent := send(t, p, records...)
	want := map[string]event.Record{}
	for i, s := range sent {
		want[fmt.Sprintf("%d/%d", s.Partition, s.Offset)] = records[i]
	}
	if len(want) != len(records) {
		t.Fatalf("%d positions for %d records", len(want), len(records))
	}
	s := subscriber(t, c, SubscriberConfig{Group: "g"})
	messages := subscribe(t, s, name)
	last := map[string]int64{}
	for got := 0; got < len(records); {
		m := <-messages
		b := event.BatchFrom(m.Context())
		if b == nil || b.Group != "g" || b.Topic != name || len(b.Records) == 0 || len(b.Records) > 128 {
			t.Fatalf("batch %+v", b)
		}
		for _, r := range b.Records {
			w := want[fmt.Sprintf("%d/%d", r.Partition, r.Offset)]
			if !bytes.Equal(r.Key, w.Key) || !bytes.Equal(r.Value, w.Value) || (r.Key == nil) != (w.Key == nil) || (r.Value == nil) != (w.Value == nil) || len(r.Headers) != len(w.Headers) {
				t.Fatalf("got %+v, want %+v", r, w)
			}
			for i := range r.Headers {
				if r.Headers[i].Key != w.Headers[i].Key || !bytes.Equal(r.Headers[i].Value, w.Headers[i].Value) {
					t.Fatalf("header %+v, want %+v", r.Headers[i], w.Headers[i])
				}
			}
			if since := time.Since(r.Time); since < -time.Second || since > time.Minute {
				t.Fatalf("time %s: want that of writing", r.Time)
			}
			if prev, ok := last[string(r.Key)]; ok && prev >= r.Offset {
				t.Fatalf("key %s: offset %d after %d", r.Key, r.Offset, prev)
			}
			last[string(r.Key)] = r.Offset
			if r.Partition != b.Partition || laneOf(r.Key, 16) != b.Lane {
				t.Fatalf("record of partition %d, lane %d in batch of %d, %d", r.Partition, laneOf(r.Key, 16), b.Partition, b.Lane)
			}
		}
		got += len(b.Records)
		m.Ack()
	}
}
