package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/alert"
	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// startAlerts tells people of what is wrong, where no other hub on the same store does.
func (h *Hub) startAlerts(context.Context) error {
	host, _, _ := strings.Cut(h.name, "/")
	h.alerts = &alert.Worker{Store: h.store, Clock: h.clock, Log: h.log, Hub: host, Status: h.Status, StoreTrouble: h.storeTrouble, Settings: func() (*config.Alerts, string) {
		hub := &h.plan().Hub
		if hub.HTTP.Origin != "" {
			return &hub.Alerts, hub.HTTP.Origin
		}
		return &hub.Alerts, h.URL()
	}}
	// A lease that nobody needs is not held: each renewal is a commit.
	const again = 2 * time.Second
	return h.beside("alerts", h.alerts.RunStore, func(ctx context.Context) {
		for ctx.Err() == nil {
			if h.alerts.Wanted() {
				r := lease.Runner{Store: h.store, Clock: h.clock, Log: h.log, Name: store.AlertLease, Holder: h.holder(), TTL: h.leaseTTL()}
				if _, err := r.Once(ctx, func(ctx context.Context, held *lease.Held) error { return h.alerts.Run(ctx, held.Lease) }); err != nil && ctx.Err() == nil {
					h.log.Warn("alerts are not told at this moment; it is tried again", "error", err)
				}
			}
			if lifecycle.Sleep(ctx, h.clock, again) != nil {
				return
			}
		}
	})
}

// alertTrouble says which receivers of alerts cannot be told; empty: none.
func (h *Hub) alertTrouble() string {
	if h.alerts == nil {
		return ""
	}
	all := h.alerts.Troubles()
	var out []string
	for _, name := range sortedKeys(all) {
		out = append(out, fmt.Sprintf("%s since %s: %s", name, all[name].Since.UTC().Format(time.RFC3339), all[name].Why))
	}
	if len(out) == 0 {
		return ""
	}
	return "alerts do not reach " + strings.Join(out, "; ")
}

// Alerts tells who is told of what is wrong, and of what.
func (h *Hub) Alerts(ctx context.Context) (*api.Alerts, error) {
	rows, err := h.store.Alerts(ctx)
	if err != nil {
		return nil, err
	}
	rows = append(rows, h.alerts.Own()...)
	out, now, bad, took := &api.Alerts{Receivers: []api.AlertReceiver{}, Alerts: []api.Alert{}}, h.clock.Now(), h.alerts.Troubles(), h.alerts.Took()
	for _, r := range h.plan().Hub.Alerts.To {
		one := api.AlertReceiver{Name: r.Name, Way: way(&r), Of: r.Of, Urgent: r.Urgent, Quiet: config.QuietAt(r.Quiet, now)}
		if t, is := bad[r.Name]; is {
			one.Since, one.Why = &t.Since, t.Why
		}
		last := took[r.Name]
		for i := range rows {
			if rows[i].Receiver == r.Name && rows[i].Told.After(last) {
				last = rows[i].Told
			}
		}
		if !last.IsZero() {
			one.Last = &last
		}
		out.Receivers = append(out.Receivers, one)
	}
	for i := range rows {
		out.Alerts = append(out.Alerts, api.NewAlert(&rows[i]))
	}
	slices.SortStableFunc(out.Alerts, func(a, b api.Alert) int { return b.Since.Compare(a.Since) })
	return out, nil
}

func way(r *config.AlertReceiver) string {
	switch {
	case r.Webhook != nil:
		return "webhook"
	case r.Slack != nil:
		return "slack"
	case r.DingTalk != nil:
		return "dingtalk"
	case r.WeCom != nil:
		return "wecom"
	}
	return "mail"
}

// TestAlert sends a receiver a test.
func (h *Hub) TestAlert(ctx context.Context, receiver, who string) error {
	err := h.alerts.Test(ctx, receiver)
	h.log.Info("a test was sent to a receiver of alerts", "receiver", receiver, "who", who, "error", err)
	if errors.Is(err, state.ErrNotFound) {
		return err
	}
	detail := "it was told"
	if err != nil {
		detail = "it could not be told"
	}
	return errors.Join(err, h.store.WriteAudit(context.WithoutCancel(ctx), state.Audit{Who: who, Action: "test alert", Object: "receiver/" + receiver, Detail: detail}))
}
