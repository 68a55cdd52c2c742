// Package tracing is how the rooms of the hub speak of spans without knowing who collects them. What joins the spans of one message is its W3C
// traceparent: it comes with the webhook, lies in the inbox, goes with the record through Kafka and to the target. internal/telemetry makes the spans.
package tracing

import "context"

// Kind is what a span is to its parent.
type Kind uint8

const (
	// Taking: something from outside is taken, by a webhook or a reader.
	Taking Kind = iota
	// Publishing: a record is put on a topic.
	Publishing
	// Working: a flow decides about a message.
	Working
	// Calling: a system is called.
	Calling
)

// Attr says something of a span. Neither documents nor business keys are among them, but for what an event's id holds: what collects spans is not the hub's to guard.
type Attr struct{ Key, Value string }

// Span is a piece of work, from Begin to End. One that is never ended is not told of.
type Span interface {
	// Traceparent is the span's own place in its trace, for what comes of it.
	Traceparent() string
	// End ends it. failed is the class of what went wrong, empty for success.
	End(failed string, attrs ...Attr)
}

// Tracer makes spans.
type Tracer interface {
	// Begin begins a span below the one that a traceparent names; a trace of its own where that is empty.
	Begin(parent string, kind Kind, name string, attrs ...Attr) Span
}

type key struct{}

// With has calls under ctx carry a traceparent.
func With(ctx context.Context, traceparent string) context.Context {
	return context.WithValue(ctx, key{}, traceparent)
}

// From is the traceparent that calls under ctx carry; empty: none.
func From(ctx context.Context) string {
	t, _ := ctx.Value(key{}).(string)
	return t
}
