// Package app wires a plan into a running hub: it starts the parts in order and stops them in reverse.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/alert"
	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/bus/embedded"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/guards"
	"github.com/waybill-hub/waybill/internal/intake"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/logcheck"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/search"
	"github.com/waybill-hub/waybill/internal/store"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/telemetry"
	"github.com/waybill-hub/waybill/internal/tracing"
	"github.com/waybill-hub/waybill/internal/zones"
)

// lanes is the number of lanes that a partition is dealt to.
const lanes = 16

// Options are what a hub is made of.
type Options struct {
	Plan *config.Plan
	// Load reads the files anew, for a reload; nil: the plan is the only one that this hub ever has.
	Load    func() (*config.Plan, *strictyaml.Problems)
	Kinds   *connector.Registry
	Log     *slog.Logger
	Clock   lifecycle.Clock // nil: the machine's
	Version string
}

// Hub is one running hub. New makes it, Start brings it up, Stop takes it down; a hub is started once.
type Hub struct {
	alerts  *alert.Worker
	load    func() (*config.Plan, *strictyaml.Problems)
	kinds   *connector.Registry
	log     *slog.Logger
	clock   lifecycle.Clock
	version string
	name    string // of this process, in leases
	metrics *telemetry.Metrics
	stack   *lifecycle.Stack
	errands *lifecycle.Background // what is noted in the store beside a flow's work
	started time.Time

	store       *store.Store
	embedded    *embedded.Broker
	cluster     *bus.Cluster
	publisher   *bus.Publisher
	tracer      tracing.Tracer // nil: nobody is told of spans
	intake      *intake.Intake
	api         *api.Server
	logs        *logcheck.Checker
	notices     *notice.Board
	ends        topicEnds
	ages        topicAges
	timely      timely
	restored    restored
	copies      copies
	clocks      clocks
	seen        lastSeen
	comparing   comparing
	backfilling wanted
	coding      sync.Mutex // held while a value map is written
	hider       search.Hider
	jobs        *jobs

	// now is what runs; a reload puts another in its place.
	now atomic.Pointer[current]
	// turn is held, as the one element, by whoever starts and stops parts of a running hub.
	turn chan struct{}
	life context.Context // ends when the hub is told to stop
	end  context.CancelCauseFunc

	// pausing is held while it is stored, and said to a runner, that a flow is paused or goes on: the two agree also when the flow gets
	// another runner meanwhile. paused and resumes are its.
	pausing sync.Mutex
	paused  map[string]bool
	// resumes are how often each flow was resumed, as far as this hub has heard; nil where there are no others.
	resumes map[string]int64

	mu      sync.Mutex
	runners map[string]*running
	ready   bool
	remarks []string      // on what topics take
	fitted  time.Duration // when that was asked, as the clock has run

	waiting waiting

	apiAddr      net.Addr
	hooksAddr    string
	certificates []certificate // of the listeners
}

// current is a plan at work. It is replaced as a whole, never changed.
type current struct {
	plan    *config.Plan
	loaded  time.Time
	systems map[string]*system
	private *privacy.Plan
	search  *search.Plan
}

func (h *Hub) run(c *current) {
	c.private, c.search = privacy.Of(c.plan), searchPlan(c.plan)
	h.now.Store(c)
	h.keepDocuments()
}

// keepDocuments tells the store what the plan wants to be kept.
func (h *Hub) keepDocuments() {
	if h.store != nil {
		h.store.KeepDocuments(store.Keep(h.plan().Hub.Documents))
	}
}

func (h *Hub) private(flow string) *privacy.Flow { return h.now.Load().private.Flow(flow) }
func (h *Hub) keepsDocuments() bool {
	d := h.plan().Hub.Documents
	return d.Age > 0 && d.Size > 0
}
func (h *Hub) plan() *config.Plan          { return h.now.Load().plan }
func (h *Hub) systems() map[string]*system { return h.now.Load().systems }

// take waits for the right to start and stop parts of the running hub, which a stopping hub gives to nobody; leave gives it back.
func (h *Hub) take(ctx context.Context) (leave func(), err error) {
	select {
	case h.turn <- struct{}{}:
	case <-h.life.Done():
		return nil, context.Cause(h.life)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if h.life.Err() != nil {
		<-h.turn
		return nil, context.Cause(h.life)
	}
	return func() { <-h.turn }, nil
}

// New makes a hub of a plan; nothing is opened yet.
func New(o Options) (*Hub, error) {
	if o.Plan == nil || o.Kinds == nil || o.Log == nil {
		return nil, errors.New("app: a hub needs a plan, connector kinds and a log")
	}
	if o.Clock == nil {
		o.Clock = lifecycle.Real()
	}
	host, err := os.Hostname()
	if err != nil {
		host = "hub"
	}
	h := &Hub{load: o.Load, kinds: o.Kinds, log: o.Log, clock: o.Clock, version: o.Version, name: fmt.Sprintf("%s/%d", host, os.Getpid()),
		metrics: telemetry.NewMetrics(o.Version), stack: lifecycle.NewStack(o.Clock, o.Log), runners: map[string]*running{},
		turn: make(chan struct{}, 1), notices: notice.New(o.Clock, o.Log)}
	h.errands = lifecycle.NewBackground(context.Background())
	h.life, h.end = context.WithCancelCause(context.Background())
	h.run(&current{plan: o.Plan})
	return h, nil
}

// Start brings the hub up: store, broker, systems, flows, then intake, and last what people ask. When a part fails, what was
// started before it is taken down again.
func (h *Hub) Start(ctx context.Context) error {
	h.started = h.clock.Now()
	if guards.Off {
		h.log.Warn("this build has no inbox, no intents, no version guard and no echo guard: it is for the bench alone, and loses and doubles messages")
	}
	steps := []struct {
		name string
		run  func(context.Context) error
	}{
		{"traces", h.startTraces}, {"store", h.openStore}, {"search", h.openSearch}, {"broker", h.openBroker}, {"logs", h.startLogs}, {"restored", h.startRestored}, {"what is delivered in time", h.startTimely}, {"systems", h.openSystems}, {"flows", h.startFlows}, {"waking", h.startWaking},
		{"watch over the logs", h.startWatch}, {"intake", h.startIntake}, {"pruning", h.startPruning}, {"search index", h.startSearch}, {"waiting", h.startWaiting}, {"probing the store", h.startProbing}, {"clocks", h.startClocks}, {"notices", h.startNotices}, {"settling", h.startBeating}, {"copies", h.startCopies}, {"other hubs", h.startPeers}, {"reconciliations", h.startComparing}, {"backfills", h.startBackfilling}, {"schedules", h.startJobs},
		// Webhooks come last and go first: while they end, the API says that the hub is not ready.
		{"API", h.listenAPI}, {"alerts", h.startAlerts}, {"paced replays", h.startPaces}, {"webhooks", h.listenHooks},
	}
	for _, s := range steps {
		if err := s.run(ctx); err != nil {
			if !strings.HasPrefix(err.Error(), s.name+": ") {
				err = fmt.Errorf("%s: %w", s.name, err)
			}
			return errors.Join(err, h.stack.Stop(context.WithoutCancel(ctx)))
		}
	}
	failpoint.Hit(failpoint.Started)
	h.mu.Lock()
	h.ready = true
	h.mu.Unlock()
	h.log.Info("the hub is ready", "console", h.URL(), "webhooks", h.HooksURL(), "flows", len(h.plan().Flows), "zones", zones.Current().String())
	return nil
}

// Stop takes the hub down: first what comes in, then the work under way, then what it stands on. What has no fate yet is
// decided after the next start.
func (h *Hub) Stop(ctx context.Context) error {
	h.mu.Lock()
	h.ready = false
	h.mu.Unlock()
	h.end(api.ErrStopping)
	// A reload that is under way comes to a place where it can be left. The stop goes on without it when time is up.
	select {
	case h.turn <- struct{}{}:
		<-h.turn // nobody gets it any more
	case <-ctx.Done():
	}
	return h.stack.Stop(ctx)
}

// beside runs something beside the rest until the hub stops; each work ends with its context, and is waited for. One that panics is told in the log, and
// begun again. Of what was begun in turn, the last one ends first.
func (h *Hub) beside(name string, works ...func(ctx context.Context)) error {
	b := lifecycle.NewBackground(context.Background())
	for _, work := range works {
		h.supervise(b, name, work)
	}
	return h.stack.Push(name, 10*time.Second, func(context.Context) error { return b.Stop(context.Background(), nil) })
}

// supervise begins work of b that goes on whatever becomes of it.
func (h *Hub) supervise(b *lifecycle.Background, name string, work func(ctx context.Context)) {
	b.Go(func(ctx context.Context) error {
		return lifecycle.Supervise(ctx, h.clock, func(ctx context.Context) error { work(ctx); return nil }, func(err error, wait time.Duration) {
			h.log.Error("work beside the flows has failed; it is begun again", "work", name, "in", wait, "error", err)
		})
	})
}

// Plan is what runs now.
func (h *Hub) Plan() *config.Plan { return h.plan() }

// Addr is where the API and console listen; HooksAddr where webhooks do.
func (h *Hub) Addr() string      { return h.apiAddr.String() }
func (h *Hub) HooksAddr() string { return h.hooksAddr }

func (h *Hub) openStore(ctx context.Context) error {
	c := store.Config{Log: h.log, Clock: h.clock}
	switch {
	case h.plan().Hub.Store.Postgres != nil:
		c.Postgres = h.plan().Hub.Store.Postgres.URL.Reveal()
	case h.plan().Hub.Store.SQLite != nil:
		c.SQLite = h.plan().Hub.Store.SQLite.Path
	default:
		return errors.New("the plan names no store")
	}
	var s *store.Store
	if err := h.patiently(ctx, func() (err error) { s, err = store.Open(ctx, c); return err }); err != nil {
		return err
	}
	h.store = s
	h.logs = h.newLogs()
	h.keepDocuments()
	h.metrics.Store(func() (commits, statements int64) { t := s.Stats(); return t.Transactions, t.Statements })
	if err := h.stack.Push("store", 10*time.Second, func(context.Context) error { return s.Close() }); err != nil {
		return err
	}
	return h.stack.Push("errands", 10*time.Second, func(context.Context) error { return h.errands.Stop(context.Background(), nil) })
}

// A database or a broker that is started together with the hub takes a while until it answers, or has an address at all.
const (
	startPatience  = time.Minute
	firstStartWait = 250 * time.Millisecond
	lastStartWait  = 5 * time.Second
)

// patiently tries until open succeeds, for as long as what it asks is not there.
func (h *Hub) patiently(ctx context.Context, open func() error) error {
	began := h.clock.Elapsed()
	var last error
	err := lifecycle.Retry(ctx, h.clock, lifecycle.Backoff{Min: firstStartWait, Max: lastStartWait}, func() error { last = open(); return last },
		func(err error, wait time.Duration) error {
			switch {
			case fault.KindOf(err) != fault.Unavailable:
				return err
			case h.clock.Elapsed()-began < startPatience:
				h.log.Warn("not there yet; trying again", "in", wait, "error", err)
				return nil
			case bus.Answered(err):
				return fmt.Errorf("%w: tried for %s", err, startPatience)
			}
			return fmt.Errorf("%w: tried for %s; is it running, and is its address in the configuration right?", err, startPatience)
		})
	if ctx.Err() != nil {
		return last // what it waited for says more than that it was told to end
	}
	return err
}

func (h *Hub) openBroker(ctx context.Context) error {
	cfg := bus.Config{Log: h.log, ClientID: "waybill"}
	if e := h.plan().Hub.Broker.Embedded; e != nil {
		b, err := embedded.Start(ctx, embedded.Config{Dir: e.Dir, Log: h.log, Partitions: h.plan().Hub.Broker.Partitions, Needed: h.needed})
		if err != nil {
			return err
		}
		h.embedded = b
		if err := h.stack.Push("embedded broker", 15*time.Second, func(context.Context) error { return b.Close() }); err != nil {
			return err
		}
		cfg.Brokers = []string{b.Addr()}
	} else {
		k := h.plan().Hub.Broker.Kafka
		cfg.Brokers = k.Brokers
		t, err := k.TLS.Config()
		if err != nil {
			return fmt.Errorf("broker.kafka.%w", err)
		}
		cfg.TLS = t
		if k.SASL != nil {
			cfg.SASL = &bus.SASL{Mechanism: k.SASL.Protocol(), Username: k.SASL.User, Password: k.SASL.Password.Reveal()}
		}
	}
	var c *bus.Cluster
	if err := h.patiently(ctx, func() (err error) { c, err = bus.Dial(ctx, cfg); return err }); err != nil {
		return err
	}
	h.cluster = c
	if err := h.stack.Push("broker connection", 10*time.Second, func(context.Context) error { return c.Close() }); err != nil {
		return err
	}
	if err := h.patiently(ctx, func() error { return h.makeTopics(ctx, topics(h.plan()), h.plan()) }); err != nil {
		return err
	}
	failpoint.Hit(failpoint.TopicsEnsured)
	h.publisher = c.Publisher(bus.PublisherConfig{})
	return h.stack.Push("publisher", 15*time.Second, func(context.Context) error { return h.publisher.Close() })
}

// needed is the offset from which on a partition's records are still to be read by some flow: a paused flow loses nothing to
// retention. Where a flow that reads the topic has no position yet, or one in another log, or the store does not answer, everything
// is needed.
func (h *Hub) needed(topic string, partition int) (int64, bool) {
	if h.logs.Broken(topic) {
		return 0, true
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	stored, err := h.store.Partitions(ctx, "")
	if err != nil {
		return 0, true
	}
	from, readers := int64(math.MaxInt64), 0
	for _, f := range h.plan().Flows {
		if f.Topic() != topic {
			continue
		}
		readers++
		next := int64(0)
		for i := range stored {
			if p := &stored[i]; p.Flow == f.Name && p.Topic == topic && p.Partition == partition {
				next = p.Position.Next
			}
		}
		from = min(from, next)
	}
	return from, readers > 0
}

// topics are all topics that a flow reads or writes.
func topics(plan *config.Plan) []bus.Topic {
	replication := 1
	if k := plan.Hub.Broker.Kafka; k != nil {
		replication = k.Replication
	}
	settings := map[string]string{"cleanup.policy": "delete", "retention.ms": "604800000", "max.message.bytes": strconv.Itoa(topicBytes(int(plan.Hub.Hooks.MaxBody)))}
	if replication >= 3 {
		// An acknowledged record is on two brokers at least: losing any one of them loses nothing.
		settings["min.insync.replicas"] = strconv.Itoa(replication/2 + 1)
	}
	seen := map[string]bool{}
	var out []bus.Topic
	add := func(name string) {
		if name != "" && !seen[name] {
			seen[name] = true
			out = append(out, bus.Topic{Name: name, Partitions: plan.Hub.Broker.Partitions, Replication: replication, Config: settings})
		}
	}
	for _, f := range plan.Flows {
		add(f.Topic())
		add(f.To.Topic)
	}
	return out
}
