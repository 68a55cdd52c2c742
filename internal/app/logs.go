package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// logs is what the hub knows of its topics' logs, and who stands still because of them. Everything that publishes asks it.
type logs struct {
	look sync.Mutex // held while the logs are looked at, or a recovery is made

	mu      sync.Mutex
	known   map[string]state.TopicLog
	breaks  map[string]*state.Break // by topic
	pending map[string]int64        // records that are to be put on a topic again, by topic
	why     map[string]string       // what the status says, by flow
	lag     map[string]int64        // what a flow has still to get, where offsets do not tell
	waits   map[string]bool         // flows that stand still only until what comes first is on its topic
	ended   map[string]bool         // flows that have to subscribe anew
	doubts  map[string]int          // how often in a row something was seen that may pass, by topic and cause

	kick   chan struct{} // of capacity one: look now
	resend chan struct{} // of capacity one: something is to be put on a topic again
	holder string
}

func newLogs() *logs {
	return &logs{ended: map[string]bool{}, doubts: map[string]int{}, kick: make(chan struct{}, 1), resend: make(chan struct{}, 1)}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Life is the life of the topic's log that is known.
func (l *logs) Life(topic string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known[topic].Life
}

// Held says why nothing may be published to the topic.
func (l *logs) Held(topic string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held(topic)
}

// held: what would be published now would lie before what has to come first, or in a log that is not the one.
func (l *logs) held(topic string) error {
	if b := l.breaks[topic]; b != nil && b.Whole {
		return fmt.Errorf("topic %s: %s: %w", topic, b.Text, state.ErrBroker)
	}
	if n := l.pending[topic]; n > 0 {
		return fmt.Errorf("topic %s: %d records are put there again first: %w", topic, n, state.ErrBroker)
	}
	return nil
}

// brokenLog reports whether the topic's log is not the one that the hub knows.
func (l *logs) brokenLog(topic string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.breaks[topic]
	return b != nil && b.Whole
}

// of gives what the status says of a flow that stands still because of a log, and what it has still to get.
func (l *logs) of(flow string) (why string, lag int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lag, ok = l.lag[flow]
	return l.why[flow], lag, ok
}

// stands says that the flow must not go on now; broken: not without a recovery.
func (l *logs) stands(flow string) (still, broken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why[flow] != "", l.why[flow] != "" && !l.waits[flow]
}

// unreadable reports whether the flow cannot read its topic as it is, and remembers that it has to subscribe anew when it can.
func (l *logs) unreadable(f *config.Flow) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.breaks[f.Topic()]
	if b == nil || !slices.ContainsFunc(b.Flows, func(r state.BrokenFlow) bool { return r.Flow == f.Name }) {
		return false
	}
	l.ended[f.Name] = true
	return true
}

// relayLogs is what the relays ask.
type relayLogs struct{ h *Hub }

func (r relayLogs) Held(topic string) error { return r.h.logs.Held(topic) }
func (r relayLogs) Life(topic string) int64 { return r.h.logs.Life(topic) }

// Same asks the broker, not the memory: a topic can be made again at any moment.
func (r relayLogs) Same(ctx context.Context, topic string, life int64) error {
	cluster, id, err := r.h.cluster.Identity(ctx, topic)
	if err != nil {
		if errors.Is(err, bus.ErrNoTopic) {
			nudge(r.h.logs.kick)
		}
		return err
	}
	r.h.logs.mu.Lock()
	known, ok := r.h.logs.known[topic]
	r.h.logs.mu.Unlock()
	other := func(a, b string) bool { return a != "" && b != "" && a != b }
	if ok && (known.Life != life || other(known.Cluster, cluster) || other(known.TopicID, id)) {
		nudge(r.h.logs.kick)
		return fmt.Errorf("topic %s has the id %s in cluster %s, and had %s in %s: %w", topic, id, cluster, known.TopicID, known.Cluster, state.ErrBroker)
	}
	return nil
}

// readings are the topics that flows of the plan read, with who writes them.
func readings(plan *config.Plan) []state.Reading {
	byTopic := map[string]*state.Reading{}
	for _, f := range plan.Flows {
		topic := f.Topic()
		r := byTopic[topic]
		if r == nil {
			r = &state.Reading{Topic: topic}
			byTopic[topic] = r
		}
		r.Readers = append(r.Readers, f.Name)
		if f.From.System != "" {
			r.Inbox = f.Name
		}
	}
	for _, f := range plan.Flows {
		if r := byTopic[f.To.Topic]; r != nil {
			r.Writers = append(r.Writers, f.Name)
		}
	}
	out := make([]state.Reading, 0, len(byTopic))
	for _, topic := range slices.Sorted(maps.Keys(byTopic)) {
		out = append(out, *byTopic[topic])
	}
	return out
}

// readers are the flows that read each topic.
func readers(plan *config.Plan) map[string][]string {
	out := map[string][]string{}
	for _, r := range readings(plan) {
		out[r.Topic] = r.Readers
	}
	return out
}

// startLogs looks at the logs before anything reads or writes them.
func (h *Hub) startLogs(ctx context.Context) error {
	h.logs.holder = h.holder()
	if err := h.learnLogs(ctx); err != nil {
		return err
	}
	deadline, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		sure, err := h.lookAtLogs(deadline)
		if err == nil && sure {
			return nil
		}
		// Leaders of new topics, or after a broker's end, are only just being chosen.
		if lifecycle.Sleep(deadline, h.clock, 300*time.Millisecond) != nil {
			return err
		}
	}
}

// learnLogs makes the topics' logs known: those of topics that are new, and how far the hub itself has written.
func (h *Hub) learnLogs(ctx context.Context) error {
	known, err := h.store.Logs(ctx)
	if err != nil {
		return err
	}
	tops, err := h.store.Tops(ctx)
	if err != nil {
		return err
	}
	var note []state.TopicLog
	for topic, ends := range tops {
		if l, ok := known[topic]; ok {
			l.Ends = ends
			note = append(note, l)
		}
	}
	if len(note) == 0 {
		return nil
	}
	return h.store.NoteLogs(ctx, note)
}
