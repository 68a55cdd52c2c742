package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-hub/waybill/internal/bus/embedded"
	"github.com/waybill-hub/waybill/internal/bus/embedded/brokertest"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
)

// ask sends requests that the hub itself never makes.
func ask(t testing.TB, c *Cluster, reqs ...kmsg.Request) {
	t.Helper()
	k, err := kgo.NewClient(kgo.SeedBrokers(c.cfg.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	for _, req := range reqs {
		if _, err := k.Request(within(t, 20*time.Second), req); err != nil {
			t.Fatal(err)
		}
	}
}

func deleteTopic(t testing.TB, c *Cluster, name string) {
	t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 10_000
	rt := kmsg.NewDeleteTopicsRequestTopic()
	rt.Topic = &name
	req.Topics, req.TopicNames = append(req.Topics, rt), []string{name}
	ask(t, c, req)
	eventually(t, "the topic is gone", func() bool { _, ok := describeAny(t, c, name); return !ok })
}

func describeAny(t testing.TB, c *Cluster, name string) (TopicInfo, bool) {
	t.Helper()
	m, err := c.Describe(within(t, 10*time.Second), name)
	if err != nil {
		return TopicInfo{}, true // in between
	}
	info, ok := m[name]
	return info, ok
}

// makeAgain deletes a topic, makes it anew and puts n records on it.
func makeAgain(t testing.TB, c *Cluster, name string, n int) {
	t.Helper()
	deleteTopic(t, c, name)
	eventually(t, "the topic is there again", func() bool {
		return c.EnsureTopics(t.Context(), []Topic{{Name: name, Partitions: 1}}) == nil
	})
	fillTopic(t, c, name, n)
}

func fillTopic(t testing.TB, c *Cluster, name string, n int) {
	t.Helper()
	var records []event.Record
	for i := range n {
		records = append(records, event.Record{Topic: name, Key: []byte("k"), Value: fmt.Append(nil, i)})
	}
	send(t, publisher(t, c, PublisherConfig{BatchBytes: 200}), records...)
}

// deleteRecords removes the first records of partition 0.
func deleteRecords(t testing.TB, c *Cluster, name string, before int64) {
	t.Helper()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 10_000
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rt.Topic = name
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Offset = before
	rt.Partitions = append(rt.Partitions, p)
	req.Topics = append(req.Topics, rt)
	ask(t, c, req)
}

// keeper keeps positions as the hub's store does, with the log that they are of.
type keeper struct {
	next  int64
	known event.Log
	asked atomic.Int64
}

func (k *keeper) Assigned(_ context.Context, _, topic string, n int, log event.Log) (int64, event.Position, bool, error) {
	k.asked.Add(1)
	if k.known.TopicID != "" && (k.known.TopicID != log.TopicID || k.known.Cluster != log.Cluster) {
		return 0, event.Position{}, false, fmt.Errorf("%w: %s/%d is not what it was", ErrPosition, topic, n)
	}
	k.known = log
	return 1, event.Position{Next: k.next}, true, nil
}

func (*keeper) Revoked(string, string, int) {}

// What a broker can lose while nobody reads, and while somebody does: the reading stops with an alarm, and nothing is handed over that
// lies behind what was lost.
func TestWhatABrokerLoses(t *testing.T) {
	const n = 40
	for _, tt := range []struct {
		name  string
		start int64 // the position that is kept
		lose  func(t *testing.T, c *Cluster, name string)
		says  string // empty: no alarm
		from  int64  // where reading goes on then
	}{
		{"nothing", 10, func(*testing.T, *Cluster, string) {}, "", 10},
		{"records that were read", 10, func(t *testing.T, c *Cluster, name string) { deleteRecords(t, c, name, 10) }, "", 10},
		{"records that were not read", 10, func(t *testing.T, c *Cluster, name string) { deleteRecords(t, c, name, 25) },
			"continues at offset 10, but the oldest record held is 25: 15 records were deleted unread", 0},
		{"everything, by retention", 10, func(t *testing.T, c *Cluster, name string) { deleteRecords(t, c, name, n) }, "the oldest record held is 40: 30 records", 0},
		{"the topic, made again with less", 10, func(t *testing.T, c *Cluster, name string) { makeAgain(t, c, name, 3) }, "is not what it was", 0},
		{"the topic, made again with more", 10, func(t *testing.T, c *Cluster, name string) { makeAgain(t, c, name, 2*n) }, "is not what it was", 0},
		// In all of these the group has no offsets of its own: what is kept counts, also where the group says something else.
		{"nothing, and the group is ahead", 10, func(t *testing.T, c *Cluster, name string) { commitAt(t, c, "g-"+name, name, 0, 30) }, "", 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(t *testing.T, c *Cluster, name string) {
				topic(t, c, name, 1)
				fillTopic(t, c, name, n)
				k := &keeper{next: tt.start}
				info := describe(t, c, name)
				id, err := c.ID(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				k.known = event.Log{Cluster: id, TopicID: info.ID}
				tt.lose(t, c, name)
				a := make(alarms, 1)
				ch := subscribe(t, subscriber(t, c, SubscriberConfig{Group: "g-" + name, Positions: k, OnAlarm: a.raise}), name)
				if tt.says != "" {
					if err := a.wait(t, tt.says, name); !errors.Is(err, ErrPosition) {
						t.Error(err)
					}
					for m := range ch {
						t.Errorf("handed over %s", values(event.BatchFrom(m.Context()).Records))
					}
					return
				}
				m := next(t, ch)
				if got := batch(t, m).Records[0].Offset; got != tt.from {
					t.Errorf("begins at %d, want %d", got, tt.from)
				}
				m.Ack()
			})
		})
	}
	for _, tt := range []struct {
		name string
		lose func(t *testing.T, c *Cluster, name string, p *partition)
		says string
	}{
		{"records ahead", func(t *testing.T, c *Cluster, name string, p *partition) { deleteRecords(t, c, name, n) }, "the oldest record held is 40"},
		{"the topic", func(t *testing.T, c *Cluster, name string, p *partition) { makeAgain(t, c, name, 2*n) }, "it was wiped or is another one"},
		{"the end of the log", func(t *testing.T, c *Cluster, name string, p *partition) {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { // again and again: the reader may be about to note where it ended the last time
				defer close(ended)
				for p.end.Store(n + 7); pause(ctx, 10*time.Millisecond); p.end.Store(n + 7) {
				}
			}()
			t.Cleanup(func() { cancel(); <-ended })
		},
			"ended at offset 47 and ends at 40 now: 7 records were cut off"},
	} {
		t.Run(tt.name+", while it is read", func(t *testing.T) {
			each(t, func(t *testing.T, c *Cluster, name string) {
				topic(t, c, name, 1)
				fillTopic(t, c, name, n)
				a := make(alarms, 1)
				s := subscriber(t, c, SubscriberConfig{Group: "g-" + name, MaxBytes: 2 << 10, MaxBatch: 1, Lanes: 1, OnAlarm: a.raise, Positions: &keeper{}, lookEvery: 200 * time.Millisecond})
				ch := subscribe(t, s, name)
				m := next(t, ch) // and reads not much further
				p := subscriptions(s)[0].current()[0]
				tt.lose(t, c, name, p)
				go func() {
					m.Ack()
					for m := range ch {
						m.Ack()
					}
				}()
				if err := a.wait(t, tt.says); !errors.Is(err, ErrPosition) {
					t.Error(err)
				}
			})
		})
	}
}

// The embedded broker's data are wiped and it is started again, at the same address, under a subscription.
func TestEmbeddedWipedWhileReading(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	start := func() *embedded.Broker {
		t.Helper()
		e, err := embedded.Start(t.Context(), embedded.Config{Dir: filepath.Join(dir, "broker"), Listen: addr, Log: brokertest.Quiet(t)})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := start()
	c := dial(t, addr)
	topic(t, c, "orders", 1)
	fillTopic(t, c, "orders", 20)
	a := make(alarms, 1)
	k := &keeper{}
	ch := subscribe(t, subscriber(t, c, SubscriberConfig{Group: "g", Positions: k, OnAlarm: a.raise}), "orders")
	m := next(t, ch)
	m.Ack()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "broker")); err != nil {
		t.Fatal(err)
	}
	e = start()
	defer e.Close()
	eventually(t, "the topic is there again", func() bool {
		return c.EnsureTopics(t.Context(), []Topic{{Name: "orders", Partitions: 1}}) == nil
	})
	fillTopic(t, c, "orders", 30)
	if err := a.wait(t, "orders"); !errors.Is(err, ErrPosition) {
		t.Error(err)
	}
	for m := range ch {
		t.Errorf("handed over %s", values(event.BatchFrom(m.Context()).Records))
	}
}

// Identity, Look and Committed say what the broker says.
func TestLook(t *testing.T) {
	each(t, func(t *testing.T, c *Cluster, name string) {
		other := name + "-other"
		topic(t, c, name, 2)
		topic(t, c, other, 3)
		fillTopic(t, c, name, 5)
		var cluster string
		var found map[string]TopicInfo
		var err error
		eventually(t, "leaders to know that they are", func() bool {
			cluster, found, err = c.Look(t.Context(), name, other, name+"-none")
			return err == nil
		})
		if err != nil || len(found) != 2 || len(found[name].Partitions) != 2 || len(found[other].Partitions) != 3 {
			t.Fatalf("%v, %v", found, err)
		}
		sum := int64(0)
		for _, p := range found[name].Partitions {
			sum += p.Last - p.First
		}
		if sum != 5 || found[other].Partitions[1] != (PartitionInfo{}) {
			t.Errorf("%+v", found)
		}
		id, topicID, err := c.Identity(t.Context(), name)
		if err != nil || id != cluster || topicID != found[name].ID || id == "" || topicID == "" {
			t.Errorf("%q %q, %v; want %q %q", id, topicID, err, cluster, found[name].ID)
		}
		if _, _, err := c.Identity(t.Context(), name+"-none"); !errors.Is(err, ErrNoTopic) || fault.KindOf(err) != fault.Unavailable {
			t.Errorf("a topic that is not there: %v", err)
		}
		commitAt(t, c, "g-"+name, name, 1, 3)
		got, err := c.Committed(t.Context(), "g-"+name, name, 2)
		if err != nil || fmt.Sprint(got) != "[-1 3]" {
			t.Errorf("committed %v, %v", got, err)
		}
		if got, err = c.Committed(t.Context(), "nobody-"+name, name, 2); err != nil || fmt.Sprint(got) != "[-1 -1]" {
			t.Errorf("committed by nobody: %v, %v", got, err)
		}
	})
}

// A key has the partition that the publisher gives it.
func TestPartitionOf(t *testing.T) {
	e := broker(t)
	c := dial(t, e.Addr())
	topic(t, c, "orders", 5)
	p := publisher(t, c, PublisherConfig{})
	for i := range 50 {
		k := fmt.Sprint("key-", i)
		sent := send(t, p, event.Record{Topic: "orders", Key: []byte(k)})
		if got := PartitionOf(k, 5); got != sent[0].Partition {
			t.Errorf("%s: %d, and it was put into %d", k, got, sent[0].Partition)
		}
	}
}
