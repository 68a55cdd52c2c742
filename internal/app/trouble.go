package app

import (
	"context"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/webhook"
)

// noticeEvery is how often it is looked whether what was told is over.
const noticeEvery = 5 * time.Second

// startNotices ends, as long as the hub runs, what was told once and is over.
func (h *Hub) startNotices(context.Context) error {
	return h.beside("notices", func(ctx context.Context) {
		for lifecycle.Sleep(ctx, h.clock, noticeEvery) == nil {
			h.notices.Keep(func(flow string) bool { return h.plan().Flow(flow) != nil })
			h.notices.Look(h.rests)
		}
	})
}

// rests: what happens to a flow does not come again at present, and is not over all the same, because the system that does not take its messages is
// not asked.
func (h *Hub) rests(flow string, what notice.What) bool {
	f := h.plan().Flow(flow)
	if f == nil || what != notice.Retry {
		return false
	}
	s := h.systems()[f.To.System]
	return s != nil && s.Breaker.Health().Failing
}

func refusedStatus(all []webhook.Refused) []api.Refused {
	out := make([]api.Refused, 0, len(all))
	for _, r := range all {
		out = append(out, api.Refused{Flow: r.Flow, Reason: string(r.Reason), Count: r.Count, LastHour: r.Hour, First: r.First, Last: r.Last, Detail: r.Detail})
	}
	return out
}

func troubleStatus(all []notice.Entry) []api.Trouble {
	out := make([]api.Trouble, 0, len(all))
	for _, e := range all {
		out = append(out, api.Trouble{Flow: e.Flow, What: string(e.What), Cause: e.Cause, Text: e.Text, Since: e.Since, Last: e.Last, Count: e.Count})
	}
	return out
}

// refusedOf says for what a flow's sender was refused last, where nothing was taken from it since, and that is not longer ago than an hour.
func (g *statusParts) refusedOf(flow string) string {
	var last *webhook.Refused
	for i := range g.refused {
		if r := &g.refused[i]; r.Flow == flow && r.Hour > 0 && r.Since && r.Reason != webhook.ReasonBusy && (last == nil || r.Last.After(last.Last)) {
			last = r
		}
	}
	if last == nil {
		return ""
	}
	return fmt.Sprintf("%s, %d in the last hour, and nothing was taken since: %s", last.Reason, last.Hour, last.Detail)
}

// parkedFor is the newest cause for which messages of a flow were parked.
func (g *statusParts) parkedFor(flow string) string {
	for i := range g.troubles {
		if e := &g.troubles[i]; e.Flow == flow && e.What == notice.Park {
			return e.Cause
		}
	}
	return ""
}
