// Package rules carries out business rules: it reads the lists of several systems, brings together what belongs to one object, and says of which
// objects a rule does not hold. Lists may be larger than memory. What fails is looked at twice before it counts.
package rules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
)

// Store is what the hub remembers.
type Store interface {
	mapping.Lookup
	// CountKnown is how many objects of a system the hub knows by a flow.
	CountKnown(ctx context.Context, entity, system, flow string) (int, error)
	// Remembered gives what a rule remembers of objects, in the order of the bytes of their ids, from behind after on; no more than limit.
	Remembered(ctx context.Context, rule, after string, limit int) ([]state.Remembered, error)
	// Remember keeps what a rule remembers of objects, in place of what it did.
	Remember(ctx context.Context, rule string, objects []state.Remembered) error
}

// Object is one object of a system; Hub is its hub id, where that is known.
type Object struct{ Entity, System, Local, Hub string }

// Explanation is why what is read of objects may not fit together yet. An empty Reason: nothing is known.
type Explanation struct {
	// Reason is one of state's reasons why a difference is no drift.
	Reason string
	// Event is the one that is on its way, with its time and fate; Parked is its id in the stored queue.
	Event     string
	EventTime time.Time
	Outcome   string
	Parked    int64
	Text      string
}

// Knowledge is what the hub knows to be on its way.
type Knowledge interface {
	// Explain tells of the objects that a violation is about.
	Explain(ctx context.Context, objects []Object) (Explanation, error)
}

// Sink takes what a run finds.
type Sink interface {
	// Progress is told often; it may be slow to tell others.
	Progress(p state.CompareProgress)
	Add(ctx context.Context, d []state.Difference) error
}

// Config is what runs need.
type Config struct {
	Store Store
	// Knowledge may be nil: then nothing is explained but by a second look.
	Knowledge Knowledge
	Clock     lifecycle.Clock
	// Connector gives an open system; nil where there is none.
	Connector func(system string) connector.System
	Plan      *config.Plan
	// Private masks personal data in what is kept of violations; nil: there is none.
	Private *privacy.Plan
	Spill   spill.Config
}

// Run is one run of a rule.
type Run struct {
	c    Config
	rule *config.Rule
	opts state.CompareOptions
	id   int64
	sink Sink
	// now is the moment at which expressions are evaluated, one for the whole run.
	now time.Time

	over   *list
	with   []*list
	stages []stage
	judge  *judge
	memory *memory

	progress state.CompareProgress
	told     time.Duration
	report   report
}

// New makes a run; id is its number.
func New(c Config, rule *config.Rule, id int64, opts state.CompareOptions, sink Sink) (*Run, error) {
	r := &Run{c: c, rule: rule, opts: opts, id: id, sink: sink, now: c.Clock.Now(), judge: newJudge(rule)}
	r.judge.lookup, r.judge.now = c.Store, r.now
	r.progress.Path = "streamed"
	var err error
	if r.over, err = r.list(&rule.Over); err != nil {
		return nil, err
	}
	for i := range rule.With {
		l, err := r.list(&rule.With[i])
		if err != nil {
			return nil, err
		}
		r.with = append(r.with, l)
	}
	r.stages = stagesOf(rule)
	if len(rule.Remember) > 0 {
		r.memory = &memory{store: c.Store, rule: rule, now: r.now}
	}
	r.report.run = r
	return r, nil
}

func (r *Run) list(side *config.RuleSide) (*list, error) {
	l := &list{side: side, run: r, system: r.c.Connector(side.System), flow: r.c.Plan.Flow(side.Flow)}
	if l.system == nil {
		return nil, fmt.Errorf("%s: the system %s is not open", side.Name, side.System)
	}
	return l, nil
}

// Do makes the run. What it has found stands in the summary also where it fails: but then it says nothing of the systems.
func (r *Run) Do(ctx context.Context) (state.RunState, state.CompareSummary, string, error) {
	if err := r.do(ctx); err != nil {
		return state.RunFailed, r.report.sum, "", err
	}
	st := state.RunAgreed
	if r.report.sum.Drift() > 0 || r.report.sum.NotCompared > 0 {
		st = state.RunDrift
	}
	return st, r.report.sum, r.report.detail(), nil
}

// mostLooks is how often what fails is looked at, at most: what fails in another way each time is being changed all the time.
const mostLooks = 3

func (r *Run) do(ctx context.Context) (err error) {
	r.phase("reading", "")
	l, err := r.look(ctx, nil, nil)
	if err != nil {
		return err
	}
	r.report.sum.Compared, r.report.sum.Equal = l.seen, l.held
	failed := l.failed
	defer func() { err = errors.Join(err, failed.Close()) }()
	looks := 1
	for ; len(failed.open.ids) > 0 && r.rule.Settle > 0 && looks < mostLooks; looks++ {
		if err := r.settle(ctx, failed.Len()); err != nil {
			return err
		}
		again, err := r.again(ctx, failed)
		if err != nil {
			return err
		}
		err = failed.Close()
		failed = again
		if err != nil {
			return err
		}
	}
	if err := r.unreadable(ctx, l, looks > 1); err != nil {
		return err
	}
	return r.report.failures(ctx, failed)
}

func (r *Run) settle(ctx context.Context, n int64) error {
	r.phase("settling", "%d to look at again in %s", n, r.rule.Settle)
	if err := lifecycle.Sleep(ctx, r.c.Clock, r.rule.Settle); err != nil {
		return err
	}
	r.phase("looking-again", "%d", n)
	return nil
}

// again looks once more at what has failed and is not sure. What failed in the same way is sure then; what holds by now is none.
func (r *Run) again(ctx context.Context, was *failures) (*failures, error) {
	l, err := r.look(ctx, &was.open.hashes, was.open.ids)
	if err != nil {
		return nil, err
	}
	out := newFailures(r.c.Spill)
	if err := r.both(was, l.failed, out); err != nil {
		return nil, errors.Join(err, l.failed.Close(), out.Close())
	}
	return out, l.failed.Close()
}

// both puts into out what has failed at two looks.
func (r *Run) both(was, now, out *failures) error {
	before, err := was.reader()
	if err != nil {
		return err
	}
	after, err := now.reader()
	if err != nil {
		return err
	}
	a, err := after.next()
	for err == nil {
		b, failed := before.next()
		if b == nil || failed != nil {
			return failed
		}
		for a != nil && a.local < b.local && err == nil {
			a, err = after.next() // it had not failed before
		}
		switch {
		case err != nil:
			return err
		case b.sure:
			err = out.add(b)
		case a == nil || a.local != b.local:
			r.report.explain(state.ExplainedArrived)
		default:
			a.sure = r.same(b, a)
			err = out.add(a)
		}
	}
	return err
}

// same reports whether an object has failed in the same way at two looks. What stands in one record was never half written: it fails whatever has
// changed of it.
func (r *Run) same(a, b *failure) bool {
	if (a.why == "") != (b.why == "") {
		return false
	}
	return len(r.rule.With) == 0 || a.print == b.print
}

func (r *Run) phase(name, format string, args ...any) {
	r.progress.Phase, r.progress.Text = name, fmt.Sprintf(format, args...)
	r.tell()
}

func (r *Run) tell() {
	p := r.progress
	p.Left = r.over.rows
	for _, l := range r.with {
		p.Right += l.rows
	}
	r.told = r.c.Clock.Elapsed()
	r.sink.Progress(p)
}

// sometimes tells of the progress, twice a second.
func (r *Run) sometimes() {
	if r.c.Clock.Elapsed()-r.told > time.Second/2 {
		r.tell()
	}
}

// about is the rule in a sentence.
func about(rule *config.Rule) string {
	return cmp.Or(rule.About, "the rule "+rule.Name+" does not hold")
}
