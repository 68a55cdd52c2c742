package bench

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/bench/gen"
	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// every says which orders' documents are compared with the expected ones.
const every = 97

// verified is what was found right in a topic.
type verified struct{ records, keys, compared int }

func (v verified) String() string {
	return fmt.Sprintf("verified %d records, the order of %d keys, %d whole documents", v.records, v.keys, v.compared)
}

// verify reads a topic that the hub has written: every order is there once, the orders of a key stand in one partition in
// the order in which they were loaded, and a sample of the documents is what the mapping must give.
func verify(ctx context.Context, c *bus.Cluster, addr, topic string, n int) (v verified, err error) {
	info, err := c.Describe(ctx, topic)
	if err != nil {
		return v, err
	}
	seen := make([]bool, n)
	last := map[string]place{}
	for number, p := range info[topic].Partitions {
		r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{addr}, Topic: topic, Partition: number,
			MinBytes: 1, MaxBytes: 8 << 20, MaxWait: 50 * time.Millisecond})
		for at := p.First; at < p.Last && err == nil; at++ {
			var m kafka.Message
			if m, err = r.ReadMessage(ctx); err == nil {
				err = v.record(&m, last, seen)
			}
		}
		if cerr := r.Close(); err == nil && cerr != nil && cerr != io.EOF {
			err = cerr
		}
		if err != nil {
			return v, fmt.Errorf("%s/%d: %w", topic, number, err)
		}
	}
	v.keys = len(last)
	if v.records != n {
		return v, fmt.Errorf("%d records for %d orders", v.records, n)
	}
	return v, nil
}

// place is where a key was seen last.
type place struct{ partition, order int }

func (v *verified) record(m *kafka.Message, last map[string]place, seen []bool) error {
	d := jsondoc.Get()
	defer jsondoc.Put(d)
	if err := d.Reset(m.Value, jsondoc.Limits{}); err != nil {
		return fmt.Errorf("offset %d: %w", m.Offset, err)
	}
	id, key := d.Root().Get("orderId").Str(), d.Root().GetPath("customer.id").Str()
	i, err := strconv.Atoi(id[min(len(id), len("ORD-")):])
	switch {
	case err != nil || i < 0 || i >= len(seen):
		return fmt.Errorf("offset %d: %q is none of the orders", m.Offset, id)
	case seen[i]:
		return fmt.Errorf("offset %d: %s is there twice", m.Offset, id)
	case string(m.Key) != key:
		return fmt.Errorf("offset %d: %s of customer %s has the key %q", m.Offset, id, key, m.Key)
	}
	if before, ok := last[key]; ok && (before.partition != m.Partition || before.order > i) {
		return fmt.Errorf("offset %d: %s of customer %s stands behind order %d in partition %d", m.Offset, id, key, before.order, before.partition)
	}
	seen[i], last[key] = true, place{m.Partition, i}
	v.records++
	if i%every != 0 {
		return nil
	}
	v.compared++
	_, raw := gen.Order(i, nil)
	want, err := expected(raw)
	if err != nil {
		return err
	}
	w, err := jsondoc.Parse(want, jsondoc.Limits{})
	if err != nil {
		return err
	}
	if !w.Root().Equal(d.Root()) {
		return fmt.Errorf("offset %d: %s is not what the mapping must give\n got %s\nwant %s", m.Offset, id, m.Value, want)
	}
	return nil
}
