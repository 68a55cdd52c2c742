package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

var hubThings = []thing{
	{"backlog", "messages on a topic when the hub starts", []int{10_000, 100_000, 1_000_000, 10_000_000}, measureHub("µs of CPU a message", "from topic to topic", "cpu_us_per_msg", one, func(n int) []string {
		return []string{"--orders", strconv.Itoa(n), "--runs", "1"}
	})},
	{"flows", "flows to which nothing comes", []int{10, 50, 100, 200, 500}, measureHub("% of a core for each 100 flows", "a hub at rest", "percent_of_a_core", func(n int) float64 { return float64(n) / 100 }, func(n int) []string {
		return []string{"--work", "idle", "--for", "30s", "--flows", strconv.Itoa(n)}
	})},
	{"partitions", "partitions of each topic", []int{4, 16, 64}, measureHub("µs of CPU a message", "webhook to HTTP target", "cpu_us_per_msg", one, func(n int) []string {
		return []string{"--work", "road", "--orders", "8000", "--keys", "2000", "--runs", "1", "--concurrency", "64", "--partitions", strconv.Itoa(n)}
	})},
	{"documents", "bytes of a document", []int{1_000, 10_000, 100_000, 1_000_000}, measureHub("µs of CPU a kilobyte", "webhook to HTTP target", "cpu_us_per_msg", func(n int) float64 { return float64(n) / 1000 }, func(n int) []string {
		orders := min(8000, max(100, 20_000_000/n)) // a run holds so many bytes
		return []string{"--work", "road", "--orders", strconv.Itoa(orders), "--keys", strconv.Itoa(orders / 4), "--senders", "4", "--runs", "1", "--lines", strconv.Itoa(n / 41)}
	})},
}

func one(int) float64 { return 1 }

// measureHub runs the hub's bench at each size in turn, and takes a figure of its last line, divided by what parts gives.
func measureHub(unit, what, figure string, parts func(n int) float64, args func(n int) []string) func(context.Context, *options, *thing) ([]line, error) {
	return func(ctx context.Context, o *options, t *thing) ([]line, error) {
		l := line{work: what, unit: unit, sizes: t.sizes, cost: make([]float64, len(t.sizes))}
		for round := range o.rounds {
			for i, n := range t.sizes {
				got, err := bench(ctx, o.hub, figure, args(n))
				if err != nil {
					return nil, fmt.Errorf("%d: %w", n, err)
				}
				got /= parts(n)
				fmt.Printf("%s %d: %s %s\n", t.name, n, number(got), unit)
				if round == 0 || got < l.cost[i] {
					l.cost[i] = got
				}
			}
		}
		return []line{l}, nil
	}
}

func bench(ctx context.Context, hub, figure string, args []string) (float64, error) {
	cmd := exec.CommandContext(ctx, hub, append([]string{"bench"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("waybill bench %s: %w", strings.Join(args, " "), err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, field := range strings.Fields(lines[len(lines)-1]) {
		if name, v, ok := strings.Cut(field, "="); ok && name == figure {
			return strconv.ParseFloat(v, 64)
		}
	}
	return 0, fmt.Errorf("waybill bench %s says no %s: %s", strings.Join(args, " "), figure, lines[len(lines)-1])
}
