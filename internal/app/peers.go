package app

import (
	"context"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// peersEvery is how often a hub looks for what people have told other hubs. What concerns messages needs no such look: it is marked on
// the message, and the owner of its partition looks for marks.
const peersEvery = time.Second

// startPeers follows pauses and resumes that were given to other hubs. A SQLite store is this hub's alone.
func (h *Hub) startPeers(ctx context.Context) error {
	if h.plan().Hub.Store.Postgres == nil {
		return nil
	}
	if err := h.knowResumes(ctx); err != nil {
		return err
	}
	asked := int64(0) // the newest wish that was heard of
	return h.beside("other hubs' news", func(ctx context.Context) {
		for lifecycle.Sleep(ctx, h.clock, peersEvery) == nil {
			asked = h.followWishes(ctx, asked)
			again, err := h.followPauses(ctx)
			if err != nil {
				h.log.Debug("cannot look for what other hubs were told", "error", err)
				continue
			}
			for _, name := range again {
				h.resumeSource(name)
				if err := h.revive(ctx, name); err != nil && ctx.Err() == nil {
					h.log.Error("a flow that was resumed at another hub cannot read again", "flow", name, "error", err)
				}
			}
		}
	})
}

// knowResumes takes all resumes so far as heard of.
func (h *Hub) knowResumes(ctx context.Context) error {
	h.pausing.Lock()
	defer h.pausing.Unlock()
	var err error
	h.resumes, err = h.store.Resumes(ctx)
	return err
}

// followWishes wakes the readers of which something was asked since the wish that was heard of last, at whichever hub.
func (h *Hub) followWishes(ctx context.Context, last int64) int64 {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	wishes, err := h.store.SourceWishes(ctx, "")
	if err != nil {
		h.log.Debug("cannot look for what is asked of sources", "error", err)
		return last
	}
	newest := last
	for _, w := range wishes {
		if w.ID > last {
			h.intake.Asked(w.Flow)
			newest = max(newest, w.ID)
		}
	}
	return newest
}

// followPauses pauses and resumes the flows as they are stored, and gives those that an alarm had stopped here and that were resumed
// elsewhere.
func (h *Hub) followPauses(ctx context.Context) (again []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	h.pausing.Lock()
	defer h.pausing.Unlock()
	// Before the pauses: a resume that comes between the two is heard of at the next look, and not taken for one of a paused flow.
	now, err := h.store.Resumes(ctx)
	if err != nil {
		return nil, err
	}
	all, err := h.store.PausedFlows(ctx)
	if err != nil {
		return nil, err
	}
	paused := map[string]bool{}
	for _, p := range all {
		paused[p.Flow] = true
	}
	for _, r := range h.flows() {
		name := r.Flow().Name
		fresh := now[name] != h.resumes[name]
		switch {
		case paused[name]:
			if !h.paused[name] {
				r.Pause()
			}
		case r.Alarmed() != nil:
			if fresh && h.logs.Why(name) == "" {
				r.Resume()
				again = append(again, name)
			}
		default:
			if h.paused[name] {
				r.Resume()
			}
			if fresh {
				h.resumeSource(name)
			}
		}
		h.paused[name] = paused[name]
		h.resumes[name] = now[name]
	}
	return again, nil
}
