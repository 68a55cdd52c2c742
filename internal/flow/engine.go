// Package flow is the engine: it takes lane batches from the router, decides each message's fate, and delivers.
//
// One Runner works one flow. Its handler gets lane batches of one consumer group; its stored queues (held, parked and
// waiting messages) are drained in the same lanes, under the same lock, before live messages of their key.
package flow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/flow/calls"
	"github.com/waybill-hub/waybill/internal/flow/decide"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/publish"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/tracing"
)

// Store is what the engine remembers by. Every method is safe to call again after an error: a Commit whose offsets or
// queue rows are finished already changes nothing.
type Store interface {
	OpenPartition(ctx context.Context, flow, topic string, partition int, log event.Log) (state.Partition, error)
	QueuedLanes(ctx context.Context, flow, topic string, partition int) ([]state.QueuedLane, error)
	Due(ctx context.Context, flow, topic string, partition int, now time.Time, limit int) ([]string, error)
	MarkedPartitions(ctx context.Context, flow, topic string) ([]int, error)
	GivenUp(ctx context.Context, flow, topic string, partition int, limit int) ([]string, error)
	Drainable(ctx context.Context, flow, topic string, partition int, lane string, limit int) ([]state.Queued, error)
	ParkedByID(ctx context.Context, id int64) (state.Queued, error)
	PullForward(ctx context.Context, flow, topic string, partition int, latest time.Time) error
	Intents(ctx context.Context, flow string) ([]state.Intent, error)
	Refused(ctx context.Context, flow, eventID string, reading int) (bool, error)
	Inbound(ctx context.Context, seq int64) (state.Inbound, error)
	// ResolveAll is Resolve for several objects of one kind in one system.
	ResolveAll(ctx context.Context, entity, system string, all []state.Met) error
	// Knows reports whether the object of a system is known, by its id there or by the external id that it carries.
	Knows(ctx context.Context, entity, system, local, external string) (bool, error)
	deliver.Store // what it says here is what the store says: nobody has asked it again
}

// Observer is told what happened, for metrics. Its methods must not block. The time that an outcome took is negative where the message was
// accepted by a clock that is ahead of this hub's.
type Observer interface {
	Outcome(flow string, o state.Outcome, reason string, took time.Duration)
	Retried(flow string)
	// Parked: a message is parked. The cause is the same for all of its kind; the text says more of this one time, and holds no secret.
	Parked(flow, cause, text string)
	deliver.Observer
}

// Deps is what a Runner works with.
type Deps struct {
	Plan      *config.Plan
	Store     Store
	Publisher publish.Publisher
	Systems   map[string]*deliver.System
	Clock     lifecycle.Clock
	Log       *slog.Logger
	Observer  Observer
	// Tracer makes a span of each message that is worked, and of each call; nil: none are made.
	Tracer tracing.Tracer
	// Life tells which log of a topic is known at present (see state.TopicLog); nil: the first.
	Life func(topic string) int64
	// Foreign is told once when the flow's topic holds a record that no hub has put there; may be nil.
	Foreign func(topic string)
	// Restored tells of a store that has gone back to an older state; nil: it has not.
	Restored deliver.Restored
	// Private gives the masks of a flow's documents; nil: there are none.
	Private func(flow string) *privacy.Flow
	// Hidden gives the hashes by which masked values of the flow's search fields are found: of documents as they are (source and after the mapping) and as they are
	// kept; nil: of none.
	Hidden func(flow string, source, mapped []byte, kept *state.Documents) []state.Term
	// KeepsDocuments reports whether the documents of fates that are no failures are kept; nil: they are not.
	KeepsDocuments func() bool
	// Lanes is the number of lanes a partition has in the subscriber.
	Lanes int
	// MaxRecord is the largest record in bytes that the publisher takes for a topic; nil: unknown. A larger one is parked before anything of its
	// key behind it is sent.
	MaxRecord func(topic string) int
	// InPlace bounds how long an unavailable target is tried again before the key's queue is held in the store: 30 s.
	InPlace time.Duration
}

// Runner works one flow.
type Runner struct {
	Deps
	flow     *config.Flow
	log      *slog.Logger
	store    patient
	target   *deliver.System // nil when the flow delivers to a topic
	line     *deliver.Line
	read     bool            // flows read the topic that the flow delivers to
	failures *notice.Limiter // what the log is told of the hub's own broker and store
	standing standing        // what the store does not take
	strange  sync.Once
	gate     gate
	// rekeyed: the flow computes the keys of another program's records, so that records of one key come in any lane.
	rekeyed bool
	keys    *deliver.Objects // of a flow that computes keys: those that are at work

	ctx    context.Context // ends when Stop is called: the work, not the fetching
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	mu          sync.Mutex
	parts       map[partKey]*partition
	looked      atomic.Int64 // when, by the clock's Elapsed, a partition of the flow looked for marks last
	stopping    bool         // under mu: no work begins any more, so that Stop may wait for what has begun
	openIntents calls.OpenIntents

	alarm atomic.Pointer[Alarm]
	// base is the time of day when it was made, and since the clock's Elapsed.
	base  time.Time
	since time.Duration
}

// steady is the time that deadlines are made of and judged by: the clock as it was when the flow began, and what has passed since. A
// clock that is set meanwhile, forward or back, makes nothing overdue and lets nothing rest for an hour.
func (r *Runner) steady() time.Time { return r.base.Add(r.Clock.Elapsed() - r.since) }

// Alarm is why a flow stands still.
type Alarm struct {
	What  string
	Err   error
	Since time.Time
}

type partKey struct {
	topic     string
	partition int
}

// New makes the runner of f.
func New(f *config.Flow, d Deps) (*Runner, error) {
	if d.Lanes <= 0 {
		return nil, errors.New("flow: lanes of a partition must be known")
	}
	if d.InPlace == 0 {
		d.InPlace = 30 * time.Second
	}
	r := &Runner{Deps: d, base: d.Clock.Now(), since: d.Clock.Elapsed(), flow: f, log: d.Log.With("flow", f.Name), parts: map[partKey]*partition{},
		rekeyed: f.Key != nil && f.From.System == "", keys: deliver.NewObjects()}
	r.failures = notice.NewLimiter(d.Clock, r.log)
	r.store = patient{r}
	r.gate.open()
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	if f.To.Topic != "" {
		r.read = slices.ContainsFunc(d.Plan.Flows, func(o *config.Flow) bool { return o.From.Topic == f.To.Topic })
	}
	r.line = &deliver.Line{Flow: f, Tracer: d.Tracer, Systems: d.Systems, Store: r.store, Clock: d.Clock, Log: r.log, Observer: d.Observer, Restored: d.Restored,
		Secrets: r.secrets, Rekeyed: r.rekeyed, InPlace: d.InPlace, Steady: r.steady, Paused: r.gate.closed, Stopping: r.ctx, Intents: &r.openIntents}
	if f.To.System != "" {
		t, ok := d.Systems[f.To.System]
		if !ok {
			return nil, fmt.Errorf("flow %s: system %q is not there", f.Name, f.To.System)
		}
		if _, ok := t.Connector.(connector.Sink); !ok {
			return nil, fmt.Errorf("%s: system %q cannot be written to", f.Pos, f.To.System)
		}
		r.target, r.line.Target = t, t
		r.line.Reads = decide.FindInbound(d.Plan, f)
		r.line.Contested = f.From.System != "" || others(d.Plan, f)
	}
	return r, nil
}

// others reports whether another flow writes the same objects.
func others(plan *config.Plan, f *config.Flow) bool {
	for _, o := range plan.Flows {
		if o.Name != f.Name && o.To.System == f.To.System && o.Entity == f.Entity {
			return true
		}
	}
	return false
}

// Asks reports whether the flow's target can be asked for an object before it is created, and if not, why.
func (r *Runner) Asks(ctx context.Context) (ok bool, why string, err error) { return r.line.Asks(ctx) }

// Flow is the definition that the runner works by.
func (r *Runner) Flow() *config.Flow { return r.flow }

// Stop ends the work: calls under way get a moment to come back, nothing unfinished gets a fate, and Stop returns when all is still or
// ctx ends.
func (r *Runner) Stop(ctx context.Context) error {
	r.mu.Lock()
	r.stopping = true
	r.mu.Unlock()
	r.cancel(deliver.ErrStopping)
	failpoint.Hit(failpoint.FlowStopping)
	done := make(chan struct{})
	go func() { r.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("flow %s: still working: %w", r.flow.Name, ctx.Err())
	}
}

// Pause holds the flow before its next message; Resume lets it go on, and clears an alarm.
func (r *Runner) Pause() { r.gate.close() }

// Resume lets a paused flow go on and clears its alarm.
func (r *Runner) Resume() {
	r.alarm.Store(nil)
	r.gate.open()
	r.Kick()
}

// Paused reports whether the flow is held by Pause.
func (r *Runner) Paused() bool { return r.gate.closed() }

// Alarmed is why the flow stands still, or nil.
func (r *Runner) Alarmed() *Alarm { return r.alarm.Load() }

// ClearAlarm clears the alarm and leaves the flow held, or not, as it is.
func (r *Runner) ClearAlarm() { r.alarm.Store(nil) }

// RaiseAlarm stops the flow before its next message and says why.
func (r *Runner) RaiseAlarm(what string, err error) {
	if r.alarm.CompareAndSwap(nil, &Alarm{What: what, Err: err, Since: r.Clock.Now()}) {
		r.log.Error("alarm: the flow stands still", "what", what, "error", err)
		r.Observer.Alarm(r.flow.Name, what, err)
	}
	r.gate.close()
}

// Kick makes the owners of the flow's partitions look at their stored queues now.
func (r *Runner) Kick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.parts {
		p.kick()
	}
}

// Handle is the router's handler: it returns nil when every record of the batch has its fate in the store. An error
// means that the hub is stopping or has been fenced: nothing is decided, and whoever reads the records next decides it.
func (r *Runner) Handle(msg *message.Message) error {
	b := event.BatchFrom(msg.Context())
	if b == nil {
		return fmt.Errorf("flow %s: a message without its lane batch", r.flow.Name)
	}
	r.mu.Lock()
	if r.stopping {
		r.mu.Unlock()
		return deliver.ErrStopping
	}
	r.wg.Add(1)
	p := r.parts[partKey{b.Topic, b.Partition}]
	r.mu.Unlock()
	defer r.wg.Done()
	if p == nil || p.Epoch != b.Epoch {
		return state.ErrFenced
	}
	if len(b.Records) == 0 {
		return nil
	}
	if want := event.LaneOf(b.Records[0].Key, len(p.lanes)); want != b.Lane {
		// A key's stored queue is drained under its lane's lock: with another dealing, live records would pass it by.
		err := fmt.Errorf("a record of lane %d was dealt to lane %d", want, b.Lane)
		r.RaiseAlarm("lanes", err)
		return err
	}
	ctx, cancel := r.workContext(msg.Context(), p)
	defer cancel()
	lane := &p.lanes[b.Lane]
	lane.Lock()
	defer lane.Unlock()
	return r.work(ctx, p, b)
}

// workContext ends with the message, with the partition's ownership, and with the runner, whichever is first.
func (r *Runner) workContext(parent context.Context, p *partition) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	s1 := context.AfterFunc(r.ctx, func() { cancel(context.Cause(r.ctx)) })
	s2 := context.AfterFunc(p.ctx, func() { cancel(state.ErrFenced) })
	return ctx, func() { s1(); s2(); cancel(nil) }
}
