package bus

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/waybill-hub/waybill/internal/event"
)

// A peek tells when records were accepted: by the header of the first hub, else by the record's own time; those of aborted transactions do not
// count, and an offset in the middle of a batch is one to begin at.
func TestPeek(t *testing.T) {
	each(t, func(t *testing.T, c *Cluster, name string) {
		topic(t, c, name, 2)
		ctx := within(t, 30*time.Second)
		at := time.Date(2026, 3, 1, 12, 0, 0, 5000, time.UTC)
		p := publisher(t, c, PublisherConfig{Compression: "lz4"})
		var hours []event.Record
		for i := range 3 {
			ev := event.Event{ID: name, Key: "k", Operation: event.Upsert, Accepted: at.Add(time.Duration(i) * time.Hour)}
			hours = append(hours, event.Record{Topic: name, Key: []byte("k"), Value: []byte("{}"), Headers: ev.Headers(), Time: time.Now()})
		}
		part := send(t, p, hours...)[0].Partition
		foreign, err := kgo.NewClient(kgo.SeedBrokers(c.cfg.Brokers...), kgo.TransactionalID(name), kgo.DefaultProduceTopic(name), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		defer foreign.Close()
		transaction := func(end kgo.TransactionEndTry, at time.Time) {
			if err := foreign.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			if err := foreign.ProduceSync(ctx, &kgo.Record{Partition: int32(part), Value: []byte("{}"), Timestamp: at}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if err := foreign.EndTransaction(ctx, end); err != nil {
				t.Fatal(err)
			}
		}
		written := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
		transaction(kgo.TryAbort, written)                   // 3, marker 4
		transaction(kgo.TryCommit, written)                  // 5, marker 6
		transaction(kgo.TryCommit, written.Add(time.Minute)) // 7, and a marker that may come after its answer
		for _, tt := range []struct {
			from int64
			want []Peeked
		}{
			{0, []Peeked{{0, at}, {1, at.Add(time.Hour)}, {2, at.Add(2 * time.Hour)}, {5, written}, {7, written.Add(time.Minute)}}},
			{2, []Peeked{{2, at.Add(2 * time.Hour)}, {5, written}, {7, written.Add(time.Minute)}}},
			{6, []Peeked{{7, written.Add(time.Minute)}}},
		} {
			var got []Peeked
			eventually(t, "all records", func() bool {
				if got, err = c.Peek(ctx, name, part, tt.from); err != nil {
					t.Fatal(err)
				}
				return len(got) == len(tt.want)
			})
			for i, w := range tt.want {
				if got[i].Offset != w.Offset || !got[i].Accepted.Equal(w.Accepted) {
					t.Errorf("from %d, record %d: got %v, want %v", tt.from, i, got[i], w)
				}
			}
		}
		if got, err := c.Peek(ctx, name, 1-part, 0); err != nil || len(got) != 0 {
			t.Errorf("an empty partition: %v, %v", got, err)
		}
		if _, err := c.Peek(ctx, name, part, 1000); err == nil {
			t.Error("an offset that is not there gives no error")
		}
	})
}

// What a peek holds is bounded, however much waits.
func TestPeekIsBounded(t *testing.T) {
	c := dial(t, broker(t).Addr())
	topic(t, c, "orders", 1)
	p := publisher(t, c, PublisherConfig{})
	many := make([]event.Record, 3*peekRecords)
	for i := range many {
		many[i] = event.Record{Topic: "orders", Key: []byte("k"), Value: []byte("{}"), Time: time.Now()}
	}
	send(t, p, many...)
	got, err := c.Peek(within(t, 10*time.Second), "orders", 0, 10)
	if err != nil || len(got) != peekRecords || got[0].Offset != 10 {
		t.Errorf("%d records, %v", len(got), err)
	}
	// A batch that grows past the bound is told by its own time, and its records stay packed.
	packed, err := kgo.NewClient(kgo.SeedBrokers(c.cfg.Brokers...), kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.DefaultProduceTopic("orders"), kgo.ProducerBatchMaxBytes(20<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	written := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	r, err := packed.ProduceSync(within(t, 10*time.Second), &kgo.Record{Value: []byte(strings.Repeat("a", peekInflate+1)), Timestamp: written}).First()
	if err != nil {
		t.Fatal(err)
	}
	got, err = c.Peek(within(t, 10*time.Second), "orders", 0, r.Offset)
	if err != nil || len(got) != 1 || got[0].Offset != r.Offset || !got[0].Accepted.Equal(written) {
		t.Errorf("got %v, %v; want %d, %v", got, err, r.Offset, written)
	}
}
