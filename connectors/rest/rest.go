// Package rest is the connector for HTTP services that answer JSON: which paths, fields and parameters they use is said
// in the settings.
package rest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/gather"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Kind is the connector kind "rest".
type Kind struct{}

// Spec describes the settings.
func (Kind) Spec() connector.Spec {
	return connector.Spec{
		Kind:    "rest",
		Summary: "an HTTP service that answers JSON",
		Fields:  connector.Fields[settings](),
		Can:     connector.Abilities{Write: true, Find: true, Poll: true, List: true},
	}
}

// Check reads the settings and adds every problem to p.
func (Kind) Check(s connector.Settings, p *strictyaml.Problems) { read(s, p) }

// Open makes the system ready. It makes no call.
func (Kind) Open(_ context.Context, s connector.Settings) (connector.System, error) {
	var p strictyaml.Problems
	set := read(s, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	var dialect Dialect
	if set.GraphQL != nil {
		dialect = graphql{set.GraphQL.Path}
	} else if set.posted {
		dialect = posted{}
	}
	c := set.Config(s, set.URL, set.Auth)
	c.Secrets = append(c.Secrets, s.Node.Get("objects").Filled()...) // of bodies and variables
	return newSystem(set, c, dialect)
}

func newSystem(set *settings, c httpclient.Config, dialect Dialect) (connector.System, error) {
	client, err := httpclient.New(c)
	if err != nil {
		return nil, err
	}
	sys := &system{name: c.System, set: set, client: client, clock: lifecycle.Real(), log: c.Log, dialect: dialect}
	if sys.log == nil {
		sys.log = slog.New(slog.DiscardHandler)
	}
	sys.bulk = sys.bulks()
	return sys, nil
}

type system struct {
	name   string
	set    *settings
	client *httpclient.Client
	clock  lifecycle.Clock
	// served and refused are pages that came, and tokens that were refused although the walk had begun anew.
	served, refused placeSet
	// bulk is where writes wait that may go together, whole what a request of several was refused with as a whole; empty: it was not.
	bulk  *gather.Queue[*bulked]
	whole atomic.Value
	log   *slog.Logger
	// dialect, where not nil, gives calls and answers their form.
	dialect Dialect
}

var (
	_ connector.Timed   = (*system)(nil)
	_ connector.Sink    = (*system)(nil)
	_ connector.Finder  = (*system)(nil)
	_ connector.Poller  = (*system)(nil)
	_ connector.Lister  = (*system)(nil)
	_ connector.Objects = (*system)(nil)
)

// Objects lists the names of the configured object types.
func (s *system) Objects() []string { return slices.Sorted(maps.Keys(s.set.Objects)) }

// Close closes idle connections.
func (s *system) Close() error { return s.client.Close() }

// Timeout bounds one request.
func (s *system) Timeout() time.Duration { return s.set.Timeout }

// Probe asks for the probe path; without one, any answer that is no failure of the server will do, also one that wants other credentials there: what
// the hub may do shows in its calls.
func (s *system) Probe(ctx context.Context) error {
	r := httpclient.Request{Method: http.MethodGet, Path: s.set.Probe}
	if s.dialect != nil && s.set.Probe == "" {
		r = s.dialect.Probe()
	}
	r.Op, r.Beside = "probe", true
	resp, err := s.client.Do(ctx, r)
	switch {
	case err == nil || resp == nil || s.set.Probe != "" || fault.KindOf(err) == fault.RateLimited:
		return err
	case resp.Status < 500 || resp.Status == http.StatusNotImplemented || resp.Status == http.StatusHTTPVersionNotSupported:
		return nil
	}
	return err
}

// object gives the settings of an object type.
func (s *system) object(name string) (*object, error) {
	if o := s.set.Objects[name]; o != nil {
		return o, nil
	}
	f := fault.New(fault.Invalid, "the system has no object %q%s", name, strictyaml.Meant(name, s.Objects()))
	f.System = s.name
	return nil, f
}

// fail makes a failure of this system.
func (s *system) fail(k fault.Kind, op, format string, args ...any) *fault.Error {
	f := fault.New(k, format, args...)
	f.System, f.Op = s.name, op
	f.Err = fmt.Errorf("%s", s.client.Scrub(f.Err.Error()))
	return f
}
