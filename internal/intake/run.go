package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/publish"
	"github.com/waybill-hub/waybill/internal/relay"
	"github.com/waybill-hub/waybill/internal/submit"
	"github.com/waybill-hub/waybill/internal/webhook"
)

const defaultLeaseTTL = 15 * time.Second

// Config is what an Intake needs.
type Config struct {
	Store     Store
	Publisher publish.Publisher
	Clock     lifecycle.Clock
	Log       *slog.Logger // nil: silent
	Observer  Observer     // nil: none
	Logs      relay.Logs   // nil: topics are always what they were
	// Holder names this process among the hubs: another one each time it starts.
	Holder string
	// LeaseTTL is how long the work of a hub that died rests before another takes it up; 0: 15 s.
	LeaseTTL time.Duration
	// Memory bounds the bytes of webhook bodies held at once; 0: 64 MiB.
	Memory int64
	// MinRate is the bytes a second below which a webhook's body makes room for others; 0: 4 KiB.
	MinRate int64
	// AcceptTimeout is how long the store may take before a webhook is answered 503; 0: 4 s.
	AcceptTimeout time.Duration
	// Carries tells the largest record, in bytes, that a topic takes; nil, or 0: it is not known.
	Carries func(topic string) int64
	Sources []Source
}

// Intake runs all sources of a plan: it answers their webhooks, reads their systems and carries their inboxes.
type Intake struct {
	c     Config
	hooks *webhook.Handler
	door  *submit.Door
	ctx   context.Context // ends with halt: of all work
	halt  context.CancelCauseFunc

	mu    sync.RWMutex
	works map[string]*work // by flow; only what runs
	group *carrier
}

// work is what is done for one source: its relay and, where it is read, its reader.
type work struct {
	src    Source
	relay  *relay.Relay
	reader *reader // nil: nothing is read
	poller *poller // nil: it is not polled
	// sweeper is nil where nothing is swept.
	sweeper *sweeper
	leased  []func(context.Context)

	running *lifecycle.Background // nil until it is begun
}

// Start begins the work of all sources. A source that is not complete is an error, and then nothing is begun.
func Start(c Config) (*Intake, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Observer == nil {
		c.Observer = NoObserver{}
	}
	if c.LeaseTTL <= 0 {
		c.LeaseTTL = defaultLeaseTTL
	}
	in := &Intake{c: c, works: map[string]*work{}}
	hooks, err := webhook.New(webhook.Config{
		Inbox: in.inbox(), Clock: c.Clock, Log: c.Log, Observer: c.Observer, Memory: c.Memory, MinRate: c.MinRate, AcceptTimeout: c.AcceptTimeout, Carries: c.Carries, Wake: in.Wake,
	}, nil)
	if err != nil {
		return nil, err
	}
	in.hooks = hooks
	in.door = submit.New(submit.Config{Inbox: c.Store, Clock: c.Clock, Log: c.Log, Observer: c.Observer, Carries: c.Carries, Wake: in.Wake, Timeout: c.AcceptTimeout})
	in.group = in.carrier(nil)
	all, err := in.Prepare(c.Sources, func(string) bool { return false })
	if err != nil {
		return nil, err
	}
	in.ctx, in.halt = context.WithCancelCause(context.Background())
	all.Open()
	return in, nil
}

// begin does the work until it, or all work, is halted.
func (w *work) begin(parent context.Context) {
	w.running = lifecycle.NewBackground(parent)
	for _, p := range w.leased {
		w.running.Go(func(ctx context.Context) error { p(ctx); return nil })
	}
}

// stop ends the work in order and waits for it.
func (w *work) stop(ctx context.Context) error {
	if w.running == nil {
		return nil // it was never begun
	}
	if err := w.running.Stop(ctx, relay.ErrStopping); err != nil {
		return fmt.Errorf("the intake of flow %s has not stopped: %w", w.src.Flow, err)
	}
	return nil
}

// stopAll stops works side by side.
func stopAll(ctx context.Context, works []*work) error {
	return lifecycle.SideBySide(works, func(w *work) error { return w.stop(ctx) })
}

// work prepares one source's relay and, where it is read, its reader.
func (in *Intake) work(s Source) (*work, error) {
	if s.Flow == "" || s.Topic == "" || s.System == "" {
		return nil, errors.New("a source needs a flow, a topic and a system")
	}
	if s.Health == nil {
		s.Health = noHealth{}
	}
	c := &in.c
	log := c.Log.With("flow", s.Flow)
	under := func(kind string, work func(context.Context, *lease.Held) error) func(context.Context) {
		return in.under(kind+"/"+s.Flow, log, work)
	}
	r := relay.New(relay.Config{Source: carried(s), Store: c.Store, Publisher: c.Publisher, Clock: c.Clock, Log: c.Log, Observer: c.Observer, Logs: c.Logs})
	k := &work{src: s, relay: r, leased: []func(context.Context){under("relay", r.Run)}}

	rd := &reader{src: s, store: c.Store, clock: c.Clock, log: c.Log, failures: notice.NewLimiter(c.Clock, c.Log), obs: c.Observer, wake: in.Wake, nudge: make(chan struct{}, 1)}
	switch {
	case s.Webhook != nil && s.Poll == nil && s.Files == nil:
	case s.Poll != nil && s.Webhook == nil && s.Files == nil:
		if s.Poll.Poller == nil || s.Poll.When == nil {
			return nil, errors.New("a poll needs a poller and a timetable")
		}
		p := &poller{reader: rd, poll: *s.Poll}
		rd.kind, rd.when, rd.read = "poll", s.Poll.When, p.read
		k.reader = rd
		if s.Poll.Sweep != nil {
			p.sweeper = &sweeper{poller: p, sweep: *s.Poll.Sweep, nudge: make(chan struct{}, 1)}
			k.sweeper = p.sweeper
		}
		if k.poller = p; s.stream() == "" {
			k.leased = append(k.leased, under("poll", p.work))
		}
	case s.Files != nil && s.Webhook == nil && s.Poll == nil:
		if s.Files.Source == nil || s.Files.When == nil {
			return nil, errors.New("a drop needs a source and a timetable")
		}
		w := &watcher{reader: rd, files: *s.Files}
		rd.kind, rd.when, rd.read = "files", s.Files.When, w.read
		k.reader = rd
		k.leased = append(k.leased, under("files", w.run))
	default:
		return nil, errors.New("a source is exactly one of webhook, poll and files")
	}
	rd.set(SourceWaiting, nil)
	return k, nil
}

// under is work that is done under a lease.
func (in *Intake) under(name string, log *slog.Logger, work func(context.Context, *lease.Held) error) func(context.Context) {
	c := &in.c
	r := &lease.Runner{Store: c.Store, Clock: c.Clock, Log: log, Name: name, Holder: c.Holder, TTL: c.LeaseTTL}
	return func(ctx context.Context) { r.Run(ctx, work) }
}

// carried is the source as its relay sees it.
func carried(s Source) relay.Source {
	out := relay.Source{Flow: s.Flow, Entity: s.Entity, System: s.System, Topic: s.Topic, Key: s.Key, Versioned: s.Versioned}
	if s.Webhook != nil {
		out.Lists, out.Split = true, s.Webhook.Split
	}
	return out
}

// Webhooks answers them.
func (in *Intake) Webhooks() *webhook.Handler { return in.hooks }

// Wake tells the flow's relay that there is something for it: a row was accepted, or a parked event was marked. Without it,
// the relay finds out within a second.
func (in *Intake) Wake(flow string) {
	if w := in.find(flow); w != nil {
		w.relay.Wake()
		return
	}
	in.mu.RLock()
	defer in.mu.RUnlock()
	if in.group.relays.Has(flow) {
		in.group.relays.Wake()
	}
}

func (in *Intake) find(flow string) *work {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.works[flow]
}

// ReadNow reads the flow's source without waiting for its time, and resumes it if it was paused. It reports whether the
// flow has a source that is read.
func (in *Intake) ReadNow(flow string) bool {
	w := in.find(flow)
	if w == nil || w.reader == nil {
		return false
	}
	w.reader.resume()
	return true
}

// States tells how the sources that are read are doing.
func (in *Intake) States() map[string]SourceState {
	in.mu.RLock()
	defer in.mu.RUnlock()
	out := make(map[string]SourceState, len(in.works))
	for flow, w := range in.works {
		if w.reader != nil {
			out[flow] = w.reader.State()
		}
	}
	return out
}

// Stop ends relays and readers and waits for them. The webhooks' listener is to be stopped before, and the publisher and
// store after. What has been accepted and not published stays in the inbox for the next start.
func (in *Intake) Stop(ctx context.Context) error {
	in.halt(relay.ErrStopping)
	in.mu.RLock()
	works := append(slices.Collect(maps.Values(in.works)), in.group.work)
	in.mu.RUnlock()
	return stopAll(ctx, works)
}
