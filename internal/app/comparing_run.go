package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/reconcile"
	"github.com/waybill-hub/waybill/internal/spill"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

const (
	// compareLook is how often it is looked whether a run is wanted: others may have asked for it.
	compareLook = time.Second
	// compareBeat is how often a run tells how far it has come, and hears whether it is to end.
	compareBeat = time.Second
	// comparesAtOnce is how many runs a hub works on at the same time.
	comparesAtOnce = 2
)

var (
	// errCancelled: a person has ended the run.
	errCancelled = errors.New("it was cancelled")
	// errReloaded: the files have changed, so that the run is begun anew.
	errReloaded = errors.New("the files were reloaded")
)

// comparing is the hub's part in runs of reconciliations and rules.
type comparing struct {
	nudge chan struct{}
	mu    sync.Mutex
	work  map[string]context.CancelCauseFunc // by lease
	none  bool                               // nothing is begun while the files change
	all   sync.WaitGroup
	// decided counts the messages that this hub has decided.
	decided atomic.Int64
}

// startComparing carries out the runs that are wanted, whoever has asked for them, wherever no other hub does.
func (h *Hub) startComparing(context.Context) error {
	h.comparing.nudge, h.comparing.work = make(chan struct{}, 1), map[string]context.CancelCauseFunc{}
	return h.beside("reconciliations", h.compareLoop)
}

// wakeComparing has the next wanted run begun at once.
func (h *Hub) wakeComparing() {
	select {
	case h.comparing.nudge <- struct{}{}:
	default:
	}
}

func (h *Hub) compareLoop(ctx context.Context) {
	defer h.comparing.all.Wait() // runs end with ctx
	failures := notice.NewLimiter(h.clock, h.log)
	for ctx.Err() == nil {
		open, err := h.store.Comparisons(ctx, state.ComparisonFilter{Open: true})
		if err != nil && ctx.Err() == nil {
			failures.Warn("cannot look whether a reconciliation is wanted; trying again", err)
		}
		for i := len(open) - 1; i >= 0; i-- { // the oldest first
			h.beginComparing(ctx, &open[i])
		}
		wait, cancel := lifecycle.WithTimeout(ctx, h.clock, compareLook, context.DeadlineExceeded)
		select {
		case <-h.comparing.nudge:
		case <-wait.Done():
		}
		cancel()
	}
}

// beginComparing works on a run beside the loop, unless it is worked on already.
func (h *Hub) beginComparing(ctx context.Context, c *state.Comparison) {
	name := state.RunLease(c.Kind, c.Name)
	k := &h.comparing
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.none || k.work[name] != nil || len(k.work) >= comparesAtOnce {
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	k.work[name] = cancel
	run := *c
	k.all.Go(func() {
		defer func() {
			cancel(nil)
			k.mu.Lock()
			delete(k.work, name)
			k.mu.Unlock()
		}()
		r := lease.Runner{Store: h.store, Clock: h.clock, Log: h.log, Name: name, Holder: h.holder(), TTL: h.leaseTTL()}
		if _, err := r.Once(ctx, func(ctx context.Context, held *lease.Held) error { return h.compareUnder(ctx, held, &run) }); err != nil && ctx.Err() == nil {
			h.log.Warn("a run was broken off; it is begun anew", "run", run.ID, "kind", run.Kind, "name", run.Name, "error", err)
			_ = lifecycle.Sleep(ctx, h.clock, compareLook) // not at once
		}
	})
}

// defaultLeaseTTL is for plans that were not read from a file, which names another one.
const defaultLeaseTTL = 15 * time.Second

func (h *Hub) leaseTTL() time.Duration { return cmp.Or(h.plan().Hub.TakeOver, defaultLeaseTTL) }

// holdComparing ends the runs under way, which begin anew after release: their systems are about to change.
func (h *Hub) holdComparing() (release func()) {
	k := &h.comparing
	k.mu.Lock()
	k.none = true
	for _, cancel := range k.work {
		cancel(errReloaded)
	}
	k.mu.Unlock()
	k.all.Wait()
	return func() {
		k.mu.Lock()
		k.none = false
		k.mu.Unlock()
	}
}

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
	work, cancel := context.WithCancelCause(ctx)
	beats := lifecycle.NewBackground(ctx)
	beats.Go(func(ctx context.Context) error { return sink.beats(ctx, cancel) })
	began := h.clock.Now()
	werr := lifecycle.Guard(func() error { return h.compare(work, sink, &run) })
	cause := context.Cause(work)
	cancel(nil)
	_ = beats.Stop(context.Background(), nil) // it ends with its context
	var by *cancelled
	switch {
	case errors.As(cause, &by):
		run.State, run.Detail = state.RunCancelled, "cancelled by "+by.who
	case ctx.Err() != nil:
		return context.Cause(ctx) // it is begun anew, here or elsewhere
	case cause != nil && werr != nil:
		return fmt.Errorf("%w: %w", cause, werr)
	case errors.Is(werr, state.ErrFenced):
		return werr
	case werr != nil:
		run.State, run.Detail = state.RunFailed, werr.Error()
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

// cancelled is an errCancelled that says by whom.
type cancelled struct{ who string }

func (c *cancelled) Error() string     { return errCancelled.Error() + " by " + c.who }
func (c *cancelled) Is(err error) bool { return err == errCancelled }

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

// beats tells how far the run has come until ctx ends, and ends the run where a person wants that.
func (s *compareSink) beats(ctx context.Context, end context.CancelCauseFunc) error {
	for lifecycle.Sleep(ctx, s.h.clock, compareBeat) == nil {
		p := s.progress.Load()
		if p == nil {
			p = &state.CompareProgress{}
		}
		who, err := s.h.store.BeatComparison(ctx, s.held.Lease(), s.run, *p)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, state.ErrFenced), errors.Is(err, state.ErrNotFound):
			end(err)
			return nil
		case who != "":
			end(&cancelled{who})
			return nil
		}
	}
	return nil
}
