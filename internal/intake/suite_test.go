package intake

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
)

// backing is the real store, with what tests look at besides.
type backing interface {
	Store
	Runs(context.Context, state.RunFilter) ([]state.Run, error)
	Inbound(ctx context.Context, seq int64) (state.Inbound, error)
	Totals(context.Context) ([]state.FlowTotals, error)
	AskSource(ctx context.Context, w state.SourceWish, about string) error
	Audits(ctx context.Context, limit int) ([]state.Audit, error)
	Close() error
}

// stores opens the stores that the suite runs on. open may be called again after Close: it opens the same data.
var stores = map[string]func(t *testing.T, clock store.Clock) (open func() backing){
	"sqlite": func(t *testing.T, clock store.Clock) func() backing {
		path := filepath.Join(t.TempDir(), "waybill.db")
		return func() backing {
			s, err := store.Open(t.Context(), store.Config{SQLite: path, Clock: clock})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	},
	"postgres": func(t *testing.T, clock store.Clock) func() backing {
		url := pgtest.URL(t)
		return func() backing {
			s, err := store.Open(t.Context(), store.Config{Postgres: url, Clock: clock})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	},
}

// onStores runs a test on every store.
func onStores(t *testing.T, test func(t *testing.T, b *bench)) {
	for name, factory := range stores {
		t.Run(name, func(t *testing.T) { onStore(t, factory, test) })
	}
}

// onSQLite runs a test to which no difference between stores matters.
func onSQLite(t *testing.T, test func(t *testing.T, b *bench)) { onStore(t, stores["sqlite"], test) }

func onStore(t *testing.T, factory func(t *testing.T, clock store.Clock) func() backing, test func(t *testing.T, b *bench)) {
	clock := lifecycle.NewManual(time.Now().Truncate(time.Second))
	b := &bench{t: t, clock: clock, open: factory(t, clock), topic: &topic{}, seen: &seen{alarms: map[inbox.AlarmCode]string{}}}
	b.store = b.open()
	t.Cleanup(func() { b.stop(); _ = b.store.Close() })
	test(t, b)
}

// bench is one hub's intake under test.
type bench struct {
	t     *testing.T
	clock *lifecycle.Manual
	open  func() backing
	store backing
	// between stands between intake and the store; nil: nothing does.
	between func(Store) Store
	topic   *topic
	logs    Logs // nil: topics are always what they were
	seen    *seen
	intake  *Intake
	starts  int
}

// start begins the intake of the sources.
func (b *bench) start(sources ...Source) *Intake {
	b.t.Helper()
	b.starts++
	var s Store = b.store
	if b.between != nil {
		s = b.between(s)
	}
	for i := range sources {
		sources[i].Flow, sources[i].Entity = "orders", "order"
		sources[i].System, sources[i].Topic = "crm", "in.orders"
	}
	in, err := Start(Config{
		Store: s, Publisher: b.topic, Logs: b.logs, Clock: b.clock, Log: testLog(), Observer: b.seen,
		Holder: "hub-" + strconv.Itoa(b.starts), LeaseTTL: time.Hour, Sources: sources,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.intake = in
	return in
}

func (b *bench) stop() {
	if b.intake == nil {
		return
	}
	stopped := make(chan error, 1)
	go func() { stopped <- b.intake.Stop(context.Background()) }()
	for {
		select {
		case err := <-stopped:
			if err != nil {
				b.t.Error(err)
			}
			b.intake = nil
			return
		case <-time.After(5 * time.Second): // what is tried again while the hub stops is given up by this clock, which stands
			b.clock.Advance(relayGrace + time.Second)
		}
	}
}

// crash ends the hub and opens its data again. What was under way is lost; the kill tests do it the hard way.
func (b *bench) crash() {
	b.t.Helper()
	if b.intake != nil {
		b.intake.halt(errors.New("the process is dead")) // nothing is finished as in an orderly stop
	}
	b.stop()
	if err := b.store.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.store = b.open()
}

// accept puts rows into the inbox, as a webhook would.
func (b *bench) accept(rows ...state.Inbound) {
	b.t.Helper()
	for i := range rows {
		rows[i].Flow = "orders"
		if rows[i].Received.IsZero() {
			rows[i].Received = b.clock.Now()
		}
	}
	if _, _, err := b.store.Accept(b.t.Context(), rows, nil, nil); err != nil {
		b.t.Fatal(err)
	}
}

// turn moves the clock to the next timer, again and again, until done says so.
func (b *bench) turn(what string, done func() bool) {
	b.t.Helper()
	b.turnWhen(what, 1, done)
}

// sleepers of a source that is read, when nothing is under way: its reader, its relay, and the renewals of their leases.
const sleepers = 4

// turnAtRest does as turn does, but lets everybody come to rest before each step, so that no time passes for work.
func (b *bench) turnAtRest(what string, done func() bool) {
	b.t.Helper()
	b.turnWhen(what, sleepers, done)
}

func (b *bench) turnWhen(what string, waiting int, done func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	for !done() {
		if ctx.Err() != nil {
			b.t.Fatalf("waiting for %s: it did not come", what)
		}
		if b.clock.Waiting() < waiting {
			yield()
			continue
		}
		// Only short waits are passed: the leases' renewal is an hour away and would never be reached.
		if next, ok := b.clock.Next(); ok && next.Sub(b.clock.Now()) <= time.Minute {
			b.clock.Set(next)
		}
		yield()
	}
}

// await waits for something while the clock stands still.
func (b *bench) await(what string, done func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	for !done() {
		if ctx.Err() != nil {
			b.t.Fatalf("waiting for %s: it did not come", what)
		}
		yield()
	}
}

// refused gives what was published with a refusal.
func (b *bench) refused() (out []event.Event) {
	for _, e := range b.topic.events() {
		if e.Refused != nil {
			out = append(out, e)
		}
	}
	return out
}

// handBack does what the engine does with a refused event that a person has replayed.
func (b *bench) handBack(no event.Event, data string) {
	b.t.Helper()
	again := no
	again.Refused = &event.Refusal{Code: no.Refused.Code, Reading: no.Refused.Reading + 1}
	row := state.Inbound{Flow: "orders", ID: no.ID + "~" + strconv.Itoa(b.topic.count()), Headers: no.Refused.Headers, Body: []byte(data), Received: b.clock.Now(), Event: &again}
	l, ok, err := b.store.AcquireLease(b.t.Context(), "tests", "me", time.Hour)
	if err != nil || !ok {
		b.t.Fatalf("%v %v", ok, err)
	}
	// A row that is marked makes room for those of its events that need one of their own.
	_, seqs, err := b.store.Accept(b.t.Context(), []state.Inbound{{Flow: "elsewhere", ID: row.ID}}, nil, nil)
	if err == nil {
		err = b.store.MarkPublished(b.t.Context(), l, []state.Published{{Seq: seqs[0]}}, []state.Inbound{row})
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) unpublished() int {
	b.t.Helper()
	rows, err := b.store.Unpublished(b.t.Context(), "orders", 10_000, 1<<30)
	if err != nil {
		b.t.Fatal(err)
	}
	return len(rows)
}

// topic is a broker's topic of four partitions.
type topic struct {
	mu      sync.Mutex
	records []event.Record
	// refuse decides over each record before it is written; nil: all are written.
	refuse func(event.Record) error
	sends  int
}

func (p *topic) Send(ctx context.Context, records []event.Record) []event.Sent {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sends++
	out := make([]event.Sent, len(records))
	failed := map[int]bool{}
	for i, r := range records {
		r.Partition = event.LaneOf(r.Key, 4)
		if failed[r.Partition] {
			out[i].Err = fault.New(fault.Unavailable, "not sent: an earlier record of the same partition failed")
			continue
		}
		if ctx.Err() != nil {
			out[i].Err = ctx.Err()
			continue
		}
		if p.refuse != nil {
			if out[i].Err = p.refuse(r); out[i].Err != nil {
				failed[r.Partition] = true
				continue
			}
		}
		for _, other := range p.records {
			if other.Partition == r.Partition {
				r.Offset++
			}
		}
		r.Value = slices.Clone(r.Value)
		p.records = append(p.records, r)
		out[i].Partition, out[i].Offset = r.Partition, r.Offset
	}
	return out
}

// events are what was published, in order, with refusals among it.
func (p *topic) events() []event.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]event.Event, len(p.records))
	for i := range p.records {
		out[i] = event.Read(&p.records[i])
	}
	return out
}

// ids are those of what was published without a refusal.
func (p *topic) ids() []string {
	var ids []string
	for _, e := range p.events() {
		if e.Refused == nil {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func (p *topic) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.records)
}

// seen is an Observer that remembers.
type seen struct {
	NoObserver
	mu     sync.Mutex
	alarms map[inbox.AlarmCode]string
	codes  []int
	// remarked are the remarks of each time that there were others.
	remarked [][]connector.Remark
}

func (s *seen) Alarm(_ string, code inbox.AlarmCode, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alarms[code] = text
}

func (s *seen) Answered(_ string, status int, _ time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes = append(s.codes, status)
}

func (s *seen) Remarked(_ string, remarks []connector.Remark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remarked = append(s.remarked, remarks)
}

func (s *seen) alarm(code inbox.AlarmCode) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alarms[code]
}

// field is a key that is a member of the document.
func field(name string) inbox.Eval {
	return func(_ context.Context, in inbox.Input) (string, error) {
		v := in.Doc.Root().Get(name)
		if !v.Exists() {
			return "", errors.New("flows/orders.yaml:7:6: source." + name + " is missing")
		}
		return v.Str(), nil
	}
}

var errDown = fault.New(fault.Unavailable, "connection refused")

// testLog is silent, or standard error under WAYBILL_TEST_LOG=1.
func testLog() *slog.Logger {
	if os.Getenv("WAYBILL_TEST_LOG") == "1" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}
