// Package bench holds what benchmarks of the hub have in common: a broker in a process of its own, topics full of orders,
// and the raw kafka-go loop that is the yardstick for everything built on top.
package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/bench/gen"
	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/bus/embedded"
	"github.com/waybill-hub/waybill/internal/event"
)

// Partitions is the number of partitions of the benchmarks' topics.
const Partitions = 12

// ServeBroker is the broker's process: an embedded broker with its data in dir. It says where it listens in the first line
// of out and serves until in ends.
func ServeBroker(ctx context.Context, dir string, in io.Reader, out io.Writer) error {
	e, err := embedded.Start(ctx, embedded.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "listening", e.Addr())
	_, err = io.Copy(io.Discard, in)
	return errors.Join(err, e.Close())
}

// Broker is an embedded broker in a process of its own.
type Broker struct {
	Addr  string
	cmd   *exec.Cmd
	stdin io.Closer
}

// StartBroker starts this program again, as a broker with its data in dir. It ends with Close, or with this process.
func StartBroker(dir string) (*Broker, error) {
	cmd, err := Self("bench", "broker", dir)
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if !ok {
		_ = in.Close()
		return nil, errors.Join(fmt.Errorf("the broker's process does not listen; it says %q", line), cmd.Wait())
	}
	return &Broker{Addr: addr, cmd: cmd, stdin: in}, nil
}

// Close stops the broker.
func (b *Broker) Close() error {
	_ = b.stdin.Close()
	return b.cmd.Wait()
}

// Dial connects to the broker.
func (b *Broker) Dial(ctx context.Context) (*bus.Cluster, error) { return Dial(ctx, b.Addr) }

// Dial connects to a broker.
func Dial(ctx context.Context, addr string) (*bus.Cluster, error) {
	return bus.Dial(ctx, bus.Config{Brokers: []string{addr}, Log: slog.New(slog.DiscardHandler)})
}

// MakeTopics makes topics of Partitions partitions.
func MakeTopics(ctx context.Context, c *bus.Cluster, names ...string) error {
	topics := make([]bus.Topic, len(names))
	for i, name := range names {
		topics[i] = bus.Topic{Name: name, Partitions: Partitions}
	}
	return c.EnsureTopics(ctx, topics)
}

// Preload writes orders 0 to n-1 to a topic, keyed by customer id, without headers. tell hears how many are there.
func Preload(ctx context.Context, c *bus.Cluster, topic string, n int, tell func(done int)) error {
	p := c.Publisher(bus.PublisherConfig{})
	defer p.Close()
	const part = 10_000
	for i := 0; i < n; i += part {
		records := make([]event.Record, 0, part)
		for j := i; j < min(i+part, n); j++ {
			key, value := gen.Order(j, nil)
			records = append(records, event.Record{Topic: topic, Key: key, Value: value})
		}
		for _, s := range p.Send(ctx, records) {
			if s.Err != nil {
				return s.Err
			}
		}
		tell(i + len(records))
	}
	return nil
}

// Result is what one run has cost the process under test.
type Result struct {
	Messages int
	Wall     time.Duration
	// CPU is user and system time together.
	CPU time.Duration
	// Peak is the largest resident memory of the process, in bytes; 0 where the machine does not tell.
	Peak int64
}

// PerSecond is the throughput.
func (r Result) PerSecond() float64 { return float64(r.Messages) / r.Wall.Seconds() }

// CPUPerMessage is the cost of one message in microseconds.
func (r Result) CPUPerMessage() float64 {
	return float64(r.CPU.Nanoseconds()) / 1000 / float64(r.Messages)
}

// String is one line of a table.
func (r Result) String() string {
	return fmt.Sprintf("%d messages in %.2f s: %.0f/s, %.2f µs CPU each, peak %d MB",
		r.Messages, r.Wall.Seconds(), r.PerSecond(), r.CPUPerMessage(), r.Peak>>20)
}
