package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
)

// alarms collects what OnAlarm is told.
type alarms chan error

func (a alarms) raise(err error) { a <- err }

func (a alarms) wait(t testing.TB, want ...string) error {
	t.Helper()
	select {
	case err := <-a:
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("alarm %v: want it to say %q", err, w)
			}
		}
		return err
	case <-time.After(15 * time.Second):
		t.Fatal("no alarm")
	}
	return nil
}

// Positions that do not fit the broker stop the subscription with an alarm: nothing is skipped and nothing is read again
// without anyone knowing.
func TestPositionOutOfRange(t *testing.T) {
	fill := func(t *testing.T, n int) (fake, *Cluster) {
		e := fakeBroker(t)
		c := dial(t, e.Addr())
		topic(t, c, "orders", 1)
		var records []event.Record
		for i := range n {
			records = append(records, record("orders", "k", fmt.Sprint(i)))
		}
		if n > 0 {
			send(t, publisher(t, c, PublisherConfig{BatchBytes: 100}), records...)
		}
		return e, c
	}
	stopped := func(t *testing.T, c *Cluster, pos Positions, want ...string) {
		t.Helper()
		a := make(alarms, 1)
		ch := subscribe(t, subscriber(t, c, SubscriberConfig{Group: "g", Positions: pos, OnAlarm: a.raise}), "orders")
		if err := a.wait(t, append(want, "group g", "orders")...); !errors.Is(err, ErrPosition) {
			t.Errorf("alarm %v is no ErrPosition", err)
		}
		for m := range ch {
			t.Errorf("handed over %s", values(event.BatchFrom(m.Context()).Records))
		}
	}
	t.Run("committed below the log", func(t *testing.T) {
		e, c := fill(t, 120)
		commitAt(t, c, "g", "orders", 0, 5)
		if err := e.cluster.DeleteRecords("orders", 0, 100); err != nil {
			t.Fatal(err)
		}
		stopped(t, c, nil, "offset 5", "oldest record held is 100", "95 records")
		if got := committed(t, c, "g", "orders", 0); got != 5 {
			t.Errorf("committed %d", got)
		}
	})
	t.Run("committed above the log", func(t *testing.T) {
		_, c := fill(t, 10)
		commitAt(t, c, "g", "orders", 0, 50)
		stopped(t, c, nil, "offset 50", "ends at 10", "wiped")
	})
	t.Run("stored position above the log", func(t *testing.T) {
		_, c := fill(t, 10)
		stopped(t, c, &memory{next: map[int]int64{0: 11}}, "offset 11")
	})
	t.Run("the store refuses", func(t *testing.T) {
		_, c := fill(t, 10)
		stopped(t, c, &memory{err: fmt.Errorf("%w: the store says so", ErrPosition)}, "the store says so")
	})
	t.Run("deleted while reading", func(t *testing.T) {
		e, c := fill(t, 120)
		a := make(alarms, 1)
		s := subscriber(t, c, SubscriberConfig{Group: "g", MaxBytes: 8 << 10, MaxBatch: 1, Lanes: 1, OnAlarm: a.raise})
		m := next(t, subscribe(t, s, "orders"))
		if err := e.cluster.DeleteRecords("orders", 0, 119); err != nil {
			t.Fatal(err)
		}
		go func() {
			m.Ack()
			for _, sub := range subscriptions(s) {
				for m := range sub.out {
					m.Ack()
				}
			}
		}()
		if err := a.wait(t, "oldest record held is 119"); !errors.Is(err, ErrPosition) {
			t.Error(err)
		}
	})
	for name, change := range map[string]func(t *testing.T, c *Cluster){
		"topic made again, found by a new generation": func(t *testing.T, c *Cluster) {
			subscribe(t, subscriber(t, c, SubscriberConfig{Group: "g"}), topic(t, c, "other", 1))
		},
		"topic made again, found by looking": func(*testing.T, *Cluster) {},
	} {
		t.Run(name, func(t *testing.T) {
			e, c := fill(t, 10)
			a := make(alarms, 1)
			cfg := SubscriberConfig{Group: "g", OnAlarm: a.raise, Grace: 10 * time.Millisecond, MaxBytes: 300, MaxBatch: 1}
			if strings.Contains(name, "looking") {
				cfg.lookEvery = 20 * time.Millisecond
			}
			next(t, subscribe(t, subscriber(t, c, cfg), "orders")) // and reads no further
			if err := e.cluster.DeleteTopic("orders"); err != nil {
				t.Fatal(err)
			}
			topic(t, c, "orders", 1)
			send(t, publisher(t, c, PublisherConfig{}), logOfKey("k", 30)...)
			change(t, c)
			a.wait(t, "topic id", "wiped")
		})
	}
}

// logOfKey makes n records of one key for the topic orders.
func logOfKey(k string, n int) []event.Record {
	var out []event.Record
	for i := range n {
		out = append(out, record("orders", k, fmt.Sprint(i)))
	}
	return out
}

func subscriptions(s *Subscriber) []*subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*subscription
	for sub := range s.subs {
		out = append(out, sub)
	}
	return out
}

// memory is a Positions in memory.
type memory struct {
	mu      sync.Mutex
	next    map[int]int64
	done    map[int][]event.Range
	err     error
	busy    int // answers "unavailable" so many times
	epoch   int64
	asked   []string
	revoked []int
	gaps    []event.Range
}

func (m *memory) Assigned(_ context.Context, group, topic string, partition int, log event.Log) (int64, event.Position, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy > 0 {
		m.busy--
		return 0, event.Position{}, false, fault.New(fault.Unavailable, "the store is busy")
	}
	m.epoch++
	m.asked = append(m.asked, fmt.Sprintf("%s %s/%d %t %t [%d,%d) %d", group, topic, partition, log.Cluster != "", log.TopicID != "", log.First, log.Last, log.Committed))
	n, ok := m.next[partition]
	return m.epoch, event.Position{Next: n, Done: m.done[partition]}, ok, m.err
}

func (m *memory) Revoked(_, _ string, partition int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revoked = append(m.revoked, partition)
}

func (m *memory) Gap(_ context.Context, _, _ string, _ int, _ int64, gap event.Range) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gaps = append(m.gaps, gap)
	return nil
}

// What the store knows goes before what Kafka knows; finished ranges above the position are not handed over again.
func TestPositions(t *testing.T) {
	e := broker(t)
	c := dial(t, e.Addr())
	topic(t, c, "orders", 1)
	p := publisher(t, c, PublisherConfig{})
	for i := range 20 {
		send(t, p, record("orders", "k", fmt.Sprint(i)))
	}
	commitAt(t, c, "g", "orders", 0, 2)
	store := &memory{next: map[int]int64{0: 5}, done: map[int][]event.Range{0: {{From: 6, To: 9}, {From: 12, To: 13}, {From: 19, To: 20}}}, busy: 2, epoch: 41}
	s := subscriber(t, c, SubscriberConfig{Group: "g", Positions: store, CommitEvery: 5 * time.Millisecond})
	ch := subscribe(t, s, "orders")
	var got []event.Record
	for len(got) < 10 {
		m := next(t, ch)
		b := batch(t, m)
		if b.Epoch != 42 {
			t.Errorf("epoch %d", b.Epoch)
		}
		got = append(got, b.Records...)
		m.Ack()
	}
	if v := values(got); v != "5 9 10 11 13 14 15 16 17 18" {
		t.Errorf("handed over %s", v)
	}
	eventually(t, "all committed", func() bool { return committed(t, c, "g", "orders", 0) == 20 })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if want := "[g orders/0 true true [0,20) 2]"; fmt.Sprint(store.asked) != want || fmt.Sprint(store.revoked) != "[0]" || len(store.gaps) > 0 {
		t.Errorf("asked %v, want %s; revoked %v; gaps %v", store.asked, want, store.revoked, store.gaps)
	}

	t.Run("behind Kafka", func(t *testing.T) { // is read again, but what is committed does not go back
		commitAt(t, c, "g3", "orders", 0, 15)
		s := subscriber(t, c, SubscriberConfig{Group: "g3", Positions: &memory{next: map[int]int64{0: 10}}, MaxBatch: 1, CommitEvery: time.Millisecond})
		ch := subscribe(t, s, "orders")
		for want := int64(10); want < 14; want++ {
			m := next(t, ch)
			if got := batch(t, m).Records[0].Offset; got != want {
				t.Errorf("offset %d, want %d", got, want)
			}
			m.Ack()
		}
		if err := s.Close(); err != nil { // commits, if anything
			t.Fatal(err)
		}
		if got := committed(t, c, "g3", "orders", 0); got != 15 {
			t.Errorf("committed %d, want 15", got)
		}
	})
	t.Run("unknown to the store", func(t *testing.T) {
		commitAt(t, c, "g2", "orders", 0, 18)
		ch := subscribe(t, subscriber(t, c, SubscriberConfig{Group: "g2", Positions: &memory{}}), "orders")
		if got := batch(t, next(t, ch)).Records[0].Offset; got != 18 {
			t.Errorf("begins at %d", got)
		}
	})
}
