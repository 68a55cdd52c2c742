package app

import (
	"context"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/config"
)

// fitEvery is how often it is looked what topics take: a person may have changed that.
const fitEvery = 5 * time.Minute

// usualBatch is what a broker takes unless it is told otherwise.
const usualBatch = 1_048_588

// topicBytes is the max.message.bytes of topics, so that the largest body can be carried: with its key and headers, and with what a mapping
// or a schema adds to it on its way to the next topic.
func topicBytes(maxBody int) int { return max(usualBatch, maxBody+maxBody/4+64<<10) }

// makeTopics makes the topics that are not there, and sees to it that those of the plan take what its webhooks do.
func (h *Hub) makeTopics(ctx context.Context, missing []bus.Topic, plan *config.Plan) error {
	if err := h.cluster.EnsureTopics(ctx, missing); err != nil {
		return err
	}
	h.fitTopics(ctx, plan)
	return nil
}

// fitTopics raises what topics take, where the hub may, and remembers where it may not. Where the broker does not answer, what was known
// holds until it is asked again.
func (h *Hub) fitTopics(ctx context.Context, plan *config.Plan) {
	small, err := h.cluster.FitTopics(ctx, topics(plan), func(topic string) bool {
		if plan.Hub.Broker.Embedded != nil {
			return true
		}
		return slices.ContainsFunc(plan.Flows, func(f *config.Flow) bool { return f.From.Topic == "" && f.Topic() == topic })
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fitted = h.clock.Elapsed()
	if err != nil {
		h.log.Warn("what the topics take cannot be asked now; it is asked again later", "error", err)
		return
	}
	var remarks []string
	for _, m := range small {
		text := m.String()
		if !slices.Contains(h.remarks, text) {
			h.log.Warn("a topic takes less than the webhooks: "+text, "topic", m.Topic)
		}
		remarks = append(remarks, text)
	}
	h.remarks = remarks
}

// fitAgain looks at what topics take when it is time.
func (h *Hub) fitAgain(ctx context.Context) {
	h.mu.Lock()
	due := h.clock.Elapsed()-h.fitted >= fitEvery
	h.mu.Unlock()
	if due {
		h.fitTopics(ctx, h.plan())
	}
}

// brokerRemarks are what a person should know of topics, and what need not be mended at once.
func (h *Hub) brokerRemarks() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.remarks)
}
