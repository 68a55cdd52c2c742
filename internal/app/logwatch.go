package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/flow"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

const (
	// lookLogs is how often the topics' logs are held against what the store remembers of them; an alarm makes it at once.
	lookLogs = 10 * time.Second
	// lookAgain is how soon it is looked again at what may pass by itself: brokers that have just started know neither all topics nor
	// all records.
	lookAgain = 2 * time.Second
	// looksUntilSure is how often in a row that must be seen.
	looksUntilSure = 3
)

// startWatch looks at the logs as long as the hub runs, and puts on topics again what a recovery has found to be lost.
func (h *Hub) startWatch(context.Context) error {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { h.watchLogs(ctx) })
	wg.Go(func() { h.resendLost(ctx) })
	return h.stack.Push("watch over the logs", 10*time.Second, func(context.Context) error { stop(); wg.Wait(); return nil })
}

func (h *Hub) watchLogs(ctx context.Context) {
	next := lookLogs
	for lifecycle.Wait(ctx, h.clock, next, h.logs.kick) == nil {
		sure, err := h.lookAtLogs(ctx)
		next = lookLogs
		if err != nil || !sure {
			next = lookAgain
		}
		if err != nil {
			h.log.Debug("the topics' logs cannot be looked at; trying again", "error", err)
			continue
		}
		h.settleFlows(ctx)
		h.fitAgain(ctx)
	}
}

// lookAtLogs finds out what does not fit. sure is false while something is seen that may pass by itself.
func (h *Hub) lookAtLogs(ctx context.Context) (sure bool, err error) {
	h.logs.look.Lock()
	defer h.logs.look.Unlock()
	return h.lookLocked(ctx)
}

func (h *Hub) lookLocked(ctx context.Context) (sure bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	plan := h.plan()
	e, err := h.evidence(ctx, plan)
	if err != nil {
		return false, err
	}
	breaks := store.Survey(readings(plan), *e)
	sure = h.certain(&breaks)
	pending, err := h.store.Resending(ctx)
	if err != nil {
		return false, err
	}
	found := map[string]*state.Break{}
	for i := range breaks {
		found[breaks[i].Topic] = &breaks[i]
	}
	why, lag, waits, err := h.consequences(ctx, plan, breaks, pending)
	if err != nil {
		return false, err
	}
	l := h.logs
	l.mu.Lock()
	for topic, b := range found {
		if old := l.breaks[topic]; old == nil || old.Text != b.Text {
			h.log.Error("a topic's log does not hold what the hub remembers of it", "topic", topic, "cause", b.Cause, "why", b.Text)
		}
	}
	l.known, l.breaks, l.pending, l.why, l.lag, l.waits = e.Logs, found, pending, why, lag, waits
	l.mu.Unlock()
	if len(pending) > 0 {
		nudge(l.resend)
	}
	return sure, h.noteEnds(ctx, e, found)
}

// evidence asks the store and the broker. A topic that is new to the store becomes known.
func (h *Hub) evidence(ctx context.Context, plan *config.Plan) (*store.Evidence, error) {
	// What is stored is read first: an offset that is finished by then is in the log that is looked at after it, or was lost.
	known, err := h.store.Logs(ctx)
	if err != nil {
		return nil, err
	}
	stored, err := h.store.Partitions(ctx, "")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range readings(plan) {
		names = append(names, r.Topic)
	}
	if len(names) == 0 {
		return &store.Evidence{Logs: known, Stored: stored}, nil
	}
	cluster, infos, err := h.cluster.Look(ctx, names...)
	if err != nil {
		return nil, err
	}
	e := &store.Evidence{Logs: known, Stored: stored, Seen: map[string]state.SeenLog{}}
	var fresh []state.TopicLog
	for topic, info := range infos {
		seen := state.SeenLog{Cluster: cluster, TopicID: info.ID}
		for _, p := range info.Partitions {
			seen.Parts = append(seen.Parts, event.Range{From: p.First, To: p.Last})
		}
		e.Seen[topic] = seen
		if _, ok := known[topic]; !ok {
			known[topic] = state.TopicLog{Topic: topic, Cluster: cluster, TopicID: info.ID}
			fresh = append(fresh, known[topic])
		}
	}
	if len(fresh) > 0 {
		if err := h.store.NoteLogs(ctx, fresh); err != nil {
			return nil, err
		}
	}
	e.Committed, err = h.committed(ctx, plan, e)
	return e, err
}

// committed asks what the groups of flows have committed in partitions of which the store has no position.
func (h *Hub) committed(ctx context.Context, plan *config.Plan, e *store.Evidence) (func(flow, topic string) []int64, error) {
	type key struct{ flow, topic string }
	groups, at := map[string]string{}, map[key][]int64{}
	for _, f := range plan.Flows {
		groups[f.Name] = f.Group()
	}
	for _, r := range readings(plan) {
		for _, flow := range r.Readers {
			n := len(e.Seen[r.Topic].Parts)
			if n == 0 || opened(e.Stored, flow, r.Topic, n) {
				continue
			}
			offsets, err := h.cluster.Committed(ctx, groups[flow], r.Topic, n)
			if err != nil {
				return nil, err
			}
			at[key{flow, r.Topic}] = offsets
		}
	}
	if len(at) == 0 {
		return nil, nil
	}
	// A position is stored before anything is committed in its partition: what has been opened meanwhile has one by now.
	stored, err := h.store.Partitions(ctx, "")
	if err != nil {
		return nil, err
	}
	for i := range stored {
		p := &stored[i]
		if offsets := at[key{p.Flow, p.Topic}]; p.Partition < len(offsets) {
			offsets[p.Partition] = -1
		}
	}
	return func(flow, topic string) []int64 { return at[key{flow, topic}] }, nil
}

// opened reports whether the flow has a position in each of n partitions.
func opened(stored []state.Partition, flow, topic string, n int) bool {
	have := 0
	for i := range stored {
		if p := &stored[i]; p.Flow == flow && p.Topic == topic && p.Partition < n {
			have++
		}
	}
	return have == n
}

// certain leaves out what may pass by itself, until it was seen several times in a row.
func (h *Hub) certain(breaks *[]state.Break) bool {
	sure := true
	seen := map[string]int{}
	*breaks = slices.DeleteFunc(*breaks, func(b state.Break) bool {
		if b.Cause != state.BreakMissing && b.Cause != state.BreakEnd {
			return false
		}
		k := b.Topic + " " + b.Cause
		seen[k] = h.logs.doubts[k] + 1
		if seen[k] >= looksUntilSure {
			return false
		}
		sure = false
		return true
	})
	h.logs.doubts = seen
	return sure
}

// consequences says, by flow, why it stands still, and what it has still to get; waits are those that a recovery has let go on already.
func (h *Hub) consequences(ctx context.Context, plan *config.Plan, breaks []state.Break, pending map[string]int64) (why map[string]string, lag map[string]int64, waits map[string]bool, err error) {
	why, lag, waits = map[string]string{}, map[string]int64{}, map[string]bool{}
	rec := &state.Recovery{}
	for i := range breaks {
		if breaks[i].Plan != nil {
			rec.Topics = append(rec.Topics, *breaks[i].Plan)
		}
	}
	would := &state.Recovered{}
	if len(rec.Topics) > 0 {
		if would, err = h.store.Rehearse(ctx, rec); err != nil {
			return nil, nil, nil, err
		}
	}
	for i := range breaks {
		b := &breaks[i]
		again, lost := map[string]int64{}, map[string]int64{}
		for _, t := range would.Topics {
			if t.Topic != b.Topic {
				continue
			}
			for _, f := range t.Flows {
				for _, p := range f.Parts {
					again[f.Flow] += p.Again
					lost[f.Flow] += p.Lost
				}
			}
		}
		for _, f := range b.Flows {
			why[f.Flow] = fmt.Sprintf("%s: %s; %s; start the hub on the right broker, or see what `waybill recover %s --dry-run` would do",
				b.Topic, f.Text, concerned(again[f.Flow], lost[f.Flow]), f.Flow)
			lag[f.Flow] = again[f.Flow] + lost[f.Flow] + readable(b, f.Flow)
		}
	}
	for _, f := range plan.Flows {
		for i := range breaks {
			if b := &breaks[i]; b.Topic == f.To.Topic && b.Whole && why[f.Name] == "" {
				why[f.Name] = fmt.Sprintf("it waits before it writes to %s: %s; see what `waybill recover --dry-run` would do", b.Topic, b.Text)
			}
		}
		if n := pending[f.To.Topic]; n > 0 && why[f.Name] == "" {
			why[f.Name] = fmt.Sprintf("it waits until %d records are on %s again that come before", n, f.To.Topic)
			waits[f.Name] = true
		}
	}
	return why, lag, waits, nil
}

func concerned(again, lost int64) string {
	switch {
	case lost > 0:
		return fmt.Sprintf("%d records without a fate can be had again, %d are gone that only their producers can send again", again, lost)
	case again > 0:
		return fmt.Sprintf("%d records without a fate can be had again, none is lost", again)
	}
	return "no record is known that would be lost"
}

// readable counts what a flow finds in the log where it goes on.
func readable(b *state.Break, flow string) (n int64) {
	if b.Plan == nil {
		return 0
	}
	for _, m := range b.Plan.Moves {
		if m.Flow == flow && m.Partition < len(b.Plan.Ends) {
			n += max(0, b.Plan.Ends[m.Partition]-m.New.Next)
			for _, d := range m.New.Done {
				n -= d.To - d.From
			}
		}
	}
	return n
}

// noteEnds records how far logs reach that are what they were.
func (h *Hub) noteEnds(ctx context.Context, e *store.Evidence, found map[string]*state.Break) error {
	var note []state.TopicLog
	for topic, seen := range e.Seen {
		k := e.Logs[topic]
		doubtful := h.logs.doubts[topic+" "+state.BreakEnd] > 0
		if b := found[topic]; b != nil && b.Whole || doubtful {
			continue
		}
		now := state.TopicLog{Topic: topic, Life: k.Life, Cluster: seen.Cluster, TopicID: seen.TopicID}
		for _, p := range seen.Parts {
			now.Ends = append(now.Ends, p.To)
		}
		if !slices.Equal(now.Ends, k.Ends) {
			note = append(note, now)
		}
	}
	if len(note) == 0 {
		return nil
	}
	return h.store.NoteLogs(ctx, note)
}

// alarmFlow lets a flow stand still, or not, as its topics' logs want it.
func (h *Hub) alarmFlow(r *running) (still bool) {
	why, _, _ := h.logs.of(r.Flow().Name)
	if why == "" {
		return false
	}
	if a := r.Alarmed(); a == nil {
		r.RaiseAlarm(brokerAlarm, fmt.Errorf("%w: %s", state.ErrBroker, why))
	}
	return true
}

// brokerAlarm is the name of alarms that end by themselves when the broker holds again what the store remembers.
const brokerAlarm = "broker"

// settleFlows lets flows stand still whose topics' logs do not fit, and go on those whose logs fit again: because a person has
// recovered, maybe at another hub, or because the right broker is back.
func (h *Hub) settleFlows(ctx context.Context) {
	for _, r := range h.flows() {
		name := r.Flow().Name
		if h.alarmFlow(r) {
			h.logs.unreadable(r.Flow())
			continue
		}
		a := r.Alarmed()
		if a == nil || a.What != brokerAlarm || !errors.Is(a.Err, state.ErrBroker) && !errors.Is(a.Err, bus.ErrPosition) {
			continue
		}
		h.logs.mu.Lock()
		ended := h.logs.ended[name] || errors.Is(a.Err, bus.ErrPosition)
		delete(h.logs.ended, name)
		h.logs.mu.Unlock()
		h.pausing.Lock()
		if h.paused[name] {
			r.Calm()
		} else {
			r.Resume()
		}
		h.pausing.Unlock()
		h.log.Info("the flow goes on: the broker holds what the hub remembers", "flow", name)
		if !ended {
			continue
		}
		if err := h.revive(ctx, name); err != nil && ctx.Err() == nil {
			r.RaiseAlarm(brokerAlarm, err)
			h.log.Error("a flow that could go on cannot read", "flow", name, "error", err)
		}
	}
}

// broken is the alarm of a subscription: the flow reads no more.
func (h *Hub) broken(r *flow.Runner, err error) {
	h.logs.mu.Lock()
	h.logs.ended[r.Flow().Name] = true
	h.logs.mu.Unlock()
	r.RaiseAlarm(brokerAlarm, err)
	nudge(h.logs.kick)
}

// foreign records that a topic which flows write to has other writers too.
func (h *Hub) foreign(topic string) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.store.NoteForeign(ctx, topic); err != nil {
			h.log.Debug("cannot note that others write to a topic", "topic", topic, "error", err)
		}
	}()
}
