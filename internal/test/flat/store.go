package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

var storeThings = []thing{
	{"references", "objects known in two systems", []int{10_000, 100_000, 1_000_000, 10_000_000}, measureStore(fillReferences, []work{
		{"find the object of an id in a system", resolve}, {"look before a write", lookBefore}, {"16 writes to known objects", write16}, {"16 new objects", create16},
		{"status", status}, {"trace of an id", traceLocal}, {"a page of a sweep (500)", sweepPage},
	})},
	{"journal", "rows of the journal", []int{10_000, 100_000, 1_000_000, 10_000_000}, measureStore(fillJournal, []work{
		{"16 fates with their rows", write16}, {"16 rows alone", rows16}, {"status", status}, {"trace of a key", traceKey}, {"what is too old is looked for", prune},
	})},
	{"parked", "messages that wait for a person", []int{1_000, 10_000, 100_000}, measureStore(fillParked, []work{
		{"16 writes to other objects", write16}, {"16 more are parked", park16}, {"status", status}, {"what is due is looked for", due}, {"a page of the list", page},
		{"the causes", causes}, {"trace of a key", traceKey},
	})},
	{"inbox", "deliveries that are not on their topic yet", []int{10_000, 100_000, 1_000_000, 10_000_000}, measureStore(fillInbox, []work{
		{"a delivery of 1 KB", accept}, {"the next 100 to publish", unpublished}, {"status", status},
	})},
}

// full is a store that holds so much of something.
type full struct {
	*store.Store
	n     int
	epoch int64
	next  int64 // offset
	turn  int   // numbers what is asked for
}

// work is one piece of what the hub does with its store.
type work struct {
	name string
	do   func(ctx context.Context, s *full) error
}

// measureStore fills a store for each size and measures them in turn.
func measureStore(fill func(context.Context, *full) error, works []work) func(context.Context, *options, *thing) ([]line, error) {
	return func(ctx context.Context, o *options, t *thing) (all []line, err error) {
		var stores []*full
		for _, n := range t.sizes {
			s, end, err := open(ctx, o, fmt.Sprintf("%s_%d", t.name, n))
			if err != nil {
				return nil, err
			}
			defer end()
			began := time.Now()
			s.n = n
			if err := fill(ctx, s); err != nil {
				return nil, err
			}
			fmt.Printf("%s: filled with %d in %s\n", t.name, n, time.Since(began).Round(time.Second))
			stores = append(stores, s)
		}
		for _, w := range works {
			l := line{work: w.name, unit: "µs of CPU", sizes: t.sizes, cost: make([]float64, len(stores))}
			if o.postgres != "" {
				l.unit = "µs"
			}
			for round := range o.rounds {
				for i, s := range stores {
					took, err := cost(ctx, o, s, w)
					if err != nil {
						return nil, fmt.Errorf("%s with %d: %w", w.name, s.n, err)
					}
					if round == 0 || took < l.cost[i] {
						l.cost[i] = took
					}
				}
			}
			all = append(all, l)
		}
		return all, nil
	}
}

// cost is what one call costs: the process's CPU where SQLite is part of it, else the time that passes. A call that is slow is made less often.
func cost(ctx context.Context, o *options, s *full, w work) (micros float64, err error) {
	const enough = 2 * time.Second
	clock := cpu
	if o.postgres != "" {
		clock = passed
	}
	began, before, calls := time.Now(), clock(), 0
	for calls < o.calls && (calls == 0 || time.Since(began) < enough) {
		if err := w.do(ctx, s); err != nil {
			return 0, err
		}
		calls++
	}
	return float64((clock() - before).Microseconds()) / float64(calls), nil
}

var start = time.Now()

func passed() time.Duration { return time.Since(start) }

// cpu is the time that the process has taken of all processors.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return passed()
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// open makes an empty store.
func open(ctx context.Context, o *options, name string) (*full, func(), error) {
	cfg, remove, err := place(ctx, o, name)
	if err != nil {
		return nil, nil, err
	}
	s, err := store.Open(ctx, cfg)
	if err != nil {
		remove()
		return nil, nil, err
	}
	p, err := s.OpenPartition(ctx, flow, topic, 0, event.Log{Cluster: "c", TopicID: "t", First: 0, Last: 1 << 60})
	if err != nil {
		remove()
		return nil, nil, err
	}
	return &full{Store: s, epoch: p.Epoch}, func() { _ = s.Close(); remove() }, nil
}

func place(ctx context.Context, o *options, name string) (store.Config, func(), error) {
	if o.postgres == "" {
		dir, err := os.MkdirTemp("", "flat-"+name)
		return store.Config{SQLite: filepath.Join(dir, "waybill.db")}, func() { _ = os.RemoveAll(dir) }, err
	}
	do := func(ctx context.Context, text string) error {
		c, err := pgx.Connect(ctx, o.postgres)
		if err != nil {
			return err
		}
		defer c.Close(ctx)
		_, err = c.Exec(ctx, text)
		return err
	}
	u, err := url.Parse(o.postgres)
	if err != nil {
		return store.Config{}, nil, err
	}
	u.Path = "/waybill_flat_" + name
	drop := func(ctx context.Context) error { return do(ctx, "DROP DATABASE IF EXISTS waybill_flat_"+name) }
	if err := drop(ctx); err != nil { // of a run that was ended
		return store.Config{}, nil, err
	}
	if err := do(ctx, "CREATE DATABASE waybill_flat_"+name); err != nil {
		return store.Config{}, nil, err
	}
	return store.Config{Postgres: u.String()}, func() { _ = drop(context.WithoutCancel(ctx)) }, nil
}

const flow, topic = "orders-to-erp", "canonical.order"

// hubID names object n; the names are in no order.
func hubID(n int) string {
	x := uint64(n) * 0x9e3779b97f4a7c15
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(x>>32), uint16(x>>16), x&0xfff, (x>>8)&0xfff, n)
}

// some is a number below n that is another one each time.
func (s *full) some() int {
	s.turn++
	return int(uint64(s.turn) * 0x9e3779b97f4a7c15 >> 33 % uint64(s.n))
}

// commit stores the results of messages.
func (s *full) commit(ctx context.Context, results ...state.Result) error {
	for i := range results {
		results[i].Offset = s.next
		s.next++
	}
	return s.Commit(ctx, &state.Commit{Flow: flow, Topic: topic, Epoch: s.epoch, Results: results})
}

// written is the fate of a message about object n.
func written(n int) state.Result {
	hub, id := hubID(n), fmt.Sprintf("event-%d", n)
	return state.Result{Outcome: state.Delivered,
		Ref: &state.Ref{Entity: "order", Hub: hub, System: "erp", Local: fmt.Sprint("E", n),
			Known: &state.Known{Fields: map[string]uint64{"status": 1, "total": 2, "lines": 3, "customer": 4}, Received: "1"}},
		Applied: &state.Applied{Entity: "order", Hub: hub, System: "erp", Origin: "crm", Version: "1", Hash: "h", EventID: id},
		Journal: &state.Journal{Flow: flow, Entity: "order", Key: fmt.Sprint("SO-", n), Hub: hub, Outcome: state.Delivered, System: "erp", EventID: id}}
}

// filled calls make for each number and commits what it gives in lots.
func (s *full) filled(ctx context.Context, n int, make func(n int) state.Result) error {
	const lot = 2000
	for first := 0; first < n; first += lot {
		var results []state.Result
		for i := first; i < min(first+lot, n); i++ {
			results = append(results, make(i))
		}
		if err := s.commit(ctx, results...); err != nil {
			return err
		}
	}
	return nil
}

func fillReferences(ctx context.Context, s *full) error {
	err := s.filled(ctx, s.n, func(n int) state.Result { r := written(n); r.Journal = nil; return r })
	if err != nil {
		return err
	}
	return s.filled(ctx, s.n, func(n int) state.Result {
		return state.Result{Outcome: state.Delivered, Ref: &state.Ref{Entity: "order", Hub: hubID(n), System: "crm", Local: fmt.Sprint("C", n)}}
	})
}

// fillJournal: ten rows of an object, of a thousand objects at least.
func fillJournal(ctx context.Context, s *full) error {
	err := s.filled(ctx, s.n, func(n int) state.Result {
		r := written(n / 10)
		r.Ref, r.Applied, r.Journal.EventID = nil, nil, fmt.Sprintf("event-%d", n)
		return r
	})
	s.n /= 10
	return err
}

func parked(n int) state.Result {
	return state.Result{Outcome: state.Parked, Queue: &state.Queued{Lane: fmt.Sprint("lane-", n), State: state.Parked, Blocking: true, Kind: "invalid", Reason: fmt.Sprintf("the status %d is not known", n%7),
		Event: event.Event{ID: fmt.Sprintf("parked-%d", n), Entity: "order", Key: fmt.Sprint("SO-", n), Data: []byte(`{"status":"odd","total":"12.50"}`)}}}
}

func fillParked(ctx context.Context, s *full) error { return s.filled(ctx, s.n, parked) }

func inbound(n int) state.Inbound {
	id := fmt.Sprintf("delivery-%08x-%d", uint32(n)*2654435761, n)
	return state.Inbound{Flow: flow, DeliveryID: id, ID: id, Body: kilobyte, Received: time.Now()}
}

var kilobyte = slices.Repeat([]byte("0123456789abcdef"), 64)

func fillInbox(ctx context.Context, s *full) error {
	const lot = 1000
	for first := 0; first < s.n; first += lot {
		var rows []state.Inbound
		for i := first; i < min(first+lot, s.n); i++ {
			rows = append(rows, inbound(i))
		}
		if _, _, err := s.Accept(ctx, rows, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

func resolve(ctx context.Context, s *full) error {
	n := s.some()
	hub, _, err := s.Resolve(ctx, "order", "crm", fmt.Sprint("C", n), "", "event")
	if err == nil && hub != hubID(n) {
		return fmt.Errorf("object %d is found as %q, want %q", n, hub, hubID(n))
	}
	return err
}

func lookBefore(ctx context.Context, s *full) error {
	n := s.some()
	got, err := s.Target(ctx, "order", hubID(n), "erp", "crm")
	if err == nil && (got.Ref == nil || got.Ref.Local != fmt.Sprint("E", n)) {
		return fmt.Errorf("object %d is not known: %+v", n, got)
	}
	return err
}

// sixteen commits the fates of sixteen messages.
func (s *full) sixteen(ctx context.Context, fate func(n int) state.Result, object func() int) error {
	results := make([]state.Result, 16)
	for i := range results {
		results[i] = fate(object())
	}
	return s.commit(ctx, results...)
}

// another is the number of an object that is not there yet.
func (s *full) another() int {
	s.turn++
	return 1<<40 + s.turn
}

func write16(ctx context.Context, s *full) error { return s.sixteen(ctx, written, s.some) }

// rows16 are fates of which nothing but the row of the journal is kept.
func rows16(ctx context.Context, s *full) error {
	return s.sixteen(ctx, func(n int) state.Result {
		r := written(n)
		s.turn++
		r.Ref, r.Applied, r.Journal.EventID = nil, nil, fmt.Sprintf("event-%x-%d", uint64(s.turn)*0x9e3779b97f4a7c15, s.turn)
		return r
	}, s.some)
}

func create16(ctx context.Context, s *full) error { return s.sixteen(ctx, written, s.another) }
func park16(ctx context.Context, s *full) error   { return s.sixteen(ctx, parked, s.another) }

func status(ctx context.Context, s *full) error {
	_, _, _, err := s.StatusSnapshot(ctx)
	return err
}

func traceLocal(ctx context.Context, s *full) error { return traced(ctx, s, fmt.Sprint("E", s.some())) }
func traceKey(ctx context.Context, s *full) error   { return traced(ctx, s, fmt.Sprint("SO-", s.some())) }

func traced(ctx context.Context, s *full, key string) error {
	got, err := s.Trace(ctx, key)
	if err == nil && len(got.Journal)+len(got.Queued)+len(got.Objects) == 0 {
		return fmt.Errorf("nothing is told of %s", key)
	}
	return err
}

func sweepPage(ctx context.Context, s *full) error {
	const size = 500
	after := fmt.Sprintf("C1%02d", s.some()%100) // ids are texts: behind each of these stand enough
	got, err := s.KnownObjects(ctx, "order", "crm", "", after, size)
	if err == nil && len(got) != size {
		return fmt.Errorf("%d objects behind %s", len(got), after)
	}
	return err
}

func prune(ctx context.Context, s *full) error {
	_, err := s.Prune(ctx, time.Now())
	return err
}

func due(ctx context.Context, s *full) error {
	_, err := s.Due(ctx, flow, topic, 0, time.Now(), 100)
	return err
}

func page(ctx context.Context, s *full) error {
	got, err := s.Listed(ctx, state.QueueFilter{State: state.Parked, Limit: 100}, 3)
	if err == nil && len(got) != 100 {
		return fmt.Errorf("%d messages", len(got))
	}
	return err
}

func causes(ctx context.Context, s *full) error {
	_, err := s.Causes(ctx, state.QueueFilter{State: state.Parked})
	return err
}

func accept(ctx context.Context, s *full) error {
	s.turn++
	_, _, err := s.Accept(ctx, []state.Inbound{inbound(1<<31 + s.turn)}, nil, nil)
	return err
}

func unpublished(ctx context.Context, s *full) error {
	got, err := s.Unpublished(ctx, flow, 100, 1<<20)
	if err == nil && len(got) != 100 {
		return fmt.Errorf("%d rows", len(got))
	}
	return err
}
