//go:build benchbare

package relay

import (
	"context"

	"github.com/waybill-hub/waybill/internal/state"
)

// Straight puts the events of a row that is in no inbox onto the topic, and notes nothing of it: for a build without guards.
func (r *Relay) Straight(ctx context.Context, row *state.Inbound) error {
	b := &batch{Relay: r}
	if err := b.add(ctx, row); err != nil {
		return err
	}
	return b.publish(ctx)
}
