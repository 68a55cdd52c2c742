package bus

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A broker may hold a request the longer the more of them it has answered with nothing, within bounds.
func TestWaitOfAnIdlePartition(t *testing.T) {
	for _, tt := range []struct {
		configured time.Duration
		empty      int
		want       time.Duration
	}{
		{500 * time.Millisecond, 0, 500 * time.Millisecond},
		{500 * time.Millisecond, 1, time.Second},
		{500 * time.Millisecond, 3, 4 * time.Second},
		{500 * time.Millisecond, 4, idleWait},
		{500 * time.Millisecond, 1 << 40, idleWait},
		{time.Millisecond, 1 << 40, 1024 * time.Millisecond},
		{10 * time.Second, 7, 10 * time.Second},
	} {
		p := &partition{cfg: &SubscriberConfig{FetchWait: tt.configured}, empty: tt.empty}
		if got := p.wait(); got != tt.want {
			t.Errorf("%s after %d answers without a record: %s, want %s", tt.configured, tt.empty, got, tt.want)
		}
	}
}

// While nothing comes the broker is asked ever more seldom; while something does, or is in an open transaction, as often as is configured.
func TestIdlePartitionIsAskedSeldom(t *testing.T) {
	t.Parallel()
	e := fakeBroker(t)
	var mu sync.Mutex
	var waits []int32
	e.cluster.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		waits = append(waits, req.(*kmsg.FetchRequest).MaxWaitMillis)
		return nil, nil, false
	})
	asked := func() []int32 {
		mu.Lock()
		defer mu.Unlock()
		return waits
	}
	last := func() int32 {
		if all := asked(); len(all) > 0 {
			return all[len(all)-1]
		}
		return 0
	}
	c := dial(t, e.Addr())
	topic(t, c, "orders", 1)
	s := subscriber(t, c, SubscriberConfig{Group: "g", FetchWait: 10 * time.Millisecond})
	ch := subscribe(t, s, "orders")
	eventually(t, "it is asked seldom", func() bool { return last() >= 160 })
	send(t, publisher(t, c, PublisherConfig{}), record("orders", "k", "1"))
	next(t, ch).Ack()
	eventually(t, "it is asked at once again", func() bool { return last() < 160 })
	eventually(t, "it is asked seldom again", func() bool { return last() >= 160 })

	ctx := within(t, 30*time.Second)
	producer, err := kgo.NewClient(kgo.SeedBrokers(e.Addr()), kgo.TransactionalID("tx"), kgo.DefaultProduceTopic("orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	if err := producer.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := producer.ProduceSync(ctx, &kgo.Record{Key: []byte("k"), Value: []byte("2")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is asked often", func() bool { return last() == 10 })
	from := len(asked())
	eventually(t, "it is asked twenty times more", func() bool { return len(asked()) >= from+20 })
	for _, wait := range asked()[from:] {
		if wait != 10 {
			t.Fatalf("while a transaction is open it is asked to wait %d ms", wait)
		}
	}
	if err := producer.EndTransaction(ctx, kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	m := next(t, ch)
	if got := values(batch(t, m).Records); got != "2" {
		t.Errorf("read %q", got)
	}
	m.Ack()
}

// That a broker holds a request for as long as it may is no trouble.
func TestTroubleOfABrokerThatHolds(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		asked, wait time.Duration
		told        bool
	}{
		{patience, 500 * time.Millisecond, false},
		{patience + 500*time.Millisecond, 500 * time.Millisecond, true},
		{patience + idleWait - time.Millisecond, idleWait, false},
		{patience + idleWait, idleWait, true},
	} {
		p := &partition{name: "orders/0"}
		p.asked.Store(&question{at: now.Add(-tt.asked), wait: tt.wait})
		if told := p.trouble(now); (told != nil) != tt.told || told != nil && !strings.Contains(told.Why, "orders/0 cannot be read: the broker does not answer") {
			t.Errorf("asked %s ago, to wait %s: %+v", tt.asked, tt.wait, told)
		}
	}
}

// That the topic is gone is told, and not what comes of it in the group.
func TestTroubleOfATopicThatIsGone(t *testing.T) {
	for name, ill := range map[string]func(*subscription){
		"no partitions": func(sub *subscription) { sub.member.waits = time.Now().Add(-time.Minute) },
		"cannot join":   func(sub *subscription) { sub.member.joining.note(kafka.GroupAuthorizationFailed) },
	} {
		sub := &subscription{s: &Subscriber{cfg: SubscriberConfig{Group: "g"}}, topic: "orders"}
		ill(sub)
		if told := sub.trouble(time.Now()); told == nil || !strings.Contains(told.Why, "consumer group g") {
			t.Errorf("%s, and the topic is there: %+v", name, told)
		}
		sub.missing()
		if told := sub.trouble(time.Now()); told == nil || told.Why != "the topic orders does not exist" {
			t.Errorf("%s, and the topic is gone: %+v", name, told)
		}
	}
}

// theOne is a subscriber's only subscription.
func theOne(t *testing.T, s *Subscriber) *subscription {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for sub := range s.subs {
		return sub
	}
	t.Fatal("it has none")
	return nil
}

// A member that is given no partition sees whether the topic is there, also where its generation has ended already; and sees later that it is.
func TestMemberWithoutAPartition(t *testing.T) {
	t.Parallel()
	e := fakeBroker(t)
	c := dial(t, e.Addr())
	topic(t, c, "orders", 1)
	a := subscriber(t, c, SubscriberConfig{Group: "g", lookEvery: 20 * time.Millisecond})
	b := subscriber(t, c, SubscriberConfig{Group: "g", lookEvery: 20 * time.Millisecond})
	subscribe(t, a, "orders")
	subscribe(t, b, "orders")
	eventually(t, "one has the partition, and the other none", func() bool {
		for _, s := range []*Subscriber{a, b} {
			if sub := theOne(t, s); sub.opening.at.Load() != nil || s.Trouble() != nil {
				return false
			}
		}
		return len(a.Stats())+len(b.Stats()) == 1
	})
	idle, busy := theOne(t, b), theOne(t, a)
	idle.missing()
	eventually(t, "it sees that the topic is there", func() bool {
		if len(idle.current()) > 0 { // it has been given the partition meanwhile: who reads does not look
			idle.opening.heal()
			idle, busy = busy, idle
			idle.missing()
			return false
		}
		return idle.opening.at.Load() == nil
	})

	// By itself, so that nothing else looks.
	alone := &subscription{s: a, topic: "orders", ctx: t.Context()}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, there := range []bool{true, false} {
		if there {
			alone.missing()
		} else {
			alone.topic = "elsewhere"
		}
		if parts, err := alone.open(ended, nil); len(parts) != 0 || err != nil {
			t.Fatal(parts, err)
		}
		if noted := alone.opening.at.Load(); (noted == nil) != there {
			t.Errorf("the topic is there: %t, and noted is %+v", there, noted)
		}
	}
}

// soFar is what a group has committed in the first partition; -1: nothing.
func soFar(t *testing.T, c *Cluster, group, topic string) int64 {
	t.Helper()
	at, err := c.Committed(within(t, 10*time.Second), group, topic, 1)
	if err != nil {
		t.Fatal(err)
	}
	return at[0]
}

// What is acknowledged after a rest is committed, and so are offsets without a record, and what an earlier member of the group has not committed.
func TestCommitsAfterARest(t *testing.T) {
	each(t, func(t *testing.T, c *Cluster, name string) {
		topic(t, c, name, 1)
		p := publisher(t, c, PublisherConfig{})
		send(t, p, record(name, "k", "0"), record(name, "k", "1"))
		s := subscriber(t, c, SubscriberConfig{Group: name, CommitEvery: 5 * time.Millisecond, Positions: &memory{next: map[int]int64{0: 2}}})
		ch := subscribe(t, s, name)
		eventually(t, "what was read before", func() bool { return soFar(t, c, name, name) == 2 })
		rest := func() { <-time.After(20 * s.cfg.CommitEvery) } // nothing shows that nothing is looked at
		rest()
		send(t, p, record(name, "k", "2"))
		m := next(t, ch)
		rest()
		m.Ack()
		eventually(t, "what was acknowledged late", func() bool { return soFar(t, c, name, name) == 3 })
		rest()
		ctx := within(t, 30*time.Second)
		producer, err := kgo.NewClient(kgo.SeedBrokers(c.cfg.Brokers...), kgo.TransactionalID(name), kgo.DefaultProduceTopic(name))
		if err != nil {
			t.Fatal(err)
		}
		defer producer.Close()
		if err := producer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := producer.ProduceSync(ctx, &kgo.Record{Key: []byte("k"), Value: []byte("no")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := producer.EndTransaction(ctx, kgo.TryAbort); err != nil {
			t.Fatal(err)
		}
		eventually(t, "what was aborted", func() bool { return soFar(t, c, name, name) == 5 })
	})
}

// A commit that fails is tried again although nothing else comes.
func TestCommitThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	e := fakeBroker(t)
	var refusals atomic.Int32
	e.cluster.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		if refusals.Add(-1) < 0 {
			return nil, nil, false
		}
		res := req.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, rt := range req.(*kmsg.OffsetCommitRequest).Topics {
			at := kmsg.OffsetCommitResponseTopic{Topic: rt.Topic}
			for _, rp := range rt.Partitions {
				at.Partitions = append(at.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: rp.Partition, ErrorCode: int16(kafka.GroupLoadInProgress)})
			}
			res.Topics = append(res.Topics, at)
		}
		return res, nil, true
	})
	c := dial(t, e.Addr())
	topic(t, c, "orders", 1)
	s := subscriber(t, c, SubscriberConfig{Group: "g", CommitEvery: 5 * time.Millisecond})
	ch := subscribe(t, s, "orders")
	send(t, publisher(t, c, PublisherConfig{}), record("orders", "k", "1"))
	m := next(t, ch)
	refusals.Store(3)
	m.Ack()
	eventually(t, "it is committed", func() bool { return soFar(t, c, "g", "orders") == 1 })
	if n := refusals.Load(); n >= 0 {
		t.Errorf("%d refusals were not met", n)
	}
}

// Generations that end as soon as they begin are spaced, more and more, until one lasts. On a slow machine one may last in between, and it begins anew.
func TestShortGenerationsAreSpaced(t *testing.T) {
	t.Parallel()
	e := fakeBroker(t)
	var mu sync.Mutex
	var joins []time.Time
	e.cluster.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		mu.Lock()
		joins = append(joins, time.Now())
		mu.Unlock()
		return nil, nil, false
	})
	var on atomic.Bool
	refusing(e, &on, kmsg.Heartbeat, beatAnswer(kafka.UnknownMemberId))
	var log countingHandler
	c := dial(t, e.Addr(), func(cfg *Config) { cfg.Log = slog.New(&log) })
	topic(t, c, "orders", 1)
	s := subscriber(t, c, SubscriberConfig{Group: "g", Grace: time.Millisecond, Heartbeat: 10 * time.Millisecond})
	on.Store(true)
	subscribe(t, s, "orders")
	sub := theOne(t, s)
	// 50, 100, 200, 400 and 800 ms, half of each at least. Without a rest they follow each other in a few milliseconds.
	eventually(t, "six joins take their time", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for i := 5; i < len(joins); i++ {
			if joins[i].Sub(joins[i-5]) > 700*time.Millisecond {
				return true
			}
		}
		return false
	})
	mu.Lock()
	n := len(joins)
	mu.Unlock()
	if told := log.told.Load(); told >= int64(n) {
		t.Errorf("the log was told %d times of %d generations", told, n)
	}
	on.Store(false)
	eventually(t, "it reads", func() bool { return len(s.Stats()) == 1 })
	<-time.After(shortLived + shortLived/2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	<-sub.gone
	if sub.short != 0 {
		t.Errorf("after one that has lasted, %d still count as short", sub.short)
	}
}
