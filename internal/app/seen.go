package app

import (
	"context"
	"sync"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

// seen is what the store told when it was asked last.
type seen struct {
	totals     []state.FlowTotals
	parts      []state.Partition
	duplicates int64
	paused     []state.Paused
	sweeps     map[string]*api.Sweep
	backfills  map[string]state.Backfill
	timely     map[string]state.Timeliness
	runs       runsSeen
}

// lastSeen keeps it for the time in which the store does not answer: just then somebody looks.
type lastSeen struct {
	mu     sync.Mutex
	seen   *seen
	silent error // of the last time; nil: it answered
}

// look asks the store. Where it does not answer, that is given beside what was seen last.
func (l *lastSeen) look(ctx context.Context, h *Hub) (*seen, error) {
	l.mu.Lock()
	patience := endsPatience
	if l.silent != nil {
		patience = silentPatience
	}
	l.mu.Unlock()
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	now, err := h.askStore(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.seen = now
	}
	if asked.Err() == nil { // who asked and went away says nothing of the store
		l.silent = err
	}
	if l.seen == nil {
		return &seen{}, err
	}
	return l.seen, err
}

// away is why the store did not answer when it was asked last; nil: it did.
func (l *lastSeen) away() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.silent
}

func (h *Hub) askStore(ctx context.Context) (*seen, error) {
	s := &seen{sweeps: map[string]*api.Sweep{}}
	var err error
	if s.totals, s.parts, s.duplicates, err = h.store.StatusSnapshot(ctx); err != nil {
		return nil, err
	}
	if s.paused, err = h.store.PausedFlows(ctx); err != nil {
		return nil, err
	}
	if s.timely, err = h.store.Timely(ctx, h.clock.Now()); err != nil {
		return nil, err
	}
	if s.runs, err = h.askRuns(ctx); err != nil {
		return nil, err
	}
	if s.backfills, err = h.store.LastBackfills(ctx); err != nil {
		return nil, err
	}
	for _, f := range h.plan().Flows {
		if s.sweeps[f.Name], err = h.sweepOf(ctx, f); err != nil {
			return nil, err
		}
	}
	return s, nil
}
