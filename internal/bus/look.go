package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/fault"
)

// Look tells the id of the cluster and, of topics, ids and offsets, from one answer of a broker: they belong together. A topic that
// does not exist is missing.
func (c *Cluster) Look(ctx context.Context, topics ...string) (cluster string, found map[string]TopicInfo, err error) {
	cluster, found, refused, err := c.look(ctx, topics)
	for _, topic := range slices.Sorted(maps.Keys(refused)) {
		if err == nil {
			return "", nil, fault.Wrap(fault.Unavailable, "describe topic "+topic, refused[topic])
		}
	}
	return cluster, found, err
}

// Ends is Look of the topics that the broker tells of; refused has those that it does not tell of, with why. An error is of all of them.
func (c *Cluster) Ends(ctx context.Context, topics ...string) (found map[string]TopicInfo, refused map[string]error, err error) {
	_, found, refused, err = c.look(ctx, topics)
	return found, refused, err
}

func (c *Cluster) look(ctx context.Context, topics []string) (cluster string, found map[string]TopicInfo, refused map[string]error, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	m, err := c.metadata(ctx, topics...)
	if err != nil {
		return "", nil, nil, err
	}
	found, refused = make(map[string]TopicInfo, len(topics)), map[string]error{}
	var there []*topicMeta
	for i := range m.topics {
		t := &m.topics[i]
		switch code := kafka.Error(t.err); {
		case code == 0:
			there = append(there, t)
		case code == kafka.UnknownTopicOrPartition:
		case answers[code].about == aboutHub:
			refused[t.name] = code
		default: // leaders are being chosen: a moment later it is told
			return "", nil, nil, fault.Wrap(fault.Unavailable, "describe topic "+t.name, code)
		}
	}
	offsets, err := c.offsets(ctx, m, there)
	if err != nil {
		return "", nil, nil, fault.Wrap(callKind(err), "list offsets", err)
	}
	for _, t := range there {
		found[t.name] = TopicInfo{ID: t.id, Partitions: offsets[t.name]}
	}
	return m.cluster, found, refused, nil
}

// OffsetsAt gives, for each partition of a topic, the first offset whose record is stamped at a time or later; -1 where there is none.
func (c *Cluster) OffsetsAt(ctx context.Context, topic string, at time.Time) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	m, err := c.metadata(ctx, topic)
	if err == nil {
		err = fault.Wrap(fault.Unavailable, "look up topic "+topic, m.topicError())
	}
	if err != nil {
		return nil, err
	}
	t := &m.topics[0]
	out, byLeader := make([]int64, len(t.leaders)), map[int32][]int{}
	for _, number := range t.partitions() {
		byLeader[t.leaders[number]] = append(byLeader[t.leaders[number]], number)
	}
	for id, numbers := range byLeader {
		addr, ok := m.brokers[id]
		if !ok {
			return nil, fault.Wrap(fault.Unavailable, "list offsets of "+topic, kafka.LeaderNotAvailable)
		}
		err := c.listOffsets(ctx, kafka.TCP(addr), map[string][]int{topic: numbers}, max(at.UnixMilli(), 0), func(_ string, n int, offset int64) {
			if n >= 0 && n < len(out) {
				out[n] = offset
			}
		})
		if err != nil {
			return nil, fault.Wrap(callKind(err), "list offsets of "+topic, err)
		}
	}
	return out, nil
}

// Identity tells the ids of the cluster and of a topic; ErrNoTopic where there is none.
func (c *Cluster) Identity(ctx context.Context, topic string) (cluster, topicID string, err error) {
	m, err := c.metadata(ctx, topic)
	if err != nil {
		return "", "", err
	}
	if err := m.topicError(); err != nil {
		return "", "", fault.Wrap(fault.Unavailable, "look up topic "+topic, err)
	}
	return m.cluster, m.topics[0].id, nil
}

// Committed gives the offsets that a group has committed in the first n partitions of a topic; -1 where it has none.
func (c *Cluster) Committed(ctx context.Context, group, topic string, n int) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	parts, out := make([]int, n), make([]int64, n)
	for i := range parts {
		parts[i], out[i] = i, -1
	}
	res, err := c.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: parts}})
	if err == nil {
		err = res.Error
	}
	if errors.Is(err, kafka.GroupIdNotFound) {
		return out, nil
	}
	for _, p := range resTopics(res, topic) {
		if err == nil {
			err = p.Error
		}
		if p.Partition >= 0 && p.Partition < n {
			out[p.Partition] = p.CommittedOffset
		}
	}
	if err != nil {
		return nil, fault.Wrap(callKind(err), fmt.Sprintf("ask for the offsets of group %s", group), err)
	}
	return out, nil
}

func resTopics(res *kafka.OffsetFetchResponse, topic string) []kafka.OffsetFetchPartition {
	if res == nil {
		return nil
	}
	return res.Topics[topic]
}

// PartitionOf is the partition of n that a publisher gives a key to.
func PartitionOf(key string, n int) int {
	parts := make([]int, n)
	for i := range parts {
		parts[i] = i
	}
	return kafka.Murmur2Balancer{Consistent: true}.Balance(kafka.Message{Key: []byte(key)}, parts...)
}
