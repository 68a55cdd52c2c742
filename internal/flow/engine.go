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
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/calls"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/state"
)

// Store is what the engine remembers by. Every method is safe to call again after an error: a Commit whose offsets or
// queue rows are finished already changes nothing.
type Store interface {
	OpenPartition(ctx context.Context, flow, topic string, partition int, log event.Log) (state.Partition, error)
	Commit(ctx context.Context, c *state.Commit) error
	QueuedLanes(ctx context.Context, flow, topic string, partition int) ([]state.QueuedLane, error)
	Due(ctx context.Context, flow, topic string, partition int, now time.Time, limit int) ([]string, error)
	GivenUp(ctx context.Context, flow, topic string, partition int, limit int) ([]string, error)
	Drainable(ctx context.Context, flow, topic string, partition int, lane string, limit int) ([]state.Queued, error)
	ParkedByID(ctx context.Context, id int64) (state.Queued, error)
	Hurry(ctx context.Context, flow, topic string, partition int, latest time.Time) error
	Resolve(ctx context.Context, entity, system, local, external, eventID string) (string, state.Resolution, error)
	Target(ctx context.Context, entity, hub, system, origin string) (state.Target, error)
	OpenIntent(ctx context.Context, i state.Intent) error
	Intents(ctx context.Context, flow string) ([]state.Intent, error)
	Refused(ctx context.Context, flow, eventID string, reading int) (bool, error)
	Inbound(ctx context.Context, seq int64) (state.Inbound, error)
	// Knows reports whether the object of a system is known, by its id there or by the external id that it carries.
	Knows(ctx context.Context, entity, system, local, external string) (bool, error)
	// Shared reports whether other hubs may work on the same store.
	Shared() bool
	mapping.Lookup
}

// Publisher sends records with all acknowledgements and says for each one whether it is on its topic; of those that are, it sets the
// Partition and Offset.
type Publisher interface {
	Send(ctx context.Context, records []event.Record) []error
}

// System is a configured system with its breaker and settings.
type System struct {
	*config.System
	Connector connector.System
	Breaker   *Breaker

	once    sync.Once
	objects *objects
	calls   *calls.Ledger
}

// shared are the objects of the system that its flows are at work on.
func (s *System) shared() *objects {
	s.once.Do(s.begin)
	return s.objects
}

// ledger is what is known of the calls to the system's objects.
func (s *System) ledger() *calls.Ledger {
	s.once.Do(s.begin)
	return s.calls
}

func (s *System) begin() { s.objects, s.calls = newObjects(), calls.NewLedger() }

// Observer is told what happened, for metrics. Its methods must not block. The time that an outcome took is negative where the message was
// accepted by a clock that is ahead of this hub's.
type Observer interface {
	Outcome(flow string, o state.Outcome, reason string, took time.Duration)
	Retried(flow string)
	Call(system string, took time.Duration, err error)
	Alarm(flow, what string, err error)
	// Retrying: a call failed and is made again. Parked: a message is parked. The cause is the same for all of its kind; the text says more of this
	// one time, and holds no secret.
	Retrying(flow, cause, text string)
	Parked(flow, cause, text string)
}

// Deps is what a Runner works with.
type Deps struct {
	Plan      *config.Plan
	Store     Store
	Publisher Publisher
	Systems   map[string]*System
	Clock     lifecycle.Clock
	Log       *slog.Logger
	Observer  Observer
	// Life tells which log of a topic is known at present (see state.TopicLog); nil: the first.
	Life func(topic string) int64
	// Foreign is told once when the flow's topic holds a record that no hub has put there; may be nil.
	Foreign func(topic string)
	// Restored tells of a store that has gone back to an older state; nil: it has not.
	Restored Restored
	// Private gives the masks of a flow's documents; nil: there are none.
	Private func(flow string) *privacy.Flow
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
	flow   *config.Flow
	log    *slog.Logger
	target *System // nil when the flow delivers to a topic
	read   bool    // flows read the topic that the flow delivers to
	// complaints are when the log was told last of failures of one cause.
	complaints struct {
		mu   sync.Mutex
		last map[string]time.Duration
	}
	strange sync.Once
	reads   *inbound // how an object written to the target reads back through the inbound mapping; nil: it does not
	gate    gate
	// rekeyed: the flow computes the keys of another program's records, so that records of one key come in any lane.
	rekeyed bool
	keys    *objects // of a flow that computes keys: those that are at work
	// contested: what one key's lane does is not alone on an object of the target, because other flows write there too, or the lane is not the object's.
	contested bool

	ctx    context.Context // ends when Stop is called: the work, not the fetching
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	mu          sync.Mutex
	parts       map[partKey]*partition
	stopping    bool // under mu: no work begins any more, so that Stop may wait for what has begun
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

// ErrStopping is why a batch is handed back undecided: the flow is being stopped.
var ErrStopping = errors.New("the flow is stopping")

// New makes the runner of f.
func New(f *config.Flow, d Deps) (*Runner, error) {
	if d.Lanes <= 0 {
		return nil, errors.New("flow: lanes of a partition must be known")
	}
	if d.InPlace == 0 {
		d.InPlace = 30 * time.Second
	}
	r := &Runner{Deps: d, base: d.Clock.Now(), since: d.Clock.Elapsed(), flow: f, log: d.Log.With("flow", f.Name), parts: map[partKey]*partition{},
		rekeyed: f.Key != nil && f.From.System == "", keys: newObjects()}
	r.gate.open()
	if f.To.Topic != "" {
		r.read = slices.ContainsFunc(d.Plan.Flows, func(o *config.Flow) bool { return o.From.Topic == f.To.Topic })
	}
	if f.To.System != "" {
		t, ok := d.Systems[f.To.System]
		if !ok {
			return nil, fmt.Errorf("flow %s: system %q is not there", f.Name, f.To.System)
		}
		if _, ok := t.Connector.(connector.Sink); !ok {
			return nil, fmt.Errorf("%s: system %q cannot be written to", f.Pos, f.To.System)
		}
		r.target = t
		r.reads = findInbound(d.Plan, f)
		r.contested = f.From.System != "" || others(d.Plan, f)
	}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
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

// Flow is the definition that the runner works by.
func (r *Runner) Flow() *config.Flow { return r.flow }

// Stop ends the work: calls under way get a moment to come back, nothing unfinished gets a fate, and Stop returns when all is still or
// ctx ends.
func (r *Runner) Stop(ctx context.Context) error {
	r.mu.Lock()
	r.stopping = true
	r.mu.Unlock()
	r.cancel(ErrStopping)
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

// Calm clears the alarm and leaves the flow held, or not, as it is.
func (r *Runner) Calm() { r.alarm.Store(nil) }

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

// Assigned opens a partition for this hub: it takes the fencing token, learns the stored position and the queued lanes.
// It is the bus's Positions, which asks again where the store does not answer, or nobody knows whether it has done what it was asked: a
// partition that is taken twice has one owner all the same. Only a broker that is another one stops the flow.
func (r *Runner) Assigned(ctx context.Context, _, topic string, number int, log event.Log) (int64, event.Position, bool, error) {
	asked := r.Clock.Elapsed()
	sp, err := r.Store.OpenPartition(ctx, r.flow.Name, topic, number, log)
	if err != nil {
		if errors.Is(err, state.ErrBroker) {
			r.RaiseAlarm("broker", err)
			return 0, event.Position{}, false, err
		}
		return 0, event.Position{}, false, fault.Wrap(fault.Unavailable, "take a partition", err)
	}
	lanes, err := r.Store.QueuedLanes(ctx, r.flow.Name, topic, number)
	if err == nil {
		err = r.recall(ctx, topic, number)
	}
	if err != nil {
		return 0, event.Position{}, false, fault.Wrap(fault.Unavailable, "take a partition", err)
	}
	p := newPartition(topic, number, &sp, r.Lanes, lanes)
	p.taken = r.Clock.Elapsed()
	if r.target != nil {
		p.backs = r.target.Breaker.Backs()
	}
	p.confirm(asked)
	r.mu.Lock()
	if r.stopping {
		r.mu.Unlock()
		p.stop()
		return 0, event.Position{}, false, fault.Wrap(fault.Unavailable, "take a partition", ErrStopping)
	}
	old := r.parts[partKey{topic, number}]
	r.parts[partKey{topic, number}] = p
	r.wg.Add(1)
	r.mu.Unlock()
	if old != nil {
		old.stop()
	}
	go func() { defer r.wg.Done(); r.drainLoop(p) }()
	return sp.Epoch, sp.Position, true, nil
}

// recall learns what earlier owners have left: calls whose outcome nobody has stored, and messages that rest until a time by their
// clocks. None of these rests for longer than this flow ever lets one rest.
func (r *Runner) recall(ctx context.Context, topic string, number int) error {
	if r.target == nil {
		return nil
	}
	open, err := r.Store.Intents(ctx, r.flow.Name)
	if err != nil {
		return err
	}
	for _, in := range open {
		if in.Topic == "" || in.Topic == topic && in.Partition == number { // without a place: of an earlier version of the hub
			r.openIntents.Add(in)
		}
	}
	longest := max(r.flow.Retry.Max, r.target.bound()+r.target.VisibleAfter)
	return r.Store.Hurry(ctx, r.flow.Name, topic, number, r.steady().Add(longest))
}

// Gap passes offsets that hold no record.
func (r *Runner) Gap(ctx context.Context, _, topic string, number int, epoch int64, gap event.Range) error {
	return r.Store.Commit(ctx, &state.Commit{Flow: r.flow.Name, Topic: topic, Partition: number, Epoch: epoch, Gaps: []event.Range{gap}})
}

// Revoked gives a partition up: its drains end; the store refuses what its epoch still sends.
func (r *Runner) Revoked(_, topic string, number int) {
	r.mu.Lock()
	p := r.parts[partKey{topic, number}]
	delete(r.parts, partKey{topic, number})
	r.mu.Unlock()
	if p != nil {
		p.stop()
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
		return ErrStopping
	}
	r.wg.Add(1)
	p := r.parts[partKey{b.Topic, b.Partition}]
	r.mu.Unlock()
	defer r.wg.Done()
	if p == nil || p.epoch != b.Epoch {
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
