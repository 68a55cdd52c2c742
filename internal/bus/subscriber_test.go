package bus

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/waybill-hub/waybill/internal/event"
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
	case <-time.After(time.Minute):
		t.Fatal("no message within a minute")
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
	for until := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(until) {
			t.Fatalf("not within a minute: %s", what)
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
		for acked := 0; acked < 6 || slow == nil; { // its lane may be the last to be read
			m := next(t, ch)
			if string(batch(t, m).Records[0].Key) == k[0] {
				slow = m
				continue
			}
			m.Ack()
			acked++
		}
		eventually(t, "six acknowledged", func() bool { return s.Stats()[0].Bytes < 4*250 })
		eventually(t, "all are read", func() bool { return s.Stats()[0].Read == 9 })
		if got := s.Stats()[0]; got.Next != 0 || got.End != 9 {
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
		if stats := s.Stats(); len(stats) != 1 || stats[0].Next != 9 || stats[0].End != 9 || stats[0].Bytes != 0 {
			t.Errorf("%+v", stats)
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

func TestSubscriberConfig(t *testing.T) {
	c := dial(t, broker(t).Addr())
	if _, err := c.Subscriber(SubscriberConfig{}); err == nil {
		t.Error("a subscriber without a group")
	}
}
