package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/state"
)

var errNotReady = errors.New("the hub is starting or stopping")

func (h *Hub) isReady() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ready
}

// Alive reports that the hub is not stuck: it can take the locks that its work needs. It asks nobody outside, because to start a hub again brings
// back neither a database nor a broker.
func (h *Hub) Alive() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return true
}

// Ready is nil when the hub can take webhooks and keep what it promises: that needs a store that takes what comes. Without the broker they wait in the inbox, and
// a load balancer that took every hub away for that would have them refused.
func (h *Hub) Ready(ctx context.Context) error {
	if !h.isReady() {
		return errNotReady
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := h.store.Ping(ctx); err != nil {
		return fmt.Errorf("the store does not answer: %w", err)
	}
	if why := h.storeTrouble(); why != "" {
		return errors.New(why)
	}
	return nil
}

// Queued lists messages of the stored queues.
func (h *Hub) Queued(ctx context.Context, f state.QueueFilter) ([]state.Queued, error) {
	return h.store.Parked(ctx, f)
}

// Pause holds a flow on every hub from its next message on.
func (h *Hub) Pause(ctx context.Context, name, who string) error {
	return h.setPaused(ctx, name, who, true)
}

// Resume lets a paused or alarmed flow go on.
func (h *Hub) Resume(ctx context.Context, name, who string) error {
	return h.setPaused(ctx, name, who, false)
}

func (h *Hub) setPaused(ctx context.Context, name, who string, paused bool) error {
	if !paused && h.logs.NeedsRecovery(name) {
		return fmt.Errorf("%w: %s", api.ErrBroken, h.logs.Why(name))
	}
	alarmed, err := h.turnFlow(ctx, name, who, paused)
	if err != nil || paused {
		return err
	}
	h.resumeSource(name)
	if alarmed {
		return h.revive(ctx, name)
	}
	return nil
}

// turnFlow stores that the flow is paused or goes on, and tells its runner; alarmed: that one stood still by an alarm.
func (h *Hub) turnFlow(ctx context.Context, name, who string, paused bool) (alarmed bool, err error) {
	h.pausing.Lock()
	defer h.pausing.Unlock()
	h.mu.Lock()
	r := h.runners[name]
	h.mu.Unlock()
	if r == nil {
		return false, h.unknownFlow(name)
	}
	turn := h.store.Resume
	if paused {
		turn = h.store.Pause
	}
	if err := turn(ctx, name, who); err != nil {
		return false, err
	}
	failpoint.Hit(failpoint.PauseStored)
	h.paused[name] = paused
	if paused {
		r.Pause()
		return false, nil
	}
	if h.resumes != nil {
		h.resumes[name]++ // it is no other hub's news: an alarm that comes from now on is not ended by it
	}
	if h.logs.Why(name) != "" {
		return false, nil // it goes on by itself, very soon
	}
	alarmed = r.Alarmed() != nil
	r.Resume()
	return alarmed, nil
}

// Audits lists what people did, newest first.
func (h *Hub) Audits(ctx context.Context, f state.AuditFilter) ([]state.Audit, error) {
	return h.store.Audits(ctx, f)
}

// AuditByID is one act; of an edit with the document before and after, in which personal data is masked.
func (h *Hub) AuditByID(ctx context.Context, id int64) (state.Audit, *state.Act, error) {
	a, act, err := h.store.AuditByID(ctx, id)
	if err != nil || act == nil {
		return a, nil, err
	}
	acts := []state.Act{*act}
	h.masked(&state.Queued{Flow: act.Flow}, acts)
	return a, &acts[0], nil
}

// Note writes an act into the audit that changes nothing by itself: somebody has signed in.
func (h *Hub) Note(ctx context.Context, a state.Audit) error { return h.store.WriteAudit(ctx, a) }
