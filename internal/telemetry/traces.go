package telemetry

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/waybill-hub/waybill/internal/tracing"
)

// TracesConfig says where spans go.
type TracesConfig struct {
	// Endpoint is the collector's address for OTLP over HTTP, with its path: http://127.0.0.1:4318/v1/traces.
	Endpoint string
	// Headers go with every request; they may be secrets.
	Headers map[string]string
	TLS     *tls.Config // nil: the machine's authorities
	// Sample is the share of the traces that begin at the hub which are told, from 0 to 1. A trace that a sender has begun is told where the sender says so.
	Sample float64
	// Version is the hub's, Instance names this process.
	Version, Instance string
	Log               *slog.Logger
	// Failed is told that spans could not be sent; the text holds no secret.
	Failed func(err error)
}

const (
	spanQueue   = 8192
	spanTimeout = 10 * time.Second
	// spanPatience is how long what a collector does not take is offered again.
	spanPatience = 30 * time.Second
)

// Traces sends spans to a collector. What the collector does not take in time is lost, and told of: messages never wait for it.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// NewTraces begins to send spans. The collector need not be there yet.
func NewTraces(ctx context.Context, c TracesConfig) (*Traces, error) {
	opts := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(c.Endpoint), otlptracehttp.WithHeaders(c.Headers), otlptracehttp.WithTimeout(spanTimeout),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: spanPatience}),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression)}
	if c.TLS != nil {
		opts = append(opts, otlptracehttp.WithTLSClientConfig(c.TLS))
	}
	exporter, err := otlptracehttp.New(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	res, err := resource.Merge(resource.Environment(), resource.NewSchemaless(
		attribute.String("service.name", "waybill"), attribute.String("service.version", c.Version), attribute.String("service.instance.id", c.Instance)))
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	if c.Failed != nil {
		otel.SetErrorHandler(otel.ErrorHandlerFunc(c.Failed)) // the library has one for the process, and tells nobody else
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.Sample))),
		sdktrace.WithBatcher(exporter, sdktrace.WithMaxQueueSize(spanQueue)))
	return &Traces{p, p.Tracer("waybill", trace.WithInstrumentationVersion(c.Version))}, nil
}

// Close sends what is still to be sent, for as long as ctx lets it.
func (t *Traces) Close(ctx context.Context) error { return t.provider.Shutdown(ctx) }

var kinds = map[tracing.Kind]trace.SpanKind{
	tracing.Taking: trace.SpanKindServer, tracing.Publishing: trace.SpanKindProducer, tracing.Working: trace.SpanKindConsumer, tracing.Calling: trace.SpanKindClient,
}

const traceparent = "traceparent"

// Begin is that of tracing.Tracer.
func (t *Traces) Begin(parent string, kind tracing.Kind, name string, attrs ...tracing.Attr) tracing.Span {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{traceparent: parent})
	_, s := t.tracer.Start(ctx, name, trace.WithSpanKind(kinds[kind]), trace.WithAttributes(attributes(attrs)...))
	return span{s}
}

func attributes(attrs []tracing.Attr) []attribute.KeyValue {
	out := make([]attribute.KeyValue, 0, len(attrs))
	for _, a := range attrs {
		if a.Value != "" {
			out = append(out, attribute.String(a.Key, a.Value))
		}
	}
	return out
}

type span struct{ trace.Span }

// Traceparent is the W3C form.
func (s span) Traceparent() string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpan(context.Background(), s.Span), carrier)
	return carrier[traceparent]
}

// End ends the span.
func (s span) End(failed string, attrs ...tracing.Attr) {
	if failed != "" {
		s.SetStatus(codes.Error, failed)
		s.SetAttributes(attribute.String("error.type", failed))
	}
	s.SetAttributes(attributes(attrs)...)
	s.Span.End()
}
