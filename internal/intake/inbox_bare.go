//go:build benchbare

package intake

import (
	"context"

	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/webhook"
)

// inbox is where webhooks put what they take: onto the topic at once.
func (in *Intake) inbox() webhook.Inbox { return straight{in} }

type straight struct{ in *Intake }

func (s straight) Accept(ctx context.Context, rows []state.Inbound, _ *state.Cursor, _ *state.Lease) ([]state.Accepted, []int64, error) {
	fates := make([]state.Accepted, len(rows))
	for i := range rows {
		w := s.in.find(rows[i].Flow)
		if w == nil {
			return nil, nil, state.ErrNotFound
		}
		if err := w.relay.Straight(ctx, &rows[i]); err != nil {
			return nil, nil, err
		}
		fates[i] = state.AcceptedNew
	}
	return fates, make([]int64, len(rows)), nil
}
