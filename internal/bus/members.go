package bus

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// groupMember is one member of a consumer group.
type groupMember struct {
	id, client, host string
	partitions       map[string]int // by topic: how many it is given
}

// members are the members of a group, as its coordinator tells them. kafka-go's own request fails as soon as one of them is of another library,
// whose metadata it cannot decode.
func (c *Cluster) members(ctx context.Context, group string) ([]groupMember, error) {
	at, err := c.client.FindCoordinator(ctx, &kafka.FindCoordinatorRequest{Key: group, KeyType: kafka.CoordinatorKeyTypeConsumer})
	if err == nil {
		err = at.Error
	}
	if err != nil {
		return nil, fmt.Errorf("find the coordinator of group %s: %w", group, err)
	}
	var out []groupMember
	q := &raw{key: protocol.DescribeGroups, least: 0, most: 4, negotiate: true,
		write: func(b []byte, version int16) []byte {
			b = binary.BigEndian.AppendUint32(b, 1)
			b = appendString(b, group)
			if version >= 3 {
				b = append(b, 0) // nobody asks for rights
			}
			return b
		},
		read: func(r io.Reader, size int, version int16) error {
			b, err := readAll(r, size)
			if err != nil {
				return err
			}
			out, err = parseMembers(b, version)
			return err
		},
	}
	addr := kafka.TCP(net.JoinHostPort(at.Coordinator.Host, strconv.Itoa(at.Coordinator.Port)))
	if err := c.exchangeWith(ctx, addr, q); err != nil {
		return nil, fmt.Errorf("ask for the members of group %s: %w", group, err)
	}
	return out, nil
}

// parseMembers reads the answer about one group. A group of another protocol has no members that it tells of.
func parseMembers(b []byte, version int16) ([]groupMember, error) {
	r := &wireReader{b: b}
	if version >= 1 {
		r.int32() // throttle
	}
	var out []groupMember
	for groups := r.count(14); groups > 0 && r.err == nil; groups-- {
		if code := r.int16(); code != 0 && r.err == nil {
			return nil, kafka.Error(code)
		}
		for range 4 { // name, state, kind of protocol, protocol
			_ = r.string()
		}
		for n := r.count(14); n > 0 && r.err == nil; n-- {
			m := groupMember{id: r.string()}
			if version >= 4 {
				_ = r.string() // static id
			}
			m.client, m.host = r.string(), r.string()
			r.bytes() // its metadata
			m.partitions = assigned(r.bytes())
			out = append(out, m)
		}
		if version >= 3 {
			r.int32()
		}
	}
	return out, r.err
}

// assigned reads how many partitions of which topics a member is given. What cannot be read, as of a member that joins just now, is none.
func assigned(b []byte) map[string]int {
	r := &wireReader{b: b}
	r.int16() // version
	out := map[string]int{}
	for n := r.count(6); n > 0 && r.err == nil; n-- {
		topic, parts := r.string(), r.count(4)
		for range parts {
			r.int32()
		}
		if r.err == nil {
			out[topic] = parts
		}
	}
	return out
}

// strangers names the members of the group that are no hubs and have partitions of the topic: they are given records that no flow sees. Where
// the hub may not look, it knows of none.
func (sub *subscription) strangers(ctx context.Context) string {
	c := sub.s.c
	ctx, cancel := context.WithTimeout(ctx, min(c.cfg.Timeout, 3*time.Second))
	defer cancel()
	members, err := c.members(ctx, sub.s.cfg.Group)
	if err != nil {
		return ""
	}
	var out []string
	for _, m := range members {
		if n := m.partitions[sub.topic]; n > 0 && !strings.HasPrefix(m.client, c.cfg.ClientID+"-") {
			out = append(out, fmt.Sprintf("%s at %s with %d partitions", m.client, strings.TrimPrefix(m.host, "/"), n))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
