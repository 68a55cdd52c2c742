package embedded

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

// askFor bounds a question to the broker about its own topics.
const askFor = 10 * time.Second

// retain removes old records from time to time. The broker's own removal is not used: it never runs unless a topic asks
// for it, not at all after a restart, and when it has emptied a quiet partition, that starts again at offset 0.
func (b *Broker) retain(ctx context.Context) {
	tick := time.NewTicker(b.cfg.RetentionEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := b.removeOld(ctx, time.Now()); err != nil && ctx.Err() == nil {
				b.cfg.Log.Warn("embedded broker: removing old records failed and is tried again", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// removeOld removes what is older than it must be kept at the time now, in every topic.
func (b *Broker) removeOld(ctx context.Context, now time.Time) error {
	select {
	case b.keep <- struct{}{}:
		defer func() { <-b.keep }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	t := &kafka.Transport{ClientID: "waybill-retention", DialTimeout: 5 * time.Second}
	defer t.CloseIdleConnections()
	c := &kafka.Client{Addr: kafka.TCP(b.addr), Transport: t, Timeout: askFor}
	m, err := c.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return err
	}
	for i := range m.Topics {
		if err := b.removeOldOf(ctx, c, m.Topics[i].Name, now); err != nil {
			return err
		}
	}
	return nil
}

func (b *Broker) removeOldOf(ctx context.Context, c *kafka.Client, topic string, now time.Time) error {
	broker := b.kafka()
	if broker == nil {
		return nil // it stands still
	}
	info := broker.TopicInfo(topic)
	if info == nil {
		return nil
	}
	keep := int64(b.cfg.Retention / time.Millisecond)
	if v, ok := number(info.Configs["retention.ms"]); ok {
		keep = v
	}
	most := b.cfg.RetentionBytes
	if v, ok := number(info.Configs["retention.bytes"]); ok {
		most = v
	}
	for _, p := range broker.PartitionInfos(topic) {
		last := p.HighWatermark - 1 // the last record stays
		to := p.LogStartOffset
		if keep >= 0 && to < last {
			first, err := firstSince(ctx, c, topic, int(p.Partition), now.UnixMilli()-keep)
			if err != nil {
				return err
			}
			if first < 0 { // everything is older
				first = last
			}
			to = max(to, first)
		}
		if most > 0 && p.NumBytes > most {
			share := float64(p.NumBytes-most) / float64(p.NumBytes)
			to = max(to, p.LogStartOffset+int64(share*float64(p.HighWatermark-p.LogStartOffset)))
		}
		to = min(to, last)
		if b.cfg.Needed != nil {
			if from, ok := b.cfg.Needed(topic, int(p.Partition)); ok {
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

// firstSince is the offset of the first record that was written at the time, in milliseconds, or after it; -1: there is none.
func firstSince(ctx context.Context, c *kafka.Client, topic string, partition int, at int64) (int64, error) {
	res, err := c.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: {{Partition: partition, Timestamp: at}}}})
	if err != nil {
		return 0, err
	}
	answer := res.Topics[topic]
	if len(answer) != 1 {
		return 0, fmt.Errorf("the broker answered for %d of 1 partitions of %s", len(answer), topic)
	}
	if answer[0].Error != nil {
		return 0, answer[0].Error
	}
	for offset := range answer[0].Offsets {
		return offset, nil
	}
	return -1, nil
}

func number(s *string) (int64, bool) {
	if s == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(*s, 10, 64)
	return n, err == nil
}
