package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow"
	"github.com/waybill-hub/waybill/internal/state"
)

// routerLog leaves out what is no error: a batch that is handed back because the hub stops, or another hub has taken over.
type routerLog struct{ watermill.LoggerAdapter }

func (l routerLog) Error(msg string, err error, fields watermill.LogFields) {
	if errors.Is(err, flow.ErrStopping) || errors.Is(err, state.ErrFenced) || errors.Is(err, context.Canceled) {
		l.LoggerAdapter.Debug(msg+": "+err.Error(), fields)
		return
	}
	l.LoggerAdapter.Error(msg, err, fields)
}

func (l routerLog) With(fields watermill.LogFields) watermill.LoggerAdapter {
	return routerLog{l.LoggerAdapter.With(fields)}
}

// startFlows subscribes every flow and runs the router.
func (h *Hub) startFlows(ctx context.Context) error {
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: 20 * time.Second}, routerLog{watermill.NewSlogLogger(h.log)})
	if err != nil {
		return err
	}
	h.router = router
	paused, err := h.store.PausedFlows(ctx)
	if err != nil {
		return err
	}
	for _, f := range h.plan.Flows {
		if err := h.startFlow(f, pausedFlow(paused, f.Name)); err != nil {
			return fmt.Errorf("flow %s: %w", f.Name, err)
		}
	}
	done := make(chan error, 1)
	// The router's own context never ends by itself: handlers stop when the router is closed, in the order of the stack.
	go func() { done <- router.Run(context.WithoutCancel(ctx)) }()
	err = h.stack.Push("router", 30*time.Second, func(sctx context.Context) error {
		for _, r := range h.flows() {
			if err := r.Stop(sctx); err != nil {
				h.log.Warn("a flow did not stop in time", "flow", r.Flow().Name, "error", err)
			}
		}
		if err := router.Close(); err != nil {
			return err
		}
		return <-done
	})
	if err != nil {
		return err
	}
	select {
	case <-router.Running():
		return nil
	case err := <-done:
		done <- nil
		return errors.Join(errors.New("the router did not start"), err)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (h *Hub) startFlow(f *config.Flow, paused bool) error {
	r, err := flow.New(f, flow.Deps{Plan: h.plan, Store: h.store, Publisher: publisher{h.publisher}, Systems: h.systems, Clock: h.clock,
		Log: h.log, Observer: observer{h.metrics}, Changed: h.kick, Lanes: lanes, MaxRecord: bus.MaxRecord})
	if err != nil {
		return err
	}
	if paused {
		r.Pause()
	}
	return h.subscribe(&running{Runner: r})
}

// subscribe makes the flow read its topic: at the start, and again when a person resumes it after an alarm has ended its
// subscription. The router wants another name for every handler.
func (h *Hub) subscribe(r *running) error {
	f := r.Flow()
	sub, err := h.cluster.Subscriber(bus.SubscriberConfig{Group: f.Group(), Lanes: lanes, Positions: r.Runner, MaxBytes: h.share(),
		Session: h.plan.Hub.TakeOver, OnAlarm: func(err error) { r.RaiseAlarm("broker", err) }})
	if err != nil {
		return err
	}
	name := f.Name
	if r.times++; r.times > 1 {
		name += "/" + strconv.Itoa(r.times)
	}
	h.router.AddConsumerHandler(name, f.Topic(), sub, r.Handle)
	h.mu.Lock()
	r.sub = sub
	h.runners[f.Name] = r
	h.mu.Unlock()
	return nil
}

// revive lets a flow whose subscription an alarm has ended read again.
func (h *Hub) revive(ctx context.Context, r *running) error {
	if err := h.subscribe(r); err != nil {
		return err
	}
	return h.router.RunHandlers(context.WithoutCancel(ctx))
}

// share is what one flow may hold in memory of read and undecided records: 32 MiB keep the lanes of a dozen partitions busy;
// all flows together 256 MiB.
func (h *Hub) share() int64 {
	return max(8<<20, min(32<<20, 256<<20/int64(max(1, len(h.plan.Flows)))))
}

func (h *Hub) flows() []*running {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*running, 0, len(h.runners))
	for _, f := range h.plan.Flows {
		if r, ok := h.runners[f.Name]; ok {
			out = append(out, r)
		}
	}
	return out
}

// kick makes every flow look at its stored queues: a cross-reference was committed, or a person has marked a message.
func (h *Hub) kick() {
	for _, r := range h.flows() {
		r.Kick()
	}
}

func pausedFlow(all []state.Paused, name string) bool {
	for _, p := range all {
		if p.Flow == name {
			return true
		}
	}
	return false
}

// publisher is the bus as the engine wants it.
type publisher struct{ *bus.Publisher }

func (p publisher) Send(ctx context.Context, records []event.Record) []error {
	sent := p.Publisher.Send(ctx, records)
	errs := make([]error, len(sent))
	for i := range sent {
		errs[i] = sent[i].Err
		if sent[i].Err == nil {
			records[i].Partition, records[i].Offset = sent[i].Partition, sent[i].Offset
		}
	}
	return errs
}

// observer turns what the engine tells into metrics.
type observer struct {
	m interface {
		Outcome(flow, outcome, reason string, took time.Duration)
		Retried(flow string)
		Call(system, faultKind string, took time.Duration)
		Alarm(flow, what string)
	}
}

func (o observer) Outcome(flow string, out state.Outcome, reason string, took time.Duration) {
	if out == state.Discarded {
		reason = "" // a person's name is not a label
	}
	o.m.Outcome(flow, string(out), reason, took)
}
func (o observer) Retried(flow string) { o.m.Retried(flow) }
func (o observer) Call(system string, took time.Duration, err error) {
	o.m.Call(system, fault.KindOf(err).String(), took)
}
func (o observer) Alarm(flow, what string, _ error) { o.m.Alarm(flow, what) }
