package app

import (
	"context"

	"github.com/waybill-hub/waybill/internal/state"
)

// BeginRequest and EndRequest are the store's: requests are known at every hub.
func (h *Hub) BeginRequest(ctx context.Context, r state.Request) (*state.Request, error) {
	return h.store.BeginRequest(ctx, r)
}

// EndRequest keeps what was answered.
func (h *Hub) EndRequest(ctx context.Context, r state.Request) error {
	return h.store.EndRequest(ctx, r)
}
