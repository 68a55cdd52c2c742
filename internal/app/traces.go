package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/notice"
	"github.com/waybill-hub/waybill/internal/publish"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
	"github.com/waybill-hub/waybill/internal/telemetry"
	"github.com/waybill-hub/waybill/internal/tracing"
)

// startTraces begins to send spans, where the plan names a collector.
func (h *Hub) startTraces(ctx context.Context) error {
	c := h.plan().Hub.Traces
	if c.Endpoint == "" {
		return nil
	}
	headers := make(map[string]string, len(c.Headers))
	for name, value := range c.Headers {
		headers[name] = value.Reveal()
	}
	failures := notice.NewLimiter(h.clock, h.log)
	t, err := telemetry.NewTraces(ctx, telemetry.TracesConfig{Endpoint: c.Endpoint, Headers: headers, Sample: c.Sample, Version: h.version, Instance: h.name,
		Failed: func(err error) {
			failures.Warn("spans cannot be sent to the collector; messages go on without", err, "collector", c.Endpoint)
		}})
	if err != nil {
		return err
	}
	h.tracer = t
	return h.stack.Push("traces", 5*time.Second, func(ctx context.Context) error {
		if err := t.Close(ctx); err != nil {
			h.log.Warn("the last spans were not sent", "collector", c.Endpoint, "error", err)
		}
		return nil
	})
}

// tracedStore has each row that is taken begin a span, below the sender's where he has one. Only what is new is told of.
type tracedStore struct {
	*store.Store
	tracer tracing.Tracer
}

// Accept is that of the store.
func (s tracedStore) Accept(ctx context.Context, rows []state.Inbound, cur *state.Cursor, lease *state.Lease) ([]state.Accepted, []int64, error) {
	if s.tracer == nil {
		return s.Store.Accept(ctx, rows, cur, lease)
	}
	rows = slices.Clone(rows)
	spans := make([]tracing.Span, len(rows))
	how := "read "
	if lease == nil {
		how = "webhook "
	}
	for i := range rows {
		r := &rows[i]
		parent := r.Trace
		if inbox.Minted(parent) {
			parent = ""
		}
		spans[i] = s.tracer.Begin(parent, tracing.Taking, how+r.Flow, tracing.Attr{Key: "waybill.flow", Value: r.Flow})
		r.Trace = spans[i].Traceparent()
	}
	outcome, seqs, err := s.Store.Accept(ctx, rows, cur, lease)
	for i, span := range spans {
		switch {
		case err != nil:
			span.End(classOf(err))
		case i < len(outcome) && outcome[i] == state.AcceptedNew:
			span.End("", tracing.Attr{Key: "waybill.event", Value: rows[i].ID})
		}
	}
	return outcome, seqs, err
}

// tracedPublisher has each record carry the span of its publishing.
type tracedPublisher struct {
	publish.Publisher
	tracer tracing.Tracer
}

// Send is that of the publisher.
func (p tracedPublisher) Send(ctx context.Context, records []event.Record) []event.Sent {
	if p.tracer == nil {
		return p.Publisher.Send(ctx, records)
	}
	traced := slices.Clone(records)
	spans := make([]tracing.Span, len(records))
	for i := range traced {
		r := &traced[i]
		at := slices.IndexFunc(r.Headers, func(h event.Header) bool { return h.Key == event.HeaderTrace })
		if at < 0 {
			continue
		}
		spans[i] = p.tracer.Begin(string(r.Headers[at].Value), tracing.Publishing, "send "+r.Topic, tracing.Attr{Key: "messaging.system", Value: "kafka"},
			tracing.Attr{Key: "messaging.operation.type", Value: "send"}, tracing.Attr{Key: "messaging.destination.name", Value: r.Topic})
		r.Headers = slices.Clone(r.Headers)
		r.Headers[at].Value = []byte(spans[i].Traceparent())
	}
	sent := p.Publisher.Send(ctx, traced)
	for i, span := range spans {
		switch {
		case span == nil || i >= len(sent):
		case sent[i].Err != nil:
			span.End(classOf(sent[i].Err))
		default:
			span.End("", tracing.Attr{Key: "messaging.destination.partition.id", Value: fmt.Sprint(sent[i].Partition)}, tracing.Attr{Key: "messaging.kafka.offset", Value: fmt.Sprint(sent[i].Offset)})
		}
	}
	return sent
}

// classOf names what went wrong, without any of what a system has said.
func classOf(err error) string { return fault.KindOf(err).String() }
