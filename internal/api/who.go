package api

import "context"

func withWho(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, whoKey{}, name)
}

// whoOf is the name that a request acts under.
func whoOf(ctx context.Context) string {
	name, _ := ctx.Value(whoKey{}).(string)
	return name
}
