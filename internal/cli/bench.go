package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/waybill-hub/waybill/internal/bench"
	"github.com/waybill-hub/waybill/internal/bench/console"
	"github.com/waybill-hub/waybill/internal/bench/road"
	"github.com/waybill-hub/waybill/internal/bench/rows"
)

func (e *env) benchCommand() *cobra.Command {
	o := bench.Options{Out: e.out, Log: e.err}
	way, idle, work := road.Options{Out: e.out, Log: e.err}, road.Idle{Out: e.out, Log: e.err}, ""
	c := &cobra.Command{Use: "bench", Short: "Measure this machine: an ordinary flow over many orders, beside a raw Kafka echo; the last line is the result",
		Args: cobra.NoArgs, RunE: do(func(c *cobra.Command, _ []string) (err error) {
			if err := benchFlags(c, work); err != nil {
				return err
			}
			if o.Orders < 0 || o.Runs < 1 {
				return usage("--orders and --runs must be at least 1")
			}
			if o.Orders == 0 {
				o.Orders = map[string]int{"orders": 500_000, "road": 20_000}[work]
			}
			if o.Dir == "" {
				if o.Dir, err = os.MkdirTemp("", "waybill-bench-"); err != nil {
					return err
				}
				defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
			} else if o.Dir, err = freshDir(o.Dir); err != nil {
				return err
			}
			if work == "road" {
				return e.road(c.Context(), o, way)
			}
			if work == "idle" {
				idle.Dir, idle.Against, idle.CPUProfile = o.Dir, way.Against, o.CPUProfile
				return e.idle(c.Context(), idle)
			}
			s, err := bench.Run(c.Context(), o)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(e.out, s)
			return err
		})}
	f := c.Flags()
	f.StringVar(&work, "work", "orders", "orders: topic to topic, beside the echo; road: signed webhooks that end as objects in an HTTP target; idle: a hub to which nothing comes")
	f.IntVar(&o.Orders, "orders", 0, "orders, road: messages in a run (default: 500000, on the road 20000)")
	f.IntVar(&way.Keys, "keys", 5_000, "road: objects that the orders are about")
	f.IntVar(&way.Lines, "lines", road.DefaultLines, "road: lines of an order, about 40 bytes each")
	f.IntVar(&way.Senders, "senders", 64, "road: webhooks at once")
	f.DurationVar(&way.Delay, "delay", 0, "road: how long the target takes to answer")
	f.IntVar(&way.Partitions, "partitions", 4, "road: partitions of the topics")
	f.IntVar(&way.Concurrency, "concurrency", 64, "road: calls to the target at once")
	f.StringVar(&way.Kafka, "kafka", "", "road: host:port of an Apache Kafka, with --postgres (default: the embedded broker)")
	f.StringVar(&way.Postgres, "postgres", "", "road: URL of a PostgreSQL database whose user may make others, with --kafka (default: SQLite)")
	f.BoolVar(&way.Syncs, "syncs", false, "road: count the fsyncs too, with strace, in a run of its own")
	f.BoolVar(&way.Documents, "documents", false, "road: keep the documents of all messages for trace")
	f.StringVar(&way.Against, "against", "", "road, idle: another build of waybill that takes turns with this one")
	f.IntVar(&idle.Flows, "flows", 200, "idle: flows of the hub, every second one from a webhook, the next one to an HTTP target")
	f.DurationVar(&idle.For, "for", time.Minute, "idle: how long the hub is looked at")
	f.StringVar(&way.Beside, "beside", "", "road: dead or slow: hubs take turns that give the orders to another target too, which is that; consoles: hubs at which a hundred people look. The ratio says what it costs")
	f.StringVar(&way.Benthos, "benthos", "", "road: the command of Benthos 4.27, which takes turns too")
	f.IntVar(&o.Runs, "runs", 3, "orders, road: runs; the result holds the medians")
	f.StringVar(&o.Dir, "dir", "", "keep the broker's and the hub's data in this directory, which must be empty (default: a temporary one)")
	f.StringVar(&o.CPUProfile, "cpuprofile", "", "write a CPU profile of the hub in the first run to this file")
	f.StringVar(&o.AllocProfile, "allocprofile", "", "orders, road: write what the hub has allocated in the first run to this file")
	c.AddCommand(e.benchBrokerCommand(), e.benchEchoCommand(), e.benchTargetCommand(), e.benchSendCommand(), e.benchRowsCommand(), e.benchConsoleCommand())
	return c
}

// benchFlags refuses flags that the work does not look at: a result would be taken for what it is not. Which work looks at a flag stands before its usage.
func benchFlags(c *cobra.Command, work string) (err error) {
	works := []string{"orders", "road", "idle"}
	if !slices.Contains(works, work) {
		return usage("--work is orders, road or idle, not %s", work)
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		of, _, _ := strings.Cut(f.Usage, ": ")
		list := strings.Split(of, ", ")
		if f.Name != "work" && slices.Contains(works, list[0]) && !slices.Contains(list, work) {
			err = errors.Join(err, usage("--%s is for --work %s, and says nothing to %s", f.Name, strings.Join(list, " or "), work))
		}
	})
	return err
}

// road measures the main job.
func (e *env) road(ctx context.Context, o bench.Options, way road.Options) error {
	if way.Keys < 1 || way.Senders < 1 || way.Partitions < 1 || way.Concurrency < 1 || (way.Kafka == "") != (way.Postgres == "") {
		return usage("--keys, --senders, --partitions and --concurrency are at least 1, and --kafka goes with --postgres")
	}
	if way.Beside != "" && way.Beside != road.Dead && way.Beside != road.Slow && way.Beside != road.Consoles {
		return usage("--beside is dead, slow or consoles, not %s", way.Beside)
	}
	if way.Lines < road.DefaultLines {
		return usage("--lines is at least %d", road.DefaultLines)
	}
	way.Orders, way.Runs, way.Dir, way.CPUProfile, way.AllocProfile = o.Orders, o.Runs, o.Dir, o.CPUProfile, o.AllocProfile
	s, err := road.Run(ctx, way)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.out, s)
	return err
}

// idle measures what a hub costs to which nothing comes.
func (e *env) idle(ctx context.Context, o road.Idle) error {
	if o.Flows < 2 || o.For < time.Second {
		return usage("--flows is at least 2, and --for at least 1s")
	}
	s, err := road.RunIdle(ctx, o)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.out, s)
	return err
}

// freshDir makes a directory that holds nothing yet: what an earlier run has left would be measured too.
func freshDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = usage("%s is not empty: give a directory of its own", dir)
	}
	return dir, err
}

// benchBrokerCommand and benchEchoCommand are the other processes of a benchmark.
func (e *env) benchBrokerCommand() *cobra.Command {
	return &cobra.Command{Use: "broker DIR", Short: "The benchmark's broker; serves until standard input ends", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: do(func(c *cobra.Command, args []string) error {
			return bench.ServeBroker(c.Context(), args[0], os.Stdin, e.out)
		})}
}

func (e *env) benchEchoCommand() *cobra.Command {
	return &cobra.Command{Use: "echo BROKER GROUP FROM TO N", Short: "The benchmark's yardstick: copies N records with nothing but a Kafka client",
		Hidden: true, Args: cobra.ExactArgs(5), RunE: do(func(c *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[4])
			if err != nil {
				return usage("%q is not a number of records", args[4])
			}
			return bench.RawEcho(c.Context(), args[0], args[1], args[2], args[3], n)
		})}
}

// benchTargetCommand and benchSendCommand are the other processes of the road.
func (e *env) benchTargetCommand() *cobra.Command {
	return &cobra.Command{Use: "target DELAY", Short: "The road's target; serves until standard input ends", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: do(func(_ *cobra.Command, args []string) error {
			delay, err := time.ParseDuration(args[0])
			if err != nil {
				return usage("%q is no duration", args[0])
			}
			return road.ServeTarget(delay, os.Stdin, e.out)
		})}
}

func (e *env) benchSendCommand() *cobra.Command {
	return &cobra.Command{Use: "send HOOK ORDERS KEYS SENDERS STATUS LINES", Short: "The road's sender; says how long the answers took", Hidden: true, Args: cobra.ExactArgs(6),
		RunE: do(func(c *cobra.Command, args []string) error {
			var n [5]int
			for i, arg := range args[1:] {
				var err error
				if n[i], err = strconv.Atoi(arg); err != nil || n[i] < 1 {
					return usage("%q is not a number of at least 1", arg)
				}
			}
			return road.Send(c.Context(), args[0], n[0], n[1], n[2], n[3], n[4], e.out)
		})}
}

// benchRowsCommand is a part of `make bench-reconcile`.
func (e *env) benchRowsCommand() *cobra.Command {
	o := rows.Options{Out: e.out}
	right, p := false, profile{}
	c := &cobra.Command{Use: "rows make|reading|streamed|pushed|expected LEFT [RIGHT]", Short: "A part of the measurement of comparisons: fills the table of a PostgreSQL database, or compares those of two",
		Hidden: true, Args: cobra.RangeArgs(1, 3),
		RunE: do(func(c *cobra.Command, args []string) error {
			if o.Rows < 1 || o.Differences < 1 || o.Differences > o.Rows {
				return usage("--rows and --differences are at least 1, and there are no more differences than rows")
			}
			o.Mode = args[0]
			if len(args) > 1 {
				o.Left = args[1]
			}
			switch {
			case o.Mode == "make" && len(args) == 2:
				return o.Make(c.Context(), o.Left, right)
			case o.Mode == rows.Expected, len(args) == 3 && slices.Contains([]string{rows.Reading, rows.Streamed, rows.Pushed}, o.Mode):
			default:
				return usage("%s takes other arguments", o.Mode)
			}
			if len(args) > 2 {
				o.Right = args[2]
			}
			stop, err := p.start()
			if err != nil {
				return err
			}
			return errors.Join(rows.Run(c.Context(), o), stop())
		})}
	f := c.Flags()
	f.IntVar(&o.Rows, "rows", 1_000_000, "rows of the tables")
	f.IntVar(&o.Differences, "differences", 1_000, "rows that differ")
	f.IntVar(&o.Wide, "wide", 0, "bytes of each row's name (default: about 40)")
	f.BoolVar(&o.Unthrottled, "unthrottled", false, "do not wait for databases that suffer")
	f.BoolVar(&right, "right", false, "make: the right side's table")
	p.flags(c)
	return c
}

// benchConsoleCommand is a part of `make bench-console`.
func (e *env) benchConsoleCommand() *cobra.Command {
	o := console.Options{Out: e.out, Log: e.err}
	c := &cobra.Command{Use: "console", Short: "A part of the measurement of the console: fills a store, and asks every page of a hub on it",
		Hidden: true, Args: cobra.NoArgs,
		RunE: do(func(c *cobra.Command, _ []string) (err error) {
			if o.Dir == "" {
				if o.Dir, err = os.MkdirTemp("", "waybill-bench-"); err != nil {
					return err
				}
				defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
			} else if o.Dir, err = filepath.Abs(o.Dir); err != nil {
				return err
			}
			r, err := console.Run(c.Context(), o)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(e.out, &r)
			return err
		})}
	f := c.Flags()
	f.Int64Var(&o.Rows, "rows", 1_000_000, "rows of the journal, in lots of 10,000")
	f.Int64Var(&o.Parked, "parked", 100_000, "parked messages")
	f.IntVar(&o.Rounds, "rounds", 40, "how often each page is asked; searches three times as often")
	f.IntVar(&o.Events, "events", 60, "events that are sent while a page is open")
	f.StringVar(&o.Postgres, "postgres", "", "URL of an empty database for the store (default: SQLite)")
	f.StringVar(&o.Dir, "dir", "", "keep the hub's data in this directory, and take what an earlier run has filled there (default: a temporary one)")
	f.StringVar(&o.Only, "only", "", "ask the pages alone whose names begin so")
	return c
}
