// Package search writes the search index behind the journal: what objects are found by, how they stand last, and which others their documents name. One hub
// at a time does it, beside the flows, and gives way to them.
package search

import (
	"context"
	"log/slog"
	"time"

	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// Store is where the journal and the index are.
type Store interface {
	lease.Store
	IndexedTo(ctx context.Context, settings string) (fate int64, err error)
	FatesBehind(ctx context.Context, fate int64, limit int) ([]state.Journal, error)
	IndexFates(ctx context.Context, lease state.Lease, settings string, upTo state.Journal, rows []state.Indexed) error
}

const (
	// batch is how many fates are indexed at once: short enough for the store's one writer.
	batch = 200
	// idle is how long nothing is looked for where nothing was new.
	idle = 500 * time.Millisecond
)

// Worker keeps the index.
type Worker struct {
	Store Store
	Clock lifecycle.Clock
	Log   *slog.Logger
	// Holder is this process among the hubs, TTL how long the index of a hub that died rests.
	Holder string
	TTL    time.Duration
	// Plan is what the files say now.
	Plan func() *Plan
}

// Run indexes until ctx ends, wherever no other hub does it.
func (w *Worker) Run(ctx context.Context) {
	r := lease.Runner{Store: w.Store, Clock: w.Clock, Log: w.Log, Name: state.SearchLease, Holder: w.Holder, TTL: w.TTL}
	r.Run(ctx, w.work)
}

func (w *Worker) work(ctx context.Context, held *lease.Held) error {
	for {
		began := w.Clock.Elapsed()
		n, err := w.step(ctx, held)
		if err != nil {
			return err
		}
		rest := idle
		if n == batch { // there is more: as long as it took, others have the store
			rest = max(w.Clock.Elapsed()-began, time.Millisecond)
		}
		if lifecycle.Sleep(ctx, w.Clock, rest) != nil {
			return nil
		}
	}
}

// step indexes the next fates; n is how many.
func (w *Worker) step(ctx context.Context, held *lease.Held) (n int, err error) {
	plan := w.Plan()
	at, err := w.Store.IndexedTo(ctx, plan.Settings)
	if err != nil {
		return 0, err
	}
	rows, err := w.Store.FatesBehind(ctx, at, batch)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	list := make([]state.Indexed, len(rows))
	for i := range rows {
		list[i] = indexed(plan, &rows[i])
	}
	return len(rows), w.Store.IndexFates(ctx, held.Lease(), plan.Settings, rows[len(rows)-1], list)
}
