package app

import (
	"context"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/intake"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/telemetry"
	"github.com/waybill-hub/waybill/internal/webhook"
)

// startIntake starts relays, pollers and file watchers.
func (h *Hub) startIntake(context.Context) error {
	sources, err := h.sources(h.plan(), h.systems())
	if err != nil {
		return err
	}
	in, err := intake.Start(intake.Config{Store: tracedStore{h.store, h.tracer}, Publisher: tracedPublisher{h.publisher, h.tracer}, Clock: h.clock, Log: h.log,
		Observer: intakeObserver{h.metrics, h.notices}, Logs: relayLogs{h}, Holder: h.holder(), LeaseTTL: h.plan().Hub.TakeOver, Sources: sources,
		MinRate: int64(h.plan().Hub.Hooks.MinRate),
		Carries: func(topic string) int64 { return int64(h.cluster.MaxRecord(topic)) }})
	if err != nil {
		return err
	}
	h.intake = in
	return h.stack.Push("intake", 20*time.Second, in.Stop)
}

// sources are where the plan's flows get their events from.
func (h *Hub) sources(plan *config.Plan, systems map[string]*system) ([]intake.Source, error) {
	open := map[string]connector.System{}
	for name, s := range systems {
		open[name] = s.Connector
	}
	all, err := intake.FromPlan(plan, open, h.store)
	for i := range all {
		if s := systems[all[i].System]; s != nil {
			all[i].Health = s.reads
		}
	}
	return all, err
}

// holder names this hub in leases. The SQLite store belongs to one process at a time, so whoever opens it takes over at once what a
// predecessor held; on PostgreSQL a dead hub's leases have to run out.
func (h *Hub) holder() string {
	if h.plan().Hub.Store.SQLite != nil {
		return "hub"
	}
	return h.name + "/" + uuid.NewString()
}

// listenHooks serves webhooks.
func (h *Hub) listenHooks(context.Context) error {
	certified, err := h.certify("hooks", h.plan().Hub.Hooks.TLS)
	if err != nil {
		return err
	}
	srv, err := webhook.Listen(webhook.ServerConfig{Listen: h.plan().Hub.Hooks.Listen, Connections: h.plan().Hub.Hooks.Max, TLS: certified, Log: h.log})
	if err != nil {
		return err
	}
	srv.Handle(h.intake.Webhooks())
	h.hooksAddr = srv.Addr()
	leave := h.plan().Hub.Hooks.Leave
	return h.stack.Push("webhooks", 10*time.Second+leave, func(ctx context.Context) error {
		srv.Leave()
		// The end of ctx shortens the time that others have to notice: what was asked is answered all the same.
		_ = lifecycle.Sleep(ctx, h.clock, leave)
		return srv.Stop(ctx)
	})
}

// wakeRelays makes every relay look at its inbox.
func (h *Hub) wakeRelays() {
	for _, f := range h.plan().Flows {
		h.intake.Wake(f.Name)
	}
}

// resumeSource lets a paused poller or file watcher read again.
func (h *Hub) resumeSource(flow string) { h.intake.ReadNow(flow) }

// sourceTrouble says why a flow's source cannot be read; empty when it can.
func (h *Hub) sourceTrouble(flow string) string {
	s := h.intake.States()[flow]
	since := " since " + s.Since.UTC().Format(time.RFC3339) + ": "
	switch s.State {
	case intake.SourceFailing:
		return "failing" + since + s.Error
	case intake.SourcePaused:
		return "its system refuses the hub's credentials" + since + s.Error + "; it is not asked again until you have corrected them: then `waybill resume " + flow + "`"
	}
	return ""
}

// sourceRemarks are what the flow's source has to say of the system's data, where this hub reads it.
func (h *Hub) sourceRemarks(flow string) []api.Remark {
	var out []api.Remark
	for _, r := range h.intake.States()[flow].Remarks {
		out = append(out, api.Remark{Kind: string(r.Kind), Count: r.Count, Local: r.Local, Version: r.Version, Text: intake.RemarkText(r)})
	}
	return out
}

// intakeObserver turns what intake tells into metrics.
type intakeObserver struct {
	*telemetry.Metrics
	notices *notice.Board
}

func (o intakeObserver) Submitted(flow string, trigger event.Trigger, events int) {
	o.Metrics.Submitted(flow, string(trigger), events)
}

func (o intakeObserver) Unread(flow, cause, text string) {
	o.notices.Tell(flow, notice.Read, cause, text)
}
func (o intakeObserver) ReadAgain(flow string) { o.notices.Over(flow, notice.Read) }

func (o intakeObserver) Refused(flow string, reason webhook.Reason, detail string) {
	o.Metrics.Refused(flow, string(reason))
	o.notices.Tell(flow, notice.Refusal, string(reason), detail)
}

func (o intakeObserver) Remarked(flow string, remarks []connector.Remark) {
	byKind := make(map[string]int, len(remarks))
	for _, r := range remarks {
		byKind[string(r.Kind)] = r.Count
	}
	o.Metrics.Remarks(flow, byKind)
}

func (o intakeObserver) Alarm(flow string, code inbox.AlarmCode, text string) {
	if text != "" {
		o.Metrics.Alarm(flow, string(code))
	}
}

// startPruning removes, every few minutes, what nobody needs any more.
func (h *Hub) startPruning(context.Context) error { return h.beside("pruning", h.prune) }

func (h *Hub) prune(ctx context.Context) {
	every := 5 * time.Minute
	if failpoint.Enabled { // a test need not wait so long
		if d, err := time.ParseDuration(os.Getenv("WAYBILL_PRUNE_EVERY")); err == nil {
			every = d
		}
	}
	for lifecycle.Sleep(ctx, h.clock, every) == nil {
		n, err := h.store.Prune(ctx, h.clock.Now())
		if err != nil && ctx.Err() == nil {
			h.log.Warn("pruning the store failed; trying again later", "error", err)
		} else if n > 0 {
			h.log.Info("pruned the store", "rows", n)
		}
		if _, err := h.logs.Prune(ctx); err != nil && ctx.Err() == nil {
			h.log.Warn("pruning the log of what was sent failed; trying again later", "error", err)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
