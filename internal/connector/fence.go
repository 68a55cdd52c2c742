package connector

import "context"

type fenceKey struct{}

// WithFence gives a call a last question before something is changed: whether it is still this hub's to make. A hub that was frozen
// or cut off may have been replaced since it decided to call, and others may have written newer versions.
func WithFence(ctx context.Context, ask func(context.Context) error) context.Context {
	return context.WithValue(ctx, fenceKey{}, ask)
}

// Fence asks. A connector calls it at the last moment before something is changed, after whatever it has waited for: before a request
// leaves, a transaction commits, a file gets its name. After an error nothing may be changed, and the failure wraps that error.
func Fence(ctx context.Context) error {
	if ask, ok := ctx.Value(fenceKey{}).(func(context.Context) error); ok {
		return ask(ctx)
	}
	return nil
}
