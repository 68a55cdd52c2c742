package bus

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-hub/waybill/internal/bus/recordbatch"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
)

// Records are read from anywhere, also from within a batch, as many as are asked for, and the offset to go on at is behind what was given.
func TestReadFrom(t *testing.T) {
	each(t, func(t *testing.T, c *Cluster, name string) {
		topic(t, c, name, 1)
		ctx := within(t, 30*time.Second)
		p := publisher(t, c, PublisherConfig{Compression: "zstd"})
		var all []event.Record
		for i := range 10 {
			all = append(all, event.Record{Topic: name, Key: []byte("k"), Value: fmt.Appendf(nil, "%d", i), Headers: []event.Header{{Key: "h", Value: []byte{byte(i)}}}})
		}
		all[3].Key, all[3].Value, all[4].Value, all[5].Headers[0].Value = nil, nil, []byte{}, nil
		all[3].Key = []byte("k") // one key, one partition
		send(t, p, all...)
		for _, tt := range []struct {
			from, next int64
			most       int
		}{{0, 10, 100}, {0, 4, 4}, {3, 5, 2}, {9, 10, 1}, {10, 10, 5}} {
			got, err := c.ReadFrom(ctx, name, 0, tt.from, tt.most, 1<<20)
			if err != nil || got.Next != tt.next || got.Unreadable != nil || len(got.Records) != int(tt.next-tt.from) {
				t.Fatalf("from %d: %+v, %v", tt.from, got, err)
			}
			for i, r := range got.Records {
				want := all[tt.from+int64(i)]
				if r.Offset != tt.from+int64(i) || !bytes.Equal(r.Value, want.Value) || (r.Value == nil) != (want.Value == nil) || string(r.Key) != "k" ||
					len(r.Headers) != 1 || !bytes.Equal(r.Headers[0].Value, want.Headers[0].Value) || time.Since(r.Time) > time.Hour {
					t.Errorf("from %d: %+v, want %+v", tt.from, r, want)
				}
			}
		}
		if _, err := c.ReadFrom(ctx, name, 0, 11, 1, 1<<20); !errors.Is(err, ErrNotHeld) || fault.KindOf(err) != fault.Unavailable {
			t.Errorf("behind the end: %v", err)
		}
		if _, err := c.ReadFrom(ctx, "nobody-made-it", 0, 0, 1, 1<<20); !errors.Is(err, ErrNoTopic) || fault.KindOf(err) != fault.Unavailable {
			t.Errorf("no such topic: %v", err)
		}
	})
}

// A batch that becomes larger than it may is passed over once, and told; what is before it is given first.
func TestReadFromBomb(t *testing.T) {
	batch := func(base int64, c kafka.Compression, values ...string) []byte {
		var w batchWriter
		w.begin(nil, time.Now())
		for _, v := range values {
			w.add(&event.Record{Key: []byte("k"), Value: []byte(v)})
		}
		b, err := w.end(c)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			b[i] = byte(base >> (56 - 8*i)) // the offset is no part of the sum
		}
		return b
	}
	log := append(batch(0, 0, "a", "b"), batch(2, kafka.Gzip, strings.Repeat("x", 5000), "y")...)
	log = append(log, batch(4, kafka.Gzip, "c")...)
	a := &fetched{records: log}
	first := Stretch{}
	if err := first.take(a, 100, 1000); err != nil || len(first.Records) != 2 || first.Next != 2 || first.Unreadable != nil {
		t.Fatalf("%+v, %v", first, err)
	}
	bomb := Stretch{Next: 2}
	if err := bomb.take(a, 100, 1000); err != nil || len(bomb.Records) != 0 || bomb.Next != 4 || !errors.Is(bomb.Unreadable, recordbatch.ErrInflated) {
		t.Fatalf("%+v, %v", bomb, err)
	}
	last := Stretch{Next: 4}
	if err := last.take(a, 100, 1000); err != nil || len(last.Records) != 1 || last.Next != 5 {
		t.Fatalf("%+v, %v", last, err)
	}
	log[len(log)-1] ^= 1
	if err := (&Stretch{Next: 4}).take(&fetched{records: log}, 100, 1000); !errors.Is(err, recordbatch.ErrCorrupt) {
		t.Errorf("a batch that is damaged: %v", err)
	}
}

// The first record at a time or later, by partition.
func TestOffsetsAt(t *testing.T) {
	each(t, func(t *testing.T, c *Cluster, name string) {
		topic(t, c, name, 2)
		ctx := within(t, 30*time.Second)
		foreign, err := kgo.NewClient(kgo.SeedBrokers(c.cfg.Brokers...), kgo.DefaultProduceTopic(name), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		defer foreign.Close()
		day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
		for n := 1; n <= 3; n++ {
			if err := foreign.ProduceSync(ctx, &kgo.Record{Partition: 1, Value: []byte("{}"), Timestamp: day(n)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		for at, want := range map[time.Time]int64{day(1): 0, day(2): 1, day(2).Add(time.Millisecond): 2, day(4): -1, time.Time{}: 0} {
			got, err := c.OffsetsAt(ctx, name, at)
			if err != nil || len(got) != 2 || got[0] != -1 || got[1] != want {
				t.Errorf("%s: %v, %v; want %d", at, got, err, want)
			}
		}
		if _, err := c.OffsetsAt(ctx, "nobody-made-it", day(1)); !errors.Is(err, ErrNoTopic) {
			t.Errorf("%v", err)
		}
	})
}

// A cluster that nobody was asked about yet is one all the same.
func TestNew(t *testing.T) {
	c, err := New(Config{Brokers: []string{"127.0.0.1:1"}, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.ID(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
	for _, brokers := range [][]string{nil, {"host"}} {
		if _, err := New(Config{Brokers: brokers}); err == nil {
			t.Errorf("%v are taken", brokers)
		}
	}
	code, told := Explained(fault.Wrap(fault.Unavailable, "write", kafka.InvalidTimestamp))
	if code != "INVALID_TIMESTAMP" || !strings.Contains(told.Error(), "clocks") || !errors.Is(told, kafka.InvalidTimestamp) {
		t.Errorf("%v, %s", told, code)
	}
	if code, told := Explained(errors.New("x")); code != "" || told.Error() != "x" {
		t.Errorf("%v, %s", told, code)
	}
}
