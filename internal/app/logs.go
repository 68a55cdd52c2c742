package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// resendLost puts on topics again what is lost, in order, one hub at a time.
func (h *Hub) resendLost(ctx context.Context) {
	for lifecycle.Wait(ctx, h.clock, lookLogs, h.logs.resend) == nil {
		pending, err := h.store.Resending(ctx)
		if err != nil || len(pending) == 0 {
			continue
		}
		for _, topic := range slices.Sorted(maps.Keys(pending)) {
			if h.logs.brokenLog(topic) {
				continue
			}
			if err := h.resendTopic(ctx, topic); err != nil && ctx.Err() == nil {
				h.log.Warn("putting records on a topic again failed; trying again", "topic", topic, "error", err)
			}
		}
		nudge(h.logs.kick)
	}
}

// resendBatches is how many outbox rows are read at once.
const resendBatches = 16

func (h *Hub) resendTopic(ctx context.Context, topic string) error {
	const ttl = 15 * time.Second
	lease, ok, err := h.store.AcquireLease(ctx, "resend/"+topic, h.logs.holder, ttl)
	if err != nil || !ok {
		return err
	}
	defer func() {
		if err := h.store.ReleaseLease(context.WithoutCancel(ctx), lease); err != nil {
			h.log.Debug("cannot give back a lease; it will run out", "lease", lease.Name, "error", err)
		}
	}()
	sent := 0
	for {
		life := h.logs.Life(topic)
		batches, err := h.store.Lost(ctx, topic, resendBatches)
		if err != nil {
			return err
		}
		if len(batches) == 0 {
			h.log.Info("records are on their topic again", "topic", topic, "records", sent)
			return nil
		}
		for i := range batches {
			at, err := h.sendAgain(ctx, topic, batches[i].Records)
			if err != nil {
				return err
			}
			if err := h.store.Resent(ctx, lease, batches[i].ID, life, at); err != nil {
				return err
			}
			sent += len(at)
		}
		if lease, err = h.store.RenewLease(ctx, lease, ttl); err != nil {
			return err
		}
	}
}

// sendAgain sends until every record is on the topic. What fails is sent again before anything behind it.
func (h *Hub) sendAgain(ctx context.Context, topic string, records []event.Record) ([]state.PublishedAt, error) {
	at := make([]state.PublishedAt, len(records))
	open := make([]int, len(records))
	for i := range open {
		open[i] = i
	}
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		batch := make([]event.Record, len(open))
		for j, i := range open {
			batch[j] = records[i]
		}
		var failed []int
		var cause error
		for j, s := range h.publisher.Send(ctx, batch) {
			if s.Err != nil {
				failed, cause = append(failed, open[j]), s.Err
				continue
			}
			at[open[j]] = state.PublishedAt{Topic: topic, Partition: s.Partition, Offset: s.Offset}
		}
		if open = failed; len(open) == 0 {
			return at, nil
		}
		if h.logs.brokenLog(topic) {
			return nil, cause
		}
		if err := lifecycle.Sleep(ctx, h.clock, wait); err != nil {
			return nil, errors.Join(err, cause)
		}
	}
}

// pruneOutbox removes what all readers have finished, if the logs are those that the positions are of.
func (h *Hub) pruneOutbox(ctx context.Context) (int64, error) {
	plan := h.plan()
	return h.store.PruneOutbox(ctx, readers(plan), func(ctx context.Context) error {
		e, err := h.evidence(ctx, plan)
		if err != nil {
			return err
		}
		var torn []string
		for _, b := range store.Survey(readings(plan), *e) {
			if b.Whole {
				torn = append(torn, b.Topic)
			}
		}
		if len(torn) > 0 {
			return fmt.Errorf("the logs of %s are not what they were: %w", strings.Join(torn, ", "), state.ErrBroker)
		}
		return nil
	})
}
