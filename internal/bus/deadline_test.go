package bus

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-hub/waybill/internal/bus/embedded/brokertest"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
)

// A subscription that panics is an alarm of its flow, and its channel is closed: nobody waits for it in silence.
func TestReadingThatPanicsIsAnAlarm(t *testing.T) {
	var alarm error
	log := brokertest.Quiet(t)
	s := &Subscriber{c: &Cluster{cfg: Config{Timeout: time.Millisecond}}, cfg: SubscriberConfig{Group: "g", OnAlarm: func(err error) { alarm = err }}, log: log,
		subs: map[*subscription]struct{}{}}
	sub := &subscription{s: s, topic: "orders", log: log, ctx: t.Context(), stop: func() {}, out: make(chan *message.Message), gone: make(chan struct{}), left: make(chan struct{})} // and no group
	s.subs[sub] = struct{}{}
	s.read(t.Context(), sub)
	if alarm == nil || !strings.Contains(alarm.Error(), "topic orders: panic") {
		t.Errorf("the alarm is %v", alarm)
	}
	if _, open := <-sub.out; open || len(s.subs) != 0 {
		t.Errorf("it counts as a subscription still: %v", s.subs)
	}
}

// Every call to a broker that has gone silent ends by itself, also where the caller sets no time.
func TestCallsEnd(t *testing.T) {
	e := fakeBroker(t)
	c := dial(t, e.Addr(), func(cfg *Config) { cfg.Timeout = 300 * time.Millisecond })
	topic(t, c, "orders", 1)
	var silent atomic.Bool
	e.cluster.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		return nil, nil, silent.Load()
	})
	forever := context.Background()
	for name, call := range map[string]func() error{
		"id":       func() error { _, err := c.ID(forever); return err },
		"describe": func() error { _, err := c.Describe(forever, "orders"); return err },
		"create":   func() error { return c.EnsureTopics(forever, []Topic{{Name: "other"}}) },
		"read": func() error {
			_, err := (&fetcher{c: c, topic: "orders"}).fetch(forever, 0, 1000, time.Millisecond)
			return err
		},
	} {
		silent.Store(false)
		if _, err := c.Describe(within(t, 10*time.Second), "orders"); err != nil { // a connection is there
			t.Fatal(err)
		}
		silent.Store(true)
		done := make(chan error, 1)
		go func() { done <- call() }()
		select {
		case err := <-done:
			if err == nil || name != "read" && fault.KindOf(err) != fault.Unavailable {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(5 * time.Second):
			e.cluster.Close()
			t.Fatalf("%s does not end: %v", name, <-done)
		}
	}
}

// commits stands for kafka-go's generation.
type commits struct {
	calls []int64 // offsets of partition 0
	end   chan error
}

func (c *commits) CommitOffsets(offsets map[string]map[int]int64) error {
	c.calls = append(c.calls, offsets["orders"][0])
	return <-c.end
}

// kafka-go's commit can wait for ever: no second one is begun beside it, and the end of a generation does not wait for it
// longer than for any call.
func TestOneCommitAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gen := &commits{end: make(chan error)}
		p := &partition{}
		c := &committer{gen: gen, topic: "orders", parts: []*partition{p}, timeout: time.Second, log: brokertest.Quiet(t), failures: notice.NewLimiter(lifecycle.Real(), brokertest.Quiet(t))}
		for _, low := range []int64{5, 9, 12} {
			p.next.Store(low)
			c.tick()
			synctest.Wait()
		}
		if len(gen.calls) != 1 {
			t.Errorf("%d commits beside each other", len(gen.calls))
		}
		gen.end <- nil
		synctest.Wait()
		c.tick()
		synctest.Wait()
		if len(gen.calls) != 2 || gen.calls[1] != 12 {
			t.Errorf("committed %v, want 5 and then 12", gen.calls)
		}
		p.next.Store(20)
		start := time.Now()
		c.last()
		if took := time.Since(start); took != time.Second || len(gen.calls) != 2 {
			t.Errorf("gave up after %s, having committed %v", took, gen.calls)
		}
		close(gen.end)
	})
}

// kafka-go's Close can wait for ever, too.
func TestLeavingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Cluster{cfg: Config{Timeout: time.Second}}
		sub := &subscription{s: &Subscriber{c: c}, stop: func() {}, left: make(chan struct{}), log: brokertest.Quiet(t)}
		start := time.Now()
		sub.leave()
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// A caller that never comes back does not keep the publisher from closing.
func TestPublisherClosesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := (&Cluster{}).Publisher(PublisherConfig{RequestTimeout: 2 * time.Second, RetryFor: time.Second})
		p.sending.Add(1)
		start := time.Now()
		if err := p.Close(); err == nil || !strings.Contains(err.Error(), "outcome is unknown") {
			t.Errorf("closed with %v", err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %s", took)
		}
		p.sending.Done()
	})
}

// A join that fails, as while the group's coordinator moves, is made again soon: kafka-go would rest for 5 s each time.
func TestFailedJoinIsMadeAgainSoon(t *testing.T) {
	e := fakeBroker(t)
	c := dial(t, e.Addr())
	topic(t, c, "orders", 1)
	send(t, publisher(t, c, PublisherConfig{}), record("orders", "k", "v"))
	failed, joins := make(chan struct{}), 0
	e.cluster.ControlKey(int16(kmsg.JoinGroup), func(req kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		switch joins++; {
		case joins == 15:
			close(failed)
		case joins > 15:
			return nil, nil, false
		}
		res := req.ResponseKind().(*kmsg.JoinGroupResponse)
		res.ErrorCode = int16(kafka.GroupCoordinatorNotAvailable)
		return res, nil, true
	})
	ch := subscribe(t, subscriber(t, c, SubscriberConfig{Group: "g"}), "orders")
	start := time.Now()
	<-failed
	next(t, ch).Ack()
	notStuck(t, start)
}

// TestBrokerThatWasAway: when the broker comes back, it does not wait for the member that this very process was before, until its session
// ends.
func TestBrokerThatWasAway(t *testing.T) {
	e := fakeBroker(t)
	c := dial(t, e.Addr())
	topic(t, c, "orders", 1)
	p := publisher(t, c, PublisherConfig{})
	send(t, p, record("orders", "k", "1"))
	ch := subscribe(t, subscriber(t, c, SubscriberConfig{Group: "g", Heartbeat: 20 * time.Millisecond, Session: time.Minute}), "orders")
	next(t, ch).Ack()
	var away atomic.Bool
	var looked atomic.Int64
	away.Store(true)
	e.cluster.ControlKey(int16(kmsg.Heartbeat), func(req kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		res := req.ResponseKind().(*kmsg.HeartbeatResponse)
		res.ErrorCode = int16(kafka.NotCoordinatorForGroup)
		return res, nil, away.Load()
	})
	e.cluster.ControlKey(int16(kmsg.FindCoordinator), func(req kmsg.Request) (kmsg.Response, error, bool) {
		e.cluster.KeepControl()
		if !away.Load() {
			return nil, nil, false
		}
		looked.Add(1)
		res := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
		res.ErrorCode = int16(kafka.GroupCoordinatorNotAvailable)
		res.NodeID = -1
		return res, nil, true
	})
	for looked.Load() < 3 && t.Context().Err() == nil { // in vain to join, to leave, and to join again
		runtime.Gosched()
	}
	away.Store(false)
	send(t, p, record("orders", "k", "2"))
	next(t, ch).Ack() // waits for less than the session
}

// An acknowledgement that comes after the partition was taken away does not count, whichever of the two the lane sees first.
func TestLateAcknowledgement(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			out := make(chan *message.Message)
			p := &partition{cfg: &SubscriberConfig{NackBackoff: time.Millisecond}, name: "orders/0", out: out, ctx: t.Context(),
				stopping: make(chan struct{}), fence: make(chan struct{}), gone: make(chan struct{})}
			l := &lane{p: p, gate: make(chan struct{}, 1)}
			counts := make(chan bool)
			go func() { counts <- l.deliver([]event.Record{record("orders", "k", "v")}) }()
			synctest.Wait() // the lane is about to hand over: it sees both of what comes next at once
			m := <-out
			close(p.fence)
			m.Ack()
			if <-counts {
				t.Fatal("a late acknowledgement counted")
			}
		})
	}
}
