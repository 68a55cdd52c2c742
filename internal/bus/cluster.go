package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Config says how to reach a Kafka cluster. The zero value of every field but Brokers is a usable default.
type Config struct {
	// Brokers are host:port addresses to start from; the rest of the cluster is discovered.
	Brokers []string
	// ClientID names this program in the broker's logs and quotas; default "waybill".
	ClientID string
	// TLS encrypts connections; nil: plain text.
	TLS *tls.Config
	// SASL authenticates connections; nil: no authentication.
	SASL *SASL
	// Log receives what a person should know; default slog.Default().
	Log *slog.Logger
	// Timeout bounds every single call to a broker; default 10 s.
	Timeout time.Duration
	// Dial makes connections; nil: as the operating system does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// OnAlarm is called, once per subscription, when a subscription has stopped because going on would skip or repeat
	// records without anyone knowing. It must not block.
	OnAlarm func(error)

	fresh time.Duration // how long a route is used without a look, so that added partitions and rights that are gone are noticed
}

// Cluster is a connection to a Kafka cluster: it makes topics, publishers and subscribers. It is safe for concurrent use.
type Cluster struct {
	cfg       Config
	addr      net.Addr
	transport *kafka.Transport
	client    *kafka.Client
	mechanism saslMechanism

	mu     sync.Mutex
	routes map[string]*route
	limits map[string]int // max.message.bytes of topics, as far as it is known
	closed atomic.Bool
}

// Topic is a topic to make.
type Topic struct {
	Name string
	// Partitions is the number of partitions; 0 leaves it to the broker.
	Partitions int
	// Replication is the number of copies; 0 leaves it to the broker.
	Replication int
	// Config holds topic settings, such as "retention.ms".
	Config map[string]string
}

// TopicInfo is what a broker says of a topic.
type TopicInfo struct {
	// ID is the topic's id: a topic that was deleted and made again has another one.
	ID string
	// Partitions are in the order of their numbers, starting at 0.
	Partitions []PartitionInfo
}

// PartitionInfo is the range of offsets that a partition holds: [First, Last).
type PartitionInfo struct{ First, Last int64 }

// ErrNoTopic: the cluster has no such topic.
var ErrNoTopic = errors.New("no such topic")

// Dial checks the configuration and reaches for the cluster once. The error is fault.Unavailable when no broker answers
// and fault.Auth when the credentials are refused.
func Dial(ctx context.Context, cfg Config) (*Cluster, error) {
	c, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if _, err := c.ID(ctx); err != nil {
		c.transport.CloseIdleConnections()
		return nil, err
	}
	return c, nil
}

// New checks the configuration and makes no call: the first one connects.
func New(cfg Config) (*Cluster, error) {
	if len(cfg.Brokers) == 0 {
		return nil, errors.New("bus: no brokers given: name at least one host:port")
	}
	for _, b := range cfg.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return nil, fmt.Errorf("bus: broker %q: write host:port: %w", b, err)
		}
	}
	if cfg.ClientID == "" {
		cfg.ClientID = "waybill"
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.OnAlarm == nil {
		cfg.OnAlarm = func(error) {}
	}
	if cfg.fresh <= 0 {
		cfg.fresh = 30 * time.Second
	}
	mechanism, err := cfg.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, addr: kafka.TCP(cfg.Brokers...), mechanism: mechanism, routes: map[string]*route{}, limits: map[string]int{}}
	c.transport = &kafka.Transport{
		ClientID:    cfg.ClientID,
		TLS:         cfg.TLS,
		Dial:        cfg.Dial,
		DialTimeout: min(cfg.Timeout, 5*time.Second),
		MetadataTTL: time.Minute, // of what kafka-go remembers by itself; see route,
	}
	if mechanism != nil {
		c.transport.SASL = mechanism
	}
	c.client = &kafka.Client{Addr: c.addr, Transport: c.transport, Timeout: cfg.Timeout}
	return c, nil
}

// Close releases the connections. Publishers and subscribers must be closed before.
func (c *Cluster) Close() error {
	if !c.closed.Swap(true) {
		c.transport.CloseIdleConnections()
	}
	return nil
}

// ID is the id of the cluster: another one means another, or a wiped, broker.
func (c *Cluster) ID(ctx context.Context) (string, error) {
	m, err := c.metadata(ctx)
	if err != nil {
		return "", err
	}
	return m.cluster, nil
}

// EnsureTopics makes the topics that do not exist. Topics that exist are left as they are, whatever their number of
// partitions: adding partitions would move keys between them.
func (c *Cluster) EnsureTopics(ctx context.Context, topics []Topic) error {
	if len(topics) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req := &kafka.CreateTopicsRequest{}
	for _, t := range topics {
		tc := kafka.TopicConfig{Topic: t.Name, NumPartitions: orMinusOne(t.Partitions), ReplicationFactor: orMinusOne(t.Replication)}
		for name, value := range t.Config {
			tc.ConfigEntries = append(tc.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
		}
		req.Topics = append(req.Topics, tc)
	}
	res, err := c.client.CreateTopics(ctx, req)
	if err != nil {
		return fault.Wrap(callKind(err), "create topics", err)
	}
	var errs []error
	for _, t := range topics {
		switch err := res.Errors[t.Name]; {
		case err == nil:
			if n, err := strconv.Atoi(t.Config[maxMessageBytes]); err == nil {
				c.setLimit(t.Name, n)
			}
		case errors.Is(err, kafka.TopicAlreadyExists):
			c.checkPartitions(ctx, t)
		default:
			errs = append(errs, fault.Wrap(createKind(err), "create topic "+t.Name, explained(err)))
		}
	}
	if len(errs) == 0 {
		errs = append(errs, c.awaitLeaders(ctx, topics))
	}
	// What a person has to correct comes first, so that nobody waits for it.
	slices.SortStableFunc(errs, func(a, b error) int { return waits(a) - waits(b) })
	return errors.Join(errs...)
}

func waits(err error) int {
	if fault.KindOf(err) == fault.Unavailable {
		return 1
	}
	return 0
}

// awaitLeaders waits until every partition of new topics can be written to: brokers make them known one after the other.
func (c *Cluster) awaitLeaders(ctx context.Context, topics []Topic) error {
	names := make([]string, len(topics))
	for i := range topics {
		names[i] = topics[i].Name
	}
	var last error
	again := lifecycle.Backoff{Min: 20 * time.Millisecond, Max: 20 * time.Millisecond}
	if err := lifecycle.Retry(ctx, lifecycle.Real(), again, func() error {
		m, err := c.metadata(ctx, names...)
		if err == nil && !m.ready() {
			err = kafka.LeaderNotAvailable
		}
		last = err
		return err
	}, nil); err == nil {
		return nil
	}
	return fault.Wrap(fault.Unavailable, "create topics "+strings.Join(names, ", "), last)
}

// checkPartitions tells the log when a topic has another number of partitions than it was asked to have.
func (c *Cluster) checkPartitions(ctx context.Context, t Topic) {
	if t.Partitions <= 0 {
		return
	}
	m, err := c.metadata(ctx, t.Name)
	if err != nil || len(m.topics) != 1 || m.topics[0].err != 0 {
		return
	}
	if n := len(m.topics[0].leaders); n != t.Partitions {
		c.cfg.Log.Warn("topic exists with another number of partitions and is left as it is", "topic", t.Name, "has", n, "wanted", t.Partitions)
	}
}

// Describe tells the id and the offsets of topics. A topic that does not exist is missing from the answer.
func (c *Cluster) Describe(ctx context.Context, topics ...string) (map[string]TopicInfo, error) {
	if len(topics) == 0 {
		return map[string]TopicInfo{}, nil
	}
	_, found, err := c.Look(ctx, topics...)
	return found, err
}

func orMinusOne(n int) int {
	if n <= 0 {
		return -1
	}
	return n
}

// String names the brokers.
func (c *Cluster) String() string { return strings.Join(c.cfg.Brokers, ",") }
