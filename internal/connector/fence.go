package connector

import "context"

type fenceKey struct{}

// WithFence gives a call a last question before something is changed: whether it is still this hub's to make. A hub that was frozen
// or cut off may have been replaced since it decided to call, and others may have written newer versions.
func WithFence(ctx context.Context, ask func(context.Context) error) context.Context {
	return context.WithValue(ctx, fenceKey{}, ask)
}

// Fence asks. A connector calls it right before a request that changes something leaves, after whatever it has waited for; an error
// means that the request must not be sent.
func Fence(ctx context.Context) error {
	if ask, ok := ctx.Value(fenceKey{}).(func(context.Context) error); ok {
		return ask(ctx)
	}
	return nil
}
