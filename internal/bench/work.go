package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/mappings"
	"github.com/waybill-hub/waybill/schemas"
)

// Options say what the bench work is to be.
type Options struct {
	// Orders is how many messages a run moves; Runs how many runs there are.
	Orders, Runs int
	// Dir takes the broker's data, which is about 1.5 KB for an order and run.
	Dir string
	// CPUProfile and AllocProfile are files for profiles of the hub's process in the first run; empty: none.
	CPUProfile, AllocProfile string
	// Out hears how far the work is, Log what the hub has to say.
	Out, Log io.Writer
}

// Summary is the outcome of all runs: medians.
type Summary struct {
	PerSecond     float64
	CPUPerMessage float64 // microseconds, user and system
	// EchoRatio is the hub's throughput divided by that of the raw echo beside it: 1 is as fast as Kafka itself.
	EchoRatio float64
	Peak      int64 // bytes
}

// String is the result line.
func (s Summary) String() string {
	return fmt.Sprintf("bench: msgs_per_s=%.0f cpu_us_per_msg=%.1f echo_ratio=%.3f rss_mb=%d", s.PerSecond, s.CPUPerMessage, s.EchoRatio, s.Peak>>20)
}

const source = "orders.raw"

// Run does the bench work: a broker in a process of its own is filled with orders; then, in each run, a raw echo copies
// them and a hub validates, maps and forwards them as an ordinary flow, each in a process of its own; what the hub has
// written is checked.
func Run(ctx context.Context, o Options) (s Summary, err error) {
	b, err := StartBroker(filepath.Join(o.Dir, "broker"))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	c, err := b.Dial(ctx)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := MakeTopics(ctx, c, source); err != nil {
		return s, err
	}
	start := time.Now()
	if err := Preload(ctx, c, source, o.Orders, o.progress("preload")); err != nil {
		return s, err
	}
	fmt.Fprintf(o.Out, "preloaded %d orders in %.1f s\n", o.Orders, time.Since(start).Seconds())
	var hubs []Result
	var ratios []float64
	for run := 1; run <= o.Runs; run++ {
		w := work{Options: o, cluster: c, addr: b.Addr, run: run}
		echo, err := w.echo(ctx)
		if err != nil {
			return s, fmt.Errorf("run %d: echo: %w", run, err)
		}
		hub, err := w.hub(ctx)
		if err != nil {
			return s, fmt.Errorf("run %d: hub: %w", run, err)
		}
		hubs, ratios = append(hubs, hub), append(ratios, hub.PerSecond()/echo.PerSecond())
	}
	s.PerSecond = median(hubs, Result.PerSecond)
	s.CPUPerMessage = median(hubs, Result.CPUPerMessage)
	s.EchoRatio = median(ratios, func(r float64) float64 { return r })
	s.Peak = int64(median(hubs, func(r Result) float64 { return float64(r.Peak) }))
	return s, nil
}

func median[T any](list []T, of func(T) float64) float64 {
	values := make([]float64, len(list))
	for i := range list {
		values[i] = of(list[i])
	}
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}

// progress tells at most every two seconds how far something is.
func (o *Options) progress(what string) func(done int) {
	last := time.Now()
	return func(done int) {
		if time.Since(last) >= 2*time.Second {
			last = time.Now()
			fmt.Fprintf(o.Out, "  %s: %d of %d\n", what, done, o.Orders)
		}
	}
}

// work is one run.
type work struct {
	Options
	cluster *bus.Cluster
	addr    string
	run     int
}

func (w *work) name(what string) string { return fmt.Sprintf("run %d: %s", w.run, what) }

// echo measures the yardstick.
func (w *work) echo(ctx context.Context) (r Result, err error) {
	topic := fmt.Sprintf("orders.echo-%d", w.run)
	if err := MakeTopics(ctx, w.cluster, topic); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, w.drop(ctx, topic)) }()
	cmd, err := Self("bench", "echo", w.addr, topic, source, topic, strconv.Itoa(w.Orders))
	if err != nil {
		return r, err
	}
	cmd.Stderr = w.Log
	child := watched{cmd: cmd, topic: topic, n: w.Orders, tell: w.progress(w.name("echo"))}
	if r, err = child.run(ctx, w.cluster); err != nil {
		return r, err
	}
	fmt.Fprintln(w.Out, w.name("echo: "+r.String()))
	return r, nil
}

// hub measures the hub and checks what it has written.
func (w *work) hub(ctx context.Context) (r Result, err error) {
	topic := fmt.Sprintf("orders.canonical-%d", w.run)
	if err := MakeTopics(ctx, w.cluster, topic); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, w.drop(ctx, topic)) }()
	config, err := w.project(topic)
	if err != nil {
		return r, err
	}
	args := []string{"run", "-c", config, "--log-level", "warn"}
	if w.run == 1 && w.CPUProfile != "" {
		args = append(args, "--cpuprofile", w.CPUProfile)
	}
	if w.run == 1 && w.AllocProfile != "" {
		args = append(args, "--allocprofile", w.AllocProfile)
	}
	cmd, err := Self(args...)
	if err != nil {
		return r, err
	}
	cmd.Stderr = w.Log
	child := watched{cmd: cmd, topic: topic, n: w.Orders, tell: w.progress(w.name("hub"))}
	if r, err = child.run(ctx, w.cluster); err != nil {
		return r, err
	}
	fmt.Fprintln(w.Out, w.name("hub:  "+r.String()))
	start := time.Now()
	v, err := verify(ctx, w.cluster, w.addr, topic, w.Orders)
	if err != nil {
		return r, fmt.Errorf("what it has written is wrong: %w", err)
	}
	fmt.Fprintf(w.Out, "%s in %.1f s\n", w.name(v.String()), time.Since(start).Seconds())
	return r, nil
}

// drop removes a topic that is not needed any more, so that the runs need no more room than one.
func (w *work) drop(ctx context.Context, topic string) error {
	client := &kafka.Client{Addr: kafka.TCP(w.addr), Timeout: 30 * time.Second}
	got, err := client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil {
		return err
	}
	return got.Errors[topic]
}

// files of the bench work that come with the hub.
var files = []struct {
	from fs.FS
	dir  string
	name string
}{
	{mappings.FS, "mappings", "bench-order.yaml"},
	{mappings.FS, "mappings", "values/bench-order-status.yaml"},
	{schemas.FS, "schemas", "bench/order.v1.json"},
	{schemas.FS, "schemas", "bench/canonical-order.v1.json"},
}

// project writes what a hub needs for one run and gives its configuration file: fresh store, group and topic.
func (w *work) project(topic string) (config string, err error) {
	dir := filepath.Join(w.Dir, fmt.Sprintf("run-%d", w.run))
	write := func(name string, b []byte) {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(name), 0o755)
		}
		if err == nil {
			err = os.WriteFile(name, b, 0o644)
		}
	}
	for _, f := range files {
		b, rerr := fs.ReadFile(f.from, f.name)
		if rerr != nil {
			return "", rerr
		}
		write(f.dir+"/"+f.name, b)
	}
	write("flows/bench.yaml", fmt.Appendf(nil, `flow: bench-%d
entity: order
from: {topic: %s}
accept: bench/order.v1
map: bench-order
to: {topic: %s}
`, w.run, source, topic))
	write("waybill.yaml", fmt.Appendf(nil, `broker:
  kafka: {brokers: ["%s"]}
  partitions: %d
store: {sqlite: {path: %q}}
http: {listen: 127.0.0.1:0}
hooks: {listen: 127.0.0.1:0}
`, w.addr, Partitions, filepath.Join(dir, "waybill.db")))
	return filepath.Join(dir, "waybill.yaml"), err
}
