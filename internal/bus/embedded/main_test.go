package embedded_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/segmentio/kafka-go"
	"go.uber.org/goleak"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/bus/embedded"
	"github.com/waybill-hub/waybill/internal/bus/embedded/brokertest"
	"github.com/waybill-hub/waybill/internal/event"
)

func TestMain(m *testing.M) {
	if brokertest.RunChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

// restarted starts a broker in dir, hands it to f and stops it.
func restarted(t *testing.T, dir string, f func(b *embedded.Broker, c *bus.Cluster)) {
	t.Helper()
	b, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, Log: brokertest.Quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	f(b, dial(t, b.Addr()))
}

// dial connects to an address; the connection ends with the test.
func dial(t testing.TB, addr string, change ...func(*bus.Config)) *bus.Cluster {
	t.Helper()
	cfg := bus.Config{Brokers: []string{addr}, Log: brokertest.Quiet(t)}
	for _, f := range change {
		f(&cfg)
	}
	c, err := bus.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func topic(t testing.TB, c *bus.Cluster, name string, partitions int) {
	t.Helper()
	if err := c.EnsureTopics(t.Context(), []bus.Topic{{Name: name, Partitions: partitions}}); err != nil {
		t.Fatal(err)
	}
}

// within gives a context for what must not take long.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func publisher(t testing.TB, c *bus.Cluster, cfg bus.PublisherConfig) *bus.Publisher {
	t.Helper()
	p := c.Publisher(cfg)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// send writes records and fails the test unless all are written.
func send(t testing.TB, p *bus.Publisher, records ...event.Record) []event.Sent {
	t.Helper()
	sent := p.Send(within(t, 20*time.Second), records)
	for i, s := range sent {
		if s.Err != nil {
			t.Fatalf("record %d: %v", i, s.Err)
		}
	}
	return sent
}

// subscribe reads a topic as a group that begins with it.
func subscribe(t testing.TB, c *bus.Cluster, topic string) <-chan *message.Message {
	t.Helper()
	s, err := c.Subscriber(bus.SubscriberConfig{Group: "g", Heartbeat: 100 * time.Millisecond, Grace: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	ch, err := s.Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// next takes one message and acknowledges it; it fails the test if none comes.
func next(t testing.TB, ch <-chan *message.Message) []event.Record {
	t.Helper()
	select {
	case m, ok := <-ch:
		if !ok {
			t.Fatal("the channel is closed")
		}
		defer m.Ack()
		return event.BatchFrom(m.Context()).Records
	case <-time.After(time.Minute):
		t.Fatal("no message within a minute")
	}
	return nil
}

func values(records []event.Record) string {
	var s []string
	for _, r := range records {
		s = append(s, string(r.Value))
	}
	return strings.Join(s, " ")
}

// eventually waits until ok, looking often.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(until) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func record(topic, k, v string) event.Record {
	return event.Record{Topic: topic, Key: []byte(k), Value: []byte(v)}
}

func key(i int) []byte { return fmt.Appendf(nil, "key-%04d", i) }

func describe(t testing.TB, c *bus.Cluster, topic string) bus.TopicInfo {
	t.Helper()
	info, err := c.Describe(within(t, 10*time.Second), topic)
	if err != nil {
		t.Fatal(err)
	}
	return info[topic]
}

// holds is what a partition with the offsets from first to before last tells.
func holds(first, last int64) bus.PartitionInfo { return bus.PartitionInfo{First: first, Last: last} }

// plain is a client of kafka-go alone, for what the hub's own does not ask.
func plain(t testing.TB, addr string) *kafka.Client {
	transport := &kafka.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &kafka.Client{Addr: kafka.TCP(addr), Transport: transport}
}

// commitAt commits an offset of the first partition of a topic, as a group without members may.
func commitAt(t testing.TB, addr, group, topic string, offset int64) {
	t.Helper()
	res, err := plain(t, addr).OffsetCommit(within(t, 10*time.Second), &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{topic: {{Offset: offset}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Topics[topic][0].Error; err != nil {
		t.Fatal(err)
	}
}

// committed gives the offset that a group has committed in the first partition of a topic.
func committed(t testing.TB, c *bus.Cluster, group, topic string) int64 {
	t.Helper()
	at, err := c.Committed(within(t, 10*time.Second), group, topic, 1)
	if err != nil {
		t.Fatal(err)
	}
	return at[0]
}
