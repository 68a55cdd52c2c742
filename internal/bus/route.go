package bus

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/waybill-hub/waybill/internal/fault"
)

// route is what is remembered of a topic: its partitions and who leads them. kafka-go remembers that too, but cannot be
// told to look again: a topic made by another program, or a new leader, would be found only after its time to live.
type route struct {
	partitions []int
	leaders    map[int]net.Addr
	at         time.Time
	stale      bool // a call failed: look again before the next one
}

// route looks the topic up, in memory where it was looked up lately.
func (c *Cluster) route(ctx context.Context, topic string) (*route, error) {
	c.mu.Lock()
	old := c.routes[topic]
	c.mu.Unlock()
	if old != nil && !old.stale && time.Since(old.at) < c.cfg.fresh {
		return old, nil
	}
	m, err := c.metadata(ctx, topic)
	if err != nil {
		return old, err
	}
	if err = m.topicError(); err == nil && len(m.topics[0].leaders) == 0 {
		err = ErrNoTopic
	}
	if err != nil {
		return old, fault.Wrap(fault.Unavailable, "look up topic "+topic, err)
	}
	r := &route{partitions: m.topics[0].partitions(), leaders: map[int]net.Addr{}, at: time.Now()}
	for number, id := range m.topics[0].leaders {
		if addr, ok := m.brokers[id]; ok {
			r.leaders[number] = kafka.TCP(addr)
		}
	}
	c.mu.Lock()
	c.routes[topic] = r
	c.mu.Unlock()
	return r, nil
}

// forget makes the next call for the topic look it up again.
func (c *Cluster) forget(topic string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.routes[topic]; r != nil && !r.stale {
		again := *r
		again.stale = true
		c.routes[topic] = &again
	}
}

// partitionsOf gives the partition numbers of a topic. An outage does not change them.
func (c *Cluster) partitionsOf(ctx context.Context, topic string) ([]int, error) {
	c.mu.Lock()
	old := c.routes[topic]
	c.mu.Unlock()
	if old != nil && time.Since(old.at) < c.cfg.fresh {
		return old.partitions, nil
	}
	r, err := c.route(ctx, topic)
	if r == nil {
		return nil, err
	}
	return r.partitions, nil
}

func (c *Cluster) leader(ctx context.Context, topic string, partition int) (net.Addr, error) {
	r, err := c.route(ctx, topic)
	if err != nil {
		return nil, err
	}
	if addr, ok := r.leaders[partition]; ok {
		return addr, nil
	}
	c.forget(topic)
	return nil, fault.Wrap(fault.Unavailable, "look up topic "+topic, kafka.LeaderNotAvailable)
}

// offsets asks the leaders for the first and the last offset of every partition of topics, each leader twice, however many topics there are.
func (c *Cluster) offsets(ctx context.Context, m *clusterMeta, topics []*topicMeta) (map[string][]PartitionInfo, error) {
	out := make(map[string][]PartitionInfo, len(topics))
	byLeader := map[int32]map[string][]int{}
	for _, t := range topics {
		out[t.name] = make([]PartitionInfo, len(t.leaders))
		for _, number := range t.partitions() {
			if number >= len(t.leaders) {
				return nil, errShort
			}
			leader := t.leaders[number]
			if byLeader[leader] == nil {
				byLeader[leader] = map[string][]int{}
			}
			byLeader[leader][t.name] = append(byLeader[leader][t.name], number)
		}
	}
	for id, parts := range byLeader {
		addr, ok := m.brokers[id]
		if !ok {
			return nil, kafka.LeaderNotAvailable
		}
		for at, note := range map[int64]func(p *PartitionInfo, offset int64){
			kafka.FirstOffset: func(p *PartitionInfo, offset int64) { p.First = offset },
			kafka.LastOffset:  func(p *PartitionInfo, offset int64) { p.Last = offset },
		} {
			err := c.listOffsets(ctx, kafka.TCP(addr), parts, at, func(topic string, n int, offset int64) {
				if all := out[topic]; n >= 0 && n < len(all) {
					note(&all[n], offset)
				}
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// listOffsets asks one broker for the offset at a time, in ms since 1970, or kafka.FirstOffset or kafka.LastOffset: -1
// where no record is that young.
func (c *Cluster) listOffsets(ctx context.Context, addr net.Addr, partitions map[string][]int, at int64, note func(topic string, partition int, offset int64)) error {
	q := &raw{key: protocol.ListOffsets, least: 1, most: 5, negotiate: true,
		write: func(b []byte, version int16) []byte {
			b = binary.BigEndian.AppendUint32(b, 0xffffffff)
			if version >= 2 {
				b = append(b, 0)
			}
			b = binary.BigEndian.AppendUint32(b, uint32(len(partitions)))
			for topic, numbers := range partitions {
				b = appendString(b, topic)
				b = binary.BigEndian.AppendUint32(b, uint32(len(numbers)))
				for _, p := range numbers {
					b = binary.BigEndian.AppendUint32(b, uint32(p))
					if version >= 4 {
						b = binary.BigEndian.AppendUint32(b, 0xffffffff)
					}
					b = binary.BigEndian.AppendUint64(b, uint64(at))
				}
			}
			return b
		},
		read: func(r io.Reader, size int, version int16) error {
			b, err := readAll(r, size)
			if err != nil {
				return err
			}
			asked := 0
			for _, numbers := range partitions {
				asked += len(numbers)
			}
			answered := 0
			err = parseOffsets(b, version, func(topic string, n int, offset int64) {
				answered++
				note(topic, n, offset)
			})
			if err == nil && answered != asked {
				err = errShort
			}
			return err
		},
	}
	return c.exchangeWith(ctx, addr, q)
}

func parseOffsets(b []byte, version int16, note func(topic string, partition int, offset int64)) error {
	r := &wireReader{b: b}
	if version >= 2 {
		r.int32()
	}
	for topics := r.count(6); topics > 0 && r.err == nil; topics-- {
		topic := r.string()
		for n := r.count(22); n > 0 && r.err == nil; n-- {
			number, code := int(r.int32()), r.int16()
			r.int64()
			offset := r.int64()
			if version >= 4 {
				r.int32()
			}
			if r.err == nil && code != 0 {
				return kafka.Error(code)
			}
			if r.err == nil {
				note(topic, number, offset)
			}
		}
	}
	return r.err
}
