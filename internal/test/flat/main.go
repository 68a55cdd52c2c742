// Command flat measures what the hub's work costs against how much it keeps, and draws it. It is a module of its own: the hub needs no plotting library.
//
//	go run . --out ../../../docs/flat                  # the store, SQLite, up to a million of each
//	go run . --postgres URL --out …                    # the same on PostgreSQL; a database is made for each size and removed
//	go run . --max 10000000 --only journal --out …     # further, and one thing alone
//	go run . --hub ../../../bin/waybill --out …        # whole hubs as well: backlog, flows, partitions, documents
//
// All sizes of one thing are filled first and then measured in turn, several times, so that what else the machine does falls on all alike; of each the least
// counts. What is told is the ratio of the largest to the smallest; the figures are notes of one machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
)

func main() {
	var o options
	flag.StringVar(&o.out, "out", "", "the folder for flat-….svg, flat-….png and flat-….csv; empty: only the table")
	flag.StringVar(&o.postgres, "postgres", "", "the URL of a PostgreSQL in which databases may be made; empty: SQLite")
	flag.StringVar(&o.hub, "hub", "", "the command of the hub, to measure whole hubs as well")
	flag.IntVar(&o.max, "max", 1_000_000, "the largest size")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each size is measured")
	flag.IntVar(&o.calls, "calls", 200, "calls of one measurement")
	flag.StringVar(&o.only, "only", "", "the things to measure, parted by commas; empty: all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, &o); err != nil {
		fmt.Fprintln(os.Stderr, "flat:", err)
		os.Exit(1)
	}
}

type options struct {
	out, postgres, hub, only string
	max, rounds, calls       int
}

// thing is what grows, and what is measured meanwhile.
type thing struct {
	name, of string // of says what is counted
	sizes    []int
	measure  func(ctx context.Context, o *options, t *thing) ([]line, error)
}

// line is the cost of one piece of work at each size, in microseconds (of hubs: in what unit says).
type line struct {
	work, unit string
	sizes      []int
	cost       []float64
}

// ratio is what the work costs at the largest size to what it costs at the smallest.
func (l *line) ratio() float64 { return l.cost[len(l.cost)-1] / l.cost[0] }

func run(ctx context.Context, o *options) error {
	worst, lines := 0.0, 0
	for _, t := range slices.Concat(storeThings, hubThings) {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), t.name) {
			continue
		}
		t.sizes = slices.DeleteFunc(slices.Clone(t.sizes), func(n int) bool { return n > o.max })
		if len(t.sizes) < 2 || o.hub == "" && slices.ContainsFunc(hubThings, func(h thing) bool { return h.name == t.name }) {
			continue
		}
		all, err := t.measure(ctx, o, &t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		fmt.Printf("\n%s (%s)\n", t.name, t.of)
		for i := range all {
			l := &all[i]
			fmt.Printf("  %-44s", l.work)
			for j, c := range l.cost {
				fmt.Printf("  %d: %s", l.sizes[j], number(c))
			}
			fmt.Printf("  %s, ratio %.2f\n", l.unit, l.ratio())
			worst, lines = max(worst, l.ratio()), lines+1
		}
		if o.out != "" {
			if err := draw(o, &t, all); err != nil {
				return err
			}
		}
	}
	fmt.Printf("flat: lines=%d worst_ratio=%.2f\n", lines, worst)
	return nil
}

func number(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
