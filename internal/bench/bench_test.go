package bench

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/waybill-hub/waybill/internal/bus"
)

func TestMain(m *testing.M) {
	if !RunBroker() {
		m.Run()
	}
}

// size is the number of messages: WAYBILL_BENCH_MESSAGES, else small enough for a quick look.
func size(def int) int {
	if n, err := strconv.Atoi(os.Getenv("WAYBILL_BENCH_MESSAGES")); err == nil {
		return n
	}
	return def
}

func start(t testing.TB, n int) (*Broker, *bus.Cluster) {
	t.Helper()
	b, err := StartBroker(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	c, err := b.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := MakeTopics(t.Context(), c, "orders.raw"); err != nil {
		t.Fatal(err)
	}
	if err := Preload(t.Context(), c, "orders.raw", n); err != nil {
		t.Fatal(err)
	}
	return b, c
}

func TestEchoes(t *testing.T) {
	n := 5000
	b, c := start(t, n)
	if err := MakeTopics(t.Context(), c, "raw", "bus"); err != nil {
		t.Fatal(err)
	}
	if err := RawEcho(t.Context(), b.Addr, "raw", "orders.raw", "raw", n); err != nil {
		t.Fatal(err)
	}
	if err := BusEcho(t.Context(), c, "bus", "orders.raw", "bus", n); err != nil {
		t.Fatal(err)
	}
	info, err := c.Describe(t.Context(), "orders.raw", "raw", "bus")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"raw", "bus"} {
		if fmt.Sprint(info[name].Partitions) != fmt.Sprint(info["orders.raw"].Partitions) {
			t.Errorf("%s: %v, want %v", name, info[name].Partitions, info["orders.raw"].Partitions)
		}
	}
}

// BenchmarkEcho compares the bus with the raw loop, on an embedded broker in another process.
func BenchmarkEcho(b *testing.B) {
	n := size(200_000)
	broker, c := start(b, n)
	run := 0
	for name, echo := range map[string]func(group, to string) error{
		"raw": func(group, to string) error { return RawEcho(b.Context(), broker.Addr, group, "orders.raw", to, n) },
		"bus": func(group, to string) error { return BusEcho(b.Context(), c, group, "orders.raw", to, n) },
	} {
		b.Run(name, func(b *testing.B) {
			var total Result
			for range b.N {
				run++
				to := fmt.Sprintf("out-%d", run)
				if err := MakeTopics(b.Context(), c, to); err != nil {
					b.Fatal(err)
				}
				r, err := Measure(n, func() error { return echo(to, to) })
				if err != nil {
					b.Fatal(err)
				}
				total.Messages, total.Wall, total.CPU, total.Peak = total.Messages+n, total.Wall+r.Wall, total.CPU+r.CPU, r.Peak
			}
			b.ReportMetric(total.PerSecond(), "msg/s")
			b.ReportMetric(total.CPUPerMessage(), "µsCPU/msg")
			b.ReportMetric(float64(total.Peak>>20), "MB")
			b.ReportMetric(float64(total.Wall.Milliseconds())/float64(b.N), "ms/run")
		})
	}
}
