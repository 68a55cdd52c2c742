package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-hub/waybill/internal/bus/embedded/brokertest"
	"github.com/waybill-hub/waybill/internal/event"
)

// A partition that moves takes nothing with it: the old owner's late acknowledgement does not count, the new owner gets
// the batch again, and a handler that never lets go holds nobody up.
func TestFencing(t *testing.T) {
	each(t, func(t *testing.T, c *Cluster, name string) {
		topic(t, c, name, 1)
		p := publisher(t, c, PublisherConfig{})
		send(t, p, record(name, "k", "0"), record(name, "k", "1"))
		a := subscriber(t, c, SubscriberConfig{Group: name, MaxBatch: 1, Grace: 20 * time.Millisecond, CommitEvery: 5 * time.Millisecond})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		chA, err := a.Subscribe(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		held := next(t, chA)
		cancel() // a gives the partition away while its handler is busy
		<-held.Context().Done()
		for range chA {
			t.Error("a message after the end")
		}
		b := subscriber(t, c, SubscriberConfig{Group: name, MaxBatch: 1, CommitEvery: 5 * time.Millisecond})
		chB := subscribe(t, b, name)
		m := next(t, chB)
		if got := values(batch(t, m).Records); got != "0" {
			t.Fatalf("the new owner begins with %q", got)
		}
		held.Ack() // too late
		if got := committed(t, c, name, name, 0); got > 0 {
			t.Errorf("committed %d by the old owner", got)
		}
		m.Ack()
		if got := values(batch(t, next(t, chB)).Records); got != "1" {
			t.Errorf("then %q", got)
		}
	})
}

// After a rebalance that leaves a partition where it was, its lanes wait until the handler has let go of what it had
// before: two batches of one key are never worked at the same time.
func TestRebalanceKeepsOneBatchPerLane(t *testing.T) {
	each(t, func(t *testing.T, c *Cluster, name string) {
		topic(t, c, name, 2)
		p := publisher(t, c, PublisherConfig{})
		// One key on each partition, so that whoever keeps a partition has a busy lane on it.
		var keys []string
		for i := 0; len(keys) < 2; i++ {
			k := fmt.Sprint("k", i)
			if s := send(t, p, record(name, k, "probe")); s[0].Partition == len(keys) {
				keys = append(keys, k)
			}
		}
		a := subscriber(t, c, SubscriberConfig{Group: name, MaxBatch: 1000, Grace: 20 * time.Millisecond})
		ch := subscribe(t, a, name)
		var mu sync.Mutex
		working := map[string]*message.Message{} // by partition and lane
		overlap := ""
		got := make(chan struct{}, 1000)
		go func() {
			for m := range ch {
				b := event.BatchFrom(m.Context())
				at := fmt.Sprint(b.Partition, "/", b.Lane)
				mu.Lock()
				if working[at] != nil {
					overlap = at
				}
				working[at] = m
				mu.Unlock()
				got <- struct{}{}
			}
		}()
		<-got
		<-got
		b := subscriber(t, c, SubscriberConfig{Group: name, MaxBatch: 1000})
		chB := subscribe(t, b, name)
		moved := batch(t, next(t, chB)) // the rebalance is through, although a's handler has let go of nothing
		eventually(t, "a has one partition", func() bool { return len(a.Stats()) == 1 && len(b.Stats()) == 1 })
		kept := 1 - moved.Partition
		mu.Lock()
		if overlap != "" {
			t.Errorf("two batches of %s at the same time", overlap)
		}
		for at, m := range working {
			if strings.HasPrefix(at, fmt.Sprint(kept)) {
				delete(working, at)
				m.Nack() // now the handler lets go
			}
		}
		mu.Unlock()
		select {
		case <-got:
		case <-time.After(time.Minute):
			t.Error("the kept partition did not go on")
		}
	})
}

// Nothing hangs when the broker does not answer.
func TestCloseWithAFrozenBroker(t *testing.T) {
	b := brokertest.MustChild(t, t.TempDir(), "127.0.0.1:0")
	c := dial(t, b.Addr, func(cfg *Config) { cfg.Timeout = 500 * time.Millisecond })
	topic(t, c, "orders", 2)
	p := c.Publisher(PublisherConfig{})
	send(t, p, record("orders", "k", "x"))
	s := subscriber(t, c, SubscriberConfig{Group: "g", Grace: 100 * time.Millisecond})
	next(t, subscribe(t, s, "orders")).Ack()
	b.Freeze(true)
	start := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	notStuck(t, start)
	if _, err := s.Subscribe(t.Context(), "orders"); err == nil {
		t.Error("subscribed after Close")
	}
	b.Freeze(false)
	b.Kill()
}

// A broker that dies and comes back is taken up again where it was left.
func TestBrokerComesBack(t *testing.T) {
	dir := t.TempDir()
	b := brokertest.MustChild(t, dir, "127.0.0.1:0")
	c := dial(t, b.Addr, func(cfg *Config) { cfg.Timeout = 2 * time.Second })
	topic(t, c, "orders", 2)
	p := publisher(t, c, PublisherConfig{})
	s := subscriber(t, c, SubscriberConfig{Group: "g", Session: 6 * time.Second})
	ch := subscribe(t, s, "orders")
	send(t, p, record("orders", "k", "before"))
	m := next(t, ch)
	m.Ack()
	b.Kill()
	brokertest.MustChild(t, dir, b.Addr)
	send(t, p, record("orders", "k", "after"))
	for {
		m := next(t, ch)
		got := values(batch(t, m).Records)
		m.Ack()
		if strings.HasSuffix(got, "after") {
			break
		}
	}
}

// A call that is not wanted any more ends at once, whatever its deadline was.
func TestCallsAreInterrupted(t *testing.T) {
	b := brokertest.MustChild(t, t.TempDir(), "127.0.0.1:0")
	c := dial(t, b.Addr, func(cfg *Config) { cfg.Timeout = 10 * time.Minute })
	topic(t, c, "orders", 1)
	f := fetcher{c: c, topic: "orders"}
	if _, err := f.fetch(t.Context(), 0, 1000, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	b.Freeze(true)
	start := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := f.fetch(ctx, 0, 1000, 10*time.Minute); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	notStuck(t, start)
	b.Freeze(false)
}

// A commit that is never answered stops neither reading nor closing.
func TestCommitThatHangs(t *testing.T) {
	e := fakeBroker(t)
	c := dial(t, e.Addr(), func(cfg *Config) { cfg.Timeout = 500 * time.Millisecond })
	topic(t, c, "orders", 1)
	p := publisher(t, c, PublisherConfig{})
	hung := make(chan struct{}, 100)
	e.cluster.ControlKey(int16(kmsg.OffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		hung <- struct{}{}
		return nil, nil, true
	})
	s := subscriber(t, c, SubscriberConfig{Group: "g", CommitEvery: time.Millisecond, Heartbeat: time.Minute})
	ch := subscribe(t, s, "orders")
	<-hung
	for i := range 5 {
		send(t, p, record("orders", "k", fmt.Sprint(i)))
		m := next(t, ch)
		if got := values(batch(t, m).Records); got != fmt.Sprint(i) {
			t.Errorf("%s, want %d", got, i)
		}
		m.Ack()
	}
	start := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	notStuck(t, start)
}

// kafka-go does not leave a group when it is closed in the middle of a rebalance: the member would hold up the others.
func TestNobodyStaysInTheGroup(t *testing.T) {
	c := dial(t, broker(t).Addr())
	topic(t, c, "orders", 4)
	send(t, publisher(t, c, PublisherConfig{}), record("orders", "k", "x"))
	start := time.Now()
	for range 3 {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				s, err := c.Subscriber(SubscriberConfig{Group: "g", Heartbeat: 20 * time.Millisecond, Session: 2 * time.Minute})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := s.Subscribe(t.Context(), "orders"); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	next(t, subscribe(t, subscriber(t, c, SubscriberConfig{Group: "g"}), "orders")).Ack()
	notStuck(t, start)
}

// Partitions whose leader moves are written to and read from where they are, without waiting for anything to expire.
func TestLeadersMove(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(3, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	c := dial(t, cluster.ListenAddrs()[0])
	p := publisher(t, c, PublisherConfig{})
	ch := subscribe(t, subscriber(t, c, SubscriberConfig{Group: "g"}), "orders")
	start := time.Now()
	for round := range 6 {
		for i := range 9 {
			send(t, p, record("orders", fmt.Sprint("k", i), fmt.Sprint(round)))
		}
		for n := 0; n < 9; {
			m := next(t, ch)
			n += len(batch(t, m).Records)
			m.Ack()
		}
		for partition := range int32(3) {
			if err := cluster.MoveTopicPartition("orders", partition, (partition+int32(round))%3); err != nil {
				t.Fatal(err)
			}
		}
	}
	if info := describe(t, c, "orders"); info.Partitions[0].Last+info.Partitions[1].Last+info.Partitions[2].Last != 54 {
		t.Errorf("%v", info)
	}
	notStuck(t, start)
}
