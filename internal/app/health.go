package app

import (
	"context"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

const (
	// probeAgain is how often a store that takes nothing is tried, so that its recovery is seen although nobody brings anything.
	probeAgain = time.Second
	// probeQuiet is after how long without a commit a store is tried: a disk may be full while nobody writes.
	probeQuiet = 5 * time.Second
)

// startProbing tries the store, as long as the hub runs, where nobody else does.
func (h *Hub) startProbing(context.Context) error { return h.beside("probing the store", h.probeStore) }

func (h *Hub) probeStore(ctx context.Context) {
	before, quiet := int64(-1), time.Duration(0)
	for lifecycle.Sleep(ctx, h.clock, probeAgain) == nil {
		now := h.store.Stats().Transactions
		if quiet += probeAgain; now != before {
			before, quiet = now, 0
		}
		if h.store.Trouble() == nil && quiet < probeQuiet {
			continue
		}
		quiet = 0
		// What it comes to, the store itself tells: see storeTrouble.
		_ = h.store.Probe(ctx)
	}
}

// storeTrouble is why the store takes nothing; empty: it does.
func (h *Hub) storeTrouble() string {
	if t := h.store.Trouble(); t != nil {
		return "the store takes nothing since " + t.Since.UTC().Format(time.RFC3339) + ": " + t.Why
	}
	return ""
}

// readTrouble is why the flow's topic is not read; empty: it is.
func (r *running) readTrouble() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.sub.Trouble(); t != nil {
		return "it reads nothing since " + t.Since.UTC().Format(time.RFC3339) + ": " + t.Why
	}
	return ""
}

// refusal is why the store does not take what the flow says; empty: it does.
func (r *running) refusal() string {
	if t := r.StoreRefuses(); t != nil {
		return "the store does not take what the flow says since " + t.Since.UTC().Format(time.RFC3339) + ": " + t.Why + "; it is tried again, and the log has it"
	}
	return ""
}

// writeTrouble is why what the flow, or the relay for it, has to put on a topic is not there; empty: it is.
func (h *Hub) writeTrouble(r *running) string {
	f := r.Flow()
	for _, topic := range []string{f.To.Topic, f.Topic()} {
		if topic == "" || topic == f.From.Topic {
			continue
		}
		if t := h.publisher.Trouble(topic); t != nil {
			return "it cannot write to " + topic + " since " + t.Since.UTC().Format(time.RFC3339) + ": " + t.Why
		}
	}
	return ""
}
