package flow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/flow/breaker"
	"github.com/waybill-hub/waybill/internal/flow/deliver"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
	"github.com/waybill-hub/waybill/internal/store/pgtest"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func TestMain(m *testing.M) {
	os.Exit(pgtest.MainWithoutLeaks(m))
}

// target is a system that does what the script says, and keeps what it was told.
type target struct {
	mu      sync.Mutex
	objects map[string]map[string]any // by local id
	byExt   map[string]string         // external id → local id
	etags   map[string]int
	script  []step // one per call to Write; then everything succeeds
	calls   []string
	next    int
	probe   error
	// loose: it makes an object of every create, whatever its external id; wait is how long it takes to think.
	loose bool
	wait  time.Duration
	log   []written
	// busy counts the calls under way by number, together those that met another one of theirs.
	busy     map[string]int
	together int
}

// enter begins a call; it gives others time to come in beside it.
func (t *target) enter(no string) {
	t.mu.Lock()
	if t.busy[no]++; t.busy[no] > 1 {
		t.together++
	}
	t.mu.Unlock()
	if t.wait > 0 {
		<-time.After(t.wait)
	}
}

func (t *target) leave(no string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy[no]--
}

// written is a document that was applied.
type written struct {
	no  string
	qty float64
}

// step is what one call to Write does: whether the change is applied, and what the caller is told.
type step struct {
	apply bool
	err   error
	// before runs with the lock held, before the call: somebody else at work in the target.
	before func(t *target)
}

func newTarget() *target {
	return &target{objects: map[string]map[string]any{}, byExt: map[string]string{}, etags: map[string]int{}, busy: map[string]int{}}
}

func (t *target) Probe(context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.probe
}
func (t *target) Close() error { return nil }

func (t *target) Write(_ context.Context, w connector.Write) (connector.Result, error) {
	var doc map[string]any
	_ = json.Unmarshal(w.Doc, &doc)
	no, _ := doc["no"].(string)
	t.enter(no)
	defer t.leave(no)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.probe != nil {
		return connector.Result{}, t.probe
	}
	s := step{apply: true}
	if len(t.script) > 0 {
		s, t.script = t.script[0], t.script[1:]
	}
	if s.before != nil {
		s.before(t)
	}
	t.calls = append(t.calls, fmt.Sprintf("%s %v", w.Action, doc["no"]))
	var res connector.Result
	if s.apply {
		r, err := t.apply(w, doc)
		if err != nil {
			return connector.Result{}, err
		}
		res = r
		qty, _ := doc["qty"].(float64)
		t.log = append(t.log, written{no, qty})
	}
	return res, s.err
}

func (t *target) apply(w connector.Write, doc map[string]any) (connector.Result, error) {
	switch w.Action {
	case connector.Create:
		if local, ok := t.byExt[w.External]; ok && !t.loose {
			return connector.Result{}, &fault.Error{Kind: fault.Conflict, Duplicate: true, Err: errors.New("exists: " + local)}
		}
		t.next++
		local := fmt.Sprint("T", t.next)
		t.objects[local], t.byExt[w.External] = doc, local
		return connector.Result{Local: local, ETag: t.bump(local)}, nil
	case connector.Delete:
		if _, ok := t.objects[w.Local]; !ok {
			return connector.Result{}, fault.New(fault.NotFound, "no %s", w.Local)
		}
		delete(t.objects, w.Local)
		return connector.Result{Local: w.Local}, nil
	}
	old, ok := t.objects[w.Local]
	if !ok {
		return connector.Result{}, fault.New(fault.NotFound, "no %s", w.Local)
	}
	if w.ETag != "" && w.ETag != fmt.Sprint(t.etags[w.Local]) {
		return connector.Result{}, fault.New(fault.Conflict, "etag %s is stale", w.ETag)
	}
	for k, v := range doc {
		old[k] = v
	}
	return connector.Result{Local: w.Local, ETag: t.bump(w.Local)}, nil
}

func (t *target) bump(local string) string {
	t.etags[local]++
	return fmt.Sprint(t.etags[local])
}

func (t *target) Find(_ context.Context, l connector.Lookup) ([]connector.Record, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	local := l.Local
	if local == "" {
		t.calls = append(t.calls, "find")
		local = t.byExt[l.External]
	}
	doc, ok := t.objects[local]
	if !ok {
		return nil, nil
	}
	data, err := json.Marshal(doc)
	return []connector.Record{{Local: local, Doc: data, ETag: fmt.Sprint(t.etags[local])}}, err
}

// mute is a target that cannot be asked.
type mute struct{ *target }

func (m mute) Find() {} // hides the method: not a Finder

// paper is a target whose objects stay as they were created.
type paper struct{ *target }

func (paper) WriteOnce() {}

func (p paper) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	if w.Action != connector.Create {
		return connector.Result{}, fault.New(fault.Invalid, "what was written is not changed")
	}
	return p.target.Write(ctx, w)
}

type kind struct{ open func() connector.System }

func (k kind) Spec() connector.Spec {
	return connector.Spec{Kind: "script", Can: connector.Abilities{Write: true, Find: true, Poll: true, Files: true}}
}
func (kind) Describe(connector.Settings, string) connector.ObjectType {
	return connector.ObjectType{Stamps: []string{"rev"}}
}
func (kind) Check(connector.Settings, *strictyaml.Problems) {}
func (k kind) Open(context.Context, connector.Settings) (connector.System, error) {
	return k.open(), nil
}

// log is a topic that remembers what was published; the bus's own suite tests the real one.
type topicLog struct {
	mu      sync.Mutex
	records []event.Record
	fail    []error
	failed  func() // called with every failure; may be nil
}

func (l *topicLog) Send(_ context.Context, records []event.Record) []event.Sent {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := make([]event.Sent, len(records))
	for i := range records {
		if len(l.fail) > 0 {
			sent[i].Err, l.fail = l.fail[0], l.fail[1:]
			if sent[i].Err != nil && l.failed != nil {
				l.failed()
			}
		}
		if sent[i].Err == nil {
			sent[i].Offset = int64(len(l.records))
			records[i].Offset = sent[i].Offset
			kept := records[i]
			kept.Value = bytes.Clone(kept.Value) // it is the sender's again when Send has returned
			l.records = append(l.records, kept)
		}
	}
	return sent
}

type silence struct{}

func (silence) Outcome(string, state.Outcome, string, time.Duration) {}
func (silence) Retried(string)                                       {}
func (silence) Call(string, time.Duration, error)                    {}
func (silence) Alarm(string, string, error)                          {}
func (silence) Retrying(string, string, string)                      {}
func (silence) Parked(string, string, string)                        {}

const testFlows = `
flow: orders-to-erp
entity: order
from: {topic: orders}
accept: test/order.v1
when: data.status != "draft"
requires:
  - {entity: customer, id: data.customer}
map: order-to-erp
to: {system: erp, on-delete: delete, find: after-conflict}
retry: {for: 5m, backoff: 100ms..2s}
---
flow: orders-latest
entity: order
from: {topic: orders}
accept: test/order.v1
map: order-to-erp
to: {system: erp2, on-delete: deactivate, deactivated: {status: "gone"}, find: after-conflict}
order: latest
---
flow: copy
entity: order
from: {topic: orders}
to: {topic: copies}
---
flow: erp-orders
entity: order
from: {system: erp, poll: {every: 1m}}
accept: test/erp-order.v1
when: source.qty >= 0
key: source.no
version: source.rev
map: erp-to-order
to: {topic: booked}
---
flow: erp-customers
entity: customer
from: {system: erp, poll: {every: 1m}}
accept: test/erp-order.v1
key: source.no
version: source.rev
map: erp-to-order
to: {topic: customers}
`

const testMappings = `
mapping: order-to-erp
from: test/order.v1
to: test/erp-order.v1
set:
  no: source.no
  qty: source.qty
  status?: source.status
---
mapping: erp-to-order
from: test/erp-order.v1
to: test/order.v1
set:
  no: source.no
  qty: source.qty
  status?: source.status
  number?: source.number
`

const plainMappings = `
---
mapping: plain
from: test/order.v1
to: test/erp-order.v1
set:
  no: source.no
  qty: source.qty
---
mapping: ticking
from: test/order.v1
to: test/erp-order.v1
set:
  no: source.no
  qty: source.qty
  number?: source.status
---
mapping: qty-only
from: test/order.v1
to: test/erp-order.v1
set:
  no: source.no
  qty: source.qty
`

const testSchema = `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","required":["no","qty"],"additionalProperties":false,
"properties":{"no":{"type":"string"},"qty":{"type":"integer"},"status":{"type":"string"},"customer":{"type":"string"},"number":{"type":"string"},"rev":{"type":"integer"},"id":{"type":"string"},"phone":{"type":"string"}}}`

// world is a hub's engine on a real store, with scripted systems around it.
type world struct {
	t     *testing.T
	plan  *config.Plan
	store *store.Store
	clock *lifecycle.Manual // nil: the machine's
	erp   *target
	erp2  *target
	log   *topicLog
	deps  Deps
	path  string           // of the store
	next  map[string]int64 // offset by flow
	// atRest is how many timers are waited for when nobody is at work: one of each flow, and the one of who waits. The clock is turned on only then. 0: two.
	atRest int
}

// onWoken calls f as the hub has all flows look when what messages waited for has come.
func (w *world) onWoken(f func()) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-w.store.Woken():
				f()
			case <-ctx.Done():
				return
			}
		}
	}()
	w.t.Cleanup(func() { stop(); <-done })
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, testFlows, store.Config{})
}

// newWorldOf is a world with flows of its own. A store without a path is a new file; another one has the machine's clock.
func newWorldOf(t *testing.T, flows string, cfg store.Config) *world {
	t.Helper()
	return newWorldWith(t, flows, cfg, testMappings+plainMappings, testSchema)
}

// newWorldWith has mappings and a schema of orders of its own.
func newWorldWith(t *testing.T, flows string, cfg store.Config, mappings, orders string) *world {
	t.Helper()
	w := &world{t: t, clock: lifecycle.NewManual(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)), erp: newTarget(), erp2: newTarget(), log: &topicLog{}, next: map[string]int64{}}
	src := func(name string, files map[string]string) []config.Source {
		m := fstest.MapFS{}
		for k, v := range files {
			m[k] = &fstest.MapFile{Data: []byte(v)}
		}
		return []config.Source{{Name: name, FS: m}}
	}
	paths := config.Paths{Config: "waybill.yaml", ConfigFS: src("", map[string]string{"waybill.yaml": "systems:\n  erp: {connector: script}\n  erp2: {connector: script}\n"})[0].FS,
		Flows: src("flows", map[string]string{"f.yaml": flows}), Mappings: src("mappings", map[string]string{"m.yaml": mappings}),
		Schemas: src("schemas", map[string]string{"test/order.v1.json": orders, "test/erp-order.v1.json": testSchema})}
	plan, problems := config.Load(paths, config.Options{Kinds: map[string]connector.Kind{"script": kind{}}})
	if problems.Len() > 0 {
		t.Fatal(problems.Err())
	}
	w.plan = plan
	clock := lifecycle.Clock(w.clock)
	if cfg.SQLite != "" || cfg.Postgres != "" {
		w.clock, clock = nil, lifecycle.Real()
	} else {
		cfg.SQLite = filepath.Join(t.TempDir(), "w.db")
	}
	w.path = cfg.SQLite
	cfg.Clock = clock
	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w.store = s
	systems := map[string]*deliver.System{}
	for name, c := range map[string]connector.System{"erp": w.erp, "erp2": w.erp2} {
		systems[name] = &deliver.System{System: plan.Systems[name], Connector: c, Breaker: breaker.New(name, clock, slog.New(slog.DiscardHandler), c.Probe)}
	}
	w.deps = Deps{Plan: plan, Store: s, Publisher: w.log, Systems: systems, Clock: clock, Log: slog.New(slog.DiscardHandler), Observer: silence{}, Lanes: 16}
	return w
}

// flow makes a runner that owns partition 0 of its topic.
func (w *world) flow(name string) *Runner {
	w.t.Helper()
	r, err := New(w.plan.Flow(name), w.deps)
	if err != nil {
		w.t.Fatal(err)
	}
	w.assign(r)
	w.t.Cleanup(func() {
		if err := r.Stop(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
	return r
}

func (w *world) assign(r *Runner) {
	w.t.Helper()
	if _, _, _, err := r.Assigned(w.t.Context(), r.flow.Group(), r.flow.Topic(), 0, event.Log{Cluster: "cluster", TopicID: "topic", Last: 1 << 40}); err != nil {
		w.t.Fatal(err)
	}
}

func order(no string, qty int, version string) event.Event {
	return event.Event{ID: no + "@" + version, Source: "crm", Entity: "order", Operation: event.Upsert, Key: no, Hub: "hub-" + no, Version: version, Origin: "crm",
		Data: fmt.Appendf(nil, `{"no":%q,"qty":%d,"status":"new"}`, no, qty)}
}

// accepted is the event as it was accepted some seconds after nine.
func accepted(e event.Event, second int) event.Event {
	e.Accepted = time.Date(2026, 3, 1, 9, 0, second, 0, time.UTC)
	return e
}

func with(e event.Event, change func(*event.Event)) event.Event { change(&e); return e }

// batch hands records to the flow as the router would, turning the clock while it works.
func (w *world) batch(r *Runner, events ...event.Event) error {
	w.t.Helper()
	b := &event.Batch{Group: r.flow.Group(), Topic: r.flow.Topic(), Epoch: w.epoch(r)}
	for i := range events {
		e := &events[i]
		if r.flow.From.System != "" {
			e.Hub, e.Origin = "", "" // the relay knows neither
		}
		b.Records = append(b.Records, event.Record{Topic: b.Topic, Offset: w.next[r.flow.Name], Key: []byte(e.Lane()), Value: e.Data, Headers: e.Headers(), Time: w.clock.Now()})
		w.next[r.flow.Name]++
	}
	b.Lane = event.LaneOf(events[0].Lane(), 16)
	return w.hand(r, b)
}

func (w *world) epoch(r *Runner) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.parts[partKey{r.flow.Topic(), 0}].Epoch
}

func (w *world) hand(r *Runner, b *event.Batch) error {
	w.t.Helper()
	msg := message.NewMessage("m", nil)
	msg.SetContext(event.WithBatch(w.t.Context(), b))
	done := make(chan error, 1)
	go func() { done <- r.Handle(msg) }()
	return w.turn(done)
}

// turn moves the clock to its next timer until done answers.
func (w *world) turn(done <-chan error) error {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for {
		idle, stop := context.WithCancel(ctx)
		waiting := make(chan struct{})
		go func() { _ = w.clock.BlockUntil(idle, max(2, w.atRest)); close(waiting) }()
		select {
		case err := <-done:
			stop()
			<-waiting
			return err
		case <-waiting:
			stop()
			if ctx.Err() != nil {
				w.t.Fatal("the engine does not come to an end")
			}
			w.step()
		}
	}
}

// step moves the clock towards its next timer. Somebody may be at work who does not wait for it: for him, little time is to pass.
func (w *world) step() {
	if at, ok := w.clock.Next(); ok {
		if most := w.clock.Now().Add(drainEvery); at.After(most) {
			at = most
		}
		w.clock.Set(at)
	}
}

// handQuiet hands a batch over and leaves the clock to others.
func (w *world) handQuiet(r *Runner, b *event.Batch) error {
	msg := message.NewMessage("m", nil)
	msg.SetContext(event.WithBatch(context.Background(), b))
	return r.Handle(msg)
}

// must hands a batch over and expects every record to get its fate.
func (w *world) must(r *Runner, events ...event.Event) {
	w.t.Helper()
	if err := w.batch(r, events...); err != nil {
		w.t.Fatal(err)
	}
}

// turnsTheClock marks tests that turn the clock on a thousand times, by one goroutine: with the race detector (-short) they take long and find
// nothing that others do not.
func turnsTheClock(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves out what only turns the clock")
	}
}

// patience is the real time after which a test of the set clock gives up: much more than one takes, also with the race detector on a
// machine that has others to serve.
const patience = 3 * time.Minute

// until turns the clock, timer by timer, until what holds.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for !holds() {
		if err := w.clock.BlockUntil(ctx, 1); err != nil {
			w.t.Fatalf("never: %s", what)
		}
		w.step()
		if ctx.Err() != nil {
			w.t.Fatalf("never: %s", what)
		}
	}
}

func (w *world) totals(flow string) state.FlowTotals {
	w.t.Helper()
	all, _, _, err := w.store.StatusSnapshot(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range all {
		if n := all[i].Unaccounted(); n != 0 {
			w.t.Errorf("flow %s: %d unaccounted: %+v", all[i].Flow, n, all[i])
		}
		if all[i].Flow == flow {
			return all[i]
		}
	}
	return state.FlowTotals{Skipped: map[string]int64{}}
}

// expect compares a flow's totals with "delivered=1 skipped.stale=2 parked=1 waiting=0".
func (w *world) expect(flow, want string) {
	w.t.Helper()
	if got := w.summary(flow); got != want {
		w.t.Errorf("%s: got %q, want %q; calls %v", flow, got, want, w.erp.calls)
	}
}

func (w *world) summary(flow string) string {
	t := w.totals(flow)
	var parts []string
	add := func(name string, n int64) {
		if n != 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", name, n))
		}
	}
	add("delivered", t.Delivered)
	var reasons []string
	for k := range t.Skipped {
		reasons = append(reasons, k)
	}
	slices.Sort(reasons)
	for _, k := range reasons {
		add(k, t.Skipped[k])
	}
	add("parked", t.Parked)
	add("waiting", t.Waiting)
	add("held", t.Held)
	add("discarded", t.Discarded)
	return strings.Join(parts, " ")
}

func (w *world) queue(flow string) []state.Queued {
	w.t.Helper()
	rows, err := w.store.Parked(w.t.Context(), state.QueueFilter{Flow: flow})
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}
