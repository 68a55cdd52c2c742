package soak

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/topictest"
)

var wipeFaults = []fault{
	{Name: "the broker's data wiped, offsets kept", Setups: both, Goal: 10, Run: brokerWiped},
	// The embedded broker removes nothing that a flow has still to read.
	{Name: "retention passes what was not read", Setups: []setup{onKafka}, Goal: 10, Run: removedUnread},
}

// brokerWiped takes every log away under a hub that was killed at work. The hub knows by its database how far it was: all flows stand
// still with an alarm, webhooks are taken all the same, and when an operator has said so, everything accepted comes from the inbox
// again. Every other time the hub is killed once more while it recovers.
func brokerWiped(b *budget) {
	w := newWorld(b.T, b.setup)
	h := w.hub()
	h.start()
	for b.more(1) {
		end := w.background(load{Rate: float64(b.size(150, 1000)), Batch: b.size(5, 20), Keys: b.size(50, 500)})
		orders := w.background(load{Entity: "order", Rate: float64(b.size(30, 200)), Keys: b.size(50, 500), Customer: customerOf})
		w.delivered(int64(b.size(100, 2000)+rand.IntN(200)), time.Minute)
		h.kill()
		if b.setup == embedded {
			if err := os.RemoveAll(filepath.Join(w.p.DataDir, "broker")); err != nil {
				b.Fatal(err)
			}
		} else {
			b.deleteTopics(w)
		}
		h.launch()
		// A hub whose flows stand still is ready for webhooks.
		h.await("ready", time.Minute, h.ready)
		h.await("the alarms", time.Minute, func() bool { return alarms(w) > 0 })
		taken := w.ledger.total()
		delivered := w.status().Totals.Delivered
		h.await("webhooks to be taken while nothing flows", 30*time.Second, func() bool { return w.ledger.total() > taken+20 })
		if n := w.status().Totals.Delivered; n != delivered && alarms(w) == 5 {
			b.Errorf("%d deliveries while every flow stands still", n-delivered)
		}
		began := time.Now()
		got := b.recover(h)
		if !got.Done || got.Lost != 0 {
			b.Errorf("recover: %+v", got)
		}
		if b.reps%2 == 1 || b.short {
			h.kill()
			w.bury()
			h.start()
		}
		h.await("the alarms to end", time.Minute, func() bool { return alarms(w) == 0 })
		w.delivered(100, time.Minute)
		took := time.Since(began)
		end()
		orders()
		w.quiet(5 * time.Minute)
		b.within("getting well after recover", took, time.Minute)
		b.happened(took)
	}
	b.judge(w, rules{})
	b.notPoisoned(w, h)
}

// removedUnread lets the broker remove what paused flows have still to read, from the webhooks' topic and from the one behind it. Nothing is
// skipped in silence: the flows stand still with an alarm, and get it from the inbox.
func removedUnread(b *budget) {
	w := newWorld(b.T, b.setup)
	h := w.hub()
	h.start()
	flows := []string{w.p.flow("customers"), w.p.flow("customers-to-alpha")}
	for b.more(1) {
		end := w.background(load{Rate: float64(b.size(150, 1000)), Batch: b.size(5, 20), Keys: b.size(50, 500)})
		w.delivered(int64(b.size(100, 2000)), time.Minute)
		// First the flow behind, so that both topics hold what nobody has read.
		for _, f := range []string{flows[1], flows[0]} {
			if out, code := h.command("pause", f); code != 0 {
				b.Fatalf("pause exits %d: %s", code, out)
			}
			taken := w.ledger.total()
			h.await("a backlog", time.Minute, func() bool { return w.ledger.total() > taken+int64(b.size(50, 1000)) })
		}
		end()
		backlog := func(flow string) int64 {
			f := w.flowStatus(strings.TrimPrefix(flow, w.p.prefix))
			if f == nil {
				return 0
			}
			return f.Lag
		}
		h.await("the lag to be told", time.Minute, func() bool { return backlog(flows[0]) > 0 && backlog(flows[1]) > 0 })
		b.deleteRecords(w, flows[0], w.p.topic("canonical.customer"))
		if b.reps%2 == 0 {
			h.stop()
			h.start()
		}
		// A paused flow is looked after as well: nobody should find out on resuming it.
		h.await("the alarms", time.Minute, func() bool { return alarms(w) == 2 })
		began := time.Now()
		if got := b.recover(h); !got.Done || got.Lost != 0 {
			b.Errorf("recover: %+v", got)
		}
		h.await("the alarms to end", time.Minute, func() bool { return alarms(w) == 0 })
		for _, f := range flows {
			// What an operator has paused, no recovery resumes.
			if out, code := h.command("resume", f); code != 0 {
				b.Fatalf("resume exits %d: %s", code, out)
			}
		}
		w.quiet(5 * time.Minute)
		took := time.Since(began)
		b.within("getting well after recover", took, time.Minute)
		b.happened(took)
	}
	b.judge(w, rules{})
	b.notPoisoned(w, h)
}

// alarms counts the flows that stand still until a person has looked.
func alarms(w *world) (n int) {
	if st := w.status(); st != nil {
		for _, f := range st.Flows {
			if f.State == api.StateAlarm {
				n++
			}
		}
	}
	return n
}

// recover is what an operator does about a broker that has lost its logs.
func (b *budget) recover(h *hub) (got api.Recovery) {
	b.Helper()
	out, code := h.command("recover", "--yes", "--note", "the broker's disk died", "--wait", "0s", "--output", "json")
	if i := strings.Index(out, "{"); i < 0 || code > 1 || json.NewDecoder(strings.NewReader(out[i:])).Decode(&got) != nil { // 1: the records are still on their way
		b.Fatalf("recover exits %d: %s", code, out)
	}
	return got
}

// admin works with the broker as its administrator.
func (b *budget) admin(w *world, f func(ctx context.Context, c *kgo.Client) error) {
	b.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(w.p.Brokers, ",")...))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	if err := f(ctx, c); err != nil {
		b.Fatal(err)
	}
}

// topicsOf lists the topics of this world: many share one Kafka.
func topicsOf(ctx context.Context, w *world, c *kgo.Client) (map[string]int, error) {
	req := kmsg.NewPtrMetadataRequest()
	res, err := req.RequestWith(ctx, c)
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	for _, t := range res.Topics {
		if t.Topic != nil && strings.Contains(*t.Topic, w.p.prefix) {
			out[*t.Topic] = len(t.Partitions)
		}
	}
	return out, nil
}

func (b *budget) deleteTopics(w *world) {
	b.Helper()
	b.admin(w, func(ctx context.Context, c *kgo.Client) error {
		topics, err := topicsOf(ctx, w, c)
		if err != nil {
			return err
		}
		if len(topics) == 0 {
			b.Error("there is no topic to delete")
		}
		return topictest.Delete(ctx, c, slices.Collect(maps.Keys(topics))...)
	})
}

// deleteRecords removes all that the topics hold, as retention would: the topic of a flow's webhooks, and another one.
func (b *budget) deleteRecords(w *world, flow, topic string) {
	b.Helper()
	b.admin(w, func(ctx context.Context, c *kgo.Client) error {
		topics, err := topicsOf(ctx, w, c)
		if err != nil {
			return err
		}
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.TimeoutMillis = 20_000
		for name, partitions := range topics {
			if name != topic && name != "in."+flow {
				continue
			}
			t := kmsg.NewDeleteRecordsRequestTopic()
			t.Topic = name
			for i := range partitions {
				p := kmsg.NewDeleteRecordsRequestTopicPartition()
				p.Partition, p.Offset = int32(i), -1 // up to its end
				t.Partitions = append(t.Partitions, p)
			}
			req.Topics = append(req.Topics, t)
		}
		if len(req.Topics) != 2 {
			b.Fatalf("%d topics of 2", len(req.Topics))
		}
		_, err = req.RequestWith(ctx, c)
		return err
	})
}
