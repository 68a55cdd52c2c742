// Package webhook is the connector for applications that only push: flows take their webhooks, and the hub never calls them.
package webhook

import (
	"context"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Kind is the connector kind "webhook".
type Kind struct{}

type settings struct {
	connector.Common `yaml:",inline"`
}

// Spec describes the settings: there are none, because how a sender proves itself stands in its flow.
func (Kind) Spec() connector.Spec {
	return connector.Spec{Kind: "webhook", Summary: "An application that only pushes webhooks: how it proves itself stands in its flow, under from.webhook"}
}

// Check complains of every setting that is there.
func (Kind) Check(s connector.Settings, p *strictyaml.Problems) { s.Decode(&settings{}, p) }

// Open gives a system that is never called.
func (Kind) Open(context.Context, connector.Settings) (connector.System, error) { return system{}, nil }

type system struct{}

// Probe has nothing to ask.
func (system) Probe(ctx context.Context) error { return context.Cause(ctx) }

// Close has nothing to close.
func (system) Close() error { return nil }
