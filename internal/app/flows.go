package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/status"
)

// routerLog leaves out what is no error: a batch that is handed back because the hub stops, or another hub has taken over; and that a
// router ends with its one handler, of which the alarm behind it tells more.
type routerLog struct{ watermill.LoggerAdapter }

func (l routerLog) Error(msg string, err error, fields watermill.LogFields) {
	if errors.Is(err, deliver.ErrStopping) || errors.Is(err, state.ErrFenced) || errors.Is(err, context.Canceled) || msg == "All handlers stopped, closing router" {
		l.LoggerAdapter.Debug(msg+": "+err.Error(), fields)
		return
	}
	l.LoggerAdapter.Error(msg, err, fields)
}

// Info is about every single router, of which each flow has one.
func (l routerLog) Info(msg string, fields watermill.LogFields) { l.LoggerAdapter.Debug(msg, fields) }

func (l routerLog) With(fields watermill.LogFields) watermill.LoggerAdapter {
	return routerLog{l.LoggerAdapter.With(fields)}
}

// running is a flow at work. Each has a router of its own, so that it can end and begin without the others noticing.
type running struct {
	*flow.Runner
	sub *bus.Subscriber

	mu     sync.Mutex // held while reading begins or ends
	router *message.Router
	done   chan error // has the router's end
}

// newRunning makes a flow's runner; it does nothing yet.
func (h *Hub) newRunning(f *config.Flow, plan *config.Plan, systems map[string]*system) (*running, error) {
	open := make(map[string]*deliver.System, len(systems))
	for name, s := range systems {
		open[name] = s.System
	}
	r, err := flow.New(f, flow.Deps{Plan: plan, Store: h.store, Publisher: tracedPublisher{h.publisher, h.tracer}, Tracer: h.tracer, Systems: open, Clock: h.clock,
		Log: h.log, Observer: h.observer(f), Lanes: lanes, MaxRecord: h.cluster.MaxRecord,
		Life: h.logs.Life, Foreign: h.foreign, Restored: &h.restored, Private: h.private, Hidden: h.hidden, KeepsDocuments: h.keepsDocuments})
	if err != nil {
		return nil, err
	}
	sub, err := h.cluster.Subscriber(h.subscriber(r, len(plan.Flows)))
	if err != nil {
		return nil, err
	}
	return &running{Runner: r, sub: sub}, nil
}

func (h *Hub) subscriber(r *flow.Runner, flows int) bus.SubscriberConfig {
	beat, watch := paces(flows, h.plan().Hub.TakeOver)
	return bus.SubscriberConfig{Group: r.Flow().Group(), Lanes: lanes, Positions: r, MaxBytes: share(flows), Session: h.plan().Hub.TakeOver, Heartbeat: beat, WatchPartitions: watch,
		OnAlarm: func(err error) { h.broken(r, err) }}
}

// share is what one flow may hold in memory of read and undecided records: 32 MiB keep the lanes of a dozen partitions busy;
// all flows together 256 MiB.
func share(flows int) int64 { return max(8<<20, min(32<<20, 256<<20/int64(max(1, flows)))) }

// paces are how often a member of a group says that it is there, and how often a topic is looked at for new partitions: each flow is a member of its
// own, and hundreds at rest are to cost the hub and the broker little. A rebalance is noticed at the next beat. A member that is silent for the
// session is replaced: a third of that is the least that is safe.
func paces(flows int, session time.Duration) (beat, watch time.Duration) {
	n := time.Duration(max(1, flows))
	beat = min(max(time.Second, 15*time.Millisecond*n), 3*time.Second)
	if session > 0 {
		beat = min(beat, session/3)
	}
	return beat, min(max(5*time.Second, 75*time.Millisecond*n), 30*time.Second)
}

// startFlows lets every flow read its topic.
func (h *Hub) startFlows(ctx context.Context) error {
	if err := h.learnPaused(ctx); err != nil {
		return err
	}
	err := h.stack.Push("flows", 40*time.Second, func(sctx context.Context) error { return h.stopFlows(sctx, h.flows()) })
	if err != nil {
		return err
	}
	for _, f := range h.plan().Flows {
		r, err := h.newRunning(f, h.plan(), h.systems())
		if err == nil {
			err = h.startFlow(ctx, r)
		}
		if err != nil {
			return fmt.Errorf("flow %s: %w", f.Name, err)
		}
	}
	return nil
}

// startFlow makes r the flow's runner, paused where a person wants it so, and lets it read.
func (h *Hub) startFlow(ctx context.Context, r *running) error {
	name := r.Flow().Name
	h.pausing.Lock()
	if h.paused[name] {
		r.Pause()
	}
	h.mu.Lock()
	h.runners[name] = r
	h.mu.Unlock()
	h.pausing.Unlock()
	if h.alarmFlow(r) && h.logs.Unreadable(name, r.Flow().Topic()) {
		return nil // it begins to read when its topic is to be read again
	}
	return r.read(ctx, h)
}

// learnPaused asks the store which flows a person has paused.
func (h *Hub) learnPaused(ctx context.Context) error {
	h.pausing.Lock()
	defer h.pausing.Unlock()
	all, err := h.store.PausedFlows(ctx)
	if err != nil {
		return err
	}
	h.paused = make(map[string]bool, len(all))
	for _, p := range all {
		h.paused[p.Flow] = true
	}
	return nil
}

// read begins to read the flow's topic.
func (r *running) read(ctx context.Context, h *Hub) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 20 * time.Second}, routerLog{watermill.NewSlogLogger(h.log)})
	if err != nil {
		return err
	}
	router.AddConsumerHandler(r.Flow().Name, r.Flow().Topic(), r.sub, r.Handle)
	done := make(chan error, 1)
	// The router's own context never ends by itself: it is closed, in the order of the stack or of a reload.
	go func() { done <- router.Run(context.WithoutCancel(ctx)) }()
	select {
	case <-router.Running():
		r.router, r.done = router, done
		return nil
	case err := <-done:
		return errors.Join(errors.New("reading did not begin"), err)
	}
}

// halt ends the flow's work in order: what is under way is decided or handed back, and only then others may have its partitions.
func (r *running) halt(ctx context.Context) error {
	err := r.Stop(ctx)
	if err != nil {
		err = fmt.Errorf("flow %s: %w", r.Flow().Name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(err, r.unread())
}

// unread ends the reading. The caller holds mu.
func (r *running) unread() error {
	if r.router == nil {
		return nil
	}
	err := errors.Join(r.router.Close(), <-r.done)
	r.router = nil
	return err
}

// stopFlows halts flows side by side.
func (h *Hub) stopFlows(ctx context.Context, flows []*running) error {
	return lifecycle.SideBySide(flows, func(r *running) error { return r.halt(ctx) })
}

// revive lets a flow whose reading an alarm has ended read again.
func (h *Hub) revive(ctx context.Context, name string) error {
	leave, err := h.take(ctx)
	if err != nil {
		return err
	}
	defer leave()
	h.mu.Lock()
	r := h.runners[name]
	h.mu.Unlock()
	if r == nil {
		return h.unknownFlow(name)
	}
	r.mu.Lock()
	err = r.unread() // it has ended, or is about to
	if err == nil {
		// A subscriber that was closed stays so.
		r.sub, err = h.cluster.Subscriber(h.subscriber(r.Runner, len(h.plan().Flows)))
	}
	r.mu.Unlock()
	if err != nil {
		return err
	}
	return r.read(ctx, h)
}

// flows are the runners of the plan's flows, in its order.
func (h *Hub) flows() []*running {
	plan := h.plan()
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*running, 0, len(h.runners))
	for _, f := range plan.Flows {
		if r, ok := h.runners[f.Name]; ok {
			out = append(out, r)
		}
	}
	return out
}

// startWaking has every flow look when what its messages waited for has come.
func (h *Hub) startWaking(context.Context) error {
	return h.beside("waking what waited", func(ctx context.Context) {
		for {
			select {
			case <-h.store.Woken():
				h.kick()
			case <-ctx.Done():
				return
			}
		}
	})
}

// kick makes every flow look at its stored queues: what messages waited for is there, or a person has marked a message.
func (h *Hub) kick() {
	for _, r := range h.flows() {
		r.Kick()
	}
}

// observer turns what the engine tells of one flow into metrics and counts.
type observer struct {
	m interface {
		Outcome(flow, outcome, reason string, took time.Duration)
		Retried(flow string)
		Call(system, faultKind string, took time.Duration)
		Alarm(flow, what string)
	}
	deliveries *deliveries
	// ahead is told by how much a record was stamped ahead of the hub's clock, called how long a call to a system took.
	ahead   func(by time.Duration)
	called  func(system string, took time.Duration)
	notices *notice.Board
	decided *atomic.Int64 // by all flows
}

func (h *Hub) observer(f *config.Flow) observer {
	return observer{h.metrics, h.timely.of(f.Name, f.SLO.LateAfter), func(by time.Duration) {
		h.noteClock("the stamps of "+f.Topic(), by, by) // it was written at least so much before
	}, func(system string, took time.Duration) {
		if s := h.systems()[system]; s != nil {
			s.took.note(took, h.clock.Elapsed())
		}
	}, h.notices, &h.comparing.decided}
}

func (o observer) Retrying(flow, cause, text string) { o.notices.Tell(flow, notice.Retry, cause, text) }
func (o observer) Parked(flow, cause, text string)   { o.notices.Tell(flow, notice.Park, cause, text) }

func (o observer) Outcome(flow string, out state.Outcome, reason string, took time.Duration) {
	if out == state.Discarded {
		reason = "" // a person's name is not a label
	}
	o.decided.Add(1)
	o.m.Outcome(flow, string(out), reason, took)
	if out == state.Delivered {
		o.deliveries.count(took)
	}
	if -took > status.ClockTolerance {
		o.ahead(-took)
	}
}
func (o observer) Retried(flow string) { o.m.Retried(flow) }
func (o observer) Call(system string, took time.Duration, err error) {
	o.m.Call(system, fault.KindOf(err).String(), took)
	o.called(system, took)
}
func (o observer) Alarm(flow, what string, _ error) { o.m.Alarm(flow, what) }
