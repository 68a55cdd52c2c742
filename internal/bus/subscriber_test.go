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

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
)

// next takes one message, and fails the test if none comes.
func next(t testing.TB, ch <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m, ok := <-ch:
		if !ok {
			t.Fatal("the channel is closed")
		}
		return m
	case <-time.After(10 * time.Second):
		t.Fatal("no message within 10 s")
	}
	return nil
}

func batch(t testing.TB, m *message.Message) *event.Batch {
	t.Helper()
	b := event.BatchFrom(m.Context())
	if b == nil {
		t.Fatal("message without a batch")
	}
	return b
}

// eventually waits until ok, looking often.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(10 * time.Second); !ok(); <-tick.C {
		if time.Now().After(until) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// keysOf gives keys of different lanes (of 16), one per lane wanted.
func keysOf(n int) []string {
	var out []string
	seen := map[int]bool{}
	for i := 0; len(out) < n; i++ {
		k := fmt.Sprint("k", i)
		if l := laneOf([]byte(k), 16); !seen[l] {
			seen[l] = true
			out = append(out, k)
		}
	}
	return out
}

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

// A lane's next batch comes after the acknowledgement of the one before; a refused batch comes again as it was; other
// lanes go on meanwhile; whatever waits is handed over at once, up to MaxBatch.
func TestLaneBatches(t *testing.T) {
	each(t, func(t *testing.T, c *Cluster, name string) {
		topic(t, c, name, 1)
		p := publisher(t, c, PublisherConfig{})
		k := keysOf(2)
		s := subscriber(t, c, SubscriberConfig{Group: name, MaxBatch: 10, NackBackoff: 10 * time.Millisecond})
		ch := subscribe(t, s, name)
		send(t, p, record(name, k[0], "0"))
		first := next(t, ch)
		if b := batch(t, first); values(b.Records) != "0" || b.Lane != laneOf([]byte(k[0]), 16) {
			t.Fatalf("first batch %+v", b)
		}
		var records []event.Record
		for i := 1; i <= 25; i++ {
			records = append(records, record(name, k[0], fmt.Sprint(i)))
		}
		send(t, p, records...)
		send(t, p, record(name, k[1], "other"))
		other := next(t, ch)
		if got := values(batch(t, other).Records); got != "other" {
			t.Fatalf("while a batch is with the handler its lane gave %q", got)
		}
		other.Ack()
		if err := first.Context().Err(); err != nil {
			t.Errorf("context of a batch on its way: %v", err)
		}
		first.Ack()
		<-first.Context().Done()
		second := next(t, ch)
		if got := values(batch(t, second).Records); got != "1 2 3 4 5 6 7 8 9 10" {
			t.Fatalf("second batch %q", got)
		}
		for range 3 {
			second.Nack()
			again := next(t, ch)
			if got := values(batch(t, again).Records); got != "1 2 3 4 5 6 7 8 9 10" {
				t.Fatalf("after a Nack: %q", got)
			}
			second = again
		}
		second.Ack()
		for _, want := range []string{"11 12 13 14 15 16 17 18 19 20", "21 22 23 24 25"} {
			m := next(t, ch)
			if got := values(batch(t, m).Records); got != want {
				t.Fatalf("%q, want %q", got, want)
			}
			m.Ack()
		}
	})
}

// A quiet hub adds no delay.
func TestQuietLatency(t *testing.T) {
	e := broker(t)
	c := dial(t, e.Addr())
	topic(t, c, "orders", 3)
	p := publisher(t, c, PublisherConfig{})
	ch := subscribe(t, subscriber(t, c, SubscriberConfig{Group: "g"}), "orders")
	best := time.Hour
	for i := range 20 {
		start := time.Now()
		send(t, p, record("orders", fmt.Sprint(i), "x"))
		next(t, ch).Ack()
		best = min(best, time.Since(start))
	}
	if best > 50*time.Millisecond {
		t.Errorf("from Send to the handler: %s at best", best)
	}
}

// Kafka holds the contiguous low watermark, it only rises, and acknowledgements above an unfinished record do not move it.
func TestCommitsTheLowWatermark(t *testing.T) {
	each(t, func(t *testing.T, c *Cluster, name string) {
		topic(t, c, name, 1)
		p := publisher(t, c, PublisherConfig{})
		k := keysOf(3)
		for i := range 9 {
			send(t, p, record(name, k[i%3], fmt.Sprint(i)))
		}
		s := subscriber(t, c, SubscriberConfig{Group: name, MaxBatch: 1, CommitEvery: 5 * time.Millisecond})
		ch := subscribe(t, s, name)
		var slow *message.Message
		for acked := 0; acked < 6; {
			m := next(t, ch)
			if string(batch(t, m).Records[0].Key) == k[0] {
				slow = m
				continue
			}
			m.Ack()
			acked++
		}
		eventually(t, "six acknowledged", func() bool { return s.Stats()[0].Bytes < 4*250 })
		if got := s.Stats()[0]; got.Next != 0 || got.Read != 9 || got.Lag() != 9 {
			t.Errorf("%+v", got)
		}
		if got := committed(t, c, name, name, 0); got > 0 {
			t.Fatalf("committed %d although offset 0 is unfinished", got)
		}
		slow.Ack()
		eventually(t, "the watermark at the second record of the slow key", func() bool { return committed(t, c, name, name, 0) == 3 })
		m := next(t, ch)
		m.Ack()
		eventually(t, "the watermark at the third", func() bool { return committed(t, c, name, name, 0) == 6 })
		last := next(t, ch)
		last.Ack()
		eventually(t, "everything committed", func() bool { return committed(t, c, name, name, 0) == 9 })
		if stats, err := s.Lag(t.Context()); err != nil || len(stats) != 1 || stats[0].Lag() != 0 || stats[0].Bytes != 0 {
			t.Errorf("%+v, %v", stats, err)
		}
	})
}

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
		case <-time.After(10 * time.Second):
			t.Error("the kept partition did not go on")
		}
	})
}

// Positions that do not fit the broker stop the subscription with an alarm: nothing is skipped and nothing is read again
// without anyone knowing.
func TestPositionOutOfRange(t *testing.T) {
	fill := func(t *testing.T, n int) (*Embedded, *Cluster) {
		e := broker(t)
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

func (m *memory) Assigned(_ context.Context, group, topic string, partition int, cluster, topicID string, first, last int64) (int64, event.Position, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy > 0 {
		m.busy--
		return 0, event.Position{}, false, fault.New(fault.Unavailable, "the store is busy")
	}
	m.epoch++
	m.asked = append(m.asked, fmt.Sprintf("%s %s/%d %t %t [%d,%d)", group, topic, partition, cluster != "", topicID != "", first, last))
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
	if want := "[g orders/0 true true [0,20)]"; fmt.Sprint(store.asked) != want || fmt.Sprint(store.revoked) != "[0]" || len(store.gaps) > 0 {
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

// Memory is bounded over all partitions and lanes, and a lane that does not go on does not stop the others before.
func TestMemoryIsBounded(t *testing.T) {
	e := broker(t)
	c := dial(t, e.Addr())
	topic(t, c, "orders", 2)
	p := publisher(t, c, PublisherConfig{})
	var records []event.Record
	for i := range 4000 {
		records = append(records, record("orders", fmt.Sprint(i%100), strings.Repeat("x", 1000)))
	}
	send(t, p, records...)
	const most = 1 << 20
	s := subscriber(t, c, SubscriberConfig{Group: "g", MaxBytes: most})
	ch := subscribe(t, s, "orders")
	read := func() (read, bytes int64) {
		for _, p := range s.Stats() {
			read, bytes = read+p.Read, bytes+p.Bytes
		}
		return
	}
	var held []*message.Message
	last, since := int64(-1), time.Now()
	for time.Since(since) < 300*time.Millisecond { // until nothing more is read
		select {
		case m := <-ch:
			held = append(held, m)
		case <-time.After(10 * time.Millisecond):
		}
		n, bytes := read()
		if bytes > most {
			t.Fatalf("%d bytes held, %d allowed", bytes, most)
		}
		if n != last {
			last, since = n, time.Now()
		}
	}
	if n, _ := read(); n == 0 || n > 1200 {
		t.Errorf("%d records of 1,200 bytes were read into %d bytes", n, most)
	}
	for _, m := range held {
		m.Ack()
	}
	for finished := 0; finished < 4000; {
		select {
		case m := <-ch:
			m.Ack()
		case <-time.After(20 * time.Millisecond):
		}
		finished = 0
		for _, p := range s.Stats() {
			finished += int(p.Next)
		}
	}
}

// A record larger than its partition's share is read all the same.
func TestHugeRecord(t *testing.T) {
	e := broker(t)
	c := dial(t, e.Addr())
	topic(t, c, "orders", 1)
	p := publisher(t, c, PublisherConfig{})
	send(t, p, record("orders", "a", "small"), record("orders", "b", strings.Repeat("x", 900_000)), record("orders", "c", "after"))
	ch := subscribe(t, subscriber(t, c, SubscriberConfig{Group: "g", MaxBytes: 10_000}), "orders")
	for n := 0; n < 3; {
		m := next(t, ch)
		n += len(batch(t, m).Records)
		m.Ack()
	}
}

// Nothing hangs when the broker does not answer.
func TestCloseWithAFrozenBroker(t *testing.T) {
	b := mustChild(t, t.TempDir(), "127.0.0.1:0")
	c := dial(t, b.addr, func(cfg *Config) { cfg.Timeout = 500 * time.Millisecond })
	topic(t, c, "orders", 2)
	p := c.Publisher(PublisherConfig{})
	send(t, p, record("orders", "k", "x"))
	s := subscriber(t, c, SubscriberConfig{Group: "g", Grace: 100 * time.Millisecond})
	next(t, subscribe(t, s, "orders")).Ack()
	b.freeze(true)
	start := time.Now()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("closing took %s", took)
	}
	if _, err := s.Subscribe(t.Context(), "orders"); err == nil {
		t.Error("subscribed after Close")
	}
	b.freeze(false)
	b.kill()
}

// A broker that dies and comes back is taken up again where it was left.
func TestBrokerComesBack(t *testing.T) {
	dir := t.TempDir()
	b := mustChild(t, dir, "127.0.0.1:0")
	c := dial(t, b.addr, func(cfg *Config) { cfg.Timeout = 2 * time.Second })
	topic(t, c, "orders", 2)
	p := publisher(t, c, PublisherConfig{})
	s := subscriber(t, c, SubscriberConfig{Group: "g", Session: 6 * time.Second})
	ch := subscribe(t, s, "orders")
	send(t, p, record("orders", "k", "before"))
	m := next(t, ch)
	m.Ack()
	b.kill()
	b = mustChild(t, dir, b.addr)
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
	b := mustChild(t, t.TempDir(), "127.0.0.1:0")
	c := dial(t, b.addr, func(cfg *Config) { cfg.Timeout = time.Minute })
	topic(t, c, "orders", 1)
	f := fetcher{c: c, topic: "orders"}
	if _, err := f.fetch(t.Context(), 0, 1000, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	b.freeze(true)
	start := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := f.fetch(ctx, 0, 1000, time.Minute); !errors.Is(err, context.Canceled) || time.Since(start) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
	b.freeze(false)
}

// A commit that is never answered stops neither reading nor closing.
func TestCommitThatHangs(t *testing.T) {
	e := broker(t)
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
	if err := s.Close(); err != nil || time.Since(start) > 5*time.Second {
		t.Errorf("closed after %s: %v", time.Since(start), err)
	}
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
				s, err := c.Subscriber(SubscriberConfig{Group: "g", Heartbeat: 20 * time.Millisecond, Session: 20 * time.Second})
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
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("took %s", took)
	}
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
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestSubscriberConfig(t *testing.T) {
	c := dial(t, broker(t).Addr())
	if _, err := c.Subscriber(SubscriberConfig{}); err == nil {
		t.Error("a subscriber without a group")
	}
}
