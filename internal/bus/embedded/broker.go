// Package embedded is a Kafka broker of one node inside the hub's process. kfake speaks the protocol; this package keeps its data through
// crashes and full disks, keeps strangers from it, and removes old records.
package embedded

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/filemode"
	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Config sets up a broker. Only Dir is required.
type Config struct {
	// Dir is the data directory. It belongs to one broker at a time.
	Dir string
	// Listen is the loopback address to listen on; default "127.0.0.1:0", a free port.
	Listen string
	// Partitions is the number of partitions of topics that are made without one; default 12.
	Partitions int
	// Retention is how long records are kept; default 7 days, negative: for ever. The topic setting retention.ms goes
	// before. The last record of a partition is always kept.
	Retention time.Duration
	// RetentionBytes bounds the size of a partition, roughly; 0: no bound. The topic setting retention.bytes goes before.
	RetentionBytes int64
	// Needed gives the offset from which on records of a partition are still to be read, where it is known: those are not
	// removed however old they are. May be nil.
	Needed func(topic string, partition int) (from int64, ok bool)
	// RetentionEvery is how often old records are removed; default 10 minutes.
	RetentionEvery time.Duration
	// Log receives what a person should know; default slog.Default().
	Log *slog.Logger
}

// Broker is a Kafka broker of one node inside this process, whose data survives crashes. It speaks Kafka's protocol to
// the same code as a real one and is not meant to outgrow one machine.
type Broker struct {
	cfg   Config
	lock  *os.File
	addr  string
	work  *lifecycle.Background
	close sync.Once
	life  *life // of the goroutine that serves, once that runs
	// keep is held, as the one element, by whoever removes old records, or needs them to stay.
	keep chan struct{}
	// trouble is why it stands still; nil: it does not.
	trouble atomic.Pointer[fault.Trouble]

	mu      sync.Mutex
	cluster *kfake.Cluster
}

// Start locks the data directory, repairs what a crash has left in it and starts the broker.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	if cfg.Dir == "" {
		return nil, errors.New("embedded broker: no data directory given")
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Partitions <= 0 {
		cfg.Partitions = 12
	}
	if cfg.Retention == 0 {
		cfg.Retention = 7 * 24 * time.Hour
	}
	if cfg.RetentionEvery <= 0 {
		cfg.RetentionEvery = 10 * time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if err := loopback(cfg.Listen); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	// kfake makes its files for everybody: the folder keeps others out.
	switch n, err := filemode.Tighten(cfg.Dir); {
	case err != nil:
		cfg.Log.Warn("others can read the embedded broker's log", "folder", cfg.Dir, "error", err)
	case n > 0:
		cfg.Log.Info("others could read files of the embedded broker; now they cannot", "folder", cfg.Dir, "files", n)
	}
	b := &Broker{cfg: cfg, lock: lock, keep: make(chan struct{}, 1)}
	if err := b.start(cfg.Listen); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("embedded broker in %s: %w", cfg.Dir, err)
	}
	b.work = lifecycle.NewBackground(context.Background())
	for _, work := range []func(context.Context){b.serve, b.retain} {
		b.work.Go(func(ctx context.Context) error {
			return lifecycle.Supervise(ctx, lifecycle.Real(), func(ctx context.Context) error { work(ctx); return nil }, func(err error, wait time.Duration) {
				cfg.Log.Error("a part of the embedded broker has failed; it is begun again", "in", wait, "error", err)
			})
		})
	}
	return b, nil
}

// loopback refuses addresses that others can reach: a single stray request of another protocol makes the broker
// allocate a gigabyte, and it asks nobody for a password.
func loopback(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("embedded broker: listen %q: write host:port: %w", listen, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("embedded broker: listen %q: only loopback addresses are allowed: use 127.0.0.1, or Apache Kafka for other machines", listen)
	}
	return nil
}

// start begins a life of the broker.
func (b *Broker) start(listen string) error {
	if err := restore(b.cfg.Dir); err != nil {
		return err
	}
	id, err := repair(b.cfg.Dir, b.cfg.Log)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	if b.addr == "" { // a later life listens where the first did; others read the address meanwhile
		b.addr = ln.Addr().String()
	}
	l := newLife(b.cfg.Log)
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return guard{ln, l}, nil }),
		kfake.ClusterID(id),
		kfake.DefaultNumPartitions(b.cfg.Partitions),
		kfake.DataDir(b.cfg.Dir),
		kfake.SyncWrites(),
		kfake.BrokerConfigs(brokerConfigs()),
		kfake.WithLogger(l),
	)
	if err != nil {
		_ = ln.Close()
		return err
	}
	b.mu.Lock()
	b.life, b.cluster = l, cluster
	b.mu.Unlock()
	return nil
}

// brokerConfigs are the settings that differ from the broker's defaults.
func brokerConfigs() map[string]string {
	tenYears := int64(10 * 365 * 24 * 60)
	return map[string]string{
		// Offsets of a quiet group must not expire: a flow may rest for longer than a week.
		"offsets.retention.minutes": strconv.FormatInt(tenYears, 10),
		// The broker's own removal of old records can empty a partition, which then starts again at offset 0 after a
		// restart: retain does it instead.
		"log.retention.ms":       "-1",
		"log.retention.bytes":    "-1",
		"log.cleaner.backoff.ms": strconv.FormatInt(tenYears*60_000, 10),
		// Disk space is given back by whole segments.
		"log.segment.bytes": strconv.Itoa(64 << 20),
	}
}

// Trouble is why the broker stands still; nil: it does not.
func (b *Broker) Trouble() *fault.Trouble { return b.trouble.Load() }

// stands notes why the broker stands still, in the trouble that there is or a new one.
func (b *Broker) stands(err error) {
	t := &fault.Trouble{Since: time.Now(), Why: fmt.Sprintf("the embedded broker cannot write to %s and stands still until it can: %v", b.cfg.Dir, err)}
	if old := b.trouble.Load(); old != nil {
		t.Since = old.Since
	}
	b.trouble.Store(t)
}

// Addr is the address to dial.
func (b *Broker) Addr() string { return b.addr }

// Close saves the broker's state and gives the directory free. Clients should be closed before.
func (b *Broker) Close() error {
	var err error
	b.close.Do(func() {
		_ = b.work.Stop(context.Background(), nil) // it ends at once
		if c := b.kafka(); c != nil && b.life.over.Load() {
			err = discard(b.cfg.Dir, c)
		} else if c != nil {
			c.Close()
		}
		err = errors.Join(err, b.lock.Close())
	})
	return err
}

func mintID() (string, error) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(id), nil
}
