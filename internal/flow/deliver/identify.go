package deliver

import (
	"context"

	"github.com/waybill-hub/waybill/internal/flow/decide"
)

// identify finds the object's hub id for events of foreign programs.
func identify(ctx context.Context, d *delivery) (*decide.Verdict, error) {
	if v := d.to.Named(); v != nil {
		return v, nil
	}
	ev := d.Event
	d.shared = d.Store.Shared() && (d.Contested || d.Lane != ev.Lane() || d.Rekeyed && ev.Hub == "")
	if ev.Hub != "" {
		return nil, nil
	}
	// A topic that a foreign program fills is a place with ids of its own, like a system; nothing is ever created there, so
	// the resolution is never pending.
	hub, _, err := d.Store.Resolve(ctx, ev.Entity, d.to.Place(), ev.Key, "", ev.ID)
	ev.Hub = hub
	return nil, err
}
