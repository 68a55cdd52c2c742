package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// ErrPosition: a group's position does not fit what the broker holds. Going on would skip records, or read them again,
// without anyone knowing; the text says what differs.
var ErrPosition = errors.New("the broker does not hold the group's position")

// Positions is where a group's positions are kept, other than in Kafka.
type Positions interface {
	// Assigned is asked before a partition is read; log is what the broker says of it. known is false where no position is kept yet: then
	// the offset committed in Kafka counts, else the first record. An error of kind fault.Unavailable is asked again; any other stops
	// the subscription with an alarm.
	Assigned(ctx context.Context, group, topic string, partition int, log event.Log) (epoch int64, pos event.Position, known bool, err error)
	// Revoked is told when a partition is not read any more, after the last acknowledgement that counts.
	Revoked(group, topic string, partition int)
}

// GapPositions is implemented by Positions that want to know of offsets without a record: transaction markers, aborted
// transactions and what compaction has taken out. Where positions are merged from finished offsets, such a gap would
// hold them up for ever.
type GapPositions interface {
	// Gap is told before the record after the gap is handed over. The gap is told again until err is nil.
	Gap(ctx context.Context, group, topic string, partition int, epoch int64, gap event.Range) error
}

// SubscriberConfig sets how records are read. Only Group is required.
type SubscriberConfig struct {
	// Group is the consumer group.
	Group string
	// Lanes is the number of lanes of a partition; default 16. One lane keeps the order of the whole partition.
	Lanes int
	// MaxBatch is the largest number of records handed over at once; default 128.
	MaxBatch int
	// MaxBytes bounds the memory of records that are read and not acknowledged, with what they cost in memory besides
	// their own bytes, and of the buffers that they are read into, over all partitions and lanes; default 64 MiB. Reading
	// pauses, per partition, at its share. A record that is larger than the share is read all the same.
	MaxBytes int64
	// FetchBytes is the most that is asked for at once; default 1 MiB, and never more than half a partition's share.
	FetchBytes int
	// FetchWait is how long a broker holds a request for records; default 500 ms. Of a partition that nothing comes to, up to 5 s. It delays nothing.
	FetchWait time.Duration
	// Positions keeps positions besides Kafka; may be nil.
	Positions Positions
	// NackBackoff is how long a refused batch rests at most before it is handed over again; it doubles up to 20 times that (see
	// lifecycle.Backoff). Default 100 ms.
	NackBackoff time.Duration
	// CommitEvery is how long after an acknowledgement offsets are committed to Kafka, and so how often; default 200 ms.
	CommitEvery time.Duration
	// Grace is how long batches on their way are waited for, before their contexts are cancelled, when a partition is
	// revoked or the subscriber closes; default 3 s.
	Grace time.Duration
	// Heartbeat and Session are the group protocol's times: a dead hub's partitions move after Session, a rebalance is
	// noticed within Heartbeat. Defaults 1 s and 15 s.
	Heartbeat, Session time.Duration
	// WatchPartitions is how often the topic is looked at for new partitions; default 5 s.
	WatchPartitions time.Duration
	// OnAlarm is called instead of the cluster's.
	OnAlarm func(error)

	lookEvery time.Duration // how often the topic is checked to be the one that was assigned, and the group to be the hubs' alone
	churn     time.Duration // see churnTimes
}

func (cfg *SubscriberConfig) setDefaults(c *Cluster) {
	or := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	orInt := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	orInt(&cfg.Lanes, 16)
	orInt(&cfg.MaxBatch, 128)
	orInt(&cfg.FetchBytes, 1<<20)
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 64 << 20
	}
	or(&cfg.FetchWait, 500*time.Millisecond)
	or(&cfg.NackBackoff, 100*time.Millisecond)
	or(&cfg.CommitEvery, 200*time.Millisecond)
	or(&cfg.Grace, 3*time.Second)
	or(&cfg.Heartbeat, time.Second)
	or(&cfg.Session, 15*time.Second)
	or(&cfg.WatchPartitions, 5*time.Second)
	or(&cfg.lookEvery, 10*time.Second)
	or(&cfg.churn, 30*time.Second)
	if cfg.OnAlarm == nil {
		cfg.OnAlarm = c.cfg.OnAlarm
	}
}

var _ message.Subscriber = (*Subscriber)(nil)

// Subscriber reads topics as a member of a consumer group. Each topic subscribed to is a member of its own. It is safe
// for concurrent use.
type Subscriber struct {
	c        *Cluster
	cfg      SubscriberConfig
	log      *slog.Logger
	assigned atomic.Int64 // partitions read at present: each has an equal share of MaxBytes

	reading *lifecycle.Background // the subscriptions

	mu   sync.Mutex
	subs map[*subscription]struct{}
}

// Subscriber makes a subscriber; nothing is read before Subscribe.
func (c *Cluster) Subscriber(cfg SubscriberConfig) (*Subscriber, error) {
	if cfg.Group == "" {
		return nil, errors.New("bus: a subscriber needs a group")
	}
	cfg.setDefaults(c)
	return &Subscriber{c: c, cfg: cfg, log: c.cfg.Log.With("group", cfg.Group), reading: lifecycle.NewBackground(context.Background()), subs: map[*subscription]struct{}{}}, nil
}

// Subscribe reads a topic until ctx ends, Close is called or an alarm stops it; then the channel is closed. Each message
// carries one lane batch (event.BatchFrom its context); its Ack is for the batch, its Nack brings the same batch again.
// The next batch of a lane comes after the Ack of the one before. A message's context is cancelled after its Ack, and when
// the partition is not ours any more: then its outcome does not count.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading.Err() != nil {
		return nil, fmt.Errorf("bus: subscribe to %s: %w", topic, errClosed)
	}
	sub, err := newSubscription(ctx, s, topic)
	if err != nil {
		return nil, fmt.Errorf("bus: subscribe to %s: %w", topic, err)
	}
	s.subs[sub] = struct{}{}
	if !s.reading.Go(func(ctx context.Context) error { s.read(ctx, sub); return nil }) { // closed meanwhile
		sub.stop()
		delete(s.subs, sub)
		return nil, fmt.Errorf("bus: subscribe to %s: %w", topic, errClosed)
	}
	return sub.out, nil
}

// read is the life of a subscription, until ctx or its own context ends.
func (s *Subscriber) read(ctx context.Context, sub *subscription) {
	defer context.AfterFunc(ctx, sub.stop)()
	if err := lifecycle.Guard(func() error { sub.run(); return nil }); err != nil {
		s.log.Error("reading has stopped", "topic", sub.topic, "error", err)
		s.cfg.OnAlarm(fmt.Errorf("group %s, topic %s: %w", s.cfg.Group, sub.topic, err))
	}
	s.mu.Lock()
	delete(s.subs, sub)
	s.mu.Unlock()
}

// Close stops reading, waits for what is on its way, commits, leaves the group and closes the channels. It takes little
// longer than Grace.
func (s *Subscriber) Close() error {
	return s.reading.Stop(context.Background(), errClosed)
}

// PartitionStats is how far one partition has been read.
type PartitionStats struct {
	Topic     string
	Partition int
	// Next is the offset below which everything is acknowledged, Read the offset after the last record handed to a lane.
	Next, Read int64
	// End is the offset of the next record to be written, as of the last answer of the broker.
	End int64
	// Bytes are read and not acknowledged.
	Bytes int64
	// Epoch is what Positions gave out.
	Epoch int64
}

// Stats tells of the partitions that are read at present, without asking a broker.
func (s *Subscriber) Stats() []PartitionStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []PartitionStats
	for sub := range s.subs {
		for _, p := range sub.current() {
			out = append(out, p.stats())
		}
	}
	return out
}
