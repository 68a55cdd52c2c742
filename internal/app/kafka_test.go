package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// partner is another cluster: orders come from one topic of it, and go to another. Some of the writes that it is given are taken and not answered, at once or
// late, and some are neither.
type partner struct {
	t       *testing.T
	cluster *kfake.Cluster
	client  *kgo.Client

	mu   sync.Mutex
	owed map[string]bool // writes that are carried out although nobody was answered
	cut  int
}

func newPartner(t *testing.T) *partner {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "erp.orders", "hub.orders"))
	if err != nil {
		t.Fatal(err)
	}
	p := &partner{t: t, cluster: c, owed: map[string]bool{}}
	if p.client, err = kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.client.Close(); c.Close() })
	return p
}

func (p *partner) put(key, value string) {
	p.t.Helper()
	r := &kgo.Record{Topic: "erp.orders", Key: []byte(key), Value: []byte(value)}
	if value == "" {
		r.Value = nil
	}
	if err := p.client.ProduceSync(p.t.Context(), r).FirstErr(); err != nil {
		p.t.Fatal(err)
	}
}

// hangUp begins to lose answers: one in share writes of the hub.
func (p *partner) hangUp(share int) {
	dice := rand.New(rand.NewPCG(7, 7))
	p.cluster.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		p.cluster.KeepControl()
		req := kreq.(*kmsg.ProduceRequest)
		name := string(req.Topics[0].Partitions[0].Records)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.owed[name] {
			delete(p.owed, name)
			return nil, nil, false
		}
		if req.Topics[0].Topic != "hub.orders" || dice.IntN(share) > 0 {
			return nil, nil, false
		}
		p.cut++
		if dice.IntN(2) == 0 {
			p.owed[name] = true
			late := time.Duration(dice.IntN(300)) * time.Millisecond
			time.AfterFunc(late, func() { _, _ = p.client.Broker(0).Request(context.Background(), req) })
		}
		return nil, errors.New("cut off"), true
	})
}

// written are the records of the hub, by key, in order.
func (p *partner) written() map[string][]*kgo.Record {
	p.t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(p.cluster.ListenAddrs()...), kgo.ConsumeTopics("hub.orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	req := kmsg.NewPtrListOffsetsRequest()
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = "hub.orders"
	for i := range int32(3) {
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition, part.Timestamp = i, -1
		topic.Partitions = append(topic.Partitions, part)
	}
	req.Topics = append(req.Topics, topic)
	res, err := req.RequestWith(p.t.Context(), c)
	if err != nil {
		p.t.Fatal(err)
	}
	left := int64(0)
	for _, part := range res.Topics[0].Partitions {
		left += part.Offset
	}
	out := map[string][]*kgo.Record{}
	for left > 0 {
		fetches := c.PollFetches(p.t.Context())
		if err := fetches.Err(); err != nil {
			p.t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { left--; out[string(r.Key)] = append(out[string(r.Key)], r) })
	}
	return out
}

// TestKafkaToKafka: from a topic of one cluster through the hub to another topic: every change once, in the order of its key, deletions as tombstones, while
// the hub is started anew and writes lose their answers.
func TestKafkaToKafka(t *testing.T) {
	t.Parallel()
	other := newPartner(t)
	p := newProject(t, newTarget(t).URL)
	p.edit("configs/waybill.yaml", "  erp:\n", fmt.Sprintf(`  partner:
    connector: kafka
    brokers: [%[1]q]
    objects: {order: {topic: erp.orders, read: {records: 7}}}
  carrier:
    connector: kafka
    brokers: [%[1]q]
    timeout: 1s
    objects: {order: {topic: hub.orders, write: {key: "no"}}}
  erp:
`, other.cluster.ListenAddrs()[0]))
	p.write("flows/partner.yaml", `flow: from-partner
entity: order
from: {system: partner, poll: {every: 1s}}
map: orders
accept: order.v1
to: {topic: canonical.order}
`)
	p.write("flows/erp.yaml", `flow: to-carrier
entity: order
from: {topic: canonical.order}
map: orders-to-erp
to: {system: carrier, on-delete: delete}
retry: {for: 10m, backoff: 20ms..200ms}
`)
	const objects, changes = 12, 6
	for seq := 1; seq <= changes; seq++ {
		for n := range objects {
			no := fmt.Sprintf("A-%d", n)
			if n%4 == 3 && seq == changes {
				other.put(no, "")
				continue
			}
			other.put(no, fmt.Sprintf(`{"no":%q,"seq":%d}`, no, seq))
		}
	}
	other.hangUp(4)
	ctx, end := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer end()
	count := func() (n int) {
		for _, records := range other.written() {
			n += len(records)
		}
		return n
	}
	for round := range 2 {
		hub := p.start(io.Discard)
		before := count()
		await(t, "some of it", func() bool { return count() >= before+5*(round+1) })
		if err := hub.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
	last := p.start(io.Discard)
	want := objects * changes
	await(t, "all of it", func() bool { return count() >= want })
	rest(t, last)
	other.mu.Lock()
	cut := other.cut
	other.mu.Unlock()
	t.Logf("%d writes were cut off", cut)
	if cut == 0 {
		t.Error("no answer was lost")
	}
	events := map[string]bool{}
	for key, records := range other.written() {
		n := 0
		if _, err := fmt.Sscanf(key, "A-%d", &n); err != nil {
			t.Errorf("the key %q: %v", key, err)
		}
		for i, r := range records {
			var event string
			for _, h := range r.Headers {
				if h.Key == "waybill-event-id" {
					event = string(h.Value)
				}
			}
			if events[event] {
				t.Errorf("%s: the event %s is there twice", key, event)
			}
			events[event] = true
			text := fmt.Sprintf(`"seq":%d`, i+1)
			if gone := n%4 == 3 && i == changes-1; gone != (r.Value == nil) {
				t.Errorf("%s: record %d is %q", key, i, r.Value)
			} else if !gone && !strings.Contains(string(r.Value), text) {
				t.Errorf("%s: record %d is %s", key, i, r.Value)
			}
		}
		if len(records) != changes {
			t.Errorf("%s: %d records, want %d", key, len(records), changes)
		}
	}
}
