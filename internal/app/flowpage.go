package app

import (
	"context"
	"time"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/state"
)

// Definition is a flow as the files have it.
func (h *Hub) Definition(_ context.Context, name string) (*api.FlowDefinition, error) {
	f := h.plan().Flow(name)
	if f == nil {
		return nil, h.unknownFlow(name)
	}
	d := &api.FlowDefinition{Name: f.Name, File: f.Pos.File, Line: f.Pos.Line, Sum: f.Sum, By: "topic", Topic: f.Topic(), Operation: f.To.Operation, OnDelete: string(f.To.OnDelete), Order: string(f.Order),
		JournalAll: f.JournalAll, RetrySeconds: f.Retry.For.Seconds(), LateAfterSeconds: f.SLO.LateAfter.Seconds(), SilentAfterSeconds: f.SLO.SilentAfter.Seconds(), WaitingAfterSeconds: f.SLO.WaitingAfter.Seconds()}
	every := func(t time.Duration) string {
		if t == 0 {
			return ""
		}
		return t.String()
	}
	switch {
	case f.From.Webhook != nil:
		d.By, d.Path = "webhook", f.From.Webhook.Path
	case f.From.Poll != nil:
		d.By, d.Every, d.Schedule = "poll", every(f.From.Poll.Every), f.From.Poll.Schedule
		if d.Schedule != "" && f.From.Poll.Timezone != "" {
			d.Schedule += " " + f.From.Poll.Timezone
		}
		if f.From.Poll.Deletes != nil {
			d.Sweep = f.From.Poll.Deletes.Sweep
		}
	case f.From.Files != nil:
		d.By, d.Every = "files", every(f.From.Files.Every)
	}
	if f.Accept != nil {
		d.Accept = f.Accept.Name()
	}
	if f.Map != nil {
		d.Mapping = f.Map.Name()
	}
	for _, r := range f.Requires {
		d.Requires = append(d.Requires, r.Entity)
	}
	return d, nil
}

// fatesAmong is how many of the journal's newest rows are looked at for those of one flow.
const fatesAmong = 20_000

// Fates gives journal rows of a flow, newest first, and where to look on.
func (h *Hub) Fates(ctx context.Context, f state.JournalFilter) ([]state.Journal, int64, error) {
	return h.store.Newest(ctx, f, fatesAmong)
}
