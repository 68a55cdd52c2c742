// Package submit is the one door for events that the hub itself makes: the repair of a reconciliation, a backfill, an object that a person wants sent
// again. What goes through it is as durable as a webhook, and takes the way of all others: the inbox, the flow's topic, the flow's own guards.
package submit

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// MostWaiting is how many accepted events of a flow may be unpublished before nothing more is submitted to it. Senders are not held up by it.
	MostWaiting = 10_000
	// againAfter is when it is worth another try then, or when a flow is being changed.
	againAfter     = time.Second
	defaultEvents  = 10_000
	defaultBytes   = 4 << 20
	defaultTimeout = 4 * time.Second
)

// Inbox is where a promise is kept before it is given.
type Inbox interface {
	// Submit commits the rows, with who wanted them, in one durable transaction. It says row by row whether the row is new, known, or known with
	// another body; only new rows are stored.
	Submit(ctx context.Context, rows []state.Inbound, act state.Submitting) ([]state.Accepted, []int64, error)
	// CountUnpublished counts a flow's rows that are not on their topic yet, up to most.
	CountUnpublished(ctx context.Context, flow string, most int) (int, error)
	// NextInbox gives a number between what was accepted before and what is accepted after.
	NextInbox(ctx context.Context) (int64, error)
}

// Observer is told what happens, for metrics. Its methods must be quick.
type Observer interface {
	// Submitted: events that were not known before are in the flow's inbox.
	Submitted(flow string, trigger event.Trigger, events int)
}

// Config is what a door needs.
type Config struct {
	Inbox    Inbox
	Clock    lifecycle.Clock
	Log      *slog.Logger
	Observer Observer
	// Carries tells the largest record, in bytes, that a topic takes; nil, or 0: it is not known.
	Carries func(topic string) int64
	// Wake is called with the flow after something of it has been accepted.
	Wake func(flow string)
	// Timeout is how long the store may take; 0: 4 s.
	Timeout time.Duration
}

// Flow is a flow that events can be submitted to.
type Flow struct {
	Name   string
	Entity string
	// System is where the flow's events come from; empty: it reads a topic that others fill.
	System string
	Topic  string
	// Onward is the topic to which the flow sends documents as they are; empty: it maps them, or delivers to a system.
	Onward string
	// Keyed: the flow computes the business key from the document. Otherwise it is the object's id in the system.
	Keyed bool
	// Known: the events on the topic carry hub ids, so that an event without one would be taken for another object.
	Known bool
	// MaxEvents and MaxBytes bound one submission: what hooks.max-documents and hooks.max-body are for a webhook. 0: 10,000 and 4 MiB.
	MaxEvents int
	MaxBytes  int64
}

// Door takes submissions.
type Door struct {
	c Config

	mu    sync.RWMutex
	gates map[string]*gate
}

// gate is one flow's. Whoever submits holds it for reading.
type gate struct {
	flow   Flow
	mu     sync.RWMutex
	closed bool
	one    sync.Mutex // held from the count of what waits to the commit: else many calls at once would each see room
}

// New makes a door to no flow; see Change.
func New(c Config) *Door {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Carries == nil {
		c.Carries = func(string) int64 { return 0 }
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	return &Door{c: c, gates: map[string]*gate{}}
}

// Close lets nothing in for these flows, which are about to change or go, and waits for what is on its way in.
func (d *Door) Close(flows []string) {
	for _, name := range flows {
		if g := d.gate(name); g != nil {
			g.mu.Lock()
			g.closed = true
			g.mu.Unlock()
		}
	}
}

// Open makes these the flows that there are. Those that are the same as before stay as they are.
func (d *Door) Open(flows []Flow) {
	d.mu.Lock()
	defer d.mu.Unlock()
	gates := make(map[string]*gate, len(flows))
	for _, f := range flows {
		if f.MaxEvents <= 0 {
			f.MaxEvents = defaultEvents
		}
		if f.MaxBytes <= 0 {
			f.MaxBytes = defaultBytes
		}
		if g := d.gates[f.Name]; g != nil && g.flow == f && !g.shut() {
			gates[f.Name] = g
			continue
		}
		gates[f.Name] = &gate{flow: f}
	}
	d.gates = gates
}

func (g *gate) shut() bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.closed
}

func (d *Door) gate(flow string) *gate {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.gates[flow]
}

// Receipt is what became of a submission.
type Receipt struct {
	// Events are in the order in which they were given.
	Events []Accepted
	// Waiting is how many accepted events of the flow were not on its topic yet, these among them: MostWaiting at most are counted.
	Waiting int
}

// Accepted is what became of one event. ID is by which a trace finds it; Status says whether it is new, known, or known as another one (nothing is
// stored of it then).
type Accepted struct {
	ID     string
	Status state.Accepted
	// Inbox is the number of its row in the inbox, or of the one that came before; 0 for a conflict.
	Inbox int64
}

// New counts the events that were not known before.
func (r *Receipt) New() (n int) {
	for i := range r.Events {
		if r.Events[i].Status == state.AcceptedNew {
			n++
		}
	}
	return n
}

// AsOf gives the version of an object that is about to be read from a system which tells no versions, for a flow that computes none: it is newer than
// all that was accepted before the reading, and older than all that is accepted after it began.
func (d *Door) AsOf(ctx context.Context) (string, error) {
	n, err := d.c.Inbox.NextInbox(ctx)
	if err != nil {
		return "", err
	}
	return placeOf(n), nil
}

// Submit takes events for a flow, all of them or none. When it returns, they are on disk. Each is known by its ID, which the caller gives, among what
// this trigger submits to the flow: the same again changes nothing, for as long as the store remembers deliveries (7 days), and longer where the
// guards behind it still know the event. by.For is not looked at.
//
// Errors: state.ErrNotFound, there is no such flow; *Refused (a fault of kind Invalid), which event is not one and why; a fault of kind Unavailable with
// RetryAfter, too much is waiting or the flow is being changed; else what the store says. Only after a fault of kind UnknownOutcome may something be
// stored; the same submission again is safe after all of them.
func (d *Door) Submit(ctx context.Context, flow string, events []event.Event, by event.Submission) (Receipt, error) {
	g := d.gate(flow)
	if g == nil {
		return Receipt{}, &unknownFlow{flow}
	}
	rows, err := d.rows(&g.flow, events, by.Bounded())
	if err != nil {
		return Receipt{}, err
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return Receipt{}, later("flow %s is being changed", flow)
	}
	return d.store(ctx, g, rows, by.Bounded())
}

// store commits the rows. Once begun it is not ended by the caller's going away: the caller would not know what it was promised.
func (d *Door) store(ctx context.Context, g *gate, rows []state.Inbound, by *event.Submission) (Receipt, error) {
	if err := ctx.Err(); err != nil {
		return Receipt{}, err
	}
	g.one.Lock()
	defer g.one.Unlock()
	if err := ctx.Err(); err != nil { // while others were before it
		return Receipt{}, err
	}
	ctx, cancel := lifecycle.WithTimeout(context.WithoutCancel(ctx), d.c.Clock, d.c.Timeout, inbox.ErrSlowStore)
	defer cancel()
	failed := func(err error) (Receipt, error) {
		return Receipt{}, fmt.Errorf("submit to flow %s: %w", g.flow.Name, lifecycle.Caused(ctx, err))
	}
	waiting, err := d.c.Inbox.CountUnpublished(ctx, g.flow.Name, MostWaiting)
	if err != nil {
		return failed(err)
	}
	if waiting >= MostWaiting {
		return Receipt{}, later("%d accepted events of flow %s are not on its topic yet: look at its state with `waybill status`", waiting, g.flow.Name)
	}
	fates, seqs, err := d.c.Inbox.Submit(ctx, rows, acting(&g.flow, rows, by))
	if err != nil {
		return failed(err)
	}
	failpoint.Hit(failpoint.SubmitStored)
	out := Receipt{Events: make([]Accepted, len(rows))}
	for i := range rows {
		out.Events[i] = Accepted{ID: rows[i].ID, Status: fates[i], Inbox: seqs[i]}
	}
	n := out.New()
	out.Waiting = min(MostWaiting, waiting+n)
	if n > 0 {
		d.c.Wake(g.flow.Name)
		d.c.Observer.Submitted(g.flow.Name, by.Trigger, n)
		level := slog.LevelInfo
		if by.Part { // the run tells of itself
			level = slog.LevelDebug
		}
		d.c.Log.Log(ctx, level, "submitted", "flow", g.flow.Name, "events", n, "trigger", string(by.Trigger), "by", by.Who, "first", rows[0].ID)
	}
	return out, nil
}

// later is a fault after which the same is worth another try.
func later(format string, args ...any) error {
	f := fault.New(fault.Unavailable, format, args...)
	f.Op, f.RetryAfter = "submit", againAfter
	return f
}

// unknownFlow is a state.ErrNotFound that names the flow.
type unknownFlow struct{ flow string }

func (e *unknownFlow) Error() string        { return "there is no flow " + e.flow + " to submit to" }
func (e *unknownFlow) Is(target error) bool { return target == state.ErrNotFound }
