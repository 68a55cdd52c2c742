package rules

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/privacy"
	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// kind is the connector of the tests' systems.
type kind struct{}

func (kind) Spec() connector.Spec {
	return connector.Spec{Kind: "memory", Fields: connector.Fields[struct {
		connector.Common `yaml:",inline"`
	}](), Can: connector.Abilities{List: true, Find: true, Poll: true, Write: true}}
}
func (kind) Check(connector.Settings, *strictyaml.Problems) {}
func (kind) Open(context.Context, connector.Settings) (connector.System, error) {
	return nil, errors.New("tests open nothing")
}

// load gives the plan of these documents over the systems wms and erp.
func load(t testing.TB, flows string, mappings ...string) *config.Plan {
	t.Helper()
	fs := fstest.MapFS{}
	for i, m := range mappings {
		fs[fmt.Sprintf("m%d.yaml", i)] = &fstest.MapFile{Data: []byte(m)}
	}
	plan, p := config.Load(config.EmbeddedPaths(fstest.MapFS{"waybill.yaml": {Data: []byte("systems:\n  wms: {connector: memory}\n  erp: {connector: memory}\n")}},
		fstest.MapFS{"r.yaml": {Data: []byte(flows)}}, fs, fstest.MapFS{"any.json": {Data: []byte(`{"type": "object", "properties": {"uid": {}, "id": {}, "no": {}, "draft": {}, "need": {}}}`)},
			"person.json": {Data: []byte(`{"type": "object", "properties": {"no": {"type": "string"}, "of": {"type": "string"}, "name": {"type": "string", "x-pii": true}}}`)}}),
		config.Options{Kinds: map[string]connector.Kind{"memory": kind{}}})
	if plan == nil {
		t.Fatal(p.Err())
	}
	return plan
}

// system lists what it is given, object by object.
type system struct {
	objects map[string][]connector.Record
	// breaks, by object, is after how many records a list fails.
	breaks map[string]int
	// asks: single objects can be looked up.
	asks bool
	// torn are ids of objects that a list bears and a question does not.
	torn map[string]bool
	// each is told of every record of a list; a list whose context has ended ends, and says nothing.
	each  func(i int)
	lists map[string]int // how often each was listed
}

func newSystem() *system {
	return &system{objects: map[string][]connector.Record{}, breaks: map[string]int{}, lists: map[string]int{}}
}

func (s *system) Probe(context.Context) error { return nil }
func (s *system) Close() error                { return nil }

func (s *system) List(ctx context.Context, object string, since time.Time) iter.Seq2[connector.Record, error] {
	s.lists[object]++
	return func(yield func(connector.Record, error) bool) {
		n, breaks := s.breaks[object]
		for i, r := range s.objects[object] {
			if breaks && i == n {
				yield(connector.Record{}, fault.New(fault.Unavailable, "the list broke off"))
				return
			}
			if s.each != nil {
				s.each(i)
			}
			if ctx.Err() != nil {
				return
			}
			if !since.IsZero() && r.Version < since.Format(time.RFC3339) {
				continue
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (s *system) Find(_ context.Context, l connector.Lookup) ([]connector.Record, error) {
	if !s.asks {
		return nil, connector.ErrNoLookup
	}
	if s.torn[l.Local] {
		return nil, fault.New(fault.Invalid, "row %s: a column holds no number", l.Local)
	}
	for _, r := range s.objects[l.Object] {
		if r.Local == l.Local {
			return []connector.Record{r}, nil
		}
	}
	return nil, nil
}

// set gives an object: its document, or a failure as "!why".
func (s *system) set(object, local, doc string) {
	r := connector.Record{Local: local, Doc: []byte(doc)}
	if why, bad := strings.CutPrefix(doc, "!"); bad {
		r = connector.Record{Local: local, Err: errors.New(why)}
	}
	if i := slices.IndexFunc(s.objects[object], func(r connector.Record) bool { return r.Local == local }); i >= 0 {
		s.objects[object][i] = r
		return
	}
	s.objects[object] = append(s.objects[object], r)
}

func (s *system) remove(object, local string) {
	s.objects[object] = slices.DeleteFunc(s.objects[object], func(r connector.Record) bool { return r.Local == local })
}

// memoryStore is what the hub remembers.
type memoryStore struct {
	known      map[string]int               // by flow
	hubs       map[string]string            // by "system local"
	remembered map[string]map[string]string // by rule and object
	until      map[string]time.Time
	writes     int
	fails      error
	failsLocal error
}

func newStore() *memoryStore {
	return &memoryStore{known: map[string]int{}, hubs: map[string]string{}, remembered: map[string]map[string]string{}, until: map[string]time.Time{}}
}

func (m *memoryStore) HubID(_ context.Context, _, system, local string) (string, bool, error) {
	hub, ok := m.hubs[system+" "+local]
	return hub, ok, m.fails
}

func (m *memoryStore) LocalID(_ context.Context, _, system, hub string) (string, bool, error) {
	for at, h := range m.hubs {
		if s, local, _ := strings.Cut(at, " "); s == system && h == hub {
			return local, true, nil
		}
	}
	return "", false, errors.Join(m.fails, m.failsLocal)
}

func (m *memoryStore) CountKnown(_ context.Context, _, _, flow string) (int, error) {
	return m.known[flow], nil
}

func (m *memoryStore) Remembered(_ context.Context, rule, after string, limit int) ([]state.Remembered, error) {
	var out []state.Remembered
	for object, doc := range m.remembered[rule] {
		if object > after {
			out = append(out, state.Remembered{Object: object, Doc: []byte(doc), Until: m.until[object]})
		}
	}
	slices.SortFunc(out, func(a, b state.Remembered) int { return strings.Compare(a.Object, b.Object) })
	return out[:min(limit, len(out))], nil
}

func (m *memoryStore) Remember(_ context.Context, rule string, objects []state.Remembered) error {
	if m.remembered[rule] == nil {
		m.remembered[rule] = map[string]string{}
	}
	for _, o := range objects {
		m.writes++
		m.remembered[rule][o.Object], m.until[o.Object] = string(o.Doc), o.Until
	}
	return nil
}

// clock passes times of rest at once, and tells of each.
type clock struct {
	now  time.Time
	rest func()
	n    int
}

func (c *clock) Now() time.Time         { return c.now }
func (c *clock) Elapsed() time.Duration { return 0 }
func (c *clock) NewTimer(time.Duration) lifecycle.Timer {
	c.n++
	if c.rest != nil {
		c.rest()
	}
	t := fired(make(chan time.Time, 1))
	t <- c.now
	return t
}

type fired chan time.Time

func (f fired) C() <-chan time.Time      { return f }
func (f fired) Stop() bool               { return false }
func (f fired) Reset(time.Duration) bool { return false }

// bench is a run with all that it needs.
type bench struct {
	t        testing.TB
	plan     *config.Plan
	wms, erp *system
	store    *memoryStore
	clock    *clock
	know     Knowledge
	opts     state.CompareOptions
	memory   int
	private  bool

	found    []state.Difference
	progress []state.CompareProgress
}

func newBench(t testing.TB, plan *config.Plan) *bench {
	return &bench{t: t, plan: plan, wms: newSystem(), erp: newSystem(), store: newStore(), clock: &clock{now: time.Date(2026, 11, 30, 6, 0, 0, 0, time.UTC)}}
}

func (b *bench) Progress(p state.CompareProgress) { b.progress = append(b.progress, p) }
func (b *bench) Add(_ context.Context, d []state.Difference) error {
	b.found = append(b.found, d...)
	return nil
}

func (b *bench) try(ctx context.Context) (state.RunState, state.CompareSummary, string, error) {
	b.t.Helper()
	b.found = nil
	c := Config{Store: b.store, Clock: b.clock, Knowledge: b.know, Plan: b.plan, Spill: spill.Config{Dir: b.t.TempDir(), Memory: b.memory},
		Connector: func(name string) connector.System {
			return map[string]connector.System{"wms": b.wms, "erp": b.erp}[name]
		}}
	if b.private {
		c.Private = privacy.Of(b.plan)
	}
	run, err := New(c, b.plan.Rules[0], 7, b.opts, b)
	if err != nil {
		b.t.Fatal(err)
	}
	return run.Do(ctx)
}

func (b *bench) run() (state.CompareSummary, string) {
	b.t.Helper()
	_, sum, detail, err := b.try(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	return sum, detail
}

// lines are what was found, each in a line.
func (b *bench) lines() []string {
	out := []string{}
	for i := range b.found {
		d := &b.found[i]
		line := fmt.Sprintf("%s %s %s%s: %s", d.Kind, d.Reason, d.Left, d.Right, d.Text)
		if d.Explained {
			line = "explained " + line
		}
		if d.Amount != "" {
			line += " " + d.Amount + " " + d.Currency
		}
		out = append(out, line)
	}
	return out
}

func (b *bench) want(lines ...string) {
	b.t.Helper()
	if got := b.lines(); strings.Join(got, "\n") != strings.Join(lines, "\n") {
		b.t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}
