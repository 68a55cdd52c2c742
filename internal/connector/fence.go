package connector

import (
	"context"
	"errors"
)

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

// WithFences gives a call that is made for many the questions of all of them. lost is which of them must not be made, after the call has asked and been told so;
// -1: none.
func WithFences(ctx context.Context, of []context.Context) (_ context.Context, lost func() int) {
	one := -1
	return WithFence(ctx, func(context.Context) error {
		for i, c := range of {
			if err := errors.Join(c.Err(), Fence(c)); err != nil {
				one = i
				return err
			}
		}
		return nil
	}), func() int { return one }
}
