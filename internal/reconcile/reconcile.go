// Package reconcile compares one entity in two systems: it reads both, pairs what they hold, and says of each difference why it is one. What the hub knows to
// be on its way is no difference; what remains is looked at twice. Repairs go through the flows.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/reconcile/index"
	"github.com/waybill-hub/waybill/internal/reconcile/plain"
	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/submit"
)

// Store is what the hub remembers of objects.
type Store interface {
	mapping.Lookup
	KnownByLocal(ctx context.Context, entity, system string, locals []string) (map[string]state.KnownObject, error)
	CountKnown(ctx context.Context, entity, system, flow string) (int, error)
	// Standing is what is known of one object, by its hub id (where it has one) and by business keys.
	Standing(ctx context.Context, entity, hub string, keys ...string) (state.Standing, error)
	// Trace finds objects by whatever names them.
	Trace(ctx context.Context, key string) (state.Trace, error)
}

// Hub is what a run asks of the running hub.
type Hub interface {
	// Mark notes what has come in so far.
	Mark(ctx context.Context) (*Mark, error)
	// Late gives those of the flows that have not decided all that had come in by then, and why. It keeps in the mark how far it has seen them come.
	Late(ctx context.Context, flows []string, m *Mark) (map[string]Lateness, error)
	// Object reads an object from a flow's source, as an event of that flow.
	Object(ctx context.Context, flow string, l connector.Lookup) ([]event.Event, error)
	// Submit hands events to a flow, all or none, once by their ids.
	Submit(ctx context.Context, flow string, events []event.Event, by event.Submission) (submit.Receipt, error)
}

// Mark is what had come in at a moment: the number of the inbox's next row, and, once these rows are on their topics, the ends of the topics' partitions.
//
// Looked, where it is set, is when the last look ended: polled sources are to have been read since.
type Mark struct {
	Inbox  int64
	Ends   map[string][]int64
	Looked time.Time
}

// Sink takes what a run finds.
type Sink interface {
	// Progress is told often; it may be slow to tell others.
	Progress(p state.CompareProgress)
	Add(ctx context.Context, d []state.Difference) error
	Change(ctx context.Context, d []state.Difference) error
	// Stored gives the differences of a run, in order.
	Stored(ctx context.Context, f state.DifferenceFilter) ([]state.Difference, error)
}

// Config is what runs need.
type Config struct {
	Store Store
	Hub   Hub
	Clock lifecycle.Clock
	Log   *slog.Logger
	// Connector gives an open system; nil where there is none.
	Connector func(system string) connector.System
	Plan      *config.Plan
	// Kinds gives the kind of a system; nil: nothing is known of any.
	Kinds   Kinds
	Private *privacy.Plan
	Spill   spill.Config
	// Decided counts the messages that the hub has decided: a run rests beside traffic. nil: it never rests.
	Decided func() int64
	// Listed keeps what sides hold from run to run, under the run's lease; nil: every run lists everything.
	Listed index.Store
}

// Run is one run of a reconciliation.
type Run struct {
	c    Config
	rec  *config.Reconciliation
	opts state.CompareOptions
	id   int64
	// attempt and base: see Asked.
	attempt int
	base    int64
	sink    Sink
	settles time.Duration

	left, right *side
	// tables is what two tables are compared by; nil: documents are compared.
	tables *plain.Spec
	// unnamed: see nameless.
	unnamed  map[*side]int
	flows    []string        // on the way between the two systems
	on       map[string]bool // those flows
	hops     int             // how many of them stand behind one another
	visible  time.Duration   // after a write
	looked   time.Time       // when the last look ended
	lookAt   time.Time       // when the one under way, or the last one, has begun to look again
	progress state.CompareProgress
	sum      state.CompareSummary
	n        int // differences so far
	notes    []string
	totals   [2]*totals
	nowhere  *compare.Unseen // of the documents that were compared; nil: none were
}

// Asked is what a run was asked for.
type Asked struct {
	// ID is the run's number, Attempt how often it was begun.
	ID      int64
	Attempt int
	state.CompareOptions
	// Base is how many objects the run compared whose differences are repaired: what a share of at-most counts from.
	Base int64
}

// New makes a run.
func New(c Config, rec *config.Reconciliation, a Asked, sink Sink) (*Run, error) {
	r := &Run{c: c, rec: rec, opts: a.CompareOptions, id: a.ID, attempt: a.Attempt, base: a.Base, sink: sink, settles: rec.Settle}
	r.flows, r.hops = onTheWay(c.Plan, rec)
	r.on = map[string]bool{}
	for _, name := range r.flows {
		r.on[name] = true
		f := c.Plan.Flow(name)
		if p := f.From.Poll; p != nil && (f.From.System == rec.Left.System || f.From.System == rec.Right.System) {
			r.settles = max(r.settles, 2*p.Every) // what has changed in a system is known after its next poll
		}
	}
	for _, name := range []string{rec.Left.System, rec.Right.System} {
		if s := c.Plan.Systems[name]; s != nil {
			r.visible = max(r.visible, s.VisibleAfter)
		}
	}
	r.settles = max(r.settles, r.visible)
	var err error
	if r.left, err = r.side("left", &rec.Left); err != nil {
		return nil, err
	}
	if r.right, err = r.side("right", &rec.Right); err != nil {
		return nil, err
	}
	if c.Kinds != nil && a.Since.IsZero() {
		if spec, why := columns(rec, c.Plan, c.Kinds); why == "" {
			r.tables = &spec
		}
	}
	r.progress.Path = Streamed
	if r.left.index != nil || r.right.index != nil {
		r.progress.Path = Indexed
	}
	return r, nil
}

func (r *Run) side(name string, def *config.Side) (*side, error) {
	s := &side{name: name, entity: r.rec.Entity, def: def, match: r.rec.Match, rules: r.rec.Compare, store: r.c.Store, clock: r.c.Clock, system: r.c.Connector(def.System), pace: r.pace}
	if s.system == nil {
		return nil, fmt.Errorf("the %s side: the system %s is not open", name, def.System)
	}
	if def.Flow != "" {
		s.flow = r.c.Plan.Flow(def.Flow)
	}
	if s.flow != nil && def.Own { // its ids count, and not whom it leaves out
		all := *s.flow
		all.When, all.Accept = nil, nil
		s.flow = &all
	}
	return s, r.kept(s)
}

// Do makes the run. What it has found stands in the summary also where it fails: but then it says nothing of the systems.
func (r *Run) Do(ctx context.Context) (state.RunState, state.CompareSummary, string, error) {
	st, detail, err := r.do(ctx)
	r.sum.Path = r.progress.Path
	for _, s := range []*side{r.left, r.right} {
		if f := s.file; f != nil {
			r.sum.Files = append(r.sum.Files, state.ComparedFile{Side: s.name, System: s.def.System, Name: f.Name, ID: f.ID, Size: f.Size, Modified: f.Modified})
		}
	}
	return st, r.sum, detail, err
}

func (r *Run) do(ctx context.Context) (state.RunState, string, error) {
	cands, err := r.candidates(ctx)
	if err != nil {
		return state.RunFailed, "", err
	}
	defer func() { _ = cands.Close() }() // its files have no name any more
	r.aboutIndex()
	if err := r.judge(ctx, cands); err != nil {
		return state.RunFailed, "", err
	}
	if err := r.sumUp(ctx); err != nil {
		return state.RunFailed, "", err
	}
	r.nothing()
	r.misnamed()
	if !r.opts.Repair {
		return r.verdict(), r.detail(), nil
	}
	return r.repair(ctx)
}

func (r *Run) verdict() state.RunState {
	if r.sum.Drift() > r.sum.Repaired || r.sum.NotCompared > 0 {
		return state.RunDrift
	}
	return state.RunAgreed
}

func (r *Run) detail() string {
	text := ""
	for _, n := range r.notes {
		if text != "" {
			text += "; "
		}
		text += n
	}
	return text
}

// note keeps a sentence for the run's end, once.
func (r *Run) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for _, n := range r.notes {
		if n == text {
			return
		}
	}
	r.notes = append(r.notes, text)
}

// nothing notes where there was nothing to compare: that the systems agree says little then.
func (r *Run) nothing() {
	switch read := r.left.rows.Load() + r.right.rows.Load(); {
	case !r.opts.Whole() || r.sum.Compared > 0 || r.sum.NotCompared > 0:
	case read > 0:
		r.note("none of the %d objects that were read counts (when, where): nothing was compared", read)
	case r.left.def.Files || r.right.def.Files:
		r.note("both sides are empty: nothing was compared")
	default:
		r.note("both sides are empty, and the hub knows no such object in either system: nothing was compared")
	}
}

// misnamed notes fields that the file names and no object has: they agree whatever the systems hold.
func (r *Run) misnamed() {
	if !r.opts.Whole() || r.sum.Compared == 0 {
		return
	}
	if r.nowhere != nil {
		for _, path := range r.nowhere.Paths() {
			r.note("no object of either side has %s, which compare names, and so it was not compared; what lies within a list is compared with {set: …, compare: …}", path)
		}
	}
	if left, right := r.totals[0], r.totals[1]; left != nil && right != nil {
		for _, path := range left.sums.Unseen(right.sums) {
			r.note("no object of either side has %s, which totals name", path)
		}
	}
}

func (r *Run) phase(name, format string, args ...any) {
	r.progress.Phase, r.progress.Text = name, fmt.Sprintf(format, args...)
	r.tell()
}

func (r *Run) tell() {
	p := r.progress
	p.Left, p.Right = r.left.rows.Load(), r.right.rows.Load()
	r.sink.Progress(p)
}

// ErrEmpty: a side gave nothing although the hub knows objects there.
var ErrEmpty = index.ErrEmpty

// candidates gives what differs at the first look.
func (r *Run) candidates(ctx context.Context) (*spill.Sorter, error) {
	switch {
	case r.opts.From > 0:
		return r.stored(ctx)
	case r.opts.Key != "":
		return r.byKey(ctx)
	}
	out := spill.New(r.c.Spill)
	if r.rec.Compare == nil { // only sums are
		left, right, err := r.readBoth(ctx, false)
		if err != nil {
			return nil, errors.Join(err, out.Close())
		}
		r.sum.Compared = max(r.left.rows.Load(), r.right.rows.Load())
		return out, errors.Join(left.Close(), right.Close())
	}
	if err := r.look(ctx, out, true); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	if r.opts.Since.IsZero() {
		return out, nil
	}
	// What has changed on one side alone meets its other half now.
	filled, err := r.fill(ctx, out)
	return filled, errors.Join(err, out.Close())
}

// readBoth reads and sorts both sides at the same time; without keep they are only added up. One that fails ends the other.
func (r *Run) readBoth(ctx context.Context, keep bool) (left, right *spill.Sorter, err error) {
	r.phase("reading", "%s of %s and %s", r.rec.Entity, r.left.def.System, r.right.def.System)
	r.left.rows.Store(0)
	r.right.rows.Store(0)
	both := lifecycle.NewBackground(ctx)
	read := func(n int, s *side, into **spill.Sorter) {
		if len(r.rec.Totals) > 0 {
			if r.totals[n] != nil {
				r.totals[n].close()
			}
			r.totals[n] = r.newTotals(s)
		}
		both.Go(func(ctx context.Context) (err error) {
			told := r.c.Clock.Elapsed()
			*into, err = s.sorted(ctx, r.c.Spill, r.opts.Since, keep, func(k *keyed) {
				if r.totals[n] != nil {
					r.totals[n].add(k.e)
				}
				if now := r.c.Clock.Elapsed(); s == r.left && now-told > time.Second/2 {
					told = now
					r.tell()
				}
			})
			return err
		})
	}
	read(0, r.left, &left)
	read(1, r.right, &right)
	if err = both.Wait(); err == nil && ctx.Err() != nil {
		err = context.Cause(ctx) // a side that was told to end has failed of nothing
	}
	if err == nil && r.opts.Since.IsZero() {
		for _, s := range []*side{r.left, r.right} {
			err = errors.Join(err, r.notEmpty(ctx, s))
		}
	}
	if err != nil {
		for _, s := range []*spill.Sorter{left, right} {
			if s != nil {
				err = errors.Join(err, s.Close())
			}
		}
		return nil, nil, err
	}
	r.tell()
	return left, right, nil
}

// notEmpty refuses a side that gave nothing while the hub knows objects there: services that fail answer so.
func (r *Run) notEmpty(ctx context.Context, s *side) error {
	if s.rows.Load() > 0 || s.def.Files {
		return nil
	}
	flow, how := "", "look why"
	if s.flow != nil {
		flow, how = s.flow.Name, fmt.Sprintf("look why, and where they are gone, `waybill sweep %s` takes note of it", s.flow.Name)
	}
	known, err := r.c.Store.CountKnown(ctx, r.rec.Entity, s.def.System, flow)
	if err != nil {
		return fmt.Errorf("count what is known: %w", err)
	}
	other := r.left
	if s == r.left {
		other = r.right
	}
	if known == 0 && other.rows.Load() > 0 && !r.touches(s.def.System) {
		return fmt.Errorf("the %s side: %s lists no %s, %s has %d, and no flow of the hub says whether that can be: %w; look why, and compare again when there is one", s.name, s.def.System, s.object(), other.def.System, other.rows.Load(), ErrEmpty)
	}
	if known > 0 {
		return fmt.Errorf("the %s side: %s lists no %s, and the hub knows %d there: %w; %s", s.name, s.def.System, s.object(), known, ErrEmpty, how)
	}
	return nil
}

// touches reports whether a flow reads the entity from a system, or writes it there.
func (r *Run) touches(system string) bool {
	for _, f := range r.c.Plan.Flows {
		if (f.Entity == r.rec.Entity || f.Entity == "") && (f.From.System == system || f.To.System == system) {
			return true
		}
	}
	return false
}

// fill completes pairs of which one half alone was listed, and leaves out what agrees.
func (r *Run) fill(ctx context.Context, cands *spill.Sorter) (*spill.Sorter, error) {
	out := spill.New(r.c.Spill)
	d := newDiffer(r.rec)
	defer d.close()
	err := r.again(ctx, cands, func(_, now *pair, met bool) error {
		switch {
		case met || now.outOfScope():
			r.sum.Compared--
			return nil
		case d.same(now):
			r.sum.Equal++
			return nil
		}
		return out.Add([]byte(now.key), now.append(nil))
	})
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}
