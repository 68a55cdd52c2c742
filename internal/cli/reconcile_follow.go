package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// lookEvery is how often the hub is asked how far a run is; a terminal shows each answer, what is no terminal one in plainEvery, and the same again in
	// sameEvery.
	lookEvery  = 500 * time.Millisecond
	plainEvery = 5 * time.Second
	sameEvery  = time.Minute
	// hubAway is how long a hub may be away while it works a run: one that is started anew goes on.
	hubAway = time.Minute
)

// follow shows how far a run is until it is over, then what it has found, and gives the exit code.
func (k *comparing) follow(ctx context.Context, run *api.Run, o *runFlags) error {
	e := k.e
	if o.detach {
		if e.output == "json" {
			return e.json(run)
		}
		_, err := fmt.Fprintf(e.out, "run %d of %s is wanted: `waybill %s show %d` tells what comes of it\n", run.ID, run.Name, k.verb, run.ID)
		return err
	}
	run, err := k.await(ctx, run)
	if err != nil {
		return err
	}
	if o.report != "" {
		if err := e.saveReport(context.WithoutCancel(ctx), run.ID, o.report); err != nil {
			return err
		}
	}
	if err := k.showRun(context.WithoutCancel(ctx), run, differenceQuery{drift: true, limit: firstDifferences}); err != nil {
		return err
	}
	if o.report != "" && e.output == "text" {
		fmt.Fprintf(e.out, "\nthe report is in %s\n", o.report)
	}
	return runExit(run)
}

// runExit is 0 where the systems agree, and 1 else.
func runExit(run *api.Run) error {
	if run.State == string(state.RunAgreed) {
		return nil
	}
	return &exitError{exitFailed, nil}
}

// await waits for the end of a run. When ctx ends, as by Ctrl-C, the hub is asked to end the run; at the next signal it is left alone.
func (k *comparing) await(ctx context.Context, run *api.Run) (*api.Run, error) {
	e := k.e
	bar := &progressBar{w: e.rawErr, plain: e.err, terminal: isTerminal(e.rawErr), name: run.Name, quiet: e.output == "json"}
	defer bar.end()
	asked := context.WithoutCancel(ctx)
	stop := ctx.Done()
	var again <-chan os.Signal
	away := time.Time{}
	for !state.RunState(run.State).Over() {
		bar.show(run, time.Now())
		select {
		case <-stop:
			stop = nil
			signals := make(chan os.Signal, 1)
			signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
			defer signal.Stop(signals)
			again = signals
			bar.say("asking the hub to end the run; once more leaves it running")
			if _, err := e.cancelRun(asked, run.ID, "interrupted at the command line"); err != nil {
				var no *refused
				if !errors.As(err, &no) { // it is over by now, and the next look tells
					return nil, err
				}
			}
		case <-again:
			bar.end()
			return nil, fmt.Errorf("run %d of %s goes on until the hub has heard of it: `waybill %s show %d` tells what comes of it", run.ID, run.Name, k.verb, run.ID)
		case <-time.After(lookEvery):
		}
		now, err := e.runByID(asked, run.ID)
		switch {
		case err == nil:
			run, away = now, time.Time{}
		case noAnswer(err) && (away.IsZero() || time.Since(away) < hubAway):
			if away.IsZero() {
				away = time.Now()
				bar.say("the hub does not answer; waiting for it")
			}
		default:
			return nil, err
		}
	}
	return run, nil
}

// noAnswer reports whether a hub, or its store, is away for now.
func noAnswer(err error) bool {
	var x *exitError
	var no *refused
	return errors.As(err, &x) && x.code == exitUnreachable || errors.As(err, &no) && no.Status == http.StatusServiceUnavailable
}

func (e *env) runByID(ctx context.Context, id int64) (*api.Run, error) {
	var run api.Run
	return &run, e.ask(ctx, http.MethodGet, "/api/v1/runs/"+num(id), nil, &run)
}

// saveReport writes the report of a run to a file, which is whole or not there.
func (e *env) saveReport(ctx context.Context, id int64, file string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the failure before is the cause
		}
	}()
	err = errors.Join(e.download(ctx, fmt.Sprintf("/api/v1/runs/%d/report?format=%s", id, reportFormat(file)), f), f.Close())
	if err != nil {
		return fmt.Errorf("--report %s: %w", file, err)
	}
	return os.Rename(f.Name(), file)
}

// progressBar shows how far a run is: on a terminal in one line that is written over, elsewhere in a line now and then.
type progressBar struct {
	w, plain        io.Writer
	terminal, quiet bool
	name            string

	drawn bool
	// last is the time of the last plain line, and said what it said.
	last time.Time
	said string
	// phase began at since, as far as it was seen.
	phase string
	since time.Time
	// marks are how many rows were read when, for the rate of the last seconds.
	marks []progressMark
}

type progressMark struct {
	at   time.Time
	rows int64
}

// rateOver is what the rate is of.
const rateOver = 10 * time.Second

func (b *progressBar) show(run *api.Run, now time.Time) {
	if b.quiet {
		return
	}
	p := run.Progress
	if p == nil {
		p = &state.CompareProgress{}
	}
	b.tell(b.line(run, p, now), now)
}

// tell shows a line in place of the one before, or below it now and then where there is no terminal.
func (b *progressBar) tell(line string, now time.Time) {
	if b.quiet {
		return
	}
	if b.terminal {
		fmt.Fprintf(b.w, "\r\x1b[K%s", shorten(seen(line), barWidth))
		b.drawn = true
		return
	}
	if b.last.IsZero() { // a run that is soon over needs no telling
		b.last = now
	}
	pause := plainEvery
	if line == b.said {
		pause = sameEvery
	}
	if now.Sub(b.last) >= pause {
		b.last, b.said = now, line
		fmt.Fprintln(b.plain, line)
	}
}

// barWidth keeps the line on one line of a usual terminal.
const barWidth = 100

func (b *progressBar) line(run *api.Run, p *state.CompareProgress, now time.Time) string {
	text := b.name + ": " + run.State
	if p.Phase != "" {
		text = b.name + ": " + p.Phase
	}
	rows := p.Left + p.Right
	rate := b.rate(now, rows)
	if p.Expect > 0 && p.Phase == "reading" {
		text += "  " + gauge(float64(rows)/float64(p.Expect)) + fmt.Sprintf("  %s of about %s rows", grouped(rows), grouped(p.Expect))
	} else if rows > 0 {
		text += fmt.Sprintf("  %s rows", grouped(rows))
	}
	if rate >= 1 && p.Phase == "reading" {
		text += fmt.Sprintf("  %s/s", grouped(int64(rate)))
		if left := p.Expect - rows; left > 0 {
			text += "  " + (time.Duration(math.Ceil(float64(left)/rate)) * time.Second).String() + " left"
		}
	}
	if p.Candidates > 0 {
		text += fmt.Sprintf("  %s differ at first sight", grouped(p.Candidates))
	}
	if p.Text != "" {
		text += "  (" + p.Text + ")"
	}
	if b.phase != p.Phase {
		b.phase, b.since = p.Phase, now
	}
	if took := now.Sub(b.since).Truncate(time.Second); b.terminal && took > 0 && p.Phase != "" && p.Phase != "reading" {
		text += "  for " + took.String()
	}
	return text
}

// rate is how many rows a second were read lately.
func (b *progressBar) rate(now time.Time, rows int64) float64 {
	if n := len(b.marks); n > 0 && rows < b.marks[n-1].rows { // it was begun anew
		b.marks = nil
	}
	b.marks = append(b.marks, progressMark{now, rows})
	for len(b.marks) > 2 && now.Sub(b.marks[1].at) >= rateOver {
		b.marks = b.marks[1:]
	}
	first := b.marks[0]
	if took := now.Sub(first.at).Seconds(); took > 0 {
		return float64(rows-first.rows) / took
	}
	return 0
}

// gauge draws a share.
func gauge(share float64) string {
	const width = 20
	n := int(min(max(share, 0), 1) * width)
	return "[" + strings.Repeat("#", n) + strings.Repeat("-", width-n) + "]"
}

// grouped is a number with its thousands apart.
func grouped(n int64) string {
	text := num(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// say tells something beside the bar.
func (b *progressBar) say(text string) {
	b.end()
	if !b.quiet {
		fmt.Fprintln(b.plain, text)
	}
}

// end takes the line away.
func (b *progressBar) end() {
	if b.drawn {
		fmt.Fprint(b.w, "\r\x1b[K")
		b.drawn = false
	}
}
