package bus

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/waybill-hub/waybill/internal/fault"
)

// correlation is the id of every request made here: a connection carries one request at a time.
const correlation = 0x57414259

// maxAnswer bounds what a broker's length field can make this program allocate.
const maxAnswer = 256 << 20

// raw is a request that writes and reads its own bytes. kafka-go's transport finds the connection for it, and gives the
// connection up when anything fails.
type raw struct {
	key protocol.ApiKey
	// least and most are the versions that write and read know. Where negotiate is false, most is used as it is: kafka-go
	// negotiates only the versions that it knows itself.
	least, most int16
	negotiate   bool
	flexible    bool
	// topic, with partition, sends the request to the leader of the partition.
	topic     string
	partition int32
	// write appends the request's body to its head. Instead of it, whole may hold the request with room for its head
	// (see headSize), where its body is the same in all versions.
	write func(b []byte, version int16) []byte
	whole []byte
	read  func(r io.Reader, size int, version int16) error

	ctx     context.Context
	client  string
	version int16
	state   atomic.Int32
	done    chan struct{} // closed when the connection is through with the request
}

// States of a raw request: who came first, the connection that writes it or the caller that gives up.
const (
	rawWaiting int32 = iota
	rawWritten
	rawGivenUp
)

// ApiKey makes raw a protocol.Message.
func (q *raw) ApiKey() protocol.ApiKey { return q.key }

// Required makes raw a protocol.RawExchanger: it always writes itself.
func (q *raw) Required(versions map[protocol.ApiKey]int16) bool {
	q.version = q.most
	if q.negotiate {
		q.version = min(versions[q.key], q.most)
	}
	return true
}

// RawExchange sends the request and reads its answer. The end of the caller's context interrupts it: kafka-go itself would
// only stop waiting, and leave the connection to a request that nobody wants any more.
func (q *raw) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if !q.state.CompareAndSwap(rawWaiting, rawWritten) {
		return nil, context.Canceled
	}
	defer close(q.done)
	conn, ok := rw.(interface{ SetDeadline(time.Time) error })
	if !ok {
		return nil, fmt.Errorf("connection of type %T has no deadline", rw)
	}
	stop := context.AfterFunc(q.ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	m, err := q.roundTrip(rw)
	if !stop() && err == nil {
		err = context.Cause(q.ctx)
	}
	return m, err
}

func (q *raw) roundTrip(rw io.ReadWriter) (protocol.Message, error) {
	if q.version < q.least {
		q.state.Store(rawGivenUp)
		return nil, fmt.Errorf("the broker speaks %s up to version %d and %d is needed: use Kafka 2.8 or newer", q.key, q.version, q.least)
	}
	b := q.whole
	if b == nil {
		b = q.write(make([]byte, headSize(q.client, q.flexible), 256), q.version)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	binary.BigEndian.PutUint16(b[4:], uint16(q.key))
	binary.BigEndian.PutUint16(b[6:], uint16(q.version))
	binary.BigEndian.PutUint32(b[8:], correlation)
	binary.BigEndian.PutUint16(b[12:], uint16(len(q.client)))
	copy(b[14:], q.client)
	if _, err := rw.Write(b); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, err
	}
	size := int(int32(binary.BigEndian.Uint32(head[:4]))) - 4
	if size < 0 || size > maxAnswer || binary.BigEndian.Uint32(head[4:]) != correlation {
		return nil, errShort
	}
	if err := q.read(rw, size, q.version); err != nil {
		return nil, err
	}
	return q, nil
}

// headSize is the size of a request's head: size, kind, version, correlation id and client id.
func headSize(client string, flexible bool) int {
	n := 14 + len(client)
	if flexible {
		n++ // no tags
	}
	return n
}

// sent reports, after a failure, whether the request may have reached the broker. It also makes sure that a request that
// has not been written yet never will be.
func (q *raw) sent() bool {
	return !q.state.CompareAndSwap(rawWaiting, rawGivenUp) && q.state.Load() == rawWritten
}

// exchange sends a request to any broker or, where the request has a topic, to the leader of its partition, as far as we
// know it; any failure makes us ask again who that is. When exchange returns, nothing uses the request any more.
func (c *Cluster) exchange(ctx context.Context, q *raw) error {
	addr := c.addr
	if q.topic != "" {
		var err error
		if addr, err = c.leader(ctx, q.topic, int(q.partition)); err != nil {
			q.state.Store(rawGivenUp)
			return err
		}
	}
	err := c.exchangeWith(ctx, addr, q)
	if err != nil && q.topic != "" {
		c.forget(q.topic)
	}
	return err
}

// exchangeWith sends a request to a given broker, with a deadline in any case: a call without one can wait for ever.
func (c *Cluster) exchangeWith(ctx context.Context, addr net.Addr, q *raw) error {
	if c.closed.Load() { // or the transport would open connections that nobody closes
		q.state.Store(rawGivenUp)
		return errClosed
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.cfg.Timeout)
		defer cancel()
	}
	q.ctx, q.client, q.done = ctx, c.cfg.ClientID, make(chan struct{})
	_, err := c.transport.RoundTrip(ctx, addr, q)
	if err != nil && q.sent() {
		<-q.done
	}
	return err
}

// buffers holds memory for large requests and answers: a partition that is quiet keeps none.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// readAll reads a whole answer into memory of its own.
func readAll(r io.Reader, size int) ([]byte, error) {
	b := make([]byte, size)
	_, err := io.ReadFull(r, b)
	return b, err
}

// clusterMeta is what a broker says of its cluster and of some topics.
type clusterMeta struct {
	cluster string
	brokers map[int32]string
	topics  []topicMeta
}

type topicMeta struct {
	err     int16
	name    string
	id      string
	leaders map[int]int32 // by partition
}

func (t *topicMeta) partitions() []int {
	out := slices.Collect(maps.Keys(t.leaders))
	slices.Sort(out)
	return out
}

// metadata asks a broker: unlike kafka-go's own request it is never answered from memory, and it tells topic ids.
func (c *Cluster) metadata(ctx context.Context, topics ...string) (*clusterMeta, error) {
	m := &clusterMeta{brokers: map[int32]string{}}
	q := &raw{key: protocol.Metadata, least: 11, most: 11, flexible: true,
		write: func(b []byte, _ int16) []byte {
			b = binary.AppendUvarint(b, uint64(len(topics)+1))
			for _, t := range topics {
				b = append(b, make([]byte, 16)...)
				b = appendCompactString(b, t)
				b = append(b, 0)
			}
			return append(b, 0, 0, 0)
		},
		read: func(r io.Reader, size int, _ int16) error {
			b, err := readAll(r, size)
			if err != nil {
				return err
			}
			return m.parse(b)
		},
	}
	if err := c.exchange(ctx, q); err != nil {
		return nil, fault.Wrap(callKind(err), "ask "+c.String()+" for metadata", err)
	}
	return m, nil
}

// topicError is why the one topic that was asked for cannot be used; ErrNoTopic where there is none.
func (m *clusterMeta) topicError() error {
	switch {
	case len(m.topics) != 1 || m.topics[0].err == int16(kafka.UnknownTopicOrPartition):
		return ErrNoTopic
	case m.topics[0].err != 0:
		return kafka.Error(m.topics[0].err)
	}
	return nil
}

// ready reports whether every partition of every topic has a leader that is there.
func (m *clusterMeta) ready() bool {
	for i := range m.topics {
		t := &m.topics[i]
		if t.err != 0 || len(t.leaders) == 0 {
			return false
		}
		for _, id := range t.leaders {
			if m.brokers[id] == "" {
				return false
			}
		}
	}
	return true
}

func (m *clusterMeta) parse(b []byte) error {
	r := &wireReader{b: b}
	r.tags()
	r.int32() // throttle
	for n := r.compactCount(); n > 0 && r.err == nil; n-- {
		id, host, port := r.int32(), r.compactString(), r.int32()
		m.brokers[id] = net.JoinHostPort(host, strconv.Itoa(int(port)))
		r.compactString()
		r.tags()
	}
	m.cluster = r.compactString()
	r.int32() // controller
	for n := r.compactCount(); n > 0 && r.err == nil; n-- {
		t := topicMeta{err: r.int16(), name: r.compactString(), leaders: map[int]int32{}}
		if id := r.take(16); id != nil {
			t.id = base64.RawURLEncoding.EncodeToString(id)
		}
		r.int8() // internal
		for k := r.compactCount(); k > 0 && r.err == nil; k-- {
			r.int16()
			number := int(r.int32())
			t.leaders[number] = r.int32()
			r.int32()     // leader epoch
			for range 3 { // replicas, in sync, offline
				for i := r.compactCount(); i > 0 && r.err == nil; i-- {
					r.int32()
				}
			}
			r.tags()
		}
		r.int32() // authorized operations
		r.tags()
		m.topics = append(m.topics, t)
	}
	r.tags()
	return r.err
}
