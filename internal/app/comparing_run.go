package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/reconcile"
	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// comparing is the hub's part in runs of reconciliations and rules.
type comparing struct {
	wanted
	// decided counts the messages that this hub has decided.
	decided atomic.Int64
}

// startComparing carries out the runs that are wanted, whoever has asked for them, wherever no other hub does.
func (h *Hub) startComparing(context.Context) error {
	h.comparing.init()
	return h.beside("reconciliations", func(ctx context.Context) { h.comparing.loop(ctx, h, "a reconciliation", h.beginComparing) })
}

// beginComparing works on the runs that are wanted.
func (h *Hub) beginComparing(ctx context.Context) error {
	open, err := h.store.Comparisons(ctx, state.ComparisonFilter{Open: true})
	for i := len(open) - 1; i >= 0; i-- { // the oldest first
		run := open[i]
		h.comparing.begin(ctx, h, state.RunLease(run.Kind, run.Name), func(ctx context.Context, held *lease.Held) error { return h.compareUnder(ctx, held, &run) }, func(err error) {
			h.log.Warn("a run was broken off; it is begun anew", "run", run.ID, "kind", run.Kind, "name", run.Name, "error", err)
		})
	}
	return err
}

// defaultLeaseTTL is for plans that were not read from a file, which names another one.
const defaultLeaseTTL = 15 * time.Second

func (h *Hub) leaseTTL() time.Duration { return cmp.Or(h.plan().Hub.TakeOver, defaultLeaseTTL) }

// compareUnder makes one run under its lease, from its beginning to its end.
func (h *Hub) compareUnder(ctx context.Context, held *lease.Held, c *state.Comparison) error {
	run, err := h.store.BeginComparison(ctx, held.Lease(), c.ID)
	if err != nil {
		if errors.Is(err, state.ErrNotFound) { // it has ended meanwhile
			return nil
		}
		return err
	}
	log := h.log.With("run", run.ID, "kind", run.Kind, "name", run.Name)
	log.Info("a run begins", "trigger", run.Trigger, "by", run.Who, "attempt", run.Attempt)
	sink := &compareSink{h: h, held: held, run: run.ID}
	began := h.clock.Now()
	by, failed, left := h.attended(ctx, sink.beat, func(ctx context.Context, _ context.CancelCauseFunc) error { return h.compare(ctx, sink, &run) })
	switch {
	case left != nil:
		return left
	case by != "":
		run.State, run.Detail = state.RunCancelled, "cancelled by "+by
	case failed != nil:
		run.State, run.Detail = state.RunFailed, failed.Error()
	}
	run.Finished = h.clock.Now()
	if err := h.store.EndComparison(ctx, held.Lease(), run); err != nil {
		return fmt.Errorf("note how the run has ended: %w", err)
	}
	s := &run.Summary
	args := []any{"state", string(run.State), "took", run.Finished.Sub(began), "compared", s.Compared, "equal", s.Equal, "missing_left", s.MissingLeft, "missing_right", s.MissingRight,
		"different", s.Different, "doubled", s.Doubled, "not_compared", s.NotCompared, "repaired", s.Repaired}
	if run.State == state.RunAgreed || run.State == state.RunCancelled {
		log.Info("a run has ended", args...)
	} else {
		log.Warn("a run has ended", append(args, "detail", run.Detail)...)
	}
	return nil
}

// compare does what the run is about, and fills in how it ended.
func (h *Hub) compare(ctx context.Context, sink *compareSink, run *state.Comparison) error {
	if run.Kind == state.RunRule {
		return h.compareRule(ctx, sink, run)
	}
	now := h.now.Load()
	rec := now.plan.Reconciliation(run.Name)
	if rec == nil {
		return fmt.Errorf("the files name no reconciliation %s any more", run.Name)
	}
	asked := reconcile.Asked{ID: run.ID, Attempt: run.Attempt, CompareOptions: run.Options}
	if run.Options.From > 0 {
		from, err := h.store.ComparisonByID(ctx, run.Options.From)
		if err != nil {
			return fmt.Errorf("read run %d: %w", run.Options.From, err)
		}
		asked.Base = from.Summary.Compared
	}
	c := h.compareConfig(now)
	c.Listed = listedStore{h.store, sink.held, rec.Name}
	r, err := reconcile.New(c, rec, asked, sink)
	if err != nil {
		return err
	}
	run.State, run.Summary, run.Detail, err = r.Do(ctx)
	return err
}

// listedStore keeps what a reconciliation has read of its sides under the lease of its run.
type listedStore struct {
	store *store.Store
	held  *lease.Held
	name  string
}

func (s listedStore) OpenListing(ctx context.Context, side string, until time.Time) (state.Listing, error) {
	return s.store.OpenListing(ctx, s.held.Lease(), s.name, side, until)
}

func (s listedStore) ListedObjects(ctx context.Context, side, after string, limit int) ([]state.ListedObject, error) {
	return s.store.ListedObjects(ctx, s.name, side, after, limit)
}

func (s listedStore) ListedIDs(ctx context.Context, side, after string, limit int) ([]string, error) {
	return s.store.ListedIDs(ctx, s.name, side, after, limit)
}

func (s listedStore) KeepListed(ctx context.Context, side string, l state.Listing, rows []state.ListedObject, gone []string) error {
	return s.store.KeepListed(ctx, s.held.Lease(), s.name, side, l, rows, gone)
}

func (s listedStore) DropListed(ctx context.Context, side string, before int64) (int64, error) {
	return s.store.DropListed(ctx, s.held.Lease(), s.name, side, before)
}

func (h *Hub) compareConfig(now *current) reconcile.Config {
	return reconcile.Config{Store: h.store, Hub: compareHub{h}, Clock: h.clock, Log: h.log, Plan: now.plan, Private: now.private, Spill: spill.Config{Dir: h.spillDir()}, Connector: now.connector,
		Kinds: func(kind string) connector.Kind {
			k, _ := h.kinds.Get(kind)
			return k
		},
		Decided: h.comparing.decided.Load}
}

// connector gives an open system; nil where there is none.
func (c *current) connector(name string) connector.System {
	if s := c.systems[name]; s != nil {
		return s.Connector
	}
	return nil
}

// spillDir is where runs sort what does not fit into memory: beside the store's own file, which has room for what the hub holds.
func (h *Hub) spillDir() string {
	if s := h.plan().Hub.Store.SQLite; s != nil {
		return filepath.Dir(s.Path)
	}
	return os.TempDir()
}

// compareSink stores what a run finds.
type compareSink struct {
	h        *Hub
	held     *lease.Held
	run      int64
	progress atomic.Pointer[state.CompareProgress]
}

func (s *compareSink) Progress(p state.CompareProgress) { s.progress.Store(&p) }

func (s *compareSink) Add(ctx context.Context, d []state.Difference) error {
	return s.h.store.AddDifferences(ctx, s.held.Lease(), s.run, d)
}

func (s *compareSink) Change(ctx context.Context, d []state.Difference) error {
	return s.h.store.ChangeDifferences(ctx, s.held.Lease(), s.run, d)
}

func (s *compareSink) Stored(ctx context.Context, f state.DifferenceFilter) ([]state.Difference, error) {
	return s.h.store.Differences(ctx, f)
}

// beat tells how far the run has come, and hears who wants it to end.
func (s *compareSink) beat(ctx context.Context) (who string, err error) {
	p := s.progress.Load()
	if p == nil {
		p = &state.CompareProgress{}
	}
	return s.h.store.BeatComparison(ctx, s.held.Lease(), s.run, *p)
}
