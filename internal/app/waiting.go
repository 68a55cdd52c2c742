package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/state"
)

// waiting is what waits too long for another object, by flow: what is missing may never come, and only a person can know.
type waiting struct {
	mu    sync.Mutex
	why   map[string]string    // for the status
	named map[string]time.Time // messages that began to wait until then were told of in the log
}

// of gives the sentence for the status, or none.
func (w *waiting) of(flow string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why[flow]
}

// startWaiting looks, as long as the hub runs, for messages that wait longer than their flow allows.
func (h *Hub) startWaiting(context.Context) error {
	h.waiting.why, h.waiting.named = map[string]string{}, map[string]time.Time{}
	failures := notice.NewLimiter(h.clock, h.log)
	return h.beside("waiting", func(ctx context.Context) {
		for lifecycle.Sleep(ctx, h.clock, h.lookWaiting(ctx, failures)) == nil {
		}
	})
}

// lookWaiting looks once and says when to look again.
func (h *Hub) lookWaiting(ctx context.Context, failures *notice.Limiter) (next time.Duration) {
	next = 5 * time.Second
	for _, r := range h.flows() {
		limit := r.Flow().SLO.WaitingAfter
		if limit <= 0 {
			continue
		}
		next = min(next, max(limit/4, 100*time.Millisecond))
		if err := h.lookWaitingOf(ctx, r.Flow().Name, limit); err != nil && ctx.Err() == nil {
			failures.Warn("what waits too long is not known; looking again", err, "flow", r.Flow().Name)
		}
	}
	return next
}

func (h *Hub) lookWaitingOf(ctx context.Context, flow string, limit time.Duration) error {
	before := h.clock.Now().Add(-limit)
	n, oldest, err := h.store.Overdue(ctx, flow, time.Time{}, before)
	if err != nil {
		return err
	}
	h.metrics.Flow(flow, "overdue", float64(n))
	why := ""
	if oldest != nil {
		why = fmt.Sprintf("%d wait longer than %s for another object; the oldest is %s", n, limit, strings.Join(h.callsIt(oldest), ": "))
	}
	h.waiting.mu.Lock()
	h.waiting.why[flow] = why
	named := h.waiting.named[flow]
	h.waiting.mu.Unlock()
	if n == 0 {
		return nil
	}
	fresh, first, err := h.store.Overdue(ctx, flow, named, before)
	if err != nil || first == nil {
		return err
	}
	h.metrics.Alarm(flow, "waiting")
	told := h.callsIt(first)
	h.log.Error("alarm: messages wait too long for another object", "flow", flow, "new", fresh, "all", n, "key", told[0], "missing", told[1], "since", first.Since)
	h.waiting.mu.Lock()
	h.waiting.named[flow] = before
	h.waiting.mu.Unlock()
	return nil
}

// callsIt are a message's key and what it waits for, as the status, alerts and the log may have them: these are for everybody.
func (h *Hub) callsIt(q *state.Queued) []string {
	type missing struct {
		Entity string `json:"entity"`
		System string `json:"system"`
		Local  string `json:"local"`
	}
	view := struct {
		Flow    string  `json:"flow"`
		Key     string  `json:"key"`
		Reason  string  `json:"reason"`
		Missing missing `json:"missing"`
	}{q.Flow, q.Event.Key, q.Reason, missing{}}
	if m := q.Missing; m != nil {
		view.Missing = missing{m.Entity, m.System, m.Local}
	}
	view, err := forEverybody(h, view, "")
	if err != nil {
		return []string{q.Event.ID, ""}
	}
	return []string{view.Key, view.Reason}
}

// forEverybody is what may be told to whoever may see the status: with business keys masked that are personal data. about is the entity of what names neither flow nor entity.
func forEverybody[T any](h *Hub, of T, about string) (out T, err error) {
	data, err := json.Marshal(of)
	if err != nil {
		return out, err
	}
	data, ok := h.Veil(data, about)
	if !ok {
		return out, errors.New("it cannot be read")
	}
	return out, json.Unmarshal(data, &out)
}
