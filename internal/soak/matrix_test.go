package soak

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/needtest"
)

var (
	soakFor    = flag.Duration("soak.for", 0, "how long TestSoak runs the whole matrix; 0: it is left out")
	soakOnly   = flag.String("soak.only", "", "faults of TestSoak whose name, or NAME/SETUP, holds this, or one of several parted by |")
	soakAtOnce = flag.Int("soak.at-once", 2, "how many faults of TestSoak run at once")
	soakBoth   = flag.Bool("soak.both", false, "every short form on every set-up where it applies, in place of one")
	soakEvery  = flag.Bool("soak.every", false, "the short forms that every `make test` has, in place of all")
	soakFile   = flag.String("soak.table", "", "the document whose table TestSoak writes")
)

// fault is one row of the matrix.
type fault struct {
	Name   string
	Setups []setup
	// Goal is the number of repetitions of the long form.
	Goal int
	// Share is the fault's part of the time of a soak; default 1.
	Share float64
	// Alone faults measure: in a soak nothing else runs beside them.
	Alone bool
	// Every `make test` has it, not the whole one alone.
	Every bool
	Run   func(b *budget)
}

// budget is what a fault has for one run: repetitions in the short form, time in the long one. In a short soak it is the short form again and
// again until the time is over.
type budget struct {
	*testing.T
	setup setup
	fault *fault
	short bool
	again bool
	end   time.Time

	reps     int
	verdict  verdict
	recovery time.Duration
}

// more reports whether the fault is to be made once more: short times in the short form; in a soak until the goal is reached or the time is
// over, and at least short times.
func (b *budget) more(short int) bool {
	if b.Failed() {
		return false
	}
	if b.short && !b.again {
		return b.reps < short
	}
	return b.reps < short || b.reps < b.fault.Goal && time.Now().Before(b.end)
}

// happened counts one repetition, with the time that the hub took to be well again.
func (b *budget) happened(recovery time.Duration) {
	b.reps++
	b.recovery = max(b.recovery, recovery)
}

// within holds a recovery against the time that its rule allows: the long form fails beyond it, the short one, which shares slow
// machines with others, says so.
func (b *budget) within(what string, took, limit time.Duration) {
	b.Helper()
	switch {
	case took <= limit:
	case b.short:
		b.Logf("%s took %s; the rule is %s, which the long form asserts", what, took.Round(time.Millisecond), limit)
	default:
		b.Errorf("%s took %s; the rule is %s", what, took.Round(time.Millisecond), limit)
	}
}

// size is n in the short form, and long in the long one.
func (b *budget) size(n, long int) int {
	if b.short {
		return n
	}
	return long
}

// judge is the checker's word at the end of a run, or of a part of it.
func (b *budget) judge(w *world, r rules) {
	b.Helper()
	v := w.check(r)
	b.verdict.Messages += v.Messages
	b.verdict.Lost += v.Lost
	b.verdict.Doubled += v.Doubled
	b.verdict.Reordered += v.Reordered
	b.verdict.Unaccounted += v.Unaccounted
	b.verdict.Named += v.Named
}

// both is a fault that applies to both set-ups.
var both = []setup{embedded, onKafka}

// matrix lists all faults; each file of the package has its part.
func matrix() []fault {
	var all []fault
	for _, part := range [][]fault{killFaults, liarFaults, brokerFaults, wipeFaults, hubsFaults, targetFaults, syncFaults, intakeFaults, diskFaults, driftFaults} {
		all = append(all, part...)
	}
	return all
}

// TestFaults runs the short form of every fault: with -soak.both (`make faults`) on every set-up where it applies, else on one of them, in turn, and of
// the rest what -run names. Each set-up has half of the faults then, and every fault runs; with -soak.every (`make test`) those that are marked so.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves the faults out")
	}
	named := strings.Contains(flag.Lookup("test.run").Value.String(), "/")
	var jobs []job
	for i, f := range matrix() {
		if *soakEvery && !f.Every {
			continue
		}
		for j, s := range f.Setups {
			if *soakBoth || named || len(f.Setups) == 1 || os.Getenv(needtest.EnvKafka) == "" || i%2 == j {
				jobs = append(jobs, job{f, s})
			}
		}
	}
	// What has the largest share of a soak takes longest: it begins first.
	slices.SortStableFunc(jobs, func(a, b job) int { return cmp.Compare(b.f.Share, a.f.Share) })
	shortForms(jobs, func(j job) {
		t.Run(j.f.Name+"/"+string(j.s), func(t *testing.T) {
			b := &budget{T: t, setup: j.s, fault: &j.f, short: true}
			j.f.Run(b)
			t.Logf("%d times, %s, recovery %s", b.reps, b.verdict, b.recovery.Round(time.Millisecond))
		})
	})
}

// shortForms runs each job, a few at once whatever the number of processors, in their order: they wait more than they work.
func shortForms[J any](jobs []J, run func(J)) {
	const atOnce = 3
	var next atomic.Int64
	var lanes sync.WaitGroup
	for range atOnce {
		lanes.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(jobs); i = next.Add(1) - 1 {
				run(jobs[i])
			}
		})
	}
	lanes.Wait()
}

// job is a fault on a set-up.
type job struct {
	f fault
	s setup
}

// longForm is the share of a soak's time from which on a fault has its long form: with less it would take longer than it was given.
const longForm = time.Minute

// row is one line of the table.
type row struct {
	fault    string
	setup    setup
	reps     int
	verdict  verdict
	recovery time.Duration
	failed   bool
	skipped  bool
}

// TestSoak runs the matrix for -soak.for; its last line is the result.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("a long run: `make soak FOR=10m` makes it")
	}
	var jobs []job
	shares := 0.0
	for _, f := range matrix() {
		if f.Share == 0 {
			f.Share = 1
		}
		for _, s := range f.Setups {
			if slices.ContainsFunc(strings.Split(*soakOnly, "|"), func(part string) bool { return strings.Contains(f.Name+"/"+string(s), part) }) {
				jobs = append(jobs, job{f, s})
				shares += f.Share
			}
		}
	}
	slices.Reverse(jobs) // kills come last: they take whatever time the others leave
	// Some run at once: they wait more than they work.
	rows := make([]row, len(jobs))
	var mu sync.Mutex
	next, done := 0, 0
	left := time.Duration(*soakAtOnce) * *soakFor // of all lanes together
	var machine sync.RWMutex
	var lanes sync.WaitGroup
	for range *soakAtOnce {
		lanes.Go(func() {
			for {
				mu.Lock()
				if next == len(jobs) {
					mu.Unlock()
					return
				}
				i, j := next, jobs[next]
				next++
				share := time.Duration(float64(left) * j.f.Share / shares)
				shares -= j.f.Share
				left -= share
				mu.Unlock()
				leave := machine.RUnlock
				if j.f.Alone {
					machine.Lock()
					leave = machine.Unlock
				} else {
					machine.RLock()
				}
				began := time.Now()
				r := row{fault: j.f.Name, setup: j.s}
				ok := t.Run(j.f.Name+"/"+string(j.s), func(t *testing.T) {
					b := &budget{T: t, setup: j.s, fault: &j.f, short: share < longForm, again: true, end: began.Add(share)}
					defer func() {
						r.reps, r.verdict, r.recovery, r.skipped = b.reps, b.verdict, b.recovery, t.Skipped()
					}()
					j.f.Run(b)
				})
				r.failed = !ok
				leave()
				mu.Lock()
				rows[i] = r
				done++
				left += share - time.Since(began) // what one has not used, the others get
				what := fmt.Sprintf("%d times in %s, %s, recovery at most %s", r.reps, time.Since(began).Round(time.Second), r.verdict, r.recovery.Round(time.Millisecond))
				if r.skipped {
					what = "skipped, see above"
				} else if r.failed {
					what = "FAILED, " + what
				}
				fmt.Printf("soak: %d of %d: %s on %s: %s\n", done, len(jobs), r.fault, r.setup, what)
				mu.Unlock()
			}
		})
	}
	lanes.Wait()
	slices.Reverse(rows)
	var sum verdict
	faults := 0
	for _, r := range rows {
		faults += r.reps
		sum.Messages += r.verdict.Messages
		sum.Lost += r.verdict.Lost
		sum.Doubled += r.verdict.Doubled
		sum.Reordered += r.verdict.Reordered
		sum.Unaccounted += r.verdict.Unaccounted
	}
	if *soakFile != "" {
		if err := writeTable(*soakFile, rows); err != nil {
			t.Error(err)
		}
	}
	fmt.Printf("soak: messages=%d lost=%d doubled=%d reordered=%d unaccounted=%d faults=%d\n", sum.Messages, sum.Lost, sum.Doubled, sum.Reordered, sum.Unaccounted, faults)
}

const (
	tableFrom = "<!-- make soak writes the table from here -->"
	tableTo   = "<!-- to here -->"
)

// writeTable puts the rows between the marks of a document. Rows that this run has not made stay: `make soak ONLY=…` renews its own.
func writeTable(file string, rows []row) error {
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(text), tableFrom)
	table, after, ok2 := strings.Cut(rest, tableTo)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s has no marks for the table", file)
	}
	lines := map[string]string{} // by fault and set-up
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) == 12 {
			name, _, _ := strings.Cut(strings.TrimSpace(cells[1]), " (**")
			lines[name+"/"+strings.TrimSpace(cells[2])] = line
		}
	}
	for _, r := range rows {
		if r.skipped {
			continue
		}
		name := r.fault
		if r.failed {
			name += " (**failed**)"
		}
		lines[r.fault+"/"+string(r.setup)] = fmt.Sprintf("| %s | %s | %s | %d | %d | %d | %d | %d | %d | %s |\n", name, r.setup, time.Now().UTC().Format("2006-01-02"),
			r.reps, r.verdict.Messages, r.verdict.Lost, r.verdict.Doubled, r.verdict.Reordered, r.verdict.Unaccounted, r.recovery.Round(10*time.Millisecond))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s\n\n| fault | set-up | run on | repetitions | messages | lost | doubled | reordered | unaccounted | longest recovery |\n", before, tableFrom)
	b.WriteString("|---|---|---|---:|---:|---:|---:|---:|---:|---:|\n")
	var sums [6]int64
	for _, f := range matrix() {
		for _, s := range f.Setups {
			line, ok := lines[f.Name+"/"+string(s)]
			if !ok {
				continue
			}
			b.WriteString(line)
			for i, cell := range strings.Split(line, "|")[4:10] {
				n, err := strconv.ParseInt(strings.TrimSpace(cell), 10, 64)
				if err != nil {
					return fmt.Errorf("%s: %q is no number in the row %s", file, cell, line)
				}
				sums[i] += n
			}
		}
	}
	fmt.Fprintf(&b, "| **all** | | | %d | %d | %d | %d | %d | %d | |\n\n%s%s", sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], tableTo, after)
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
