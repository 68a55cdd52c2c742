package app

import (
	"context"
	"errors"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/logcheck"
	"github.com/waybill-hub/waybill/internal/state"
)

// newLogs makes what looks after the topics' logs; broker and publisher are opened later.
func (h *Hub) newLogs() *logcheck.Checker {
	return logcheck.New(logcheck.Options{
		Store: h.store, Broker: logBroker{h}, Clock: h.clock, Log: h.log, Holder: h.holder(), Flows: h.logFlows, AssignPartition: bus.PartitionOf,
		MakeTopics: func(ctx context.Context) error { return h.makeTopics(ctx, topics(h.plan()), h.plan()) },
	})
}

// logFlows are the flows of the plan as far as logs are concerned.
func (h *Hub) logFlows() []logcheck.Flow {
	plan := h.plan()
	out := make([]logcheck.Flow, len(plan.Flows))
	for i, f := range plan.Flows {
		out[i] = logcheck.Flow{Name: f.Name, Group: f.Group(), Reads: f.Topic(), FromInbox: f.From.System != "", Writes: f.To.Topic}
	}
	return out
}

// startLogs looks at the logs before anything reads or writes them.
func (h *Hub) startLogs(ctx context.Context) error { return h.logs.Start(ctx) }

// startWatch looks at the logs as long as the hub runs, and puts on topics again what a recovery has found to be lost.
func (h *Hub) startWatch(context.Context) error {
	return h.beside("watch over the logs", func(ctx context.Context) {
		h.logs.Watch(ctx, func(ctx context.Context) {
			h.settleFlows(ctx)
			h.fitAgain(ctx)
		})
	}, h.logs.Resend)
}

// logBroker is the hub's broker as the look at logs needs it.
type logBroker struct{ h *Hub }

func (b logBroker) Look(ctx context.Context, topics ...string) (map[string]state.SeenLog, error) {
	cluster, infos, err := b.h.cluster.Look(ctx, topics...)
	if err != nil {
		return nil, err
	}
	out := make(map[string]state.SeenLog, len(infos))
	for topic, info := range infos {
		seen := state.SeenLog{Cluster: cluster, TopicID: info.ID}
		for _, p := range info.Partitions {
			seen.Parts = append(seen.Parts, event.Range{From: p.First, To: p.Last})
		}
		out[topic] = seen
	}
	return out, nil
}

func (b logBroker) Committed(ctx context.Context, group, topic string, n int) ([]int64, error) {
	return b.h.cluster.Committed(ctx, group, topic, n)
}

func (b logBroker) Send(ctx context.Context, records []event.Record) []event.Sent {
	return b.h.publisher.Send(ctx, records)
}

// relayLogs is what the relays ask.
type relayLogs struct{ h *Hub }

func (r relayLogs) Held(topic string) error { return r.h.logs.Held(topic) }
func (r relayLogs) Life(topic string) int64 { return r.h.logs.Life(topic) }

// Same asks the broker, not the memory: a topic can be made again at any moment.
func (r relayLogs) Same(ctx context.Context, topic string, life int64) error {
	cluster, id, err := r.h.cluster.Identity(ctx, topic)
	if err != nil {
		if errors.Is(err, bus.ErrNoTopic) {
			r.h.logs.LookSoon()
		}
		return err
	}
	return r.h.logs.Same(topic, life, cluster, id)
}
