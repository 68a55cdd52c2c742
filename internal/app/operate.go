package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/console"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/zones"
)

var errNotReady = errors.New("the hub is starting or stopping")

func (h *Hub) isReady() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ready
}

// Ready is nil when the hub can take webhooks and keep what it promises: that needs the store. Without the broker they wait in the inbox, and
// a load balancer that took every hub away for that would have them refused.
func (h *Hub) Ready(ctx context.Context) error {
	if !h.isReady() {
		return errNotReady
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := h.store.Ping(ctx); err != nil {
		return fmt.Errorf("the store does not answer: %w", err)
	}
	return nil
}

// Trace is everything the hub remembers about a key.
func (h *Hub) Trace(ctx context.Context, key string) (state.Trace, error) {
	return h.store.Trace(ctx, key)
}

// Queued lists messages of the stored queues.
func (h *Hub) Queued(ctx context.Context, f state.QueueFilter) ([]state.Queued, error) {
	return h.store.Parked(ctx, f)
}

// Pause holds a flow on every hub from its next message on.
func (h *Hub) Pause(ctx context.Context, name, who string) error {
	return h.setPaused(ctx, name, who, true)
}

// Resume lets a paused or alarmed flow go on.
func (h *Hub) Resume(ctx context.Context, name, who string) error {
	return h.setPaused(ctx, name, who, false)
}

func (h *Hub) setPaused(ctx context.Context, name, who string, paused bool) error {
	if _, broken := h.logs.stands(name); broken && !paused {
		why, _, _ := h.logs.of(name)
		return fmt.Errorf("%w: %s", api.ErrBroken, why)
	}
	alarmed, err := h.turnFlow(ctx, name, who, paused)
	if err != nil || paused {
		return err
	}
	h.resumeSource(name)
	if alarmed {
		return h.revive(ctx, name)
	}
	return nil
}

// turnFlow stores that the flow is paused or goes on, and tells its runner; alarmed: that one stood still by an alarm.
func (h *Hub) turnFlow(ctx context.Context, name, who string, paused bool) (alarmed bool, err error) {
	h.pausing.Lock()
	defer h.pausing.Unlock()
	h.mu.Lock()
	r := h.runners[name]
	h.mu.Unlock()
	if r == nil {
		return false, fmt.Errorf("flow %q: %w", name, state.ErrNotFound)
	}
	if err := h.store.SetPaused(ctx, name, paused, who); err != nil {
		return false, err
	}
	if !paused && !h.paused[name] {
		// Nothing was stored that could be taken back: the flow stands still by an alarm, maybe of another hub, which learns of it by this.
		if err := h.store.WriteAudit(ctx, state.Audit{Who: who, Action: "resume", Object: "flow/" + name}); err != nil {
			return false, err
		}
	}
	failpoint.Hit(failpoint.PauseStored)
	h.paused[name] = paused
	if paused {
		r.Pause()
		return false, nil
	}
	if still, _ := h.logs.stands(name); still {
		return false, nil // it goes on by itself, very soon
	}
	alarmed = r.Alarmed() != nil
	r.Resume()
	return alarmed, nil
}

// Audits lists what people did, newest first.
func (h *Hub) Audits(ctx context.Context, limit int) ([]state.Audit, error) {
	return h.store.Audits(ctx, limit)
}

// Status is the hub at a glance, computed from what is stored and from the broker's ends. Where the broker does not answer, it says so, and
// counts with the ends that were seen last.
func (h *Hub) Status(ctx context.Context) (*api.Status, error) {
	totals, stored, duplicates, err := h.store.Glance(ctx)
	if err != nil {
		return nil, err
	}
	// After the store: what is finished meanwhile is not counted twice.
	ends, silent := h.ends.look(ctx, h)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	lags := h.lags(stored, ends)
	byFlow := map[string]*state.FlowTotals{}
	for i := range totals {
		byFlow[totals[i].Flow] = &totals[i]
	}
	now := h.clock.Now()
	st := &api.Status{Version: h.version, Zones: zones.Current().String(), Time: now, Started: h.started, Plan: planView(h.now.Load()), Broker: api.Broker{State: api.BrokerUp, Remarks: h.brokerRemarks()}, Flows: []api.Flow{}, Systems: []api.System{}, Reconciliations: []api.Reconciliation{}}
	if silent != nil {
		st.Broker = api.Broker{State: api.BrokerDown, Why: "the broker does not answer; what waits on its topics is counted as it was seen last: " + silent.Error()}
	}
	for _, r := range h.flows() {
		sweep, err := h.sweepOf(ctx, r.Flow())
		if err != nil {
			return nil, err
		}
		f := h.flowStatus(r, byFlow[r.Flow().Name], lags[r.Flow().Name], sweep, now)
		st.Totals.Add(&f.Totals)
		st.Flows = append(st.Flows, f)
	}
	st.Totals.Duplicates = duplicates
	systems := h.systems()
	for _, name := range sortedKeys(systems) {
		s := systems[name]
		v := api.System{Name: name, Connector: s.Kind, State: "up"}
		if since, cause, open := s.Breaker.Open(); open {
			v.State, v.Since = "down", &since
			if cause != nil {
				v.Why = cause.Error()
			}
		}
		st.Systems = append(st.Systems, v)
	}
	for _, r := range h.plan().Reconciliations {
		st.Reconciliations = append(st.Reconciliations, api.Reconciliation{Name: r.Name, State: "never-run"})
	}
	return st, nil
}

// topicEnds is how far the topics' logs reached when the broker was asked last.
type topicEnds struct {
	mu     sync.Mutex
	seen   map[string]bus.TopicInfo
	silent error // of the last time; nil: it answered
}

const (
	// endsPatience is how long a status waits for the broker: leaders of new topics, or after a broker's end, are only just being chosen.
	endsPatience = 5 * time.Second
	// silentPatience is how long it waits for one that did not answer the last time either.
	silentPatience = time.Second
)

// look asks the broker. Where it does not answer, that is given beside what was seen last.
func (e *topicEnds) look(ctx context.Context, h *Hub) (map[string]bus.TopicInfo, error) {
	topics := map[string]bool{}
	for _, f := range h.plan().Flows {
		topics[f.Topic()] = true
	}
	e.mu.Lock()
	patience := endsPatience
	if e.silent != nil {
		patience = silentPatience
	}
	e.mu.Unlock()
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		ends, err := h.cluster.Describe(ctx, sortedKeys(topics)...)
		if err != nil && ctx.Err() == nil && lifecycle.Sleep(ctx, h.clock, 200*time.Millisecond) == nil {
			continue
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if err == nil {
			e.seen = ends
		}
		if asked.Err() == nil { // who asked and went away says nothing of the broker
			e.silent = err
		}
		return e.seen, err
	}
}

// lags counts, by flow, the records on its topic that have no fate yet: from the stored positions and the broker's ends, so that
// partitions which nobody reads at the moment count as well.
func (h *Hub) lags(stored []state.Partition, ends map[string]bus.TopicInfo) map[string]int64 {
	type key struct {
		flow, topic string
		partition   int
	}
	done := map[key]*state.Partition{}
	for i := range stored {
		p := &stored[i]
		done[key{p.Flow, p.Topic, p.Partition}] = p
	}
	lags := map[string]int64{}
	for _, f := range h.plan().Flows {
		for n, p := range ends[f.Topic()].Partitions {
			lag := p.Last - p.First
			if at := done[key{f.Name, f.Topic(), n}]; at != nil {
				lag = p.Last - at.Position.Next
				for _, r := range at.Position.Done {
					lag -= r.To - r.From
				}
			}
			lags[f.Name] += max(0, lag)
		}
		h.logs.mu.Lock()
		lags[f.Name] += h.logs.pending[f.Topic()]
		h.logs.mu.Unlock()
		if _, lag, ok := h.logs.of(f.Name); ok { // offsets of a log that is not the one say nothing
			lags[f.Name] = lag
		}
	}
	return lags
}

// freshMetrics serves the metrics with what the flows have now: who scrapes does not ask for the status.
func (h *Hub) freshMetrics() http.Handler {
	serve := h.metrics.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 8*time.Second) // a scrape takes 10 s at most, by default
		defer cancel()
		if _, err := h.Status(ctx); err != nil {
			h.metrics.ForgetFlows()
			h.log.Warn("what the flows have is not known, and left out of the metrics", "error", err)
		}
		serve.ServeHTTP(w, r)
	})
}

func (h *Hub) flowStatus(r *running, t *state.FlowTotals, lag int64, sweep *api.Sweep, now time.Time) api.Flow {
	def := r.Flow()
	f := api.Flow{Name: def.Name, Entity: def.Entity, From: place(def.From.Topic, def.From.System), To: place(def.To.Topic, def.To.System), Lag: lag, Sweep: sweep}
	if t == nil {
		t = &state.FlowTotals{}
	}
	f.Delivered, f.Parked, f.Waiting, f.Discarded, f.Retried = t.Delivered, t.Parked, t.Waiting, t.Discarded, t.Retried
	f.SkippedBy = t.Skipped
	for _, n := range t.Skipped {
		f.Skipped += n
	}
	f.InFlight = t.Held + t.Unpublished + f.Lag
	f.Accepted = t.Finished + t.Unpublished + f.Lag
	f.Unaccounted = t.Unaccounted()
	moving := age(t.Oldest, now)
	f.ParkedSeconds = age(t.OldestParked, now)
	f.OldestSeconds = max(moving, f.ParkedSeconds)
	if !t.LastDelivered.IsZero() {
		f.LastDelivered = &t.LastDelivered
	}
	f.State, f.Why = h.flowState(r, &f, moving, now)
	f.Remarks = h.sourceRemarks(def.Name)
	for where, n := range map[string]int64{"lag": f.Lag, "parked": f.Parked, "waiting": f.Waiting, "held": t.Held, "unpublished": t.Unpublished, "unaccounted": f.Unaccounted} {
		h.metrics.Flow(f.Name, where, float64(n))
	}
	return f
}

func age(since, now time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return now.Sub(since).Seconds()
}

// flowState names the worst that can be said of a flow. moving is the age in seconds of the oldest message that the hub has to move by
// itself: what is parked waits for a person, and no time makes the flow late for that.
func (h *Hub) flowState(r *running, f *api.Flow, moving float64, now time.Time) (name, why string) {
	def := r.Flow()
	if a := r.Alarmed(); a != nil {
		why := a.Err.Error()
		if now, _, _ := h.logs.of(def.Name); now != "" && a.What == brokerAlarm {
			why = now
		}
		return api.StateAlarm, a.What + ": " + why
	}
	if why := h.sourceTrouble(def.Name); why != "" {
		return api.StateFailing, why
	}
	if s, ok := h.systems()[def.To.System]; ok {
		if _, cause, open := s.Breaker.Open(); open {
			why := s.Name + " does not answer"
			if cause != nil {
				why += ": " + cause.Error()
			}
			return api.StateFailing, why
		}
	}
	if r.Paused() {
		return api.StatePaused, ""
	}
	if why := h.waiting.of(def.Name); why != "" {
		return api.StateLate, why
	}
	if l := def.SLO.LateAfter; l > 0 && moving > l.Seconds() {
		return api.StateLate, "the oldest message is older than " + l.String()
	}
	if s := def.SLO.SilentAfter; s > 0 {
		last := h.started
		if f.LastDelivered != nil && f.LastDelivered.After(last) {
			last = *f.LastDelivered
		}
		if now.Sub(last) > s {
			return api.StateSilent, "nothing delivered for " + now.Sub(last).Round(time.Second).String()
		}
	}
	if f.Sweep != nil && f.Sweep.State == api.SweepHeld {
		return api.StateAttention, f.Sweep.Text
	}
	if f.Parked > 0 {
		return api.StateAttention, fmt.Sprintf("%d parked: waybill parked list --flow %s", f.Parked, f.Name)
	}
	return api.StateRunning, ""
}

func place(topic, system string) string {
	if topic != "" {
		return topic
	}
	return system
}

// listenAPI serves the API and the console.
func (h *Hub) listenAPI(context.Context) error {
	cfg := api.Config{Tokens: apiTokens(h.plan()), Metrics: h.freshMetrics(), Console: console.Handler(), Log: h.log}
	h.api = api.New(h, cfg)
	addr, err := h.serve("API", h.plan().Hub.HTTP.Listen, api.HTTPServer(h.api))
	h.apiAddr = addr
	return err
}

// serve listens and serves until the stack stops it.
func (h *Hub) serve(name, listen string, srv *http.Server) (net.Addr, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", listen, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("a listener has ended", "listener", name, "error", err)
		}
	}()
	return l.Addr(), h.stack.Push(name+" listener", 10*time.Second, func(ctx context.Context) error {
		err := srv.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, srv.Close())
		}
		<-done
		return err
	})
}
