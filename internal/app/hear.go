package app

import (
	"context"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// hearEvery is how often a hub looks for what people have told other hubs. What concerns messages needs no such look: it is marked on
// the message, and the owner of its partition looks for marks.
const hearEvery = time.Second

// resumes are, by flow, when people resumed it last.
type resumes map[string]time.Time

// startHearing follows pauses and resumes that were given to other hubs. A SQLite store is this hub's alone.
func (h *Hub) startHearing(ctx context.Context) error {
	if h.plan().Hub.Store.Postgres == nil {
		return nil
	}
	known, err := h.resumed(ctx)
	if err != nil {
		return err
	}
	asked := int64(0) // the newest wish that was heard of
	return h.beside("other hubs' news", func(ctx context.Context) {
		for lifecycle.Sleep(ctx, h.clock, hearEvery) == nil {
			asked = h.hearWishes(ctx, asked)
			again, err := h.hear(ctx, known)
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

// hearWishes wakes the readers of which something was asked since the wish that was heard of last, at whichever hub.
func (h *Hub) hearWishes(ctx context.Context, last int64) int64 {
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

// hear pauses and resumes the flows as they are stored, and gives those that an alarm had stopped here and that were resumed
// elsewhere. known is brought up to date.
func (h *Hub) hear(ctx context.Context, known resumes) (again []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	h.pausing.Lock()
	defer h.pausing.Unlock()
	all, err := h.store.PausedFlows(ctx)
	if err != nil {
		return nil, err
	}
	now, err := h.resumed(ctx)
	if err != nil {
		return nil, err
	}
	paused := map[string]bool{}
	for _, p := range all {
		paused[p.Flow] = true
	}
	for _, r := range h.flows() {
		name := r.Flow().Name
		at, ok := now[name]
		fresh := ok && !at.Equal(known[name])
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
		if ok {
			known[name] = at
		}
	}
	return again, nil
}

// resumed reads the acts of people. They are compared, never measured: hubs' clocks differ.
func (h *Hub) resumed(ctx context.Context) (resumes, error) {
	acts, err := h.store.Audits(ctx, 200)
	if err != nil {
		return nil, err
	}
	out := resumes{}
	for _, a := range acts {
		if name, ok := strings.CutPrefix(a.Object, "flow/"); ok && a.Action == "resume" && out[name].IsZero() {
			out[name] = a.Time // newest first
		}
	}
	return out, nil
}
