// Package road measures the hub's main job: signed webhooks from a sender's process into a hub's process, through a canonical topic, into an HTTP
// target's process that keeps objects. It counts at the target, compares every object with what was sent, and can alternate the hub with
// another build of it and with another program on the same road.
package road

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"time"
)

// Options say what the road is to be.
type Options struct {
	// Orders is how many webhooks a run sends, Keys how many objects they are about, Senders how many send at once, Runs how many runs there are.
	Orders, Keys, Senders, Runs int
	// Lines is how many lines an order has, at least DefaultLines; a line is about 40 bytes.
	Lines int
	// Delay is how long the target takes to answer.
	Delay time.Duration
	// Partitions of the topics, and Concurrency of calls to the target.
	Partitions, Concurrency int
	// Kafka is the address of an Apache Kafka, Postgres the URL of a PostgreSQL server's database in which each run makes a schema of its own;
	// both or none. None: the embedded broker and SQLite.
	Kafka, Postgres string
	// Beside has hubs take turns that give the same orders to another target too, which is dead or slow, or at which a hundred people look: Dead, Slow or
	// Consoles. Empty: none.
	Beside string
	// Syncs counts the fsyncs of a run of its own with strace, whose times do not count.
	Syncs bool
	// Documents keeps those of what did not fail, for `waybill trace`.
	Documents bool
	// Against is another build of the hub that takes turns with this one; Benthos the command of that program. Empty: none.
	Against, Benthos string
	// Dir takes the data of the runs.
	Dir string
	// CPUProfile and AllocProfile are files for profiles of the hub in the first run; empty: none.
	CPUProfile, AllocProfile string
	// Out hears how far the work is, Log what the programs have to say.
	Out, Log io.Writer
}

// What may be beside the measured way: another target at which nobody listens, or that answers after a second; or a hundred people with a console open.
const (
	Dead     = "dead"
	Slow     = "slow"
	Consoles = "consoles"
)

// store names the set-up in the result.
func (o *Options) store() string {
	if o.Kafka != "" {
		return "kafka+postgres"
	}
	return "embedded"
}

// Result is one run of one program.
type Result struct {
	Orders    int
	Sent      Sent
	Delivered time.Duration            // from the first webhook to the last write at the target
	CPU       time.Duration            // of the program's processes in that time
	Others    map[string]time.Duration // the same of what works beside it, by name
	Peak      int64                    // of resident memory of the program's processes, in bytes; 0 where the machine does not tell
	Store     Work
	Syncs     int // where they are counted
	Tally     Tally
}

// PerSecond counts what the target took, from the first webhook on.
func (r *Result) PerSecond() float64 { return float64(r.Orders) / r.Delivered.Seconds() }

// CPUPerMessage is in microseconds, user and system time together.
func (r *Result) CPUPerMessage() float64 { return r.each(r.CPU) }

func (r *Result) each(d time.Duration) float64 { return float64(d.Microseconds()) / float64(r.Orders) }

func (r *Result) String() string {
	s := fmt.Sprintf("%.0f webhooks/s, p50 %.1f ms, p99 %.1f ms, p99.9 %.1f ms; %.0f deliveries/s, %.0f µs CPU each", r.Sent.PerSecond(r.Orders),
		ms(r.Sent.P50), ms(r.Sent.P99), ms(r.Sent.P999), r.PerSecond(), r.CPUPerMessage())
	for _, name := range slices.Sorted(maps.Keys(r.Others)) {
		s += fmt.Sprintf(", %s %.0f µs", name, r.each(r.Others[name]))
	}
	if r.Store != (Work{}) {
		s += fmt.Sprintf("; %.2f statements, %.3f commits each", r.Store.Statements/float64(r.Orders), r.Store.Commits/float64(r.Orders))
	}
	return s + fmt.Sprintf("; %d look-ups, %d creates, %d doubled, %d out of order; peak %d MB", r.Tally.Finds, r.Tally.Creates, r.Tally.Doubled, r.Tally.Inverted, r.Peak>>20)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Summary is the outcome of all runs: medians. A ratio is this build's figure by the other's, of the same run; NaN where there is no other.
type Summary struct {
	Store                    string
	WebhooksPerSecond        float64
	P99                      float64 // of the 202, in milliseconds
	PerSecond, CPUPerMessage float64
	ToBase, ToBenthos        float64 // deliveries a second
	CPUToBase, CPUToBenthos  float64
}

// String is the result line.
func (s Summary) String() string {
	return fmt.Sprintf("road: store=%s webhooks_per_s=%.0f p99_ms=%.1f deliveries_per_s=%.0f cpu_us_per_msg=%.0f ratio_to_base=%s ratio_to_benthos=%s",
		s.Store, s.WebhooksPerSecond, s.P99, s.PerSecond, s.CPUPerMessage, ratio(s.ToBase), ratio(s.ToBenthos))
}

func ratio(r float64) string {
	if math.IsNaN(r) {
		return "none"
	}
	return fmt.Sprintf("%.2f", r)
}

// Run makes the runs, in each the programs in turn.
func Run(ctx context.Context, o Options) (s Summary, err error) {
	o.Lines = max(o.Lines, DefaultLines)
	programs, err := o.programs(ctx)
	if err != nil {
		return s, err
	}
	if o.Syncs {
		d := drive{Options: &o, program: programs[0], dir: filepath.Join(o.Dir, "syncs")}
		r, err := d.run1(ctx)
		if err != nil {
			return s, fmt.Errorf("run with strace: %w", err)
		}
		fmt.Fprintf(o.Out, "with strace: %.3f fsyncs each of %s\n", float64(r.Syncs)/float64(r.Orders), programs[0].name())
	}
	results := make([][]*Result, len(programs))
	for run := 1; run <= o.Runs; run++ {
		for i, p := range programs {
			d := drive{Options: &o, program: p, run: run, dir: filepath.Join(o.Dir, fmt.Sprintf("%s-%d", p.name(), run))}
			r, err := d.run1(ctx)
			if err != nil {
				return s, fmt.Errorf("run %d of %s: %w", run, p.name(), err)
			}
			fmt.Fprintf(o.Out, "run %d: %-8s %s\n", run, p.name(), r)
			results[i] = append(results[i], r)
		}
	}
	mine := results[0]
	s = Summary{Store: o.store(), ToBase: math.NaN(), ToBenthos: math.NaN(), CPUToBase: math.NaN(), CPUToBenthos: math.NaN()}
	s.WebhooksPerSecond = median(mine, func(r *Result) float64 { return r.Sent.PerSecond(r.Orders) })
	s.P99 = median(mine, func(r *Result) float64 { return ms(r.Sent.P99) })
	s.PerSecond, s.CPUPerMessage = median(mine, (*Result).PerSecond), median(mine, (*Result).CPUPerMessage)
	for i, p := range programs[1:] {
		speed, cost := ratios(mine, results[i+1], (*Result).PerSecond), ratios(mine, results[i+1], (*Result).CPUPerMessage)
		fmt.Fprintf(o.Out, "beside %s: deliveries/s × %.2f (%.2f to %.2f), CPU a message × %.3f (%.3f to %.3f)\n", p.name(),
			middle(speed), slices.Min(speed), slices.Max(speed), middle(cost), slices.Min(cost), slices.Max(cost))
		switch p.name() {
		case benthosName:
			s.ToBenthos, s.CPUToBenthos = middle(speed), middle(cost)
		case againstName:
			s.ToBase, s.CPUToBase = middle(speed), middle(cost)
		}
	}
	return s, nil
}

func ratios(a, b []*Result, of func(*Result) float64) []float64 {
	list := make([]float64, len(a))
	for i := range a {
		list[i] = of(a[i]) / of(b[i])
	}
	return list
}

func median(list []*Result, of func(*Result) float64) float64 {
	values := make([]float64, len(list))
	for i, r := range list {
		values[i] = of(r)
	}
	return middle(values)
}

func middle(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// stalled is how long the target may take nothing before a run is given up.
const stalled = time.Minute

// drive is one run of one program.
type drive struct {
	*Options
	program program
	run     int
	dir     string
}

func (d *drive) run1(ctx context.Context) (r *Result, err error) {
	target, err := StartTarget(d.Delay, d.Log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, target.Stop()) }()
	p, err := d.program.start(ctx, d, target.Addr)
	if err != nil {
		return nil, err
	}
	stopped := false
	defer func() {
		if !stopped {
			err = errors.Join(err, p.stop())
		}
	}()
	before := p.usage()
	r = &Result{Orders: d.Orders}
	counted := func() (int, error) { return 0, nil }
	if d.run == 0 {
		if counted, err = countSyncs(before.pid, filepath.Join(d.dir, "syncs")); err != nil {
			return nil, err
		}
	}
	if r.Sent, err = d.send(ctx, p); err != nil {
		return nil, err
	}
	if r.Tally, err = d.taken(ctx, target); err != nil {
		return nil, err
	}
	if r.Syncs, err = counted(); err != nil {
		return nil, err
	}
	r.Delivered = time.Unix(0, r.Tally.Last).Sub(time.Unix(0, r.Sent.Began))
	after := p.usage()
	r.CPU, r.Others = after.cpu-before.cpu, map[string]time.Duration{}
	for name, cpu := range after.others {
		r.Others[name] = cpu - before.others[name]
	}
	r.Store, r.Peak = after.store.less(before.store), after.peak
	if err := verify(ctx, target.Addr, d.Options, p.guards); err != nil {
		return nil, fmt.Errorf("what the target holds is wrong: %w", err)
	}
	stopped = true
	return r, p.stop()
}

// taken waits until the target has taken everything.
func (d *drive) taken(ctx context.Context, t *TargetProcess) (Tally, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	last, moved, told := -1, time.Now(), time.Now()
	for {
		tally, err := tallyOf(ctx, t.Addr)
		if err != nil {
			return tally, err
		}
		if tally.Writes != last {
			last, moved = tally.Writes, time.Now()
		}
		switch {
		case tally.Writes >= d.Orders:
			return tally, nil
		case time.Since(moved) > stalled:
			return tally, fmt.Errorf("the target has stood at %d of %d writes for %v", last, d.Orders, stalled)
		case time.Since(told) > 2*time.Second:
			told = time.Now()
			fmt.Fprintf(d.Out, "  run %d: %s: %d of %d delivered\n", d.run, d.program.name(), last, d.Orders)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return tally, context.Cause(ctx)
		}
	}
}
