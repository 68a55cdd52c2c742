package bus

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/needtest"
)

// refusing has a broker answer requests of a kind with a code while on is set.
func refusing(e fake, on *atomic.Bool, key kmsg.Key, respond func(kmsg.Request) kmsg.Response) {
	e.cluster.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		if !on.Load() {
			return nil, nil, false
		}
		return respond(req), nil, true
	})
}

func joinAnswer(code kafka.Error) func(kmsg.Request) kmsg.Response {
	return func(req kmsg.Request) kmsg.Response {
		res := req.ResponseKind().(*kmsg.JoinGroupResponse)
		res.ErrorCode = int16(code)
		return res
	}
}

func beatAnswer(code kafka.Error) func(kmsg.Request) kmsg.Response {
	return func(req kmsg.Request) kmsg.Response {
		res := req.ResponseKind().(*kmsg.HeartbeatResponse)
		res.ErrorCode = int16(code)
		return res
	}
}

func coordinatorAnswer(code kafka.Error) func(kmsg.Request) kmsg.Response {
	return func(req kmsg.Request) kmsg.Response {
		res := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
		res.ErrorCode, res.NodeID = int16(code), -1
		return res
	}
}

// TestGroupLost: a subscription that has read and is put out of its group says why, for as long as that lasts, and reads on by itself.
func TestGroupLost(t *testing.T) {
	type refusal struct {
		key    kmsg.Key
		answer func(kmsg.Request) kmsg.Response
	}
	out := refusal{kmsg.Heartbeat, beatAnswer(kafka.UnknownMemberId)} // the generation ends
	for _, tt := range []struct {
		name, why string
		refusals  []refusal
	}{
		{"READ on the group revoked", "consumer group g: GROUP_AUTHORIZATION_FAILED: ", []refusal{
			{kmsg.Heartbeat, beatAnswer(kafka.GroupAuthorizationFailed)}, {kmsg.FindCoordinator, coordinatorAnswer(kafka.GroupAuthorizationFailed)}}},
		{"another protocol holds the group", "another protocol holds the group", []refusal{out, {kmsg.JoinGroup, joinAnswer(kafka.InconsistentGroupProtocol)}}},
		{"a session that the broker does not allow", "takeover-after", []refusal{out, {kmsg.JoinGroup, joinAnswer(kafka.InvalidSessionTimeout)}}},
		{"the group is full", "group.max.size", []refusal{out, {kmsg.JoinGroup, joinAnswer(kafka.GroupMaxSizeReached)}}},
		{"no coordinator", "COORDINATOR_NOT_AVAILABLE", []refusal{{kmsg.Heartbeat, beatAnswer(kafka.NotCoordinatorForGroup)}, {kmsg.FindCoordinator, coordinatorAnswer(kafka.GroupCoordinatorNotAvailable)}}},
		{"a coordinator that does not answer", "has given it no partitions", []refusal{out, {kmsg.JoinGroup, func(kmsg.Request) kmsg.Response { return nil }}}},
		{"its generation is lost again and again", "was formed anew 8 times", []refusal{out}},
		{"READ on the topic revoked", "orders/0 cannot be read: TOPIC_AUTHORIZATION_FAILED: ", []refusal{{kmsg.Fetch, func(req kmsg.Request) kmsg.Response { return unread(req, 29) }}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := fakeBroker(t)
			c := dial(t, e.Addr(), func(cfg *Config) { cfg.Timeout = time.Second })
			topic(t, c, "orders", 1)
			p := publisher(t, c, PublisherConfig{})
			send(t, p, record("orders", "k", "1"))
			s := subscriber(t, c, SubscriberConfig{Group: "g", Grace: 10 * time.Millisecond, FetchWait: 20 * time.Millisecond, Session: 6 * time.Second, churn: 5 * time.Second})
			ch := subscribe(t, s, "orders")
			next(t, ch).Ack()
			if told := s.Trouble(); told != nil {
				t.Fatalf("told before anything has happened: %+v", told)
			}
			var on atomic.Bool
			for _, r := range tt.refusals {
				refusing(e, &on, r.key, r.answer)
			}
			began := time.Now()
			on.Store(true)
			var told *fault.Trouble
			eventually(t, tt.why, func() bool { told = s.Trouble(); return told != nil && strings.Contains(told.Why, tt.why) })
			if told.Since.Before(began.Add(-time.Second)) || told.Since.After(time.Now()) {
				t.Errorf("since %s, and it began at %s", told.Since, began)
			}
			on.Store(false)
			for until := time.Now().Add(20 * time.Second); s.Trouble() != nil; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(until) {
					t.Fatalf("still told: %+v", s.Trouble())
				}
			}
			send(t, p, record("orders", "k", "2"))
			for {
				m := next(t, ch)
				got := values(batch(t, m).Records)
				m.Ack()
				if got == "2" || strings.HasSuffix(got, " 2") {
					return
				}
			}
		})
	}
}

// TestTopicDeleted: a subscription whose topic is deleted says so, and joins its group again with rests in between.
func TestTopicDeleted(t *testing.T) {
	t.Parallel()
	e := fakeBroker(t)
	var joins atomic.Int64
	e.cluster.ControlKey(int16(kmsg.JoinGroup), func(kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		joins.Add(1)
		return nil, nil, false
	})
	var log countingHandler
	c := dial(t, e.Addr(), func(cfg *Config) { cfg.Timeout, cfg.Log = time.Second, slog.New(&log) })
	topic(t, c, "orders", 1)
	p := publisher(t, c, PublisherConfig{})
	send(t, p, record("orders", "k", "1"))
	s := subscriber(t, c, SubscriberConfig{Group: "g", Grace: 10 * time.Millisecond, FetchWait: 20 * time.Millisecond, Session: 6 * time.Second, Heartbeat: 100 * time.Millisecond})
	ch := subscribe(t, s, "orders")
	next(t, ch).Ack()
	deleteTopic(t, c, "orders")
	joins.Store(0)
	log.told.Store(0)
	var told *fault.Trouble
	eventually(t, "the topic is missed", func() bool {
		told = s.Trouble()
		return told != nil && strings.Contains(told.Why, "the topic orders does not exist")
	})
	// It takes 5 s to be told, in which joins without a rest are hundreds.
	if n := joins.Load(); n < 2 || n > 40 {
		t.Errorf("the group was joined %d times while the topic was gone", n)
	}
	if n := log.told.Load(); n > 20 {
		t.Errorf("%d lines were logged for it", n)
	}
}

// countingHandler counts what is logged from INFO up.
type countingHandler struct{ told atomic.Int64 }

func (h *countingHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}
func (h *countingHandler) Handle(context.Context, slog.Record) error { h.told.Add(1); return nil }
func (h *countingHandler) WithAttrs([]slog.Attr) slog.Handler        { return h }
func (h *countingHandler) WithGroup(string) slog.Handler             { return h }

// TestStrangerInTheGroup: another program that joined under the flow's group is given partitions, whose records the flow never sees.
func TestStrangerInTheGroup(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *Cluster, name string) {
		topic(t, c, name, 2)
		s := subscriber(t, c, SubscriberConfig{Group: name, Grace: 10 * time.Millisecond, lookEvery: 50 * time.Millisecond})
		subscribe(t, s, name)
		eventually(t, "both partitions", func() bool { return len(s.Stats()) == 2 })
		other, err := kgo.NewClient(kgo.SeedBrokers(c.cfg.Brokers...), kgo.ClientID("report-job"), kgo.ConsumerGroup(name), kgo.ConsumeTopics(name), kgo.Balancers(kgo.RangeBalancer()))
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		polling, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for polling.Err() == nil {
				other.PollFetches(polling)
			}
		}()
		eventually(t, "the stranger is told", func() bool { told := s.Trouble(); return told != nil && strings.Contains(told.Why, "report-job at ") })
		stop()
		<-done
		other.Close()
		eventually(t, "all is well", func() bool { return s.Trouble() == nil && len(s.Stats()) == 2 })
	})
}

// TestNewProtocolHoldsTheGroup: a member of the protocol of KIP-848 that has taken the group's name keeps the flow out, until it goes. (The embedded
// broker lets the two share, and nobody but the hub is on it.)
func TestNewProtocolHoldsTheGroup(t *testing.T) {
	t.Parallel()
	c, name := dial(t, needtest.Kafka(t)), fmt.Sprint("orders-", time.Now().UnixNano())
	topic(t, c, name, 1)
	send(t, publisher(t, c, PublisherConfig{}), record(name, "k", "1"))
	other, err := kgo.NewClient(kgo.SeedBrokers(c.cfg.Brokers...), kgo.ClientID("new-job"), kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()), kgo.ConsumerGroup(name), kgo.ConsumeTopics(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.PollFetches(within(t, 20*time.Second)).Err(); err != nil {
		t.Fatal(err)
	}
	s := subscriber(t, c, SubscriberConfig{Group: name, Grace: 10 * time.Millisecond})
	ch := subscribe(t, s, name)
	eventually(t, "the other protocol is told", func() bool {
		told := s.Trouble()
		return told != nil && strings.Contains(told.Why, "group.protocol=consumer")
	})
	other.Close()
	next(t, ch).Ack()
	eventually(t, "all is well", func() bool { return s.Trouble() == nil })
}
