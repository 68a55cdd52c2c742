package telemetry

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the hub's Prometheus metrics. They are for graphs and alerts; the conservation equation is computed from the
// store, never from them.
type Metrics struct {
	registry  *prometheus.Registry
	outcomes  *prometheus.CounterVec
	age       *prometheus.HistogramVec
	retries   *prometheus.CounterVec
	calls     *prometheus.HistogramVec
	hooks     *prometheus.HistogramVec
	relayed   *prometheus.CounterVec
	submitted *prometheus.CounterVec
	read      *prometheus.CounterVec
	reads     *prometheus.CounterVec
	alarms    *prometheus.CounterVec
	flows     *prometheus.GaugeVec
	oldest    *prometheus.GaugeVec
	onTime    *prometheus.GaugeVec
	states    map[string]*prometheus.GaugeVec // by what has one: flow, system, hub, broker, reconciliation, rule
	reloads   *prometheus.CounterVec
	remarks   *prometheus.GaugeVec
	refused   *prometheus.CounterVec
	requests  *prometheus.CounterVec

	comparing sync.Mutex // held while they are shown
	// compared are the gauges by kind, comparedNames whom they show.
	compared      map[string]comparedGauges
	comparedNames map[string]map[string]bool
}

// NewMetrics makes the metrics in a registry of their own.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	wide := []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 60, 300, 3600}
	m.outcomes = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "waybill_messages_total",
		Help: "Messages by flow, outcome and reason of a skip."}, []string{"flow", "outcome", "reason"})
	m.age = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "waybill_message_age_seconds", Buckets: wide,
		Help: "Time from a message's acceptance by the hub to its fate."}, []string{"flow"})
	m.retries = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "waybill_retries_total", Help: "Calls to targets made again."}, []string{"flow"})
	m.calls = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "waybill_call_seconds", Buckets: wide,
		Help: "Writes to systems by the class of their failure; none is success."}, []string{"system", "fault"})
	m.hooks = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "waybill_webhook_seconds", Buckets: wide,
		Help: "Webhook requests by flow and status."}, []string{"flow", "status"})
	m.relayed = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "waybill_relayed_total",
		Help: "Inbox events published to their topic, as messages or as refusals that the flow parks."}, []string{"flow", "result"})
	m.submitted = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "waybill_submitted_total",
		Help: "Events that the hub itself has made and put into a flow's inbox, by what made it: repair, backfill, person."}, []string{"flow", "trigger"})
	m.read = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "waybill_read_total",
		Help: "Records read by polls and file watchers; fresh ones had not been seen before."}, []string{"flow", "kind"})
	m.reads = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "waybill_reads_total",
		Help: "Times that a source was read by polls and file watchers, whether there was anything or not."}, []string{"flow"})
	m.alarms = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "waybill_alarms_total", Help: "Alarms raised."}, []string{"flow", "what"})
	m.flows = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "waybill_flow_messages",
		Help: "Messages of a flow that are somewhere, by where: lag, parked, waiting, held, unpublished, unaccounted, overdue."}, []string{"flow", "where"})
	m.oldest = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "waybill_flow_oldest_seconds",
		Help: "Age of a flow's oldest message, by where: in_flight and parked since the hub accepted it first, waiting since it waits for another object."}, []string{"flow", "where"})
	m.onTime = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "waybill_flow_on_time_ratio",
		Help: "Share of a flow's deliveries that were made within slo.late-after, by window: 1h, 24h; on all hubs."}, []string{"flow", "window"})
	m.states = map[string]*prometheus.GaugeVec{}
	for of, labels := range map[string][]string{"flow": {"flow", "state"}, "system": {"system", "state"}, "hub": {"state"}, "broker": {"state"},
		"reconciliation": {"reconciliation", "state"}, "rule": {"rule", "state"}} {
		m.states[of] = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "waybill_" + of + "_state",
			Help: "How the " + of + " is doing, as the status says it: 1 for the state that it is in, 0 for the others."}, labels)
		m.registry.MustRegister(m.states[of])
	}
	m.compared, m.comparedNames = map[string]comparedGauges{}, map[string]map[string]bool{}
	for _, kind := range comparedKinds {
		m.compared[kind] = newComparedGauges(kind)
		for _, g := range m.compared[kind] {
			m.registry.MustRegister(g)
		}
	}
	m.reloads = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "waybill_reloads_total", Help: "Reloads of the files, done and refused."}, []string{"result"})
	m.remarks = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "waybill_source_remarks",
		Help: "Records of a source that are remarkable although they can be read, by kind: ahead (stamped ahead of the clock), unstamped, moving (the list moved while it was read), of logs lost (places that were gone before they were read), anew, kept (the system keeps too much of it) and schema (a table has changed), and of files left, held-back, failed, and of interchanges unanswered."}, []string{"flow", "kind"})
	m.refused = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "waybill_webhook_refused_total",
		Help: "Requests refused at a webhook, by flow (empty for all unknown paths) and reason: unknown-path, signature, timestamp, rate, too-large, media-type, unreadable, method, conflict, busy, other."}, []string{"flow", "reason"})
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "waybill_refused_requests_total",
		Help: "Requests to the API and the console that were refused, by reason: wrong-token, wrong-password, slowed, no-token, proxied, host, cross-site, csrf, role, not-signed-in."}, []string{"reason"})
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "waybill_build_info", Help: "The running version."}, []string{"version"})
	info.WithLabelValues(version).Set(1)
	m.registry.MustRegister(m.outcomes, m.age, m.retries, m.calls, m.hooks, m.relayed, m.submitted, m.read, m.reads, m.alarms, m.flows, m.oldest, m.onTime, m.reloads, m.remarks, m.refused, m.requests, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Store has the metrics tell what the hub has asked of its store's writer: transactions that were committed, and statements.
func (m *Metrics) Store(asked func() (commits, statements int64)) {
	counter := func(name, help string, of func() int64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(of()) }))
	}
	counter("waybill_store_commits_total", "Transactions of the store's writer that were committed.", func() int64 { n, _ := asked(); return n })
	counter("waybill_store_statements_total", "Statements of the store's writer.", func() int64 { _, n := asked(); return n })
}

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Outcome counts one fate.
func (m *Metrics) Outcome(flow, outcome, reason string, took time.Duration) {
	m.outcomes.WithLabelValues(flow, outcome, reason).Inc()
	if took > 0 {
		m.age.WithLabelValues(flow).Observe(took.Seconds())
	}
}

// Retried counts a call made again.
func (m *Metrics) Retried(flow string) { m.retries.WithLabelValues(flow).Inc() }

// Call times a write to a system.
func (m *Metrics) Call(system, faultKind string, took time.Duration) {
	m.calls.WithLabelValues(system, faultKind).Observe(took.Seconds())
}

// Answered times a webhook's answer.
func (m *Metrics) Answered(flow string, status int, took time.Duration) {
	m.hooks.WithLabelValues(flow, strconv.Itoa(status)).Observe(took.Seconds())
}

// Refused counts a request that was refused at a webhook.
func (m *Metrics) Refused(flow, reason string) { m.refused.WithLabelValues(flow, reason).Inc() }

// Relayed counts what the relay moved.
func (m *Metrics) Relayed(flow string, published, refused int) {
	m.relayed.WithLabelValues(flow, "published").Add(float64(published))
	m.relayed.WithLabelValues(flow, "refused").Add(float64(refused))
}

// Submitted counts what the hub itself has made.
func (m *Metrics) Submitted(flow, trigger string, events int) {
	m.submitted.WithLabelValues(flow, trigger).Add(float64(events))
}

// Read counts what a poll or file brought.
func (m *Metrics) Read(flow string, records, fresh int) {
	m.reads.WithLabelValues(flow).Inc()
	m.read.WithLabelValues(flow, "all").Add(float64(records))
	m.read.WithLabelValues(flow, "fresh").Add(float64(fresh))
}

// Alarm counts an alarm.
func (m *Metrics) Alarm(flow, what string) { m.alarms.WithLabelValues(flow, what).Inc() }

// Flow shows how many messages of a flow are somewhere.
func (m *Metrics) Flow(flow, where string, n float64) { m.flows.WithLabelValues(flow, where).Set(n) }

// Oldest shows how old a flow's oldest message somewhere is, in seconds.
func (m *Metrics) Oldest(flow, where string, seconds float64) {
	m.oldest.WithLabelValues(flow, where).Set(seconds)
}

// OnTime shows the share of a flow's deliveries in the last hour and day that were in time; nothing where there were none.
func (m *Metrics) OnTime(flow string, hour, day *float64) {
	for window, share := range map[string]*float64{"1h": hour, "24h": day} {
		if share == nil {
			m.onTime.DeleteLabelValues(flow, window)
		} else {
			m.onTime.WithLabelValues(flow, window).Set(*share)
		}
	}
}

// State shows in which of the states something is: a "flow", "system", "reconciliation" or "rule" of that name, or the "hub" or "broker" without one.
func (m *Metrics) State(of, name, state string, all []string) {
	g := m.states[of]
	for _, s := range all {
		labels := prometheus.Labels{"state": s}
		if name != "" {
			labels[of] = name
		}
		v := 0.0
		if s == state {
			v = 1
		}
		g.With(labels).Set(v)
	}
}

// Remarks shows how many records of a flow's source are remarkable, by kind, in place of what was shown before.
func (m *Metrics) Remarks(flow string, byKind map[string]int) {
	m.remarks.DeletePartialMatch(prometheus.Labels{"flow": flow})
	for kind, n := range byKind {
		m.remarks.WithLabelValues(flow, kind).Set(float64(n))
	}
}

// Forget ends the showing of a flow that is no more. What was counted stays.
func (m *Metrics) Forget(flow string) {
	for _, g := range m.status() {
		g.DeletePartialMatch(prometheus.Labels{"flow": flow})
	}
	m.remarks.DeletePartialMatch(prometheus.Labels{"flow": flow})
	m.states["flow"].DeletePartialMatch(prometheus.Labels{"flow": flow})
}

// ForgetSystem ends the showing of a system that is no more.
func (m *Metrics) ForgetSystem(system string) {
	m.states["system"].DeletePartialMatch(prometheus.Labels{"system": system})
}

// ForgetFlows ends the showing of all flows: what is not known is not shown as it was once.
func (m *Metrics) ForgetFlows() {
	for _, g := range m.status() {
		g.Reset()
	}
}

// status are the gauges that show what a status says of flows.
func (m *Metrics) status() []*prometheus.GaugeVec {
	return []*prometheus.GaugeVec{m.flows, m.oldest, m.onTime}
}

// Reloaded counts a reload by how it ended.
func (m *Metrics) Reloaded(result string) { m.reloads.WithLabelValues(result).Inc() }

// RequestRefused counts a request to the API that may not ask, by reason.
func (m *Metrics) RequestRefused(reason string) { m.requests.WithLabelValues(reason).Inc() }
