package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

const defaultLeaseTTL = 15 * time.Second

// Config is what an Intake needs.
type Config struct {
	Store     Store
	Publisher Publisher
	Clock     lifecycle.Clock
	Log       *slog.Logger // nil: silent
	Observer  Observer     // nil: none
	// Holder names this process among the hubs: another one each time it starts.
	Holder string
	// LeaseTTL is how long the work of a hub that died rests before another takes it up; 0: 15 s.
	LeaseTTL time.Duration
	// Memory bounds the bytes of webhook bodies held at once; 0: 64 MiB.
	Memory int64
	// AcceptTimeout is how long the store may take before a webhook is answered 503; 0: 4 s.
	AcceptTimeout time.Duration
	Sources       []Source
}

// Intake runs all sources of a plan: it answers their webhooks, reads their systems and carries their inboxes.
type Intake struct {
	hooks   *Hooks
	relays  map[string]*relay
	readers map[string]*reader
	halt    context.CancelCauseFunc
	wg      sync.WaitGroup
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
	in := &Intake{relays: map[string]*relay{}, readers: map[string]*reader{}}
	hooks, err := NewHooks(HooksConfig{
		Inbox: c.Store, Clock: c.Clock, Log: c.Log, Observer: c.Observer, Memory: c.Memory, AcceptTimeout: c.AcceptTimeout, Wake: in.Wake,
	}, c.Sources)
	if err != nil {
		return nil, err
	}
	in.hooks = hooks
	var posts []func(context.Context)
	for _, s := range c.Sources {
		work, err := in.source(&c, s)
		if err != nil {
			return nil, fmt.Errorf("flow %s: %w", s.Flow, err)
		}
		posts = append(posts, work...)
	}
	ctx, halt := context.WithCancelCause(context.Background())
	in.halt = halt
	for _, p := range posts {
		in.wg.Go(func() { p(ctx) })
	}
	return in, nil
}

// source prepares one source's relay and, where it is read, its reader.
func (in *Intake) source(c *Config, s Source) ([]func(context.Context), error) {
	if s.Flow == "" || s.Topic == "" || s.System == "" {
		return nil, errors.New("a source needs a flow, a topic and a system")
	}
	if in.relays[s.Flow] != nil {
		return nil, errors.New("there are two sources of this flow")
	}
	log := c.Log.With("flow", s.Flow)
	under := func(kind string, work func(context.Context, *tenure) error) func(context.Context) {
		p := &post{leases: c.Store, clock: c.Clock, log: log, name: kind + "/" + s.Flow, holder: c.Holder, ttl: c.LeaseTTL}
		return func(ctx context.Context) { p.keep(ctx, work) }
	}
	r := &relay{src: s, box: c.Store, pub: c.Publisher, clock: c.Clock, log: c.Log, obs: c.Observer, wake: make(chan struct{}, 1)}
	in.relays[s.Flow] = r
	posts := []func(context.Context){under("relay", r.run)}

	rd := &reader{src: s, store: c.Store, clock: c.Clock, log: c.Log, obs: c.Observer, wake: in.Wake, nudge: make(chan struct{}, 1)}
	switch {
	case s.Webhook != nil && s.Poll == nil && s.Files == nil:
	case s.Poll != nil && s.Webhook == nil && s.Files == nil:
		if s.Poll.Poller == nil || s.Poll.When == nil {
			return nil, errors.New("a poll needs a poller and a timetable")
		}
		p := &poller{reader: rd, poll: *s.Poll}
		rd.kind, rd.when, rd.read = "poll", s.Poll.When, p.read
		in.readers[s.Flow] = rd
		posts = append(posts, under("poll", func(ctx context.Context, t *tenure) error {
			p.last = recent{} // meanwhile another hub may have read
			return p.run(ctx, t)
		}))
	case s.Files != nil && s.Webhook == nil && s.Poll == nil:
		if s.Files.Source == nil || s.Files.When == nil {
			return nil, errors.New("a drop needs a source and a timetable")
		}
		w := &watcher{reader: rd, files: *s.Files}
		rd.kind, rd.when, rd.read = "files", s.Files.When, w.read
		in.readers[s.Flow] = rd
		posts = append(posts, under("files", w.run))
	default:
		return nil, errors.New("a source is exactly one of webhook, poll and files")
	}
	rd.set(SourceWaiting, nil)
	return posts, nil
}

// Handler answers the webhooks.
func (in *Intake) Handler() http.Handler { return in.hooks }

// Wake tells the flow's relay that there is something for it: a row was accepted, or a parked event was marked. Without it,
// the relay finds out within a second.
func (in *Intake) Wake(flow string) {
	if r := in.relays[flow]; r != nil {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// ReadNow reads the flow's source without waiting for its time, and resumes it if it was paused. It reports whether the
// flow has a source that is read.
func (in *Intake) ReadNow(flow string) bool {
	r := in.readers[flow]
	if r != nil {
		r.resume()
	}
	return r != nil
}

// States tells how the sources that are read are doing.
func (in *Intake) States() map[string]SourceState {
	out := make(map[string]SourceState, len(in.readers))
	for flow, r := range in.readers {
		out[flow] = r.State()
	}
	return out
}

// Stop ends relays and readers and waits for them. The webhooks' listener is to be stopped before, and the publisher and
// store after. What has been accepted and not published stays in the inbox for the next start.
func (in *Intake) Stop(ctx context.Context) error {
	in.halt(errStopping)
	done := make(chan struct{})
	go func() { in.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("intake has not stopped: %w", context.Cause(ctx))
	}
}
