// Package kafka is the connector for topics of another Kafka cluster: as sources, read by offsets that the hub keeps itself, and as targets.
package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/bus"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Kind is the connector kind "kafka".
type Kind struct{}

// Spec describes the settings.
func (Kind) Spec() connector.Spec {
	return connector.Spec{
		Kind:    "kafka",
		Summary: "topics of another Kafka cluster (2.8 or newer)",
		Fields:  connector.Fields[settings](),
		Can:     connector.Abilities{Write: true, Find: true, Poll: true},
	}
}

// Check reads the settings and adds every problem to p.
func (Kind) Check(s connector.Settings, p *strictyaml.Problems) { read(s, p) }

// Open makes the system ready: it reads the certificates, and makes no connection.
func (Kind) Open(_ context.Context, s connector.Settings) (connector.System, error) {
	var p strictyaml.Problems
	set := read(s, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	log := s.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	sys := &system{name: s.Name, set: set, log: log, clock: lifecycle.Real(), doubts: map[string]doubt{}}
	sys.scrub.AddSettings(set)
	// A cluster says itself where its brokers are: it leads the hub to no address that other systems may not lead it to.
	cfg := bus.Config{Brokers: set.Brokers, ClientID: set.ClientID, Timeout: set.Timeout, Log: log, Dial: httpclient.Dialer().DialContext}
	if t := set.TLS; t != nil {
		at := *t
		at.CA, at.Cert = s.Path(t.CA), s.Path(t.Cert)
		encrypted, err := at.Config()
		if err != nil {
			return nil, err
		}
		cfg.TLS = encrypted
	}
	if l := set.SASL; l != nil {
		cfg.SASL = &bus.SASL{Mechanism: l.Protocol(), Username: l.User, Password: l.Password.Reveal()}
	}
	c, err := bus.New(cfg)
	if err != nil {
		return nil, sys.scrub.Error(err)
	}
	sys.cluster = c
	if set.Registry != nil {
		if sys.registry, err = newRegistry(s.Name, set.Registry, s.Path, log, sys.clock); err != nil {
			return nil, errors.Join(fmt.Errorf("registry: %w", sys.scrub.Error(err)), c.Close())
		}
	}
	sys.publishers = map[string]*bus.Publisher{}
	for _, o := range set.Objects {
		if by := o.Write.Compression; sys.publishers[by] == nil {
			sys.publishers[by] = c.Publisher(bus.PublisherConfig{RequestTimeout: set.Timeout, RetryFor: retryFor, Compression: by, Idempotent: true})
		}
	}
	return sys, nil
}

// retryFor is how long a write that was certainly not done, or is there once all the same, is tried again here, while leaders move: beyond it the engine does.
const retryFor = 2 * time.Second

type system struct {
	name       string
	set        *settings
	log        *slog.Logger
	clock      lifecycle.Clock
	scrub      connector.Scrubber
	cluster    *bus.Cluster
	registry   *registry                 // nil: there is none
	publishers map[string]*bus.Publisher // by compression

	mu     sync.Mutex
	doubts map[string]doubt // by the change's key: writes of which nobody knows what became
}

var (
	_ connector.Poller   = (*system)(nil)
	_ connector.Rewinder = (*system)(nil)
	_ connector.Sink     = (*system)(nil)
	_ connector.Finder   = (*system)(nil)
	_ connector.Recaller = (*system)(nil)
	_ connector.Sampler  = (*system)(nil)
	_ connector.Timed    = (*system)(nil)
	_ connector.Objects  = (*system)(nil)
)

// Objects lists the names of the configured object types.
func (s *system) Objects() []string { return slices.Sorted(maps.Keys(s.set.Objects)) }

// Timeout bounds one write.
func (s *system) Timeout() time.Duration { return s.set.Timeout }

// Close waits for what is on its way, and ends the connections.
func (s *system) Close() error {
	var errs []error
	for _, p := range s.publishers {
		errs = append(errs, p.Close())
	}
	return errors.Join(append(errs, s.registry.close(), s.cluster.Close())...)
}

// Probe asks a broker for the cluster's id: one small question that needs no right on any topic.
func (s *system) Probe(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return s.classify("probe", err)
	}
	_, err := s.cluster.ID(ctx)
	return s.classify("probe", err)
}

func (s *system) object(op, name string) (*object, error) {
	if o := s.set.Objects[name]; o != nil {
		return o, nil
	}
	return nil, s.fail(fault.Invalid, op, "the system has no object %q%s", name, strictyaml.Meant(name, s.Objects()))
}

func (s *system) fail(k fault.Kind, op, format string, args ...any) *fault.Error {
	f := fault.New(k, format, args...)
	f.System, f.Op, f.Err = s.name, op, s.scrub.Error(f.Err)
	return f
}

// classify gives a failure of the cluster's the system's name, Kafka's own word for it, and what to do.
func (s *system) classify(op string, err error) error {
	if err == nil {
		return nil
	}
	f, ok := fault.As(err)
	if ok && f.System == s.name {
		return err
	}
	out := &fault.Error{Kind: fault.Unavailable, System: s.name, Op: op, Err: err}
	if ok {
		out.Kind = f.Kind
	}
	code, told := bus.Explained(err)
	out.Code = code
	text := told.Error()
	if ok && f.Op == "" {
		text = strings.TrimPrefix(text, f.Code+": ")
	}
	switch code {
	case "TOPIC_AUTHORIZATION_FAILED":
		out.Kind = fault.Unavailable // it goes on by itself once the right is given, unlike a login that is refused
	case "ILLEGAL_SASL_STATE":
		out.Kind, text = fault.Auth, text+"; the listener asks for no login, or not for this one: leave sasl out, or write the port of one that does"
	case "":
		switch hint := transport(err); {
		case hint != "" && out.Kind == fault.Unavailable:
			out.Kind, text = fault.Auth, text+"; "+hint
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			text += "; a broker hangs up on clients that do not speak as its listener wants: see whether that is one for TLS, or for a login, and whether tls and sasl say so"
		}
	}
	if errors.Is(err, bus.ErrNoTopic) {
		text += "; the hub makes no topics there: make it, or give the hub's user DESCRIBE on it if it is there"
	}
	out.Err = s.scrub.Error(&worded{text, err})
	return out
}

// worded is an error with another text.
type worded struct {
	text string
	err  error
}

func (w *worded) Error() string { return w.text }
func (w *worded) Unwrap() error { return w.err }

// transport says what to do about encryption that does not come about; empty: the failure is another one. All of these last until a person has
// corrected a setting or a certificate.
func transport(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		head    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		return "the broker's certificate is by nobody whom the hub trusts: name the file with the authority's certificate in tls.ca"
	case errors.As(err, &host):
		return "the broker's certificate is for another name: write brokers by the name that it has, or see to the broker's advertised.listeners"
	case errors.As(err, &invalid):
		return "the broker's certificate does not hold: renew it, or set the clock right"
	case errors.As(err, &head):
		return "what answers there does not speak TLS: leave tls out, or write the port of a listener that does"
	case strings.Contains(err.Error(), "remote error: tls:"):
		return "the broker refuses the hub's certificate, or wants one: see tls.cert and tls.key"
	}
	return ""
}
