package bench_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/bench"
	"github.com/waybill-hub/waybill/internal/bench/benchtest"
	"github.com/waybill-hub/waybill/internal/bus"
)

// TestMain makes the test binary the program where the benchmark starts it as one.
func TestMain(m *testing.M) { benchtest.Main(m.Run) }

// TestWork does the bench work with few orders. Run itself checks what the hub has written; nothing here is about time.
func TestWork(t *testing.T) {
	var out, log bytes.Buffer
	s, err := bench.Run(t.Context(), bench.Options{Orders: 2000, Runs: 1, Dir: t.TempDir(), Out: &out, Log: &log})
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out.String(), log.String())
	}
	if !strings.Contains(out.String(), "verified 2000 records, the order of ") || strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("got %s\n%s", out.String(), log.String())
	}
	if s.PerSecond <= 0 || s.CPUPerMessage <= 0 || s.EchoRatio <= 0 || !strings.HasPrefix(s.String(), "bench: msgs_per_s=") {
		t.Errorf("got %+v", s)
	}
}

// size is the number of messages: WAYBILL_BENCH_MESSAGES, else small enough for a quick look.
func size(def int) int {
	if n, err := strconv.Atoi(os.Getenv("WAYBILL_BENCH_MESSAGES")); err == nil {
		return n
	}
	return def
}

func start(t testing.TB, n int) (*bench.Broker, *bus.Cluster) {
	t.Helper()
	b, err := bench.StartBroker(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	c, err := b.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := bench.MakeTopics(t.Context(), c, "orders.raw"); err != nil {
		t.Fatal(err)
	}
	if err := bench.Preload(t.Context(), c, "orders.raw", n, func(int) {}); err != nil {
		t.Fatal(err)
	}
	return b, c
}

func TestEchoes(t *testing.T) {
	n := 5000
	b, c := start(t, n)
	if err := bench.MakeTopics(t.Context(), c, "raw", "bus"); err != nil {
		t.Fatal(err)
	}
	if err := bench.RawEcho(t.Context(), b.Addr, "raw", "orders.raw", "raw", n); err != nil {
		t.Fatal(err)
	}
	if err := bench.BusEcho(t.Context(), c, "bus", "orders.raw", "bus", n); err != nil {
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
		"raw": func(group, to string) error {
			return bench.RawEcho(b.Context(), broker.Addr, group, "orders.raw", to, n)
		},
		"bus": func(group, to string) error { return bench.BusEcho(b.Context(), c, group, "orders.raw", to, n) },
	} {
		b.Run(name, func(b *testing.B) {
			var total bench.Result
			for range b.N {
				run++
				to := fmt.Sprintf("out-%d", run)
				if err := bench.MakeTopics(b.Context(), c, to); err != nil {
					b.Fatal(err)
				}
				r, err := measure(n, func() error { return echo(to, to) })
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

// measure runs f and says what it has cost this process.
func measure(messages int, f func() error) (bench.Result, error) {
	before := usage()
	start := time.Now()
	err := f()
	r := bench.Result{Messages: messages, Wall: time.Since(start)}
	after := usage()
	r.CPU = cpu(after) - cpu(before)
	r.Peak = after.Maxrss << 10
	return r, err
}

func usage() (u syscall.Rusage) {
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u
}

func cpu(u syscall.Rusage) time.Duration {
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
