package reconcile

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/waybill-hub/waybill/internal/compare"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/submit"
)

// fake is a system in memory: it lists, and can be asked.
type fake struct {
	mu      sync.Mutex
	objects map[string]string // documents by id
	lists   int               // how often it was listed
	asked   int               // how often it was asked for one
	// listing is called before the n-th object of the k-th listing is given (both from 1), and may change the system or fail.
	listing func(k, n int) error
	// finding is called before the n-th question.
	finding func(n int, l connector.Lookup) error
	// hidden are left out of lists; twice are given a second time, at the end.
	hidden, twice map[string]bool
	empty         bool // lists give nothing
}

func (f *fake) Probe(context.Context) error { return nil }
func (f *fake) Close() error                { return nil }

func (f *fake) set(id, doc string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if doc == "" {
		delete(f.objects, id)
		return
	}
	f.objects[id] = doc
}

func (f *fake) get(id string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.objects[id]
}

func (f *fake) List(ctx context.Context, _ string, since time.Time) iter.Seq2[connector.Record, error] {
	return func(yield func(connector.Record, error) bool) {
		f.mu.Lock()
		f.lists++
		k, ids := f.lists, slices.Sorted(maps.Keys(f.objects))
		if f.empty {
			ids = nil
		}
		for _, id := range ids {
			if f.twice[id] {
				ids = append(ids, id)
			}
		}
		f.mu.Unlock()
		for n, id := range ids {
			if f.listing != nil {
				if err := f.listing(k, n+1); err != nil {
					yield(connector.Record{}, err)
					return
				}
			}
			if ctx.Err() != nil {
				yield(connector.Record{}, context.Cause(ctx))
				return
			}
			doc := f.get(id)
			if doc == "" || f.hidden[id] || !since.IsZero() && !strings.Contains(doc, `"changed"`) {
				continue
			}
			if !yield(record(id, doc), nil) {
				return
			}
		}
	}
}

// record is a document as a record: one that begins with ! cannot be read.
func record(id, doc string) connector.Record {
	if why, bad := strings.CutPrefix(doc, "!"); bad {
		return connector.Record{Local: id, Err: fmt.Errorf("%s", why)}
	}
	return connector.Record{Local: id, Doc: []byte(doc)}
}

func (f *fake) Find(ctx context.Context, l connector.Lookup) ([]connector.Record, error) {
	f.mu.Lock()
	f.asked++
	n := f.asked
	f.mu.Unlock()
	if f.finding != nil {
		if err := f.finding(n, l); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if l.Local == "" {
		return nil, connector.ErrNoLookup
	}
	if doc := f.get(l.Local); doc != "" {
		return []connector.Record{record(l.Local, doc)}, nil
	}
	return nil, nil
}

// onlyLists is a system that cannot be asked for one object.
type onlyLists struct{ f *fake }

func (o onlyLists) Probe(context.Context) error { return nil }
func (o onlyLists) Close() error                { return nil }
func (o onlyLists) List(ctx context.Context, object string, since time.Time) iter.Seq2[connector.Record, error] {
	return o.f.List(ctx, object, since)
}

// hub is the running hub: what is submitted to it is written to the east at once.
type hub struct {
	w *world
	// late gives why flows are late at the n-th question.
	late func(n int, m *Mark) map[string]Lateness
	// submitting may refuse the n-th submission.
	submitting func(n int, flow string, events []event.Event) error
	marks      int
	lates      int
	submits    int
	submitted  []event.Event
	lazy       bool // what is submitted is not written
}

func (h *hub) Mark(context.Context) (*Mark, error) { h.marks++; return &Mark{}, nil }

func (h *hub) Late(ctx context.Context, _ []string, m *Mark) (map[string]Lateness, error) {
	h.lates++
	if h.late == nil {
		return nil, context.Cause(ctx)
	}
	return h.late(h.lates, m), context.Cause(ctx)
}

func (h *hub) Object(ctx context.Context, flow string, l connector.Lookup) ([]event.Event, error) {
	sys := h.w.plan.Flow(flow).From.System
	got, err := h.w.systems[sys].Find(ctx, connector.Lookup{Local: l.Local})
	if err != nil || len(got) == 0 {
		return nil, err
	}
	return []event.Event{{Source: sys, Entity: "order", Operation: event.Upsert, Local: l.Local, Origin: sys, Data: got[0].Doc}}, nil
}

func (h *hub) Submit(_ context.Context, flow string, events []event.Event, by event.Submission) (submit.Receipt, error) {
	h.submits++
	if by.Trigger != event.Repair {
		panic("another trigger")
	}
	var out submit.Receipt
	if h.submitting != nil {
		if err := h.submitting(h.submits, flow, events); err != nil {
			return out, err
		}
	}
	to := h.w.east
	if flow == "east" || flow == "to-west" {
		to = h.w.west
	}
	for _, ev := range events {
		h.submitted = append(h.submitted, ev)
		out.Events = append(out.Events, submit.Accepted{ID: "r:" + ev.ID, Status: state.AcceptedNew})
		if h.lazy {
			continue
		}
		doc := string(ev.Data)
		if ev.Operation == event.Delete {
			doc = ""
		}
		id := ev.Key
		if h.w.mem.hubs[[2]string{"east", id}] == "" {
			h.w.mem.know("hub-"+id, "west", id, "east", id)
		}
		to.set(id, doc)
	}
	return out, nil
}

// world is two systems, west and east, with the hub between them. Objects have the same ids in both.
type world struct {
	t          *testing.T
	west, east *fake
	systems    map[string]*fake
	open       map[string]connector.System
	mem        *memory
	hub        *hub
	plan       *config.Plan
	rec        *config.Reconciliation
	clock      *lifecycle.Manual
	dir        string
	memory     int // of each sorter
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, west: &fake{objects: map[string]string{}}, east: &fake{objects: map[string]string{}}, dir: t.TempDir(), memory: 200}
	w.systems = map[string]*fake{"west": w.west, "east": w.east}
	w.open = map[string]connector.System{"west": w.west, "east": w.east}
	w.mem = &memory{hubs: map[[2]string]string{}, refs: map[string][]state.Ref{}, standing: map[string]*state.Standing{}}
	w.hub = &hub{w: w}
	w.clock = lifecycle.NewManual(time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC))
	w.plan = &config.Plan{Flows: []*config.Flow{
		{Name: "east", Entity: "order", From: config.From{System: "east", Poll: &config.Poll{Every: time.Second}}, To: config.To{Topic: "canonical.east"}},
		{Name: "to-east", Entity: "order", From: config.From{Topic: "canonical.order"}, To: config.To{System: "east", OnDelete: config.DeleteObject}},
		{Name: "west", Entity: "order", From: config.From{System: "west", Poll: &config.Poll{Every: time.Second}}, To: config.To{Topic: "canonical.order"}},
	}}
	w.rec = &config.Reconciliation{Name: "orders", Entity: "order", Left: config.Side{System: "west", Flow: "west"}, Right: config.Side{System: "east", Flow: "east"},
		Match: config.Match{Xref: true}, Compare: compare.All(), Settle: 10 * time.Second}
	return w
}

// both puts an object into both systems, known to the hub.
func (w *world) both(id, doc string) {
	w.west.objects[id], w.east.objects[id] = doc, doc
	w.mem.know("hub-"+id, "west", id, "east", id)
}

// answer is how a run has ended.
type answer struct {
	st     state.RunState
	sum    state.CompareSummary
	detail string
	err    error
	found  []state.Difference
}

// run makes a run; the clock goes on by itself whenever everything rests.
func (w *world) run(ctx context.Context, a Asked) answer {
	w.t.Helper()
	if a.ID == 0 {
		a.ID = 7
	}
	if a.Attempt == 0 {
		a.Attempt = 1
	}
	w.mem.found = nil
	var r answer
	r.err = w.turning(func() (err error) {
		run, err := New(Config{Store: w.mem, Hub: w.hub, Clock: w.clock, Connector: func(s string) connector.System { return w.open[s] }, Plan: w.plan, Private: privacy.Of(w.plan),
			Spill: spill.Config{Dir: w.dir, Memory: w.memory}}, w.rec, a, w.mem)
		if err != nil {
			return err
		}
		r.st, r.sum, r.detail, err = run.Do(ctx)
		return err
	})
	r.found = w.mem.found
	if files, err := os.ReadDir(w.dir); err != nil || len(files) > 0 {
		w.t.Errorf("left in the spill directory: %v %v", files, err)
	}
	return r
}

// turning moves the clock on to whatever is waited for, until work is done.
func (w *world) turning(work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	for {
		synctest.Wait()
		select {
		case err := <-done:
			return err
		default:
		}
		next, ok := w.clock.Next()
		if !ok {
			w.t.Fatal("it waits for nothing that comes")
		}
		w.clock.Set(next)
	}
}

// reasons are what was found, by id: kind and reason.
func (a *answer) reasons() map[string]string {
	out := map[string]string{}
	for _, d := range a.found {
		id := d.Left
		if id == "" {
			id = d.Right
		}
		out[id] += d.Kind + " " + d.Reason
	}
	return out
}

// inWorld runs a test in a bubble of its own.
func inWorld(test func(t *testing.T, w *world)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, newWorld(t)) }) }
}

func (w *world) expr(text string, result string) *mapping.Expr {
	w.t.Helper()
	p := &strictyaml.Problems{}
	e := mapping.CompileExpr(strictyaml.Parse("x.yaml", []byte("x: "+text), p)[0].Get("x"), mapping.ExprContext{Result: result}, p)
	if err := p.Err(); err != nil {
		w.t.Fatal(err)
	}
	return e
}

// hashes are those of a document's fields, as the hub keeps them.
func hashes(t *testing.T, doc string) map[string]uint64 {
	t.Helper()
	d, err := jsondoc.Parse([]byte(doc), jsondoc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return jsondoc.FieldHashes(d.Root(), nil)
}

var unavailable = fault.New(fault.Unavailable, "it is down")

// many lists more objects than there may be groups of a total.
type many struct{ *fake }

func (many) List(context.Context, string, time.Time) iter.Seq2[connector.Record, error] {
	return func(yield func(connector.Record, error) bool) {
		for i := range compare.MaxGroups + 10 {
			if !yield(connector.Record{Local: fmt.Sprint(i), Doc: fmt.Appendf(nil, `{"n":1,"id":%d}`, i)}, nil) {
				return
			}
		}
	}
}
