package bus

import (
	"context"
	"strconv"
	"time"
)

// retain removes old records from time to time. The broker's own removal is not used: it never runs unless a topic asks
// for it, not at all after a restart, and when it has emptied a quiet partition, that starts again at offset 0.
func (e *Embedded) retain(ctx context.Context) {
	tick := time.NewTicker(e.cfg.RetentionEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := e.removeOld(ctx, time.Now()); err != nil && ctx.Err() == nil {
				e.cfg.Log.Warn("embedded broker: removing old records failed and is tried again", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// removeOld removes what is older than it must be kept at the time now, in every topic.
func (e *Embedded) removeOld(ctx context.Context, now time.Time) error {
	select {
	case e.keep <- struct{}{}:
		defer func() { <-e.keep }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	c, err := Dial(ctx, Config{Brokers: []string{e.addr}, ClientID: "waybill-retention", Log: e.cfg.Log})
	if err != nil {
		return err
	}
	defer c.Close()
	m, err := c.allTopics(ctx)
	if err != nil {
		return err
	}
	for i := range m.topics {
		if err := e.removeOldOf(ctx, c, m.topics[i].name, now); err != nil {
			return err
		}
	}
	return nil
}

func (e *Embedded) removeOldOf(ctx context.Context, c *Cluster, topic string, now time.Time) error {
	broker := e.kafka()
	if broker == nil {
		return nil // it stands still
	}
	info := broker.TopicInfo(topic)
	if info == nil {
		return nil
	}
	keep := int64(e.cfg.Retention / time.Millisecond)
	if v, ok := number(info.Configs["retention.ms"]); ok {
		keep = v
	}
	most := e.cfg.RetentionBytes
	if v, ok := number(info.Configs["retention.bytes"]); ok {
		most = v
	}
	for _, p := range broker.PartitionInfos(topic) {
		last := p.HighWatermark - 1 // the last record stays
		to := p.LogStartOffset
		if keep >= 0 && to < last {
			err := c.listOffsets(ctx, c.addr, map[string][]int{topic: {int(p.Partition)}}, now.UnixMilli()-keep, func(_ string, _ int, offset int64) {
				if offset < 0 { // everything is older
					offset = last
				}
				to = max(to, offset)
			})
			if err != nil {
				return err
			}
		}
		if most > 0 && p.NumBytes > most {
			share := float64(p.NumBytes-most) / float64(p.NumBytes)
			to = max(to, p.LogStartOffset+int64(share*float64(p.HighWatermark-p.LogStartOffset)))
		}
		to = min(to, last)
		if e.cfg.Needed != nil {
			if from, ok := e.cfg.Needed(topic, int(p.Partition)); ok {
				to = min(to, from)
			}
		}
		if to > p.LogStartOffset {
			if err := broker.DeleteRecords(topic, p.Partition, to); err != nil {
				return err
			}
		}
	}
	return nil
}

func number(s *string) (int64, bool) {
	if s == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(*s, 10, 64)
	return n, err == nil
}
