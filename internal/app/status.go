package app

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/flow/breaker"
	"github.com/waybill-hub/waybill/internal/intake"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/status"
	"github.com/waybill-hub/waybill/internal/webhook"
	"github.com/waybill-hub/waybill/internal/zones"
)

// Status is the hub at a glance, computed from what is stored and from the broker's ends. Where the store or the broker does not answer, it says
// so, and counts with what was seen last.
func (h *Hub) Status(ctx context.Context) (*api.Status, error) {
	seen, away := h.seen.look(ctx, h)
	// After the store: what is finished meanwhile is not counted twice.
	ends, silent := h.ends.look(ctx, h)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	g := &statusParts{totals: map[string]*state.FlowTotals{}, paused: map[string]state.Paused{}, systems: h.systemFacts(),
		refused: h.intake.Webhooks().Refused(), troubles: h.notices.Open()}
	g.lags, g.oldest = h.backlog(ctx, seen.parts, ends)
	g.now = h.clock.Now()
	g.timely = h.timeliness(seen.timely)
	for i := range seen.totals {
		g.totals[seen.totals[i].Flow] = &seen.totals[i]
	}
	for _, p := range seen.paused {
		g.paused[p.Flow] = p
	}
	st := &api.Status{Version: h.version, Zones: zones.Current().String(), Time: g.now, Started: h.started, Plan: planView(h.now.Load()), Flows: []api.Flow{}, Systems: []api.System{}, Access: api.Access{Certificates: h.certificateViews()}}
	hub := h.judgeHub(st, silent, away)
	for _, r := range h.flows() {
		f := h.flowStatus(r, g, seen.sweeps[r.Flow().Name], hub)
		if b, ok := seen.backfills[f.Name]; ok && (!b.State.Over() || g.now.Sub(b.Finished) < backfillShown) {
			f.Backfill = api.BackfillView(&b)
		}
		st.Totals.Add(&f.Totals)
		st.Flows = append(st.Flows, f)
	}
	st.Totals.Duplicates = seen.duplicates
	if now := h.restored.now.Load(); now.Settling() || now != nil && st.Time.Sub(now.Ended) < restoredShown {
		st.Restored = h.restoredView(now)
	}
	for _, name := range sortedKeys(g.systems) {
		st.Systems = append(st.Systems, systemStatus(g.systems[name]))
	}
	h.measureStates(st)
	st.Refused, st.Troubles = refusedStatus(g.refused), troubleStatus(g.troubles)
	plan := h.plan()
	st.Reconciliations, st.Rules = h.reconciliationViews(plan, &seen.runs), h.ruleViews(plan, &seen.runs)
	h.measureRuns(st)
	st.Summarize()
	return st, nil
}

// statusParts is what a status is made of, by name of the flow or system.
type statusParts struct {
	now     time.Time
	totals  map[string]*state.FlowTotals
	lags    map[string]int64
	oldest  map[string]time.Time // when the oldest record was accepted that waits on the flow's topic
	timely  map[string]state.Timeliness
	paused  map[string]state.Paused
	systems map[string]*status.SystemFacts
	// refused is what was refused at the webhooks, troubles what was told and is not over, the newest first.
	refused  []webhook.Refused
	troubles []notice.Entry
}

// judgeHub fills in what is to be said of the hub itself and of its broker; silent is why the broker does not answer, away why the store does not.
func (h *Hub) judgeHub(st *api.Status, silent, away error) *status.HubFacts {
	facts := &status.HubFacts{Clock: h.clocks.facts(h.clock.Elapsed()), Store: status.StoreFacts{Trouble: h.storeTrouble()}}
	if away != nil {
		facts.Store.Trouble = cmp.Or(facts.Store.Trouble, "the store does not answer, and what it holds is counted as it was seen last: "+away.Error())
	}
	if silent != nil {
		facts.Broker.Silent = silent.Error()
	}
	facts.Alerts.Trouble = h.alertTrouble()
	if h.embedded != nil {
		if t := h.embedded.Trouble(); t != nil {
			facts.Broker.Silent, facts.Disk.Trouble = t.Why, t.Why
		}
	}
	broker, self := facts.JudgeBroker(), facts.Judge()
	st.Broker = api.Broker{State: broker.State, Why: broker.Why, Remarks: h.brokerRemarks()}
	st.Hub = api.Self{State: self.State, Why: self.Why}
	for _, c := range facts.Causes() {
		st.Hub.Causes = append(st.Hub.Causes, api.HubCause{Of: c.Of, State: c.State, Why: c.Why})
	}
	return facts
}

// systemFacts are what is known of each system.
func (h *Hub) systemFacts() map[string]*status.SystemFacts {
	systems, now := h.systems(), h.clock.Elapsed()
	out := make(map[string]*status.SystemFacts, len(systems))
	for name, s := range systems {
		f := &status.SystemFacts{Name: name, Connector: s.ConnectorName(), CallTime: s.took.lately(now)}
		f.Write, f.Read = direction(name, s.Breaker), direction(name, s.reads)
		out[name] = f
	}
	return out
}

// direction is how one direction of a system does; the system, which is named beside it, does not begin its cause.
func direction(system string, b *breaker.Breaker) status.Direction {
	h := b.Health()
	d := status.Direction{Failing: h.Failing, Since: h.Since, Lasts: h.Lasts, Down: h.Down, Refused: h.Refused}
	if h.Cause != nil {
		d.Cause = strings.TrimPrefix(h.Cause.Error(), system+": ")
	}
	return d
}

func systemStatus(f *status.SystemFacts) api.System {
	verdict := f.Judge()
	v := api.System{Name: f.Name, Connector: f.Connector, State: verdict.State, Why: verdict.Why, Write: directionStatus(&f.Write), Read: directionStatus(&f.Read), CallSeconds: f.CallTime.Seconds()}
	if worst := f.Worst(); worst.Failing {
		v.Since = &worst.Since
	}
	return v
}

func directionStatus(d *status.Direction) api.Direction {
	verdict := d.Judge()
	v := api.Direction{State: verdict.State, Why: verdict.Why}
	if d.Failing {
		v.Since = &d.Since
	}
	return v
}

// freshMetrics serves the metrics with what the flows have now: who scrapes does not ask for the status.
func (h *Hub) freshMetrics() http.Handler {
	serve := h.metrics.Handler()
	failures := notice.NewLimiter(h.clock, h.log)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 8*time.Second) // a scrape takes 10 s at most, by default
		defer cancel()
		_, err := h.Status(ctx)
		if err == nil {
			err = h.seen.away()
		}
		if err != nil {
			h.metrics.ForgetFlows()
			failures.Warn("what the flows have is not known, and left out of the metrics", err)
		}
		serve.ServeHTTP(w, r)
	})
}

// flowStatus counts and judges one flow.
func (h *Hub) flowStatus(r *running, g *statusParts, sweep *api.Sweep, hub *status.HubFacts) api.Flow {
	def := r.Flow()
	f := api.Flow{Name: def.Name, Entity: def.Entity, From: place(def.From.Topic, def.From.System), To: place(def.To.Topic, def.To.System), Lag: g.lags[def.Name], Sweep: sweep}
	t := g.totals[def.Name]
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
	facts := h.flowFacts(r, g, t)
	f.InFlightSeconds = facts.Backlog.Oldest.Seconds()
	f.ParkedSeconds, f.WaitingSeconds = status.Age(t.OldestParked, g.now).Seconds(), status.Age(t.OldestWaiting, g.now).Seconds()
	f.OldestSeconds = max(f.InFlightSeconds, f.ParkedSeconds, f.WaitingSeconds)
	f.OnTime = onTime(def.SLO.LateAfter, g.timely[def.Name])
	if !t.LastDelivered.IsZero() {
		f.LastDelivered = &t.LastDelivered
	}
	facts.Hub = hub
	if sweep != nil && sweep.State == api.SweepHeld {
		facts.Source.Held = sweep.Text
	}
	f.Remarks = h.sourceRemarks(def.Name)
	for _, r := range f.Remarks {
		if r.Kind == string(connector.Failed) {
			facts.Source.Failed = intake.RemarkText(connector.Remark{Kind: connector.Failed, Count: r.Count}) // the remark itself says which
		}
	}
	verdict := facts.Judge()
	f.State, f.Why = verdict.State, verdict.Why
	if facts.Paused != nil {
		f.Paused = &api.Pause{By: facts.Paused.Who, Since: facts.Paused.Since}
	}
	h.measure(&f, t)
	return f
}

// measure gives the metrics what the status says of a flow.
func (h *Hub) measure(f *api.Flow, t *state.FlowTotals) {
	for where, n := range map[string]int64{"lag": f.Lag, "parked": f.Parked, "waiting": f.Waiting, "held": t.Held, "unpublished": t.Unpublished, "unaccounted": f.Unaccounted} {
		h.metrics.Flow(f.Name, where, float64(n))
	}
	for where, age := range map[string]float64{"in_flight": f.InFlightSeconds, "parked": f.ParkedSeconds, "waiting": f.WaitingSeconds} {
		h.metrics.Oldest(f.Name, where, age)
	}
	h.metrics.OnTime(f.Name, f.OnTime.Hour.Share, f.OnTime.Day.Share)
}

// measureStates gives the metrics the states, also those that were seen last where the store does not answer: that itself is one.
func (h *Hub) measureStates(st *api.Status) {
	h.metrics.State("hub", "", st.Hub.State, status.HubStates)
	h.metrics.State("broker", "", st.Broker.State, status.BrokerStates)
	for i := range st.Flows {
		h.metrics.State("flow", st.Flows[i].Name, st.Flows[i].State, status.FlowStates)
	}
	for i := range st.Systems {
		h.metrics.State("system", st.Systems[i].Name, st.Systems[i].State, status.SystemStates)
	}
}

func onTime(after time.Duration, t state.Timeliness) api.OnTime {
	of := func(n state.Timely) api.Delivered {
		return api.Delivered{Delivered: n.Delivered, Late: n.Late, Share: status.Share(n.Delivered-n.Late, n.Delivered)}
	}
	return api.OnTime{LateAfterSeconds: after.Seconds(), Hour: of(t.Hour), Day: of(t.Day)}
}

// flowFacts are what is known of a flow beside its counts.
func (h *Hub) flowFacts(r *running, g *statusParts, t *state.FlowTotals) *status.FlowFacts {
	def := r.Flow()
	f := &status.FlowFacts{Name: def.Name, Now: g.now, Started: h.started, LateAfter: def.SLO.LateAfter, SilentAfter: def.SLO.SilentAfter,
		Target: g.systems[def.To.System], LastDelivered: t.LastDelivered, Source: status.SourceFacts{Trouble: h.sourceTrouble(def.Name), Refused: g.refusedOf(def.Name)},
		Group: status.GroupFacts{Lost: r.readTrouble()}, Topics: status.TopicFacts{Trouble: h.writeTrouble(r)}, Store: status.StoreFacts{Trouble: r.refusal()},
		Backlog: status.Backlog{Oldest: max(status.Age(t.Oldest, g.now), status.Age(g.oldest[def.Name], g.now)), Parked: t.Parked, ParkedFor: g.parkedFor(def.Name), Overdue: h.waiting.of(def.Name)}}
	if a := r.Alarmed(); a != nil {
		f.Alarm = &status.AlarmFacts{What: a.What, Why: a.Err.Error()}
		if now := h.logs.Why(def.Name); now != "" && a.What == brokerAlarm {
			f.Alarm.Why = now
		}
	}
	if r.Paused() { // what was stored at another hub holds here as soon as this one has heard of it: until then it works
		p := g.paused[def.Name]
		f.Paused = &status.PauseFacts{Who: p.Who, Since: p.Since}
	}
	return f
}

func place(topic, system string) string {
	if topic != "" {
		return topic
	}
	return system
}
