package bus

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/waybill-hub/waybill/internal/bus/embedded/brokertest"
	"github.com/waybill-hub/waybill/internal/needtest"
)

// suite runs watermill's official tests against a broker: their short forms, unless WAYBILL_TEST_LONG is set.
type suite struct {
	addr  string
	lanes int
	key   messageKey
}

// byUUID spreads messages over partitions and lanes.
func byUUID(_ string, m *message.Message) []byte { return []byte(m.UUID) }

// byPayload keeps the order of what the official tests call a type.
func byPayload(_ string, m *message.Message) []byte { return m.Payload }

// initialized is a subscriber that makes its topics: the official tests name topics as they go.
type initialized struct {
	*plainSubscriber
	c *Cluster
}

// SubscribeInitialize makes the topic.
func (i initialized) SubscribeInitialize(topic string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return i.c.EnsureTopics(ctx, []Topic{{Name: topic, Partitions: 4}})
}

// Close closes the connections, too.
func (i initialized) Close() error {
	defer i.c.Close()
	return i.plainSubscriber.Close()
}

type closing struct {
	plainPublisher
	c *Cluster
}

func (p closing) Close() error {
	defer p.c.Close()
	return p.Publisher.Close()
}

func (s suite) pubSub(t *testing.T, group string) (message.Publisher, message.Subscriber) {
	t.Helper()
	connect := func() *Cluster {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		for {
			c, err := Dial(ctx, Config{Brokers: []string{s.addr}, Log: brokertest.Quiet(t)})
			if err == nil {
				return c
			}
			if !pause(ctx, 100*time.Millisecond) {
				t.Fatal(err)
			}
		}
	}
	pc, sc := connect(), connect()
	pub := plainPublisher{pc.Publisher(PublisherConfig{}), s.key}
	sub, err := sc.Subscriber(SubscriberConfig{Group: group, MaxBatch: 1, Lanes: s.lanes, NackBackoff: 10 * time.Millisecond,
		Heartbeat: 100 * time.Millisecond, Grace: 300 * time.Millisecond, CommitEvery: 50 * time.Millisecond, Session: 6 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	p, i := closing{pub, pc}, initialized{&plainSubscriber{Subscriber: sub}, sc}
	t.Cleanup(func() { // some of the official tests leave theirs open
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, i
}

// collected holds back the last of the messages that the official TestReconnect publishes until every Publish has returned: the
// test compares what it received with a list that another of its goroutines is still filling, without waiting for it.
type collected struct {
	message.Publisher
	message.Subscriber
	total int

	mu        sync.Mutex
	published int
	all       chan struct{}
}

func (c *collected) Publish(topic string, messages ...*message.Message) error {
	err := c.Publisher.Publish(topic, messages...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		if c.published += len(messages); c.published == c.total {
			close(c.all)
		}
	}
	return err
}

func (c *collected) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	in, err := c.Subscriber.Subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	out := make(chan *message.Message)
	go func() {
		defer close(out)
		seen := map[string]bool{}
		for m := range in {
			if seen[m.UUID] = true; len(seen) == c.total {
				<-c.all
				time.Sleep(200 * time.Millisecond) // the list's own goroutine gives no signal
			}
			out <- m
		}
	}()
	return out, nil
}

func (c *collected) SubscribeInitialize(topic string) error {
	return c.Subscriber.(message.SubscribeInitializer).SubscribeInitialize(topic)
}

func (c *collected) Close() error { return errors.Join(c.Publisher.Close(), c.Subscriber.Close()) }

// reconnectable is what the official TestReconnect gets, which alone publishes 10,000 messages.
func (s suite) reconnectable(t *testing.T) (message.Publisher, message.Subscriber) {
	pub, sub := s.construct(t)
	if !strings.Contains(t.Name(), "/TestReconnect/") {
		return pub, sub
	}
	c := &collected{Publisher: pub, Subscriber: sub, total: 10_000, all: make(chan struct{})}
	return c, c
}

func (s suite) construct(t *testing.T) (message.Publisher, message.Subscriber) {
	return s.pubSub(t, t.Name())
}

func (s suite) run(t *testing.T, ordered bool, restart []string) {
	features := tests.Features{
		ConsumerGroups:        true,
		ExactlyOnceDelivery:   false,
		GuaranteedOrder:       ordered,
		Persistent:            true,
		RestartServiceCommand: restart,
		ForceShort:            os.Getenv("WAYBILL_TEST_LONG") == "",
	}
	tests.TestPubSub(t, features, s.reconnectable, s.pubSub)
}

// TestOfficialSuite runs watermill's suite on the embedded broker.
func TestOfficialSuite(t *testing.T) {
	e := broker(t)
	t.Run("one lane, ordered", func(t *testing.T) {
		suite{addr: e.Addr(), lanes: 1, key: byPayload}.run(t, true, nil)
	})
	t.Run("many lanes, ordered by key", func(t *testing.T) {
		suite{addr: e.Addr(), lanes: 16, key: byPayload}.run(t, true, nil)
	})
	t.Run("many lanes", func(t *testing.T) {
		suite{addr: e.Addr(), lanes: 16, key: byUUID}.run(t, false, nil)
	})
}

// TestOfficialStress runs the suite many times at once.
func TestOfficialStress(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out the ten suites at once")
	}
	e := broker(t)
	s := suite{addr: e.Addr(), lanes: 16, key: byPayload}
	tests.TestPubSubStressTest(t, tests.Features{ConsumerGroups: true, GuaranteedOrder: true, Persistent: true, ForceShort: true}, s.construct, s.pubSub)
}

// TestOfficialSuiteKafka runs watermill's suite on Apache Kafka, with restarts where WAYBILL_TEST_KAFKA_RESTART names a
// command for it.
func TestOfficialSuiteKafka(t *testing.T) {
	addr := needtest.Kafka(t)
	var restart []string
	if command := os.Getenv("WAYBILL_TEST_KAFKA_RESTART"); command != "" {
		restart = []string{"sh", "-c", command}
	}
	t.Run("one lane, ordered", func(t *testing.T) {
		suite{addr: addr, lanes: 1, key: byPayload}.run(t, true, nil)
	})
	t.Run("many lanes", func(t *testing.T) {
		suite{addr: addr, lanes: 16, key: byUUID}.run(t, false, restart)
	})
}
