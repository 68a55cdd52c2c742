// Package relay carries what was stored to its topic, in the order in which it was accepted: it evaluates keys, splits lists, and sends what
// no message can be made of as a refusal, for the flow to park.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/publish"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// batchRows and batchBytes are how much is read, published and noted at once. Each step waits for the broker's disk and for the store's: with many rows
	// a step, that is little for each.
	batchRows  = 4096
	batchBytes = 8 << 20
	// maxSlice is how many events of a list are published before it is noted how far the relay has come. A list of more is published in slices.
	maxSlice   = 2048
	pollEvery  = time.Second // for what other hubs have accepted, and what flows have handed back
	alarmAfter = 30 * time.Second
	grace      = 5 * time.Second // for what is on its way when the hub stops
)

// ErrStopping is the cause by which the context of a relay ends that may finish what is on its way.
var ErrStopping = errors.New("intake is stopping")

// AlarmStuck: the inbox cannot be carried to the topic.
const AlarmStuck inbox.AlarmCode = "relay"

// Observer is told what happens, for metrics and alarms. Its methods must be quick.
type Observer interface {
	// Relayed: events got their place on the topic, and refusals theirs.
	Relayed(flow string, published, refused int)
	// Alarm: a person should look. An empty text ends the alarm.
	Alarm(flow string, code inbox.AlarmCode, text string)
}

// Store is the relay's side of the inbox.
type Store interface {
	// Unpublished gives rows that have no place on their topic yet, oldest first, up to limit rows and about maxBytes of bodies;
	// always at least one row if there is one.
	Unpublished(ctx context.Context, flow string, limit, maxBytes int) ([]state.Inbound, error)
	// MarkPublished records where rows went, and adds rows to the inbox for those of their events that need one of their own.
	MarkPublished(ctx context.Context, lease state.Lease, done []state.Published, rest []state.Inbound) error
	// KnownKey is the business key of the newest event that came of a system's object; empty when none is known.
	KnownKey(ctx context.Context, entity, system, local string) (string, error)
}

// Logs tells whether topics are what the hub takes them for.
type Logs interface {
	// Held says why nothing may be published to the topic at present, with an error that wraps state.ErrBroker; nil: it may.
	Held(topic string) error
	// Life is the life of the topic's log that is known (see state.TopicLog).
	Life(topic string) int64
	// Same asks the broker whether the topic has the log of that life still. An error that wraps state.ErrBroker says that it has not;
	// any other that nobody knows.
	Same(ctx context.Context, topic string, life int64) error
}

// anyLog takes every topic for what it was.
type anyLog struct{}

func (anyLog) Held(string) error                         { return nil }
func (anyLog) Life(string) int64                         { return 0 }
func (anyLog) Same(context.Context, string, int64) error { return nil }

// Source is the flow whose inbox is carried.
type Source struct {
	Flow   string
	Entity string
	System string
	Topic  string
	// Key is the business key. A nil Key means the object's id in the system, which only polls know.
	Key inbox.Eval
	// Versioned: the flow reads a version out of the document itself. Otherwise events carry the source's own version where it
	// has one, else the number of the inbox row, which says the order of acceptance.
	Versioned bool
	// Lists: a row's document may be a list of documents, each of which becomes an event.
	Lists bool
	// Split is the dotted path of the list. Empty: a document that is an array is a list, an object is one document.
	Split string
	// Shared: others put events on the topic as well. The flow's own, which the hub itself has made, lie there with the key and the hub id that they
	// were given, and are kept by the store as those of the others are. Nothing else of a Source counts then but Flow and Topic.
	Shared bool
}

// Config is what a relay needs.
type Config struct {
	Source    Source
	Store     Store
	Publisher publish.Publisher
	Clock     lifecycle.Clock
	Log       *slog.Logger
	Observer  Observer
	Logs      Logs // nil: topics are always what they were
}

// Relay carries one flow's inbox to its topic, in the inbox's order. What it can make no message of goes there as well, with a refusal
// that says why: to park it is the flow's. It works under a lease; should another relay have taken
// over meanwhile, what this one published comes twice, under the same event ids, and is marked by the other.
type Relay struct {
	src   Source
	store Store
	pub   publish.Publisher
	clock lifecycle.Clock
	log   *slog.Logger
	obs   Observer
	logs  Logs
	wake  chan struct{} // of capacity one: something was accepted
	// failures is what the log is told of what is tried again.
	failures *notice.Limiter
	leftOver bool // of the goroutine that carries: see tellLeftOver
}

// New makes a relay.
func New(c Config) *Relay {
	if c.Logs == nil {
		c.Logs = anyLog{}
	}
	return &Relay{src: c.Source, store: c.Store, pub: c.Publisher, clock: c.Clock, log: c.Log, obs: c.Observer, logs: c.Logs, wake: make(chan struct{}, 1),
		failures: notice.NewLimiter(c.Clock, c.Log)}
}

// Wake tells the relay that there is something for it: a row was accepted, or a parked event was marked. Without it, the relay finds out
// within a second.
func (r *Relay) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, under a lease.
func (r *Relay) Run(ctx context.Context, held *lease.Held) error {
	for {
		n, err := 0, r.logs.Held(r.src.Topic)
		if err == nil {
			n, err = r.step(ctx, held)
		}
		// What the broker has made of the topic is for a person to see to; what is accepted meanwhile rests in the inbox.
		if err != nil && !errors.Is(err, state.ErrBroker) {
			return err
		}
		if n > 0 {
			continue
		}
		if err := lifecycle.Wait(ctx, r.clock, pollEvery, r.wake); err != nil {
			return err
		}
	}
}

// drain works until nothing is left to carry, ctx ends, or the topic has another log.
func (r *Relay) drain(ctx context.Context, held *lease.Held) error {
	for {
		if err := r.logs.Held(r.src.Topic); err != nil {
			return err
		}
		if n, err := r.step(ctx, held); n == 0 || err != nil {
			return err
		}
	}
}

// step carries the oldest rows and says how many they were.
func (r *Relay) step(ctx context.Context, held *lease.Held) (int, error) {
	var rows []state.Inbound
	err := r.retry(ctx, "read the inbox", func() (err error) {
		rows, err = r.store.Unpublished(ctx, r.src.Flow, batchRows, batchBytes)
		return err
	})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	b := &batch{Relay: r, held: held}
	for i := range rows {
		if err = b.add(ctx, &rows[i]); err != nil {
			break
		}
	}
	r.tellLeftOver(errors.Is(err, errLeftOver))
	if err == nil {
		err = b.flush(ctx)
	}
	if errors.Is(err, errOtherLog) {
		return len(rows), nil // the list is begun anew
	}
	if err != nil {
		return 0, err
	}
	return len(rows), nil
}

// errLeftOver: the inbox of a flow that reads a topic holds something that nobody has submitted.
var errLeftOver = errors.New("the inbox holds what came while the flow read a system")

// tellLeftOver raises and ends the alarm for it, and tells the log while it lasts.
func (r *Relay) tellLeftOver(is bool) {
	const mend = "the flow reads a topic now, and its inbox still holds what came while it read a system: put its source back until `waybill status` shows nothing in flight, and change it then"
	switch {
	case is:
		r.failures.Warn(mend, errLeftOver, "flow", r.src.Flow)
		if !r.leftOver {
			r.obs.Alarm(r.src.Flow, AlarmStuck, mend)
		}
	case r.leftOver:
		r.obs.Alarm(r.src.Flow, AlarmStuck, "")
	}
	r.leftOver = is
}

// errOtherLog: the first elements of a list are in a log that its topic had before.
var errOtherLog = errors.New("the topic has another log than when the list was begun")

// flush publishes what was added, and notes in the inbox how far the relay has come.
func (b *batch) flush(ctx context.Context) error {
	if len(b.done) == 0 {
		return nil
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	// What is on its way to the topic is also marked when the hub stops now: otherwise it would be published again.
	ctx, cancel := lifecycle.Linger(ctx, b.clock, grace, ErrStopping)
	defer cancel()
	if err := b.held.Check(b.clock); err != nil {
		return err
	}
	if err := b.publish(ctx); err != nil {
		return err
	}
	failpoint.Hit(failpoint.RelayPublished)
	if b.again {
		failpoint.Hit(failpoint.ReplayPublished)
	}
	published, refused := b.place()
	done := make([]state.Published, len(b.done))
	for i, p := range b.done {
		if p.Next > 0 {
			p.Life = b.life
		}
		done[i] = *p
	}
	err := b.retry(ctx, "mark the inbox", func() error { return b.store.MarkPublished(ctx, b.held.Lease(), done, b.rest) })
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.RelayMarked)
	b.obs.Relayed(b.src.Flow, published, refused)
	b.tell(refused)
	clear(b.out) // the documents
	b.out, b.done, b.rest, b.size, b.again = b.out[:0], nil, nil, 0, false
	return nil
}

// tell logs what no message could be made of.
func (b *batch) tell(refused int) {
	for i := range b.out {
		if no := b.out[i].ev.Refused; no != nil && b.out[i].at != nil {
			b.log.Warn("the flow is given refusals to park", "flow", b.src.Flow, "events", refused, "first", b.out[i].ev.ID, "reason", no.Reason)
			return
		}
	}
}

// retry tries until it succeeds, ctx ends, the lease is another's, or the topic has another log. After a while it raises an alarm.
func (r *Relay) retry(ctx context.Context, what string, try func() error) error {
	began, alarmed := r.clock.Now(), false
	err := lifecycle.Retry(ctx, r.clock, lifecycle.Backoff{Min: 100 * time.Millisecond, Max: 10 * time.Second}, try, func(err error, wait time.Duration) error {
		if errors.Is(err, state.ErrFenced) || errors.Is(err, state.ErrBroker) {
			return err
		}
		r.failures.Warn("cannot "+what+"; trying again", err, "flow", r.src.Flow, "in", wait)
		if !alarmed && r.clock.Now().Sub(began) >= alarmAfter {
			alarmed = true
			r.obs.Alarm(r.src.Flow, AlarmStuck, fmt.Sprintf("cannot %s for %v: %v", what, r.clock.Now().Sub(began).Truncate(time.Second), err))
		}
		return nil
	})
	if err == nil && alarmed {
		r.obs.Alarm(r.src.Flow, AlarmStuck, "")
	}
	return err
}
